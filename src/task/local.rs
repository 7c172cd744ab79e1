//! Thread-local state: the loop that the thread is in, and the blocks to be freed.

use std::cell::Cell;
use std::panic;
use std::ptr::{self, NonNull};
use std::rc::Rc;

use super::arena::Memory;
use super::cell::{self, Header};
use crate::executor::Executor;
use crate::failure::panic_hook;
use crate::observe;

struct Local {
    /// The innermost call of [`enter`].
    frame: Cell<*const Frame>,
    /// Blocks to free, linked; not empty only while `freeing`.
    garbage: Cell<Option<NonNull<Header>>>,
    freeing: Cell<bool>,
    memory: Memory,
}

impl Local {
    const fn new() -> Local {
        Local {
            frame: Cell::new(ptr::null()),
            garbage: Cell::new(None),
            freeing: Cell::new(false),
            memory: Memory::new(),
        }
    }
}

struct Frame {
    executor: Rc<Executor>,
    outer: *const Frame,
}

crate::threading::per_thread! {
    // Without a destructor, so that it can be used for as long as the thread runs code.
    static LOCAL: Local = const { Local::new() };
}

/// Runs `inside` with `executor` as the loop of this thread.
pub(crate) fn enter<R>(executor: &Rc<Executor>, inside: impl FnOnce() -> R) -> R {
    struct Restore(*const Frame);
    impl Drop for Restore {
        fn drop(&mut self) {
            LOCAL.with(|local| {
                local.frame.set(self.0);
                if self.0.is_null() {
                    local.memory.close();
                }
            });
        }
    }
    let outer = LOCAL.with(|local| local.frame.get());
    let frame = Frame { executor: executor.clone(), outer };
    LOCAL.with(|local| {
        local.frame.set(&raw const frame);
        local.memory.open();
    });
    // Declared after the frame, so dropped before it, by unwinding too.
    let _restore = Restore(outer);
    inside()
}

/// Calls `f` with the innermost loop of this thread.
#[inline]
pub(crate) fn current<R>(f: impl FnOnce(Option<&Executor>) -> R) -> R {
    let frame = LOCAL.with(|local| local.frame.get());
    // SAFETY: null, or the frame of a call of `enter` that is still on the stack of this thread: `Restore` removes it.
    f(unsafe { frame.as_ref() }.map(|frame| &*frame.executor))
}

/// Calls `f` with each loop of this thread, the innermost first.
pub(crate) fn each(mut f: impl FnMut(&Executor)) {
    let mut frame = LOCAL.with(|local| local.frame.get());
    // SAFETY: as in `current`; `outer` frames are further down the stack.
    while let Some(this) = unsafe { frame.as_ref() } {
        f(&this.executor);
        frame = this.outer;
    }
}

/// Calls `f` with the loop of this number, if this thread is inside it, at any depth.
#[inline]
pub(super) fn find<R>(number: u32, f: impl FnOnce(Option<&Executor>) -> R) -> R {
    search(|executor| executor.number() == number, f)
}

/// Like [`find`], with the loop that has this tag now.
#[inline]
pub(crate) fn find_tag<R>(tag: u32, f: impl FnOnce(Option<&Executor>) -> R) -> R {
    search(|executor| executor.tag() == tag, f)
}

#[inline]
fn search<R>(is_it: impl Fn(&Executor) -> bool, f: impl FnOnce(Option<&Executor>) -> R) -> R {
    let mut frame = LOCAL.with(|local| local.frame.get());
    // SAFETY: as in `current`; `outer` frames are further down the stack.
    while let Some(this) = unsafe { frame.as_ref() } {
        if is_it(&this.executor) {
            return f(Some(&this.executor));
        }
        frame = this.outer;
    }
    f(None)
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
    observe::freed(unsafe { header.as_ref() });
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
                    Some(_) => panic_hook::dispose(payload),
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
            Some(payload) if std::thread::panicking() => panic_hook::dispose(payload),
            Some(payload) => panic::resume_unwind(payload),
            None => {}
        }
    });
}
