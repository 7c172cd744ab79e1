//! Yielding and sleeping.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::executor;
use crate::executor::clock;
use crate::executor::timer::Timer;
use crate::executor::waker_slot::Waiter;
use crate::failure::error::CancelledError;
use crate::observe::Target;

/// Polls every other ready coroutine once before this one continues. Python's bare `yield`.
///
/// An await point whose result is there already gives no turn: an event that is set, a free lock, a coroutine that has
/// ended. A coroutine that awaits only such results keeps all others, timers and Ctrl-C waiting while it runs. A long
/// loop of that kind, like one that only computes, should call `yield_now` regularly. (`sleep(Duration::ZERO)`, a new
/// [`coro`](crate::coro) and a [`gather`](crate::gather) give a turn.)
///
/// ```
/// # tinyio::Loop::new().run(async {
/// for chunk in [1, 2, 3] {
///     println!("{chunk}");
///     tinyio::yield_now().await?;
/// }
/// # tinyio::Ok(()) }).unwrap();
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// The future of [`yield_now`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let turn: tinyio::YieldNow = tinyio::yield_now();
/// turn.await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = Result<(), CancelledError>;

    #[track_caller]
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        executor::with("yield_now", |executor| {
            if let Some(answer) = executor.cancelled(!self.yielded, at) {
                return answer.map(Err);
            }
            if self.yielded {
                return Poll::Ready(Ok(()));
            }
            self.yielded = true;
            executor.yields(at);
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }
}

/// Sleeps for this long. The clock has a resolution of about a millisecond, and never wakes early.
///
/// ```
/// # use std::time::{Duration, Instant};
/// let start = Instant::now();
/// tinyio::Loop::new().run(tinyio::sleep(Duration::from_millis(20)))?;
/// assert!(start.elapsed() >= Duration::from_millis(20));
/// # Ok::<_, tinyio::Crash>(())
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    let time = clock::nanoseconds(duration);
    Sleep { time, began: false, timer: Timer::default(), waiter: Waiter::default() }
}

/// The future of [`sleep`].
///
/// ```
/// let nap: tinyio::Sleep = tinyio::sleep(std::time::Duration::from_millis(1));
/// tinyio::Loop::new().run(nap).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    /// In nanoseconds: the duration until the first poll, after that the deadline on the loop's clock.
    time: u64,
    began: bool,
    timer: Timer,
    waiter: Waiter,
}

// A program may hold a million of them.
const _: () = assert!(size_of::<Sleep>() <= 32);

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_nanos(self.time);
        if self.began { write!(f, "Sleep(until {time:?})") } else { write!(f, "Sleep({time:?})") }
    }
}

impl Future for Sleep {
    type Output = Result<(), CancelledError>;

    #[track_caller]
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        let this = self.get_mut();
        executor::with("sleep", |executor| {
            if let Some(answer) = executor.cancelled(!this.began, at) {
                return answer.map(Err);
            }
            if !this.began {
                this.began = true;
                // A zero duration gives one turn and does not read the clock.
                if this.time == 0 {
                    executor.yields(at);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                this.time = executor.now().saturating_add(this.time);
            }
            if this.time == 0 || this.timer.has_fired(executor) {
                return Poll::Ready(Ok(()));
            }
            let wake_token = this.waiter.wake_token(executor, cx);
            this.timer.set(executor, this.time, wake_token);
            executor.waits(Target::Timer(this.time), at);
            Poll::Pending
        })
    }
}
