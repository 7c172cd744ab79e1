//! Futures of `block_on`, each on a thread of its own, and a deadlock that one of them is a part of. Says `ready` when
//! they are at their places, and answers each line of its input.
//!
//! `roots-programs KIND`

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Barrier, Mutex};
use tokio::task::LocalSet;

static POLLED: AtomicUsize = AtomicUsize::new(0);

async fn waits(label: String) {
    POLLED.fetch_add(1, Ordering::SeqCst);
    pending::<()>().await; // here: waits
    println!("{label}");
}

/// Is polled once and never ends.
async fn root(number: u32, label: &str) {
    waits(label.to_owned()).await; // here: root
    println!("{number}");
}

fn multi() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn current() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The future of `block_on` holds one lock and waits on a task, which waits on that lock.
async fn main_future() {
    let lock = Arc::new(Mutex::new(1));
    let guard = lock.lock().await;
    let task = tokio::spawn(wants(lock.clone()));
    task.await.unwrap(); // here: main_future
    drop(guard);
}

async fn wants(lock: Arc<Mutex<u32>>) {
    POLLED.fetch_add(1, Ordering::SeqCst);
    println!("{}", lock.lock().await); // here: wants
}

/// A task that the future of `block_on` waits on, with a lock of its own: it is healthy.
async fn healthy() {
    let lock = Arc::new(Mutex::new(1));
    let both = Arc::new(Barrier::new(2));
    let other = both.clone();
    let task = tokio::spawn(async move {
        let guard = lock.lock().await;
        other.wait().await;
        POLLED.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
        drop(guard);
    });
    both.wait().await;
    task.await.unwrap();
}

fn start(run: impl FnOnce() + Send + 'static) {
    std::thread::spawn(run);
}

fn main() {
    let kind = std::env::args().nth(1).unwrap();
    let threads = match kind.as_str() {
        "all" => {
            start(|| multi().block_on(root(1, "multi")));
            start(|| current().block_on(root(2, "current")));
            start(|| LocalSet::new().block_on(&current(), root(3, "local")));
            start(|| smol::block_on(root(4, "smol")));
            start(|| smol::future::block_on(root(5, "futures-lite")));
            start(|| pollster::block_on(root(6, "pollster")));
            start(|| multi().block_on(Box::pin(root(7, "boxed"))));
            // A future of `block_on` that is being polled, inside of which another one waits.
            start(|| {
                let runtime = multi();
                runtime.block_on(async {
                    let inner = tokio::runtime::Handle::current();
                    tokio::task::block_in_place(|| inner.block_on(root(8, "nested")));
                });
            });
            8
        }
        "deadlock" => {
            start(|| current().block_on(main_future()));
            1
        }
        "healthy" => {
            start(|| multi().block_on(healthy()));
            start(|| current().block_on(healthy()));
            2
        }
        _ => panic!("a kind"),
    };
    while POLLED.load(Ordering::SeqCst) < threads {
        std::thread::yield_now();
    }
    println!("ready");
    for _ in std::io::stdin().lines() {
        println!("alive");
    }
}
