//! Measures processor time.

use std::time::Duration;

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
