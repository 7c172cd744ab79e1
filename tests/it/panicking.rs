//! Programs whose code panics, wherever tinyio calls it.

use std::fmt;
use std::future::Future;
use std::panic::panic_any;
use std::pin::Pin;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

use tinyio::{
    Event, Lock, Loop, Result, ThreadPool, as_completed, coro, gather, isolate, run_in_thread, sleep, spawn, thread,
    timeout, yield_now,
};
const SHORT: Duration = Duration::from_millis(2);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Panics when it is dropped, with a payload that does so as well.
#[derive(Debug)]
pub struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Payload);
    }
}

/// Panics when it is dropped, with text.
pub struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        panic!("the payload");
    }
}

/// An error that panics in one of its functions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bad {
    Display,
    Debug,
    Source,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(*self != Bad::Display, "the display");
        f.write_str("bad")
    }
}

impl fmt::Debug for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(*self != Bad::Debug, "the debug");
        f.write_str("Bad")
    }
}

impl std::error::Error for Bad {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        assert!(*self != Bad::Source, "the source");
        None
    }
}

/// An error that panics when it is dropped.
#[derive(Debug)]
struct Dropped(Bomb);

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dropped")
    }
}

impl std::error::Error for Dropped {}

/// An error that panics when it is boxed.
struct Unboxable;

/// A waker that panics in one of its functions, selected by its data.
pub fn waker(panics_in: usize) -> Waker {
    const VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, drop_it);
    fn function(data: *const ()) -> usize {
        data.addr()
    }
    fn clone(data: *const ()) -> RawWaker {
        assert!(function(data) != CLONE, "the waker's clone");
        RawWaker::new(data, &VTABLE)
    }
    fn wake(data: *const ()) {
        assert!(function(data) != WAKE, "the waker's wake");
    }
    fn drop_it(data: *const ()) {
        assert!(function(data) != DROP, "the waker's drop");
    }
    // SAFETY: the data is a number, which owns nothing.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::without_provenance(panics_in), &VTABLE)) }
}

pub const CLONE: usize = 1;

pub const WAKE: usize = 2;

pub const DROP: usize = 3;

/// Polls it once with a waker that panics, which stays registered there.
fn leave<F: Future + Unpin>(future: &mut F, function: usize) {
    let waker = std::mem::ManuallyDrop::new(waker(function));
    assert!(Pin::new(future).poll(&mut Context::from_waker(&waker)).is_pending());
}

/// Waits for a day next to a future that was polled with such a waker.
async fn beside<F: Future + Unpin>(mut future: F, function: usize) -> Result<()> {
    leave(&mut future, function);
    let cancelled = sleep(DAY).await;
    drop(future);
    Ok(cancelled?)
}

pub fn enough<T>() -> Result<T> {
    Err(tinyio::Error::msg("enough"))
}

pub type Main = Pin<Box<dyn Future<Output = Result<()>>>>;

/// What panics, and a program in which it does.
pub type Place = (&'static str, fn() -> Main);

pub fn places() -> Vec<Place> {
    macro_rules! places {
        ($($place:literal: $body:block)*) => { vec![$(($place, || Box::pin(async move { $body }))),*] };
    }
    places! {
        "a poll": { panic!("the poll") }
        "a poll of another": { Ok(coro(async { yield_now().await?; panic_any(Payload); #[allow(unreachable_code)] tinyio::Ok(()) }).await?) }
        "the destructor of a future that has ended": { Ok(coro(async { yield_now().await?; let _bomb = Bomb; tinyio::Ok(()) }).await?) }
        "the destructor of a future that panicked": {
            struct Twice(bool);
            impl Future for Twice {
                type Output = Result<()>;
                fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
                    self.0 = true;
                    panic_any(Payload)
                }
            }
            impl Drop for Twice {
                fn drop(&mut self) {
                    if self.0 {
                        panic_any(Payload);
                    }
                }
            }
            spawn(Twice(false));
            Ok(sleep(DAY).await?)
        }
        "destructors of futures that are cancelled": {
            for _ in 0..4 {
                spawn(async { let _bomb = Bomb; sleep(DAY).await });
            }
            yield_now().await?;
            enough()
        }
        "destructors of futures in an await that is foreign": {
            for _ in 0..4 {
                spawn(async { let _bomb = Bomb; std::future::pending::<()>().await; tinyio::Ok(()) });
            }
            yield_now().await?;
            enough()
        }
        "destructors of futures that never began": {
            for _ in 0..4 {
                let bomb = Bomb;
                spawn(async move { let _bomb = bomb; tinyio::Ok(()) });
            }
            enough()
        }
        "destructors of a chain that is freed": {
            let bombs = [Bomb, Bomb, Bomb];
            let [first, second, third] = bombs.map(|bomb| coro(async move { let _bomb = bomb; tinyio::Ok(()) }));
            let second = coro(async move { first.await?; second.await });
            drop(coro(async move { second.await?; third.await }));
            enough()
        }
        "the destructor of an output without a handle": { spawn(async { tinyio::Ok(Bomb) }); Ok(sleep(DAY).await?) }
        "the destructor of an output with a handle": {
            let kept = spawn(async { tinyio::Ok(Bomb) });
            yield_now().await?;
            drop(kept);
            Ok(())
        }
        "the destructors of a future and its output": {
            struct Both(Option<Bomb>, bool);
            impl Future for Both {
                type Output = Result<Bomb>;
                fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<Bomb>> {
                    self.1 = true;
                    Poll::Ready(Ok(self.0.take().expect("polled once")))
                }
            }
            impl Drop for Both {
                fn drop(&mut self) {
                    assert!(!self.1, "the future");
                }
            }
            spawn(Both(Some(Bomb), false));
            Ok(sleep(DAY).await?)
        }
        "the destructor of an output in a cleanup": {
            spawn(async { sleep(DAY).await.ok(); tinyio::Ok(Bomb) });
            yield_now().await?;
            enough()
        }
        "the destructor of the original error": { Err(Dropped(Bomb).into()) }
        "the destructors of errors in cleanups": {
            for _ in 0..3 {
                spawn(async { sleep(DAY).await.map_err(|_| Dropped(Bomb)) });
            }
            yield_now().await?;
            enough()
        }
        "the display of the original error": { Err(Bad::Display.into()) }
        "the debug of the original error": { Err(Bad::Debug.into()) }
        "the source of the original error": { Err(Bad::Source.into()) }
        "the display of an error in a cleanup": { spawn(async { sleep(DAY).await.map_err(|_| Bad::Display) }); yield_now().await?; enough() }
        "the source of an error in a cleanup": { spawn(async { sleep(DAY).await.map_err(|_| Bad::Source) }); yield_now().await?; enough() }
        "the conversion of an error": { Ok(coro(async { yield_now().await.ok(); Err::<(), _>(Unboxable) }).await?) }
        "the conversion of an error in a cleanup": {
            spawn(async { sleep(DAY).await.map_err(|_| Unboxable) });
            yield_now().await?;
            enough()
        }
        "a waker, woken by a timer": { beside(sleep(SHORT), WAKE).await }
        "a waker, woken by an event": {
            let event = Event::new();
            spawn(beside(event.wait(), WAKE));
            yield_now().await?;
            event.set();
            Ok(sleep(DAY).await?)
        }
        "a waker, woken from a thread": {
            let event = Event::new();
            spawn(beside(event.wait(), WAKE));
            run_in_thread(move || tinyio::Ok(event.set())).await?;
            Ok(sleep(DAY).await?)
        }
        "a waker, woken by the end of a coroutine": { beside(coro(sleep(SHORT)), WAKE).await }
        "a waker, woken by a cancellation": { spawn(beside(sleep(DAY), WAKE)); yield_now().await?; enough() }
        "a waker, woken by a lock": {
            let lock = Lock::new();
            let guard = lock.acquire().await?;
            spawn(async move { let mut next = std::pin::pin!(lock.acquire()); leave(&mut next, WAKE); sleep(DAY).await });
            yield_now().await?;
            drop(guard);
            Ok(sleep(DAY).await?)
        }
        "a waker's clone": { beside(sleep(DAY), CLONE).await }
        "a waker's clone at an event": { let event = Event::new(); beside(event.wait(), CLONE).await }
        "a waker's clone at a coroutine": { let nap = coro(sleep(DAY)); beside(nap, CLONE).await }
        "a waker's clone at a thread": { beside(run_in_thread(|| thread::sleep(DAY)), CLONE).await }
        "a waker's clone at as_completed": { let mut all = as_completed([coro(sleep(DAY))]); beside(all.next(), CLONE).await }
        "a waker's drop with its await point": { let mut nap = sleep(DAY); leave(&mut nap, DROP); drop(nap); Ok(sleep(DAY).await?) }
        "a waker's drop when it is replaced": {
            let mut nap = sleep(DAY);
            leave(&mut nap, DROP);
            leave(&mut nap, 0);
            Ok(sleep(DAY).await?)
        }
        "a waker's drop while its coroutine panics": { let mut nap = sleep(DAY); leave(&mut nap, DROP); panic!("the poll") }
        "a function on a thread": { Ok(run_in_thread(|| -> Result<()> { panic_any(PayloadOfThread) }).await?) }
        "what a function on a thread captures": {
            let bomb = Bomb;
            Ok(run_in_thread(move || { let _bomb = &bomb; tinyio::Ok(()) }).await?)
        }
        "what a function captures that never began": {
            let pool = ThreadPool::new(1);
            spawn(pool.run_in_thread(|| thread::sleep(DAY)));
            let bomb = Bomb;
            spawn(pool.run_in_thread(move || { let _bomb = &bomb; tinyio::Ok(()) }));
            yield_now().await?;
            enough()
        }
        "the output of a thread": { spawn(run_in_thread(|| tinyio::Ok(Bomb))); Ok(sleep(DAY).await?) }
        "the output of a thread that nothing needs any more": {
            spawn(run_in_thread(|| { while !thread::is_cancelled() { std::thread::yield_now(); } tinyio::Ok(Bomb) }));
            yield_now().await?;
            enough()
        }
        "the source of a thread's error": { Ok(run_in_thread(|| Err::<(), _>(Bad::Source)).await?) }
        "the display of a thread's error, when it was asked to stop": {
            spawn(run_in_thread(|| { while !thread::is_cancelled() { std::thread::yield_now(); } Err::<(), _>(Bad::Display) }));
            yield_now().await?;
            enough()
        }
        "the conversion of a thread's error": { Ok(run_in_thread(|| Err::<(), _>(SendUnboxable)).await?) }
        "the iterator of a pool's map": {
            let items = (0..3).inspect(|n| assert!(*n < 2, "the iterator"));
            Ok(ThreadPool::new(1).map(|_| tinyio::Ok(()), items).await.map(drop)?)
        }
        "the function of a pool's map": {
            Ok(ThreadPool::new(2).map(|_| -> Result<()> { panic_any(PayloadOfThread) }, 0..3).await.map(drop)?)
        }
        "what the function of a pool's map captures": {
            let bomb = Bomb;
            let f = move |_| { let _bomb = &bomb; tinyio::Ok(()) };
            Ok(ThreadPool::new(2).map(f, 0..3).await.map(drop)?)
        }
        "the items of a pool's map": { Ok(ThreadPool::new(2).map(|_: Bomb| tinyio::Ok(()), [Bomb, Bomb]).await.map(drop)?) }
        "the destructor of the iterator of a pool's map": {
            let bomb = Bomb;
            let items = (0..3).inspect(move |_| _ = &bomb);
            Ok(ThreadPool::new(1).map(|_| tinyio::Ok(()), items).await.map(drop)?)
        }
        "the iterator of as_completed": {
            let coros = (0..3).map(|n| { assert!(n < 2, "the iterator"); coro(sleep(DAY)) });
            Ok(as_completed(coros).next().await.map(drop)?)
        }
        "the destructor of the iterator of as_completed": {
            let bomb = Bomb;
            let coros = (0..3).map(move |_| { let _bomb = &bomb; coro(sleep(DAY)) });
            Ok(as_completed(coros).next().await.map(drop)?)
        }
        "outputs of as_completed that nothing takes": {
            let all = as_completed((0..3).map(|_| coro(async { tinyio::Ok(Bomb) })));
            yield_now().await?;
            yield_now().await?;
            drop(all);
            enough()
        }
        "outputs of a gather of which one fails": {
            let fails = coro(async { yield_now().await?; enough::<()>() });
            Ok(gather((coro(async { tinyio::Ok(Bomb) }), fails)).await.map(drop)?)
        }
        "outputs of a gather that nothing takes": { drop(gather([coro(async { tinyio::Ok(Bomb) })]).await?); Ok(()) }
        "the clone of an output": {
            struct Uncloneable;
            impl Clone for Uncloneable {
                fn clone(&self) -> Self {
                    panic!("the clone")
                }
            }
            let one = coro(async { tinyio::Ok(Uncloneable) });
            gather((one.clone(), one)).await?;
            Ok(())
        }
        "the destructor of a future whose time is up": {
            let slow = async { let _bomb = Bomb; sleep(DAY).await };
            Ok(timeout(SHORT, slow).await.map(drop)?)
        }
        "the error of a future whose time is up": {
            let slow = async { sleep(DAY).await.map_err(|_| Dropped(Bomb)) };
            timeout(SHORT, slow).await.map(drop)?;
            enough()
        }
        "destructors of a driven loop that is dropped": {
            let mut looped = Loop::new();
            let mut driven = Box::pin(looped.drive(async { spawn(async { let _bomb = Bomb; sleep(DAY).await }); sleep(DAY).await }));
            assert!(driven.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            drop(driven);
            enough()
        }
        "the original error of an isolated loop": {
            // It is a value here.
            isolate(async { Err::<(), _>(tinyio::Error::from(Dropped(Bomb))) }).await.map(std::mem::forget)?;
            enough()
        }
    }
}

struct PayloadOfThread;

impl Drop for PayloadOfThread {
    fn drop(&mut self) {
        panic!("the payload");
    }
}

struct SendUnboxable;

impl From<Unboxable> for Box<dyn std::error::Error + Send + Sync> {
    fn from(_: Unboxable) -> Self {
        panic!("the conversion")
    }
}

impl From<SendUnboxable> for Box<dyn std::error::Error + Send + Sync> {
    fn from(_: SendUnboxable) -> Self {
        panic!("the conversion")
    }
}
