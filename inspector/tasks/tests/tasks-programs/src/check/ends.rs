//! Tasks that wait on notifications, messages and a lock to read. What some of them wait on is kept only by tasks that
//! can never go on; what the others wait on is kept by this thread too, in one way or another.

use std::any::Any;
use std::future::pending;
use std::sync::Arc;

use tokio::sync::{Barrier, Notify, RwLock, broadcast, oneshot, watch};

/// Keeps an end, and waits for what has no waker.
async fn keeps<T>(end: T) {
    pending::<()>().await; // here: keeps
    drop(end);
}

async fn follows(mut values: watch::Receiver<u32>) {
    let changed = values.changed().await; // here: follows
    println!("{changed:?} {:?}", values.borrow());
}

async fn follows_too(mut values: watch::Receiver<u32>) {
    let changed = values.changed().await; // here: follows_too
    println!("{changed:?} {:?}", values.borrow());
}

async fn hears(mut values: broadcast::Receiver<u32>) {
    let value = values.recv().await; // here: hears
    println!("{value:?}");
}

async fn hears_too(mut values: broadcast::Receiver<u32>) {
    let value = values.recv().await; // here: hears_too
    println!("{value:?}");
}

async fn asks(answer: oneshot::Receiver<u32>) {
    let answer = answer.await; // here: asks
    println!("{answer:?}");
}

async fn asks_too(answer: oneshot::Receiver<u32>) {
    let answer = answer.await; // here: asks_too
    println!("{answer:?}");
}

async fn notified(notify: Arc<Notify>) {
    notify.notified().await; // here: notified
    drop(notify);
}

async fn notified_too(notify: Arc<Notify>) {
    notify.notified().await; // here: notified_too
    drop(notify);
}

/// Waits until there are no receivers, which is not a message.
async fn closes(values: watch::Sender<u32>) {
    values.closed().await; // here: closes
}

/// Reads a lock again while another one waits to write.
async fn reads_again(lock: Arc<RwLock<u32>>, is_read: Arc<Barrier>, is_queued: oneshot::Receiver<()>) {
    let first = lock.read().await;
    is_read.wait().await;
    is_queued.await.unwrap();
    let second = lock.read().await; // here: reads_again
    println!("{first} {second}");
}

async fn writes(lock: Arc<RwLock<u32>>, is_read: Arc<Barrier>) {
    is_read.wait().await;
    *lock.write().await += 1; // here: writes
}

/// Reads while one that reads will end, and one waits to write.
async fn reads_behind(lock: Arc<RwLock<u32>>) {
    let value = lock.read().await; // here: reads_behind
    println!("{value}");
}

async fn writes_later(lock: Arc<RwLock<u32>>) {
    *lock.write().await += 1; // here: writes_later
}

async fn reads_long(lock: Arc<RwLock<u32>>, is_read: oneshot::Sender<()>) {
    let value = lock.read().await;
    is_read.send(()).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await; // here: reads_long
    println!("{value}");
}

/// Until a task is in the queue of a lock that others read: the next one to read would have to wait.
async fn is_queued(lock: &RwLock<u32>) {
    while lock.try_read().is_ok() {
        tokio::task::yield_now().await;
    }
}

async fn dead() {
    let (sender, values) = watch::channel(1);
    for _ in 0..2 {
        tokio::spawn(follows(values.clone()));
    }
    tokio::spawn(keeps(sender));
    let (sender, values) = broadcast::channel(1);
    tokio::spawn(hears(values));
    tokio::spawn(hears(sender.subscribe()));
    tokio::spawn(keeps(sender));
    let (sender, answer) = oneshot::channel();
    tokio::spawn(asks(answer));
    tokio::spawn(keeps(sender));
    let notify = Arc::new(Notify::new());
    for _ in 0..2 {
        tokio::spawn(notified(notify.clone()));
    }
    tokio::spawn(keeps(notify));
    let (lock, both) = (Arc::new(RwLock::new(1)), Arc::new(Barrier::new(2)));
    let (queued, when_queued) = oneshot::channel();
    tokio::spawn(reads_again(lock.clone(), both.clone(), when_queued));
    tokio::spawn(writes(lock.clone(), both));
    is_queued_behind(&lock).await;
    queued.send(()).unwrap();
}

/// Until one task reads and another one waits to write.
async fn is_queued_behind(lock: &RwLock<u32>) {
    while lock.try_write().is_ok() {
        tokio::task::yield_now().await;
    }
    is_queued(lock).await;
}

/// What is returned keeps them alive.
async fn alive() -> Vec<Box<dyn Any>> {
    // Of each, a task that can never go on keeps one end, and this thread another.
    let (sender, values) = watch::channel(1);
    tokio::spawn(follows_too(values.clone()));
    tokio::spawn(keeps(sender.clone()));
    let (heard, all) = broadcast::channel(1);
    tokio::spawn(hears_too(all));
    tokio::spawn(keeps(heard.clone()));
    // A weak sender may become a sender.
    let (heard_again, all) = broadcast::channel(1);
    tokio::spawn(hears_too(all));
    let weak_sender = weak(&heard_again);
    tokio::spawn(keeps(heard_again));
    let (answers, answer) = oneshot::channel::<u32>();
    tokio::spawn(asks_too(answer));
    let notify = Arc::new(Notify::new());
    tokio::spawn(notified_too(notify.clone()));
    tokio::spawn(keeps(notify.clone()));
    // What a weak reference leads to may notify.
    let other = Arc::new(Notify::new());
    let weak_notify = Arc::downgrade(&other);
    tokio::spawn(notified_too(other.clone()));
    tokio::spawn(keeps(other));
    // This thread may drop the receiver.
    let (closing, values_of_closing) = watch::channel(1);
    tokio::spawn(closes(closing));
    let lock = Arc::new(RwLock::new(1));
    let (is_read, when_read) = oneshot::channel();
    tokio::spawn(reads_long(lock.clone(), is_read));
    when_read.await.unwrap();
    tokio::spawn(writes_later(lock.clone()));
    is_queued(&lock).await;
    for _ in 0..2 {
        tokio::spawn(reads_behind(lock.clone()));
    }
    vec![Box::new((sender, values, heard, weak_sender)), Box::new((answers, notify, weak_notify, values_of_closing))]
}

/// Versions of tokio before 1.44 have no weak senders of this channel: there it is another sender.
#[cfg(not(has_no_weak_senders))]
fn weak(sender: &broadcast::Sender<u32>) -> broadcast::WeakSender<u32> {
    sender.downgrade()
}

#[cfg(has_no_weak_senders)]
fn weak(sender: &broadcast::Sender<u32>) -> broadcast::Sender<u32> {
    sender.clone()
}

pub async fn start() -> Vec<Box<dyn Any>> {
    dead().await;
    alive().await
}
