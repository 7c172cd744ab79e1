//! Threads.

use std::error::Error as StdError;
use std::fmt;
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use tinyio::FailureKind::{Cancelled, Error, Improper};
use tinyio::{CancelledError, Event, Group, Loop, Result, coro, gather, run_in_thread, spawn, thread};

use crate::check::{Child, GROUPS, OnDrop, assert_failures, assert_trace, is_child, stderr_of, turns, watched};

const LONG: Duration = Duration::from_secs(3600);

/// An error of the thread's own.
#[derive(Debug)]
struct Own<E>(E);

impl<E> fmt::Display for Own<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("own")
    }
}

impl<E: StdError + 'static> StdError for Own<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl StdError for Broken {}

/// Fails when `begun` is set.
async fn fails(begun: Event) -> Result<()> {
    begun.wait().await?;
    Err(Broken)? // fails
}

#[test]
fn thread_many() {
    let _watched = watched();
    let all = Arc::new(Barrier::new(100));
    let numbers = Loop::new()
        .run(async move {
            let calls = (0..100).map(|n| {
                let all = all.clone();
                run_in_thread(move || {
                    // Continues only when all hundred run at once.
                    all.wait();
                    tinyio::Ok(n)
                })
            });
            gather(calls.collect::<Vec<_>>()).await
        })
        .unwrap();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}

#[test]
fn error_to_thread() {
    let _watched = watched();
    /// A function that works until it is cancelled, in one of two ways.
    fn works(begun: Event, ended: Arc<AtomicBool>, sleeps: bool) -> impl FnOnce() -> Result<()> + Send {
        move || {
            let _ended = OnDrop(|| ended.store(true, Ordering::SeqCst));
            begun.set();
            if sleeps {
                return Ok(thread::sleep(LONG)?);
            }
            while !thread::is_cancelled() {
                std::thread::yield_now();
            }
            Ok(thread::check_cancelled()?)
        }
    }
    for group in GROUPS {
        for sleeps in [false, true] {
            for first in [false, true] {
                let (begun, ended) = (Event::new(), Arc::new(AtomicBool::new(false)));
                let work = run_in_thread(works(begun.clone(), ended.clone(), sleeps)); // the thread
                let main = async move {
                    match first {
                        true => gather((work, fails(begun))).await.map(drop)?, // thread first
                        false => gather((fails(begun), work)).await.map(drop)?, // thread last
                    }
                    tinyio::Ok(())
                };
                let crash = Loop::new().group(group).run(main).unwrap_err();
                assert!(ended.load(Ordering::SeqCst), "it was not waited for");
                let original = (Error, "fails", "broken");
                if group == Group::Always {
                    assert_failures(&crash, &[original, (Cancelled, "error_to_thread::works", "cancelled")]);
                    let above = if first { "thread first" } else { "thread last" };
                    let trace = [("error_to_thread", above), ("error_to_thread::works", "the thread")];
                    assert_trace(crash.failures()[1].trace(), &trace);
                    assert!(crash.failures()[1].error().unwrap().is::<CancelledError>());
                } else {
                    assert_failures(&crash, &[original]);
                }
            }
        }
    }
    // Outside of such threads nothing is ever cancelled.
    assert!(!thread::is_cancelled());
    assert_eq!(thread::check_cancelled(), Ok(()));
    assert_eq!(thread::sleep(Duration::ZERO), Ok(()));
}

#[test]
fn error_to_thread_context() {
    let _watched = watched();
    for group in GROUPS {
        let begun = Event::new();
        let set = begun.clone();
        let main = async move {
            let work = run_in_thread(move || {
                set.set();
                thread::sleep(LONG).map_err(Own)
            });
            gather((work, fails(begun))).await
        };
        let crash = Loop::new().group(group).run(main).unwrap_err();
        let original = (Error, "fails", "broken");
        if group == Group::Never {
            assert_failures(&crash, &[original]);
            continue;
        }
        assert_failures(&crash, &[original, (Improper, "error_to_thread_context", "own")]);
        let own = crash.failures()[1].error().unwrap();
        assert!(own.is::<Own<CancelledError>>());
        assert!(own.source().unwrap().is::<CancelledError>());
        let report = format!("{crash:?}");
        assert!(report.contains("own\n  caused by: cancelled\n"), "{report}");
        if is_child() {
            return;
        }
    }
    let stderr = stderr_of("threads::error_to_thread_context");
    assert!(stderr.contains("error_to_thread_context"), "{stderr}");
    assert!(stderr.contains("did not respond properly to its cancellation: own\n"), "{stderr}");
}

#[test]
fn error_from_thread() {
    let _watched = watched();
    fn work() -> Result<u32> {
        Err(Broken)? // in the thread
    }
    async fn awaits() -> Result<u32> {
        turns(5).await?;
        Ok(run_in_thread(work).await?) // awaits the thread
    }
    async fn root() -> Result<u32> {
        spawn(async { tinyio::Ok(tinyio::sleep(LONG).await?) });
        Ok(coro(awaits()).await?) // root awaits
    }
    for group in GROUPS {
        let crash = Loop::new().group(group).run(root()).unwrap_err();
        let original = (Error, "error_from_thread::work", "broken");
        if group == Group::Always {
            assert_eq!(crash.failures().len(), 2);
            assert_eq!(crash.failures()[1].kind(), Cancelled);
        } else {
            assert_failures(&crash, &[original]);
        }
        let trace = [
            ("error_from_thread::root", "root awaits"),
            ("error_from_thread::awaits", "awaits the thread"),
            ("error_from_thread::work", "in the thread"),
        ];
        assert_trace(crash.failures()[0].trace(), &trace);
        assert!(crash.downcast_ref::<Broken>().is_some());
    }
}

#[test]
fn thread_context() {
    let _watched = watched();
    let crash = Loop::new().run(async { tinyio::Ok(run_in_thread(|| Err::<(), _>(Own(Own(Broken)))).await?) });
    let crash = crash.unwrap_err();
    assert!(crash.downcast_ref::<Own<Own<Broken>>>().is_some());
    let chain: Vec<String> =
        std::iter::successors(crash.source(), |error| (*error).source()).map(ToString::to_string).collect();
    assert_eq!(chain, ["own", "own", "broken"]);
}

#[test]
fn thread_errors_together() {
    let _watched = watched();
    let all = Arc::new(Barrier::new(10));
    let main = async move {
        let calls = (0..10).map(|_| {
            let all = all.clone();
            run_in_thread(move || {
                all.wait();
                Err::<(), _>(Broken)
            })
        });
        gather(calls.collect::<Vec<_>>()).await
    };
    let crash = Loop::new().run(main).unwrap_err();
    assert_failures(&crash, &[(Error, "thread_errors_together", "broken"); 10]);
    if !is_child() {
        assert_eq!(stderr_of("threads::thread_errors_together"), "");
    }
}

#[test]
fn thread_never_checks() {
    let _watched = watched();
    if is_child() {
        let begun = Event::new();
        let set = begun.clone();
        let main = async move {
            let work = run_in_thread(move || {
                set.set();
                // The parent writes a line when it has read the warning.
                std::io::stdin().lock().read_line(&mut String::new())?;
                eprintln!("the thread goes on");
                tinyio::Ok(())
            }); // never checks
            gather((work, fails(begun))).await
        };
        let crash = Loop::new().group(Group::Always).run(main).unwrap_err();
        assert_failures(&crash, &[(Error, "fails", "broken"), (Cancelled, "thread_never_checks", "cancelled")]);
        eprintln!("the loop has ended");
        return;
    }
    let mut child = Child::start("threads::thread_never_checks");
    let warning = child.wait_for("warning");
    let thread = "waiting for the thread that runs it::threads::thread_never_checks (tests/it/threads.rs:";
    assert!(warning.contains(thread), "{warning}");
    child.tell("go on");
    assert_eq!(child.finish(), "the thread goes on\nthe loop has ended\n");
}
