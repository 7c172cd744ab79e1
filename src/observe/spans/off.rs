//! No-op implementation for builds without the `tracing` feature.

use std::marker::PhantomData;

use crate::observe::noop::Noop;

/// The spans of a loop's coroutines.
pub(crate) type Spans = Noop;

/// The current span and author, to be continued on another thread.
#[derive(Default)]
pub(crate) struct Around;

#[allow(clippy::unused_self, reason = "the same signatures as with spans")]
impl Around {
    #[inline]
    pub(crate) fn here() -> Around {
        Around
    }
    #[inline]
    pub(crate) fn enter(&self) -> Entered<'_> {
        Entered(PhantomData)
    }
}

/// Exits the span when it is dropped.
pub(crate) struct Entered<'a>(PhantomData<&'a ()>);

/// Wraps a future that is polled elsewhere in the current span.
#[cfg(feature = "tokio")]
pub(crate) fn inside<F: Future>(future: F) -> F {
    future
}
