//! Deadlocks: errors and warnings with names; loops that nothing inside can wake.

use std::cell::RefCell;
use std::io::BufRead;
use std::rc::Rc;
use std::time::Duration;

use tinyio::{
    Barrier, Coro, Crash, Deadlock, Event, Lock, Loop, Result, Semaphore, as_completed, coro, gather, isolate,
    run_in_thread, sleep, spawn, yield_now,
};

use crate::check::{Child, is_child, line, turns, watched};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The message of the deadlock.
#[track_caller]
fn deadlock(crash: &Crash) -> String {
    crash.downcast_ref::<Deadlock>().unwrap_or_else(|| panic!("no deadlock: {crash:?}")).to_string()
}

#[test]
fn deadlock_locks() {
    let _watched = watched();
    async fn both(name: &'static str, first: Lock, second: Lock) -> Result<&'static str> {
        let _first = first.acquire().await?;
        yield_now().await?;
        let _second = second.acquire().await?; // the second lock
        Ok(name)
    }
    let left = Lock::new(); // left
    let right = Lock::new(); // right
    let main = async {
        let one = both("one", left.clone(), right.clone());
        let other = both("other", right.clone(), left.clone());
        tinyio::Ok(gather((one, other)).await?)
    };
    let crash = Loop::new().run(main).unwrap_err();
    let message = deadlock(&crash);
    let (head, edges) = message.split_once('\n').expect("edges");
    assert_eq!(head, "deadlock: 2 coroutines wait for each other:");
    let [one, other] = crash.failures()[0].trace() else { panic!("two are on it: {crash:?}") };
    let place = format!("at {}:{}:", file!(), line("the second lock"));
    let mut locks = vec![line("left"), line("right")];
    for (edge, (waiter, holder)) in edges.lines().zip([(one, other), (other, one)]) {
        let lock = locks.iter().position(|lock| {
            edge.starts_with(&format!(
                "  {} waits for the lock made at {}:{lock}, held by {}, {place}",
                waiter.name,
                file!(),
                holder.name
            ))
        });
        locks.remove(lock.unwrap_or_else(|| panic!("{message}")));
        assert!(waiter.name.starts_with("it::deadlocks::deadlock_locks::both #"), "{message}");
    }
    assert_eq!((edges.lines().count(), locks.len()), (2, 0), "{message}");
    // The locks are free again.
    assert_eq!(format!("{left:?} {right:?}"), "Lock(free, 0 waiting) Lock(free, 0 waiting)");

    // Through a lock and an await; and one coroutine alone.
    let lock = Lock::new();
    let (held, wanted) = (lock.clone(), lock.clone());
    let main = async move {
        let _held = held.acquire().await?;
        coro(async move { tinyio::Ok(drop(wanted.acquire().await?)) }).await?;
        tinyio::Ok(())
    };
    let message = deadlock(&Loop::new().run(main).unwrap_err());
    assert!(message.starts_with("deadlock: 2 coroutines wait for each other:\n"), "{message}");
    assert!(message.contains(" waits for the lock made at "), "{message}");
    let two = Semaphore::new(2);
    let main = async move {
        let _first = two.acquire().await?;
        let _second = two.acquire().await?;
        tinyio::Ok(drop(two.acquire().await?))
    };
    let message = deadlock(&Loop::new().run(main).unwrap_err());
    assert!(message.starts_with("deadlock: a coroutine waits for itself:\n"), "{message}");
    assert!(message.contains(" waits for the semaphore made at "), "{message}");

    // The holder of the other permit continues, so this is no deadlock.
    let two = Semaphore::new(2);
    let busy = two.clone();
    let main = async move {
        spawn(async move {
            let _busy = busy.acquire().await?;
            tinyio::Ok(sleep(DAY).await?)
        });
        yield_now().await?;
        let _first = two.acquire().await?;
        tinyio::Ok(drop(two.acquire().await?))
    };
    Loop::new().virtual_time().run(main).unwrap();
}

/// A handle that can be requested before it exists.
type Later<T> = Rc<RefCell<Option<Coro<T>>>>;

#[test]
fn a_deadlock_through_a_semaphore_names_all_that_hold_it() {
    let _watched = watched();
    async fn sells(permits: Semaphore, stock: Lock) -> Result<()> {
        let _permit = permits.acquire().await?;
        yield_now().await?;
        let _stock = stock.acquire().await?; // for the stock
        Ok(())
    }
    async fn counts(permits: Semaphore, stock: Lock) -> Result<()> {
        let _stock = stock.acquire().await?;
        let _first = permits.acquire().await?;
        yield_now().await?;
        let _second = permits.acquire().await?; // for a second permit
        Ok(())
    }
    let main = async {
        let (permits, stock) = (Semaphore::new(3).named("permits"), Lock::new().named("stock"));
        let both = (sells(permits.clone(), stock.clone()), sells(permits.clone(), stock.clone()));
        gather((counts(permits, stock), both.0, both.1)).await?;
        tinyio::Ok(())
    };
    let message = deadlock(&Loop::new().run(main).unwrap_err());
    let (head, lines) = message.split_once('\n').expect("lines");
    assert_eq!(head, "deadlock: 3 coroutines wait for each other:");
    let [first, second, third] = &lines.lines().collect::<Vec<_>>()[..] else { panic!("{message}") };
    let permits = |line: &str| line.contains("::counts #") && line.contains("the semaphore \"permits\"");
    let stock = |line: &str| line.contains("::sells #") && line.contains("the lock \"stock\"");
    assert!(permits(first) && stock(second) || stock(first) && permits(second), "{message}");
    assert!(stock(third), "{message}");
    let holders = message.split("held by ").nth(1 + usize::from(stock(first))).expect("holders");
    let holders = holders.split(", at").next().expect("names");
    assert_eq!((holders.matches("::sells #").count(), holders.matches("::counts #").count()), (2, 1), "{message}");
}

async fn awaits_later(other: Later<()>) -> Result<()> {
    // The search for what happens before this is done by then.
    sleep(Duration::from_millis(60)).await?;
    let other = other.borrow().clone().expect("by now it is there");
    Ok(other.await?)
}

#[test]
fn deadlocks_through_loops_inside_are_found() {
    let _watched = watched();
    // An isolated coroutine waits for one outside, which waits for the isolating one; at any depth; and the same with a
    // driven loop.
    for how in ["isolated", "deeper", "driven"] {
        let main = async move {
            spawn(async { tinyio::Ok(sleep(DAY).await?) });
            let other: Later<()> = Rc::default();
            let wanted = other.clone();
            let holds = spawn(async move {
                match how {
                    "isolated" => isolate(awaits_later(wanted)).await?.map_err(tinyio::Error::from),
                    "deeper" => {
                        let inner = async { tinyio::Ok(isolate(awaits_later(wanted)).await??) };
                        isolate(inner).await?.map_err(tinyio::Error::from)
                    }
                    _ => Ok(Loop::new().drive(awaits_later(wanted)).await?),
                }
            });
            *other.borrow_mut() = Some(spawn(async move { tinyio::Ok(holds.await?) }));
            tinyio::Ok(())
        };
        let crash = Loop::new().run(main).unwrap_err();
        let message = deadlock(&crash);
        let coroutines = if how == "deeper" { 4 } else { 3 };
        assert!(message.starts_with(&format!("deadlock: {coroutines} coroutines wait for each other:")), "{message}");
        assert!(message.contains("deadlocks::awaits_later #"), "{message}");
        let all_here = message.lines().skip(1).all(|line| line.contains("deadlocks::") && line.contains(file!()));
        assert!(all_here, "{how}: {message}");
    }

    // Through a lock.
    let main = async {
        let lock = Lock::new();
        let wanted = lock.clone();
        let _held = lock.acquire().await?;
        isolate(async move { tinyio::Ok(drop(wanted.acquire().await?)) }).await??;
        tinyio::Ok(())
    };
    let message = deadlock(&Loop::new().run(main).unwrap_err());
    assert!(message.starts_with("deadlock: 2 coroutines wait for each other:"), "{message}");
    assert!(message.contains(" waits for the lock made at "), "{message}");

    // Through the next to end of several.
    let main = async {
        spawn(async { tinyio::Ok(sleep(DAY).await?) });
        let own: Later<()> = Rc::default();
        let wanted = own.clone();
        *own.borrow_mut() = Some(spawn(async move {
            let mut all = as_completed([coro(awaits_later(wanted)), coro(async { tinyio::Ok(()) })]);
            while all.next().await?.is_some() {}
            tinyio::Ok(())
        }));
        tinyio::Ok(())
    };
    let message = deadlock(&Loop::new().run(main).unwrap_err());
    assert!(message.starts_with("deadlock: 3 coroutines wait for each other:"), "{message}");

    // A coroutine outside may still release it, or come to the barrier, or end: no deadlock.
    let main = async {
        let (lock, two) = (Lock::new(), Barrier::new(2));
        let (held, here) = (lock.clone(), two.clone());
        let sleeps = spawn(async move {
            let held = held.acquire().await?;
            sleep(DAY).await?;
            drop(held);
            here.wait().await?;
            sleep(DAY).await?;
            tinyio::Ok(7)
        });
        yield_now().await?;
        let inside = async move {
            drop(lock.acquire().await?);
            two.wait().await?;
            tinyio::Ok(sleeps.await?)
        };
        let outer = isolate(async { tinyio::Ok(isolate(inside).await??) }).await?;
        tinyio::Ok(outer?)
    };
    assert_eq!(Loop::new().virtual_time().run(main).unwrap(), 7);

    // A loop that is run inside a coroutine blocks the coroutine it waits for.
    let main = async {
        let other = spawn(async { tinyio::Ok(turns(3).await?) });
        yield_now().await?;
        tinyio::Ok(Loop::new().run(async { tinyio::Ok(other.await?) })?)
    };
    let crash = Loop::new().run(main).unwrap_err();
    let inner = crash.downcast_ref::<Crash>().expect("the inner loop's");
    assert!(deadlock(inner).starts_with("deadlock: a coroutine waits, and nothing is left"), "{inner:?}");
}

/// A permit that a coroutine of the enclosing loop was woken for, and has not fetched yet, counts as held: a coroutine
/// that waits for it in an isolated loop can still be woken.
#[test]
fn deadlock_locks_not_while_a_permit_is_on_its_way() {
    let _watched = watched();
    let main = async {
        let (lock, event) = (Lock::new(), Event::new());
        let held = lock.acquire().await?;
        let next = lock.clone();
        let next = spawn(async move { next.acquire().await.map(drop) });
        yield_now().await?;
        let (last, set) = (lock.clone(), event.clone());
        let last = spawn(async move {
            let inside = async move {
                spawn(async move { set.wait().await });
                last.acquire().await.map(drop)
            };
            isolate(inside).await?.map_err(tinyio::Error::from)
        });
        for _ in 0..10 {
            yield_now().await?;
        }
        // The isolated loop has its turn first; only the coroutine that waits for the lock is left in it.
        event.set();
        drop(held);
        next.await?;
        tinyio::Ok(last.await?)
    };
    Loop::new().run(main).unwrap();
}

/// Moves a guard: the acquirer waits for the same lock or semaphore while another coroutine, or a thread, has the
/// guard.
#[test]
fn a_guard_that_was_moved_is_no_deadlock() {
    let _watched = watched();
    let spawned = async {
        let two = Semaphore::new(2);
        for _ in 0..6 {
            let permit = two.acquire().await?;
            spawn(async move {
                sleep(Duration::from_secs(10)).await?;
                tinyio::Ok(drop(permit))
            });
        }
        tinyio::Ok(())
    };
    let on_a_shelf = async {
        let (lock, shelf) = (Lock::new(), Rc::new(RefCell::new(Vec::new())));
        let taken = shelf.clone();
        spawn(async move {
            sleep(DAY).await?;
            tinyio::Ok(taken.borrow_mut().clear())
        });
        let guard = lock.acquire().await?;
        shelf.borrow_mut().push(guard);
        tinyio::Ok(drop(lock.acquire().await?))
    };
    let returned = async {
        let lock = Lock::new();
        let acquired = coro(lock.acquire());
        let wanted = spawn(async move {
            let _guard = acquired.await?;
            tinyio::Ok(sleep(DAY).await?)
        });
        turns(3).await?;
        drop(lock.acquire().await?);
        tinyio::Ok(wanted.await?)
    };
    let tried = async {
        let lock = Lock::new();
        let guard = lock.try_acquire();
        spawn(async move {
            sleep(DAY).await?;
            tinyio::Ok(drop(guard))
        });
        tinyio::Ok(drop(lock.acquire().await?))
    };
    Loop::new().virtual_time().run(spawned).unwrap();
    Loop::new().virtual_time().run(on_a_shelf).unwrap();
    Loop::new().virtual_time().run(returned).unwrap();
    Loop::new().virtual_time().run(tried).unwrap();

    // To functions on threads: of this loop, and of the loop that this one blocks.
    async fn on_thread(nested: bool) -> Result<()> {
        let lock = Lock::new();
        let guard = lock.acquire().await?;
        let (send, received) = std::sync::mpsc::channel::<()>();
        let thread = run_in_thread(move || {
            let _ = received.recv();
            tinyio::Ok(drop(guard))
        });
        let thread = spawn(thread);
        yield_now().await?;
        let wants = async move {
            let turns = spawn(turns(100));
            let wants = spawn(async move { lock.acquire().await.map(drop) });
            turns.await?;
            // The search after this finds only the coroutine that waits.
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(100));
                send.send(())
            });
            tinyio::Ok(wants.await?)
        };
        match nested {
            true => Loop::new().run(wants)?,
            false => wants.await?,
        }
        tinyio::Ok(thread.await?)
    }
    Loop::new().run(on_thread(false)).unwrap();
    Loop::new().run(on_thread(true)).unwrap();

    // To the enclosing loop, by an isolated one.
    let main = async {
        let (lock, shelf) = (Lock::new(), Rc::new(RefCell::new(Vec::new())));
        let put = shelf.clone();
        let taker = spawn(async move {
            sleep(DAY).await?;
            tinyio::Ok(shelf.borrow_mut().clear())
        });
        let inside = async move {
            let guard = lock.acquire().await?;
            put.borrow_mut().push(guard);
            tinyio::Ok(drop(lock.acquire().await?))
        };
        isolate(inside).await??;
        tinyio::Ok(taker.await?)
    };
    Loop::new().virtual_time().run(main).unwrap();
}

/// Takes two locks, with a turn in between.
async fn takes_both(first: Lock, second: Lock) -> Result<()> {
    let _first = first.acquire().await?;
    yield_now().await?;
    let _second = second.acquire().await?; // the other lock
    Ok(())
}

fn tangle() {
    let (left, right) = (Lock::new().named("left or right"), Lock::new().named("left or right")); // two locks
    spawn(takes_both(left.clone(), right.clone()));
    spawn(takes_both(right, left));
}

#[test]
fn a_cycle_through_locks_beside_other_work_is_a_warning_that_names_it_once() {
    let _watched = watched();
    if is_child() {
        let enough = || Err::<(), _>(tinyio::Error::msg("enough"));
        // A ticker, in virtual time: half a minute of it, in each tick an await that may close a cycle.
        let main = async {
            tangle();
            for _ in 0..3000 {
                spawn(sleep(Duration::from_millis(10))).await?;
            }
            eprintln!("ticked");
            enough()
        };
        let crash = Loop::new().virtual_time().run(main).unwrap_err();
        assert_eq!(crash.error().to_string(), "enough");
        // A waker that another thread has, which calls it when the parent has seen the warning; and a coroutine that
        // never sleeps.
        for busy in [false, true] {
            let main = async move {
                tangle();
                let is_set = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
                let mut sets = Some(is_set.clone());
                std::future::poll_fn(|cx| {
                    use std::sync::atomic::Ordering::SeqCst;
                    if let Some(sets) = sets.take() {
                        let waker = cx.waker().clone();
                        std::thread::spawn(move || {
                            std::io::stdin().lock().read_line(&mut String::new()).expect("text");
                            sets.store(true, SeqCst);
                            waker.wake();
                        });
                    }
                    match is_set.load(SeqCst) {
                        true => std::task::Poll::Ready(()),
                        false => {
                            if busy {
                                cx.waker().wake_by_ref();
                            }
                            std::task::Poll::Pending
                        }
                    }
                })
                .await;
                enough()
            };
            let crash = Loop::new().run(main).unwrap_err();
            assert_eq!(crash.error().to_string(), "enough");
        }
        return;
    }
    let mut child = Child::start("deadlocks::a_cycle_through_locks_beside_other_work_is_a_warning_that_names_it_once");
    for how in ["ticker", "waker", "busy"] {
        let warning = child.wait_for("warning");
        let seconds = warning.split_once("probably a deadlock: for ").and_then(|(_, rest)| rest.split_once(" s "));
        let seconds = seconds.and_then(|(seconds, _)| seconds.parse::<f64>().ok());
        assert!(
            seconds.is_some_and(|seconds| seconds >= 1.0)
                && warning.contains("2 coroutines have waited for each other"),
            "{how}: {warning}"
        );
        for _ in 0..2 {
            let edge = child.wait_for("waits for");
            let lock = format!(
                "waits for the lock \"left or right\" made at {}:{}, held by it::deadlocks::takes_both #",
                file!(),
                line("two locks")
            );
            let place = format!("at {}:{}:", file!(), line("the other lock"));
            assert!(
                edge.starts_with("  it::deadlocks::takes_both #") && edge.contains(&lock) && edge.contains(&place),
                "{edge}"
            );
        }
        if how == "ticker" {
            let rest = child.read_until("ticked");
            assert!(!rest.contains("warning"), "{rest}");
        } else {
            child.tell("go on");
        }
    }
    let rest = child.finish();
    assert!(!rest.contains("warning"), "{rest}");
}

#[test]
fn permits_that_jobs_keep_for_long_are_not_warned_of() {
    let _watched = watched();
    if is_child() {
        let main = async {
            let two = Semaphore::new(2);
            for _ in 0..6 {
                let permit = two.acquire().await?;
                spawn(async move {
                    for _ in 0..600 {
                        sleep(Duration::from_millis(100)).await?;
                    }
                    tinyio::Ok(drop(permit))
                });
            }
            tinyio::Ok(())
        };
        return Loop::new().virtual_time().run(main).unwrap();
    }
    assert_eq!(crate::check::stderr_of("deadlocks::permits_that_jobs_keep_for_long_are_not_warned_of"), "");
}

#[test]
fn a_cycle_of_coroutines_is_found_beside_others_that_never_end() {
    let _watched = watched();
    for how in ["a ticker in virtual time", "always busy"] {
        let main = async move {
            let (one, other): (Later<()>, Later<()>) = Default::default();
            let (first, second) = (one.clone(), other.clone());
            *one.borrow_mut() = Some(spawn(awaits_later(second)));
            *other.borrow_mut() = Some(spawn(awaits_later(first)));
            loop {
                match how {
                    "always busy" => yield_now().await?,
                    _ => sleep(Duration::from_millis(1)).await?,
                }
            }
            #[expect(unreachable_code, reason = "names the type of the error")]
            tinyio::Ok(())
        };
        let looped = Loop::new();
        let mut looped = if how == "always busy" { looped } else { looped.virtual_time() };
        let message = deadlock(&looped.run(main).unwrap_err());
        assert!(message.starts_with("deadlock: 2 coroutines wait for each other:"), "{how}: {message}");
    }
}

#[test]
fn quiescent() {
    let _watched = watched();
    /// Waits for a coroutine that does not come.
    async fn meets(barrier: Barrier) -> Result<()> {
        barrier.wait().await?; // meets
        Ok(())
    }
    async fn wants(lock: Lock) -> Result<()> {
        drop(lock.acquire().await?); // wants
        Ok(())
    }
    async fn awaits(other: Coro<()>) -> Result<()> {
        other.await?; // awaits
        Ok(())
    }
    if is_child() {
        let event = Event::new();
        let set = event.clone();
        std::thread::spawn(move || {
            // The parent writes a line when it has read the warning.
            std::io::stdin().lock().read_line(&mut String::new()).expect("text");
            set.set();
        });
        let main = async move {
            let waits = spawn(async move { tinyio::Ok(event.wait().await?) }); // the event
            tinyio::Ok(awaits(waits).await?)
        };
        Loop::new().warn_quiescent(Duration::from_millis(20)).run(main).unwrap();
        eprintln!("it went on");
        return;
    }
    // No other coroutine will ever come.
    let lock = Lock::new();
    let kept = Rc::new(RefCell::new(None));
    let keeps = kept.clone();
    let main = async move {
        let held = lock.clone();
        coro(async move {
            *keeps.borrow_mut() = Some(held.acquire().await?);
            tinyio::Ok(())
        })
        .await?;
        let meets = spawn(meets(Barrier::new(2)));
        gather((awaits(meets), wants(lock))).await?; // gathers
        tinyio::Ok(())
    };
    let crash = Loop::new().run(main).unwrap_err();
    drop(kept);
    let message = deadlock(&crash);
    let (head, list) = message.split_once('\n').expect("a list");
    assert_eq!(head, "deadlock: 4 coroutines wait, and nothing is left that can wake them:");
    let expected = [("", "gathers"), ("::meets", "meets"), ("::awaits", "awaits"), ("::wants", "wants")];
    let got: Vec<_> = list.lines().collect();
    assert_eq!(got.len(), expected.len(), "{message}");
    for (got, (name, mark)) in got.iter().zip(expected) {
        assert!(got.starts_with(&format!("  it::deadlocks::quiescent{name} #")), "{message}");
        assert!(got.contains(&format!(" at {}:{}:", file!(), line(mark))), "{message}");
    }
    assert_eq!(crash.failures()[0].trace().len(), 4);

    // With an event among them: a warning with the same list, and the wait continues.
    let mut child = Child::start("deadlocks::quiescent");
    let warning = child.wait_for("warning");
    assert!(
        warning.contains("all 2 coroutines wait, and only an event that is set from outside can wake them, or a guard"),
        "{warning}"
    );
    for mark in ["awaits", "the event"] {
        let listed = child.wait_for(" at ");
        assert!(listed.contains(&format!(" at {}:{}:", file!(), line(mark))), "{listed}");
    }
    child.tell("go on");
    assert_eq!(child.finish(), "it went on\n");
}
