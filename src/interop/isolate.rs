//! Loops isolated inside a coroutine.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::coroutine::coro::{self, Coro};
use crate::event_loop::Loop;
use crate::executor::context::LOOPS;
use crate::executor::{self, Delivery, Executor};
use crate::failure::crash::Crash;
use crate::failure::error::CancelledError;
use crate::interop::drive::Driver;
use crate::observe::LoopMode;
use crate::task::{Profile, Reason, flag};

/// Runs a future, and all that it schedules, in a loop of its own inside this coroutine: a crash inside is a value
/// here, and cancels no coroutine outside.
///
/// Coroutines of the outer loop can be awaited from inside through their handles. If the outer loop crashes, or this is
/// dropped, the isolated coroutines are cancelled and clean up. Their threads are asked to stop, and the outer loop
/// continues meanwhile.
///
/// ```
/// let answer = tinyio::Loop::new().run(async {
///     let tried = tinyio::isolate(async { Err::<u32, _>(tinyio::Error::msg("broken")) }).await?;
///     assert_eq!(tried.unwrap_err().error().to_string(), "broken");
///     tinyio::Ok("still here")
/// })?;
/// assert_eq!(answer, "still here");
/// # Ok::<_, tinyio::Crash>(())
/// ```
#[track_caller]
pub fn isolate<F, T, E>(future: F) -> Isolate<T>
where
    F: Future<Output = Result<T, E>> + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    T: 'static,
{
    Isolate { state: State::New(coro::coro(future)) }
}

/// The future of [`isolate`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let isolated: tinyio::Isolate<u32> = tinyio::isolate(async { tinyio::Ok(7) });
/// assert_eq!(isolated.await?.unwrap(), 7);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Isolate<T> {
    state: State<T>,
}

enum State<T> {
    New(Coro<T>),
    Running(Box<Driver<T>>),
    /// The enclosing loop has crashed, for this reason, and gives the inner one the same time for cleanup as others.
    Stopping(Box<Driver<T>>, Reason),
    Ended,
}

impl<T> Unpin for Isolate<T> {}

impl<T> fmt::Debug for Isolate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Isolate")
    }
}

impl<T: 'static> Future for Isolate<T> {
    type Output = Result<Result<T, Crash>, CancelledError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        executor::with("isolate", |outer| {
            let delivery = outer.cancellation.delivery.get();
            let reason =
                delivery.reason.filter(|_| delivery.with_grace && !matches!(self.state, State::New(_) | State::Ended));
            if let Some(reason) = reason {
                outer.cancellation.delivery.set(Delivery { answered: true, ..delivery });
                self.state = match std::mem::replace(&mut self.state, State::Ended) {
                    State::Running(driver) => {
                        driver.cancel();
                        State::Stopping(driver, reason)
                    }
                    state => state,
                };
            } else if let Some(answer) = outer.cancelled(matches!(self.state, State::New(_)), at) {
                self.give_up();
                return answer.map(Err);
            }
            if let State::New(_) = &self.state
                && let State::New(main) = std::mem::replace(&mut self.state, State::Ended)
            {
                self.state = State::Running(Box::new(begin(outer, main, at)));
            }
            let (driver, stopping) = match &mut self.state {
                State::Running(driver) => (driver, None),
                State::Stopping(driver, reason) => (driver, Some(*reason)),
                State::New(_) | State::Ended => panic!("tinyio: `isolate` was polled at {at} after it had ended"),
            };
            let result = std::task::ready!(driver.poll_in(outer, cx, at));
            self.state = State::Ended;
            Poll::Ready(match stopping {
                Some(reason) => Err(CancelledError::new(reason)),
                None => Ok(result),
            })
        })
    }
}

impl<T> Isolate<T> {
    /// Cancels everything inside. The enclosing loop continues until that is done, unless all of it is being cancelled
    /// or it is not running: then this blocks.
    fn give_up(&mut self) {
        let (State::Running(driver) | State::Stopping(driver, _)) = std::mem::replace(&mut self.state, State::Ended)
        else {
            return;
        };
        LOOPS.current(|outer| {
            if let Some(outer) = outer.filter(|outer| !outer.cancellation.delivery.get().starts_no_task()) {
                driver.cancel();
                let at = driver.at;
                Coro::<()>::new::<_, _, GivenUpProfile>(GivenUp(driver), at, flag::THREAD | flag::DETACHED)
                    .schedule(outer);
            }
        });
    }
}

impl<T> Drop for Isolate<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Drives an isolated loop that was given up until all in it have ended. Like a function on a thread, it ends by
/// itself.
struct GivenUp<T>(Box<Driver<T>>);

impl<T> Unpin for GivenUp<T> {}

impl<T> Future for GivenUp<T> {
    type Output = Result<(), CancelledError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        executor::with("isolate", |outer| {
            if outer.cancellation.delivery.get().starts_no_task() {
                self.0.skip_grace();
            }
            let at = self.0.at;
            self.0.poll_in(outer, cx, at).map(|_| Ok(()))
        })
    }
}

struct GivenUpProfile;

impl<F> Profile<F, (), CancelledError> for GivenUpProfile {
    fn type_name() -> &'static str {
        "tinyio::isolate"
    }

    fn describe((): &()) -> String {
        "()".to_owned()
    }
}

/// Starts a loop inside `outer`.
fn begin<T: 'static>(outer: &Executor, main: Coro<T>, at: &'static Location<'static>) -> Driver<T> {
    // A coroutine of another loop is awaited from inside.
    let main = if main.header().is_scheduled() { Coro::new::<_, _, coro::Shown>(main, at, 0) } else { main };
    Driver::new(&mut Loop::inside(outer), main, LoopMode::Isolate)
}
