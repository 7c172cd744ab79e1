//! A coroutine belongs to its handles: without them it is cancelled, and a timeout loses nothing.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use tinyio::{
    Coro, Event, Loop, Result, ThreadPool, TimeoutError, as_completed, coro, gather, isolate, run_in_thread, sleep,
    spawn, thread, timeout, yield_now,
};

use crate::check::{GROUPS, Log, OnDrop, turns, watched};

const LONG: Duration = Duration::from_secs(3600);

/// How the await points of coroutines answered, by name: `None` if the sleep ended, else whether it was a timeout.
type Answers = Log<(&'static str, Option<bool>)>;

/// Sleeps for an hour.
async fn sleeper(name: &'static str, answers: Answers) -> Result<()> {
    let nap = sleep(LONG).await;
    answers.push((name, nap.err().map(|cancelled| cancelled.is_timeout())));
    Ok(nap?)
}

/// Polls this once in the running coroutine.
async fn poll_once<F: Future + Unpin>(future: &mut F) {
    std::future::poll_fn(|cx| {
        assert!(Pin::new(&mut *future).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[test]
fn dropped_is_cancelled() {
    let _watched = watched();
    let answers = Answers::new();
    let noted = answers.clone();
    let main = async move {
        let sleeper = |name| sleeper(name, noted.clone());
        let mut one = coro(sleeper("coro"));
        poll_once(&mut one).await;
        let mut two = gather((sleeper("first"), sleeper("second")));
        poll_once(&mut two).await;
        let mut three = gather([sleeper("third")]);
        poll_once(&mut three).await;
        let mut outputs = as_completed([sleeper("completed")]);
        let next = outputs.next();
        let mut limited = timeout(LONG * 2, sleeper("limited"));
        poll_once(&mut limited).await;
        let mut isolated = isolate(sleeper("isolated"));
        poll_once(&mut isolated).await;
        yield_now().await?;
        assert_eq!(noted.entries(), []);
        drop((one, two, three));
        // As long as `next` is alive an output is awaited.
        drop(outputs);
        turns(3).await?;
        let dropped = ["coro", "first", "second", "third"].map(|name| (name, Some(false)));
        assert_eq!(noted.entries(), dropped);
        drop((next, limited, isolated));
        turns(3).await?;
        assert_eq!(noted.entries()[4..], ["completed", "limited", "isolated"].map(|name| (name, Some(false))));
        tinyio::Ok(())
    };
    Loop::new().virtual_time().run(main).unwrap();
    assert_eq!(answers.entries().len(), 7);
}

#[test]
fn dropped_before_it_began_never_begins() {
    let _watched = watched();
    let main = async {
        let (began, dropped) = (Rc::new(RefCell::new(0)), Rc::new(RefCell::new(0)));
        let (begins, drops) = (began.clone(), dropped.clone());
        let on_drop = OnDrop(move || *drops.borrow_mut() += 1);
        let mut one = coro(async move {
            *begins.borrow_mut() += 1;
            drop(on_drop);
            tinyio::Ok(())
        });
        poll_once(&mut one).await;
        drop(one);
        turns(2).await?;
        assert_eq!((*began.borrow(), *dropped.borrow()), (0, 1));
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
}

#[test]
fn dropped_names_what_dropped_it() {
    let _watched = watched();
    async fn careless(slow: Coro<()>) -> Result<()> {
        let mut slow = slow;
        poll_once(&mut slow).await;
        Ok(yield_now().await?)
    }
    let log = Log::new();
    let noted = log.clone();
    let main = async move {
        let slow = async move {
            let cancelled = sleep(LONG).await.unwrap_err();
            noted.push((cancelled.to_string(), cancelled.cause().name()));
            Err::<(), _>(cancelled)
        };
        coro(careless(coro(slow))).await
    };
    Loop::new().virtual_time().run(main).unwrap();
    let [(message, Some(name))] = &log.entries()[..] else { panic!("{:?}", log.entries()) };
    assert!(name.ends_with("careless"), "{name}");
    assert_eq!(*message, format!("cancelled: its last handle was dropped by {name}"));
}

#[test]
fn dropped_chain() {
    let _watched = watched();
    let answers = Answers::new();
    let noted = answers.clone();
    let main = async move {
        let shared = coro(sleeper("shared", noted.clone()));
        let (third, second) = (coro(sleeper("third", noted.clone())), shared.clone());
        let second = coro(async move {
            gather((third, second)).await?;
            tinyio::Ok(())
        });
        let mut first = coro(async move {
            second.await?;
            tinyio::Ok(())
        });
        poll_once(&mut first).await;
        turns(3).await?;
        drop(first);
        turns(5).await?;
        assert_eq!(noted.entries(), [("third", Some(false))]);
        // The other continues for this one, which awaits it, too.
        Ok::<_, tinyio::Error>(shared.await?)
    };
    Loop::new().virtual_time().run(main).unwrap();
    assert_eq!(answers.entries(), [("third", Some(false)), ("shared", None)]);
}

/// Blocks its thread until it is asked to stop, and records that.
fn stoppable(started: mpsc::Sender<()>, asked: Arc<AtomicBool>) -> impl FnOnce() -> Result<()> + Send {
    move || {
        started.send(()).unwrap();
        let slept = thread::sleep(LONG);
        asked.store(slept.is_err_and(|cancelled| !cancelled.is_timeout()), Ordering::SeqCst);
        Ok(slept?)
    }
}

#[test]
fn dropped_thread() {
    let _watched = watched();
    let asked = Arc::new(AtomicBool::new(false));
    let ran = Arc::new(AtomicBool::new(false));
    let (asks, runs) = (asked.clone(), ran.clone());
    let main = async move {
        let pool = ThreadPool::new(1);
        let (started, starts) = mpsc::channel();
        let mut at_work = pool.run_in_thread(stoppable(started, asks));
        let mut queued = pool.run_in_thread(move || tinyio::Ok(runs.store(true, Ordering::SeqCst)));
        poll_once(&mut at_work).await;
        poll_once(&mut queued).await;
        yield_now().await?;
        starts.recv()?;
        // The one that waits for a thread first: none gets free for it between the two.
        drop(queued);
        drop(at_work);
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap(); // joins the thread
    assert!(asked.load(Ordering::SeqCst) && !ran.load(Ordering::SeqCst));
}

#[test]
fn dropped_thread_of_a_function_whose_time_is_up() {
    let _watched = watched();
    let asked = Arc::new(AtomicBool::new(false));
    let asks = asked.clone();
    let main = async move {
        let (started, starts) = mpsc::channel();
        let function = async move {
            let work = run_in_thread(stoppable(started, asks));
            Ok::<_, tinyio::Error>(work.await?)
        };
        let mut limited = timeout(Duration::from_millis(1), function);
        poll_once(&mut limited).await;
        turns(2).await?;
        starts.recv()?;
        assert_eq!(limited.await?, Err(TimeoutError));
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
    assert!(asked.load(Ordering::SeqCst));
}

#[test]
fn dropped_isolate_does_not_block_the_loop_around_it() {
    let _watched = watched();
    let log = Log::new();
    let noted = log.clone();
    let main = async move {
        let (release, released) = mpsc::channel::<()>();
        let (started, starts) = mpsc::channel();
        let mut isolated = isolate(async move {
            // It does not check whether it is to stop.
            run_in_thread(move || {
                started.send(()).unwrap();
                Ok::<_, tinyio::Error>(released.recv()?)
            })
            .await
        });
        poll_once(&mut isolated).await;
        turns(2).await?;
        starts.recv()?;
        drop(isolated);
        turns(3).await?;
        noted.push("the loop goes on"); // Otherwise the thread would never be released.
        release.send(())?;
        tinyio::Ok(())
    };
    Loop::new().run(main).unwrap();
    assert_eq!(log.entries(), ["the loop goes on"]);
}

#[test]
fn select_loser() {
    let _watched = watched();
    let answers = Answers::new();
    let noted = answers.clone();
    let main = async move {
        let mut loser = Some(coro(sleeper("loser", noted.clone())));
        let mut winner = sleep(Duration::from_secs(1));
        // What `select` and `race` of other crates do.
        std::future::poll_fn(|cx| {
            let _ = Pin::new(loser.as_mut().unwrap()).poll(cx);
            Pin::new(&mut winner).poll(cx)
        })
        .await?;
        loser.take();
        turns(2).await?;
        assert_eq!(noted.entries(), [("loser", Some(false))]);
        tinyio::Ok(())
    };
    Loop::new().virtual_time().run(main).unwrap();
}

#[test]
fn spawn_outlives() {
    let _watched = watched();
    let answers = Answers::new();
    let noted = answers.clone();
    let main = async move {
        drop(spawn(sleeper("spawned", noted.clone())));
        coro(sleeper("detached", noted.clone())).detach();
        let mut begun = coro(sleeper("detached later", noted.clone()));
        poll_once(&mut begun).await;
        begun.detach();
        let again = coro(sleeper("spawned again", noted.clone()));
        drop(spawn(again));
        drop(spawn(run_in_thread(|| tinyio::Ok(()))));
        tinyio::Ok(())
    };
    Loop::new().virtual_time().run(main).unwrap();
    let names = ["spawned", "detached", "detached later", "spawned again"];
    assert_eq!(answers.entries(), names.map(|name| (name, None)));
}

#[test]
fn timeout_boundary() {
    let _watched = watched();
    let main = async {
        // It ends with a value in the poll that delivers its timeout.
        let gate = Event::new();
        let opened = gate.clone();
        let value = async move {
            let wait = gate.wait().await;
            tinyio::Ok(wait.is_err())
        };
        assert_eq!(timeout(Duration::from_secs(1), value).await?, Ok(true));
        drop(opened);

        // A producer and a consumer with a limit that is the producer's period: no sent item is lost.
        let queue = Rc::new(RefCell::new(Vec::new()));
        let ready = Event::new();
        let (sends, sent) = (queue.clone(), ready.clone());
        spawn(async move {
            for n in 0..100 {
                sleep(Duration::from_millis(5)).await?;
                sends.borrow_mut().push(n);
                sent.set();
            }
            tinyio::Ok(())
        });
        let mut received = Vec::new();
        while received.len() < 100 {
            let (takes, ready) = (queue.clone(), ready.clone());
            // Takes an item if there is one, whatever the await point answers, like a channel of another crate.
            let take = async move {
                let waited = ready.wait().await;
                ready.clear();
                let items = std::mem::take(&mut *takes.borrow_mut());
                if items.is_empty() {
                    waited?;
                }
                tinyio::Ok(items)
            };
            if let Ok(items) = timeout(Duration::from_millis(5), take).await? {
                received.extend(items);
            }
        }
        assert!(received.into_iter().eq(0..100));
        tinyio::Ok(())
    };
    Loop::new().virtual_time().run(main).unwrap();
}

#[test]
fn timeout_nested() {
    let _watched = watched();
    for limits in [[50, 100], [100, 50], [50, 50]] {
        let log = Log::new();
        let noted = log.clone();
        let main = async move {
            let endless = async move {
                loop {
                    if let Err(cancelled) = sleep(Duration::from_millis(30)).await {
                        noted.push(cancelled.is_timeout());
                        break Err::<(), _>(cancelled);
                    }
                }
            };
            let [outer, inner] = limits.map(Duration::from_millis);
            let ended = timeout(outer, timeout(inner, endless)).await?;
            assert!(matches!(ended, Err(TimeoutError) | Ok(Err(TimeoutError))), "{ended:?}");
            tinyio::Ok(())
        };
        Loop::new().virtual_time().run(main).unwrap();
        assert_eq!(log.entries().len(), 1, "{limits:?}");
    }
}

#[test]
fn timeout_dropped_cancels_at_once() {
    let _watched = watched();
    let answers = Answers::new();
    let noted = answers.clone();
    let main = async move {
        let mut limited = timeout(Duration::from_millis(100), sleeper("limited", noted.clone()));
        poll_once(&mut limited).await;
        yield_now().await?;
        drop(limited);
        turns(2).await?;
        assert_eq!(noted.entries(), [("limited", Some(false))]);
        tinyio::Ok(())
    };
    Loop::new().virtual_time().run(main).unwrap();
}

#[test]
fn timeout_of_a_shared_coroutine_ends_the_wait_alone() {
    let _watched = watched();
    let main = async {
        let load = coro(async {
            sleep(Duration::from_millis(100)).await?;
            tinyio::Ok(7)
        });
        let (a, b) = (load.clone(), load);
        let impatient = async move { tinyio::Ok(timeout(Duration::from_millis(10), a).await?.ok()) };
        let patient = async move { tinyio::Ok(b.await?) };
        assert_eq!(gather((impatient, patient)).await?, (None, 7));
        tinyio::Ok(())
    };
    Loop::new().virtual_time().run(main).unwrap();
}

#[test]
fn dropped_answers_error() {
    let _watched = watched();
    for group in GROUPS {
        let main = async {
            let mut one = coro(async {
                let _ = sleep(LONG).await;
                Err::<(), _>(tinyio::Error::msg("broken cleanup"))
            });
            poll_once(&mut one).await;
            yield_now().await?;
            drop(one);
            Ok::<_, tinyio::Error>(sleep(LONG).await?)
        };
        let crash = Loop::new().group(group).virtual_time().run(main).unwrap_err();
        assert_eq!(crash.error().to_string(), "broken cleanup");
    }
}

#[test]
fn dropped_outside_of_its_loop() {
    let _watched = watched();
    // By a loop inside of it, and after its loop has ended.
    let answers = Answers::new();
    let noted = answers.clone();
    let kept = Rc::new(RefCell::new(None));
    let keeps = kept.clone();
    let main = async move {
        let mut one = coro(sleeper("inside", noted.clone()));
        poll_once(&mut one).await;
        yield_now().await?;
        Loop::new().run(async move {
            drop(one);
            tinyio::Ok(())
        })?;
        turns(2).await?;
        assert_eq!(noted.entries(), [("inside", Some(false))]);
        let mut two = coro(sleep(Duration::from_secs(1)));
        poll_once(&mut two).await;
        *keeps.borrow_mut() = Some(two.clone());
        Ok::<_, tinyio::Error>(two.await?)
    };
    Loop::new().virtual_time().run(main).unwrap();
    drop(kept.take());
    assert_eq!(answers.entries().len(), 1);
}

#[test]
fn a_crash_shows_what_failed() {
    let _watched = watched();
    async fn fails() -> Result<()> {
        Err(tinyio::Error::msg("enough"))
    }
    let log = Log::new();
    let noted = log.clone();
    let main = async move {
        let waiting = spawn(async move {
            let cancelled = sleep(LONG).await.unwrap_err();
            noted.push(cancelled.cause().name());
            Err::<(), _>(cancelled)
        });
        yield_now().await?;
        coro(fails()).await?;
        waiting.await
    };
    assert!(Loop::new().run(main).is_err());
    assert!(matches!(log.entries()[..], [Some(name)] if name.ends_with("fails")), "{:?}", log.entries());
}

#[test]
fn dropped_by_cleanup_answers_error() {
    let _watched = watched();
    let main = async {
        spawn(async {
            let cancelled = sleep(LONG).await.unwrap_err();
            let mut one = coro(async {
                let _ = sleep(LONG).await;
                Err::<(), _>(tinyio::Error::msg("broken while others clean up"))
            });
            poll_once(&mut one).await;
            turns(2).await?;
            drop(one);
            turns(2).await?;
            Err::<(), tinyio::Error>(cancelled.into())
        });
        yield_now().await?;
        Err::<(), _>(tinyio::Error::msg("original"))
    };
    let crash = Loop::new().grace(LONG).virtual_time().run(main).unwrap_err();
    let messages: Vec<String> = crash.failures().iter().map(tinyio::Failure::message).collect();
    assert_eq!(messages, ["original", "broken while others clean up"]);
}
