//! Timers as await points hold them.

use crate::core::{self, Core, Left};
use crate::record::{By, Target};
use crate::task::{self, Word};
use crate::wheel::Key;

impl Core {
    /// Wakes whoever's time has come.
    pub(crate) fn fire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = self.now();
        let due = self.timers.borrow_mut().expire(now);
        self.rec.wakes(By::Timer);
        for due in &due {
            self.wake(due.word);
        }
        self.rec.wakes(By::External);
        self.timers.borrow_mut().take_back(due);
    }
}

/// A timer that has been set, and is taken out when it is dropped.
#[derive(Default)]
pub(crate) struct Timer(
    /// The number of the loop.
    Option<(u32, Key)>,
);

impl Timer {
    /// Sets it, unless it is set in this loop already; wakes `word` at `deadline`.
    pub(crate) fn set(&mut self, core: &Core, deadline: u64, word: Word) {
        match self.0 {
            Some((number, key)) if number == core.number() => core.timers.borrow_mut().set_word(key, word),
            _ => {
                self.clear();
                self.0 = Some((core.number(), core.timers.borrow_mut().insert(deadline, word)));
            }
        }
    }

    /// It was set in this loop, and has fired.
    pub(crate) fn has_fired(&self, core: &Core) -> bool {
        self.0.is_some_and(|(number, key)| number == core.number() && !core.timers.borrow().contains(key))
    }

    pub(crate) fn clear(&mut self) {
        if let Some((number, key)) = self.0.take()
            && task::take_back(number, Left::Timer(key))
        {
            core::gave_up(|_| Target::Timer(0));
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clear();
    }
}
