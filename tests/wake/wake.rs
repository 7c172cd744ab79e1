//! A loop sleeps, and threads wake it. `loom` runs each of these in every order in which the threads' accesses to locks
//! and atomics can follow each other; a lost wake is a deadlock, which it reports. Run by the script `tests/loom`.
#![cfg(loom)]

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use loom::sync::atomic::AtomicBool;
use loom::thread;
use tinyio::{Event, Interrupted, Loop, run_in_thread};

/// Tries every order, within bounds: at most two preemptions of threads, which find nearly all faults.
/// `LOOM_MAX_PREEMPTIONS` overrides that.
fn model(f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(2));
    builder.check(f);
}

/// Waits until the flag is set; the code that sets it has the waker.
async fn flag(set: Arc<AtomicBool>, hand_over: impl FnOnce(Waker)) -> tinyio::Result<()> {
    let mut hand_over = Some(hand_over);
    poll_fn(|cx| {
        if let Some(hand_over) = hand_over.take() {
            hand_over(cx.waker().clone());
        }
        if set.load(Ordering::Acquire) { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

#[test]
fn an_event_set_by_a_thread_wakes_the_loop() {
    model(|| {
        let event = Event::new();
        let set = event.clone();
        let thread = thread::spawn(move || set.set());
        Loop::new().run(async { event.wait().await }).unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn two_threads_wake_two_coroutines() {
    model(|| {
        let events = [Event::new(), Event::new()];
        let threads = events.clone().map(|event| thread::spawn(move || event.set()));
        let waits = events.map(|event| async move { tinyio::Ok(event.wait().await?) });
        Loop::new().run(tinyio::gather(waits)).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_wake_that_drops_the_last_waker_is_no_deadlock() {
    model(|| {
        let set = Arc::new(AtomicBool::new(false));
        let there = set.clone();
        let mut thread = None;
        let main = flag(set, |waker| {
            thread = Some(thread::spawn(move || {
                there.store(true, Ordering::Release);
                waker.wake();
            }));
        });
        Loop::new().run(main).unwrap();
        thread.unwrap().join().unwrap();
    });
}

#[test]
fn the_last_waker_dropped_in_vain_is_a_deadlock() {
    model(|| {
        let mut thread = None;
        let main = flag(Arc::new(AtomicBool::new(false)), |waker| thread = Some(thread::spawn(move || drop(waker))));
        let crash = Loop::new().run(main).unwrap_err();
        assert!(crash.downcast_ref::<tinyio::Deadlock>().is_some());
        thread.unwrap().join().unwrap();
    });
}

#[test]
fn the_last_waker_called_in_vain_is_a_deadlock() {
    model(|| {
        let mut thread = None;
        let main = flag(Arc::new(AtomicBool::new(false)), |waker| thread = Some(thread::spawn(move || waker.wake())));
        let crash = Loop::new().run(main).unwrap_err();
        assert!(crash.downcast_ref::<tinyio::Deadlock>().is_some());
        thread.unwrap().join().unwrap();
    });
}

#[test]
fn wakers_may_outlive_their_loop_and_reach_no_other() {
    model(|| {
        let set = Arc::new(AtomicBool::new(true));
        let mut thread = None;
        Loop::new()
            .run(flag(set, |waker| {
                thread = Some(thread::spawn(move || waker.wake()));
            }))
            .unwrap();
        // It may have the tag of the one before.
        Loop::new().run(async { tinyio::yield_now().await }).unwrap();
        thread.unwrap().join().unwrap();
    });
}

#[test]
fn a_handle_stops_a_loop_that_sleeps() {
    model(|| {
        let mut looped = Loop::new();
        let handle = looped.handle();
        let thread = thread::spawn(move || handle.cancel());
        let crash = looped.run(async { Event::new().wait().await }).unwrap_err();
        assert!(crash.downcast_ref::<Interrupted>().is_some());
        thread.join().unwrap();
    });
}

#[test]
fn a_function_on_a_thread_gives_what_it_returned() {
    model(|| {
        assert_eq!(Loop::new().run(run_in_thread(|| tinyio::Ok(7))).unwrap(), 7);
        tinyio::end_threads();
    });
}

#[test]
fn functions_one_after_another_and_at_once_all_run() {
    model(|| {
        let main = async {
            run_in_thread(|| tinyio::Ok(())).await?;
            tinyio::gather([1, 2].map(|n| run_in_thread(move || tinyio::Ok(n)))).await
        };
        assert_eq!(Loop::new().run(main).unwrap(), [1, 2]);
        tinyio::end_threads();
    });
}

#[test]
fn a_function_is_cancelled_before_it_begins_or_later() {
    model(|| {
        let crash = Loop::new().run(async {
            tinyio::spawn(run_in_thread(|| tinyio::Ok(tinyio::thread::check_cancelled()?)));
            tinyio::yield_now().await?;
            Err::<(), _>(tinyio::Error::msg("enough"))
        });
        assert_eq!(crash.unwrap_err().error().to_string(), "enough");
        tinyio::end_threads();
    });
}
