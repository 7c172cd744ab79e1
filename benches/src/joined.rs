//! Joins many futures inside one, without a scheduler: the cost of W2 there.

use std::hint::black_box;

use futures_concurrency::future::Join;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::measure::busy;

fn repeated(n: u64, once: impl Fn() -> u64) -> f64 {
    let times = (1_000_000 / n).clamp(1, 20);
    let start = busy();
    for _ in 0..times {
        assert_eq!(once(), n);
    }
    start.per(n * times)
}

/// futures' `FuturesUnordered`: an allocation for each, outputs as they come.
pub fn unordered(n: u64) -> f64 {
    repeated(n, || {
        let mut all: FuturesUnordered<_> = (0..n).map(|i| async move { black_box(i) }).collect();
        pollster::block_on(async {
            let mut outputs = Vec::with_capacity(n as usize);
            while let Some(output) = all.next().await {
                outputs.push(output);
            }
            black_box(outputs).len() as u64
        })
    })
}

/// futures-concurrency's join of a vector.
pub fn concurrency(n: u64) -> f64 {
    repeated(n, || {
        let all: Vec<_> = (0..n).map(|i| async move { black_box(i) }).collect();
        pollster::block_on(async { black_box(all.join().await).len() as u64 })
    })
}
