//! The same of futures that poll several others: each task waits on handles of tasks, timers and locks in one.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{FutureExt, join, join_all, select, select_all, try_join_all};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How many tasks have begun.
static POLLED: AtomicUsize = AtomicUsize::new(0);

fn begun() {
    POLLED.fetch_add(1, Ordering::Relaxed);
}

const LONG: Duration = Duration::from_secs(7200);

async fn sleeps() {
    sleep(LONG).await;
}

fn one() -> JoinHandle<()> {
    tokio::spawn(sleeps())
}

fn three() -> Vec<JoinHandle<()>> {
    (0..3).map(|_| one()).collect()
}

async fn joins_all() {
    begun();
    join_all(three()).await;
}

async fn tries_all() {
    begun();
    let _ = try_join_all(three()).await;
}

async fn unordered() {
    begun();
    three().into_iter().collect::<FuturesUnordered<_>>().next().await;
}

async fn set() {
    begun();
    let mut set = JoinSet::new();
    (0..3).for_each(|_| drop(set.spawn(sleeps())));
    set.join_next().await;
}

async fn joins() {
    begun();
    let _ = join(one(), one()).await;
}

async fn joins_by_macro() {
    begun();
    let _ = futures::join!(one(), one());
}

async fn tries_by_macro() {
    begun();
    let _ = tokio::try_join!(one(), one());
}

async fn selects() {
    begun();
    select(one(), one()).await;
}

async fn selects_all() {
    begun();
    let _ = select_all(three()).await;
}

async fn timed() {
    begun();
    let _ = timeout(LONG, one()).await;
}

async fn timed_set() {
    begun();
    let _ = timeout(LONG, join_all(three())).await;
}

async fn mapped() {
    begun();
    one().map(drop).await;
}

/// What a closure has is not polled.
async fn then() {
    begun();
    let (first, second) = (one(), one());
    first.then(move |_| second).await.unwrap();
}

async fn boxed() {
    begun();
    let _ = one().boxed().await;
}

async fn buffered() {
    begun();
    futures::stream::iter(three()).buffer_unordered(2).next().await;
}

async fn ticks() {
    begun();
    let mut ticks = tokio::time::interval(LONG);
    ticks.tick().await;
    ticks.tick().await;
}

/// The handle is not polled.
async fn disabled(is_on: bool) {
    begun();
    let (mut first, mut second) = (one(), one());
    tokio::select! {
        _ = &mut first, if is_on => {}
        _ = &mut second => {}
    }
}

async fn locks(lock: Arc<Mutex<u32>>) {
    *lock.lock().await += 1;
}

/// A branch that was polled, waits on a lock, and is not polled any more.
async fn turned_off(lock: Arc<Mutex<u32>>) {
    begun();
    let mut update = pin!(locks(lock));
    let mut is_first = true;
    loop {
        tokio::select! {
            () = &mut update, if is_first => return,
            () = sleep(if is_first { Duration::from_millis(1) } else { LONG }) => is_first = false,
        }
    }
}

/// A branch beside it.
async fn turned_on(lock: Arc<Mutex<u32>>) {
    begun();
    let update = pin!(locks(lock));
    tokio::select! {
        () = update => {}
        () = sleep(LONG) => {}
    }
}

/// The same with a future of which no type says what it waits on, in a box that hides the combinator.
async fn boxed_select(lock: Arc<Mutex<u32>>) {
    begun();
    Box::pin(select(Box::pin(locks(lock)), std::future::pending::<()>())).await;
}

/// A type of its own, which may choose what it polls.
struct Chooses(JoinHandle<()>, JoinHandle<()>);

impl Future for Chooses {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let chosen = if self.0.is_finished() { &mut self.1 } else { &mut self.0 };
        Pin::new(chosen).poll(cx).map(drop)
    }
}

async fn chooses() {
    begun();
    Chooses(one(), one()).await;
}

async fn chooses_by_closure() {
    begun();
    let (mut first, second) = (one(), one());
    poll_fn(|cx| if second.is_finished() { Poll::Ready(()) } else { Pin::new(&mut first).poll(cx).map(drop) }).await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let lock = Arc::new(Mutex::new(0));
    let guard = lock.clone().lock_owned().await;
    let tasks = [
        ("joins_all", tokio::spawn(joins_all())),
        ("tries_all", tokio::spawn(tries_all())),
        ("unordered", tokio::spawn(unordered())),
        ("set", tokio::spawn(set())),
        ("joins", tokio::spawn(joins())),
        ("joins_by_macro", tokio::spawn(joins_by_macro())),
        ("tries_by_macro", tokio::spawn(tries_by_macro())),
        ("selects", tokio::spawn(selects())),
        ("selects_all", tokio::spawn(selects_all())),
        ("timed", tokio::spawn(timed())),
        ("timed_set", tokio::spawn(timed_set())),
        ("mapped", tokio::spawn(mapped())),
        ("then", tokio::spawn(then())),
        ("boxed", tokio::spawn(boxed())),
        ("buffered", tokio::spawn(buffered())),
        ("ticks", tokio::spawn(ticks())),
        ("disabled", tokio::spawn(disabled(false))),
        ("turned_off", tokio::spawn(turned_off(lock.clone()))),
        ("turned_on", tokio::spawn(turned_on(lock.clone()))),
        ("boxed_select", tokio::spawn(boxed_select(lock.clone()))),
        ("chooses", tokio::spawn(chooses())),
        ("chooses_by_closure", tokio::spawn(chooses_by_closure())),
    ];
    // A task without a name of its own.
    let any: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(std::future::pending());
    let any = tokio::spawn(any);
    while POLLED.load(Ordering::Relaxed) < tasks.len() {
        tokio::task::yield_now().await;
    }
    for (name, _) in &tasks {
        println!("{name}\t1");
    }
    println!("ready");
    std::future::pending::<()>().await;
    drop((guard, tasks, any));
}
