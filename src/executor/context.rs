//! The loops that a thread is in: nested ones, the innermost first.

use crate::executor::Executor;
use crate::observe;
use crate::task::{self, Context};

crate::threading::per_thread! {
    // Without a destructor, so that it can be used for as long as the thread runs code.
    static CONTEXT: Context<Executor> = const { Context::new() };
}

/// Runs `inside` with `executor` as the loop of this thread.
pub(crate) fn enter<R>(executor: &Executor, inside: impl FnOnce() -> R) -> R {
    CONTEXT.with(|context| context.enter(executor, || observe::enter(executor, || task::keep_memory(inside))))
}

/// Calls `f` with the innermost loop of this thread.
#[inline]
pub(crate) fn current<R>(f: impl FnOnce(Option<&Executor>) -> R) -> R {
    CONTEXT.with(|context| context.current(f))
}

/// Calls `f` with each loop of this thread, the innermost first.
pub(crate) fn each(f: impl FnMut(&Executor)) {
    CONTEXT.with(|context| context.each(f));
}

/// Calls `f` with the loop of this number, if this thread is inside it, at any depth.
#[inline]
pub(crate) fn find<R>(number: u32, f: impl FnOnce(Option<&Executor>) -> R) -> R {
    CONTEXT.with(|context| context.find(|executor| executor.number() == number, f))
}

/// Like [`find`], with the loop that has this tag now.
#[inline]
pub(crate) fn find_tag<R>(tag: u32, f: impl FnOnce(Option<&Executor>) -> R) -> R {
    CONTEXT.with(|context| context.find(|executor| executor.tag() == tag, f))
}
