//! The basic synchronisation primitive: a flag that can be waited for.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::executor::timer::Timer;
use crate::executor::wake;
use crate::executor::waker_slot::Waiter;
use crate::executor::{self, Executor};
use crate::failure::error::CancelledError;
use crate::observe::{Res, ResKind, Target};
use crate::sync::linked_slab::{Key, LinkedSlab};
use crate::task::{WakeToken, flag};
use crate::threading::{Mutex, MutexGuard};

/// A flag that coroutines can wait for. Clones are the same event; it can be set from any thread.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let ready = tinyio::Event::new();
/// let setter = ready.clone();
/// std::thread::spawn(move || setter.set());
/// ready.wait().await?;
/// assert!(ready.is_set());
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Event(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Only tinyio uses it: no other thread will set it.
    internal: bool,
    res: Res,
}

#[derive(Default)]
struct State {
    set: bool,
    /// How often it was set: a waiter that registered in an earlier epoch has been released, whatever happened since.
    epoch: u64,
    waiters: LinkedSlab<WakeToken>,
}

impl Event {
    /// An event that is not set.
    ///
    /// ```
    /// assert!(!tinyio::Event::new().is_set());
    /// ```
    #[track_caller]
    pub fn new() -> Event {
        Event(Arc::new(Shared { state: Mutex::default(), internal: false, res: Res::new(ResKind::Event, 0) }))
    }

    /// Gives the event a name, which the inspector shows. Set it before the first use, which records it; the first name
    /// stays.
    ///
    /// ```
    /// let ready = tinyio::Event::new().named("ready");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Event {
        self.0.res.set_name(name.into());
        self
    }

    /// An event that only tinyio uses.
    #[track_caller]
    pub(crate) fn internal() -> Event {
        Event(Arc::new(Shared { state: Mutex::default(), internal: true, res: Res::new(ResKind::Event, 0) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it is locked leaves it consistent: none of our code panics between two changes.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the flag and wakes all waiters, in the order in which they registered.
    ///
    /// ```
    /// let event = tinyio::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    pub fn set(&self) {
        let waiters = {
            let mut state = self.state();
            if !state.set {
                state.epoch += 1;
            }
            state.set = true;
            std::mem::take(&mut state.waiters)
        };
        self.0.res.set(true);
        waiters.for_each(wake::wake);
    }

    /// Clears the flag. Waiters that have been released stay released.
    ///
    /// ```
    /// let event = tinyio::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    pub fn clear(&self) {
        self.state().set = false;
        self.0.res.set(false);
    }

    /// Whether the flag is set.
    ///
    /// ```
    /// let event = tinyio::Event::new();
    /// event.clone().set();
    /// assert!(event.is_set());
    /// ```
    pub fn is_set(&self) -> bool {
        self.state().set
    }

    /// Waits until the event is set; ready at once if it is.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let event = tinyio::Event::new();
    /// let waiter = tinyio::spawn(event.wait());
    /// event.set();
    /// waiter.await?;
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn wait(&self) -> Wait {
        Wait { event: self.clone(), waiter: Waiter::default(), registered: None }
    }

    /// Waits until the event is set or the time is up. Returns `true` if the event was set.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # tinyio::Loop::new().run(async {
    /// let never = tinyio::Event::new();
    /// assert!(!never.wait_timeout(Duration::from_millis(1)).await?);
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> WaitTimeout {
        WaitTimeout { wait: self.wait(), timeout, timer: Timer::default(), deadline: 0, expired: false }
    }
}

impl Default for Event {
    #[track_caller]
    fn default() -> Self {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "Event(set)" } else { "Event(not set)" })
    }
}

/// The future of [`Event::wait`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let event = tinyio::Event::new();
/// let wait: tinyio::Wait = event.wait();
/// event.set();
/// wait.await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Wait {
    event: Event,
    waiter: Waiter,
    /// Its entry in the wait list, and the epoch in which it registered.
    registered: Option<(Key, u64)>,
}

/// The future of [`Event::wait_timeout`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let wait: tinyio::WaitTimeout = tinyio::Event::new().wait_timeout(std::time::Duration::ZERO);
/// assert!(!wait.await?);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct WaitTimeout {
    wait: Wait,
    timeout: Duration,
    timer: Timer,
    /// The deadline, once it has begun.
    deadline: u64,
    /// The time was up when it began.
    expired: bool,
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wait({:?})", self.event)
    }
}

impl fmt::Debug for WaitTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitTimeout({:?}, {:?})", self.wait.event, self.timeout)
    }
}

impl Wait {
    /// Polls the event; when pending, it wakes this wake token.
    fn poll_in(
        &mut self,
        executor: &Executor,
        cx: &Context<'_>,
        at: &'static Location<'static>,
    ) -> Result<Poll<Result<(), CancelledError>>, WakeToken> {
        if let Some(answer) = executor.cancelled(self.registered.is_none(), at) {
            return Ok(answer.map(Err));
        }
        let wake_token = self.waiter.wake_token(executor, cx);
        let mut state = self.event.state();
        match self.registered {
            Some((_, epoch)) if epoch != state.epoch => {
                self.registered = None;
                return Ok(Poll::Ready(Ok(())));
            }
            None if state.set => return Ok(Poll::Ready(Ok(()))),
            Some((place, _)) => *state.waiters.at(place) = wake_token,
            None => self.registered = Some((state.waiters.join(wake_token), state.epoch)),
        }
        Err(wake_token)
    }

    /// Records that the running coroutine waits for it.
    fn waits(&self, executor: &Executor, at: &'static Location<'static>) {
        executor.waits(Target::Res(self.event.0.res.id(executor)), at);
        if !self.event.0.internal {
            executor.current_task.with(|coro| coro.map(|coro| coro.set(flag::EVENT)));
        }
    }

    /// Removes its registration.
    fn leave(&mut self) {
        if let Some((place, epoch)) = self.registered.take() {
            let mut state = self.event.state();
            if state.epoch == epoch {
                state.waiters.leave(place);
                drop(state);
                executor::edge_dropped(|executor| Target::Res(self.event.0.res.id(executor)));
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Future for Wait {
    type Output = Result<(), CancelledError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        executor::with("Event::wait", |executor| {
            self.poll_in(executor, cx, at).unwrap_or_else(|_| {
                self.waits(executor, at);
                Poll::Pending
            })
        })
    }
}

impl Future for WaitTimeout {
    type Output = Result<bool, CancelledError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        let this = &mut *self;
        executor::with("Event::wait_timeout", |executor| {
            let wake_token = match this.wait.poll_in(executor, cx, at) {
                Ok(answer) => return answer.map_ok(|()| true),
                Err(wake_token) => wake_token,
            };
            if this.expired || this.timer.has_fired(executor) {
                this.wait.leave();
                return Poll::Ready(Ok(false));
            }
            this.wait.waits(executor, at);
            if this.timeout.is_zero() {
                this.expired = true;
                cx.waker().wake_by_ref();
            } else {
                if this.deadline == 0 {
                    this.deadline = executor.deadline(this.timeout);
                }
                this.timer.set(executor, this.deadline, wake_token);
                executor.waits(Target::Timer(this.deadline), at);
            }
            Poll::Pending
        })
    }
}
