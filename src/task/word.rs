//! The words that name who is to be woken: what a `Waker` carries and what every list of waiters holds.
//!
//! ```text
//!  63                44 43         32 31                          3 2     0
//! ┌────────────────────┬─────────────┬─────────────────────────────┬───────┐
//! │ tag of the loop    │ generation  │ slot                        │ kind  │
//! └────────────────────┴─────────────┴─────────────────────────────┴───────┘
//! ```
//!
//! A word is looked up, never dereferenced: one that is out of date wakes nobody, or costs somebody one needless poll.

use std::fmt;

/// Names who is to be woken. See the module.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Word(u64);

const KIND: u64 = 0b111;
// Bit 0 is set in each, so that no word can be taken for the address of a box.
const TASK: u64 = 0b001;
const EDGE: u64 = 0b011;
const FOREIGN: u64 = 0b101;

/// Loops alive at once in a process.
pub(crate) const MAX_TAGS: usize = 1 << 20;
/// Coroutines alive at once in a loop.
pub(crate) const MAX_SLOTS: usize = 1 << 29;

/// What a word stands for, in the loop it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The coroutine in this slot is to be queued.
    Task,
    /// The coroutine in this slot waits here, but is woken by something else: only an edge of the graph.
    Edge,
    /// The waker in this slot of the loop's table of foreign wakers is to be called.
    Foreign,
}

impl Word {
    /// No word. Never equal to one that was made.
    pub(crate) const NONE: Word = Word(0);

    pub(crate) fn task(tag: u32, id: u64, slot: u32) -> Word {
        Word((u64::from(tag) << 44) | ((id & 0xfff) << 32) | (u64::from(slot) << 3) | TASK)
    }

    pub(crate) fn foreign(tag: u32, slot: u32) -> Word {
        Word((u64::from(tag) << 44) | (u64::from(slot) << 3) | FOREIGN)
    }

    /// The same coroutine, as an edge only.
    pub(crate) fn edge(self) -> Word {
        Word((self.0 & !KIND) | EDGE)
    }

    /// The same coroutine, to be woken.
    pub(crate) fn woken(self) -> Word {
        Word((self.0 & !KIND) | TASK)
    }

    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0 & KIND {
            TASK => Kind::Task,
            FOREIGN => Kind::Foreign,
            // And no word at all, which wakes nobody.
            _ => Kind::Edge,
        }
    }

    pub(crate) fn tag(self) -> u32 {
        (self.0 >> 44) as u32
    }

    pub(crate) fn slot(self) -> u32 {
        (self.0 as u32) >> 3
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn from_bits(bits: u64) -> Word {
        Word(bits)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("none");
        }
        write!(f, "{:?} {}:{}", self.kind(), self.tag(), self.slot())
    }
}
