//! Synchronisation, time, isolation.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use tinyio::FailureKind::{Cancelled, Error};
use tinyio::{
    Acquire, Barrier, CancelledError, Crash, Event, Group, Lock, Loop, Result, Semaphore, ThreadPool, TimeoutError,
    coro, gather, run_in_thread, sleep, spawn, thread, yield_now,
};

use crate::check::{Log, OnDrop, assert_failures, assert_trace, is_child, line, stderr_of, turns, watched};

const LONG: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, PartialEq)]
struct Broken(&'static str);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Broken {}

/// The number of coroutines inside, and the most there ever were.
#[derive(Clone, Default)]
struct Inside(Rc<Cell<(usize, usize)>>);

impl Inside {
    fn enter(&self) -> impl Drop + use<> {
        let (now, most) = self.0.get();
        self.0.set((now + 1, most.max(now + 1)));
        let inside = self.0.clone();
        OnDrop(move || inside.set((inside.get().0 - 1, inside.get().1)))
    }

    fn most(&self) -> usize {
        self.0.get().1
    }
}

/// Fifty coroutines that each want a permit.
fn fifty(acquire: impl Fn() -> Acquire) -> (Vec<u32>, usize) {
    async fn work(n: u32, permit: Acquire, inside: Inside) -> Result<u32> {
        let _permit = permit.await?;
        let _inside = inside.enter();
        turns(3).await?;
        Ok(n)
    }
    let inside = Inside::default();
    let works: Vec<_> = (0..50).map(|n| work(n, acquire(), inside.clone())).collect();
    (Loop::new().run(gather(works)).unwrap(), inside.most())
}

#[test]
fn semaphore() {
    let _watched = watched();
    for permits in [2, 3] {
        let semaphore = Semaphore::new(permits);
        let (numbers, most) = fifty(|| semaphore.acquire());
        assert_eq!((numbers, most), ((0..50).collect(), permits));
        assert_eq!(format!("{semaphore:?}"), format!("Semaphore({permits} free, 0 waiting)"));
    }
}

#[test]
fn lock() {
    let _watched = watched();
    let lock = Lock::new();
    let (numbers, most) = fifty(|| lock.acquire());
    assert_eq!((numbers, most), ((0..50).collect(), 1));
    assert_eq!(format!("{lock:?}"), "Lock(free, 0 waiting)");
}

#[test]
fn a_lock_is_granted_in_the_order_of_the_requests() {
    let _watched = watched();
    let (lock, log) = (Lock::new(), Log::new());
    let main = async {
        let held = lock.acquire().await?;
        let want = |name: &'static str, turns_before: u32| {
            let (lock, log) = (lock.clone(), log.clone());
            coro(async move {
                turns(turns_before).await?;
                let _guard = lock.acquire().await?;
                log.push(name);
                turns(2).await?;
                tinyio::Ok(())
            })
        };
        let all = [want("third", 3), want("first", 0), want("second", 1), want("fourth", 6)];
        for one in &all {
            spawn(one.clone());
        }
        turns(4).await?;
        // It is free, but was granted: a request that comes now is behind all of them.
        drop(held);
        assert!(lock.try_acquire().is_none());
        gather(all).await?;
        assert_eq!(log.entries(), ["first", "second", "third", "fourth"]);
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
}

/// Polls once, and expects `Pending`.
async fn waits<F: Future>(mut future: Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn semaphore_released() {
    let _watched = watched();
    let one = Semaphore::new(1);
    let main = async {
        // By an error.
        let held = one.clone();
        let crash = tinyio::isolate(async move {
            let _permit = held.acquire().await?;
            turns(3).await?;
            Err::<(), _>(Broken("holder"))?;
            tinyio::Ok(())
        });
        assert_eq!(crash.await?.unwrap_err().downcast_ref(), Some(&Broken("holder")));
        drop(one.acquire().await?);

        // By a cancellation, of the coroutine that holds it and of the one that waits for it.
        let (held, wanted) = (one.clone(), one.clone());
        let crash = tinyio::isolate(async move {
            spawn(async move {
                let _permit = held.acquire().await?;
                tinyio::Ok(sleep(LONG).await?)
            });
            spawn(async move {
                drop(wanted.acquire().await?);
                tinyio::Ok(())
            });
            turns(3).await?;
            Err::<(), _>(Broken("third"))?;
            tinyio::Ok(())
        });
        assert_eq!(crash.await?.unwrap_err().downcast_ref(), Some(&Broken("third")));
        let held = one.acquire().await?;

        // A waiter leaves; the next in the queue gets the permit.
        let mut first = Box::pin(one.acquire());
        let mut second = pin!(one.acquire());
        waits(first.as_mut()).await;
        waits(second.as_mut()).await;
        drop(first);
        drop(held);
        let held = second.await?;

        // A waiter that was granted the permit leaves before it has fetched it.
        let mut first = Box::pin(one.acquire());
        let mut second = pin!(one.acquire());
        waits(first.as_mut()).await;
        waits(second.as_mut()).await;
        drop(held);
        drop(first);
        drop(second.await?);

        // The same, with no waiter behind it.
        let held = one.acquire().await?;
        let mut first = Box::pin(one.acquire());
        waits(first.as_mut()).await;
        drop(held);
        drop(first);
        drop(one.acquire().await?);
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
    assert_eq!(format!("{one:?}"), "Semaphore(1 free, 0 waiting)");
}

#[test]
fn try_acquire_takes_only_what_is_free_and_not_waited_for() {
    let _watched = watched();
    // Outside of a loop.
    let (lock, two) = (Lock::new(), Semaphore::new(2));
    let guard = lock.try_acquire();
    let permits = [two.try_acquire(), two.try_acquire()];
    assert!(guard.is_some() && permits.iter().all(Option::is_some));
    assert!(lock.try_acquire().is_none() && two.try_acquire().is_none());
    drop((guard, permits));
    assert_eq!(format!("{lock:?} {two:?}"), "Lock(free, 0 waiting) Semaphore(2 free, 0 waiting)");
    // In a loop: after a wait that came before, also when a permit is free that is not enough for it.
    let main = async {
        let held = two.try_acquire().expect("free");
        let mut both = pin!(two.acquire_many(2));
        waits(both.as_mut()).await;
        assert!(two.try_acquire().is_none(), "the waiter comes first");
        drop(held);
        assert!(two.try_acquire().is_none(), "both are given to the waiter");
        drop(both.await?);
        drop(two.try_acquire().expect("free again"));
        // A guard that was taken outside, by another thread.
        let taken = lock.clone();
        let guard = std::thread::spawn(move || taken.try_acquire()).join().expect("no panic");
        let wants = lock.clone();
        let wants = spawn(async move { wants.acquire().await.map(drop) });
        turns(3).await?;
        std::thread::spawn(move || drop(guard));
        tinyio::Ok(wants.await?)
    };
    Loop::new().run(main).unwrap();
}

#[test]
fn acquire_many_is_first_come_first_served() {
    let _watched = watched();
    let three = Semaphore::new(3);
    let log = Log::new();
    let main = async {
        let want = |name: &'static str, permits: usize| {
            let (three, log) = (three.clone(), log.clone());
            spawn(async move {
                let _permits = three.acquire_many(permits).await?;
                log.push(name);
                turns(3).await?;
                log.push("gives");
                tinyio::Ok(())
            })
        };
        let one = three.acquire().await?;
        let all = [want("three", 3), want("one", 1), want("two", 2)];
        turns(5).await?;
        assert_eq!(log.entries(), [""; 0], "two are free, but the first wants three");
        drop(one);
        gather(all).await?;
        assert_eq!(log.entries(), ["three", "gives", "one", "two", "gives", "gives"]);

        // A waiter that leaves lets those behind it have the free permits, and loses none.
        let one = three.acquire().await?;
        let mut all = Box::pin(three.acquire_many(3));
        let mut two = pin!(three.acquire_many(2));
        waits(all.as_mut()).await;
        waits(two.as_mut()).await;
        drop(all);
        let two = two.await?;
        // So does one that was granted them and leaves before it fetches them.
        let mut all = Box::pin(three.acquire_many(3));
        waits(all.as_mut()).await;
        drop((one, two));
        assert_eq!(format!("{three:?}"), "Semaphore(0 free, 0 waiting)");
        drop(all);
        assert_eq!(format!("{three:?}"), "Semaphore(3 free, 0 waiting)");

        // A request for none is granted at once, whatever waits.
        let held = three.acquire_many(3).await?;
        let mut waiting = pin!(three.acquire());
        waits(waiting.as_mut()).await;
        drop(three.acquire_many(0).await?);
        drop(held);
        drop(waiting.await?);
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
    assert_eq!(format!("{three:?}"), "Semaphore(3 free, 0 waiting)");
}

#[test]
fn more_permits_than_a_semaphore_has_are_refused_at_the_line_of_the_request() {
    let _watched = watched();
    let three = Semaphore::new(3); // has three
    let main = async move { tinyio::Ok(drop(three.acquire_many(4).await?)) }; // wants four
    let crash = Loop::new().run(main).unwrap_err();
    let expected = format!(
        "panicked: tinyio::Semaphore::acquire_many(4): the semaphore made at {}:{} has 3 permits, so it would wait for ever",
        file!(),
        line("has three")
    );
    assert_eq!(crash.failures()[0].message(), expected);
    let site = crash.failures()[0].trace().last().unwrap().clone();
    assert_eq!((site.file, site.line), (file!(), line("wants four")));
}

#[test]
fn barrier() {
    let _watched = watched();
    async fn meet(barrier: Barrier, arrived: Rc<Cell<usize>>, delay: u32) -> Result<usize> {
        turns(delay).await?;
        arrived.set(arrived.get() + 1);
        let index = barrier.wait().await?;
        assert!(arrived.get().is_multiple_of(3), "one continued alone");
        Ok(index)
    }
    let barrier = Barrier::new(3);
    // It can be reused.
    for _ in 0..2 {
        let arrived = Rc::new(Cell::new(0));
        let meetings: Vec<_> = [0, 7, 3].map(|delay| meet(barrier.clone(), arrived.clone(), delay)).into();
        let indices = Loop::new().run(gather(meetings)).unwrap();
        assert_eq!(indices.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2]));
    }
    assert_eq!(format!("{barrier:?}"), "Barrier(0 of 3 here)");
    // A waiter that leaves is not counted.
    Loop::new()
        .run(async {
            let mut gone = Box::pin(barrier.wait());
            waits(gone.as_mut()).await;
            drop(gone);
            let both = [spawn(barrier.wait()), spawn(barrier.wait())];
            turns(5).await?;
            assert_eq!(format!("{barrier:?}"), "Barrier(2 of 3 here)");
            barrier.wait().await?;
            tinyio::Ok(gather(both).await?)
        })
        .unwrap();
}

async fn nap(ms: u64) -> Result<u64> {
    sleep(Duration::from_millis(ms)).await?;
    Ok(ms)
}

#[test]
fn as_completed() {
    let _watched = watched();
    let main = async {
        let mut order = Vec::new();
        let mut naps = tinyio::as_completed([300, 100, 200].map(nap));
        while let Some(ms) = naps.next().await? {
            order.push(ms);
        }
        assert_eq!(naps.next().await?, None);
        tinyio::Ok(order)
    };
    assert_eq!(Loop::new().virtual_time().run(main).unwrap(), [100, 200, 300]);

    // Handles taken up front, awaited in another order.
    let main = async {
        let mut naps = tinyio::as_completed(vec![300, 100, 200].into_iter().map(|ms| coro(nap(ms))));
        let [first, second, third] = [naps.next(), naps.next(), naps.next()];
        let none = naps.next();
        let third = third.await?;
        let first = first.await?;
        tinyio::Ok((none.await?, third, second.await?, first))
    };
    assert_eq!(Loop::new().virtual_time().run(main).unwrap(), (None, Some(300), Some(200), Some(100)));

    // As a stream.
    let main = async {
        let mut naps = tinyio::as_completed([300, 100, 200].map(nap));
        let mut order = Vec::new();
        assert_eq!(naps.size_hint(), (3, Some(3)));
        while let Some(ms) = poll_fn(|cx| Pin::new(&mut naps).poll_next(cx)).await {
            order.push(ms?);
        }
        assert_eq!(naps.size_hint(), (0, Some(0)));
        tinyio::Ok(order)
    };
    assert_eq!(Loop::new().virtual_time().run(main).unwrap(), [100, 200, 300]);
}

#[test]
fn timeout() {
    let _watched = watched();
    let log = Log::new();
    let (slow_log, other) = (log.clone(), log.clone());
    let main = async move {
        let bystander = spawn(async move {
            let nap = sleep(Duration::from_secs(60)).await;
            other.push(("bystander", nap.err().map(|cancelled| cancelled.is_timeout())));
            tinyio::Ok(())
        });
        assert_eq!(tinyio::timeout(LONG, nap(5)).await?, Ok(5));
        let slow = async move {
            let nap = sleep(LONG).await;
            slow_log.push(("slow", nap.err().map(|cancelled| cancelled.is_timeout())));
            Ok::<(), tinyio::Error>(nap?)
        };
        assert_eq!(tinyio::timeout(Duration::from_secs(1), slow).await?, Err(TimeoutError));
        // It need not have begun.
        assert_eq!(tinyio::timeout(Duration::ZERO, async { tinyio::Ok(sleep(LONG).await?) }).await?, Err(TimeoutError));
        bystander.await?;
        tinyio::Ok(())
    };
    Loop::new().virtual_time().run(main).unwrap();
    assert_eq!(log.entries(), [("slow", Some(true)), ("bystander", None)]);

    // A foreign future is dropped; a thread is asked to stop, and waited for.
    let dropped = Rc::new(Cell::new(false));
    let drops = dropped.clone();
    let ended = Arc::new(Mutex::new(None));
    let ends = ended.clone();
    let main = async move {
        let foreign = async move {
            let _drops = OnDrop(|| drops.set(true));
            std::future::pending::<Result<()>>().await
        };
        assert_eq!(tinyio::timeout(Duration::from_millis(1), foreign).await?, Err(TimeoutError));
        let work = run_in_thread(move || {
            let slept = thread::sleep(LONG);
            *ends.lock().unwrap() = Some(slept);
            slept
        });
        assert_eq!(tinyio::timeout(Duration::from_millis(1), work).await?, Err(TimeoutError));
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
    assert!(dropped.get());
    // Where no thread was free in time it was never started.
    assert!(!matches!(*ended.lock().unwrap(), Some(Ok(()))));
}

#[test]
fn timeout_answers_error() {
    let _watched = watched();
    async fn slow() -> Result<()> {
        let _ = sleep(LONG).await;
        Err(Broken("another"))? // answers
    }
    let log = Log::new();
    let noted = log.clone();
    let main = async move {
        let tried = tinyio::timeout(Duration::from_millis(1), slow()).await; // waits for it
        noted.push(tried);
        tinyio::Ok(tried?)
    };
    let crash = Loop::new().run(main).unwrap_err();
    assert_failures(&crash, &[(Error, "timeout_answers_error::slow", "another")]);
    let trace = [("timeout_answers_error", "waits for it"), ("timeout_answers_error::slow", "answers")];
    assert_trace(crash.failures()[0].trace(), &trace);
    // A coroutine that waited is cancelled like all others.
    assert!(matches!(log.entries()[..], [Err(cancelled)] if !cancelled.is_timeout()), "{:?}", log.entries());
}

/// Makes progress only when the other one does.
async fn in_turns(own: Event, other: Event, gives: u32) -> Result<u32> {
    for _ in 0..10 {
        own.wait().await?;
        own.clear();
        yield_now().await?;
        other.set();
    }
    Ok(gives)
}

#[test]
fn isolate() {
    let _watched = watched();
    for (first_isolated, second_isolated) in [(false, false), (false, true), (true, false), (true, true)] {
        async fn perhaps(isolated: bool, turns: impl Future<Output = Result<u32>> + 'static) -> Result<u32> {
            match isolated {
                true => Ok(tinyio::isolate(turns).await??),
                false => turns.await,
            }
        }
        let (one, two) = (Event::new(), Event::new());
        one.set();
        let first = perhaps(first_isolated, in_turns(one.clone(), two.clone(), 4));
        let second = perhaps(second_isolated, in_turns(two, one, 3));
        let numbers = Loop::new().run(async { gather([coro(first), coro(second)]).await }).unwrap();
        assert_eq!(numbers, [4, 3]);
    }
}

#[test]
fn isolate_error() {
    let _watched = watched();
    async fn fails() -> Result<()> {
        turns(5).await?;
        Err(Broken("inside"))? // fails inside
    }
    let log = Log::new();
    let (inside, outside) = (log.clone(), log.clone());
    let main = async move {
        let bystander = spawn(async move {
            let nap = nap(60_000).await;
            outside.push(("outside", nap.is_ok()));
            tinyio::Ok(())
        });
        let tried = tinyio::isolate(async move {
            spawn(async move {
                let nap = sleep(LONG).await;
                inside.push(("inside", nap.is_ok()));
                tinyio::Ok(nap?)
            });
            coro(fails()).await?; // inside waits
            tinyio::Ok(())
        });
        let crash: Crash = tried.await?.unwrap_err();
        assert_failures(&crash, &[(Error, "isolate_error::fails", "inside")]);
        assert_trace(
            crash.failures()[0].trace(),
            &[("isolate_error", "inside waits"), ("isolate_error::fails", "fails inside")],
        );
        bystander.await?;
        tinyio::Ok(())
    };
    Loop::new().virtual_time().run(main).unwrap();
    assert_eq!(log.entries(), [("inside", false), ("outside", true)]);
}

#[test]
fn isolate_args() {
    let _watched = watched();
    // A coroutine of the outer loop, awaited from inside and outside.
    let runs = Rc::new(Cell::new(0));
    let counted = runs.clone();
    let main = async move {
        let shared = spawn(async move {
            counted.set(counted.get() + 1);
            turns(10).await?;
            tinyio::Ok(7)
        });
        let handle = shared.clone();
        let inside = tinyio::isolate(async move { tinyio::Ok(handle.await? + 1) });
        let (eight, seven) = gather((inside, shared.clone())).await?;
        // It has ended by now.
        let again = tinyio::isolate(shared).await?.unwrap();
        tinyio::Ok((eight.unwrap(), seven, again))
    };
    assert_eq!(Loop::new().run(main).unwrap(), (8, 7, 7));
    assert_eq!(runs.get(), 1);

    // A coroutine that is not scheduled yet, and a handle as what is isolated.
    let main = async move {
        let lazy = coro(async { tinyio::Ok(nap(3).await? + 1) });
        let inside = tinyio::isolate(lazy.clone()).await?.unwrap();
        tinyio::Ok((inside, lazy.await?))
    };
    assert_eq!(Loop::new().run(main).unwrap(), (4, 4));

    // If it fails, the outer loop crashes, and what is inside is cancelled with it.
    let log = Log::new();
    let noted = log.clone();
    let main = async move {
        let shared = spawn(async {
            turns(10).await?;
            Err::<u32, _>(Broken("outside"))?;
            tinyio::Ok(1)
        });
        let inside = tinyio::isolate(async move {
            let one = shared.await;
            noted.push(one.is_err());
            tinyio::Ok(one?)
        });
        inside.await?.map(drop)?;
        tinyio::Ok(())
    };
    let crash = Loop::new().run(main).unwrap_err();
    assert_eq!(crash.downcast_ref(), Some(&Broken("outside")));
    assert_failures(&crash, &[(Error, "isolate_args", "outside")]);
    assert_eq!(log.entries(), [true]);
}

#[test]
fn isolate_cancelled() {
    let _watched = watched();
    let log = Log::new();
    let ended = Arc::new(Mutex::new(false));
    let (asleep, dropped, ends) = (log.clone(), log.clone(), ended.clone());
    let began = Event::new();
    let begins = began.clone();
    let main = async move {
        spawn(async move {
            let tried = tinyio::isolate(async move {
                spawn(async move {
                    let nap = sleep(LONG).await;
                    asleep.push(nap.is_err());
                    tinyio::Ok(nap?)
                });
                spawn(async move {
                    let _dropped = OnDrop(|| dropped.push(true));
                    std::future::pending::<Result<()>>().await
                });
                let work = run_in_thread(move || {
                    begins.set();
                    let slept = thread::sleep(LONG);
                    *ends.lock().unwrap() = true;
                    slept
                });
                tinyio::Ok(work.await?)
            });
            // Nested once more.
            tinyio::isolate(tried).await???;
            tinyio::Ok(())
        });
        began.wait().await?;
        Err::<(), _>(Broken("outer"))?;
        tinyio::Ok(())
    };
    let crash = Loop::new().group(Group::Always).run(main).unwrap_err();
    assert_failures(&crash, &[(Error, "isolate_cancelled", "outer"), (Cancelled, "isolate_cancelled", "cancelled")]);
    assert_eq!(log.entries(), [true, true]);
    assert!(*ended.lock().unwrap());
    if !is_child() {
        assert_eq!(stderr_of("sync::isolate_cancelled"), "");
    }
}

#[test]
fn usage_semaphore() {
    let _watched = watched();
    let usages: [(&str, &str, fn()); 3] = [
        ("tinyio::Semaphore::new(0)", "no permits", || drop(Semaphore::new(0))), // no permits
        ("tinyio::ThreadPool::new(0)", "no threads", || drop(ThreadPool::new(0))), // no threads
        ("tinyio::Barrier::new(0)", "no parties", || drop(Barrier::new(0))),     // no parties
    ];
    for (call, mark, usage) in usages {
        let crash = Loop::new().run(async { tinyio::Ok(usage()) }).unwrap_err();
        let message = crash.failures()[0].message();
        assert!(message.starts_with(&format!("panicked: {call}: there must be at least one ")), "{message}");
        let site = crash.failures()[0].trace().last().unwrap().clone();
        assert_eq!((site.file, site.line), (file!(), line(mark)));
    }
}

#[test]
fn dataload() {
    let _watched = watched();
    // The first item is squared when the last has been.
    let last = Arc::new((Mutex::new(false), Condvar::new()));
    let pool = ThreadPool::new(16);
    let main = async move {
        let items = (0..100_u64).map(|n| {
            let last = last.clone();
            pool.run_in_thread(move || {
                let (ended, change) = &*last;
                if n == 0 {
                    drop(change.wait_while(ended.lock().unwrap(), |ended| !*ended).unwrap());
                } else if n == 99 {
                    *ended.lock().unwrap() = true;
                    change.notify_all();
                }
                tinyio::Ok(n * n)
            })
        });
        let mut items = tinyio::as_completed(items);
        let mut squares = Vec::new();
        while let Some(square) = items.next().await? {
            squares.push(square);
        }
        Ok::<_, CancelledError>(squares)
    };
    let squares = Loop::new().run(main).unwrap();
    assert!(!squares.is_sorted());
    assert_eq!(squares.iter().copied().collect::<BTreeSet<_>>(), (0..100).map(|n| n * n).collect());
    assert_eq!(squares.len(), 100);
}
