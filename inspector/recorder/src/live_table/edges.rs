//! The edges of a coroutine that waits on more than one thing.

use std::cell::Cell;
use std::collections::HashMap;

use super::edge::Edge;
use super::ids::Ids;
use super::slots::Slots;
use crate::mmap;

/// Edges of one coroutine, in order.
#[derive(Default)]
pub(super) struct Edges {
    list: Vec<Edge>,
    /// Edges that were cleared, lazily: those before this place in the list are gone.
    gone: Ids<(u8, u64), usize>,
    /// The highest id so far: what is above it is no duplicate, and coroutines are mostly awaited in the order they
    /// were made.
    highest: u64,
    /// The lowest and the highest id that did not arrive in order: between them there may be duplicates.
    late: Option<(u64, u64)>,
    /// Length at which to look for duplicates and the dead.
    sweep: usize,
    /// How many coroutines had ended by the last sweep.
    swept: u64,
    /// No edge before this place stands: edges that are added in order mostly end in order, too.
    front: Cell<usize>,
}

/// A list up to this length is searched linearly.
const FEW: usize = 8;
/// A list that is longer may become very long: see [`Slots`].
const LONG: usize = 10_000;

impl Edges {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    fn stands(&self, at: usize, slots: &Slots) -> bool {
        let edge = &self.list[at];
        let alive = edge.tag() != 1 || slots.lives(edge.slot, edge.value);
        alive && (self.gone.is_empty() || self.gone.get(&edge.key()).is_none_or(|before| at >= *before))
    }

    /// From the first edge that stands on: how many there are, and those of them that stand.
    pub(super) fn standing(&self, slots: &Slots) -> (usize, impl Iterator<Item = Option<&Edge>>) {
        let first = (self.front.get()..self.list.len()).find(|at| self.stands(*at, slots));
        let first = first.unwrap_or(self.list.len());
        self.front.set(first);
        let stands = move |at: usize| self.stands(at, slots).then(|| &self.list[at]);
        (self.list.len() - first, (first..self.list.len()).map(stands))
    }

    /// Adds an edge, if that needs no search through the others.
    #[inline(always)]
    pub(super) fn push_quickly(&mut self, edge: Edge) -> bool {
        let quickly = self.list.len() < self.sweep && edge.value > self.highest;
        if quickly {
            self.highest = edge.value;
            self.list.push(edge);
        }
        quickly
    }

    pub(super) fn push(&mut self, edge: Edge, slots: &Slots, ended: u64) {
        if self.list.len() >= self.sweep {
            self.make_room(slots, ended);
        }
        if !self.push_quickly(edge) {
            let (low, high) = self.late.unwrap_or((edge.value, edge.value));
            self.late = Some((low.min(edge.value), high.max(edge.value)));
            self.list.push(edge);
        }
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, slots: &Slots, ended: u64) {
        if self.late.is_some() || ended - self.swept > self.list.len() as u64 / 4 {
            self.sweep(slots, ended);
        }
        self.sweep = 64 + 2 * self.list.len();
        let room = if self.sweep < LONG { self.sweep } else { mmap::ALONE / size_of::<Edge>() };
        self.list.reserve(room.max(self.sweep) - self.list.len());
        mmap::big_table(self.list.as_ptr(), self.list.capacity());
    }

    pub(super) fn remove(&mut self, tag: u8, value: u64, slots: &Slots, ended: u64) {
        if self.list.len() <= FEW {
            // Nothing is gone lazily: that begins with the ninth, and ends with a sweep.
            self.list.retain(|edge| edge.key() != (tag, value));
            self.front.set(0);
            return;
        }
        self.gone.insert((tag, value), self.list.len());
        if self.gone.len() > 32 + self.list.len() / 2 {
            self.sweep(slots, ended);
        }
    }

    /// The value of the one edge with this tag, if there are few edges and just one such.
    pub(super) fn only(&self, tag: u8) -> Option<u64> {
        let mut found = (self.list.len() <= FEW).then_some(&self.list)?.iter().filter(|edge| edge.tag() == tag);
        found.next().filter(|_| found.next().is_none()).map(|edge| edge.value)
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.front.set(0);
        self.gone.clear();
    }

    pub(super) fn sweep(&mut self, slots: &Slots, ended: u64) {
        let mut kept = 0;
        let mut seen: Ids<(u8, u64), ()> = HashMap::default();
        for at in 0..self.list.len() {
            let edge = self.list[at];
            let twice = self.late.is_some_and(|(low, high)| (low..=high).contains(&edge.value));
            if self.stands(at, slots) && (!twice || seen.insert(edge.key(), ()).is_none()) {
                self.list[kept] = edge;
                kept += 1;
            }
        }
        self.list.truncate(kept);
        if self.list.capacity() > 64 + 4 * kept {
            self.list.shrink_to(2 * kept);
        }
        self.gone = HashMap::default();
        self.late = None;
        self.front.set(0);
        self.swept = ended;
    }
}

/// Edges of one coroutine, on two kinds of things.
#[derive(Default)]
pub(super) struct Many {
    /// On coroutines: they stay until those have ended.
    pub(super) near: Edges,
    /// On all else: they go when the next step begins.
    pub(super) rest: Edges,
}

impl Many {
    /// How many there are, those gone but not swept included.
    pub(super) fn len(&self) -> u64 {
        (self.near.len() + self.rest.len()) as u64
    }
}
