//! Keeps the future of a coroutine as it was when its step began, for errors that do not remember where they were made.
//!
//! The loop learns of such an error when the future returns it: its locals are gone by then. So before a step the
//! memory of the future is kept, as bytes, and read if the step fails.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::time::Duration;

use tinyio_frames::Kept;

/// The suspension before the step that is running, in one loop.
#[derive(Default)]
pub(super) struct Suspended {
    /// The coroutine whose memory is kept; 0 if none is.
    pub(super) coro: Cell<u64>,
    pub(super) place: Cell<Option<&'static Location<'static>>>,
    /// Whether it waited for something foreign.
    pub(super) is_foreign: Cell<bool>,
    pub(super) kept: RefCell<Kept>,
}

/// The time that one recording has spent on it.
#[derive(Default)]
pub(super) struct Spent {
    pub(super) times: Cell<u32>,
    pub(super) worked: Cell<Duration>,
    /// Of that, what was spent after the first steps.
    pub(super) after: Cell<Duration>,
    /// Nothing is kept before this time, in nanoseconds since the recording started.
    pub(super) next: Cell<u64>,
}
