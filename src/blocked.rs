//! Executors inside of a coroutine: `block_on(tinyio::sleep(..))` waits for a wake that the loop is to give, and keeps the loop, which runs on
//! the same thread, from ever giving it.
//!
//! Such an executor leaves a waker at the await point, as `FuturesUnordered` does, too. The difference is what the waker does: one of
//! these has the coroutine polled, the other nobody whom the loop knows. So if a turn of the loop lasts long, the thread of the timers
//! calls the waker that was left in it last, which at worst costs a needless poll, and sees whether that wakes anybody on a loop. If it does not,
//! time and again, and the await point is polled once more in the same step of a coroutine that nobody has woken, then it is blocked, and
//! panics.

use std::cell::Cell;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crate::core::Core;
use crate::record::Target;
use crate::task::{Header, Inbox, flag};
use crate::{alarm, name};

/// How often a turn in which wakers of others were left is looked at.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// So many wakes in vain are believed. One may be: who has been woken already is not woken again.
const IN_VAIN: u32 = 2;

/// What was left in the turn that a loop is at.
#[derive(Default)]
pub(crate) struct Watch(Mutex<State>);

#[derive(Default)]
struct State {
    left: Option<Left>,
    /// The alarm is set.
    rings: bool,
}

struct Left {
    waker: Waker,
    /// The alarm has not gone off since.
    fresh: bool,
    in_vain: u32,
}

thread_local! {
    /// A wake on this thread was for a coroutine.
    static REACHED: Cell<bool> = const { Cell::new(false) };
}

/// Somebody wakes a coroutine, from a thread that is in no loop.
pub(crate) fn reached() {
    REACHED.set(true);
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// The running coroutine has left the waker of somebody else at an await point.
    pub(crate) fn watch_turn(&self, waker: &Waker) {
        self.watched.set(true);
        // Whoever has been woken is not woken again by a waker that leads to it.
        let waits_on = self.spot.with(|coro| {
            coro.is_some_and(|coro| {
                let before = coro.has(flag::LEFT);
                coro.set(flag::LEFT);
                before && !coro.is_queued()
            })
        });
        let mut state = self.inbox().watch().state();
        let rang = std::mem::replace(&mut state.rings, true);
        let before = match &mut state.left {
            Some(left) if waits_on && left.waker.will_wake(waker) => {
                if left.in_vain >= IN_VAIN {
                    self.spot.with(|coro| coro.map(|coro| coro.set(flag::BLOCKED)));
                }
                None
            }
            left => left.replace(Left { waker: waker.clone(), fresh: true, in_vain: 0 }),
        };
        drop(state);
        drop(before);
        if !rang {
            alarm::look(Arc::downgrade(self.inbox()));
        }
    }

    /// The turn is over: nobody blocks it.
    pub(crate) fn end_watch(&self) {
        if self.watched.take() {
            let left = self.inbox().watch().state().left.take();
            drop(left);
        }
    }
}

/// The alarm has gone off. `true`: it is to be set again.
pub(crate) fn look(inbox: &Inbox) -> bool {
    let mut state = inbox.watch().state();
    let waker = match &mut state.left {
        None => {
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

#[cold]
pub(crate) fn panic(coro: &Header, on: Target, at: &'static Location<'static>) -> ! {
    let what = match on {
        Target::Timer(_) => "`tinyio::sleep`, or something with a timeout,",
        Target::Thread(_) => "`tinyio::run_in_thread`",
        Target::Coro(_) => "a coroutine",
        Target::Res(_) => "a `tinyio` event, lock, semaphore or barrier",
        Target::Loop(_) => "a loop",
        _ => "`tinyio::yield_now`",
    };
    panic!(
        "tinyio: {what} was awaited at {at} by another executor inside of {} (`block_on`?). That blocks the thread that the loop runs on, so \
         nobody would ever wake it. Write `.await` instead, or block a thread of its own: `tinyio::run_in_thread`",
        name::path(coro.type_name())
    )
}
