//! Recorded programs: this one again, at one of its tests.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tinyio::sleep;
use tinyio_inspector::discover;
use tinyio_inspector::event::{Event, Kind, Stack};
use tinyio_inspector::model::Model;
use tinyio_inspector::ring::{Request, RingReader};
use tinyio_inspector::source::{Progress, Source};

pub const LONG: Duration = Duration::from_secs(3600);

/// The time after which nothing is expected to come.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// This program again, recorded, at one of its tests; killed when it is dropped.
pub struct Recorded {
    pub child: Child,
    pub folder: tempfile::TempDir,
}

impl Recorded {
    pub fn start(test: &str) -> Recorded {
        Recorded::in_ring(test, "64K")
    }

    pub fn in_ring(test: &str, size: &str) -> Recorded {
        Recorded::with(test, &[("TINYIO_RING", size)])
    }

    pub fn with(test: &str, variables: &[(&str, &str)]) -> Recorded {
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
    pub fn read<const N: usize>(&self, blocks: &str, names: [&str; N]) -> [Stack; N] {
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

    pub fn succeeds(mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    /// Reads its ring until something is found.
    pub fn read_until<R>(&self, mut reader: Option<RingReader>, mut find: impl FnMut(&Model, &Kind) -> Option<R>) -> R {
        let end = Instant::now() + TIMEOUT;
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
        panic!("nothing came in {TIMEOUT:?}")
    }

    /// The frames of the first coroutine that waits for something like this, requested while all coroutines sleep.
    pub fn ask(&self, of: &str, is_asleep: fn(&Model) -> bool) -> Stack {
        let wanted = self.read_until(None, |model, _| {
            let coro = model.live().find(|coro| model.full_name(coro.id).ends_with(of))?.id;
            is_asleep(model).then_some(coro)
        });
        self.ask_again(wanted.into())
    }

    /// The frames that are recorded from now on.
    pub fn ask_again(&self, request: Request) -> Stack {
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

pub fn rings(folder: &Path) -> std::path::PathBuf {
    folder.join("rings")
}

pub fn frames(stack: &Stack) -> Vec<&str> {
    let names = stack.frames.iter().filter(|frame| !frame.hidden);
    names.map(|frame| frame.function.rsplit("::").next().unwrap_or_default()).collect()
}

pub async fn sleeper(nights: u32) -> tinyio::Result<u32> {
    sleep(LONG * nights).await?;
    Ok(nights)
}

pub fn parked(model: &Model) -> bool {
    model.loops().all(|one| one.parked.is_some())
}

/// All events of a trace.
pub fn events_of(trace: &Path) -> Vec<Event> {
    let mut source = tinyio_inspector::trace::open(trace).unwrap();
    let mut events = Vec::new();
    while source.read(1000, &mut |event| events.push(event)).unwrap() == Progress::More {}
    events
}

pub async fn fails() -> tinyio::Result<()> {
    Err(std::io::Error::other("enough").into())
}
