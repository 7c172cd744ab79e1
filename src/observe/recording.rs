//! Writes events into the ring of this thread, if the environment asks for it.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tinyio_events::event::{Kind, Stack, TraceSite};
use tinyio_frames::Frames;
use tinyio_recorder::exit::AtExit;
use tinyio_recorder::output::{Follow, Line};
use tinyio_recorder::trace::NamedTrace;

use super::env::Printed;
use super::env::Switch;
use super::event::WakeCause;
use super::names::Name;
use super::output::Output;
use super::preemption::Away;
use super::stack_requests::Asked;
use super::step_batch::Steps;
use super::suspended::{Spent, Suspended};
use crate::observe::spans::Spans;
use crate::task::{Handle, Header};

/// Numbers and names of tasks by the address of their blocks, which is what handles hold.
pub(super) type Addresses = HashMap<u64, (u64, &'static str)>;

thread_local! {
    /// The recording of this thread's loops, once one was requested.
    pub(super) static RECORDING: RefCell<Option<Rc<Recording>>> = const { RefCell::new(None) };
}

/// A recording of all loops that run on one thread.
pub(super) struct Recording {
    pub(super) recorder: RefCell<Steps>,
    /// The time of the running step, or of the last clock read.
    pub(super) at: Cell<u64>,
    /// The recorder's free slots: loops nest, and each numbers its coroutines by itself.
    pub(super) slots: RefCell<(Vec<u32>, u32)>,
    pub(super) frames: RefCell<Frames>,
    /// The number of running loops, nested in each other.
    pub(super) depth: Cell<u32>,
    pub(super) threads: Cell<u64>,
    pub(super) started: Instant,
    /// How long this thread has worked on reading frames for errors.
    pub(super) moments: Cell<Duration>,
    /// The wall-clock time of that, disks and other programs included.
    pub(super) reading: Cell<Duration>,
    pub(super) spent: Spent,
    pub(super) away: Away,
    #[cfg(feature = "inspect")]
    pub(super) view: RefCell<Option<super::live_view::View>>,
    /// Set when the view was left after a crash and has printed its report.
    pub(super) shown: Arc<AtomicBool>,
    pub(super) trace: RefCell<Option<NamedTrace>>,
    at_exit: RefCell<Option<AtExit>>,
    /// The process that records: a child of `fork` does not.
    pid: u32,
    pub(super) asked: Asked,
    output: Option<Output>,
    /// The frames read for the current crash, for its report.
    pub(super) report_stacks: RefCell<HashMap<u64, Stack>>,
    /// The coroutines of the current crash that waited for something foreign.
    pub(super) foreign: RefCell<HashSet<u64>>,
    /// The places where coroutines were made and never awaited.
    pub(super) never_awaited: RefCell<HashSet<&'static Location<'static>>>,
    /// The recorded fields of the coroutines in the current crash.
    pub(super) fields: RefCell<HashMap<u64, Vec<(String, String)>>>,
    /// The names that the program gave the coroutines in the current crash.
    pub(super) given_names: RefCell<HashMap<u64, String>>,
}

/// Records an event: at once on the thread of the recording, otherwise when that has time.
pub(super) fn send(asked: &Asked, kind: Kind) {
    let own = RECORDING.try_with(|recording| recording.borrow().as_ref().filter(|own| own.asked.is(asked)).cloned());
    match own {
        Ok(Some(recording)) => recording.emit(kind),
        _ => asked.send(kind),
    }
}

/// A loop's part in the recording.
#[derive(Default)]
pub(crate) struct Rec {
    /// Empty as long as the loop is not recorded: one branch.
    pub(super) recording: OnceCell<Rc<Recording>>,
    pub(super) id: Cell<u32>,
    pub(super) name: RefCell<Name>,
    pub(super) started: Cell<u64>,
    /// The recorder's slot for each of the loop's slots.
    pub(super) slots: RefCell<Vec<u32>>,
    pub(super) spans: Spans,
    pub(super) suspended: Suspended,
    /// The cause of wakes when no coroutine is running. Initially something outside.
    pub(super) by: Cell<Option<WakeCause>>,
}

impl Recording {
    /// The recording of this thread, started if necessary. `exits` is called when the process exits. `None` if it
    /// cannot be, which is reported once.
    pub(super) fn of_this_thread(switch: Switch, exits: fn()) -> Option<Rc<Recording>> {
        match RECORDING.take() {
            Some(recording) if recording.is_ours() => {
                RECORDING.set(Some(recording.clone()));
                return Some(recording);
            }
            // It belongs to the process that this one was forked from: its threads do not exist here and cannot be
            // ended.
            other => std::mem::forget(other),
        }
        let (mut recorder, trace) = switch.start()?;
        let at = Cell::new(recorder.now());
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
        let trace_at_exit = trace.as_ref().and_then(|trace| trace.at_exit());
        let at_exit = AtExit::watch(exits, recorder.at_exit(), trace_at_exit, to_finish);
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
            report_stacks: RefCell::default(),
            foreign: RefCell::default(),
            never_awaited: RefCell::default(),
            fields: RefCell::default(),
            given_names: RefCell::default(),
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
    pub(super) fn read_sent(&self, take: impl Fn(&Follow) -> Vec<Line>) {
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

    pub(super) fn new_slot(&self) -> u32 {
        let (free, next) = &mut *self.slots.borrow_mut();
        free.pop().unwrap_or_else(|| {
            *next += 1;
            *next - 1
        })
    }

    /// Reads the frames of a coroutine.
    pub(super) fn stack(&self, coro: &Handle, mid_step: bool, addresses: &Addresses) -> Option<Stack> {
        stack(&mut self.frames.borrow_mut(), coro, mid_step, addresses)
    }

    /// The await stack of the coroutine that this thread is running, and whether the innermost line of `native` is
    /// certain.
    pub(super) fn stack_of_running(
        &self,
        coro: &Handle,
        addresses: &Addresses,
        native: &[TraceSite],
    ) -> Option<(Stack, bool)> {
        let (future, address) = coro.future()?;
        let coro_at = |address: u64| addresses.get(&address).copied().unwrap_or_default();
        Some(self.frames.borrow_mut().stack_of_running(&future, address, &coro_at, native))
    }

    /// Like [`stack`](Recording::stack), with more of each value.
    pub(super) fn stack_in_full(&self, coro: &Handle, mid_step: bool, addresses: &Addresses) -> Option<Stack> {
        let mut frames = self.frames.borrow_mut();
        let limits = frames.limits().in_full();
        frames.within(limits, |frames| stack(frames, coro, mid_step, addresses))
    }

    /// Runs work for readers between two steps, and records how long it took, because that is not the program's time.
    pub(super) fn between_steps(&self, work: impl FnOnce()) {
        let began = self.tick();
        work();
        let nanos = self.tick().saturating_sub(began);
        self.emit(Kind::Away { coro: 0, nanos });
    }
}

/// Reads the frames of a coroutine.
pub(super) fn stack(frames: &mut Frames, coro: &Handle, mid_step: bool, addresses: &Addresses) -> Option<Stack> {
    let (future, address) = coro.future()?;
    let coro_at = |address: u64| addresses.get(&address).copied().unwrap_or_default();
    Some(frames.stack_with_links(&future, address, mid_step, &coro_at))
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
