//! `Loop`: runs coroutines.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::coroutine::coro::Coro;
use crate::executor::cancel::Cancelling;
use crate::executor::context::{self, LOOPS};
use crate::executor::inbox::Inbox;
use crate::executor::{Executor, Progress};
use crate::failure::crash::{Crash, Group};
use crate::failure::panic_hook;
use crate::observe::{LoopMode, Name, Observer};
use crate::panics;
use crate::task::{BoxError, Profile};

/// An event loop.
///
/// It runs coroutines on the thread that calls it, one at a time, first in, first out. As soon as one of them fails,
/// all the others are cancelled, threads too, and the error comes out.
///
/// ```
/// let mut looped = tinyio::Loop::new();
/// let seven = looped.run(async { tinyio::Ok(7) })?;
/// assert_eq!(seven, 7);
/// # Ok::<_, tinyio::Crash>(())
/// ```
pub struct Loop {
    executor: Rc<Executor>,
    group: Group,
    grace: Option<Duration>,
    shuffle: Option<u64>,
    name: Name,
}

impl Loop {
    /// Creates an empty loop.
    pub fn new() -> Loop {
        Loop { executor: Executor::new(), group: Group::default(), grace: None, shuffle: None, name: Name::default() }
    }

    /// Sets which failures a crash of the loop contains.
    #[must_use]
    pub fn group(mut self, group: Group) -> Loop {
        self.group = group;
        self
    }

    /// Gives the loop a name, which the inspector shows in place of its number.
    ///
    /// ```
    /// let uploads = tinyio::Loop::new().named("uploads");
    /// ```
    #[must_use]
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Loop {
        self.name = Name::new(name.into());
        self
    }

    /// Runs `main` and everything that it schedules; returns what it returned when all have ended. `main` may borrow
    /// from the caller.
    ///
    /// A coroutine may run another loop:
    ///
    /// ```
    /// let (mut outer, mut inner) = (tinyio::Loop::new(), tinyio::Loop::new());
    /// let main = async { tinyio::Ok(inner.run(async { tinyio::Ok(7) })?) };
    /// assert_eq!(outer.run(main).unwrap(), 7);
    /// ```
    ///
    /// but not its own, which it would have to borrow twice:
    ///
    /// ```compile_fail,E0499
    /// let mut outer = tinyio::Loop::new();
    /// let main = async { tinyio::Ok(outer.run(async { tinyio::Ok(7) })?) };
    /// assert_eq!(outer.run(main).unwrap(), 7);
    /// ```
    ///
    /// # Errors
    ///
    /// The first error or panic of a coroutine or thread, after all others have been cancelled and have ended.
    ///
    /// # Panics
    ///
    /// Never because of what coroutines do: their panics are errors here.
    #[track_caller]
    pub fn run<F, T, E>(&mut self, main: F) -> Result<T, Crash>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        panic_hook::watch();
        let main = Coro::new::<_, _, Opaque>(main, Location::caller(), 0);
        let executor = self.executor_for_run();
        let mut session = Session::begin(&executor, LoopMode::Run);
        let crash = context::enter(&executor, || {
            main.schedule(&executor);
            session.block()
        });
        session.output(main, crash)
    }

    /// A loop for coroutines inside `executor`, with its grace period and, if it has a seed, one drawn from it.
    pub(crate) fn inside(executor: &Executor) -> Loop {
        let shuffle = executor.ready.random();
        Loop { grace: executor.cancellation.grace.get(), shuffle, ..Loop::new() }
    }

    #[cfg(test)]
    pub(crate) fn executor(&self) -> &Rc<Executor> {
        &self.executor
    }

    /// The executor, with no tasks in it.
    pub(crate) fn executor_for_run(&mut self) -> Rc<Executor> {
        if self.executor.live() > 0 {
            // A `drive` was forgotten (`mem::forget`): what its coroutines borrow may be gone, so they are never
            // touched again.
            self.executor = Executor::new();
        }
        self.executor.cancellation.group.set(self.group);
        self.executor.cancellation.grace.set(self.grace);
        self.executor.ready.shuffle(self.shuffle);
        self.executor.rec.set_name(&self.name);
        self.executor.clone()
    }

    /// Gives coroutines this long for a cleanup that awaits: after the answer of the await point at which each was
    /// cancelled, others work as usual. A coroutine that has not ended by then is dropped.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// async fn connection() -> tinyio::Result<()> {
    ///     let work = tinyio::sleep(Duration::from_secs(60)).await;
    ///     if work.is_err() {
    ///         tinyio::sleep(Duration::from_millis(5)).await?; // awaits in its cleanup
    ///     }
    ///     Ok(work?)
    /// }
    ///
    /// let crash = tinyio::Loop::new().grace(Duration::from_secs(1)).run(async {
    ///     tinyio::spawn(connection());
    ///     tinyio::yield_now().await?;
    ///     Err::<(), _>(tinyio::Error::msg("enough"))
    /// });
    /// assert!(!crash.unwrap_err().is_group());
    /// ```
    #[must_use]
    pub fn grace(mut self, period: Duration) -> Loop {
        self.grace = Some(period);
        self
    }

    /// Runs the ready coroutines in an order determined by the seed, to find code that depends on the order. The same
    /// seed gives the same order.
    ///
    /// ```
    /// let order = |seed| {
    ///     let order = std::cell::RefCell::new(Vec::new());
    ///     tinyio::Loop::new().shuffle(seed).run(async {
    ///         let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    ///         for n in 0..8 {
    ///             let order = order.clone();
    ///             tinyio::spawn(async move { tinyio::Ok(order.borrow_mut().push(n)) });
    ///         }
    ///         tinyio::sleep(std::time::Duration::from_millis(2)).await?;
    ///         tinyio::Ok(order.take())
    ///     })
    ///     .map(|seen| order.borrow_mut().extend(seen))
    ///     .unwrap();
    ///     order.into_inner()
    /// };
    /// assert_eq!(order(7), order(7));
    /// assert_ne!(order(7), order(8));
    /// ```
    #[must_use]
    pub fn shuffle(mut self, seed: u64) -> Loop {
        self.shuffle = Some(seed);
        self
    }

    /// Sleeps take no time: when no coroutine is ready and no thread is running, the loop's clock advances to the next
    /// timer.
    ///
    /// "Thread" means a function run by [`run_in_thread`](crate::run_in_thread) or `from_tokio`. Nothing else outside
    /// of the loop holds the clock: no socket, no other thread, no cloned waker. The loop cannot know whether they will
    /// ever wake a coroutine; a coroutine that waits for another one through a foreign channel looks the same. A
    /// program that needs one of these in virtual time waits for it in `run_in_thread`.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// let start = Instant::now();
    /// tinyio::Loop::new().virtual_time().run(tinyio::sleep(Duration::from_secs(864_000)))?;
    /// assert!(start.elapsed() < Duration::from_secs(10));
    /// # Ok::<_, tinyio::Crash>(())
    /// ```
    #[must_use]
    pub fn virtual_time(self) -> Loop {
        self.executor.use_virtual_time();
        self
    }

    /// Sets how long the loop waits before it warns that all coroutines wait, some of them for an
    /// [`Event`](crate::Event) that no coroutine of the loop can set. It warns once and lists them. The default is five
    /// seconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let event = tinyio::Event::new();
    /// let forgotten = event.clone();
    /// std::thread::spawn(move || {
    ///     std::thread::sleep(Duration::from_millis(50));
    ///     forgotten.set(); // late, so there is a warning
    /// });
    /// tinyio::Loop::new().warn_quiescent(Duration::from_millis(5)).run(event.wait()).unwrap();
    /// ```
    #[must_use]
    pub fn warn_quiescent(self, after: Duration) -> Loop {
        self.executor.deadlocks.quiescent_warning.set(after);
        self
    }

    /// A handle that stops the loop from any thread.
    pub fn handle(&self) -> crate::Handle {
        crate::Handle::new(self.executor.inbox().clone())
    }
}

impl Default for Loop {
    fn default() -> Self {
        Loop::new()
    }
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loop({} coroutines)", self.executor.live())
    }
}

/// Stops a loop from anywhere: another thread, a signal handler's thread, another loop.
///
/// ```
/// let mut looped = tinyio::Loop::new();
/// let handle = looped.handle();
/// std::thread::spawn(move || handle.cancel());
/// let crash = looped.run(tinyio::sleep(std::time::Duration::from_secs(60))).unwrap_err();
/// assert!(crash.downcast_ref::<tinyio::Interrupted>().is_some());
/// ```
#[derive(Clone)]
pub struct Handle(std::sync::Arc<Inbox>);

impl Handle {
    pub(crate) fn new(inbox: std::sync::Arc<Inbox>) -> Handle {
        Handle(inbox)
    }

    /// Whether the loop still exists.
    #[cfg(feature = "signal")]
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Whether the loop is running.
    #[cfg(feature = "signal")]
    pub(crate) fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// Like `cancel`, for Ctrl-C. Returns `true` if the run was already cancelled this way and has not ended yet.
    #[cfg(feature = "signal")]
    pub(crate) fn interrupt(&self) -> bool {
        // Recorded first: once it is cancelled, the run may end, which clears the flag.
        let again = self.0.interrupt();
        self.cancel();
        again
    }

    /// Cancels everything on the loop; its `run` gives a [`Crash`] whose error is [`Interrupted`](crate::Interrupted).
    /// If it is not running, its next run ends at once. A loop that a coroutine of this one runs inside its step, by
    /// [`Loop::run`], is cancelled with it.
    ///
    /// ```
    /// let mut looped = tinyio::Loop::new();
    /// let handle = looped.handle();
    /// std::thread::spawn(move || handle.cancel());
    /// assert!(looped.run(tinyio::sleep(std::time::Duration::from_secs(60))).is_err());
    /// ```
    pub fn cancel(&self) {
        self.0.stop();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// The profile of a main coroutine, whose output may borrow.
pub(crate) struct Opaque;

impl<F, T, E: Into<BoxError>> Profile<F, T, E> for Opaque {
    fn describe(_: &T) -> String {
        format!("_: {}", std::any::type_name::<T>())
    }
}

/// One run of a loop. However it ends, nothing of it is left in the loop: that is what allows `main` to borrow.
pub(crate) struct Session {
    executor: Rc<Executor>,
    /// `Some` once a coroutine has failed.
    cancelling: Option<Cancelling>,
    crashed: bool,
}

impl Session {
    pub(crate) fn begin(executor: &Rc<Executor>, mode: LoopMode) -> Session {
        executor.rec.loop_start(&**executor, mode);
        executor.inbox().run_begins();
        executor.deadlocks.begin_run(executor.now());
        if mode == LoopMode::Run {
            LOOPS.each(|outer| outer.inbox().enclose(executor.inbox()));
        }
        Session { executor: executor.clone(), cancelling: None, crashed: false }
    }

    /// Makes a turn of the loop, or of its cancellation once that has begun. Called in the context of the loop.
    pub(crate) fn advance(&mut self) -> Progress {
        match &mut self.cancelling {
            None => self.executor.advance(),
            Some(cancelling) => cancelling.advance(&self.executor),
        }
    }

    /// Cancels all coroutines, because one has failed: [`advance`](Session::advance) delivers that from now on.
    pub(crate) fn cancel(&mut self) {
        self.cancelling = Some(Cancelling::begin(&self.executor));
    }

    /// Whether all coroutines are being cancelled.
    pub(crate) fn is_cancelling(&self) -> bool {
        self.cancelling.is_some()
    }

    /// Ends the grace period of cleanup code.
    pub(crate) fn skip_grace(&mut self) {
        self.executor.cancellation.grace.set(None);
        self.cancelling.iter_mut().for_each(Cancelling::skip_grace);
    }

    /// Runs until all coroutines have ended; the thread sleeps while there is nothing to do. Returns the crash, if one
    /// has failed.
    pub(crate) fn block(&mut self) -> Option<Crash> {
        loop {
            match self.advance() {
                Progress::Ready => {}
                Progress::Idle(until) => self.executor.park(until),
                Progress::Failed => self.cancel(),
                Progress::Done => return self.crash(),
            }
        }
    }

    /// Makes the crash, if a coroutine has failed, after all have ended.
    pub(crate) fn crash(&mut self) -> Option<Crash> {
        let crash = self.cancelling.take().map(|cancelling| cancelling.finish(&self.executor));
        self.crashed = crash.is_some();
        crash
    }

    /// Ends the run and gives its result.
    pub(crate) fn output<T>(self, mut main: Coro<T>, crash: Option<Crash>) -> Result<T, Crash> {
        match crash {
            Some(crash) => {
                panics::dispose(main);
                Err(crash)
            }
            None => Ok(main.take().expect("it has ended, and this is its only handle")),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        context::enter(&self.executor, || self.executor.abandon());
        // A destructor that panicked after the end of the run is no failure of the next run.
        panics::dispose(self.executor.failure.take());
        self.executor.inbox().run_ended();
        LOOPS.each(|outer| outer.inbox().release(self.executor.inbox()));
        self.executor.rec.loop_end(&*self.executor, self.crashed);
    }
}
