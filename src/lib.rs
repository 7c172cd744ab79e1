#![doc = include_str!("../docs/GUIDE.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
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
#[cfg(feature = "tokio")]
pub use interop::from_tokio::from_tokio;
pub use interop::isolate::{Isolate, isolate};
#[cfg(feature = "tracing")]
pub use observe::spans::{TraceLayer, trace_layer};
pub use sync::{Acquire, Barrier, BarrierWait, Event, Guard, Lock, Semaphore, Wait, WaitTimeout};
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

/// The programs of these pages compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../docs/COMING-FROM.md")]
mod pages {}
