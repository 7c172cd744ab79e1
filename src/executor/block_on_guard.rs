//! Detects other executors inside a coroutine: `block_on(tinyio::sleep(..))` waits for a wake that the loop is to give,
//! and keeps the loop, which runs on the same thread, from ever giving it.
//!
//! Such an executor registers a waker at the await point, as `FuturesUnordered` does, too. The difference is what the
//! waker does: that of `FuturesUnordered` wakes the coroutine, that of the executor wakes no task of the loop. So if a
//! turn of the loop lasts long, the timer thread calls the waker that was registered in it last, which at worst costs a
//! needless poll, and checks whether that wakes a task of a loop. If it repeatedly does not, and the same await point
//! is polled again in the same step of a coroutine that has not been woken, then an executor blocks the step. Something
//! other than the loop may end that, so it is a warning.

use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use crate::executor::Executor;
use crate::executor::context::warn;
use crate::executor::timer_thread;
use crate::executor::watchdog::{MAX_INEFFECTIVE_WAKES, Registered};
use crate::failure::type_name;
use crate::observe::Target;
use crate::task::{Header, flag};

impl Executor {
    /// Records that the running coroutine registered a foreign waker at an await point, repeatedly if `again`.
    pub(crate) fn watch_turn(&self, waker: &Waker, again: bool) {
        self.foreign.watched.set(true);
        // A task that is already woken is not woken again by a waker that leads to it.
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
            && let Some(watched) = watch.state().watched.as_mut().filter(|watched| watched.waker.will_wake(waker))
        {
            if watched.ineffective_wakes >= MAX_INEFFECTIVE_WAKES && !std::mem::replace(&mut watched.warned, true) {
                self.current_task.with(|coro| coro.map(|coro| coro.set(flag::BLOCKED)));
            }
            return;
        }
        let watched =
            Registered { waker: Arc::new(waker.clone()), was_checked: false, ineffective_wakes: 0, warned: false };
        let mut state = watch.state();
        let before = state.watched.replace(watched);
        let was_set = std::mem::replace(&mut state.alarm_is_set, true);
        drop(state);
        self.contain(|| drop(before));
        if !was_set {
            timer_thread::check_turn_later(Arc::downgrade(self.inbox()));
        }
    }

    /// Records that the turn is over, so no executor blocks it.
    pub(crate) fn end_watch(&self) {
        if self.foreign.watched.take() {
            let watched = self.inbox().watch().state().watched.take();
            self.contain(|| drop(watched));
        }
    }
}

/// Warns that an executor blocks this coroutine, which waits here.
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
