//! Coroutines and what they wait with: handles, gathering, time limits, sleeping.

pub(crate) mod as_completed;
#[allow(unsafe_code, reason = "a handle of `task` has no type: `Coro` knows that of the output")]
pub(crate) mod coro;
pub(crate) mod gather;
pub(crate) mod sleep;
pub(crate) mod timeout;
