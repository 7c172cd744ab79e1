//! The model: the state of the program, folded from the events.
//!
//! ```
//! use tinyio_events::event::{Event, Header, Kind};
//! use tinyio_model::model::Model;
//!
//! let mut model = Model::new(&Header { program: "crawl".into(), ..Header::default() });
//! for (seq, kind) in [
//!     Kind::Name { id: 1, text: "crawl::main".into() },
//!     Kind::Spawn { coro: 1, in_loop: 1, parent: 0, name: 1, site: 0 },
//! ].into_iter().enumerate() {
//!     model.apply(&Event { seq: seq as u64, at: 0, kind });
//! }
//! assert_eq!(model.label(1), "main");
//! ```
//!
//! The model is a pure fold and does no I/O. It accepts any event: one about an object that was never announced, or has
//! ended already, is counted in [`Lost::odd`] and otherwise ignored. Clones are cheap (everything large is shared until
//! it changes); key frames, from which any past moment is restored, are such clones.
//!
//! Memory is bounded by the live objects: of the ended coroutines, the latest [`FINISHED`] are kept, and those that a
//! crash names.

mod compare;
mod coro;
mod fold;
mod id_map;
mod links;
mod names;
mod paged;
mod parts;
mod picture;
#[cfg(feature = "analysis")]
mod times;
mod tree;
mod why;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

pub use coro::{Activity, Coro, Counts, Edge, HISTORY, Moment, Past};
pub use id_map::{IdHasher, IdMap};
pub use links::Links;
pub use names::{Site, common_stem, file_name, short_name, stem};
pub use parts::{Cancel, Crash, Holder, Level, LogLine, Loop, Lost, Outer, ResMoment, ResPast, Resource, Thread};
pub use picture::{Change, Changes, Finding, Picture};
#[cfg(feature = "analysis")]
pub use times::{Distribution, Times};
use tinyio_events::event::{
    CoroId, Header, LoopId, LoopMode, NameId, ResId, ResKind, SiteId, Target, ThreadId, Waker, number,
};
pub use tree::{Group, Parent};
pub use why::{BLOCKED, Leaf, Link, Why};

/// How many ended coroutines are remembered, beside those a crash names.
pub const FINISHED: usize = 1024;
/// How many lines of the log are remembered.
pub const LOG: usize = 10_000;
/// How many crashes are remembered: the first, and the latest of the others.
pub const CRASHES: usize = 16;
/// How many ended threads and loops are remembered.
pub const ENDED: usize = 256;
/// How many resources that are gone are remembered.
const DROPPED: usize = 256;

/// What the program is at.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    header: Arc<Header>,
    names: Arc<names::Names>,
    now: u64,
    next_seq: Option<u64>,
    events: u64,
    complete: bool,
    /// The last period that was not the program's, as begin and end. See
    /// [`Kind::Away`](tinyio_events::event::Kind::Away).
    away: (u64, u64),
    sync: Sync,
    coros: paged::Paged<Arc<Coro>>,
    finished: IdMap<CoroId, Arc<Coro>>,
    finished_order: VecDeque<CoroId>,
    pinned: HashSet<CoroId>,
    tree: tree::Tree,
    counts: Counts,
    loops: BTreeMap<LoopId, Loop>,
    threads: BTreeMap<ThreadId, Thread>,
    ended_threads: VecDeque<Thread>,
    resources: BTreeMap<ResId, Resource>,
    /// What the last resources that are gone were, and their names: histories tell of them.
    dropped: VecDeque<(ResId, ResKind, NameId)>,
    log: VecDeque<Arc<LogLine>>,
    log_dropped: u64,
    /// Lines of warnings that are in the log and may come once more, as what the program prints to stderr.
    printed_warnings: VecDeque<String>,
    crashes: Vec<Arc<Crash>>,
    lost: Lost,
    /// The picture that all this is of, if the program is not recorded.
    picture: Option<Arc<Picture>>,
    /// How often events were lost: what was measured across such a moment is not known.
    losses: u32,
    /// The times of all coroutines.
    #[cfg(feature = "analysis")]
    times: Times,
}

/// Whether the known state is the actual state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    /// Nothing was missed.
    Complete,
    /// Something was missed: until the next checkpoint, the model may hold coroutines that ended and lack others.
    Unsure,
    /// A checkpoint without news is being skipped.
    Skipping,
    /// A checkpoint is being applied.
    Filling,
}

impl Model {
    /// Creates the model of a program that has recorded nothing yet.
    pub fn new(header: &Header) -> Model {
        Model {
            header: Arc::new(header.clone()),
            names: Arc::default(),
            now: 0,
            next_seq: None,
            events: 0,
            complete: false,
            sync: Sync::Unsure,
            coros: paged::Paged::default(),
            finished: IdMap::default(),
            finished_order: VecDeque::new(),
            pinned: HashSet::new(),
            tree: tree::Tree::default(),
            counts: Counts::default(),
            loops: BTreeMap::new(),
            threads: BTreeMap::new(),
            ended_threads: VecDeque::new(),
            resources: BTreeMap::new(),
            dropped: VecDeque::new(),
            log: VecDeque::new(),
            log_dropped: 0,
            printed_warnings: VecDeque::new(),
            crashes: Vec::new(),
            lost: Lost::default(),
            picture: None,
            losses: 0,
            #[cfg(feature = "analysis")]
            times: Times::default(),
            away: (0, 0),
        }
    }

    /// Returns the header of the recording.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Time of the latest event, in nanoseconds since the recording started.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Returns the known part of the time since `time` that was not the program's: tinyio read frames, or other
    /// processes ran.
    pub(crate) fn away_since(&self, time: u64) -> u64 {
        let (from, to) = self.away;
        to.saturating_sub(from.max(time))
    }

    /// Number of events folded.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Whether the recording ended in good order.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether no event was missed since the last checkpoint.
    pub fn is_sure(&self) -> bool {
        matches!(self.sync, Sync::Complete | Sync::Skipping)
    }

    /// What is missing.
    pub fn lost(&self) -> &Lost {
        &self.lost
    }

    /// The step times and scheduling delays of all coroutines, those that have ended among them.
    #[cfg(feature = "analysis")]
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// A coroutine: one that lives, or ended not long ago.
    pub fn coro(&self, id: CoroId) -> Option<&Coro> {
        self.coros.get(id).or_else(|| self.finished.get(&id)).map(|coro| &**coro)
    }

    /// The coroutines that live, by number.
    pub fn live(&self) -> impl DoubleEndedIterator<Item = &Coro> + '_ {
        self.coros.iter().map(|(_, coro)| &**coro)
    }

    /// The live coroutines from `id` on, by number.
    pub fn live_from(&self, id: CoroId) -> impl DoubleEndedIterator<Item = &Coro> + '_ {
        self.coros.from(id).map(|(_, coro)| &**coro)
    }

    /// The live coroutines below `id`, by number.
    pub fn live_until(&self, id: CoroId) -> impl DoubleEndedIterator<Item = &Coro> + '_ {
        self.coros.until(id).map(|(_, coro)| &**coro)
    }

    /// How many coroutines live.
    pub fn live_count(&self) -> usize {
        self.coros.len()
    }

    /// The ended coroutines that are remembered, by number.
    pub fn finished(&self) -> impl Iterator<Item = &Coro> + '_ {
        let mut ids: Vec<_> = self.finished.keys().copied().collect();
        ids.sort_unstable();
        ids.into_iter().map(|id| &*self.finished[&id])
    }

    /// Number of coroutines per activity: the live ones, and all that ended so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The loops, by number: those that run, and the latest of those that ended.
    pub fn loops(&self) -> impl DoubleEndedIterator<Item = &Loop> + '_ {
        self.loops.values()
    }

    /// Whether an outermost loop is cancelling its coroutines.
    pub fn is_cancelling(&self) -> bool {
        self.loops().any(|one| one.parent == 0 && one.ended.is_none() && one.cancel.is_some())
    }

    /// A loop.
    pub fn get_loop(&self, id: LoopId) -> Option<&Loop> {
        self.loops.get(&id)
    }

    /// The threads that are queued or run, by number.
    pub fn threads(&self) -> impl DoubleEndedIterator<Item = &Thread> + '_ {
        self.threads.values()
    }

    /// The threads that ended not long ago, oldest first.
    pub fn ended_threads(&self) -> impl DoubleEndedIterator<Item = &Thread> + '_ {
        self.ended_threads.iter()
    }

    /// A thread.
    pub fn thread(&self, id: ThreadId) -> Option<&Thread> {
        self.threads.get(&id).or_else(|| self.ended_threads.iter().rev().find(|thread| thread.id == id))
    }

    /// The resources, by number.
    pub fn resources(&self) -> impl DoubleEndedIterator<Item = &Resource> + '_ {
        self.resources.values()
    }

    /// A resource.
    pub fn resource(&self, id: ResId) -> Option<&Resource> {
        self.resources.get(&id)
    }

    /// The log, oldest first: at most [`LOG`] lines.
    pub fn log(&self) -> &VecDeque<Arc<LogLine>> {
        &self.log
    }

    /// How many older lines the log has had.
    pub fn log_dropped(&self) -> u64 {
        self.log_dropped
    }

    /// The crashes, oldest first.
    pub fn crashes(&self) -> &[Arc<Crash>] {
        &self.crashes
    }

    /// The crash that ended the program: the latest of a loop that ran inside no other.
    pub fn crash(&self) -> Option<&Arc<Crash>> {
        self.crashes.iter().rev().find(|crash| self.loops.get(&crash.in_loop).is_none_or(|one| one.parent == 0))
    }

    /// An interned name; empty if it was never announced.
    pub fn name(&self, id: NameId) -> &str {
        self.names.name(id).map_or("", |name| name)
    }

    /// An interned place.
    pub fn site(&self, id: SiteId) -> Option<&Site> {
        self.names.site(id).map(|site| &**site)
    }

    /// A coroutine's name in full: `crawl::fetch`.
    pub fn full_name(&self, id: CoroId) -> &str {
        match self.coro(id).map_or("", |coro| self.name(coro.name)) {
            "" => "?",
            name => name,
        }
    }

    /// The name that the program gave a coroutine, or that of its function without the path: `worker 3`, `fetch`.
    pub fn short_name_of(&self, coro: &Coro) -> &str {
        match coro.given_name {
            0 => short_name(self.name(coro.name)),
            name => self.name(name),
        }
    }

    /// The name that the program gave a coroutine.
    pub fn given_name_of(&self, id: CoroId) -> Option<&str> {
        self.coro(id).filter(|coro| coro.given_name != 0).map(|coro| self.name(coro.given_name))
    }

    /// Returns what coroutines like this one are called: the stem of the name that the program gave it, or the name of
    /// its function.
    pub fn kind_label(&self, id: CoroId) -> &str {
        self.given_name_of(id).map_or_else(|| short_name(self.full_name(id)), stem)
    }

    /// Returns what several coroutines are called: the stem of the names that the program gave them, if it is the same
    /// of all, else the name of the first one's function.
    pub fn common_label(&self, ids: &[CoroId]) -> &str {
        let given = common_stem(ids.iter().map(|id| self.given_name_of(*id)));
        given.unwrap_or_else(|| ids.first().map_or("?", |id| short_name(self.full_name(*id))))
    }

    /// Returns the label of a coroutine on screens and in reports: `fetch #17`, or the name that the program gave it,
    /// with the number if it has given that name to another coroutine too. The first one of a loop has no number.
    pub fn label(&self, id: CoroId) -> String {
        match self.coro(id) {
            Some(coro) if coro.given_name != 0 => {
                let name = self.name(coro.given_name);
                match self.names.is_unique(names::Named::Coro, coro.given_name) {
                    true => name.to_owned(),
                    false => format!("{name} #{id}"),
                }
            }
            Some(coro) if coro.parent == 0 && id == 1 && self.picture.is_none() => {
                short_name(self.full_name(id)).to_owned()
            }
            Some(_) => format!("{} {}", short_name(self.full_name(id)), number(id)),
            None if id == 0 => "outside the loop".to_owned(),
            None => number(id),
        }
    }

    /// Returns a short label for a target: `fetch #17`, `lock #3`, `thread 3 · read_to_string`.
    pub fn target_label(&self, target: Target) -> String {
        match target {
            Target::Coro(id) => self.label(id),
            Target::Res(id) => self.resource_label(id),
            Target::Thread(id) => match self.thread(id).map_or("", |thread| self.name(thread.name)) {
                "" => format!("thread {id}"),
                name => format!("thread {id} · {}", short_name(name)),
            },
            Target::Timer(_) => "timer".to_owned(),
            Target::Loop(id) => self.loop_label(id),
            Target::Turn => "its turn".to_owned(),
            Target::External => "external".to_owned(),
        }
    }

    /// Returns a short label for a loop: `loop 2`, `loop uploads`.
    pub fn loop_label(&self, id: LoopId) -> String {
        let one = self.get_loop(id);
        match one.map(|one| one.mode) {
            Some(LoopMode::Observed) => return "observed".to_owned(),
            Some(LoopMode::Worker) => {
                let name = one.map_or("", |one| self.name(one.name));
                return if name.is_empty() { format!("thread {id}") } else { format!("thread {id} {name}") };
            }
            _ => {}
        }
        match one.map_or(0, |one| one.name) {
            0 => format!("loop {id}"),
            // The runtime of a program that is not recorded.
            name if self.picture.is_some() => self.name(name).to_owned(),
            name => format!("loop {}", self.name(name)),
        }
    }

    /// Returns a short label for a resource: `lock #3`, or by the name that the program gave it:
    /// `lock accounts`, with the number if another lock has that name too.
    pub fn resource_label(&self, id: ResId) -> String {
        let gone = || self.dropped.iter().rev().find(|gone| gone.0 == id).map(|gone| (gone.1, gone.2));
        let (kind, name) = self.resource(id).map(|one| (one.what, one.name)).or_else(gone).unzip();
        let what = match kind {
            Some(ResKind::Event) => "event",
            Some(ResKind::Lock) => "lock",
            Some(ResKind::Semaphore) => "semaphore",
            Some(ResKind::Barrier) => "barrier",
            Some(ResKind::Channel) => "channel",
            None => "resource",
        };
        match name.unwrap_or(0) {
            0 => format!("{what} #{id}"),
            name => {
                let unique = kind.is_some_and(|kind| self.names.is_unique(names::Named::Res(kind), name));
                let number = if unique { String::new() } else { format!(" #{id}") };
                match self.name(name) {
                    // Variables are often called so.
                    name if name == what => format!("{what}{number}"),
                    name => format!("{what} {name}{number}"),
                }
            }
        }
    }

    /// Returns a short label for the source of a wake.
    pub fn waker_label(&self, waker: Waker) -> String {
        match waker {
            Waker::Coro(id) => self.label(id),
            Waker::Res(id) => self.resource_label(id),
            Waker::Thread(id) => self.target_label(Target::Thread(id)),
            Waker::Timer => "its timer".to_owned(),
            Waker::Own => "itself".to_owned(),
            Waker::Cancel => "the cancellation".to_owned(),
            Waker::External => "external".to_owned(),
            Waker::Loop(id) => self.loop_label(id),
        }
    }
}
