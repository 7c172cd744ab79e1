//! Finds coroutines that can never continue. This file decides when to search; [`Executor::search`] searches.
//!
//! The loop ends with a [`Deadlock`](crate::Deadlock) only if that is certain: coroutines await each other in a cycle,
//! or nothing is left that could wake any of those that wait. A guard can be moved, so its acquirer only probably is
//! the coroutine that will drop it: a cycle through locks while anything else can continue is a warning.
//!
//! A search visits all coroutines, so it is made only after something happened that may close a cycle, and not before
//! the time that the last one took is small beside what has passed since: see [`Budget`](super::waits::Budget).
//!
//! | file | what is in it |
//! |---|---|
//! | `search` | the search, and the cycles through locks that it warns of |
//! | `build` | from live tasks, inner loops and waits to the graph; what may be woken from outside |
//! | `wait_graph` | the graph: what is wakeable, cycles, their description |

mod build;
mod search;
#[cfg(test)]
mod tests;
mod wait_graph;

use std::time::Duration;

use crate::executor::context::{LOOPS, warn};
use crate::executor::deadlock::wait_graph::{list, sites};
use crate::executor::{Executor, Progress};
use crate::failure::crash::Failure;
use crate::observe::Observer;

/// A search while the loop is idle is put off by this much: until then the coroutines may have continued.
const PUT_OFF: Duration = Duration::from_millis(20);
/// Steps that a busy loop makes for each live coroutine between two searches: they take more than twenty times as long
/// as the search.
const STEPS_PER_COROUTINE: u64 = 512;
/// Added to the number of coroutines, for the part of a search that does not depend on it.
const EXTRA_COROUTINES: u64 = 4;
/// Added for each slot of the table: a search reads one word of it, also where the coroutine has ended.
const STEPS_PER_SLOT: u64 = 4;

impl Executor {
    /// Decides what to do when no coroutine is ready and the next timer is due at `until`: search, or sleep.
    pub(super) fn before_idling(&self, until: Option<u64>) -> Progress {
        self.check_process();
        if self.failed() || self.inbox().has_mail() {
            return Progress::Ready;
        }
        let quiescent = self.is_quiescent(until);
        if !quiescent {
            self.deadlocks.quiescent_since.set(None);
        }
        let now = self.now();
        let recheck_at = self.recheck_at();
        let rechecks = recheck_at.is_some_and(|at| at <= now);
        if !(self.deadlocks.cycle_check_pending.get() || quiescent || rechecks) {
            return self.idle(until, recheck_at);
        }
        let search_at = self.search_time(now, until, quiescent);
        if !rechecks && search_at.is_none_or(|at| at > now) {
            return self.idle(until, search_at.into_iter().chain(recheck_at).min());
        }
        match self.search_now(quiescent) {
            Some(failure) => {
                self.fail(failure);
                Progress::Failed
            }
            // The result was void.
            None if self.deadlocks.cycle_check_pending.get() => Progress::Ready,
            // With a loop around this one, that one warns: it also has the coroutines outside.
            None if quiescent && !self.is_guest.get() => {
                let again = self.warn_of_quiescence(now);
                self.idle(again, self.recheck_at())
            }
            None => self.idle(until, self.recheck_at()),
        }
    }

    /// Whether nothing that the loop knows of can wake it: no timer, no function on a thread, no waker outside of it
    /// and of the loops inside.
    fn is_quiescent(&self, until: Option<u64>) -> bool {
        until.is_none()
            && self.jobs.count() == 0
            && self.inbox().wakers() == 0
            && self.inside().iter().all(|(_, guest)| guest.inbox().wakers() == 0)
    }

    /// When an idle loop searches; `None` if steps decide it and not time.
    fn search_time(&self, now: u64, until: Option<u64>, quiescent: bool) -> Option<u64> {
        // The first search of a run that nothing outside can wake is not put off.
        let is_first = quiescent && !std::mem::replace(&mut self.deadlocks.searches.borrow_mut().was_quiescent, true);
        // Before the warning that all wait, another search: coroutines may have continued meanwhile.
        let warns = matches!(self.deadlocks.quiescent_since.get(),
            Some((since, warned)) if !warned && now >= self.quiescent_warning_at(since));
        // Virtual time passes at once, so it does not limit the searches.
        let is_virtual = self.timers.clock.is_virtual();
        if is_first || warns || is_virtual && self.has_stepped_enough() {
            return Some(now);
        }
        let put_off = now.saturating_add(PUT_OFF.as_nanos() as u64);
        let at = self.deadlocks.search_at.get().unwrap_or_else(|| put_off.max(self.may_search_at()));
        self.deadlocks.search_at.set(Some(at));
        (until.is_none() || !is_virtual).then_some(at)
    }

    /// Searches if one is due while some coroutine is ready, for loops in which one always is. Returns `true` if there
    /// is a deadlock.
    pub(super) fn search_while_busy(&self) -> bool {
        let is_pending = self.deadlocks.cycle_check_pending.get();
        if !self.has_stepped_enough() || !is_pending && self.deadlocks.searches.borrow().recheck_at.is_none() {
            return false;
        }
        let now = self.now();
        if now < self.may_search_at() || !is_pending && self.recheck_at().is_none_or(|at| at > now) {
            // Not each turn reads the clock.
            self.deadlocks.cycle_check_steps.set(self.steps_of_a_search() / 2);
            return false;
        }
        let Some(failure) = self.search_now(false) else { return false };
        self.fail(failure);
        true
    }

    /// Whether the steps since the last search make its time negligible. They decide where time does
    /// not: while the clock is virtual, and while other programs have the processor.
    fn has_stepped_enough(&self) -> bool {
        self.deadlocks.cycle_check_steps.get() >= self.steps_of_a_search()
    }

    fn steps_of_a_search(&self) -> u64 {
        STEPS_PER_COROUTINE * (self.live() as u64 + EXTRA_COROUTINES) + STEPS_PER_SLOT * self.slots.slots() as u64
    }

    /// When the time since the last search allows the next one. Virtual time passes at once, so it does not limit them:
    /// steps do.
    fn may_search_at(&self) -> u64 {
        if self.timers.clock.is_virtual() {
            0
        } else {
            self.deadlocks.searches.borrow().budget.may_search_at(self.live())
        }
    }

    /// When to search again for a cycle through locks that may last.
    fn recheck_at(&self) -> Option<u64> {
        let at = self.deadlocks.searches.borrow().recheck_at;
        at.map(|at| at.max(self.may_search_at()))
    }

    /// Sleeps until the next timer, or until `earlier`.
    fn idle(&self, until: Option<u64>, earlier: Option<u64>) -> Progress {
        match earlier.filter(|earlier| until.is_none_or(|until| *earlier < until)) {
            None if self.skip_time() => Progress::Ready,
            None => Progress::Idle(until),
            earlier => Progress::Idle(earlier),
        }
    }

    /// Searches, and records that it did.
    fn search_now(&self, quiescent: bool) -> Option<Failure> {
        self.deadlocks.search_at.set(None);
        self.deadlocks.cycle_check_pending.set(false);
        self.deadlocks.cycle_check_steps.set(0);
        let began = self.now();
        let found = self.search(quiescent);
        let mut loops = 1;
        LOOPS.each(|executor| loops = loops.max(1 + executor.inside().len() as u64));
        self.deadlocks.searches.borrow_mut().budget.record(began, self.now(), self.live(), loops);
        // Meanwhile a thread woke a coroutine and then dropped its waker: the result may be false.
        if found.is_some()
            && (self.inbox().has_mail() || self.inside().iter().any(|(_, guest)| guest.inbox().has_mail()))
        {
            self.deadlocks.cycle_check_pending.set(true);
            self.deadlocks.searches.borrow_mut().was_quiescent = false;
            return None;
        }
        found
    }

    /// Records that a cycle may have been closed, also one through the enclosing loops.
    pub(crate) fn suspect(&self) {
        self.deadlocks.cycle_check_pending.set(true);
        if self.is_guest.get() {
            LOOPS.each(|executor| executor.deadlocks.cycle_check_pending.set(true));
        }
    }

    /// When the loop warns that all its coroutines have waited since then.
    fn quiescent_warning_at(&self, since: u64) -> u64 {
        since.saturating_add(self.deadlocks.quiescent_warning.get().as_nanos() as u64)
    }

    /// Handles a loop in which all coroutines wait, some of them for something outside the loop that may never happen.
    /// Warns once the time set by `warn_quiescent` has passed; returns when to call it again.
    fn warn_of_quiescence(&self, now: u64) -> Option<u64> {
        let (since, warned) = self.deadlocks.quiescent_since.get().unwrap_or((now, false));
        let at = self.quiescent_warning_at(since);
        self.deadlocks.quiescent_since.set(Some((since, warned || now >= at)));
        if warned {
            return None;
        }
        if now < at {
            return Some(at);
        }
        let nodes = self.wait_graph().nodes;
        let waiting = sites(nodes.iter(), &self.rec.given_names());
        warn(&format!(
            "all {} coroutines wait, and only an event that is set from outside can wake them, or a guard that is dropped there:{}",
            waiting.len(),
            list(&waiting)
        ));
        None
    }
}
