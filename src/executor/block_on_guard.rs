//! Executors inside of a coroutine: `block_on(tinyio::sleep(..))` waits for a wake that the loop is to give, and keeps the loop, which runs on
//! the same thread, from ever giving it.
//!
//! Such an executor leaves a waker at the await point, as `FuturesUnordered` does, too. The difference is what the waker does: one of
//! these has the coroutine polled, the other no task that the loop knows. So if a turn of the loop lasts long, the thread of the timers
//! calls the waker that was left in it last, which at worst costs a needless poll, and sees whether that wakes a task of a loop. If it does not,
//! time and again, and the same await point is polled once more in the same step of a coroutine that nothing has woken, then an executor
//! blocks the step. Something else than the loop may end that, so it is a warning.

use std::cell::Cell;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crate::executor::timer_thread;
use crate::executor::{Executor, warn};
use crate::failure::type_name;
use crate::observe::Target;
use crate::task::{Header, Inbox, flag};

/// How often a turn in which wakers of others were left is looked at.
pub(crate) const INTERVAL: Duration = Duration::from_millis(250);
/// So many wakes in vain are believed. One may be: who has been woken already is not woken again.
const IN_VAIN: u32 = 2;

/// What was left in the turn that a loop is at.
#[derive(Default)]
pub(crate) struct Watchdog(Mutex<State>);

#[derive(Default)]
struct State {
    left: Option<Left>,
    /// The alarm is set.
    rings: bool,
}

struct Left {
    /// Shared, so that code of its executor runs while nothing is locked.
    waker: Arc<Waker>,
    /// The alarm has not gone off since.
    fresh: bool,
    in_vain: u32,
    /// The warning was given.
    said: bool,
}

thread_local! {
    /// A wake on this thread was for a coroutine.
    static REACHED: Cell<bool> = const { Cell::new(false) };
}

/// Somebody wakes a coroutine, from a thread that is in no loop.
pub(crate) fn reached() {
    REACHED.set(true);
}

impl Watchdog {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executor {
    /// The running coroutine has left the waker of another executor at an await point, once more if `again`.
    pub(crate) fn watch_turn(&self, waker: &Waker, again: bool) {
        self.watched.set(true);
        // Whoever has been woken is not woken again by a waker that leads to it.
        let waits_on = self.current_task.with(|coro| {
            coro.is_some_and(|coro| {
                let before = coro.has(flag::FOREIGN_WAKER);
                coro.set(flag::FOREIGN_WAKER);
                before && !coro.is_queued()
            })
        });
        let watch = self.inbox().watch();
        if waits_on
            && again
            && let Some(left) = watch.state().left.as_mut().filter(|left| left.waker.will_wake(waker))
        {
            if left.in_vain >= IN_VAIN && !std::mem::replace(&mut left.said, true) {
                self.current_task.with(|coro| coro.map(|coro| coro.set(flag::BLOCKED)));
            }
            return;
        }
        let left = Left { waker: Arc::new(waker.clone()), fresh: true, in_vain: 0, said: false };
        let mut state = watch.state();
        let before = state.left.replace(left);
        let rang = std::mem::replace(&mut state.rings, true);
        drop(state);
        self.contain(|| drop(before));
        if !rang {
            timer_thread::look(Arc::downgrade(self.inbox()));
        }
    }

    /// The turn is over: nobody blocks it.
    pub(crate) fn end_watch(&self) {
        if self.watched.take() {
            let left = self.inbox().watch().state().left.take();
            self.contain(|| drop(left));
        }
    }
}

/// The alarm has gone off. `true`: it is to be set again.
pub(crate) fn look(inbox: &Inbox) -> bool {
    let mut state = inbox.watch().state();
    let waker = match &mut state.left {
        None | Some(Left { said: true, .. }) => {
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
        && let Some(left) = inbox.watch().state().left.as_mut().filter(|left| left.waker.will_wake(&waker))
    {
        left.in_vain += 1;
    }
    true
}

/// Says that an executor blocks this coroutine, which waits here.
#[cold]
pub(crate) fn warn_of_block(coro: &Header, on: Target, at: &'static Location<'static>) {
    coro.unset(flag::BLOCKED);
    let what = match on {
        Target::Timer(_) => "`tinyio::sleep`, or something with a timeout,",
        Target::Thread(_) => "`tinyio::run_in_thread`",
        Target::Coro(_) => "a coroutine",
        Target::Res(_) => "a `tinyio` event, lock, semaphore or barrier",
        Target::Loop(_) => "a loop",
        _ => "`tinyio::yield_now`",
    };
    warn(&format!(
        "{what} is awaited at {at} by another executor inside of {} (`block_on`?), which has blocked the loop's thread for about a second. \
         What only the loop can wake never ends that way. Write `.await` instead, or block a thread of its own: `tinyio::run_in_thread`",
        type_name::path(coro.type_name())
    ));
}
