//! Two tasks take two locks in different orders: the example of docs/ANY-PROGRAM.md.

use std::sync::Arc;

use tokio::sync::{Barrier, Mutex};

struct Accounts {
    from: Mutex<u64>,
    to: Mutex<u64>,
    both_began: Barrier,
}

async fn transfer(accounts: Arc<Accounts>, amount: u64) {
    let mut from = accounts.from.lock().await;
    accounts.both_began.wait().await;
    let mut to = accounts.to.lock().await;
    *from -= amount;
    *to += amount;
}

async fn audit(accounts: Arc<Accounts>) -> u64 {
    let to = accounts.to.lock().await;
    accounts.both_began.wait().await;
    let from = accounts.from.lock().await;
    *from + *to
}

async fn report(sum: tokio::task::JoinHandle<u64>) {
    println!("{:?}", sum.await);
}

pub async fn start() {
    let accounts = Accounts { from: Mutex::new(100), to: Mutex::new(0), both_began: Barrier::new(2) };
    let accounts = Arc::new(accounts);
    tokio::spawn(transfer(accounts.clone(), 10));
    tokio::spawn(report(tokio::spawn(audit(accounts))));
}
