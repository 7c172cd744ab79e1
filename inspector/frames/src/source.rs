//! Source files: found, read once, shown around a line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tinyio_events::environment;

/// Larger files are not read.
const LARGEST: u64 = 4 << 20;

/// Source files that were looked for.
#[derive(Default)]
pub(super) struct Sources {
    files: HashMap<PathBuf, Option<Rc<File>>>,
}

struct File {
    /// Its path, as it is shown.
    path: String,
    lines: Vec<String>,
}

impl Sources {
    /// The path to show for a file: where it was found, or what debug info calls it.
    pub fn shown(&mut self, path: &Path) -> String {
        match self.file(path) {
            Some(file) => file.path.clone(),
            None => path.display().to_string(),
        }
    }

    /// The lines around a line, with their numbers; none if the file is not there.
    pub fn around(&mut self, path: &Path, line: u32, context: u32) -> Vec<(u32, String)> {
        let Some(file) = self.file(path).filter(|file| line > 0 && line as usize <= file.lines.len()) else {
            return Vec::new();
        };
        let (first, last) = (line.saturating_sub(context).max(1), line.saturating_add(context));
        let shown = &file.lines[first as usize - 1..file.lines.len().min(last as usize)];
        (first..).zip(shown).map(|(number, text)| (number, text.clone())).collect()
    }

    fn file(&mut self, path: &Path) -> Option<Rc<File>> {
        if let Some(known) = self.files.get(path) {
            return known.clone();
        }
        let found = candidates(path).into_iter().find_map(read);
        self.files.insert(path.to_owned(), found.clone());
        found
    }
}

/// Where a file may be: as it is called, and for the standard library beside the compiler.
fn candidates(path: &Path) -> Vec<PathBuf> {
    // `/rustc/<hash>/library/…` is where the standard library was built; `rust-src` has it elsewhere.
    let mut parts = path.iter();
    if path.starts_with("/rustc") {
        let rest: PathBuf = parts.by_ref().skip(3).collect();
        let toolchain = environment::var_os("RUSTUP_HOME").map(PathBuf::from);
        let toolchain = toolchain.or_else(|| environment::home_dir().map(|home| home.join(".rustup")));
        let toolchains = toolchain.and_then(|home| std::fs::read_dir(home.join("toolchains")).ok());
        let roots = toolchains.into_iter().flatten().flatten().map(|toolchain| toolchain.path());
        return roots.map(|root| root.join("lib/rustlib/src/rust").join(&rest)).collect();
    }
    // A relative path would be taken as relative to wherever this process happens to run.
    if path.is_absolute() { vec![path.to_owned()] } else { Vec::new() }
}

fn read(path: PathBuf) -> Option<Rc<File>> {
    // A device or a pipe could block for ever.
    let metadata = std::fs::metadata(&path).ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let bytes = std::fs::read(&path).ok()?;
    let lines = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
    Some(Rc::new(File { path: path.display().to_string(), lines }))
}
