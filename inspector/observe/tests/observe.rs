//! What is recorded is what the program did: programs of tokio and smol note each of their polls themselves, and the
//! record is compared with that.

#![cfg(target_os = "linux")]

#[path = "observe/noted.rs"]
mod noted;
#[path = "observe/programs.rs"]
mod programs;
#[path = "observe/recorded.rs"]
mod recorded;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tinyio_events::event::{Outcome, Waker};
use tinyio_recorder::ring::RingReader;

use crate::recorded::Recorded;

/// A program that runs as a process of its own, as a process has one recording.
struct Program {
    folder: TempDir,
    process: Child,
}

/// Starts one of [`programs`], which records unless `switch` is empty.
fn start(name: &str, seed: u64, switch: &str) -> Program {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "the_program", "--nocapture", "--test-threads=1"]);
    for variable in ["TINYIO_INSPECT", "TINYIO_TRACE", "TINYIO_RING", "TINYIO_OUTPUT", "TINYIO_SECRETS"] {
        command.env_remove(variable);
    }
    command.env("OBSERVE_PROGRAM", name).env("OBSERVE_SEED", seed.to_string());
    command.env("OBSERVE_NOTES", folder.path().join("notes"));
    command.env("TINYIO_RING_DIR", folder.path().join("rings"));
    if !switch.is_empty() {
        command.env("TINYIO_INSPECT", switch).env("TINYIO_TRACE", folder.path().join("trace.jsonl"));
    }
    let output = |name| File::create(folder.path().join(name)).expect("a file");
    command.stdin(Stdio::null()).stdout(output("stdout")).stderr(output("stderr"));
    let process = command.spawn().expect("the program starts");
    Program { folder, process }
}

impl Program {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Waits for its end, and reads its trace.
    fn recorded(&mut self) -> Recorded {
        let status = self.process.wait().expect("its end");
        assert!(status.success(), "{status}: {}{}", self.text("stdout"), self.text("stderr"));
        let recorded = Recorded::read(&self.file("trace.jsonl"));
        recorded.check();
        assert!(recorded.is_complete, "it ended in good order");
        recorded
    }

    /// Its only ring, once there is one.
    fn ring(&self) -> PathBuf {
        let first = || std::fs::read_dir(self.file("rings")).ok()?.next()?.ok();
        wait_for(|| first().map(|entry| entry.path()).filter(|path| RingReader::open(path).is_ok()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> T {
    loop {
        match what() {
            Some(found) => return found,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The program that the other tests start.
#[test]
fn the_program() {
    let Ok(name) = std::env::var("OBSERVE_PROGRAM") else { return };
    let seed = std::env::var("OBSERVE_SEED").expect("a seed").parse().expect("a number");
    programs::run(&name, seed);
    noted::write(Path::new(&std::env::var_os("OBSERVE_NOTES").expect("a path")));
}

/// The record has the polls that the program noted, each on its thread.
#[track_caller]
fn compare(program: &Program, recorded: &Recorded) {
    let noted = noted::read(&program.file("notes"));
    assert!(!noted.is_empty(), "the program noted its polls");
    for (task, threads) in &noted {
        let found = recorded.polls.get(task);
        assert_eq!(found.map(|polls| &polls[..]), Some(&threads[..]), "the threads of the polls of {task}");
    }
    assert_eq!(recorded.polls.len(), noted.len(), "{:?}", recorded.polls.keys());
}

#[test]
fn polls_on_several_threads_are_recorded_as_they_were() {
    let mut program = start("several threads", 1, "record");
    let recorded = program.recorded();
    compare(&program, &recorded);
    assert_eq!(recorded.outcomes.len(), 40);
    assert!(recorded.outcomes.values().all(|outcome| *outcome == Outcome::Ok), "{:?}", recorded.outcomes);
}

#[test]
fn wakes_have_the_task_or_the_thread_that_caused_them() {
    let mut program = start("causes", 1, "record");
    let recorded = program.recorded();
    compare(&program, &recorded);
    assert_eq!(recorded.causes("yields"), ["itself", "itself", "itself"]);
    assert_eq!(recorded.causes("receives"), ["sends"], "from inside of the other task");
    assert_eq!(recorded.causes("receives from a thread"), ["thread outside"]);
    let main = recorded.id("yields");
    assert!(recorded.wakes.iter().any(|(coro, by)| *coro == main && *by == Waker::Own));
}

#[test]
fn outcomes_are_those_of_the_futures() {
    let mut program = start("outcomes", 1, "record");
    let recorded = program.recorded();
    let outcome = |name: &str| recorded.outcomes[name];
    assert_eq!(outcome("returns"), Outcome::Ok);
    assert_eq!(outcome("panics"), Outcome::Panic);
    assert_eq!(outcome("aborted"), Outcome::Cancelled);
    assert_eq!(outcome("never polled"), Outcome::NeverStarted);
    assert!(program.text("stdout").contains("the panic went on: on purpose"), "{}", program.text("stdout"));
}

#[test]
fn a_future_that_polls_another_waits_on_it() {
    let mut program = start("nested", 1, "record");
    let recorded = program.recorded();
    compare(&program, &recorded);
    let [outer, inner, beside] = ["outer", "inner", "beside"].map(|name| recorded.id(name));
    assert_eq!(recorded.parents[&inner], outer);
    assert_eq!(recorded.parents[&beside], outer, "observed inside of its poll, and spawned");
    assert_eq!(recorded.edges, [(outer, inner)], "of what is not polled by it, nothing is certain");
    let Recorded { model, .. } = &recorded;
    let busy = |id| model.coro(id).expect("it is remembered").busy;
    let all: u64 = recorded.model.loops().map(|one| one.busy).sum();
    assert_eq!(busy(outer) + busy(inner) + busy(beside), all, "no time is counted for two of them");
}

#[test]
fn programs_of_smol_are_recorded() {
    let mut program = start("smol", 1, "record");
    let recorded = program.recorded();
    compare(&program, &recorded);
    assert_eq!(recorded.outcomes.values().filter(|outcome| **outcome == Outcome::Ok).count(), 20);
}

#[test]
fn a_runtime_of_one_thread_has_one_worker() {
    let mut program = start("one thread", 1, "record");
    let recorded = program.recorded();
    compare(&program, &recorded);
    assert_eq!(recorded.model.loops().filter(|one| one.steps > 0).count(), 1);
}

#[test]
fn random_programs_are_recorded_in_order() {
    for seed in 0..12 {
        let mut program = start("random", seed, "record");
        let recorded = program.recorded();
        compare(&program, &recorded);
    }
}

#[test]
fn without_the_variable_nothing_is_recorded() {
    let mut program = start("several threads", 1, "");
    assert!(program.process.wait().expect("its end").success());
    assert!(!program.file("rings").exists() && !program.file("trace.jsonl").exists());
    assert!(!noted::read(&program.file("notes")).is_empty());
}

#[test]
fn a_killed_program_leaves_all_that_was_recorded() {
    for seed in 0..6 {
        let mut program = start("without end", seed, "record");
        let ring = program.ring();
        let enough = 20_000 * (seed + 1);
        wait_for(|| (RingReader::open(&ring).ok()?.recorded() > enough).then_some(()));
        program.process.kill().expect("it runs");
        program.process.wait().expect("its end");
        let recorded = Recorded::read(&ring);
        recorded.check();
        assert!(!recorded.is_complete && recorded.model.lost().unreadable == 0, "{:?}", recorded.model.lost());
        assert!(recorded.events > enough);
        assert!(recorded.model.live().count() >= 8, "those that ran");
    }
}

#[test]
fn a_forked_child_runs_on_unrecorded() {
    let mut program = start("forks", 1, "record");
    assert!(program.process.wait().expect("its end").success(), "{}", program.text("stderr"));
    let recorded = Recorded::read(&program.file("trace.jsonl"));
    recorded.check();
    assert!(!recorded.polls.contains_key("in the child"), "{:?}", recorded.polls.keys());
}

#[test]
fn an_exit_while_futures_live_is_no_good_end() {
    let mut program = start("exits", 1, "record");
    assert_eq!(program.process.wait().expect("its end").code(), Some(3));
    let recorded = Recorded::read(&program.file("trace.jsonl"));
    recorded.check();
    assert!(recorded.model.live().any(|coro| recorded.model.label(coro.id).contains("sleeps")));
}

#[test]
fn a_live_view_is_not_promised() {
    let mut program = start("one thread", 1, "1");
    program.recorded();
    let stderr = program.text("stderr");
    assert!(stderr.contains("observed futures have no live view"), "{stderr}");
}
