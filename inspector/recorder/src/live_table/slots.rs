//! The table of the live coroutines.

use tinyio_events::event::{CoroId, LoopId, NameId, SiteId};

use super::edge::Edge;
use crate::mmap;

// State of a coroutine, the low bits of `Slot::bits`.
pub(super) const READY: u32 = 0;
pub(super) const RUNNING: u32 = 1;
pub(super) const WAITING: u32 = 2;
/// Running, and woken meanwhile: ready when the step ends.
pub(super) const WOKEN: u32 = 3;
pub(super) const STATE: u32 = 3;
/// Its cancellation has been delivered.
pub(super) const CANCEL_DELIVERED: u32 = 4;
/// Where the tag of its edge is. 0: no edge; 1 to 7: that of a target; and these:
const EDGE: u32 = 8;
/// Where the number of its worker is.
const WORKER: u32 = 16;
pub(super) const MANY: u8 = 8;
/// A coroutine of another recorder, which does not report its end here.
pub(super) const FAR: u8 = 9;

/// One coroutine. A cache line.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    /// 0: free.
    pub(super) coro: CoroId,
    pub(super) since: u64,
    pub(super) bits: u32,
    pub(super) edge_site: SiteId,
    /// What the edge is on, or which of `Live::many`.
    pub(super) edge: u64,
    pub(super) edge_since: u64,
    /// Slot of the coroutine the edge is on.
    pub(super) edge_slot: u32,
    pub(super) in_loop: LoopId,
    pub(super) parent: CoroId,
    pub(super) name: NameId,
    pub(super) site: SiteId,
}

impl Slot {
    #[inline(always)]
    pub(super) fn tag(&self) -> u8 {
        (self.bits >> EDGE) as u8
    }

    #[inline(always)]
    pub(super) fn set_tag(&mut self, tag: u8) {
        self.bits = self.bits & !(0xff << EDGE) | (tag as u32) << EDGE;
    }

    /// The worker that its steps run in; 0 for none, or one with a number that has no room here.
    #[inline(always)]
    pub(super) fn worker(&self) -> LoopId {
        self.bits >> WORKER
    }

    #[inline(always)]
    pub(super) fn set_worker(&mut self, worker: LoopId) {
        let worker = if worker < 1 << (32 - WORKER) { worker } else { 0 };
        self.bits = self.bits & ((1 << WORKER) - 1) | worker << WORKER;
    }

    #[inline(always)]
    pub(super) fn set_edge(&mut self, edge: Edge) {
        self.set_tag(edge.tag());
        (self.edge, self.edge_since, self.edge_slot, self.edge_site) = (edge.value, edge.since, edge.slot, edge.site());
    }

    /// The one edge.
    pub(super) fn edge(&self) -> Edge {
        Edge::new(self.tag(), self.edge, self.edge_since, self.edge_slot, self.edge_site)
    }

    #[inline(always)]
    pub(super) fn set_state(&mut self, state: u32, since: u64) {
        self.bits = self.bits & !STATE | state;
        self.since = since;
    }
}

/// The coroutines by slot.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// A bit for each slot in use, so that a table that once held a million coroutines is iterated quickly.
    used: Vec<u64>,
    len: u64,
}

/// Slots that the table grows by at once.
const CHUNK: usize = 256;
const FEW: usize = 2048;
const MANY_SLOTS: usize = mmap::ALONE / size_of::<Slot>();

impl Slots {
    /// Coroutines.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// One more than the highest slot there is.
    pub(super) fn end(&self) -> usize {
        self.slots.len()
    }

    #[inline(always)]
    pub(super) fn insert(&mut self, slot: u32, one: Slot) {
        let index = slot as usize;
        if index >= self.slots.len() {
            self.grow(index);
        }
        self.len += (self.slots[index].coro == 0) as u64;
        self.used[index / 64] |= 1 << (index % 64);
        self.slots[index] = one;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, index: usize) {
        let end = (index + 1).next_multiple_of(CHUNK);
        let room = self.slots.capacity();
        // More than some thousand may become very many: they get room that is mapped, and grows in place. It is memory
        // only once it is used.
        self.slots.reserve(if end <= FEW { end - self.slots.len() } else { MANY_SLOTS.max(end) - self.slots.len() });
        if self.slots.capacity() > room {
            mmap::big_table(self.slots.as_ptr(), self.slots.capacity());
        }
        self.slots.resize(end, Slot::default());
        self.used.resize(end / 64, 0);
    }

    /// The coroutine in this slot, if it is this one.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, slot: u32, coro: CoroId) -> Option<&mut Slot> {
        self.slots.get_mut(slot as usize).filter(|slot| slot.coro == coro)
    }

    #[inline(always)]
    pub(super) fn get(&self, slot: u32, coro: CoroId) -> Option<&Slot> {
        self.slots.get(slot as usize).filter(|slot| slot.coro == coro)
    }

    #[inline(always)]
    pub(super) fn lives(&self, slot: u32, coro: CoroId) -> bool {
        self.get(slot, coro).is_some()
    }

    /// Takes it out; gives what it was.
    #[inline(always)]
    pub(super) fn remove(&mut self, slot: u32, coro: CoroId) -> Option<&Slot> {
        let index = slot as usize;
        let one = self.slots.get_mut(index).filter(|slot| slot.coro == coro)?;
        one.coro = 0;
        self.used[index / 64] &= !(1 << (index % 64));
        self.len -= 1;
        Some(one)
    }

    /// All, with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.used.iter().enumerate().flat_map(move |(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits.checked_sub(1)?;
                Some((index, &self.slots[index]))
            })
        })
    }
}
