//! Guards in every place that a task may keep one in: each task holds as many as the program says.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, LinkedList, VecDeque};
use std::future::Future;
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, RwLock, Semaphore};
use tokio::time::{Sleep, sleep};

type Guard = OwnedMutexGuard<u32>;

/// How many tasks have begun.
static BEGUN: AtomicUsize = AtomicUsize::new(0);

async fn waits() {
    BEGUN.fetch_add(1, Ordering::Relaxed);
    sleep(Duration::from_secs(7200)).await;
}

async fn guard() -> Guard {
    Arc::new(Mutex::new(7)).lock_owned().await
}

async fn three() -> Vec<Guard> {
    vec![guard().await, guard().await, guard().await]
}

struct Two {
    first: Guard,
    second: Guard,
}

struct Perhaps {
    name: String,
    guard: Option<Guard>,
}

/// A future that keeps a guard until its time has come.
struct Keeps {
    sleep: Pin<Box<Sleep>>,
    _guard: Guard,
}

impl Future for Keeps {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.sleep.as_mut().poll(context).is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }
}

async fn in_vec() {
    let guards = three().await;
    waits().await;
    drop(guards);
}

async fn in_deque() {
    let mut guards = VecDeque::from(three().await);
    let first = guards.pop_front();
    guards.extend(first);
    waits().await;
    drop(guards);
}

async fn in_list() {
    let guards: LinkedList<Guard> = three().await.into_iter().collect();
    waits().await;
    drop(guards);
}

async fn in_hash_map() {
    let guards: HashMap<usize, Guard> = three().await.into_iter().enumerate().collect();
    waits().await;
    drop(guards);
}

async fn in_tree() {
    let guards: BTreeMap<usize, Option<Guard>> = three().await.into_iter().map(Some).enumerate().collect();
    waits().await;
    drop(guards);
}

async fn in_option() {
    let guard = Some(guard().await);
    waits().await;
    drop(guard);
}

/// What a lock keeps has locks of its own, which are free.
async fn of_outer_locks() {
    let one = Arc::new(Mutex::new(Mutex::new(1)));
    let two = Arc::new(Mutex::new((2, Semaphore::new(2))));
    let three = Arc::new(RwLock::new((RwLock::new(3), Mutex::new(3))));
    let four = Arc::new(RwLock::new(RwLock::new(4)));
    let first = one.lock().await;
    let second = two.clone().lock_owned().await;
    let third = three.read().await;
    let fourth = four.clone().write_owned().await;
    waits().await;
    drop((first, second, third, fourth));
}

async fn in_tuple() {
    let guards = (guard().await, 7, guard().await);
    waits().await;
    drop(guards);
}

async fn in_struct() {
    let guards = Two { first: guard().await, second: guard().await };
    waits().await;
    drop(guards);
}

async fn in_array() {
    let guards = [guard().await, guard().await];
    waits().await;
    drop(guards);
}

async fn in_slice() {
    let guards = three().await.into_boxed_slice();
    waits().await;
    drop(guards);
}

async fn in_box() {
    let guards = Box::new(three().await);
    waits().await;
    drop(guards);
}

async fn in_any() {
    let guards: Box<dyn Any + Send> = Box::new(three().await);
    waits().await;
    drop(guards);
}

async fn in_closure() {
    let guards = three().await;
    let count = move || guards.len();
    waits().await;
    assert_eq!(count(), 3);
}

async fn in_loop() {
    for guard in three().await {
        waits().await;
        drop(guard);
    }
}

async fn in_a_future() {
    BEGUN.fetch_add(1, Ordering::Relaxed);
    Keeps { sleep: Box::pin(sleep(Duration::from_secs(7200))), _guard: guard().await }.await;
}

async fn mapped() {
    let guard = OwnedMutexGuard::map(guard().await, |number| number);
    waits().await;
    drop(guard);
}

async fn permits() {
    let semaphore = Arc::new(Semaphore::new(9));
    let mut permits: Vec<OwnedSemaphorePermit> = Vec::new();
    for _ in 0..3 {
        permits.extend(semaphore.clone().acquire_owned().await);
    }
    waits().await;
    drop(permits);
}

/// The rest of what was moved in part.
async fn rest() {
    let guards = Two { first: guard().await, second: guard().await };
    drop(guards.first);
    waits().await;
    drop(guards.second);
}

async fn popped() {
    let mut guards = three().await;
    drop(guards.pop());
    waits().await;
    drop(guards);
}

async fn cleared() {
    let mut guards = three().await;
    guards.clear();
    waits().await;
    drop(guards);
}

async fn taken() {
    let mut guard = Some(guard().await);
    drop(guard.take());
    waits().await;
    drop(guard);
}

async fn moved() {
    let guards = three().await;
    drop(guards);
    waits().await;
}

/// Moved out of the field, which the code that drops the rest looks at all the same.
async fn moved_out() {
    let perhaps = Perhaps { name: "name".to_owned(), guard: Some(guard().await) };
    if let Some(guard) = perhaps.guard {
        drop(guard);
    }
    waits().await;
    drop(perhaps.name);
}

/// Of what is in one variant, a part was moved out, and the rest is dropped.
async fn moved_out_of_variant() {
    let pair = Some((guard().await, "text".to_owned()));
    if let Some((guard, _)) = pair {
        drop(guard);
    }
    waits().await;
}

/// The enum is of the standard library.
async fn moved_out_of_flow() {
    let flow = ControlFlow::<Guard, u32>::Break(guard().await);
    if let ControlFlow::Break(guard) = flow {
        drop(guard);
    }
    waits().await;
}

async fn in_flow() {
    let flow = ControlFlow::<Guard, u32>::Break(guard().await);
    waits().await;
    drop(flow);
}

async fn moved_out_of_box() {
    let boxed = Box::new(Some(guard().await));
    if let Some(guard) = *boxed {
        drop(guard);
    }
    waits().await;
}

async fn moved_out_of_boxed_pair() {
    let boxed = Box::new((guard().await, "text".to_owned()));
    drop(boxed.0);
    waits().await;
    drop(boxed.1);
}

async fn moved_out_of_array() {
    let guards = [guard().await, guard().await];
    let [first, ..] = guards;
    drop(first);
    waits().await;
}

/// The later part of what was moved in part.
async fn first() {
    let guards = Two { first: guard().await, second: guard().await };
    drop(guards.second);
    waits().await;
    drop(guards.first);
}

async fn not_dropped() {
    let guards = (ManuallyDrop::new(three().await), "text".to_owned());
    waits().await;
    drop(guards);
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let tasks = [
        ("in_vec", 3, tokio::spawn(in_vec())),
        ("in_deque", 3, tokio::spawn(in_deque())),
        ("in_list", 3, tokio::spawn(in_list())),
        ("in_hash_map", 3, tokio::spawn(in_hash_map())),
        ("in_tree", 3, tokio::spawn(in_tree())),
        ("in_option", 1, tokio::spawn(in_option())),
        ("of_outer_locks", 4, tokio::spawn(of_outer_locks())),
        ("in_tuple", 2, tokio::spawn(in_tuple())),
        ("in_struct", 2, tokio::spawn(in_struct())),
        ("in_array", 2, tokio::spawn(in_array())),
        ("in_slice", 3, tokio::spawn(in_slice())),
        ("in_box", 3, tokio::spawn(in_box())),
        ("in_any", 3, tokio::spawn(in_any())),
        ("in_closure", 3, tokio::spawn(in_closure())),
        ("in_loop", 3, tokio::spawn(in_loop())),
        ("in_a_future", 1, tokio::spawn(in_a_future())),
        ("mapped", 1, tokio::spawn(mapped())),
        ("permits", 1, tokio::spawn(permits())),
        ("rest", 1, tokio::spawn(rest())),
        ("popped", 2, tokio::spawn(popped())),
        ("cleared", 0, tokio::spawn(cleared())),
        ("taken", 0, tokio::spawn(taken())),
        ("moved", 0, tokio::spawn(moved())),
        ("moved_out", 0, tokio::spawn(moved_out())),
        ("moved_out_of_variant", 0, tokio::spawn(moved_out_of_variant())),
        ("moved_out_of_flow", 0, tokio::spawn(moved_out_of_flow())),
        ("in_flow", 1, tokio::spawn(in_flow())),
        ("moved_out_of_box", 0, tokio::spawn(moved_out_of_box())),
        ("moved_out_of_boxed_pair", 0, tokio::spawn(moved_out_of_boxed_pair())),
        ("moved_out_of_array", 1, tokio::spawn(moved_out_of_array())),
        ("first", 1, tokio::spawn(first())),
        ("not_dropped", 0, tokio::spawn(not_dropped())),
    ];
    while BEGUN.load(Ordering::Relaxed) < tasks.len() {
        tokio::task::yield_now().await;
    }
    for (name, held, _) in &tasks {
        println!("{name}\t{held}");
    }
    println!("ready");
    std::future::pending::<()>().await;
    drop(tasks);
}
