//! What a poll of a task comes to.

use super::fault::{Fault, Payload};

/// The result of a poll.
pub(crate) enum Step {
    Pending,
    /// The output is there.
    Done,
    Failed(Fault),
    Panicked(Payload),
}

/// The result of a poll, in a byte, so that the loop branches on a register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pending,
    /// The output is there.
    Done,
    /// It failed or panicked: that is in the place that the poll was given for it.
    Failed,
}
