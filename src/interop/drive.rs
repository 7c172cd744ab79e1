//! Loops inside other executors: as a future of any executor, and isolated inside a coroutine.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::coroutine::coro::Coro;
use crate::event_loop::{Loop, Opaque, Session};
use crate::executor::context;
use crate::executor::timer::Timer;
use crate::executor::timer_thread;
use crate::executor::wake;
use crate::executor::waker_slot::Waiter;
use crate::executor::{self, Cancel, Executor, Left, Progress, Stop};
use crate::failure::crash::{Crash, Failure};
use crate::failure::error::CancelledError;
use crate::failure::panic_hook;
use crate::observe::{LoopMode, Target};
use crate::task::{Profile, Reason, WakeToken, flag};

/// Turns of a driven loop before its host gets one.
const TURNS: u32 = 8;

impl Loop {
    /// The loop as a future: runs `main` and everything that it schedules inside whatever polls it, tokio, smol or
    /// another, without blocking its thread.
    ///
    /// If it is dropped before it has finished, it cancels every coroutine, lets them clean up, and waits for its
    /// threads. That blocks the thread of the host: on a host with one thread, a cleanup that awaits something of the
    /// host (a tokio timer on a current-thread runtime) is cut off when the [`grace`](Loop::grace) period is over, and
    /// a function on a thread that waits for the host is waited for without end, with a warning after a second. Where
    /// that can happen, call [`Handle::cancel`](crate::Handle::cancel) and await the loop to its end in place of
    /// dropping it.
    ///
    /// ```
    /// let mut looped = tinyio::Loop::new();
    /// let three = pollster::block_on(looped.drive(async {
    ///     tinyio::sleep(std::time::Duration::from_millis(5)).await?;
    ///     tinyio::Ok(3)
    /// }))?;
    /// assert_eq!(three, 3);
    /// # Ok::<_, tinyio::Crash>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Loop::run`].
    #[track_caller]
    pub fn drive<'a, F, T, E>(&'a mut self, main: F) -> impl Future<Output = Result<T, Crash>> + use<'a, F, T, E>
    where
        F: Future<Output = Result<T, E>> + 'a,
        E: Into<Box<dyn StdError + Send + Sync>>,
        T: 'a,
    {
        let main = Coro::new::<_, _, Opaque>(main, Location::caller(), 0);
        let driver = Driver::new(self, main, LoopMode::Drive);
        Drive { driver, looped: PhantomData::<&'a mut Loop> }
    }
}

/// The future of `Loop::drive`, which has the loop for itself.
struct Drive<'a, T> {
    driver: Driver<T>,
    looped: PhantomData<&'a mut Loop>,
}

impl<T> Unpin for Drive<'_, T> {}

impl<T> Future for Drive<'_, T> {
    type Output = Result<T, Crash>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.driver.poll(cx)
    }
}

/// Runs a loop step by step.
struct Driver<T> {
    executor: Rc<Executor>,
    mode: LoopMode,
    main: Option<Coro<T>>,
    /// `Some` once it has begun.
    session: Option<Session>,
    /// Wakes the host when a timer is due, if the host is a tinyio loop of this thread.
    timer: Timer,
    waiter: Waiter,
    /// The time for which the host has otherwise been asked to wake it.
    alarm: Option<u64>,
    /// The number of threads of this loop that count as those of the enclosing loop.
    jobs: usize,
    /// Its index among the guests of the enclosing loop, and the tag of that loop.
    guest: Option<(u32, u32)>,
    /// Where it was made.
    at: &'static Location<'static>,
}

impl<T> Driver<T> {
    fn new(looped: &mut Loop, main: Coro<T>, mode: LoopMode) -> Driver<T> {
        Driver {
            at: main.header().place(),
            executor: looped.fresh_core(),
            mode,
            main: Some(main),
            session: None,
            timer: Timer::default(),
            waiter: Waiter::default(),
            alarm: None,
            jobs: 0,
            guest: None,
        }
    }

    /// One poll of an isolated loop inside a coroutine of `outer`.
    fn poll_in(
        &mut self,
        outer: &Executor,
        cx: &mut Context<'_>,
        at: &'static Location<'static>,
    ) -> Poll<Result<T, Crash>> {
        let poll = self.poll(cx);
        if poll.is_pending() {
            outer.waits(Target::Loop(self.executor.rec.loop_id()), at);
        }
        poll
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, Crash>> {
        let executor = self.executor.clone();
        wake::set_host(executor.inbox(), Some(cx.waker()));
        context::current(|host| self.visit(host));
        let main = self.main.as_ref().expect("a driven loop is polled until it is ready");
        let session = self.session.get_or_insert_with(|| {
            panic_hook::watch();
            let session = Session::begin(&executor, self.mode);
            context::enter(&executor, || main.schedule(&executor));
            session
        });
        let skips_to = |until| self.mode == LoopMode::Drive && executor.skip_to(until);
        let progress = context::enter(&executor, || {
            for _ in 0..TURNS {
                match session.advance() {
                    Progress::Ready => {}
                    Progress::Idle(until) if until.is_some_and(skips_to) || executor.inbox().has_mail() => {}
                    Progress::Idle(until) => return ControlFlow::Continue(Some(until)),
                    Progress::Failed => session.cancel(),
                    Progress::Done => return ControlFlow::Break(session.crash()),
                }
            }
            ControlFlow::Continue(None)
        });
        self.count_jobs(executor.jobs.count());
        match progress {
            // The host has its turn.
            ControlFlow::Continue(None) => cx.waker().wake_by_ref(),
            ControlFlow::Continue(Some(until)) => self.wake_at(until, cx),
            ControlFlow::Break(crash) => {
                let session = self.session.take().expect("begun above");
                let main = self.main.take().expect("it is ready once");
                wake::set_host(executor.inbox(), None);
                self.take_leave();
                return Poll::Ready(session.output(main, crash));
            }
        }
        Poll::Pending
    }

    /// Registers this loop with the enclosing one, if it is polled inside of one, so that the deadlock search of the
    /// enclosing loop includes the coroutines of this one.
    fn visit(&mut self, host: Option<&Executor>) {
        if let Some(host) = host.filter(|_| self.mode == LoopMode::Isolate) {
            self.executor.follow_clock(host);
        }
        self.executor.is_guest.set(host.is_some());
        let here = host.map_or(WakeToken::NONE, Executor::here);
        if self.guest.is_some_and(|(number, _)| host.is_none_or(|host| host.number() != number)) {
            self.take_leave();
        }
        let Some(host) = host else { return };
        match self
            .guest
            .and_then(|(_, key)| host.guests.borrow_mut().get_mut(key).map(|(wake_token, _)| *wake_token = here))
        {
            Some(()) => {}
            None => {
                let guest = (here, Rc::downgrade(&self.executor));
                self.guest = Some((host.number(), host.guests.borrow_mut().insert(guest)));
            }
        }
    }

    fn take_leave(&mut self) {
        if let Some((number, key)) = self.guest.take() {
            wake::take_back(number, Left::Guest(key, std::mem::take(&mut self.jobs)));
        }
    }

    /// Counts work on threads of this loop as work of the enclosing loop.
    fn count_jobs(&mut self, jobs: usize) {
        if self.mode == LoopMode::Isolate {
            let before = std::mem::replace(&mut self.jobs, jobs);
            context::current(|host| host.map(|host| host.jobs.change(jobs, before)));
        }
    }

    /// Requests a wake of the host at this time of the loop's clock. Mail wakes it by itself.
    fn wake_at(&mut self, until: Option<u64>, cx: &Context<'_>) {
        let Some(until) = until.filter(|until| *until < u64::MAX) else { return self.timer.clear() };
        let left = until.saturating_sub(self.executor.now());
        let nested = context::current(|host| {
            let Some(host) = host else { return false };
            let wake_token = self.waiter.wake_token(host, cx);
            self.timer.clear();
            self.timer.set(host, host.now().saturating_add(left), wake_token);
            true
        });
        if !nested && self.alarm != Some(until) {
            self.alarm = Some(until);
            timer_thread::ring(left, Arc::downgrade(self.executor.inbox()));
        }
    }

    /// Cancels everything. The loop is to be polled until that is done.
    fn cancel(&self) {
        self.executor.fail(Failure::of_stop(Stop::Dropped));
    }

    /// Cancels everything, and blocks until all have ended.
    fn stop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        self.count_jobs(0);
        wake::set_host(self.executor.inbox(), None);
        if self.mode == LoopMode::Isolate {
            session.skip_grace(); // The enclosing loop waits.
        }
        let crash = context::enter(&self.executor, || {
            if !session.is_cancelling() {
                self.cancel();
                session.cancel();
            }
            session.block()
        });
        if let Some(main) = self.main.take() {
            drop(session.output(main, crash));
        }
    }
}

impl<T> Drop for Driver<T> {
    fn drop(&mut self) {
        self.take_leave();
        self.stop();
    }
}

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
    Isolate { state: State::New(crate::coroutine::coro::coro(future)) }
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
            let cancel = outer.cancel.get();
            let gently = cancel.reason.filter(|_| cancel.gently && !matches!(self.state, State::New(_) | State::Ended));
            if let Some(reason) = gently {
                outer.cancel.set(Cancel { answered: true, ..cancel });
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
        context::current(|outer| {
            if let Some(outer) = outer.filter(|outer| !outer.cancel.get().is_hard()) {
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
            if outer.cancel.get().is_hard() {
                self.0.session.iter_mut().for_each(Session::skip_grace);
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
    let main =
        if main.header().is_scheduled() { Coro::new::<_, _, crate::coroutine::coro::Shown>(main, at, 0) } else { main };
    Driver::new(&mut Loop::inside(outer), main, LoopMode::Isolate)
}
