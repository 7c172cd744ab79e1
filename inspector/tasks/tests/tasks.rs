//! The tasks of programs that were not prepared for it, built in several profiles.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "tasks/check.rs"]
mod check;
#[path = "tasks/combinators.rs"]
mod combinators;
#[path = "tasks/core.rs"]
mod core;
#[path = "tasks/damage.rs"]
mod damage;
#[path = "tasks/holders.rs"]
mod holders;
#[path = "tasks/program.rs"]
mod program;
#[path = "tasks/roots.rs"]
mod roots;
#[path = "tasks/smol.rs"]
mod smol;
#[path = "tasks/tinyio.rs"]
mod tinyio;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use program::Program;
use tinyio_frames::Limits;
use tinyio_tasks::{Options, Picture, State, Task, Wait, WaitKind, take, text};

/// The line of the programs' source with a comment.
fn line(of: &str) -> u32 {
    let source = include_str!("tasks/../tasks-programs/src/kinds.rs");
    let mark = format!("// here: {of}");
    let found = (1..).zip(source.lines()).find(|(_, text)| text.ends_with(&mark));
    found.unwrap_or_else(|| panic!("no line has {mark:?}")).0
}

/// The function of the programs that a task is of.
fn function(task: &Task) -> &str {
    match task.name.as_str() {
        "closure 0 in tasks_programs::kinds::start" => "parked",
        name => name.strip_prefix("tasks_programs::kinds::").unwrap_or(name),
    }
}

fn counts(picture: &Picture) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for task in &picture.tasks {
        *counts.entry(function(task).to_owned()).or_default() += 1;
    }
    counts
}

/// Whether all tasks are in the state, and those that wait at the line, that tasks of their function come to be at.
fn is_settled(picture: &Picture) -> bool {
    picture.tasks.iter().all(|task| match function(task) {
        "spinning" | "parked" => task.state == State::Running,
        "finished" => task.state == State::Finished,
        // Their await is in the file of a macro.
        "both" | "either" => task.state == State::Waiting,
        name => task.state == State::Waiting && task.stack.frames.first().is_some_and(|frame| frame.line == line(name)),
    })
}

/// Compares what is found in a program with what it says of itself: as many tasks of each function, no others, each in
/// its state and at its line.
#[track_caller]
fn finds_all(profile: &str, kind: &str, count: usize) {
    let mut program = Program::start(profile, kind, count);
    let picture = program.tasks_when(is_settled);
    assert_eq!(counts(&picture), program.started, "{profile} {kind}\n{}", text(&picture));
    for task in &picture.tasks {
        assert!(task.stack.missing.is_none() && task.note.is_empty(), "{profile} {kind}: {task:?}");
        let first = task.stack.frames.first().map(|frame| (frame.function.as_str(), frame.line));
        match function(task) {
            "parked" | "finished" => assert_eq!(first, None),
            "spinning" => assert!(task.stack.mid_step),
            "both" | "either" => assert_eq!(first.map(|first| first.0), Some(&*task.name)),
            name => assert_eq!(first, Some((task.name.as_str(), line(name)))),
        }
        if function(task) == "sleeper" {
            let called = &task.stack.frames[1];
            assert_eq!((&*called.function, called.line), ("tasks_programs::kinds::nap", line("nap")));
        }
        // Only these await what holds no waker.
        assert_eq!(task.never_woken, ["never", "holder", "giver"].contains(&function(task)), "{task:?}");
    }
    let mut ids: Vec<u64> = picture.tasks.iter().map(|task| task.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), picture.tasks.len(), "numbers are of one task each");
    println!("{profile} {kind}: {} tasks, stopped {:?}", picture.tasks.len(), picture.stopped);
    program.answers();
}

#[test]
fn all_tasks_of_a_debug_build_are_found_at_their_lines() {
    finds_all("dev", "multi", 1000);
}

#[test]
fn all_tasks_of_a_release_build_are_found_at_their_lines() {
    finds_all("release", "multi", 1000);
}

#[test]
fn all_tasks_of_a_current_thread_runtime_are_found() {
    let mut program = Program::start("dev", "current", 1000);
    // Tasks after the last one that was polled may still be in the queue.
    let picture = program.tasks();
    assert_eq!(counts(&picture), program.started, "{}", text(&picture));
    assert_eq!(picture.runtimes[0].flavor, "current_thread");
    program.answers();
}

#[test]
fn all_tasks_of_a_local_set_are_found() {
    finds_all("dev", "local", 1000);
}

#[test]
fn tasks_of_two_runtimes_are_distinguished() {
    let program = Program::start("dev", "two", 1000);
    let picture = program.tasks_when(is_settled);
    assert_eq!(counts(&picture), program.started);
    let flavors: Vec<_> = picture.runtimes.iter().map(|runtime| (runtime.flavor, runtime.tasks)).collect();
    let each = picture.runtimes[0].tasks;
    assert_eq!(flavors, [("multi_thread", each), ("multi_thread", each), ("blocking", 2)]);
}

#[test]
fn a_program_that_makes_tasks_all_the_time_has_those_that_wait_each_time() {
    for profile in ["dev", "release"] {
        let program = Program::start(profile, "busy", 1000);
        program.tasks_when(|picture| {
            let rest = |task: &&Task| !function(task).starts_with("churn") && !task.name.contains("churn");
            let rest: Vec<Task> = picture.tasks.iter().filter(rest).cloned().collect();
            is_settled(&Picture { tasks: rest, ..picture.clone() })
        });
        for _ in 0..10 {
            let picture = program.tasks();
            let mut counts = counts(&picture);
            let churning = counts.remove("churn").unwrap_or(0);
            // Each has one that it waits for, which may have ended; no other can be there.
            let short = counts.remove("async block 0 in tasks_programs::kinds::churn").unwrap_or(0);
            assert_eq!((counts, churning), (program.started.clone(), 4), "{profile}\n{}", text(&picture));
            assert!(short <= 4, "{profile}: {short}\n{}", text(&picture));
        }
    }
}

#[test]
fn without_a_stop_waiting_tasks_are_found_and_what_changes_is_marked() {
    let program = Program::start("dev", "busy", 1000);
    let picture = program.read(false, true);
    assert_eq!(picture.stopped, None);
    let counts = counts(&picture);
    for (name, count) in &program.started {
        assert_eq!(counts.get(name), Some(count), "{name}\n{}", text(&picture));
    }
}

#[test]
fn locals_have_their_values_and_marks() {
    for profile in ["dev", "release"] {
        let program = Program::start(profile, "multi", 10);
        program.tasks_when(is_settled);
        let picture = program.read(true, false);
        let sleepers: Vec<&Task> = picture.tasks.iter().filter(|task| function(task) == "sleeper").collect();
        assert_eq!(sleepers.len(), program.started["sleeper"]);
        for (number, task) in sleepers.into_iter().enumerate() {
            let locals = &task.stack.frames[0].locals;
            let label = locals.iter().find(|local| local.name == "label").expect("a label");
            assert_eq!(label.value.text, format!("{:?}", format!("sleeper {number}")), "{profile}");
            assert!(["", "may be moved"].contains(&&*label.mark), "{profile}: {label:?}");
        }
        let never = picture.tasks.iter().find(|task| function(task) == "never").expect("one");
        let locals = never.stack.frames[0].locals.iter();
        let locals: Vec<_> = locals.map(|local| (&*local.name, &*local.value.text)).collect();
        assert_eq!(locals, [("number", "0"), ("twice", "0")], "{profile}");
    }
}

#[test]
fn what_tasks_wait_on_and_hold_is_named() {
    for profile in ["dev", "release"] {
        let program = Program::start(profile, "multi", 50);
        program.tasks_when(is_settled);
        let picture = program.read(true, false);
        let of = |name: &str| picture.tasks.iter().filter(|task| function(task) == name).collect::<Vec<_>>();
        let all = |name: &str| of(name).iter().flat_map(|task| task.waits_on.clone()).collect::<Vec<_>>();

        for task in of("joiner") {
            let [wait] = &task.waits_on[..] else { panic!("{task:?}") };
            // Each was started right after the task it awaits.
            assert_eq!((wait.kind, wait.id), (WaitKind::Task, task.id - 1), "{profile}");
        }
        // Handles and timers in a function that polls them; what else is in it may not be known, so they prove nothing.
        let [both, either, perhaps] = ["both", "either", "perhaps"].map(|name| of(name)[0]);
        let waits = |task: &Task| task.waits_on.iter().map(|wait| (wait.kind, wait.id)).collect::<Vec<_>>();
        assert_eq!(waits(both), [(WaitKind::Task, both.id - 4), (WaitKind::Task, both.id - 3)], "{profile}");
        assert_eq!(waits(either), [(WaitKind::Task, either.id - 3), (WaitKind::Timer, 0)], "{profile}");
        assert_eq!(waits(perhaps), [(WaitKind::Task, perhaps.id - 3)], "{profile}");
        assert!([both, either, perhaps].iter().all(|task| !task.waits_on_nothing_else), "{profile}");
        let within = [(both, "in join!: "), (either, "in select!: "), (perhaps, "perhaps, in PollFn: ")];
        for (task, within) in within {
            assert!(task.waits_on.iter().all(|wait| wait.text.starts_with(within)), "{profile}: {task:?}");
        }
        assert!(all("sleeper").iter().all(|wait| wait.kind == WaitKind::Timer), "{profile}");
        let due = |wait: &Wait| {
            let text = wait.text.strip_prefix("a timer, fires in ")?.strip_suffix(" s")?;
            text.parse::<f64>().ok()
        };
        let first = due(&all("sleeper")[0]).expect("a time");
        assert!((3000.0..3600.0).contains(&first), "{profile}: {first}");
        assert!(all("receiver").iter().all(|wait| wait.kind == WaitKind::Channel), "{profile}");
        let external = all("never");
        assert!(external.iter().all(|wait| (wait.kind, &*wait.text) == (WaitKind::External, "Pending<()>")));

        let holder = of("holder")[0];
        let [hold] = &holder.holds[..] else { panic!("{profile}: {holder:?}") };
        let held = format!("held by #{} tasks_programs::kinds::holder", holder.id);
        for reader in of("reader") {
            let [wait] = &reader.waits_on[..] else { panic!("{reader:?}") };
            assert_eq!((wait.kind, wait.id), (WaitKind::Lock, hold.id), "{profile}");
            assert!(wait.text.ends_with(&held), "{profile}: {}", wait.text);
        }
        let holding: Vec<&str> = picture.tasks.iter().filter(|task| !task.holds.is_empty()).map(function).collect();
        // The guard was moved out of the other task; its bytes are still in memory.
        let giver = of("giver")[0].stack.frames[0].locals.iter().find(|local| local.name == "guard");
        assert_eq!(giver.expect("a guard").mark, "moved", "{profile}");
        assert_eq!(holding, ["holder"], "{profile}");
    }
}

#[test]
fn the_json_is_as_documented() {
    let program = Program::start("dev", "multi", 10);
    let picture = program.tasks_when(is_settled);
    let json: serde_json::Value = serde_json::to_value(&picture).expect("JSON");
    let keys = |value: &serde_json::Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let expected = ["left_out", "notes", "pid", "program", "runtimes", "schema", "tasks"];
    assert_eq!(keys(&json), expected);
    assert_eq!(keys(&json["runtimes"][0]), ["flavor", "kind", "tasks"]);
    let task = ["holds", "id", "name", "never_woken", "runtime", "stack", "state", "waits_on"];
    assert_eq!(keys(&json["tasks"][0]), task);
    assert_eq!((&json["schema"], &json["pid"]), (&1.into(), &program.pid().into()));
    assert_eq!(json["tasks"][0]["state"], "waiting");
}

/// Not a test: it reads the process of a variable until it is killed.
#[test]
#[ignore = "another test starts and kills it"]
fn a_reader_of_another_process() {
    let pid = std::env::var("TASKS_OF").expect("a process").parse().expect("a number");
    loop {
        let limits = Limits { values: false, source: 0, ..Limits::default() };
        take(pid, &Options { limits: Some(limits), ..Options::default() }).expect("a picture");
    }
}

/// How many threads of a process are stopped by a reader.
fn stopped_threads(pid: u32) -> usize {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let states = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    // 1234 (name) t …
    states.filter(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('t'))).count()
}

#[test]
fn a_program_goes_on_when_its_reader_is_killed_in_the_middle_of_a_stop() {
    use nix::sys::signal::{Signal, kill};
    let mut program = Program::start("dev", "busy", 1000);
    let pid = program.pid();
    for _ in 0..5 {
        let mut reader = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "--ignored", "a_reader_of_another_process"])
            .env("TASKS_OF", pid.to_string())
            .stdout(Stdio::null())
            .spawn()
            .expect("a reader");
        let id = nix::unistd::Pid::from_raw(reader.id().try_into().expect("a number"));
        // Frozen while the program is stopped, the reader is killed in the middle of it.
        loop {
            if stopped_threads(pid) > 0 {
                kill(id, Signal::SIGSTOP).expect("a signal");
                while !std::fs::read_to_string(format!("/proc/{id}/stat")).expect("a reader").contains(") T ") {
                    std::thread::yield_now();
                }
                if stopped_threads(pid) > 0 {
                    break;
                }
                kill(id, Signal::SIGCONT).expect("a signal");
            }
            assert!(reader.try_wait().expect("a state").is_none(), "the reader ended by itself");
            std::thread::yield_now();
        }
        reader.kill().expect("it dies");
        reader.wait().expect("it is gone");
        while stopped_threads(pid) > 0 {
            std::thread::yield_now();
        }
        program.answers();
    }
    assert_eq!(program.tasks().notes, [""; 0], "the next reader has nothing to note");
}

/// Waits until a program writes something.
fn begun(child: &mut std::process::Child) {
    use std::io::{Read, Write};
    let _ = child.stdin.as_mut().expect("a pipe").write_all(b"\n");
    child.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("it writes");
}

#[test]
fn what_cannot_be_read_is_one_sentence_with_what_to_do() {
    let error = |pid: u32| take(pid, &Options::default()).expect_err("nothing to read");
    assert_eq!(error(u32::MAX >> 1), format!("there is no process {} here", u32::MAX >> 1));

    let mut child = Command::new("true").spawn().expect("it starts");
    while !std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("a state").contains(") Z ") {
        std::thread::yield_now();
    }
    assert_eq!(error(child.id()), format!("process {} has ended", child.id()));
    child.wait().expect("it ended");

    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    begun(&mut child);
    let no_debug_info = error(child.id());
    assert!(no_debug_info.contains("debug info"), "{no_debug_info}");
    drop(child.stdin.take());
    child.wait().expect("it ended");

    let built = program::build("dev");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let strip = |name: &str, option: &str| {
        let path = folder.join(name);
        let done = Command::new("strip").arg(option).arg("-o").arg(&path).arg(&built).status().expect("strip runs");
        assert!(done.success());
        path
    };
    let bare = Program::start_binary(&strip("bare", "--strip-debug"), "none", 0);
    let why = error(bare.pid());
    assert!(why.contains("no debug info") && why.contains("`debug = true`"), "{why}");
    let stripped = Program::start_binary(&strip("stripped", "--strip-all"), "none", 0);
    let why = error(stripped.pid());
    assert!(why.contains("`strip = false`"), "{why}");

    // This program uses no tokio.
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "--ignored", "a_program_without_tokio"])
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .expect("it starts");
    begun(&mut child);
    let why = error(child.id());
    assert!(why.contains("has no tasks of tokio or async-executor"), "{why}");
    drop(child.stdin.take());
    child.wait().expect("it ended");
}

/// Not a test.
#[test]
#[ignore = "another test starts it"]
fn a_program_without_tokio() {
    for _ in std::io::stdin().lines() {}
}

#[test]
fn a_program_that_is_traced_already_is_not_stopped_a_second_time() {
    let program = Program::start("dev", "none", 0);
    let pid = nix::unistd::Pid::from_raw(program.pid().try_into().expect("a number"));
    nix::sys::ptrace::seize(pid, nix::sys::ptrace::Options::empty()).expect("it is ours");
    let why = take(program.pid(), &Options::default()).expect_err("it is traced");
    assert!(why.contains(&format!("process {} traces it", std::process::id())) && why.contains("--no-stop"), "{why}");
    take(program.pid(), &Options { no_stop: true, ..Options::default() }).expect("reading needs no stop");
}
