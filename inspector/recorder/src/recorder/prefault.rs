//! The memory of a ring is made present by a thread of its own, ahead of the recorder.
//!
//! The first store to a page of a file costs half a µs to two: the system finds it a place in memory and fills it with
//! zeros. For the 128 records on it that is up to as much again as they cost themselves. Only the first round of the
//! ring has it, and it need not be the loop that waits for it. Where the thread is behind, or there is none, the loop's
//! stores do it, one page at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::ring::Ring;
use tinyio_events::threads;

/// Records made present at once: 256 KiB.
const CHUNK: u64 = 8192;
/// How far the thread keeps ahead, so that a program that records little does not take up all of the ring: 4 MiB.
const LEAD: u64 = 16 * CHUNK;
/// Records after which the thread is woken: to wake it takes a call of the system.
const PACE: u64 = 4 * CHUNK;

/// The thread. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Ahead {
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    records: u64,
    due: u64,
}

#[derive(Debug)]
struct Shared {
    /// Up to where it is to go.
    until: AtomicU64,
    stop: AtomicBool,
}

impl Ahead {
    pub(super) fn start(ring: &Ring) -> Option<Ahead> {
        #[cfg(target_os = "linux")]
        if tinyio_events::sandbox::is_filtered() {
            return None; // It could make no page present.
        }
        let shared = Arc::new(Shared { until: AtomicU64::new(LEAD), stop: AtomicBool::new(false) });
        let (ring, here, records) = (ring.clone(), shared.clone(), ring.records());
        let work = move || {
            let mut present = 0;
            while present < records && !here.stop.load(Ordering::Acquire) {
                if present < here.until.load(Ordering::Relaxed) {
                    ring.populate(present, present + CHUNK);
                    present += CHUNK;
                } else {
                    std::thread::park();
                }
            }
        };
        let thread = threads::spawn("tinyio ring", threads::SMALL, work).ok()?;
        Some(Ahead { thread: Some(thread), shared, records, due: PACE })
    }

    /// The head at which it is woken to continue.
    pub(super) fn due(&self) -> u64 {
        self.due
    }

    /// The recorder has come to `head`, and may write `more` records at once.
    pub(super) fn go_on(&mut self, head: u64, more: u64) {
        let until = head + LEAD + more;
        self.due = if until < self.records { head + PACE } else { u64::MAX };
        self.shared.until.fetch_max(until, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// In a forked child there is no such thread.
    pub(super) fn forget(mut self) {
        // Not even its handle can be dropped, which would tell the system.
        std::mem::forget(self.thread.take());
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
