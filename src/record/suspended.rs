//! What a coroutine was at when its step began, for errors that do not remember where they were made.
//!
//! The loop learns of such an error when the future returns it: its locals are gone by then. So before a step the memory of the future is
//! kept, as bytes, and read if the step fails.

use std::cell::{Cell, RefCell};
use std::panic::Location;

use tinyio_inspector::event::Stack;
use tinyio_inspector::frames::{Kept, backtrace, backtrace_in};

use super::crash::Moment;
use super::on::{Rec, Recording};
use crate::core::Core;
use crate::task::{Header, flag};

/// Keeping the memory of futures may take this part of the time of a recorded thread, and so many nanoseconds more. It takes some microseconds: in
/// a program that does that many steps, it is done before some of them only.
const SHARE: u64 = 32;
const START: u64 = 4_000_000;

/// The suspension before the step that is running, in one loop.
#[derive(Default)]
pub(super) struct Suspended {
    /// The coroutine whose memory is kept; 0 if none is.
    coro: Cell<u64>,
    place: Cell<Option<&'static Location<'static>>>,
    kept: RefCell<Kept>,
}

/// The time of one recording that was spent on it.
#[derive(Default)]
pub(super) struct Spent {
    nanos: Cell<u64>,
    /// Nothing is kept before this time.
    next: Cell<u64>,
}

impl Recording {
    /// A step of `coro` is about to begin.
    #[inline]
    pub(super) fn keep(&self, rec: &Rec, coro: &Header) {
        rec.suspended.coro.set(0);
        if self.at.get() >= self.spent.next.get() && !coro.has(flag::THREAD | flag::OURS) {
            self.keep_memory(&rec.suspended, coro);
        }
    }

    #[inline(never)]
    fn keep_memory(&self, suspended: &Suspended, coro: &Header) {
        // A step within a step, of the same loop, that is being recorded: it is not the one that fails.
        let Ok(mut kept) = suspended.kept.try_borrow_mut() else { return };
        let began = self.recorder.borrow_mut().now();
        let (mark, address) = coro.future_at();
        if kept.take(address, mark.size()) {
            suspended.coro.set(coro.id());
            suspended.place.set(Some(coro.place()));
        }
        let took = self.recorder.borrow_mut().now().saturating_sub(began);
        let nanos = self.spent.nanos.get() + took;
        self.spent.nanos.set(nanos);
        self.spent.next.set((nanos * SHARE).saturating_sub(START * SHARE));
        self.reading.set(self.reading.get() + std::time::Duration::from_nanos(took));
    }

    /// The await stack of a coroutine that has just returned an error, as of the suspension before that step.
    fn stack_before_step(&self, suspended: &Suspended, core: &Core, coro: &Header) -> Option<Stack> {
        let mut frames = self.frames.try_borrow_mut().ok()?;
        if suspended.coro.get() != coro.id() {
            let missing = "the stack of its last suspension was not kept: its loop does so many steps that keeping each took too long";
            return Some(Stack { missing: Some(missing.into()), mid_step: true, ..Stack::default() });
        }
        let addresses = core.addresses();
        let coro_at = |address: u64| addresses.get(&address).copied().unwrap_or(0);
        Some(frames.stack_before_step(&suspended.kept.borrow(), &coro.future_at().0.read(), &coro_at))
    }
}

impl Rec {
    /// Where a coroutine was suspended before the step that is running, or was made, if that is known for certain.
    pub(crate) fn suspended_at(&self, coro: &Header) -> Option<&'static Location<'static>> {
        self.on().filter(|_| self.suspended.coro.get() == coro.id())?;
        self.suspended.place.get()
    }

    /// What is known of a coroutine whose future has just returned this error, which does not remember where it was made.
    pub(crate) fn returned(
        &self,
        core: &Core,
        coro: &Header,
        error: Option<&(dyn std::error::Error + Send + Sync + 'static)>,
    ) -> Moment {
        let Some(recording) = self.on() else { return Moment::default() };
        let began = std::time::Instant::now();
        // A function on a thread returned it, and its native stack is gone.
        let is_thread = coro.has(flag::THREAD);
        let stack = if is_thread { None } else { recording.stack_before_step(&self.suspended, core, coro) };
        let backtrace = if is_thread { Vec::new() } else { backtrace() };
        let is_asked = ["RUST_LIB_BACKTRACE", "RUST_BACKTRACE"].iter().any(|name| std::env::var_os(name).is_some());
        let error_backtrace =
            error.filter(|_| is_asked).map(|error| backtrace_in(&format!("{error:?}"))).unwrap_or_default();
        recording.reading.set(recording.reading.get() + began.elapsed());
        Moment { stack, backtrace, error_backtrace }
    }
}
