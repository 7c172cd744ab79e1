//! Wake tokens, which name what is to be woken: the data of a `Waker`, and the entries of every list of waiters.
//!
//! ```text
//!  63                44 43         32 31                          3 2     0
//! ┌────────────────────┬─────────────┬─────────────────────────────┬───────┐
//! │ tag of the loop    │ generation  │ slot                        │ kind  │
//! └────────────────────┴─────────────┴─────────────────────────────┴───────┘
//! ```
//!
//! A token is looked up, never dereferenced: a stale token of a task wakes nothing, or costs a task one needless poll.
//! In a foreign token, tag and generation are the number of the loop, reused only after 2^32 loops: see
//! [`WakeToken::number`].

use std::fmt;

/// Names what is to be woken. See the module.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WakeToken(u64);

const KIND: u64 = 0b111;
// Bit 0 is set in each kind, so that no token equals the address of a box.
const TASK: u64 = 0b001;
const EDGE: u64 = 0b011;
const FOREIGN: u64 = 0b101;

const TAG_BITS: u32 = 20;
/// The most loops of a process at a time.
pub(crate) const MAX_TAGS: usize = 1 << TAG_BITS;
/// The most live coroutines of a loop.
pub(crate) const MAX_SLOTS: usize = 1 << 29;

/// The tag of the loop of this number. The tag is its low bits, and is reused by later loops.
pub(crate) fn tag_of(number: u32) -> u32 {
    number & (MAX_TAGS as u32 - 1)
}

/// The next number with the same tag; the first one again after the last.
pub(crate) fn next_number(number: u32) -> u32 {
    number.wrapping_add(1 << TAG_BITS)
}

/// What a wake token stands for in its loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The coroutine in this slot is to be queued.
    Task,
    /// The coroutine in this slot waits here, but is woken by something else: only an edge of the graph.
    Edge,
    /// The waker in this slot of the loop's table of foreign wakers is to be called.
    Foreign,
}

impl WakeToken {
    /// No token. Never equal to one that was made.
    pub(crate) const NONE: WakeToken = WakeToken(0);

    pub(crate) fn task(tag: u32, id: u64, slot: u32) -> WakeToken {
        WakeToken((u64::from(tag) << 44) | ((id & 0xfff) << 32) | (u64::from(slot) << 3) | TASK)
    }

    /// The token of a foreign waker; `number` is that of the loop.
    pub(crate) fn foreign(number: u32, slot: u32) -> WakeToken {
        let (tag, generation) = (tag_of(number), u64::from(number >> TAG_BITS));
        WakeToken((u64::from(tag) << 44) | (generation << 32) | (u64::from(slot) << 3) | FOREIGN)
    }

    /// The same coroutine, as an edge only.
    pub(crate) fn edge(self) -> WakeToken {
        WakeToken((self.0 & !KIND) | EDGE)
    }

    /// The same coroutine, to be woken.
    pub(crate) fn woken(self) -> WakeToken {
        WakeToken((self.0 & !KIND) | TASK)
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0 & KIND {
            TASK => Kind::Task,
            FOREIGN => Kind::Foreign,
            // Also for `NONE`, which wakes nothing.
            _ => Kind::Edge,
        }
    }

    pub(crate) fn tag(self) -> u32 {
        (self.0 >> 44) as u32
    }

    /// The number of the loop, for a foreign token.
    pub(crate) fn number(self) -> u32 {
        self.tag() | (((self.0 >> 32) as u32 & 0xfff) << TAG_BITS)
    }

    pub(crate) fn slot(self) -> u32 {
        (self.0 as u32) >> 3
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> WakeToken {
        WakeToken(bits)
    }
}

impl fmt::Debug for WakeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        write!(f, "{:?} {}:{}", self.kind(), self.tag(), self.slot())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_token_has_its_loop_and_its_slot() {
        for number in [0, 1, MAX_TAGS as u32 - 1, MAX_TAGS as u32, u32::MAX] {
            for slot in [0, 7, MAX_SLOTS as u32 - 1] {
                let wake_token = WakeToken::foreign(number, slot);
                assert_eq!((wake_token.kind(), wake_token.number(), wake_token.slot()), (Kind::Foreign, number, slot));
                assert_eq!(wake_token.tag(), tag_of(number));
            }
        }
    }

    #[test]
    fn the_numbers_of_a_tag_are_4096_then_they_begin_again() {
        let numbers = || std::iter::successors(Some(5), |number| Some(next_number(*number)));
        assert!(numbers().take(4096).skip(1).all(|number| number != 5 && tag_of(number) == 5));
        assert_eq!(numbers().nth(4096), Some(5));
    }
}
