//! Timers as await points hold them.

use crate::executor::inbox;
use crate::executor::timer_wheel::Key;
use crate::executor::{self, Executor, Left};
use crate::observe::{Target, WakeCause};
use crate::task::WakeToken;

impl Executor {
    /// Wakes the tasks whose timers are due.
    pub(crate) fn fire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = self.now();
        let due = self.timers.borrow_mut().expire(now);
        self.rec.wakes(WakeCause::Timer);
        for due in &due {
            self.wake(due.wake_token);
        }
        self.rec.wakes(WakeCause::External);
        self.timers.borrow_mut().take_back(due);
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
                executor.timers.borrow_mut().set_word(key, wake_token)
            }
            _ => {
                self.clear();
                self.0 = Some((executor.number(), executor.timers.borrow_mut().insert(deadline, wake_token)));
            }
        }
    }

    /// Whether it was set in this loop and has fired.
    pub(crate) fn has_fired(&self, executor: &Executor) -> bool {
        self.0.is_some_and(|(number, key)| number == executor.number() && !executor.timers.borrow().contains(key))
    }

    pub(crate) fn clear(&mut self) {
        if let Some((number, key)) = self.0.take()
            && inbox::take_back(number, Left::Timer(key))
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
