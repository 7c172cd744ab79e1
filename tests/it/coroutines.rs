//! Loop and coroutines.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use tinyio::{Coro, Event, Group, Loop, Panic, Result, coro, sleep, spawn, yield_now};

use crate::check::{Log, line, panic_message, poll_once, turns, watched};

async fn one(x: u32) -> Result<u32> {
    yield_now().await?;
    Ok(x + 1)
}

async fn two(x: u32) -> Result<u32> {
    let y = coro(one(x)).await?;
    Ok(coro(one(y)).await?)
}

/// A coroutine that gives `x + 1`, and how often its body has run.
fn counted(x: u32) -> (Coro<u32>, Rc<Cell<u32>>) {
    let runs = Rc::new(Cell::new(0));
    let ran = runs.clone();
    let coro = coro(async move {
        ran.set(ran.get() + 1);
        one(x).await
    });
    (coro, runs)
}

#[test]
fn basic() {
    let _watched = watched();
    assert_eq!(Loop::new().run(two(4)).unwrap(), 6);
}

#[test]
fn gather() {
    let _watched = watched();
    let pair = Loop::new().run(async { tinyio::gather((coro(one(3)), coro(two(3)))).await }).unwrap();
    assert_eq!(pair, (4, 5));
    let array: [u32; 3] = Loop::new().run(async { tinyio::gather([one(3), one(5), one(4)]).await }).unwrap();
    assert_eq!(array, [4, 6, 5]);
    let many: Vec<u32> =
        Loop::new().run(async { tinyio::gather((0..1000).map(one).collect::<Vec<_>>()).await }).unwrap();
    assert_eq!(many, (1..=1000).collect::<Vec<_>>());
    // In the order in which they were given, whichever ends first; of mixed types.
    let mixed = Loop::new()
        .run(async {
            let text = async {
                turns(20).await?;
                tinyio::Ok("slow".to_owned())
            };
            tinyio::gather((text, one(1), coro(async { tinyio::Ok(()) }))).await
        })
        .unwrap();
    assert_eq!(mixed, ("slow".to_owned(), 2, ()));
}

#[test]
fn gather_empty() {
    let _watched = watched();
    let log = Log::new();
    let (main, other) = (log.clone(), log.clone());
    let nothing: Vec<u32> = Loop::new()
        .run(async move {
            spawn(async move {
                other.push("other");
                tinyio::Ok(())
            });
            let nothing = tinyio::gather(Vec::<Coro<u32>>::new()).await?;
            main.push("main");
            tinyio::Ok(nothing)
        })
        .unwrap();
    assert!(nothing.is_empty());
    assert_eq!(log.entries(), ["other", "main"]);
}

#[test]
fn await_twice() {
    let _watched = watched();
    let (four, runs) = counted(3);
    let both = Loop::new().run(async move { tinyio::Ok((four.clone().await?, four.await?)) }).unwrap();
    assert_eq!(both, (4, 4));
    assert_eq!(runs.get(), 1);
}

#[test]
fn gather_same_twice() {
    let _watched = watched();
    let (four, runs) = counted(3);
    let both = Loop::new().run(async move { tinyio::gather([four.clone(), four]).await }).unwrap();
    assert_eq!(both, [4, 4]);
    assert_eq!(runs.get(), 1);
}

#[test]
fn diamond() {
    let _watched = watched();
    async fn side(shared: Coro<u32>, factor: u32) -> Result<u32> {
        Ok(shared.await? * factor)
    }
    let (shared, runs) = counted(2);
    let sum = Loop::new()
        .run(async move {
            let (left, right) = tinyio::gather((side(shared.clone(), 1), side(shared, 2))).await?;
            tinyio::Ok(left + right)
        })
        .unwrap();
    assert_eq!(sum, 9);
    assert_eq!(runs.get(), 1);
}

#[test]
fn sleep_many() {
    let _watched = watched();
    let log = Log::new();
    let noted = log.clone();
    let start = Instant::now();
    Loop::new()
        .run(async move {
            let sleeper = |log: Log<&'static str>| async move {
                log.push("begin");
                sleep(Duration::from_millis(100)).await?;
                log.push("end");
                tinyio::Ok(())
            };
            tinyio::gather((0..100).map(|_| sleeper(noted.clone())).collect::<Vec<_>>()).await
        })
        .unwrap();
    let took = start.elapsed();
    assert_eq!(log.entries(), [["begin"; 100], ["end"; 100]].concat());
    // One after the other would be ten seconds. The bound is for a machine that is busy with other things.
    assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn multi_run() {
    let _watched = watched();
    let (shared, runs) = counted(24);
    let mut looped = Loop::new();
    for _ in 0..3 {
        let shared = shared.clone();
        assert_eq!(looped.run(async move { tinyio::Ok(shared.await?) }).unwrap(), 25);
    }
    assert_eq!(runs.get(), 1);
    assert_eq!(Loop::new().run(shared).unwrap(), 25);
}

#[test]
fn await_finished() {
    let _watched = watched();
    let log = Log::new();
    let (other, main) = (log.clone(), log.clone());
    Loop::new()
        .run(async move {
            let four = spawn(one(3));
            while !format!("{four:?}").ends_with("done)") {
                yield_now().await?;
            }
            spawn(async move {
                other.push("other");
                tinyio::Ok(())
            });
            assert_eq!(tinyio::gather([four.clone(), four.clone()]).await?, [4, 4]);
            assert_eq!(tinyio::gather((four.clone(), four.clone())).await?, (4, 4));
            assert_eq!(spawn(four.clone()).await?, 4);
            assert_eq!(coro(four.clone()).await?, 4);
            assert_eq!(four.await?, 4);
            main.push("main");
            tinyio::Ok(())
        })
        .unwrap();
    assert_eq!(log.entries(), ["main", "other"]);
}

#[test]
fn spawn_runs() {
    let _watched = watched();
    let log = Log::new();
    let (other, main) = (log.clone(), log.clone());
    let answer = Loop::new()
        .run(async move {
            spawn(async move {
                turns(200).await?;
                other.push("spawned");
                tinyio::Ok(())
            });
            main.push("main");
            tinyio::Ok(1)
        })
        .unwrap();
    assert_eq!(answer, 1);
    assert_eq!(log.entries(), ["main", "spawned"]);
}

#[test]
fn spawn_then_await() {
    let _watched = watched();
    let (four, runs) = counted(3);
    let seen = runs.clone();
    let answers = Loop::new()
        .run(async move {
            let again = spawn(four.clone());
            let spawned = spawn(spawn(four));
            turns(5).await?;
            assert_eq!(seen.get(), 1);
            tinyio::Ok((spawned.await?, again.await?))
        })
        .unwrap();
    assert_eq!(answers, (4, 4));
    assert_eq!(runs.get(), 1);
}

#[test]
fn no_yield() {
    let _watched = watched();
    assert_eq!(Loop::new().run(async { tinyio::Ok(3) }).unwrap(), 3);
    let awaited = Loop::new().run(async { tinyio::Ok(coro(async { tinyio::Ok(3) }).await? + 1) }).unwrap();
    assert_eq!(awaited, 4);
    let gathered = Loop::new().run(async { tinyio::gather([async { tinyio::Ok(3) }]).await }).unwrap();
    assert_eq!(gathered, [3]);
}

#[test]
fn freed() {
    let _watched = watched();
    type Out = Rc<RefCell<Weak<()>>>;
    fn output(weak: &Out) -> Rc<()> {
        let output = Rc::new(());
        *weak.borrow_mut() = Rc::downgrade(&output);
        output
    }
    let alive = |weak: &Out| weak.borrow().upgrade().is_some();
    Loop::new()
        .run(async move {
            // Two handles; it is freed with the second.
            let weak = Out::default();
            let out = weak.clone();
            let first = spawn(async move {
                yield_now().await?;
                tinyio::Ok(output(&out))
            });
            let second = first.clone();
            turns(5).await?;
            assert!(alive(&weak));
            drop(first);
            assert!(alive(&weak));
            drop(second);
            assert!(!alive(&weak));

            // It ended with a timer that has not fired.
            let (weak, event) = (Out::default(), Event::new());
            let (out, waited) = (weak.clone(), event.clone());
            let handle = spawn(async move {
                let by_event = waited.wait_timeout(Duration::from_secs(3600)).await?;
                assert!(by_event);
                tinyio::Ok(output(&out))
            });
            turns(5).await?;
            event.set();
            turns(5).await?;
            assert!(alive(&weak));
            drop(handle);
            assert!(!alive(&weak));

            // No handle was left when it ended.
            let weak = Out::default();
            let out = weak.clone();
            drop(spawn(async move {
                turns(3).await?;
                tinyio::Ok(output(&out))
            }));
            turns(10).await?;
            assert!(!alive(&weak));

            // Taken by the handle that awaited it last.
            let weak = Out::default();
            let out = weak.clone();
            drop(coro(async move { tinyio::Ok(output(&out)) }).await?);
            assert!(!alive(&weak));
            tinyio::Ok(())
        })
        .unwrap();
}

#[test]
fn run_finished() {
    let _watched = watched();
    let (four, runs) = counted(3);
    let mut looped = Loop::new();
    assert_eq!(looped.run(four.clone()).unwrap(), 4);
    assert_eq!(looped.run(four.clone()).unwrap(), 4);
    assert_eq!(Loop::new().run(four).unwrap(), 4);
    assert_eq!(runs.get(), 1);
}

/// Running a loop inside itself does not compile: see the example of `Loop::run`. Behind a `RefCell` it is a panic of
/// the coroutine that tries.
#[test]
fn reentrant() {
    let _watched = watched();
    let looped = RefCell::new(Loop::new());
    let crash = looped
        .borrow_mut()
        .run(async {
            looped.borrow_mut().run(async { tinyio::Ok(()) })?; // a loop inside itself
            tinyio::Ok(())
        })
        .unwrap_err();
    let panic = crash.downcast_ref::<Panic>().expect("a panic");
    assert!(panic.to_string().contains("borrowed"), "{panic}");
    let site = crash.failures()[0].trace().last().unwrap();
    assert_eq!((site.file, site.line), (file!(), line("a loop inside itself")));
}

#[test]
fn wrong_context() {
    let _watched = watched();
    let event = Event::new();
    let check = |message: String, call: &str, line: u32| {
        assert!(message.starts_with(&format!("tinyio::{call} ")), "{message}");
        assert!(message.contains(&format!("{}:{line}:", file!())), "{message}");
        assert!(message.contains("no tinyio loop is running"), "{message}");
    };
    macro_rules! outside {
        ($call:literal, $future:expr) => {
            let message = panic_message(|| poll_once(async { $future.await.map(drop) }));
            check(message, $call, line!());
        };
    }
    outside!("sleep", sleep(Duration::ZERO));
    outside!("yield_now", yield_now());
    outside!("coro", coro(one(1)));
    outside!("coro", tinyio::run_in_thread(|| tinyio::Ok(())));
    outside!("gather", tinyio::gather([one(1)]));
    outside!("Event::wait", event.wait());
    outside!("Event::wait_timeout", event.wait_timeout(Duration::ZERO));
    check(panic_message(|| spawn(one(1))), "spawn", line!());
    // Wakers that are only compared, and those of other executors, are no such case.
    let main = async {
        let mut nap = std::pin::pin!(sleep(Duration::from_millis(1)));
        while nap.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending() {
            yield_now().await?;
        }
        pollster::block_on(async { yield_now().await })
    };
    Loop::new().run(main).unwrap();
    // It was scheduled by a loop, but is awaited outside.
    let never = Rc::new(RefCell::new(None));
    let out = never.clone();
    let crash = Loop::new()
        .group(Group::Always)
        .run(async move {
            *out.borrow_mut() = Some(spawn(sleep(Duration::from_secs(3600))));
            Err::<(), _>(tinyio::Error::msg("stop"))
        })
        .unwrap_err();
    assert_eq!(crash.failures().len(), 2);
    outside!("coro", never.take().unwrap());
}
