//! Code of the program panics, in every place where a loop calls it: `run` gives a crash, all other coroutines are
//! cancelled, and the loop can be used again.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::Duration;

use tinyio::{
    Event, Group, Lock, Loop, Result, ThreadPool, as_completed, coro, gather, isolate, run_in_thread, sleep, spawn,
    thread, timeout, yield_now,
};

use tinyio_inspector::discover;

use crate::check::{Child, OnDrop, is_child, watched};

const DAY: Duration = Duration::from_secs(24 * 3600);
const SHORT: Duration = Duration::from_millis(2);

/// Panics when it is dropped, with a payload that does so as well.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_any(Payload);
    }
}

/// Panics when it is dropped, with text.
struct Payload;

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

impl From<Unboxable> for Box<dyn std::error::Error + Send + Sync> {
    fn from(_: Unboxable) -> Self {
        panic!("the conversion")
    }
}

/// A waker that panics in one of its functions, selected by its data.
fn waker(panics_in: usize) -> Waker {
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

const CLONE: usize = 1;
const WAKE: usize = 2;
const DROP: usize = 3;

/// Polls it once with a waker that panics, which stays registered there.
fn leave<F: Future + Unpin>(future: &mut F, function: usize) {
    let waker = std::mem::ManuallyDrop::new(waker(function));
    assert!(Pin::new(future).poll(&mut Context::from_waker(&waker)).is_pending());
}

/// Waits for a day next to a future that was polled with such a waker.
async fn beside<F: Future + Unpin>(mut future: F, function: usize) -> Result<()> {
    leave(&mut future, function);
    let told = sleep(DAY).await;
    drop(future);
    Ok(told?)
}

fn enough<T>() -> Result<T> {
    Err(tinyio::Error::msg("enough"))
}

type Main = Pin<Box<dyn Future<Output = Result<()>>>>;
/// What panics, and a program in which it does.
type Place = (&'static str, fn() -> Main);

fn places() -> Vec<Place> {
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

impl From<SendUnboxable> for Box<dyn std::error::Error + Send + Sync> {
    fn from(_: SendUnboxable) -> Self {
        panic!("the conversion")
    }
}

/// Waits for a day, and counts its cancellation and its cleanup.
async fn witness(told: Rc<Cell<u32>>) -> Result<()> {
    let cleaned = told.clone();
    let _cleanup = OnDrop(move || cleaned.set(cleaned.get() + 1));
    let answer = sleep(DAY).await;
    told.set(told.get() + u32::from(answer.is_err()));
    Ok(answer?)
}

fn check(program: fn() -> Main, group: Group, grace: Option<Duration>, drives: bool, what: &str) {
    let told = Rc::new(Cell::new(0));
    let mut looped = Loop::new().group(group);
    if let Some(grace) = grace {
        looped = looped.grace(grace);
    }
    let (first, last) = (told.clone(), told.clone());
    let main = async {
        spawn(witness(first));
        yield_now().await?;
        let program = coro(program());
        spawn(async { tinyio::Ok(program.await?) });
        spawn(witness(last));
        yield_now().await?;
        sleep(DAY).await
    };
    let run = catch_unwind(AssertUnwindSafe(|| match drives {
        true => pollster::block_on(looped.drive(main)),
        false => looped.run(main),
    }));
    let crash = run.unwrap_or_else(|payload| {
        std::mem::forget(payload);
        panic!("{what}: a panic came out of the loop")
    });
    let crash = crash.err().unwrap_or_else(|| panic!("{what}: no crash"));
    assert_eq!(told.get(), 4, "{what}: both were told, and cleaned up");
    assert!(!crash.to_string().is_empty() && crash.failures().iter().all(|one| !one.message().is_empty()));
    assert!(format!("{crash:?}").contains(" crashed"), "{what}");
    // Its content belongs to the program.
    std::mem::forget(crash);
    assert_eq!(looped.run(async { tinyio::Ok(coro(async { tinyio::Ok(7) }).await?) }).unwrap(), 7, "{what}");
}

/// Policy, grace period, and whether another executor drives the loop.
type Way = (Group, Option<Duration>, bool);

/// Each of these once. A recorded run reads frames for its crash, which takes too long for every combination.
const WAYS: [Way; 5] = [
    (Group::Auto, None, false),
    (Group::Never, None, false),
    (Group::Always, None, false),
    (Group::Auto, Some(SHORT), false),
    (Group::Auto, None, true),
];
const FURTHER_WAYS: [Way; 3] =
    [(Group::Never, Some(SHORT), false), (Group::Always, Some(SHORT), false), (Group::Auto, Some(SHORT), true)];

fn check_all(ways: &[Way]) {
    for (place, program) in places() {
        for (group, grace, drives) in ways {
            let what = format!("{place}, {group:?}, {grace:?}{}", if *drives { ", driven" } else { "" });
            check(program, *group, *grace, *drives, &what);
        }
    }
    // The threads are all there.
    let squares =
        Loop::new().run(async { tinyio::Ok(ThreadPool::new(8).map(|n: u32| tinyio::Ok(n * n), 0..100).await?) });
    assert_eq!(squares.unwrap().len(), 100);
}

#[test]
fn wherever_code_of_the_program_panics_all_are_told_and_run_gives_a_crash() {
    let _watched = watched();
    check_all(&WAYS);
    check_all(&FURTHER_WAYS);
}

#[test]
fn wherever_code_of_the_program_panics_in_a_recorded_run_all_are_told_and_run_gives_a_crash() {
    let _watched = watched();
    if is_child() {
        check_all(&WAYS);
        let rings = discover::rings_in(std::env::var_os("TINYIO_RING_DIR").expect("set below").as_ref());
        return assert_eq!(rings.expect("it can be read").len(), 1, "it was recorded");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let rings = folder.path().join("rings");
    let test = "user_panics::wherever_code_of_the_program_panics_in_a_recorded_run_all_are_told_and_run_gives_a_crash";
    Child::start_with(test, &[("TINYIO_INSPECT", "record".as_ref()), ("TINYIO_RING_DIR", rings.as_os_str())]).finish();
}

#[test]
fn a_crash_whose_payloads_panic_is_dropped_quietly() {
    let _watched = watched();
    let main = async {
        for _ in 0..4 {
            spawn(async {
                let _bomb = Bomb;
                sleep(DAY).await
            });
        }
        yield_now().await?;
        enough::<()>()
    };
    let crash = Loop::new().run(main).unwrap_err();
    assert_eq!(crash.failures().len(), 5);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(crash))).is_ok());
}

#[test]
fn destructors_run_after_some_have_panicked_with_payloads_that_panic() {
    let _watched = watched();
    for _ in 0..3 {
        let inner = coro(async {
            let _bomb = Bomb;
            tinyio::Ok(())
        });
        let bomb = Bomb;
        let outer = coro(async move {
            let _bomb = bomb;
            inner.await
        });
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(outer)));
        std::mem::forget(dropped.expect_err("the first panic goes on"));
    }
    let count = Rc::new(Cell::new(0));
    for _ in 0..10 {
        let count = count.clone();
        let cleanup = OnDrop(move || count.set(count.get() + 1));
        drop(coro(async move {
            let _cleanup = cleanup;
            tinyio::Ok(())
        }));
    }
    assert_eq!(count.get(), 10);
}

/// Panics when it is woken, and records that.
struct Gone(AtomicBool);

impl Wake for Gone {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
        panic!("my executor is gone");
    }
}

#[test]
fn a_host_whose_waker_panics_takes_no_timer_and_no_thread_from_others() {
    let _watched = watched();
    let gone = Arc::new(Gone(AtomicBool::new(false)));
    let waker = Waker::from(gone.clone());
    let (mut by_timer, mut by_thread) = (Loop::new(), Loop::new());
    // Woken by the timer thread, and by a thread of a function.
    let mut timed = Box::pin(by_timer.drive(sleep(Duration::from_millis(500))));
    assert!(timed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    while !gone.0.swap(false, Ordering::SeqCst) {
        std::thread::yield_now();
    }
    let (release, released) = std::sync::mpsc::channel();
    let function = run_in_thread(move || Ok::<_, tinyio::Error>(released.recv()?));
    let mut threaded = Box::pin(by_thread.drive(function));
    assert!(threaded.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    release.send(()).unwrap(); // not before it is waited for
    while !gone.0.swap(false, Ordering::SeqCst) {
        std::thread::yield_now();
    }
    let other = std::thread::spawn(|| {
        pollster::block_on(Loop::new().drive(async {
            sleep(SHORT).await?;
            let all = ThreadPool::new(8).map(tinyio::Ok, 0..100).await?;
            tinyio::Ok(all.len())
        }))
        .unwrap()
    });
    assert_eq!(other.join().unwrap(), 100);
    // A host that polls again continues.
    assert_eq!(pollster::block_on(timed).map_err(|crash| crash.to_string()), Ok(()));
    assert_eq!(pollster::block_on(threaded).map_err(|crash| crash.to_string()), Ok(()));
}

#[test]
fn a_host_whose_waker_panics_in_clone_or_drop_has_its_coroutines_told() {
    let _watched = watched();
    for function in [CLONE, DROP] {
        let told = Rc::new(Cell::new(0));
        let mut looped = Loop::new();
        let mut driven = Box::pin(looped.drive(witness(told.clone())));
        let bad = std::mem::ManuallyDrop::new(waker(function));
        let first = driven.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(first.is_pending());
        let _ = catch_unwind(AssertUnwindSafe(|| driven.as_mut().poll(&mut Context::from_waker(&bad)).is_pending()));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            driven.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
        }));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(driven))).is_ok());
        assert_eq!(told.get(), 2);
        assert_eq!(looped.run(async { tinyio::Ok(7) }).unwrap(), 7);
    }
}

/// A loop in a destructor, as of a client that closes its connection.
struct Closes(Rc<RefCell<Vec<&'static str>>>);

impl Drop for Closes {
    fn drop(&mut self) {
        let said = self.0.clone();
        let closing = async move {
            yield_now().await?;
            run_in_thread(|| tinyio::Ok(())).await?;
            said.borrow_mut().push("closed");
            tinyio::Ok(())
        };
        Loop::new().run(closing).unwrap();
    }
}

#[test]
fn the_first_loop_of_a_process_may_run_while_its_thread_panics() {
    let _watched = watched();
    if is_child() {
        let said = Rc::default();
        let closes = Closes(Rc::clone(&said));
        let caught = catch_unwind(AssertUnwindSafe(move || {
            let _closes = closes;
            panic!("first")
        }));
        assert!(caught.is_err());
        assert_eq!(*said.borrow(), ["closed"]);
        // The next loop has the places of panics again.
        let crash = Loop::new().run(async { if true { panic!("second") } else { tinyio::Ok(()) } }).unwrap_err();
        assert_eq!(crash.failures()[0].trace()[0].file, file!());
        return;
    }
    Child::start("user_panics::the_first_loop_of_a_process_may_run_while_its_thread_panics").finish();
}

static RESPAWNED: AtomicU32 = AtomicU32::new(0);

/// Schedules this many of its kind when it is dropped.
struct Supervise(u32);

impl Drop for Supervise {
    fn drop(&mut self) {
        for _ in 0..self.0 {
            RESPAWNED.fetch_add(1, Ordering::Relaxed);
            spawn(supervised(Supervise(self.0)));
        }
    }
}

async fn supervised(_guard: Supervise) -> Result<()> {
    Ok(sleep(DAY).await?)
}

#[test]
fn a_destructor_that_schedules_its_coroutine_again_does_not_keep_the_run_from_ending() {
    let _watched = watched();
    if is_child() {
        for copies in [1, 2] {
            for grace in [None, Some(SHORT)] {
                let told = Rc::new(Cell::new(0));
                let mut looped = Loop::new();
                if let Some(grace) = grace {
                    looped = looped.grace(grace);
                }
                let main = async {
                    spawn(supervised(Supervise(copies)));
                    spawn(witness(told.clone()));
                    yield_now().await?;
                    enough::<()>()
                };
                assert_eq!(looped.run(main).unwrap_err().error().to_string(), "enough");
                assert_eq!(told.get(), 2);
                assert_eq!(looped.run(async { tinyio::Ok(7) }).unwrap(), 7);
            }
        }
        return;
    }
    let said =
        Child::start("user_panics::a_destructor_that_schedules_its_coroutine_again_does_not_keep_the_run_from_ending")
            .finish();
    assert!(said.contains("it::user_panics::supervised (tests/it/user_panics.rs:"), "{said}");
}

#[test]
fn all_that_a_cleanup_schedules_is_dropped_however_much_it_is() {
    let _watched = watched();
    let dropped = Rc::new(Cell::new(0));
    let main = async {
        for _ in 0..20_000 {
            let dropped = dropped.clone();
            spawn(async move {
                sleep(DAY).await.ok();
                let dropped = OnDrop(move || dropped.set(dropped.get() + 1));
                spawn(async move {
                    let _dropped = dropped;
                    tinyio::Ok(())
                });
                Err::<(), _>(tinyio::thread::check_cancelled().err().map_or(tinyio::Error::msg("late"), Into::into))
            });
        }
        yield_now().await?;
        enough::<()>()
    };
    assert!(Loop::new().run(main).is_err());
    assert_eq!(dropped.get(), 20_000);
}

#[test]
fn a_cleanup_that_never_waits_is_cut_off_when_the_grace_period_is_over() {
    let _watched = watched();
    let main = async {
        spawn(async {
            sleep(DAY).await.ok();
            loop {
                yield_now().await?;
            }
            #[allow(unreachable_code)]
            tinyio::Ok(())
        });
        yield_now().await?;
        enough::<()>()
    };
    assert!(Loop::new().grace(SHORT).run(main).is_err());
}
