//! Tasks that wait long, in ways that look like those of tasks that can never go on.

use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{Barrier, Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

const LONG: Duration = Duration::from_secs(3600);

async fn sleeps() {
    sleep(LONG).await;
}

async fn joins(other: JoinHandle<()>) {
    let _ = other.await;
}

/// Holds a lock until a timer ends.
async fn holds(lock: Arc<Mutex<u32>>, held: oneshot::Sender<()>) {
    let guard = lock.lock().await;
    held.send(()).unwrap();
    sleep(LONG).await;
    drop(guard);
}

async fn wants(lock: Arc<Mutex<u32>>) {
    println!("{}", lock.lock().await);
}

/// Holds one lock and waits on another, for a time: two of these in different orders do not deadlock.
async fn wants_for_a_time(first: Arc<Mutex<u32>>, second: Arc<Mutex<u32>>, both: Arc<Barrier>) {
    let guard = first.lock().await;
    both.wait().await;
    let other = timeout(LONG, second.lock()).await;
    println!("{guard} {other:?}");
}

/// The same with a `select!`.
async fn wants_or_goes(first: Arc<Mutex<u32>>, second: Arc<Mutex<u32>>, both: Arc<Barrier>) {
    let guard = first.lock().await;
    both.wait().await;
    tokio::select! {
        other = second.lock() => println!("{guard} {other}"),
        () = sleep(LONG) => {}
    }
}

/// The same with a future written by hand.
async fn wants_by_hand(first: Arc<Mutex<u32>>, second: Arc<Mutex<u32>>, both: Arc<Barrier>) {
    let guard = first.lock().await;
    both.wait().await;
    let (mut lock, mut time) = (Box::pin(second.lock()), Box::pin(sleep(LONG)));
    std::future::poll_fn(|context| {
        let is_ready = time.as_mut().poll(context).is_ready() || lock.as_mut().poll(context).is_ready();
        if is_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    drop(guard);
}

/// Holds one lock, gives its guard away, and waits on a second one.
async fn gives(first: Arc<Mutex<u32>>, second: Arc<Mutex<u32>>, both: Arc<Barrier>) {
    let guard = first.clone().lock_owned().await;
    both.wait().await;
    let dropper = tokio::spawn(async move {
        sleep(LONG).await;
        drop(guard);
    });
    let other = second.lock().await;
    println!("{other} {dropper:?}");
}

/// Waits on a lock of which the guard was moved to another task.
async fn crosses(first: Arc<Mutex<u32>>, second: Arc<Mutex<u32>>, both: Arc<Barrier>) {
    let guard = second.lock().await;
    both.wait().await;
    let other = first.lock().await;
    println!("{guard} {other}");
}

async fn joins_for_a_time(other: JoinHandle<()>) {
    let _ = timeout(LONG, other).await;
}

async fn joins_or_goes(other: JoinHandle<()>, time: Duration) {
    tokio::select! {
        _ = other => {}
        () = sleep(time) => {}
    }
}

/// Ends when it is aborted: its handle is kept by this thread.
async fn lasts() {
    pending::<()>().await;
}

async fn reads(lock: Arc<RwLock<u32>>) {
    let guard = lock.read().await;
    sleep(LONG).await;
    drop(guard);
}

async fn writes(lock: Arc<RwLock<u32>>) {
    *lock.write().await += 1;
}

async fn takes(permits: Arc<Semaphore>) {
    let permit = permits.acquire().await.unwrap();
    sleep(LONG).await;
    drop(permit);
}

async fn receives(mut messages: mpsc::Receiver<u32>) {
    while messages.recv().await.is_some() {}
}

async fn sends(messages: mpsc::Sender<u32>) {
    loop {
        messages.send(1).await.unwrap();
        sleep(LONG).await;
    }
}

async fn answers(sender: oneshot::Sender<u32>) {
    sleep(LONG).await;
    let _ = sender.send(1);
}

async fn awaits(receiver: oneshot::Receiver<u32>) {
    let _ = receiver.await;
}

async fn watches(mut values: watch::Receiver<u32>) {
    let _ = values.changed().await;
}

async fn listens(mut values: broadcast::Receiver<u32>) {
    let _ = values.recv().await;
}

async fn notified(notify: &'static Notify) {
    notify.notified().await;
}

async fn meets(barrier: Arc<Barrier>) {
    barrier.wait().await;
}

async fn joins_all() {
    let mut set = JoinSet::new();
    for _ in 0..3 {
        set.spawn(sleeps());
    }
    while set.join_next().await.is_some() {}
}

async fn works() {
    let _ = tokio::task::spawn_blocking(|| std::thread::park()).await;
}

async fn yields() {
    loop {
        tokio::task::yield_now().await;
    }
}

async fn churns() {
    loop {
        let _ = tokio::spawn(async { tokio::task::yield_now().await }).await;
    }
}

/// Locks that are taken and released all the time, in one order.
async fn contends(first: Arc<Mutex<u32>>, second: Arc<Mutex<u32>>) {
    loop {
        let mut first = first.lock().await;
        tokio::task::yield_now().await;
        *second.lock().await += *first;
        *first = 0;
    }
}

/// Polls a future once.
async fn once(future: std::pin::Pin<&mut impl Future<Output = ()>>) {
    tokio::select! {
        biased;
        () = future => {}
        () = std::future::ready(()) => {}
    }
}

/// Keeps a future that is next in the queue of a lock, and waits on the lock for a time.
async fn keeps_for_a_time(lock: Arc<Mutex<u32>>) {
    let guard = lock.lock().await;
    let mut first = Box::pin(wants(lock.clone()));
    once(first.as_mut()).await;
    drop(guard);
    let _ = timeout(LONG, wants(lock)).await;
    drop(first);
}

/// Keeps such a future, and waits on a timer; another task waits on the lock.
async fn keeps_and_sleeps(lock: Arc<Mutex<u32>>) {
    let guard = lock.lock().await;
    let mut first = Box::pin(wants(lock.clone()));
    once(first.as_mut()).await;
    drop(guard);
    tokio::spawn(wants(lock));
    sleep(LONG).await;
    drop(first);
}

/// Awaits a future in the queue of a lock through a reference, having kept it over another await.
async fn awaits_later(lock: Arc<Mutex<u32>>) {
    let mut first = Box::pin(wants(lock));
    once(first.as_mut()).await;
    tokio::task::yield_now().await;
    first.await;
}

/// The same in a pin on its own stack.
async fn awaits_pinned(lock: Arc<Mutex<u32>>) {
    let first = wants(lock);
    tokio::pin!(first);
    once(first.as_mut()).await;
    tokio::task::yield_now().await;
    first.as_mut().await;
}

/// Has dropped a future that was next in the queue.
async fn drops(lock: Arc<Mutex<u32>>) {
    let guard = lock.lock().await;
    let mut first = Box::pin(wants(lock.clone()));
    once(first.as_mut()).await;
    drop(guard);
    drop(first);
    let guard = lock.lock().await;
    sleep(LONG).await;
    drop(guard);
}

/// Waits on writing while another one reads for a time.
async fn reads_then_writes(lock: Arc<RwLock<u32>>, both: Arc<Barrier>) {
    let guard = lock.read().await;
    both.wait().await;
    drop(guard);
    *lock.write().await += 1;
}

/// Takes a permit and wants another one, which may come from elsewhere.
async fn takes_two(permits: Arc<Semaphore>, both: Arc<Barrier>) {
    let one = permits.acquire().await.unwrap();
    both.wait().await;
    let two = permits.acquire().await.unwrap();
    drop((one, two));
}

async fn keeps<T>(_kept: T) {
    pending::<()>().await;
}

async fn sends_twice(messages: mpsc::Sender<u32>) {
    messages.send(1).await.unwrap();
    messages.send(2).await.unwrap();
}

/// Keeps the sender of one channel, and receives from another one through a lock.
async fn receives_from_another(
    sender: mpsc::Sender<u32>,
    mut own: mpsc::Receiver<u32>,
    other: Arc<Mutex<mpsc::Receiver<u32>>>,
) {
    let mut other = other.lock().await;
    let _ = other.recv().await;
    drop(sender);
    let _ = own.recv().await;
}

/// Permits and messages that may still come, although tasks that can never go on keep most of what they come from.
/// Those are kept by this thread, which may abort them.
fn counted(kept: &mut Vec<tokio::task::AbortHandle>) -> Vec<Box<dyn std::any::Any>> {
    let mut dead = |task: JoinHandle<()>| kept.push(task.abort_handle());
    let (permits, both) = (Arc::new(Semaphore::new(2)), Arc::new(Barrier::new(2)));
    tokio::spawn(takes_two(permits.clone(), both.clone()));
    tokio::spawn(takes_two(permits.clone(), both));
    // A permit may be added by what a weak reference leads to.
    let (others, both) = (Arc::new(Semaphore::new(2)), Arc::new(Barrier::new(2)));
    let weak = Arc::downgrade(&others);
    tokio::spawn(takes_two(others.clone(), both.clone()));
    tokio::spawn(takes_two(others, both));
    let (sender, messages) = mpsc::channel(1);
    dead(tokio::spawn(keeps(sender.clone())));
    tokio::spawn(receives(messages));
    let (weak_of, messages) = mpsc::channel(1);
    let weak_sender = weak_of.downgrade();
    dead(tokio::spawn(keeps(weak_of)));
    tokio::spawn(receives(messages));
    let (full, slow) = mpsc::channel(1);
    tokio::spawn(sends_twice(full));
    let (full, slow_too) = mpsc::channel(1);
    let reserved = full.clone().try_reserve_owned().unwrap();
    dead(tokio::spawn(keeps(slow_too)));
    tokio::spawn(async move {
        let _ = full.send(1).await;
    });
    let (own_sender, own) = mpsc::channel(1);
    let (other_sender, other) = mpsc::channel(1);
    tokio::spawn(receives_from_another(own_sender, own, Arc::new(Mutex::new(other))));
    vec![Box::new((permits, weak, sender, weak_sender)), Box::new((slow, reserved, other_sender))]
}

static NOTIFY: OnceLock<Notify> = OnceLock::new();

async fn start() -> (Vec<tokio::task::AbortHandle>, Vec<Box<dyn std::any::Any>>) {
    tokio::spawn(sleeps());
    tokio::spawn(joins(tokio::spawn(sleeps())));
    tokio::spawn(joins(tokio::spawn(joins(tokio::spawn(sleeps())))));
    let lock = Arc::new(Mutex::new(1));
    let (held, is_held) = oneshot::channel();
    tokio::spawn(holds(lock.clone(), held));
    is_held.await.unwrap();
    for _ in 0..3 {
        tokio::spawn(wants(lock.clone()));
    }
    let pair = || (Arc::new(Mutex::new(1)), Arc::new(Mutex::new(2)), Arc::new(Barrier::new(2)));
    let (a, b, both) = pair();
    tokio::spawn(wants_for_a_time(a.clone(), b.clone(), both.clone()));
    tokio::spawn(wants_for_a_time(b, a, both));
    let (a, b, both) = pair();
    tokio::spawn(wants_or_goes(a.clone(), b.clone(), both.clone()));
    tokio::spawn(wants_or_goes(b, a, both));
    let (a, b, both) = pair();
    tokio::spawn(wants_by_hand(a.clone(), b.clone(), both.clone()));
    tokio::spawn(wants_by_hand(b, a, both));
    let (a, b, both) = pair();
    tokio::spawn(gives(a.clone(), b.clone(), both.clone()));
    tokio::spawn(crosses(a, b, both));
    let lasting = [tokio::spawn(lasts()), tokio::spawn(lasts()), tokio::spawn(lasts())];
    let mut kept: Vec<_> = lasting.iter().map(JoinHandle::abort_handle).collect();
    let [first, second, third] = lasting;
    tokio::spawn(joins(first));
    tokio::spawn(joins_for_a_time(second));
    tokio::spawn(joins_or_goes(third, LONG));
    let lock = Arc::new(RwLock::new(1));
    for _ in 0..2 {
        tokio::spawn(reads(lock.clone()));
    }
    tokio::spawn(writes(lock));
    tokio::spawn(keeps_for_a_time(Arc::new(Mutex::new(1))));
    tokio::spawn(keeps_and_sleeps(Arc::new(Mutex::new(1))));
    let lock = Arc::new(Mutex::new(1));
    let (held, is_held) = oneshot::channel();
    tokio::spawn(holds(lock.clone(), held));
    is_held.await.unwrap();
    tokio::spawn(awaits_later(lock.clone()));
    tokio::spawn(awaits_pinned(lock));
    tokio::spawn(drops(Arc::new(Mutex::new(1))));
    let (lock, both) = (Arc::new(RwLock::new(1)), Arc::new(Barrier::new(2)));
    tokio::spawn(reads(lock.clone()));
    for _ in 0..2 {
        tokio::spawn(reads_then_writes(lock.clone(), both.clone()));
    }
    let permits = Arc::new(Semaphore::new(1));
    for _ in 0..3 {
        tokio::spawn(takes(permits.clone()));
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(sends(sender.clone()));
    tokio::spawn(sends(sender));
    tokio::spawn(receives(receiver));
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(answers(sender));
    tokio::spawn(awaits(receiver));
    let (sender, receiver) = watch::channel(1);
    tokio::spawn(watches(receiver));
    std::mem::forget(sender);
    let (sender, receiver) = broadcast::channel(1);
    tokio::spawn(listens(receiver));
    std::mem::forget(sender);
    tokio::spawn(notified(NOTIFY.get_or_init(Notify::new)));
    let barrier = Arc::new(Barrier::new(3));
    tokio::spawn(meets(barrier.clone()));
    tokio::spawn(meets(barrier));
    tokio::spawn(joins_all());
    tokio::spawn(works());
    tokio::spawn(yields());
    tokio::spawn(churns());
    let (a, b, _) = pair();
    for _ in 0..3 {
        tokio::spawn(contends(a.clone(), b.clone()));
    }
    let counted = counted(&mut kept);
    (kept, counted)
}

pub fn run(runtime: &Runtime) {
    let kept = runtime.block_on(start());
    super::ready();
    drop(kept);
}
