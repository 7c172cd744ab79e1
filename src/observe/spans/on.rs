//! Makes each coroutine a span of its own, entered for each step, so that subscribers of `tracing` know which coroutine
//! a message comes from.

use std::cell::RefCell;

use tracing::span::EnteredSpan;
use tracing::{Span, dispatcher};

use crate::failure::type_name;
use crate::task::Header;

/// The name and target of coroutines' spans.
pub(super) const NAME: &str = "coroutine";
pub(super) const TARGET: &str = "tinyio";

/// The spans of a loop's coroutines, by slot.
#[derive(Default)]
pub(crate) struct Spans(RefCell<Vec<State>>);

/// ```text
/// Scheduled ──enter──▶ Entered ──exit──▶ Left ──┐
///                         ▲                     │
///                         └────────enter────────┘
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
    pub(crate) fn schedule(&self, coro: &Header) {
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
    pub(crate) fn enter(&self, coro: &Header) {
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
    pub(crate) fn exit(&self, coro: &Header) {
        self.change(coro, |state| match state {
            State::Entered(span) => State::Left(span.exit()),
            other => other,
        });
    }

    #[inline]
    pub(crate) fn close(&self, coro: &Header) {
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
