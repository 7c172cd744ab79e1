//! What the calls on a thread's stack have entered, the innermost first.

use std::cell::Cell;
use std::ptr::NonNull;

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

    /// Runs `inside` with `value` as the innermost.
    pub(crate) fn enter<R>(&self, value: &T, inside: impl FnOnce() -> R) -> R {
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

    /// Calls `f` with the innermost value.
    #[inline]
    pub(crate) fn current<R>(&self, f: impl FnOnce(Option<&T>) -> R) -> R {
        // SAFETY: a frame in the list, see above.
        f(self.0.get().map(|frame| unsafe { frame.as_ref().value.as_ref() }))
    }

    /// Calls `f` with each value, the innermost first.
    pub(crate) fn each(&self, mut f: impl FnMut(&T)) {
        let mut next = self.0.get();
        while let Some(frame) = next {
            // SAFETY: a frame in the list, see above.
            let frame = unsafe { frame.as_ref() };
            // SAFETY: as above.
            f(unsafe { frame.value.as_ref() });
            next = frame.outer;
        }
    }

    /// Calls `f` with the innermost value that `is_it` accepts.
    #[inline]
    pub(crate) fn find<R>(&self, is_it: impl Fn(&T) -> bool, f: impl FnOnce(Option<&T>) -> R) -> R {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(context: &Context<str>) -> Vec<String> {
        let mut all = Vec::new();
        context.each(|value| all.push(value.to_owned()));
        all
    }

    #[test]
    fn values_are_left_in_reverse_order_also_by_a_panic() {
        let context = Context::<str>::new();
        context.enter("outer", || {
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                context.enter("inner", || {
                    assert_eq!(entered(&context), ["inner", "outer"]);
                    assert!(context.find(|value| value == "outer", |found| found.is_some()));
                    std::panic::resume_unwind(Box::new(()));
                });
            }));
            assert!(panicked.is_err());
            assert_eq!(entered(&context), ["outer"]);
        });
        assert!(context.current(|value| value.is_none()));
    }
}
