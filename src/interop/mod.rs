//! Loops with other runtimes: driven as a future, isolated in another loop, futures of tokio, Ctrl-C.

pub(crate) mod drive;
#[cfg(feature = "tokio")]
pub(crate) mod from_tokio;
pub(crate) mod isolate;
#[cfg(feature = "signal")]
pub(crate) mod signal;
