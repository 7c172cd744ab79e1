//! Debug info in a file of its own, as `objcopy --only-keep-debug` and packages of distributions have it for a program
//! that was stripped.
//!
//! Where such files are is described in the manual of gdb, "Debugging Information in Separate Files".

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection, SectionFlags};

use super::contents::Contents;

/// Where distributions put them.
const SYSTEM: &str = "/usr/lib/debug";

/// So many files of a folder are looked at.
const MOST: usize = 1024;

/// What a program says of its debug info.
struct Link {
    /// The build id of both files.
    id: Option<Vec<u8>>,
    /// The name of the file, and a checksum of it.
    named: Option<(String, u32)>,
}

/// The file with the debug info of a program without: it has the same build id, or the checksum that the program says.
/// `root`: where the files of its container are. `folders`: where to look besides the places known to all debuggers.
pub(super) fn find(program: &Contents, path: &Path, root: &Path, folders: &[PathBuf]) -> Option<Contents> {
    if is_of_the_system(path) {
        return None;
    }
    let reader = program.reader();
    let object = object::File::parse(&reader).ok()?;
    let id = object.build_id().ok().flatten().map(<[u8]>::to_vec);
    let named = object.gnu_debuglink().ok().flatten();
    let named = named.and_then(|(name, sum)| Some((plain(std::str::from_utf8(name).ok()?)?.to_owned(), sum)));
    let link = Link { id: id.filter(|id| !id.is_empty()), named };
    let there = under(root, path);
    let mut found = candidates(&link, path, folders);
    found.extend(beside(&link, &there));
    found.extend(candidates(&link, path, &[under(root, Path::new(SYSTEM))]));
    let mut seen = std::collections::HashSet::new();
    found.retain(|candidate| candidate != path && *candidate != there && seen.insert(candidate.clone()));
    let found = found.into_iter();
    found.filter_map(|candidate| open(&candidate)).find(|contents| link.leads_to(contents))
}

/// Where a path of a container is for others.
pub(super) fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The files in folders that may be a program that is not at its place any more, or its debug info.
pub(super) fn stand_ins(path: &Path, folders: &[PathBuf]) -> Vec<PathBuf> {
    let Some(name) = path.file_name() else { return Vec::new() };
    let mut debug = name.to_owned();
    debug.push(".debug");
    let mut found: Vec<PathBuf> = folders.iter().flat_map(|folder| [folder.join(name), folder.join(&debug)]).collect();
    // A name says nothing: what the file is of decides.
    let all = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().filter_map(Result::ok);
    let all = all.take(MOST).map(|entry| entry.path());
    found.extend(all.filter(|path| path.extension().is_some_and(|extension| extension == "debug")));
    found
}

/// Whether a file has debug info only, nothing that is loaded.
pub(super) fn is_debug_info_only<'a>(object: &impl Object<'a>) -> bool {
    let text = object.section_by_name(".text");
    text.is_some_and(|text| match text.flags() {
        SectionFlags::Elf { .. } => text.file_range().is_none(),
        _ => false,
    })
}

/// Libraries of the system have no coroutines, and what their debug info needs is seldom installed.
fn is_of_the_system(path: &Path) -> bool {
    let is_library = path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so"));
    is_library && (path.starts_with("/lib") || path.starts_with("/lib64") || path.starts_with("/usr/lib"))
}

/// A name that leads nowhere else.
fn plain(name: &str) -> Option<&str> {
    Path::new(name).file_name().is_some_and(|last| last == name).then_some(name)
}

fn candidates(link: &Link, path: &Path, folders: &[PathBuf]) -> Vec<PathBuf> {
    let all = || folders.iter().map(PathBuf::as_path).chain([Path::new(SYSTEM)]);
    let mut found = Vec::new();
    if let Some([first, rest @ ..]) = link.id.as_deref() {
        let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
        found.extend(all().map(|folder| folder.join(format!(".build-id/{first:02x}/{rest}.debug"))));
    }
    found.extend(beside(link, path));
    if let (Some((name, _)), Some(folder)) = (&link.named, path.parent()) {
        found.extend(folders.iter().map(|folder| folder.join(name)));
        found.extend(all().map(|all| under(all, folder).join(name)));
    }
    found.extend(stand_ins(path, folders));
    found
}

/// The file of that name in the folder of a program, and in one of that.
fn beside(link: &Link, path: &Path) -> Vec<PathBuf> {
    let (Some((name, _)), Some(folder)) = (&link.named, path.parent()) else { return Vec::new() };
    vec![folder.join(name), folder.join(".debug").join(name)]
}

/// Opens a candidate.
pub(super) fn open(path: &Path) -> Option<Contents> {
    // To open a pipe would wait for its writer.
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    File::open(path).ok().map(Contents::read)
}

impl Link {
    fn leads_to(&self, contents: &Contents) -> bool {
        let reader = contents.reader();
        let Ok(object) = object::File::parse(&reader) else { return false };
        if object.section_by_name(".debug_info").is_none() && object.section_by_name(".zdebug_info").is_none() {
            return false;
        }
        match (&self.id, object.build_id().ok().flatten(), &self.named) {
            (Some(id), Some(other), _) => id == other,
            (_, _, Some((_, sum))) => checksum(contents).is_some_and(|found| found == *sum),
            _ => false,
        }
    }
}

fn checksum(contents: &Contents) -> Option<u32> {
    const PART: usize = 1 << 20;
    let mut file = contents.file.try_clone().ok()?;
    std::io::Seek::rewind(&mut file).ok()?;
    let (mut hasher, mut part) = (crc32fast::Hasher::new(), vec![0; PART]);
    loop {
        match file.read(&mut part).ok()? {
            0 => return Some(hasher.finalize()),
            count => hasher.update(part.get(..count)?),
        }
    }
}
