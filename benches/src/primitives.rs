//! What each primitive costs per operation with N and with 10 N of them, which must be nearly the same.

use std::hint::black_box;
use std::time::Duration;

use tinyio::{Barrier, CancelledError, Error, Event, Lock, Loop, Semaphore, ThreadPool, sleep, yield_now};

use crate::measure::cpu;

const HOUR: Duration = Duration::from_secs(3_600);
/// Below this number of operations a measurement repeats them.
const OPERATIONS: u64 = 20_000;

type Done = Result<(), CancelledError>;

/// A primitive, as it is used by `n` coroutines at once.
pub struct Primitive {
    pub name: &'static str,
    /// How many times as many coroutines as of the others: of a crash, so many that neither N nor 10 N fit into the
    /// cache of the processor, which makes fewer of them cheaper.
    pub scale: u64,
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

/// Runs `n` coroutines, which all fail: one by itself, and then each as it is cancelled.
fn crash(n: u64) -> tinyio::Crash {
    let crash = Loop::new().run(async move {
        let coros = (1..n).map(|_| async { sleep(HOUR).await.map_err(|_| Error::msg("its cleanup")) });
        let _coros = tinyio::spawn(tinyio::gather(coros.collect::<Vec<_>>()));
        // They are gathered in the first turn, and wait in the second.
        yield_now().await?;
        yield_now().await?;
        Err::<(), _>(Error::msg("the first"))
    });
    let crash = crash.expect_err("the main coroutine fails");
    assert!(crash.failures().len() as u64 >= n);
    crash
}

pub const PRIMITIVES: [Primitive; 16] = [
    Primitive {
        name: "spawn",
        scale: 1,
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
    Primitive { name: "gather", scale: 1, use_by: |n| run(gather(n, yield_now)) },
    Primitive {
        name: "as_completed",
        scale: 1,
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
        scale: 1,
        use_by: |n| run(gather(n, || async { tinyio::timeout(HOUR, yield_now()).await.map(drop) })),
    },
    Primitive { name: "sleep", scale: 1, use_by: |n| run(gather(n, || sleep(Duration::from_nanos(1)))) },
    Primitive {
        name: "event",
        scale: 1,
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
        scale: 1,
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
        scale: 1,
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
        scale: 1,
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
        scale: 1,
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
        scale: 1,
        use_by: |n| {
            let barrier = Barrier::new(n as usize);
            run(gather(n, move || {
                let wait = barrier.wait();
                async move { wait.await.map(drop) }
            }))
        },
    },
    Primitive {
        name: "run_in_thread",
        scale: 1,
        use_by: |n| run(gather(n, || tinyio::run_in_thread(|| Done::Ok(())))),
    },
    Primitive {
        name: "ThreadPool::map",
        scale: 1,
        use_by: |n| run(async move { ThreadPool::new(2).map(|_| Done::Ok(()), 0..n).await.map(drop) }),
    },
    Primitive {
        name: "isolate",
        scale: 1,
        use_by: |n| run(gather(n, || async { tinyio::isolate(yield_now()).await.map(drop) })),
    },
    Primitive {
        name: "crash",
        scale: 10,
        use_by: |n| {
            drop(crash(n));
            Ok(())
        },
    },
    Primitive {
        name: "crash, printed",
        scale: 10,
        use_by: |n| {
            black_box(format!("{:?}", crash(n)));
            Ok(())
        },
    },
];
