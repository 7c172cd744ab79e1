//! What a coroutine was at when its step began, for errors that do not remember where they were made.
//!
//! The loop learns of such an error when the future returns it: its locals are gone by then. So before a step the
//! memory of the future is kept, as bytes, and read if the step fails.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::time::{Duration, Instant};

use tinyio_inspector::event::Stack;
use tinyio_inspector::frames::{Kept, backtrace, backtrace_in, worked};

use super::recording::{Rec, Recording};
use crate::executor::Executor;
use crate::failure::moment::Moment;
use crate::task::{Header, flag};

/// Before this many steps of a recording the memory is kept in any case. It takes some microseconds each time.
const FIRST: u32 = 256;
/// After these, keeping may take this share of the time, one part in this many: in a program of a hundred thousand
/// steps a second it is done before some of them only.
const SHARE: u32 = 32;

/// The suspension before the step that is running, in one loop.
#[derive(Default)]
pub(super) struct Suspended {
    /// The coroutine whose memory is kept; 0 if none is.
    coro: Cell<u64>,
    place: Cell<Option<&'static Location<'static>>>,
    /// Whether it waited for something foreign.
    is_foreign: Cell<bool>,
    kept: RefCell<Kept>,
}

/// The time that one recording has spent on it.
#[derive(Default)]
pub(super) struct Spent {
    times: Cell<u32>,
    /// The time spent after the first steps.
    worked: Cell<Duration>,
    /// Nothing is kept before this time, in nanoseconds since the recording started.
    next: Cell<u64>,
}

impl Recording {
    /// Keeps the memory of `coro` before a step of it begins.
    #[inline]
    pub(super) fn keep(&self, rec: &Rec, coro: &Header) {
        rec.suspended.coro.set(0);
        if self.at.get() >= self.spent.next.get() && !coro.has(flag::THREAD | flag::INTERNAL) {
            self.keep_memory(rec, coro);
        }
    }

    #[inline(never)]
    fn keep_memory(&self, rec: &Rec, coro: &Header) {
        let suspended = &rec.suspended;
        // A step within a step of the same loop, which is being recorded: it is not the one that fails.
        let Ok(mut kept) = suspended.kept.try_borrow_mut() else { return };
        let began = worked();
        let (mark, address) = coro.future_at();
        if kept.take(address, mark.size()) {
            suspended.coro.set(coro.id());
            suspended.place.set(Some(coro.place()));
            suspended.is_foreign.set(self.is_foreign(rec, coro));
        }
        let took = worked().saturating_sub(began);
        self.reading.set(self.reading.get() + took);
        let Spent { times, worked, next } = &self.spent;
        if times.get() < FIRST {
            return times.set(times.get() + 1);
        }
        worked.set(worked.get() + took);
        next.set((worked.get() * SHARE).as_nanos() as u64);
    }

    /// Whether a suspended coroutine waits for something that is not tinyio's.
    pub(super) fn is_foreign(&self, rec: &Rec, coro: &Header) -> bool {
        !self.recorder.borrow_mut().recorder().waits(rec.slot(coro), coro.id())
    }

    /// The await stack of a coroutine that has just returned an error, as of the suspension before that step.
    fn stack_before_step(&self, suspended: &Suspended, executor: &Executor, coro: &Header) -> Option<Stack> {
        let mut frames = self.frames.try_borrow_mut().ok()?;
        if suspended.coro.get() != coro.id() {
            let missing = "the stack of its last suspension was not kept: its loop does so many steps that keeping each took too long";
            return Some(Stack { missing: Some(missing.into()), mid_step: true, ..Stack::default() });
        }
        if suspended.is_foreign.get() {
            self.foreign.borrow_mut().insert(coro.id());
        }
        let addresses = executor.addresses();
        let coro_at = |address: u64| addresses.get(&address).copied().unwrap_or(0);
        Some(frames.stack_before_step(&suspended.kept.borrow(), &coro.future_at().0.read(), &coro_at))
    }
}

impl Rec {
    /// Where a coroutine was suspended before the running step, or was made, if that is known for certain.
    pub(crate) fn suspended_at(&self, coro: &Header) -> Option<&'static Location<'static>> {
        self.on().filter(|_| self.suspended.coro.get() == coro.id())?;
        self.suspended.place.get()
    }

    /// What is known of a coroutine whose future has just returned this error, which does not store where it was made.
    pub(crate) fn returned(
        &self,
        executor: &Executor,
        coro: &Header,
        error: Option<&(dyn std::error::Error + Send + Sync + 'static)>,
        made: Moment,
    ) -> Moment {
        let Some(recording) = self.on() else { return Moment::default() };
        let began = Instant::now();
        // A function on a thread returned it, so its native stack is gone.
        let is_thread = coro.has(flag::THREAD);
        let stack = if is_thread { None } else { recording.stack_before_step(&self.suspended, executor, coro) };
        let backtrace = if is_thread { Vec::new() } else { backtrace() };
        let is_asked = ["RUST_LIB_BACKTRACE", "RUST_BACKTRACE"]
            .iter()
            .any(|name| tinyio_inspector::environment::var_os(name).is_some());
        let error_backtrace =
            error.filter(|_| is_asked).map(|error| backtrace_in(&format!("{error:?}"))).unwrap_or_default();
        recording.reading.set(recording.reading.get() + began.elapsed());
        Moment { stack, backtrace, error_backtrace, place: None }.made_in(made)
    }
}
