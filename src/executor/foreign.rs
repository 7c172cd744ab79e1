//! Wakers that are not tinyio's, as a loop keeps them.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use crate::executor::slab::Slab;
use crate::task::WakeToken;

/// Foreign wakers (`FuturesUnordered`, `select!`) that coroutines of a loop have registered at tinyio's await points.
#[derive(Default)]
pub(crate) struct ForeignWakers {
    pub(super) wakers: RefCell<Slab<Foreign>>,
    /// Set when some were registered in this turn.
    pub(super) watched: Cell<bool>,
}

/// A waker that is not tinyio's.
pub(crate) struct Foreign {
    pub(super) waker: Waker,
    /// The coroutine that registered it.
    pub(super) owner: WakeToken,
    /// It is woken once, by the end of a coroutine, and then removed.
    pub(super) once: bool,
}
