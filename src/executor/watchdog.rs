//! The foreign waker that a turn of a loop may be blocked by, and the check on it: see
//! [`block_on_guard`](crate::executor::block_on_guard).

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// The interval at which a turn in which foreign wakers were registered is checked.
pub(crate) const INTERVAL: Duration = Duration::from_millis(250);
/// The number of ineffective wakes after which the executor counts as blocking. A single one proves nothing: a task
/// that is already woken is not woken again.
pub(super) const MAX_INEFFECTIVE_WAKES: u32 = 2;

/// The foreign waker that was registered in the loop's current turn.
#[derive(Default)]
pub(crate) struct Watchdog(Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    pub(super) watched: Option<Registered>,
    /// The timer thread will check the turn.
    pub(super) alarm_is_set: bool,
}

pub(super) struct Registered {
    /// Shared, so that its executor's code runs while nothing is locked.
    pub(super) waker: Arc<Waker>,
    /// The timer thread has checked the turn since: it lasts for longer than [`INTERVAL`].
    pub(super) was_checked: bool,
    /// The number of calls of the waker that woke no coroutine.
    pub(super) ineffective_wakes: u32,
    /// The warning has been given.
    pub(super) warned: bool,
}

thread_local! {
    /// Set when a wake on this thread was for a coroutine.
    static REACHED: Cell<bool> = const { Cell::new(false) };
}

/// Records that a coroutine was woken from a thread that runs no loop.
pub(crate) fn reached() {
    REACHED.set(true);
}

impl Watchdog {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the turn, on the timer thread. Returns `true` if it is to be checked again.
    pub(crate) fn check(&self) -> bool {
        let mut state = self.state();
        let waker = match &mut state.watched {
            None | Some(Registered { warned: true, .. }) => {
                state.alarm_is_set = false;
                return false;
            }
            Some(watched) if !watched.was_checked => {
                watched.was_checked = true;
                return true;
            }
            Some(watched) => watched.waker.clone(),
        };
        drop(state);
        REACHED.set(false);
        waker.wake_by_ref();
        if !REACHED.get()
            && let Some(watched) = self.state().watched.as_mut().filter(|watched| watched.waker.will_wake(&waker))
        {
            watched.ineffective_wakes += 1;
        }
        true
    }
}
