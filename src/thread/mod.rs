//! Blocking functions on threads, and the functions of tinyio that they can call.
//!
//! ```
//! use std::time::Duration;
//!
//! let sum = tinyio::Loop::new().run(async {
//!     let numbers = tinyio::run_in_thread(|| {
//!         let mut sum = 0_u64;
//!         for n in 0..1_000 {
//!             tinyio::thread::check_cancelled()?; // ends here if a coroutine has failed
//!             sum += n;
//!         }
//!         tinyio::Ok(sum)
//!     });
//!     tinyio::Ok(numbers.await?)
//! })?;
//! assert_eq!(sum, 499_500);
//! # Ok::<_, tinyio::Crash>(())
//! ```

pub(crate) mod pool;

use std::borrow::Cow;
use std::cell::RefCell;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::coroutine::coro::Coro;
use crate::executor::inbox::Inbox;
use crate::executor::jobs::{Counted, Threads};
use crate::executor::waker_slot::Waiter;
use crate::executor::{self, Executor};
use crate::failure::crash::FailureKind;
use crate::failure::error::{CancelledError, cancellation};
use crate::failure::panic_hook;
use crate::failure::place::Place;
use crate::observe::spans::Around;
use crate::observe::{self, Target, ThreadObserver};
use crate::sync::{Acquire, Guard, Semaphore};
use crate::task::{BoxError, Payload, Profile, Reason, WakeToken, flag};
use crate::threading::{AtomicBool, Condvar, Mutex, MutexGuard};

/// Runs a blocking function on a thread of its own. Awaiting the coroutine gives what it returned.
///
/// An error or a panic of the function is one of the coroutine: it cancels all coroutines. If the loop crashes
/// otherwise, the function is asked to stop: it should call [`check_cancelled`] regularly, or sleep with [`sleep`]. It
/// is not interrupted: the loop waits until it returns, with a warning if that takes long.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let text = tinyio::run_in_thread(|| std::fs::read_to_string("Cargo.toml")).await?;
/// assert!(text.contains("tinyio"));
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[must_use = "a coroutine does nothing until it is awaited, gathered or spawned"]
#[track_caller]
pub fn run_in_thread<F, T, E>(f: F) -> Coro<T>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
{
    threaded(f, Location::caller(), None)
}

fn threaded<F, T, E>(f: F, at: &'static Location<'static>, pool: Option<&ThreadPool>) -> Coro<T>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    Coro::new::<_, _, ThreadProfile<F>>(Threaded::new(f, at, pool), at, flag::THREAD)
}

/// The profile, which shows the name of the function.
struct ThreadProfile<F>(PhantomData<F>);

impl<W, F, T: 'static, E: Into<BoxError>> Profile<W, T, E> for ThreadProfile<F> {
    fn type_name() -> &'static str {
        std::any::type_name::<F>()
    }

    fn describe(output: &T) -> String {
        crate::failure::type_name::value(output)
    }
}

/// The coroutine that stands for a thread.
struct Threaded<F, T> {
    /// The wait for a thread of the pool, if there is one; then the guard for it.
    turn: Option<Acquire>,
    permit: Option<Guard>,
    pool: Option<Arc<Size>>,
    /// The function, until it is handed over.
    work: Option<F>,
    job: Option<Arc<Job<F, T>>>,
    /// `Some` while it runs.
    counted: Option<Counted>,
    waiter: Waiter,
    /// Where `run_in_thread` was called.
    at: &'static Location<'static>,
}

/// State that the coroutine and the thread share.
struct Job<F, T> {
    stage: Mutex<Stage<F, T>>,
    token: Token,
    inbox: Arc<Inbox>,
    wake_token: WakeToken,
    record: observe::Thread,
    /// What the function logs is logged for the coroutine.
    around: Around,
}

enum Stage<F, T> {
    /// No thread has started it.
    Queued(F),
    /// The thread has taken the function, or the coroutine its result.
    Taken,
    Returned(Result<T, BoxError>),
    Panicked(Payload, Option<Place>),
}

impl<F, T> Job<F, T> {
    fn stage(&self) -> MutexGuard<'_, Stage<F, T>> {
        // No code of the user runs while it is held.
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the function out, if no thread has started it.
    fn take_work(&self) -> Option<F> {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Taken) {
            Stage::Queued(work) => Some(work),
            other => {
                *stage = other;
                None
            }
        }
    }

    /// Asks it to stop. Returns `true` if it was not started, and never will be.
    fn cancel(&self, reason: Reason) -> bool {
        self.token.cancel(reason);
        let unused = self.take_work();
        if unused.is_some() && self.record.is_recorded() {
            self.inbox.post(|mail| self.record.ended(&mut mail.notes, Some(FailureKind::Cancelled), None));
        }
        unused.is_some()
    }

    /// Takes the result. `None`: a thread is running it, or will.
    fn take_end(&self) -> Option<std::thread::Result<Result<T, BoxError>>> {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Taken) {
            Stage::Returned(result) => Some(Ok(result)),
            Stage::Panicked(payload, place) => {
                panic_hook::set_place(place);
                Some(Err(payload))
            }
            other => {
                *stage = other;
                None
            }
        }
    }
}

/// Asks a thread to stop, and knows what its function waits for and occupies.
#[derive(Default)]
struct Token {
    /// The pool that its thread belongs to.
    pool: Option<Arc<Size>>,
    /// The function that runs the loop that awaits this one, if it runs on a thread of tinyio: it does not return
    /// before this one does.
    outer: Option<Arc<dyn Worker>>,
    /// The process that has the thread.
    process: u32,
    cancelled: AtomicBool,
    noticed: AtomicBool,
    /// Why it is to stop, once that was requested.
    reason: Mutex<Option<Reason>>,
    change: Condvar,
}

impl Token {
    fn reason(&self) -> MutexGuard<'_, Option<Reason>> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel(&self, reason: Reason) {
        // Held until the change is announced: a thread that is about to wait for it holds it, too.
        let mut why = self.reason();
        why.get_or_insert(reason);
        self.cancelled.store(true, Ordering::SeqCst);
        self.change.notify_all();
    }
}

/// A job without its types.
trait Worker: Send + Sync {
    fn token(&self) -> &Token;
    fn notice(&self);

    /// Why it is to stop, if that was requested; marks it as noticed.
    fn asked(&self) -> Option<Reason> {
        if !self.token().cancelled.load(Ordering::Relaxed) {
            return None;
        }
        self.notice();
        *self.token().reason()
    }
}

/// The number of functions of the pool that are on threads and cannot return before one that this thread awaits: the
/// one that it runs, and those that wait for that one.
fn wait_for_this_thread(pool: &Arc<Size>) -> usize {
    let first = WORKER.with(|worker| worker.borrow().clone());
    let workers = std::iter::successors(first, |worker| worker.token().outer.clone());
    workers.filter(|worker| worker.token().pool.as_ref().is_some_and(|its| Arc::ptr_eq(its, pool))).count()
}

impl<F: Send, T: Send> Worker for Job<F, T> {
    fn token(&self) -> &Token {
        &self.token
    }

    fn notice(&self) {
        if !self.token.noticed.swap(true, Ordering::Relaxed) {
            self.inbox.post(|mail| self.record.noticed(&mut mail.notes));
        }
    }
}

impl<F, T, E> pool::Job for Job<F, T>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    fn run(self: Arc<Self>) {
        // Cancelled before it was started: it never is.
        let Some(work) = self.take_work() else { return };
        if self.record.is_recorded() {
            self.inbox.post(|mail| self.record.started(&mut mail.notes));
        }
        WORKER.with(|worker| worker.replace(Some(self.clone())));
        let result = {
            let _entered = self.around.enter();
            panic::catch_unwind(AssertUnwindSafe(|| {
                let result = work().map_err(Into::into);
                let cancelled = result.as_ref().err().and_then(|error: &BoxError| cancellation(&**error)).is_some();
                (result, cancelled)
            }))
        };
        WORKER.with(RefCell::take);
        let (end, how) = match result {
            Ok((Ok(output), _)) => (Stage::Returned(Ok(output)), None),
            Ok((Err(error), true)) => (Stage::Returned(Err(error)), Some(FailureKind::Cancelled)),
            Ok((Err(error), false)) => (Stage::Returned(Err(error)), Some(FailureKind::Error)),
            Err(payload) => (Stage::Panicked(payload, panic_hook::take_place()), Some(FailureKind::Panic)),
        };
        self.inbox.post(|mail| {
            self.record.ended(&mut mail.notes, how, Some(self.wake_token));
            mail.wake_tokens.push(self.wake_token);
            // Last, and under the lock of the mail: a reader that sees it finds in the mail what happened before.
            *self.stage() = end;
        });
    }
}

crate::threading::per_thread! {
    /// The job that this thread runs.
    static WORKER: RefCell<Option<Arc<dyn Worker>>> = const { RefCell::new(None) };
}

/// The threads of the pool, for loops that wait for functions on them.
struct PoolThreads;

impl Threads for PoolThreads {
    fn lend(&self, wait: &mut dyn FnMut()) -> std::io::Result<()> {
        let _lent = pool::lend()?;
        wait();
        Ok(())
    }

    fn search(&self, found: &dyn Fn() -> bool) {
        pool::search(found);
    }
}

impl<F, T> Unpin for Threaded<F, T> {}

impl<F, T> Threaded<F, T> {
    fn new(work: F, at: &'static Location<'static>, pool: Option<&ThreadPool>) -> Threaded<F, T> {
        let turn = pool.map(|pool| pool.turns.acquire());
        let pool = pool.map(|pool| pool.size.clone());
        Threaded { turn, permit: None, pool, work: Some(work), job: None, counted: None, waiter: Waiter::default(), at }
    }
}

impl<F, T, E> Future for Threaded<F, T>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    type Output = Result<T, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        executor::with("run_in_thread", |executor| {
            if let Some(turn) = &mut this.turn {
                match turn.poll_at(executor, cx, this.at) {
                    Poll::Pending => {
                        return match &this.pool {
                            Some(pool) if wait_for_this_thread(pool) >= pool.threads => {
                                Poll::Ready(Err(pool.waits_for_itself().into()))
                            }
                            _ => Poll::Pending,
                        };
                    }
                    Poll::Ready(Err(cancelled)) => return Poll::Ready(Err(cancelled.into())),
                    Poll::Ready(Ok(permit)) => (this.turn, this.permit) = (None, Some(permit)),
                }
            }
            let cancelled = executor.cancellation.delivery.get().reason;
            if let Some(work) = this.work.take() {
                if let Some(reason) = cancelled {
                    return Poll::Ready(Err(CancelledError::new(reason).into()));
                }
                let wake_token = this.waiter.wake_token(executor, cx);
                let pool = this.pool.take();
                this.job = Some(start(executor, wake_token, this.at, work, pool));
                this.counted = Some(executor.jobs.begin(&PoolThreads));
            }
            let job = this.job.as_ref().expect("handed over when it was first polled");
            let ended = job.take_end();
            let asked = job.token.cancelled.load(Ordering::Relaxed);
            if ended.is_none() {
                let mut never_begins = false;
                if let Some(reason) = cancelled.filter(|_| !asked) {
                    job.record.cancelled(executor);
                    never_begins = job.cancel(reason) || job.token.process != std::process::id();
                }
                if !never_begins {
                    executor.waits(Target::Thread(job.record.id()), this.at);
                    return Poll::Pending;
                }
            }
            // The end of the function is recorded before that of its coroutine.
            executor.read_notes();
            this.counted = None;
            let reason = *job.token.reason();
            (this.job, this.permit) = (None, None);
            match ended {
                Some(Err(payload)) => panic::resume_unwind(payload),
                Some(Ok(Err(error))) => Poll::Ready(Err(error)),
                Some(Ok(Ok(output))) if !asked => Poll::Ready(Ok(output)),
                // It ended before it could notice, or was never started: its output is not needed any more.
                _ => Poll::Ready(Err(CancelledError::new(reason.unwrap_or(Reason::Crash(None))).into())),
            }
        })
    }
}

impl<F, T> Drop for Threaded<F, T> {
    fn drop(&mut self) {
        if let Some(job) = &self.job {
            job.cancel(Reason::Dropped(None));
        }
    }
}

fn start<F, T, E>(
    executor: &Executor,
    wake_token: WakeToken,
    at: &'static Location<'static>,
    work: F,
    pool: Option<Arc<Size>>,
) -> Arc<Job<F, T>>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    let record =
        executor.current_task.with(|coro| observe::Thread::queue(executor, coro.expect("polled by its loop"), at));
    let inbox = executor.inbox().clone();
    let outer = WORKER.with(|worker| worker.borrow().clone());
    let process = executor.jobs.this_process();
    let token = Token { pool, outer, process, ..Token::default() };
    let job = Arc::new(Job {
        stage: Mutex::new(Stage::Queued(work)),
        token,
        inbox,
        wake_token,
        record,
        around: Around::here(),
    });
    pool::run(job.clone(), process);
    job
}

/// A limit on how many functions run on threads at once. Clones are the same pool.
///
/// A function of the pool may run a loop that uses the same pool, as long as a thread is left for that: if all are
/// occupied by functions that wait for this one, [`run_in_thread`](ThreadPool::run_in_thread) is an error at once.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let pool = tinyio::ThreadPool::new(4);
/// let squares = pool.map(|n: u64| tinyio::Ok(n * n), 0..10).await?;
/// assert_eq!(squares[9], 81);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ThreadPool {
    turns: Semaphore,
    size: Arc<Size>,
}

/// State that a pool and its functions share.
struct Size {
    threads: usize,
    /// Where it was made.
    at: &'static Location<'static>,
}

impl Size {
    #[cold]
    fn waits_for_itself(&self) -> String {
        format!(
            "tinyio: a function on a thread of the `ThreadPool` of {} made at {} waits for another thread of that pool, and the pool has no \
             thread that is not held by a function which waits for this one: it would wait for ever. Use another pool, or \
             `tinyio::run_in_thread`",
            self.threads, self.at
        )
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadPool").field(&self.turns).finish()
    }
}

impl ThreadPool {
    /// Creates a pool for this many functions at once.
    ///
    /// ```
    /// let pool = tinyio::ThreadPool::new(4);
    /// ```
    ///
    /// # Panics
    ///
    /// If the number is 0.
    #[track_caller]
    pub fn new(threads: usize) -> ThreadPool {
        assert!(
            threads > 0,
            "tinyio::ThreadPool::new({threads}): there must be at least one thread, or nothing ever runs"
        );
        ThreadPool { turns: Semaphore::new(threads), size: Arc::new(Size { threads, at: Location::caller() }) }
    }

    /// Gives the pool a name, which the inspector shows. Set it before the first use, which records it; the first name
    /// stays.
    ///
    /// ```
    /// let hashing = tinyio::ThreadPool::new(4).named("hashing");
    /// ```
    #[must_use]
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> ThreadPool {
        self.turns = self.turns.named(name);
        self
    }

    /// Like [`run_in_thread`], once a thread of the pool is free.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let pool = tinyio::ThreadPool::new(4);
    /// let seven = pool.run_in_thread(|| tinyio::Ok(7)).await?;
    /// assert_eq!(seven, 7);
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    pub fn run_in_thread<F, T, E>(&self, f: F) -> Coro<T>
    where
        F: FnOnce() -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        threaded(f, Location::caller(), Some(self))
    }

    /// Runs `f` on each of these and gives what it returned, in order.
    ///
    /// ```
    /// # tinyio::Loop::new().run(async {
    /// let pool = tinyio::ThreadPool::new(2);
    /// let lengths = pool.map(|text: &str| tinyio::Ok(text.len()), ["a", "bc"]).await?;
    /// assert_eq!(lengths, [1, 2]);
    /// # tinyio::Ok(()) }).unwrap();
    /// ```
    #[track_caller]
    pub fn map<F, I, T, E>(&self, f: F, items: I) -> Coro<Vec<T>>
    where
        F: Fn(I::Item) -> Result<T, E> + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        T: Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>> + Send + 'static,
    {
        let f = Arc::new(f);
        let at = Location::caller();
        let coros: Vec<Coro<T>> = items
            .into_iter()
            .map(|item| {
                let f = f.clone();
                let work = move || f(item);
                Coro::new::<_, _, ThreadProfile<F>>(Threaded::new(work, at, Some(self)), at, flag::THREAD)
            })
            .collect();
        crate::coroutine::coro::coro(crate::coroutine::gather::gather(coros))
    }
}

/// Returns `Err` once the loop has asked this thread to stop. Always `Ok` on threads that tinyio did not start.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let sum = tinyio::run_in_thread(|| {
///     let mut sum = 0;
///     for n in 0..1_000_u64 {
///         tinyio::thread::check_cancelled()?;
///         sum += n;
///     }
///     tinyio::Ok(sum)
/// });
/// assert_eq!(sum.await?, 499_500);
/// # tinyio::Ok(()) }).unwrap();
/// ```
///
/// # Errors
///
/// The [`CancelledError`] to be returned, after cleaning up.
pub fn check_cancelled() -> Result<(), CancelledError> {
    let reason = WORKER.with(|worker| worker.borrow().as_ref().and_then(|worker| worker.asked()));
    reason.map_or(Ok(()), |reason| Err(CancelledError::new(reason)))
}

/// Whether the loop has asked this thread to stop.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let crash = tinyio::isolate(async {
///     tinyio::spawn(tinyio::run_in_thread(|| {
///         while !tinyio::thread::is_cancelled() {
///             std::thread::yield_now();
///         }
///         Err::<(), _>(tinyio::thread::check_cancelled().unwrap_err()) // a proper answer
///     }));
///     tinyio::yield_now().await?;
///     Err::<(), _>(tinyio::Error::msg("enough"))
/// });
/// assert!(!crash.await?.unwrap_err().is_group());
/// # tinyio::Ok(()) }).unwrap();
/// ```
pub fn is_cancelled() -> bool {
    WORKER.with(|worker| worker.borrow().as_ref().is_some_and(|worker| worker.asked().is_some()))
}

/// Blocks this thread for this long, or until it is asked to stop.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// tinyio::run_in_thread(|| tinyio::thread::sleep(std::time::Duration::from_millis(1))).await?;
/// # tinyio::Ok(()) }).unwrap();
/// ```
///
/// # Errors
///
/// The [`CancelledError`] to be returned, after cleaning up.
pub fn sleep(duration: Duration) -> Result<(), CancelledError> {
    let Some(worker) = WORKER.with(|worker| worker.borrow().clone()) else {
        std::thread::sleep(duration);
        return Ok(());
    };
    let token = worker.token();
    let end = Instant::now().checked_add(duration);
    let mut guard = token.reason();
    while !token.cancelled.load(Ordering::Relaxed) {
        let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(());
        }
        guard = token.change.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    drop(guard);
    check_cancelled()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::pool::Job as _;

    #[test]
    fn what_is_cancelled_before_it_is_begun_never_is() {
        fn job(ran: Arc<AtomicBool>) -> Arc<Job<impl FnOnce() -> crate::Result<()> + Send, ()>> {
            let record = observe::Thread::default();
            let stage = Stage::Queued(move || {
                ran.store(true, Ordering::SeqCst);
                crate::Ok(())
            });
            let (token, inbox, wake_token) = (Token::default(), Inbox::new(), WakeToken::NONE);
            let around = Around::default();
            Arc::new(Job { stage: Mutex::new(stage), token, inbox, wake_token, record, around })
        }
        let ran = Arc::new(AtomicBool::new(false));
        let cancelled = job(ran.clone());
        assert!(cancelled.cancel(Reason::Crash(None)));
        cancelled.clone().run();
        assert!(!ran.load(Ordering::SeqCst) && cancelled.take_end().is_none());
        let begun = job(ran.clone());
        begun.clone().run();
        assert!(!begun.cancel(Reason::Crash(None)));
        assert!(ran.load(Ordering::SeqCst) && begun.take_end().is_some());
    }
}
