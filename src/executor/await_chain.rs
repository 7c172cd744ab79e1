//! The chain of waiters from a coroutine up to the root: as it is now, and as it was before the cancellation.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::panic::Location;

use crate::executor::Executor;
use crate::failure::crash::Site;
use crate::failure::place::Place;
use crate::failure::type_name;
use crate::task::{Header, WakeToken};

/// The sites, root first, and the numbers of their coroutines.
pub(crate) struct Trace(Vec<(Site, u64)>);

impl Trace {
    pub(crate) fn of(task: &Header, place: impl Into<Place>) -> Trace {
        let mut trace = Trace(Vec::new());
        trace.up(task.id(), task.type_name(), place);
        trace
    }

    /// Adds a waiter.
    fn up(&mut self, id: u64, type_name: &'static str, place: impl Into<Place>) {
        let Place { file, line, column } = place.into();
        self.0.push((Site { name: type_name::path(type_name).to_owned(), file, line, column }, id));
    }

    /// Gives the sites root first, without the coroutine that only stands for a handle given to `run`.
    pub(crate) fn finish(mut self) -> (Vec<Site>, Vec<u64>) {
        if self.0.len() > 1 && self.0.last().is_some_and(|(site, _)| type_name::is_stand_in(&site.name)) {
            self.0.pop();
        }
        self.0.into_iter().rev().unzip()
    }
}

/// The number of sites that the traces of all cancelled coroutines may have together, before each is shortened: in a
/// chain of a hundred thousand they would be five billion.
const SITES: usize = 1 << 17;
/// The number of sites of a shortened trace: the nearest ones.
const SHORT: usize = 8;

/// The wait edges before the cancellation, which removes them.
pub(crate) struct Snapshot {
    /// The tag of the loop.
    tag: u32,
    /// In the order in which they were scheduled.
    stood: Vec<TaskSnapshot>,
    /// The distinct combinations of names and places.
    kinds: Vec<Kind>,
    /// The index of each in `stood`, by slot; computed on first use, which is rare.
    indices: OnceCell<Vec<u32>>,
    /// The rest of [`SITES`].
    sites: Cell<usize>,
}

/// One coroutine. There may be a million, so the memory of this costs time too: each page takes as long as several of
/// them.
struct TaskSnapshot {
    id: u64,
    slot: u32,
    /// The slot of its waiter, if there is exactly one.
    waiter: u32,
    kind: u32,
}

const NOBODY: u32 = u32::MAX;

/// What coroutines share that were created at the same line and wait at the same line.
#[derive(Clone, Copy)]
struct Kind {
    /// Gives the name of the type, also when the coroutine is gone.
    name: fn() -> &'static str,
    place: &'static Location<'static>,
}

impl Kind {
    /// Values with equal keys are of one kind.
    fn key(self) -> (usize, usize) {
        (self.name as usize, std::ptr::from_ref(self.place).addr())
    }
}

impl Executor {
    /// The chain of waiters of `task`, as long as there is exactly one.
    pub(crate) fn trace(&self, task: &Header, place: Place) -> Trace {
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

    /// The waiter of `task`, if there is exactly one.
    pub(crate) fn only_waiter(&self, task: &Header) -> WakeToken {
        // Not an `Option`: optimised code compares its content before it checks whether there is any, and valgrind
        // reports that.
        let (mut only, mut is_first) = (WakeToken::NONE, true);
        task.each_waiter(|wake_token| {
            let owner = if wake_token.tag() == self.tag() { self.owner(wake_token) } else { WakeToken::NONE };
            only = if is_first || only == owner { owner } else { WakeToken::NONE };
            is_first = false;
        });
        only
    }
}

impl Snapshot {
    pub(crate) fn take(executor: &Executor) -> Snapshot {
        let mut stood = Vec::with_capacity(executor.live());
        let mut kinds = Kinds::default();
        executor.slots.each(|task| {
            let kind = kinds.number(Kind { name: task.name(), place: task.place() });
            let waiter = executor.only_waiter(task);
            let waiter = if waiter.is_none() { NOBODY } else { waiter.slot() };
            stood.push(TaskSnapshot { id: task.id(), slot: task.wake_token().slot(), waiter, kind });
        });
        stood.sort_unstable_by_key(|stood| stood.id);
        let (tag, kinds) = (executor.tag(), kinds.all);
        Snapshot { tag, stood, kinds, indices: OnceCell::new(), sites: Cell::new(SITES) }
    }

    /// The number of coroutines.
    pub(crate) fn len(&self) -> usize {
        self.stood.len()
    }

    /// The wake token of the coroutine at this index, in the order in which they were scheduled.
    pub(crate) fn wake_token(&self, index: usize) -> WakeToken {
        let TaskSnapshot { id, slot, .. } = self.stood[index];
        WakeToken::task(self.tag, id, slot)
    }

    fn at(&self, slot: u32) -> Option<&TaskSnapshot> {
        let indices = self.indices.get_or_init(|| {
            let slots = self.stood.iter().map(|stood| stood.slot as usize + 1).max().unwrap_or(0);
            let mut indices = vec![u32::MAX; slots];
            for (index, stood) in (0..).zip(&self.stood) {
                indices[stood.slot as usize] = index; // There are fewer than 2^29.
            }
            indices
        });
        self.stood.get(*indices.get(slot as usize)? as usize)
    }

    /// The trace of this coroutine in the snapshot; its own end may be at another place.
    pub(crate) fn trace(&self, task: &Header, place: Option<Place>) -> Trace {
        let Some(mut stood) = self.at(task.wake_token().slot()).filter(|stood| stood.id == task.id()) else {
            return Trace::of(task, place.unwrap_or(task.place().into()));
        };
        let mut trace = Trace::of(task, place.unwrap_or(self.kinds[stood.kind as usize].place.into()));
        let most = self.sites.get().max(SHORT);
        while let Some(waiter) = self.at(stood.waiter)
            && trace.0.len() < most
        {
            let Kind { name, place } = self.kinds[waiter.kind as usize];
            trace.up(waiter.id, name(), place);
            stood = waiter;
        }
        self.sites.set(self.sites.get().saturating_sub(trace.0.len()));
        trace
    }
}

/// Assigns numbers to combinations of names and places.
#[derive(Default)]
struct Kinds {
    all: Vec<Kind>,
    numbers: HashMap<(usize, usize), u32>,
    /// Mostly the same as before.
    last: Option<((usize, usize), u32)>,
}

impl Kinds {
    fn number(&mut self, kind: Kind) -> u32 {
        match self.last {
            Some((last, number)) if last == kind.key() => number,
            _ => self.find(kind),
        }
    }

    #[cold]
    fn find(&mut self, kind: Kind) -> u32 {
        let number = *self.numbers.entry(kind.key()).or_insert_with(|| {
            self.all.push(kind);
            self.all.len() as u32 - 1
        });
        self.last = Some((kind.key(), number));
        number
    }
}
