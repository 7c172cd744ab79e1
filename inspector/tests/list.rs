//! `list` and `clean`: the state of a recording, and which ones are removed.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tinyio_inspector::discover::{State, rings_in};
use tinyio_inspector::event::{Kind, LoopMode, LoopOutcome, Target};
use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::ring::{MIN_SIZE, Options};

fn start(folder: &Path, program: &str) -> Recorder {
    let options = Options { folder: Some(folder.into()), size: MIN_SIZE, program: Some(program.into()) };
    Recorder::start(&options).unwrap()
}

/// Loops, each with the loop that it is inside of, and how it ended.
fn record(recorder: &mut Recorder, loops: &[(u64, LoopOutcome)]) {
    for ((parent, outcome), id) in loops.iter().zip(1..) {
        recorder.emit(0, Kind::LoopStart { id, parent: *parent, mode: LoopMode::Run });
        recorder.emit(1, Kind::LoopEnd { id, outcome: *outcome });
    }
}

/// Copies a ring as one of before the last start of the machine: its program is gone.
fn dead(ring: &Path, name: &str) -> PathBuf {
    let copy = ring.with_file_name(name);
    fs::copy(ring, &copy).unwrap();
    let boot = 6;
    fs::File::options().write(true).open(&copy).unwrap().write_all_at(&[1; 8], boot * 8).unwrap();
    copy
}

fn print(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"));
    let output = command.args(args).env("TINYIO_RING_DIR", folder).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_recording_whose_last_loop_crashed_differs_from_one_that_ended() {
    let (ok, crashed) = (LoopOutcome::Ok, LoopOutcome::Crashed);
    for (loops, state) in [
        (&[][..], State::Ended),
        (&[(0, ok)], State::Ended),
        (&[(0, crashed)], State::Crashed),
        // The program handles the crash of an isolated loop, and of one after which another one ends well.
        (&[(0, ok), (7, crashed)], State::Ended),
        (&[(0, crashed), (7, ok)], State::Crashed),
        (&[(0, crashed), (0, ok)], State::Ended),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("rings");
        let mut recorder = start(&folder, "crawl");
        record(&mut recorder, loops);
        assert_eq!(rings_in(&folder).unwrap()[0].state, State::Living, "{loops:?}");
        recorder.finish();
        assert_eq!(rings_in(&folder).unwrap()[0].state, state, "{loops:?}");
        let word = if state == State::Crashed { "  crashed  " } else { "  ended  " };
        assert!(print(&folder, &["list"]).contains(word), "{loops:?}");
    }
}

#[test]
fn the_names_of_loops_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("rings");
    let mut recorder = start(&folder, "shop");
    for (id, name) in [(1, "orders"), (2, "payments"), (3, "orders")] {
        recorder.emit(0, Kind::LoopStart { id, parent: 0, mode: LoopMode::Run });
        let name = recorder.intern(name);
        recorder.emit(0, Kind::Named { what: Target::Loop(id), name });
    }
    let line = print(&folder, &["list"]);
    assert!(line.ends_with("shop · the_names_of_loops_are_listed · orders, payments\n"), "{line}");
    let json: serde_json::Value = serde_json::from_str(&print(&folder, &["list", "--json"])).unwrap();
    assert_eq!(json[0]["loops"], serde_json::json!(["orders", "payments"]));
    // Of a program that has recorded very much, those of the newest checkpoint.
    for _ in 0..MIN_SIZE / 16 {
        recorder.emit(1, Kind::StepBegin { coro: 1 });
        recorder.emit(1, Kind::StepEnd { coro: 1 });
    }
    assert!(print(&folder, &["list"]).contains("orders, payments\n"));
    recorder.finish();
}

#[test]
fn clean_removes_the_rings_of_dead_programs_and_nothing_else() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("rings");
    let living = start(&folder, "living");
    let mut ended = start(&folder, "ended");
    record(&mut ended, &[(0, LoopOutcome::Crashed)]);
    let ended_path = ended.path().to_owned();
    ended.finish();
    let died = dead(living.path(), "died.ring");
    let crashed = dead(&ended_path, "crashed.ring");
    let kept = outside.path().join("kept.ring");
    fs::copy(&died, &kept).unwrap();
    symlink(&kept, folder.join("link.ring")).unwrap();
    fs::copy(&died, folder.join("died.ring.bak")).unwrap();
    fs::write(folder.join("text.ring"), "no ring").unwrap();

    let all = names(&folder);
    let would = print(&folder, &["clean", "--dry-run"]);
    assert!(would.contains("\nto be removed: 2 recordings of programs that are gone, "), "{would}");
    assert_eq!(names(&folder), all);
    let done = print(&folder, &["clean"]);
    for path in [&died, &crashed] {
        assert!(done.contains(path.to_str().unwrap()), "{done}");
    }
    assert!(done.contains("  died  ") && done.contains("  crashed  "), "{done}");
    // The bytes are those of the lines, and the same as before.
    let total = |text: &str| text.rsplit_once(", ").unwrap().1.to_owned();
    let of_line =
        |line: &str| line.split(" bytes  ").next().unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let sum: u64 = done.lines().take(2).map(of_line).sum();
    assert!(sum > 0);
    assert_eq!((total(&done), total(&would)), (format!("{sum} bytes\n"), format!("{sum} bytes\n")));
    let left: BTreeSet<String> = all.into_iter().filter(|name| name != "died.ring" && name != "crashed.ring").collect();
    assert_eq!(names(&folder), left);
    assert!(kept.exists());
    assert_eq!(print(&folder, &["clean"]), "removed: 0 recordings of programs that are gone, 0 bytes\n");
    living.finish();
}
