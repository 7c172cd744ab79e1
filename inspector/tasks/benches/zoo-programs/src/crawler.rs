//! A crawler with reqwest: workers take addresses from a queue that they share, and put in those that they find.
//!
//! `crawler PORT`: from the first page of a server on.

mod counted;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

const WORKERS: usize = 48;

#[derive(Default)]
struct Seen {
    pages: HashSet<String>,
    failed: usize,
}

async fn fetch(client: &Client, url: &str) -> Result<Vec<String>, reqwest::Error> {
    let text = client.get(url).send().await?.error_for_status()?.text().await?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

async fn work(
    client: Client,
    root: Arc<str>,
    queue: Arc<Mutex<mpsc::UnboundedReceiver<String>>>,
    found: mpsc::UnboundedSender<String>,
    seen: Arc<Mutex<Seen>>,
) {
    loop {
        let Some(page) = queue.lock().await.recv().await else { return };
        let links = fetch(&client, &format!("{root}{page}")).await;
        let mut seen = seen.lock().await;
        match links {
            Ok(links) => {
                for link in links {
                    if seen.pages.len() > 50_000 {
                        seen.pages.clear();
                    }
                    if seen.pages.insert(link.clone()) {
                        let _ = found.send(link);
                    }
                }
            }
            Err(_) => {
                seen.failed += 1;
                let _ = found.send(page);
            }
        }
    }
}

#[tokio::main]
async fn main() {
    let port: u16 = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("PORT");
    let client = Client::builder().timeout(Duration::from_secs(20)).build().expect("a client");
    let (found, queue) = mpsc::unbounded_channel();
    let (queue, seen) = (Arc::new(Mutex::new(queue)), Arc::new(Mutex::new(Seen::default())));
    let root: Arc<str> = format!("http://127.0.0.1:{port}").into();
    for first in 1..=4 * WORKERS {
        let _ = found.send(format!("/page/{first}"));
    }
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(client.clone(), root.clone(), queue.clone(), found.clone(), seen.clone()));
    }
    let runtime = tokio::runtime::Handle::current();
    counted::answer(0, move || runtime.metrics().num_alive_tasks());
    while let Some(done) = workers.join_next().await {
        done.expect("no worker panics");
    }
}
