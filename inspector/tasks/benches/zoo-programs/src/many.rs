//! Two runtimes in one process, with very many tasks: sessions that wait for messages or until they expire.
//!
//! `many COUNT`

mod counted;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, Notify, broadcast, mpsc};
use tokio::time::timeout;

static BEGUN: AtomicUsize = AtomicUsize::new(0);

struct Session {
    id: usize,
    user: String,
    total: Arc<Mutex<u64>>,
}

impl Session {
    async fn run(self, mut inbox: mpsc::Receiver<u64>, mut news: broadcast::Receiver<String>) {
        BEGUN.fetch_add(1, Ordering::Relaxed);
        loop {
            tokio::select! {
                message = inbox.recv() => match message {
                    Some(amount) => self.add(amount).await,
                    None => return,
                },
                text = news.recv() => println!("{} {}: {text:?}", self.id, self.user),
            }
        }
    }

    async fn add(&self, amount: u64) {
        *self.total.lock().await += amount;
    }
}

async fn expires(inbox: mpsc::Sender<u64>, stop: Arc<Notify>) {
    BEGUN.fetch_add(1, Ordering::Relaxed);
    let _ = timeout(Duration::from_secs(86_400), stop.notified()).await;
    drop(inbox);
}

fn start(runtime: &Runtime, count: usize, news: &broadcast::Sender<String>, stop: &Arc<Notify>) {
    let total = Arc::new(Mutex::new(0));
    for id in 0..count {
        let (sender, inbox) = mpsc::channel(8);
        let session = Session { id, user: format!("user {id}"), total: total.clone() };
        runtime.spawn(session.run(inbox, news.subscribe()));
        runtime.spawn(expires(sender, stop.clone()));
    }
}

fn main() {
    let count: usize = std::env::args().nth(1).and_then(|count| count.parse().ok()).expect("COUNT");
    let (news, _) = broadcast::channel(16);
    let stop = Arc::new(Notify::new());
    let many = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let few = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    start(&many, count / 2 - count / 20, &news, &stop);
    start(&few, count / 20, &news, &stop);
    while BEGUN.load(Ordering::Relaxed) < count / 2 * 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let handles = [many.handle().clone(), few.handle().clone()];
    counted::answer(0, move || handles.iter().map(|handle| handle.metrics().num_alive_tasks()).sum());
    many.block_on(std::future::pending::<()>());
}
