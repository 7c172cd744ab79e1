//! The live objects as the recorder knows them: the source of checkpoints.
//!
//! Coroutines lie in a table by slot, one cache line each. Nearly all wait on one thing, which is in that line; those
//! that wait on more have lists of their own. The amortised cost of every operation is a few stores: edges to a
//! coroutine that ended are not searched for when it ends (a million may wait on it) but left behind, and removed in
//! one sweep once enough coroutines have ended to pay for it.

mod edge;
mod edges;
mod ids;
mod objects;
mod slots;
#[cfg(test)]
mod tests;
mod write;

use tinyio_events::event::{CoroId, LoopId, NameId, SiteId, Target};
use tinyio_events::field::{Tagged, Variant};
use tinyio_events::ring_words::{Step, Words};

use self::edge::Edge;
use self::edges::Many;
pub(crate) use self::ids::Ids;
use self::objects::Objects;
use self::slots::{CANCEL_DELIVERED, FAR, MANY, READY, RUNNING, STATE, Slot, Slots, WAITING, WOKEN};

/// No slot: the coroutine awaited is none of this recorder's.
pub const NO_SLOT: u32 = u32::MAX;

/// Everything alive.
#[derive(Default)]
pub(crate) struct Live {
    slots: Slots,
    /// Live coroutines that a cancellation has been delivered to.
    cancels_delivered: u64,
    /// Live coroutines with a worker.
    in_workers: u64,
    many: Vec<Many>,
    many_free: Vec<u32>,
    /// Edges in `many`, those gone but not swept included.
    many_edges: u64,
    /// Coroutines that have ended, and how many had by the last sweep of all lists.
    ended: u64,
    swept: u64,
    pub(crate) objects: Objects,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("coros", &self.slots.len())
            .field("records", &self.records())
            .finish_non_exhaustive()
    }
}

/// Where a checkpoint is written to. `false`: there is no room for it.
pub(crate) trait Out {
    fn record(&mut self, words: Words) -> bool;
    fn json(&mut self, at: u64, json: &[u8]) -> bool;
    /// Records there is room for.
    fn room(&self) -> u64;
}

impl Live {
    /// Whether a coroutine waits on anything, as far as is known here.
    pub(crate) fn waits(&self, slot: u32, coro: CoroId) -> bool {
        self.slots.get(slot, coro).is_some_and(|slot| slot.tag() != 0)
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the fields of the event, on the hottest path there is")]
    pub(crate) fn spawn(
        &mut self,
        at: u64,
        slot: u32,
        coro: CoroId,
        in_loop: LoopId,
        parent: CoroId,
        name: NameId,
        site: SiteId,
    ) {
        let one = Slot { coro, since: at, bits: READY, in_loop, parent, name, site, ..Slot::default() };
        self.slots.insert(slot, one);
    }

    #[inline(always)]
    pub(crate) fn wait(&mut self, at: u64, slot: u32, coro: CoroId, on: Target, on_slot: u32, site: SiteId) {
        let (Variant { mut tag, .. }, value) = on.parts();
        if tag == 1 && on_slot == NO_SLOT {
            tag = FAR;
        }
        self.edge(slot, coro, Edge::new(tag, value, at, on_slot, site));
    }

    /// A coroutine has one more thing that it waits on.
    #[inline(always)]
    fn edge(&mut self, slot: u32, coro: CoroId, edge: Edge) {
        let Some(one) = self.slots.get_mut(slot, coro) else { return };
        if one.tag() == 0 {
            return one.set_edge(edge);
        }
        // The coroutine it waited on before has ended: most coroutines wait on one after the other.
        let (tag, slot_before, before) = (one.tag(), one.edge_slot, one.edge);
        if tag == 1
            && !self.slots.lives(slot_before, before)
            && let Some(one) = self.slots.get_mut(slot, coro)
        {
            return one.set_edge(edge);
        }
        self.edge_of_many(slot, coro, edge);
    }

    /// Mostly a `gather`: one of many edges to other coroutines.
    #[inline(never)]
    fn edge_of_many(&mut self, slot: u32, coro: CoroId, edge: Edge) {
        let Some(one) = self.slots.get(slot, coro).filter(|one| one.tag() == MANY && edge.tag() == 1) else {
            return self.wait_more(slot, coro, edge);
        };
        let many = one.edge as usize;
        if self.many[many].near.push_quickly(edge) {
            self.many_edges += 1;
        } else {
            self.push(many, edge);
        }
    }

    #[cold]
    #[inline(never)]
    fn wait_more(&mut self, slot: u32, coro: CoroId, edge: Edge) {
        let Some(one) = self.slots.get_mut(slot, coro) else { return };
        let first = one.edge();
        if first.tag() == MANY {
            let index = one.edge as usize;
            return self.push(index, edge);
        }
        if (first.tag(), first.value) == (edge.tag(), edge.value) {
            return;
        }
        let index = self.many_free.pop().unwrap_or(self.many.len() as u32);
        if index as usize == self.many.len() {
            self.many.push(Many::default());
        }
        if let Some(one) = self.slots.get_mut(slot, coro) {
            one.edge = index as u64;
            one.set_tag(MANY);
        }
        self.push(index as usize, first);
        self.push(index as usize, edge);
    }

    fn push(&mut self, index: usize, edge: Edge) {
        self.change(index, |many, slots, ended| {
            let edges = if edge.tag() == 1 { &mut many.near } else { &mut many.rest };
            edges.push(edge, slots, ended);
        });
    }

    /// Changes the edges of a coroutine that has many.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Many, &Slots, u64)) {
        let many = &mut self.many[index];
        self.many_edges -= many.len();
        change(many, &self.slots, self.ended);
        self.many_edges += many.len();
    }

    #[inline]
    pub(crate) fn clear(&mut self, slot: u32, coro: CoroId, on: Target) {
        let (Variant { tag, .. }, value) = on.parts();
        let Some(one) = self.slots.get_mut(slot, coro) else { return };
        match one.tag() {
            0 => {}
            MANY => {
                let index = one.edge as usize;
                self.change(index, |many, slots, ended| {
                    if tag == 1 {
                        many.near.remove(1, value, slots, ended);
                    }
                    many.rest.remove(if tag == 1 { FAR } else { tag }, value, slots, ended);
                });
            }
            edge if one.edge == value && (edge == tag || edge == FAR && tag == 1) => one.set_tag(0),
            _ => {}
        }
    }

    /// Returns the target of this kind that a coroutine waits on and that is no coroutine, if there is one; a timer,
    /// whatever its time, only if it is the only one.
    pub(crate) fn standing(&self, slot: u32, coro: CoroId, on: Target) -> Option<Target> {
        let (Variant { tag, .. }, value) = on.parts();
        let one = self.slots.get(slot, coro)?;
        let found = |value| Target::of(tag, value);
        match (one.tag(), on) {
            (MANY, Target::Timer(_)) => found(self.many[one.edge as usize].rest.only(tag)?),
            // It costs less to note it than to look for it.
            (MANY, _) => (self.many[one.edge as usize].rest.len() > 0).then_some(on),
            (edge, Target::Timer(_)) if edge == tag => found(one.edge),
            (edge, _) => (edge == tag && one.edge == value).then_some(on),
        }
    }

    #[inline(always)]
    pub(crate) fn wake(&mut self, at: u64, slot: u32, coro: CoroId) {
        let Some(one) = self.slots.get_mut(slot, coro) else { return };
        match one.bits & STATE {
            WAITING => one.set_state(READY, at),
            RUNNING => one.bits |= WOKEN,
            _ => {}
        }
    }

    #[inline(always)]
    pub(crate) fn step_begin(&mut self, at: u64, slot: u32, coro: CoroId) {
        let Some(one) = self.slots.get_mut(slot, coro) else { return };
        one.set_state(RUNNING, at);
        match one.tag() {
            // One on a coroutine stays until that has ended, which is looked up when it matters.
            0 | 1 => {}
            MANY => {
                let index = one.edge as usize;
                self.drop_rest(slot, coro, index);
            }
            _ => one.set_tag(0),
        }
    }

    #[inline(never)]
    fn drop_rest(&mut self, slot: u32, coro: CoroId, index: usize) {
        self.change(index, |many, _, _| many.rest.clear());
        if self.many[index].near.len() == 0 {
            if let Some(one) = self.slots.get_mut(slot, coro) {
                one.set_tag(0);
            }
            self.free_many(index);
        }
    }

    fn free_many(&mut self, index: usize) {
        let many = std::mem::take(&mut self.many[index]);
        self.many_edges -= many.len();
        self.many_free.push(index as u32);
    }

    #[inline(always)]
    pub(crate) fn step_end(&mut self, at: u64, slot: u32, coro: CoroId) {
        let Some(one) = self.slots.get_mut(slot, coro) else { return };
        let state = if one.bits & STATE == WOKEN { READY } else { WAITING };
        one.set_state(state, at);
    }

    #[inline(always)]
    pub(crate) fn end(&mut self, slot: u32, coro: CoroId) {
        let Some(one) = self.slots.remove(slot, coro) else { return };
        let (delivered, tag, edge) = (one.bits & CANCEL_DELIVERED != 0, one.tag(), one.edge);
        self.in_workers -= u64::from(one.worker() != 0);
        self.ended += 1;
        if delivered || tag == MANY || self.objects.has_fields_or_names() {
            self.end_more(coro, delivered, (tag == MANY).then_some(edge as usize));
        }
    }

    #[inline(never)]
    fn end_more(&mut self, coro: CoroId, delivered: bool, many: Option<usize>) {
        self.cancels_delivered -= delivered as u64;
        if let Some(index) = many {
            self.free_many(index);
        }
        self.objects.ended(coro);
    }

    /// The steps of a coroutine run in this worker from here on.
    #[inline(always)]
    pub(crate) fn moved(&mut self, slot: u32, coro: CoroId, to: LoopId) {
        let Some(one) = self.slots.get_mut(slot, coro) else { return };
        self.in_workers -= u64::from(one.worker() != 0);
        one.set_worker(to);
        self.in_workers += u64::from(one.worker() != 0);
    }

    /// All that [`Step`] stands for.
    #[inline(always)]
    pub(crate) fn step(&mut self, at: u64, step: &Step) {
        let Step { coro, slot, next, next_slot, has, .. } = *step;
        // One that goes on at once waits for nothing: its turn has come.
        if next == coro && has & (Step::BEGINS | Step::ON) == Step::BEGINS {
            return self.step_begin(at, slot, coro);
        }
        if has & Step::END != 0 {
            self.end(slot, coro);
        } else if let Some(one) = self.slots.get_mut(slot, coro) {
            let woken = one.bits & STATE == WOKEN || has & Step::OWN != 0;
            one.set_state(if woken { READY } else { WAITING }, at);
            if has & Step::ON != 0 {
                let tag = if step.on_slot == NO_SLOT { FAR } else { 1 };
                self.edge(slot, coro, Edge::new(tag, step.on, at, step.on_slot, step.site));
            } else if has & Step::TURN != 0 {
                let (Variant { tag, .. }, value) = Target::Turn.parts();
                self.edge(slot, coro, Edge::new(tag, value, at, NO_SLOT, step.site));
            }
        }
        if has & Step::BEGINS != 0 {
            self.step_begin(at, next_slot, next);
        } else if has & Step::WAKES != 0 {
            self.wake(at, next_slot, next);
        }
    }

    pub(crate) fn cancel_delivered(&mut self, slot: u32, coro: CoroId) {
        let Some(one) = self.slots.get_mut(slot, coro) else { return };
        if one.bits & CANCEL_DELIVERED == 0 {
            one.bits |= CANCEL_DELIVERED;
            self.cancels_delivered += 1;
        }
    }
}
