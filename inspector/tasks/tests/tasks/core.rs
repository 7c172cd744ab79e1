//! Core files of the programs, and damaged ones.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tinyio_frames::Limits;
use tinyio_tasks::{Options, take_core};

use super::program::Program;
use super::{counts, function, is_settled};

/// The core file of a program that goes on; none if there is no `gcore`.
pub fn core(program: &Program, name: &str) -> Option<PathBuf> {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let done = Command::new("gcore").arg("-o").arg(&base).arg(program.pid().to_string()).output().ok()?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(base.with_added_extension(program.pid().to_string()))
}

/// Says on the terminal, where a test that passes prints nothing, that this one has tested nothing.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "core files are not tested: {why}");
}

fn options() -> Options {
    Options { limits: Some(Limits { source: 0, ..Limits::default() }), ..Options::default() }
}

#[test]
fn a_core_file_has_the_tasks_and_holders_that_the_program_had() {
    let program = Program::start("dev", "multi", 100);
    program.tasks_when(is_settled);
    let Some(path) = core(&program, "whole") else { return skipped("gcore, which comes with gdb, is not installed") };
    let picture = take_core(&path, &options()).expect("a picture");
    assert_eq!((counts(&picture), picture.pid), (program.started.clone(), program.pid()));
    assert!(is_settled(&picture));
    let held: Vec<&str> = picture.tasks.iter().filter(|task| !task.holds.is_empty()).map(function).collect();
    assert_eq!(held, ["holder"]);
    let sleeper = picture.tasks.iter().find(|task| function(task) == "sleeper").expect("one");
    let label = sleeper.stack.frames[0].locals.iter().find(|local| local.name == "label").expect("a label");
    assert_eq!((&*label.value.text, &*label.mark), ("\"sleeper 0\"", ""));
    // The time of the clock at that moment is not known.
    assert_eq!(sleeper.waits_on[0].text, "a timer");

    // Numbers in its headers and notes are not believed.
    let file = File::options().read(true).write(true).open(&path).expect("a core file");
    let length = file.metadata().expect("a length").len();
    let without_values =
        Options { limits: Some(Limits { values: false, source: 0, ..Limits::default() }), ..options() };
    let mut seed = 1_u64;
    let mut pictures = 0;
    for _ in 0..15 {
        let mut undo = Vec::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Headers are at the begin, and notes at the end; what lies between are pages of memory.
            let place = seed >> 33;
            let at = if place & 1 == 0 { place % 2048 } else { length - 1 - place % 28_000 };
            let mut old = [0];
            file.read_exact_at(&mut old, at).expect("a byte");
            file.write_all_at(&[(seed >> 20) as u8], at).expect("it can be written");
            undo.push((at, old));
        }
        match take_core(&path, &without_values) {
            Ok(picture) => pictures += usize::from(picture.tasks.len() <= program.started.values().sum()),
            Err(why) => assert!(!why.is_empty() && !why.contains('\n'), "{why}"),
        }
        for (at, old) in undo.into_iter().rev() {
            file.write_all_at(&old, at).expect("it can be written");
        }
    }
    println!("{pictures} of 15 damaged core files gave a picture");

    // Cut anywhere, it gives a sentence or fewer tasks.
    for part in [length - 30_000, length / 3, 1000, 64, 10, 0] {
        file.set_len(part).expect("it can be cut");
        match take_core(&path, &options()) {
            Ok(picture) => assert!(picture.tasks.len() <= program.started.values().sum()),
            Err(why) => assert!(!why.is_empty() && !why.contains('\n'), "{why}"),
        }
    }
    std::fs::remove_file(&path).expect("it was there");
}

#[test]
fn what_is_no_core_file_is_reported_as_none() {
    for path in ["/dev/null", env!("CARGO_MANIFEST_DIR"), concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "/none"] {
        let why = take_core(path.as_ref(), &Options::default()).expect_err("no core file");
        assert!(why.starts_with(path), "{why}");
    }
    let program = std::env::current_exe().expect("this program");
    let why = take_core(&program, &Options::default()).expect_err("no core file");
    assert!(why.ends_with("give a process id or a core file"), "{why}");
}
