//! Starts tasks, says how many there are of each function, and answers each line of its input until that ends.
//!
//! `tasks-programs KIND N`: about N tasks on a runtime of a kind.

mod kinds;

use std::sync::atomic::Ordering;

use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap();
    let count: usize = arguments.next().unwrap().parse().unwrap();
    let multi = || Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let current = || Builder::new_current_thread().enable_all().build().unwrap();
    match kind.as_str() {
        "multi" => {
            let runtime = multi();
            ready(&kinds::start(&runtime, count), || answer(&runtime));
        }
        "current" => {
            let runtime = current();
            let started = kinds::start(&runtime, count);
            runtime.block_on(until_polled(count / 5 * 5 + 5));
            ready(&started, || answer(&runtime));
        }
        "local" => {
            let set = LocalSet::new();
            current().block_on(set.run_until(async {
                let started = kinds::start_local(count);
                until_polled(count).await;
                ready(&started, || {});
            }));
        }
        "two" => {
            let runtimes: Vec<Runtime> = vec![multi(), multi()];
            let started: Vec<_> = runtimes.iter().flat_map(|runtime| kinds::start(runtime, count / 2)).collect();
            ready(&started, || runtimes.iter().for_each(answer));
        }
        // Tasks that begin and end all the time, beside those that wait.
        "busy" => {
            let runtime = multi();
            let started = kinds::start(&runtime, count);
            for _ in 0..4 {
                runtime.spawn(kinds::churn());
            }
            ready(&started, || answer(&runtime));
        }
        "none" => ready(&[], || {}),
        _ => panic!("a kind"),
    }
}

/// Until all tasks were polled once.
async fn until_polled(count: usize) {
    while kinds::POLLED.load(Ordering::Relaxed) < count {
        tokio::task::yield_now().await;
    }
}

/// Runs a task to its end.
fn answer(runtime: &Runtime) {
    runtime.block_on(async { tokio::spawn(async { 1 }).await.unwrap() });
}

/// Says what there is, and for each line of the input that the runtime is alive.
fn ready(started: &[(&str, usize)], alive: impl Fn()) {
    for (function, count) in started {
        println!("{function}\t{count}");
    }
    println!("ready");
    for _ in std::io::stdin().lines() {
        alive();
        println!("alive");
    }
}
