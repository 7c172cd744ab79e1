//! Coroutines of tinyio that is not recorded.

use tinyio_tasks::{FindingKind, Options, Picture, State, Task, WaitKind, check, take, take_core, text};

use super::core::skipped;
use super::damage::core;
use super::program::{Program, build_other};

/// The line of the programs' source with a comment.
fn line(of: &str) -> u32 {
    let mark = format!("// here: {of}");
    let source = include_str!("../tasks-programs/src/tinyio.rs");
    let found = (1..).zip(source.lines()).find(|(_, text)| text.ends_with(&mark));
    found.unwrap_or_else(|| panic!("no line has {mark:?}")).0
}

/// The function of the program that a coroutine is of.
fn function(task: &Task) -> &str {
    match task.name.strip_prefix("tinyio_programs::") {
        Some(name) => name,
        None => "main",
    }
}

/// A program of a kind and its picture, when all its coroutines wait.
fn settled(profile: &str, kind: &str) -> (Program, Picture) {
    let program = Program::start_binary(&build_other(profile, "tinyio-programs"), kind, 0);
    let is_settled = |picture: &Picture| picture.tasks.iter().all(|task| task.state == State::Waiting);
    let picture = program.all_when(|picture| !picture.tasks.is_empty() && is_settled(picture));
    (program, picture)
}

/// Whether a picture has each coroutine of the program at its line, with what it waits on and holds.
#[track_caller]
fn has_all(profile: &str, picture: &Picture) {
    let mut names: Vec<&str> = picture.tasks.iter().map(function).collect();
    names.sort_unstable();
    let all = ["holder", "joiner", "main", "sleeper", "sleeper", "sleeper", "sleeper", "visitor", "wants"];
    assert_eq!(names, all, "{profile}\n{}", text(picture));
    let runtimes: Vec<_> = picture.runtimes.iter().map(|one| (one.kind, one.flavor, one.tasks)).collect();
    assert_eq!(runtimes, [("tinyio", "loop", 9)], "{profile}");
    assert_eq!(picture.notes, [""; 0], "{profile}");
    for task in &picture.tasks {
        assert_eq!(task.stack.frames[0].line, line(function(task)), "{profile}\n{}", text(picture));
        assert!(task.note.is_empty(), "{profile}: {}", task.note);
    }
    let of = |name: &str| picture.tasks.iter().filter(|task| function(task) == name).collect::<Vec<_>>();
    let label = of("sleeper")[1].stack.frames[0].locals.iter().find(|local| local.name == "label").expect("a label");
    assert_eq!(label.value.text, "\"sleeper 1\"", "{profile}");
    let joined = of("joiner")[0].waits_on[0].clone();
    assert_eq!((joined.kind, joined.id), (WaitKind::Task, of("sleeper")[3].id), "{profile}");
    let [hold] = &of("holder")[0].holds[..] else { panic!("{profile}\n{}", text(picture)) };
    let wait = &of("wants")[0].waits_on[0];
    assert_eq!((hold.kind, wait.kind, wait.id), (WaitKind::Lock, WaitKind::Lock, hold.id), "{profile}");
    let visits = of("visitor")[0].holds.iter().filter(|hold| hold.kind == WaitKind::Semaphore).count();
    assert!(visits == 1 || profile == "release", "{profile}\n{}", text(picture));
    assert_eq!(check(picture).expect("it was stopped").findings, [], "{profile}");
}

#[test]
fn coroutines_of_every_loop_are_found_with_what_they_wait_on_and_hold() {
    for (profile, kind) in [("dev", "one"), ("release", "one"), ("dev", "thread")] {
        let (mut program, picture) = settled(profile, kind);
        has_all(profile, &picture);
        program.answers();
    }
}

#[test]
fn a_core_file_has_the_coroutines_of_tinyio() {
    let (program, _) = settled("dev", "one");
    let Some(path) = core(&program, "tinyio") else { return skipped("gcore is not installed") };
    let picture = take_core(&path, &Options::default()).expect("a picture");
    std::fs::remove_file(&path).expect("it was there");
    has_all("dev", &picture);
}

#[test]
fn coroutines_that_lock_each_other_out_are_found() {
    for profile in ["dev", "release"] {
        let (mut program, picture) = settled(profile, "deadlock");
        let found = check(&picture).expect("it was stopped").findings;
        let [cycle, rest] = &found[..] else { panic!("{profile}: {found:?}\n{}", text(&picture)) };
        assert_eq!((cycle.kind, rest.kind), (FindingKind::LockCycle, FindingKind::WaitsOnDead), "{profile}");
        assert_eq!((cycle.tasks.len(), rest.tasks.len()), (2, 1), "{profile}: {found:?}");
        // By its name, or by where it was made.
        let named = |name: &str| cycle.proof.iter().any(|fact| fact.contains(name));
        let made = format!("src/tinyio.rs:{})", line("locks"));
        assert!(named(" (one), which #") && named(" (made at ") && named(&made), "{profile}: {cycle:?}");
        program.answers();
    }
}

#[test]
fn a_gathering_waits_on_each_of_its_coroutines() {
    for profile in ["dev", "release"] {
        let (mut program, picture) = settled(profile, "gathered");
        let sleepers = |task: &&Task| function(task) == "sleeper";
        let all: Vec<u64> = picture.tasks.iter().filter(sleepers).map(|task| task.id).collect();
        let gathering = picture.tasks.iter().find(|task| task.name.contains("::Gathering<")).expect("one");
        let waits = |task: &Task| task.waits_on.iter().map(|wait| (wait.kind, wait.id)).collect::<Vec<_>>();
        let on = |ids: &[u64]| ids.iter().map(|id| (WaitKind::Task, *id)).collect::<Vec<_>>();
        let main =
            picture.tasks.iter().find(|task| waits(task).contains(&(WaitKind::Task, gathering.id))).expect("one");
        let inner: Vec<u64> = all.iter().copied().filter(|id| !waits(main).contains(&(WaitKind::Task, *id))).collect();
        assert_eq!((all.len(), inner.len()), (4, 3), "{profile}\n{}", text(&picture));
        assert_eq!(waits(gathering), on(&inner), "{profile}\n{}", text(&picture));
        program.answers();
    }
}

#[test]
fn without_a_stop_a_note_says_that_coroutines_are_not_shown() {
    let (program, _) = settled("dev", "one");
    let picture = take(program.pid(), &Options { no_stop: true, ..Options::default() }).expect("a picture");
    assert!(picture.tasks.is_empty(), "{}", text(&picture));
    assert!(picture.notes.iter().any(|note| note.starts_with("coroutines of tinyio are not shown")));
}
