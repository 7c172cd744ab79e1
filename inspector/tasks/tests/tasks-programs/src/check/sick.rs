//! Tasks that can never go on, each for another reason.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

/// Waits for what has no waker.
async fn never(number: usize) {
    pending::<()>().await; // here: never
    println!("{number}");
}

async fn joins(other: JoinHandle<()>) {
    let _ = other.await; // here: joins
}

/// Takes a lock twice.
async fn twice(lock: Arc<Mutex<u32>>) {
    let first = lock.lock().await;
    let second = lock.lock().await; // here: twice
    println!("{first} {second}");
}

/// Holds a lock, and can never go on.
async fn keeps(lock: Arc<Mutex<u32>>, held: oneshot::Sender<()>) {
    let guard = lock.lock().await;
    held.send(()).unwrap();
    pending::<()>().await; // here: keeps
    drop(guard);
}

async fn wants(lock: Arc<Mutex<u32>>) {
    let guard = lock.lock().await; // here: wants
    println!("{guard}");
}

/// Waits on its own end.
async fn own(handle: oneshot::Receiver<JoinHandle<()>>) {
    let handle = handle.await.unwrap();
    let _ = handle.await; // here: own
}

pub async fn start() {
    for number in 0..3 {
        tokio::spawn(never(number));
    }
    tokio::spawn(joins(tokio::spawn(joins(tokio::spawn(never(3))))));
    tokio::spawn(twice(Arc::new(Mutex::new(1))));
    let lock = Arc::new(Mutex::new(2));
    let (held, is_held) = oneshot::channel();
    tokio::spawn(keeps(lock.clone(), held));
    is_held.await.unwrap();
    tokio::spawn(wants(lock));
    let (handle, of_itself) = oneshot::channel();
    handle.send(tokio::spawn(own(of_itself))).unwrap();
}
