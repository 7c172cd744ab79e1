//! Destructors and cleanup that panic, run loops or schedule coroutines.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tinyio::{Loop, Result, coro, run_in_thread, sleep, spawn, yield_now};

use crate::check::{Child, OnDrop, is_child, watched};
use crate::panicking::{Bomb, enough};
use crate::user_panics::witness;
const SHORT: Duration = Duration::from_millis(2);

const DAY: Duration = Duration::from_secs(24 * 3600);

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

/// A loop in a destructor, as of a client that closes its connection.
struct Closes(Rc<RefCell<Vec<&'static str>>>);

impl Drop for Closes {
    fn drop(&mut self) {
        let log = self.0.clone();
        let closing = async move {
            yield_now().await?;
            run_in_thread(|| tinyio::Ok(())).await?;
            log.borrow_mut().push("closed");
            tinyio::Ok(())
        };
        Loop::new().run(closing).unwrap();
    }
}

#[test]
fn the_first_loop_of_a_process_may_run_while_its_thread_panics() {
    let _watched = watched();
    if is_child() {
        let log = Rc::default();
        let closes = Closes(Rc::clone(&log));
        let caught = catch_unwind(AssertUnwindSafe(move || {
            let _closes = closes;
            panic!("first")
        }));
        assert!(caught.is_err());
        assert_eq!(*log.borrow(), ["closed"]);
        // The next loop has the places of panics again.
        let crash = Loop::new().run(async { if true { panic!("second") } else { tinyio::Ok(()) } }).unwrap_err();
        assert_eq!(crash.failures()[0].trace()[0].file, file!());
        return;
    }
    Child::start("destructors::the_first_loop_of_a_process_may_run_while_its_thread_panics").finish();
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
                let counter = Rc::new(Cell::new(0));
                let mut looped = Loop::new();
                if let Some(grace) = grace {
                    looped = looped.grace(grace);
                }
                let main = async {
                    spawn(supervised(Supervise(copies)));
                    spawn(witness(counter.clone()));
                    yield_now().await?;
                    enough::<()>()
                };
                assert_eq!(looped.run(main).unwrap_err().error().to_string(), "enough");
                assert_eq!(counter.get(), 2);
                assert_eq!(looped.run(async { tinyio::Ok(7) }).unwrap(), 7);
            }
        }
        return;
    }
    let printed =
        Child::start("destructors::a_destructor_that_schedules_its_coroutine_again_does_not_keep_the_run_from_ending")
            .finish();
    assert!(printed.contains("it::destructors::supervised (tests/it/destructors.rs:"), "{printed}");
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
