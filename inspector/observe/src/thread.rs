//! What a thread is at.

use std::cell::Cell;

use tinyio_events::event::{CoroId, LoopId};

/// The innermost observed future that a thread polls. The default is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Running {
    pub(crate) coro: CoroId,
    pub(crate) slot: u32,
    /// It has called its own waker in this poll.
    pub(crate) woke_itself: bool,
}

thread_local! {
    static RUNNING: Cell<Running> = const { Cell::new(Running { coro: 0, slot: 0, woke_itself: false }) };
    /// This thread is in the recorder.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Its number among the workers, 0 as long as it has none.
    static WORKER: Cell<LoopId> = const { Cell::new(0) };
}

/// The future that this thread polls.
#[inline]
pub(crate) fn running() -> Running {
    RUNNING.get()
}

/// Sets the future that this thread polls; returns the one before.
#[inline]
pub(crate) fn replace_running(running: Running) -> Running {
    RUNNING.replace(running)
}

/// The number of this thread; 0 if it has none yet.
#[inline]
pub(crate) fn worker() -> LoopId {
    WORKER.get()
}

/// Gives this thread a number.
pub(crate) fn set_worker(worker: LoopId) {
    WORKER.set(worker);
}

/// Calls `inside`, unless this thread is in the midst of such a call: a signal handler or a panic hook can get there.
#[inline]
pub(crate) fn once<T>(inside: impl FnOnce() -> T) -> Option<T> {
    if INSIDE.replace(true) {
        return None;
    }
    let result = inside();
    INSIDE.set(false);
    Some(result)
}
