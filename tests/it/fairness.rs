//! Events and fairness.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use tinyio::{Event, Loop, Result, gather, spawn};

use crate::check::{Log, turns, watched};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn event_wait_set() {
    let _watched = watched();
    let event = Event::new();
    assert!(!event.is_set());
    let log = Log::new();
    let (waited, set) = (event.clone(), event.clone());
    let (before, after) = (log.clone(), log.clone());
    Loop::new()
        .run(async move {
            let waiter = async move {
                before.push("waits");
                waited.wait().await?;
                before.push("released");
                tinyio::Ok(())
            };
            let setter = async move {
                turns(20).await?;
                assert!(!set.is_set());
                after.push("sets");
                set.set();
                assert!(set.is_set());
                tinyio::Ok(())
            };
            gather((waiter, setter)).await
        })
        .unwrap();
    assert!(event.is_set());
    assert_eq!(log.entries(), ["waits", "sets", "released"]);

    // From another thread, to a loop that has nothing else to do.
    let event = Event::new();
    let set = event.clone();
    Loop::new()
        .run(async move {
            let waiter = spawn(async move { event.wait().await });
            turns(3).await?;
            std::thread::spawn(move || set.set());
            tinyio::Ok(waiter.await?)
        })
        .unwrap();
}

#[test]
fn event_already_set() {
    let _watched = watched();
    let event = Event::new();
    event.set();
    let log = Log::new();
    let (main, other) = (log.clone(), log.clone());
    Loop::new()
        .run(async move {
            spawn(async move {
                other.push("other");
                tinyio::Ok(())
            });
            event.wait().await?;
            assert!(event.wait_timeout(LONG).await?);
            assert!(event.wait_timeout(Duration::ZERO).await?);
            main.push("main");
            gather([event.wait(), event.wait()]).await
        })
        .unwrap();
    assert_eq!(log.entries(), ["main", "other"]);
}

#[test]
fn event_fairness() {
    let _watched = watched();
    let log = Log::new();
    let noted = log.clone();
    Loop::new()
        .run(async move {
            let event = Event::new();
            let worker = |event: Event, log: Log<u32>| async move {
                assert!(!event.wait_timeout(Duration::ZERO).await?);
                log.push(1);
                turns(20).await?;
                log.push(2);
                tinyio::Ok(())
            };
            gather((worker(event.clone(), noted.clone()), worker(event, noted))).await
        })
        .unwrap();
    assert_eq!(log.entries(), [1, 1, 2, 2]);
}

#[test]
fn event_fairness_spawn() {
    let _watched = watched();
    let log = Log::new();
    let (waiter, main) = (log.clone(), log.clone());
    Loop::new()
        .run(async move {
            spawn(async move {
                assert!(!Event::new().wait_timeout(Duration::ZERO).await?);
                waiter.push(1);
                tinyio::Ok(())
            });
            turns(20).await?;
            main.push(2);
            tinyio::Ok(())
        })
        .unwrap();
    assert_eq!(log.entries(), [1, 2]);
}

#[test]
fn event_many_setters() {
    let _watched = watched();
    let event = Event::new();
    let polls = Rc::new(Cell::new(0));
    let (waited, counted) = (event.clone(), polls.clone());
    Loop::new()
        .run(async move {
            let after = Event::new();
            let end = after.clone();
            let waiter = spawn(async move {
                for mut wait in [Box::pin(waited.wait()), Box::pin(after.wait())] {
                    poll_fn(|cx| {
                        counted.set(counted.get() + 1);
                        wait.as_mut().poll(cx)
                    })
                    .await?;
                }
                tinyio::Ok(())
            });
            turns(3).await?;
            let start = Arc::new(Barrier::new(100));
            let setters = (0..100).map(|_| {
                let (event, start) = (event.clone(), start.clone());
                tinyio::run_in_thread(move || {
                    start.wait();
                    event.set();
                    tinyio::Ok(())
                })
            });
            gather(setters.collect::<Vec<_>>()).await?;
            assert!(event.is_set());
            // A surplus wake would come now, while it waits for something else.
            event.set();
            turns(20).await?;
            end.set();
            tinyio::Ok(waiter.await?)
        })
        .unwrap();
    assert_eq!(polls.get(), 2 + 2);
}

#[test]
fn event_clear_not_strict() {
    let _watched = watched();
    for turns_before_clear in [20, 0] {
        let log = Log::new();
        let noted = log.clone();
        let event = Event::new();
        let cleared = event.clone();
        Loop::new()
            .run(async move {
                let waiter = |event: Event, log: Log<u32>| async move {
                    event.wait().await?;
                    log.push(2);
                    tinyio::Ok(())
                };
                let (one, two) = (waiter(event.clone(), noted.clone()), waiter(event.clone(), noted.clone()));
                let setter = async move {
                    noted.push(1);
                    event.set();
                    turns(turns_before_clear).await?;
                    event.clear();
                    turns(20).await?;
                    noted.push(3);
                    tinyio::Ok(())
                };
                // The setter comes last: both wait by then.
                gather((one, two, setter)).await
            })
            .unwrap();
        assert_eq!(log.entries(), [1, 2, 2, 3]);
        assert!(!cleared.is_set());
    }
}

/// All sequences of up to five of these: set or clear the one or the other. After each the state is that of the model:
/// a wait is over, permanently, once its event was set or its time is up, and the gathering is over once both waits
/// are.
#[test]
fn event_timeout_mix() {
    let _watched = watched();
    #[derive(Clone, Copy)]
    enum Op {
        SetA,
        ClearA,
        SetB,
        ClearB,
    }
    const OPS: [Op; 4] = [Op::SetA, Op::ClearA, Op::SetB, Op::ClearB];
    async fn play(ops: Vec<Op>, timeout: Duration, settle: bool) -> Result<()> {
        let (a, b) = (Event::new(), Event::new());
        let (wait_a, wait_b) = (a.clone(), b.clone());
        let gathering = spawn(async move {
            let wait_b = async move {
                wait_b.wait().await?;
                tinyio::Ok(())
            };
            gather((wait_a.wait_timeout(timeout), wait_b)).await
        });
        let ended = || format!("{gathering:?}").ends_with("done)");
        // It begins, and its two waits do.
        turns(2).await?;
        let (mut a_over, mut b_over) = (None, false);
        if timeout.is_zero() && settle {
            turns(5).await?;
            a_over = Some(false);
        }
        for op in ops {
            match op {
                Op::SetA => a.set(),
                Op::ClearA => a.clear(),
                Op::SetB => b.set(),
                Op::ClearB => b.clear(),
            }
            if matches!(op, Op::SetA) && a_over.is_none() {
                a_over = Some(true);
            }
            b_over |= matches!(op, Op::SetB);
            if settle {
                turns(5).await?;
                assert_eq!(ended(), a_over.is_some() && b_over);
            }
        }
        turns(5).await?;
        if timeout.is_zero() {
            a_over.get_or_insert(false);
        }
        assert_eq!(ended(), a_over.is_some() && b_over);
        a.set();
        b.set();
        assert_eq!(gathering.await?, (a_over.unwrap_or(true), ()));
        Ok(())
    }
    for length in 0..=5 {
        for number in 0..4_usize.pow(length) {
            let ops: Vec<Op> = (0..length).map(|i| OPS[number / 4_usize.pow(i) % 4]).collect();
            for timeout in [Duration::ZERO, LONG] {
                for settle in [true, false] {
                    Loop::new().run(play(ops.clone(), timeout, settle)).unwrap();
                }
            }
        }
    }
}

#[test]
fn event_timeout_sole() {
    let _watched = watched();
    for timeout in [Duration::ZERO, Duration::from_millis(1)] {
        let (never, second) = (Event::new(), Event::new());
        let set = second.clone();
        let (send, received) = std::sync::mpsc::channel();
        let setter = std::thread::spawn(move || {
            // The first wait is over, and the loop has nothing to do but wait.
            received.recv().unwrap();
            set.set();
        });
        let first = async move {
            let by_event = never.wait_timeout(timeout).await?;
            send.send(()).unwrap();
            tinyio::Ok(by_event)
        };
        let main = gather((first, async move { second.wait().await }));
        assert_eq!(Loop::new().run(main).unwrap(), (false, ()));
        setter.join().unwrap();
    }
}

#[test]
fn wait_timeout_value() {
    let _watched = watched();
    let (never, set, both) = (Event::new(), Event::new(), Event::new());
    let later = set.clone();
    Loop::new()
        .run(async move {
            assert!(!never.wait_timeout(Duration::ZERO).await?);
            assert!(!never.wait_timeout(Duration::from_millis(1)).await?);
            let (by_event, ()) = gather((async move { set.wait_timeout(LONG).await }, async move {
                turns(3).await?;
                later.set();
                tinyio::Ok(())
            }))
            .await?;
            assert!(by_event);
            // Set before the waiter has its turn, and the time is up as well: it is the event.
            let waiter = both.clone();
            let waiting = spawn(async move { waiter.wait_timeout(Duration::from_millis(1)).await });
            turns(1).await?;
            std::thread::sleep(Duration::from_millis(10));
            both.set();
            both.clear();
            assert!(waiting.await?);
            tinyio::Ok(())
        })
        .unwrap();
}

/// A thread that takes a waker, wakes it and drops it, again and again: the loop, which sees that no waker remains,
/// must not take that for a deadlock.
#[test]
fn a_wake_that_drops_the_last_waker_is_no_deadlock() {
    let _watched = watched();
    use std::sync::{Arc, Mutex};
    use std::task::{Poll, Waker};

    const ROUNDS: u32 = 20_000;
    let slot: Arc<Mutex<(u32, Option<Waker>)>> = Arc::default();
    let other = slot.clone();
    let thread = std::thread::spawn(move || {
        loop {
            let mut slot = other.lock().unwrap();
            if slot.0 == ROUNDS {
                return;
            }
            let waker = slot.1.take();
            slot.0 += u32::from(waker.is_some());
            drop(slot);
            match waker {
                Some(waker) => waker.wake(),
                // The loop's thread needs the lock, and the processor: valgrind runs one thread at a time.
                None => std::thread::yield_now(),
            }
        }
    });
    let rounds = tinyio::Loop::new().run(std::future::poll_fn(|cx| {
        let mut slot = slot.lock().unwrap();
        if slot.0 == ROUNDS {
            return Poll::Ready(tinyio::Ok(slot.0));
        }
        slot.1 = Some(cx.waker().clone());
        Poll::Pending
    }));
    assert_eq!(rounds.unwrap(), ROUNDS);
    thread.join().unwrap();
}
