//! Work between threads: W7 without an executor, and W8.

use std::future::poll_fn;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;

use futures_util::task::AtomicWaker;

use crate::measure::wall;
use crate::peer::Peer;

/// Runs a function on a rayon thread; gives a future of its end.
fn rayon(f: impl FnOnce() + Send + 'static) -> impl Future<Output = ()> {
    let done = Arc::new(Signal::default());
    let set = done.clone();
    rayon_core::spawn(move || {
        f();
        set.set();
    });
    async move { done.wait().await }
}

/// W7: rayon's threads spin for a while before they sleep.
pub fn rayon_one_at_a_time(n: u64) -> f64 {
    pollster::block_on(async {
        let start = wall();
        for i in 0..n {
            rayon(move || _ = black_box(i)).await;
        }
        start.per(n)
    })
}

/// W7.
pub fn rayon_pipelined(n: u64) -> f64 {
    pollster::block_on(async {
        let start = wall();
        let all: Vec<_> = (0..n).map(|i| rayon(move || _ = black_box(i))).collect();
        for one in all {
            one.await;
        }
        start.per(n)
    })
}

/// A flag that one thread sets and a task on another awaits, repeatedly.
#[derive(Default)]
struct Signal {
    set: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    fn set(&self) {
        self.set.store(true, Ordering::Release);
        self.waker.wake();
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            if self.set.swap(false, Ordering::Acquire) {
                return Poll::Ready(());
            }
            self.waker.register(cx.waker());
            if self.set.swap(false, Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// W8: a task unparks a thread and awaits its answer. All executors use the same signal: only the executor's waker and
/// its sleep are measured.
pub fn round_trip<P: Peer>(n: u64) -> f64 {
    let ask = Arc::new(AtomicBool::new(false));
    let answer = Arc::new(Signal::default());
    let helper = {
        let (ask, answer) = (ask.clone(), answer.clone());
        thread::spawn(move || {
            for _ in 0..n {
                while !ask.swap(false, Ordering::Acquire) {
                    thread::park();
                }
                answer.set();
            }
        })
    };
    let thread = helper.thread().clone();
    let ns = P::run(async {
        let start = wall();
        for _ in 0..n {
            ask.store(true, Ordering::Release);
            thread.unpark();
            answer.wait().await;
        }
        Ok(start.per(n))
    });
    helper.join().expect("it only answers");
    ns
}

/// W8 between two threads, without any executor.
pub fn bare_park(n: u64) -> f64 {
    let flags = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
    let main = thread::current();
    let helper = {
        let flags = flags.clone();
        thread::spawn(move || {
            for _ in 0..n {
                while !flags[0].swap(false, Ordering::Acquire) {
                    thread::park();
                }
                flags[1].store(true, Ordering::Release);
                main.unpark();
            }
        })
    };
    let start = wall();
    for _ in 0..n {
        flags[0].store(true, Ordering::Release);
        helper.thread().unpark();
        while !flags[1].swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
    let ns = start.per(n);
    helper.join().expect("it only answers");
    ns
}
