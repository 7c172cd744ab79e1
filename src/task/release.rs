//! Blocks are freed when nothing owns them any more.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;

use super::cell::{Header, Vtable, flag};
use super::fault::Payload;
use super::memory;
use crate::panics;

/// What is to be freed, on one thread.
struct Garbage {
    /// Blocks, linked; none unless `freeing`.
    blocks: Cell<Option<NonNull<Header>>>,
    freeing: Cell<bool>,
}

crate::threading::per_thread! {
    // Without a destructor, so that it can be used for as long as the thread runs code.
    static GARBAGE: Garbage = const { Garbage { blocks: Cell::new(None), freeing: Cell::new(false) } };
}

/// Drops one of the owners of a block. If none is left, frees it, at once or, inside another such call, when that is
/// done (a chain of coroutines that own each other must not recurse).
///
/// # Safety
///
/// The block is alive; if it has no owner, it is not accessed again.
#[inline(always)]
pub(super) unsafe fn release(header: NonNull<Header>) {
    // SAFETY: required of the caller.
    let this = unsafe { header.as_ref() };
    if this.handles.get() == 0 && !this.has(flag::SLOTTED) && !this.queued.get() && !this.running.get() {
        // SAFETY: it has no owner, and comes here once.
        unsafe { free_or_put_off(header) };
    }
}

/// # Safety
///
/// The block has no owner, and this is called for it once.
#[inline]
unsafe fn free_or_put_off(header: NonNull<Header>) {
    // SAFETY: required of the caller.
    let this = unsafe { header.as_ref() };
    if this.body() == flag::GONE && this.waiters.is_empty() {
        // There is nothing to drop, so nothing to catch, and no recursion. SAFETY: it has no owner.
        unsafe { dealloc(header) };
    } else {
        // SAFETY: it has no owner, and comes here once.
        unsafe { free_all(header) };
    }
}

/// Deallocates the memory.
///
/// # Safety
///
/// The block has no owner, there is nothing left in it to drop, and it is not accessed again.
unsafe fn dealloc(header: NonNull<Header>) {
    // SAFETY: `Handle::new` took it, with that layout, on this thread (5).
    memory::with(|memory| unsafe {
        let Vtable { layout, size_class, .. } = header.as_ref().vtable;
        memory.give(header.cast(), *layout, *size_class);
    });
}

/// Frees a block that has no owner. Returns the panic of a destructor.
///
/// # Safety
///
/// The block has no owner, and this is called for it once.
unsafe fn free(header: NonNull<Header>) -> Result<(), Payload> {
    // SAFETY: the caller ensures that it is alive, and not being polled.
    let result = unsafe { drop_body(header) };
    // SAFETY: the caller ensures that it is not accessed again; nothing else in a header needs to be dropped.
    unsafe {
        (&raw mut (*header.as_ptr()).waiters).drop_in_place();
        dealloc(header);
    }
    result
}

/// Drops future or output in place, whichever there is; catches the destructor's panic.
///
/// # Safety
///
/// The block is alive, and its future is not being polled.
pub(super) unsafe fn drop_body(header: NonNull<Header>) -> Result<(), Payload> {
    // SAFETY: required of the caller.
    let this = unsafe { header.as_ref() };
    let body = this.body();
    if body == flag::GONE {
        return Ok(());
    }
    this.set_body(flag::GONE);
    // SAFETY: the state was read, and is now GONE (2).
    panic::catch_unwind(AssertUnwindSafe(|| unsafe { (this.vtable.drop_body)(header, body) }))
}

/// Frees a block, and all blocks that this releases, one after the other.
///
/// # Panics
///
/// Resumes the first panic of a destructor when all are freed, unless the thread is already panicking.
///
/// # Safety
///
/// The block has no owner, and this is called for it once.
#[cold]
unsafe fn free_all(header: NonNull<Header>) {
    // SAFETY: the block has no owner, and it has not been freed.
    let this = unsafe { header.as_ref() };
    if !this.is_scheduled() {
        (this.vtable.never_scheduled)(header.addr().get(), this.place(), this.name());
    }
    GARBAGE.with(|garbage| {
        if garbage.freeing.get() {
            // SAFETY: the block has no owner, and it has not been freed. The link is not in use: a block in the queue
            // is owned.
            unsafe { header.as_ref() }.link.set(garbage.blocks.get());
            garbage.blocks.set(Some(header));
            return;
        }
        garbage.freeing.set(true);
        let mut panicked = None;
        let mut next = Some(header);
        while let Some(header) = next {
            // SAFETY: a block comes here once, from `release`, when it has no owner.
            if let Err(payload) = unsafe { free(header) } {
                match panicked {
                    None => panicked = Some(payload),
                    Some(_) => panics::dispose(payload),
                }
            }
            next = garbage.blocks.get();
            if let Some(header) = next {
                // SAFETY: in the list, so not freed yet.
                garbage.blocks.set(unsafe { header.as_ref() }.link.get());
            }
        }
        garbage.freeing.set(false);
        match panicked {
            Some(payload) if std::thread::panicking() => panics::dispose(payload),
            Some(payload) => panic::resume_unwind(payload),
            None => {}
        }
    });
}
