//! Values in an order, any of which can be removed.

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

impl<T> LinkedSlab<T> {
    /// The number of values in the order.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Appends a value.
    pub(crate) fn push(&mut self, value: T) -> Key {
        let node = Node { value, prev: self.last, next: None };
        let key = match self.free {
            Some(key) => {
                self.free = std::mem::replace(self.node(key), node).next;
                key
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len()).ok().and_then(Key::new).expect("fewer than 2^32 values")
            }
        };
        self.link(self.last, Some(key));
        self.last = Some(key);
        self.len += 1;
        key
    }

    /// The value of this node, also after [`LinkedSlab::unlink`].
    pub(crate) fn get_mut(&mut self, key: Key) -> &mut T {
        &mut self.node(key).value
    }

    /// The first value of the order.
    pub(crate) fn first(&self) -> Option<(Key, &T)> {
        self.first.map(|key| (key, &self.nodes[key.get() as usize - 1].value))
    }

    /// Removes a value from the order. It keeps its node until [`LinkedSlab::free`].
    pub(crate) fn unlink(&mut self, key: Key) {
        let Node { prev, next, .. } = *self.node(key);
        self.link(prev, next);
        match next {
            None => self.last = prev,
            Some(next) => self.node(next).prev = prev,
        }
        self.len -= 1;
    }

    /// Frees the node of a value that is not in the order.
    pub(crate) fn free(&mut self, key: Key) {
        let free = self.free.replace(key);
        self.node(key).next = free;
    }

    fn node(&mut self, key: Key) -> &mut Node<T> {
        &mut self.nodes[key.get() as usize - 1]
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

    /// Compared with a vector: each value is there once, in order; an unlinked one keeps its value.
    #[test]
    fn values_keep_their_order() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let mut list = LinkedSlab::default();
        let mut model: Vec<(Key, u32)> = Vec::new();
        let mut out: Vec<(Key, u32)> = Vec::new();
        for round in 0..10_000_u32 {
            match next(7) {
                0 | 1 => model.push((list.push(round), round)),
                2 if !model.is_empty() => {
                    let at = next(model.len());
                    model[at].1 = round;
                    *list.get_mut(model[at].0) = round;
                }
                3 if !model.is_empty() => {
                    out.push(model.remove(next(model.len())));
                    list.unlink(out[out.len() - 1].0);
                }
                4 if !out.is_empty() => list.free(out.swap_remove(next(out.len())).0),
                _ if !model.is_empty() => {
                    let (key, _) = model.remove(next(model.len()));
                    list.unlink(key);
                    list.free(key);
                }
                _ => {}
            }
            let order = std::iter::successors(list.first, |key| list.nodes[key.get() as usize - 1].next);
            let values = order.map(|key| (key, list.nodes[key.get() as usize - 1].value));
            assert_eq!(values.collect::<Vec<_>>(), model);
            assert_eq!(list.first().map(|(key, value)| (key, *value)), model.first().copied());
            assert_eq!(list.len(), model.len());
            assert!(out.iter().all(|(key, value)| list.get_mut(*key) == value));
        }
        assert!(list.nodes.len() < 500, "room is used again: {}", list.nodes.len());
    }
}
