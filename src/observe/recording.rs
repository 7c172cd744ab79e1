//! Writes events into the ring of this thread, if the environment asks for it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tinyio_inspector::event::{self, Event, Kind, LoopOutcome, Stack, TraceSite};
pub(crate) use tinyio_inspector::event::{LoopMode, Target, Waker as WakeCause};
pub(crate) use tinyio_inspector::frames::{Blocks, FutureMark, FutureType};
use tinyio_inspector::frames::{Frames, worked};
use tinyio_inspector::output::{Follow, Line};
use tinyio_inspector::recorder::{NO_SLOT, Recorder};
use tinyio_inspector::ring::{Options, Request};
use tinyio_inspector::secrets;
use tinyio_inspector::source::Source;

use super::crash_report::{Report, Told, outcome, place_foreign, told};
use super::env::Printed;
use super::env::Switch;
use super::exit::AtExit;
use super::output::Output;
use super::preemption::Away;
use super::resources::ThreadNote;
use super::stack_requests::Asked;
use super::step_batch::Steps;
use super::suspended::{Spent, Suspended};
use crate::executor::Executor;
use crate::failure::crash::{Failure, FailureKind};
use crate::failure::type_name;
use crate::observe::spans::Spans;
use crate::task::{self, Handle, Header, WakeToken};

/// The number of coroutines whose frames are read when a loop crashes, and how long this thread may spend on reading
/// and recording them.
const FRAMES: usize = 10_000;
const FRAMES_TIME: Duration = Duration::from_secs(2);
/// The number of stacks available to the report of a crash.
const REPORT_STACKS: usize = 1_000;
thread_local! {
    /// The recording of this thread's loops, once one was requested.
    pub(super) static RECORDING: RefCell<Option<Rc<Recording>>> = const { RefCell::new(None) };
    static LOOPS: Cell<u32> = const { Cell::new(0) };
}

/// A recording of all loops that run on one thread.
pub(super) struct Recording {
    pub(super) recorder: RefCell<Steps>,
    /// The time of the running step, or of the last clock read.
    pub(super) at: Cell<u64>,
    /// The recorder's free slots: loops nest, and each numbers its coroutines by itself.
    slots: RefCell<(Vec<u32>, u32)>,
    pub(super) frames: RefCell<Frames>,
    /// The number of running loops, nested in each other.
    depth: Cell<u32>,
    pub(super) threads: Cell<u64>,
    pub(super) started: Instant,
    /// How long this thread has worked on reading frames for errors.
    pub(super) moments: Cell<Duration>,
    /// The wall-clock time of that, disks and other programs included.
    pub(super) reading: Cell<Duration>,
    pub(super) spent: Spent,
    away: Away,
    #[cfg(feature = "inspect")]
    view: RefCell<Option<super::live_view::View>>,
    /// Set when the view was left after a crash and has printed its report.
    shown: Arc<AtomicBool>,
    trace: RefCell<Option<super::trace_file::Trace>>,
    at_exit: RefCell<Option<AtExit>>,
    /// The process that records: a child of `fork` does not.
    pid: u32,
    pub(super) asked: Asked,
    output: Option<Output>,
    /// The frames read for the current crash, for its report.
    told: RefCell<HashMap<u64, Stack>>,
    /// The coroutines of the current crash that waited for something foreign.
    pub(super) foreign: RefCell<HashSet<u64>>,
    /// The places where coroutines were made and never awaited.
    never_awaited: RefCell<HashSet<&'static Location<'static>>>,
    /// The recorded fields of the coroutines in the current crash.
    fields: RefCell<HashMap<u64, Vec<(String, String)>>>,
}

/// Records that a coroutine is freed, with its future or its output. If it was never scheduled, it never ran: usually a
/// mistake.
#[inline]
pub(crate) fn freed(coro: &Header) {
    if !coro.is_scheduled() {
        task::current(|executor| executor.map(|executor| executor.rec.never_awaited(executor, coro)));
    }
}

/// A loop's part in the recording.
#[derive(Default)]
pub(crate) struct Rec {
    /// Empty as long as the loop is not recorded: one branch.
    recording: OnceCell<Rc<Recording>>,
    id: Cell<u32>,
    started: Cell<u64>,
    /// The recorder's slot for each of the loop's slots.
    slots: RefCell<Vec<u32>>,
    spans: Spans,
    pub(super) suspended: Suspended,
    /// The cause of wakes when no coroutine is running. Initially something outside.
    by: Cell<Option<WakeCause>>,
}

impl Recording {
    /// The recording of this thread, started if necessary. `None` if it cannot be, which is reported once.
    fn of_this_thread(switch: Switch) -> Option<Rc<Recording>> {
        match RECORDING.take() {
            Some(recording) if recording.is_ours() => {
                RECORDING.set(Some(recording.clone()));
                return Some(recording);
            }
            // It belongs to the process that this one was forked from: its threads do not exist here and cannot be
            // ended.
            other => std::mem::forget(other),
        }
        let mut recorder = match Options::from_env().and_then(|options| Recorder::start(&options)) {
            Ok(recorder) => recorder,
            Err(error) => {
                eprintln!("tinyio: nothing is recorded: {error}");
                return None;
            }
        };
        let at = Cell::new(recorder.now());
        let trace = switch.trace.and_then(|path| super::trace_file::Trace::start(&mut recorder, &path));
        let asked = Asked::watch(&recorder);
        recorder.blocks(&Header::BLOCKS);
        #[cfg(feature = "inspect")]
        let view = RefCell::new(
            switch
                .view
                .then(|| super::live_view::View::open(&recorder, trace.as_ref().map(|trace| trace.path())))
                .flatten(),
        );
        // After the view, which may have redirected the output.
        let output = match switch.output {
            Printed::Nothing => Ok(None),
            which => Output::follow(which == Printed::Everything, &asked),
        };
        let (output, unfollowed) = match output {
            Ok(output) => (output, None),
            Err(error) => (None, Some(format!("the output of the program is not recorded: {error}"))),
        };
        if let Some(text) = &unfollowed
            && switch.output == Printed::Everything
        {
            eprintln!("tinyio: {text}");
        }
        let to_finish = output.as_ref().map(Output::at_exit).unwrap_or_default();
        let at_exit = AtExit::watch(recorder.at_exit(), trace.as_ref().and_then(|trace| trace.at_exit()), to_finish);
        let recording = Rc::new(Recording {
            recorder: RefCell::new(Steps::new(recorder)),
            at,
            slots: RefCell::default(),
            frames: RefCell::new(Frames::of_this_process()),
            depth: Cell::new(0),
            threads: Cell::new(0),
            started: Instant::now(),
            moments: Cell::default(),
            reading: Cell::default(),
            spent: Spent::default(),
            away: Away::new(),
            #[cfg(feature = "inspect")]
            view,
            shown: Arc::default(),
            trace: RefCell::new(trace),
            at_exit: RefCell::new(Some(at_exit)),
            pid: std::process::id(),
            asked,
            output,
            told: RefCell::default(),
            foreign: RefCell::default(),
            never_awaited: RefCell::default(),
            fields: RefCell::default(),
        });
        if let Some(text) = unfollowed {
            recording.emit(Kind::Diag { coro: 0, text });
        }
        RECORDING.set(Some(recording.clone()));
        Some(recording)
    }

    /// Whether this process is the one that records.
    fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    pub(super) fn emit(&self, kind: Kind) {
        self.recorder.borrow_mut().recorder().emit(self.at.get(), kind);
    }

    /// Records what other threads have sent, and what was printed.
    fn read_sent(&self, take: impl Fn(&Follow) -> Vec<Line>) {
        self.asked.take().into_iter().for_each(|kind| self.emit(kind));
        self.read_output(take);
    }

    fn read_output(&self, take: impl Fn(&Follow) -> Vec<Line>) {
        if let Some(output) = &self.output {
            output.take(take, || self.tick()).into_iter().for_each(|kind| self.emit(kind));
        }
    }

    /// Handles the exit of the process while a loop runs on this thread.
    pub(super) fn exits(&self) {
        // The exit may be called from anywhere, also from inside this crate.
        if self.recorder.try_borrow_mut().is_ok() {
            self.read_output(Follow::rest);
        }
    }

    pub(super) fn tick(&self) -> u64 {
        let at = self.recorder.borrow_mut().now();
        self.at.set(at);
        at
    }

    fn new_slot(&self) -> u32 {
        let (free, next) = &mut *self.slots.borrow_mut();
        free.pop().unwrap_or_else(|| {
            *next += 1;
            *next - 1
        })
    }

    /// Reads the frames of a coroutine.
    pub(super) fn stack(&self, coro: &Handle, mid_step: bool, addresses: &HashMap<u64, u64>) -> Option<Stack> {
        let (future, address) = coro.future()?;
        let coro_at = |address: u64| addresses.get(&address).copied().unwrap_or(0);
        let mut frames = self.frames.borrow_mut();
        Some(frames.stack_with_links(&future, address, mid_step, &coro_at))
    }

    /// The await stack of the coroutine that this thread is running, and whether the innermost line of `backtrace` is
    /// certain.
    pub(super) fn stack_of_running(
        &self,
        coro: &Handle,
        addresses: &HashMap<u64, u64>,
        backtrace: &[TraceSite],
    ) -> Option<(Stack, bool)> {
        let (future, address) = coro.future()?;
        let coro_at = |address: u64| addresses.get(&address).copied().unwrap_or(0);
        Some(self.frames.borrow_mut().stack_of_running(&future, address, &coro_at, backtrace))
    }

    /// Like [`stack`](Recording::stack), with more of each value.
    fn stack_in_full(&self, coro: &Handle, mid_step: bool, addresses: &HashMap<u64, u64>) -> Option<Stack> {
        let (future, address) = coro.future()?;
        let coro_at = |address: u64| addresses.get(&address).copied().unwrap_or(0);
        let mut frames = self.frames.borrow_mut();
        let limits = frames.limits().in_full();
        Some(frames.within(limits, |frames| frames.stack_with_links(&future, address, mid_step, &coro_at)))
    }

    /// Runs work for readers between two steps, and records how long it took, because that is not the program's time.
    fn between_steps(&self, work: impl FnOnce()) {
        let began = self.tick();
        work();
        let nanos = self.tick().saturating_sub(began);
        self.emit(Kind::Away { coro: 0, nanos });
    }

    #[cold]
    fn answer(&self, Request { coro: id, in_full }: Request) {
        let mut stack = None;
        task::each(|executor| {
            let addresses = executor.addresses();
            // A coroutine that runs another loop is in the middle of a step.
            let running = executor.current_task.with(|coro| coro.map_or(0, Header::id));
            executor.slots.each(|coro| {
                if coro.id() == id {
                    let read = if in_full { Recording::stack_in_full } else { Recording::stack };
                    stack = read(self, coro, running == id, &addresses);
                }
            });
        });
        match stack {
            Some(stack) => self.emit(Kind::Frames { coro: id, stack }),
            None => self.recorder.borrow().look().answered(id),
        }
    }

    /// Reads the frames of all coroutines that have started, within bounds.
    fn frames_of_all(&self, executor: &Executor, failed: u64) {
        let (mut read, mut left_out) = (0, 0);
        let end = worked() + FRAMES_TIME;
        let mut told = HashMap::new();
        let addresses = executor.addresses();
        executor.slots.each(|coro| {
            if coro.id() == failed || !coro.has(task::flag::STARTED) || coro.has(task::flag::THREAD) {
                return;
            }
            if read == FRAMES || worked() > end {
                left_out += 1;
            } else if let Some(stack) = self.stack(coro, false, &addresses) {
                read += 1;
                if told.len() < REPORT_STACKS {
                    if self.is_foreign(&executor.rec, coro) {
                        self.foreign.borrow_mut().insert(coro.id());
                    }
                    told.insert(coro.id(), stack.clone());
                }
                self.emit(Kind::Frames { coro: coro.id(), stack });
            }
        });
        self.told.replace(told);
        if left_out > 0 {
            let text =
                format!("the frames of {left_out} coroutines were left out: {read} were read, which took long enough");
            self.emit(Kind::Diag { coro: 0, text });
        }
    }
}

/// The parts of a step. They are separate functions: inlined into a step, which is small, they would double its cost
/// without a recording.
impl Recording {
    #[inline(never)]
    fn spawn(&self, rec: &Rec, executor: &Executor, coro: &Header) {
        let slot = self.new_slot();
        let index = coro.wake_token().slot() as usize;
        let mut slots = rec.slots.borrow_mut();
        if slots.len() <= index {
            slots.resize(index + 1, NO_SLOT);
        }
        slots[index] = slot;
        let parent = executor.current_task.with(|coro| coro.map_or(0, Header::id));
        let mut recorder = self.recorder.borrow_mut();
        let recorder = recorder.recorder();
        let name = recorder.name_of(coro.type_name(), type_name::path);
        let site = recorder.site(coro.place());
        recorder.spawn(self.at.get(), slot, coro.id(), rec.id.get(), parent, name, site);
    }

    #[inline(never)]
    fn wait(&self, executor: &Executor, coro: &Header, on: Target, at: &'static Location<'static>) {
        let rec = &executor.rec;
        let on = match on {
            Target::Timer(deadline) => Target::Timer(rec.time(executor, deadline)),
            on => on,
        };
        let mut steps = self.recorder.borrow_mut();
        let site = steps.site(at);
        steps.recorder().wait(self.at.get(), rec.slot(coro), coro.id(), on, NO_SLOT, site);
    }

    #[inline(never)]
    fn wait_for(&self, executor: &Executor, coro: &Header, other: &Header, at: &'static Location<'static>) {
        let on_slot = executor.rec.slot_anywhere(executor, other);
        let mut steps = self.recorder.borrow_mut();
        let site = steps.site(at);
        steps.wait_for(self.at.get(), || executor.rec.slot(coro), coro.id(), other.id(), on_slot, site);
    }

    #[inline(never)]
    fn turn(&self, rec: &Rec, coro: &Header, at: &'static Location<'static>) {
        let mut steps = self.recorder.borrow_mut();
        let site = steps.site(at);
        steps.turn(self.at.get(), || rec.slot(coro), coro.id(), site);
    }

    #[inline(never)]
    fn wake(&self, rec: &Rec, executor: &Executor, coro: &Header) {
        let running = executor.current_task.with(|running| running.map_or(0, Header::id));
        let by = match running {
            0 => rec.by.get().unwrap_or(WakeCause::External),
            own if own == coro.id() => WakeCause::Own,
            other => WakeCause::Coro(other),
        };
        self.recorder.borrow_mut().wake(self.at.get(), || rec.slot(coro), coro.id(), by);
    }

    #[inline(never)]
    fn step_begin(&self, rec: &Rec, coro: &Header) {
        self.keep(rec, coro);
        let mut steps = self.recorder.borrow_mut();
        let slot = steps.slot(coro.id()).unwrap_or_else(|| rec.slot(coro));
        steps.step_begin(self.at.get(), slot, coro.id());
    }

    #[inline(never)]
    fn step_end(&self, rec: &Rec, coro: &Header) {
        let mut steps = self.recorder.borrow_mut();
        let at = steps.now();
        let began = self.at.replace(at);
        self.away.step_end(&mut steps, coro.id(), began, at, self.reading.get());
        steps.step_end(at, || rec.slot(coro), coro.id());
    }

    #[inline(never)]
    fn end(&self, rec: &Rec, coro: &Header, how: Option<FailureKind>) {
        let mut recorder = self.recorder.borrow_mut();
        let slot = recorder.slot(coro.id()).unwrap_or_else(|| rec.slot(coro));
        if let Some(FailureKind::Error | FailureKind::Panic) = how {
            self.fields.borrow_mut().insert(coro.id(), recorder.look().fields_of(coro.id()));
        }
        recorder.end(self.at.get(), slot, coro.id(), outcome(how));
        self.slots.borrow_mut().0.push(slot);
    }
}

impl Rec {
    #[inline]
    pub(super) fn on(&self) -> Option<&Recording> {
        self.recording.get().map(|recording| &**recording)
    }

    #[inline]
    pub(super) fn slot(&self, coro: &Header) -> u32 {
        self.slots.borrow()[coro.wake_token().slot() as usize]
    }

    /// The slot of a coroutine that may belong to another loop of this thread.
    #[inline]
    fn slot_anywhere(&self, executor: &Executor, coro: &Header) -> u32 {
        let of = |rec: &Rec| rec.slots.borrow().get(coro.wake_token().slot() as usize).copied().unwrap_or(NO_SLOT);
        match coro.wake_token().tag() {
            tag if tag == executor.tag() => of(self),
            tag => task::find_tag(tag, |other| other.map_or(NO_SLOT, |other| of(&other.rec))),
        }
    }

    /// Whether something may observe the loop's steps.
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        cfg!(feature = "tracing") || self.is_on()
    }

    /// Whether the loop is recorded.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on().is_some()
    }

    /// Whether values may be recorded: not if they are excluded from the recording.
    pub(crate) fn keeps_values(&self) -> bool {
        self.on().is_none_or(|recording| recording.frames.borrow().limits().values)
    }

    /// Records that a loop begins to run. Pairs with `loop_end`.
    pub(crate) fn loop_start(&self, executor: &Executor, mode: LoopMode) {
        if self.recording.get().is_none() {
            let switch = Switch::read();
            if let Some(missing) = switch.missing() {
                static ONCE: std::sync::Once = std::sync::Once::new();
                ONCE.call_once(|| eprintln!("{missing}"));
            }
            if !switch.record {
                return;
            }
            let Some(recording) = Recording::of_this_thread(switch) else { return };
            // Coroutines that were scheduled before have no slots.
            if executor.live() > 0 || self.recording.set(recording).is_err() {
                return;
            }
        }
        let Some(recording) = self.on() else { return };
        LOOPS.set(LOOPS.get() + 1);
        self.id.set(LOOPS.get());
        recording.depth.set(recording.depth.get() + 1);
        #[cfg(feature = "inspect")]
        if recording.depth.get() == 1
            && let Some(view) = &*recording.view.borrow()
        {
            view.loop_started();
        }
        recording.asked.loop_start(executor.inbox());
        recording.recorder.borrow().look().loop_at(executor.slots.address());
        self.started.set(recording.tick());
        let parent =
            task::current(|outer| outer.map_or(0, |outer| outer.current_task.with(|coro| coro.map_or(0, Header::id))));
        recording.emit(Kind::LoopStart { id: self.id.get(), parent, mode });
        recording.read_sent(Follow::take);
    }

    /// The number of the loop, 0 if it is not recorded.
    pub(crate) fn loop_id(&self) -> u32 {
        self.id.get()
    }

    /// Records that the loop is empty again.
    pub(crate) fn loop_end(&self, executor: &Executor, crashed: bool) {
        let Some(recording) = self.on() else { return };
        recording.tick();
        recording.asked.loop_end(executor.inbox());
        executor.read_notes();
        // The outermost loop may be the last one, and the process be killed after it.
        let is_outermost = recording.depth.get() == 1;
        recording.read_sent(if is_outermost { Follow::take_all } else { Follow::take });
        self.ask_frames();
        let outcome = if crashed { LoopOutcome::Crashed } else { LoopOutcome::Ok };
        recording.emit(Kind::LoopEnd { id: self.id.get(), outcome });
        recording.recorder.borrow().look().loop_gone(executor.slots.address());
        recording.depth.set(recording.depth.get() - 1);
        if recording.depth.get() > 0 {
            return;
        }
        if let Some(trace) = &*recording.trace.borrow() {
            trace.flush(recording.recorder.borrow().look());
        }
        #[cfg(feature = "inspect")]
        if let Some(view) = &*recording.view.borrow() {
            view.loop_ended();
        }
        #[cfg(feature = "inspect")]
        if crashed && let Some(view) = recording.view.take() {
            recording.shown.store(view.close(true), std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn park(&self, executor: &Executor, until: Option<u64>) {
        let Some(recording) = self.on() else { return };
        self.ask_frames();
        let until = until.map(|until| self.time(executor, until));
        recording.recorder.borrow_mut().recorder().park(recording.at.get(), self.id.get(), until);
    }

    #[inline]
    pub(crate) fn unpark(&self) {
        let Some(recording) = self.on() else { return };
        let at = recording.tick();
        recording.recorder.borrow_mut().recorder().unpark(at, self.id.get());
        self.ask_frames();
    }

    /// Records that the loop is about to do something other than run coroutines.
    #[inline]
    pub(crate) fn turn_end(&self) {
        if let Some(recording) = self.on() {
            recording.recorder.borrow_mut().recorder();
        }
    }

    /// Converts a time of the loop's clock to one of the stream.
    fn time(&self, executor: &Executor, at: u64) -> u64 {
        let Some(recording) = self.on() else { return 0 };
        let (own, stream) = (executor.now(), recording.recorder.borrow_mut().now());
        if at >= own { stream.saturating_add(at - own) } else { stream.saturating_sub(own - at) }
    }

    /// Answers a reader's request for the frames of a coroutine, of this loop or an enclosing one. Called between two
    /// steps.
    #[inline]
    pub(crate) fn ask_frames(&self) {
        let Some(recording) = self.on() else { return };
        let asked = recording.recorder.borrow().look().requested();
        if let Some(request) = asked {
            recording.between_steps(|| recording.answer(request));
        }
    }

    /// Records that a coroutine was scheduled.
    #[inline]
    pub(crate) fn spawn(&self, executor: &Executor, coro: &Header) {
        self.spans.spawn(coro);
        if let Some(recording) = self.on() {
            recording.spawn(self, executor, coro);
        }
    }

    /// Records that the running coroutine reached an await point that is not ready, and waits for something other than
    /// a coroutine.
    #[inline]
    pub(crate) fn wait(&self, executor: &Executor, coro: &Header, on: Target, at: &'static Location<'static>) {
        if let Some(recording) = self.on() {
            recording.wait(executor, coro, on, at);
        }
    }

    /// Records that it waits for another coroutine.
    #[inline]
    pub(crate) fn wait_for(&self, executor: &Executor, coro: &Header, other: &Header, at: &'static Location<'static>) {
        if let Some(recording) = self.on() {
            recording.wait_for(executor, coro, other, at);
        }
    }

    /// Records that it waits for its turn.
    #[inline]
    pub(crate) fn wait_turn(&self, coro: &Header, at: &'static Location<'static>) {
        if let Some(recording) = self.on() {
            recording.turn(self, coro, at);
        }
    }

    /// Records that the running coroutine stopped waiting for this.
    #[inline]
    pub(crate) fn clear(&self, coro: &Header, on: Target) {
        if let Some(recording) = self.on() {
            recording.recorder.borrow_mut().recorder().clear(recording.at.get(), self.slot(coro), coro.id(), on);
        }
    }

    /// Records that the running coroutine dropped its wait for this, unless that was over.
    #[inline]
    pub(crate) fn edge_dropped(&self, coro: &Header, on: Target) {
        if let Some(recording) = self.on() {
            let mut steps = recording.recorder.borrow_mut();
            steps.recorder().clear_if_it_stands(recording.at.get(), self.slot(coro), coro.id(), on);
        }
    }

    /// Sets the cause of wakes where no coroutine is running; returns the previous one.
    #[inline]
    pub(crate) fn wakes(&self, by: WakeCause) -> WakeCause {
        match self.on() {
            Some(_) => self.by.replace(Some(by)).unwrap_or(WakeCause::External),
            None => WakeCause::External,
        }
    }

    /// Records that a coroutine was put into the ready queue.
    #[inline]
    pub(crate) fn wake(&self, executor: &Executor, coro: &Header) {
        if let Some(recording) = self.on() {
            recording.wake(self, executor, coro);
        }
    }

    /// Records that a coroutine is about to be polled. Pairs with `step_end`.
    #[inline]
    pub(crate) fn step_begin(&self, coro: &Header) {
        if let Some(recording) = self.on() {
            recording.step_begin(self, coro);
        }
        self.spans.step_begin(coro);
    }

    /// Records that it was polled. The clock is read here, and the next step begins at this time.
    #[inline]
    pub(crate) fn step_end(&self, coro: &Header) {
        self.spans.step_end(coro);
        if let Some(recording) = self.on() {
            recording.step_end(self, coro);
        }
    }

    /// Records that a coroutine has ended.
    #[inline]
    pub(crate) fn end(&self, coro: &Header, how: Option<FailureKind>) {
        self.spans.end(coro);
        if let Some(recording) = self.on() {
            recording.end(self, coro, how);
        }
    }

    /// Records that all coroutines are about to be cancelled, before the first cancellation is delivered.
    pub(crate) fn cancel_begin(&self, executor: &Executor, failure: &Failure) {
        let Some(recording) = self.on() else { return };
        let reason = failure.message().split_whitespace().collect::<Vec<_>>().join(" ");
        recording.emit(Kind::CancelBegin { id: self.id.get(), origin: failure.id, reason });
        recording.between_steps(|| {
            recording.frames_of_all(executor, failure.id);
            recording.fields.borrow_mut().extend(recording.recorder.borrow().look().fields().take(REPORT_STACKS));
        });
    }

    /// Records that a coroutine is about to be polled to deliver its cancellation.
    pub(crate) fn cancel_deliver(&self, coro: &Header) {
        let Some(recording) = self.on() else { return };
        recording.recorder.borrow_mut().recorder().cancel_deliver(recording.at.get(), self.slot(coro), coro.id());
    }

    /// Records the crash after all coroutines have ended.
    pub(crate) fn crash(&self, failures: &mut [Failure]) -> Report {
        let Some(recording) = self.on() else { return Report::default() };
        recording.tick();
        place_foreign(failures, &recording.told.borrow(), &recording.foreign.take());
        let mut failures: Vec<event::Failure> = failures.iter().map(told).collect();
        let mut fields = recording.fields.take();
        for failure in &mut failures {
            failure.fields = fields.remove(&failure.coro).unwrap_or_default();
        }
        recording.emit(Kind::Crash { id: self.id.get(), failures: failures.clone() });
        // In the stream the stacks are separate events.
        let mut stacks = recording.told.take();
        for failure in failures.iter_mut().filter(|failure| failure.stack.is_none()) {
            failure.stack = stacks.remove(&failure.coro);
        }
        let mut crash = Kind::Crash { id: self.id.get(), failures };
        secrets::mask(&mut crash);
        let Some(header) = recording.recorder.borrow().look().reader().ok().map(|reader| reader.header().clone())
        else {
            return Report::default();
        };
        let start = Kind::LoopStart { id: self.id.get(), parent: 0, mode: LoopMode::Run };
        let end = Kind::LoopEnd { id: self.id.get(), outcome: LoopOutcome::Crashed };
        let began = (self.started.get(), start);
        let ended = [crash, end].map(|kind| (recording.at.get(), kind));
        let events = std::iter::once(began).chain(ended);
        let events = (0..).zip(events).map(|(seq, (at, kind))| Event { seq, at, kind }).collect();
        let file = recording.trace.borrow().as_ref().map(|trace| trace.path().display().to_string());
        Report::of(Told { header, events, file, shown: recording.shown.clone() })
    }

    /// Warns once for each place that makes such a coroutine. Coroutines that are dropped by a cancellation or a panic
    /// are no mistake of the program.
    fn never_awaited(&self, executor: &Executor, coro: &Header) {
        let Some(recording) = self.on() else { return };
        let place = coro.place();
        let stopped = executor.cancel.get().reason.is_some() || std::thread::panicking();
        if stopped || !recording.never_awaited.borrow_mut().insert(place) {
            return;
        }
        let text = format!("{}{}, made at {place}", event::NEVER_AWAITED, type_name::path(coro.type_name()));
        recording.emit(Kind::Diag { coro: executor.current_task.with(|running| running.map_or(0, Header::id)), text });
    }

    /// Records a diagnostic of tinyio about itself or the program.
    pub(crate) fn diag(&self, text: &str) {
        let Some(recording) = self.on() else { return };
        recording.emit(Kind::Diag { coro: 0, text: text.to_owned() });
    }

    /// Records a thread's note from the inbox. Returns what it wakes, if that is known, and the cause of the wake.
    pub(crate) fn note(&self, note: ThreadNote) -> Option<(WakeToken, WakeCause)> {
        let recording = self.on()?;
        match note {
            ThreadNote::Happened(kind) => recording.emit(kind),
            ThreadNote::Ended { thread, outcome, wakes } => {
                recording.emit(Kind::ThreadEnd { thread, outcome });
                return Some((wakes?, WakeCause::Thread(thread)));
            }
            ThreadNote::Look => {
                recording.read_sent(Follow::take);
                self.ask_frames();
            }
        }
        None
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.read_output(Follow::rest);
        if let Some(trace) = self.trace.take() {
            trace.finish();
        }
        self.at_exit.take();
        #[cfg(feature = "inspect")]
        if let Some(view) = self.view.take() {
            view.close(false);
        }
    }
}
