//! The one primitive of synchronisation: a flag that can be waited for.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::core::{self, Core};
use crate::error::CancelledError;
use crate::record::{Res, ResKind, Target};
use crate::slab::Slab;
use crate::task::{self, Word, flag};
use crate::threading::{Mutex, MutexGuard};
use crate::timer::Timer;
use crate::waiter::Waiter;

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
    /// Nobody has it but tinyio: no other thread will set it.
    internal: bool,
    res: Res,
}

#[derive(Default)]
struct State {
    set: bool,
    /// How often it was set: who began to wait in an earlier epoch has been released, whatever happened since.
    epoch: u64,
    waiters: Slab<(u64, Word)>,
    /// Waiters ever registered.
    serial: u64,
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

    /// One that nobody gets hold of.
    #[track_caller]
    pub(crate) fn internal() -> Event {
        Event(Arc::new(Shared { state: Mutex::default(), internal: true, res: Res::new(ResKind::Event, 0) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it is held leaves it whole: none of our code panics between two changes.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the flag and releases everyone who waits, in the order in which they came.
    ///
    /// ```
    /// let event = tinyio::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    pub fn set(&self) {
        let mut waiters: Vec<_> = {
            let mut state = self.state();
            if !state.set {
                state.epoch += 1;
            }
            state.set = true;
            state.waiters.drain().collect()
        };
        self.0.res.set(true);
        waiters.sort_unstable_by_key(|(serial, _)| *serial);
        for (_, word) in waiters {
            task::wake(word);
        }
    }

    /// Clears the flag. Those who have been released stay released.
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

    /// The flag.
    ///
    /// ```
    /// let event = tinyio::Event::new();
    /// event.clone().set();
    /// assert!(event.is_set());
    /// ```
    pub fn is_set(&self) -> bool {
        self.state().set
    }

    /// Waits until the event is set; at once if it is.
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
        Wait(Waiting::new(self.clone(), None))
    }

    /// Waits until the event is set or the time is up. `true`: it was the event.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # tinyio::Loop::new().run(async {
    /// let never = tinyio::Event::new();
    /// assert!(!never.wait_timeout(Duration::from_millis(1)).await?);
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> WaitTimeout {
        WaitTimeout(Waiting::new(self.clone(), Some(timeout)))
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
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Wait(Waiting);

/// The future of [`Event::wait_timeout`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let wait: tinyio::WaitTimeout = tinyio::Event::new().wait_timeout(std::time::Duration::ZERO);
/// assert!(!wait.await?);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct WaitTimeout(Waiting);

struct Waiting {
    event: Event,
    timeout: Option<Duration>,
    /// Where it is registered with the event, and in which epoch.
    registered: Option<(u32, u64)>,
    timer: Timer,
    /// When the time is up, once it has begun.
    deadline: u64,
    /// The time was up when it began.
    expired: bool,
    waiter: Waiter,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.event)
    }
}

impl Waiting {
    fn new(event: Event, timeout: Option<Duration>) -> Waiting {
        Waiting {
            event,
            timeout,
            registered: None,
            timer: Timer::default(),
            deadline: 0,
            expired: false,
            waiter: Waiter::default(),
        }
    }

    /// `true`: by the event.
    fn poll(
        &mut self,
        core: &Core,
        cx: &Context<'_>,
        at: &'static Location<'static>,
    ) -> Poll<Result<bool, CancelledError>> {
        if let Some(answer) = core.cancelled(self.registered.is_none(), at) {
            return answer.map(Err);
        }
        let word = self.waiter.word(core, cx);
        let mut state = self.event.state();
        match self.registered {
            Some((_, epoch)) if epoch != state.epoch => {
                self.registered = None;
                return Poll::Ready(Ok(true));
            }
            None if state.set => return Poll::Ready(Ok(true)),
            Some((key, _)) => {
                if let Some((_, old)) = state.waiters.get_mut(key) {
                    *old = word;
                }
            }
            None => {
                let serial = state.serial;
                state.serial += 1;
                self.registered = Some((state.waiters.insert((serial, word)), state.epoch));
            }
        }
        drop(state);
        if self.expired || self.timer.has_fired(core) {
            self.leave();
            return Poll::Ready(Ok(false));
        }
        core.waits(Target::Res(self.event.0.res.id(core)), at);
        if !self.event.0.internal {
            core.spot.with(|coro| coro.map(|coro| coro.set(flag::EVENT)));
        }
        match self.timeout {
            Some(Duration::ZERO) => {
                self.expired = true;
                cx.waker().wake_by_ref();
            }
            Some(timeout) => {
                if self.deadline == 0 {
                    self.deadline = core.deadline(timeout);
                }
                self.timer.set(core, self.deadline, word);
                core.waits(Target::Timer(self.deadline), at);
            }
            None => {}
        }
        Poll::Pending
    }

    /// Takes its registration back.
    fn leave(&mut self) {
        if let Some((key, epoch)) = self.registered.take() {
            let mut state = self.event.state();
            if state.epoch == epoch {
                state.waiters.remove(key);
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Future for Wait {
    type Output = Result<(), CancelledError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        core::with("Event::wait", |core| self.0.poll(core, cx, at).map_ok(|_| ()))
    }
}

impl Future for WaitTimeout {
    type Output = Result<bool, CancelledError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        core::with("Event::wait_timeout", |core| self.0.poll(core, cx, at))
    }
}
