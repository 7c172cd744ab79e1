//! Tasks of tokio on three threads. Look at it with `tinyio-inspector attach`, or afterwards with `tinyio-inspector
//! last`: `TINYIO_INSPECT=record cargo run --example crawl`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tinyio_observe::{observe, observe_named};
use tokio::sync::{Semaphore, mpsc};

/// Pages are fetched so many at a time.
const AT_ONCE: usize = 6;
const PAGES: u64 = 240;

/// Work that needs the processor.
fn busy(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

async fn fetch(page: u64, slots: Arc<Semaphore>) {
    let _slot = slots.acquire().await.expect("it is never closed");
    tokio::time::sleep(Duration::from_millis(20 + page % 7 * 10)).await;
    // Observed by itself: its time is not that of the page.
    observe(parse(page)).await;
}

async fn parse(page: u64) {
    for _ in 0..5 {
        busy(Duration::from_micros(1_500 + page % 5 * 800));
        tokio::task::yield_now().await;
    }
}

async fn index(mut pages: mpsc::Receiver<u64>) -> u64 {
    let mut count = 0;
    while let Some(page) = pages.recv().await {
        count += 1;
        // One page of forty blocks its thread, which `!` shows.
        busy(if page % 40 == 39 { Duration::from_millis(60) } else { Duration::from_micros(300) });
    }
    count
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_time().build();
    let count = runtime.expect("a runtime").block_on(async {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let (sender, receiver) = mpsc::channel(16);
        let index = tokio::spawn(observe(index(receiver)));
        for page in 0..PAGES {
            let (slots, sender) = (slots.clone(), sender.clone());
            tokio::spawn(observe_named(format!("page {page}"), async move {
                fetch(page, slots).await;
                sender.send(page).await.expect("the index is there");
            }));
        }
        drop(sender);
        index.await.expect("no panic")
    });
    println!("{count} pages");
}
