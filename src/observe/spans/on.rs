//! Makes each coroutine a span of its own, entered for each step, so that subscribers of `tracing` know which coroutine
//! a message comes from.

use std::cell::RefCell;

use tracing::span::EnteredSpan;
use tracing::{Span, dispatcher};

use crate::failure::type_name;
use crate::observe::Author;
use crate::task::Header;

/// The name and target of coroutines' spans.
pub(super) const NAME: &str = "coroutine";
pub(super) const TARGET: &str = "tinyio";

thread_local! {
    /// The coroutine that this thread works for, if it is not a loop's thread.
    static AUTHOR: RefCell<Option<Author>> = const { RefCell::new(None) };
}

/// The spans of a loop's coroutines, by slot.
#[derive(Default)]
pub(crate) struct Spans(RefCell<Vec<State>>);

/// ```text
/// Scheduled ──step_begin──▶ Entered ──step_end──▶ Left ──┐
///                              ▲                         │
///                              └───────step_begin────────┘
/// ```
#[derive(Default)]
enum State {
    /// No subscriber is interested, or none in this span.
    #[default]
    None,
    /// The span in which it was scheduled. Its own is made at its first step: making one runs code of the subscriber,
    /// which may schedule and wake.
    Scheduled(Span),
    Entered(EnteredSpan),
    Left(Span),
}

impl Spans {
    #[inline]
    pub(crate) fn spawn(&self, coro: &Header) {
        if !dispatcher::has_been_set() {
            return;
        }
        let slot = coro.wake_token().slot() as usize;
        let mut states = self.0.borrow_mut();
        if states.len() <= slot {
            states.resize_with(slot + 1, State::default);
        }
        states[slot] = State::Scheduled(Span::current());
    }

    #[inline]
    pub(crate) fn step_begin(&self, coro: &Header) {
        self.change(coro, |state| match state {
            State::Scheduled(around) => {
                let (name, id) = (type_name::path(coro.type_name()), coro.id());
                let span = tracing::info_span!(target: TARGET, parent: around.id(), NAME, name, id);
                if span.is_disabled() { State::None } else { State::Entered(span.entered()) }
            }
            State::Left(span) => State::Entered(span.entered()),
            other => other,
        });
    }

    #[inline]
    pub(crate) fn step_end(&self, coro: &Header) {
        self.change(coro, |state| match state {
            State::Entered(span) => State::Left(span.exit()),
            other => other,
        });
    }

    #[inline]
    pub(crate) fn end(&self, coro: &Header) {
        self.change(coro, |_| State::None);
    }

    /// Nothing is borrowed during the call.
    #[inline]
    fn change(&self, coro: &Header, next: impl FnOnce(State) -> State) {
        let slot = coro.wake_token().slot() as usize;
        let old = self.0.borrow_mut().get_mut(slot).map(std::mem::take);
        if let Some(old @ (State::Scheduled(_) | State::Entered(_) | State::Left(_))) = old {
            let new = next(old);
            self.0.borrow_mut()[slot] = new;
        }
    }
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
