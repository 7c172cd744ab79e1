//! Virtual time, and the order that a seed decides.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tinyio::{Event, Lock, Loop, Result, Semaphore, coro, gather, isolate, run_in_thread, sleep, spawn, timeout};

use crate::check::{Log, turns, watched};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn virtual_time() {
    let _watched = watched();
    async fn nap(log: Log<u32>, days: u32) -> Result<u32> {
        sleep(DAY * days).await?;
        log.push(days);
        Ok(days)
    }
    let log = Log::new();
    let noted = log.clone();
    let main = async move {
        let naps = [3, 10, 1].map(|days| spawn(nap(noted.clone(), days)));
        let event = Event::new();
        assert!(!event.wait_timeout(DAY * 2).await?);
        noted.push(2);
        assert!(timeout(DAY * 2, nap(noted.clone(), 1000)).await?.is_err());
        noted.push(4);
        // A loop inside has the same clock,
        let deep = noted.clone();
        let five = isolate(async move { tinyio::Ok(isolate(nap(deep, 1)).await??) }).await?.unwrap();
        noted.push(5 * five);
        // and a function on a thread takes real time.
        let work = run_in_thread(|| {
            std::thread::sleep(Duration::from_millis(5));
            tinyio::Ok(7)
        });
        let in_time = timeout(DAY * 2, async { tinyio::Ok(work.await?) }).await?;
        noted.push(in_time.expect("two days are longer than that"));
        gather(naps).await?;
        tinyio::Ok(())
    };
    Loop::new().virtual_time().run(main).unwrap();
    assert_eq!(log.entries(), [1, 2, 3, 4, 1, 5, 7, 10]);

    // Foreign wakers do not hold the clock: here those of a future that never calls them.
    let main = async {
        let mut kept = None;
        let mut nap = std::pin::pin!(sleep(DAY));
        std::future::poll_fn(|cx| {
            kept = Some(cx.waker().clone());
            nap.as_mut().poll(cx)
        })
        .await
    };
    Loop::new().virtual_time().run(main).unwrap();

    // The clock begins at the same time whenever the loop was made, or the order would depend on that.
    let order = |age: Duration| {
        let (looped, made) = (Loop::new(), std::time::Instant::now());
        while made.elapsed() < age {
            std::hint::spin_loop();
        }
        let log = Log::new();
        let noted = log.clone();
        let naps = (1..9_u64).map(|n| {
            let noted = noted.clone();
            async move {
                for round in 0..5 {
                    sleep(Duration::from_micros(n * 137 + round * 61)).await?;
                    noted.push(n);
                }
                tinyio::Ok(())
            }
        });
        looped.virtual_time().run(gather(naps.collect::<Vec<_>>())).unwrap();
        log.entries()
    };
    let first = order(Duration::ZERO);
    assert!((1..6).all(|n| order(Duration::from_micros(n * 170)) == first));

    // Waiting for ever is no busy loop: only the virtual clock reaches the latest time that timers can be set for.
    Loop::new().virtual_time().run(async { timeout(DAY, sleep(Duration::MAX)).await }).unwrap().unwrap_err();
    Loop::new().virtual_time().run(sleep(Duration::MAX)).unwrap();
}

/// Runs several features whose order is the loop's to decide.
async fn busy() -> Result<Vec<u32>> {
    let order = Log::new();
    let (lock, two, event) = (Lock::new(), Semaphore::new(2), Event::new());
    let shared = coro(async {
        turns(3).await?;
        tinyio::Ok(1)
    });
    let works = (0..20).map(|n| {
        let (order, lock, two, event, shared) =
            (order.clone(), lock.clone(), two.clone(), event.clone(), shared.clone());
        async move {
            turns(n % 3).await?;
            let _permit = two.acquire().await?;
            shared.await?;
            let _guard = lock.acquire().await?;
            if n == 7 {
                event.set();
            }
            sleep(Duration::from_millis(u64::from(n % 4))).await?;
            order.push(n);
            tinyio::Ok(())
        }
    });
    gather(works.collect::<Vec<_>>()).await?;
    event.wait().await?;
    Ok(order.entries())
}

/// The trace of [`busy`] without its times.
fn trace(seed: u64, folder: &Path, run: u32) -> Vec<Value> {
    fn timeless(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    if ["seq", "at", "since", "until", "timer"].contains(&key.as_str()) {
                        *value = Value::Null;
                    } else {
                        timeless(value);
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(timeless),
            _ => {}
        }
    }
    let file = folder.join(format!("{seed}-{run}.jsonl"));
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(["time_and_order::shuffle", "--exact", "--test-threads=1"])
        .env("TINYIO_TEST_CHILD", seed.to_string())
        .env("TINYIO_TRACE", &file)
        .env("XDG_RUNTIME_DIR", folder)
        .output()
        .expect("this program starts again");
    assert!(status.status.success(), "{status:?}");
    let text = std::fs::read_to_string(&file).expect("a trace");
    let mut events = text.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<_>>();
    // The system ran other threads, or frames were read for the report, which takes real time.
    events.retain(|event: &Value| event["kind"] != "away");
    events.iter_mut().for_each(timeless);
    events
}

#[test]
fn shuffle() {
    let _watched = watched();
    let run = |seed| Loop::new().virtual_time().shuffle(seed).run(busy()).unwrap();
    if let Ok(seed) = std::env::var("TINYIO_TEST_CHILD") {
        run(seed.parse().expect("a seed"));
        return;
    }
    assert_eq!(run(1), run(1));
    assert!((2..10).any(|seed| run(seed) != run(1)));
    // No coroutine is left out.
    let mut order = run(1);
    order.sort_unstable();
    assert_eq!(order, (0..20).collect::<Vec<_>>());

    let folder = tempfile::tempdir().unwrap();
    let (one, again, two) = (trace(1, folder.path(), 1), trace(1, folder.path(), 2), trace(2, folder.path(), 1));
    assert!(one.len() > 500, "{}", one.len());
    for (n, (one, again)) in one.iter().zip(&again).enumerate() {
        assert_eq!(one, again, "event {n}");
    }
    assert_eq!(one.len(), again.len());
    assert_ne!(one, two);
}
