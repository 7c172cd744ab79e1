//! A tiny event loop one can see into, after Patrick Kidger's Python `tinyio`.
//!
//! ```
//! use std::time::Duration;
//!
//! async fn slow_add_one(x: u32) -> tinyio::Result<u32> {
//!     tinyio::sleep(Duration::from_millis(10)).await?;
//!     Ok(x + 1)
//! }
//!
//! let (four, five) = tinyio::Loop::new().run(async {
//!     tinyio::gather((slow_add_one(3), slow_add_one(4))).await
//! })?;
//! assert_eq!((four, five), (4, 5));
//! # Ok::<_, tinyio::Crash>(())
//! ```
//!
//! An error that leaves a coroutine cancels *all* coroutines of the loop; each gets [`CancelledError`] at its await
//! point to clean up, threads too, and the original error comes out of [`Loop::run`], its trace chained through every
//! coroutine that awaited it. With the feature `inspect`, and `TINYIO_INSPECT=1` in the environment, the program shows
//! what waits on what while it runs.
//!
//! # Catching, retrying, isolating
//!
//! An error is caught where it is still a value: inside the coroutine, by a plain `.await` of the function that returns
//! it. An error that leaves a coroutine (what was given to [`coro`], [`gather`], [`spawn`] and the like) cannot be
//! caught, unless the work is [isolated](isolate).
//!
//! ```
//! use std::time::Duration;
//! # use std::cell::Cell;
//! # thread_local! { static TRIES: Cell<u32> = const { Cell::new(0) } }
//! # async fn request(url: &str) -> Result<String, std::io::Error> {
//! #     TRIES.set(TRIES.get() + 1);
//! #     if TRIES.get() < 3 { Err(std::io::ErrorKind::ConnectionReset.into()) } else { Ok(url.to_owned()) }
//! # }
//!
//! // Retries: `request` is a plain async function, so its error is a value here.
//! async fn fetch(url: &'static str) -> tinyio::Result<String> {
//!     for seconds in [1, 2, 4] {
//!         match tinyio::timeout(Duration::from_secs(10), async move { tinyio::Ok(request(url).await) }).await? {
//!             Ok(Ok(page)) => return Ok(page),
//!             Ok(Err(error)) => println!("{url}: {error}"),
//!             Err(late) => println!("{url}: {late}"),
//!         }
//!         tinyio::sleep(Duration::from_secs(seconds)).await?;
//!     }
//!     Err(tinyio::Error::msg(format!("{url}: given up")))
//! }
//!
//! tinyio::Loop::new().virtual_time().run(async {
//!     // Isolates: what fails or panics inside cancels what is inside, and nothing else.
//!     match tinyio::isolate(fetch("http://example.org")).await? {
//!         Ok(page) => println!("{page}"),
//!         Err(crash) => println!("skipped: {crash}"),
//!     }
//!     tinyio::Ok(())
//! })?;
//! # assert_eq!(TRIES.get(), 3);
//! # Ok::<_, tinyio::Crash>(())
//! ```
//!
//! # What is dropped is cancelled
//!
//! A coroutine belongs to its handles. When the last one is dropped before the coroutine has ended (the loser of a
//! `select!`, an early return, a [`timeout`] that is up), it gets `CancelledError` at its await point, cleans up and
//! ends, and so does what it alone awaits: its coroutines, its threads, its tokio tasks. What is to run on without a
//! handle is started by [`spawn`], or [detached](Coro::detach).
//!
//! # Guide
//!
//! ## Coroutines
//!
//! A *coroutine* is what the loop schedules: one node of the dependency graph. An async function is not one by itself:
//! a plain `f().await` runs inside the coroutine that awaits it. [`coro`]`(f())` makes it one, [`gather`] does so for
//! several, and [`spawn`] schedules one that runs to its end without being awaited. A [`Coro`] is lazy, and its clones
//! share one run and one output:
//!
//! ```
//! use tinyio::{coro, gather};
//!
//! async fn load() -> tinyio::Result<String> {
//!     println!("loading, once");
//!     Ok("text".to_owned())
//! }
//!
//! async fn length(text: tinyio::Coro<String>) -> tinyio::Result<usize> {
//!     Ok(text.await?.len())
//! }
//!
//! let (a, b) = tinyio::Loop::new().run(async {
//!     let text = coro(load());
//!     gather((length(text.clone()), length(text))).await
//! })?;
//! assert_eq!((a, b), (4, 4));
//! # Ok::<_, tinyio::Crash>(())
//! ```
//!
//! The loop is fair: one turn each, first in, first out. It runs on one thread, so coroutines need not be `Send`, and
//! share data by `Rc<RefCell<_>>`. It takes the futures of the ecosystem as they are: `async-channel`, `async-io`,
//! `futures` and the like.
//!
//! ## Errors and cleaning up
//!
//! A coroutine returns `Result<T, E>` with any error: `io::Error`, `anyhow::Error`, an enum of yours. [`Error`] works
//! best, because it remembers where it arose. As soon as one returns an error, or panics, each of the others is polled
//! once more, and the await point that it is at answers `Err(CancelledError)`. `?` hands that up; what is to be cleaned
//! up is cleaned up on the way:
//!
//! ```
//! use std::time::Duration;
//! use tinyio::{gather, sleep};
//!
//! async fn writer() -> tinyio::Result<()> {
//!     let result = async {
//!         loop {
//!             sleep(Duration::from_secs(1)).await?;
//!         }
//!     }
//!     .await;
//!     println!("removing the unfinished file");
//!     result
//! }
//!
//! async fn reader() -> tinyio::Result<()> {
//!     std::fs::read("/no/such/file")?;
//!     Ok(())
//! }
//!
//! let crash = tinyio::Loop::new().run(async { gather((writer(), reader())).await }).unwrap_err();
//! assert!(crash.downcast_ref::<std::io::Error>().is_some());
//! println!("{crash:?}"); // the error, its trace, and what else failed
//! ```
//!
//! Cleanup may not await, unless the loop is given a [grace](Loop::grace) period. A coroutine that swallows its
//! cancellation is reported as not responding properly, and dropped. [`Group`] says what else the [`Crash`] holds.
//! [`CancelledError::cause`] names the coroutine that failed, the call of [`timeout`], or the coroutine that dropped
//! the last handle.
//!
//! ## Threads
//!
//! What blocks goes to a thread: [`run_in_thread`], or a [`ThreadPool`] to bound how many. An error in a thread cancels
//! the loop; an error in the loop asks the thread to stop, which it sees by [`thread::check_cancelled`] and
//! [`thread::sleep`]. Threads that are not tinyio's wake coroutines through an [`Event`], or through any waker.
//!
//! ## Waiting for one another
//!
//! [`Event`], [`Semaphore`], [`Lock`], [`Barrier`] and [`as_completed`] are the usual ones. Coroutines that await each
//! other, or that wait while nothing is left to wake them, end the run with a [`Deadlock`] that names them; a cycle
//! through locks beside other work is a warning, since a guard can be moved.
//!
//! ## Loops in loops, and in other runtimes
//!
//! A loop can be run inside a coroutine of another (it blocks that thread), [driven](Loop::drive) as a future of tokio,
//! smol or any executor, or [isolated](isolate). A `Coro` that one loop has scheduled can be awaited from another of
//! the same thread. Futures that need a tokio reactor run through `from_tokio` (feature `tokio`).
//!
//! ```
//! # fn main() -> Result<(), tinyio::Crash> {
//! let answer = pollster::block_on(async {
//!     tinyio::Loop::new().drive(async { tinyio::Ok(tinyio::isolate(async { tinyio::Ok(42) }).await?) }).await
//! })?;
//! assert_eq!(answer.unwrap(), 42);
//! # Ok(()) }
//! ```
//!
//! # What it is not for
//!
//! A loop is one core. Servers that need all cores take `tokio`, or drive a loop per core from it. There are no sockets
//! and no files in here: `async-io` and `async-net` bring them, or threads. On microcontrollers take `embassy`; for one
//! future and nothing else, `pollster`.
//!
//! # Coming from Python tinyio, tokio, smol
//!
//! | Python `tinyio` | here | tokio | smol |
//! |---|---|---|---|
//! | `Loop().run(main())` | `Loop::new().run(main())` | `Runtime::block_on` | `block_on(ex.run(..))` |
//! | `yield f()` | `coro(f()).await?` | `spawn(f()).await` | `ex.spawn(f()).await` |
//! | `yield from f()` | `f().await?` | `f().await` | `f().await` |
//! | `yield [f(), g()]` | `gather((f(), g())).await?` | `try_join!(f(), g())` | `try_zip(f(), g()).await` |
//! | `yield {f()}` | `spawn(f())` | `spawn(f())` | `ex.spawn(f()).detach()` |
//! | `yield` | `yield_now().await?` | `yield_now().await` | `yield_now().await` |
//! | `yield sleep(1)` | `sleep(secs).await?` | `sleep(secs).await` | `Timer::after(secs).await` |
//! | `yield run_in_thread(f)` | `run_in_thread(f).await?` | `spawn_blocking(f).await` | `unblock(f).await` |
//! | `yield timeout(f(), 1)` | `timeout(secs, f()).await?` | `timeout(secs, f()).await` | `f().or(timer).await` |
//! | an error cancels all | an error cancels all | the task's `JoinHandle` gives it | the task panics or gives it |
//!
//! The same program in all of them: two jobs, of which one fails. (Those of tokio and smol are compiled and run by
//! `tests/ecosystem`.)
//!
//! ```python
//! def work(n):                                   # Python tinyio
//!     yield tinyio.sleep(0.1)
//!     if n == 2: raise ValueError("two")
//! def main():
//!     yield [work(1), work(2)]
//! tinyio.Loop().run(main())                      # ValueError, work(1) cancelled
//! ```
//!
//! ```
//! # use std::time::Duration;
//! async fn work(n: u32) -> tinyio::Result<()> {  // tinyio
//!     tinyio::sleep(Duration::from_millis(1)).await?;
//!     if n == 2 {
//!         return Err(tinyio::Error::msg("two"));
//!     }
//!     Ok(())
//! }
//! let crash = tinyio::Loop::new().run(async { tinyio::gather([work(1), work(2)]).await });
//! assert_eq!(crash.unwrap_err().error().to_string(), "two"); // the other has been cancelled, if it was not done
//! ```
//!
//! ```ignore
//! async fn work(n: u32) -> Result<(), String> {  // tokio
//!     tokio::time::sleep(Duration::from_millis(1)).await;
//!     if n == 2 {
//!         return Err("two".to_owned());
//!     }
//!     Ok(())
//! }
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! let ended = runtime.block_on(async {
//!     let mut jobs = tokio::task::JoinSet::new();
//!     jobs.spawn(work(1));
//!     jobs.spawn(work(2));
//!     while let Some(job) = jobs.join_next().await {
//!         job.expect("no panic")?;               // dropping the set aborts the others: they get no error
//!     }
//!     Ok(())
//! });
//! assert_eq!(ended, Err("two".to_owned()));
//! ```
//!
//! ```ignore
//! async fn work(n: u32) -> Result<(), String> {  // smol
//!     smol::Timer::after(Duration::from_millis(1)).await;
//!     if n == 2 {
//!         return Err("two".to_owned());
//!     }
//!     Ok(())
//! }
//! let executor = smol::LocalExecutor::new();
//! let ended = smol::block_on(executor.run(async {
//!     let jobs = [executor.spawn(work(1)), executor.spawn(work(2))];
//!     for job in jobs {
//!         job.await?;                            // dropping a task cancels it: it gets no error
//!     }
//!     Ok(())
//! }));
//! assert_eq!(ended, Err("two".to_owned()));
//! ```
//!
//! # Features
//!
//! None by default: the crate then depends on the traits of `futures-core` alone, records nothing and pays nothing.
//!
//! | feature | brings | without it |
//! |---|---|---|
//! | `record` | events into a ring that outlives the process, JSON traces, await stacks and locals in the report of a crash | a crash has traces, and no locals |
//! | `inspect` | `record`, and the live view in this terminal (`TINYIO_INSPECT=1`) | recordings are looked at with the program `tinyio-inspector` |
//! | `signal` | `Loop::cancel_on_ctrl_c` | Ctrl-C ends the process |
//! | `tokio` | `from_tokio` | |
//! | `tracing` | each coroutine is a span of `tracing`; `trace_layer` puts log events and fields of spans into the record | log events belong to no coroutine |
//!
//! `TINYIO_INSPECT=record` records only, `TINYIO_TRACE=FILE.jsonl` writes the trace, `TINYIO_RING=64M` sets the ring's
//! size, `TINYIO_LOCALS=0` never reads local variables.

#![deny(unsafe_code)]

mod coroutine;
mod event_loop;
mod executor;
mod failure;
mod interop;
mod observe;
mod panics;
mod sync;
#[allow(unsafe_code, reason = "what is unsafe is here")]
mod task;
pub mod thread;
mod threading;

pub use coroutine::as_completed::{AsCompleted, Next, as_completed};
pub use coroutine::coro::{Coro, coro, spawn};
pub use coroutine::gather::{Gather, Gathering, gather};
pub use coroutine::sleep::{Sleep, YieldNow, sleep, yield_now};
pub use coroutine::timeout::{Timeout, TimeoutError, timeout};
pub use event_loop::{Handle, Loop};
pub use failure::crash::{Crash, Deadlock, Failure, FailureKind, Group, Interrupted, Panic, Site};
pub use failure::error::{CancelledError, Cause, Error, Ok, Result};
pub use interop::drive::{Isolate, isolate};
#[cfg(feature = "tokio")]
pub use interop::from_tokio::from_tokio;
#[cfg(feature = "tracing")]
pub use observe::spans::{TraceLayer, trace_layer};
pub use sync::event::{Event, Wait, WaitTimeout};
pub use sync::{Acquire, Barrier, BarrierWait, Guard, Lock, Semaphore};
pub use thread::{ThreadPool, run_in_thread};

/// Whether the feature `record` is built in, for the output of the benches.
#[doc(hidden)]
pub const RECORDS: bool = cfg!(feature = "record");

/// Waits until the threads of [`run_in_thread`] are gone, which a loom model requires.
#[cfg(loom)]
#[doc(hidden)]
pub fn end_threads() {
    thread::pool::end();
}
