//! All tasks of a running async program that was not prepared for it: their await stacks with lines and locals, their
//! states, and what they wait on. The program needs debug info and nothing else; nothing is written into it.
//!
//! [`take`] finds out what there is to read, stops the process, copies its memory, lets it go on, and reads the copy.
//! A task that is shown is one: it was in the list of its runtime at that moment. What is not known is not shown, and a
//! note says so. [`take_core`] does the same with a core file. [`check()`] proves of tasks that they can never go on.

#![deny(unsafe_code)]
#![cfg(target_os = "linux")]

mod async_task;
mod check;
mod copy;
mod core_file;
mod edges;
pub mod events;
mod kinds;
mod names;
mod picture;
mod process;
mod read;
mod regions;
mod roots;
mod row;
mod search;
mod shares;
mod stop;
mod text;
mod tinyio;
mod tokio;
mod versions;
mod waits;

pub use check::{Finding, FindingKind, Findings, check};
pub use picture::{Hold, Picture, Queued, Role, Runtime, Share, State, Task, Took, Wait, WaitKind};
pub use read::{Options, take, take_core};
pub use text::text;
