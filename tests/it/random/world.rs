//! Runs a random program, and records what happens to each coroutine.

use std::cell::{Cell, RefCell};
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tinyio::{
    Coro, Crash, Event, Guard, Lock, Result, Semaphore, ThreadPool, TimeoutError, as_completed, coro, gather, isolate,
    run_in_thread, sleep, spawn, thread, timeout, yield_now,
};

use super::program::{Act, Manners, Owner, Program};

#[derive(Debug, PartialEq)]
pub(super) struct Broken(pub(super) usize);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "coroutine {} is broken", self.0)
    }
}

impl StdError for Broken {}

/// What happened to one coroutine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fate {
    pub(super) begun: u32,
    pub(super) dropped: u32,
    pub(super) returned: Option<u64>,
}

/// What all coroutines of a program share.
pub(super) struct World {
    pub(super) program: Program,
    /// The handles: every coroutine may await any one after it.
    pub(super) coros: RefCell<Vec<Option<Coro<u64>>>>,
    pub(super) fates: RefCell<Vec<Fate>>,
    /// The first failed coroutine among those that were not cancelled.
    pub(super) first: Cell<Option<usize>>,
    pub(super) cancelled: Cell<bool>,
    pub(super) locks: Vec<(Lock, Cell<usize>)>,
    pub(super) permits: Vec<(Semaphore, Cell<usize>)>,
    pub(super) events: Vec<Event>,
    pub(super) threads: Arc<AtomicUsize>,
    pub(super) pool: ThreadPool,
    /// Functions in the pool.
    pub(super) pooled: Arc<AtomicUsize>,
    /// The coroutine of each step, in order.
    pub(super) log: RefCell<Vec<usize>>,
    pub(super) steps: Cell<u64>,
    pub(super) handle: RefCell<Option<tinyio::Handle>>,
    /// Await points that have begun, for the next run.
    pub(super) kept: RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>>,
}

/// Records that a coroutine has ended, in whatever way.
pub(super) struct Life {
    pub(super) world: Rc<World>,
    pub(super) own: usize,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.world.fates.borrow_mut()[self.own].dropped += 1;
    }
}

/// Panics when it is dropped in a coroutine that is cancelled.
pub(super) struct Bomb<'a>(pub(super) &'a World, pub(super) usize);

impl Drop for Bomb<'_> {
    fn drop(&mut self) {
        if self.0.cancelled.get() && !std::thread::panicking() {
            panic!("coroutine {} panics in a destructor", self.1);
        }
    }
}

/// Counts while it exists, and checks that the limit is kept.
pub(super) struct Held<'a>(pub(super) &'a Cell<usize>);

impl<'a> Held<'a> {
    pub(super) fn new(count: &'a Cell<usize>, most: usize) -> Held<'a> {
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
pub(super) struct Counted(pub(super) Arc<AtomicUsize>);

impl Counted {
    pub(super) fn new(count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, Ordering::SeqCst);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn work(n: u64, counted: Counted) -> impl FnOnce() -> Result<u64> + Send {
    move || {
        let _counted = counted;
        thread::sleep(Duration::from_micros(n * 200))?;
        Ok(n)
    }
}

impl World {
    pub(super) fn other(&self, n: usize) -> Coro<u64> {
        self.coros.borrow()[n].clone().expect("handles are there until the run is over")
    }

    /// Counts steps, and stops the loop when it is time.
    pub(super) fn step(&self) {
        self.steps.set(self.steps.get() + 1);
        if self.program.stop == Some(self.steps.get())
            && let Some(handle) = self.handle.borrow().clone()
        {
            std::thread::spawn(move || handle.cancel()).join().expect("it only cancels");
        }
    }

    pub(super) async fn act(self: &Rc<World>, own: usize, act: &Act, value: &mut u64) -> Result<()> {
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
    pub(super) async fn body(self: Rc<World>, own: usize) -> Result<u64> {
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
pub(super) const ENDLESS: Duration = Duration::from_secs(3600);

/// Keeps `alive` until it is cancelled.
pub(super) async fn endless(alive: Rc<()>) -> Result<()> {
    let _alive = alive;
    sleep(ENDLESS).await?;
    Err(tinyio::Error::msg("what was dropped has slept to its end"))
}

/// Polls this once, gives the others this many turns, and drops it.
pub(super) async fn begin<F: Future>(future: F, turns: u64) -> Result<()> {
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

pub(super) async fn abandon(owner: Owner, turns: u64, alive: &Rc<()>) -> Result<()> {
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
pub(super) async fn begun(future: impl Future<Output = Result<()>> + 'static) -> Coro<()> {
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
pub(super) fn keep(kind: usize) -> Pin<Box<dyn Future<Output = ()>>> {
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
pub(super) async fn receive(items: u64, period: Duration) -> Result<()> {
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
pub(super) async fn inside(other: Coro<u64>) -> Result<u64> {
    // A coroutine that is first awaited in the nested loop is scheduled in it.
    let other = spawn(other);
    isolate(async move { other.await }).await?.map_err(unexpected)
}

/// An isolated loop ends well, or because everything is cancelled.
pub(super) fn unexpected(crash: Crash) -> tinyio::Error {
    match crash.downcast_ref::<tinyio::CancelledError>() {
        Some(cancelled) => (*cancelled).into(),
        None => panic!("what is isolated crashed by itself: {crash:?}"),
    }
}

/// Waits for all of these, each behind a waker of its own.
pub(super) async fn beside(naps: &mut [std::pin::Pin<Box<tinyio::Sleep>>]) -> Result<()> {
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
