//! The guard of the coroutine that is being polled.

use std::cell::Cell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::Context;

use super::cell::{Header, flag};
use super::fault::Payload;
#[cfg(feature = "record")]
use super::handle::Handle;
use super::release::{drop_body, release};
use super::step::{Outcome, Step};
use crate::panics;

/// A coroutine that its loop polls or drops. Not queued, so that it can be woken meanwhile.
pub(crate) struct Running(NonNull<Header>);

impl Running {
    /// `None` if there is one already.
    ///
    /// # Safety
    ///
    /// The block is alive.
    #[inline]
    pub(super) unsafe fn new(header: NonNull<Header>) -> Option<Running> {
        // SAFETY: required of the caller.
        let this = unsafe { header.as_ref() };
        if this.running.replace(true) {
            return None;
        }
        Some(Running(header))
    }

    /// Whether there is a future to be polled.
    pub(crate) fn is_alive(&self) -> bool {
        self.body() == 0
    }

    /// Polls it once, as the coroutine that is running, and catches its panic. The future is gone unless it is pending.
    ///
    /// If it fails, the step is stored in `failure`, which is `None` before: a caller has one such place for
    /// many polls.
    ///
    /// # Panics
    ///
    /// If there is no future.
    #[inline(always)]
    pub(crate) fn poll(
        &mut self,
        current_task: &CurrentTask,
        cx: &mut Context<'_>,
        failure: &mut Option<Step>,
    ) -> Outcome {
        assert!(self.is_alive(), "a coroutine is polled until it ends");
        let flags = self.flags.get();
        if flags & (flag::LAST_STEP | flag::STARTED) != flag::STARTED {
            self.flags.set((flags & !flag::LAST_STEP) | flag::STARTED);
        }
        let header = self.0;
        let outer = current_task.0.replace(Some(header));
        // SAFETY: the state is FUTURE, and `&mut self` on the only guard of its kind means that no other code polls it
        // (3).
        let poll = AssertUnwindSafe(|| unsafe { (self.vtable.poll)(header, cx, failure) });
        let result = catch_unwind(poll);
        current_task.0.set(outer);
        result.unwrap_or_else(|payload| self.panicked(payload, failure))
    }

    #[cold]
    #[inline(never)]
    fn panicked(&mut self, payload: Payload, failure: &mut Option<Step>) -> Outcome {
        // A further panic of a destructor is not reported.
        self.discard().unwrap_or_else(panics::dispose);
        *failure = Some(Step::Panicked(payload));
        Outcome::Failed
    }

    /// The output as text, if it is there.
    pub(crate) fn describe_output(&self) -> Option<String> {
        // SAFETY: the state is OUTPUT.
        self.is_done().then(|| unsafe { (self.vtable.describe)(self.0) })
    }

    /// Ends the guard of a task that stays in its table, so that this was not the last owner: it is pending.
    #[inline]
    pub(crate) fn suspended(self) {
        debug_assert!(self.has(flag::SLOTTED), "a pending task is in the table of its loop");
        std::mem::ManuallyDrop::new(self).running.set(false);
    }

    /// Whether there is no handle by which its output could be taken.
    #[inline]
    pub(crate) fn is_unowned(&self) -> bool {
        self.handles.get() == 0
    }

    /// Forgets the future, or the output, without dropping it.
    pub(crate) fn leak(&mut self) {
        self.set_body(flag::GONE);
    }

    /// Drops the future, or the output, in place.
    ///
    /// # Errors
    ///
    /// The payload, if a destructor panicked.
    pub(crate) fn discard(&mut self) -> Result<(), Payload> {
        // SAFETY: `&mut self` on the only guard of its kind: no code polls it.
        unsafe { drop_body(self.0) }
    }
}

impl Deref for Running {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: `Running` owns (1).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Running {
    #[inline]
    fn drop(&mut self) {
        self.running.set(false);
        // SAFETY: `self` owned it until now.
        unsafe { release(self.0) };
    }
}

/// The coroutine that its loop is polling.
#[derive(Default)]
pub(crate) struct CurrentTask(pub(super) Cell<Option<NonNull<Header>>>);

impl CurrentTask {
    /// Calls `f` with the running coroutine, if there is one.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(Option<&Header>) -> R) -> R {
        // SAFETY: `Running::poll` is on the stack with its guard, and removes it before it returns: it catches every
        // panic.
        f(self.0.get().map(|header| unsafe { header.as_ref() }))
    }

    /// A handle of the running coroutine, if there is one.
    #[cfg(feature = "record")]
    pub(crate) fn handle(&self) -> Option<Handle> {
        // SAFETY: as above.
        self.0.get().map(|header| unsafe { Handle::of(header) })
    }
}
