//! A tiny event loop one can see into.
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

mod alarm;
mod cancel;
mod completed;
mod core;
mod coro;
mod crash;
mod drive;
mod error;
mod event;
mod gather;
mod looped;
mod name;
mod record;
#[cfg(feature = "signal")]
mod signal;
mod slab;
mod stuck;
mod sync;
mod task;
pub mod thread;
mod time;
mod timeout;
#[cfg(feature = "tokio")]
mod tokio;
mod wheel;

#[cfg(feature = "tokio")]
pub use self::tokio::from_tokio;
pub use completed::{AsCompleted, Next, as_completed};
pub use coro::{Coro, coro, spawn};
pub use crash::{Crash, Deadlock, Failure, FailureKind, Group, Interrupted, Panic, Site};
pub use drive::{Isolate, isolate};
pub use error::{CancelledError, Error, Ok, Result};
pub use event::{Event, Wait, WaitTimeout};
pub use gather::{Gather, Gathering, gather};
pub use looped::{Handle, Loop};
pub use sync::{Acquire, Barrier, BarrierWait, Guard, Lock, Semaphore};
pub use thread::{ThreadPool, run_in_thread};
pub use time::{Sleep, YieldNow, sleep, yield_now};
pub use timeout::{Timeout, TimeoutError, timeout};
