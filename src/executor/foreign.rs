//! Wakers that are not tinyio's, as a loop keeps them.

use std::task::Waker;

use crate::task::WakeToken;

/// A waker that is not tinyio's.
pub(crate) struct Foreign {
    pub(super) waker: Waker,
    /// The coroutine that registered it.
    pub(super) owner: WakeToken,
    /// It is woken once, by the end of a coroutine, and then removed.
    pub(super) once: bool,
}
