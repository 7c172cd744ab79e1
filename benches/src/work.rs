//! The work, written once for all executors. Everything returns nanoseconds (or bytes) per operation.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::measure::{busy, cpu, resident, wall};
use crate::peer::{Peer, Threads, Timed};

const HOUR: Duration = Duration::from_secs(3_600);

/// The same yield for all executors: tokio's own costs it eight times as much.
struct Yield(bool);

fn turn() -> Yield {
    Yield(false)
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Waits until all tasks spawned before have had a turn: the queues are first in, first out.
async fn settle<P: Peer>() -> Result<(), P::Error> {
    P::spawn(async { Ok(()) }).await
}

/// W1.
pub fn spawn_await<P: Peer>(n: u64) -> f64 {
    P::run(async {
        let start = busy();
        for i in 0..n {
            black_box(P::spawn(async move { Ok(black_box(i)) }).await?);
        }
        Ok(start.per(n))
    })
}

/// W2. Small gathers are repeated, up to a million tasks in all.
pub fn gather<P: Peer>(n: u64) -> f64 {
    let times = (1_000_000 / n).clamp(1, 20);
    P::run(async {
        let start = busy();
        for _ in 0..times {
            let outputs = P::gather((0..n as usize).map(|i| async move { Ok(black_box(i)) })).await?;
            assert_eq!(black_box(outputs).len() as u64, n);
        }
        Ok(start.per(n * times))
    })
}

/// W3.
pub fn yields<P: Peer>(tasks: u64, n: u64) -> f64 {
    P::run(async {
        let start = busy();
        let spin = move |_| async move {
            for _ in 0..n / tasks {
                turn().await;
            }
            Ok(())
        };
        P::gather((0..tasks as usize).map(spin)).await?;
        Ok(start.per(n))
    })
}

/// A chain of tasks, each of which awaits the one before; the first is `bottom`.
fn chain<P: Peer>(n: u64, bottom: impl Future<Output = Result<u64, P::Error>> + 'static) -> P::Join<u64> {
    let mut top = P::spawn(bottom);
    for _ in 1..n {
        let below = top;
        top = P::spawn(async move { Ok(below.await? + 1) });
    }
    top
}

/// W4. The first yields, so that all the others wait.
pub fn chained<P: Peer>(n: u64) -> f64 {
    P::run(async {
        let start = busy();
        let top = chain::<P>(n, async {
            turn().await;
            Ok(1)
        });
        assert_eq!(top.await?, n);
        Ok(start.per(n))
    })
}

/// W4, dropped or cancelled while all wait.
pub fn chain_dropped<P: Peer>(n: u64) -> f64 {
    let start = P::quit(async {
        P::detach(chain::<P>(n, pending()));
        settle::<P>().await?;
        Ok(busy())
    });
    start.per(n)
}

/// W5. The awaited task yields, so that all wait.
pub fn shared<P: Peer>(n: u64) -> f64 {
    P::run(async {
        let start = busy();
        let one = P::share(P::spawn(async {
            turn().await;
            Ok(1_u64)
        }));
        // In a future of its own: some executors would take the plain handle as the same task.
        #[allow(clippy::redundant_async_block, reason = "that is the point")]
        let all = P::gather((0..n as usize).map(|_| {
            let one = one.clone();
            async move { one.await }
        }));
        assert_eq!(all.await?.iter().sum::<u64>(), n);
        Ok(start.per(n))
    })
}

/// Random times up to `most`, the same ones every time: xorshift, after Marsaglia (2003).
fn random_within(most: Duration) -> impl FnMut() -> Duration {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Duration::from_nanos(state % most.as_nanos() as u64)
    }
}

/// W6: CPU time of timers spread over a second.
pub fn timers<P: Timed>(n: u64) -> f64 {
    let start = cpu();
    P::run(async {
        let mut random = random_within(Duration::from_secs(1));
        P::gather((0..n as usize).map(|_| P::sleep(random()))).await
    });
    start.per(n)
}

/// W6: one task sets timers that do not fire, within the hour after the next, and cancels them. Each is in a box of its
/// own, as a timer that is kept must be.
pub fn set_and_cancel<P: Timed>(n: u64) -> (f64, f64) {
    P::run(async {
        let mut random = random_within(HOUR);
        let start = busy();
        let sleeps = poll_fn(|cx| {
            let set = |_| {
                let mut sleep = Box::pin(P::sleep(HOUR + random()));
                assert!(sleep.as_mut().poll(cx).is_pending());
                sleep
            };
            Poll::Ready((0..n).map(set).collect::<Vec<_>>())
        })
        .await;
        let set = start.per(n);
        let start = busy();
        drop(sleeps);
        Ok((set, start.per(n)))
    })
}

/// W7: one after the other.
pub fn thread<P: Threads>(n: u64) -> f64 {
    P::run(async {
        let start = wall();
        for i in 0..n {
            P::thread(move || _ = black_box(i)).await?;
        }
        Ok(start.per(n))
    })
}

/// W7: all at once.
pub fn threads<P: Threads>(n: u64) -> f64 {
    P::run(async {
        let start = wall();
        P::gather((0..n as usize).map(|i| P::thread(move || _ = black_box(i)))).await?;
        Ok(start.per(n))
    })
}

/// W9: bytes of tasks that do nothing.
pub fn idle_bytes<P: Peer>(n: u64) -> f64 {
    P::quit(async {
        settle::<P>().await?;
        let before = resident();
        for _ in 0..n {
            P::detach(P::spawn(pending::<Result<(), _>>()));
        }
        settle::<P>().await?;
        Ok((resident() - before) / n as f64)
    })
}

/// W9: bytes of tasks that wait for one event.
pub fn waiting_bytes<P: Timed>(n: u64) -> f64 {
    let event = P::event();
    P::quit(async {
        settle::<P>().await?;
        let before = resident();
        for _ in 0..n {
            P::detach(P::spawn(P::wait(&event)));
        }
        settle::<P>().await?;
        Ok((resident() - before) / n as f64)
    })
}

/// W10: dropping, or cancelling, tasks that sleep.
pub fn cancel<P: Timed>(n: u64) -> f64 {
    let start = Cell::new(None);
    P::quit(async {
        for _ in 0..n {
            P::detach(P::spawn(P::sleep(HOUR)));
        }
        settle::<P>().await?;
        start.set(Some(busy()));
        Ok(())
    });
    start.get().expect("main ended").per(n)
}
