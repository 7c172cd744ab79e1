//! Tasks that can never go on, and healthy programs of which nothing is ever reported.

use tinyio_events::event::Frame;
use tinyio_tasks::{Finding, FindingKind, Findings, Options, Picture, State, Task, WaitKind, check, take};

use super::program::{Program, build_other};

/// A picture of a program with all memory read, and the findings in it.
fn found(program: &Program) -> (Picture, Findings) {
    let picture = take(program.pid(), &Options::default()).expect("a picture");
    let found = check(&picture).expect("it was stopped");
    (picture, found)
}

/// What is found once all tasks are where they stay: at the lines of the source that have one of these marks.
fn found_at(program: &Program, source: &str, marks: &[&str]) -> (Picture, Findings) {
    let lines: Vec<u32> = (1..)
        .zip(source.lines())
        .filter(|(_, text)| marks.iter().any(|mark| text.contains(mark)))
        .map(|(at, _)| at)
        .collect();
    let is_there = |task: &Task| {
        let is_own = |frame: &Frame| frame.file.contains("/tasks-programs/") && lines.contains(&frame.line);
        task.state == State::Waiting && task.stack.frames.iter().any(is_own)
    };
    program.tasks_when(|picture| picture.tasks.iter().all(is_there));
    found(program)
}

/// The functions of the tasks of each finding of a kind.
fn functions(picture: &Picture, found: &Findings, kind: FindingKind) -> Vec<Vec<String>> {
    let name = |id: &u64| {
        let task = picture.tasks.iter().find(|task| task.id == *id).expect("a task");
        task.name.rsplit("::").next().expect("a name").to_owned()
    };
    let of_kind = found.findings.iter().filter(|finding| finding.kind == kind);
    let mut all: Vec<Vec<String>> = of_kind
        .map(|finding| {
            let mut names: Vec<String> = finding.tasks.iter().map(name).collect();
            names.sort_unstable();
            names
        })
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn tasks_that_can_never_go_on_are_found_with_the_reason() {
    for profile in ["dev", "release"] {
        let mut program = Program::start_binary(&build_other(profile, "check-programs"), "sick", 0);
        let source = include_str!("../tasks-programs/src/check/sick.rs");
        let (picture, found) = found_at(&program, source, &["// here: "]);
        assert_eq!(picture.tasks.len(), 10, "{profile}: all of them, and each once");
        let of = |kind| functions(&picture, &found, kind);
        let never = of(FindingKind::NeverWoken);
        assert_eq!(never, [vec!["keeps"], vec!["never"; 4]], "{profile}");
        assert_eq!(of(FindingKind::LockCycle), [["twice"]], "{profile}");
        // What waits on itself without a lock is no cycle of locks.
        let on_dead = of(FindingKind::WaitsOnDead);
        assert_eq!(on_dead, [vec!["joins"], vec!["joins"], vec!["own"], vec!["wants"]], "{profile}");
        for Finding { certain, text, proof, .. } in &found.findings {
            assert!(*certain && !proof.is_empty() && !text.contains('\n'), "{profile}: {text}");
        }
        program.answers();
    }
}

#[test]
fn a_lock_held_by_a_future_that_its_task_keeps_and_does_not_poll_is_found() {
    for profile in ["dev", "release"] {
        let mut program = Program::start_binary(&build_other(profile, "check-programs"), "unpolled", 0);
        let source = include_str!("../tasks-programs/src/check/unpolled.rs");
        let (picture, found) = found_at(&program, source, &["// here: "]);
        let of = |kind| functions(&picture, &found, kind);
        let unpolled = of(FindingKind::UnpolledHolder);
        assert_eq!(of(FindingKind::LockCycle), [["upgrades"]], "{profile}: it waits for its own reading");
        if profile == "dev" {
            assert_eq!(unpolled, [["holding"], ["queued"], ["shared"]]);
            assert_eq!(of(FindingKind::WaitsOnDead), [["waits"]]);
        } else {
            // Optimised code does not say of all locals whether they are alive.
            assert!(unpolled.contains(&vec!["queued".to_owned()]), "{unpolled:?}\n{}", tinyio_tasks::text(&picture));
        }
        let queued = found.findings.iter().find(|finding| finding.text.contains("::queued ")).expect("a finding");
        let [fact] = &queued.proof[..] else { panic!("{queued:?}") };
        assert!(fact.contains("which check_programs::unpolled::uses holds, a future that it keeps"), "{fact}");
        program.answers();
    }
}

#[test]
fn waits_on_what_only_tasks_that_can_never_go_on_can_give_are_found() {
    for profile in ["dev", "release"] {
        let mut program = Program::start_binary(&build_other(profile, "check-programs"), "counted", 0);
        let source = include_str!("../tasks-programs/src/check/counted.rs");
        let (picture, found) = found_at(&program, source, &["// here: "]);
        let of = |kind| functions(&picture, &found, kind);
        assert_eq!(of(FindingKind::NeverWoken), [vec!["deaf"], vec!["silent"; 2]], "{profile}");
        if profile == "dev" {
            assert_eq!(of(FindingKind::LockCycle), [["hoards"; 2]]);
            assert_eq!(of(FindingKind::WaitsOnDead), [["listens"], ["monologue"], ["stuffs"]]);
            let facts: Vec<&str> = found.findings.iter().flat_map(|one| &one.proof).map(|fact| &**fact).collect();
            for part in [
                "what else refers to it is kept by",
                "and all its senders are kept by",
                "its receiver and other senders",
            ] {
                assert!(facts.iter().any(|fact| fact.contains(part)), "{part}: {facts:?}");
            }
        }
        program.answers();
    }
}

#[test]
fn ends_of_channels_and_notifications_that_only_tasks_that_can_never_go_on_keep_are_found() {
    for profile in ["dev", "release"] {
        let mut program = Program::start_binary(&build_other(profile, "check-programs"), "ends", 0);
        let source = include_str!("../tasks-programs/src/check/ends.rs");
        let (picture, found) = found_at(&program, source, &["// here: "]);
        let of = |kind| functions(&picture, &found, kind);
        let text = tinyio_tasks::text(&picture);
        let keep: Vec<usize> = of(FindingKind::NeverWoken).iter().map(Vec::len).collect();
        assert_eq!(keep.iter().sum::<usize>(), 9, "{profile}: those that keep an end\n{text}");
        let on_dead = of(FindingKind::WaitsOnDead);
        let expected = [vec!["asks"], vec!["follows"; 2], vec!["hears"; 2], vec!["notified"; 2]];
        if profile == "dev" {
            assert_eq!(on_dead, expected, "{text}");
            assert_eq!(of(FindingKind::LockCycle), [["reads_again", "writes"]], "{text}");
            let facts: Vec<&str> = found.findings.iter().flat_map(|one| &one.proof).map(|fact| &**fact).collect();
            for part in
                ["to read, queued behind #", "waits on the notification at 0x", "waits on a message of a channel"]
            {
                assert!(facts.iter().any(|fact| fact.contains(part)), "{part}: {facts:?}");
            }
        } else {
            // Optimised code does not say of all locals whether they are alive.
            assert!(on_dead.iter().all(|one| expected.iter().any(|known| known == one)), "{on_dead:?}\n{text}");
        }
        program.answers();
    }
}

#[test]
fn waits_on_one_channel_notification_or_lock_have_its_address() {
    for profile in ["dev", "release"] {
        let program = Program::start_binary(&build_other(profile, "check-programs"), "ends", 0);
        let source = include_str!("../tasks-programs/src/check/ends.rs");
        let (picture, _) = found_at(&program, source, &["// here: "]);
        let waits = |name: &str| {
            let of = picture.tasks.iter().filter(|task| task.name.ends_with(&format!("::{name}")));
            of.map(|task| task.waits_on[0].clone()).collect::<Vec<_>>()
        };
        for (name, kind, text) in [
            ("follows", WaitKind::Channel, "a message of a channel at 0x"),
            ("hears", WaitKind::Channel, "a message of a channel at 0x"),
            ("asks", WaitKind::Channel, "a message of a channel at 0x"),
            ("notified", WaitKind::Event, "a notification at 0x"),
            ("reads_behind", WaitKind::Lock, "a lock at 0x"),
        ] {
            let of = waits(name);
            // Optimised code does not say which watch channel a receiver is of.
            if profile == "release" && name == "follows" && of[0].id == 0 {
                continue;
            }
            assert!(of.iter().all(|one| one.kind == kind && one.id == of[0].id && one.id != 0), "{profile}: {of:?}");
            assert!(of.iter().all(|one| one.text.starts_with(text)), "{profile}: {of:?}");
            let too = waits(&format!("{name}_too"));
            assert!(too.iter().all(|other| other.kind == kind && other.id != of[0].id), "{profile}: {too:?}");
        }
        // A sender that waits there waits on no message.
        assert_eq!(waits("closes")[0].kind, WaitKind::Channel, "{profile}");
        assert!(!waits("closes")[0].text.contains("message"), "{profile}");
        let writer = picture.tasks.iter().find(|task| task.name.ends_with("::writes_later")).expect("it waits");
        for wait in waits("reads_behind") {
            assert_eq!(wait.behind, Some(writer.id), "{profile}: {wait:?}");
            let behind =
                format!(", queued behind #{} check_programs::ends::writes_later, which waits to write", writer.id);
            assert!(wait.text.ends_with(&behind), "{profile}: {wait:?}");
        }
        assert!(waits("writes_later")[0].behind.is_none(), "{profile}: what writes is behind nothing");
    }
}

#[test]
fn tasks_that_lock_each_other_out_are_found_with_their_locks_and_lines() {
    let program = Program::start_binary(&build_other("dev", "check-programs"), "deadlock", 0);
    let (picture, found) = found_at(
        &program,
        include_str!("../tasks-programs/src/check/deadlock.rs"),
        &["let mut to =", "let from =", "sum.await"],
    );
    let [cycle, rest] = &found.findings[..] else { panic!("{found:?}") };
    assert_eq!((cycle.kind, rest.kind), (FindingKind::LockCycle, FindingKind::WaitsOnDead));
    assert_eq!(functions(&picture, &found, FindingKind::LockCycle), [["audit", "transfer"]]);
    assert_eq!(functions(&picture, &found, FindingKind::WaitsOnDead), [["report"]]);
    let id = |name: &str| picture.tasks.iter().find(|task| task.name.ends_with(name)).expect("a task").id;
    for (from, to, lock) in [("audit", "transfer", "accounts.from"), ("transfer", "audit", "accounts.to")] {
        let fact = cycle.proof.iter().find(|fact| fact.starts_with(&format!("#{} at ", id(from)))).expect("a fact");
        assert!(fact.contains("check/deadlock.rs:") && fact.contains("waits on the lock at 0x"), "{fact}");
        assert!(fact.contains(&format!(" ({lock}), which ")), "{fact}");
        let task = picture.tasks.iter().find(|task| task.name.ends_with(from)).expect("a task");
        let [wait, ..] = &task.waits_on[..] else { panic!("{task:?}") };
        assert!(wait.text.contains(&format!(" ({lock}), held by ")), "{wait:?}");
        assert!(fact.ends_with(&format!("which #{} check_programs::deadlock::{to} holds", id(to))), "{fact}");
    }
    let json = serde_json::to_value(&found).expect("JSON");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["findings"][0]["kind"], "lock_cycle");
    let keys: Vec<&String> = json["findings"][0].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["certain", "kind", "proof", "tasks", "text"]);
}

#[test]
fn locks_and_what_refers_to_them_say_what_they_are_and_how_they_stand() {
    let program = Program::start_binary(&build_other("dev", "check-programs"), "values", 0);
    let of = |picture: &Picture| picture.tasks.iter().find(|task| task.name.ends_with("keeper")).cloned();
    let is_there = |task: &Task| task.state == State::Waiting && task.stack.frames[0].locals.len() > 20;
    let pictures = std::iter::repeat_with(|| program.read(true, false)).take(100);
    let task = pictures.filter_map(|picture| of(&picture)).find(is_there).expect("it gets to its await");
    let value = |name: &str| {
        let locals = task.stack.frames[0].locals.iter();
        let value = locals.rev().find(|local| local.name == name).expect(name).value.clone();
        let (before, rest) = value.text.split_once(" at 0x").unwrap_or_else(|| panic!("{name}: {value:?}"));
        let (address, state) = rest.split_once(' ').unwrap_or((rest, ""));
        let data = value.children.iter().find(|(name, _)| name == "data");
        let data = data.map(|(name, data)| format!("{name} = {}", data.text)).unwrap_or_default();
        (before.to_owned(), state.to_owned(), data, address.to_owned())
    };
    for (name, kind, state, data) in [
        ("free", "Mutex", "(free)", "data = 1"),
        ("taken", "Mutex", "(held)", ""),
        ("guard", "MutexGuard of lock", "", "data = 7"),
        ("shared", "Mutex", "(held)", ""),
        ("owned", "OwnedMutexGuard of lock", "", "data = 9"),
        ("rows", "RwLock", "(held)", ""),
        ("reading", "RwLockReadGuard of lock", "", ""),
        ("permits", "Semaphore", "(2 free)", ""),
        ("permit", "SemaphorePermit of semaphore", "", ""),
        ("bell", "Notify", "", ""),
        ("table", "Mutex", "(held)", ""),
        ("at_table", "MutexGuard of lock", "", "data = 11"),
        ("places", "Semaphore", "(1 free)", ""),
        ("place", "SemaphoreGuard of semaphore", "", ""),
        ("list", "RwLock", "(held)", ""),
        ("writing", "RwLockWriteGuard of lock", "", ""),
        ("empty", "RwLock", "(free)", "data = 6"),
        ("sender", "Sender of channel", "", ""),
        ("receiver", "Receiver of channel", "", ""),
        ("news", "Sender of channel", "", ""),
        ("heard", "Receiver of channel", "", ""),
        ("shown", "Sender of channel", "", ""),
        ("seen", "Receiver of channel", "", ""),
        ("handle", "JoinHandle of task", "", ""),
    ] {
        let (kind_of, state_of, data_of, _) = value(name);
        assert_eq!((&*kind_of, &*state_of, &*data_of), (kind, state, data), "{name}");
    }
    let pairs = [
        ("taken", "guard"),
        ("shared", "owned"),
        ("rows", "reading"),
        ("permits", "permit"),
        ("table", "at_table"),
        ("places", "place"),
        ("list", "writing"),
        ("sender", "receiver"),
        ("news", "heard"),
        ("shown", "seen"),
    ];
    for (one, other) in pairs {
        assert_eq!(value(one).3, value(other).3, "{one} and {other} are of the same");
    }
    for hold in &task.holds {
        let of_it = ["guard", "owned", "reading", "permit", "at_table", "place", "writing"].map(|name| value(name).3);
        assert!(of_it.contains(&format!("{:x}", hold.id)), "{hold:?}: by the same address, {of_it:?}");
    }
    assert_eq!(task.holds.len(), 7);
}

#[test]
fn nothing_is_reported_of_healthy_programs() {
    for profile in ["dev", "release"] {
        let mut program = Program::start_binary(&build_other(profile, "check-programs"), "healthy", 0);
        for _ in 0..5 {
            let (picture, found) = found(&program);
            assert!(picture.tasks.len() > 40, "{profile}: they were found");
            assert_eq!(found.findings, [], "{profile}\n{}", tinyio_tasks::text(&picture));
        }
        program.answers();
        let program = Program::start_binary(&build_other(profile, "smol-programs"), "healthy", 50);
        let (picture, found) = found(&program);
        assert!(picture.tasks.len() > 40, "{profile}: they were found");
        assert_eq!(found.findings, [], "{profile}\n{}", tinyio_tasks::text(&picture));
    }
}

#[test]
fn what_was_read_while_the_program_ran_proves_nothing() {
    let program = Program::start_binary(&build_other("dev", "check-programs"), "sick", 0);
    let picture = take(program.pid(), &Options { no_stop: true, ..Options::default() }).expect("a picture");
    let why = check(&picture).expect_err("it was not stopped");
    assert!(why.contains("nothing can be proven") && why.contains("gcore"), "{why}");
}
