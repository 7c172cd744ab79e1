//! The behaviours of tinyio, one test per row of the table of behaviours, named after the row, by its sections.

#![allow(
    clippy::redundant_async_block,
    clippy::unit_arg,
    reason = "a block is another coroutine than the future in it, and the shortest way to return nothing is `Ok(f())`"
)]

mod api;
mod architecture;
mod blocked;
mod check;
mod cleanup;
mod coroutines;
mod deadlocks;
mod destructors;
mod errors;
mod events;
mod fairness;
#[cfg(unix)]
mod forked;
mod kept;
mod map;
mod nesting;
mod ownership;
mod panicking;
mod places;
#[cfg(target_os = "linux")]
mod privilege;
mod random;
mod record_checkpoints;
mod record_frames;
mod record_traces;
mod recorded;
#[cfg(target_os = "linux")]
mod sandbox;
mod sources;
mod stress;
mod sync;
mod threads;
mod time_and_order;
mod user_panics;

use std::path::{Path, PathBuf};

/// The folder of the tests.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The sources in this part of the folder, and in the folders in it: path and text.
fn sources(part: &str) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder().join(part)).expect("the tests' sources") {
        let path = entry.expect("an entry").path();
        let name = format!("{part}/{}", path.file_name().expect("a name").display());
        if path.is_dir() {
            sources.extend(self::sources(&name));
        } else {
            sources.push((name, std::fs::read_to_string(&path).expect("text")));
        }
    }
    sources
}

/// A test that could hang without end would hide the results of the others.
#[test]
fn each_test_is_watched() {
    for (_, text) in sources("it") {
        for test in text.split("\n#[test]\n").skip(1) {
            let body = test.lines().skip_while(|line| !line.ends_with('{')).nth(1).expect("it does something");
            let test = test.lines().find(|line| line.starts_with("fn ")).expect("a function");
            // `random_programs` has a timeout of its own, which names the program. The tests of this file only read
            // files.
            let exempt = [
                "fn random_programs() {",
                "fn each_test_is_watched() {",
                "fn each_behaviour_is_in_the_table_and_each_row_has_its_test() {",
            ]
            .contains(&test);
            assert!(exempt || body == "    let _watched = watched();", "`{test}` begins with `{body}`");
        }
    }
}

/// The table, in which readers look up a behaviour, has one row for each test of both packages and no other rows.
#[test]
fn each_behaviour_is_in_the_table_and_each_row_has_its_test() {
    let mut tests: Vec<String> = Vec::new();
    for part in ["it", "ecosystem/it"] {
        for (file, text) in sources(part) {
            let written = text.split("\n#[test]\n").skip(1).map(|test| {
                let name = test.lines().find_map(|line| line.strip_prefix("fn ")?.split_once('('));
                name.expect("a function").0
            });
            // A macro of `places` makes one test of each call, which names it first.
            let made = text.lines().filter_map(|line| line.strip_prefix("returns_an_error!(")?.split_once(','));
            tests.extend(written.chain(made.map(|(name, _)| name)).map(|name| format!("{file}: {name}")));
        }
    }
    let table = std::fs::read_to_string(folder().join("behaviours.md")).expect("the table");
    let row = |line: &str| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let (_, file) = rest.strip_suffix("` |")?.rsplit_once(" | `")?;
        Some(format!("{file}: {name}"))
    };
    let mut rows: Vec<String> = table.lines().filter_map(row).collect();
    rows.sort_unstable();
    let without_row: Vec<_> = tests.iter().filter(|test| !rows.contains(test)).collect();
    let without_test: Vec<_> = rows.iter().filter(|row| !tests.contains(row)).collect();
    let repeated: Vec<_> = rows.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
    assert!(
        without_row.is_empty() && without_test.is_empty() && repeated.is_empty(),
        "tests/behaviours.md: tests without a row: {without_row:#?}\nrows without a test: {without_test:#?}\n\
         rows that are there more than once: {repeated:#?}"
    );
}
