//! Tasks that wait on permits, messages or room in a channel that none can give.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::{Barrier, Semaphore, mpsc};

/// Two of these take all permits, and each wants another one.
async fn hoards(permits: Arc<Semaphore>, both: Arc<Barrier>) {
    let one = permits.acquire().await.unwrap();
    both.wait().await;
    let two = permits.acquire().await.unwrap(); // here: hoards
    drop((one, two));
}

/// Keeps a sender and waits for what has no waker.
async fn silent(sender: mpsc::Sender<u32>) {
    pending::<()>().await; // here: silent
    drop(sender);
}

async fn listens(mut messages: mpsc::Receiver<u32>) {
    let message = messages.recv().await; // here: listens
    println!("{message:?}");
}

/// Receives from the channel to which it could send itself.
async fn monologue() {
    let (sender, mut messages) = mpsc::unbounded_channel::<u32>();
    let message = messages.recv().await; // here: monologue
    println!("{message:?}");
    drop(sender);
}

/// Keeps a receiver and does not receive.
async fn deaf(messages: mpsc::Receiver<u32>) {
    pending::<()>().await; // here: deaf
    drop(messages);
}

async fn stuffs(sender: mpsc::Sender<u32>) {
    sender.send(1).await.unwrap();
    sender.send(2).await.unwrap(); // here: stuffs
}

pub async fn start() {
    let (permits, both) = (Arc::new(Semaphore::new(2)), Arc::new(Barrier::new(2)));
    tokio::spawn(hoards(permits.clone(), both.clone()));
    tokio::spawn(hoards(permits, both));
    let (sender, messages) = mpsc::channel(1);
    tokio::spawn(silent(sender.clone()));
    tokio::spawn(silent(sender));
    tokio::spawn(listens(messages));
    tokio::spawn(monologue());
    let (sender, messages) = mpsc::channel(1);
    tokio::spawn(deaf(messages));
    tokio::spawn(stuffs(sender));
}
