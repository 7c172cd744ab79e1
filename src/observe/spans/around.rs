//! The span and the author of what a thread logs for a coroutine.

use std::cell::RefCell;

use tracing::{Span, dispatcher};

use crate::observe::Author;

thread_local! {
    /// The coroutine that this thread works for, if it is not a loop's thread.
    static AUTHOR: RefCell<Option<Author>> = const { RefCell::new(None) };
}

/// The current span and author, to be continued on another thread.
#[derive(Default)]
pub(crate) struct Around {
    span: Option<Span>,
    author: Option<Author>,
}

impl Around {
    pub(crate) fn here() -> Around {
        if dispatcher::has_been_set() {
            Around { span: Some(Span::current()), author: Author::here() }
        } else {
            Around::default()
        }
    }

    pub(crate) fn enter(&self) -> Entered<'_> {
        let before = AUTHOR.replace(self.author.clone());
        Entered { span: self.span.as_ref().map(Span::enter), before }
    }
}

/// Exits the span when it is dropped.
pub(crate) struct Entered<'a> {
    #[allow(dead_code, reason = "dropped")]
    span: Option<tracing::span::Entered<'a>>,
    before: Option<Author>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        AUTHOR.set(self.before.take());
    }
}

/// The author that this thread works for.
pub(super) fn author() -> Option<Author> {
    Author::here().or_else(|| AUTHOR.try_with(|author| author.borrow().clone()).ok().flatten())
}

/// Wraps a future that is polled elsewhere in the current span.
#[cfg(feature = "tokio")]
pub(crate) fn inside<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let around = Around::here();
    let mut future = Box::pin(future);
    std::future::poll_fn(move |cx| {
        let _entered = around.enter();
        future.as_mut().poll(cx)
    })
}
