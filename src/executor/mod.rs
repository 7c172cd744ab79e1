//! The loop itself: the live tasks, the ready queue, and one step after the other.
//!
//! Read [`Executor::advance`] first, then [`Executor::turn`], [`Executor::end`] and [`Executor::wake`]. Cancelling is in
//! [`crate::executor::cancel`].

mod await_chain;
mod await_point;
pub(crate) mod block_on_guard;
pub(crate) mod cancel;
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
pub(crate) mod slab;
pub(crate) mod timer;
pub(crate) mod timer_thread;
pub(crate) mod timer_wheel;
pub(crate) mod waits;
pub(crate) mod wake;
pub(crate) mod waker_slot;
mod watchdog;

pub(crate) use context::{edge_dropped, warn, with};
pub(crate) use inbox::{Left, Stop};

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use crate::executor::clock::Clock;
use crate::executor::foreign::Foreign;
use crate::executor::inbox::{Inbox, Loops, Mail};
use crate::executor::jobs::Jobs;
use crate::executor::order::Shuffled;
use crate::executor::slab::Slab;
use crate::executor::timer_wheel::Wheel;
use crate::executor::waits::{Queuing, Searches};
use crate::failure::crash::{Failure, FailureKind, Group};
use crate::observe::{Observer, Rec, WakeCause, observe};
use crate::panics;
use crate::task::{
    self, CurrentTask, Handle, Kind, Queue, Queued, Reason, Running, Schedule, Step, TaskTable, TypeName, WakeToken,
    flag,
};
use crate::threading;

/// Steps between two reads of inbox and timers.
pub(crate) const STEPS_PER_TURN: u32 = 64;
/// A turn takes as long as this many steps, beside its steps.
const STEPS_OF_A_TURN: u32 = 4;

/// An inbox buffer is reused if it has capacity for at most this many entries.
const MAIL_KEPT: usize = 1_024;

/// A loop, as its coroutines access it.
pub(crate) struct Executor {
    inbox: Arc<Inbox>,
    /// The buffer of the last read inbox, now empty, for reuse.
    read: Cell<Mail>,
    /// The tag of the inbox, kept here too because every wake compares it.
    tag: u32,
    number: u32,
    /// The ready tasks, in order.
    queue: Queue,
    /// All tasks that are scheduled and have not ended.
    pub(crate) slots: TaskTable,
    pub(crate) timers: RefCell<Wheel>,
    /// Foreign wakers (`FuturesUnordered`, `select!`) that coroutines of this loop have registered at tinyio's await
    /// points.
    pub(crate) foreign: RefCell<Slab<Foreign>>,
    /// The coroutine that is running.
    pub(crate) current_task: CurrentTask,
    pub(crate) clock: Clock,
    /// The first failure.
    pub(crate) failure: RefCell<Option<Failure>>,
    /// The number of coroutines scheduled since the cancellation began, and the limit for it.
    late: Cell<(usize, usize)>,
    /// The answer of await points in a coroutine that is being cancelled.
    pub(crate) cancel: Cell<Cancel>,
    /// Coroutines whose last handle was dropped, to be cancelled, each with the coroutine that dropped the handle.
    abandoned: RefCell<VecDeque<(WakeToken, Option<TypeName>)>>,
    /// Set when a coroutine awaits one that was scheduled before, or a lock. While unset, a new cycle is impossible.
    pub(crate) cycle_check_pending: Cell<bool>,
    /// Steps since the last search for a cycle, with what counts as some.
    pub(crate) cycle_check_steps: Cell<u64>,
    /// When the delayed search is due.
    pub(crate) search_at: Cell<Option<u64>>,
    pub(crate) searches: RefCell<Searches>,
    /// The loops that coroutines of this one drive, by the coroutine.
    pub(crate) guests: RefCell<Slab<(WakeToken, Weak<Executor>)>>,
    /// A coroutine of another loop drives this one.
    pub(crate) is_guest: Cell<bool>,
    /// Set when foreign wakers were registered at await points in this turn.
    pub(crate) watched: Cell<bool>,
    /// The functions running on threads.
    pub(crate) jobs: Jobs,
    /// The waits for locks, semaphores and barriers.
    pub(crate) queued: RefCell<Slab<Queuing>>,
    /// Since when nothing in the loop can change anything, and whether the warning was given.
    pub(crate) quiet_since: Cell<Option<(u64, bool)>>,
    pub(crate) quiescent_warning: Cell<Duration>,
    pub(crate) group: Cell<Group>,
    /// How long cleanup code may await.
    pub(crate) grace: Cell<Option<Duration>>,
    /// Set when there is a seed, or a coroutine to be cancelled. One flag, because every step reads it.
    detour: Cell<bool>,
    /// With a seed: the ready tasks, taken at random.
    pub(crate) shuffled: RefCell<Option<Shuffled>>,
    pub(crate) rec: Rec,
}

/// Whether await points answer, and what they have answered in this poll.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cancel {
    /// Set while a coroutine is polled to deliver its cancellation.
    pub(crate) reason: Option<Reason>,
    /// Await points that are reached after the first answer work as usual: the coroutine may await in its cleanup.
    pub(crate) gently: bool,
    /// An await point has answered.
    pub(crate) answered: bool,
    /// The number of await points reached after that, and the first of them.
    pub(crate) again: u32,
    pub(crate) again_at: Option<&'static Location<'static>>,
}

impl Cancel {
    /// Whether all coroutines are polled in order by the cancellation, with no turns of their own.
    pub(crate) fn is_hard(&self) -> bool {
        matches!(self.reason, Some(Reason::Crash(_))) && !self.gently
    }
}

/// What is left to do after a turn.
pub(crate) enum Progress {
    /// Another turn, now.
    Ready,
    /// Nothing before this time of the loop's clock, or mail.
    Idle(Option<u64>),
    /// A coroutine failed: all are to be cancelled.
    Failed,
    /// Nothing: all coroutines have ended.
    Done,
}

impl Executor {
    pub(crate) fn new() -> Rc<Executor> {
        let inbox = Inbox::new();
        let executor = Rc::new(Executor {
            tag: inbox.tag(),
            number: inbox.number(),
            inbox,
            read: Cell::default(),
            queue: Queue::default(),
            slots: TaskTable::default(),
            timers: RefCell::new(Wheel::new()),
            foreign: RefCell::default(),
            current_task: CurrentTask::default(),
            clock: Clock::default(),
            failure: RefCell::new(None),
            late: Cell::default(),
            cancel: Cell::default(),
            abandoned: RefCell::default(),
            cycle_check_pending: Cell::new(false),
            cycle_check_steps: Cell::new(0),
            search_at: Cell::default(),
            searches: RefCell::default(),
            guests: RefCell::default(),
            is_guest: Cell::default(),
            watched: Cell::default(),
            jobs: Jobs::default(),
            queued: RefCell::default(),
            quiet_since: Cell::default(),
            quiescent_warning: Cell::new(Duration::from_secs(5)),
            group: Cell::default(),
            grace: Cell::default(),
            detour: Cell::default(),
            shuffled: RefCell::default(),
            rec: Rec::default(),
        });
        executor.timers.borrow_mut().begin_at(executor.now());
        executor
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    #[inline]
    pub(crate) fn tag(&self) -> u32 {
        self.tag
    }

    /// The tag by which await points identify the loop.
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
        let progress = self
            .contain(|| observe!(self, |observer| self.turn(observer, |task, step| self.settle(observer, task, step))));
        match progress {
            Some(Progress::Ready) if self.search_while_busy() => Progress::Failed,
            Some(Progress::Idle(until)) => self.before_idling(until),
            Some(progress) => progress,
            None => Progress::Failed,
        }
    }

    /// Polls ready tasks, up to a number of steps, each of which `settle` handles; then reads inbox and timers. The
    /// turn ends early if `settle` returns `Break`.
    ///
    /// This and what it calls are compiled once for what observes the loop and once for the no-op: see [`observe!`].
    #[inline(always)]
    fn turn<O: Observer>(&self, observer: &O, mut settle: impl FnMut(Running, Step) -> ControlFlow<()>) -> Progress {
        self.jobs.begin_turn();
        let mut made = 0;
        while made < STEPS_PER_TURN {
            let Some((task, step)) = self.poll_next(observer) else { break };
            made += 1;
            if settle(task, step).is_break() {
                return Progress::Failed;
            }
        }
        self.cycle_check_steps.set(self.cycle_check_steps.get() + u64::from(made + STEPS_OF_A_TURN));
        self.rec.turn_end();
        self.drain_sources();
        if self.failed() {
            Progress::Failed
        } else if !self.is_idle() {
            Progress::Ready
        } else if self.live() == 0 {
            Progress::Done
        } else {
            Progress::Idle(self.timers.borrow().next())
        }
    }

    /// Handles what a step has come to: the end of the task, or the first failure of the loop.
    #[inline(always)]
    fn settle(&self, observer: &impl Observer, mut task: Running, step: Step) -> ControlFlow<()> {
        let failure = match step {
            Step::Pending => return ControlFlow::Continue(()),
            Step::Done => match task.discard_unowned() {
                Ok(()) => {
                    self.end(observer, &task, None);
                    return ControlFlow::Continue(());
                }
                Err(payload) => Failure::of_panic(self, &task, payload),
            },
            // A function on a thread.
            Step::Failed(fault) if task.has(flag::CANCEL_DELIVERED) && fault.cancellation().is_some() => {
                self.end(observer, &task, Some(FailureKind::Cancelled));
                return ControlFlow::Continue(());
            }
            // The task keeps its place until the snapshot of all places is taken: see `Cancelling::begin`.
            Step::Failed(fault) => Failure::of_error(self, &task, fault),
            Step::Panicked(payload) => Failure::of_panic(self, &task, payload),
        };
        self.fail(failure);
        ControlFlow::Break(())
    }

    /// Records everything that threads have logged until now.
    pub(crate) fn read_notes(&self) {
        if self.rec.is_on() {
            for note in self.inbox.take_notes() {
                self.rec.note(note);
            }
        }
    }

    /// Whether no coroutine is ready, and none is to be cancelled.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.abandoned.borrow().is_empty()
            && self.shuffled.borrow().as_ref().is_none_or(Shuffled::is_empty)
    }

    /// Reads the inbox, fires the timers that are due, and cancels coroutines whose last handle was dropped.
    pub(crate) fn drain_sources(&self) {
        self.end_watch();
        self.read_inbox();
        self.fire_timers();
        self.cancel_abandoned();
    }

    /// Queues a coroutine of this loop for cancellation, because this coroutine dropped its last handle.
    pub(crate) fn cancel_later(&self, wake_token: WakeToken, by: Option<TypeName>) {
        self.abandoned.borrow_mut().push_back((wake_token, by));
        self.detour.set(true);
    }

    /// Cancels the coroutines whose last handle was dropped, and those that only they awaited.
    fn cancel_abandoned(&self) {
        while !self.failed() {
            let next = self.abandoned.borrow_mut().pop_front();
            let Some((wake_token, by)) = next else { break };
            // A stale wake token may name another task by now.
            if self.slots.with(wake_token, |task| task.is_abandoned()) == Some(true) {
                self.cancel_one(wake_token, Reason::Dropped(by));
            }
        }
        self.detour.set(self.shuffled.borrow().is_some());
    }

    /// Polls the next ready task. `None`: no task is ready.
    #[inline(always)]
    fn poll_next(&self, observer: &impl Observer) -> Option<(Running, Step)> {
        loop {
            let Some(mut task) = self.next_ready()?.run() else { continue };
            // The task may have ended while it was queued.
            if task.is_alive() {
                let step = self.poll(observer, &mut task);
                return Some((task, step));
            }
        }
    }

    /// Takes the next task from the queue; with a seed, a random one of the ready tasks.
    #[inline]
    fn next_ready(&self) -> Option<Queued> {
        if self.detour.get() { self.next_by_detour() } else { self.queue.pop() }
    }

    #[cold]
    fn next_by_detour(&self) -> Option<Queued> {
        self.cancel_abandoned();
        if self.failed() {
            return None; // The turn is over.
        }
        self.pop_ready()
    }

    fn pop_ready(&self) -> Option<Queued> {
        match &mut *self.shuffled.borrow_mut() {
            Some(shuffled) => shuffled.next(&self.queue),
            None => self.queue.pop(),
        }
    }

    /// Sets the seed that decides the order of ready tasks.
    pub(crate) fn shuffle(&self, seed: Option<u64>) {
        self.detour.set(seed.is_some());
        *self.shuffled.borrow_mut() = seed.map(Shuffled::new);
    }

    /// Polls one coroutine.
    #[inline(always)]
    fn poll(&self, observer: &impl Observer, task: &mut Running) -> Step {
        observer.step_begin(task);
        let waker = task::lend::<Loops>(task.wake_token());
        let step = task.poll(&self.current_task, &mut Context::from_waker(&waker));
        observer.step_end(task);
        step
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
    #[inline]
    fn end(&self, observer: &impl Observer, task: &Running, how: Option<FailureKind>) {
        observer.end(task, how);
        self.leave(observer, task);
    }

    /// Removes it without recording that it has ended.
    #[inline]
    fn leave(&self, observer: &impl Observer, task: &Running) {
        self.slots.remove(task);
        let by = observer.wakes(WakeCause::Coro(task.id()));
        task.take_waiters(|wake_token| {
            if wake_token.tag() == self.tag { self.wake_task(observer, wake_token) } else { Loops::wake(wake_token) }
        });
        observer.wakes(by);
    }

    pub(crate) fn read_inbox(&self) {
        if !self.inbox.has_mail() {
            return;
        }
        let mut mail = self.inbox.take(self.read.take());
        for note in mail.notes.drain(..) {
            if let Some((wake_token, by)) = self.rec.note(note) {
                self.rec.wakes(by);
                self.wake(wake_token);
            }
        }
        for left in mail.left.drain(..) {
            self.take_back(left);
        }
        self.rec.wakes(WakeCause::External);
        for wake_token in mail.wake_tokens.drain(..) {
            self.wake(wake_token);
        }
        mail.abandoned.drain(..).for_each(|(wake_token, by)| self.cancel_later(wake_token, by));
        if let Some(stop) = mail.cancel.take() {
            self.fail(Failure::of_stop(stop));
        }
        if mail.wake_tokens.capacity() <= MAIL_KEPT {
            self.read.set(mail);
        }
    }

    /// Sleeps until `until` or until there is mail.
    pub(crate) fn park(&self, until: Option<u64>) {
        if until.is_some_and(|until| self.skip_to(until)) {
            return;
        }
        let has_mail = || self.inbox.has_mail();
        let wait = || {
            self.rec.park(self, until);
            while !has_mail() {
                match until.map(|until| until.saturating_sub(self.now())) {
                    Some(0) => break,
                    Some(left) => threading::park_timeout(Duration::from_nanos(left)),
                    None => threading::park(),
                }
            }
            self.rec.unpark();
        };
        if let Err(error) = self.jobs.wait(&has_mail, wait) {
            let text =
                format!("no thread for `run_in_thread`: all wait for others, and one more cannot be started: {error}");
            self.fail(Failure::of_loop(text.into(), Vec::new()));
        }
    }

    /// Fails if the awaited functions run in another process: this one was forked meanwhile.
    pub(crate) fn check_process(&self) {
        if self.jobs.are_lost() {
            let text = "the process was forked while functions ran on threads, which only the parent has: they never return here. \
                        Fork before the loop runs, or while no thread is at work";
            self.fail(Failure::of_loop(text.into(), Vec::new()));
        }
    }

    // ---- Scheduling and waking ----

    /// Adds a coroutine to this loop, and queues it for its first turn.
    #[inline]
    pub(crate) fn schedule(&self, coro: &Handle) {
        observe!(self, |observer| self.insert_task(observer, coro));
    }

    #[inline(always)]
    fn insert_task(&self, observer: &impl Observer, coro: &Handle) {
        self.slots.schedule(coro, ids::next(), self.tag);
        observer.spawn(self, coro);
        // During the cancellation no coroutine starts.
        if self.cancel.get().is_hard() {
            self.come_late(coro);
        } else if let Some(queued) = coro.queue() {
            self.queue.push(queued);
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
            Kind::Edge => {}
            // The cancellation polls all coroutines in order; none has a turn of its own.
            Kind::Task if self.cancel.get().is_hard() => {}
            Kind::Task => {
                if let Some(queued) = self.slots.queue(wake_token) {
                    observer.wake(self, &queued);
                    self.queue.push(queued);
                }
            }
            Kind::Foreign => self.wake_behind(wake_token),
        }
    }

    /// Empties the ready queue and the list of coroutines to be cancelled.
    pub(crate) fn clear_queue(&self) {
        self.abandoned.borrow_mut().clear();
        while self.pop_ready().is_some() {}
    }

    /// Removes all tasks, whatever their state.
    pub(crate) fn abandon(&self) {
        self.end_watch();
        self.clear_queue();
        if self.live() > 0 {
            self.expect_late();
            self.cancel.set(Cancel { reason: Some(Reason::Crash(None)), ..Cancel::default() });
        }
        // Their destructors may schedule others, whose destructors may do the same.
        while self.live() > 0 {
            let mut wake_tokens = Vec::with_capacity(self.live());
            self.slots.each(|task| wake_tokens.push(task.wake_token()));
            for task in wake_tokens.into_iter().filter_map(|wake_token| self.slots.run(wake_token)) {
                let mut task = task;
                self.slots.remove(&task);
                self.discard(&mut task).unwrap_or_else(panics::dispose);
                panics::dispose(task);
            }
        }
        self.cancel.set(Cancel::default());
        self.clear_queue();
        // Timers, wakers and queue entries were removed with their futures; the remaining ones belong to futures that
        // the caller has kept, and may poll in the next run.
        self.quiet_since.set(None);
        self.searches.borrow_mut().end_run();
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // Foreign wakers, registered at await points that outlive the loop.
        let foreign = self.foreign.take();
        foreign.into_values().for_each(panics::dispose);
        self.inbox.close();
    }
}
