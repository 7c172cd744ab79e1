//! Events, semaphores, locks and barriers, all on one wait list.

mod barrier;
mod event;
mod linked_slab;
mod lock;
mod permits;
mod semaphore;
pub(crate) mod wait_list;

pub use barrier::{Barrier, BarrierWait};
pub use event::{Event, Wait, WaitTimeout};
pub use lock::Lock;
pub use permits::{Acquire, Guard};
pub use semaphore::Semaphore;
