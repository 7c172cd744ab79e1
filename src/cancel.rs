//! Cancelling everybody: read [`Cancelling`].
//!
//! Nothing that happens in here, be it an error, a panic or a destructor that panics, keeps the rest from being cancelled.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::Duration;

use crate::core::{Cancel, Core, STEPS_PER_TURN, warn};
use crate::crash::{Crash, Failure, FailureKind, Group};
use crate::error::{Cancellation, Fault, Reason};
use crate::name;
use crate::panics;
use crate::task::{Header, Running, Step, Word, flag};
use crate::trace::{self, Snapshot};

/// A thread that has not noticed its cancellation by then is named in a warning.
const THREAD_PATIENCE: Duration = Duration::from_secs(1);
/// After so many panics outside of coroutines, those that are left are dropped without being told.
const PANICS: usize = 1_000;

/// Everybody is being cancelled.
///
/// ```text
/// begin ──▶ told, with a grace period ──▶ clean up, awaiting ──┐ the period is over
///   │                                                          ▼
///   └────────────────────────▶ told, and judged by the answer ──▶ threads end ──▶ nobody is left ──▶ finish
///                                        ▲                                │
///                                        └────── cleanup scheduled more ──┘
/// ```
pub(crate) struct Cancelling {
    snapshot: Snapshot,
    failures: Vec<Failure>,
    /// What await points answer.
    reason: Reason,
    /// When threads that have not ended are named in a warning; `None` once they were.
    warn_at: Option<u64>,
    /// Until when cleanup code may await.
    grace_until: Option<u64>,
    /// The period was granted, and is over.
    grace_over: bool,
    /// Nobody has been told: everybody is in the snapshot, in order.
    first_round: bool,
    /// Somebody will see also those who were cancelled as they should be; otherwise nothing is kept of them, as there may be a million.
    all_are_seen: bool,
}

impl Core {
    /// Tells everyone, blocks until all have ended, and makes the crash.
    pub(crate) fn cancel_all(&self) -> Crash {
        let mut cancelling = Cancelling::begin(self);
        while let Some(until) = cancelling.advance(self) {
            self.park(Some(until));
        }
        cancelling.finish(self)
    }

    /// From now on await points answer with this reason. Unless it is done `gently`, no coroutine has a turn of its own between the polls
    /// of those that are told.
    fn tells(&self, reason: Reason, gently: bool) {
        self.cancel.set(Cancel { reason: Some(reason), gently, ..Cancel::default() });
    }
}

impl Cancelling {
    /// Notes what everybody is at.
    pub(crate) fn begin(core: &Core) -> Cancelling {
        let mut original = core.failure.take().expect("only a failure cancels");
        let name = core.slots.with(original.word, |task| {
            core.rec.end(task, Some(original.kind));
            task.name()
        });
        core.rec.cancel_begin(core, &original);
        let snapshot = Snapshot::take(core);
        core.clear_queue();
        core.expect_late();
        let warn_at = Some(core.deadline(THREAD_PATIENCE));
        let grace_until = core.grace.get().map(|grace| core.deadline(grace));
        let all_are_seen = core.group.get() == Group::Always || core.rec.is_on();
        let (mut failures, mut reason) = (Vec::new(), Reason::Crash(name));
        // A run inside of a step was stopped with this loop: what the step made of that only follows from it.
        if original.is_interrupted()
            && let Some(stop) = core.inbox().take_stop()
        {
            original.kind = FailureKind::Cancelled;
            reason = Reason::Crash(None);
            failures.push(Failure::of_stop(stop));
        }
        failures.push(original);
        let (grace_over, first_round) = (false, true);
        Cancelling { snapshot, failures, reason, warn_at, grace_until, grace_over, first_round, all_are_seen }
    }

    /// Goes on as far as it can without waiting: returns when to be called again, unless there is mail before, and `None` when nobody
    /// is left.
    ///
    /// 1. Those that never began are dropped. The others are polled once, in the order in which they were scheduled; each await point
    ///    of tinyio answers `CancelledError`.
    /// 2. Who is still pending and was not answered sits in a future that tinyio does not know: dropping it is a proper answer.
    /// 3. Threads were asked in 1; they are waited for.
    /// 4. Cleanup code may have scheduled more: again, until nobody is left.
    pub(crate) fn advance(&mut self, core: &Core) -> Option<u64> {
        // A panic that no coroutine caught, such as that of an error's `source`, keeps nothing from being told.
        for _ in 0..PANICS {
            match catch_unwind(AssertUnwindSafe(|| self.go_on(core))) {
                Ok(until) => return until,
                Err(payload) => self.failures.push(Failure::of_loop_panic(payload)),
            }
        }
        None
    }

    fn go_on(&mut self, core: &Core) -> Option<u64> {
        if let Some(until) = self.grace_until {
            if self.first_round {
                self.tell_all(core, true);
            }
            if let Some(wait) = self.clean_up(core, until) {
                return Some(wait);
            }
            (self.grace_until, self.grace_over) = (None, true);
            core.clear_queue();
        }
        core.tells(self.reason, false);
        core.read_inbox();
        loop {
            if self.tell_all(core, false) {
                continue; // They may have scheduled more.
            }
            let threads = self.told_threads(core);
            for (_, word, ..) in &threads {
                self.tell(core, *word, false);
            }
            let waiting = self.told_threads(core);
            if waiting.is_empty() {
                if core.live() == 0 {
                    return None;
                }
                continue;
            }
            if waiting.len() < threads.len() {
                continue;
            }
            if self.warn_at.is_some_and(|at| core.now() >= at) {
                self.warn_at = None;
                for (_, _, name, place) in &waiting {
                    warn(&format!(
                        "waiting for the thread that runs {name} ({}:{}): it was asked to stop {} s ago and has not ended; let it call \
                         `tinyio::thread::check_cancelled` now and then",
                        place.file(),
                        place.line(),
                        THREAD_PATIENCE.as_secs()
                    ));
                }
            }
            return Some(self.warn_at.unwrap_or(u64::MAX));
        }
    }

    /// Whoever awaits in his cleanup is cut off.
    pub(crate) fn hurry(&mut self) {
        self.grace_until = self.grace_until.map(|_| 0);
    }

    /// Lets cleanup code run as usual; returns when to look again, and `None` when all have ended or the period is over.
    fn clean_up(&mut self, core: &Core, until: u64) -> Option<u64> {
        core.cancel.set(Cancel::default());
        loop {
            core.look_around();
            self.keep_failure(core);
            for _ in 0..STEPS_PER_TURN {
                let Some((task, step)) = core.poll_next::<true>() else { break };
                self.judge(core, task, step, Cancel { answered: true, ..Cancel::default() });
                self.keep_failure(core);
            }
            core.rec.turn_end();
            if core.live() == 0 || core.now() >= until {
                return None;
            }
            let next = core.timers.borrow().next().map_or(until, |at| at.min(until));
            if core.is_idle() && next > core.now() {
                return Some(next);
            }
        }
    }

    /// What cleanup code cancelled by itself, by a timeout or a dropped handle, may have failed.
    fn keep_failure(&mut self, core: &Core) {
        let failure = core.failure.take();
        if let Some(failure) = failure.filter(|failure| !failure.word.is_none()) {
            if let Some(task) = core.slots.run(failure.word) {
                core.end::<true>(&task, Some(failure.kind));
            }
            self.failures.push(failure);
        }
    }

    fn told_threads(&self, core: &Core) -> Vec<(u64, Word, &'static str, &'static Location<'static>)> {
        let mut threads = Vec::new();
        core.slots.each(|task| {
            if task.has(flag::THREAD) && task.has(flag::TOLD) {
                threads.push((task.id(), task.word(), name::path(task.type_name()), task.place()));
            }
        });
        threads.sort_unstable_by_key(|(id, ..)| *id);
        threads
    }

    /// Tells all that have not been told, or, when it is not done `gently`, all but the threads that have. `true`: there were some.
    fn tell_all(&mut self, core: &Core, gently: bool) -> bool {
        core.tells(self.reason, gently);
        core.wake_foreign(None);
        let some = if std::mem::take(&mut self.first_round) {
            let all = self.snapshot.len();
            (0..all).for_each(|index| self.tell(core, self.snapshot.word(index), gently));
            all > 0
        } else {
            let mut tasks = Vec::new();
            core.slots.each(|task| {
                if !(task.has(flag::TOLD) && (gently || task.has(flag::THREAD))) {
                    tasks.push((task.id(), task.word()));
                }
            });
            tasks.sort_unstable_by_key(|(id, _)| *id);
            tasks.iter().for_each(|(_, word)| self.tell(core, *word, gently));
            !tasks.is_empty()
        };
        if gently {
            core.cancel.set(Cancel::default());
        }
        some
    }

    /// Tells one coroutine, once, and judges its answer. `gently`: await points that it comes to afterwards work as usual.
    fn tell(&mut self, core: &Core, word: Word, gently: bool) {
        let Some(mut task) = core.slots.run(word) else { return };
        if !task.is_alive() {
            return core.leave::<true>(&task); // The one that failed.
        }
        if !task.has(flag::STARTED) {
            let failure = self.failure(&task, FailureKind::NeverStarted, "had not started", None);
            return self.dismiss(core, task, FailureKind::NeverStarted, failure);
        }
        if !task.has(flag::TOLD) {
            task.set(flag::TOLD);
            core.rec.cancel_deliver(&task);
        }
        core.tells(self.reason, gently);
        let step = core.poll::<true>(&mut task);
        let cancel = core.cancel.get();
        core.tells(self.reason, gently);
        if !self.all_are_seen && cancel.again == 0 && matches!(step, Step::Failed(Fault::Cancelled(_))) {
            return core.end::<true>(&task, Some(FailureKind::Cancelled)); // As nearly all do, and nobody will see it.
        }
        if gently && matches!(step, Step::Pending) && (cancel.answered || task.has(flag::THREAD)) {
            return; // It cleans up.
        }
        self.judge(core, task, step, cancel);
    }

    /// Judges how a coroutine took it.
    fn judge(&mut self, core: &Core, task: Running, step: Step, cancel: Cancel) {
        let told = task.has(flag::TOLD);
        let again = || went_on(cancel.again_at, task.place());
        let fail = |kind, answer: &str, fault| Some((kind, self.failure(&task, kind, answer, fault)));
        let failure = match step {
            Step::Pending if task.has(flag::THREAD) || core.cancel.get().reason.is_none() => return,
            Step::Pending if self.grace_over && told => {
                fail(FailureKind::Improper, "was cut off when the grace period was over", None)
            }
            Step::Pending if !cancel.answered => fail(FailureKind::Cancelled, "cancelled", None),
            Step::Pending => fail(FailureKind::Improper, &again(), None),
            // It was about to end, and came by no await point; or it is part of a cleanup.
            Step::Done if !cancel.answered || !told => None,
            Step::Done => {
                let value =
                    task.describe_output().filter(|_| core.rec.keeps_values()).unwrap_or_else(|| "_".to_owned());
                fail(FailureKind::Improper, &format!("answered Ok({value})"), None)
            }
            Step::Failed(fault) => match fault.cancellation() {
                Some(_) if cancel.again > 0 => fail(FailureKind::Improper, &again(), Some(fault)),
                Some(Cancellation::Source) if task.has(flag::THREAD) => fail(FailureKind::Improper, "", Some(fault)),
                Some(_) => fail(FailureKind::Cancelled, "", Some(fault)),
                None => fail(FailureKind::Error, "", Some(fault)),
            },
            Step::Panicked(payload) => {
                Some((FailureKind::Panic, Some(Box::new(Failure::of_panicked_cleanup(&self.snapshot, &task, payload)))))
            }
        };
        match failure {
            Some((kind, failure)) => self.dismiss(core, task, kind, failure),
            None => core.end::<true>(&task, None),
        }
    }

    /// What the crash is to say of a coroutine. `None`: nobody will see it.
    #[inline]
    fn failure(&self, task: &Header, kind: FailureKind, answer: &str, fault: Option<Fault>) -> Option<Box<Failure>> {
        let expected = matches!(kind, FailureKind::Cancelled | FailureKind::NeverStarted);
        (self.all_are_seen || !expected)
            .then(|| Box::new(Failure::of_cancelled(&self.snapshot, task, kind, answer, fault)))
    }

    /// Notes how a coroutine ended and drops what is left of it.
    fn dismiss(&mut self, core: &Core, mut task: Running, kind: FailureKind, failure: Option<Box<Failure>>) {
        if let Some(failure) = failure {
            if kind == FailureKind::Improper && core.group.get() != Group::Always {
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
        if let Err(payload) = core.discard(&mut task) {
            self.failures.push(Failure::of_panicked_cleanup(&self.snapshot, &task, payload));
        }
        core.end::<true>(&task, Some(kind));
    }

    /// Makes the crash of it.
    pub(crate) fn finish(mut self, core: &Core) -> Crash {
        core.cancel.set(Cancel::default());
        core.abandon();
        let failures = &mut self.failures;
        // A loop that is stopping already may have been stopped again, which is not for its next run.
        match core.failure.take() {
            Some(failure) if failure.kind == FailureKind::Panic => failures.push(failure),
            other => panics::dispose(other),
        }
        failures[1..].sort_by_key(|failure| (!failure.is_error(), failure.id));
        let report = core.rec.crash(failures);
        let group = core.group.get();
        // Who waited for the one that failed is told by its trace.
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
                        waited.binary_search(&failure.id).is_err() && !trace::stands_in(&failure.name)
                    }
                    (Group::Always, _) => true,
                }
        });
        unseen.into_iter().for_each(panics::dispose);
        Crash::new(failures, report)
    }
}

impl Core {
    /// Cancels one coroutine alone: its time is up, or its last handle was dropped. It gets `CancelledError` at its await point and ends; a
    /// function on a thread is asked to stop, and its coroutine stays in the table until it has ended. An output that it ends with is kept
    /// for its handles.
    pub(crate) fn cancel_one(&self, coro: Word, reason: Reason) {
        let Some(mut task) = self.slots.run(coro) else { return };
        if !task.is_alive() || task.has(flag::TOLD) {
            return;
        }
        if !task.has(flag::STARTED) {
            if let Err(payload) = task.discard() {
                self.fail(Failure::of_panic(self, &task, payload));
            }
            return self.end::<true>(&task, Some(FailureKind::NeverStarted));
        }
        self.rec.cancel_deliver(&task);
        self.wake_foreign(Some(task.word()));
        let before = self.cancel.replace(Cancel { reason: Some(reason), ..Cancel::default() });
        let step = self.poll::<true>(&mut task);
        let cancel = self.cancel.replace(before);
        let kind = match step {
            // It ends by itself.
            Step::Pending if task.has(flag::THREAD) => return task.set(flag::TOLD),
            Step::Pending if cancel.answered => {
                let answer = went_on(cancel.again_at, task.place());
                warn(&format!(
                    "{} did not end when it was cancelled ({reason}): {answer}",
                    name::path(task.type_name())
                ));
                Some(FailureKind::Improper)
            }
            Step::Done => None,
            Step::Pending => Some(FailureKind::Cancelled),
            Step::Failed(fault) if fault.cancellation().is_some() => Some(FailureKind::Cancelled),
            Step::Failed(fault) => return self.fail(Failure::of_error(self, &task, fault)),
            Step::Panicked(payload) => return self.fail(Failure::of_panic(self, &task, payload)),
        };
        // What is left of it is dropped here, where a panic is caught.
        if (kind.is_some() || task.is_abandoned())
            && let Err(payload) = task.discard()
        {
            return self.fail(Failure::of_panic(self, &task, payload));
        }
        self.end::<true>(&task, kind);
    }
}

fn went_on(again: Option<&Location<'_>>, told: &Location<'_>) -> String {
    match again {
        Some(at) => format!("awaited again at {at}"),
        None => format!("went on, in a future that tinyio does not know, after it was told at {told}"),
    }
}
