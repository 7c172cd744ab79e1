//! Checks the sources: the statements of SECURITY.md about them, and their words.

use std::path::Path;

use crate::check::watched;

/// The path and the text of each file of the library and the inspector, without their tests.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("inspector/src")];
    let crates = std::fs::read_dir(root.join("inspector")).expect("the crates of the inspector");
    let crates = crates.map(|entry| entry.expect("an entry").path());
    folders.extend(
        crates
            .filter(|path| path.join("Cargo.toml").exists())
            .map(|path| path.join("src"))
            .filter(|path| path.exists()),
    );
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("sources") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("in it").to_str().expect("ASCII").replace('\\', "/");
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs")
                && !name.ends_with("/tests.rs")
                && name != "inspector/model/src/test_script.rs"
            {
                let text = std::fs::read_to_string(&path).expect("text");
                let code = text.split("mod tests {").next().expect("a beginning");
                sources.push((name, code.to_owned()));
            }
        }
    }
    sources.sort();
    sources
}

#[test]
fn one_file_reads_the_environment() {
    let _watched = watched();
    let reads = ["env::var", "env::{", "env::temp_dir", "env::home_dir"];
    let is_read = |line: &&str| reads.iter().any(|read| line.contains(read));
    let all = sources();
    let others = all.iter().filter(|(name, _)| name != "inspector/events/src/environment.rs");
    let found: Vec<String> = others
        .flat_map(|(name, code)| code.lines().filter(is_read).map(move |line| format!("{name}: {}", line.trim())))
        .collect();
    // Without the feature `record`, two variables are read for a message.
    let message = "src/observe/env.rs: use std::env::var_os; // For a message only: without the feature, nothing obeys these variables.";
    assert_eq!(found, [message], "use `tinyio_events::environment`: privileged programs must not obey variables");
}

#[test]
fn unsafe_code_is_in_the_files_that_security_md_names() {
    let _watched = watched();
    let has_unsafe = |code: &str| {
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.flat_map(|line| line.split('"').step_by(2)).any(|code| {
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "(unsafe)"].iter().any(|kind| code.contains(kind))
        })
    };
    let named = [
        "src/task/",
        "src/coroutine/coro.rs",
        "inspector/recorder/src/mmap.rs",
        "inspector/recorder/src/clock.rs",
        "inspector/recorder/src/exit.rs",
        "inspector/frames/src/contents.rs",
        "inspector/frames/src/registers.rs",
        "inspector/src/cli/stdout.rs",
    ];
    let found = sources().into_iter().filter(|(_, code)| has_unsafe(code)).map(|(name, _)| name);
    let others: Vec<String> = found.filter(|name| !named.iter().any(|named| name.starts_with(named))).collect();
    assert_eq!(others, [""; 0]);
}

/// Words for persons, and for what only persons do. A task, a thread or a program is "it"; the reader of a screen is
/// "the user".
const PERSONS: [&str; 16] = [
    "who",
    "whoever",
    "whom",
    "nobody",
    "somebody",
    "someone",
    "everybody",
    "everyone",
    "anybody",
    "anyone",
    "he",
    "she",
    "him",
    "his",
    "told",
    "said",
];

/// The words of a line, in lower case: also those that a name is made of.
fn words(line: &str) -> impl Iterator<Item = String> {
    let parts = line.split(|c: char| !c.is_alphabetic());
    parts.flat_map(|part| {
        let mut words = vec![String::new()];
        let mut after_lower = false;
        for c in part.chars() {
            if c.is_uppercase() && after_lower {
                words.push(String::new());
            }
            after_lower = c.is_lowercase();
            words.last_mut().expect("one at least").extend(c.to_lowercase());
        }
        words
    })
}

/// The path and the text of each file of Rust.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders: Vec<_> = ["src", "tests", "examples", "benches", "inspector"].map(|name| root.join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("sources") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("in it").to_str().expect("ASCII").replace('\\', "/");
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") {
                files.push((name, std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn names_and_comments_have_no_words_for_persons() {
    let _watched = watched();
    let mut found = Vec::new();
    // This file names the words.
    for (name, text) in files().into_iter().filter(|(name, _)| name != "tests/it/sources.rs") {
        for (number, line) in (1..).zip(text.lines()) {
            let persons = words(line).filter(|word| PERSONS.contains(&&**word));
            found.extend(persons.map(|word| format!("{name}:{number}: {word}")));
        }
    }
    assert_eq!(found, [""; 0], "see the section on style in CONTRIBUTING.md");
}

#[test]
fn comments_have_at_most_120_columns() {
    let _watched = watched();
    let is_wide = |line: &str| line.trim_start().starts_with("//") && line.chars().count() > 120;
    let mut found = Vec::new();
    for (name, text) in files() {
        let wide = (1..).zip(text.lines()).filter(|(_, line)| is_wide(line));
        found.extend(wide.map(|(number, _)| format!("{name}:{number}")));
    }
    assert_eq!(found, [""; 0], "see the section on style in CONTRIBUTING.md");
}
