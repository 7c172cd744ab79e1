//! The loop's clock, which may be virtual.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The loop's clock.
pub(crate) struct Clock {
    start: Instant,
    /// With virtual time: its current value.
    pub(super) shown: Cell<Option<u64>>,
    /// Set by the enclosing loop.
    pub(super) guest: Cell<bool>,
}

/// The latest deadline is 73 years away, half of the wheel's range.
const FAR: Duration = Duration::from_nanos(1 << 61);

/// The clocks of all loops begin with the first one, so that an await point may be kept from one loop to another.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Default for Clock {
    fn default() -> Self {
        Clock { start: *START, shown: Cell::new(None), guest: Cell::new(false) }
    }
}

impl Clock {
    pub(crate) fn is_virtual(&self) -> bool {
        self.shown.get().is_some()
    }

    /// Nanoseconds since the first loop of the process was made; with virtual time, of all sleeps so far.
    pub(crate) fn now(&self) -> u64 {
        match self.shown.get() {
            Some(shown) => shown,
            None => u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// Limited to the longest time that a timer can be set for.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    duration.min(FAR).as_nanos() as u64
}
