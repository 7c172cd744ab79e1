//! Keeps panics of the program's code from leaving the place where it is called.

use std::panic::{self, AssertUnwindSafe};

/// Runs code of the program whose panic belongs to no coroutine and must not stop the caller. `None`: it panicked,
/// which the panic hook has reported.
pub(crate) fn contain<R>(f: impl FnOnce() -> R) -> Option<R> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(dispose).ok()
}

/// Drops a value of the program; a panic of its destructor ends here. A payload whose own destructor panics is leaked:
/// dropping it could continue for ever.
pub(crate) fn dispose<T>(value: T) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| drop(value)))
        && let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        std::mem::forget(again);
    }
}

/// Disposes of its value when it is dropped.
pub(crate) struct Disposed<T>(Option<T>);

impl<T> Disposed<T> {
    pub(crate) fn new(value: T) -> Disposed<T> {
        Disposed(Some(value))
    }

    pub(crate) fn into_inner(mut self) -> T {
        self.0.take().expect("it is taken once")
    }
}

impl<T> Drop for Disposed<T> {
    fn drop(&mut self) {
        dispose(self.0.take());
    }
}
