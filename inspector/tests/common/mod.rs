//! What the tests of the recorder share: a graph folded naively, random programs that make sense, and any event at all.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

mod graph;
mod kinds;
mod program;
#[path = "../../../src/executor/split_mix.rs"]
mod split_mix;

pub use graph::{Fold, assert_same};
pub use kinds::{emitted, events, kinds};
pub use program::Program;
use tinyio_inspector::event::Event;
use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::ring::Options;
use tinyio_inspector::source::{Progress, Source};

/// A recorder in a folder of its own.
pub fn start(size: u64) -> (tempfile::TempDir, Recorder) {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(&options(folder.path(), size)).unwrap();
    (folder, recorder)
}

pub fn options(folder: &std::path::Path, size: u64) -> Options {
    Options { size, folder: Some(folder.join("rings")), program: Some("test".into()) }
}

/// All there is to read now.
pub fn drain(source: &mut dyn Source) -> (Vec<Event>, Progress) {
    let mut events = vec![];
    loop {
        match source.read(1000, &mut |event| events.push(event)).unwrap() {
            Progress::More => {}
            progress => return (events, progress),
        }
    }
}

/// Random numbers, the same for the same seed.
#[derive(Clone)]
pub struct Dice(split_mix::SplitMix64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(split_mix::SplitMix64(seed))
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0.next() % sides
    }
}
