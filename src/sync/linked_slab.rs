//! A list of waiters in the order in which they came, any of which may leave.

use std::num::NonZeroU32;

/// A doubly linked list in a vector that reuses its nodes. All operations take constant time.
pub(crate) struct LinkedSlab<T> {
    nodes: Vec<Node<T>>,
    first: Option<Key>,
    last: Option<Key>,
    /// Unused nodes, linked.
    free: Option<Key>,
    len: usize,
}

/// A node of the list: its index plus one.
pub(crate) type Key = NonZeroU32;

struct Node<T> {
    value: T,
    prev: Option<Key>,
    next: Option<Key>,
}

impl<T> Default for LinkedSlab<T> {
    fn default() -> Self {
        LinkedSlab { nodes: Vec::new(), first: None, last: None, free: None, len: 0 }
    }
}

impl<T: Copy> LinkedSlab<T> {
    /// The number of waiters in the list.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends a waiter.
    pub(crate) fn join(&mut self, value: T) -> Key {
        let node = Node { value, prev: self.last, next: None };
        let place = match self.free {
            Some(place) => {
                self.free = std::mem::replace(self.node(place), node).next;
                place
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len()).ok().and_then(Key::new).expect("fewer than 2^32 wait")
            }
        };
        self.link(self.last, Some(place));
        self.last = Some(place);
        self.len += 1;
        place
    }

    /// The waiter of this node, also after [`LinkedSlab::step_out`].
    pub(crate) fn at(&mut self, place: Key) -> &mut T {
        &mut self.node(place).value
    }

    /// The first waiter.
    pub(crate) fn first(&self) -> Option<(Key, T)> {
        self.first.map(|place| (place, self.nodes[place.get() as usize - 1].value))
    }

    /// Takes a waiter out of the order. It keeps its node until [`LinkedSlab::release`].
    pub(crate) fn step_out(&mut self, place: Key) {
        let Node { prev, next, .. } = *self.node(place);
        self.link(prev, next);
        match next {
            None => self.last = prev,
            Some(next) => self.node(next).prev = prev,
        }
        self.len -= 1;
    }

    /// Frees the node of a waiter that has stepped out.
    pub(crate) fn release(&mut self, place: Key) {
        let free = self.free.replace(place);
        self.node(place).next = free;
    }

    /// Removes a waiter that is in the list.
    pub(crate) fn leave(&mut self, place: Key) {
        self.step_out(place);
        self.release(place);
    }

    /// Calls `f` with each waiter in the list.
    pub(crate) fn for_each(&self, mut f: impl FnMut(T)) {
        let mut at = self.first;
        while let Some(place) = at {
            let node = &self.nodes[place.get() as usize - 1];
            f(node.value);
            at = node.next;
        }
    }

    fn node(&mut self, place: Key) -> &mut Node<T> {
        &mut self.nodes[place.get() as usize - 1]
    }

    /// Links `next` after `prev`.
    fn link(&mut self, prev: Option<Key>, next: Option<Key>) {
        match prev {
            None => self.first = next,
            Some(prev) => self.node(prev).next = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with a vector: each waiter is there once, in order; one that has stepped out keeps its value.
    #[test]
    fn the_line_keeps_its_order() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let mut line = LinkedSlab::default();
        let mut model: Vec<(Key, u32)> = Vec::new();
        let mut out: Vec<(Key, u32)> = Vec::new();
        for round in 0..10_000_u32 {
            match next(7) {
                0 | 1 => model.push((line.join(round), round)),
                2 if !model.is_empty() => {
                    let at = next(model.len());
                    model[at].1 = round;
                    *line.at(model[at].0) = round;
                }
                3 if !model.is_empty() => {
                    out.push(model.remove(next(model.len())));
                    line.step_out(out[out.len() - 1].0);
                }
                4 if !out.is_empty() => line.release(out.swap_remove(next(out.len())).0),
                _ if !model.is_empty() => line.leave(model.remove(next(model.len())).0),
                _ => {}
            }
            let mut seen = Vec::new();
            line.for_each(|value| seen.push(value));
            assert_eq!(seen, model.iter().map(|(_, value)| *value).collect::<Vec<_>>());
            assert_eq!((line.len(), line.first()), (model.len(), model.first().copied()));
            assert!(out.iter().all(|(place, value)| line.at(*place) == value));
        }
        assert!(line.nodes.len() < 500, "room is used again: {}", line.nodes.len());
    }
}
