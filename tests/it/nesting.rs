//! Loops inside loops and inside other executors, pools of threads, Ctrl-C, and crashes as JSON.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::fmt;
use std::io::BufRead;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tinyio::FailureKind::{Cancelled, Error};
use tinyio::{
    Event, Group, Interrupted, Lock, Loop, Result, ThreadPool, coro, gather, run_in_thread, sleep, spawn, thread,
};
use tinyio_inspector::event::{self, Outcome};

use crate::check::{Child, GROUPS, Log, OnDrop, assert_failures, is_child, turns, watched};

const LONG: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Broken<E>(E);

impl<E> fmt::Display for Broken<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken \"in\" two\nlines")
    }
}

impl<E: StdError + 'static> StdError for Broken<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn thread_pool() {
    let _watched = watched();
    // Three do run at once: each of them waits for the others.
    let all = Arc::new(Barrier::new(3));
    let main = async move {
        let meet = move |n: u32| {
            all.wait();
            tinyio::Ok(n)
        };
        ThreadPool::new(3).map(meet, 0..30).await
    };
    assert_eq!(Loop::new().run(main).unwrap(), (0..30).collect::<Vec<_>>());

    // Never more than two.
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let main = async move {
        let pool = ThreadPool::new(2);
        let work = move |n: u32| {
            seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..100 {
                std::thread::yield_now();
            }
            now.fetch_sub(1, Ordering::SeqCst);
            tinyio::Ok(2 * n)
        };
        // Clones are the same pool.
        let one = pool.clone().run_in_thread({
            let work = work.clone();
            move || work(100)
        });
        gather((pool.map(work, 0..50), one)).await
    };
    let (doubles, one) = Loop::new().run(main).unwrap();
    assert_eq!((doubles, one), ((0..50).map(|n| 2 * n).collect(), 200));
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[test]
fn nested() {
    let _watched = watched();
    let log = Log::new();
    let (inner, outer) = (log.clone(), log.clone());
    let main = async move {
        let ticking = spawn(async move {
            for _ in 0..3 {
                outer.push("outer");
                tinyio::yield_now().await?;
            }
            tinyio::Ok(())
        });
        tinyio::yield_now().await?;
        let noted = inner.clone();
        let six = Loop::new().run(async {
            let tick = |n: u32| {
                let noted = noted.clone();
                async move {
                    noted.push("inner");
                    sleep(Duration::from_millis(u64::from(n))).await?;
                    Ok::<_, tinyio::Error>(n)
                }
            };
            let numbers = gather([coro(tick(1)), coro(tick(2)), coro(run_in_thread(|| tinyio::Ok(3)))]).await?;
            tinyio::Ok(numbers.iter().sum::<u32>())
        })?;
        ticking.await?;
        tinyio::Ok(six)
    };
    assert_eq!(Loop::new().run(main).unwrap(), 6);
    assert_eq!(log.entries(), ["outer", "inner", "inner", "outer", "outer"]);

    // Its crash is an error like any other: it can be handled, or passed on.
    let log = Log::new();
    let noted = log.clone();
    let main = async {
        spawn(async move {
            let nap = sleep(LONG).await;
            noted.push(nap.is_err());
            tinyio::Ok(nap?)
        });
        turns(2).await?;
        let fail = || Loop::new().run(async { Err::<(), _>(Broken(Interrupted)) });
        assert!(fail().is_err());
        turns(2).await?;
        fail()?;
        tinyio::Ok(())
    };
    let crash = Loop::new().run(main).unwrap_err();
    assert_failures(&crash, &[(Error, "nested", "it::nesting::nested: broken \"in\" two lines")]);
    let inner = crash.downcast_ref::<tinyio::Crash>().expect("the inner crash");
    assert!(inner.downcast_ref::<Broken<Interrupted>>().is_some());
    assert_eq!(log.entries(), [true]);
}

#[test]
fn partly_driven() {
    let _watched = watched();
    let log = Log::new();
    let (asleep, foreign) = (log.clone(), log.clone());
    let stopped = Arc::new(Mutex::new(false));
    let stops = stopped.clone();
    let began = Event::new();
    let begins = began.clone();
    let mut looped = Loop::new();
    let borrowed = RefCell::new(Vec::new());
    {
        let main = async {
            borrowed.borrow_mut().push("began");
            let _end = OnDrop(|| borrowed.borrow_mut().push("ended"));
            spawn(async move {
                let nap = sleep(LONG).await;
                asleep.push(format!("{nap:?}"));
                tinyio::Ok(nap?)
            });
            spawn(async move {
                let _end = OnDrop(|| foreign.push("dropped".to_owned()));
                std::future::pending::<Result<()>>().await
            });
            let work = run_in_thread(move || {
                begins.set();
                let slept = thread::sleep(LONG);
                *stops.lock().unwrap() = true;
                slept
            });
            tinyio::Ok(work.await?)
        };
        let mut driven = pin!(looped.drive(main));
        let mut cx = Context::from_waker(Waker::noop());
        while !began.is_set() {
            assert!(driven.as_mut().poll(&mut cx).is_pending());
            std::thread::yield_now();
        }
    }
    assert_eq!(log.entries(), ["Err(CancelledError(the loop is stopping))", "dropped"]);
    assert!(*stopped.lock().unwrap(), "the thread was not stopped");
    assert_eq!(borrowed.into_inner(), ["began", "ended"]);

    // Nothing of it is left in the loop.
    assert_eq!(looped.run(async { tinyio::Ok(3) }).unwrap(), 3);
    // A drive that never began, and one that has ended.
    drop(looped.drive(async { tinyio::Ok(3) }));
    let mut cx = Context::from_waker(Waker::noop());
    let ended = pin!(looped.drive(async { tinyio::Ok(4) })).poll(&mut cx);
    assert!(matches!(ended, Poll::Ready(Ok(4))));
}

/// Futures that are kept from one run to the next keep their entries, and take those of no other.
#[test]
fn kept_over_runs() {
    let _watched = watched();
    async fn begin<F: Future>(mut future: Pin<&mut F>) -> Result<()> {
        std::future::poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        Ok(())
    }
    let mut looped = Loop::new();
    let (lock, start) = (Lock::new(), Instant::now());
    let (mut long, mut short) = (Box::pin(sleep(LONG)), Box::pin(sleep(Duration::from_millis(30))));
    looped.run(begin(long.as_mut())).unwrap();
    looped.run(begin(short.as_mut())).unwrap();
    let main = async {
        let others = [2, 4, 6].map(|ms| spawn(sleep(Duration::from_millis(ms))));
        tinyio::yield_now().await?;
        drop(long);
        gather(others).await?;
        short.await?;
        assert!(start.elapsed() >= Duration::from_millis(30), "it woke early");
        let guard = lock.acquire().await?;
        let mut wants = Box::pin(lock.acquire());
        begin(wants.as_mut()).await?;
        drop(guard);
        tinyio::Ok(wants)
    };
    let wants = looped.run(main).unwrap();
    looped.run(async { tinyio::Ok(drop(wants.await?)) }).unwrap();
    assert_eq!(format!("{lock:?}"), "Lock(free, 0 waiting)");
}

/// Reads a line from the parent.
fn read_line() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).expect("text");
    line.trim_end().to_owned()
}

#[cfg(all(unix, feature = "signal"))]
#[test]
fn interrupt() {
    let _watched = watched();
    if is_child() {
        let group = GROUPS[read_line().parse::<usize>().expect("a number")];
        let how = read_line();
        let deaf = how == "deaf";
        let mut looped = Loop::new().group(group).cancel_on_ctrl_c();
        if how == "again" {
            // Each run has a first Ctrl-C of its own.
            for run in ["the first run", "the second run"] {
                let nap = async {
                    eprintln!("{run}");
                    tinyio::Ok(sleep(LONG).await?)
                };
                let crash = looped.run(nap).unwrap_err();
                assert_eq!(crash.downcast_ref(), Some(&Interrupted));
            }
        }
        let main = async move {
            let work = run_in_thread(move || {
                eprintln!("the thread works");
                if deaf {
                    read_line();
                }
                let slept = thread::sleep(LONG);
                eprintln!("the thread: {slept:?}");
                slept
            });
            let nap = async {
                let nap = sleep(LONG).await;
                eprintln!("the coroutine: {nap:?}");
                tinyio::Ok(nap?)
            };
            gather((work, nap)).await
        };
        let crash = looped.run(main).unwrap_err();
        assert_eq!(crash.downcast_ref(), Some(&Interrupted));
        let mut members = vec![(Error, "the loop", "interrupted")];
        if group == Group::Always {
            members.extend([(Cancelled, "interrupt", "cancelled"); 3]);
        }
        let got: Vec<_> = crash.failures().iter().map(|failure| (failure.kind(), failure.message())).collect();
        assert_eq!(got, members.iter().map(|(kind, _, message)| (*kind, (*message).to_owned())).collect::<Vec<_>>());
        eprintln!("the loop has ended");
        return;
    }
    let start = |group: usize, how: &str| {
        let mut child = Child::start("nesting::interrupt");
        child.tell(&group.to_string());
        child.tell(how);
        if how == "again" {
            for run in ["the first run", "the second run"] {
                child.wait_for(run);
                child.interrupt();
            }
        }
        child.wait_for("the thread works");
        child
    };
    for (group, how) in [(0, "hears"), (1, "hears"), (2, "hears"), (0, "again")] {
        let child = start(group, how);
        child.interrupt();
        let mut lines: Vec<_> = child.finish().lines().map(str::to_owned).collect();
        assert_eq!(lines.pop().as_deref(), Some("the loop has ended"));
        lines.sort();
        let cancelled = "Err(CancelledError(the loop is stopping))";
        assert_eq!(lines, [format!("the coroutine: {cancelled}"), format!("the thread: {cancelled}")]);
    }
    // A second one ends the process, whatever its state.
    let mut child = start(0, "deaf");
    child.interrupt();
    child.wait_for("the coroutine: Err");
    child.interrupt();
    assert_eq!(child.ended_by(), Some(2));
}

#[test]
fn serialise() {
    let _watched = watched();
    async fn f() -> Result<()> {
        gather((coro(g()), coro(async { tinyio::Ok(sleep(LONG).await?) }))).await?;
        Ok(())
    }
    async fn g() -> Result<()> {
        spawn(async {
            let _ = sleep(LONG).await;
            Err::<(), _>(Broken(Interrupted))?;
            tinyio::Ok(())
        });
        spawn(async {
            let _ = sleep(LONG).await;
            tinyio::Ok(5)
        });
        turns(3).await?;
        spawn(async { tinyio::Ok(()) });
        Err(Broken(Broken(Interrupted)))?
    }
    let crash = Loop::new().group(Group::Always).run(f()).unwrap_err();
    assert_eq!(crash.failures().len(), 5);
    let text = crash.to_json();
    let read = event::crash_from_json(&text).unwrap();
    assert_eq!(event::crash_to_json(&read), text);
    assert_eq!(read.len(), crash.failures().len());
    for (read, failure) in read.iter().zip(crash.failures()) {
        assert_eq!(format!("{:?}", read.kind), format!("{:?}", failure.kind()));
        assert_eq!((&*read.name, read.message.clone()), (failure.name(), failure.message()));
        assert_eq!(read.trace.len(), failure.trace().len());
        for (read, site) in read.trace.iter().zip(failure.trace()) {
            let read = (&*read.name, &*read.file, read.line, read.column);
            assert_eq!(read, (&*site.name, site.file, site.line, site.column));
        }
    }
    assert_eq!(read[0].kind, Outcome::Error);
    assert_eq!(read[0].message, "broken \"in\" two\nlines");
    assert_eq!(read[0].sources, ["broken \"in\" two\nlines", "interrupted"]);
    assert!(
        read[0].error_type.ends_with("Broken<it::nesting::Broken<tinyio::failure::crash::Interrupted>>"),
        "{}",
        read[0].error_type
    );
    // Text that is no crash is an error with its position.
    let wrong = event::crash_from_json("[{\"kind\":\"error\"}]").unwrap_err();
    assert!(wrong.to_string().contains("line 1"), "{wrong}");
}
