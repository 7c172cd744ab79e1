//! The chain of waiters from a coroutine up to the root: as it is now, and as it was before the cancellation.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::panic::Location;

use crate::executor::Executor;
use crate::failure::crash::Site;
use crate::failure::place::Place;
use crate::failure::type_name;
use crate::task::{Header, WakeToken};

/// A coroutine and its waiters, up to the root: the sites, and the numbers of their coroutines.
pub(crate) struct AwaitChain(Vec<(Site, u64)>);

impl AwaitChain {
    pub(crate) fn of(task: &Header, place: impl Into<Place>) -> AwaitChain {
        let mut chain = AwaitChain(Vec::new());
        chain.up(task.id(), task.type_name(), place);
        chain
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

/// The number of sites that the chains of all cancelled coroutines may have together, before each is shortened: in a
/// chain of a hundred thousand they would be five billion.
const SITES: usize = 1 << 17;
/// The number of sites of a shortened chain: the nearest ones.
const SHORT: usize = 8;

/// The wait edges before the cancellation, which removes them.
pub(crate) struct Snapshot {
    /// The tag of the loop.
    tag: u32,
    /// In the order in which they were scheduled, which is the order in which they are cancelled.
    tasks: Vec<TaskSnapshot>,
    /// The distinct combinations of names and places.
    kinds: Vec<Kind>,
    /// The index of each in `tasks`, by slot; computed on first use, which is rare.
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

const NO_WAITER: u32 = u32::MAX;

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
    pub(crate) fn await_chain(&self, task: &Header, place: Place) -> AwaitChain {
        let mut chain = AwaitChain::of(task, place);
        let mut next = self.only_waiter(task);
        // A cycle has no root; no chain is longer than there are coroutines.
        for _ in 0..self.live() {
            let waiter = self.slots.with(next, |waiter| {
                chain.up(waiter.id(), waiter.type_name(), waiter.place());
                self.only_waiter(waiter)
            });
            let Some(waiter) = waiter else { break };
            next = waiter;
        }
        chain
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
        let mut tasks = Vec::with_capacity(executor.live());
        let mut kinds = Kinds::default();
        executor.slots.each(|task| {
            let kind = kinds.number(Kind { name: task.name(), place: task.place() });
            let waiter = executor.only_waiter(task);
            let waiter = if waiter.is_none() { NO_WAITER } else { waiter.slot() };
            tasks.push(TaskSnapshot { id: task.id(), slot: task.wake_token().slot(), waiter, kind });
        });
        tasks.sort_unstable_by_key(|task| task.id);
        let (tag, kinds) = (executor.tag(), kinds.all);
        Snapshot { tag, tasks, kinds, indices: OnceCell::new(), sites: Cell::new(SITES) }
    }

    /// The number of coroutines.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The wake token of the coroutine at this index, in the order in which they were scheduled.
    pub(crate) fn wake_token(&self, index: usize) -> WakeToken {
        let TaskSnapshot { id, slot, .. } = self.tasks[index];
        WakeToken::task(self.tag, id, slot)
    }

    fn at(&self, slot: u32) -> Option<&TaskSnapshot> {
        let indices = self.indices.get_or_init(|| {
            let slots = self.tasks.iter().map(|task| task.slot as usize + 1).max().unwrap_or(0);
            let mut indices = vec![u32::MAX; slots];
            for (index, task) in (0..).zip(&self.tasks) {
                indices[task.slot as usize] = index; // There are fewer than 2^29.
            }
            indices
        });
        self.tasks.get(*indices.get(slot as usize)? as usize)
    }

    /// The chain of this coroutine in the snapshot; its own end may be at another place.
    pub(crate) fn await_chain(&self, task: &Header, place: Option<Place>) -> AwaitChain {
        let Some(mut at) = self.at(task.wake_token().slot()).filter(|at| at.id == task.id()) else {
            return AwaitChain::of(task, place.unwrap_or(task.place().into()));
        };
        let mut chain = AwaitChain::of(task, place.unwrap_or(self.kinds[at.kind as usize].place.into()));
        let most = self.sites.get().max(SHORT);
        while let Some(waiter) = self.at(at.waiter)
            && chain.0.len() < most
        {
            let Kind { name, place } = self.kinds[waiter.kind as usize];
            chain.up(waiter.id, name(), place);
            at = waiter;
        }
        self.sites.set(self.sites.get().saturating_sub(chain.0.len()));
        chain
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
