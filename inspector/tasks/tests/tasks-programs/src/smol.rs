//! The same of smol: starts tasks, says how many there are of each function, and answers each line of its input.
//!
//! `smol-programs KIND N`: about N tasks of a kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use event_listener::Event;
use smol::lock::{Mutex, RwLock, Semaphore};
use smol::{Executor, LocalExecutor, Task, Timer, channel, future};

/// How many tasks have begun.
static POLLED: AtomicUsize = AtomicUsize::new(0);

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
    Timer::after(Duration::from_secs(seconds)).await; // here: nap
}

async fn never(number: usize) -> usize {
    begun();
    let twice = number * 2;
    future::pending::<()>().await; // here: never
    twice + number
}

async fn joiner(other: Task<usize>) {
    begun();
    other.await; // here: joiner
}

async fn holder(lock: Arc<Mutex<String>>) {
    begun();
    let guard = lock.lock().await;
    nap(7200).await; // here: holder
    drop(guard);
}

async fn reader(lock: Arc<Mutex<String>>) {
    begun();
    let text = lock.lock().await; // here: reader
    println!("{text}");
}

async fn visitor(permits: Arc<Semaphore>) {
    begun();
    let permit = permits.acquire().await; // here: visitor
    drop(permit);
}

/// This and the next ones, in pairs: one holds a lock or a permit, the other waits for it.
async fn keeps_lock(lock: Arc<Mutex<u32>>) {
    begun();
    let guard = lock.lock_arc().await;
    nap(7200).await; // here: keeps_lock
    drop(guard);
}

async fn waits_lock(lock: Arc<Mutex<u32>>) {
    begun();
    drop(lock.lock().await); // here: waits_lock
}

async fn keeps_permit(permits: Arc<Semaphore>) {
    begun();
    let permit = permits.acquire_arc().await;
    nap(7200).await; // here: keeps_permit
    drop(permit);
}

async fn waits_permit(permits: Arc<Semaphore>) {
    begun();
    drop(permits.acquire_arc().await); // here: waits_permit
}

async fn keeps_write(lock: Arc<RwLock<u32>>) {
    begun();
    let mut guard = lock.write().await;
    *guard += 1;
    nap(7200).await; // here: keeps_write
    drop(guard);
}

async fn waits_write(lock: Arc<RwLock<u32>>) {
    begun();
    drop(lock.read().await); // here: waits_write
}

async fn keeps_read(lock: Arc<RwLock<u32>>) {
    begun();
    let guard = lock.read().await;
    nap(7200).await; // here: keeps_read
    drop(guard);
}

async fn waits_read(lock: Arc<RwLock<u32>>) {
    begun();
    *lock.write_arc().await += 1; // here: waits_read
}

/// What the lock keeps has a lock of its own.
async fn keeps_shared(lock: Arc<RwLock<(u128, RwLock<u8>)>>) {
    begun();
    let guard = lock.read_arc().await;
    nap(7200).await; // here: keeps_shared
    drop(guard);
}

async fn waits_shared(lock: Arc<RwLock<(u128, RwLock<u8>)>>) {
    begun();
    lock.write().await.0 += 1; // here: waits_shared
}

async fn keeps_all(lock: Arc<RwLock<u32>>) {
    begun();
    let guard = lock.write_arc().await;
    nap(7200).await; // here: keeps_all
    drop(guard);
}

async fn waits_all(lock: Arc<RwLock<u32>>) {
    begun();
    *lock.write().await += 1; // here: waits_all
}

async fn waits(other: Task<()>) {
    begun();
    other.await;
}

async fn receiver(messages: channel::Receiver<String>) {
    begun();
    let text = messages.recv().await; // here: receiver
    println!("{text:?}");
}

async fn listener(event: Arc<Event>) {
    begun();
    event.listen().await; // here: listener
}

/// Keeps an end of a channel, and waits for what has no waker.
async fn keeps<T>(end: T) {
    begun();
    future::pending::<()>().await; // here: keeps
    drop(end);
}

async fn hears(messages: channel::Receiver<String>) {
    begun();
    let text = messages.recv().await; // here: hears
    println!("{text:?}");
}

async fn hears_too(messages: channel::Receiver<String>) {
    begun();
    let text = messages.recv().await; // here: hears_too
    println!("{text:?}");
}

/// Waits for room, which is no message.
async fn fills(sender: channel::Sender<String>) {
    begun();
    sender.send("one".into()).await.unwrap();
    sender.send("two".into()).await.unwrap(); // here: fills
}

async fn boxed() {
    begun();
    nap(60).await; // here: boxed
}

/// Keeps what would end a task when it is dropped.
fn keep<T>(value: T) {
    std::mem::forget(value);
}

type Started = Vec<(&'static str, usize)>;

/// Starts about so many tasks.
fn start(executor: &Executor<'static>, count: usize) -> Started {
    let each = count / 5;
    for number in 0..each {
        executor.spawn(sleeper(number)).detach();
        let other = executor.spawn(never(number));
        executor.spawn(joiner(other)).detach();
        let (sender, messages) = channel::bounded(4);
        keep(sender);
        executor.spawn(receiver(messages)).detach();
        let any: future::Boxed<()> = Box::pin(boxed());
        keep(executor.spawn(any));
    }
    let lock = Arc::new(Mutex::new(String::from("shared")));
    executor.spawn(holder(lock.clone())).detach();
    while lock.try_lock().is_some() {
        std::thread::yield_now();
    }
    for _ in 0..2 {
        executor.spawn(reader(lock.clone())).detach();
    }
    executor.spawn(visitor(Arc::new(Semaphore::new(0)))).detach();
    let event = Arc::new(Event::new());
    for _ in 0..2 {
        executor.spawn(listener(event.clone())).detach();
    }
    let mut started: Started = ["sleeper", "never", "joiner", "receiver", "boxed"].map(|name| (name, each)).into();
    started.extend([("holder", 1), ("reader", 2), ("visitor", 1), ("listener", 2)]);
    started
}

fn leaked() -> &'static Executor<'static> {
    let executor: &'static Executor<'static> = Box::leak(Box::default());
    std::thread::spawn(|| future::block_on(executor.run(future::pending::<()>())));
    executor
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let kind = arguments.next().unwrap();
    let count: usize = arguments.next().unwrap().parse().unwrap();
    let mut started = Started::new();
    match kind.as_str() {
        "one" => started = start(leaked(), count),
        "two" => {
            started.extend(start(leaked(), count));
            started.extend(start(leaked(), count));
        }
        // Receivers: a task that can never go on keeps their senders. Those with another name can get a message from
        // what this thread keeps.
        "ends" => {
            let executor = leaked();
            let (sender, messages) = channel::bounded(1);
            executor.spawn(hears(messages.clone())).detach();
            executor.spawn(hears(messages)).detach();
            executor.spawn(keeps(sender)).detach();
            let (sender, messages) = channel::bounded(1);
            keep(sender.clone());
            executor.spawn(hears_too(messages)).detach();
            executor.spawn(keeps(sender)).detach();
            // A weak sender may become a sender.
            let (sender, messages) = channel::bounded(1);
            keep(sender.downgrade());
            executor.spawn(hears_too(messages)).detach();
            executor.spawn(keeps(sender)).detach();
            let (sender, messages) = channel::bounded(1);
            keep(messages);
            executor.spawn(fills(sender)).detach();
            started.extend([("hears", 2), ("hears_too", 2), ("keeps", 3), ("fills", 1)]);
        }
        "locks" => {
            let executor = LocalExecutor::new();
            let lock = Arc::new(Mutex::new(0));
            let permits = Arc::new(Semaphore::new(1));
            let [one, other, third] = [(); 3].map(|()| Arc::new(RwLock::new(0)));
            executor.spawn(keeps_lock(lock.clone())).detach();
            executor.spawn(waits_lock(lock)).detach();
            executor.spawn(keeps_permit(permits.clone())).detach();
            executor.spawn(waits_permit(permits)).detach();
            executor.spawn(keeps_write(one.clone())).detach();
            executor.spawn(waits_write(one)).detach();
            executor.spawn(keeps_read(other.clone())).detach();
            executor.spawn(waits_read(other)).detach();
            let fourth = Arc::new(RwLock::new((1, RwLock::new(2))));
            executor.spawn(keeps_shared(fourth.clone())).detach();
            executor.spawn(waits_shared(fourth)).detach();
            executor.spawn(keeps_all(third.clone())).detach();
            executor.spawn(waits_all(third)).detach();
            while executor.try_tick() {}
            started.extend(["keeps_lock", "keeps_permit", "keeps_write"].map(|name| (name, 1)));
            started.extend(["keeps_read", "keeps_shared", "keeps_all"].map(|name| (name, 1)));
            started.extend(["waits_lock", "waits_permit", "waits_write"].map(|name| (name, 1)));
            started.extend(["waits_read", "waits_shared", "waits_all"].map(|name| (name, 1)));
            ready(started);
            return;
        }
        // Nothing in it waits for ever.
        "healthy" => {
            let executor = leaked();
            let lock = Arc::new(Mutex::new(String::from("shared")));
            executor.spawn(holder(lock.clone())).detach();
            for number in 0..count {
                executor.spawn(waits(executor.spawn(sleeper(number)))).detach();
                executor.spawn(reader(lock.clone())).detach();
                let (sender, messages) = channel::bounded(4);
                keep(sender);
                executor.spawn(receiver(messages)).detach();
            }
            started.extend([
                ("holder", 1),
                ("waits", count),
                ("sleeper", count),
                ("reader", count),
                ("receiver", count),
            ]);
        }
        // The executor of `smol::spawn`, beside one on this thread and a runtime of tokio.
        "mixed" => {
            for number in 0..count {
                smol::spawn(sleeper(number)).detach();
            }
            let local = LocalExecutor::new();
            for number in 0..count {
                local.spawn(never(number)).detach();
            }
            while local.try_tick() {}
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            for _ in 0..count {
                runtime.spawn(boxed());
            }
            started.extend([("sleeper", count), ("never", count), ("boxed", count)]);
            ready(started);
            return;
        }
        _ => panic!("a kind"),
    }
    ready(started);
}

/// Waits until all have begun, and says what there is.
fn ready(started: Started) {
    while POLLED.load(Ordering::Relaxed) < started.iter().map(|(_, count)| count).sum() {
        std::thread::yield_now();
    }
    for (function, count) in started {
        println!("{function}\t{count}");
    }
    println!("ready");
    for _ in std::io::stdin().lines() {
        println!("alive");
    }
}
