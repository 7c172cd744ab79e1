//! Tasks of async-executor.

use std::collections::BTreeMap;

use tinyio_tasks::{FindingKind, Options, Picture, State, Task, WaitKind, check, take, text};

use super::program::{Program, build_other};

/// The line of the programs' source with a comment.
fn line(of: &str) -> u32 {
    let mark = format!("// here: {of}");
    let source = include_str!("../tasks-programs/src/smol.rs");
    let found = (1..).zip(source.lines()).find(|(_, text)| text.ends_with(&mark));
    found.unwrap_or_else(|| panic!("no line has {mark:?}")).0
}

fn function(task: &Task) -> &str {
    let name = task.name.strip_prefix("smol_programs::").unwrap_or(&task.name);
    name.split('<').next().unwrap_or(name)
}

/// The tasks that the program has started itself: `smol::spawn` starts one for child processes.
fn own(picture: &Picture) -> impl Iterator<Item = &Task> {
    picture.tasks.iter().filter(|task| !task.name.contains("async_process::driver"))
}

fn counts(picture: &Picture) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for task in own(picture) {
        *counts.entry(function(task).to_owned()).or_default() += 1;
    }
    counts
}

/// Whether all tasks wait at the line of their function.
fn is_settled(picture: &Picture) -> bool {
    own(picture).all(|task| {
        let first = task.stack.frames.first().map(|frame| (frame.function.as_str(), frame.line));
        task.state == State::Waiting && first == Some((task.name.as_str(), line(function(task))))
    })
}

#[track_caller]
fn finds_all(profile: &str, kind: &str, count: usize) -> Picture {
    let mut program = Program::start_binary(&build_other(profile, "smol-programs"), kind, count);
    let picture = program.tasks_when(is_settled);
    assert_eq!(counts(&picture), program.started, "{profile} {kind}\n{}", text(&picture));
    for task in own(&picture) {
        assert!(task.stack.missing.is_none() && task.note.is_empty(), "{profile} {kind}: {task:?}");
        // Only this one awaits what holds no waker.
        assert_eq!(task.never_woken, function(task) == "never", "{task:?}");
    }
    program.answers();
    picture
}

#[test]
fn all_tasks_of_async_executor_are_found_at_their_lines_and_separated_by_executor() {
    for profile in ["dev", "release"] {
        let picture = finds_all(profile, "one", 1000);
        let runtimes: Vec<_> = picture.runtimes.iter().map(|runtime| (runtime.kind, runtime.flavor)).collect();
        assert_eq!(runtimes, [("async-executor", "executor")], "{profile}");
        let picture = finds_all(profile, "two", 500);
        let sizes: Vec<usize> = picture.runtimes.iter().map(|runtime| runtime.tasks).collect();
        assert_eq!(sizes, [506, 506], "{profile}");
    }
}

#[test]
fn tasks_of_smol_and_of_tokio_in_one_program_are_found() {
    let picture = finds_all("dev", "mixed", 50);
    let mut runtimes: Vec<_> = picture.runtimes.iter().map(|runtime| (runtime.kind, runtime.tasks)).collect();
    runtimes.sort_unstable();
    assert_eq!(runtimes, [("async-executor", 50), ("async-executor", 51), ("tokio", 50)]);
}

#[test]
fn what_tasks_of_smol_wait_on_and_hold_is_named() {
    for profile in ["dev", "release"] {
        let program = Program::start_binary(&build_other(profile, "smol-programs"), "one", 50);
        program.tasks_when(is_settled);
        let picture = program.read(true, false);
        let of = |name: &str| picture.tasks.iter().filter(|task| function(task) == name).collect::<Vec<_>>();
        let kinds = |name: &str| of(name).iter().map(|task| task.waits_on[0].kind).collect::<Vec<_>>();
        let joined: Vec<u64> = of("joiner").iter().map(|task| task.waits_on[0].id).collect();
        let mut never: Vec<u64> = of("never").iter().map(|task| task.id).collect();
        never.sort_by_key(|id| joined.iter().position(|other| other == id));
        assert_eq!(joined, never, "{profile}: each waits on one of these");
        for task in of("sleeper").into_iter().chain(of("boxed")) {
            assert!(task.waits_on[0].text.starts_with("a timer, fires in "), "{profile}: {task:?}");
        }
        assert!(kinds("receiver").iter().all(|kind| *kind == WaitKind::Channel), "{profile}");
        let mut channels: Vec<u64> = of("receiver").iter().map(|task| task.waits_on[0].id).collect();
        channels.sort_unstable();
        channels.dedup();
        assert_eq!(channels.len(), of("receiver").len(), "{profile}: each has a channel of its own");
        assert_eq!(kinds("listener"), [WaitKind::Event; 2], "{profile}");
        let [one, other] = &of("listener")[..] else { panic!("{profile}") };
        assert_eq!(one.waits_on[0].id, other.waits_on[0].id, "{profile}");
        assert!(one.waits_on[0].id != 0 && one.waits_on[0].text.starts_with("an event at 0x"), "{profile}: {one:?}");
        assert_eq!(kinds("visitor"), [WaitKind::Semaphore], "{profile}");
        let holder = of("holder")[0];
        let [hold] = &holder.holds[..] else { panic!("{profile}: {holder:?}") };
        for reader in of("reader") {
            assert_eq!((reader.waits_on[0].kind, reader.waits_on[0].id), (WaitKind::Lock, hold.id), "{profile}");
            assert!(reader.waits_on[0].text.ends_with("smol_programs::holder"), "{profile}: {reader:?}");
        }
        let label = &of("sleeper")[0].stack.frames[0].locals.iter().find(|local| local.name == "label");
        assert!(label.expect("a label").value.text.starts_with("\"sleeper "), "{profile}");
    }
}

#[test]
fn every_lock_of_async_lock_has_its_holder() {
    for profile in ["dev", "release"] {
        let program = Program::start_binary(&build_other(profile, "smol-programs"), "locks", 0);
        let picture = program.tasks_when(is_settled);
        assert_eq!(counts(&picture), program.started, "{profile}\n{}", text(&picture));
        let picture = program.read(true, false);
        let of = |name: String| picture.tasks.iter().find(|task| function(task) == name).expect("a task");
        for name in ["lock", "permit", "write", "read", "shared", "all"] {
            let (keeps, waits) = (of(format!("keeps_{name}")), of(format!("waits_{name}")));
            let ([hold], [wait]) = (&keeps.holds[..], &waits.waits_on[..]) else {
                panic!("{profile}: {keeps:?} {waits:?}")
            };
            let kind = if name == "permit" { WaitKind::Semaphore } else { WaitKind::Lock };
            assert_eq!((hold.kind, wait.kind, wait.id), (kind, kind, hold.id), "{profile} {name}");
            let is_exclusive = !["permit", "read", "shared"].contains(&name);
            assert_eq!(
                (hold.is_exclusive, wait.needs_all),
                (is_exclusive, ["read", "shared", "all"].contains(&name)),
                "{profile} {name}"
            );
            assert!(wait.text.ends_with(&keeps.name), "{profile}: {}", wait.text);
            assert!(waits.holds.is_empty(), "{profile}: {waits:?}");
            let what = if name == "permit" { "semaphore" } else { "lock" };
            let mut locals = keeps.stack.frames.iter().flat_map(|frame| &frame.locals);
            let guard = locals.find(|local| ["guard", "permit"].contains(&&*local.name)).expect("a guard");
            let shown = format!(" of {what} at {:#x}", hold.id);
            assert!(guard.value.text.ends_with(&shown), "{profile} {name}: {guard:?}");
        }
    }
}

#[test]
fn receivers_whose_senders_only_tasks_that_can_never_go_on_keep_are_found() {
    for profile in ["dev", "release"] {
        let program = Program::start_binary(&build_other(profile, "smol-programs"), "ends", 0);
        let picture = program.tasks_when(is_settled);
        assert_eq!(counts(&picture), program.started, "{profile}\n{}", text(&picture));
        let picture = take(program.pid(), &Options::default()).expect("a picture");
        let found = check(&picture).expect("it was stopped");
        let named = |kind: FindingKind| {
            let ids = found.findings.iter().filter(|one| one.kind == kind).flat_map(|one| &one.tasks);
            let names = ids.map(|id| function(picture.tasks.iter().find(|task| task.id == *id).expect("a task")));
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(named(FindingKind::NeverWoken).len(), 3, "{profile}: those that keep a sender");
        let on_dead = named(FindingKind::WaitsOnDead);
        let is_found =
            if profile == "dev" { on_dead == ["hears"; 2] } else { on_dead.iter().all(|one| one == "hears") };
        assert!(is_found, "{profile}: {on_dead:?}\n{}", text(&picture));
        let fills = picture.tasks.iter().find(|task| function(task) == "fills").expect("a task");
        assert!(fills.waits_on[0].text.starts_with("room in a channel at 0x"), "{profile}: {fills:?}");
    }
}
