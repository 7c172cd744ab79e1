//! Tasks of `async-executor`, which smol has, too.
//!
//! A task is one allocation of `async-task`: a `Header` with a state word and a pointer to a vtable, the function that
//! schedules it, the future or its output. Each type of future has a function `RawTask<F, T, S, M>::run`, and a vtable
//! that holds its address and leads to the offsets of the other parts. The function that schedules a task of an
//! executor refers to the executor, and that has a slab with a waker of each task that has not ended: the way is
//! function, vtable, headers that point to it, their executor, its slab, which has all tasks and no other.
//!
//! Tasks that have ended are in no slab, and are not shown.

mod executors;
mod kinds;
mod state;

pub use executors::all;
pub use kinds::{Kinds, find};
