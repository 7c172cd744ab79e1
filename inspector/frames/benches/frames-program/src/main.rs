//! `stand COUNT`: suspends futures, says where they are, and waits to be looked at from outside until its input is
//! closed. `crash COUNT`: runs that many coroutines on a loop; when all wait, one more fails. Says how many
//! microseconds it took from there to the end of the loop.

#[allow(dead_code, reason = "it is read from outside")]
mod locals;

/// Each module is a type of coroutine.
#[allow(dead_code, reason = "it is there for its debug info")]
mod modules {
    include!(concat!(env!("OUT_DIR"), "/modules.rs"));
}

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tinyio::Result;
use tinyio_frames::FutureType;

/// Types among which the coroutines are shared out.
const TYPES: u64 = 20;

trait Does {
    fn with<F: Future<Output = tinyio::Result<u64>> + 'static>(&mut self, future: F);
}

struct Never;

impl Future for Never {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

thread_local! {
    static ON_A_LOOP: Cell<bool> = const { Cell::new(false) };
}

/// Where the leaves wait.
async fn pause() -> tinyio::Result<()> {
    if !ON_A_LOOP.get() {
        Never.await;
    }
    Ok(tinyio::sleep(Duration::from_secs(3600)).await?)
}

/// Leaves them suspended.
struct Stand;

impl Does for Stand {
    fn with<F: Future<Output = tinyio::Result<u64>> + 'static>(&mut self, future: F) {
        let mut future = Box::pin(future);
        assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let FutureType { function, drop, size, align, .. } = FutureType::of::<F>();
        println!("{function} {drop} {size} {align} {}", &raw const *future as usize);
        std::mem::forget(future);
    }
}

struct Spawn;

impl Does for Spawn {
    fn with<F: Future<Output = tinyio::Result<u64>> + 'static>(&mut self, future: F) {
        tinyio::spawn(future);
    }
}

fn crash(count: u64) {
    ON_A_LOOP.set(true);
    let mut begin = Instant::now();
    let result = tinyio::Loop::new().run(async {
        modules::each(count, &mut Spawn);
        for _ in 0..2 {
            tinyio::yield_now().await?;
        }
        begin = Instant::now();
        Err::<(), _>(tinyio::Error::msg("as asked"))
    });
    let took = begin.elapsed();
    assert!(result.is_err());
    println!("{}", took.as_micros());
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let count = arguments.get(2).and_then(|count| count.parse().ok()).unwrap_or(1);
    match arguments.get(1).map(String::as_str) {
        Some("crash") => return crash(count),
        Some("stand") => modules::each(count, &mut Stand),
        _ => panic!("stand COUNT or crash COUNT"),
    }
    println!("ready");
    let _ = std::io::stdin().read_line(&mut String::new());
}
