//! What the loop calls where something happens.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tinyio_events::event::{self, Event, Kind, LoopMode, LoopOutcome, Stack, Target, Waker as WakeCause};
use tinyio_events::secrets;
use tinyio_events::source::Source;
use tinyio_frames::{Frames, Limits, worked};
use tinyio_recorder::exit;
use tinyio_recorder::output::Follow;
use tinyio_recorder::recorder::NO_SLOT;
use tinyio_recorder::ring::Request;

use super::crash_report::{RecordedCrash, place_foreign, print_on_failure};
use super::env::Switch;
use super::env::warn_of_missing;
use super::moments::moment;
use super::names::{self, Name};
use super::notes::ThreadNote;
use super::observer::{Observed, Observer};
use super::recorded_loops::{self, RECORDED_LOOPS};
use super::recording::{Rec, Recording, stack};
use crate::failure::crash::{Failure, FailureKind, Report};
use crate::failure::event::{outcome, to_event};
use crate::failure::moment::Moment;
use crate::failure::type_name;
use crate::task::{Header, TypeName, WakeToken, flag};

/// The number of coroutines whose frames are read when a loop crashes, and how long this thread may spend on reading
/// and recording them.
const FRAMES: usize = 10_000;
const FRAMES_TIME: Duration = Duration::from_secs(2);
/// How long this thread may spend on those with their locals that have not awaited the failed one and are not the first
/// of their type; of further ones the places alone are read. Where this code is not optimised, locals take most of the
/// time: a millisecond a coroutine, and a crash of a thousand coroutines two seconds.
const LOCALS_TIME: Duration = Duration::from_millis(250);
const NO_LOCALS: &str = "the locals of some coroutines were left out: those of others took long enough to read";
/// In which order they are read.
#[derive(Clone, Copy)]
enum Part {
    Awaiting,
    OneOfEachType,
    Rest,
}

/// The number of stacks available to the report of a crash.
const REPORT_STACKS: usize = 1_000;

thread_local! {
    static LOOPS: Cell<u32> = const { Cell::new(0) };
}

/// Handles the exit of the process on this thread, whose other variables may be gone by now.
fn exits() {
    RECORDED_LOOPS.current(|executor| _ = executor.and_then(|executor| executor.rec().on()).map(Recording::exits));
}

impl Recording {
    /// Records the name of a coroutine or a loop.
    #[cold]
    fn named(&self, what: Target, name: &str) {
        let name = self.recorder.borrow_mut().recorder().intern(name);
        self.emit(Kind::Named { what, name });
    }

    #[cold]
    fn answer(&self, Request { coro: id, in_full }: Request) {
        let mut stack = None;
        RECORDED_LOOPS.each(|executor| {
            let addresses = recorded_loops::addresses(executor.tasks());
            // A coroutine that runs another loop is in the middle of a step.
            let running = executor.current_task().with(|coro| coro.map_or(0, Header::id));
            executor.tasks().each(|coro| {
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

    /// Reads the frames of all coroutines that have started, within bounds: first those that have awaited the failed
    /// one, then one of each type, then the rest.
    fn frames_of_all(&self, executor: &impl Observed, failure: &Failure) {
        self.frames.borrow_mut().at_one_moment(|frames| self.frames_by(frames, executor, failure));
    }

    fn frames_by(&self, frames: &mut Frames, executor: &impl Observed, failure: &Failure) {
        let (mut read, mut left_out) = (0, 0);
        let end = worked() + FRAMES_TIME;
        let places_alone = Limits { values: false, ..frames.limits().clone() };
        let has_locals = frames.limits().values;
        let mut stacks = HashMap::new();
        let addresses = recorded_loops::addresses(executor.tasks());
        let awaiting: HashSet<u64> = failure.ids.iter().copied().collect();
        let (mut types, mut seen) = (HashSet::new(), HashSet::from([failure.id]));
        for part in [Part::Awaiting, Part::OneOfEachType, Part::Rest] {
            let end_of_locals = if matches!(part, Part::Rest) { worked() + LOCALS_TIME } else { end };
            executor.tasks().each(|coro| {
                let is_next = match part {
                    Part::Awaiting => awaiting.contains(&coro.id()),
                    Part::OneOfEachType => !types.contains(&std::ptr::from_ref(coro.future_at().0)),
                    Part::Rest => true,
                };
                if !is_next || !coro.has(flag::STARTED) || coro.has(flag::THREAD) || !seen.insert(coro.id()) {
                    return;
                }
                let now = worked();
                if read == FRAMES || now > end {
                    left_out += 1;
                    return;
                }
                let stack = if has_locals && now > end_of_locals {
                    let stack = frames.within(places_alone.clone(), |frames| stack(frames, coro, false, &addresses));
                    stack.map(|stack| Stack { missing: stack.missing.or_else(|| Some(NO_LOCALS.into())), ..stack })
                } else {
                    stack(frames, coro, false, &addresses)
                };
                if let Some(stack) = stack {
                    types.insert(std::ptr::from_ref(coro.future_at().0));
                    read += 1;
                    if stacks.len() < REPORT_STACKS {
                        if self.is_foreign(executor.rec(), coro) {
                            self.foreign.borrow_mut().insert(coro.id());
                        }
                        stacks.insert(coro.id(), stack.clone());
                    }
                    self.emit(Kind::Frames { coro: coro.id(), stack });
                }
            });
        }
        self.report_stacks.replace(stacks);
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
    fn spawn(&self, rec: &Rec, executor: &impl Observed, coro: &Header) {
        let slot = self.new_slot();
        let index = coro.wake_token().slot() as usize;
        let mut slots = rec.slots.borrow_mut();
        if slots.len() <= index {
            slots.resize(index + 1, NO_SLOT);
        }
        slots[index] = slot;
        let parent = executor.current_task().with(|coro| coro.map_or(0, Header::id));
        let mut recorder = self.recorder.borrow_mut();
        let recorder = recorder.recorder();
        let name = recorder.name_of(coro.type_name(), type_name::path);
        let site = recorder.site(coro.place());
        recorder.spawn(self.at.get(), slot, coro.id(), rec.id.get(), parent, name, site);
    }

    #[inline(never)]
    fn wait(&self, executor: &impl Observed, coro: &Header, on: Target, at: &'static Location<'static>) {
        let rec = executor.rec();
        let on = match on {
            Target::Timer(deadline) => Target::Timer(rec.time(executor, deadline)),
            on => on,
        };
        let mut steps = self.recorder.borrow_mut();
        let site = steps.site(at);
        steps.recorder().wait(self.at.get(), rec.slot(coro), coro.id(), on, NO_SLOT, site);
    }

    #[inline(never)]
    fn wait_for(&self, executor: &impl Observed, coro: &Header, other: &Header, at: &'static Location<'static>) {
        let on_slot = executor.rec().slot_anywhere(executor, other);
        let mut steps = self.recorder.borrow_mut();
        let site = steps.site(at);
        steps.wait_for(self.at.get(), || executor.rec().slot(coro), coro.id(), other.id(), on_slot, site);
    }

    #[inline(never)]
    fn turn(&self, rec: &Rec, coro: &Header, at: &'static Location<'static>) {
        let mut steps = self.recorder.borrow_mut();
        let site = steps.site(at);
        steps.turn(self.at.get(), || rec.slot(coro), coro.id(), site);
    }

    #[inline(never)]
    fn wake(&self, rec: &Rec, executor: &impl Observed, coro: &Header) {
        let running = executor.current_task().with(|running| running.map_or(0, Header::id));
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
            self.given_names.borrow_mut().extend(recorder.look().given_names(Some(coro.id())));
        }
        recorder.end(self.at.get(), slot, coro.id(), outcome(how));
        self.slots.borrow_mut().0.push(slot);
    }
}

impl Observer for Rec {
    #[inline]
    fn is_on(&self) -> bool {
        self.on().is_some()
    }

    fn loop_id(&self) -> u32 {
        self.id.get()
    }

    fn keeps_values(&self) -> bool {
        self.on().is_none_or(|recording| recording.frames.borrow().limits().values)
    }

    fn within<R>(executor: &(dyn Observed + 'static), inside: impl FnOnce() -> R) -> R {
        RECORDED_LOOPS.enter(executor, inside)
    }

    /// Usually a mistake.
    fn never_scheduled(address: usize, place: &'static Location<'static>, name: TypeName) {
        names::take(address);
        RECORDED_LOOPS.current(|executor| executor.map(|executor| executor.rec().never_awaited(executor, place, name)));
    }

    fn name_task(task: &Header, name: Cow<'static, str>) {
        if !task.is_scheduled() {
            names::keep(task, name);
        } else if !task.is_done() && !task.is_gone() {
            RECORDED_LOOPS.current(|executor| {
                if let Some(recording) = executor.and_then(|executor| executor.rec().on()) {
                    recording.named(Target::Coro(task.id()), &name);
                }
            });
        }
    }

    fn given_names(&self) -> HashMap<u64, String> {
        self.on().map(|recording| recording.recorder.borrow().look().given_names(None)).unwrap_or_default()
    }

    fn set_name(&self, name: &Name) {
        self.name.replace(name.clone());
    }

    fn loop_start(&self, executor: &impl Observed, mode: LoopMode) {
        if self.recording.get().is_none() {
            let switch = Switch::read();
            warn_of_missing(&switch);
            if !switch.record {
                return;
            }
            let Some(recording) = Recording::of_this_thread(switch, exits) else { return };
            Moment::capture_by(moment);
            // Coroutines that were scheduled before have no slots.
            if executor.tasks().len() > 0 || self.recording.set(recording).is_err() {
                return;
            }
        }
        let Some(recording) = self.on() else { return };
        LOOPS.set(LOOPS.get() + 1);
        self.id.set(LOOPS.get());
        recording.depth.set(recording.depth.get() + 1);
        if recording.depth.get() == 1 {
            exit::forget_report();
        }
        #[cfg(feature = "inspect")]
        if recording.depth.get() == 1
            && let Some(view) = &*recording.view.borrow()
        {
            view.loop_started();
        }
        recording.asked.loop_start(executor.mailbox());
        recording.recorder.borrow().look().loop_at(executor.tasks().address());
        self.started.set(recording.tick());
        let parent = RECORDED_LOOPS
            .current(|outer| outer.map_or(0, |outer| outer.current_task().with(|coro| coro.map_or(0, Header::id))));
        recording.emit(Kind::LoopStart { id: self.id.get(), parent, mode });
        if let Some(name) = self.name.borrow().as_deref() {
            recording.named(Target::Loop(self.id.get()), name);
        }
        recording.read_sent(Follow::take);
    }

    fn loop_end(&self, executor: &impl Observed, crashed: bool) {
        let Some(recording) = self.on() else { return };
        recording.tick();
        recording.asked.loop_end(&executor.mailbox());
        executor.read_notes();
        // The outermost loop may be the last one, and the process be killed after it.
        let is_outermost = recording.depth.get() == 1;
        recording.read_sent(if is_outermost { Follow::take_all } else { Follow::take });
        self.ask_frames();
        let outcome = if crashed { LoopOutcome::Crashed } else { LoopOutcome::Ok };
        recording.emit(Kind::LoopEnd { id: self.id.get(), outcome });
        recording.recorder.borrow().look().loop_gone(executor.tasks().address());
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
    fn park(&self, executor: &impl Observed, until: Option<u64>) {
        let Some(recording) = self.on() else { return };
        self.ask_frames();
        let until = until.map(|until| self.time(executor, until));
        recording.recorder.borrow_mut().recorder().park(recording.at.get(), self.id.get(), until);
    }

    #[inline]
    fn unpark(&self) {
        let Some(recording) = self.on() else { return };
        let at = recording.tick();
        recording.recorder.borrow_mut().recorder().unpark(at, self.id.get());
        self.ask_frames();
    }

    #[inline]
    fn turn_end(&self) {
        if let Some(recording) = self.on() {
            recording.recorder.borrow_mut().recorder();
        }
    }

    #[inline]
    fn spawn(&self, executor: &impl Observed, coro: &Header) {
        Observer::spawn(&self.spans, executor, coro);
        let name = names::take(names::address(coro));
        if let Some(recording) = self.on() {
            recording.spawn(self, executor, coro);
            if let Some(name) = name {
                recording.named(Target::Coro(coro.id()), &name);
            }
        }
    }

    #[inline]
    fn wait(&self, executor: &impl Observed, coro: &Header, on: Target, at: &'static Location<'static>) {
        if let Some(recording) = self.on() {
            recording.wait(executor, coro, on, at);
        }
    }

    #[inline]
    fn wait_for(&self, executor: &impl Observed, coro: &Header, other: &Header, at: &'static Location<'static>) {
        if let Some(recording) = self.on() {
            recording.wait_for(executor, coro, other, at);
        }
    }

    #[inline]
    fn wait_turn(&self, coro: &Header, at: &'static Location<'static>) {
        if let Some(recording) = self.on() {
            recording.turn(self, coro, at);
        }
    }

    #[inline]
    fn clear(&self, coro: &Header, on: Target) {
        if let Some(recording) = self.on() {
            recording.recorder.borrow_mut().recorder().clear(recording.at.get(), self.slot(coro), coro.id(), on);
        }
    }

    #[inline]
    fn edge_dropped(&self, coro: &Header, on: Target) {
        if let Some(recording) = self.on() {
            let mut steps = recording.recorder.borrow_mut();
            steps.recorder().clear_if_it_stands(recording.at.get(), self.slot(coro), coro.id(), on);
        }
    }

    #[inline]
    fn wakes(&self, by: WakeCause) -> WakeCause {
        match self.on() {
            Some(_) => self.by.replace(Some(by)).unwrap_or(WakeCause::External),
            None => WakeCause::External,
        }
    }

    #[inline]
    fn wake(&self, executor: &impl Observed, coro: &Header) {
        if let Some(recording) = self.on() {
            recording.wake(self, executor, coro);
        }
    }

    #[inline]
    fn step_begin(&self, coro: &Header) {
        if let Some(recording) = self.on() {
            recording.step_begin(self, coro);
        }
        Observer::step_begin(&self.spans, coro);
    }

    #[inline]
    fn step_end(&self, coro: &Header) {
        Observer::step_end(&self.spans, coro);
        if let Some(recording) = self.on() {
            recording.step_end(self, coro);
        }
    }

    #[inline]
    fn end(&self, coro: &Header, how: Option<FailureKind>) {
        Observer::end(&self.spans, coro, how);
        if let Some(recording) = self.on() {
            recording.end(self, coro, how);
        }
    }

    fn cancel_begin(&self, executor: &impl Observed, failure: &Failure) {
        let Some(recording) = self.on() else { return };
        let reason = failure.message().split_whitespace().collect::<Vec<_>>().join(" ");
        // It is seen before the frames of the others are read, and before cleanups that may take long. Of loops in this
        // loop the program may handle any number of crashes. What follows from a run in a step that was stopped
        // together with this loop is not the original failure.
        let is_outermost = recording.depth.get() == 1;
        let first = (is_outermost && failure.id != 0 && !failure.is_interrupted()).then(|| {
            let mut event = to_event(failure);
            event.fields = recording.fields.borrow().get(&failure.id).cloned().unwrap_or_default();
            event.given_name = recording.given_names.borrow().get(&failure.id).cloned().unwrap_or_default();
            Box::new(event)
        });
        recording.emit(Kind::CancelBegin { id: self.id.get(), origin: failure.id, reason, failure: first });
        recording.between_steps(|| {
            recording.frames_of_all(executor, failure);
            let recorder = recording.recorder.borrow();
            recording.fields.borrow_mut().extend(recorder.look().fields().take(REPORT_STACKS));
            recording.given_names.borrow_mut().extend(recorder.look().given_names(None));
        });
    }

    fn cancel_deliver(&self, coro: &Header) {
        let Some(recording) = self.on() else { return };
        recording.recorder.borrow_mut().recorder().cancel_deliver(recording.at.get(), self.slot(coro), coro.id());
    }

    fn suspended_at(&self, coro: &Header) -> Option<&'static Location<'static>> {
        self.on().filter(|_| self.suspended.coro.get() == coro.id())?;
        self.suspended.place.get()
    }

    fn returned(
        &self,
        executor: &impl Observed,
        coro: &Header,
        error: Option<&(dyn std::error::Error + Send + Sync + 'static)>,
        made: Moment,
    ) -> Moment {
        match self.on() {
            Some(recording) => recording.returned(&self.suspended, executor, coro, error).made_in(made),
            None => Moment::default(),
        }
    }

    fn crash(&self, failures: &mut [Failure]) -> Option<Box<dyn Report>> {
        let recording = self.on()?;
        recording.tick();
        place_foreign(failures, &recording.report_stacks.borrow(), &recording.foreign.take());
        let mut failures: Vec<event::Failure> = failures.iter().map(to_event).collect();
        let mut fields = recording.fields.take();
        let mut given_names = recording.given_names.take();
        for failure in &mut failures {
            failure.fields = fields.remove(&failure.coro).unwrap_or_default();
            failure.given_name = given_names.remove(&failure.coro).unwrap_or_default();
        }
        recording.emit(Kind::Crash { id: self.id.get(), failures: failures.clone() });
        // In the stream the stacks are separate events.
        let mut stacks = recording.report_stacks.take();
        for failure in failures.iter_mut().filter(|failure| failure.stack.is_none()) {
            failure.stack = stacks.remove(&failure.coro);
        }
        let mut crash = Kind::Crash { id: self.id.get(), failures };
        secrets::mask(&mut crash);
        let header = recording.recorder.borrow().look().reader().ok().map(|reader| reader.header().clone())?;
        let start = Kind::LoopStart { id: self.id.get(), parent: 0, mode: LoopMode::Run };
        let end = Kind::LoopEnd { id: self.id.get(), outcome: LoopOutcome::Crashed };
        let began = (self.started.get(), start);
        let ended = [crash, end].map(|kind| (recording.at.get(), kind));
        let events = std::iter::once(began).chain(ended);
        let events = (0..).zip(events).map(|(seq, (at, kind))| Event { seq, at, kind }).collect();
        let trace = recording.trace.borrow().as_ref().map(|trace| trace.path().display().to_string());
        let ring = || recording.recorder.borrow().look().path().display().to_string();
        let (file, shown) = (Some(trace.unwrap_or_else(ring)), recording.shown.clone());
        let crash = Arc::new(RecordedCrash { header, events, file, shown, printed: AtomicBool::new(false) });
        // That of a loop in a loop is a value.
        if recording.depth.get() == 1 {
            print_on_failure(&crash);
        }
        Some(Box::new(crash))
    }

    fn diag(&self, text: &str) {
        let Some(recording) = self.on() else { return };
        recording.emit(Kind::Diag { coro: 0, text: text.to_owned() });
    }

    fn note(&self, note: ThreadNote) -> Option<(WakeToken, WakeCause)> {
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

impl Rec {
    /// The slot of a coroutine that may belong to another loop of this thread.
    #[inline]
    fn slot_anywhere(&self, executor: &impl Observed, coro: &Header) -> u32 {
        let of = |rec: &Rec| rec.slots.borrow().get(coro.wake_token().slot() as usize).copied().unwrap_or(NO_SLOT);
        match coro.wake_token().tag() {
            tag if tag == executor.tag() => of(self),
            tag => {
                RECORDED_LOOPS.find(|other| other.tag() == tag, |other| other.map_or(NO_SLOT, |other| of(other.rec())))
            }
        }
    }

    /// Converts a time of the loop's clock to one of the stream.
    fn time(&self, executor: &impl Observed, at: u64) -> u64 {
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

    /// Warns once for each place that makes such a coroutine. Coroutines that are dropped by a cancellation or a panic
    /// are no mistake of the program.
    fn never_awaited(&self, executor: &dyn Observed, place: &'static Location<'static>, name: TypeName) {
        let Some(recording) = self.on() else { return };
        let stopped = executor.is_cancelling() || std::thread::panicking();
        if stopped || !recording.never_awaited.borrow_mut().insert(place) {
            return;
        }
        let text = format!("{}{}, made at {place}", event::NEVER_AWAITED, type_name::path(name()));
        recording
            .emit(Kind::Diag { coro: executor.current_task().with(|running| running.map_or(0, Header::id)), text });
    }
}
