//! What tasks wait for, beside each other and timers, as the search for deadlocks knows it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::executor::ids;
use crate::executor::slab::Slab;
use crate::task::WakeToken;

/// A coroutine that waits for something that is neither a coroutine nor a timer.
pub(crate) struct Wait {
    pub(super) coro: WakeToken,
    pub(super) on: On,
    /// Distinguishes this wait from others of the thread.
    pub(super) serial: u64,
}

impl Wait {
    pub(crate) fn new(coro: WakeToken, on: On) -> Wait {
        thread_local! {
            static SERIALS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
        }
        let serial = SERIALS.get() + 1;
        SERIALS.set(serial);
        Wait { coro, on, serial }
    }
}

/// What coroutines acquire and wait for: a lock or a semaphore.
pub(crate) trait Resource {
    /// The acquirers of what is taken of it, and those that were woken to take it.
    fn holders(&self) -> Vec<Holder>;

    /// The name for messages.
    fn describe(&self) -> String;
}

/// The acquirer of what is taken of a resource. The guard may have been moved since.
#[derive(Clone, Copy)]
pub(crate) struct Holder {
    /// The coroutine that acquired it; `WakeToken::NONE` outside of a coroutine.
    pub(super) coro: WakeToken,
    /// The newest coroutine of its thread at that time: the guard may have been moved to later ones.
    pub(super) newest: u64,
}

impl Holder {
    pub(crate) fn new(coro: WakeToken) -> Holder {
        Holder { coro, newest: ids::newest() }
    }
}

/// What the coroutine waits for.
pub(crate) enum On {
    /// A lock or a semaphore.
    Resource(Arc<dyn Resource>),
    /// A barrier.
    Barrier,
    /// Any one of these coroutines: [`as_completed`](crate::as_completed).
    Any(Rc<RefCell<Vec<WakeToken>>>),
}

/// Limits the searches of a loop to one part in [`Budget::SHARE`] of its time, which includes the searches.
#[derive(Clone, Copy, Default)]
pub(super) struct Budget {
    /// When the last search ended, or the run began, ns.
    pub(super) ended: u64,
    /// How long it took, ns.
    pub(super) took: u64,
    /// The number of coroutines that it visited.
    pub(super) visited: usize,
    /// The number of loops that the thread had: each searches, and they share its time.
    pub(super) loops: u64,
}

impl Budget {
    pub(super) const SHARE: u64 = 20;
    /// What one coroutine more adds to a search, ns, before the first one has shown what it takes.
    pub(super) const EACH: u64 = 200;

    /// When a search of this many coroutines may begin.
    pub(super) fn may_search_at(&self, coroutines: usize) -> u64 {
        let more = coroutines.saturating_sub(self.visited) as u64;
        let expected = self.took.saturating_add(more.saturating_mul(Budget::EACH));
        self.ended.saturating_add(expected.saturating_mul(Budget::SHARE * self.loops.max(1) - 1))
    }

    /// Records a search of this many coroutines, on a thread with this many loops.
    pub(super) fn record(&mut self, began: u64, ended: u64, visited: usize, loops: u64) {
        *self = Budget { ended, took: ended.saturating_sub(began), visited, loops };
    }
}

/// When a loop is to be searched for deadlocks, and what the searches need and keep.
pub(crate) struct Detection {
    /// Set when a coroutine awaits one that was scheduled before, or a lock. While unset, a new cycle is impossible.
    pub(crate) cycle_check_pending: Cell<bool>,
    /// Steps since the last search for a cycle, with what counts as some.
    pub(super) cycle_check_steps: Cell<u64>,
    /// When the delayed search is due.
    pub(super) search_at: Cell<Option<u64>>,
    pub(super) searches: RefCell<Searches>,
    /// The waits for locks, semaphores and barriers.
    pub(crate) waits: RefCell<Slab<Wait>>,
    /// Since when nothing in the loop can change anything, and whether the warning was given.
    pub(super) quiescent_since: Cell<Option<(u64, bool)>>,
    pub(crate) quiescent_warning: Cell<Duration>,
}

impl Default for Detection {
    fn default() -> Detection {
        Detection {
            cycle_check_pending: Cell::default(),
            cycle_check_steps: Cell::default(),
            search_at: Cell::default(),
            searches: RefCell::default(),
            waits: RefCell::default(),
            quiescent_since: Cell::default(),
            quiescent_warning: Cell::new(Duration::from_secs(5)),
        }
    }
}

impl Detection {
    /// Counts steps of the loop: after enough of them the next search may begin.
    #[inline]
    pub(super) fn count_steps(&self, steps: u32) {
        self.cycle_check_steps.set(self.cycle_check_steps.get() + u64::from(steps));
    }

    /// Tasks have run: that all wait is measured from anew, unless the loop has warned of it already.
    #[inline]
    pub(super) fn tasks_ran(&self) {
        if matches!(self.quiescent_since.get(), Some((_, false))) {
            self.quiescent_since.set(None);
        }
    }

    /// A run begins at `now`: the time before it allows none of its searches.
    pub(crate) fn begin_run(&self, now: u64) {
        self.searches.borrow_mut().budget.ended = now;
    }

    /// Forgets what belongs to a run.
    pub(super) fn end_run(&self) {
        self.quiescent_since.set(None);
        self.searches.borrow_mut().end_run();
    }
}

/// State that the searches of a loop keep.
#[derive(Default)]
pub(crate) struct Searches {
    pub(super) budget: Budget,
    /// The loop was searched when nothing outside could wake it, in this run.
    pub(super) was_quiescent: bool,
    /// Cycles through locks, as of the last search: by the coroutines, and the serial numbers of their waits.
    pub(super) cycles: HashMap<Vec<(u64, u64)>, LockCycle>,
    /// When to search for one of them again.
    pub(super) recheck_at: Option<u64>,
    /// The number of nodes and edges visited in all searches.
    #[cfg(test)]
    pub(super) visited: usize,
}

impl Searches {
    /// Forgets what belongs to a run.
    fn end_run(&mut self) {
        *self = Searches { budget: self.budget, ..Searches::default() };
    }
}

/// A cycle through locks.
#[derive(Clone, Copy)]
pub(super) struct LockCycle {
    /// When a search first found it.
    pub(super) since: u64,
    /// The newest coroutine of the thread at that time.
    pub(super) newest: u64,
    /// The warning has been given.
    pub(super) warned: bool,
}
