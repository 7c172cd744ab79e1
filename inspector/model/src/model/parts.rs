//! Everything besides coroutines: loops, threads, resources, the log, crashes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tinyio_events::event::{
    CoroId, Failure, LoopId, LoopMode, LoopOutcome, NameId, Outcome, ResId, ResKind, SiteId, ThreadId,
};

use super::links::Links;

/// One loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    /// Its number.
    pub id: LoopId,
    /// The coroutine inside which it runs, 0 for none.
    pub parent: CoroId,
    /// The name that the program gave it, 0 for none.
    pub name: NameId,
    /// How it was started.
    pub mode: LoopMode,
    /// When it started.
    pub since: u64,
    /// When and how it ended.
    pub ended: Option<(u64, LoopOutcome)>,
    /// Since when it sleeps, and until when if it has a timer.
    pub parked: Option<(u64, Option<u64>)>,
    /// The coroutine being polled, and since when; the innermost one, if they poll each other.
    pub running: Option<(CoroId, u64)>,
    /// In a worker: the coroutines that poll the running one, outermost first.
    pub outer: Vec<Outer>,
    /// How much of that time was not the coroutine's, as far as it was recorded: see
    /// [`Kind::Away`](tinyio_events::event::Kind::Away); or was that of coroutines that it polled.
    pub away: u64,
    /// Its cancellation, once that has begun.
    pub cancel: Option<Arc<Cancel>>,
    /// Number of its coroutines that live.
    pub live: u32,
    /// Nanoseconds spent in steps.
    pub busy: u64,
    /// Steps begun.
    pub steps: u64,
}

/// A coroutine that polls another one, which is recorded too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// The coroutine.
    pub coro: CoroId,
    /// When its step began.
    pub since: u64,
    /// See [`Loop::away`].
    pub away: u64,
}

impl Loop {
    /// The time that it has spent in steps, the present one included.
    pub fn busy_at(&self, time: u64) -> u64 {
        let running = self.running.map(|(coro, since)| Outer { coro, since, away: self.away });
        let steps = self.outer.iter().copied().chain(running);
        let (since, away) =
            steps.fold((time, 0_u64), |(first, away), step| (first.min(step.since), away.saturating_add(step.away)));
        self.busy.saturating_add(time.saturating_sub(since)).saturating_sub(away)
    }
}

/// The cancellation of a loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// When it began.
    pub at: u64,
    /// The coroutine that failed, 0 if it was none.
    pub origin: CoroId,
    /// Why, in one line.
    pub reason: String,
}

/// A function run by `run_in_thread`.
#[derive(Clone, Debug, PartialEq)]
pub struct Thread {
    /// Its number.
    pub id: ThreadId,
    /// The coroutine that represents it.
    pub coro: CoroId,
    /// The function.
    pub name: NameId,
    /// The name of the `ThreadPool` that it belongs to, 0 for none.
    pub pool: NameId,
    /// Where `run_in_thread` was called.
    pub site: SiteId,
    /// When it was handed over.
    pub queued: u64,
    /// When a thread began to run it.
    pub started: Option<u64>,
    /// When and how it ended.
    pub ended: Option<(u64, Outcome)>,
    /// When it was asked to stop.
    pub asked: Option<u64>,
    /// When it saw that.
    pub noticed: Option<u64>,
}

/// An event, a lock, a semaphore or a barrier.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Its number.
    pub id: ResId,
    /// What it is.
    pub what: ResKind,
    /// Permits of a semaphore (1 for a lock), parties of a barrier, 0 for an event.
    pub size: u64,
    /// Where it was made.
    pub site: SiteId,
    /// The name that the program gave it, 0 for none.
    pub name: NameId,
    /// When it was made.
    pub since: u64,
    /// Whether an event is set.
    pub set: bool,
    /// Its holders: one entry per permit, in the order acquired.
    pub holders: Vec<Holder>,
    /// The coroutines that wait on it.
    pub waiters: Links<()>,
    /// The latest that happened to it, oldest first.
    pub history: VecDeque<ResPast>,
}

/// How much of its history a resource keeps.
const HISTORY: usize = 16;

/// Something that happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResPast {
    /// When.
    pub at: u64,
    /// What.
    pub what: ResMoment,
    /// Where in the program; 0 where unknown.
    pub site: SiteId,
}

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResMoment {
    /// A coroutine began to wait.
    Waited(CoroId),
    /// A coroutine acquired it, or one more permit.
    Acquired(CoroId),
    /// A coroutine released it, or one permit.
    Released(CoroId),
    /// The event was set.
    Set,
    /// The event was cleared.
    Cleared,
}

impl Resource {
    pub(super) fn remember(&mut self, at: u64, what: ResMoment, site: SiteId) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(ResPast { at, what, site });
    }
}

/// One holder of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The coroutine, 0 if it is none of the loop's.
    pub coro: CoroId,
    /// Where it was acquired.
    pub site: SiteId,
    /// Since when.
    pub since: u64,
}

/// A line of the log: of the program through `tracing`, of its output, or of tinyio itself.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Position in the stream.
    pub seq: u64,
    /// When.
    pub at: u64,
    /// The coroutine it happened in, 0 for none.
    pub coro: CoroId,
    /// How serious it is, or where it comes from.
    pub level: Level,
    /// Module path or span.
    pub target: String,
    /// The text.
    pub text: String,
    /// Structured fields, in order.
    pub fields: Vec<(String, String)>,
}

/// How serious a line of the log is, or where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `ERROR`
    Error,
    /// `WARN`
    Warn,
    /// `INFO`
    Info,
    /// `DEBUG`
    Debug,
    /// `TRACE`, and what is not known.
    Trace,
    /// The program's standard output.
    Stdout,
    /// The program's standard error.
    Stderr,
    /// tinyio itself.
    Tinyio,
}

impl Level {
    pub(super) fn parse(text: &str) -> Level {
        match text {
            "ERROR" => Level::Error,
            "WARN" => Level::Warn,
            "INFO" => Level::Info,
            "DEBUG" => Level::Debug,
            _ => Level::Trace,
        }
    }
}

/// The crash of a loop. It begins where the loop begins to cancel its coroutines, with the failure of one of them; the
/// failures of the others follow when all have ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Crash {
    /// The loop.
    pub in_loop: LoopId,
    /// When.
    pub at: u64,
    /// Position in the stream.
    pub seq: u64,
    /// Whether all of its coroutines have ended.
    pub is_over: bool,
    /// Everything that failed, was cancelled or did not stop properly; the original error first. Until it is over, that
    /// alone.
    pub failures: Vec<Failure>,
    /// Where the first failure of each coroutine is.
    by_coro: HashMap<CoroId, usize>,
}

impl Crash {
    pub(super) fn new(in_loop: LoopId, at: u64, seq: u64, is_over: bool, failures: Vec<Failure>) -> Crash {
        let mut by_coro = HashMap::with_capacity(failures.len());
        for (index, failure) in failures.iter().enumerate() {
            by_coro.entry(failure.coro).or_insert(index);
        }
        Crash { in_loop, at, seq, is_over, failures, by_coro }
    }

    /// The failure of a coroutine.
    #[must_use]
    pub fn member(&self, coro: CoroId) -> Option<&Failure> {
        self.failures.get(*self.by_coro.get(&coro)?)
    }
}

/// Events that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// This reader was too slow.
    pub lapped: u64,
    /// The recorder could not keep up.
    pub dropped: u64,
    /// Number of events with a record that cannot be decoded.
    pub unreadable: u64,
    /// The file ends early.
    pub cut: bool,
    /// Sequence numbers skipped without a `Lost` event.
    pub gaps: u64,
    /// Coroutines that the last checkpoint had no room for.
    pub left_out: u64,
    /// Events that could not be true: about something that was never announced, or had ended already.
    pub odd: u64,
}

impl Lost {
    /// How many events are missing.
    pub fn events(&self) -> u64 {
        self.lapped.saturating_add(self.dropped).saturating_add(self.unreadable).saturating_add(self.gaps)
    }

    /// Whether nothing is known to be missing.
    pub fn is_none(&self) -> bool {
        self.events() == 0 && !self.cut && self.left_out == 0
    }
}
