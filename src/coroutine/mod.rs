//! Coroutines and what they wait with: handles, gathering, time limits, sleeping.

pub(crate) mod as_completed;
pub(crate) mod coro;
pub(crate) mod gather;
pub(crate) mod sleep;
pub(crate) mod timeout;
