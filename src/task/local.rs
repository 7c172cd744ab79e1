//! Thread-local state: the blocks to be freed, and their memory.

use std::cell::Cell;
use std::panic;
use std::ptr::NonNull;

use super::arena::Memory;
use super::cell::{self, Header};
use crate::panics;

struct Local {
    /// Blocks to free, linked; not empty only while `freeing`.
    garbage: Cell<Option<NonNull<Header>>>,
    freeing: Cell<bool>,
    memory: Memory,
}

impl Local {
    const fn new() -> Local {
        Local { garbage: Cell::new(None), freeing: Cell::new(false), memory: Memory::new() }
    }
}

crate::threading::per_thread! {
    // Without a destructor, so that it can be used for as long as the thread runs code.
    static LOCAL: Local = const { Local::new() };
}

/// Runs `inside`, which runs a loop: memory that tasks no longer use is kept for others until the outermost call of this
/// has ended.
pub(crate) fn keep_memory<R>(inside: impl FnOnce() -> R) -> R {
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            memory(Memory::close);
        }
    }
    let _close = memory(Memory::open).then_some(Close);
    inside()
}

/// The memory of the blocks of this thread.
#[inline]
pub(super) fn memory<R>(f: impl FnOnce(&Memory) -> R) -> R {
    LOCAL.with(|local| f(&local.memory))
}

/// Frees a block, and all blocks that this releases, one after the other.
///
/// # Panics
///
/// Resumes the first panic of a destructor when all are freed, unless the thread is already panicking.
#[cold]
pub(super) fn free(header: NonNull<Header>) {
    // SAFETY: the block has no owner, and it has not been freed.
    let this = unsafe { header.as_ref() };
    (this.vtable.freed)(this);
    LOCAL.with(|local| {
        if local.freeing.get() {
            // SAFETY: the block has no owner, and it has not been freed. The link is not in use: a block in the queue
            // is owned.
            unsafe { header.as_ref() }.link.set(local.garbage.get());
            local.garbage.set(Some(header));
            return;
        }
        local.freeing.set(true);
        let mut panicked = None;
        let mut next = Some(header);
        while let Some(header) = next {
            // SAFETY: a block comes here once, from `cell::release`, when it has no owner.
            if let Err(payload) = unsafe { cell::free(header) } {
                match panicked {
                    None => panicked = Some(payload),
                    Some(_) => panics::dispose(payload),
                }
            }
            next = local.garbage.get();
            if let Some(header) = next {
                // SAFETY: in the list, so not freed yet.
                local.garbage.set(unsafe { header.as_ref() }.link.get());
            }
        }
        local.freeing.set(false);
        match panicked {
            Some(payload) if std::thread::panicking() => panics::dispose(payload),
            Some(payload) => panic::resume_unwind(payload),
            None => {}
        }
    });
}
