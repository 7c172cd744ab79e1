//! The executors, under one trait.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_executor::LocalExecutor;
use futures_util::FutureExt;
use futures_util::future::Shared;
use pin_project_lite::pin_project;

use crate::limit;

/// An executor of one thread.
pub trait Peer: 'static {
    /// Its name in the table.
    const NAME: &'static str;
    /// The error of awaiting when everything is cancelled; only tinyio has one.
    type Error: Debug + 'static;
    /// Awaits a task.
    type Join<T: 'static>: Future<Output = Result<T, Self::Error>> + 'static;
    /// Awaits a task that others await, too.
    type Shared<T: Clone + 'static>: Future<Output = Result<T, Self::Error>> + Clone + 'static;

    /// Whether it can run on this machine.
    fn works() -> bool {
        true
    }

    /// Runs `main` on a new executor, and ends the executor.
    fn run<T>(main: impl Future<Output = Result<T, Self::Error>>) -> T;

    /// Runs `main`; then drops, or cancels, the remaining tasks.
    fn quit<T>(main: impl Future<Output = Result<T, Self::Error>>) -> T {
        Self::run(main)
    }

    /// Queues a task.
    fn spawn<F, T>(future: F) -> Self::Join<T>
    where
        F: Future<Output = Result<T, Self::Error>> + 'static,
        T: 'static;

    /// Lets a task run without its handle.
    fn detach<T: 'static>(join: Self::Join<T>) {
        drop(join);
    }

    /// Makes a handle that several tasks can await.
    fn share<T: Clone + 'static>(join: Self::Join<T>) -> Self::Shared<T>;

    /// Awaits all, with the outputs in order.
    fn gather<F, T>(futures: impl ExactSizeIterator<Item = F>) -> impl Future<Output = Result<Vec<T>, Self::Error>>
    where
        F: Future<Output = Result<T, Self::Error>> + 'static,
        T: 'static,
    {
        let joins: Vec<_> = futures.map(Self::spawn).collect();
        async {
            let mut outputs = Vec::with_capacity(joins.len());
            for join in joins {
                outputs.push(join.await?);
            }
            Ok(outputs)
        }
    }
}

/// An executor with timers and events.
pub trait Timed: Peer {
    /// An event that tasks can wait for; never set.
    type Event: 'static;

    /// Waits for this long.
    fn sleep(after: Duration) -> impl Future<Output = Result<(), Self::Error>> + 'static;

    /// A new event.
    fn event() -> Self::Event;

    /// Waits for it.
    fn wait(event: &Self::Event) -> impl Future<Output = Result<(), Self::Error>> + 'static;
}

/// An executor that runs blocking functions on threads.
pub trait Threads: Peer {
    /// Runs `f` on a thread.
    fn thread(f: impl FnOnce() + Send + 'static) -> impl Future<Output = Result<(), Self::Error>> + 'static;
}

pin_project! {
    /// Makes a future that cannot fail one that returns a `Result`, of the same size.
    pub struct Fine<F> {
        #[pin]
        future: F,
    }
}

fn fine<F: Future>(future: F) -> Fine<F> {
    Fine { future }
}

impl<F: Future> Future for Fine<F> {
    type Output = Result<F::Output, Infallible>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map(Ok)
    }
}

pin_project! {
    /// A join handle that reports whether the task panicked or was cancelled, which never happens here.
    pub struct Joined<J> {
        #[pin]
        join: J,
    }
}

fn joined<J>(join: J) -> Joined<J> {
    Joined { join }
}

impl<J, T, E: Debug> Future for Joined<J>
where
    J: Future<Output = Result<T, E>>,
{
    type Output = T;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.project().join.poll(cx).map(|output| output.expect("no task panics"))
    }
}

type Safe<T> = Result<T, Infallible>;

fn safe<T>(result: Safe<T>) -> T {
    let Ok(value) = result;
    value
}

// ---- tinyio ----

/// tinyio.
pub struct Tinyio;

impl Peer for Tinyio {
    const NAME: &'static str = "tinyio";
    type Error = tinyio::CancelledError;
    type Join<T: 'static> = tinyio::Coro<T>;
    type Shared<T: Clone + 'static> = tinyio::Coro<T>;

    fn run<T>(main: impl Future<Output = Result<T, Self::Error>>) -> T {
        tinyio::Loop::new().run(main).expect("nothing fails")
    }

    /// By an error, so that all coroutines are cancelled and clean up.
    fn quit<T>(main: impl Future<Output = Result<T, Self::Error>>) -> T {
        let mut output = None;
        let crash = tinyio::Loop::new().run(async {
            output = Some(main.await?);
            Err::<(), _>(tinyio::Error::msg("enough"))
        });
        drop(crash.expect_err("it ended with an error"));
        output.expect("main ended")
    }

    fn spawn<F, T>(future: F) -> tinyio::Coro<T>
    where
        F: Future<Output = Result<T, Self::Error>> + 'static,
        T: 'static,
    {
        tinyio::spawn(future)
    }

    fn share<T: Clone + 'static>(join: tinyio::Coro<T>) -> tinyio::Coro<T> {
        join
    }

    fn gather<F, T>(futures: impl ExactSizeIterator<Item = F>) -> impl Future<Output = Result<Vec<T>, Self::Error>>
    where
        F: Future<Output = Result<T, Self::Error>> + 'static,
        T: 'static,
    {
        tinyio::gather(futures.collect::<Vec<_>>())
    }
}

impl Timed for Tinyio {
    type Event = tinyio::Event;

    fn sleep(after: Duration) -> impl Future<Output = Result<(), Self::Error>> + 'static {
        tinyio::sleep(after)
    }

    fn event() -> tinyio::Event {
        tinyio::Event::new()
    }

    fn wait(event: &tinyio::Event) -> impl Future<Output = Result<(), Self::Error>> + 'static {
        event.wait()
    }
}

impl Threads for Tinyio {
    fn thread(f: impl FnOnce() + Send + 'static) -> impl Future<Output = Result<(), Self::Error>> + 'static {
        tinyio::run_in_thread(|| {
            f();
            Ok::<_, Infallible>(())
        })
    }
}

// ---- tokio ----

/// tokio's current-thread runtime with a `LocalSet`; with I/O and timers, as `#[tokio::main]` makes it.
pub struct Tokio;

impl Peer for Tokio {
    const NAME: &'static str = "tokio";
    type Error = Infallible;
    type Join<T: 'static> = Joined<tokio::task::JoinHandle<Safe<T>>>;
    type Shared<T: Clone + 'static> = Shared<Self::Join<T>>;

    fn run<T>(main: impl Future<Output = Safe<T>>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let set = tokio::task::LocalSet::new();
        safe(set.block_on(&runtime, main))
    }

    fn spawn<F, T>(future: F) -> Self::Join<T>
    where
        F: Future<Output = Safe<T>> + 'static,
        T: 'static,
    {
        joined(tokio::task::spawn_local(future))
    }

    fn share<T: Clone + 'static>(join: Self::Join<T>) -> Self::Shared<T> {
        join.shared()
    }
}

impl Timed for Tokio {
    type Event = Arc<tokio::sync::Notify>;

    fn sleep(after: Duration) -> impl Future<Output = Safe<()>> + 'static {
        fine(tokio::time::sleep(after))
    }

    fn event() -> Self::Event {
        Arc::default()
    }

    fn wait(event: &Self::Event) -> impl Future<Output = Safe<()>> + 'static {
        fine(event.clone().notified_owned())
    }
}

impl Threads for Tokio {
    fn thread(f: impl FnOnce() + Send + 'static) -> impl Future<Output = Safe<()>> + 'static {
        fine(joined(tokio::task::spawn_blocking(f)))
    }
}

// ---- smol ----

/// async-executor's `LocalExecutor` with async-io and blocking: the parts of smol.
pub struct Smol;

thread_local! {
    static SMOL: RefCell<Option<Rc<LocalExecutor<'static>>>> = const { RefCell::new(None) };
}

impl Peer for Smol {
    const NAME: &'static str = "smol";
    type Error = Infallible;
    type Join<T: 'static> = async_executor::Task<Safe<T>>;
    type Shared<T: Clone + 'static> = Shared<Self::Join<T>>;

    fn run<T>(main: impl Future<Output = Safe<T>>) -> T {
        let executor = Rc::new(LocalExecutor::new());
        SMOL.set(Some(executor.clone()));
        let output = async_io::block_on(executor.run(main));
        SMOL.set(None);
        safe(output)
    }

    fn spawn<F, T>(future: F) -> Self::Join<T>
    where
        F: Future<Output = Safe<T>> + 'static,
        T: 'static,
    {
        SMOL.with_borrow(|executor| executor.as_ref().expect("inside `run`").spawn(future))
    }

    fn detach<T: 'static>(join: Self::Join<T>) {
        join.detach();
    }

    fn share<T: Clone + 'static>(join: Self::Join<T>) -> Self::Shared<T> {
        join.shared()
    }
}

impl Timed for Smol {
    type Event = event_listener::Event;

    fn sleep(after: Duration) -> impl Future<Output = Safe<()>> + 'static {
        async_io::Timer::after(after).map(|_| Ok(()))
    }

    fn event() -> Self::Event {
        event_listener::Event::new()
    }

    fn wait(event: &Self::Event) -> impl Future<Output = Safe<()>> + 'static {
        fine(event.listen())
    }
}

impl Threads for Smol {
    fn thread(f: impl FnOnce() + Send + 'static) -> impl Future<Output = Safe<()>> + 'static {
        fine(blocking::unblock(f))
    }
}

// ---- limit ----

/// The lower bound.
pub struct Limit;

impl Peer for Limit {
    const NAME: &'static str = "limit";
    type Error = Infallible;
    type Join<T: 'static> = limit::JoinHandle<Safe<T>>;
    type Shared<T: Clone + 'static> = limit::Shared<Safe<T>>;

    fn run<T>(main: impl Future<Output = Safe<T>>) -> T {
        safe(limit::run(main))
    }

    fn spawn<F, T>(future: F) -> Self::Join<T>
    where
        F: Future<Output = Safe<T>> + 'static,
        T: 'static,
    {
        limit::spawn(future)
    }

    fn share<T: Clone + 'static>(join: Self::Join<T>) -> Self::Shared<T> {
        limit::Shared::new(join)
    }
}

impl Timed for Limit {
    type Event = limit::Event;

    fn sleep(after: Duration) -> impl Future<Output = Safe<()>> + 'static {
        fine(limit::sleep(after))
    }

    fn event() -> Self::Event {
        limit::Event::default()
    }

    fn wait(event: &Self::Event) -> impl Future<Output = Safe<()>> + 'static {
        fine(event.clone().wait())
    }
}

// ---- Others ----

/// compio's runtime.
pub struct Compio;

impl Peer for Compio {
    const NAME: &'static str = "compio";
    type Error = Infallible;
    type Join<T: 'static> = Joined<compio_runtime::JoinHandle<Safe<T>>>;
    type Shared<T: Clone + 'static> = Shared<Self::Join<T>>;

    fn run<T>(main: impl Future<Output = Safe<T>>) -> T {
        safe(compio_runtime::Runtime::new().expect("a runtime").block_on(main))
    }

    fn spawn<F, T>(future: F) -> Self::Join<T>
    where
        F: Future<Output = Safe<T>> + 'static,
        T: 'static,
    {
        joined(compio_runtime::spawn(future))
    }

    fn detach<T: 'static>(join: Self::Join<T>) {
        join.join.detach();
    }

    fn share<T: Clone + 'static>(join: Self::Join<T>) -> Self::Shared<T> {
        join.shared()
    }
}

/// glommio's executor.
pub struct Glommio;

impl Peer for Glommio {
    const NAME: &'static str = "glommio";
    type Error = Infallible;
    type Join<T: 'static> = glommio::Task<Safe<T>>;
    type Shared<T: Clone + 'static> = Shared<Self::Join<T>>;

    /// It needs io_uring and locked memory.
    fn works() -> bool {
        glommio::LocalExecutorBuilder::default().make().is_ok()
    }

    fn run<T>(main: impl Future<Output = Safe<T>>) -> T {
        safe(glommio::LocalExecutorBuilder::default().make().expect("io_uring").run(main))
    }

    fn spawn<F, T>(future: F) -> Self::Join<T>
    where
        F: Future<Output = Safe<T>> + 'static,
        T: 'static,
    {
        glommio::spawn_local(future)
    }

    fn detach<T: 'static>(join: Self::Join<T>) {
        drop(join.detach());
    }

    fn share<T: Clone + 'static>(join: Self::Join<T>) -> Self::Shared<T> {
        join.shared()
    }
}

/// nio's local runtime.
pub struct Nio;

impl Peer for Nio {
    const NAME: &'static str = "nio";
    type Error = Infallible;
    type Join<T: 'static> = Joined<nio::JoinHandle<Safe<T>>>;
    type Shared<T: Clone + 'static> = Shared<Self::Join<T>>;

    fn run<T>(main: impl Future<Output = Safe<T>>) -> T {
        let mut runtime = nio::RuntimeBuilder::new().worker_threads(1).build().expect("a runtime");
        safe(runtime.block_on(main))
    }

    fn spawn<F, T>(future: F) -> Self::Join<T>
    where
        F: Future<Output = Safe<T>> + 'static,
        T: 'static,
    {
        joined(nio::spawn_local(future))
    }

    fn share<T: Clone + 'static>(join: Self::Join<T>) -> Self::Shared<T> {
        join.shared()
    }
}
