//! The loop itself: the live tasks, the ready queue, and one step after the other.
//!
//! Read [`Executor::advance`] first, then [`Executor::turn`]: its two halves are [`Executor::steps`], with
//! [`Executor::poll`], and `Executor::drain_sources`. Then read [`Executor::leave`] and [`Executor::wake_task`].
//! Cancelling is in [`crate::executor::cancel`]; `event_loop::Session` and `interop::drive` call both. Methods of
//! [`Executor`] that are about one concept are in the module of the concept: see ARCHITECTURE.md.

mod await_chain;
mod await_point;
pub(crate) mod block_on_guard;
pub(crate) mod cancel;
mod cancel_one;
mod cancellation;
pub(crate) mod clock;
pub(crate) mod context;
pub(crate) mod deadlock;
mod failed;
mod foreign;
mod ids;
pub(crate) mod inbox;
pub(crate) mod jobs;
mod observed;
pub(crate) mod order;
mod ready_queue;
pub(crate) mod slab;
mod sources;
mod split_mix;
pub(crate) mod timer;
pub(crate) mod timer_thread;
pub(crate) mod timer_wheel;
mod timers;
pub(crate) mod waits;
pub(crate) mod wake;
pub(crate) mod waker_slot;
mod watchdog;

pub(crate) use cancellation::Delivery;
pub(crate) use context::{edge_dropped, warn, with};
pub(crate) use inbox::{Registration, Stop};

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Context;

use crate::executor::cancellation::Cancellation;
use crate::executor::foreign::ForeignWakers;
use crate::executor::inbox::{Inbox, Loops, Mail};
use crate::executor::jobs::Jobs;
use crate::executor::ready_queue::{Detour, ReadyQueue};
use crate::executor::slab::Slab;
use crate::executor::timers::Timers;
use crate::executor::waits::Detection;
use crate::failure::crash::{Failure, FailureKind};
use crate::observe::{Noop, Observer, Rec, WakeCause, observe};
use crate::panics;
use crate::task::{
    self, CurrentTask, Handle, Kind, Outcome, Queued, Running, Schedule, Several, Step, TaskTable, WakeToken, flag,
};

/// The limit of steps between two reads of inbox and timers.
pub(crate) const MAX_STEPS_PER_TURN: u32 = 64;
/// A turn takes as long as this many steps, beside its steps.
const TURN_COST_IN_STEPS: u32 = 4;

/// A loop, as its coroutines access it.
pub(crate) struct Executor {
    inbox: Arc<Inbox>,
    /// An empty buffer, to be swapped for that of the inbox.
    spare_mail: Cell<Mail>,
    /// The tag of the inbox, kept here too because every wake compares it.
    tag: u32,
    number: u32,
    pub(crate) ready: ReadyQueue,
    /// All tasks that are scheduled and have not ended.
    pub(crate) slots: TaskTable,
    /// The coroutine that is running.
    pub(crate) current_task: CurrentTask,
    pub(crate) timers: Timers,
    foreign: ForeignWakers,
    /// The functions running on threads.
    pub(crate) jobs: Jobs,
    /// The first failure.
    pub(crate) failure: RefCell<Option<Failure>>,
    pub(crate) cancellation: Cancellation,
    pub(crate) deadlocks: Detection,
    /// The loops that coroutines of this one drive, by the coroutine.
    pub(crate) guests: RefCell<Slab<(WakeToken, Weak<Executor>)>>,
    /// A coroutine of another loop drives this one.
    pub(crate) is_guest: Cell<bool>,
    /// The loop's observer: without the feature `record` only of spans, or of nothing.
    pub(crate) rec: Rec,
}

/// What is left to do after a turn.
pub(crate) enum Progress {
    /// Another turn, now.
    Ready,
    /// Nothing before this time of the loop's clock, or mail.
    Idle(Option<u64>),
    /// A coroutine or the loop itself failed: all are to be cancelled.
    Failed,
    /// Nothing: all coroutines have ended.
    Done,
}

impl Executor {
    pub(crate) fn new() -> Rc<Executor> {
        let inbox = Inbox::new();
        Rc::new(Executor {
            tag: inbox.tag(),
            number: inbox.number(),
            inbox,
            spare_mail: Cell::default(),
            ready: ReadyQueue::default(),
            slots: TaskTable::default(),
            current_task: CurrentTask::default(),
            timers: Timers::new(),
            foreign: ForeignWakers::default(),
            jobs: Jobs::default(),
            failure: RefCell::new(None),
            cancellation: Cancellation::default(),
            deadlocks: Detection::default(),
            guests: RefCell::default(),
            is_guest: Cell::default(),
            rec: Rec::default(),
        })
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// The tag by which wake tokens identify the loop. It is reused after the loop is gone.
    #[inline]
    pub(crate) fn tag(&self) -> u32 {
        self.tag
    }

    /// The number by which await points identify the loop: the tag in its low bits, and a count of the tag's uses.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The number of live coroutines.
    pub(crate) fn live(&self) -> usize {
        self.slots.len()
    }

    // ---- One turn ----

    /// Makes a turn, and looks for deadlocks.
    pub(crate) fn advance(&self) -> Progress {
        let progress = self.contain(|| self.turn(|| observe!(self, |observer| self.steps(observer))));
        match progress {
            Some(Progress::Ready) if self.search_while_busy() => Progress::Failed,
            Some(Progress::Idle(until)) => self.before_idling(until),
            Some(progress) => progress,
            None => Progress::Failed,
        }
    }

    /// Has `steps` poll ready tasks, [`MAX_STEPS_PER_TURN`] at most; then reads inbox and timers. `steps` returns how
    /// many it has polled, and `None` ends the turn early, because one has failed.
    ///
    /// `steps` is a loop, and no function that is called for each step: passing each result would cost 6 of the 172
    /// instructions of a step that only yields (W3 of `tinyio-cost`, fat LTO).
    fn turn(&self, steps: impl FnOnce() -> Option<u32>) -> Progress {
        self.jobs.begin_turn();
        let Some(made) = steps() else { return Progress::Failed };
        self.deadlocks.count_steps(made + TURN_COST_IN_STEPS);
        if made > 0 {
            self.deadlocks.tasks_ran();
        }
        self.rec.turn_end();
        self.drain_sources();
        if self.failed() {
            Progress::Failed
        } else if !self.is_idle() {
            Progress::Ready
        } else if self.live() == 0 {
            Progress::Done
        } else {
            Progress::Idle(self.timers.wheel.borrow().next())
        }
    }

    /// Polls ready tasks. This and what it calls are compiled once for what observes the loop and once for the no-op:
    /// see [`observe!`].
    ///
    /// What is rare lies in functions of its own, and how a step failed in one place for all of them: this saves 47 of
    /// the 581 instructions of a spawn and its await (W1 of `tinyio-cost`), and 10 of its 124 stores.
    #[inline(always)]
    fn steps(&self, observer: &impl Observer) -> Option<u32> {
        let (mut made, mut failure) = (0, None);
        while made < MAX_STEPS_PER_TURN {
            let Some(mut task) = self.next_task() else { break };
            made += 1;
            match self.poll(observer, &mut task, &mut failure) {
                Outcome::Pending => task.suspended(),
                Outcome::Done if task.is_unowned() && !self.drop_output(&mut task) => return None,
                Outcome::Done => {
                    observer.end(&task, None);
                    self.leave(observer, &task);
                }
                Outcome::Failed => {
                    if !self.step_failed(observer, &task, failure.take()) {
                        return None;
                    }
                }
            }
        }
        Some(made)
    }

    /// Drops an output that can no longer be taken. `false`: its destructor panicked.
    #[inline(never)]
    fn drop_output(&self, task: &mut Running) -> bool {
        let dropped = task.discard();
        dropped.map_err(|payload| self.fail(Failure::of_panic(self, task, payload))).is_ok()
    }

    /// Ends a task that failed. `false`: all are to be cancelled for that.
    #[cold]
    #[inline(never)]
    fn step_failed(&self, observer: &impl Observer, task: &Running, step: Option<Step>) -> bool {
        let failure = match step {
            // A function on a thread that `cancel_one` has asked to stop: it ends in an ordinary step.
            Some(Step::Failed(fault)) if task.has(flag::CANCEL_DELIVERED) && fault.cancellation().is_some() => {
                self.end(observer, task, Some(FailureKind::Cancelled));
                return true;
            }
            Some(Step::Failed(fault)) => Failure::of_error(self, task, fault),
            Some(Step::Panicked(payload)) => Failure::of_panic(self, task, payload),
            Some(Step::Pending | Step::Done) | None => unreachable!("the poll has stored how it failed"),
        };
        // It keeps its place until the snapshot of all places is taken: see `Cancelling::begin`.
        self.fail(failure);
        false
    }

    /// Whether no coroutine is ready, and none is to be cancelled.
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.cancellation.abandoned.borrow().is_empty()
    }

    /// The next ready task, to be polled. `None`: no task is ready.
    #[inline(always)]
    fn next_task(&self) -> Option<Running> {
        loop {
            let Some(task) = self.next_ready()?.run() else { continue };
            // The task may have ended while it was queued.
            if task.is_alive() {
                return Some(task);
            }
        }
    }

    /// Takes the next ready task. Coroutines whose last handle was dropped are cancelled first.
    #[inline]
    fn next_ready(&self) -> Option<Queued> {
        self.ready.pop().unwrap_or_else(|Detour| self.next_by_detour())
    }

    #[cold]
    fn next_by_detour(&self) -> Option<Queued> {
        self.cancel_abandoned();
        // With a failure the turn is over.
        if self.failed() { None } else { self.ready.pop_any() }
    }

    /// Polls one coroutine. If it fails, `failure` is set to how.
    #[inline(always)]
    fn poll(&self, observer: &impl Observer, task: &mut Running, failure: &mut Option<Step>) -> Outcome {
        observer.step_begin(task);
        let waker = task::lend::<Loops>(task.wake_token());
        let outcome = task.poll(&self.current_task, &mut Context::from_waker(&waker), failure);
        observer.step_end(task);
        outcome
    }

    /// Polls one coroutine, always observed, and returns how it failed: for the cancellation.
    #[inline(never)]
    fn poll_alone(&self, task: &mut Running) -> Step {
        let mut failure = None;
        match self.poll(&self.rec, task, &mut failure) {
            Outcome::Pending => Step::Pending,
            Outcome::Done => Step::Done,
            Outcome::Failed => failure.expect("the poll has stored how it failed"),
        }
    }

    pub(crate) fn failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    /// Records a failure. The first one counts.
    pub(crate) fn fail(&self, failure: Failure) {
        let first = self.failure.replace(Some(failure));
        if first.is_some() {
            panics::dispose(self.failure.replace(first));
        }
    }

    /// Runs code of the program outside of any coroutine's step, such as a waker: its panic is a failure of the loop.
    /// `None`: it panicked.
    pub(crate) fn contain<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        catch_unwind(AssertUnwindSafe(f)).map_err(|payload| self.fail(Failure::of_loop_panic(payload))).ok()
    }

    /// Removes a coroutine that has ended from the table and wakes the waiters for its output.
    #[inline(never)]
    fn end(&self, observer: &impl Observer, task: &Running, how: Option<FailureKind>) {
        observer.end(task, how);
        self.leave(observer, task);
    }

    /// Removes it without recording that it has ended.
    #[inline(always)]
    fn leave(&self, observer: &impl Observer, task: &Running) {
        self.slots.remove(task);
        let by = observer.wakes(WakeCause::Coro(task.id()));
        match task.take_waiter() {
            Ok(Some(wake_token)) => self.wake_waiter(observer, wake_token),
            Ok(None) => {}
            Err(Several) => self.wake_waiters(observer, task),
        }
        observer.wakes(by);
    }

    #[inline(never)]
    fn wake_waiters(&self, observer: &impl Observer, task: &Running) {
        task.take_waiters(|wake_token| self.wake_waiter(observer, wake_token));
    }

    #[inline(always)]
    fn wake_waiter(&self, observer: &impl Observer, wake_token: WakeToken) {
        if wake_token.tag() == self.tag { self.wake_task(observer, wake_token) } else { Loops::wake(wake_token) }
    }

    // ---- Scheduling and waking ----

    /// Adds a coroutine to this loop, and queues it for its first step.
    ///
    /// The common case makes no calls, so that it saves no registers where it is inlined: 22 of the 442 instructions of
    /// a spawn and its await (W1 of `tinyio-cost`), and 6 of its 99 stores.
    #[inline(always)]
    pub(crate) fn schedule(&self, coro: &Handle) {
        if self.rec.is_observed() || self.slots.is_full() {
            self.schedule_in_full(coro);
        } else {
            self.insert_task(&Noop, coro);
        }
    }

    #[inline(never)]
    fn schedule_in_full(&self, coro: &Handle) {
        if self.slots.is_full() {
            self.slots.grow();
        }
        observe!(self, |observer| self.insert_task(observer, coro));
    }

    #[inline(always)]
    fn insert_task(&self, observer: &impl Observer, coro: &Handle) {
        self.slots.schedule(coro, ids::next(), self.tag);
        observer.spawn(self, coro);
        // During the cancellation no coroutine starts.
        if self.cancellation.delivery.get().starts_no_task() {
            self.count_late(coro);
        } else if let Some(queued) = coro.queue() {
            self.ready.push(queued);
        }
    }

    /// Wakes the target of a wake token of this loop.
    #[inline]
    pub(crate) fn wake(&self, wake_token: WakeToken) {
        observe!(self, |observer| self.wake_task(observer, wake_token));
    }

    #[inline(always)]
    fn wake_task(&self, observer: &impl Observer, wake_token: WakeToken) {
        match wake_token.kind() {
            // Only an edge: what it stands for is woken otherwise.
            Kind::Edge => {}
            // The cancellation polls all coroutines in order; none is queued for a step.
            Kind::Task if self.cancellation.delivery.get().starts_no_task() => {}
            Kind::Task => self.enqueue(observer, self.slots.queue(wake_token)),
            Kind::Foreign => self.wake_behind(wake_token),
        }
    }

    #[inline(always)]
    fn enqueue(&self, observer: &impl Observer, task: Option<Queued>) {
        if let Some(queued) = task {
            observer.wake(self, &queued);
            self.ready.push(queued);
        }
    }

    /// Wakes the running coroutine, if the wake token is that of it. `false`: it is another one, or all are being
    /// cancelled.
    #[inline(always)]
    pub(crate) fn wake_current(&self, wake_token: WakeToken) -> bool {
        if self.cancellation.delivery.get().starts_no_task() {
            return false;
        }
        let Some(task) = self.current_task.queue(wake_token) else { return false };
        observe!(self, |observer| self.enqueue(observer, task));
        true
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // Foreign wakers, registered at await points that outlive the loop.
        let foreign = self.foreign.wakers.take();
        foreign.into_values().for_each(panics::dispose);
        self.inbox.close();
    }
}
