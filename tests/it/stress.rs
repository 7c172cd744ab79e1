//! Many coroutines, and deep chains, on a small stack: nothing may recurse with their number.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tinyio::{Coro, Event, Group, Loop, coro, gather, sleep, spawn, yield_now};

use crate::check::{OnDrop, turns, watched};

/// In debug builds, and under valgrind, a tenth is enough.
const DEEP: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
const MANY: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// Runs `f` on a thread whose stack is too small for a frame for each of a few thousand coroutines.
fn on_a_small_stack(f: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(128 * 1024).spawn(f).unwrap().join().unwrap();
}

/// A chain of coroutines, each of which awaits the next; the last awaits `end`.
fn chain(depth: usize, end: Coro<usize>, dropped: &Rc<Cell<usize>>) -> Coro<usize> {
    (0..depth).fold(end, |next, _| {
        let dropped = dropped.clone();
        coro(async move {
            let _counted = OnDrop(|| dropped.set(dropped.get() + 1));
            Ok::<_, tinyio::Error>(next.await? + 1)
        })
    })
}

#[test]
fn a_deep_chain_runs() {
    let _watched = watched();
    on_a_small_stack(|| {
        let dropped = Rc::default();
        let main = chain(DEEP, coro(async { turns(3).await.map(|()| 0) }), &dropped);
        assert_eq!(Loop::new().run(main).unwrap(), DEEP);
        assert_eq!(dropped.get(), DEEP);
    });
}

#[test]
fn a_deep_chain_fails_at_its_end() {
    let _watched = watched();
    on_a_small_stack(|| {
        for group in [Group::Auto, Group::Always] {
            let dropped = Rc::default();
            let main = chain(DEEP, coro(async { turns(3).await.and(Err(tinyio::Error::msg("the end"))) }), &dropped);
            let crash = Loop::new().group(group).run(main).unwrap_err();
            assert_eq!(crash.failures().len(), 1);
            assert_eq!(crash.failures()[0].trace().len(), DEEP + 1);
            assert_eq!(dropped.get(), DEEP);
        }
    });
}

#[test]
fn a_deep_chain_is_cancelled() {
    let _watched = watched();
    on_a_small_stack(|| {
        for group in [Group::Auto, Group::Always] {
            let dropped = Rc::default();
            let waits = chain(DEEP, coro(async { Event::new().wait().await.map(|()| 0) }), &dropped);
            let main = async move {
                spawn(waits);
                turns(DEEP as u32 + 10).await.and(Err::<(), _>(tinyio::Error::msg("aside")))
            };
            let crash = Loop::new().group(group).run(main).unwrap_err();
            assert_eq!(crash.failures().len(), if group == Group::Always { DEEP + 2 } else { 1 });
            assert_eq!(dropped.get(), DEEP);
        }
    });
}

#[test]
fn a_deep_chain_is_dropped_before_it_has_begun() {
    let _watched = watched();
    on_a_small_stack(|| {
        let dropped = Rc::new(());
        let mut next: Coro<()> = coro(async { tinyio::Ok(()) });
        for _ in 0..DEEP {
            let held = dropped.clone();
            next = coro(async move {
                let _held = held;
                Ok::<_, tinyio::Error>(next.await?)
            });
        }
        assert_eq!(Rc::strong_count(&dropped), DEEP + 1);
        drop(next);
        assert_eq!(Rc::strong_count(&dropped), 1);
    });
}

#[test]
fn outputs_that_hold_handles_are_dropped() {
    let _watched = watched();
    struct Link {
        _next: Option<Coro<Link>>,
        _held: Rc<()>,
    }
    on_a_small_stack(|| {
        let held = Rc::new(());
        let counted = held.clone();
        Loop::new()
            .run(async move {
                let mut last: Option<Coro<Link>> = None;
                for _ in 0..DEEP {
                    let (next, held) = (last.take(), counted.clone());
                    last = Some(spawn(async move { tinyio::Ok(Link { _next: next, _held: held }) }));
                    yield_now().await?;
                }
                turns(3).await?;
                assert_eq!(Rc::strong_count(&counted), DEEP + 2);
                drop(last);
                assert_eq!(Rc::strong_count(&counted), 2);
                tinyio::Ok(())
            })
            .unwrap();
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn many_are_gathered() {
    let _watched = watched();
    on_a_small_stack(|| {
        let sum = Loop::new()
            .run(async {
                let coros = (0..MANY).map(|n| async move {
                    yield_now().await?;
                    tinyio::Ok(n)
                });
                let numbers = gather(coros.collect::<Vec<_>>()).await?;
                assert!(numbers.iter().copied().eq(0..MANY));
                tinyio::Ok(numbers.len())
            })
            .unwrap();
        assert_eq!(sum, MANY);
    });
}

#[test]
fn many_are_cancelled() {
    let _watched = watched();
    on_a_small_stack(|| {
        let main = async {
            let naps = (0..MANY).map(|n| async move {
                if n + 1 == MANY {
                    return turns(3).await.and(Err(tinyio::Error::msg("the last")));
                }
                Ok(sleep(Duration::from_secs(3600)).await?)
            });
            gather(naps.collect::<Vec<_>>()).await // all of them
        };
        let crash = Loop::new().group(Group::Always).run(async { main.await }).unwrap_err();
        assert_eq!(crash.failures().len(), MANY);
        assert_eq!(crash.error().to_string(), "the last");
        // Failures with equal text are shown once.
        let report = format!("{crash:?}");
        assert!(report.lines().count() < 50, "{report}");
    });
}

#[test]
fn many_wait_for_one() {
    let _watched = watched();
    on_a_small_stack(|| {
        let sum = Loop::new()
            .run(async {
                let one = coro(async {
                    turns(3).await?;
                    tinyio::Ok(1)
                });
                let waiters: Vec<_> = (0..MANY)
                    .map(|_| {
                        let one = one.clone();
                        async move { tinyio::Ok(one.await?) }
                    })
                    .collect();
                drop(one);
                tinyio::Ok(gather(waiters).await?.into_iter().sum::<usize>())
            })
            .unwrap();
        assert_eq!(sum, MANY);
    });
}

/// Registrations are removed: a thousand losers of a race leave nothing behind.
#[test]
fn dropped_waits_leave_nothing() {
    let _watched = watched();
    Loop::new()
        .run(async {
            let event = Event::new();
            let never = spawn({
                let event = event.clone();
                async move { event.wait().await }
            });
            for _ in 0..1_000 {
                let mut waits = (
                    Box::pin(event.wait_timeout(Duration::from_secs(3600))),
                    Box::pin(sleep(Duration::from_secs(3600))),
                    never.clone(),
                );
                std::future::poll_fn(|cx| {
                    assert!(waits.0.as_mut().poll(cx).is_pending());
                    assert!(waits.1.as_mut().poll(cx).is_pending());
                    assert!(std::pin::Pin::new(&mut waits.2).poll(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
            }
            event.set();
            never.await?;
            tinyio::Ok(())
        })
        .unwrap();
}
