//! Coroutines and their handles.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::executor::context::LOOPS;
use crate::executor::inbox::Loops;
use crate::executor::waker_slot;
use crate::executor::{self, Executor};
use crate::failure::error::CancelledError;
use crate::failure::panic_hook;
use crate::observe::{Observer, Rec, Target};
use crate::task::{BoxError, Fault, Handle, Header, Position, Profile, Reason, WakeToken, flag};

/// A coroutine: what a loop schedules, and one node of its dependency graph.
///
/// Made by [`coro`], it is lazy: it is scheduled when it is first awaited, [gathered](crate::gather) or
/// [spawned](spawn), on the loop that this happens in. Awaiting it gives its output, or `CancelledError` if it will
/// never have one: an error of the coroutine is not seen by those that await it, but cancels all coroutines of the loop
/// and comes out of [`Loop::run`](crate::Loop::run).
///
/// When its last handle is dropped before it has ended, it is cancelled, unless it was [spawned](spawn) or
/// [detached](Coro::detach).
///
/// Where `T` is `Clone`, so is the handle. All clones share one run and one output; the last one moves the output out.
///
/// ```
/// # let sum = tinyio::Loop::new().run(async {
/// let six = tinyio::coro(async { tinyio::Ok(2 * 3) });
/// let (a, b) = tinyio::gather((six.clone(), six)).await?;
/// # tinyio::Ok(a + b)
/// # }).unwrap();
/// # assert_eq!(sum, 12);
/// ```
pub struct Coro<T> {
    handle: Handle,
    /// The position of its wake token among the coroutine's waiters, 0 if none is registered.
    position: Position,
    output: PhantomData<fn() -> T>,
}

impl<T> Unpin for Coro<T> {}

/// A coroutine that runs this future.
///
/// A plain `f().await` runs inside the coroutine that awaits it; `coro(f()).await` is a coroutine of its own, which
/// others can await too and which shows as a node of the graph. `coro(coro(f))` is the same coroutine as `coro(f)`.
///
/// ```
/// async fn double(x: u32) -> tinyio::Result<u32> {
///     tinyio::yield_now().await?;
///     Ok(2 * x)
/// }
/// let eight = tinyio::Loop::new().run(async { tinyio::Ok(tinyio::coro(double(4)).await?) })?;
/// assert_eq!(eight, 8);
/// # Ok::<_, tinyio::Crash>(())
/// ```
#[must_use = "a coroutine does nothing until it is awaited, gathered or spawned"]
#[track_caller]
pub fn coro<F, T, E>(future: F) -> Coro<T>
where
    F: Future<Output = Result<T, E>> + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    T: 'static,
{
    coro_at(future, Location::caller())
}

/// Like [`coro`], with `at` as its place of creation.
pub(crate) fn coro_at<F, T, E>(future: F, at: &'static Location<'static>) -> Coro<T>
where
    F: Future<Output = Result<T, E>> + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    T: 'static,
{
    let mut future = Some(future);
    if let Some(same) = (&mut future as &mut dyn Any).downcast_mut::<Option<Coro<T>>>() {
        return same.take().expect("just put there");
    }
    Coro::new::<_, _, Shown>(future.expect("it was no `Coro`"), at, 0)
}

/// A coroutine that is scheduled now, and runs to its end whether or not its handle is kept:
/// [`Loop::run`](crate::Loop::run) returns only when all coroutines have ended.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// tinyio::spawn(async {
///     println!("in the background");
///     tinyio::Ok(())
/// });
/// # tinyio::Ok(()) }).unwrap();
/// ```
///
/// # Panics
///
/// Outside of a loop.
#[track_caller]
pub fn spawn<F, T, E>(future: F) -> Coro<T>
where
    F: Future<Output = Result<T, E>> + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
    T: 'static,
{
    let coro = coro(future);
    executor::with("spawn", |executor| coro.detach_in(executor));
    coro
}

/// The profile of a coroutine with an output that the record may show.
pub(crate) struct Shown;

impl<F, T: 'static, E: Into<BoxError> + 'static> Profile<F, T, E> for Shown {
    fn describe(output: &T) -> String {
        crate::failure::type_name::value(output)
    }

    fn fault(error: E) -> Fault {
        match (&error as &dyn Any).downcast_ref::<CancelledError>() {
            Some(cancelled) => Fault::Cancelled(cancelled.reason()),
            None => Fault::of(error),
        }
    }
}

impl<T> Coro<T> {
    pub(crate) fn new<F, E, P>(future: F, place: &'static Location<'static>, flags: u16) -> Coro<T>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
        P: Profile<F, T, E>,
    {
        // Folded to a constant by the compiler.
        let ours = if std::any::type_name::<F>().starts_with("tinyio::") { flag::INTERNAL } else { 0 };
        Coro { handle: Handle::new::<F, T, E, P, Loops>(future, place, flags | ours), position: 0, output: PhantomData }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.handle
    }

    /// Gives the coroutine a name, which the inspector shows in place of its function's name and its number, and so do
    /// messages of deadlocks while the program is recorded. A later name replaces it.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let workers = (0..4).map(|n| tinyio::coro(async move { tinyio::Ok(n) }).named(format!("worker {n}")));
    /// tinyio::gather(workers.collect::<Vec<_>>()).await?;
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Coro<T> {
        Rec::name_task(self.header(), name.into());
        self
    }

    /// Schedules the coroutine, and lets it run to its end whether or not it has handles, as [`spawn`] does: dropping
    /// the last handle of a coroutine cancels it otherwise.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # tinyio::Loop::new().run(async {
    /// let job = tinyio::coro(async {
    ///     tinyio::sleep(Duration::from_millis(5)).await?;
    ///     println!("done");
    ///     tinyio::Ok(())
    /// });
    /// job.detach(); // runs on without a handle
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// Outside of a loop, if it has not been scheduled.
    #[track_caller]
    pub fn detach(self) {
        if self.handle.is_scheduled() {
            self.handle.set(flag::DETACHED);
        } else {
            executor::with("Coro::detach", |executor| self.detach_in(executor));
        }
    }

    #[inline(always)]
    fn detach_in(&self, executor: &Executor) {
        self.handle.set(flag::DETACHED);
        self.schedule(executor);
    }

    /// Whether other handles of the coroutine exist.
    pub(crate) fn is_shared(&self) -> bool {
        self.handle.is_shared()
    }

    /// Schedules the coroutine, unless it is already scheduled.
    #[inline]
    pub(crate) fn schedule(&self, executor: &Executor) {
        if !self.handle.is_scheduled() {
            executor.schedule(&self.handle);
        } else if !self.handle.is_done() {
            executor.deadlocks.cycle_check_pending.set(true);
        }
    }

    /// The output, if it is ready.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<T> {
        // SAFETY: `T` is the output's type: `new` made the handle for it, `clone` shared it, and nothing else makes a
        // `Coro`.
        let output = unsafe { self.handle.take::<T>() };
        if output.is_some() {
            self.position = 0; // The waiters were removed when the coroutine ended.
        }
        output
    }

    /// Registers `wake_token` to be woken when the coroutine ends, in place of the token registered before.
    #[inline]
    pub(crate) fn register(&mut self, wake_token: WakeToken) {
        if self.position == 0 {
            self.position = self.handle.add_waiter(wake_token);
        } else {
            self.handle.replace_waiter(self.position, wake_token);
        }
    }

    /// Unregisters this handle's wait; the coroutine may continue.
    #[cold]
    #[inline(never)]
    fn unregister(&mut self) {
        let wake_token = self.handle.remove_waiter(self.position);
        if !wake_token.is_none() {
            waker_slot::release(wake_token);
            LOOPS.current(|executor| executor.map(|executor| executor.edge_cleared(Target::Coro(self.handle.id()))));
        }
    }

    /// The registered wake token.
    #[inline]
    pub(crate) fn registered(&self) -> WakeToken {
        if self.position == 0 { WakeToken::NONE } else { self.handle.waiter(self.position) }
    }

    /// The output, if it is ready and this is the only handle.
    #[inline]
    fn take_alone(&mut self) -> Option<T> {
        // SAFETY: as above.
        let output = unsafe { self.handle.take_alone::<T>() };
        if output.is_some() {
            self.position = 0;
        }
        output
    }

    /// Polls once inside `executor`.
    #[inline(never)]
    fn poll_in_full(
        &mut self,
        executor: &Executor,
        cx: &Context<'_>,
        at: &'static Location<'static>,
    ) -> Poll<Result<T, CancelledError>> {
        if let Some(answer) = executor.cancelled(self.position == 0, at) {
            return answer.map(Err);
        }
        if self.position == 0 {
            self.schedule(executor);
        }
        self.poll_in(executor, cx, at)
    }

    /// Polls once inside `executor`, on which it is already scheduled.
    #[inline(always)]
    pub(crate) fn poll_in(
        &mut self,
        executor: &Executor,
        cx: &Context<'_>,
        at: &'static Location<'static>,
    ) -> Poll<Result<T, CancelledError>> {
        if let Some(output) = self.take() {
            return Poll::Ready(Ok(output));
        }
        if self.handle.is_gone() {
            return Poll::Ready(Err(never(&self.handle, at)));
        }
        let wake_token = executor.wake_token_for(cx, self.registered(), true);
        self.register(wake_token);
        if self.handle.wake_token().tag() != executor.tag() {
            executor.waits_for_loop(self.handle.wake_token().tag());
        }
        executor.waits_for(&self.handle, at);
        Poll::Pending
    }
}

/// The error of awaiting a coroutine that has no output and never will have one.
#[cold]
#[inline(never)]
fn never(coro: &Header, at: &'static Location<'static>) -> CancelledError {
    if coro.is_taken() {
        let again =
            format!("a `Coro` was awaited again at {at}, after it had given its output: await a clone of it instead");
        panic_hook::misused(at, &again);
    }
    // The coroutine belonged to a loop that has crashed or was dropped.
    CancelledError::new(Reason::Gone(coro.name()))
}

impl<T> Future for Coro<T> {
    type Output = Result<T, CancelledError>;

    #[track_caller]
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        executor::with("coro", |executor| {
            // The two most common cases make no calls, so they save no registers: 64 of the 535 instructions of W1, and
            // 15 of its 115 stores.
            if !executor.answers() {
                if let Some(output) = self.take_alone() {
                    return Poll::Ready(Ok(output));
                }
                if self.position == 0 && executor.waits_simply(&self.handle, cx, at) {
                    self.position = 1;
                    return Poll::Pending;
                }
            }
            self.poll_in_full(executor, cx, at)
        })
    }
}

impl<T: Clone> Clone for Coro<T> {
    fn clone(&self) -> Self {
        // SAFETY: `T` is the output's type, see `take`.
        let handle = unsafe { self.handle.share::<T>() };
        Coro { handle, position: 0, output: PhantomData }
    }
}

impl<T> Drop for Coro<T> {
    #[inline]
    fn drop(&mut self) {
        if self.position != 0 {
            self.unregister();
        }
    }
}

impl<T> fmt::Debug for Coro<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.handle {
            coro if coro.is_done() => "done",
            coro if coro.is_gone() => "ended",
            coro if coro.is_scheduled() => "scheduled",
            _ => "not scheduled",
        };
        write!(f, "Coro({} #{}, {state})", crate::failure::type_name::path(self.handle.type_name()), self.handle.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::type_name;

    #[test]
    fn a_handle_is_recognised_by_its_name() {
        assert!(type_name::is_stand_in(std::any::type_name::<Coro<u8>>()));
        assert!(!type_name::is_stand_in(std::any::type_name::<Vec<Coro<u8>>>()));
    }
}
