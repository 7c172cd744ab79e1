//! Blocking: executors and runs inside a step, functions that wait for threads of their own pool, Ctrl-C meanwhile.

use std::future::Future;
use std::io::BufRead;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tinyio::{
    Crash, Event, Interrupted, Lock, Loop, ThreadPool, coro, gather, run_in_thread, sleep, spawn, timeout, yield_now,
};

use crate::check::{Child, is_child, stderr_of, watched};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads a line of stdin.
fn read_line() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).expect("text");
    line.trim_end().to_owned()
}

/// Ends when a line comes to stdin.
async fn until_a_line_comes() {
    let ended = Arc::new(AtomicBool::new(false));
    let mut begun = false;
    std::future::poll_fn(move |cx| {
        if !std::mem::replace(&mut begun, true) {
            let (ended, waker) = (ended.clone(), cx.waker().clone());
            std::thread::spawn(move || {
                read_line();
                ended.store(true, Ordering::SeqCst);
                waker.wake();
            });
        }
        if ended.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits for the first of two to end.
async fn race(one: impl Future, other: impl Future) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    std::future::poll_fn(|cx| match (one.as_mut().poll(cx).is_ready(), other.as_mut().poll(cx).is_ready()) {
        (false, false) => Poll::Pending,
        _ => Poll::Ready(()),
    })
    .await;
}

#[test]
fn an_executor_that_blocks_a_step_is_warned_of_with_its_place_and_nothing_panics() {
    let _watched = watched();
    if is_child() {
        let what = read_line();
        let main = async move {
            let event = Event::new();
            match what.as_str() {
                "`tinyio::sleep`" => pollster::block_on(race(sleep(DAY), until_a_line_comes())), // the sleep
                "a coroutine" => {
                    pollster::block_on(race(coro(std::future::pending::<tinyio::Result<()>>()), until_a_line_comes()))
                } // the coroutine
                _ => pollster::block_on(race(event.wait(), until_a_line_comes())),               // the event
            }
            // The scheduled coroutine runs for ever.
            Err::<(), _>(tinyio::Error::msg("went on"))
        };
        assert_eq!(Loop::new().run(main).unwrap_err().error().to_string(), "went on");
        eprintln!("the loop has ended");
        return;
    }
    for what in ["`tinyio::sleep`", "a coroutine", "event"] {
        let mut child =
            Child::start("blocked::an_executor_that_blocks_a_step_is_warned_of_with_its_place_and_nothing_panics");
        child.tell(what);
        let line = child.wait_for("by another executor inside of it::blocked::an_executor_that_blocks_a_step");
        assert!(line.contains(what) && line.contains("warning") && line.contains("blocked.rs:"), "{line}");
        child.tell("go on");
        let rest = child.finish();
        assert!(rest.contains("the loop has ended") && !rest.contains("another executor"), "{rest}");
    }
}

/// A waker that wakes nothing, like that of `now_or_never`.
struct Quiet;

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_long_step_that_only_looks_at_await_points_is_let_alone() {
    let _watched = watched();
    if is_child() {
        let main = async {
            let lock = Lock::new();
            let _guard = lock.acquire().await?;
            let (start, mut skipped) = (Instant::now(), 0_u32);
            let quiet = Waker::from(Arc::new(Quiet));
            // Longer than the delay of the warning.
            while start.elapsed() < Duration::from_millis(1_500) {
                std::thread::sleep(Duration::from_millis(5));
                let mut look = pin!(lock.acquire());
                skipped += u32::from(look.as_mut().poll(&mut Context::from_waker(&quiet)).is_pending());
            }
            tinyio::Ok(assert!(skipped > 0))
        };
        return Loop::new().run(main).unwrap();
    }
    let printed = stderr_of("blocked::a_long_step_that_only_looks_at_await_points_is_let_alone");
    assert!(!printed.contains("warning"), "{printed}");
}

/// Runs a loop that needs a thread of the pool, nested this deep.
fn nested(pool: ThreadPool, depth: u32) -> Result<u32, Crash> {
    Loop::new().run(async move {
        let inner = pool.clone();
        pool.run_in_thread(move || if depth == 0 { Ok(7) } else { nested(inner, depth - 1) }).await
    })
}

#[test]
fn a_function_that_waits_for_the_last_thread_of_its_own_pool_is_an_error() {
    let _watched = watched();
    for threads in 1..4 {
        let pool = ThreadPool::new(threads as usize);
        // As deep as there are threads.
        assert_eq!(nested(pool.clone(), threads - 1).unwrap(), 7);
        let mut error: Option<Box<dyn std::error::Error + Send + Sync>> =
            Some(nested(pool.clone(), threads).unwrap_err().into_error());
        let mut text = String::new();
        while let Some(crash) =
            error.take().and_then(|error| error.downcast::<Crash>().map_err(|error| text = error.to_string()).ok())
        {
            error = Some(crash.into_error());
        }
        assert!(text.contains(&format!("the `ThreadPool` of {threads} made at {}:", file!())), "{text}");
        // Through a thread that is not of the pool.
        let through = pool.clone();
        let main = async move { run_in_thread(move || nested(through, threads)).await.map(drop) };
        assert!(Loop::new().run(main).is_err());
        // The pool still works.
        assert_eq!(nested(pool, threads - 1).unwrap(), 7);
    }
}

#[test]
fn a_function_may_wait_for_a_thread_of_its_pool_that_another_will_give_back() {
    let _watched = watched();
    let main = async {
        let pool = ThreadPool::new(2);
        let (other, first) = (pool.clone(), pool.clone());
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let opener = gate.clone();
        let holds = spawn(pool.run_in_thread(move || {
            let (open, change) = &*gate;
            drop(change.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            tinyio::Ok(1)
        }));
        let waits = spawn(first.run_in_thread(move || {
            Loop::new().run(async move {
                // Both threads are occupied, and one of them by no function that waits for this one.
                let late = timeout(Duration::from_millis(1), other.run_in_thread(|| tinyio::Ok(2))).await?;
                assert!(late.is_err());
                *opener.0.lock().unwrap() = true;
                opener.1.notify_all();
                other.run_in_thread(|| tinyio::Ok(3)).await
            })
        }));
        tinyio::Ok((holds.await?, waits.await?))
    };
    assert_eq!(Loop::new().run(main).unwrap(), (1, 3));
}

#[test]
fn functions_that_wait_for_functions_get_a_thread_each_however_many_there_are() {
    let _watched = watched();
    const FUNCTIONS: u32 = 600;
    let begun = Arc::new((Mutex::new(0), Condvar::new()));
    let work = move |n: u32| {
        let begun = begun.clone();
        run_in_thread(move || {
            let (count, change) = &*begun;
            *count.lock().unwrap() += 1;
            change.notify_all();
            let all = begun.clone();
            Loop::new().run(async move {
                // All of the others wait as this one does.
                let inner = run_in_thread(move || {
                    let (count, change) = &*all;
                    drop(change.wait_while(count.lock().unwrap(), |count| *count < FUNCTIONS).unwrap());
                    tinyio::Ok(n)
                });
                inner.await
            })
        })
    };
    let main = async move { gather((0..FUNCTIONS).map(work).collect::<Vec<_>>()).await };
    assert_eq!(Loop::new().run(main).unwrap(), (0..FUNCTIONS).collect::<Vec<_>>());
}

#[test]
fn a_loop_that_is_stopped_stops_the_runs_inside_of_its_steps() {
    let _watched = watched();
    for early in [false, true] {
        let mut looped = Loop::new();
        let handle = looped.handle();
        let main = async move {
            yield_now().await?;
            let stop = handle.clone();
            if early {
                handle.cancel();
            }
            let innermost = async move {
                yield_now().await?;
                if !early {
                    std::thread::spawn(move || stop.cancel());
                }
                tinyio::Ok(sleep(DAY).await?)
            };
            Loop::new().run(async { tinyio::Ok(Loop::new().run(innermost)?) })?;
            tinyio::Ok(())
        };
        let crash = looped.run(main).unwrap_err();
        assert_eq!(crash.downcast_ref(), Some(&Interrupted));
        assert_eq!(crash.failures().len(), 1, "{crash:?}");
        // The next run is not stopped.
        assert_eq!(looped.run(async { tinyio::Ok(7) }).unwrap(), 7);
    }
}

#[cfg(all(unix, feature = "signal"))]
#[test]
fn ctrl_c_ends_a_process_in_which_no_loop_runs_and_interrupts_runs_inside_of_steps() {
    let _watched = watched();
    if is_child() {
        let how = read_line();
        let mut looped = Loop::new().cancel_on_ctrl_c();
        match how.as_str() {
            "before" => eprintln!("ready"),
            "after" => {
                looped.run(async { tinyio::Ok(()) }).unwrap();
                eprintln!("ready");
            }
            "one of two" => {
                // The other one does not run.
                let crash = Loop::new().cancel_on_ctrl_c().run(async {
                    eprintln!("ready");
                    sleep(DAY).await
                });
                assert_eq!(crash.unwrap_err().downcast_ref(), Some(&Interrupted));
                assert_eq!(looped.run(async { tinyio::Ok(7) }).unwrap(), 7);
                return eprintln!("interrupted");
            }
            _ => {
                let main = async {
                    let inner = Loop::new().run(async {
                        eprintln!("ready");
                        sleep(DAY).await
                    });
                    assert_eq!(inner.as_ref().unwrap_err().downcast_ref(), Some(&Interrupted));
                    tinyio::Ok(inner?)
                };
                assert_eq!(looped.run(main).unwrap_err().downcast_ref(), Some(&Interrupted));
                return eprintln!("interrupted");
            }
        }
        read_line();
        return eprintln!("was not ended");
    }
    for (how, ends) in [("before", true), ("after", true), ("one of two", false), ("nested", false)] {
        let mut child =
            Child::start("blocked::ctrl_c_ends_a_process_in_which_no_loop_runs_and_interrupts_runs_inside_of_steps");
        child.tell(how);
        child.wait_for("ready");
        child.interrupt();
        match ends {
            true => assert_eq!(child.ended_by(), Some(2), "{how}"),
            false => assert!(child.finish().contains("interrupted"), "{how}"),
        }
    }
}
