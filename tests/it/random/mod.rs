//! Random programs, compared with a naive model of what they must do.
//!
//! A program is a graph of coroutines, made from a seed: each awaits, gathers or spawns some of those after it, shared
//! ones among them, sleeps, yields, takes locks and permits, moves permits to others, sets and waits for events, runs
//! functions on threads and in a pool, catches timeouts and nested loops, begins coroutines and threads and drops their
//! handles, keeps await points for another loop, receives with a limit that meets the sender's period; some fail,
//! panic, or answer their cancellation in wrong ways, also by a destructor that panics; some await a coroutine that
//! awaits them, or take a second lock; some programs stop the loop from another thread, at a step or at any time. The
//! model knows which coroutines can be reached, what each returns, and whether they must or may wait for each other for
//! ever; the rest are laws that hold for every program: see [`check`].
//!
//! `TINYIO_RANDOM=SECONDS` runs for this long, with new seeds; `TINYIO_RANDOM_PROGRAMS=N` runs the first N only;
//! `TINYIO_RANDOM_SEED=N` repeats one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tinyio::{
    Coro, Crash, Deadlock, Event, FailureKind, Group, Guard, Interrupted, Lock, Loop, Result, Semaphore, ThreadPool,
    TimeoutError, as_completed, coro, gather, isolate, run_in_thread, sleep, spawn, thread, timeout, yield_now,
};

/// The number of programs in a plain `cargo test`.
const PROGRAMS: u64 = 1_500;
/// A program that has not ended by then hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut random = self.0;
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        random ^ (random >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// The acts of a coroutine, in order. Numbers are of coroutines after it, or of resources.
#[derive(Clone, Debug)]
enum Act {
    Yield,
    Sleep(u64),
    Await(usize),
    Gather(Vec<usize>),
    Spawn(usize),
    Completed(Vec<usize>),
    /// Waits for all of these concurrently in one coroutine, behind wakers of its own.
    Beside(Vec<u64>),
    /// Awaits one after it from inside a nested loop.
    AwaitInside(usize),
    /// Awaits itself, or one before it, which may be waiting for it; from inside a nested loop or not.
    AwaitBack(usize, bool),
    /// Takes two locks, which may be one; the second from inside a nested loop or not.
    Locks(usize, usize, bool),
    Locked(usize, u64),
    Permitted(usize, u64),
    /// Acquires three permits of two, one after the other, and moves each to another coroutine, which drops it: spawned
    /// with it, or one that takes it from a shelf.
    Moved(usize, u64, bool),
    Set(usize),
    /// Waits for an event that another coroutine has to set, or only for a short time.
    Wait(usize, u64),
    Thread(u64),
    /// Runs a function in the pool.
    Pool(u64),
    /// Runs a function on a thread that fails.
    ThreadFails,
    Timeout(u64, u64),
    /// Begins coroutines of its own that never end by themselves, and drops their handles after this many turns.
    Abandon(Owner, u64),
    /// Begins a function on a thread, and drops its handle after this many turns.
    AbandonThread(u64),
    /// Polls an await point once, and keeps it for the next run of the loop.
    Keep(usize),
    /// Receives this many items from a coroutine that sends one every given number of milliseconds, with that as the
    /// limit of each wait.
    Receive(u64, u64),
    /// Isolates a loop whose coroutines sleep this long; it fails or does not.
    Isolate(Vec<u64>, bool),
    Fail,
    Panic,
}

/// What owns coroutines that are dropped.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Coro,
    Gather,
    Completed,
    Timeout,
    Isolate,
    /// A coroutine that awaits one that gathers two.
    Chain,
    /// A coroutine that isolates one with a limit.
    Nested,
}

const OWNERS: [Owner; 7] =
    [Owner::Coro, Owner::Gather, Owner::Completed, Owner::Timeout, Owner::Isolate, Owner::Chain, Owner::Nested];

/// How a coroutine responds to its cancellation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manners {
    Proper,
    AnswersOk,
    AnswersError,
    Panics,
    /// A destructor panics.
    DropPanics,
    AwaitsAgain,
}

/// Whether the coroutines of a program end up waiting for each other for ever, unless something else ends it before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stuck {
    Never,
    May,
    Must,
}

#[derive(Clone, Debug)]
struct Plan {
    acts: Vec<Act>,
    manners: Manners,
}

#[derive(Debug)]
struct Program {
    plans: Vec<Plan>,
    group: Group,
    shuffle: Option<u64>,
    virtual_time: bool,
    grace: bool,
    /// Another thread stops the loop after this many steps of coroutines.
    stop: Option<u64>,
    /// Another thread stops the loop after this many microseconds.
    stop_after: Option<u64>,
}

const RESOURCES: usize = 3;

impl Program {
    fn new(seed: u64) -> Program {
        let random = &mut Random(seed);
        let most = if random.one_in(10) { 60 } else { 12 };
        let count = 1 + random.below(most);
        // The value that an async function was about to return is lost when one of its variables panics on being
        // dropped.
        let may_leak = std::env::var_os("TINYIO_TEST_LEAKS").is_none_or(|leaks| leaks != "0");
        let (failing, rude, tangled) = (!random.one_in(3), random.one_in(2), random.one_in(3));
        let plans = (0..count)
            .map(|own| {
                let behind = |random: &mut Random| own + 1 + random.below(count - own - 1);
                let some = |random: &mut Random| (0..1 + random.below(4)).map(|_| behind(random)).collect::<Vec<_>>();
                let acts = (0..1 + random.below(7)).map(|_| {
                    let naps =
                        |random: &mut Random| (0..random.below(4)).map(|_| random.next() % 4).collect::<Vec<_>>();
                    if tangled && random.one_in(12) {
                        return match random.below(3) {
                            0 => Act::AwaitBack(random.below(own + 1), random.one_in(2)),
                            _ => Act::Locks(random.below(RESOURCES), random.below(RESOURCES), random.one_in(4)),
                        };
                    }
                    match random.below(if own + 1 < count { 35 } else { 19 }) {
                        0 => Act::Yield,
                        1 | 2 => Act::Sleep(random.next() % 4),
                        3 => Act::Beside(naps(random)),
                        4 => Act::Locked(random.below(RESOURCES), random.next() % 3),
                        5 => Act::Permitted(random.below(RESOURCES), random.next() % 3),
                        6 => Act::Set(random.below(RESOURCES)),
                        7 => Act::Wait(random.below(RESOURCES), random.next() % 4),
                        8 => Act::Thread(random.next() % 3),
                        9 => Act::Timeout(random.next() % 4, random.next() % 4),
                        10 => Act::Isolate(naps(random), random.one_in(2)),
                        11 if failing && random.one_in(2) => Act::Fail,
                        12 if failing && random.one_in(2) => [Act::Panic, Act::ThreadFails][random.below(2)].clone(),
                        11 | 12 => Act::Yield,
                        13 => Act::Pool(random.next() % 3),
                        14 => Act::Abandon(OWNERS[random.below(OWNERS.len())], random.next() % 4),
                        15 => Act::AbandonThread(random.next() % 4),
                        16 => Act::Receive(random.next() % 4, random.next() % 3),
                        17 => Act::Moved(random.below(RESOURCES), [0, 1, 2, 50][random.below(4)], random.one_in(2)),
                        18 => Act::Keep(random.below(5)),
                        19..=21 => Act::Await(behind(random)),
                        22 => Act::AwaitInside(behind(random)),
                        23..=27 => Act::Gather(some(random)),
                        28..=32 => Act::Spawn(behind(random)),
                        _ => Act::Completed(some(random)),
                    }
                });
                let acts = acts.collect();
                let manners = match random.below(14) {
                    5 if rude && may_leak => Manners::DropPanics,
                    1 if rude => Manners::AnswersOk,
                    2 if rude => Manners::AnswersError,
                    3 if rude => Manners::Panics,
                    4 if rude => Manners::AwaitsAgain,
                    _ => Manners::Proper,
                };
                Plan { acts, manners }
            })
            .collect();
        Program {
            plans,
            group: [Group::Auto, Group::Never, Group::Always][random.below(3)],
            shuffle: random.one_in(2).then(|| random.next()),
            virtual_time: random.one_in(2),
            grace: random.one_in(4),
            stop: random.one_in(6).then(|| random.next() % 50),
            stop_after: random.one_in(8).then(|| random.next() % 3_000),
        }
    }

    /// What coroutine `n` returns: a number that depends on all that it awaits.
    fn value(&self, n: usize, known: &mut Vec<Option<u64>>) -> u64 {
        if let Some(value) = known[n] {
            return value;
        }
        let mut value = n as u64;
        for act in &self.plans[n].acts {
            let mut add = |n: &usize| value = value.wrapping_mul(31).wrapping_add(self.value(*n, known));
            match act {
                Act::Await(other) | Act::AwaitInside(other) => add(other),
                Act::Gather(others) => others.iter().for_each(add),
                // In any order.
                Act::Completed(others) => {
                    let sum = others.iter().fold(0_u64, |sum, n| sum.wrapping_add(self.value(*n, known)));
                    value = value.wrapping_mul(31).wrapping_add(sum);
                }
                _ => {}
            }
        }
        known[n] = Some(value);
        value
    }

    /// Those that coroutine 0 reaches: in a run without failures all of them run.
    fn reached(&self) -> Vec<bool> {
        let mut reached = vec![false; self.plans.len()];
        reached[0] = true;
        // Nearly all coroutines reach only those after them.
        let mut before = Vec::new();
        while before != reached {
            before = reached.clone();
            for (_, act) in self.acts(&before) {
                match act {
                    Act::Await(other) | Act::AwaitInside(other) | Act::AwaitBack(other, _) | Act::Spawn(other) => {
                        reached[*other] = true;
                    }
                    Act::Gather(others) | Act::Completed(others) => {
                        others.iter().for_each(|other| reached[*other] = true);
                    }
                    _ => {}
                }
            }
        }
        reached
    }

    fn acts(&self, reached: &[bool]) -> impl Iterator<Item = (usize, &Act)> {
        let reached = reached.to_vec();
        let plans = self.plans.iter().enumerate().filter(move |(n, _)| reached[*n]);
        plans.flat_map(|(n, plan)| plan.acts.iter().map(move |act| (n, act)))
    }

    fn stuck(&self, reached: &[bool]) -> Stuck {
        // Which coroutine waits for which, also through others, in the end.
        let count = self.plans.len();
        let mut waits = vec![vec![false; count]; count];
        for (n, act) in self.acts(reached) {
            match act {
                Act::Await(other) | Act::AwaitInside(other) | Act::AwaitBack(other, _) => waits[n][*other] = true,
                Act::Gather(others) | Act::Completed(others) => others.iter().for_each(|other| waits[n][*other] = true),
                _ => {}
            }
        }
        for through in 0..count {
            for from in 0..count {
                if waits[from][through] {
                    let further = waits[through].clone();
                    waits[from].iter_mut().zip(further).for_each(|(waits, further)| *waits |= further);
                }
            }
        }
        let twice = |(_, act): (usize, &Act)| matches!(act, Act::Locks(first, second, _) if first == second);
        let two = |(_, act): (usize, &Act)| matches!(act, Act::Locks(..));
        if (0..count).any(|n| waits[n][n]) || self.acts(reached).any(twice) {
            Stuck::Must
        } else if self.acts(reached).any(two) {
            Stuck::May
        } else {
            Stuck::Never
        }
    }

    /// Whether the loop decides all that happens in it, so that it is the same each time.
    fn is_determined(&self, reached: &[bool]) -> bool {
        let threads =
            |act: &Act| matches!(act, Act::Thread(_) | Act::ThreadFails | Act::Pool(_) | Act::AbandonThread(_));
        let stopped = self.stop.is_some() || self.stop_after.is_some();
        self.virtual_time && !stopped && !self.acts(reached).any(|(_, act)| threads(act))
    }

    fn fails(&self, reached: &[bool]) -> bool {
        let fatal = |act: &Act| matches!(act, Act::Fail | Act::Panic | Act::ThreadFails);
        self.plans.iter().zip(reached).any(|(plan, reached)| *reached && plan.acts.iter().any(fatal))
    }
}

#[derive(Debug, PartialEq)]
struct Broken(usize);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "coroutine {} is broken", self.0)
    }
}

impl StdError for Broken {}

/// What happened to one coroutine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fate {
    begun: u32,
    dropped: u32,
    returned: Option<u64>,
}

/// What all coroutines of a program share.
struct World {
    program: Program,
    /// The handles: every coroutine may await any one after it.
    coros: RefCell<Vec<Option<Coro<u64>>>>,
    fates: RefCell<Vec<Fate>>,
    /// The first failed coroutine among those that were not cancelled.
    first: Cell<Option<usize>>,
    cancelled: Cell<bool>,
    locks: Vec<(Lock, Cell<usize>)>,
    permits: Vec<(Semaphore, Cell<usize>)>,
    events: Vec<Event>,
    threads: Arc<AtomicUsize>,
    pool: ThreadPool,
    /// Functions in the pool.
    pooled: Arc<AtomicUsize>,
    /// The coroutine of each step, in order.
    log: RefCell<Vec<usize>>,
    steps: Cell<u64>,
    handle: RefCell<Option<tinyio::Handle>>,
    /// Await points that have begun, for the next run.
    kept: RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>>,
}

/// Records that a coroutine has ended, in whatever way.
struct Life {
    world: Rc<World>,
    own: usize,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.world.fates.borrow_mut()[self.own].dropped += 1;
    }
}

/// Panics when it is dropped in a coroutine that is cancelled.
struct Bomb<'a>(&'a World, usize);

impl Drop for Bomb<'_> {
    fn drop(&mut self) {
        if self.0.cancelled.get() && !std::thread::panicking() {
            panic!("coroutine {} panics in a destructor", self.1);
        }
    }
}

/// Counts while it exists, and checks that the limit is kept.
struct Held<'a>(&'a Cell<usize>);

impl<'a> Held<'a> {
    fn new(count: &'a Cell<usize>, most: usize) -> Held<'a> {
        count.set(count.get() + 1);
        assert!(count.get() <= most, "{} hold what only {most} may", count.get());
        Held(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A function on a thread is counted while it exists.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn work(n: u64, counted: Counted) -> impl FnOnce() -> Result<u64> + Send {
    move || {
        let _counted = counted;
        thread::sleep(Duration::from_micros(n * 200))?;
        Ok(n)
    }
}

impl World {
    fn other(&self, n: usize) -> Coro<u64> {
        self.coros.borrow()[n].clone().expect("handles are there until the run is over")
    }

    /// Counts steps, and stops the loop when it is time.
    fn step(&self) {
        self.steps.set(self.steps.get() + 1);
        if self.program.stop == Some(self.steps.get())
            && let Some(handle) = self.handle.borrow().clone()
        {
            std::thread::spawn(move || handle.cancel()).join().expect("it only cancels");
        }
    }

    async fn act(self: &Rc<World>, own: usize, act: &Act, value: &mut u64) -> Result<()> {
        let mut add = |other: u64| *value = value.wrapping_mul(31).wrapping_add(other);
        match act {
            Act::Yield => yield_now().await?,
            Act::Sleep(n) => sleep(ms(*n)).await?,
            Act::Await(n) => add(self.other(*n).await?),
            Act::AwaitInside(n) => add(inside(self.other(*n)).await?),
            Act::AwaitBack(n, false) => drop(self.other(*n).await?),
            Act::AwaitBack(n, true) => drop(inside(self.other(*n)).await?),
            Act::Locks(first, second, nested) => {
                let _first = self.locks[*first].0.acquire().await?;
                let _held = Held::new(&self.locks[*first].1, 1);
                yield_now().await?;
                let second = self.locks[*second].0.clone();
                if *nested {
                    isolate(async move { second.acquire().await.map(drop) }).await?.map_err(unexpected)?;
                } else {
                    drop(second.acquire().await?);
                }
            }
            Act::Gather(all) => {
                let all: Vec<_> = all.iter().map(|n| self.other(*n)).collect();
                gather(all).await?.into_iter().for_each(add);
            }
            Act::Spawn(n) => drop(spawn(self.other(*n))),
            Act::Completed(all) => {
                let mut completed = as_completed(all.iter().map(|n| self.other(*n)).collect::<Vec<_>>());
                let mut sum = 0_u64;
                while let Some(one) = completed.next().await? {
                    sum = sum.wrapping_add(one);
                }
                add(sum);
            }
            Act::Beside(naps) => {
                let mut naps: Vec<_> = naps.iter().map(|n| Box::pin(sleep(ms(*n)))).collect();
                beside(&mut naps).await?;
            }
            Act::Locked(n, nap) => {
                let (lock, held) = &self.locks[*n];
                let _guard = lock.acquire().await?;
                let _held = Held::new(held, 1);
                sleep(ms(*nap)).await?;
            }
            Act::Permitted(n, nap) => {
                let (semaphore, held) = &self.permits[*n];
                let _guard = semaphore.acquire().await?;
                let _held = Held::new(held, 2);
                sleep(ms(*nap)).await?;
            }
            Act::Moved(n, nap, shelved) => {
                for _ in 0..3 {
                    let shelf = Rc::new(RefCell::new(Vec::new()));
                    let drops = |shelf: Rc<RefCell<Vec<Guard>>>, world: Rc<World>, n: usize, nap: u64| async move {
                        while shelf.borrow().is_empty() {
                            sleep(ms(1)).await?;
                        }
                        let _guard = shelf.borrow_mut().pop();
                        let _held = Held::new(&world.permits[n].1, 2);
                        sleep(ms(nap)).await?;
                        tinyio::Ok(())
                    };
                    let drops = || drops(shelf.clone(), self.clone(), *n, *nap);
                    if *shelved {
                        spawn(drops());
                    }
                    let guard = self.permits[*n].0.acquire().await?;
                    shelf.borrow_mut().push(guard);
                    if !*shelved {
                        spawn(drops());
                    }
                }
            }
            Act::Set(n) => {
                self.events[*n].set();
                yield_now().await?;
                self.events[*n].clear();
            }
            Act::Wait(n, limit) => drop(self.events[*n].wait_timeout(ms(*limit)).await?),
            Act::Thread(n) => assert_eq!(run_in_thread(work(*n, Counted::new(&self.threads))).await?, *n),
            Act::Pool(n) => {
                let (n, pooled) = (*n, self.pooled.clone());
                let work = work(n, Counted::new(&self.threads));
                let pooled = self.pool.run_in_thread(move || {
                    let _pooled = Counted::new(&pooled);
                    assert!(pooled.load(Ordering::SeqCst) <= 2, "the pool has two threads");
                    work()
                });
                assert_eq!(pooled.await?, n);
            }
            Act::ThreadFails => {
                let counted = Counted::new(&self.threads);
                run_in_thread(move || {
                    let _counted = counted;
                    Err::<(), _>(Broken(own))
                })
                .await?;
            }
            Act::Timeout(limit, nap) => {
                let nap = *nap;
                let slept = timeout(ms(*limit), async move { sleep(ms(nap)).await.map(|()| nap) }).await?;
                assert!([Ok(nap), Err(TimeoutError)].contains(&slept));
            }
            Act::Abandon(owner, turns) => {
                let alive = Rc::new(());
                abandon(*owner, *turns, &alive).await?;
                while Rc::strong_count(&alive) > 1 {
                    sleep(ms(1)).await?;
                }
            }
            Act::AbandonThread(turns) => {
                let alive = Arc::new(AtomicUsize::new(0));
                let (counted, running) = (Counted::new(&self.threads), Counted::new(&alive));
                let endless = run_in_thread(move || {
                    let _alive = (counted, running);
                    thread::sleep(ENDLESS)?;
                    Err::<(), _>(tinyio::Error::msg("a thread that was dropped was not asked to stop"))
                });
                begin(endless, *turns).await?;
                while alive.load(Ordering::SeqCst) > 0 {
                    sleep(ms(1)).await?;
                }
            }
            Act::Receive(items, period) => receive(*items, ms(*period)).await?,
            Act::Keep(kind) => {
                let mut kept = keep(*kind);
                std::future::poll_fn(|cx| {
                    let _ = kept.as_mut().poll(cx);
                    std::task::Poll::Ready(())
                })
                .await;
                self.kept.borrow_mut().push(kept);
                // Until its next step the loop takes it for a coroutine that an event may wake from outside, and a
                // deadlock of those that it waits for is not certain.
                yield_now().await?;
            }
            Act::Isolate(naps, fails) => {
                let (naps, fails) = (naps.clone(), *fails);
                let ended = isolate(async move {
                    let naps = naps.into_iter().map(|n| spawn(async move { sleep(ms(n)).await }));
                    gather(naps.collect::<Vec<_>>()).await?;
                    if fails { Err(Broken(usize::MAX))? } else { Ok::<_, tinyio::Error>(7) }
                });
                match ended.await? {
                    Ok(seven) => assert!(seven == 7 && !fails),
                    Err(crash) => assert!(fails && crash.downcast_ref() == Some(&Broken(usize::MAX)), "{crash:?}"),
                }
            }
            Act::Fail => Err(Broken(own))?,
            Act::Panic => panic!("coroutine {own} panics"),
        }
        Ok(())
    }

    /// The body of coroutine `own`.
    async fn body(self: Rc<World>, own: usize) -> Result<u64> {
        self.fates.borrow_mut()[own].begun += 1;
        let _life = Life { world: self.clone(), own };
        let plan = self.program.plans[own].clone();
        let _bomb = (plan.manners == Manners::DropPanics).then(|| Bomb(&self, own));
        let mut value = own as u64;
        for act in &plan.acts {
            self.step();
            self.log.borrow_mut().push(own);
            if matches!(act, Act::Fail | Act::Panic) && !self.cancelled.get() && self.first.get().is_none() {
                self.first.set(Some(own));
            }
            let Err(error) = self.act(own, act, &mut value).await else { continue };
            if error.downcast_ref::<Broken>().is_some() {
                return Err(error);
            }
            assert!(error.downcast_ref::<tinyio::CancelledError>().is_some(), "{error:?}");
            self.cancelled.set(true);
            match plan.manners {
                Manners::Proper | Manners::DropPanics => return Err(error),
                Manners::AnswersOk => return Ok(u64::MAX),
                Manners::AnswersError => Err(Broken(own))?,
                Manners::Panics => panic!("coroutine {own} panics while it is cancelled"),
                Manners::AwaitsAgain => {
                    let _ = yield_now().await;
                    let _ = sleep(ms(1)).await;
                    return Err(error);
                }
            }
        }
        self.fates.borrow_mut()[own].returned = Some(value);
        Ok(value)
    }
}

/// Longer than any program takes.
const ENDLESS: Duration = Duration::from_secs(3600);

/// Keeps `alive` until it is cancelled.
async fn endless(alive: Rc<()>) -> Result<()> {
    let _alive = alive;
    sleep(ENDLESS).await?;
    Err(tinyio::Error::msg("what was dropped has slept to its end"))
}

/// Polls this once, gives the others this many turns, and drops it.
async fn begin<F: Future>(future: F, turns: u64) -> Result<()> {
    let mut future = Box::pin(future);
    std::future::poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending(), "it has only begun");
        std::task::Poll::Ready(())
    })
    .await;
    for _ in 0..turns {
        yield_now().await?;
    }
    Ok(())
}

async fn abandon(owner: Owner, turns: u64, alive: &Rc<()>) -> Result<()> {
    let one = || endless(alive.clone());
    match owner {
        Owner::Coro => begin(coro(one()), turns).await,
        Owner::Gather => begin(gather((one(), coro(one()))), turns).await,
        Owner::Completed => begin(as_completed([one(), one()]).next(), turns).await,
        Owner::Timeout => begin(timeout(ENDLESS, one()), turns).await,
        Owner::Isolate => begin(isolate(one()), turns).await,
        Owner::Chain => {
            let two = gather([one(), one()]);
            begin(coro(async move { tinyio::Ok(coro(two).await.map(drop)?) }), turns).await
        }
        Owner::Nested => {
            let (one, three) = (one(), one());
            let nested = async move {
                let _three = begun(three).await;
                isolate(async move { tinyio::Ok(timeout(ENDLESS, one).await?.is_err()) }).await?.map_err(unexpected)
            };
            begin(coro(nested), turns).await
        }
    }
}

/// Begins a coroutine that belongs to the handle.
async fn begun(future: impl Future<Output = Result<()>> + 'static) -> Coro<()> {
    let mut coro = coro(future);
    std::future::poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut coro).poll(cx).is_pending(), "it has only begun");
        std::task::Poll::Ready(())
    })
    .await;
    coro
}

/// An await point that does not end soon by itself. A timer that is armed for long would keep the program's deadlocks
/// from being certain.
fn keep(kind: usize) -> Pin<Box<dyn Future<Output = ()>>> {
    let event = Event::new();
    let long = ms(100);
    match kind {
        0 => Box::pin(async move { _ = sleep(long).await }),
        1 => Box::pin(async move { _ = event.wait().await }),
        2 => Box::pin(async move { _ = event.wait_timeout(long).await }),
        3 => Box::pin(async { _ = tinyio::Barrier::new(2).wait().await }),
        _ => Box::pin(async {
            let lock = Lock::new();
            let _held = lock.try_acquire();
            drop(lock.acquire().await);
        }),
    }
}

/// One coroutine sends, this one receives: an item that is sent at the moment in which a wait ends is not lost.
async fn receive(items: u64, period: Duration) -> Result<()> {
    let (queue, sent) = (Rc::new(RefCell::new(Vec::new())), Event::new());
    let (sends, sets) = (queue.clone(), sent.clone());
    let sender = spawn(async move {
        for n in 0..items {
            sleep(period).await?;
            sends.borrow_mut().push(n);
            sets.set();
        }
        tinyio::Ok(())
    });
    let mut received = 0;
    while received < items {
        let (takes, sent) = (queue.clone(), sent.clone());
        // Like a channel of another crate: an item that is there is taken, whatever the await point answers.
        let take = async move {
            let waited = sent.wait().await;
            let taken = std::mem::take(&mut *takes.borrow_mut());
            sent.clear();
            if taken.is_empty() {
                waited?;
            }
            tinyio::Ok(taken)
        };
        for n in timeout(period, take).await?.unwrap_or_default() {
            assert_eq!(n, received, "an item was lost");
            received += 1;
        }
    }
    Ok(sender.await?)
}

/// Awaits a coroutine of this loop from inside another one.
async fn inside(other: Coro<u64>) -> Result<u64> {
    // A coroutine that is first awaited in the nested loop is scheduled in it.
    let other = spawn(other);
    isolate(async move { other.await }).await?.map_err(unexpected)
}

/// An isolated loop ends well, or because everything is cancelled.
fn unexpected(crash: Crash) -> tinyio::Error {
    match crash.downcast_ref::<tinyio::CancelledError>() {
        Some(cancelled) => (*cancelled).into(),
        None => panic!("what is isolated crashed by itself: {crash:?}"),
    }
}

/// Waits for all of these, each behind a waker of its own.
async fn beside(naps: &mut [std::pin::Pin<Box<tinyio::Sleep>>]) -> Result<()> {
    use std::sync::Mutex;
    use std::task::{Poll, Wake, Waker};
    /// Passes a wake on, and remembers which child to poll.
    struct Behind(Mutex<Option<Waker>>, AtomicUsize);
    impl Wake for Behind {
        fn wake(self: Arc<Self>) {
            self.1.store(1, Ordering::SeqCst);
            let waker = self.0.lock().expect("no panic while it is locked").clone();
            waker.expect("set before it is given away").wake();
        }
    }
    let behind: Vec<Arc<Behind>> =
        naps.iter().map(|_| Arc::new(Behind(Mutex::new(None), AtomicUsize::new(1)))).collect();
    let mut left: Vec<usize> = (0..naps.len()).collect();
    std::future::poll_fn(|cx| {
        let mut failed = None;
        left.retain(|n| {
            *behind[*n].0.lock().expect("no panic while it is locked") = Some(cx.waker().clone());
            if behind[*n].1.swap(0, Ordering::SeqCst) == 0 {
                return true; // Not woken, so not polled: a lost wake makes the program hang.
            }
            let waker = Waker::from(behind[*n].clone());
            match naps[*n].as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
                Poll::Pending => true,
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(cancelled)) => {
                    failed = Some(cancelled);
                    false
                }
            }
        });
        match failed {
            Some(cancelled) => Poll::Ready(Err(cancelled.into())),
            None if left.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await
}

/// Runs the program of a seed and checks what must hold. Returns how it ended.
fn check(seed: u64) -> &'static str {
    let (how, log) = check_once(seed);
    let program = Program::new(seed);
    if program.is_determined(&program.reached()) {
        assert!(check_once(seed) == (how, log), "the same program and the same seed, but another order");
    }
    how
}

fn check_once(seed: u64) -> (&'static str, Vec<usize>) {
    let program = Program::new(seed);
    let count = program.plans.len();
    let reached = program.reached();
    let (group, shuffle) = (program.group, program.shuffle);
    let mut looped = Loop::new().group(group);
    if let Some(shuffle) = shuffle {
        looped = looped.shuffle(shuffle);
    }
    if program.virtual_time {
        looped = looped.virtual_time();
    }
    if program.grace {
        looped = looped.grace(ms(20));
    }
    let fails = program.fails(&reached);
    let stuck = program.stuck(&reached);
    let value = program.value(0, &mut vec![None; count]);
    let stops = program.stop.is_some() || program.stop_after.is_some();
    let stopper = program.stop_after.map(|after| {
        let handle = looped.handle();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(after));
            handle.cancel();
        })
    });
    let world = Rc::new(World {
        coros: RefCell::new(Vec::new()),
        fates: RefCell::new(vec![Fate::default(); count]),
        first: Cell::new(None),
        cancelled: Cell::new(false),
        locks: (0..RESOURCES).map(|_| (Lock::new(), Cell::new(0))).collect(),
        permits: (0..RESOURCES).map(|_| (Semaphore::new(2), Cell::new(0))).collect(),
        events: (0..RESOURCES).map(|_| Event::new()).collect(),
        threads: Arc::new(AtomicUsize::new(0)),
        pool: ThreadPool::new(2),
        pooled: Arc::new(AtomicUsize::new(0)),
        log: RefCell::default(),
        steps: Cell::new(0),
        handle: RefCell::new(Some(looped.handle())),
        kept: RefCell::default(),
        program,
    });
    *world.coros.borrow_mut() = (0..count).map(|own| Some(coro(world.clone().body(own)))).collect();
    let main = world.other(0);
    let ended: std::result::Result<u64, Crash> = looped.run(main);
    world.coros.borrow_mut().clear();
    let fates = world.fates.borrow().clone();

    // Every coroutine that began has ended, once, in whatever way; none began twice.
    for (n, fate) in fates.iter().enumerate() {
        assert!(fate.begun <= 1 && fate.dropped == fate.begun, "coroutine {n}: {fate:?}");
        assert!(reached[n] || fate.begun == 0, "coroutine {n} began, and nobody reaches it: {fate:?}");
    }
    // Everything was released, every function on a thread has ended, nothing is left of any coroutine.
    let held = world.locks.iter().map(|(_, held)| held).chain(world.permits.iter().map(|(_, held)| held));
    assert!(held.into_iter().all(|held| held.get() == 0));
    for (lock, _) in &world.locks {
        assert_eq!(format!("{lock:?}"), "Lock(free, 0 waiting)");
    }
    for (semaphore, _) in &world.permits {
        assert_eq!(format!("{semaphore:?}"), "Semaphore(2 free, 0 waiting)");
    }
    assert_eq!(Rc::strong_count(&world), 1, "somebody is left");
    assert_eq!(Arc::strong_count(&world.threads), 1, "a function on a thread is left");
    let how = match ended {
        Ok(returned) => {
            assert!(!fails, "it ended well, but somebody fails");
            assert!(stuck != Stuck::Must, "it ended well, but somebody waits for himself");
            assert_eq!(returned, value);
            for (n, fate) in fates.iter().enumerate() {
                assert!(!reached[n] || fate.returned.is_some(), "coroutine {n} has not returned: {fate:?}");
            }
            "well"
        }
        Err(crash) => {
            let first = &crash.failures()[0];
            if crash.downcast_ref::<Interrupted>().is_some() {
                assert!(stops, "nobody interrupts it");
            } else if let Some(deadlock) = crash.downcast_ref::<Deadlock>() {
                assert!(stuck != Stuck::Never, "nobody waits for ever: {deadlock}");
            } else {
                assert!(fails, "nobody fails: {crash:?}");
                // The first error wins.
                let of =
                    |own: usize| [format!("coroutine {own} is broken"), format!("panicked: coroutine {own} panics")];
                if let Some(own) = world.first.get() {
                    let thread = world
                        .program
                        .plans
                        .iter()
                        .any(|plan| plan.acts.iter().any(|act| matches!(act, Act::ThreadFails)));
                    assert!(thread || of(own).contains(&first.message()), "{own} failed first, but: {crash:?}");
                }
                assert!(matches!(first.kind(), FailureKind::Error | FailureKind::Panic));
            }
            let others = &crash.failures()[1..];
            match group {
                Group::Never => assert!(others.is_empty()),
                Group::Auto => assert!(others.iter().all(|other| other.error().is_some()), "{crash:?}"),
                Group::Always => {}
            }
            match first.kind() {
                FailureKind::Panic => "by a panic",
                _ if crash.downcast_ref::<Interrupted>().is_some() => "interrupted",
                _ if crash.downcast_ref::<Deadlock>().is_some() => "by a deadlock",
                _ if crash.is_group() => "by an error, with others",
                _ => "by an error",
            }
        }
    };
    // The loop can be used again, after a run that was stopped before it began.
    let again = |looped: &mut Loop| looped.run(async { tinyio::Ok(yield_now().await.map(|()| 3)?) });
    if let Some(stopper) = stopper {
        stopper.join().expect("it only cancels");
        assert!(again(&mut looped).is_ok_and(|three| three == 3) || again(&mut looped).is_ok());
    }
    assert_eq!(again(&mut looped).unwrap(), 3);
    // What the first run has kept disturbs no timer of another loop, be it dropped or polled there.
    let kept = world.kept.take();
    let other = Loop::new().run(async move {
        let naps = [2, 1, 3].map(|nap| spawn(sleep(ms(nap))));
        yield_now().await?;
        let mut polled = Vec::new();
        for (n, mut kept) in kept.into_iter().enumerate() {
            if n % 2 == 0 {
                std::future::poll_fn(|cx| {
                    let _ = kept.as_mut().poll(cx);
                    std::task::Poll::Ready(())
                })
                .await;
                polled.push(kept);
            }
        }
        gather(naps).await?;
        tinyio::Ok(3)
    });
    assert_eq!(other.unwrap(), 3);
    (how, Rc::into_inner(world).expect("it was the last one").log.into_inner())
}

#[test]
fn random_programs() {
    static SEED: AtomicU64 = AtomicU64::new(0);
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    // A program that hangs is named.
    let (_watched, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let mut last = u64::MAX;
        while ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let rounds = ROUNDS.load(Ordering::SeqCst);
            if rounds == last {
                let seed = SEED.load(Ordering::SeqCst);
                // Not by `eprintln`: its output in a test is lost with the process.
                let program = Program::new(seed);
                let _ = writeln!(std::io::stderr(), "TINYIO_RANDOM_SEED={seed} hangs: {program:#?}");
                std::process::abort();
            }
            last = rounds;
        }
    });
    // Panics that are part of the programs are not printed.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if !(text.starts_with("coroutine ") && text.contains(" panics")) {
            eprintln!("seed {}:", SEED.load(Ordering::SeqCst));
            hook(info);
        }
    }));
    let mut ends = BTreeMap::<&str, u64>::new();
    let mut one = |seed: u64| {
        SEED.store(seed, Ordering::SeqCst);
        *ends.entry(check(seed)).or_default() += 1;
        ROUNDS.fetch_add(1, Ordering::SeqCst);
    };
    if let Some(seed) = number("TINYIO_RANDOM_SEED") {
        eprintln!("{:#?}", Program::new(seed));
        return one(seed);
    }
    match number("TINYIO_RANDOM") {
        None => {
            let programs = number("TINYIO_RANDOM_PROGRAMS").unwrap_or(PROGRAMS);
            (0..programs).for_each(one);
            // The programs end in all ways.
            assert!(programs < PROGRAMS || ends.len() == 6 && ends.values().all(|count| *count > 20), "{ends:?}");
        }
        Some(seconds) => {
            let start = Instant::now();
            let mut seeds = Random(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos() as u64);
            while start.elapsed() < Duration::from_secs(seconds) {
                one(seeds.next());
            }
            eprintln!("{} programs: {ends:?}", ROUNDS.load(Ordering::SeqCst));
        }
    }
}
