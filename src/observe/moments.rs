//! Captures a [`Moment`](crate::failure::moment::Moment): when an error is made that remembers its place, and, by
//! `suspended`, before each step, for errors that do not.

use std::time::{Duration, Instant};

use tinyio_events::event::{Stack, TraceSite};
use tinyio_frames::{backtrace_in, native_stack, worked};

use super::observer::Observed;
use super::recorded_loops::{self, RECORDED_LOOPS};
use super::recording::{Rec, Recording};
use super::suspended::{Spent, Suspended};
use crate::failure::moment::Moment;
use crate::failure::panic_hook;
use crate::failure::place::Place;
use crate::task::{Header, flag};

/// Before this many steps of a recording the memory is kept in any case, and before further ones until so much time was
/// spent on it. Each time takes about 50 µs, most of it system calls; where nothing is optimised and much is reachable
/// from a coroutine, 400 µs.
const FIRST: (u32, Duration) = (64, Duration::from_millis(20));
/// After that, keeping may take this share of the time, one part in this many: in a program of a hundred thousand
/// steps a second it is done before some of them only.
const SHARE: u32 = 32;

/// Errors are also made in normal operation. Reading frames for them may take this share of the time: one part in this
/// many.
const MOMENT_SHARE: u32 = 20;
const MOMENT_START: Duration = Duration::from_millis(500);

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
        let Spent { times, worked, after, next } = &self.spent;
        times.set(times.get().saturating_add(1));
        worked.set(worked.get() + took);
        if times.get() <= FIRST.0 || worked.get() <= FIRST.1 {
            return;
        }
        after.set(after.get() + took);
        next.set((after.get() * SHARE).as_nanos() as u64);
    }

    /// Whether a suspended coroutine waits for something that is not tinyio's.
    pub(super) fn is_foreign(&self, rec: &Rec, coro: &Header) -> bool {
        !self.recorder.borrow_mut().recorder().waits(rec.slot(coro), coro.id())
    }

    /// The await stack of a coroutine that has just returned an error, as of the suspension before that step.
    fn stack_before_step(&self, suspended: &Suspended, executor: &impl Observed, coro: &Header) -> Option<Stack> {
        let mut frames = self.frames.try_borrow_mut().ok()?;
        if suspended.coro.get() != coro.id() {
            let missing = "the stack of its last suspension was not kept: its loop does so many steps that keeping each took too long";
            return Some(Stack { missing: Some(missing.into()), mid_step: true, ..Stack::default() });
        }
        if suspended.is_foreign.get() {
            self.foreign.borrow_mut().insert(coro.id());
        }
        let addresses = recorded_loops::addresses(executor.tasks());
        let coro_at = |address: u64| addresses.get(&address).copied().unwrap_or_default();
        Some(frames.stack_before_step(&suspended.kept.borrow(), &coro.future_at().0.read(), &coro_at))
    }

    /// The native stack of this thread. Frames are in use while they call code of the program, which may fail too.
    fn native_stack(&self) -> Vec<TraceSite> {
        match self.frames.try_borrow_mut() {
            Ok(mut frames) => frames.native_stack(),
            Err(_) => native_stack(),
        }
    }

    /// What is known of a coroutine whose future has just returned this error, which does not store where it was made.
    pub(super) fn returned(
        &self,
        suspended: &Suspended,
        executor: &impl Observed,
        coro: &Header,
        error: Option<&(dyn std::error::Error + Send + Sync + 'static)>,
    ) -> Moment {
        let began = Instant::now();
        // A function on a thread returned it, so its native stack is gone.
        let is_thread = coro.has(flag::THREAD);
        let stack = if is_thread { None } else { self.stack_before_step(suspended, executor, coro) };
        let backtrace = if is_thread { Vec::new() } else { self.native_stack() };
        let is_asked = ["RUST_LIB_BACKTRACE", "RUST_BACKTRACE"]
            .iter()
            .any(|name| tinyio_events::environment::var_os(name).is_some());
        let error_backtrace =
            error.filter(|_| is_asked).map(|error| backtrace_in(&format!("{error:?}"))).unwrap_or_default();
        self.reading.set(self.reading.get() + began.elapsed());
        Moment { stack, backtrace, error_backtrace, place: None }
    }
}

/// Captures the running coroutine, if it is recorded. Errors are also made in normal operation, so this takes at most a
/// small share of the time.
pub(super) fn moment() -> Moment {
    RECORDED_LOOPS.current(|executor| {
        let Some((executor, recording)) =
            executor.and_then(|executor| executor.rec().on().map(|recording| (executor, recording)))
        else {
            return Moment::default();
        };
        let (begin, began) = (worked(), Instant::now());
        let spent = recording.moments.get();
        // Not during the cancellation, nor while frames are read.
        if executor.is_cancelling()
            || recording.frames.try_borrow_mut().is_err()
            || spent > MOMENT_START + recording.started.elapsed() / MOMENT_SHARE
        {
            return Moment::default();
        }
        let backtrace = recording.native_stack();
        let coro = executor.current_task().handle();
        let (stack, is_certain) = coro
            .and_then(|coro| {
                recording.stack_of_running(&coro, &recorded_loops::addresses(executor.tasks()), &backtrace)
            })
            .unzip();
        let place = backtrace.first().filter(|_| is_certain == Some(true));
        let place = place.map(|at| Place { file: panic_hook::keep(&at.file), line: at.line, column: at.column });
        recording.moments.set(spent + worked().saturating_sub(begin));
        // Between two steps it belongs to no coroutine.
        if executor.current_task().with(|running| running.is_some()) {
            recording.reading.set(recording.reading.get() + began.elapsed());
        }
        Moment { stack, backtrace, error_backtrace: Vec::new(), place }
    })
}
