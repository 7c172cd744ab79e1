//! Loops inside other executors, as a future of theirs.

use std::error::Error as StdError;
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
use crate::executor::context::{self, LOOPS};
use crate::executor::jobs::Counted;
use crate::executor::timer::Timer;
use crate::executor::timer_thread;
use crate::executor::wake;
use crate::executor::waker_slot::Waiter;
use crate::executor::{Executor, Progress, Registration, Stop};
use crate::failure::crash::{Crash, Failure};
use crate::failure::panic_hook;
use crate::observe::{LoopMode, Observer, Target};
use crate::task::WakeToken;

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
pub(super) struct Driver<T> {
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
    /// The functions of this loop, which count as functions of the enclosing loop, and their number.
    jobs: Option<(Counted, usize)>,
    guest: Option<Guest>,
    /// Where it was made.
    pub(super) at: &'static Location<'static>,
}

/// A loop among those that coroutines of its host drive, until this is dropped.
struct Guest {
    /// The number of the host.
    number: u32,
    key: u32,
}

impl Guest {
    fn enter(host: &Executor, driver: WakeToken, guest: &Rc<Executor>) -> Guest {
        let key = host.guests.borrow_mut().insert((driver, Rc::downgrade(guest)));
        Guest { number: host.number(), key }
    }

    /// Sets the coroutine of the host that drives it. Returns `false` if the host does not know the guest any more.
    fn is_driven_by(&self, host: &Executor, driver: WakeToken) -> bool {
        host.guests.borrow_mut().get_mut(self.key).map(|(wake_token, _)| *wake_token = driver).is_some()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        wake::unregister(self.number, Registration::Guest(self.key));
    }
}

impl<T> Driver<T> {
    pub(super) fn new(looped: &mut Loop, main: Coro<T>, mode: LoopMode) -> Driver<T> {
        Driver {
            at: main.header().place(),
            executor: looped.executor_for_run(),
            mode,
            main: Some(main),
            session: None,
            timer: Timer::default(),
            waiter: Waiter::default(),
            alarm: None,
            jobs: None,
            guest: None,
        }
    }

    /// One poll of an isolated loop inside a coroutine of `outer`.
    pub(super) fn poll_in(
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
        LOOPS.current(|host| self.visit(host));
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
                    Progress::Idle(until) if executor.inbox().has_mail() || until.is_some_and(skips_to) => {}
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
        if self.guest.as_ref().is_some_and(|guest| host.is_none_or(|host| host.number() != guest.number)) {
            self.take_leave();
        }
        let Some(host) = host else { return };
        let known = self.guest.as_ref().is_some_and(|guest| guest.is_driven_by(host, here));
        if !known {
            self.guest = Some(Guest::enter(host, here, &self.executor));
        }
    }

    fn take_leave(&mut self) {
        (self.guest, self.jobs) = (None, None);
    }

    /// Counts work on threads of this loop as work of the enclosing loop.
    fn count_jobs(&mut self, jobs: usize) {
        if self.mode == LoopMode::Isolate && self.jobs.as_ref().map_or(0, |(_, before)| *before) != jobs {
            let counted = || LOOPS.current(|host| host.map(|host| host.jobs.count_in(jobs)));
            self.jobs = (jobs > 0).then(counted).flatten().map(|counted| (counted, jobs));
        }
    }

    /// Requests a wake of the host at this time of the loop's clock. Mail wakes it by itself.
    fn wake_at(&mut self, until: Option<u64>, cx: &Context<'_>) {
        let Some(until) = until.filter(|until| *until < u64::MAX) else { return self.timer.clear() };
        let left = until.saturating_sub(self.executor.now());
        let nested = LOOPS.current(|host| {
            let Some(host) = host else { return false };
            let wake_token = self.waiter.wake_token(host, cx);
            self.timer.clear();
            self.timer.set(host, host.now().saturating_add(left), wake_token);
            true
        });
        if !nested && self.alarm != Some(until) {
            self.alarm = Some(until);
            timer_thread::wake_after(left, Arc::downgrade(self.executor.inbox()));
        }
    }

    /// Cancels everything. The loop is to be polled until that is done.
    pub(super) fn cancel(&self) {
        self.executor.fail(Failure::of_stop(Stop::Dropped));
    }

    /// Ends the grace period of cleanup code.
    pub(super) fn skip_grace(&mut self) {
        self.session.iter_mut().for_each(Session::skip_grace);
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
