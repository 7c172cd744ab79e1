//! The state of a loop's cancellation, and of that of single coroutines.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;
use std::time::Duration;

use crate::failure::crash::Group;
use crate::task::{Reason, TypeName, WakeToken};

#[derive(Default)]
pub(crate) struct Cancellation {
    /// The answer of await points in a coroutine that is being cancelled.
    pub(crate) answer: Cell<Cancel>,
    /// The number of coroutines scheduled since the cancellation of all began, and the limit for it.
    pub(super) late: Cell<(usize, usize)>,
    /// Coroutines whose last handle was dropped, to be cancelled, each with the coroutine that dropped the handle.
    pub(super) abandoned: RefCell<VecDeque<(WakeToken, Option<TypeName>)>>,
    pub(crate) group: Cell<Group>,
    /// How long cleanup code may await.
    pub(crate) grace: Cell<Option<Duration>>,
}

/// Whether await points answer, and what they have answered in this poll.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cancel {
    /// Set while a coroutine is polled to deliver its cancellation.
    pub(crate) reason: Option<Reason>,
    /// Await points that are reached after the first answer work as usual: the coroutine may await in its cleanup.
    pub(crate) gently: bool,
    /// An await point has answered.
    pub(crate) answered: bool,
    /// The number of await points reached after that, and the first of them.
    pub(crate) again: u32,
    pub(crate) again_at: Option<&'static Location<'static>>,
}

impl Cancel {
    /// Whether all coroutines are polled in order by the cancellation, with no turns of their own.
    pub(crate) fn is_hard(&self) -> bool {
        matches!(self.reason, Some(Reason::Crash(_))) && !self.gently
    }
}
