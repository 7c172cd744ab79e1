//! The memory of a ring is made present by a thread of its own, ahead of the recorder.
//!
//! The first store to a page of a file costs half a µs to two: the system finds it a place in memory and fills it with zeros. For the 128
//! records on it that is up to as much again as they cost themselves. Only the first round of the ring has it, and it need not be the loop that
//! waits for it. Where the thread is behind, or there is none, the loop's stores do it, one page at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use crate::ring::{HEAD, Ring};

/// Records made present at once: 256 KiB.
const CHUNK: u64 = 8192;
/// How far the thread keeps ahead, so that a program that records little does not take up all of the ring: 4 MiB.
const LEAD: u64 = 16 * CHUNK;

/// The thread. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Ahead {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    records: u64,
    due: u64,
}

impl Ahead {
    pub(super) fn start(ring: &Ring) -> Option<Ahead> {
        let stop = Arc::new(AtomicBool::new(false));
        let (ring, stopped, records) = (ring.clone(), stop.clone(), ring.records());
        let work = move || {
            let mut present = 0;
            while present < records && !stopped.load(Ordering::Acquire) {
                if present < ring.word(HEAD).load(Ordering::Relaxed) + LEAD {
                    ring.populate(present, present + CHUNK);
                    present += CHUNK;
                } else {
                    std::thread::park();
                }
            }
        };
        let thread = Builder::new().name("tinyio ring".to_owned()).stack_size(64 << 10).spawn(work).ok()?;
        Some(Ahead { thread: Some(thread), stop, records, due: CHUNK })
    }

    /// At which head it is to be told to go on.
    pub(super) fn due(&self) -> u64 {
        self.due
    }

    /// The recorder has come to `head`.
    pub(super) fn go_on(&mut self, head: u64) {
        self.due = if head + LEAD < self.records { head + CHUNK } else { u64::MAX };
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// In a forked child there is no such thread.
    pub(super) fn forget(mut self) {
        self.thread = None;
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
