//! What other threads leave in the inbox of a loop, to be recorded by it.

#[cfg(feature = "record")]
use tinyio_events::event::{Kind, Outcome};

#[cfg(feature = "record")]
use crate::task::WakeToken;

/// The inbox of a loop, as its observer sees it.
#[cfg_attr(not(feature = "record"), expect(dead_code, reason = "only a recording has notes"))]
pub(crate) trait Mailbox: Send + Sync {
    /// Leaves notes for the loop, and wakes it.
    fn post_notes(&self, put: &mut dyn FnMut(&mut Vec<ThreadNote>));
}

/// A note of another thread. Without the feature `record` there is none.
pub(crate) enum ThreadNote {
    /// An event to be recorded: a function begins, or has logged something.
    #[cfg(feature = "record")]
    Happened(Kind),
    /// A function has ended, which wakes its coroutine, unless it was never started: then the coroutine knows already.
    #[cfg(feature = "record")]
    Ended { thread: u64, outcome: Outcome, wakes: Option<WakeToken> },
    /// The recording has a request: see [`Asked`](super::stack_requests::Asked).
    #[cfg(feature = "record")]
    Look,
}
