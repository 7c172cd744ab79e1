//! The state of a loop's cancellation, and of that of single coroutines.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;
use std::time::Duration;

use crate::failure::crash::Group;
use crate::task::{Reason, TypeName, WakeToken};

#[derive(Default)]
pub(crate) struct Cancellation {
    /// The cancellation that is delivered to the coroutine being polled.
    pub(crate) delivery: Cell<Delivery>,
    /// The number of coroutines scheduled since the cancellation of all began, and the limit for it.
    pub(super) late: Cell<(usize, usize)>,
    /// Coroutines whose last handle was dropped, to be cancelled, each with the coroutine that dropped the handle.
    pub(super) abandoned: RefCell<VecDeque<(WakeToken, Option<TypeName>)>>,
    pub(crate) group: Cell<Group>,
    /// How long cleanup code may await.
    pub(crate) grace: Cell<Option<Duration>>,
}

/// The delivery of a cancellation to a coroutine in one poll: whether await points answer with [`CancelledError`], and
/// what the coroutine did then.
///
/// [`CancelledError`]: crate::CancelledError
#[derive(Clone, Copy, Default)]
pub(crate) struct Delivery {
    /// What await points answer with. `None`: nothing is delivered.
    pub(crate) reason: Option<Reason>,
    /// There is a grace period: await points that are reached after the first answer work as usual, so that the
    /// coroutine can await in its cleanup.
    pub(crate) with_grace: bool,
    /// An await point has answered.
    pub(crate) answered: bool,
    /// The number of await points reached after that, and the first of them.
    pub(crate) again: u32,
    pub(crate) again_at: Option<&'static Location<'static>>,
}

impl Delivery {
    /// Whether all coroutines are cancelled, and each is polled by the cancellation alone: none is queued
    /// or starts.
    pub(crate) fn starts_no_task(&self) -> bool {
        matches!(self.reason, Some(Reason::Crash(_))) && !self.with_grace
    }
}
