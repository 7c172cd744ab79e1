//! The permits under semaphores and locks. Requests are granted in the order of the wait list (FIFO).

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use crate::executor::context::LOOPS;
use crate::executor::slab::Slab;
use crate::executor::waits::{Holder, On, Resource};
use crate::executor::{self, Executor};
use crate::failure::error::CancelledError;
use crate::observe::{Hold, ResKind, ResourceObserver};
use crate::sync::wait_list::{Locked, WaitEdge, WaitList, Waitable, Waiting};
use crate::task::WakeToken;

/// What the clones, guards and waiters of a semaphore or a lock share.
pub(crate) struct Permits {
    wait_list: WaitList<Permits>,
    size: usize,
    what: ResKind,
    name: OnceLock<Cow<'static, str>>,
    at: &'static Location<'static>,
}

/// While a request waits, only it takes free permits: a later one never overtakes it.
pub(crate) struct PermitState {
    pub(crate) free: usize,
    /// One for each guard, and for each request that was granted and has not been polled since.
    holders: Slab<Holder>,
}

#[derive(Clone, Copy)]
pub(crate) struct Request {
    permits: usize,
    /// The coroutine that waits.
    coro: WakeToken,
}

impl Waitable for Permits {
    type State = PermitState;
    type Request = Request;
    /// The index of the holder; `None` for no permits.
    type Grant = Option<u32>;

    fn wait_list(&self) -> &WaitList<Permits> {
        &self.wait_list
    }

    fn request(&self, list: &mut Locked<'_, Permits>, request: Request) -> Option<Option<u32>> {
        if request.permits == 0 { Some(None) } else { list.take(request).map(Some) }
    }

    fn taken(list: &mut Locked<'_, Permits>, request: Request, holder: Option<u32>) {
        if let Some(entry) = holder.and_then(|holder| list.holders.get_mut(holder)) {
            *entry = Holder::new(request.coro);
        }
    }

    fn dropped(list: &mut Locked<'_, Permits>, unused: Option<(Request, Option<u32>)>) {
        if let Some((request, Some(holder))) = unused {
            list.give(request.permits, holder);
        }
        // Without this request, later ones may have enough permits.
        list.grant();
    }

    fn register_wait(self: &Arc<Self>, executor: &Executor, edge: &mut WaitEdge) {
        edge.enter(executor, || On::Resource(self.clone()));
    }
}

impl Locked<'_, Permits> {
    /// Takes free permits, unless a request waits. Returns the index of the holder.
    fn take(&mut self, request: Request) -> Option<u32> {
        if self.waiting() > 0 || request.permits > self.free {
            return None;
        }
        Some(self.hold(request))
    }

    /// Grants the requests that can be granted, in order.
    fn grant(&mut self) {
        while let Some(first) = self.first().filter(|first| first.permits <= self.free) {
            let holder = self.hold(first);
            self.grant_first(Some(holder));
        }
    }

    fn hold(&mut self, request: Request) -> u32 {
        self.free -= request.permits;
        self.holders.insert(Holder::new(request.coro))
    }

    /// Returns permits.
    fn give(&mut self, permits: usize, holder: u32) {
        self.holders.remove(holder);
        self.free += permits;
    }
}

impl Permits {
    #[track_caller]
    pub(crate) fn new(size: usize, what: ResKind) -> Arc<Permits> {
        let state = PermitState { free: size, holders: Slab::default() };
        let wait_list = WaitList::new(state, what, size);
        Arc::new(Permits { wait_list, size, what, name: OnceLock::new(), at: Location::caller() })
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn set_name(&self, name: Cow<'static, str>) {
        self.wait_list.res.set_name(name.clone());
        let _ = self.name.set(name);
    }

    pub(crate) fn acquire(self: &Arc<Self>, count: usize) -> Acquire {
        Acquire { waiting: Waiting::new(self), count }
    }

    /// Takes a permit if one is free and no request waits.
    #[track_caller]
    pub(crate) fn try_acquire(self: &Arc<Self>) -> Option<Guard> {
        let at = Location::caller();
        LOOPS.current(|executor| {
            let coro = executor.map_or(WakeToken::NONE, Executor::here);
            let holder = self.wait_list.lock().take(Request { permits: 1, coro })?;
            let hold = executor.map_or_else(Hold::default, |executor| self.wait_list.res.hold(executor, at, 1));
            Some(Guard { permits: self.clone(), count: 1, holder: Some(holder), hold })
        })
    }
}

impl Resource for Permits {
    fn holders(&self) -> Vec<Holder> {
        self.wait_list.lock().holders.iter().map(|(_, holder)| *holder).collect()
    }

    fn describe(&self) -> String {
        let what = if self.what == ResKind::Lock { "the lock" } else { "the semaphore" };
        let name = self.name.get().map(|name| format!("{name:?} ")).unwrap_or_default();
        format!("{what} {name}made at {}:{}", self.at.file(), self.at.line())
    }
}

/// The future of [`Semaphore::acquire`](crate::Semaphore::acquire) and [`Lock::acquire`](crate::Lock::acquire).
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let acquire: tinyio::Acquire = tinyio::Lock::new().acquire();
/// let guard = acquire.await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire {
    waiting: Waiting<Permits>,
    count: usize,
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acquire({})", self.waiting.on().describe())
    }
}

impl Future for Acquire {
    type Output = Result<Guard, CancelledError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        executor::with("Semaphore::acquire", |executor| self.get_mut().poll_at(executor, cx, at))
    }
}

impl Acquire {
    /// Polls once, awaited at `at`.
    pub(crate) fn poll_at(
        &mut self,
        executor: &Executor,
        cx: &Context<'_>,
        at: &'static Location<'static>,
    ) -> Poll<Result<Guard, CancelledError>> {
        let request = Request { permits: self.count, coro: executor.here() };
        self.waiting.poll(executor, cx, at, request).map_ok(|holder| {
            let permits = self.waiting.on().clone();
            let hold = permits.wait_list.res.hold(executor, at, self.count);
            Guard { permits, count: self.count, holder, hold }
        })
    }
}

/// Holds permits of a [`Semaphore`](crate::Semaphore), or the [`Lock`](crate::Lock), until it is dropped.
///
/// A guard may be moved to another coroutine, a channel or a function on a thread, and be dropped there. tinyio does
/// not know of a guard in a thread that it did not start (`std::thread::spawn`): if all coroutines wait, and nothing
/// but a guard in such a thread can wake them, the loop ends with a [`Deadlock`](crate::Deadlock). Give the guard to
/// [`run_in_thread`](crate::run_in_thread) instead.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let lock = tinyio::Lock::new();
/// {
///     let _guard: tinyio::Guard = lock.acquire().await?;
///     tinyio::yield_now().await?; // no other coroutine holds it
/// }
/// let again = lock.acquire().await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "it is given back at once otherwise"]
pub struct Guard {
    permits: Arc<Permits>,
    count: usize,
    /// The index of its holder; `None` if it holds no permit.
    holder: Option<u32>,
    hold: Hold,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({})", self.permits.describe())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(holder) = self.holder else { return };
        let wait_list = &self.permits.wait_list;
        let mut list = wait_list.lock();
        list.give(self.count, holder);
        list.grant();
        let granted = list.unlock();
        wait_list.res.release(&self.hold);
        granted.wake();
    }
}
