//! Processes that end or stop abnormally: their rings hold the true graph of the last moment.
//!
//! The programs recorded are this test binary itself, started again with `TINYIO_TEST_CHILD` set. `TINYIO_KILLS=1000`
//! kills more often.

mod common;

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Dice, Fold, Program, assert_same, drain, options};
use rustix::process::{Pid, Signal, kill_process};
use tinyio_inspector::discover::{State, rings_in};
use tinyio_inspector::event::*;
use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::ring::RingReader;
use tinyio_inspector::source::{Progress, Source};
use tinyio_inspector::trace::{TraceReader, TraceWriter};

const SIZE: u64 = 256 << 10;

/// Starts this binary again as a recorded program, and waits for its first word: the path of its ring.
fn child(folder: &Path, what: &str, seed: u64) -> (Child, PathBuf) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_recorded_program", "--nocapture"])
        .env("TINYIO_TEST_CHILD", what)
        .env("TINYIO_TEST_FOLDER", folder)
        .env("TINYIO_TEST_SEED", seed.to_string())
        .stdout(Stdio::piped())
        .stderr(File::create(folder.join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let path = lines
        .into_iter()
        .find_map(|line| line.split_once("ring: ").map(|(_, path)| PathBuf::from(path)))
        .expect("a ring");
    (child, path)
}

/// Fails after a minute, where a test would wait for ever.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "not after a minute: {what}");
        std::thread::yield_now();
    }
}

/// Not a test by itself: what the children run.
#[test]
fn the_recorded_program() {
    let Ok(what) = env::var("TINYIO_TEST_CHILD") else { return };
    let seed = env::var("TINYIO_TEST_SEED").unwrap().parse().unwrap();
    let mut recorder = Recorder::start(&options(Path::new(&env::var("TINYIO_TEST_FOLDER").unwrap()), SIZE)).unwrap();
    println!("ring: {}", recorder.path().display());
    if what == "limited" || what == "full" {
        limited(&mut recorder, what == "full");
        std::process::exit(7);
    }
    let mut program = Program::new(seed, crowd(seed));
    let path = recorder.path().to_path_buf();
    loop {
        program.act(Some(&mut recorder));
        if what == "truncated" && fs::metadata(&path).unwrap().len() < SIZE {
            // Some rounds of the ring; its file has no room for any of it.
            (0..SIZE / 4).for_each(|_| _ = program.act(Some(&mut recorder)));
            drop(recorder);
            std::process::exit(7);
        }
        if what == "replaced" && program.at == 5000 {
            use std::os::unix::process::CommandExt;
            panic!("{}", Command::new("sleep").arg("60").exec());
        }
        if what == "abort" && program.at == 5000 {
            std::process::abort();
        }
        if what == "exit" && program.at == 5000 {
            std::process::exit(0);
        }
    }
}

/// Records, and writes a trace, with no file allowed to be longer than its ring. If `exits`, nothing finishes the
/// trace.
fn limited(recorder: &mut Recorder, exits: bool) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = Rlimit { current: Some(1 << 10), ..getrlimit(Resource::Fsize) };
    setrlimit(Resource::Fsize, limit).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = Recorder::start(&options(folder.path(), SIZE)).unwrap_err().to_string();
    assert!(error.contains("RLIMIT_FSIZE") && error.contains("TINYIO_RING"), "{error}");
    let trace = folder.path().join("trace.jsonl");
    let writer = TraceWriter::spawn(recorder, &trace).unwrap();
    let mut program = Program::new(3, 50);
    (0..20_000).for_each(|_| _ = program.act(Some(recorder)));
    if exits {
        writer.flush(recorder.seq());
        return std::mem::forget(writer);
    }
    let error = writer.finish().unwrap_err().to_string();
    assert!(error.contains("cannot write the trace"), "{error}");
    let (events, progress) = drain(&mut TraceReader::open(&trace).unwrap());
    assert!(!events.is_empty() && progress == Progress::Died);
}

fn crowd(seed: u64) -> usize {
    10 + (seed % 200) as usize
}

/// What the inspector itself says of a dead ring: how many coroutines are alive in its tree. Its report says that they
/// were killed.
fn shown(path: &Path) -> usize {
    let inspector = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector")).args(args).arg(path).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let report = inspector(&["report"]);
    assert!(report.contains("died after"), "{report}");
    let tree: serde_json::Value = serde_json::from_str(&inspector(&["tree", "--format", "json"])).unwrap();
    tree["coroutines"].as_array().expect("a list").len()
}

/// Reads a dead ring and holds its graph against that of the same program run again here, to the very event.
fn check(path: &Path, seed: u64) -> u64 {
    let mut reader = RingReader::open(path).unwrap();
    let (events, progress) = drain(&mut reader);
    assert_eq!(progress, Progress::Died);
    let mut fold = if events.first().is_none_or(|event| event.seq == 0) { Fold::from_start() } else { Fold::default() };
    events.iter().for_each(|event| fold.event(event));
    assert_eq!(fold.lost, 0);
    let mut program = Program::new(seed, crowd(seed));
    let last = events.iter().map(|event| event.at).max().unwrap_or(0).max(fold.at);
    // A checkpoint comes before the event at which it was due, and has its time: it may have been the last that was
    // written.
    let end = events.last().is_some_and(|event| matches!(event.kind, Kind::CheckpointEnd {}));
    for _ in 0..last - end as u64 {
        program.act(None);
    }
    assert_same(fold.graph.as_ref().expect("a window has a checkpoint"), &program.graph);
    assert_eq!(shown(path), program.graph.coros.len());
    last
}

#[test]
fn killed_at_any_moment_the_ring_holds_the_graph_of_that_moment() {
    let kills = env::var("TINYIO_KILLS").map_or(30, |kills| kills.parse().expect("TINYIO_KILLS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(u64::from(std::process::id()));
    let (mut deepest, mut lapped) = (0, 0);
    for round in 0..kills {
        let seed = dice.roll(1 << 40);
        let (mut child, path) = child(folder.path(), "run", seed);
        let reader = RingReader::open(&path).unwrap();
        // Some at once, some when it has gone round several times.
        let wanted = dice.roll(if round % 3 == 0 { 2000 } else { 40_000 });
        while reader.recorded() < wanted {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!reader.alive());
        deepest = deepest.max(check(&path, seed));
        lapped += (reader.recorded() > SIZE / 32) as u32;
        fs::remove_file(path).unwrap();
    }
    assert!(deepest > 100 && (kills < 30 || lapped > 0), "{deepest} {lapped}");
}

#[test]
fn an_abort_and_an_exit_leave_the_ring() {
    let folder = tempfile::tempdir().unwrap();
    for what in ["abort", "exit"] {
        let (mut child, path) = child(folder.path(), what, 5);
        child.wait().unwrap();
        assert_eq!(check(&path, 5), 5000, "{what}");
        let rings = rings_in(path.parent().unwrap()).unwrap();
        assert!(rings.iter().any(|ring| ring.path == path && ring.state == State::Died), "{rings:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_truncated_ring_ends_the_recording_but_no_program_and_no_reader() {
    let folder = tempfile::tempdir().unwrap();
    for left in [0, 20_000] {
        let (mut child, path) = child(folder.path(), "truncated", 3);
        let mut reader = RingReader::open(&path).unwrap();
        while reader.recorded() < 10_000 {
            std::thread::yield_now();
        }
        File::options().write(true).open(&path).unwrap().set_len(left).unwrap();
        let error = loop {
            if let Err(error) = reader.read(1000, &mut |_| ()) {
                break error.to_string();
            }
        };
        assert!(error.contains("truncated") && error.contains(&*path.to_string_lossy()), "{error}");
        assert_eq!(child.wait().unwrap().code(), Some(7), "it runs to its end");
        fs::remove_file(path).unwrap();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_sigbus_that_is_not_the_recorders_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, path) = child(folder.path(), "run", 3);
    let reader = RingReader::open(&path).unwrap();
    while reader.recorded() < 1000 {
        std::thread::yield_now();
    }
    // The handler of the standard library, which was there before, takes the first for a chance hit and steps back.
    wait_until("the signal ends it", || {
        let _ = kill_process(Pid::from_child(&child), Signal::BUS);
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(Signal::BUS.as_raw()));
}

#[test]
fn the_limit_of_file_sizes_ends_recordings_but_no_program() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, _) = child(folder.path(), "limited", 3);
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[test]
fn a_trace_that_can_no_longer_be_written_is_reported_at_once() {
    for what in ["limited", "full"] {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, _) = child(folder.path(), what, 3);
        assert_eq!(child.wait().unwrap().code(), Some(7));
        let errors = fs::read_to_string(folder.path().join("stderr")).unwrap();
        let found: Vec<&str> = errors.lines().filter(|line| line.contains("cannot write the trace")).collect();
        assert!(matches!(found[..], [line] if line.contains("trace.jsonl: ")), "{errors}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_that_runs_another_program_now_is_distinguished_from_one_that_records() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, path) = child(folder.path(), "replaced", 3);
    let state = || rings_in(path.parent().unwrap()).unwrap()[0].state;
    // While the system replaces the program, its first thread looks dead for a moment.
    wait_until("it is seen as replaced", || state() == State::Replaced);
    assert_eq!(drain(&mut RingReader::open(&path).unwrap()).1, Progress::Died);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(state(), State::Died);
}

/// As a reader in a container sees it: the number of the process means nothing there, and the lock is what counts.
#[test]
#[cfg(target_os = "linux")]
fn a_process_in_another_pid_namespace_lives_as_long_as_its_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, path) = child(folder.path(), "run", 3);
    let file = File::options().write(true).open(&path).unwrap();
    // The namespace it is in, and a number that is none of a process.
    for (word, value) in [(28, 1_u64), (4, u64::from(u32::MAX))] {
        file.write_all_at(&value.to_ne_bytes(), word * 8).unwrap();
    }
    let state = || rings_in(path.parent().unwrap()).unwrap()[0].state;
    assert_eq!(state(), State::Living);
    // Without a lock nothing is known.
    file.write_all_at(&0_u64.to_ne_bytes(), 29 * 8).unwrap();
    assert_eq!(state(), State::Unknown);
    file.write_all_at(&1_u64.to_ne_bytes(), 29 * 8).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(state(), State::Died);
}

#[test]
fn a_process_that_ends_while_no_loop_runs_has_ended_and_so_has_one_that_exits() {
    let folder = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::start(&options(folder.path(), SIZE)).unwrap();
    recorder.emit(1, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
    let path = recorder.path().with_file_name("copy.ring");
    // A copy of the ring with another start time of its process: that process counts as gone.
    let copy = |recorder: &Recorder| {
        let mut bytes = fs::read(recorder.path()).unwrap();
        bytes[5 * 8] ^= 1;
        fs::write(&path, bytes).unwrap();
        let mut reader = RingReader::open(&path).unwrap();
        let (events, progress) = drain(&mut reader);
        (reader.ended(), progress, matches!(events.last().map(|event| &event.kind), Some(Kind::TraceEnd {})))
    };
    assert_eq!(copy(&recorder), (false, Progress::Died, false), "killed in a loop");
    recorder.emit(2, Kind::LoopEnd { id: 1, outcome: LoopOutcome::Crashed });
    assert_eq!(copy(&recorder), (true, Progress::Ended, true), "killed after it");
    assert!(RingReader::open(recorder.path()).unwrap().alive());
    recorder.emit(3, Kind::LoopStart { id: 2, parent: 0, mode: LoopMode::Run });
    assert_eq!(copy(&recorder).1, Progress::Died);
    recorder.at_exit().mark();
    assert_eq!(copy(&recorder), (true, Progress::Ended, true), "exited in a loop");
    recorder.finish();
}

#[test]
#[cfg(target_os = "linux")]
fn a_forked_child_neither_waits_for_the_trace_nor_ends_it() {
    use std::os::unix::process::CommandExt;
    use std::sync::{Arc, Mutex};

    let (folder, mut recorder) = common::start(SIZE);
    let path = folder.path().join("trace.jsonl");
    let writer = Arc::new(Mutex::new(Some(TraceWriter::spawn(&mut recorder, &path).unwrap())));
    let in_child = Arc::clone(&writer);
    let mut command = Command::new("true");
    // SAFETY: the closure runs in a fork of a process in which this thread alone has the writer, and it allocates
    // nothing.
    unsafe {
        command.pre_exec(move || {
            // A child that waits for ever is killed, which the parent sees.
            nix::unistd::alarm::set(10);
            let writer = in_child.lock().ok().and_then(|mut writer| writer.take());
            if let Some(writer) = writer {
                writer.flush(u64::MAX);
                drop(writer);
            }
            nix::unistd::alarm::cancel();
            Ok(())
        });
    }
    assert!(command.status().unwrap().success());
    recorder.unpark(1, 1);
    recorder.finish();
    writer.lock().unwrap().take().unwrap().finish().unwrap();
    let (events, progress) = drain(&mut TraceReader::open(&path).unwrap());
    assert_eq!((events.len(), progress), (2, Progress::Ended));
}

#[test]
fn a_stopped_process_is_alive_and_idle() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, path) = child(folder.path(), "run", 9);
    let pid = Pid::from_child(&child);
    while RingReader::open(&path).unwrap().recorded() < 100 {
        std::thread::yield_now();
    }
    kill_process(pid, Signal::STOP).unwrap();
    // It has stopped when its state says so.
    let stat = format!("/proc/{}/stat", child.id());
    while !fs::read_to_string(&stat).unwrap().contains(") T ") {
        std::thread::yield_now();
    }
    let mut reader = RingReader::open(&path).unwrap();
    let (events, progress) = drain(&mut reader);
    assert_eq!(progress, Progress::Idle);
    let mut fold = if events.first().is_none_or(|event| event.seq == 0) { Fold::from_start() } else { Fold::default() };
    events.iter().for_each(|event| fold.event(event));
    assert!(fold.graph.is_some());
    assert_eq!(drain(&mut reader), (vec![], Progress::Idle));
    assert_eq!(rings_in(path.parent().unwrap()).unwrap()[0].state, State::Living);
    kill_process(pid, Signal::CONT).unwrap();
    let before = reader.recorded();
    while reader.recorded() == before {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    while drain(&mut reader).1 != Progress::Died {}
    assert_eq!(rings_in(path.parent().unwrap()).unwrap()[0].state, State::Died);
}

#[test]
fn a_zombie_is_dead() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, path) = child(folder.path(), "run", 9);
    let reader = RingReader::open(&path).unwrap();
    child.kill().unwrap();
    // The process was not waited for yet: it is still in the list of processes.
    while reader.alive() {
        std::thread::yield_now();
    }
    assert!(Path::new(&format!("/proc/{}", child.id())).exists());
    child.wait().unwrap();
}

#[test]
fn two_programs_at_once_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, path_one) = child(folder.path(), "run", 1);
    let (mut two, path_two) = child(folder.path(), "run", 2);
    let rings = rings_in(path_one.parent().unwrap()).unwrap();
    assert_eq!(rings.len(), 2);
    assert!(rings.iter().all(|ring| ring.state == State::Living));
    let mut pids: Vec<u32> = rings.iter().map(|ring| ring.header.pid).collect();
    pids.sort_unstable();
    let mut expected = vec![one.id(), two.id()];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    one.kill().unwrap();
    one.wait().unwrap();
    check(&path_one, 1);
    assert!(RingReader::open(&path_two).unwrap().alive());
    two.kill().unwrap();
    two.wait().unwrap();
    check(&path_two, 2);
}

#[test]
fn a_forked_child_does_not_write_into_its_parents_ring() {
    use std::os::unix::process::CommandExt;
    use std::sync::{Arc, Mutex};

    let (_folder, recorder) = common::start(SIZE);
    let path = recorder.path().to_path_buf();
    let recorder = Arc::new(Mutex::new(recorder));
    recorder.lock().unwrap().unpark(1, 1);
    let in_child = Arc::clone(&recorder);
    let mut command = Command::new("true");
    // SAFETY: the closure runs in a fork of a process with other threads that hold neither this lock nor, in the
    // recorder's calls below, the allocator's: they write records and intern nothing.
    unsafe {
        command.pre_exec(move || {
            let mut recorder = in_child.lock().map_err(|_| std::io::Error::other("poisoned"))?;
            for at in 100..100 + 2 * SIZE / 32 {
                recorder.unpark(at, 1);
                recorder.park(at, 1, None);
            }
            assert_eq!(recorder.requested(), None);
            Ok(())
        });
    }
    assert!(command.status().unwrap().success());
    // Its memory is gone with it; this is the parent's, which goes on.
    recorder.lock().unwrap().unpark(2, 1);
    let mut reader = RingReader::open(&path).unwrap();
    let (events, progress) = drain(&mut reader);
    assert_eq!(events.iter().map(|event| event.at).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(progress, Progress::Idle, "the end of the child is not the parent's");
}

/// The thread that makes the ring's memory present does not exist in a child: the child must not wait for it.
#[test]
#[cfg(target_os = "linux")]
fn a_child_forked_while_the_rings_memory_is_made_present_ends_its_recorder() {
    use std::os::unix::process::CommandExt;
    use std::sync::{Arc, Mutex};

    // So large that the thread is at work, or asleep for longer than this takes.
    let (_folder, recorder) = common::start(64 << 20);
    let path = recorder.path().to_path_buf();
    let mut command = Command::new("true");
    let recorder = Arc::new(Mutex::new(Some(recorder)));
    let in_child = Arc::clone(&recorder);
    // SAFETY: the closure runs in a fork of a process in which this thread alone has the recorder.
    unsafe {
        command.pre_exec(move || {
            // A child that waits for ever is killed, which the parent sees.
            nix::unistd::alarm::set(10);
            let mut recorder = in_child.lock().ok().and_then(|mut recorder| recorder.take());
            recorder.iter_mut().for_each(|recorder| recorder.unpark(7, 1));
            drop(recorder);
            nix::unistd::alarm::cancel();
            Ok(())
        });
    }
    assert!(command.status().unwrap().success());
    let mut reader = RingReader::open(&path).unwrap();
    assert_eq!(drain(&mut reader), (vec![], Progress::Idle), "what the child did is not in the ring");
    drop(recorder.lock().unwrap().take());
    assert_eq!(drain(&mut reader).1, Progress::Ended);
}

#[test]
fn a_ring_whose_process_id_is_used_again_is_dead() {
    let (_folder, recorder) = common::start(SIZE);
    let path = recorder.path().to_path_buf();
    let copy = path.with_file_name("copy.ring");
    fs::copy(&path, &copy).unwrap();
    assert!(RingReader::open(&copy).unwrap().alive());
    // The same number, but a process that started at another time; and one from before the machine was booted.
    for word in [5, 6] {
        let mut bytes = fs::read(&path).unwrap();
        bytes[word * 8] ^= 1;
        fs::write(&copy, bytes).unwrap();
        let mut reader = RingReader::open(&copy).unwrap();
        assert!(!reader.alive());
        assert_eq!(drain(&mut reader).1, Progress::Died);
    }
}

#[test]
fn old_rings_of_the_dead_are_cleared_away_and_those_of_the_living_never() {
    let folder = tempfile::tempdir().unwrap();
    let living: Vec<Recorder> = (0..12).map(|_| Recorder::start(&options(folder.path(), 64 << 10)).unwrap()).collect();
    for _ in 0..30 {
        Recorder::start(&options(folder.path(), 64 << 10)).unwrap().finish();
    }
    let rings = rings_in(&folder.path().join("rings")).unwrap();
    assert_eq!(rings.iter().filter(|ring| ring.state == State::Living).count(), 12);
    let dead = rings.iter().filter(|ring| ring.state == State::Ended).count();
    assert!((8..=9).contains(&dead), "{dead}");
    for recorder in &living {
        assert!(recorder.path().exists());
    }
    // Age counts as well: a ring with a last event long ago. Its header says when it began.
    let dead = rings.iter().find(|ring| ring.state == State::Ended).unwrap();
    let mut bytes = fs::read(&dead.path).unwrap();
    let text = String::from_utf8_lossy(&bytes[4096..8192]).into_owned();
    let begin = 4096 + text.find("\"started\":1").unwrap() + "\"started\":".len();
    bytes[begin + 1..begin + 4].copy_from_slice(b"000");
    fs::write(&dead.path, bytes).unwrap();
    // No link, no folder and no pipe of that name is touched, nor waited for.
    let strange = dead.path.with_file_name("strange.ring");
    fs::create_dir(&strange).unwrap();
    let pipe = dead.path.with_file_name("pipe.ring");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let _one_more = Recorder::start(&options(folder.path(), 64 << 10)).unwrap();
    assert!(!dead.path.exists());
    assert!(strange.exists() && pipe.exists());
    let header = RingReader::open(living[0].path()).unwrap().header().clone();
    assert_eq!(header.pid, std::process::id());
}
