//! The effects of a recording on a loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, alarm, execv, fork};
use tinyio::{Lock, Loop, Semaphore, coro, gather, isolate, run_in_thread, sleep, spawn, timeout, yield_now};
use tinyio_inspector::discover;
use tinyio_inspector::event::{Event, Kind, Stack, State, Target};
use tinyio_inspector::model::{Model, short_name};
use tinyio_inspector::ring::{Request, RingReader};
use tinyio_inspector::source::{Progress, Source};

use crate::check::{is_child, watched};

const LONG: Duration = Duration::from_secs(3600);
/// The time after which nothing is expected to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// This program again, recorded, at one of its tests; killed when it is dropped.
struct Recorded {
    child: Child,
    folder: tempfile::TempDir,
}

impl Recorded {
    fn start(test: &str) -> Recorded {
        Recorded::in_ring(test, "64K")
    }

    fn in_ring(test: &str, size: &str) -> Recorded {
        Recorded::with(test, &[("TINYIO_RING", size)])
    }

    fn with(test: &str, variables: &[(&str, &str)]) -> Recorded {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--test-threads=1"])
            .env("TINYIO_TEST_CHILD", "1")
            .env("TINYIO_INSPECT", "record")
            .envs(variables.iter().copied())
            .env("TINYIO_RING_DIR", rings(folder.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Recorded { child, folder }
    }

    /// The frames of the coroutines with these names, read from outside while one blocks the loop in its second step.
    fn read<const N: usize>(&self, blocks: &str, names: [&str; N]) -> [Stack; N] {
        let mut steps = 0;
        let ids = self.read_until(None, |model, kind| {
            let of = |name: &str| Some(model.live().find(|coro| model.full_name(coro.id).ends_with(name))?.id);
            let blocking = of(blocks);
            steps += matches!(kind, Kind::StepBegin { coro } if Some(*coro) == blocking) as u32;
            (steps == 2).then(|| names.map(|name| of(name).expect("it lives")))
        });
        let rings = discover::rings_in(&rings(self.folder.path())).unwrap();
        let mut reader = RingReader::open(&rings[0].path).unwrap();
        let mut frames = None;
        ids.map(|id| {
            let stack = tinyio_inspector::outside::stack(&mut reader, &mut frames, id);
            stack.expect("nothing happens meanwhile").expect("its memory can be read")
        })
    }

    fn succeeds(mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    /// Reads its ring until something is found.
    fn read_until<R>(&self, mut reader: Option<RingReader>, mut find: impl FnMut(&Model, &Kind) -> Option<R>) -> R {
        let end = Instant::now() + PATIENCE;
        let mut model = reader.as_ref().map(|reader| Model::new(reader.header()));
        while Instant::now() < end {
            let Some(reader) = &mut reader else {
                let rings = discover::rings_in(&rings(self.folder.path())).unwrap_or_default();
                reader = rings.first().and_then(|ring| RingReader::open(&ring.path).ok());
                model = reader.as_ref().map(|reader| Model::new(reader.header()));
                continue;
            };
            let model = model.as_mut().expect("made with the reader");
            let mut found = None;
            let read = reader.read(1000, &mut |event| {
                model.apply(&event);
                found = found.take().or_else(|| find(model, &event.kind));
            });
            read.unwrap();
            if let Some(found) = found {
                return found;
            }
            std::thread::yield_now();
        }
        panic!("nothing came in {PATIENCE:?}")
    }

    /// The frames of the first coroutine that waits for something like this, requested while all coroutines sleep.
    fn ask(&self, of: &str, is_asleep: fn(&Model) -> bool) -> Stack {
        let wanted = self.read_until(None, |model, _| {
            let coro = model.live().find(|coro| model.full_name(coro.id).ends_with(of))?.id;
            is_asleep(model).then_some(coro)
        });
        self.ask_again(wanted.into())
    }

    /// The frames that are recorded from now on.
    fn ask_again(&self, request: Request) -> Stack {
        let rings = discover::rings_in(&rings(self.folder.path())).unwrap();
        let mut reader = RingReader::open(&rings[0].path).unwrap();
        // Frames that were recorded before are no answer.
        while reader.read(1000, &mut |_| ()).unwrap() == Progress::More {}
        reader.ask_frames(request).unwrap();
        self.read_until(Some(reader), |_, kind| match kind {
            Kind::Frames { coro, stack } if *coro == request.coro => Some(stack.clone()),
            _ => None,
        })
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rings(folder: &Path) -> std::path::PathBuf {
    folder.join("rings")
}

fn frames(stack: &Stack) -> Vec<&str> {
    let names = stack.frames.iter().filter(|frame| !frame.hidden);
    names.map(|frame| frame.function.rsplit("::").next().unwrap_or_default()).collect()
}

async fn sleeper(nights: u32) -> tinyio::Result<u32> {
    sleep(LONG * nights).await?;
    Ok(nights)
}

fn parked(model: &Model) -> bool {
    model.loops().all(|one| one.parked.is_some())
}

#[test]
fn a_loop_that_sleeps_answers_who_asks_for_frames() {
    let _watched = watched();
    if is_child() {
        Loop::new().run(sleeper(1)).unwrap();
        return;
    }
    let program = Recorded::start("record::a_loop_that_sleeps_answers_who_asks_for_frames");
    let stack = program.ask("sleeper", parked);
    assert_eq!(frames(&stack), ["sleeper"], "{stack:?}");
    assert_eq!(stack.frames[0].locals[0].value.text, "1", "{stack:?}");
}

async fn with_much(numbers: Vec<u64>) -> tinyio::Result<usize> {
    sleep(LONG).await?;
    Ok(numbers.len())
}

struct Iban(String);

async fn pays(iban: String, boxed: Box<Iban>, visible: u32) -> tinyio::Result<usize> {
    sleep(LONG).await?;
    Ok(iban.len() + boxed.0.len() + visible as usize)
}

#[test]
fn further_names_of_secrets_are_masked_for_readers_that_do_not_know_them() {
    let _watched = watched();
    const TEST: &str = "record::further_names_of_secrets_are_masked_for_readers_that_do_not_know_them";
    if is_child() {
        let asleep = pays("GB33".to_owned(), Box::new(Iban("GB33".to_owned())), 7);
        Loop::new().run(async { gather((stuck(vec![]), asleep)).await.map(drop) }).unwrap();
        return;
    }
    let shown = |stack: &Stack| {
        let locals = stack.frames[0].locals.iter();
        locals.map(|local| (local.name.clone(), local.value.text.clone())).collect::<BTreeMap<_, _>>()
    };
    let masked = [("boxed", "<masked>"), ("iban", "<masked>"), ("visible", "7")];
    let masked = BTreeMap::from(masked.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let program = Recorded::with(TEST, &[("TINYIO_SECRETS", "iban")]);
    // This process has no such variable.
    let [outside] = program.read("::stuck", ["::pays"]);
    assert_eq!(shown(&outside), masked);
    // More names than can be passed to readers: they read no values.
    let many =
        (0..200_u32).map(|n| format!("name{}", "abcdefghij".repeat(2) + &letters(n))).collect::<Vec<_>>().join(",");
    let program = Recorded::with(TEST, &[("TINYIO_SECRETS", &many)]);
    let [outside] = program.read("::stuck", ["::pays"]);
    assert!(outside.frames[0].locals.is_empty() && !frames(&outside).is_empty(), "{outside:?}");
}

fn letters(number: u32) -> String {
    number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

#[test]
fn who_asks_for_frames_in_full_gets_more_of_each_value() {
    let _watched = watched();
    if is_child() {
        Loop::new().run(with_much((0..500).collect())).unwrap();
        return;
    }
    let program = Recorded::in_ring("record::who_asks_for_frames_in_full_gets_more_of_each_value", "4M");
    let usual = program.ask("with_much", parked);
    let numbers = |stack: &Stack| stack.frames[0].locals[0].value.children.len();
    assert!((1..500).contains(&numbers(&usual)), "{usual:?}");
    let in_full = program.ask_again(Request { coro: 1, in_full: true });
    assert_eq!(numbers(&in_full), 500, "{in_full:?}");
    assert_eq!(in_full.frames[0].locals[0].value.children[499].1.text, "499");
    assert_eq!(program.ask_again(1.into()), usual, "only that once");
}

/// Blocked until a line is written to stdin.
async fn stuck(words: Vec<String>) -> tinyio::Result<usize> {
    yield_now().await?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    sleep(Duration::ZERO).await?;
    Ok(words.len() + line.len())
}

async fn waits(on: tinyio::Coro<u32>, password: &str) -> tinyio::Result<usize> {
    // The clone is moved into the await, and `on` stays.
    Ok(on.clone().await? as usize + password.len())
}

#[test]
fn while_a_coroutine_blocks_its_loop_frames_are_read_from_outside() {
    let _watched = watched();
    if is_child() {
        let inner = async {
            let asleep = spawn(sleeper(7));
            let words = ["a", "b"].map(String::from).to_vec();
            gather((stuck(words), waits(asleep.clone(), "1234"))).await?;
            tinyio::Ok(())
        };
        // A coroutine in a loop that encloses the blocked one.
        let outer = gather((sleeper(8), isolate(inner)));
        Loop::new().run(async { outer.await.map(drop) }).unwrap();
        return;
    }
    let program = Recorded::start("record::while_a_coroutine_blocks_its_loop_frames_are_read_from_outside");
    let [asleep, waits, stuck] = program.read("::stuck", ["::sleeper", "::waits", "::stuck"]);
    let values = |stack: &Stack| {
        let locals = stack.frames[0].locals.iter();
        locals.map(|local| (local.name.clone(), local.value.text.clone(), local.mark.clone())).collect::<Vec<_>>()
    };
    let value = |name: &str, text: &str, mark: &str| (name.to_owned(), text.to_owned(), mark.to_owned());
    // Of the two, the outer one: it came first.
    assert_eq!((frames(&asleep), values(&asleep)), (vec!["sleeper"], vec![value("nights", "8", "")]));
    assert_eq!(frames(&waits), ["waits"], "{waits:?}");
    let password = waits.frames[0].locals.iter().find(|local| local.name == "password");
    assert_eq!(password.unwrap().value.text, "<masked>");
    let on = waits.frames[0].locals.iter().find(|local| local.name == "on").unwrap();
    assert!(on.value.coro > 0, "a link to the other: {on:?}");
    assert!(stuck.mid_step && !waits.mid_step, "{stuck:?}");
    assert_eq!(values(&stuck), [value("words", r#"["a", "b"]"#, "mid-step")]);
    assert!(stuck.frames[0].source.iter().any(|(_, line)| line.contains("yield_now().await?")), "{stuck:?}");
}

#[test]
fn a_loop_that_its_host_drives_answers_who_asks_for_frames() {
    let _watched = watched();
    if is_child() {
        pollster::block_on(async { Loop::new().drive(sleeper(2)).await.map(drop) }).unwrap();
        return;
    }
    let program = Recorded::start("record::a_loop_that_its_host_drives_answers_who_asks_for_frames");
    let stack = program.ask("sleeper", |model| {
        model
            .live()
            .all(|coro| coro.state() == State::Waiting && coro.waits().any(|(on, _)| matches!(on, Target::Timer(_))))
    });
    assert_eq!(frames(&stack), ["sleeper"], "{stack:?}");
}

#[test]
fn the_frames_of_an_outer_loop_are_answered_while_an_inner_one_sleeps() {
    let _watched = watched();
    if is_child() {
        let main = async {
            spawn(sleeper(3));
            tinyio::yield_now().await?;
            tinyio::Ok(Loop::new().run(async { Ok::<_, tinyio::Error>(sleep(LONG).await?) })?)
        };
        Loop::new().run(main).unwrap();
        return;
    }
    let program = Recorded::start("record::the_frames_of_an_outer_loop_are_answered_while_an_inner_one_sleeps");
    let stack =
        program.ask("sleeper", |model| model.loops().count() == 2 && model.loops().any(|one| one.parked.is_some()));
    assert_eq!(frames(&stack), ["sleeper"], "{stack:?}");
}

#[test]
fn a_coroutine_that_nobody_awaits_is_told_of_but_not_one_that_a_cancellation_drops() {
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
    let recorded =
        Recorded::start("record::a_coroutine_that_nobody_awaits_is_told_of_but_not_one_that_a_cancellation_drops");
    let found = recorded.read_until(None, |model, _| {
        let sleeps = model.loops().any(|one| one.parent == 0 && one.parked.is_some());
        sleeps.then(|| tinyio_inspector::lint::check(model, model.now())).filter(|found| !found.is_empty())
    });
    let found: Vec<_> = found.iter().filter(|lint| lint.check == "never-awaited").map(|lint| &lint.text).collect();
    assert!(matches!(found[..], [text] if text.contains("sleeper at tests/it/record.rs:")), "{found:?}");
}

async fn fails() -> tinyio::Result<()> {
    Err(std::io::Error::other("enough").into())
}

async fn naps() -> tinyio::Result<()> {
    std::thread::sleep(Duration::from_millis(30));
    Ok(())
}

/// Reading debug info for the first error takes longer than a step may.
#[test]
fn a_step_that_sleeps_is_blamed_for_it_but_not_one_in_which_frames_were_read() {
    let _watched = watched();
    if is_child() {
        let _ = Loop::new().run(async {
            assert!(isolate(fails()).await?.is_err());
            coro(naps()).await?;
            sleep(LONG).await
        });
        return;
    }
    let recorded = Recorded::start("record::a_step_that_sleeps_is_blamed_for_it_but_not_one_in_which_frames_were_read");
    let blamed = recorded.read_until(None, |model, _| {
        let sleeps = model.loops().any(|one| one.parent == 0 && one.parked.is_some_and(|(_, until)| until.is_some()));
        let blamed = || tinyio_inspector::lint::check(model, model.now()).into_iter().map(|lint| lint.text);
        sleeps.then(|| blamed().filter(|text| text.contains("kept the loop")).collect::<Vec<_>>())
    });
    assert!(matches!(&blamed[..], [text] if text.starts_with("naps")), "{blamed:?}");
}

#[test]
fn the_time_in_which_frames_are_read_is_told_of_the_step_and_between_two_steps() {
    let _watched = watched();
    if is_child() {
        let _ = Loop::new().run(async {
            assert!(isolate(fails()).await?.is_err());
            sleep(LONG).await
        });
        return;
    }
    let recorded =
        Recorded::start("record::the_time_in_which_frames_are_read_is_told_of_the_step_and_between_two_steps");
    let (mut in_step, mut between) = (0, 0);
    recorded.read_until(None, |model, kind| {
        if let Kind::Away { coro, nanos } = kind {
            let is_failing = model.full_name(*coro).ends_with("fails");
            *(if is_failing { &mut in_step } else { &mut between }) += nanos;
            assert!(is_failing || *coro == 0, "{}", model.label(*coro));
        }
        (in_step > 0 && between > 0).then_some(())
    });
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
                let test = "record::a_program_that_exits_leaves_a_whole_trace_and_is_not_dead";
                traced(test, mode, folder.path(), "trace.jsonl");
                let end = end_of(&folder.path().join("trace.jsonl"));
                assert_eq!(end, (Progress::Ended, alive, crashed), "{mode}");
            }
            let rings = discover::rings_in(&rings(folder.path())).unwrap();
            assert!(rings.iter().all(|ring| ring.state == discover::State::Ended), "{rings:?}");
        }
    }
}

/// Calls itself until the stack is full.
fn overflows(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { overflows(depth + 1) + std::hint::black_box(frame)[3] }
}

async fn dies(how: String) -> tinyio::Result<()> {
    match how.as_str() {
        "abort" => std::process::abort(),
        "exec" => panic!("{}", std::os::unix::process::CommandExt::exec(&mut Command::new("true"))),
        _ => println!("{}", overflows(0)),
    }
    Ok(())
}

#[test]
fn a_program_that_dies_within_a_step_is_recorded_up_to_it_and_its_trace_has_no_end() {
    let _watched = watched();
    if let Ok(how) = std::env::var("TINYIO_TEST_CHILD") {
        let _ = Loop::new().run(async {
            spawn(sleeper(1));
            yield_now().await?;
            let trace = std::env::var_os("TINYIO_TRACE").unwrap();
            while !std::fs::read_to_string(&trace).unwrap().contains("sleeper") {
                std::thread::yield_now();
            }
            coro(dies(how)).await
        });
        return;
    }
    for how in ["abort", "overflow", "exec"] {
        let folder = tempfile::tempdir().unwrap();
        let test = "record::a_program_that_dies_within_a_step_is_recorded_up_to_it_and_its_trace_has_no_end";
        let said = traced(test, how, folder.path(), "trace.jsonl");
        assert_eq!(said.contains("has overflowed its stack"), how == "overflow", "{said}");
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
        let states = [state("dies"), state("sleeper")];
        assert_eq!(states, [Some(State::Running), Some(State::Waiting)], "{how}");
        assert_eq!(model.live_count(), 3, "{how}");
    }
}

#[test]
fn a_program_that_starts_others_and_forks_is_recorded_to_its_end() {
    let _watched = watched();
    let test = "record::a_program_that_starts_others_and_forks_is_recorded_to_its_end";
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
    let said = traced(test, "outer", folder.path(), "t-{pid}.jsonl");
    let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let traces: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    assert_eq!(traces.len(), 2, "{traces:?} {said}");
    for trace in traces {
        assert_eq!(end_of(&trace), (Progress::Ended, 0, false), "{trace:?} {said}");
    }
    let rings = discover::rings_in(&rings(folder.path())).unwrap();
    assert!(rings.len() == 2 && rings.iter().all(|ring| ring.state == discover::State::Ended), "{rings:?}");
}

#[test]
fn two_loops_with_one_trace_write_two_and_say_so() {
    let _watched = watched();
    if is_child() {
        let run = || Loop::new().run(async { yield_now().await }).unwrap();
        run();
        std::thread::spawn(run).join().unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let said = traced("record::two_loops_with_one_trace_write_two_and_say_so", "1", folder.path(), "t-{pid}.jsonl");
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("tinyio: ")).collect();
    assert!(matches!(&lines[..], [line] if line.contains(".2.jsonl")), "{said}");
    let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let traces: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    assert_eq!(traces.len(), 2, "{traces:?}");
    for trace in traces {
        assert!(!trace.to_string_lossy().contains("{pid}"), "{trace:?}");
        assert_eq!(end_of(&trace), (Progress::Ended, 0, false));
    }
}

/// All events of a trace.
fn events_of(trace: &Path) -> Vec<Event> {
    let mut source = tinyio_inspector::trace::open(trace).unwrap();
    let mut events = Vec::new();
    while source.read(1000, &mut |event| events.push(event)).unwrap() == Progress::More {}
    events
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
    let test = "record::of_very_many_coroutines_frames_are_read_of_those_that_awaited_the_failed_one_and_one_of_each_type_first";
    traced_with(test, "1", folder.path(), "t.jsonl", &[("TINYIO_RING", "64M"), ("TINYIO_LOCALS", "0")]);
    let (mut model, mut read, mut left_out) = (Model::new(&Default::default()), Vec::new(), None);
    for event in events_of(&folder.path().join("t.jsonl")) {
        model.apply(&event);
        match event.kind {
            Kind::Frames { coro, .. } => read.push(short_name(model.full_name(coro)).to_owned()),
            Kind::Diag { text, .. } if text.contains("were left out") => left_out = Some(text),
            _ => {}
        }
    }
    let at = |name: &str| read.iter().position(|one| one == name).unwrap_or_else(|| panic!("no frames of {name}"));
    assert!(at("awaits_failing") < at("only_one").min(at("one_of_many")), "{:?}", &read[..4]);
    assert!(at("only_one") < 4, "{:?}", &read[..4]);
    // Those that have awaited the failed one and one of each type are among them.
    let many = read.iter().filter(|name| *name == "one_of_many").count();
    let text = left_out.expect("a note of what was left out");
    assert!(text.starts_with(&format!("the frames of {} coroutines were left out", MANY - many)), "{text}");
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
    let test = "record::what_another_thread_or_no_loop_gives_back_or_sets_is_recorded";
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
    let test = "record::what_the_program_prints_to_a_file_reaches_it_and_is_recorded_with_its_time";
    let lines = |events: &[Event]| -> Vec<(u8, String)> {
        let line = |event: &Event| match &event.kind {
            Kind::Output { stream, text, printed } => {
                assert!(*printed > 0 && *printed <= event.at, "{event:?}");
                Some((*stream, text.clone()))
            }
            _ => None,
        };
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
    let is_said = |event: &Event| matches!(&event.kind, Kind::Diag { text, .. } if text.contains("left out here"));
    assert!(bytes < out.len() && events.iter().any(is_said), "{bytes} of {}", out.len());
    assert!(lines(&events).iter().any(|(_, text)| text == " and a half"), "the end is kept");
}

#[test]
fn a_coroutine_that_blocks_is_seen_running_and_the_others_as_they_are() {
    let _watched = watched();
    if is_child() {
        let main = async {
            spawn(sleeper(1));
            yield_now().await?;
            // Nothing is recorded from here on.
            loop {
                std::thread::park();
            }
            #[allow(unreachable_code, reason = "its type")]
            tinyio::Ok(())
        };
        Loop::new().run(main).unwrap();
    }
    let program = Recorded::start("record::a_coroutine_that_blocks_is_seen_running_and_the_others_as_they_are");
    program.read_until(None, |model, _| {
        let state = |id| model.coro(id).map(|coro| (coro.state(), coro.steps));
        let main = (1..=2).find(|id| !model.full_name(*id).ends_with("sleeper"))?;
        (state(main) == Some((State::Running, 2)) && state(3 - main) == Some((State::Waiting, 1))).then_some(())
    });
}

/// The content of a graph as text, for comparison.
fn said(model: &Model) -> BTreeMap<String, String> {
    let coros = model.live().map(|coro| {
        let waits: BTreeMap<_, _> = coro.waits().collect();
        let what = (coro.in_loop, coro.parent, coro.name, coro.site, coro.state(), coro.since, coro.thread);
        (format!("coroutine {}", coro.id), format!("{what:?} waits {waits:?} holds {:?}", coro.holds))
    });
    let loops = model.loops().filter(|one| one.ended.is_none()).map(|one| {
        (
            format!("loop {}", one.id),
            format!("{:?}", (one.parent, one.mode, one.since, one.parked, one.cancel.is_some())),
        )
    });
    let threads = model.threads().map(|one| (format!("thread {}", one.id), format!("{one:?}")));
    let resources = model.resources().map(|one| {
        let waiters: Vec<_> = one.waiters.iter().map(|(id, ())| id).collect();
        let what = (one.what, one.size, one.site, one.since, one.set, &one.holders);
        (format!("resource {}", one.id), format!("{what:?} awaited by {waiters:?}"))
    });
    coros.chain(loops).chain(threads).chain(resources).collect()
}

/// Folds what is recorded, and at each checkpoint what that contains alone.
struct Checker {
    reader: RingReader,
    whole: Model,
    alone: Option<Model>,
    compared: u32,
}

impl Checker {
    fn of_this_process() -> Checker {
        let folder = std::env::var_os("TINYIO_RING_DIR").expect("the parent has set it");
        let ring = discover::rings_in(Path::new(&folder)).unwrap().remove(0);
        let reader = RingReader::open(&ring.path).unwrap();
        Checker { whole: Model::new(reader.header()), reader, alone: None, compared: 0 }
    }

    fn check(&mut self) {
        let Checker { reader, whole, alone, compared } = self;
        let header = reader.header().clone();
        let mut see = |event: Event| {
            assert!(!matches!(event.kind, Kind::Lost { .. }), "the ring is read after each turn");
            whole.apply(&event);
            if let Kind::Checkpoint { left_out, .. } = event.kind {
                assert_eq!(left_out, 0);
                *alone = Some(Model::new(&header));
            }
            if let Some(model) = alone {
                model.apply(&event);
            }
            if matches!(event.kind, Kind::CheckpointEnd {}) {
                let (alone, whole) = (said(&alone.take().expect("it began")), said(whole));
                for (what, is) in &whole {
                    assert_eq!(alone.get(what), Some(is), "{what}, at checkpoint {compared}");
                }
                assert_eq!(alone.len(), whole.len(), "at checkpoint {compared}");
                *compared += 1;
            }
        };
        while reader.read(1000, &mut see).unwrap() == Progress::More {}
    }
}

/// Does something random, for this many turns.
async fn wander(seed: u64, turns: u32, lock: Lock, semaphore: Semaphore, event: tinyio::Event) -> tinyio::Result<()> {
    let mut random = seed;
    let mut roll = move |sides: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % sides
    };
    for _ in 0..turns {
        match roll(12) {
            0 | 1 => yield_now().await?,
            2 => sleep(Duration::from_millis(roll(5))).await?,
            3 => {
                let _held = lock.acquire().await?;
                yield_now().await?;
            }
            4 => {
                let _held = semaphore.acquire().await?;
                sleep(Duration::from_millis(1 + roll(3))).await?;
            }
            5 => drop(event.wait_timeout(Duration::from_millis(1 + roll(9))).await?),
            6 => event.set(),
            7 => event.clear(),
            8 => {
                let child = |ms| async move { Ok::<_, tinyio::Error>(sleep(Duration::from_millis(ms)).await?) };
                gather([child(roll(4)), child(roll(4)), child(roll(9))]).await?;
            }
            9 => {
                let (a, b) = (roll(5), roll(5));
                let shared = spawn(async move { Ok::<_, tinyio::Error>(sleep(Duration::from_millis(a)).await?) });
                let other = shared.clone();
                drop(spawn(async move { Ok::<_, tinyio::Error>(other.await?) }));
                sleep(Duration::from_millis(b)).await?;
                shared.await?;
            }
            10 => {
                let nap = async { Ok::<_, tinyio::Error>(sleep(Duration::from_millis(2)).await?) };
                timeout(Duration::from_millis(1 + roll(3)), nap).await?.ok();
            }
            _ => {
                let inside = async {
                    gather([yield_now(), yield_now()]).await?;
                    Err::<(), _>(tinyio::Error::msg("inside"))
                };
                isolate(inside).await?.unwrap_err();
            }
        }
    }
    Ok(())
}

#[test]
fn each_checkpoint_of_a_run_says_what_the_events_before_it_say() {
    let _watched = watched();
    if !is_child() {
        return Recorded::start("record::each_checkpoint_of_a_run_says_what_the_events_before_it_say").succeeds();
    }
    let main = async {
        let (lock, semaphore, event) = (Lock::new(), Semaphore::new(2), tinyio::Event::new());
        let wanderers: Vec<_> =
            (0..24).map(|seed| spawn(wander(seed, 60, lock.clone(), semaphore.clone(), event.clone()))).collect();
        let threads = gather((0..8).map(|n| run_in_thread(move || tinyio::Ok(n))).collect::<Vec<_>>());
        let mut checker = Checker::of_this_process();
        let all = spawn(async move {
            gather(wanderers).await?;
            tinyio::Ok(threads.await?)
        });
        let done = tinyio::Event::new();
        let is_done = {
            let (done, all) = (done.clone(), all.clone());
            spawn(async move {
                all.await?;
                done.set();
                tinyio::Ok(())
            })
        };
        while !done.is_set() {
            checker.check();
            sleep(Duration::from_micros(1)).await?;
            yield_now().await?;
        }
        is_done.await?;
        assert!(checker.compared >= 5, "only {} checkpoints", checker.compared);
        all.await
    };
    Loop::new().virtual_time().run(main).unwrap();
}
