//! Semaphores, locks and barriers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use crate::executor::context;
use crate::executor::slab::Slab;
use crate::executor::waits::{Holder, On, Queuing, Resource};
use crate::executor::wake;
use crate::executor::waker_slot::Waiter;
use crate::executor::{self, Executor, Left};
use crate::failure::error::CancelledError;
use crate::observe::{Hold, Res, ResKind, Target};
use crate::sync::linked_slab::{Key, LinkedSlab};
use crate::task::WakeToken;

/// Lets at most this many coroutines continue at once, in the order of their requests. Clones are the same semaphore.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let two = tinyio::Semaphore::new(2);
/// let jobs = (0..10).map(|n| {
///     let two = two.clone();
///     async move {
///         let _permit = two.acquire().await?; // given back when it is dropped
///         tinyio::yield_now().await?;
///         tinyio::Ok(n)
///     }
/// });
/// tinyio::gather(jobs.collect::<Vec<_>>()).await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Semaphore(Arc<Permits>);

/// State that a semaphore's clones, guards and waiters share.
struct Permits {
    state: Mutex<PermitState>,
    size: usize,
    res: Res,
    what: ResKind,
    name: OnceLock<Cow<'static, str>>,
    at: &'static Location<'static>,
}

/// While a request waits, only it takes free permits: a later one never overtakes it.
#[derive(Default)]
struct PermitState {
    free: usize,
    queue: LinkedSlab<Request>,
    /// One for each guard, and for each request that was granted and has not been polled since.
    holders: Slab<Holder>,
}

/// A request for permits that could not be granted at once.
#[derive(Clone, Copy)]
struct Request {
    permits: usize,
    /// Woken when the request is granted.
    wake_token: WakeToken,
    /// The coroutine that waits.
    coro: WakeToken,
    /// The index of its holder, once it is granted.
    granted: Option<u32>,
}

impl PermitState {
    /// Takes free permits, unless a request waits. Returns the index of the holder.
    fn take(&mut self, permits: usize, coro: WakeToken) -> Option<u32> {
        if self.queue.len() > 0 || permits > self.free {
            return None;
        }
        self.free -= permits;
        Some(self.holders.insert(Holder::new(coro)))
    }

    /// Grants the first request if enough permits are free. Returns the wake token.
    fn grant(&mut self) -> Option<WakeToken> {
        let (place, request) = self.queue.first().filter(|(_, first)| first.permits <= self.free)?;
        self.free -= request.permits;
        self.queue.step_out(place);
        let holder = self.holders.insert(Holder::new(request.coro));
        self.queue.at(place).granted = Some(holder);
        Some(request.wake_token)
    }

    /// Returns permits.
    fn give(&mut self, permits: usize, holder: u32) {
        self.holders.remove(holder);
        self.free += permits;
    }
}

impl Semaphore {
    /// Creates a semaphore with this many permits.
    ///
    /// ```
    /// let two = tinyio::Semaphore::new(2);
    /// ```
    ///
    /// # Panics
    ///
    /// If `permits` is 0.
    #[track_caller]
    pub fn new(permits: usize) -> Semaphore {
        assert!(
            permits > 0,
            "tinyio::Semaphore::new({permits}): there must be at least one permit, or nobody ever acquires one"
        );
        Semaphore(Permits::new(permits, ResKind::Semaphore))
    }

    /// Gives the semaphore a name, which the inspector and deadlock messages show. Set it before the first use, which
    /// records it; the first name stays.
    ///
    /// ```
    /// let downloads = tinyio::Semaphore::new(2).named("downloads");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Semaphore {
        self.0.set_name(name.into());
        self
    }

    /// Waits for a permit.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let semaphore = tinyio::Semaphore::new(1);
    /// let permit = semaphore.acquire().await?;
    /// drop(permit); // given back
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn acquire(&self) -> Acquire {
        Acquire::new(&self.0, 1)
    }

    /// Takes a permit if one is free and no coroutine waits for one. Works outside of a loop, too.
    ///
    /// ```
    /// let semaphore = tinyio::Semaphore::new(1);
    /// let permit = semaphore.try_acquire().expect("it is free");
    /// assert!(semaphore.try_acquire().is_none());
    /// drop(permit);
    /// ```
    #[track_caller]
    pub fn try_acquire(&self) -> Option<Guard> {
        self.0.try_acquire(Location::caller())
    }

    /// Waits for several permits, which one guard holds. Requests are granted in the order in which they were first
    /// polled: while this one waits, later ones wait, too, however few permits they want. A request for no permits is
    /// granted at once.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let semaphore = tinyio::Semaphore::new(3);
    /// let two = semaphore.acquire_many(2).await?;
    /// assert!(semaphore.try_acquire().is_some());
    /// drop(two); // gives both back
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// If the semaphore does not have that many permits.
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> Acquire {
        let size = self.0.size;
        assert!(
            permits <= size,
            "tinyio::Semaphore::acquire_many({permits}): {} has {size} permits, so it would wait for ever",
            self.0.describe()
        );
        Acquire::new(&self.0, permits)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        write!(f, "Semaphore({} free, {} waiting)", state.free, state.queue.len())
    }
}

/// A lock that one coroutine holds at a time. Clones are the same lock. It contains no value: coroutines of one loop
/// share values by `Rc<RefCell<_>>`.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let lock = tinyio::Lock::new();
/// let guard = lock.acquire().await?;
/// // no other coroutine holds it
/// drop(guard);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Lock(Arc<Permits>);

impl Lock {
    /// Creates a free lock.
    ///
    /// ```
    /// let lock = tinyio::Lock::new();
    /// ```
    #[track_caller]
    pub fn new() -> Lock {
        Lock(Permits::new(1, ResKind::Lock))
    }

    /// Gives the lock a name, which the inspector and deadlock messages show. Set it before the first use, which
    /// records it; the first name stays.
    ///
    /// ```
    /// let accounts = tinyio::Lock::new().named("accounts");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Lock {
        self.0.set_name(name.into());
        self
    }

    /// Waits for the lock.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let lock = tinyio::Lock::new();
    /// let guard = lock.acquire().await?;
    /// drop(guard); // free again
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn acquire(&self) -> Acquire {
        Acquire::new(&self.0, 1)
    }

    /// Takes the lock if it is free and no coroutine waits for it. Works outside of a loop, too.
    ///
    /// ```
    /// let lock = tinyio::Lock::new();
    /// let guard = lock.try_acquire().expect("it is free");
    /// assert!(lock.try_acquire().is_none());
    /// drop(guard);
    /// ```
    #[track_caller]
    pub fn try_acquire(&self) -> Option<Guard> {
        self.0.try_acquire(Location::caller())
    }
}

impl Default for Lock {
    #[track_caller]
    fn default() -> Self {
        Lock::new()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        write!(f, "Lock({}, {} waiting)", if state.free > 0 { "free" } else { "held" }, state.queue.len())
    }
}

impl Resource for Permits {
    fn holders(&self) -> Vec<Holder> {
        self.state().holders.iter().map(|(_, holder)| *holder).collect()
    }

    fn describe(&self) -> String {
        let what = if self.what == ResKind::Lock { "the lock" } else { "the semaphore" };
        let name = self.name.get().map(|name| format!("{name:?} ")).unwrap_or_default();
        format!("{what} {name}made at {}:{}", self.at.file(), self.at.line())
    }
}

impl Permits {
    #[track_caller]
    fn new(free: usize, what: ResKind) -> Arc<Permits> {
        let state = Mutex::new(PermitState { free, ..PermitState::default() });
        let res = Res::new(what, free as u64);
        Arc::new(Permits { state, size: free, res, what, name: OnceLock::new(), at: Location::caller() })
    }

    fn state(&self) -> MutexGuard<'_, PermitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_name(&self, name: Cow<'static, str>) {
        self.res.set_name(name.clone());
        let _ = self.name.set(name);
    }

    fn try_acquire(self: &Arc<Self>, at: &'static Location<'static>) -> Option<Guard> {
        context::current(|executor| {
            let holder = self.state().take(1, executor.map_or(WakeToken::NONE, Executor::here))?;
            let hold = executor.map_or_else(Hold::default, |executor| self.res.hold(executor, at, 1));
            Some(Guard { permits: self.clone(), count: 1, holder: Some(holder), hold })
        })
    }

    /// Grants the requests that can be granted, in order.
    fn grant(&self) {
        loop {
            let granted = self.state().grant();
            match granted {
                Some(wake_token) => wake::wake(wake_token),
                None => return,
            }
        }
    }
}

/// An entry in the loop's list of waits for locks, semaphores, barriers and the like.
#[derive(Default)]
pub(crate) struct Queued(Option<(u32, u32)>);

impl Queued {
    pub(crate) fn enter(&mut self, executor: &Executor, on: impl FnOnce() -> On) {
        if self.0.is_none_or(|(number, _)| number != executor.number()) {
            self.leave();
            executor.suspect();
            let key = executor.queued.borrow_mut().insert(Queuing::new(executor.here(), on()));
            self.0 = Some((executor.number(), key));
        }
    }

    fn leave(&mut self) {
        if let Some((number, key)) = self.0.take() {
            wake::take_back(number, Left::Queuing(key));
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The future of [`Semaphore::acquire`] and [`Lock::acquire`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let acquire: tinyio::Acquire = tinyio::Lock::new().acquire();
/// let guard = acquire.await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire {
    permits: Arc<Permits>,
    count: usize,
    /// `Some` once it waits.
    place: Option<Key>,
    waiter: Waiter,
    queuing: Queued,
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acquire({})", self.permits.describe())
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
    fn new(permits: &Arc<Permits>, count: usize) -> Acquire {
        let permits = permits.clone();
        Acquire { permits, count, place: None, waiter: Waiter::default(), queuing: Queued::default() }
    }

    /// Polls once, awaited at `at`.
    pub(crate) fn poll_at(
        &mut self,
        executor: &Executor,
        cx: &Context<'_>,
        at: &'static Location<'static>,
    ) -> Poll<Result<Guard, CancelledError>> {
        let this = self;
        if let Some(answer) = executor.cancelled(this.place.is_none(), at) {
            return answer.map(Err);
        }
        let coro = executor.here();
        let wake_token = this.waiter.wake_token(executor, cx);
        let mut state = this.permits.state();
        let holder = match this.place {
            None if this.count == 0 => Some(None),
            None => state.take(this.count, coro).map(Some),
            Some(place) => state.queue.at(place).granted.map(Some),
        };
        if let Some(holder) = holder {
            if let Some(place) = this.place.take() {
                state.queue.release(place);
            }
            if let Some(entry) = holder.and_then(|holder| state.holders.get_mut(holder)) {
                *entry = Holder::new(coro);
            }
            drop(state);
            this.queuing.leave();
            let hold = this.permits.res.hold(executor, at, this.count);
            return Poll::Ready(Ok(Guard { permits: this.permits.clone(), count: this.count, holder, hold }));
        }
        let request = Request { permits: this.count, wake_token, coro, granted: None };
        match this.place {
            Some(place) => *state.queue.at(place) = request,
            None => this.place = Some(state.queue.join(request)),
        }
        drop(state);
        this.queuing.enter(executor, || On::Resource(this.permits.clone()));
        executor.waits(Target::Res(this.permits.res.id(executor)), at);
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        executor::edge_dropped(|executor| Target::Res(self.permits.res.id(executor)));
        let mut state = self.permits.state();
        match state.queue.at(place).granted {
            None => state.queue.leave(place),
            // The granted permits that were not fetched.
            Some(holder) => {
                state.queue.release(place);
                state.give(self.count, holder);
            }
        }
        drop(state);
        // Without this request, later ones may have enough permits.
        self.permits.grant();
    }
}

/// Holds permits of a [`Semaphore`], or the [`Lock`], until it is dropped.
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
        self.permits.state().give(self.count, holder);
        self.permits.res.release(&self.hold);
        self.permits.grant();
    }
}

/// A point at which a number of coroutines wait for each other. Clones are the same barrier; it can be reused.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let barrier = tinyio::Barrier::new(2);
/// let other = tinyio::spawn(barrier.wait());
/// let mine = barrier.wait().await?;
/// assert_eq!(mine + other.await?, 0 + 1); // each gets an index of its own
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Barrier(Arc<Meeting>);

struct Meeting {
    parties: usize,
    state: Mutex<MeetingState>,
    res: Res,
}

#[derive(Default)]
struct MeetingState {
    /// The waiters, in the order in which they came.
    here: BTreeMap<u64, WakeToken>,
    /// The waiters that may continue, each with its index.
    met: BTreeMap<u64, usize>,
    tickets: u64,
}

impl Barrier {
    /// Creates a barrier for this many coroutines.
    ///
    /// ```
    /// let three = tinyio::Barrier::new(3);
    /// ```
    ///
    /// # Panics
    ///
    /// If the number is 0.
    #[track_caller]
    pub fn new(parties: usize) -> Barrier {
        assert!(parties > 0, "tinyio::Barrier::new({parties}): there must be at least one coroutine to meet");
        Barrier(Arc::new(Meeting { parties, state: Mutex::default(), res: Res::new(ResKind::Barrier, parties as u64) }))
    }

    /// Gives the barrier a name, which the inspector shows. Set it before the first use, which records it; the first
    /// name stays.
    ///
    /// ```
    /// let start = tinyio::Barrier::new(3).named("start");
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'static, str>>) -> Barrier {
        self.0.res.set_name(name.into());
        self
    }

    /// Waits until the barrier's number of coroutines wait. Each gets a different index, counted from 0.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let alone = tinyio::Barrier::new(1);
    /// assert_eq!(alone.wait().await?, 0);
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    pub fn wait(&self) -> BarrierWait {
        BarrierWait { meeting: self.0.clone(), ticket: None, waiter: Waiter::default(), queuing: Queued::default() }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Barrier({} of {} here)", self.0.state().here.len(), self.0.parties)
    }
}

impl Meeting {
    fn state(&self) -> MutexGuard<'_, MeetingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future of [`Barrier::wait`].
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let wait: tinyio::BarrierWait = tinyio::Barrier::new(1).wait();
/// assert_eq!(wait.await?, 0);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct BarrierWait {
    meeting: Arc<Meeting>,
    ticket: Option<u64>,
    waiter: Waiter,
    queuing: Queued,
}

impl fmt::Debug for BarrierWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BarrierWait")
    }
}

impl Future for BarrierWait {
    type Output = Result<usize, CancelledError>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let at = Location::caller();
        let this = self.get_mut();
        executor::with("Barrier::wait", |executor| {
            if let Some(answer) = executor.cancelled(this.ticket.is_none(), at) {
                return answer.map(Err);
            }
            let wake_token = this.waiter.wake_token(executor, cx);
            let mut state = this.meeting.state();
            if let Some(index) = this.ticket.and_then(|ticket| state.met.remove(&ticket)) {
                drop(state);
                this.ticket = None;
                this.queuing.leave();
                return Poll::Ready(Ok(index));
            }
            if this.ticket.is_none() && state.here.len() + 1 == this.meeting.parties {
                let others = std::mem::take(&mut state.here);
                let index = others.len();
                state.met.extend(others.keys().enumerate().map(|(index, ticket)| (*ticket, index)));
                drop(state);
                others.into_values().for_each(wake::wake);
                return Poll::Ready(Ok(index));
            }
            let ticket = *this.ticket.get_or_insert_with(|| {
                state.tickets += 1;
                state.tickets
            });
            state.here.insert(ticket, wake_token);
            drop(state);
            this.queuing.enter(executor, || On::Meeting);
            executor.waits(Target::Res(this.meeting.res.id(executor)), at);
            Poll::Pending
        })
    }
}

impl Drop for BarrierWait {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            executor::edge_dropped(|executor| Target::Res(self.meeting.res.id(executor)));
            let mut state = self.meeting.state();
            state.here.remove(&ticket);
            state.met.remove(&ticket);
        }
    }
}
