//! Code that the examples share.

pub mod crash;
pub mod progress;
pub mod queue;
pub mod sum;
