//! Lints: what is probably wrong, in one sentence each, with the coroutine and what to do.

use crate::event::CoroId;
use crate::model::Model;

/// Something that is probably wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Which check found it.
    pub check: &'static str,
    /// The coroutine it is about, 0 for none.
    pub coro: CoroId,
    /// One sentence: who, what, and what to do.
    pub text: String,
}

/// All lints of a moment.
pub fn check(_model: &Model, _now: u64) -> Vec<Lint> {
    Vec::new()
}
