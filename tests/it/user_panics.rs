//! Code of the program panics, in every place where a loop calls it: `run` gives a crash, all other coroutines are
//! cancelled, and the loop can be used again.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tinyio::{Group, Loop, Result, ThreadPool, coro, run_in_thread, sleep, spawn, yield_now};
use tinyio_inspector::discover;

use crate::check::{Child, OnDrop, is_child, watched};
use crate::panicking::{Bomb, CLONE, DROP, Main, enough, places, waker};

const DAY: Duration = Duration::from_secs(24 * 3600);

const SHORT: Duration = Duration::from_millis(2);

/// Waits for a day, and counts its cancellation and its cleanup.
pub async fn witness(counter: Rc<Cell<u32>>) -> Result<()> {
    let cleaned = counter.clone();
    let _cleanup = OnDrop(move || cleaned.set(cleaned.get() + 1));
    let answer = sleep(DAY).await;
    counter.set(counter.get() + u32::from(answer.is_err()));
    Ok(answer?)
}

fn check(program: fn() -> Main, group: Group, grace: Option<Duration>, drives: bool, what: &str) {
    let counter = Rc::new(Cell::new(0));
    let mut looped = Loop::new().group(group);
    if let Some(grace) = grace {
        looped = looped.grace(grace);
    }
    let (first, last) = (counter.clone(), counter.clone());
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
    assert_eq!(counter.get(), 4, "{what}: both were cancelled, and cleaned up");
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
fn wherever_code_of_the_program_panics_all_are_cancelled_and_run_gives_a_crash() {
    let _watched = watched();
    check_all(&WAYS);
    check_all(&FURTHER_WAYS);
}

#[test]
fn wherever_code_of_the_program_panics_in_a_recorded_run_all_are_cancelled_and_run_gives_a_crash() {
    let _watched = watched();
    if is_child() {
        check_all(&WAYS);
        let rings = discover::rings_in(std::env::var_os("TINYIO_RING_DIR").expect("set below").as_ref());
        return assert_eq!(rings.expect("it can be read").len(), 1, "it was recorded");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let rings = folder.path().join("rings");
    let test =
        "user_panics::wherever_code_of_the_program_panics_in_a_recorded_run_all_are_cancelled_and_run_gives_a_crash";
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
fn a_host_whose_waker_panics_in_clone_or_drop_has_its_coroutines_cancelled() {
    let _watched = watched();
    for function in [CLONE, DROP] {
        let counter = Rc::new(Cell::new(0));
        let mut looped = Loop::new();
        let mut driven = Box::pin(looped.drive(witness(counter.clone())));
        let bad = std::mem::ManuallyDrop::new(waker(function));
        let first = driven.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(first.is_pending());
        let _ = catch_unwind(AssertUnwindSafe(|| driven.as_mut().poll(&mut Context::from_waker(&bad)).is_pending()));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            driven.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
        }));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(driven))).is_ok());
        assert_eq!(counter.get(), 2);
        assert_eq!(looped.run(async { tinyio::Ok(7) }).unwrap(), 7);
    }
}
