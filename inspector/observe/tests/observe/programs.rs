//! The programs that are recorded.

use std::sync::Arc;
use std::time::Duration;

use tinyio_observe::observe_named;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;

use crate::noted::noted;

/// Runs one of them.
pub fn run(name: &str, seed: u64) {
    match name {
        "several threads" => threads(4).block_on(many_yields(40)),
        "one thread" => one_thread().block_on(many_yields(10)),
        "causes" => causes(),
        "outcomes" => one_thread().block_on(outcomes()),
        "nested" => one_thread().block_on(nested()),
        "smol" => smol_program(),
        "random" => threads(1 + seed as usize % 4).block_on(random(seed)),
        "without end" => threads(3).block_on(without_end(seed)),
        "forks" => forks(),
        "exits" => exits(),
        other => panic!("no program {other}"),
    }
}

fn threads(count: usize) -> Runtime {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let next = AtomicUsize::new(1);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(count).enable_time();
    builder.thread_name_fn(move || format!("worker {}", next.fetch_add(1, Ordering::Relaxed)));
    builder.build().expect("a runtime")
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime")
}

async fn many_yields(count: usize) {
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            tokio::spawn(noted(format!("task {number}"), async move {
                for _ in 0..number * 3 {
                    yield_now().await;
                }
            }))
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

/// The waker of the future itself, called in its poll.
async fn wake_itself() {
    let mut woken = false;
    std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        match std::mem::replace(&mut woken, true) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

fn causes() {
    let runtime = one_thread();
    runtime.block_on(async {
        tokio::spawn(noted("yields", async {
            for _ in 0..3 {
                futures_lite::future::yield_now().await;
            }
        }))
        .await
        .expect("no panic");
        let (sender, receiver) = oneshot::channel();
        let receives = tokio::spawn(noted("receives", async { receiver.await.expect("a value") }));
        // It is spawned later, so it is polled later.
        let sends = tokio::spawn(noted("sends", async move { sender.send(1).expect("it is awaited") }));
        assert_eq!(receives.await.expect("no panic"), 1);
        sends.await.expect("no panic");

        let (sender, receiver) = oneshot::channel();
        let (began, begun) = oneshot::channel();
        let receives = tokio::spawn(noted("receives from a thread", async {
            began.send(()).expect("it is awaited");
            receiver.await.expect("a value")
        }));
        begun.await.expect("it began");
        let outside = std::thread::Builder::new().name("outside".to_owned());
        let outside = outside.spawn(move || sender.send(2).expect("it is awaited")).expect("a thread");
        assert_eq!(receives.await.expect("no panic"), 2);
        outside.join().expect("no panic");
    });
}

async fn outcomes() {
    tokio::spawn(noted("returns", async { yield_now().await })).await.expect("no panic");
    let error = tokio::spawn(noted("panics", async {
        yield_now().await;
        panic!("on purpose");
    }));
    let panic = error.await.expect_err("a panic").into_panic();
    println!("the panic went on: {}", panic.downcast_ref::<&str>().expect("its text"));
    let aborted = tokio::spawn(noted("aborted", std::future::pending::<()>()));
    yield_now().await;
    aborted.abort();
    assert!(aborted.await.is_err());
    drop(noted("never polled", async {}));
}

async fn nested() {
    let outer = noted("outer", async {
        let beside = tokio::spawn(noted("beside", async { yield_now().await }));
        noted("inner", async {
            wake_itself().await;
            yield_now().await;
        })
        .await;
        beside.await.expect("no panic");
    });
    tokio::spawn(outer).await.expect("no panic");
}

fn smol_program() {
    let executor = Arc::new(smol::Executor::new());
    let (stop, stopped) = smol::channel::unbounded::<()>();
    let run = |number| {
        let (executor, stopped) = (executor.clone(), stopped.clone());
        let run = move || smol::block_on(executor.run(async { _ = stopped.recv().await }));
        std::thread::Builder::new().name(format!("smol {number}")).spawn(run).expect("a thread")
    };
    let workers: Vec<_> = (1..4).map(run).collect();
    let (sender, receiver) = smol::channel::unbounded();
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            executor.spawn(noted(format!("task {number}"), async move {
                for _ in 0..10 {
                    smol::future::yield_now().await;
                    sender.send(number).await.expect("it is open");
                    receiver.recv().await.expect("it is open");
                }
            }))
        })
        .collect();
    smol::block_on(async {
        for task in tasks {
            task.await;
        }
    });
    drop(stop);
    workers.into_iter().for_each(|worker| worker.join().expect("no panic"));
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

async fn random(seed: u64) {
    let notes: Arc<Vec<Notify>> = Arc::new((0..8).map(|_| Notify::new()).collect());
    let mut random = Random(seed);
    let tasks: Vec<_> = (0..24)
        .map(|number| {
            let (notes, mut random) = (notes.clone(), Random(random.below(u64::MAX)));
            tokio::spawn(noted(format!("task {number}"), async move {
                for step in 0..random.below(40) {
                    act(&format!("{number}.{step}"), &notes, &mut random).await;
                }
            }))
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        if random.below(6) == 0 {
            task.abort();
        }
        let ended = task.await;
        assert!(ended.is_ok() || ended.is_err_and(|error| error.is_cancelled()), "task {number}");
    }
}

async fn act(name: &str, notes: &[Notify], random: &mut Random) {
    let (one, other) = (&notes[random.below(8) as usize], &notes[random.below(8) as usize]);
    let soon = Duration::from_micros(random.below(300));
    match random.below(7) {
        0 => yield_now().await,
        1 => one.notify_one(),
        2 => one.notify_waiters(),
        3 => _ = tokio::time::timeout(soon, one.notified()).await,
        // The future around it is woken, too.
        4 => {
            tokio::select! {
                () = noted(format!("inner {name}"), one.notified()) => {}
                () = other.notified() => {}
                () = tokio::time::sleep(soon) => {}
            }
        }
        5 => {
            let child = noted(format!("child {name}"), async move {
                wake_itself().await;
                yield_now().await;
                tokio::time::sleep(soon).await;
            });
            let child = tokio::spawn(child);
            if random.below(2) == 0 {
                child.abort();
            }
            let _ = child.await;
        }
        // One begins in one task's poll and is dropped half done.
        _ => {
            let mut inner = Box::pin(noted(format!("half {name}"), async {
                yield_now().await;
                one.notified().await;
            }));
            let _ = futures_lite::future::poll_once(&mut inner).await;
            yield_now().await;
            let _ = futures_lite::future::poll_once(&mut inner).await;
        }
    }
}

async fn without_end(seed: u64) {
    let notes: Arc<Vec<Notify>> = Arc::new((0..8).map(|_| Notify::new()).collect());
    for number in 0..8 {
        let (notes, mut random) = (notes.clone(), Random(seed * 100 + number));
        tokio::spawn(noted(format!("task {number}"), async move {
            loop {
                act("", &notes, &mut random).await;
            }
        }));
    }
    std::future::pending().await
}

/// The process forks while other threads record, and the child polls observed futures. The lock of [`noted`] may be
/// held in the child, so these futures are not noted.
fn forks() {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    let runtime = threads(3);
    for number in 0..6 {
        runtime.spawn(noted(format!("task {number}"), async {
            loop {
                wake_itself().await;
            }
        }));
    }
    for _ in 0..50 {
        let mut future = Box::pin(observe_named("in the child", wake_itself()));
        // SAFETY: the child polls a future and leaves.
        match unsafe { fork() }.expect("a child") {
            ForkResult::Child => {
                for _ in 0..20 {
                    let waker = std::task::Waker::noop();
                    let _ = future.as_mut().poll(&mut std::task::Context::from_waker(waker));
                    future = Box::pin(observe_named("in the child", wake_itself()));
                }
                // SAFETY: no destructors: those of the parent run there.
                unsafe { nix::libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
    }
}

fn exits() {
    let runtime = threads(2);
    let (began, begun) = std::sync::mpsc::channel();
    runtime.spawn(noted("sleeps", async move {
        began.send(()).expect("it is awaited");
        std::future::pending::<()>().await;
    }));
    begun.recv().expect("it began");
    std::process::exit(3);
}
