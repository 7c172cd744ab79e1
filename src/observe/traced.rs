//! The spans of `tracing` observe a loop.

use super::observer::{Observed, Observer};
use super::spans::Spans;
use crate::failure::crash::FailureKind;
use crate::task::Header;

impl Observer for Spans {
    #[inline]
    fn spawn(&self, _executor: &impl Observed, coro: &Header) {
        self.schedule(coro);
    }

    #[inline]
    fn step_begin(&self, coro: &Header) {
        self.enter(coro);
    }

    #[inline]
    fn step_end(&self, coro: &Header) {
        self.exit(coro);
    }

    #[inline]
    fn end(&self, coro: &Header, _how: Option<FailureKind>) {
        self.close(coro);
    }
}
