//! The statements of ARCHITECTURE.md about the modules of `src` are true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::check::watched;

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The text of each file of `src`, by its path from there.
fn files() -> BTreeMap<PathBuf, String> {
    fn read(folder: &Path, files: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                read(&path, files);
            } else {
                let name = path.strip_prefix(source()).expect("below src").to_owned();
                files.insert(name, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    let mut files = BTreeMap::new();
    read(&source(), &mut files);
    files
}

/// The folder or the file right below `src` that a path is in.
fn module(path: &Path) -> String {
    let first = path.iter().next().expect("not empty").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn modules_import_along_the_arrows_of_the_architecture() {
    let _watched = watched();
    let text = fs::read_to_string(source().join("../ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, table) = text.split_once("<!-- arrows").expect("the table of arrows");
    let rows =
        table.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    let mut listed = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [from, to, _] = cells[..] else { panic!("a row of three cells, not {row}") };
        listed.extend(to.split("`, `").map(|to| (from.to_owned(), to.to_owned())));
    }
    let files = files();
    let modules: BTreeSet<String> = files.keys().map(|path| module(path)).collect();
    let mut found = BTreeMap::new();
    for (path, text) in files.iter().filter(|(path, _)| path.as_os_str() != "lib.rs") {
        let from = module(path);
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim_start().starts_with("//")) {
            for rest in text.split("crate::").skip(1) {
                let to: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if to != from && modules.contains(&to) {
                    found.entry((from.clone(), to)).or_insert_with(|| format!("src/{}:{line}", path.display()));
                }
            }
        }
    }
    for ((from, to), at) in &found {
        assert!(
            listed.contains(&(from.clone(), to.clone())),
            "{at}: `{from}` imports `{to}`, which ARCHITECTURE.md does not list"
        );
    }
    for (from, to) in &listed {
        assert!(
            found.contains_key(&(from.clone(), to.clone())),
            "ARCHITECTURE.md lists `{from}` to `{to}`, which is no more"
        );
    }
}
