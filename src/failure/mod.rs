//! Errors, panics, and the crash that they become, as plain types: what makes a crash of a failure is in `executor`.

pub(crate) mod crash;
pub(crate) mod error;
#[cfg(feature = "record")]
pub(crate) mod event;
pub(crate) mod moment;
pub(crate) mod panic_hook;
pub(crate) mod place;
pub(crate) mod type_name;
