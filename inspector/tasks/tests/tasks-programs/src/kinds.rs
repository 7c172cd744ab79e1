//! The tasks.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

/// How many tasks have begun.
pub static POLLED: AtomicUsize = AtomicUsize::new(0);

/// How many have passed on what they held.
static GIVEN: AtomicUsize = AtomicUsize::new(0);

fn begun() {
    POLLED.fetch_add(1, Ordering::Relaxed);
}

async fn sleeper(number: usize) {
    begun();
    let label = format!("sleeper {number}");
    nap(3600 + number as u64).await; // here: sleeper
    drop(label);
}

async fn nap(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await; // here: nap
}

async fn never(number: usize) -> usize {
    begun();
    let twice = number * 2;
    std::future::pending::<()>().await; // here: never
    twice + number
}

async fn joiner(other: JoinHandle<usize>) {
    begun();
    let _ = other.await; // here: joiner
}

async fn both(one: JoinHandle<()>, other: JoinHandle<()>) {
    begun();
    let _ = tokio::join!(one, other);
}

async fn either(one: JoinHandle<()>) {
    begun();
    let late = tokio::time::sleep(Duration::from_secs(7200));
    tokio::select!(_ = one => {}, () = late => {});
}

/// Beside the handle is a future of which no type tells what it waits on.
async fn perhaps(mut one: JoinHandle<()>) {
    begun();
    let mut never = std::future::pending::<()>();
    let poll = |cx: &mut Context<'_>| match Pin::new(&mut never).poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => Pin::new(&mut one).poll(cx).map(drop),
    };
    std::future::poll_fn(poll).await; // here: perhaps
}

async fn holder(lock: Arc<Mutex<String>>) {
    begun();
    let guard = lock.lock().await;
    std::future::pending::<()>().await; // here: holder
    drop(guard);
}

/// Has had a lock, and has passed it on.
async fn giver(lock: Arc<Mutex<String>>) {
    begun();
    let guard = lock.lock().await;
    assert!(!guard.is_empty());
    tokio::task::yield_now().await;
    take(guard);
    GIVEN.fetch_add(1, Ordering::Relaxed);
    std::future::pending::<()>().await; // here: giver
}

fn take(guard: tokio::sync::MutexGuard<'_, String>) {
    drop(guard);
}

async fn reader(lock: Arc<Mutex<String>>) {
    begun();
    let text = lock.lock().await; // here: reader
    println!("{text}");
}

async fn receiver(mut messages: mpsc::Receiver<String>) {
    begun();
    let text = messages.recv().await; // here: receiver
    println!("{text:?}");
}

async fn finished() -> String {
    begun();
    "done".into()
}

async fn spinning() {
    begun();
    loop {
        std::hint::spin_loop();
    }
}

fn parked() {
    begun();
    loop {
        std::thread::park();
    }
}

/// Starts tasks that end at once, one after the other.
pub async fn churn() {
    loop {
        let text = String::from("short");
        let _ = tokio::spawn(async move { text.len() }).await;
    }
}

/// Keeps what would end a task when it is dropped.
fn keep<T>(value: T) {
    std::mem::forget(value);
}

/// Starts about so many tasks, and returns how many of each function there are.
pub fn start(runtime: &Runtime, count: usize) -> Vec<(&'static str, usize)> {
    let is_threaded = runtime.metrics().num_workers() > 1;
    POLLED.store(0, Ordering::Relaxed);
    let given = GIVEN.load(Ordering::Relaxed);
    let mut started = Vec::new();
    let rest = count - count / 5 * 4;
    for number in 0..count / 5 + rest {
        runtime.spawn(sleeper(number));
    }
    let next = count / 5 + rest;
    let (one, other) = (runtime.spawn(sleeper(next)), runtime.spawn(sleeper(next + 1)));
    let (third, fourth) = (runtime.spawn(sleeper(next + 2)), runtime.spawn(sleeper(next + 3)));
    runtime.spawn(both(one, other));
    runtime.spawn(either(third));
    runtime.spawn(perhaps(fourth));
    started.extend([("sleeper", next + 4), ("both", 1), ("either", 1), ("perhaps", 1)]);
    for number in 0..count / 5 {
        let other = runtime.spawn(never(number));
        runtime.spawn(joiner(other));
    }
    started.extend([("never", count / 5), ("joiner", count / 5)]);
    for _ in 0..count / 5 {
        let (sender, receiver_end) = mpsc::channel(4);
        keep(sender);
        runtime.spawn(receiver(receiver_end));
        keep(runtime.spawn(finished()));
    }
    started.extend([("receiver", count / 5), ("finished", count / 5)]);
    let lock = Arc::new(Mutex::new(String::from("shared")));
    runtime.spawn(holder(lock.clone()));
    // The lock is held before another task asks for it.
    while is_threaded && lock.try_lock().is_ok() {
        std::thread::yield_now();
    }
    runtime.spawn(giver(Arc::new(Mutex::new(String::from("given")))));
    for _ in 0..2 {
        runtime.spawn(reader(lock.clone()));
    }
    started.extend([("holder", 1), ("giver", 1), ("reader", 2)]);
    if is_threaded {
        // What is in the queue of a worker that spins may stay there.
        while GIVEN.load(Ordering::Relaxed) == given {
            std::thread::yield_now();
        }
        runtime.spawn(spinning());
        started.push(("spinning", 1));
    }
    runtime.spawn_blocking(|| parked());
    started.push(("parked", 1));
    started
}

/// The same of tasks that cannot leave their thread.
pub fn start_local(count: usize) -> Vec<(&'static str, usize)> {
    for number in 0..count {
        tokio::task::spawn_local(sleeper(number));
    }
    vec![("sleeper", count)]
}
