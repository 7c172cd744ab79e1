//! Futures of `block_on`.

use tinyio_tasks::{FindingKind, Options, Picture, State, Task, WaitKind, check, take, take_core, text};

use super::core::skipped;
use super::damage::core;
use super::program::{Program, build_other};

/// The line of the programs' source with a comment.
fn line(of: &str) -> u32 {
    let mark = format!("// here: {of}");
    let source = include_str!("../tasks-programs/src/roots.rs");
    let found = (1..).zip(source.lines()).find(|(_, text)| text.ends_with(&mark));
    found.unwrap_or_else(|| panic!("no line has {mark:?}")).0
}

/// What a program of a kind is once the futures of all its `block_on` wait, so many of them, or are named as unknown.
fn settled(profile: &str, kind: &str, count: usize) -> (Program, Picture) {
    let program = Program::start_binary(&build_other(profile, "roots-programs"), kind, 0);
    let picture = program.all_when(|picture| {
        let waiting = picture.tasks.iter().filter(|task| task.thread.is_some() && task.state == State::Waiting).count();
        let is_still = |task: &Task| task.state == State::Waiting || task.name.starts_with("async block");
        waiting + unknown(picture) >= count && picture.tasks.iter().all(is_still)
    });
    (program, picture)
}

/// How many futures of `block_on` a note has that are not shown.
fn unknown(picture: &Picture) -> usize {
    let start = "the future of `block_on` on ";
    let note = picture.notes.iter().find_map(|note| note.strip_prefix(start)?.split_once(" is not shown"));
    note.map_or(0, |(threads, _)| threads.split(", ").count())
}

/// The text of the label that a root of the program has, and the runtime that it is of.
fn labels(picture: &Picture) -> Vec<(String, &str)> {
    let label = |task: &Task| {
        let frame = task.stack.frames.iter().find(|frame| frame.function == "roots_programs::root")?;
        assert_eq!(frame.line, line("root"), "{}", text(picture));
        let inner = task.stack.frames.iter().find(|frame| frame.function == "roots_programs::waits")?;
        assert_eq!(inner.line, line("waits"), "{}", text(picture));
        let label = frame.locals.iter().find(|local| local.name == "label")?;
        Some((label.value.text.trim_matches('"').to_owned(), picture.runtimes[task.runtime].kind))
    };
    let mut labels: Vec<_> = picture.tasks.iter().filter_map(label).collect();
    labels.sort_unstable();
    labels
}

const ALL: [(&str, &str); 8] = [
    ("boxed", "tokio"),
    ("current", "tokio"),
    ("futures-lite", "futures-lite"),
    ("local", "tokio"),
    ("multi", "tokio"),
    ("nested", "tokio"),
    ("pollster", "pollster"),
    ("smol", "async-io"),
];

fn all() -> Vec<(String, &'static str)> {
    ALL.map(|(label, kind)| (label.to_owned(), kind)).to_vec()
}

#[test]
fn futures_of_block_on_are_rows_with_their_stacks_and_locals() {
    let (mut program, picture) = settled("dev", "all", 8);
    assert_eq!(labels(&picture), all(), "{}", text(&picture));
    // `tests/versions` tries versions that the program does not know as tried.
    let notes: Vec<&String> = picture.notes.iter().filter(|note| !note.contains(" tried with success: ")).collect();
    assert_eq!(notes, [""; 0], "{}", text(&picture));
    let outer: Vec<&Task> = picture.tasks.iter().filter(|task| task.state == State::Running).collect();
    let [outer] = outer[..] else { panic!("{}", text(&picture)) };
    assert!(outer.stack.mid_step && outer.name.starts_with("async block 0 in roots_programs::main"), "{outer:?}");
    let nested = picture.tasks.iter().filter(|task| task.thread == outer.thread).count();
    assert_eq!(nested, 2, "its thread is in two `block_on`");
    assert!(picture.tasks.iter().all(|task| task.note.is_empty() && task.thread.is_some()), "{}", text(&picture));
    assert_eq!(check(&picture).expect("it was stopped").findings, []);
    program.answers();
}

#[test]
fn in_optimised_code_a_future_of_block_on_that_no_variable_leads_to_is_marked_or_a_sentence() {
    // Which ones are found is a matter of what is inlined.
    let (mut program, picture) = settled("release", "all", 9);
    let (found, all) = (labels(&picture), all());
    assert!(found.iter().all(|label| all.contains(label)), "{}", text(&picture));
    // The one that has not reached an await looks like nothing.
    assert_eq!(found.len() + unknown(&picture), 9, "{}", text(&picture));
    assert!(found.len() >= 4, "{}", text(&picture));
    let by_content = |task: &&Task| task.note.contains("found by what it looks like");
    assert!(picture.tasks.iter().filter(|task| !by_content(task)).count() >= 2, "{}", text(&picture));
    program.answers();
}

#[test]
fn a_future_of_block_on_is_a_part_of_a_deadlock() {
    for profile in ["dev", "release"] {
        let (mut program, picture) = settled(profile, "deadlock", 1);
        let root = picture.tasks.iter().find(|task| task.thread.is_some()).expect("a root");
        let task = picture.tasks.iter().find(|task| task.thread.is_none()).expect("a task");
        assert_eq!(root.stack.frames[0].line, line("main_future"), "{profile}");
        assert_eq!((root.waits_on[0].kind, root.waits_on[0].id), (WaitKind::Task, task.id), "{profile}");
        let found = check(&picture).expect("it was stopped").findings;
        let [cycle] = &found[..] else { panic!("{profile}: {found:?}\n{}", text(&picture)) };
        assert_eq!(cycle.kind, FindingKind::LockCycle, "{profile}");
        let mut tasks = cycle.tasks.clone();
        tasks.sort_unstable();
        assert_eq!(tasks, [task.id, root.id], "{profile}");
        program.answers();
    }
}

#[test]
fn nothing_is_reported_of_healthy_futures_of_block_on() {
    for profile in ["dev", "release"] {
        let (mut program, picture) = settled(profile, "healthy", 2);
        assert_eq!(check(&picture).expect("it was stopped").findings, [], "{profile}\n{}", text(&picture));
        program.answers();
    }
}

#[test]
fn a_core_file_has_the_futures_of_block_on() {
    let (program, _) = settled("dev", "all", 8);
    let Some(path) = core(&program, "roots") else { return skipped("gcore is not installed") };
    let picture = take_core(&path, &Options::default()).expect("a picture");
    std::fs::remove_file(&path).expect("it was there");
    assert_eq!(labels(&picture), all(), "{}", text(&picture));
}

#[test]
fn without_a_stop_a_note_says_that_futures_of_block_on_are_not_shown() {
    let (program, _) = settled("dev", "deadlock", 1);
    let picture = take(program.pid(), &Options { no_stop: true, ..Options::default() }).expect("a picture");
    assert!(picture.tasks.iter().all(|task| task.thread.is_none()));
    assert!(picture.notes.iter().any(|note| note.contains("read of a program that is stopped")), "{:?}", picture.notes);
}
