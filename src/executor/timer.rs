//! The time of a loop, and timers as await points hold them.

use std::time::Duration;

use crate::executor::clock::nanoseconds;
use crate::executor::timer_wheel::{Key, TICK};
use crate::executor::wake;
use crate::executor::{self, Executor, Registration};
use crate::observe::{Observer, Target, WakeCause};
use crate::task::WakeToken;

impl Executor {
    /// The time of its clock: see [`Clock::now`](crate::executor::clock::Clock::now).
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.timers.clock.now()
    }

    /// Switches to virtual time: the clock stands still while a coroutine is ready, and then advances to the next
    /// timer.
    pub(crate) fn use_virtual_time(&self) {
        // Always the same start, so that rounding to ticks is deterministic, too.
        self.timers.clock.shown.set(Some(0));
        self.timers.wheel.borrow_mut().begin_at(0);
    }

    /// Takes over the virtual time of the enclosing loop, which alone advances it.
    pub(crate) fn follow_clock(&self, host: &Executor) {
        if host.timers.clock.shown.get().is_some() {
            self.timers.clock.shown.set(host.timers.clock.shown.get());
            self.timers.clock.guest.set(true);
            self.timers.wheel.borrow_mut().begin_at(self.now());
        }
    }

    /// With virtual time of its own: advances to the next timer, unless a thread may come first.
    pub(crate) fn skip_time(&self) -> bool {
        let next = self.timers.wheel.borrow().earliest();
        !self.timers.clock.guest.get() && next.is_some_and(|next| self.skip_to(next))
    }

    /// With virtual time: advances to this time, unless a thread may come first. For a loop that is not polled
    /// meanwhile.
    pub(crate) fn skip_to(&self, until: u64) -> bool {
        let Some(now) = self.timers.clock.shown.get().filter(|_| self.jobs.count() == 0 && until < u64::MAX) else {
            return false;
        };
        // Timers fire at the end of a tick.
        self.timers.clock.shown.set(Some(until.checked_next_multiple_of(TICK).unwrap_or(until).max(now)));
        true
    }

    /// The time that is `after` from now.
    pub(crate) fn deadline(&self, after: Duration) -> u64 {
        self.now().saturating_add(nanoseconds(after))
    }

    /// Wakes the tasks whose timers are due.
    pub(crate) fn fire_timers(&self) {
        if self.timers.wheel.borrow().is_empty() {
            return;
        }
        let now = self.now();
        let due = self.timers.wheel.borrow_mut().expire(now);
        self.rec.wakes(WakeCause::Timer);
        for due in &due {
            self.wake(due.wake_token);
        }
        self.rec.wakes(WakeCause::External);
        self.timers.wheel.borrow_mut().reuse_buffer(due);
    }
}

/// A timer that has been set, and is taken out when it is dropped.
#[derive(Default)]
pub(crate) struct Timer(
    /// The number of the loop, and the timer's key in its wheel.
    Option<(u32, Key)>,
);

impl Timer {
    /// Sets the timer, unless it is already set in this loop; it wakes `wake_token` at `deadline`.
    pub(crate) fn set(&mut self, executor: &Executor, deadline: u64, wake_token: WakeToken) {
        match self.0 {
            Some((number, key)) if number == executor.number() => {
                executor.timers.wheel.borrow_mut().set_wake_token(key, wake_token)
            }
            _ => {
                self.clear();
                self.0 = Some((executor.number(), executor.timers.wheel.borrow_mut().insert(deadline, wake_token)));
            }
        }
    }

    /// Whether it was set in this loop and has fired.
    pub(crate) fn has_fired(&self, executor: &Executor) -> bool {
        self.0.is_some_and(|(number, key)| number == executor.number() && !executor.timers.wheel.borrow().contains(key))
    }

    pub(crate) fn clear(&mut self) {
        if let Some((number, key)) = self.0.take()
            && wake::unregister(number, Registration::Timer(key))
        {
            executor::edge_dropped(|_| Target::Timer(0));
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}
