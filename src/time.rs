//! Giving others a turn, and sleeping.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::core;
use crate::error::CancelledError;
use crate::record::Target;
use crate::timer::Timer;
use crate::waiter::Waiter;

/// Lets every other coroutine that is ready have its turn first. Python's bare `yield`.
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
        core::with("yield_now", |core| {
            if let Some(answer) = core.cancelled(!self.yielded, at) {
                return answer.map(Err);
            }
            if self.yielded {
                return Poll::Ready(Ok(()));
            }
            self.yielded = true;
            core.waits(Target::Turn, at);
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
    Sleep { duration, deadline: None, timer: Timer::default(), waiter: Waiter::default() }
}

/// The future of [`sleep`].
///
/// ```
/// let nap: tinyio::Sleep = tinyio::sleep(std::time::Duration::from_millis(1));
/// tinyio::Loop::new().run(nap).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    duration: Duration,
    /// Set when it is first polled.
    deadline: Option<u64>,
    timer: Timer,
    waiter: Waiter,
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sleep({:?})", self.duration)
    }
}

impl Future for Sleep {
    type Output = Result<(), CancelledError>;

    #[track_caller]
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        let this = self.get_mut();
        core::with("sleep", |core| {
            if let Some(answer) = core.cancelled(this.deadline.is_none(), at) {
                return answer.map(Err);
            }
            let deadline = match this.deadline {
                // Not even a look at the clock: one turn.
                None if this.duration.is_zero() => {
                    this.deadline = Some(0);
                    core.waits(Target::Turn, at);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => *this.deadline.insert(core.deadline(this.duration)),
                Some(deadline) => deadline,
            };
            if deadline == 0 || this.timer.has_fired(core) {
                return Poll::Ready(Ok(()));
            }
            let word = this.waiter.word(core, cx);
            this.timer.set(core, deadline, word);
            core.waits(Target::Timer(deadline), at);
            Poll::Pending
        })
    }
}
