//! Timers: a hierarchical wheel, after Varghese and Lauck, *Hashed and Hierarchical Timing Wheels* (1987).
//!
//! Level `n` has 64 slots of 64ⁿ ticks each; a timer lies in the lowest level whose turn it is within, and moves down
//! when its slot's time comes. Insertion and removal take constant time; a timer moves at most `LEVELS` times.

use crate::slab::Slab;
use crate::task::Word;

/// A tick is 2^20 ns, about a millisecond. A timer fires at the first tick that is not before its deadline.
const TICK_BITS: u32 = 20;
/// A tick in nanoseconds.
pub(crate) const TICK: u64 = 1 << TICK_BITS;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// 64^7 ticks are 146 years.
const LEVELS: usize = 7;
const NONE: u32 = u32::MAX;

/// Names a timer. One that has fired or was removed is not found again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    node: u32,
    /// Low bits of the number of insertions before it.
    serial: u32,
}

struct Node {
    /// Nanoseconds of the loop's clock.
    deadline: u64,
    word: Word,
    serial: u32,
    prev: u32,
    next: u32,
    /// Level and slot whose list it is in.
    place: u16,
}

/// The timers of a loop.
pub(crate) struct Wheel {
    nodes: Slab<Node>,
    /// First node of each slot's list.
    heads: [[u32; SLOTS]; LEVELS],
    /// A bit for each slot that is not empty.
    full: [u64; LEVELS],
    /// All slots before this tick are empty.
    tick: u64,
    serial: u32,
    /// Reused by `expire`.
    due: Vec<(u64, u32, Word)>,
}

fn tick_of(deadline: u64) -> u64 {
    deadline.div_ceil(1 << TICK_BITS)
}

impl Wheel {
    pub(crate) fn new() -> Wheel {
        Wheel {
            nodes: Slab::default(),
            heads: [[NONE; SLOTS]; LEVELS],
            full: [0; LEVELS],
            tick: 0,
            serial: 0,
            due: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.len() == 0
    }

    /// Wakes `word` once the clock has reached `deadline`.
    pub(crate) fn insert(&mut self, deadline: u64, word: Word) -> Key {
        let serial = self.serial;
        self.serial = serial.wrapping_add(1);
        let node = self.nodes.insert(Node { deadline, word, serial, prev: NONE, next: NONE, place: 0 });
        self.link(node, deadline);
        Key { node, serial }
    }

    /// It has neither fired nor been removed.
    pub(crate) fn contains(&self, key: Key) -> bool {
        self.nodes.get(key.node).is_some_and(|node| node.serial == key.serial)
    }

    /// Changes whom it wakes.
    pub(crate) fn set_word(&mut self, key: Key, word: Word) {
        if let Some(node) = self.nodes.get_mut(key.node).filter(|node| node.serial == key.serial) {
            node.word = word;
        }
    }

    pub(crate) fn remove(&mut self, key: Key) {
        if self.contains(key) {
            self.unlink(key.node);
            self.nodes.remove(key.node);
        }
    }

    fn link(&mut self, index: u32, deadline: u64) {
        // Never in the slot whose turn has passed.
        let tick = tick_of(deadline).max(self.tick);
        let differs = (tick ^ self.tick) | 1;
        let level = ((63 - differs.leading_zeros()) / SLOT_BITS).min(LEVELS as u32 - 1) as usize;
        let slot = (tick >> (level as u32 * SLOT_BITS)) as usize % SLOTS;
        let first = std::mem::replace(&mut self.heads[level][slot], index);
        self.full[level] |= 1 << slot;
        if let Some(first) = self.nodes.get_mut(first) {
            first.prev = index;
        }
        let node = self.nodes.get_mut(index).expect("the caller has inserted it");
        (node.prev, node.next, node.place) = (NONE, first, (level * SLOTS + slot) as u16);
    }

    fn unlink(&mut self, index: u32) {
        let Some(node) = self.nodes.get(index) else { return };
        let (prev, next, place) = (node.prev, node.next, node.place as usize);
        if let Some(next) = self.nodes.get_mut(next) {
            next.prev = prev;
        }
        if let Some(prev) = self.nodes.get_mut(prev) {
            prev.next = next;
        } else {
            let (level, slot) = (place / SLOTS, place % SLOTS);
            self.heads[level][slot] = next;
            if next == NONE {
                self.full[level] &= !(1 << slot);
            }
        }
    }

    /// The first slot, of any level, that is not empty: its level, number and first tick.
    fn first(&self) -> Option<(usize, usize, u64)> {
        // All timers of a level lie after all those of the levels below: their ticks differ in a higher digit.
        (0..LEVELS).find(|level| self.full[*level] != 0).map(|level| {
            let shift = level as u32 * SLOT_BITS;
            let here = (self.tick >> shift) as u32 % SLOTS as u32;
            let ahead = self.full[level].rotate_right(here).trailing_zeros();
            let slot = (here + ahead) as usize % SLOTS;
            let digits = (self.tick >> shift) + u64::from(ahead);
            (level, slot, (digits << shift).max(self.tick))
        })
    }

    /// When something is to be done next: no later than the first deadline is due.
    pub(crate) fn next(&self) -> Option<u64> {
        self.first().map(|(_, _, tick)| tick << TICK_BITS)
    }

    /// The earliest deadline itself. Looks through one slot.
    pub(crate) fn earliest(&self) -> Option<u64> {
        let (level, slot, _) = self.first()?;
        let mut next = self.heads[level][slot];
        std::iter::from_fn(|| {
            let node = self.nodes.get(next)?;
            next = node.next;
            Some(node.deadline)
        })
        .min()
    }

    /// Takes out all that are due at `now`, those of the same tick by deadline, then by age.
    pub(crate) fn expire(&mut self, now: u64, mut wake: impl FnMut(Word)) {
        let now = now >> TICK_BITS;
        while let Some((level, slot, tick)) = self.first().filter(|(_, _, tick)| *tick <= now) {
            self.tick = tick;
            self.full[level] &= !(1 << slot);
            let mut next = std::mem::replace(&mut self.heads[level][slot], NONE);
            let mut due = std::mem::take(&mut self.due);
            while let Some(node) = self.nodes.get(next) {
                let (index, deadline) = (next, node.deadline);
                next = node.next;
                if level == 0 || tick_of(deadline) <= tick {
                    let node = self.nodes.remove(index).expect("just seen");
                    due.push((deadline, node.serial, node.word));
                } else {
                    self.link(index, deadline);
                }
            }
            // The lists are last in, first out.
            due.reverse();
            if !due.is_sorted_by_key(|(deadline, serial, _)| (*deadline, *serial)) {
                due.sort_unstable_by_key(|(deadline, serial, _)| (*deadline, *serial));
            }
            for (_, _, word) in due.drain(..) {
                wake(word);
            }
            self.due = due;
        }
        // What is left begins later, and differs from this tick in the same digit as before.
        self.tick = self.tick.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a sorted list: everything fires once, in order, never early, at most a tick late.
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
                    keys.push(wheel.insert(deadline, Word::task(0, 0, id)));
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
                wheel.expire(now, |word| got.push(word.slot()));
                assert_eq!(got, expected.iter().map(|(_, id)| *id).collect::<Vec<_>>());
                assert!(got.iter().all(|id| !wheel.contains(keys[*id as usize])));
                fired += got.len();
            }
            assert!(model.is_empty() && wheel.is_empty() && fired > 1_000);
        }
    }

    #[test]
    fn the_earliest_is_the_earliest() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.earliest(), None);
        for deadline in [70 << TICK_BITS, (70 << TICK_BITS) + 5, (69 << TICK_BITS) + 3, 900 << TICK_BITS] {
            wheel.insert(deadline, Word::NONE);
        }
        assert_eq!(wheel.earliest(), Some((69 << TICK_BITS) + 3));
    }
}
