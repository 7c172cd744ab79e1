//! Blocking functions on threads, and what they can ask of tinyio while they run.
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

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error as StdError;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe, Location};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::cancel::{self, Place};
use crate::core::{self, Core, Waiter};
use crate::coro::Coro;
use crate::crash::FailureKind;
use crate::error::{CancelledError, Reason, cancellation};
use crate::record::{self, Target};
use crate::sync::{Acquire, Guard, Semaphore};
use crate::task::{BoxError, Inbox, Payload, Profile, Word, flag};

/// Threads at once, in the whole process; further functions wait for a free one. As many as tokio has for blocking calls.
const MAX_THREADS: usize = 512;
/// A thread that finds nothing to do for so long ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Runs a blocking function on a thread of its own. Awaiting the coroutine gives what it returned.
///
/// An error or a panic of the function is one of the coroutine: it cancels everybody. If the loop crashes otherwise, the function is
/// asked to stop: it should call [`check_cancelled`] now and then, or sleep with [`sleep`]. It is asked, not interrupted: the
/// loop waits until it returns, and says so if that takes long.
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

/// A thread is shown under the name of its function.
struct ThreadProfile<F>(PhantomData<F>);

impl<W, F, T: 'static> Profile<W, T> for ThreadProfile<F> {
    fn type_name() -> &'static str {
        std::any::type_name::<F>()
    }

    fn describe(output: &T) -> String {
        crate::name::value(output)
    }
}

/// The coroutine that stands for a thread.
struct Threaded<F, T> {
    /// The wait for a thread of the pool, if there is one; then the permission to have it.
    turn: Option<Acquire>,
    permit: Option<Guard>,
    /// The function, until it is handed over.
    work: Option<F>,
    job: Option<Arc<Job<T>>>,
    waiter: Waiter,
    /// Where `run_in_thread` was called.
    at: &'static Location<'static>,
}

/// What the coroutine and the thread share.
struct Job<T> {
    result: Mutex<Option<Ended<T>>>,
    token: Token,
    inbox: Arc<Inbox>,
    word: Word,
    record: record::Thread,
}

enum Ended<T> {
    Returned(Result<T, BoxError>),
    Panicked(Payload, Option<Place>),
}

/// Asks a thread to stop.
#[derive(Default)]
struct Token {
    cancelled: AtomicBool,
    noticed: AtomicBool,
    lock: Mutex<()>,
    change: Condvar,
}

impl Token {
    fn cancel(&self) {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.cancelled.store(true, Ordering::SeqCst);
        self.change.notify_all();
    }
}

/// A job without its types.
trait Worker: Send + Sync {
    fn token(&self) -> &Token;
    fn notice(&self);
}

impl<T: Send> Worker for Job<T> {
    fn token(&self) -> &Token {
        &self.token
    }

    fn notice(&self) {
        if !self.token.noticed.swap(true, Ordering::Relaxed) {
            self.inbox.post(|mail| self.record.noticed(mail));
        }
    }
}

thread_local! {
    /// The job that this thread runs.
    static WORKER: RefCell<Option<Arc<dyn Worker>>> = const { RefCell::new(None) };
}

impl<F, T> Unpin for Threaded<F, T> {}

impl<F, T> Threaded<F, T> {
    fn new(work: F, at: &'static Location<'static>, pool: Option<&ThreadPool>) -> Threaded<F, T> {
        let turn = pool.map(|pool| pool.0.acquire());
        Threaded { turn, permit: None, work: Some(work), job: None, waiter: Waiter::default(), at }
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
        core::with("run_in_thread", |core| {
            if let Some(turn) = &mut this.turn {
                match turn.poll_at(core, cx, this.at) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(cancelled)) => return Poll::Ready(Err(cancelled.into())),
                    Poll::Ready(Ok(permit)) => (this.turn, this.permit) = (None, Some(permit)),
                }
            }
            let cancelled = core.cancel.get().reason;
            if let Some(work) = this.work.take() {
                if let Some(reason) = cancelled {
                    return Poll::Ready(Err(CancelledError::new(reason).into()));
                }
                let word = this.waiter.word(core, cx);
                this.job = Some(start(core, word, this.at, work));
                core.jobs.set(core.jobs.get() + 1);
            }
            let job = this.job.as_ref().expect("handed over when it was first polled");
            let ended = job.result.lock().unwrap_or_else(PoisonError::into_inner).take();
            if ended.is_some() {
                core.jobs.set(core.jobs.get() - 1);
                this.permit = None;
            }
            match ended {
                None => {
                    if cancelled.is_some() && !job.token.cancelled.load(Ordering::Relaxed) {
                        job.record.cancelled(core);
                        job.token.cancel();
                    }
                    core.waits(Target::Thread(job.record.id()), this.at);
                    Poll::Pending
                }
                Some(Ended::Panicked(payload, place)) => {
                    cancel::set_panic_place(place);
                    panic::resume_unwind(payload)
                }
                // It ended before it could notice: nobody needs its output any more.
                Some(Ended::Returned(Ok(_))) if job.token.cancelled.load(Ordering::Relaxed) => {
                    Poll::Ready(Err(CancelledError::new(Reason::Crash).into()))
                }
                Some(Ended::Returned(result)) => Poll::Ready(result),
            }
        })
    }
}

impl<F, T> Drop for Threaded<F, T> {
    fn drop(&mut self) {
        if let Some(job) = &self.job {
            job.token.cancel();
        }
    }
}

fn start<F, T, E>(core: &Core, word: Word, at: &'static Location<'static>, work: F) -> Arc<Job<T>>
where
    F: FnOnce() -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: Into<BoxError> + Send + 'static,
{
    let record = core.spot.with(|coro| record::Thread::queue(core, coro.expect("polled by its loop"), at));
    let inbox = core.inbox().clone();
    let job = Arc::new(Job { result: Mutex::new(None), token: Token::default(), inbox, word, record });
    let own = job.clone();
    POOL.run(Box::new(move || {
        if own.record.is_recorded() {
            own.inbox.post(|mail| own.record.started(mail));
        }
        WORKER.set(Some(own.clone()));
        let result = panic::catch_unwind(AssertUnwindSafe(|| work().map_err(Into::into)));
        WORKER.set(None);
        let how = match &result {
            Ok(Ok(_)) => None,
            Ok(Err(error)) if cancellation(&**error).is_some() => Some(FailureKind::Cancelled),
            Ok(Err(_)) => Some(FailureKind::Error),
            Err(_) => Some(FailureKind::Panic),
        };
        let ended = match result {
            Ok(result) => Ended::Returned(result),
            Err(payload) => Ended::Panicked(payload, cancel::take_panic_place()),
        };
        *own.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        own.inbox.post(|mail| {
            own.record.ended(mail, how);
            mail.words.push(own.word);
        });
    }));
    job
}

/// At most so many functions on threads at once. Clones are the same pool.
///
/// ```
/// # tinyio::Loop::new().run(async {
/// let pool = tinyio::ThreadPool::new(4);
/// let squares = pool.map(|n: u64| tinyio::Ok(n * n), 0..10).await?;
/// assert_eq!(squares[9], 81);
/// # tinyio::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ThreadPool(Semaphore);

impl ThreadPool {
    /// A pool for this many functions at once.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[track_caller]
    pub fn new(threads: usize) -> ThreadPool {
        assert!(
            threads > 0,
            "tinyio::ThreadPool::new({threads}): there must be at least one thread, or nothing ever runs"
        );
        ThreadPool(Semaphore::new(threads))
    }

    /// Like [`run_in_thread`], when a thread of the pool is free.
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
        crate::coro::coro(crate::gather::gather(coros))
    }
}

/// `Err` once the loop has asked this thread to stop. Always `Ok` on threads that tinyio did not start.
///
/// # Errors
///
/// The [`CancelledError`] to be returned, after cleaning up.
pub fn check_cancelled() -> Result<(), CancelledError> {
    if is_cancelled() { Err(CancelledError::new(Reason::Crash)) } else { Ok(()) }
}

/// The loop has asked this thread to stop.
pub fn is_cancelled() -> bool {
    WORKER.with_borrow(|worker| match worker {
        Some(worker) if worker.token().cancelled.load(Ordering::Relaxed) => {
            worker.notice();
            true
        }
        _ => false,
    })
}

/// Blocks this thread for so long, or until it is asked to stop.
///
/// # Errors
///
/// The [`CancelledError`] to be returned, after cleaning up.
pub fn sleep(duration: Duration) -> Result<(), CancelledError> {
    let Some(worker) = WORKER.with_borrow(Clone::clone) else {
        std::thread::sleep(duration);
        return Ok(());
    };
    let token = worker.token();
    let end = Instant::now().checked_add(duration);
    let mut guard = token.lock.lock().unwrap_or_else(PoisonError::into_inner);
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

type Work = Box<dyn FnOnce() + Send>;

/// The threads of the process.
struct Pool {
    state: Mutex<PoolState>,
    work: Condvar,
}

struct PoolState {
    queue: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

static POOL: Pool =
    Pool { state: Mutex::new(PoolState { queue: VecDeque::new(), threads: 0, idle: 0 }), work: Condvar::new() };

impl Pool {
    fn run(&'static self, work: Work) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.queue.push_back(work);
        if state.idle >= state.queue.len() {
            drop(state);
            self.work.notify_one();
        } else if state.threads < MAX_THREADS {
            state.threads += 1;
            drop(state);
            let spawned = std::thread::Builder::new().name("tinyio worker".to_owned()).spawn(|| self.work());
            if let Err(error) = spawned {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.threads -= 1;
                // With one thread at least the work is done, later.
                assert!(state.threads > 0, "tinyio: cannot start a thread for `run_in_thread`: {error}");
            }
        }
    }

    fn work(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                work();
                state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.idle += 1;
            let (guard, timeout) = self.work.wait_timeout(state, KEEP_ALIVE).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}
