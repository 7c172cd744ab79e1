//! A task with locks, permits, channels and a handle among its locals.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::{Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, watch};

async fn keeper() {
    let (free, taken, shared) = (Mutex::new(1_u64), Mutex::new(7_u32), Arc::new(Mutex::new(9_u8)));
    let (rows, permits, bell) = (RwLock::new(5_u16), Semaphore::new(3), Notify::new());
    let (table, places) = (smol::lock::Mutex::new(11_i64), smol::lock::Semaphore::new(2));
    let (list, empty) = (smol::lock::RwLock::new(4_u8), smol::lock::RwLock::new(6_u8));
    let guard = taken.lock().await;
    let owned = shared.clone().lock_owned().await;
    let reading = rows.read().await;
    let permit = permits.acquire().await.unwrap();
    let at_table = table.lock().await;
    let place = places.acquire().await;
    let writing = list.write().await;
    let (sender, receiver) = mpsc::channel::<u8>(1);
    let (news, heard) = broadcast::channel::<u8>(1);
    let (shown, seen) = watch::channel(1_u8);
    let handle = tokio::spawn(pending::<()>());
    pending::<()>().await;
    drop((handle, seen, shown, heard, news, receiver, sender, writing, place, at_table, permit, reading, owned, guard));
    drop((free, taken, shared, rows, permits, bell, table, places, list, empty));
}

pub async fn start() {
    tokio::spawn(keeper());
}
