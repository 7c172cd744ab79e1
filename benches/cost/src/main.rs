//! `tinyio-cost W1|W2|W2M|W3|W4|W5|W10|clock`: nanoseconds of CPU time per operation. The work is that of the table of
//! the loop; it is run by `cargo bench --bench recording`, which builds this program twice and prints what recording
//! costs.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use tinyio::{CancelledError, Coro, Loop, sleep, spawn, yield_now};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nanoseconds per operation, without the cost of starting.
fn work(id: &str) -> Option<f64> {
    match id {
        "W1" => Some(spawn_await(1_000_000)),
        "W2" => Some(gather(10_000, 100)),
        "W2M" => Some(gather(1_000_000, 1)),
        "W3" => Some(yields(1_000_000)),
        "W4" => Some(chain(100_000, 10)),
        "W5" => Some(shared(100_000, 10)),
        "W10" => Some(cancel(1_000_000)),
        "clock" => Some(clock(1_000_000)),
        _ => None,
    }
}

/// Runs `main`, which gives the number of operations.
fn run(main: impl Future<Output = Result<u64, CancelledError>>) -> f64 {
    let timed = async {
        let start = cpu();
        let operations = main.await?;
        Ok::<_, CancelledError>((cpu() - start).as_nanos() as f64 / operations as f64)
    };
    Loop::new().run(timed).expect("nothing fails")
}

/// Tasks that are awaited one after another.
fn spawn_await(n: u64) -> f64 {
    run(async {
        for i in 0..n {
            black_box(spawn(async move { Ok::<_, CancelledError>(black_box(i)) }).await?);
        }
        Ok(n)
    })
}

/// Tasks that are gathered all at once.
fn gather(n: u64, times: u64) -> f64 {
    run(async {
        for _ in 0..times {
            let all = (0..n).map(|i| async move { Ok::<_, CancelledError>(black_box(i)) });
            black_box(tinyio::gather(all.collect::<Vec<_>>()).await?);
        }
        Ok(n * times)
    })
}

/// A task that only yields.
fn yields(n: u64) -> f64 {
    run(async {
        for _ in 0..n {
            yield_now().await?;
        }
        Ok(n)
    })
}

/// A chain of tasks, each of which awaits the one before.
fn chain(n: u64, times: u64) -> f64 {
    run(async {
        for _ in 0..times {
            let mut top: Coro<u64> = spawn(async {
                yield_now().await?;
                Ok::<_, CancelledError>(1)
            });
            for _ in 1..n {
                let below = top;
                top = spawn(async move { Ok::<_, CancelledError>(below.await? + 1) });
            }
            black_box(top.await?);
        }
        Ok(n * times)
    })
}

/// A task that is awaited by many.
fn shared(n: u64, times: u64) -> f64 {
    run(async {
        for _ in 0..times {
            let one = spawn(async {
                yield_now().await?;
                Ok::<_, CancelledError>(1_u64)
            });
            let wait = |_| {
                let one = one.clone();
                async move { one.await.map(black_box) }
            };
            black_box(tinyio::gather((0..n).map(wait).collect::<Vec<_>>()).await?);
        }
        Ok(n * times)
    })
}

/// Tasks that are cancelled while they sleep.
fn cancel(n: u64) -> f64 {
    let mut start = Duration::ZERO;
    let crash = Loop::new().run(async {
        for _ in 0..n {
            spawn(sleep(Duration::from_secs(3_600)));
        }
        spawn(async { Ok::<_, CancelledError>(()) }).await?;
        start = cpu();
        Err::<(), _>(tinyio::Error::msg("enough"))
    });
    assert!(crash.is_err(), "it was cancelled");
    (cpu() - start).as_nanos() as f64 / n as f64
}

/// Reading the clock, which is most of the cost of an event.
fn clock(n: u64) -> f64 {
    let start = cpu();
    for _ in 0..n {
        black_box(Instant::now());
    }
    (cpu() - start).as_nanos() as f64 / n as f64
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has one").into()
}

fn main() -> ExitCode {
    let id = std::env::args().nth(1).unwrap_or_default();
    let Some(ns) = work(&id) else {
        eprintln!("usage: tinyio-cost W1|W2|W2M|W3|W4|W5|W10|clock");
        return ExitCode::from(2);
    };
    println!("{ns}");
    ExitCode::SUCCESS
}
