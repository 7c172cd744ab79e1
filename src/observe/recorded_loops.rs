//! The recorded loops that a thread is in: nested ones, the innermost first.

use std::collections::HashMap;

use super::observer::Observed;
use crate::task::{Context, Header, TaskTable};

crate::threading::per_thread! {
    // Without a destructor, so that it can be used for as long as the thread runs code.
    static CONTEXT: Context<dyn Observed> = const { Context::new() };
}

/// Runs `inside` with `executor` as the loop of this thread.
pub(super) fn enter<R>(executor: &(dyn Observed + 'static), inside: impl FnOnce() -> R) -> R {
    CONTEXT.with(|context| context.enter(executor, inside))
}

/// Calls `f` with the innermost loop of this thread.
pub(super) fn current<R>(f: impl FnOnce(Option<&(dyn Observed + 'static)>) -> R) -> R {
    Context::current(&CONTEXT, f)
}

/// Calls `f` with each loop of this thread, the innermost first.
pub(super) fn each(f: impl FnMut(&(dyn Observed + 'static))) {
    CONTEXT.with(|context| context.each(f));
}

/// Calls `f` with the innermost loop of this thread that `is_it` accepts.
pub(super) fn find<R>(
    is_it: impl Fn(&(dyn Observed + 'static)) -> bool,
    f: impl FnOnce(Option<&(dyn Observed + 'static)>) -> R,
) -> R {
    CONTEXT.with(|context| context.find(is_it, f))
}

/// The numbers of these tasks by the address of their blocks, which is what handles hold.
pub(super) fn addresses(tasks: &TaskTable) -> HashMap<u64, u64> {
    let mut addresses = HashMap::with_capacity(tasks.len());
    tasks.each(|task| _ = addresses.insert(std::ptr::from_ref::<Header>(task).addr() as u64, task.id()));
    addresses
}
