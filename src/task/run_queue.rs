//! The ready queue.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;

use super::cell::Header;
use super::handle::Handle;
use super::release::release;
use super::running::{CurrentTask, Running};
use super::wake_token::WakeToken;

/// First in, first out, linked through the headers.
#[derive(Default)]
pub(crate) struct Queue {
    head: Cell<Option<NonNull<Header>>>,
    tail: Cell<Option<NonNull<Header>>>,
}

impl Queue {
    #[inline]
    pub(crate) fn push(&self, task: Queued) {
        let header = ManuallyDrop::new(task).0;
        // SAFETY: the queue owns its blocks: the guard was forgotten, and is remade in `pop`.
        unsafe {
            header.as_ref().link.set(None);
            match self.tail.replace(Some(header)) {
                None => self.head.set(Some(header)),
                Some(last) => last.as_ref().link.set(Some(header)),
            }
        }
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Queued> {
        let header = self.head.get()?;
        // SAFETY: owned by the queue, as above.
        let next = unsafe { header.as_ref() }.link.get();
        self.head.set(next);
        if next.is_none() {
            self.tail.set(None);
        }
        Some(Queued(header))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.get().is_none()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// Owned by the ready queue.
pub(crate) struct Queued(NonNull<Header>);

impl Queued {
    /// `None` if there is one already.
    ///
    /// # Safety
    ///
    /// The block is alive.
    #[inline]
    pub(super) unsafe fn new(header: NonNull<Header>) -> Option<Queued> {
        // SAFETY: required of the caller.
        (!unsafe { header.as_ref() }.queued.replace(true)).then(|| Queued(header))
    }

    /// Turns it into the guard for a poll; `None` if the coroutine is being polled already.
    #[inline]
    pub(crate) fn run(self) -> Option<Running> {
        // SAFETY: `self` owns it.
        let running = unsafe { Running::new(self.0) };
        if running.is_some() {
            // The new guard owns it, so `self` need not check whether it is the last owner.
            ManuallyDrop::new(self).queued.set(false);
        }
        running
    }
}

impl Handle {
    /// Makes the guard for the ready queue; `None` if the coroutine is in it already.
    #[inline]
    pub(crate) fn queue(&self) -> Option<Queued> {
        // SAFETY: `self` owns it.
        unsafe { Queued::new(self.0) }
    }
}

impl CurrentTask {
    /// Makes the guard for the ready queue, if the running coroutine has this wake token. `None`: it has another;
    /// `Some(None)`: it is in the queue already. This is how a coroutine yields: without the table of tasks it takes
    /// 136 instructions instead of 149 (W3 of `tinyio-cost`), and a sixth less time.
    #[inline]
    pub(crate) fn queue(&self, wake_token: WakeToken) -> Option<Option<Queued>> {
        let header = self.0.get()?;
        // SAFETY: it is alive, because `Running::poll` is on the stack with its guard.
        unsafe { (header.as_ref().wake_token() == wake_token).then(|| Queued::new(header)) }
    }
}

impl Deref for Queued {
    type Target = Header;

    #[inline]
    fn deref(&self) -> &Header {
        // SAFETY: `Queued` owns (1).
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.queued.set(false);
        // SAFETY: `self` owned it until now.
        unsafe { release(self.0) };
    }
}
