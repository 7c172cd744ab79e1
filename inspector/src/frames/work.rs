//! Time, counted as work.

use std::time::Duration;

/// For how long the calling thread has worked: while it waits for a processor that others keep busy, nothing is
/// counted, so that a bound cuts off the same on a busy machine as on an idle one.
#[cfg(target_os = "linux")]
pub fn worked() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// For how long the program has run; a clock for what a thread does is not at hand here.
#[cfg(not(target_os = "linux"))]
pub fn worked() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}
