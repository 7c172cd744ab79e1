//! `COUNT`: spawns that many tasks of tokio; when all of them wait, says so, and waits until its input is closed.

#[allow(dead_code, reason = "it is read from outside")]
#[path = "../../../../frames/benches/frames-program/src/locals.rs"]
mod locals;

/// Each module is a type of task.
#[allow(dead_code, reason = "it is there for its debug info")]
mod modules {
    include!(concat!(env!("OUT_DIR"), "/modules.rs"));
}

use std::io::Result;
use std::time::Duration;

/// Types among which the tasks are shared out.
const TYPES: u64 = 20;

trait Does {
    fn with<F: Future<Output = Result<u64>> + Send + 'static>(&mut self, future: F);
}

struct Spawn;

impl Does for Spawn {
    fn with<F: Future<Output = Result<u64>> + Send + 'static>(&mut self, future: F) {
        tokio::spawn(future);
    }
}

/// Where the leaves wait.
async fn pause() -> Result<()> {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    Ok(())
}

#[tokio::main]
async fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).expect("COUNT");
    modules::each(count, &mut Spawn);
    // Each has been polled when no worker has anything left to do.
    let metrics = tokio::runtime::Handle::current().metrics();
    while metrics.global_queue_depth() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    println!("ready");
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
}
