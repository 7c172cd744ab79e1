//! The no-op.

/// Observes nothing.
#[derive(Clone, Copy, Default)]
pub(crate) struct Noop;
