//! Cancels all coroutines: read [`Cancelling`].
//!
//! No error, panic or panicking destructor keeps the remaining coroutines from being cancelled.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::Duration;

use crate::executor::await_chain::Snapshot;
use crate::executor::{Delivery, Executor, MAX_STEPS_PER_TURN, Progress, warn};
use crate::failure::crash::{Crash, Failure, FailureKind, Group};
use crate::failure::error::FoundIn;
use crate::failure::type_name;
use crate::observe::Observer;
use crate::panics;
use crate::task::{Fault, Header, Payload, Reason, Running, Step, WakeToken, flag};

/// A thread that has not noticed its cancellation by then is named in a warning.
const THREAD_WARNING: Duration = Duration::from_secs(1);
/// The number of coroutines that destructors and cleanup code may schedule while everything is being cancelled, in
/// addition to two for each that was alive.
const LATE: usize = 10_000;
/// After this many panics outside of coroutines, the remaining ones are dropped without a cancellation.
const PANICS: usize = 1_000;

/// The cancellation of all coroutines of a loop.
///
/// ```text
/// begin ─▶ deliver, with grace period ──▶ clean up, awaiting ──┐ the period is over
///   │                                                          ▼
///   └────────────────────────▶ deliver, classify each answer ───▶ threads end ──▶ all have ended ──▶ finish
///                                        ▲                                │
///                                        └────── cleanup scheduled more ──┘
/// ```
pub(crate) struct Cancelling {
    snapshot: Snapshot,
    failures: Vec<Failure>,
    /// The reason that await points answer with.
    reason: Reason,
    /// When threads that have not ended are named in a warning; `None` once they were.
    warn_at: Option<u64>,
    /// Until when cleanup code may await.
    grace_until: Option<u64>,
    /// The grace period was granted, and is over.
    grace_over: bool,
    /// The first round, before any delivery: its order is that of the snapshot.
    first_round: bool,
    /// Coroutines that were cancelled properly are shown too; otherwise nothing is kept of them, as there may be a
    /// million.
    all_are_seen: bool,
}

impl Executor {
    /// Makes await points answer with this reason. Unless `with_grace` is set, no coroutine is queued for a step
    /// between the polls that deliver the cancellation.
    fn answer_with(&self, reason: Reason, with_grace: bool) {
        self.cancellation.delivery.set(Delivery { reason: Some(reason), with_grace, ..Delivery::default() });
    }

    /// Handles a coroutine that was scheduled during the cancellation.
    #[cold]
    pub(super) fn count_late(&self, coro: &Header) {
        let (late, limit) = self.cancellation.late.get();
        self.cancellation.late.set((late + 1, limit));
        if late == limit {
            warn(&format!(
                "destructors have scheduled {late} coroutines while the loop was being cancelled, at last {} ({}). They and those that \
                 they schedule in turn are leaked, as the run would never end otherwise: let no destructor schedule a coroutine whose \
                 destructor schedules another",
                type_name::path(coro.type_name()),
                coro.place()
            ));
        }
    }

    /// Starts counting the coroutines that are scheduled during the cancellation.
    pub(crate) fn begin_late_count(&self) {
        self.cancellation.late.set((0, LATE + 2 * self.live()));
    }

    /// Drops what is left of a coroutine, or leaks it if destructors schedule others without end.
    pub(crate) fn discard(&self, task: &mut Running) -> Result<(), Payload> {
        let (late, limit) = self.cancellation.late.get();
        if late <= limit || task.has(flag::STARTED) {
            return task.discard();
        }
        task.leak();
        Ok(())
    }

    /// Empties the ready queue and the list of coroutines to be cancelled.
    pub(crate) fn clear_queue(&self) {
        self.cancellation.abandoned.borrow_mut().clear();
        while self.ready.pop_any().is_some() {}
    }

    /// Removes all tasks, whatever their state.
    pub(crate) fn abandon(&self) {
        self.end_watch();
        self.clear_queue();
        if self.live() > 0 {
            self.begin_late_count();
            self.cancellation.delivery.set(Delivery { reason: Some(Reason::Crash(None)), ..Delivery::default() });
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
        self.cancellation.delivery.set(Delivery::default());
        self.clear_queue();
        // Timers, wakers and queue entries were removed with their futures; the remaining ones belong to futures that
        // the caller has kept, and may poll in the next run.
        self.deadlocks.end_run();
    }
}

impl Cancelling {
    /// Takes a snapshot of where all coroutines wait.
    pub(crate) fn begin(executor: &Executor) -> Cancelling {
        let mut original = executor.failure.take().expect("only a failure cancels");
        let name = executor.slots.with(original.wake_token, |task| {
            executor.rec.end(task, Some(original.kind));
            task.name()
        });
        executor.rec.cancel_begin(executor, &original);
        let snapshot = Snapshot::take(executor);
        executor.clear_queue();
        executor.begin_late_count();
        let warn_at = Some(executor.deadline(THREAD_WARNING));
        let grace_until = executor.cancellation.grace.get().map(|grace| executor.deadline(grace));
        let all_are_seen = executor.cancellation.group.get() == Group::Always || executor.rec.is_on();
        let (mut failures, mut reason) = (Vec::new(), Reason::Crash(name));
        // A run inside a step was stopped together with this loop: the error that the step returned only follows from
        // that.
        if original.is_interrupted()
            && let Some(stop) = executor.inbox().take_stop()
        {
            original.kind = FailureKind::Cancelled;
            reason = Reason::Crash(None);
            failures.push(Failure::of_stop(stop));
        }
        failures.push(original);
        let (grace_over, first_round) = (false, true);
        Cancelling { snapshot, failures, reason, warn_at, grace_until, grace_over, first_round, all_are_seen }
    }

    /// Continues as far as possible without waiting. [`Progress::Done`]: no coroutine is left.
    ///
    /// 1. Those that never began are dropped. The others are polled once, in the order in which they were scheduled;
    ///    each await point of tinyio answers `CancelledError`.
    /// 2. A coroutine that is still pending and got no answer waits in a future that is not of tinyio: dropping it
    ///    is a proper answer.
    /// 3. Threads were cancelled in 1, and are waited for. There is no time limit: a function that never checks is
    ///    named in a warning.
    /// 4. Cleanup code may have scheduled more: repeat until no coroutine is left.
    pub(crate) fn advance(&mut self, executor: &Executor) -> Progress {
        // A panic that no coroutine caught, such as that of an error's `source`, must not stop the delivery.
        for _ in 0..PANICS {
            match catch_unwind(AssertUnwindSafe(|| self.advance_uncontained(executor))) {
                Ok(progress) => return progress,
                Err(payload) => self.failures.push(Failure::of_loop_panic(payload)),
            }
        }
        Progress::Done
    }

    fn advance_uncontained(&mut self, executor: &Executor) -> Progress {
        if let Some(until) = self.grace_until {
            if self.first_round {
                self.deliver_all(executor, true);
            }
            if let Some(next) = self.clean_up(executor, until) {
                return Progress::Idle(Some(next));
            }
            (self.grace_until, self.grace_over) = (None, true);
            executor.clear_queue();
        }
        executor.answer_with(self.reason, false);
        executor.read_inbox();
        loop {
            if self.deliver_all(executor, false) {
                continue; // They may have scheduled more.
            }
            // Those whose functions have returned since are over now.
            let threads = self.stopping_threads(executor);
            for (_, wake_token, ..) in &threads {
                self.deliver(executor, *wake_token, false);
            }
            let waiting = self.stopping_threads(executor);
            if waiting.is_empty() {
                if executor.live() == 0 {
                    return Progress::Done;
                }
                continue;
            }
            if waiting.len() < threads.len() {
                continue;
            }
            if self.warn_at.is_some_and(|at| executor.now() >= at) {
                self.warn_at = None;
                for (_, _, name, place) in &waiting {
                    warn(&format!(
                        "waiting for the thread that runs {name} ({}:{}): it was asked to stop {} s ago and has not ended; let it call \
                         `tinyio::thread::check_cancelled` now and then",
                        place.file(),
                        place.line(),
                        THREAD_WARNING.as_secs()
                    ));
                }
            }
            return Progress::Idle(self.warn_at);
        }
    }

    /// Ends the grace period: a coroutine that awaits in its cleanup is dropped.
    pub(crate) fn skip_grace(&mut self) {
        self.grace_until = self.grace_until.map(|_| 0);
    }

    /// Lets cleanup code run as usual; returns when to call it again, and `None` when all have ended or the period is
    /// over.
    fn clean_up(&mut self, executor: &Executor, until: u64) -> Option<u64> {
        executor.cancellation.delivery.set(Delivery::default());
        executor.drain_sources();
        self.keep_failure(executor);
        loop {
            let progress = executor.turn(|| {
                let mut made = 0;
                while made < MAX_STEPS_PER_TURN {
                    let Some(mut task) = executor.next_task() else { break };
                    made += 1;
                    let step = executor.poll_alone(&mut task);
                    self.classify(executor, &mut task, step, Delivery { answered: true, ..Delivery::default() });
                    self.keep_failure(executor);
                }
                Some(made)
            });
            self.keep_failure(executor);
            if executor.live() == 0 || executor.now() >= until {
                return None;
            }
            if let Progress::Idle(timer) = progress {
                let next = timer.map_or(until, |timer| timer.min(until));
                if next > executor.now() {
                    return Some(next);
                }
            }
        }
    }

    /// Keeps the failure of what cleanup code cancelled itself, by a timeout or a dropped handle.
    fn keep_failure(&mut self, executor: &Executor) {
        let failure = executor.failure.take();
        if let Some(failure) = failure.filter(|failure| !failure.wake_token.is_none()) {
            if let Some(task) = executor.slots.run(failure.wake_token) {
                executor.end(&executor.rec, &task, Some(failure.kind));
            }
            self.failures.push(failure);
        }
    }

    fn stopping_threads(&self, executor: &Executor) -> Vec<(u64, WakeToken, &'static str, &'static Location<'static>)> {
        let mut threads = Vec::new();
        executor.slots.each(|task| {
            if task.has(flag::THREAD) && task.has(flag::CANCEL_DELIVERED) {
                threads.push((task.id(), task.wake_token(), type_name::path(task.type_name()), task.place()));
            }
        });
        threads.sort_unstable_by_key(|(id, ..)| *id);
        threads
    }

    /// Delivers the cancellation: `with_grace` to the coroutines that have not received it, otherwise to all, except
    /// threads that have received it. Returns `true` if there were any.
    fn deliver_all(&mut self, executor: &Executor, with_grace: bool) -> bool {
        executor.answer_with(self.reason, with_grace);
        executor.wake_foreign(None);
        let some = if std::mem::take(&mut self.first_round) {
            let all = self.snapshot.len();
            (0..all).for_each(|index| self.deliver(executor, self.snapshot.wake_token(index), with_grace));
            all > 0
        } else {
            let mut tasks = Vec::new();
            executor.slots.each(|task| {
                if !(task.has(flag::CANCEL_DELIVERED) && (with_grace || task.has(flag::THREAD))) {
                    tasks.push((task.id(), task.wake_token()));
                }
            });
            tasks.sort_unstable_by_key(|(id, _)| *id);
            tasks.iter().for_each(|(_, wake_token)| self.deliver(executor, *wake_token, with_grace));
            !tasks.is_empty()
        };
        if with_grace {
            executor.cancellation.delivery.set(Delivery::default());
        }
        some
    }

    /// Delivers the cancellation to one coroutine, once, and classifies its answer. `with_grace`: await points that it
    /// reaches afterwards work as usual.
    fn deliver(&mut self, executor: &Executor, wake_token: WakeToken, with_grace: bool) {
        let Some(mut task) = executor.slots.run(wake_token) else { return };
        if !task.is_alive() {
            return executor.leave(&executor.rec, &task); // The coroutine that failed.
        }
        if !task.has(flag::STARTED) {
            let failure = self.failure(&task, FailureKind::NeverStarted, "had not started", None);
            return self.finish_task(executor, &mut task, FailureKind::NeverStarted, failure);
        }
        if !task.has(flag::CANCEL_DELIVERED) {
            task.set(flag::CANCEL_DELIVERED);
            executor.rec.cancel_deliver(&task);
        }
        executor.answer_with(self.reason, with_grace);
        let step = executor.poll_alone(&mut task);
        let delivery = executor.cancellation.delivery.get();
        executor.answer_with(self.reason, with_grace);
        if !self.all_are_seen && delivery.again == 0 && matches!(step, Step::Failed(Fault::Cancelled(_))) {
            return executor.end(&executor.rec, &task, Some(FailureKind::Cancelled)); // The common case: not shown.
        }
        if with_grace && matches!(step, Step::Pending) && (delivery.answered || task.has(flag::THREAD)) {
            return; // It cleans up.
        }
        self.classify(executor, &mut task, step, delivery);
    }

    /// Classifies how a coroutine responded to its cancellation. The first arm that matches counts.
    fn classify(&mut self, executor: &Executor, task: &mut Running, step: Step, delivery: Delivery) {
        let delivered = task.has(flag::CANCEL_DELIVERED);
        let again = || went_on(delivery.again_at, task.place());
        let fail = |kind, answer: &str, fault| Some((kind, self.failure(task, kind, answer, fault)));
        let failure = match step {
            Step::Pending if task.has(flag::THREAD) || executor.cancellation.delivery.get().reason.is_none() => return,
            Step::Pending if self.grace_over && delivered => {
                fail(FailureKind::Improper, "was cut off when the grace period was over", None)
            }
            Step::Pending if !delivery.answered => fail(FailureKind::Cancelled, "cancelled", None),
            Step::Pending => fail(FailureKind::Improper, &again(), None),
            // It was about to end and reached no await point, or it is part of a cleanup.
            Step::Done if !delivery.answered || !delivered => None,
            Step::Done => {
                let value =
                    task.describe_output().filter(|_| executor.rec.keeps_values()).unwrap_or_else(|| "_".to_owned());
                fail(FailureKind::Improper, &format!("answered Ok({value})"), None)
            }
            Step::Failed(fault) => match fault.cancellation() {
                Some(_) if delivery.again > 0 => fail(FailureKind::Improper, &again(), Some(fault)),
                Some(FoundIn::Source) if task.has(flag::THREAD) => fail(FailureKind::Improper, "", Some(fault)),
                Some(_) => fail(FailureKind::Cancelled, "", Some(fault)),
                None => fail(FailureKind::Error, "", Some(fault)),
            },
            Step::Panicked(payload) => {
                Some((FailureKind::Panic, Some(Box::new(Failure::of_panicked_cleanup(&self.snapshot, task, payload)))))
            }
        };
        match failure {
            Some((kind, failure)) => self.finish_task(executor, task, kind, failure),
            None => executor.end(&executor.rec, task, None),
        }
    }

    /// The failure that the crash shows for a coroutine. `None`: it is not shown.
    #[inline]
    fn failure(&self, task: &Header, kind: FailureKind, answer: &str, fault: Option<Fault>) -> Option<Box<Failure>> {
        let expected = matches!(kind, FailureKind::Cancelled | FailureKind::NeverStarted);
        (self.all_are_seen || !expected)
            .then(|| Box::new(Failure::of_cancelled(&self.snapshot, task, kind, answer, fault)))
    }

    /// Records how a coroutine ended and drops what is left of it.
    fn finish_task(
        &mut self,
        executor: &Executor,
        task: &mut Running,
        kind: FailureKind,
        failure: Option<Box<Failure>>,
    ) {
        if let Some(failure) = failure {
            if kind == FailureKind::Improper && executor.cancellation.group.get() != Group::Always {
                let place =
                    failure.trace.last().map(|site| format!(" ({}:{})", site.file, site.line)).unwrap_or_default();
                warn(&format!(
                    "{}{place} did not respond properly to its cancellation: {}",
                    failure.name,
                    failure.message()
                ));
            }
            self.failures.push(*failure);
        }
        if let Err(payload) = executor.discard(task) {
            self.failures.push(Failure::of_panicked_cleanup(&self.snapshot, task, payload));
        }
        executor.end(&executor.rec, task, Some(kind));
    }

    /// Makes the crash from the collected failures.
    pub(crate) fn finish(mut self, executor: &Executor) -> Crash {
        executor.cancellation.delivery.set(Delivery::default());
        executor.abandon();
        let failures = &mut self.failures;
        // A stopping loop may have been stopped again, which must not affect its next run.
        match executor.failure.take() {
            Some(failure) if failure.kind == FailureKind::Panic => failures.push(failure),
            other => panics::dispose(other),
        }
        failures[1..].sort_by_key(|failure| (!failure.is_error(), failure.id));
        let report = executor.rec.crash(failures);
        let group = executor.cancellation.group.get();
        // The waiters of the failed coroutine are in its trace.
        let mut waited = failures[0].ids.clone();
        waited.sort_unstable();
        let mut first = true;
        let (failures, unseen): (Vec<Failure>, Vec<Failure>) = self.failures.into_iter().partition(|failure| {
            std::mem::take(&mut first)
                || match (group, failure.kind) {
                    (Group::Never, _) => false,
                    _ if failure.is_error() => true,
                    (Group::Auto, _) => false,
                    (Group::Always, FailureKind::Cancelled) => {
                        waited.binary_search(&failure.id).is_err() && !type_name::is_stand_in(&failure.name)
                    }
                    (Group::Always, _) => true,
                }
        });
        unseen.into_iter().for_each(panics::dispose);
        Crash::new(failures, report)
    }
}

/// How a coroutine continued after an await point had returned its cancellation at `answered`.
pub(super) fn went_on(again: Option<&Location<'_>>, answered: &Location<'_>) -> String {
    match again {
        Some(at) => format!("awaited again at {at}"),
        None => {
            format!("continued, in a future that is not of tinyio, after `CancelledError` was returned at {answered}")
        }
    }
}
