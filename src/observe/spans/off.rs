//! Nobody listens.

use std::marker::PhantomData;

use crate::task::Header;

/// The spans of a loop's coroutines.
#[derive(Default)]
pub(crate) struct Spans;

#[allow(clippy::unused_self, reason = "the same signatures as with spans")]
impl Spans {
    #[inline]
    pub(crate) fn spawn(&self, _coro: &Header) {}
    #[inline]
    pub(crate) fn step_begin(&self, _coro: &Header) {}
    #[inline]
    pub(crate) fn step_end(&self, _coro: &Header) {}
    #[inline]
    pub(crate) fn end(&self, _coro: &Header) {}
}

/// What is going on here, to be gone on with on another thread.
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

/// Ends when it is dropped.
pub(crate) struct Entered<'a>(PhantomData<&'a ()>);

/// A future that is polled elsewhere, with what is going on here around it.
#[cfg(feature = "tokio")]
pub(crate) fn inside<F: Future>(future: F) -> F {
    future
}
