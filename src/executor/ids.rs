//! The numbers of coroutines, which are given per thread, as they are recorded per thread.

use std::cell::Cell;

thread_local! {
    static IDS: Cell<u64> = const { Cell::new(0) };
}

/// The number of the next coroutine of this thread.
#[inline]
pub(super) fn next() -> u64 {
    let id = IDS.get() + 1;
    IDS.set(id);
    id
}

/// The number of the newest coroutine of this thread.
pub(super) fn newest() -> u64 {
    IDS.get()
}
