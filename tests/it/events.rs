//! The events that a recording contains: those of small programs, in order.

use std::cell::RefCell;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::Command;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::{Map, Value};
use tinyio::{
    Barrier, CancelledError, Event, Lock, Loop, Semaphore, ThreadPool, coro, gather, isolate, run_in_thread, sleep,
    spawn, thread, timeout, yield_now,
};

use crate::check::{is_child, turns, watched};

const LONG: Duration = Duration::from_secs(3600);

/// Runs the program of this test in a process of its own that writes a trace. `None`: this is that process.
fn events_of(test: &str, program: impl FnOnce()) -> Option<Vec<Map<String, Value>>> {
    if is_child() {
        program();
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.jsonl");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&format!("events::{test}"), "--exact", "--test-threads=1"])
        .env("TINYIO_TEST_CHILD", "1")
        .env("TINYIO_TRACE", &file)
        .env("TINYIO_RING_DIR", folder.path().join("rings"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let events = read(&file);
    let times: Vec<_> = events.iter().map(|event| event["at"].as_u64()).collect();
    assert!(times.is_sorted(), "each event has a time, and none is before the one before it");
    Some(events)
}

fn read(file: &Path) -> Vec<Map<String, Value>> {
    let text = std::fs::read_to_string(file).expect("a trace");
    text.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn kind(event: &Map<String, Value>) -> &str {
    event["kind"].as_str().expect("text")
}

/// The events of these kinds, a line each: kind, numbers, and what they are about; without names, places and times.
fn outline(events: &[Map<String, Value>], kinds: &[&str]) -> Vec<String> {
    const SHOWN: [&str; 13] =
        ["loop", "thread", "coro", "parent", "origin", "on", "by", "res", "what", "size", "set", "mode", "outcome"];
    let line = |event: &Map<String, Value>| {
        let fields = SHOWN.iter().filter_map(|name| event.get(*name).map(|value| format!(" {name} {value}")));
        let line = kind(event).to_owned() + &fields.collect::<String>().replace('"', "");
        // The time when it is due is no part of the order.
        match line.split_once("{timer:") {
            Some((before, _)) => format!("{before}{{timer}}"),
            None => line,
        }
    };
    events.iter().filter(|event| kinds.contains(&kind(event))).map(line).collect()
}

/// Polls a future once, and gives it back: it is not ready.
async fn once<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    std::future::poll_fn(|cx| Poll::Ready(assert!(future.as_mut().poll(cx).is_pending()))).await;
    future
}

const COROUTINES: [&str; 8] = ["spawn", "wait", "clear", "wake", "step_begin", "step_end", "end", "trace_end"];
const LOOPS: [&str; 2] = ["loop_start", "loop_end"];
const RESOURCES: [&str; 5] = ["res_new", "hold", "release", "set", "res_drop"];
const THREADS: [&str; 5] = ["thread_queue", "thread_start", "thread_end", "thread_cancel", "thread_notice"];
const CANCELLATION: [&str; 4] = ["cancel_begin", "cancel_deliver", "end", "crash"];

#[test]
fn the_events_of_a_small_program_come_in_this_order() {
    let _watched = watched();
    let program = || {
        let one = async {
            yield_now().await?;
            tinyio::Ok(1)
        };
        Loop::new().run(async { tinyio::Ok(coro(one).await?) }).unwrap();
    };
    let Some(events) = events_of("the_events_of_a_small_program_come_in_this_order", program) else { return };
    let expected = [
        "loop_start loop 1 parent 0 mode run",
        "spawn loop 1 coro 1 parent 0",
        "step_begin coro 1",
        "spawn loop 1 coro 2 parent 1",
        "wait coro 1 on {coro:2}",
        "step_end coro 1",
        "step_begin coro 2",
        "wait coro 2 on turn",
        "wake coro 2 by own",
        "step_end coro 2",
        "step_begin coro 2",
        "step_end coro 2",
        "end coro 2 outcome ok",
        "wake coro 1 by {coro:2}",
        "step_begin coro 1",
        "step_end coro 1",
        "end coro 1 outcome ok",
        "loop_end loop 1 outcome ok",
        "trace_end",
    ];
    assert_eq!(outline(&events, &[&LOOPS[..], &COROUTINES].concat()), expected);
}

#[test]
fn resources_are_recorded_with_holders_and_waiters() {
    let _watched = watched();
    let program = || {
        let main = async {
            let lock = Lock::new();
            let held = lock.acquire().await?;
            let other = lock.clone();
            let waits = spawn(async move {
                let _held = other.acquire().await?;
                tinyio::Ok(())
            });
            yield_now().await?;
            drop(held);
            waits.await?;

            let (event, semaphore) = (Event::new(), Semaphore::new(2));
            let other = event.clone();
            let waits = spawn(async move { tinyio::Ok(other.wait().await?) });
            let permit = semaphore.acquire().await?;
            yield_now().await?;
            event.set();
            waits.await?;
            event.clear();
            drop((permit, semaphore));

            let barrier = Barrier::new(2);
            let other = barrier.clone();
            let waits = spawn(async move { tinyio::Ok(other.wait().await?) });
            barrier.wait().await?;
            waits.await?;
            tinyio::Ok(())
        };
        Loop::new().run(main).unwrap();
    };
    let Some(events) = events_of("resources_are_recorded_with_holders_and_waiters", program) else { return };
    let expected = [
        "res_new res 1 what lock size 1",
        "hold coro 1 res 1",
        "wait coro 1 on turn",
        "wake coro 1 by own",
        "wait coro 2 on {res:1}",
        "release coro 1 res 1",
        "wake coro 2 by {coro:1}",
        "wait coro 1 on {coro:2}",
        "hold coro 2 res 1",
        "release coro 2 res 1",
        "wake coro 1 by {coro:2}",
        "res_new res 2 what semaphore size 2",
        "hold coro 1 res 2",
        "wait coro 1 on turn",
        "wake coro 1 by own",
        "res_new res 3 what event size 0",
        "wait coro 3 on {res:3}",
        "set res 3 set true",
        "wake coro 3 by {coro:1}",
        "wait coro 1 on {coro:3}",
        "wake coro 1 by {coro:3}",
        "set res 3 set false",
        "release coro 1 res 2",
        "res_drop res 2",
        "res_new res 4 what barrier size 2",
        "wait coro 1 on {res:4}",
        "wake coro 1 by {coro:4}",
        "res_drop res 4",
        "res_drop res 3",
        "res_drop res 1",
    ];
    assert_eq!(outline(&events, &[&RESOURCES[..], &["wait", "wake"]].concat()), expected);
}

#[test]
fn names_that_the_program_gives_are_recorded() {
    let _watched = watched();
    async fn nothing() -> tinyio::Result<()> {
        tinyio::Ok(yield_now().await?)
    }
    let program = || {
        let early = coro(nothing()).named("early");
        let main = async {
            early.await?;
            gather((0..2).map(|n| coro(nothing()).named(format!("worker {n}"))).collect::<Vec<_>>()).await?;
            // The next one may be where this one was.
            for _ in 0..10 {
                drop(coro(nothing()).named("never scheduled"));
                coro(nothing()).await?;
            }
            let late = spawn(nothing());
            yield_now().await?;
            let late = late.named("late");
            late.await?;
            ThreadPool::new(1).named("hashing").run_in_thread(|| tinyio::Ok(())).await?;
            tinyio::Ok(())
        };
        Loop::new().named("uploads").run(main).unwrap();
        Loop::new().run(nothing()).unwrap();
    };
    let Some(events) = events_of("names_that_the_program_gives_are_recorded", program) else { return };
    let text = |id: &Value| {
        let is_it = |event: &&Map<String, Value>| kind(event) == "name" && event["id"] == *id;
        events.iter().find(is_it).expect("a name")["text"].as_str().expect("text")
    };
    let mut named = Vec::new();
    for (at, event) in events.iter().enumerate() {
        match kind(event) {
            "named" => named.push(format!("{} {}", event["what"], text(&event["name"]))),
            "res_new" => named.push(format!("{} {}", event["what"], text(&event["name"]))),
            _ => continue,
        }
        // Only what it has to be interned with stands between.
        let before = events[..at].iter().rev().find(|event| kind(event) != "name").expect("an event");
        if kind(event) == "named" && !named[named.len() - 1].ends_with("late") {
            assert!(["spawn", "loop_start"].contains(&kind(before)), "{before:?} before {event:?}");
        }
    }
    let expected = [
        r#"{"loop":1} uploads"#,
        r#"{"coro":2} early"#,
        r#"{"coro":3} worker 0"#,
        r#"{"coro":4} worker 1"#,
        r#"{"coro":15} late"#,
        r#""semaphore" hashing"#,
    ];
    assert_eq!(named, expected);
}

#[test]
fn the_report_of_a_crash_has_the_names_that_the_program_gave() {
    let _watched = watched();
    let program = || {
        let waits = || async { tinyio::Ok(sleep(Duration::from_secs(3600)).await?) };
        let main = async move {
            for n in 0..3 {
                drop(spawn(coro(waits()).named(format!("worker {n}"))));
            }
            yield_now().await?;
            let fails = async { Err::<(), _>(tinyio::Error::msg("no route")) };
            tinyio::Ok(coro(fails).named("uplink").await?)
        };
        let crash = Loop::new().run(main).unwrap_err();
        let report = format!("{crash:?}");
        assert!(report.contains("3 × worker") && report.contains("uplink"), "{report}");
    };
    let test = "the_report_of_a_crash_has_the_names_that_the_program_gave";
    let Some(events) = events_of(test, program) else { return };
    let crash = events.iter().find(|event| kind(event) == "crash").expect("a crash");
    let failures = crash["failures"].as_array().expect("a list").iter();
    let mut names: Vec<_> = failures.map(|failure| failure["given_name"].as_str().unwrap_or("none")).collect();
    assert_eq!(names.remove(0), "uplink", "the origin");
    names.sort_unstable();
    assert_eq!(names, ["none", "worker 0", "worker 1", "worker 2"]);
}

#[test]
fn the_errors_of_a_deadlock_have_the_names_that_the_program_gave() {
    let _watched = watched();
    let program = || {
        let locks = [Lock::new().named("first"), Lock::new().named("second")];
        let both = |one: Lock, other: Lock| async move {
            let _one = one.acquire().await?;
            yield_now().await?;
            tinyio::Ok(drop(other.acquire().await?))
        };
        let [first, second] = locks;
        let crossed = || {
            let left = coro(both(first.clone(), second.clone())).named("left");
            (left, coro(both(second.clone(), first.clone())).named("right"))
        };
        let crash = Loop::new().run(async { tinyio::Ok(gather(crossed()).await?) }).unwrap_err();
        let message = crash.to_string();
        for [waiter, lock, holder] in [["left #2", "second", "right #3"], ["right #3", "first", "left #2"]] {
            let line = format!("{waiter} waits for the lock \"{lock}\" made at tests/it/events.rs:");
            assert!(message.contains(&line) && message.contains(&format!(", held by {holder}, at ")), "{message}");
        }
        let stuck = Loop::new().run(async {
            tinyio::Ok(coro(async { tinyio::Ok(Barrier::new(2).wait().await.map(drop)?) }).named("listener").await?)
        });
        let message = stuck.unwrap_err().to_string();
        assert!(message.contains("listener #5 waits at tests/it/events.rs:"), "{message}");
    };
    events_of("the_errors_of_a_deadlock_have_the_names_that_the_program_gave", program);
}

#[test]
fn what_coroutines_wait_on_is_recorded_and_when_they_give_up() {
    let _watched = watched();
    let program = || {
        let main = async {
            sleep(Duration::from_millis(1)).await?;
            let event = Event::new();
            let _ = timeout(Duration::from_millis(1), event.wait()).await?;
            let lock = Lock::new();
            let _held = lock.acquire().await?;
            let others = (event.wait(), lock.acquire(), Barrier::new(2).wait(), sleep(LONG));
            drop((once(others.0).await, once(others.1).await, once(others.2).await, once(others.3).await));
            let (release, released) = std::sync::mpsc::channel();
            yield_now().await?;
            let work = spawn(run_in_thread(move || Ok::<_, tinyio::Error>(released.recv()?)));
            // It runs after `work` has begun to wait.
            spawn(async move { Ok::<_, tinyio::Error>(release.send(())?) });
            work.await?;
            let mut polled = false;
            std::future::poll_fn(|cx| {
                if std::mem::replace(&mut polled, true) {
                    return Poll::Ready(());
                }
                let waker = cx.waker().clone();
                std::thread::spawn(move || waker.wake());
                Poll::Pending
            })
            .await;
            tinyio::Ok(())
        };
        Loop::new().run(main).unwrap();
    };
    let Some(events) = events_of("what_coroutines_wait_on_is_recorded_and_when_they_give_up", program) else { return };
    let expected = [
        "wait coro 1 on {timer}",
        "wake coro 1 by timer",
        "wait coro 1 on {coro:2}",
        "wait coro 1 on {timer}",
        "wait coro 2 on {res:1}",
        "wake coro 1 by timer",
        "wait coro 1 on {coro:2}",
        "end coro 2 outcome cancelled",
        "wake coro 1 by own",
        "wait coro 1 on {res:1}",
        "wait coro 1 on {res:2}",
        "wait coro 1 on {res:3}",
        "wait coro 1 on {timer}",
        "clear coro 1 on {res:1}",
        "clear coro 1 on {res:2}",
        "clear coro 1 on {res:3}",
        "clear coro 1 on {timer}",
        "wait coro 1 on turn",
        "wait coro 1 on {coro:3}",
        "wait coro 3 on {thread:1}",
        "end coro 4 outcome ok",
        "wake coro 3 by {thread:1}",
        "end coro 3 outcome ok",
        "wake coro 1 by {coro:3}",
        "wake coro 1 by external",
        "end coro 1 outcome ok",
    ];
    assert_eq!(outline(&events, &["wait", "clear", "wake", "end"]), expected);
}

#[test]
fn functions_on_threads_are_recorded_from_the_queue_to_the_answer_to_a_cancellation() {
    let _watched = watched();
    let program = || {
        let main = async {
            run_in_thread(|| tinyio::Ok(1)).await?;
            let (send, received) = std::sync::mpsc::channel();
            let _asks = spawn(run_in_thread(move || {
                send.send(()).expect("it is waited for");
                thread::sleep(LONG)?;
                tinyio::Ok(())
            }));
            while received.try_recv().is_err() {
                yield_now().await?;
            }
            Err::<(), _>(tinyio::Error::msg("enough"))
        };
        Loop::new().run(main).unwrap_err();
    };
    let test = "functions_on_threads_are_recorded_from_the_queue_to_the_answer_to_a_cancellation";
    let Some(events) = events_of(test, program) else { return };
    let expected = [
        "thread_queue thread 1 coro 2",
        "thread_start thread 1",
        "thread_end thread 1 outcome ok",
        "end coro 2 outcome ok",
        "thread_queue thread 2 coro 3",
        "thread_start thread 2",
        "thread_cancel thread 2",
        "thread_notice thread 2",
        "thread_end thread 2 outcome cancelled",
        "end coro 3 outcome cancelled",
    ];
    let mut lines = outline(&events, &[&THREADS[..], &["end"]].concat());
    lines.retain(|line| !line.starts_with("end coro 1 ")); // A loop that reads its mail late must not fail here.
    assert_eq!(lines, expected);
}

#[test]
fn loops_inside_of_loops_are_trees_with_their_parents() {
    let _watched = watched();
    let program = || {
        let main = async {
            isolate(async { tinyio::Ok(1) }).await?.expect("it does not fail");
            spawn(async {
                Loop::new().run(async { tinyio::Ok(2) }).expect("it does not fail");
                tinyio::Ok(())
            })
            .await?;
            spawn(async {
                let mut inner = Loop::new();
                inner.drive(async { tinyio::Ok(3) }).await.expect("it does not fail");
                tinyio::Ok(())
            })
            .await?;
            tinyio::Ok(())
        };
        Loop::new().run(main).unwrap();
        let mut driven = Loop::new();
        let driven = pin!(driven.drive(async { tinyio::Ok(4) }));
        assert!(driven.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    };
    let Some(events) = events_of("loops_inside_of_loops_are_trees_with_their_parents", program) else { return };
    let expected = [
        "loop_start loop 1 parent 0 mode run",
        "spawn loop 1 coro 1 parent 0",
        "loop_start loop 2 parent 1 mode isolate",
        "spawn loop 2 coro 2 parent 0",
        "end coro 2 outcome ok",
        "loop_end loop 2 outcome ok",
        "spawn loop 1 coro 3 parent 1",
        "loop_start loop 3 parent 3 mode run",
        "spawn loop 3 coro 4 parent 0",
        "end coro 4 outcome ok",
        "loop_end loop 3 outcome ok",
        "end coro 3 outcome ok",
        "spawn loop 1 coro 5 parent 1",
        "loop_start loop 4 parent 5 mode drive",
        "spawn loop 4 coro 6 parent 0",
        "end coro 6 outcome ok",
        "loop_end loop 4 outcome ok",
        "end coro 5 outcome ok",
        "end coro 1 outcome ok",
        "loop_end loop 1 outcome ok",
        "loop_start loop 5 parent 0 mode drive",
        "spawn loop 5 coro 7 parent 0",
        "end coro 7 outcome ok",
        "loop_end loop 5 outcome ok",
    ];
    assert_eq!(outline(&events, &[&LOOPS[..], &["spawn", "end"]].concat()), expected);
}

#[test]
fn no_coroutine_is_woken_while_all_are_being_cancelled() {
    let _watched = watched();
    let program = || {
        let main = async {
            let waker = Rc::new(RefCell::new(None::<Waker>));
            let other = waker.clone();
            let wakes_another = spawn(async move {
                let cancelled = sleep(LONG).await;
                waker.borrow().as_ref().expect("it was polled").wake_by_ref();
                cancelled.map_err(tinyio::Error::from)
            });
            let is_woken = spawn(std::future::poll_fn(move |cx| {
                *other.borrow_mut() = Some(cx.waker().clone());
                Poll::<tinyio::Result<()>>::Pending
            }));
            let wakes_itself = spawn(async {
                let _ = sleep(LONG).await;
                std::future::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    Poll::<tinyio::Result<()>>::Pending
                })
                .await
            });
            turns(2).await?;
            let _all = (wakes_another, is_woken, wakes_itself);
            Err::<(), _>(tinyio::Error::msg("the first"))
        };
        Loop::new().run(main).unwrap_err();
    };
    let Some(events) = events_of("no_coroutine_is_woken_while_all_are_being_cancelled", program) else { return };
    let lines = outline(&events, &[&CANCELLATION[..], &["wake"]].concat());
    let begin = lines.iter().position(|line| line.starts_with("cancel_begin")).expect("it failed");
    let expected = [
        "cancel_begin loop 1 origin 1",
        "cancel_deliver coro 2",
        "end coro 2 outcome cancelled",
        "cancel_deliver coro 3",
        "end coro 3 outcome cancelled",
        "cancel_deliver coro 4",
        "end coro 4 outcome improper",
        "crash loop 1",
    ];
    assert_eq!(lines[begin..], expected);
}

#[test]
fn a_cancellation_is_recorded_from_its_reason_to_every_answer() {
    let _watched = watched();
    let program = || {
        let main = async {
            let obeys = spawn(sleep(LONG));
            let ignores = spawn(async {
                let _ = sleep(LONG).await;
                tinyio::Ok(())
            });
            let fails = spawn(async {
                sleep(LONG).await.map_err(|_: CancelledError| tinyio::Error::msg("mine"))?;
                tinyio::Ok(())
            });
            let panics = spawn(async {
                sleep(LONG).await.expect("no cancellation");
                tinyio::Ok(())
            });
            let first = async {
                turns(2).await?;
                Err::<(), _>(tinyio::Error::msg("the first"))
            };
            let _all = (obeys, ignores, fails, panics);
            gather([coro(first)]).await?;
            tinyio::Ok(())
        };
        Loop::new().run(main).unwrap_err();
    };
    let Some(events) = events_of("a_cancellation_is_recorded_from_its_reason_to_every_answer", program) else { return };
    let expected = [
        "end coro 6 outcome error",
        "cancel_begin loop 1 origin 6",
        "cancel_deliver coro 1",
        "end coro 1 outcome cancelled",
        "cancel_deliver coro 2",
        "end coro 2 outcome cancelled",
        "cancel_deliver coro 3",
        "end coro 3 outcome improper",
        "cancel_deliver coro 4",
        "end coro 4 outcome error",
        "cancel_deliver coro 5",
        "end coro 5 outcome panic",
        "crash loop 1",
    ];
    assert_eq!(outline(&events, &CANCELLATION), expected);
}
