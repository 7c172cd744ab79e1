//! Tasks of tokio.
//!
//! A task is one allocation: a `Header` with a state word and a pointer to a vtable, the scheduler, the number, the
//! future or its output (`Stage`), and a `Trailer` with the links of the list of all tasks of its runtime. Each type of
//! future has a function `poll::<T, S>`, and a vtable that holds its address. The way is: function, vtable, headers
//! that point to it, their scheduler, its list, which has all tasks and no other. All offsets come from debug info, by
//! the names of members.

mod kinds;
mod lists;
mod members;
mod scan;
mod state;

pub use kinds::{Kinds, find};
pub use lists::List;
pub use members::members;
pub use scan::{Hit, scan};
