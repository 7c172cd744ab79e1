//! What a recording does to a loop.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tinyio::{Loop, sleep, spawn};
use tinyio_inspector::discover;
use tinyio_inspector::event::{Kind, Stack, State, Target};
use tinyio_inspector::model::Model;
use tinyio_inspector::ring::RingReader;
use tinyio_inspector::source::Source;

use crate::check::{is_child, watched};

const LONG: Duration = Duration::from_secs(3600);
/// When it is clear that nothing will come.
const PATIENCE: Duration = Duration::from_secs(60);

/// This program again, recorded, at one of its tests; killed when it is dropped.
struct Recorded {
    child: Child,
    folder: tempfile::TempDir,
}

impl Recorded {
    fn start(test: &str) -> Recorded {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--test-threads=1"])
            .env("TINYIO_TEST_CHILD", "1")
            .env("TINYIO_INSPECT", "record")
            .env("TINYIO_RING_DIR", rings(folder.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Recorded { child, folder }
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

    /// The frames of the first coroutine that waits on something like this, asked for while everybody sleeps.
    fn ask(&self, of: &str, is_asleep: fn(&Model) -> bool) -> Stack {
        let wanted = self.read_until(None, |model, _| {
            let coro = model.live().find(|coro| model.full_name(coro.id).ends_with(of))?.id;
            is_asleep(model).then_some(coro)
        });
        let rings = discover::rings_in(&rings(self.folder.path())).unwrap();
        let reader = RingReader::open(&rings[0].path).unwrap();
        reader.ask_frames(wanted).unwrap();
        self.read_until(Some(reader), |_, kind| match kind {
            Kind::Frames { coro, stack } if *coro == wanted => Some(stack.clone()),
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
