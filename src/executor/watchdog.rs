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
pub(super) const IN_VAIN: u32 = 2;

/// The foreign waker that was registered in the loop's current turn.
#[derive(Default)]
pub(crate) struct Watchdog(Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    pub(super) left: Option<Registered>,
    /// The alarm is set.
    pub(super) rings: bool,
}

pub(super) struct Registered {
    /// Shared, so that its executor's code runs while nothing is locked.
    pub(super) waker: Arc<Waker>,
    /// The alarm has not gone off since.
    pub(super) fresh: bool,
    pub(super) in_vain: u32,
    /// The warning has been given.
    pub(super) said: bool,
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

    /// Handles the alarm. Returns `true` if it is to be set again.
    pub(crate) fn look(&self) -> bool {
        let mut state = self.state();
        let waker = match &mut state.left {
            None | Some(Registered { said: true, .. }) => {
                state.rings = false;
                return false;
            }
            Some(left) if left.fresh => {
                left.fresh = false;
                return true;
            }
            Some(left) => left.waker.clone(),
        };
        drop(state);
        REACHED.set(false);
        waker.wake_by_ref();
        if !REACHED.get()
            && let Some(left) = self.state().left.as_mut().filter(|left| left.waker.will_wake(&waker))
        {
            left.in_vain += 1;
        }
        true
    }
}
