//! Semaphores, locks and barriers.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::core::{self, Core, Left};
use crate::error::CancelledError;
use crate::record::{Res, ResKind, Target};
use crate::stuck::{On, Queuing};
use crate::task::{self, Word};
use crate::waiter::Waiter;

/// At most so many coroutines at once. First come, first served; clones are the same semaphore.
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

/// What a semaphore's clones, guards and waiters share.
pub(crate) struct Permits {
    state: Mutex<PermitState>,
    res: Res,
    what: ResKind,
    at: &'static Location<'static>,
}

#[derive(Default)]
struct PermitState {
    free: usize,
    /// Who waits, by the number of his ticket.
    queue: BTreeMap<u64, Word>,
    /// Tickets whose permit is there, to be fetched, and who was woken for that.
    granted: Vec<(u64, Word)>,
    tickets: u64,
    /// The coroutines that acquired the permits which are out.
    holders: Vec<Word>,
}

impl Semaphore {
    /// A semaphore with this many permits.
    ///
    /// ```
    /// let two = tinyio::Semaphore::new(2);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are none.
    #[track_caller]
    pub fn new(permits: usize) -> Semaphore {
        assert!(
            permits > 0,
            "tinyio::Semaphore::new({permits}): there must be at least one permit, or nobody ever acquires one"
        );
        Semaphore(Permits::new(permits, ResKind::Semaphore))
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
        Acquire { permits: self.0.clone(), ticket: None, waiter: Waiter::default(), queuing: Queued::default() }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        write!(f, "Semaphore({} free, {} waiting)", state.free, state.queue.len())
    }
}

/// One coroutine at a time. Clones are the same lock. It guards no value of its own: coroutines of one loop share those by `Rc<RefCell<_>>`.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let lock = tinyio::Lock::new();
/// let guard = lock.acquire().await?;
/// // nobody else has it
/// drop(guard);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Lock(Arc<Permits>);

impl Lock {
    /// A lock that nobody holds.
    ///
    /// ```
    /// let lock = tinyio::Lock::new();
    /// ```
    #[track_caller]
    pub fn new() -> Lock {
        Lock(Permits::new(1, ResKind::Lock))
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
        Acquire { permits: self.0.clone(), ticket: None, waiter: Waiter::default(), queuing: Queued::default() }
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

impl Permits {
    #[track_caller]
    fn new(free: usize, what: ResKind) -> Arc<Permits> {
        let state = Mutex::new(PermitState { free, ..PermitState::default() });
        Arc::new(Permits { state, res: Res::new(what, free as u64), what, at: Location::caller() })
    }

    fn state(&self) -> MutexGuard<'_, PermitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coroutines that hold it, or have been woken to do so.
    pub(crate) fn holders(&self) -> Vec<Word> {
        let state = self.state();
        state.holders.iter().copied().chain(state.granted.iter().map(|(_, word)| *word)).collect()
    }

    /// A name for messages.
    pub(crate) fn describe(&self) -> String {
        let what = if self.what == ResKind::Lock { "the lock" } else { "the semaphore" };
        format!("{what} made at {}:{}", self.at.file(), self.at.line())
    }

    /// Hands a permit to whoever has waited longest.
    fn give(&self) {
        let mut state = self.state();
        match state.queue.pop_first() {
            None => state.free += 1,
            Some((ticket, word)) => {
                state.granted.push((ticket, word));
                drop(state);
                task::wake(word);
            }
        }
    }
}

/// A place in the loop's list of those who wait for locks, semaphores, barriers and the like.
#[derive(Default)]
pub(crate) struct Queued(Option<(u32, u32)>);

impl Queued {
    pub(crate) fn enter(&mut self, core: &Core, queuing: impl FnOnce(Word) -> Queuing) {
        if self.0.is_none_or(|(number, _)| number != core.number()) {
            self.leave();
            core.suspect();
            let here = core.here();
            self.0 = Some((core.number(), core.queued.borrow_mut().insert(queuing(here))));
        }
    }

    fn leave(&mut self) {
        if let Some((number, key)) = self.0.take() {
            task::take_back(number, Left::Queuing(key));
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
    ticket: Option<u64>,
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
        core::with("Semaphore::acquire", |core| self.get_mut().poll_at(core, cx, at))
    }
}

impl Acquire {
    /// One poll, awaited at `at`.
    pub(crate) fn poll_at(
        &mut self,
        core: &Core,
        cx: &Context<'_>,
        at: &'static Location<'static>,
    ) -> Poll<Result<Guard, CancelledError>> {
        let this = self;
        if let Some(answer) = core.cancelled(this.ticket.is_none(), at) {
            return answer.map(Err);
        }
        let word = this.waiter.word(core, cx);
        let mut state = this.permits.state();
        let free = match this.ticket {
            None if state.free > 0 => {
                state.free -= 1;
                true
            }
            None => false,
            Some(ticket) => match state.granted.iter().position(|(granted, _)| *granted == ticket) {
                Some(index) => {
                    state.granted.swap_remove(index);
                    this.ticket = None;
                    true
                }
                None => false,
            },
        };
        if free {
            let holder = core.here();
            state.holders.push(holder);
            drop(state);
            this.queuing.leave();
            let hold = this.permits.res.hold(core, at);
            return Poll::Ready(Ok(Guard { permits: this.permits.clone(), holder, hold }));
        }
        let ticket = *this.ticket.get_or_insert_with(|| {
            state.tickets += 1;
            state.tickets
        });
        state.queue.insert(ticket, word);
        drop(state);
        this.queuing.enter(core, |word| Queuing { word, on: On::Permits(this.permits.clone()) });
        core.waits(Target::Res(this.permits.res.id(core)), at);
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        core::gave_up(|core| Target::Res(self.permits.res.id(core)));
        let mut state = self.permits.state();
        if state.queue.remove(&ticket).is_none()
            && let Some(index) = state.granted.iter().position(|(granted, _)| *granted == ticket)
        {
            // It was given a permit and will not fetch it.
            state.granted.swap_remove(index);
            drop(state);
            self.permits.give();
        }
    }
}

/// A permit of a [`Semaphore`], or the [`Lock`]: given back when it is dropped.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let lock = tinyio::Lock::new();
/// {
///     let _guard: tinyio::Guard = lock.acquire().await?;
///     tinyio::yield_now().await?; // nobody else has it
/// }
/// let again = lock.acquire().await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "it is given back at once otherwise"]
pub struct Guard {
    permits: Arc<Permits>,
    holder: Word,
    hold: crate::record::Hold,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({})", self.permits.describe())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.permits.state();
        if let Some(index) = state.holders.iter().position(|holder| *holder == self.holder) {
            state.holders.swap_remove(index);
        }
        drop(state);
        self.permits.res.release(&self.hold);
        self.permits.give();
    }
}

/// A meeting point for a number of coroutines. Clones are the same barrier; it can be used again and again.
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
    /// Who waits, in the order in which they came.
    here: BTreeMap<u64, Word>,
    /// Who may go on, with his index.
    met: BTreeMap<u64, usize>,
    tickets: u64,
}

impl Barrier {
    /// A barrier for this many coroutines.
    ///
    /// ```
    /// let three = tinyio::Barrier::new(3);
    /// ```
    ///
    /// # Panics
    ///
    /// If it is none.
    #[track_caller]
    pub fn new(parties: usize) -> Barrier {
        assert!(parties > 0, "tinyio::Barrier::new({parties}): there must be at least one coroutine to meet");
        Barrier(Arc::new(Meeting { parties, state: Mutex::default(), res: Res::new(ResKind::Barrier, parties as u64) }))
    }

    /// Waits until as many coroutines wait as the barrier is for. Each gets a different index from 0 on.
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
        core::with("Barrier::wait", |core| {
            if let Some(answer) = core.cancelled(this.ticket.is_none(), at) {
                return answer.map(Err);
            }
            let word = this.waiter.word(core, cx);
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
                others.into_values().for_each(task::wake);
                return Poll::Ready(Ok(index));
            }
            let ticket = *this.ticket.get_or_insert_with(|| {
                state.tickets += 1;
                state.tickets
            });
            state.here.insert(ticket, word);
            drop(state);
            this.queuing.enter(core, |word| Queuing { word, on: On::Meeting });
            core.waits(Target::Res(this.meeting.res.id(core)), at);
            Poll::Pending
        })
    }
}

impl Drop for BarrierWait {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            core::gave_up(|core| Target::Res(self.meeting.res.id(core)));
            let mut state = self.meeting.state();
            state.here.remove(&ticket);
            state.met.remove(&ticket);
        }
    }
}
