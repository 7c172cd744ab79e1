//! A bound on how long a coroutine may take.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::coroutine::coro::{Coro, coro};
use crate::executor;
use crate::executor::timer::Timer;
use crate::executor::waker_slot::Waiter;
use crate::failure::error::CancelledError;
use crate::observe::Target;
use crate::task::Reason;

/// Runs a future as a coroutine for at most this long. If it is not done by then, it is cancelled at its await point,
/// with a [`CancelledError`] whose [`is_timeout`](CancelledError::is_timeout) is true, and so are the coroutines and
/// threads that it alone awaits.
///
/// If the coroutine has ended when the time is up, or ends with a value when it is cancelled, this gives the value. One
/// whose await point would have been ready by then, but which has not been polled since, is cancelled: of two timers
/// that are due at the same time, this one may be first. One that answers with
/// another error crashes the loop with it. If other handles of the coroutine are alive when the time is up, only this
/// wait ends, and the coroutine continues. A `Timeout` that is dropped cancels its coroutine at once.
///
/// ```
/// # use std::time::Duration;
/// # tinyio::Loop::new().run(async {
/// let slow = tinyio::timeout(Duration::from_millis(5), tinyio::sleep(Duration::from_secs(60))).await?;
/// assert!(slow.is_err());
/// let quick = tinyio::timeout(Duration::from_secs(60), async { tinyio::Ok(3) }).await?;
/// assert_eq!(quick, Ok(3));
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn timeout<F, T, E>(limit: Duration, future: F) -> Timeout<T>
where
    F: Future<Output = Result<T, E>> + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    T: 'static,
{
    let at = Location::caller();
    Timeout { coro: coro(future), limit, at, deadline: None, timer: Timer::default(), waiter: Waiter::default() }
}

/// The time was up: the error of [`timeout`].
///
/// ```
/// # use std::time::Duration;
/// # tinyio::Loop::new().run(async {
/// let late = tinyio::timeout(Duration::from_millis(1), tinyio::sleep(Duration::from_secs(60))).await?;
/// assert_eq!(late, Err(tinyio::TimeoutError));
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutError;

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is up")
    }
}

impl StdError for TimeoutError {}

/// The future of [`timeout`].
///
/// ```
/// # use std::time::Duration;
/// # tinyio::Loop::new().run(async {
/// let in_time: tinyio::Timeout<u32> = tinyio::timeout(Duration::from_secs(60), async { tinyio::Ok(7) });
/// assert_eq!(in_time.await?, Ok(7));
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Timeout<T> {
    coro: Coro<T>,
    limit: Duration,
    /// Where `timeout` was called.
    at: &'static Location<'static>,
    deadline: Option<u64>,
    timer: Timer,
    waiter: Waiter,
}

impl<T> fmt::Debug for Timeout<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timeout({:?}, {:?})", self.limit, self.coro)
    }
}

impl<T: 'static> Future for Timeout<T> {
    type Output = Result<Result<T, TimeoutError>, CancelledError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        let this = self.get_mut();
        executor::with("timeout", |executor| {
            if let Some(answer) = executor.cancelled(this.deadline.is_none(), at) {
                return answer.map(Err);
            }
            if this.deadline.is_none() {
                this.coro.schedule(executor);
            }
            if let Poll::Ready(output) = this.coro.poll_in(executor, cx, at) {
                return Poll::Ready(output.map(Ok));
            }
            let deadline = *this.deadline.get_or_insert_with(|| executor.deadline(this.limit));
            if this.timer.has_fired(executor) {
                if this.coro.is_shared() {
                    return Poll::Ready(Ok(Err(TimeoutError))); // Other coroutines await it.
                }
                executor.cancel_one(this.coro.header().wake_token(), Reason::Timeout(this.at));
                if executor.failed() {
                    return Poll::Pending; // It answered with an error, for which all coroutines are cancelled.
                }
                return Poll::Ready(Ok(this.coro.take().ok_or(TimeoutError)));
            }
            let wake_token = this.waiter.wake_token(executor, cx);
            this.timer.set(executor, deadline, wake_token);
            executor.waits(Target::Timer(deadline), at);
            Poll::Pending
        })
    }
}
