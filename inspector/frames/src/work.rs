//! Measures processor time.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Returns the processor time of the calling thread: time in which it waits for a processor is not counted, so that a
/// bound has the same effect on a busy machine as on an idle one.
#[cfg(target_os = "linux")]
pub fn worked() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Returns the time since the program started: the processor time of a thread is not available here.
#[cfg(not(target_os = "linux"))]
pub fn worked() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// A clock of the processor time of a thread since it was made. Asking the system for that costs more than reading a
/// small value: as long as less than a few milliseconds have passed at all, this is the time that has passed.
pub(super) struct WorkClock {
    begun: Instant,
    /// What is subtracted from the processor time, once that has been asked for.
    before: Cell<Option<Duration>>,
}

/// So much may be counted that was no work.
const UNCOUNTED: Duration = Duration::from_millis(4);

impl WorkClock {
    pub fn new() -> WorkClock {
        WorkClock { begun: Instant::now(), before: Cell::default() }
    }

    /// The time so far, without what was spent on something else.
    pub fn time(&self, elsewhere: Duration) -> Duration {
        let passed = self.begun.elapsed();
        match self.before.get() {
            None if passed < UNCOUNTED => passed,
            None => {
                self.before.set(Some(worked().saturating_sub(elsewhere).saturating_sub(UNCOUNTED)));
                UNCOUNTED
            }
            Some(before) => worked().saturating_sub(elsewhere).saturating_sub(before),
        }
    }
}
