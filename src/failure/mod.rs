//! Errors, panics and cancellation: how a failure comes about, how it cancels the other coroutines, and the crash that
//! it becomes.

pub(crate) mod await_chain;
pub(crate) mod cancel;
pub(crate) mod crash;
pub(crate) mod error;
pub(crate) mod failed;
pub(crate) mod panic_hook;
pub(crate) mod type_name;
