//! What the search for deadlocks costs a busy loop in which many coroutines wait for each other.

use std::time::Duration;

use tinyio::{Coro, Event, Lock, Loop, Semaphore, coro, spawn, yield_now};

use crate::measure::busy;

/// In a search that is due all coroutines are visited, so a measurement takes long enough for some searches, ...
const CPU_TIME: Duration = Duration::from_secs(2);
/// ... and looks at the clock after so many yields.
const ROUND: u64 = 64;

/// W11: yields of a coroutine beside others that wait for a lock, for a semaphore, and for one of those. In each round
/// an await may close a cycle. Unless `searched`: then the others wait for an event, and the loop never searches.
pub fn beside(waiters: u64, searched: bool) -> f64 {
    let main = async {
        let (lock, semaphore, event) = (Lock::new(), Semaphore::new(2), Event::new());
        let held = (lock.acquire().await?, semaphore.acquire().await?, semaphore.acquire().await?);
        let mut awaited: Option<Coro<()>> = None;
        for n in 0..waiters {
            let (lock, semaphore, event, other) = (lock.clone(), semaphore.clone(), event.clone(), awaited.clone());
            let waiter = spawn(async move {
                match (n % 3, other) {
                    _ if !searched => event.wait().await?,
                    (0, Some(other)) => other.await?,
                    (1, _) => drop(semaphore.acquire().await?),
                    _ => drop(lock.acquire().await?),
                }
                tinyio::Ok(())
            });
            awaited = Some(waiter).filter(|_| n % 3 == 2).or(awaited);
        }
        yield_now().await?;
        let start = busy();
        let mut rounds = 0;
        while start.per(1) < CPU_TIME.as_nanos() as f64 {
            let next = async { tinyio::Ok(()) };
            if searched {
                spawn(next).await?
            } else {
                coro(next).await?
            }
            for _ in 0..ROUND {
                yield_now().await?;
            }
            rounds += 1;
        }
        let cost = start.per(rounds * ROUND);
        drop(held);
        event.set();
        tinyio::Ok(cost)
    };
    Loop::new().run(main).expect("it ends")
}
