//! A checkpoint of everything alive.

use tinyio_events::event::{CoroId, State, Target, Waker};
use tinyio_events::field::Tagged;
use tinyio_events::ring_words::{self, Words};

use super::edge::Edge;
use super::slots::{CANCEL_DELIVERED, FAR, MANY, READY, STATE, Slot, WAITING, WOKEN};
use super::{Live, Out};

impl Live {
    /// Records a checkpoint of everything takes at most.
    pub(crate) fn records(&self) -> u64 {
        2 + 2 * self.slots.len() + self.many_edges + self.cancels_delivered + self.in_workers + self.objects.records()
    }

    /// Removes edges to ended coroutines, once enough have ended to pay for it.
    pub(crate) fn sweep(&mut self) {
        if self.many_edges <= 64 || self.ended - self.swept < self.many_edges / 2 {
            return;
        }
        for many in &mut self.many {
            self.many_edges -= many.len();
            for edges in [&mut many.near, &mut many.rest] {
                edges.sweep(&self.slots, self.ended);
            }
            self.many_edges += many.len();
        }
        self.swept = self.ended;
    }

    /// Writes everything, as far as there is room; `whole`: there is room for all. Gives the coroutines
    /// written, and how many things were left out.
    pub(crate) fn write(&self, at: u64, whole: bool, out: &mut impl Out) -> (u64, u64) {
        let mut left_out = self.objects.write_before(at, whole, out);
        // Coroutines first, then their edges, so that no edge is on one that is not known yet. Half of what is left is
        // for each.
        let stop = if whole { 0 } else { out.room() / 2 };
        let mut end = self.slots.end();
        let mut coros = 0;
        for (index, slot) in self.slots.iter() {
            if out.room() <= stop + 1 && !whole {
                end = index;
                break;
            }
            let state = match slot.bits & STATE {
                READY => State::Ready,
                WAITING => State::Waiting,
                _ => State::Running,
            };
            let &Slot { coro, in_loop, parent, name, site, since, .. } = slot;
            out.record(ring_words::coro_state(since, coro, in_loop, parent, name, site, state, since));
            coros += 1;
            if slot.bits & STATE == WOKEN {
                // The source of the wake is not kept.
                out.record(ring_words::wake(at, slot.coro, Waker::External));
            }
            if slot.worker() != 0 {
                out.record(ring_words::moved(at, slot.coro, slot.worker()));
            }
            if slot.bits & CANCEL_DELIVERED != 0 {
                out.record(ring_words::cancel_deliver(at, slot.coro));
            }
        }
        left_out += self.slots.len() - coros;
        // An edge on a coroutine that was left out goes with it.
        let known = |edge: &Edge| edge.tag() != 1 || (edge.slot as usize) < end;
        for (_, slot) in self.slots.iter().take_while(|(index, _)| *index < end) {
            match slot.tag() {
                0 => {}
                MANY => {
                    let many = &self.many[slot.edge as usize];
                    for edges in [&many.near, &many.rest] {
                        // If not all fit anyway, some of them are enough: there may be millions.
                        let look = if whole { usize::MAX } else { 4 * out.room() as usize };
                        let (all, standing) = edges.standing(&self.slots);
                        for (at, edge) in standing.enumerate() {
                            if out.room() == 0 || at >= look {
                                left_out += (all - at) as u64;
                                break;
                            }
                            if let Some(edge) = edge.filter(|edge| known(edge)) {
                                out.record(edge_words(slot.coro, edge));
                            }
                        }
                    }
                }
                1 if !self.slots.lives(slot.edge_slot, slot.edge) => {}
                _ => {
                    let edge = slot.edge();
                    left_out += (known(&edge) && !out.record(edge_words(slot.coro, &edge))) as u64;
                }
            }
        }
        left_out += self.objects.write_after(out);
        (coros, left_out)
    }
}

fn edge_words(coro: CoroId, edge: &Edge) -> Words {
    let tag = if edge.tag() == FAR { 1 } else { edge.tag() };
    // Its tag is always that of a target.
    let on = Target::of(tag, edge.value).unwrap_or(Target::External);
    ring_words::wait(edge.since, coro, on, edge.site())
}
