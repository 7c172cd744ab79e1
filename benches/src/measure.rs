//! Clocks, memory and medians.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment, by one of three clocks.
#[derive(Clone, Copy)]
pub struct Start(ClockId, Duration);

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// CPU time of this thread: for work that never waits, so that nothing else on the machine is measured.
pub fn busy() -> Start {
    Start(ClockId::ThreadCPUTime, read(ClockId::ThreadCPUTime))
}

/// CPU time of all threads: for work that waits, when the waiting is free.
pub fn cpu() -> Start {
    Start(ClockId::ProcessCPUTime, read(ClockId::ProcessCPUTime))
}

/// What a clock on the wall shows: for work that goes to and fro between threads.
pub fn wall() -> Start {
    Start(ClockId::Monotonic, read(ClockId::Monotonic))
}

impl Start {
    /// Nanoseconds per operation, of which there were so many since.
    pub fn per(self, operations: u64) -> f64 {
        (read(self.0) - self.1).as_nanos() as f64 / operations as f64
    }
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The system's allocator, which counts the bytes asked for and not given back while [`live_bytes`] runs. Otherwise it costs
/// one load that is predicted.
struct Counting;

static COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: usize, sign: isize) {
    if COUNTING.load(Ordering::Relaxed) {
        LIVE.fetch_add(sign * bytes as isize, Ordering::Relaxed);
    }
}

// SAFETY: everything is the system allocator's doing; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Starts counting from nothing.
pub fn count_bytes() {
    LIVE.store(0, Ordering::Relaxed);
    COUNTING.store(true, Ordering::Relaxed);
}

/// Bytes allocated since [`count_bytes`] and still alive. Counting ends.
pub fn live_bytes() -> f64 {
    COUNTING.store(false, Ordering::Relaxed);
    LIVE.load(Ordering::Relaxed) as f64
}
