//! Events: a flag that can be waited for.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::executor::timer::Timer;
use crate::executor::{self, Executor};
use crate::failure::error::CancelledError;
use crate::observe::{ResKind, ResourceObserver, Target};
use crate::sync::wait_list::{Locked, WaitEdge, WaitList, Waitable, Waiting};
use crate::task::flag;

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
    wait_list: WaitList<Shared>,
    /// Only tinyio uses it: no other thread will set it.
    internal: bool,
}

#[derive(Default)]
struct EventState {
    is_set: bool,
}

impl Waitable for Shared {
    type State = EventState;
    type Request = ();
    type Grant = ();

    fn wait_list(&self) -> &WaitList<Shared> {
        &self.wait_list
    }

    fn request(&self, list: &mut Locked<'_, Shared>, (): ()) -> Option<()> {
        list.is_set.then_some(())
    }

    fn register_wait(self: &Arc<Self>, executor: &Executor, _: &mut WaitEdge) {
        if !self.internal {
            executor.current_task.with(|coro| coro.map(|coro| coro.set(flag::EVENT)));
        }
    }
}

impl Event {
    /// An event that is not set.
    ///
    /// ```
    /// assert!(!tinyio::Event::new().is_set());
    /// ```
    #[track_caller]
    pub fn new() -> Event {
        Event::shared(false)
    }

    /// Gives the event a name, which the inspector shows. Set it before the first use, which records it; the first name
    /// stays.
    ///
    /// ```
    /// let ready = tinyio::Event::new().named("ready");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Event {
        self.0.wait_list.res.set_name(name.into());
        self
    }

    /// An event that only tinyio uses.
    #[track_caller]
    pub(crate) fn internal() -> Event {
        Event::shared(true)
    }

    #[track_caller]
    fn shared(internal: bool) -> Event {
        Event(Arc::new(Shared { wait_list: WaitList::new(EventState::default(), ResKind::Event, 0), internal }))
    }

    /// Sets the flag and wakes all waiters, in the order in which they registered.
    ///
    /// ```
    /// let event = tinyio::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    pub fn set(&self) {
        let mut list = self.0.wait_list.lock();
        list.is_set = true;
        (0..list.waiting()).for_each(|_| list.grant_first(()));
        let granted = list.unlock();
        self.0.wait_list.res.set(true);
        granted.wake();
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
        self.0.wait_list.lock().is_set = false;
        self.0.wait_list.res.set(false);
    }

    /// Whether the flag is set.
    ///
    /// ```
    /// let event = tinyio::Event::new();
    /// event.clone().set();
    /// assert!(event.is_set());
    /// ```
    pub fn is_set(&self) -> bool {
        self.0.wait_list.lock().is_set
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
        Wait(Waiting::new(&self.0))
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
pub struct Wait(Waiting<Shared>);

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

impl Wait {
    fn event(&self) -> Event {
        Event(self.0.on().clone())
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wait({:?})", self.event())
    }
}

impl fmt::Debug for WaitTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WaitTimeout({:?}, {:?})", self.wait.event(), self.timeout)
    }
}

impl Future for Wait {
    type Output = Result<(), CancelledError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        executor::with("Event::wait", |executor| self.0.poll(executor, cx, at, ()))
    }
}

impl Future for WaitTimeout {
    type Output = Result<bool, CancelledError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        let this = &mut *self;
        executor::with("Event::wait_timeout", |executor| {
            let wait = &mut this.wait.0;
            if let Some(answer) = wait.poll_unrecorded(executor, cx, at, ()) {
                return answer.map_ok(|()| true);
            }
            if this.expired || this.timer.has_fired(executor) {
                wait.leave();
                return Poll::Ready(Ok(false));
            }
            wait.record(executor, at);
            if this.timeout.is_zero() {
                this.expired = true;
                cx.waker().wake_by_ref();
            } else {
                if this.deadline == 0 {
                    this.deadline = executor.deadline(this.timeout);
                }
                this.timer.set(executor, this.deadline, wait.wake_token());
                executor.waits(Target::Timer(this.deadline), at);
            }
            Poll::Pending
        })
    }
}
