//! `tinyio-bench-console W1|W2|W3 [console]`: nanoseconds of CPU time of this thread per operation, of tokio's
//! current-thread runtime, without console-subscriber or with it. The work is that of `../cost`, in a smaller amount.

use std::hint::black_box;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::task::{LocalSet, spawn_local};

/// The generic yield: tokio's own costs it more.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

async fn work(id: &str) -> Option<u64> {
    match id {
        "W1" => {
            for i in 0..100_000_u64 {
                black_box(spawn_local(async move { black_box(i) }).await.expect("it ends"));
            }
            Some(100_000)
        }
        "W2" => {
            for _ in 0..5 {
                let all: Vec<_> = (0..10_000_u64).map(|i| spawn_local(async move { black_box(i) })).collect();
                for one in all {
                    black_box(one.await.expect("it ends"));
                }
            }
            Some(50_000)
        }
        "W3" => {
            let spins = spawn_local(async {
                for _ in 0..200_000 {
                    Yield(false).await;
                }
            });
            spins.await.expect("it ends");
            Some(200_000)
        }
        _ => None,
    }
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has one").into()
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let id = args.next().unwrap_or_default();
    if args.next().as_deref() == Some("console") {
        console_subscriber::ConsoleLayer::builder().server_addr(([127, 0, 0, 1], 0)).init();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let timed = async {
        let start = cpu();
        let operations = work(&id).await?;
        Some((cpu() - start).as_nanos() as f64 / operations as f64)
    };
    let Some(ns) = LocalSet::new().block_on(&runtime, timed) else {
        eprintln!("usage: tinyio-bench-console W1|W2|W3 [console]");
        return ExitCode::from(2);
    };
    println!("{ns}");
    ExitCode::SUCCESS
}
