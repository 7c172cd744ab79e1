//! Waiters in the order in which they came, any of which may leave.

use std::num::NonZeroU32;

use crate::task::Word;

/// A doubly linked list in a vector: 16 bytes for each who waits, and room that is used again.
#[derive(Default)]
pub(crate) struct Line {
    nodes: Vec<Node>,
    first: Option<Place>,
    last: Option<Place>,
    /// Nodes that nobody has, linked.
    free: Option<Place>,
}

/// Where somebody is in the line: one more than the number of the node.
pub(crate) type Place = NonZeroU32;

struct Node {
    word: Word,
    prev: Option<Place>,
    next: Option<Place>,
}

impl Line {
    /// Goes to the end of the line.
    pub(crate) fn join(&mut self, word: Word) -> Place {
        let node = Node { word, prev: self.last, next: None };
        let place = match self.free {
            Some(place) => {
                self.free = std::mem::replace(self.node(place), node).next;
                place
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len()).ok().and_then(Place::new).expect("fewer than 2^32 wait")
            }
        };
        self.link(self.last, Some(place));
        self.last = Some(place);
        place
    }

    /// Another stands there instead.
    pub(crate) fn replace(&mut self, place: Place, word: Word) {
        self.node(place).word = word;
    }

    /// Goes away.
    pub(crate) fn leave(&mut self, place: Place) {
        let free = self.free.replace(place);
        let node = self.node(place);
        let (prev, next) = (node.prev, std::mem::replace(&mut node.next, free));
        self.link(prev, next);
        match next {
            None => self.last = prev,
            Some(next) => self.node(next).prev = prev,
        }
    }

    /// Shows `f` all who wait.
    pub(crate) fn for_each(&self, mut f: impl FnMut(Word)) {
        let mut at = self.first;
        while let Some(place) = at {
            let node = &self.nodes[place.get() as usize - 1];
            f(node.word);
            at = node.next;
        }
    }

    fn node(&mut self, place: Place) -> &mut Node {
        &mut self.nodes[place.get() as usize - 1]
    }

    /// `next` comes after `prev`.
    fn link(&mut self, prev: Option<Place>, next: Option<Place>) {
        match prev {
            None => self.first = next,
            Some(prev) => self.node(prev).next = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a vector: everyone is there once, in order.
    #[test]
    fn the_line_keeps_its_order() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % below as u64) as usize
        };
        let word = |slot| Word::task(1, 2, slot);
        let mut line = Line::default();
        let mut model: Vec<(Place, Word)> = Vec::new();
        for round in 0..10_000_u32 {
            match next(5) {
                0 | 1 => model.push((line.join(word(round)), word(round))),
                2 if !model.is_empty() => {
                    let at = next(model.len());
                    model[at].1 = word(round);
                    line.replace(model[at].0, word(round));
                }
                _ if !model.is_empty() => line.leave(model.remove(next(model.len())).0),
                _ => {}
            }
            let mut seen = Vec::new();
            line.for_each(|word| seen.push(word));
            assert_eq!(seen, model.iter().map(|(_, word)| *word).collect::<Vec<_>>());
        }
        assert!(line.nodes.len() < 500, "room is used again: {}", line.nodes.len());
    }
}
