//! ARCHITECTURE.md names each module, so that it can be found from there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::check::watched;

/// Folders of which the map names each file, and each folder inside. What is in a folder inside, its own `mod`
/// describes.
const FOLDERS: [&str; 18] = [
    "src",
    "src/coroutine",
    "src/executor",
    "src/failure",
    "src/interop",
    "src/observe",
    "src/sync",
    "src/task",
    "src/thread",
    "inspector/events/src",
    "inspector/frames/src",
    "inspector/model/src",
    "inspector/recorder/src",
    "inspector/src",
    "inspector/src/tui",
    "inspector/tasks/src",
    "inspector/tasks/src/async_task",
    "inspector/tasks/src/tokio",
];

/// The names between backticks, without the paths before them and the `/` behind folders.
fn named(text: &str) -> BTreeSet<&str> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted.filter_map(|name| name.trim_end_matches('/').trim_end_matches(".rs").rsplit('/').next()).collect()
}

#[test]
fn each_module_is_named_in_the_map() {
    let _watched = watched();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).expect("the map");
    let named = named(&text);
    let mut missing = Vec::new();
    for folder in FOLDERS {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().and_then(|name| name.to_str()).expect("ASCII");
            let describes_itself = ["lib", "main", "mod", "tests"].contains(&name);
            let is_module = path.is_dir() || path.extension().is_some_and(|extension| extension == "rs");
            if is_module && !describes_itself && name != "snapshots" && !named.contains(name) {
                missing.push(format!("{folder}/{name}"));
            }
        }
    }
    assert_eq!(missing, [""; 0], "ARCHITECTURE.md names none of these: add each to the row of its concept");
}
