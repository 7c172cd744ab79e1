//! Timers: a hierarchical wheel, after Varghese and Lauck, *Hashed and Hierarchical Timing Wheels* (1987).
//!
//! Level `n` has 64 slots of 64ⁿ ticks each; a timer lies in the lowest level whose current turn contains its deadline,
//! and moves down when its slot's time comes. Insertion and removal take constant time; a timer moves at most `LEVELS`
//! times.
//!
//! A slot is a vector of indices, not a list through the timers: the timers of one slot are scattered in memory, and
//! addresses known in advance are fetched in parallel. With a million timers that halves the cost of each. A removed
//! timer leaves a hole, so that no other timer is touched; when seven eighths of a slot are holes they are closed,
//! which touches the timers that are left.

use std::num::NonZeroU32;

use crate::executor::slab::Slab;
use crate::task::WakeToken;

/// A tick is 2^20 ns, about a millisecond. A timer fires at the first tick that is not before its deadline.
const TICK_BITS: u32 = 20;
/// A tick in nanoseconds.
pub(crate) const TICK: u64 = 1 << TICK_BITS;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// 64^7 ticks are 146 years.
const LEVELS: usize = 7;
/// An empty vector keeps its memory if its capacity is at most this.
const KEPT: usize = 256;
/// The number of holes below which a slot is not compacted.
const FEW: u32 = 32;
/// No timer: a hole.
const HOLE: u32 = u32::MAX;

/// Names a timer. A timer that has fired or was removed is not found again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    node: u32,
    serial: Serial,
}

/// Low bits of the number of insertions. Never 0, so that a free entry of the slab needs no room of its own.
type Serial = NonZeroU32;

struct Node {
    /// Nanoseconds of the loop's clock.
    deadline: u64,
    wake_token: WakeToken,
    serial: Serial,
    /// Its position in its slot.
    at: u32,
    /// Level and slot.
    place: u16,
}

// A million timers take a million of these.
const _: () = assert!(size_of::<Option<Node>>() == 32);

/// The slots of one level.
struct Level {
    /// A bit for each slot that is not empty.
    full: u64,
    slots: [Slot; SLOTS],
}

/// The timers of some ticks, as numbers of nodes, with holes.
#[derive(Default)]
struct Slot {
    nodes: Vec<u32>,
    holes: u32,
}

impl Slot {
    /// Where the timers are.
    fn iter(&self) -> impl Iterator<Item = u32> {
        self.nodes.iter().copied().filter(|node| *node != HOLE)
    }
}

/// A timer whose time has come.
pub(crate) struct Due {
    deadline: u64,
    serial: Serial,
    pub(crate) wake_token: WakeToken,
}

/// The timers of a loop.
pub(crate) struct Wheel {
    nodes: Slab<Node>,
    /// As many levels as were needed so far.
    levels: Vec<Level>,
    /// All slots before this tick are empty.
    tick: u64,
    /// The serial number of the next timer.
    serial: Serial,
    /// The buffer of `expire`, for reuse.
    due: Vec<Due>,
}

fn tick_of(deadline: u64) -> u64 {
    deadline.div_ceil(1 << TICK_BITS)
}

/// Empties a vector; frees its memory if it was large.
fn clear<T>(mut vector: Vec<T>) -> Vec<T> {
    vector.clear();
    if vector.capacity() > KEPT { Vec::new() } else { vector }
}

impl Level {
    fn new() -> Level {
        Level { full: 0, slots: std::array::from_fn(|_| Slot::default()) }
    }
}

impl Wheel {
    pub(crate) fn new() -> Wheel {
        let (nodes, levels, due) = (Slab::default(), Vec::new(), Vec::new());
        Wheel { nodes, levels, tick: 0, serial: Serial::MIN, due }
    }

    /// Restarts a wheel without timers from this time, which may be earlier than before. Timers are set for no time
    /// before `now`.
    pub(crate) fn begin_at(&mut self, now: u64) {
        if self.is_empty() {
            self.tick = now >> TICK_BITS;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.len() == 0
    }

    /// Wakes `wake_token` once the clock has reached `deadline`.
    #[inline]
    pub(crate) fn insert(&mut self, deadline: u64, wake_token: WakeToken) -> Key {
        let serial = self.serial;
        self.serial = serial.checked_add(1).unwrap_or(Serial::MIN);
        let node = self.nodes.next_key();
        let (at, place) = self.link(node, deadline);
        self.nodes.insert(Node { deadline, wake_token, serial, at, place });
        Key { node, serial }
    }

    /// Whether the timer has neither fired nor been removed.
    pub(crate) fn contains(&self, key: Key) -> bool {
        self.nodes.get(key.node).is_some_and(|node| node.serial == key.serial)
    }

    /// Changes the wake token of a timer.
    pub(crate) fn set_wake_token(&mut self, key: Key, wake_token: WakeToken) {
        if let Some(node) = self.nodes.get_mut(key.node).filter(|node| node.serial == key.serial) {
            node.wake_token = wake_token;
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> bool {
        if self.contains(key)
            && let Some(node) = self.nodes.remove(key.node)
        {
            self.unlink(&node);
            return true;
        }
        false
    }

    /// Puts a timer into the slot of its deadline; returns its position. Inlined into the setting of a timer, which
    /// saves 20 instructions.
    #[inline]
    fn link(&mut self, node: u32, deadline: u64) -> (u32, u16) {
        // Never in a slot that has passed.
        let tick = tick_of(deadline).max(self.tick);
        let differs = (tick ^ self.tick) | 1;
        let level = ((63 - differs.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1) as usize;
        let number = (tick >> (level as u32 * SLOT_BITS)) as usize % SLOTS;
        while self.levels.len() <= level {
            self.levels.push(Level::new());
        }
        let level_of = &mut self.levels[level];
        level_of.full |= 1 << number;
        let nodes = &mut level_of.slots[number].nodes;
        nodes.push(node);
        (nodes.len() as u32 - 1, (level * SLOTS + number) as u16)
    }

    /// Removes a timer, which is no longer a node, from its slot.
    fn unlink(&mut self, node: &Node) {
        let (level, number) = (node.place as usize / SLOTS, node.place as usize % SLOTS);
        let slot = &mut self.levels[level].slots[number];
        slot.nodes[node.at as usize] = HOLE;
        slot.holes += 1;
        let all = slot.nodes.len() as u32;
        if slot.holes == all {
            *slot = Slot { nodes: clear(std::mem::take(&mut slot.nodes)), holes: 0 };
            self.levels[level].full &= !(1 << number);
        } else if slot.holes > FEW.max(all - all / 8) {
            slot.nodes.retain(|node| *node != HOLE);
            slot.nodes.shrink_to(all as usize);
            slot.holes = 0;
            for (at, node) in (0..).zip(&slot.nodes) {
                self.nodes.get_mut(*node).expect("a slot names timers").at = at;
            }
        }
    }

    /// The first slot, of any level, that is not empty: its level, number and first tick.
    fn first(&self) -> Option<(usize, usize, u64)> {
        // The timers of a level are later than those of the levels below: their ticks differ in a higher digit.
        self.levels.iter().enumerate().find(|(_, level)| level.full != 0).map(|(number, level)| {
            let shift = number as u32 * SLOT_BITS;
            let here = (self.tick >> shift) as u32 % SLOTS as u32;
            let ahead = level.full.rotate_right(here).trailing_zeros();
            let slot = (here + ahead) as usize % SLOTS;
            let digits = (self.tick >> shift) + u64::from(ahead);
            (number, slot, (digits << shift).max(self.tick))
        })
    }

    /// When something is to be done next: no later than the first deadline.
    pub(crate) fn next(&self) -> Option<u64> {
        self.first().map(|(_, _, tick)| tick << TICK_BITS)
    }

    /// The earliest deadline itself. Reads through one slot.
    pub(crate) fn earliest(&self) -> Option<u64> {
        let (level, slot, _) = self.first()?;
        let nodes = self.levels[level].slots[slot].iter().filter_map(|node| self.nodes.get(node));
        nodes.map(|node| node.deadline).min()
    }

    /// Takes out all timers that are due at `now`, by tick, deadline and age. When they have been woken, the vector is
    /// to be given back: see [`reuse_buffer`](Wheel::reuse_buffer).
    pub(crate) fn expire(&mut self, now: u64) -> Vec<Due> {
        let now = now >> TICK_BITS;
        let mut due = std::mem::take(&mut self.due);
        while let Some((level, number, tick)) = self.first().filter(|(_, _, tick)| *tick <= now) {
            self.tick = tick;
            let level_of = &mut self.levels[level];
            level_of.full &= !(1 << number);
            let slot = std::mem::take(&mut level_of.slots[number]);
            let before = due.len();
            for index in slot.iter() {
                let node = self.nodes.get(index).expect("a slot names timers");
                let Node { deadline, wake_token, serial, .. } = *node;
                if level == 0 || tick_of(deadline) <= tick {
                    self.nodes.remove(index);
                    due.push(Due { deadline, serial, wake_token });
                } else {
                    let (at, place) = self.link(index, deadline);
                    let node = self.nodes.get_mut(index).expect("just seen");
                    (node.at, node.place) = (at, place);
                }
            }
            // Nothing was put there meanwhile: the remaining timers went to a lower level.
            self.levels[level].slots[number].nodes = clear(slot.nodes);
            let due = &mut due[before..];
            if !due.is_sorted_by_key(|due| (due.deadline, due.serial)) {
                due.sort_unstable_by_key(|due| (due.deadline, due.serial));
            }
        }
        // The remaining timers are later, and differ from this tick in the same digit as before.
        self.tick = self.tick.max(now);
        due
    }

    /// Takes back what [`expire`](Wheel::expire) gave.
    pub(crate) fn reuse_buffer(&mut self, due: Vec<Due>) {
        self.due = clear(due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with a sorted list: every timer fires once, in order, never early, at most a tick late.
    #[test]
    fn fires_what_a_sorted_list_would() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for span in [5, 300, 70_000, 20_000_000, 3_000_000_000] {
            let mut wheel = Wheel::new();
            let mut model: Vec<(u64, u32)> = Vec::new();
            let mut keys = Vec::new();
            let mut now = 0;
            let mut fired = 0;
            for round in 0..2_000_u32 {
                for _ in 0..next(4) {
                    let deadline = now + next(span << TICK_BITS);
                    let id = keys.len() as u32;
                    keys.push(wheel.insert(deadline, WakeToken::task(0, 0, id)));
                    model.push((deadline, id));
                }
                if next(3) == 0 && !model.is_empty() {
                    let (_, id) = model.swap_remove(next(model.len() as u64) as usize);
                    assert!(wheel.contains(keys[id as usize]));
                    wheel.remove(keys[id as usize]);
                }
                assert_eq!(wheel.is_empty(), model.is_empty());
                let at = wheel.next();
                let first = model.iter().map(|(deadline, _)| *deadline).min();
                assert!(at.is_none() == first.is_none() && at <= first.map(|at| tick_of(at) << TICK_BITS));
                now += next((span << TICK_BITS) / 8 + 1);
                if round == 1_999 {
                    now = u64::MAX >> 1;
                }
                let tick = now >> TICK_BITS;
                let mut expected: Vec<_> = model.extract_if(.., |(deadline, _)| tick_of(*deadline) <= tick).collect();
                expected.sort_by_key(|(deadline, id)| (tick_of(*deadline), *deadline, *id));
                let mut got = Vec::new();
                let due = wheel.expire(now);
                got.extend(due.iter().map(|due| due.wake_token.slot()));
                wheel.reuse_buffer(due);
                assert_eq!(got, expected.iter().map(|(_, id)| *id).collect::<Vec<_>>());
                assert!(got.iter().all(|id| !wheel.contains(keys[*id as usize])));
                fired += got.len();
            }
            assert!(model.is_empty() && wheel.is_empty() && fired > 1_000);
        }
    }

    /// Most of a slot is removed, so that it is compacted, and then more: all other timers can still be found.
    #[test]
    fn holes_are_closed() {
        let mut wheel = Wheel::new();
        let keys: Vec<_> = (0..1_000).map(|id| wheel.insert(70 << TICK_BITS, WakeToken::task(0, 0, id))).collect();
        let place = wheel.nodes.get(keys[0].node).expect("it is there").place as usize;
        let room = |wheel: &Wheel| wheel.levels[place / SLOTS].slots[place % SLOTS].nodes.len();
        assert_eq!(room(&wheel), 1_000);
        let stays = |id: &usize| id.is_multiple_of(10) || *id == 7;
        (0..1_000).filter(|id| !stays(id)).for_each(|id| assert!(wheel.remove(keys[id])));
        assert!(room(&wheel) < 300);
        (0..50).filter(stays).for_each(|id| assert!(wheel.remove(keys[id])));
        let expired: Vec<_> = wheel.expire(70 << TICK_BITS).iter().map(|due| due.wake_token.slot() as usize).collect();
        assert_eq!(expired, (50..1_000).filter(stays).collect::<Vec<_>>());
        assert!(wheel.is_empty());
    }

    #[test]
    fn the_earliest_is_the_earliest() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.earliest(), None);
        for deadline in [70 << TICK_BITS, (70 << TICK_BITS) + 5, (69 << TICK_BITS) + 3, 900 << TICK_BITS] {
            wheel.insert(deadline, WakeToken::NONE);
        }
        assert_eq!(wheel.earliest(), Some((69 << TICK_BITS) + 3));
    }
}
