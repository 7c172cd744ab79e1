//! Events, semaphores, locks and barriers.

pub(crate) mod event;
mod linked_slab;
pub(crate) mod semaphore;
