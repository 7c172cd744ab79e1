//! What the events of [tinyio](https://docs.rs/tinyio) say of a program: its state, and answers to questions about it.
//!
//! | module | | feature |
//! |---|---|---|
//! | [`model`] | events folded into the state of the program | |
//! | [`report`] | the crash, or the end, as text and as JSON | |
//! | [`describe`], [`format`](mod@format) | what a coroutine does, times and numbers, as text | |
//! | `check`, `lint` | what certainly cannot go on, probable mistakes | `analysis` |
//! | `why`, `tree` | why a coroutine waits, which one waits for which | `analysis` |
//! | `moment`, `time` | a recording at a moment; every moment of a recording | `analysis` |
//!
//! A recorded program prints the report of its crash, and needs no more: the feature `analysis` is the inspector's.
//!
//! The crate depends on `tinyio-events`, and on `serde` for JSON. It does no I/O: events come from a
//! [`Source`](tinyio_events::source::Source) or one by one, and texts are returned or written to what the caller gives.
//! It must not know files, rings, the memory of a program, or a terminal.

#![forbid(unsafe_code)]

#[cfg(feature = "analysis")]
pub mod check;
pub mod describe;
pub mod format;
#[cfg(feature = "analysis")]
pub mod history;
#[cfg(feature = "analysis")]
pub mod lint;
pub mod model;
pub mod report;
#[cfg(any(test, feature = "__script"))]
#[doc(hidden)]
pub mod test_script;
#[cfg(feature = "analysis")]
pub mod time_point;
#[cfg(feature = "analysis")]
pub mod tree;
#[cfg(feature = "analysis")]
pub mod why;
