//! Measures time within a step that was not the coroutine's: the system ran other threads meanwhile, or tinyio itself
//! read frames for an error.
//!
//! Whether a coroutine blocks the loop is judged by the duration of its steps, which other load on the machine must not
//! affect. CPU time alone would not do: a step that sleeps or waits for a disk uses none and still blocks the loop. So
//! the time in which the thread was runnable but did not run is subtracted, which Linux counts for each thread.

use std::cell::Cell;
use std::fs::File;
use std::time::Duration;

use tinyio_events::event::Kind;
use tinyio_events::event::LONG_STEP;

use super::step_batch::Steps;

/// The state of the measurement for one thread.
pub(super) struct Away {
    /// When to measure next: no step that ends before is long.
    next: Cell<u64>,
    /// The system's count for the thread that opened it.
    schedstat: Option<File>,
    /// The last value read: nanoseconds in which the thread was runnable but did not run.
    kept_waiting: Cell<u64>,
    /// Time spent reading frames, as of the last measurement.
    reading: Cell<Duration>,
}

impl Away {
    /// Starts measuring this thread.
    pub(super) fn new() -> Away {
        let schedstat = File::open("/proc/thread-self/schedstat").ok();
        Away { next: Cell::new(0), schedstat, kept_waiting: Cell::new(0), reading: Cell::default() }
    }

    /// Handles the end of a step, in which frames were read if `reading` has grown. Reads the system's count a hundred
    /// times a second at most: waiting time between the last read and the beginning of a step is counted as the step's,
    /// so that in doubt the step does not count as blocking.
    #[inline(always)]
    pub(super) fn step_end(&self, steps: &mut Steps, coro: u64, began: u64, at: u64, reading: Duration) {
        if at >= self.next.get() || reading != self.reading.get() {
            self.look(steps, coro, began, at, reading);
        }
    }

    #[cold]
    #[inline(never)]
    fn look(&self, steps: &mut Steps, coro: u64, began: u64, at: u64, reading: Duration) {
        self.next.set(at + LONG_STEP);
        let total = self.total_wait().unwrap_or_default();
        let kept_waiting = total.saturating_sub(self.kept_waiting.replace(total));
        let reading = reading.saturating_sub(self.reading.replace(reading)).as_nanos() as u64;
        let took = at.saturating_sub(began);
        // The count is not read for short steps, so the waiting time may have been before.
        let kept_waiting = if took >= LONG_STEP { kept_waiting } else { 0 };
        let nanos = (kept_waiting + reading).min(took);
        if nanos > 0 {
            steps.recorder().emit(at, Kind::Away { coro, nanos });
        }
    }

    #[cfg(unix)]
    fn total_wait(&self) -> Option<u64> {
        let mut bytes = [0; 96];
        let count = std::os::unix::fs::FileExt::read_at(self.schedstat.as_ref()?, &mut bytes, 0).ok()?;
        kept_waiting(std::str::from_utf8(&bytes[..count]).ok()?)
    }

    #[cfg(not(unix))]
    fn total_wait(&self) -> Option<u64> {
        self.schedstat.as_ref().and(None)
    }
}

/// Parses `schedstat`: time running, time waiting to run, time slices.
fn kept_waiting(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_second_number_is_the_time_of_waiting() {
        assert_eq!(super::kept_waiting("2049312 60781 17\n"), Some(60_781));
        assert_eq!(super::kept_waiting(""), None);
    }
}
