//! Futures that need a tokio reactor.

use std::error::Error as StdError;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinHandle};

use crate::coroutine::coro::Coro;
use crate::executor;
use crate::executor::jobs::Counted;
use crate::failure::error::CancelledError;
use crate::task::{BoxError, Profile, Reason, flag};

/// The runtime, with one thread, for all such futures of the process.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("tinyio tokio").enable_all().build();
    runtime.unwrap_or_else(|error| panic!("tinyio: cannot start a tokio runtime for `from_tokio`: {error}"))
});

/// A coroutine that runs a future that needs tokio's sockets, timers or tasks, on a tokio runtime that tinyio keeps on
/// a thread of its own. Other futures can be awaited directly. Needs the feature `tokio`.
///
/// If the coroutine is cancelled, so is the future: tokio drops it at its next await point, which is waited for.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # tinyio::Loop::new().run(async {
/// let slept = tinyio::from_tokio(async {
///     tokio::time::sleep(std::time::Duration::from_millis(5)).await;
///     tinyio::Ok("slept")
/// });
/// assert_eq!(slept.await?, "slept");
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[track_caller]
pub fn from_tokio<F, T, E>(future: F) -> Coro<T>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
{
    let at = Location::caller();
    let state = State::New(Some(future));
    Coro::new::<_, _, TokioProfile<F>>(Guest { state }, at, flag::THREAD)
}

/// The profile, which shows the name of the future.
struct TokioProfile<F>(PhantomData<F>);

impl<W, F, T: 'static, E: Into<BoxError>> Profile<W, T, E> for TokioProfile<F> {
    fn type_name() -> &'static str {
        std::any::type_name::<F>()
    }

    fn describe(output: &T) -> String {
        crate::failure::type_name::value(output)
    }
}

/// The coroutine that stands for the tokio task.
struct Guest<F, T> {
    state: State<F, T>,
}

enum State<F, T> {
    New(Option<F>),
    /// The task, why it was aborted, if it was, and that it is counted among the functions on threads.
    Running(JoinHandle<Result<T, BoxError>>, Option<Reason>, Option<Counted>),
}

impl<F, T> Unpin for Guest<F, T> {}

impl<F, T, E> Future for Guest<F, T>
where
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    type Output = Result<T, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let cancelled = executor::with("from_tokio", |executor| executor.cancellation.delivery.get().reason);
        if let State::New(future) = &mut self.state {
            if let Some(reason) = cancelled {
                return Poll::Ready(Err(CancelledError::new(reason).into()));
            }
            let future = future.take().expect("handed over once");
            let counted = executor::with("from_tokio", |executor| executor.jobs.count_in(1));
            let work = crate::observe::spans::inside(async move { future.await.map_err(Into::into) });
            self.state = State::Running(RUNTIME.spawn(work), None, Some(counted));
        }
        let State::Running(handle, aborted, counted) = &mut self.state else { unreachable!("just started") };
        if let Some(reason) = cancelled {
            handle.abort();
            aborted.get_or_insert(reason);
        }
        let result = std::task::ready!(Pin::new(handle).poll(cx));
        *counted = None;
        let aborted = *aborted;
        Poll::Ready(result.unwrap_or_else(|error| Err(ended(error, aborted))))
    }
}

/// The error of a future that was aborted; a panic of it is resumed here.
fn ended(error: JoinError, aborted: Option<Reason>) -> BoxError {
    match error.try_into_panic() {
        Ok(payload) => std::panic::resume_unwind(payload),
        Err(_) => CancelledError::new(aborted.unwrap_or(Reason::Crash(None))).into(),
    }
}

impl<F, T> Drop for Guest<F, T> {
    fn drop(&mut self) {
        if let State::Running(handle, ..) = &self.state {
            handle.abort();
        }
    }
}
