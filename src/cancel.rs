//! Cancelling everybody: read [`Cancelling`].
//!
//! Nothing that happens in here, be it an error, a panic or a destructor that panics, keeps the rest from being cancelled.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::panic::Location;
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

use crate::core::{Cancel, Core, Stop, warn};
use crate::crash::{Crash, Failure, FailureKind, Group, Interrupted, Panic, Site};
use crate::error::{Cancellation, Located, Reason, cancellation};
use crate::name;
use crate::record::Moment;
use crate::task::{BoxError, Header, Payload, Running, Step, Word, flag};

/// A thread that has not noticed its cancellation by then is named in a warning.
const THREAD_PATIENCE: Duration = Duration::from_secs(1);

/// A place in the program text.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    file: &'static str,
    line: u32,
    column: u32,
}

impl From<&'static Location<'static>> for Place {
    fn from(at: &'static Location<'static>) -> Place {
        Place { file: at.file(), line: at.line(), column: at.column() }
    }
}

/// Root first: sites, and the numbers of their coroutines.
struct Trace(Vec<(Site, u64)>);

impl Trace {
    fn of(task: &Header, place: impl Into<Place>) -> Trace {
        let mut trace = Trace(Vec::new());
        trace.up(task.id(), task.type_name(), place);
        trace
    }

    /// One who waits.
    fn up(&mut self, id: u64, type_name: &'static str, place: impl Into<Place>) {
        let Place { file, line, column } = place.into();
        self.0.push((Site { name: name::path(type_name).to_owned(), file, line, column }, id));
    }

    /// Root first; without the coroutine that only stands for a handle given to `run`.
    fn finish(mut self) -> (Vec<Site>, Vec<u64>) {
        if self.0.len() > 1 && self.0.last().is_some_and(|(site, _)| stands_in(&site.name)) {
            self.0.pop();
        }
        self.0.into_iter().rev().unzip()
    }
}

/// The coroutine of this name only stands for a handle given to `run`.
fn stands_in(name: &str) -> bool {
    name.starts_with("tinyio::coro::Coro<")
}

/// Sites that the traces of all who are cancelled may have together, before each is cut short: in a chain of a hundred thousand they would
/// be five billion.
const SITES: usize = 1 << 17;
/// Sites of a trace that is cut short: the nearest.
const SHORT: usize = 8;

/// Who waited for whom before anything was cancelled: afterwards the edges are gone.
struct Snapshot {
    /// In the order in which they were scheduled.
    stood: Vec<Stood>,
    /// Where each is in there, by slot; made when it is first asked for, which it seldom is.
    places: OnceCell<Vec<u32>>,
    /// What is left of [`SITES`].
    sites: Cell<usize>,
}

struct Stood {
    word: Word,
    id: u64,
    /// Who waits for it, if exactly one does.
    waiter: Word,
    name: fn() -> &'static str,
    place: &'static Location<'static>,
}

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

    /// From now on, between the polls of those who are told, too, nobody has a turn of his own, unless it is done `gently`.
    fn tells(&self, gently: bool) {
        self.cancel.set(Cancel { reason: Some(Reason::Crash), gently, ..Cancel::default() });
    }
}

impl Cancelling {
    /// Notes what everybody is at.
    pub(crate) fn begin(core: &Core) -> Cancelling {
        let original = core.failure.take().expect("only a failure cancels");
        core.slots.each(|task| {
            if task.id() == original.id {
                core.rec.end(task, Some(original.kind));
            }
        });
        core.rec.cancel_begin(core, &original);
        let snapshot = Snapshot::take(core);
        core.clear_queue();
        let warn_at = Some(core.deadline(THREAD_PATIENCE));
        let grace_until = core.grace.get().map(|grace| core.deadline(grace));
        let all_are_seen = core.group.get() == Group::Always || core.rec.is_on();
        let failures = vec![original];
        let (grace_over, first_round) = (false, true);
        let mut cancelling =
            Cancelling { snapshot, failures, warn_at, grace_until, grace_over, first_round, all_are_seen };
        if grace_until.is_some() {
            cancelling.tell_all(core, true);
        }
        cancelling
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
        if let Some(until) = self.grace_until {
            if let Some(wait) = self.clean_up(core, until) {
                return Some(wait);
            }
            (self.grace_until, self.grace_over) = (None, true);
            core.clear_queue();
        }
        core.tells(false);
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
            while let Some((task, step)) = core.poll_next() {
                self.judge(core, task, step, Cancel { answered: true, ..Cancel::default() });
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
        core.tells(gently);
        core.wake_foreign(None);
        let some = if std::mem::take(&mut self.first_round) {
            let all = self.snapshot.stood.len();
            (0..all).for_each(|index| self.tell(core, self.snapshot.stood[index].word, gently));
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
            return core.leave(&task); // The one that failed.
        }
        if !task.has(flag::STARTED) {
            let failure = self.failure(&task, FailureKind::NeverStarted, "had not started", None);
            return self.dismiss(core, task, FailureKind::NeverStarted, failure);
        }
        if !task.has(flag::TOLD) {
            task.set(flag::TOLD);
            core.rec.cancel_deliver(&task);
        }
        core.tells(gently);
        let step = core.poll(&mut task);
        let cancel = core.cancel.get();
        core.tells(gently);
        if gently && matches!(step, Step::Pending) && (cancel.answered || task.has(flag::THREAD)) {
            return; // It cleans up.
        }
        self.judge(core, task, step, cancel);
    }

    /// Judges how a coroutine took it.
    fn judge(&mut self, core: &Core, task: Running, step: Step, cancel: Cancel) {
        let told = task.has(flag::TOLD);
        let again = || went_on(cancel.again_at, task.place());
        let fail = |kind, answer: &str, error| Some((kind, self.failure(&task, kind, answer, error)));
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
                let value = task.describe_output().unwrap_or_default();
                fail(FailureKind::Improper, &format!("answered Ok({value})"), None)
            }
            Step::Failed(error) => match cancellation(&*error) {
                Some(_) if cancel.again > 0 => fail(FailureKind::Improper, &again(), Some(error)),
                Some(Cancellation::Source) if task.has(flag::THREAD) => fail(FailureKind::Improper, "", Some(error)),
                Some(_) => fail(FailureKind::Cancelled, "", Some(error)),
                None => fail(FailureKind::Error, "", Some(error)),
            },
            Step::Panicked(payload) => Some((FailureKind::Panic, Some(Box::new(self.snapshot.panic(&task, payload))))),
        };
        match failure {
            Some((kind, failure)) => self.dismiss(core, task, kind, failure),
            None => core.end(&task, None),
        }
    }

    /// What the crash is to say of a coroutine. `None`: nobody will see it.
    #[inline]
    fn failure(&self, task: &Header, kind: FailureKind, answer: &str, error: Option<BoxError>) -> Option<Box<Failure>> {
        let expected = matches!(kind, FailureKind::Cancelled | FailureKind::NeverStarted);
        (self.all_are_seen || !expected).then(|| Box::new(self.snapshot.failure(task, kind, answer, error)))
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
        if let Err(payload) = task.discard() {
            self.failures.push(self.snapshot.panic(&task, payload));
        }
        core.end(&task, Some(kind));
    }

    /// Makes the crash of it.
    pub(crate) fn finish(mut self, core: &Core) -> Crash {
        core.cancel.set(Cancel::default());
        core.abandon();
        // Somebody may have stopped a loop that was stopping already: that is not for its next run.
        core.failure.take();
        let failures = &mut self.failures;
        failures[1..].sort_by_key(|failure| (!failure.is_error(), failure.id));
        let report = core.rec.crash(failures);
        let group = core.group.get();
        // Who waited for the one that failed is told by its trace.
        let mut waited = failures[0].ids.clone();
        waited.sort_unstable();
        let mut first = true;
        failures.retain(|failure| {
            std::mem::take(&mut first)
                || match (group, failure.kind) {
                    (Group::Never, _) => false,
                    _ if failure.is_error() => true,
                    (Group::Auto, _) => false,
                    (Group::Always, FailureKind::Cancelled) => {
                        waited.binary_search(&failure.id).is_err() && !stands_in(&failure.name)
                    }
                    (Group::Always, _) => true,
                }
        });
        Crash::new(self.failures, report)
    }
}

impl Core {
    /// Cancels one coroutine, because its time is up. It may be left in the table as a thread that has to end yet.
    pub(crate) fn time_is_up(&self, coro: &Header) {
        let Some(mut task) = self.slots.run(coro.word()) else { return };
        if !task.is_alive() {
            return;
        }
        if !task.has(flag::STARTED) {
            if let Err(payload) = task.discard() {
                self.fail(Failure::of_panic(self, &task, payload));
            }
            return self.end(&task, Some(FailureKind::NeverStarted));
        }
        self.rec.cancel_deliver(&task);
        self.wake_foreign(Some(task.word()));
        let before = self.cancel.replace(Cancel { reason: Some(Reason::Timeout), ..Cancel::default() });
        let step = self.poll(&mut task);
        let cancel = self.cancel.replace(before);
        let kind = match step {
            // It ends by itself, and nobody waits for it.
            Step::Pending if task.has(flag::THREAD) => return task.set(flag::TOLD),
            Step::Pending if cancel.answered => {
                let answer = went_on(cancel.again_at, task.place());
                warn(&format!("{} did not end when its time was up: {answer}", name::path(task.type_name())));
                FailureKind::Improper
            }
            Step::Done => FailureKind::Improper,
            Step::Pending => FailureKind::Cancelled,
            Step::Failed(error) if cancellation(&*error).is_some() => FailureKind::Cancelled,
            Step::Failed(error) => return self.fail(Failure::of_error(self, &task, error)),
            Step::Panicked(payload) => return self.fail(Failure::of_panic(self, &task, payload)),
        };
        if let Err(payload) = task.discard() {
            return self.fail(Failure::of_panic(self, &task, payload));
        }
        self.end(&task, Some(kind));
    }

    /// Who waits for `task`, as long as exactly one does.
    fn trace(&self, task: &Header, place: Place) -> Trace {
        let mut trace = Trace::of(task, place);
        let mut next = self.only_waiter(task);
        // A cycle has no root; no chain is longer than there are coroutines.
        for _ in 0..self.live() {
            let waiter = self.slots.with(next, |waiter| {
                trace.up(waiter.id(), waiter.type_name(), waiter.place());
                self.only_waiter(waiter)
            });
            let Some(waiter) = waiter else { break };
            next = waiter;
        }
        trace
    }

    /// The coroutine that waits for `task`, if exactly one does.
    pub(crate) fn only_waiter(&self, task: &Header) -> Word {
        let mut only = None;
        task.each_waiter(|word| {
            let owner = if word.tag() == self.tag() { self.owner(word) } else { Word::NONE };
            only = Some(if only.is_none_or(|only| only == owner) { owner } else { Word::NONE });
        });
        only.unwrap_or(Word::NONE)
    }
}

fn went_on(again: Option<&Location<'_>>, told: &Location<'_>) -> String {
    match again {
        Some(at) => format!("awaited again at {at}"),
        None => format!("went on, in a future that tinyio does not know, after it was told at {told}"),
    }
}

impl Snapshot {
    fn take(core: &Core) -> Snapshot {
        let mut stood = Vec::with_capacity(core.live());
        core.slots.each(|task| {
            let (word, id, waiter) = (task.word(), task.id(), core.only_waiter(task));
            stood.push(Stood { word, id, waiter, name: task.name(), place: task.place() });
        });
        stood.sort_unstable_by_key(|stood| stood.id);
        Snapshot { stood, places: OnceCell::new(), sites: Cell::new(SITES) }
    }

    fn get(&self, word: Word) -> Option<&Stood> {
        let places = self.places.get_or_init(|| {
            let slots = self.stood.iter().map(|stood| stood.word.slot() as usize + 1).max().unwrap_or(0);
            let mut places = vec![u32::MAX; slots];
            for (place, stood) in self.stood.iter().enumerate() {
                places[stood.word.slot() as usize] = place as u32; // There are fewer than 2^29.
            }
            places
        });
        let place = *places.get(word.slot() as usize)?;
        self.stood.get(place as usize).filter(|stood| stood.word == word)
    }

    fn trace(&self, task: &Header, place: Option<Place>) -> Trace {
        let Some(mut stood) = self.get(task.word()) else {
            return Trace::of(task, place.unwrap_or(task.place().into()));
        };
        let mut trace = Trace::of(task, place.unwrap_or(stood.place.into()));
        let most = self.sites.get().max(SHORT);
        while let Some(waiter) = self.get(stood.waiter)
            && trace.0.len() < most
        {
            trace.up(waiter.id, (waiter.name)(), waiter.place);
            stood = waiter;
        }
        self.sites.set(self.sites.get().saturating_sub(trace.0.len()));
        trace
    }

    fn failure(&self, task: &Header, kind: FailureKind, answer: &str, error: Option<BoxError>) -> Failure {
        let place = match kind {
            FailureKind::Error => error.as_deref().and_then(located).map(|located| located.site.into()),
            _ => None,
        };
        Failure::new(task, kind, answer, error, self.trace(task, place))
    }

    fn panic(&self, task: &Header, payload: Payload) -> Failure {
        let place = PANIC.take();
        let panic = Panic::new(payload);
        Failure::new(task, FailureKind::Panic, "", Some(panic.into()), self.trace(task, place))
    }
}

fn located<'a>(error: &'a (dyn StdError + Send + Sync + 'static)) -> Option<&'a Located> {
    error.downcast_ref::<Located>()
}

impl Failure {
    fn new(task: &Header, kind: FailureKind, answer: &str, mut error: Option<BoxError>, trace: Trace) -> Failure {
        let located = error.as_deref_mut().and_then(|error| error.downcast_mut::<Located>());
        let error_type = located.as_ref().map_or("", |located| located.type_name);
        let moment = match (kind, located) {
            (FailureKind::Panic, _) => MOMENT.take(),
            (_, Some(located)) => std::mem::take(&mut located.moment),
            _ => Moment::default(),
        };
        let name = name::path(task.type_name()).to_owned();
        let (trace, ids) = trace.finish();
        Failure { kind, name, answer: answer.to_owned(), error, trace, id: task.id(), ids, error_type, moment }
    }

    /// It has an error of its own, be it one that hides the cancellation.
    fn is_error(&self) -> bool {
        match self.kind {
            FailureKind::Error | FailureKind::Panic => true,
            FailureKind::Improper => self.answer.is_empty(),
            FailureKind::Cancelled | FailureKind::NeverStarted => false,
        }
    }

    /// A coroutine returned this error.
    pub(crate) fn of_error(core: &Core, task: &Header, error: BoxError) -> Failure {
        let place = located(&*error).map_or(task.place(), |located| located.site).into();
        let trace = core.trace(task, place);
        Failure::new(task, FailureKind::Error, "", Some(error), trace)
    }

    /// A coroutine panicked.
    pub(crate) fn of_panic(core: &Core, task: &Header, payload: Payload) -> Failure {
        let trace = core.trace(task, PANIC.take().unwrap_or(task.place().into()));
        Failure::new(task, FailureKind::Panic, "", Some(Panic::new(payload).into()), trace)
    }

    /// The loop is stopped from outside.
    pub(crate) fn of_stop(stop: Stop) -> Failure {
        match stop {
            Stop::Interrupted => Failure::of_loop(Interrupted.into(), Vec::new()),
            Stop::Dropped => Failure::of_loop("the loop was dropped before it had finished".into(), Vec::new()),
        }
    }

    /// The loop itself cannot go on.
    pub(crate) fn of_loop(error: BoxError, trace: Vec<Site>) -> Failure {
        let (name, answer, moment) = ("the loop".to_owned(), String::new(), Moment::default());
        let (kind, ids, error_type) = (FailureKind::Error, Vec::new(), "");
        Failure { kind, name, answer, error: Some(error), trace, id: 0, ids, error_type, moment }
    }
}

impl Panic {
    fn new(payload: Payload) -> Panic {
        let message = match (payload.downcast_ref::<&'static str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (_, Some(text)) => text.clone(),
            _ => "(a payload that is no text)".to_owned(),
        };
        Panic { message, payload: std::sync::Mutex::new(Some(payload)) }
    }
}

thread_local! {
    /// Where this thread last panicked, and what its coroutine was at: a payload does not say.
    static PANIC: Cell<Option<Place>> = const { Cell::new(None) };
    static MOMENT: RefCell<Moment> = RefCell::default();
    /// Whose fault the panic is that comes next.
    static MISUSE: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Panics because of what stands at this place in the caller's program: a crash shows that line.
#[cold]
pub(crate) fn misused(at: &'static Location<'static>, message: &str) -> ! {
    MISUSE.set(Some(at));
    panic!("tinyio: {message}")
}

/// Has the process remember where threads panic. The hook that was there is called as before.
pub(crate) fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = MISUSE.try_with(Cell::take).ok().flatten().or(info.location());
            let place = place.map(|at| Place { file: keep(at.file()), line: at.line(), column: at.column() });
            let _ = PANIC.try_with(|last| last.set(place));
            let moment = crate::record::moment();
            let _ = MOMENT.try_with(|last| last.replace(moment));
            hook(info);
        }));
    });
}

/// The hook is lent its place for the time of the call. There are only as many files as the program was built from, so each
/// name is kept once.
fn keep(file: &str) -> &'static str {
    static FILES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    match files.get(file) {
        Some(kept) => kept,
        None => {
            let kept: &'static str = Box::leak(file.into());
            files.insert(kept);
            kept
        }
    }
}

/// Where this thread last panicked, told once.
pub(crate) fn take_panic_place() -> Option<Place> {
    PANIC.take()
}

/// The panic that is about to be resumed on this thread happened there, on another.
pub(crate) fn set_panic_place(place: Option<Place>) {
    PANIC.set(place);
}
