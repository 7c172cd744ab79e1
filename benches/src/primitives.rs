//! What each primitive costs per operation with N and with 10 N of them, which must be nearly the same.

use std::time::Duration;

use tinyio::{Barrier, CancelledError, Event, Lock, Loop, Semaphore, ThreadPool, yield_now};

use crate::measure::cpu;

const HOUR: Duration = Duration::from_secs(3_600);
/// Below this number of operations a measurement repeats them.
const OPERATIONS: u64 = 20_000;

type Done = Result<(), CancelledError>;

/// A primitive, as it is used by `n` coroutines at once.
pub struct Primitive {
    pub name: &'static str,
    use_by: fn(u64) -> Result<(), tinyio::Crash>,
}

impl Primitive {
    /// Nanoseconds of CPU time per operation, of all threads.
    pub fn measure(&self, n: u64) -> f64 {
        let times = (OPERATIONS / n).max(1);
        let start = cpu();
        for _ in 0..times {
            (self.use_by)(n).expect("nothing fails");
        }
        start.per(times * n)
    }
}

fn run(main: impl Future<Output = Done>) -> Result<(), tinyio::Crash> {
    Loop::new().run(main)
}

/// Gathers `n` futures.
async fn gather<F>(n: u64, future: impl Fn() -> F) -> Done
where
    F: Future<Output = Done> + 'static,
{
    tinyio::gather((0..n).map(|_| future()).collect::<Vec<_>>()).await.map(drop)
}

pub const PRIMITIVES: [Primitive; 13] = [
    Primitive {
        name: "spawn",
        use_by: |n| {
            run(async move {
                let coros: Vec<_> = (0..n).map(|_| tinyio::spawn(yield_now())).collect();
                for coro in coros {
                    coro.await?;
                }
                Ok(())
            })
        },
    },
    Primitive { name: "gather", use_by: |n| run(gather(n, yield_now)) },
    Primitive {
        name: "as_completed",
        use_by: |n| {
            run(async move {
                let mut outputs = tinyio::as_completed((0..n).map(|_| yield_now()).collect::<Vec<_>>());
                while outputs.next().await?.is_some() {}
                Ok(())
            })
        },
    },
    Primitive {
        name: "timeout",
        use_by: |n| run(gather(n, || async { tinyio::timeout(HOUR, yield_now()).await.map(drop) })),
    },
    Primitive {
        name: "event",
        use_by: |n| {
            run(async move {
                let event = Event::new();
                let waited = event.clone();
                let waiters = tinyio::spawn(gather(n, move || waited.wait()));
                // The waiters are gathered in the first turn, and wait in the second.
                yield_now().await?;
                yield_now().await?;
                event.set();
                waiters.await
            })
        },
    },
    Primitive {
        name: "semaphore, one permit",
        use_by: |n| {
            let semaphore = Semaphore::new(1);
            run(gather(n, move || {
                let semaphore = semaphore.clone();
                async move {
                    let _permit = semaphore.acquire().await?;
                    yield_now().await
                }
            }))
        },
    },
    Primitive {
        name: "semaphore, all permits held",
        use_by: |n| {
            let semaphore = Semaphore::new(n as usize);
            run(gather(n, move || {
                let semaphore = semaphore.clone();
                async move {
                    let _permit = semaphore.acquire().await?;
                    yield_now().await
                }
            }))
        },
    },
    Primitive {
        name: "semaphore, all permits given at once",
        use_by: |n| {
            run(async move {
                let semaphore = Semaphore::new(n as usize);
                let all = semaphore.acquire_many(n as usize).await?;
                let waiting = semaphore.clone();
                let waiters = tinyio::spawn(gather(n, move || {
                    let permit = waiting.acquire();
                    async move { permit.await.map(drop) }
                }));
                yield_now().await?;
                yield_now().await?;
                drop(all);
                waiters.await
            })
        },
    },
    Primitive {
        name: "lock",
        use_by: |n| {
            let lock = Lock::new();
            run(gather(n, move || {
                let lock = lock.clone();
                async move {
                    let _guard = lock.acquire().await?;
                    yield_now().await
                }
            }))
        },
    },
    Primitive {
        name: "barrier",
        use_by: |n| {
            let barrier = Barrier::new(n as usize);
            run(gather(n, move || {
                let wait = barrier.wait();
                async move { wait.await.map(drop) }
            }))
        },
    },
    Primitive { name: "run_in_thread", use_by: |n| run(gather(n, || tinyio::run_in_thread(|| Done::Ok(())))) },
    Primitive {
        name: "ThreadPool::map",
        use_by: |n| run(async move { ThreadPool::new(2).map(|_| Done::Ok(()), 0..n).await.map(drop) }),
    },
    Primitive {
        name: "isolate",
        use_by: |n| run(gather(n, || async { tinyio::isolate(yield_now()).await.map(drop) })),
    },
];
