//! Records what futures do in any async runtime: [`observe`] around a task of tokio, smol or another executor records
//! when it was polled, on which thread, for how long, and what woke it. The screens of `tinyio-inspector` show the
//! record while the program runs and after it ended in any way.
//!
//! ```
//! use tinyio_observe::observe;
//!
//! async fn fetch(page: u32) -> u32 {
//!     page * 2
//! }
//!
//! # fn spawn<F: Future>(future: F) -> F { future }
//! // With tokio: `tokio::spawn(observe(fetch(1)))`.
//! let task = spawn(observe(fetch(1)));
//! # let _ = task;
//! ```
//!
//! Recording is on if the program is started with `TINYIO_INSPECT=record` or `TINYIO_TRACE=run.jsonl`; otherwise a poll
//! costs one branch more. `tinyio-inspector` lists the recordings and shows them.
//!
//! # What is recorded
//!
//! - spawn: [`observe`] is called, at that place; the parent is the observed future that this thread was polling;
//! - wake: its waker is called. The cause is the observed future that the calling thread polls (or itself), or else
//!   that thread;
//! - step begin and step end: a poll; the thread, if it is another one than before;
//! - wait: its poll polled another observed future, which is pending: it waits on that one;
//! - end: `ok`, it returned, whatever it returned; `panic`; `cancelled`, it was dropped before; `never_started`, it was
//!   dropped before its first poll.
//!
//! It counts as ready from the call of [`observe`] to its first poll: whether a runtime has it in a queue is not known.
//! What it waits on, if that is no observed future, is not known either. A poll that no call of its waker precedes has
//! a wake of an external cause: the future around it was woken, such as a `select!`. A waker that is called while the
//! future is ready already has no effect, and is not recorded.
//!
//! # Cost
//!
//! The clock is read twice for a poll, and once for a wake that does not come from the future itself. An event is
//! written under a lock that all threads share, so the record is in the order in which things happened; it is held for
//! the encoding of that event, and the program's code never runs under it.
//!
//! # What happens if
//!
//! - the process is killed: all events before that are in the ring;
//! - the recorder panics: the panic does not reach the program. A line on stderr states it, and recording ends;
//! - a waker is called in a signal handler, or by a panic hook, in the midst of the recorder: that event is not
//!   recorded, and the next one is preceded by one that says how many are missing;
//! - the process forks: the child is not recorded, even if another thread held the lock at that moment.

#![deny(unsafe_code)]

mod observed;
mod record;
mod task;
mod thread;

pub use observed::{Observed, observe, observe_named};
