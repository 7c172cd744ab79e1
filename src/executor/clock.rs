//! The loop's clock, which may be virtual.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::executor::Executor;
use crate::executor::timer_wheel::TICK;

/// The loop's clock.
pub(crate) struct Clock {
    start: Instant,
    /// With virtual time: its current value.
    shown: Cell<Option<u64>>,
    /// Set by the enclosing loop.
    guest: Cell<bool>,
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
}

impl Executor {
    /// Nanoseconds since the first loop of the process was made; with virtual time, of all sleeps so far.
    pub(crate) fn now(&self) -> u64 {
        match self.clock.shown.get() {
            Some(shown) => shown,
            None => u64::try_from(self.clock.start.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Switches to virtual time: the clock stands still while a coroutine is ready, and then advances to the next
    /// timer.
    pub(crate) fn use_virtual_time(&self) {
        // Always the same start, so that rounding to ticks is deterministic, too.
        self.clock.shown.set(Some(0));
        self.timers.borrow_mut().begin_at(0);
    }

    /// Takes over the virtual time of the enclosing loop, which alone advances it.
    pub(crate) fn follow_clock(&self, host: &Executor) {
        if host.clock.shown.get().is_some() {
            self.clock.shown.set(host.clock.shown.get());
            self.clock.guest.set(true);
            self.timers.borrow_mut().begin_at(self.now());
        }
    }

    /// With virtual time of its own: advances to the next timer, unless a thread may come first.
    pub(crate) fn skip_time(&self) -> bool {
        let next = self.timers.borrow().earliest();
        !self.clock.guest.get() && next.is_some_and(|next| self.skip_to(next))
    }

    /// With virtual time: advances to this time, unless a thread may come first. For a loop that is not polled
    /// meanwhile.
    pub(crate) fn skip_to(&self, until: u64) -> bool {
        let Some(now) = self.clock.shown.get().filter(|_| self.jobs.count() == 0 && until < u64::MAX) else {
            return false;
        };
        // Timers fire at the end of a tick.
        self.clock.shown.set(Some(until.checked_next_multiple_of(TICK).unwrap_or(until).max(now)));
        true
    }

    /// The time that is `after` from now.
    pub(crate) fn deadline(&self, after: Duration) -> u64 {
        self.now().saturating_add(nanoseconds(after))
    }
}

/// Limited to the longest time that a timer can be set for.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    duration.min(FAR).as_nanos() as u64
}
