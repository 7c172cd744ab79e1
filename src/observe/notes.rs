//! What other threads leave in the inbox of a loop, to be recorded by it.

use tinyio_events::event::{Kind, Outcome};

use crate::task::WakeToken;

/// The inbox of a loop, as hooks see it.
pub(crate) trait Mailbox: Send + Sync {
    /// Leaves notes for the loop, and wakes it.
    fn post_notes(&self, put: &mut dyn FnMut(&mut Vec<ThreadNote>));
}

/// A note of another thread.
pub(crate) enum ThreadNote {
    /// An event to be recorded: a function begins, or has logged something.
    Happened(Kind),
    /// A function has ended, which wakes its coroutine, unless it was never started: then the coroutine knows already.
    Ended { thread: u64, outcome: Outcome, wakes: Option<WakeToken> },
    /// The recording has a request: see [`Asked`](super::stack_requests::Asked).
    Look,
}
