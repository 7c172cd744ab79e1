//! What is recorded of one future, and the waker that it is polled with.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tinyio_events::event::{CoroId, LoopId, Outcome, Target, Waker as Cause};
use tinyio_recorder::recorder::Step;

use crate::record::{self, Record};
use crate::thread::{self, Running};

/// The recorded side of a future; `None` if nothing is recorded.
#[derive(Debug)]
pub(crate) struct Handle(Option<Box<Live>>);

/// A recorded future that has not ended.
#[derive(Debug)]
struct Live {
    task: Arc<Task>,
    /// The same, as a waker.
    waker: Waker,
    /// The waker that it was polled with last, which `task` has, too.
    outer: Option<Waker>,
    /// The observed future that polled it last and was recorded to wait on it: number and slot.
    awaited_by: Option<(CoroId, u32)>,
}

/// What the wakers of a future share. The atomics are used under the lock of the record, which orders them.
#[derive(Debug)]
struct Task {
    coro: CoroId,
    slot: u32,
    /// It was woken since its last step began.
    is_ready: AtomicBool,
    is_over: AtomicBool,
    worker: AtomicU32,
    outer: Mutex<Option<Waker>>,
}

impl Handle {
    pub(crate) fn new(
        type_name: &'static str,
        given: Option<Cow<'static, str>>,
        place: &'static Location<'static>,
    ) -> Handle {
        if !record::is_on() {
            return Handle(None);
        }
        let parent = thread::running().coro;
        let Some((coro, slot)) = record::with(|record| record.spawn(parent, type_name, given.as_deref(), place)) else {
            return Handle(None);
        };
        let task = Arc::new(Task {
            coro,
            slot,
            is_ready: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
            worker: AtomicU32::new(0),
            outer: Mutex::new(None),
        });
        let waker = Waker::from(task.clone());
        Handle(Some(Box::new(Live { task, waker, outer: None, awaited_by: None })))
    }

    /// Whether nothing is recorded.
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Records a poll, which `future` does.
    pub(crate) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        future: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // After a panic it is over, and what a further poll does is the future's own affair.
        let live = self.0.as_deref_mut().filter(|live| !live.task.is_over.load(Ordering::Relaxed));
        let Some(live) = live else { return future(context) };
        live.keep(context.waker());
        let mut step = Begun::new(&live.task, &mut live.awaited_by);
        let result = future(&mut Context::from_waker(&live.waker));
        step.outcome = result.is_ready().then_some(Outcome::Ok);
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let Some(live) = self.0.take() else { return };
        let Task { coro, slot, is_over, worker, outer, .. } = &*live.task;
        if !is_over.load(Ordering::Relaxed) {
            record::with(|record| {
                let at = record.recorder.now();
                is_over.store(true, Ordering::Relaxed);
                // It has run if it has a worker.
                let began = worker.load(Ordering::Relaxed) != 0;
                let outcome = if began { Outcome::Cancelled } else { Outcome::NeverStarted };
                record.recorder.end(at, *slot, *coro, outcome);
                record.ended(*slot);
            });
        }
        // Wakers of its own that are still around must not keep the task of the runtime.
        let outer = outer.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(outer);
    }
}

impl Live {
    /// Keeps the waker to call when its own is called.
    fn keep(&mut self, waker: &Waker) {
        if self.outer.as_ref().is_some_and(|outer| outer.will_wake(waker)) {
            return;
        }
        self.outer = Some(waker.clone());
        let old = self.task.outer.lock().unwrap_or_else(PoisonError::into_inner).replace(waker.clone());
        // Not under the lock: it may be the last reference to another task.
        drop(old);
    }
}

/// A poll that goes on. Dropped without an outcome by a panic.
struct Begun<'a> {
    task: &'a Task,
    awaited_by: &'a mut Option<(CoroId, u32)>,
    before: Running,
    outcome: Option<Outcome>,
}

impl<'a> Begun<'a> {
    fn new(task: &'a Task, awaited_by: &'a mut Option<(CoroId, u32)>) -> Begun<'a> {
        record::with(|record| {
            let at = record.recorder.now();
            let worker = record.worker(at);
            task.step_begin(record, at, worker);
        });
        let before = thread::replace_running(Running { coro: task.coro, slot: task.slot, woke_itself: false });
        // What a panic leaves.
        Begun { task, awaited_by, before, outcome: Some(Outcome::Panic) }
    }

    /// The future that polled this one, which is pending, waits on it, and no other does.
    fn awaited(&mut self, record: &mut Record, at: u64) {
        let (Task { coro, slot, .. }, by) = (self.task, self.before);
        let now = Some((by.coro, by.slot)).filter(|(coro, _)| *coro != 0);
        let before = std::mem::replace(self.awaited_by, now);
        if before == now {
            return;
        }
        if let Some((before, slot)) = before {
            record.recorder.clear(at, slot, before, Target::Coro(*coro));
        }
        if now.is_some() {
            record.recorder.wait(at, by.slot, by.coro, Target::Coro(*coro), *slot, 0);
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let ran = thread::replace_running(self.before);
        record::with(|record| {
            let at = record.recorder.now();
            let (Task { coro, slot, is_ready, is_over, .. }, outcome) = (self.task, self.outcome);
            let mut step = Step { coro: *coro, slot: *slot, ..Step::default() };
            if let Some(outcome) = outcome {
                is_over.store(true, Ordering::Relaxed);
                (step.outcome, step.has) = (Step::outcome_of(outcome), Step::END);
            } else if ran.woke_itself && !is_ready.swap(true, Ordering::Relaxed) {
                step.has = Step::OWN;
            }
            record.recorder.step(at, &step);
            if outcome.is_some() {
                record.ended(*slot);
            } else {
                self.awaited(record, at);
            }
        });
    }
}

impl Task {
    #[inline]
    fn step_begin(&self, record: &mut Record, at: u64, worker: LoopId) {
        let recorder = &mut record.recorder;
        if !self.is_ready.swap(false, Ordering::Relaxed) {
            recorder.wake(at, self.slot, self.coro, Cause::External);
        }
        if self.worker.swap(worker, Ordering::Relaxed) != worker {
            recorder.moved(at, self.slot, self.coro, worker);
        }
        recorder.step_begin(at, self.slot, self.coro);
    }

    /// Records that its waker is called.
    fn woken(&self) {
        let running = thread::running();
        if running.coro == self.coro {
            // It cannot run before its step ends, with which it is recorded.
            thread::replace_running(Running { woke_itself: true, ..running });
            return;
        }
        record::with(|record| {
            if self.is_over.load(Ordering::Relaxed) || self.is_ready.swap(true, Ordering::Relaxed) {
                return;
            }
            let at = record.recorder.now();
            let by = match running.coro {
                0 => Cause::Loop(record.worker(at)),
                coro => Cause::Coro(coro),
            };
            record.recorder.wake(at, self.slot, self.coro, by);
        });
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Recorded before the other waker is called, so before the poll that this causes.
        self.woken();
        let outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(outer) = outer {
            outer.wake();
        }
    }
}
