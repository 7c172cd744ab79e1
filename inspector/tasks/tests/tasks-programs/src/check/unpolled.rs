//! Futures that hold a lock, or come next in its queue, and that their task keeps without polling them: the pattern
//! "futurelock".

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify, RwLock};

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Holds a lock until a notification.
async fn works(lock: Arc<Mutex<u32>>, begun: Arc<Notify>, end: Arc<Notify>) {
    let mut guard = lock.lock().await;
    begun.notify_one();
    end.notified().await;
    *guard += 1;
}

/// A lock that a task holds until the notification.
async fn held() -> (Arc<Mutex<u32>>, Arc<Notify>) {
    let lock = Arc::new(Mutex::new(1));
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    tokio::spawn(works(lock.clone(), begun.clone(), end.clone()));
    begun.notified().await;
    (lock, end)
}

async fn uses(lock: Arc<Mutex<u32>>) {
    *lock.lock().await += 1; // here: uses
}

/// Its first future is next in the queue of the lock when it begins to await the second one.
async fn queued() {
    let (lock, end) = held().await;
    let mut first: Boxed = Box::pin(uses(lock.clone()));
    tokio::select! {
        biased;
        () = &mut first => println!("first"),
        () = std::future::ready(()) => {
            end.notify_one();
            uses(lock).await;
        }
    }
}

/// The same with a future that holds the lock itself, in a `Vec`.
async fn holding() {
    let lock = Arc::new(Mutex::new(1));
    let inner = lock.clone();
    let mut all: Vec<Boxed> = vec![Box::pin(async move {
        let guard = inner.lock().await;
        std::future::pending::<()>().await;
        drop(guard);
    })];
    std::future::poll_fn(|context| {
        let _ = all[0].as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
    uses(lock).await;
    drop(all);
}

/// Waits on a lock that such a future of another task holds.
async fn waits(lock: Arc<Mutex<u32>>) {
    uses(lock).await;
}

/// As [`queued`], and another task waits on the lock too.
async fn shared() {
    let (lock, end) = held().await;
    let mut first: Boxed = Box::pin(uses(lock.clone()));
    tokio::select! {
        biased;
        () = &mut first => println!("first"),
        () = std::future::ready(()) => {
            end.notify_one();
            tokio::spawn(waits(lock.clone()));
            uses(lock).await;
        }
    }
}

/// Reads, and waits on writing to the same lock.
async fn upgrades() {
    let lock = RwLock::new(1);
    let one = lock.read().await;
    *lock.write().await += *one; // here: upgrades
}

pub async fn start() {
    tokio::spawn(queued());
    tokio::spawn(holding());
    tokio::spawn(shared());
    tokio::spawn(upgrades());
}
