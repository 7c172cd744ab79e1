//! What the calls on a thread's stack have entered, the innermost first.

use std::cell::Cell;
use std::ptr::NonNull;

use crate::threading::LocalKey;

/// The values that are entered now, linked through the stack.
pub(crate) struct Context<T: ?Sized + 'static>(Cell<Option<NonNull<Frame<T>>>>);

/// A call of [`Context::enter`].
struct Frame<T: ?Sized + 'static> {
    value: NonNull<T>,
    outer: Option<NonNull<Frame<T>>>,
}

// Each `Frame` in the list is that of a call of `enter` which has not returned: it lies on the stack, its value is
// borrowed for the call, and `Restore` removes it, by unwinding too. So the references made below are valid.
impl<T: ?Sized + 'static> Context<T> {
    pub(crate) const fn new() -> Context<T> {
        Context(Cell::new(None))
    }

    fn enter<R>(&self, value: &T, inside: impl FnOnce() -> R) -> R {
        struct Restore<'a, T: ?Sized + 'static>(&'a Context<T>, Option<NonNull<Frame<T>>>);
        impl<T: ?Sized> Drop for Restore<'_, T> {
            fn drop(&mut self) {
                self.0.0.set(self.1);
            }
        }
        let outer = self.0.get();
        let frame = Frame { value: NonNull::from(value), outer };
        self.0.set(Some(NonNull::from(&frame)));
        // Declared after the frame, so dropped before it.
        let _restore = Restore(self, outer);
        inside()
    }

    fn each(&self, mut f: impl FnMut(&T)) {
        let mut next = self.0.get();
        while let Some(frame) = next {
            // SAFETY: a frame in the list, see above.
            let frame = unsafe { frame.as_ref() };
            // SAFETY: as above.
            f(unsafe { frame.value.as_ref() });
            next = frame.outer;
        }
    }

    #[inline]
    fn find<R>(&self, is_it: impl Fn(&T) -> bool, f: impl FnOnce(Option<&T>) -> R) -> R {
        let mut next = self.0.get();
        while let Some(frame) = next {
            // SAFETY: a frame in the list, see above.
            let frame = unsafe { frame.as_ref() };
            // SAFETY: as above.
            let value = unsafe { frame.value.as_ref() };
            if is_it(value) {
                return f(Some(value));
            }
            next = frame.outer;
        }
        f(None)
    }
}

/// What the calls on the stack of the running thread have entered: its [`Context`], by the key that all threads share.
pub(crate) struct Entered<T: ?Sized + 'static>(&'static LocalKey<Context<T>>);

impl<T: ?Sized + 'static> Entered<T> {
    pub(crate) const fn new(key: &'static LocalKey<Context<T>>) -> Entered<T> {
        Entered(key)
    }

    /// Runs `inside` with `value` as the innermost.
    pub(crate) fn enter<R>(&self, value: &T, inside: impl FnOnce() -> R) -> R {
        self.0.with(|context| context.enter(value, inside))
    }

    /// Calls `f` with the innermost value of this thread. `f` is called outside of `LocalKey::with`, which leaves more
    /// of it to be inlined: 33 instructions a yield.
    #[inline]
    pub(crate) fn current<R>(&self, f: impl FnOnce(Option<&T>) -> R) -> R {
        let frame = self.0.with(|context| context.0.get());
        // SAFETY: a frame in the list, see above.
        f(frame.map(|frame| unsafe { frame.as_ref().value.as_ref() }))
    }

    /// Calls `f` with each value, the innermost first.
    pub(crate) fn each(&self, f: impl FnMut(&T)) {
        self.0.with(|context| context.each(f));
    }

    /// Calls `f` with the innermost value that `is_it` accepts.
    #[inline]
    pub(crate) fn find<R>(&self, is_it: impl Fn(&T) -> bool, f: impl FnOnce(Option<&T>) -> R) -> R {
        self.0.with(|context| context.find(is_it, f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    thread_local! {
        static CONTEXT: Context<str> = const { Context::new() };
    }

    const VALUES: Entered<str> = Entered::new(&CONTEXT);

    fn entered() -> Vec<String> {
        let mut all = Vec::new();
        VALUES.each(|value| all.push(value.to_owned()));
        assert_eq!(VALUES.current(|value| value.map(str::to_owned)).as_ref(), all.first());
        all
    }

    #[test]
    fn values_are_left_in_reverse_order_also_by_a_panic() {
        VALUES.enter("outer", || {
            let panicked = std::panic::catch_unwind(|| {
                VALUES.enter("inner", || {
                    assert_eq!(entered(), ["inner", "outer"]);
                    let is_found = |name| VALUES.find(|value| value == name, |it| it.is_some());
                    assert!(is_found("outer") && !is_found("other"));
                    std::panic::resume_unwind(Box::new(()));
                });
            });
            assert!(panicked.is_err());
            assert_eq!(entered(), ["outer"]);
        });
        assert!(entered().is_empty());
    }
}
