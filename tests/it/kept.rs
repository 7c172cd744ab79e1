//! Await points that a program keeps: begun in one loop, polled or dropped in another, in the next run, on another
//! thread, or nowhere.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tinyio::{
    Barrier, Deadlock, Event, Lock, Loop, as_completed, coro, gather, isolate, run_in_thread, sleep, spawn, timeout,
    yield_now,
};

use crate::check::watched;

const DAY: Duration = Duration::from_secs(24 * 3600);
const SHORT: Duration = Duration::from_millis(2);

type Kept = Pin<Box<dyn Future<Output = ()>>>;

/// One of each kind of await point, pending for a day.
fn all_kinds() -> Vec<(&'static str, Kept)> {
    let (lock, event, never) = (Lock::new(), Event::new(), Event::new());
    let held = async move {
        let guard = lock.acquire().await;
        lock.acquire().await.map(drop).ok();
        drop(guard);
    };
    let (wait, wait_timeout) = (event.wait(), event.wait_timeout(DAY));
    vec![
        ("Sleep", Box::pin(async { sleep(DAY).await.unwrap_or(()) })),
        ("Wait", Box::pin(async move { wait.await.unwrap_or(()) })),
        (
            "WaitTimeout",
            Box::pin(async move {
                let _ = wait_timeout.await;
            }),
        ),
        ("Acquire", Box::pin(held)),
        (
            "BarrierWait",
            Box::pin(async {
                let _ = Barrier::new(2).wait().await;
            }),
        ),
        ("Coro", Box::pin(async { coro(sleep(DAY)).await.unwrap_or(()) })),
        (
            "Gathering",
            Box::pin(async {
                let _ = gather([sleep(DAY), sleep(DAY)]).await;
            }),
        ),
        (
            "Timeout",
            Box::pin(async {
                let _ = timeout(DAY, sleep(DAY)).await;
            }),
        ),
        (
            "Next",
            Box::pin(async {
                let _ = as_completed([sleep(DAY)]).next().await;
            }),
        ),
        ("Isolate", Box::pin(async { drop(isolate(sleep(DAY)).await) })),
        ("Isolate with an event", Box::pin(async move { drop(isolate(never.wait()).await) })),
    ]
}

/// The waker with which an await point is polled.
#[derive(Clone, Copy, Debug)]
enum By {
    /// The coroutine's own.
    Coroutine,
    /// A foreign one, as `FuturesUnordered` has.
    Foreign,
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls it once.
async fn begin(kept: &mut Kept, by: By, foreign: &Waker) -> Poll<()> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match by {
            By::Coroutine => kept.as_mut().poll(cx),
            By::Foreign => kept.as_mut().poll(&mut Context::from_waker(foreign)),
        })
    })
    .await
}

/// Begins one in a loop of its own, which fails so that what it has scheduled ends, too.
fn begun(mut kept: Kept, by: By, foreign: &Waker) -> Kept {
    let out = Rc::new(RefCell::new(None));
    let slot = out.clone();
    let foreign = foreign.clone();
    let crash = Loop::new().run(async move {
        assert!(begin(&mut kept, by, &foreign).await.is_pending());
        *slot.borrow_mut() = Some(kept);
        Err::<(), _>(tinyio::Error::msg("enough"))
    });
    assert_eq!(crash.unwrap_err().error().to_string(), "enough");
    out.take().expect("it was kept")
}

/// A loop with timers, foreign wakers and waiters of its own, in which `meddle` is called meanwhile: all of them are
/// woken.
fn undisturbed(what: &str, meddle: impl FnOnce(&mut Context<'_>)) {
    let woken = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(woken.clone());
    let result = Loop::new().run(async move {
        let (event, lock) = (Event::new(), Lock::new());
        let guard = lock.acquire().await?;
        let timers: Vec<_> = (1..5).map(|n| spawn(sleep(SHORT * n))).collect();
        let waiters = [spawn(event.wait()), spawn(async { tinyio::Ok(event_wait().await?) })];
        let locked = spawn({
            let lock = lock.clone();
            async move { tinyio::Ok(drop(lock.acquire().await?)) }
        });
        // Foreign wakers, one of them registered at a coroutine, which takes it out when it ends.
        let mut naps: Vec<_> = (0..3).map(|_| Box::pin(sleep(SHORT))).collect();
        let mut child = Box::pin(coro(sleep(SHORT)));
        for nap in &mut naps {
            assert!(nap.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert!(child.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        yield_now().await?;
        let mut meddle = Some(meddle);
        std::future::poll_fn(|cx| {
            if let Some(meddle) = meddle.take() {
                meddle(cx);
            }
            Poll::Ready(())
        })
        .await;
        drop(guard);
        event.set();
        gather(timers).await?;
        gather(waiters).await?;
        locked.await?;
        while woken.0.load(Ordering::SeqCst) < 4 {
            sleep(SHORT).await?;
        }
        gather(naps).await?;
        child.await?;
        tinyio::Ok(())
    });
    result.unwrap_or_else(|crash| panic!("{what}: {crash:?}"));
}

async fn event_wait() -> tinyio::Result<()> {
    let event = Event::new();
    let setter = event.clone();
    spawn(async move { tinyio::Ok(setter.set()) });
    Ok(event.wait().await?)
}

#[test]
fn what_another_loop_began_disturbs_nothing_when_it_is_dropped() {
    let _watched = watched();
    let foreign = Waker::from(Arc::new(Count(AtomicUsize::new(0))));
    for by in [By::Coroutine, By::Foreign] {
        for (kind, kept) in all_kinds() {
            let kept = begun(kept, by, &foreign);
            undisturbed(&format!("{kind}, {by:?}"), |_| drop(kept));
        }
    }
}

#[test]
fn what_another_loop_began_disturbs_nothing_when_it_is_polled() {
    let _watched = watched();
    let foreign = Waker::from(Arc::new(Count(AtomicUsize::new(0))));
    for by in [By::Coroutine, By::Foreign] {
        for again in [By::Coroutine, By::Foreign] {
            for (kind, kept) in all_kinds() {
                let mut kept = begun(kept, by, &foreign);
                undisturbed(&format!("{kind}, {by:?}, then {again:?}"), |cx| {
                    let mut other = Context::from_waker(&foreign);
                    let _ = match again {
                        By::Coroutine => kept.as_mut().poll(cx),
                        By::Foreign => kept.as_mut().poll(&mut other),
                    };
                    drop(kept);
                });
            }
        }
    }
}

#[test]
fn a_sleep_goes_on_in_the_next_loop_until_its_time() {
    let _watched = watched();
    let start = Instant::now();
    let nap = Rc::new(RefCell::new(Some(Box::pin(sleep(Duration::from_millis(30))))));
    let kept = nap.clone();
    let first = async move {
        let mut nap = kept.take().expect("it is there");
        std::future::poll_fn(|cx| Poll::Ready(assert!(nap.as_mut().poll(cx).is_pending()))).await;
        tinyio::Ok(*kept.borrow_mut() = Some(nap))
    };
    Loop::new().run(first).unwrap();
    Loop::new().run(nap.take().expect("it was kept")).unwrap();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(30), "it woke after {took:?}");
}

#[test]
fn what_is_dropped_between_two_runs_is_gone_in_the_second() {
    let _watched = watched();
    for by in [By::Coroutine, By::Foreign] {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let foreign = Waker::from(count.clone());
        let mut looped = Loop::new().virtual_time();
        let kept: Rc<RefCell<Vec<Kept>>> = Rc::default();
        let out = kept.clone();
        let first = async {
            for (_, mut kind) in all_kinds().into_iter().filter(|(kind, _)| ["Sleep", "WaitTimeout"].contains(kind)) {
                assert!(begin(&mut kind, by, &foreign).await.is_pending());
                out.borrow_mut().push(kind);
            }
            tinyio::Ok(())
        };
        looped.run(first).unwrap();
        kept.borrow_mut().clear();
        // Their timers would be waited for, and hide that some coroutines can never continue.
        let second = async {
            let lock = Lock::new();
            let _held = lock.acquire().await?;
            tinyio::Ok(drop(lock.acquire().await?))
        };
        assert!(looped.run(second).unwrap_err().downcast_ref::<Deadlock>().is_some());
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "{by:?}: nothing was due");
        drop(foreign);
        assert_eq!(Arc::strong_count(&count), 1, "{by:?}: the wakers were given back");
    }
}

#[test]
fn what_is_dropped_on_another_thread_is_gone_where_it_was_begun() {
    let _watched = watched();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let foreign = Waker::from(count.clone());
    let main = async {
        let mut nap = Box::pin(sleep(DAY));
        assert!(nap.as_mut().poll(&mut Context::from_waker(&foreign)).is_pending());
        run_in_thread(move || {
            // It is dropped inside of a loop of that thread.
            let inside = async move { tinyio::Ok(drop(nap)) };
            Loop::new().run(inside)
        })
        .await?;
        while Arc::strong_count(&count) > 2 {
            sleep(SHORT).await?;
        }
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
}
