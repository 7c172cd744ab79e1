//! Coroutines of tinyio that is not recorded.
//!
//! A coroutine is one block: a `Header` with a pointer to a vtable, its number and flags, then the future or its
//! output. Each type of future has a function `RawTask<F, …>::poll`, and a vtable that holds its address and the
//! offset of the future. A variable of each thread leads to the loops that the thread is in, and a loop has a table of
//! its coroutines that have not ended: the way is thread, loop, table, headers. All offsets come from debug info.
//!
//! A loop that another runtime drives is entered only while it is polled, and is not found at other times.

mod kinds;
mod loops;

pub use kinds::{Kinds, find};
pub use loops::all;
