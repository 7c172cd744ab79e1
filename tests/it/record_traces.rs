//! Recordings of programs that end in any way, start others or print: their traces and rings.

use std::path::Path;
use std::process::Command;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, execv, fork};
use tinyio::{Lock, Loop, Semaphore, coro, run_in_thread, sleep, spawn, yield_now};
use tinyio_inspector::discover;
use tinyio_inspector::event::{Event, Kind, Stack, State};
use tinyio_inspector::model::{Model, short_name};
use tinyio_inspector::report;
use tinyio_inspector::ring::RingReader;
use tinyio_inspector::source::{Progress, Source};

use crate::check::{is_child, watched};
use crate::recorded::{LONG, Recorded, events_of, fails, rings, sleeper};

#[test]
fn a_coroutine_that_is_never_awaited_is_reported_but_not_one_that_a_cancellation_drops() {
    let _watched = watched();
    if is_child() {
        let _ = Loop::new().run(async {
            let cut_short = tinyio::isolate(async {
                spawn(async {
                    let for_later = tinyio::coro(sleeper(1));
                    sleep(LONG).await?;
                    for_later.await.map_err(tinyio::Error::from)
                });
                tinyio::yield_now().await?;
                Err::<(), _>(tinyio::Error::from(std::io::Error::other("enough")))
            });
            assert!(cut_short.await?.is_err());
            drop(tinyio::coro(sleeper(2)));
            sleep(LONG).await?;
            tinyio::Ok(())
        });
        return;
    }
    let recorded = Recorded::start(
        "record_traces::a_coroutine_that_is_never_awaited_is_reported_but_not_one_that_a_cancellation_drops",
    );
    let found = recorded.read_until(None, |model, _| {
        let sleeps = model.loops().any(|one| one.parent == 0 && one.parked.is_some());
        sleeps.then(|| tinyio_inspector::lint::check(model, model.now())).filter(|found| !found.is_empty())
    });
    let found: Vec<_> = found.iter().filter(|lint| lint.check == "never-awaited").map(|lint| &lint.text).collect();
    assert!(matches!(found[..], [text] if text.contains("sleeper at tests/it/record_traces.rs:")), "{found:?}");
}

/// Runs this program again at one of its tests to its end, with a trace of this name; gives its stderr.
fn traced(test: &str, mode: &str, folder: &Path, name: &str) -> String {
    traced_with(test, mode, folder, name, &[("TINYIO_RING", "64K")])
}

fn traced_with(test: &str, mode: &str, folder: &Path, name: &str, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("TINYIO_TEST_CHILD", mode)
        .env("TINYIO_TRACE", folder.join(name))
        .envs(variables.iter().copied())
        .env("TINYIO_RING_DIR", rings(folder))
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}

/// How a trace ends, and with how many coroutines.
fn end_of(trace: &Path) -> (Progress, usize, bool) {
    let mut source = tinyio_inspector::trace::open(trace).unwrap();
    let mut model = Model::new(source.header());
    loop {
        match source.read(1000, &mut |event| model.apply(&event)).unwrap() {
            Progress::More => {}
            end => return (end, model.live_count(), model.crash().is_some()),
        }
    }
}

#[test]
fn a_program_that_exits_leaves_a_whole_trace_and_is_not_dead() {
    let _watched = watched();
    match std::env::var("TINYIO_TEST_CHILD").as_deref() {
        Ok("within") => {
            let _ = Loop::new().run(async {
                yield_now().await?;
                std::process::exit(3);
                #[allow(unreachable_code)]
                tinyio::Ok(())
            });
        }
        Ok("elsewhere") => {
            let _ = Loop::new().run(async {
                std::thread::spawn(|| std::process::exit(3));
                sleep(LONG).await
            });
        }
        Ok(_) => {
            let mut looped = Loop::new();
            assert!(looped.run(fails()).is_err());
            std::process::exit(3);
        }
        Err(_) => {
            let folder = tempfile::tempdir().unwrap();
            for (mode, alive, crashed) in [("within", 1, false), ("elsewhere", 1, false), ("crashed", 0, true)] {
                let test = "record_traces::a_program_that_exits_leaves_a_whole_trace_and_is_not_dead";
                traced(test, mode, folder.path(), "trace.jsonl");
                let end = end_of(&folder.path().join("trace.jsonl"));
                assert_eq!(end, (Progress::Ended, alive, crashed), "{mode}");
            }
            let rings = discover::rings_in(&rings(folder.path())).unwrap();
            let count = |state| rings.iter().filter(|ring| ring.state == state).count();
            assert_eq!((count(discover::State::Ended), count(discover::State::Crashed)), (2, 1), "{rings:?}");
        }
    }
}

/// Calls itself until the stack is full.
fn overflows(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { overflows(depth + 1) + std::hint::black_box(frame)[3] }
}

async fn end_abruptly(how: String) -> tinyio::Result<()> {
    match how.as_str() {
        "abort" => std::process::abort(),
        "exec" => panic!("{}", std::os::unix::process::CommandExt::exec(&mut Command::new("true"))),
        _ => println!("{}", overflows(0)),
    }
    Ok(())
}

#[test]
fn a_program_that_ends_within_a_step_is_recorded_up_to_it_and_its_trace_has_no_end() {
    let _watched = watched();
    if let Ok(how) = std::env::var("TINYIO_TEST_CHILD") {
        let _ = Loop::new().run(async {
            spawn(sleeper(1));
            yield_now().await?;
            let trace = std::env::var_os("TINYIO_TRACE").unwrap();
            while !std::fs::read_to_string(&trace).unwrap().contains("sleeper") {
                std::thread::yield_now();
            }
            coro(end_abruptly(how)).await
        });
        return;
    }
    for how in ["abort", "overflow", "exec"] {
        let folder = tempfile::tempdir().unwrap();
        let test = "record_traces::a_program_that_ends_within_a_step_is_recorded_up_to_it_and_its_trace_has_no_end";
        let printed = traced(test, how, folder.path(), "trace.jsonl");
        assert_eq!(printed.contains("has overflowed its stack"), how == "overflow", "{printed}");
        assert_eq!(end_of(&folder.path().join("trace.jsonl")).0, Progress::Died, "{how}");
        let rings = discover::rings_in(&rings(folder.path())).unwrap();
        let [ring] = &rings[..] else { panic!("{how}: {rings:?}") };
        assert_eq!(ring.state, discover::State::Died, "{how}");
        let mut reader = RingReader::open(&ring.path).unwrap();
        let mut model = Model::new(reader.header());
        let end = loop {
            match reader.read(1000, &mut |event| model.apply(&event)).unwrap() {
                Progress::More => {}
                end => break end,
            }
        };
        assert_eq!((end, model.lost().cut), (Progress::Died, false), "{how}");
        let state =
            |of: &str| model.live().find(|coro| model.full_name(coro.id).ends_with(of)).map(|coro| coro.state());
        let states = [state("end_abruptly"), state("sleeper")];
        assert_eq!(states, [Some(State::Running), Some(State::Waiting)], "{how}");
        assert_eq!(model.live_count(), 3, "{how}");
    }
}

#[test]
fn a_program_that_starts_others_and_forks_is_recorded_to_its_end() {
    let _watched = watched();
    let test = "record_traces::a_program_that_starts_others_and_forks_is_recorded_to_its_end";
    let mode = std::env::var("TINYIO_TEST_CHILD");
    if let Ok(mode) = mode.as_deref() {
        let parent = std::process::id();
        let run = Loop::new().run(async {
            yield_now().await?;
            if mode == "inner" {
                return tinyio::Ok(());
            }
            // The same program, recorded with the same variables.
            let own = std::env::current_exe()?;
            let inner = Command::new(own).args([test, "--exact"]).env("TINYIO_TEST_CHILD", "inner").output()?;
            assert!(inner.status.success(), "{inner:?}");
            for goes_on in [false, true] {
                // SAFETY: the child needs no lock that another thread of the parent may hold: those threads wait.
                match unsafe { fork() }? {
                    ForkResult::Child => {
                        alarm::set(60);
                        if !goes_on {
                            execv(c"/bin/true", &[c"true"])?;
                        }
                        break;
                    }
                    ForkResult::Parent { child } => {
                        assert_eq!(waitpid(child, None)?, WaitStatus::Exited(child, 0));
                    }
                }
            }
            tinyio::Ok(yield_now().await?)
        });
        run.unwrap();
        if std::process::id() != parent {
            // It is one run of tests, in two processes.
            std::process::exit(0);
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let printed = traced(test, "outer", folder.path(), "t-{pid}.jsonl");
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let traces: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    assert_eq!(traces.len(), 2, "{traces:?} {printed}");
    for trace in traces {
        assert_eq!(end_of(&trace), (Progress::Ended, 0, false), "{trace:?} {printed}");
    }
    let rings = discover::rings_in(&rings(folder.path())).unwrap();
    assert!(rings.len() == 2 && rings.iter().all(|ring| ring.state == discover::State::Ended), "{rings:?}");
}

#[test]
fn two_loops_with_one_trace_write_two_and_print_that() {
    let _watched = watched();
    if is_child() {
        let run = || Loop::new().run(async { yield_now().await }).unwrap();
        run();
        std::thread::spawn(run).join().unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let printed =
        traced("record_traces::two_loops_with_one_trace_write_two_and_print_that", "1", folder.path(), "t-{pid}.jsonl");
    let lines: Vec<_> = printed.lines().filter(|line| line.starts_with("tinyio: ")).collect();
    assert!(matches!(&lines[..], [line] if line.contains(".2.jsonl")), "{printed}");
    let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let traces: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    assert_eq!(traces.len(), 2, "{traces:?}");
    for trace in traces {
        assert!(!trace.to_string_lossy().contains("{pid}"), "{trace:?}");
        assert_eq!(end_of(&trace), (Progress::Ended, 0, false));
    }
}

async fn one_of_many() -> tinyio::Result<()> {
    Ok(sleep(LONG).await?)
}

async fn only_one() -> tinyio::Result<()> {
    Ok(sleep(LONG).await?)
}

async fn awaits_failing() -> tinyio::Result<()> {
    Ok(coro(fails()).await?)
}

/// More coroutines than frames are read of, of one type; what is needed to see the failure comes after them.
#[test]
fn of_very_many_coroutines_frames_are_read_of_those_that_awaited_the_failed_one_and_one_of_each_type_first() {
    let _watched = watched();
    const MANY: usize = 10_050;
    if is_child() {
        let _ = Loop::new().run(async {
            let many: Vec<_> = (0..MANY).map(|_| spawn(one_of_many())).collect();
            let only = spawn(only_one());
            spawn(awaits_failing()).await?;
            drop((many, only));
            tinyio::Ok(())
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "record_traces::of_very_many_coroutines_frames_are_read_of_those_that_awaited_the_failed_one_and_one_of_each_type_first";
    traced_with(test, "1", folder.path(), "t.jsonl", &[("TINYIO_RING", "64M"), ("TINYIO_LOCALS", "0")]);
    let (mut model, mut read, mut left_out) = (Model::new(&Default::default()), Vec::new(), None);
    let (mut first, mut crashed) = (None, None);
    for event in events_of(&folder.path().join("t.jsonl")) {
        model.apply(&event);
        match event.kind {
            Kind::Frames { coro, .. } => read.push(short_name(model.full_name(coro)).to_owned()),
            Kind::Diag { text, .. } if text.contains("were left out") => left_out = Some(text),
            Kind::CancelBegin { failure, .. } => {
                assert!(read.is_empty(), "what failed is seen first");
                first = failure;
            }
            Kind::Crash { mut failures, .. } => crashed = Some(failures.swap_remove(0)),
            _ => {}
        }
    }
    let at = |name: &str| read.iter().position(|one| one == name).unwrap_or_else(|| panic!("no frames of {name}"));
    assert!(at("awaits_failing") < at("only_one").min(at("one_of_many")), "{:?}", &read[..4]);
    assert!(at("only_one") < 4, "{:?}", &read[..4]);
    assert!(first.is_some() && first.as_deref() == crashed.as_ref(), "{first:?} {crashed:?}");
    // Those that have awaited the failed one and one of each type are among them.
    let many = read.iter().filter(|name| *name == "one_of_many").count();
    let text = left_out.expect("a note of what was left out");
    assert!(text.starts_with(&format!("the frames of {} coroutines were left out", MANY - many)), "{text}");
}

/// Ends the process in its cleanup.
async fn dies_in_its_cleanup() -> tinyio::Result<()> {
    let slept = sleep(LONG).await;
    if slept.is_err() {
        // As with `kill -9`.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    Ok(slept?)
}

#[test]
fn a_program_that_dies_while_it_cancels_has_recorded_what_failed() {
    let _watched = watched();
    const TEST: &str = "record_traces::a_program_that_dies_while_it_cancels_has_recorded_what_failed";
    if is_child() {
        let _ = Loop::new().run(async {
            let _dies = spawn(dies_in_its_cleanup());
            spawn(awaits_failing()).await?;
            tinyio::Ok(())
        });
        unreachable!("it was killed");
    }
    let folder = tempfile::tempdir().unwrap();
    traced(TEST, "1", folder.path(), "trace.jsonl");
    let rings = discover::rings_in(&rings(folder.path())).unwrap();
    let [ring] = &rings[..] else { panic!("{rings:?}") };
    assert_eq!(ring.state, discover::State::Died);
    let mut reader = RingReader::open(&ring.path).unwrap();
    let mut model = Model::new(reader.header());
    while reader.read(1000, &mut |event| model.apply(&event)).unwrap() == Progress::More {}
    let report = report::text(&model, &report::Options { ending: report::Ending::Died, ..Default::default() });
    assert!(report.contains(": enough") && report.contains("dies_in_its_cleanup"), "{report}");
    assert!(report.contains("were being cancelled when the program died after"), "{report}");
    let crash = model.crash().expect("it had begun");
    let [failure] = &crash.failures[..] else { panic!("{:?}", crash.failures) };
    assert!(!crash.is_over && failure.stack.is_some(), "{failure:?}");
    let trace: Vec<_> = failure.trace.iter().map(|site| short_name(&site.name)).collect();
    assert!(trace.ends_with(&["awaits_failing", "fails"]), "{trace:?}");
}

/// Its locals take a while to read.
async fn numbered(number: u64) -> tinyio::Result<u64> {
    let multiples: Vec<u64> = (0..32).map(|times| number * times).collect();
    sleep(LONG).await?;
    Ok(multiples.iter().sum())
}

/// Coroutines of one type, of which some were read when the time for locals is over. On a fast machine that may be all;
/// on a slow one the places of the last are left out too, and a note states how many.
#[test]
fn where_locals_take_too_long_the_places_of_further_coroutines_are_read_and_their_stacks_state_that() {
    let _watched = watched();
    if is_child() {
        let _ = Loop::new().run(async {
            let many: Vec<_> = (0..6_000).map(|number| spawn(numbered(number))).collect();
            let only = spawn(only_one());
            spawn(awaits_failing()).await?;
            drop((many, only));
            tinyio::Ok(())
        });
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "record_traces::where_locals_take_too_long_the_places_of_further_coroutines_are_read_and_their_stacks_state_that";
    traced_with(test, "1", folder.path(), "t.jsonl", &[("TINYIO_RING", "64M")]);
    let (mut model, mut of_many, mut others) = (Model::new(&Default::default()), Vec::new(), Vec::new());
    let mut without_place = 0;
    for event in events_of(&folder.path().join("t.jsonl")) {
        model.apply(&event);
        match event.kind {
            Kind::Frames { coro, stack } if short_name(model.full_name(coro)) == "numbered" => of_many.push(stack),
            Kind::Frames { coro, stack } => {
                let name = short_name(model.full_name(coro)).to_owned();
                assert!(stack.missing.is_none_or(|why| !why.contains("were left out")), "{name}");
                others.push(name);
            }
            Kind::Diag { text, .. } => {
                let number =
                    text.strip_prefix("the frames of ").and_then(|text| text.split_once(" coroutines were left"));
                without_place += number.map_or(0, |(number, _)| number.parse::<usize>().unwrap());
            }
            _ => {}
        }
    }
    for name in ["awaits_failing", "only_one"] {
        assert!(others.iter().any(|other| other == name), "{name}: {others:?}");
    }
    assert_eq!(of_many.len() + without_place, 6_000);
    let is_left_out = |stack: &Stack| stack.missing.as_ref().is_some_and(|why| why.contains("were left out"));
    let with_locals = of_many.iter().position(is_left_out).unwrap_or(of_many.len());
    // The first of its type is read whatever it takes.
    assert!(with_locals >= 1);
    let (read, left_out) = of_many.split_at(with_locals);
    let locals = |stack: &Stack| stack.frames.iter().map(|frame| frame.locals.len()).sum::<usize>();
    let line = |stack: &Stack| stack.frames.first().map_or(0, |frame| frame.line);
    assert!(read.iter().all(|stack| locals(stack) >= 1 && line(stack) > 0), "{:?}", read[0]);
    assert!(left_out.iter().all(|stack| is_left_out(stack) && locals(stack) == 0 && line(stack) == line(&read[0])));
    // Each takes longer than a twentieth of a millisecond where the reader is not optimised.
    assert!(!cfg!(debug_assertions) || !left_out.is_empty(), "the locals of all were read");
}

#[test]
fn what_another_thread_or_no_loop_gives_back_or_sets_is_recorded() {
    let _watched = watched();
    if is_child() {
        let (lock, event, three) = (Lock::new(), tinyio::Event::new(), Semaphore::new(3));
        let mut looped = Loop::new();
        let run = looped.run(async {
            let guard = lock.acquire().await?;
            let waiter = spawn({
                let event = event.clone();
                async move { event.wait().await }
            });
            yield_now().await?;
            run_in_thread({
                let event = event.clone();
                move || {
                    drop(guard);
                    event.set();
                    tinyio::Ok(())
                }
            })
            .await?;
            waiter.await?;
            tinyio::Ok((three.acquire().await?, three.acquire_many(2).await?))
        });
        let (here, there) = run.unwrap();
        drop(here);
        std::thread::spawn(move || drop(there)).join().unwrap();
        drop(event);
        looped.run(async { yield_now().await }).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "record_traces::what_another_thread_or_no_loop_gives_back_or_sets_is_recorded";
    traced(test, "1", folder.path(), "t.jsonl");
    let events = events_of(&folder.path().join("t.jsonl"));
    let count = |is: fn(&Kind) -> bool| events.iter().filter(|event| is(&event.kind)).count();
    assert_eq!(count(|kind| matches!(kind, Kind::Hold { .. })), 4);
    assert_eq!(count(|kind| matches!(kind, Kind::Release { .. })), 4, "{events:?}");
    assert_eq!(count(|kind| matches!(kind, Kind::Set { set: true, .. })), 1);
    let mut model = Model::new(&Default::default());
    events.iter().for_each(|event| model.apply(event));
    assert!(model.resources().all(|one| one.holders.is_empty()));
}

/// Runs a child with stdout and stderr in files, and gives what is there with the recorded lines.
fn printed(test: &str, mode: &str, output: &str) -> (String, String, Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let status = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("TINYIO_TEST_CHILD", mode)
        .env("TINYIO_TRACE", file("t.jsonl"))
        .env("TINYIO_OUTPUT", output)
        .env("TINYIO_RING_DIR", rings(folder.path()))
        .stdout(std::fs::File::create(file("out")).unwrap())
        .stderr(std::fs::File::create(file("err")).unwrap())
        .status();
    assert_eq!(status.unwrap().code(), Some(if mode == "exit" { 3 } else { 0 }));
    let read = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    (read("out"), read("err"), events_of(&file("t.jsonl")))
}

#[test]
fn what_the_program_prints_to_a_file_reaches_it_and_is_recorded_with_its_time() {
    let _watched = watched();
    let mode = std::env::var("TINYIO_TEST_CHILD");
    if let Ok(mode) = mode.as_deref() {
        let main = async {
            yield_now().await?;
            println!("one");
            eprintln!("two");
            print!("three");
            if mode == "flood" {
                println!();
                (0..50_000).for_each(|line| println!("line {line} of a flood"));
            }
            yield_now().await?;
            if mode == "exit" {
                std::io::Write::flush(&mut std::io::stdout()).unwrap();
                std::process::exit(3);
            }
            println!(" and a half");
            tinyio::Ok(())
        };
        return Loop::new().run(main).unwrap();
    }
    let test = "record_traces::what_the_program_prints_to_a_file_reaches_it_and_is_recorded_with_its_time";
    let lines = |events: &[Event]| -> Vec<(u8, String)> {
        let line = |event: &Event| match &event.kind {
            Kind::Output { stream, text, printed } => {
                assert!(*printed > 0 && *printed <= event.at, "{event:?}");
                Some((*stream, text.clone()))
            }
            _ => None,
        };
        for number in [1, 2] {
            let printed = events.iter().filter_map(|event| match &event.kind {
                Kind::Output { stream, printed, .. } => Some(*printed).filter(|_| *stream == number),
                _ => None,
            });
            assert!(printed.is_sorted(), "in the order printed: {events:?}");
        }
        events.iter().filter_map(line).collect()
    };
    for (mode, third) in [("end", "three and a half"), ("exit", "three")] {
        let (out, err, events) = printed(test, mode, "");
        assert!(out.contains("one\nthree"), "{out}");
        let lines = lines(&events);
        let of = |stream: u8| lines.iter().filter(move |(one, _)| *one == stream).map(|(_, text)| text.as_str());
        // The test harness may print, too.
        assert!(of(1).zip(of(1).skip(1)).any(|pair| pair == ("one", third)), "{mode}: {lines:?}");
        assert!(of(2).any(|text| text == "two") && err.contains("two\n"), "{mode}: {lines:?}");
    }
    assert_eq!(lines(&printed(test, "end", "0").2), []);
    let (out, _, events) = printed(test, "flood", "");
    assert_eq!(out.lines().filter(|line| line.ends_with("of a flood")).count(), 50_000);
    let bytes: usize = lines(&events).iter().map(|(_, text)| text.len()).sum();
    let is_logged = |event: &Event| matches!(&event.kind, Kind::Diag { text, .. } if text.contains("left out here"));
    assert!(bytes < out.len() && events.iter().any(is_logged), "{bytes} of {}", out.len());
    assert!(lines(&events).iter().any(|(_, text)| text == " and a half"), "the end is kept");
}

#[test]
fn a_crash_that_ends_a_program_without_having_been_printed_is_reported_at_its_exit() {
    let _watched = watched();
    const MODES: [(&str, usize); 6] =
        [("unprinted", 1), ("displayed", 1), ("printed", 1), ("handled", 0), ("followed", 0), ("nested", 0)];
    if is_child() {
        let lost = || async { Err::<(), _>(tinyio::Error::from(std::io::Error::other("the page is lost"))) };
        let crash = || Loop::new().run(lost()).expect_err("it fails");
        let mode = std::env::var("TINYIO_TEST_CHILD").unwrap_or_default();
        match mode.as_str() {
            "unprinted" => drop(crash()),
            "displayed" => eprintln!("{}", crash()),
            "printed" => eprintln!("{:?}", crash()),
            "handled" => {
                drop(crash());
                std::process::exit(0);
            }
            "followed" => {
                drop(crash());
                Loop::new().run(async { tinyio::Ok(()) }).expect("it ends");
            }
            _ => Loop::new()
                .run(async {
                    assert!(tinyio::isolate(lost()).await?.is_err());
                    tinyio::Ok(())
                })
                .expect("a crash in it is a value"),
        }
        std::process::exit(3);
    }
    for (mode, reports) in MODES {
        let folder = tempfile::tempdir().unwrap();
        let test = "record_traces::a_crash_that_ends_a_program_without_having_been_printed_is_reported_at_its_exit";
        let output = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env("TINYIO_TEST_CHILD", mode)
            .env("TINYIO_INSPECT", "record")
            .env("TINYIO_RING_DIR", rings(folder.path()))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(if mode == "handled" { 0 } else { 3 }), "{mode}");
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(printed.matches("crashed after").count(), reports, "{mode}: {printed}");
        let ring = discover::rings_in(&rings(folder.path())).unwrap().remove(0).path;
        let hint = format!("the whole run: tinyio-inspector replay {}", ring.display());
        assert_eq!(printed.contains(&hint), reports > 0, "{mode}: {printed}");
    }
}
