//! The behaviours of tinyio, one test per row of the table of behaviours, named after the row, by its sections.

#![allow(
    clippy::redundant_async_block,
    clippy::unit_arg,
    reason = "a block is another coroutine than the future in it, and the shortest way to return nothing is `Ok(f())`"
)]

mod api;
mod blocked;
mod check;
mod coroutines;
mod errors;
mod events;
mod fairness;
#[cfg(unix)]
mod forked;
mod kept;
mod nesting;
mod ours;
mod ownership;
#[cfg(target_os = "linux")]
mod privilege;
mod random;
mod record;
#[cfg(target_os = "linux")]
mod sandbox;
mod sources;
mod stress;
mod sync;
mod threads;
mod user_panics;

/// A test that could hang without end would hide what the others say.
#[test]
fn each_test_is_watched() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for file in std::fs::read_dir(folder).expect("the tests' sources") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        for test in text.split("\n#[test]\n").skip(1) {
            let body = test.lines().skip_while(|line| !line.ends_with('{')).nth(1).expect("it does something");
            let test = test.lines().find(|line| line.starts_with("fn ")).expect("a function");
            // The random programs have a watch of their own, which names the program.
            let exempt = ["fn random_programs() {", "fn each_test_is_watched() {"].contains(&test);
            assert!(exempt || body == "    let _watched = watched();", "`{test}` begins with `{body}`");
        }
    }
}
