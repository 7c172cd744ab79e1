//! The threads of the process, and their number: read [`Pool::help`], then [`Pool::work`].
//!
//! ```text
//!              push                    help: none searches
//!  loop ──────────────▶ queue ◀──────────────────────────────┐
//!                         │ take                             │
//!            ┌────────────▼───────────┐   a short while   ┌──┴─────┐ 10 s
//!  spawned ─▶│ running, at most limit │──▶ searching ────▶│ asleep │──────▶ ended
//!            └────────────▲───────────┘                   └──┬─────┘
//!                         │ jobs take long: limit doubles    │
//!                         └─────────── watching ◀────────────┘
//! ```
//!
//! There are two kinds of functions: those that block, which need a thread each, and short ones, for which more threads
//! would only contend for the queue. The pool is not given the kind. So there are at first as many threads as cores;
//! when that is not enough, one more thread watches how fast the queue moves, and raises the limit as long as it moves
//! slowly.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::panics;
use crate::threading::{self, AtomicBool, Condvar, Mutex, MutexGuard, PerProcess, global};

/// Threads at once, in the whole process; further functions wait for a free one. As many as tokio has for blocking
/// calls.
const MAX_THREADS: usize = 512;
/// How long a thread searches for more work before it sleeps: about the cost of waking a sleeping thread.
const SEARCH: Duration = Duration::from_micros(50);
/// The interval at which the queue is watched.
const WATCH: Duration = Duration::from_micros(500);
/// If functions take longer than this on average, the limit doubles: about the cost of starting a thread.
const LONG: Duration = Duration::from_micros(50);

/// Work for a thread.
pub(crate) trait Job: Send + Sync {
    fn run(self: Arc<Self>);
}

struct Pool {
    state: Mutex<State>,
    wake: Condvar,
    work: Filled,
    cores: usize,
    /// A thread that finds no work for this long ends.
    #[cfg_attr(loom, expect(dead_code, reason = "there is no time"))]
    keep_alive: Duration,
}

/// Set when the queue is not empty. On a cache line of its own, as searching threads read it all the time.
#[repr(align(128))]
struct Filled(AtomicBool);

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<dyn Job>>,
    /// The number of threads.
    threads: usize,
    /// Threads that run a function.
    running: usize,
    /// Threads in a function that runs a loop which waits for functions on other threads. They are not counted as
    /// running, and more threads are started in their place: functions that wait for each other need a thread each,
    /// however many there are.
    lent: usize,
    /// The most threads that may run a function.
    limit: usize,
    /// Threads that search for work, or are about to: no other need be woken.
    searching: usize,
    /// Threads that sleep and were not called.
    asleep: usize,
    /// Threads that were called and are not yet awake.
    called: usize,
    /// One thread watches how fast the queue moves. There is one as long as something is queued that the limit keeps
    /// out.
    watched: bool,
    /// The number of functions started, ever.
    begun: u64,
}

global!(POOL: PerProcess<Pool> = PerProcess::new(|| Pool::new(Duration::from_secs(10))));

/// Returns when all threads have ended: loom's statics live no longer than the first thread.
#[cfg(loom)]
pub(crate) fn end() {
    while POOL.here().lock().threads > 0 {
        threading::yield_now();
    }
}

/// Runs a job on some thread of this process, which has the id `process`.
///
/// # Panics
///
/// If there is no thread, and none can be started.
pub(crate) fn run(job: Arc<dyn Job>, process: u32) {
    POOL.of(process).push(job);
}

/// Polls for a condition for a short time, if another core can make it true meanwhile. For a thread that is about to
/// finish, this is quicker than sleeping.
pub(crate) fn search(found: impl Fn() -> bool) {
    // Under loom, which tries every order, polling for long is of no use.
    if threading::cores() < 2 || cfg!(loom) {
        return;
    }
    let start = Instant::now();
    loop {
        for _ in 0..64 {
            if found() {
                return;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > SEARCH {
            return;
        }
        // The thread that makes it true may be waiting for this core.
        threading::yield_now();
    }
}

crate::threading::per_thread! {
    /// The pool that this thread belongs to.
    static HERE: Cell<Option<&'static Pool>> = const { Cell::new(None) };
}

/// This thread waits for functions on others: see [`lend`].
pub(crate) struct Lent(&'static Pool);

/// Has another thread started in place of this one, if this is one of the pool's, until the guard is dropped.
///
/// # Errors
///
/// If there is work, all threads wait for it, and no other can be started.
pub(crate) fn lend() -> std::io::Result<Option<Lent>> {
    let Some(pool) = HERE.with(Cell::get) else { return Ok(None) };
    let mut state = pool.lock();
    state.running -= 1;
    state.lent += 1;
    let lent = Lent(pool);
    match pool.help(state) {
        Err(error) if lent.is_last() => Err(error),
        _ => Ok(Some(lent)),
    }
}

impl Lent {
    /// Whether all threads wait.
    fn is_last(&self) -> bool {
        let state = self.0.lock();
        state.threads == state.lent
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running += 1;
        state.lent -= 1;
    }
}

impl Pool {
    fn new(keep_alive: Duration) -> Pool {
        let cores = threading::cores();
        let state = State { limit: cores, ..State::default() };
        Pool { state: Mutex::new(state), wake: Condvar::new(), work: Filled(AtomicBool::new(false)), cores, keep_alive }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Jobs run while it is not locked, and nothing else panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&'static self, job: Arc<dyn Job>) {
        let mut state = self.lock();
        state.queue.push_back(job);
        if state.queue.len() == 1 {
            self.work.0.store(true, Ordering::Relaxed);
        }
        if let Err(error) = self.help(state) {
            // With at least one thread the work is done, later.
            let state = self.lock();
            assert!(state.threads > state.lent, "tinyio: cannot start a thread for `run_in_thread`: {error}");
        }
    }

    /// Wakes or starts a thread for the queued work, unless one is already searching. Called whenever work was queued
    /// or taken, so that each thread that takes work brings the next.
    fn help(&'static self, mut state: MutexGuard<'_, State>) -> std::io::Result<()> {
        if state.queue.is_empty() || state.searching > 0 || (state.running >= state.limit && state.watched) {
            return Ok(());
        }
        if state.asleep > 0 {
            state.asleep -= 1;
            state.called += 1;
            state.searching += 1;
            drop(state);
            self.wake.notify_one();
        } else if state.threads < MAX_THREADS + state.lent {
            state.threads += 1;
            state.searching += 1;
            drop(state);
            let spawned = threading::Builder::new().name("tinyio worker".to_owned()).spawn(|| self.work());
            if let Err(error) = spawned {
                let mut state = self.lock();
                state.threads -= 1;
                state.searching -= 1;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The main function of a thread. It is counted as searching when it begins.
    fn work(&'static self) {
        HERE.with(|here| here.set(Some(self)));
        let mut state = self.lock();
        state.searching -= 1;
        let mut searched = false;
        loop {
            if state.running < state.limit
                && let Some(job) = state.queue.pop_front()
            {
                if state.queue.is_empty() {
                    self.work.0.store(false, Ordering::Relaxed);
                }
                state.running += 1;
                state.begun += 1;
                // The work is still done without further threads.
                let _ = self.help(state);
                // The job has reported panics to its loop; a panic in a destructor of what is left of it was reported
                // by the hook.
                panics::contain(|| job.run());
                state = self.lock();
                state.running -= 1;
                searched = false;
            } else if !state.queue.is_empty() && !state.watched {
                state = self.watch(state);
            } else if state.queue.is_empty() && state.searching == 0 && !searched {
                state.searching += 1;
                drop(state);
                search(|| self.work.0.load(Ordering::Relaxed));
                state = self.lock();
                state.searching -= 1;
                searched = true;
            } else {
                match self.sleep(state) {
                    Some(called) => state = called,
                    None => return,
                }
                searched = false;
            }
        }
    }

    /// Sleeps until it is called. `None`: it was not called within the keep-alive time.
    fn sleep<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Option<MutexGuard<'a, State>> {
        state.asleep += 1;
        loop {
            let (guard, in_vain) = self.wait(state);
            state = guard;
            if state.called > 0 {
                state.called -= 1;
                state.searching -= 1;
                return Some(state);
            }
            if in_vain {
                state.asleep -= 1;
                state.threads -= 1;
                state.limit = state.limit.min(state.threads).max(self.cores);
                return None;
            }
        }
    }

    /// Waits to be called. Returns `true` if the time was up.
    #[cfg(not(loom))]
    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        let (state, timeout) = self.wake.wait_timeout(state, self.keep_alive).unwrap_or_else(PoisonError::into_inner);
        (state, timeout.timed_out())
    }

    /// Its time is up at once: a thread that continued to sleep would never end.
    #[cfg(loom)]
    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        drop(state);
        threading::yield_now();
        (self.lock(), true)
    }

    /// Watches how fast the queue moves, until it is empty or one more function may run.
    fn watch<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.watched = true;
        while !state.queue.is_empty() && state.running >= state.limit {
            let (start, begun) = (Instant::now(), state.begun);
            drop(state);
            std::thread::sleep(WATCH);
            state = self.lock();
            let each =
                start.elapsed() * state.running as u32 / u32::try_from(state.begun - begun).unwrap_or(u32::MAX).max(1);
            state.limit = if each > LONG { (state.running * 2).min(MAX_THREADS) } else { self.cores };
        }
        state.watched = false;
        state
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Sends the id of the thread it ran on, if the receiver still exists.
    struct Reports(Mutex<mpsc::Sender<std::thread::ThreadId>>);

    impl Job for Reports {
        fn run(self: Arc<Self>) {
            let _ = self.0.lock().unwrap().send(std::thread::current().id());
        }
    }

    /// A pool that has run some jobs, and the receiver of what the next ones send.
    fn used(keep_alive: Duration) -> &'static Pool {
        // Reachable for ever, as the process's own pool is.
        static POOLS: Mutex<Vec<&'static Pool>> = Mutex::new(Vec::new());
        let pool: &'static Pool = Box::leak(Box::new(Pool::new(keep_alive)));
        POOLS.lock().unwrap().push(pool);
        let (send, received) = mpsc::channel();
        for _ in 0..100 {
            pool.push(Arc::new(Reports(Mutex::new(send.clone()))));
        }
        drop(send);
        assert_eq!(received.iter().count(), 100);
        pool
    }

    fn wait_until(what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
            std::thread::yield_now();
        }
    }

    #[test]
    fn threads_without_work_end_after_a_while() {
        let pool = used(Duration::from_millis(1));
        wait_until("no thread is left", || pool.lock().threads == 0);
        // The next job starts a thread.
        let (send, received) = mpsc::channel();
        pool.push(Arc::new(Reports(Mutex::new(send))));
        received.recv_timeout(Duration::from_secs(60)).expect("it runs");
    }

    /// How often each thread of that name has gone to sleep or was preempted.
    #[cfg(target_os = "linux")]
    fn switches(of: &[String]) -> Vec<String> {
        let status = |task: &String| std::fs::read_to_string(format!("{task}/status")).expect("the thread lives");
        let switches = |status: String| status.lines().filter(|line| line.contains("ctxt_switches")).collect();
        of.iter().map(status).map(switches).collect()
    }

    /// Sends the folder of its thread in `/proc`.
    #[cfg(target_os = "linux")]
    struct Where(Mutex<mpsc::Sender<String>>);

    #[cfg(target_os = "linux")]
    impl Job for Where {
        fn run(self: Arc<Self>) {
            let task = std::fs::read_link("/proc/thread-self").expect("proc");
            let _ = self.0.lock().unwrap().send(format!("/proc/{}", task.display()));
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn threads_without_work_sleep() {
        let pool = used(Duration::from_secs(3600));
        let (send, received) = mpsc::channel();
        for _ in 0..100 {
            pool.push(Arc::new(Where(Mutex::new(send.clone()))));
        }
        drop(send);
        let mut threads: Vec<String> = received.iter().collect();
        threads.sort();
        threads.dedup();
        wait_until("all sleep", || {
            let state = pool.lock();
            state.asleep == state.threads && state.searching == 0
        });
        // They are about to sleep when they have sent it.
        let asleep =
            |task: &String| std::fs::read_to_string(format!("{task}/stat")).is_ok_and(|stat| stat.contains(") S "));
        wait_until("the system has it asleep too", || threads.iter().all(asleep));
        let before = switches(&threads);
        std::thread::sleep(SEARCH * 1_000);
        assert_eq!(switches(&threads), before, "one woke up for nothing");
    }
}
