//! The state word of a task.

use crate::picture::State;

/// `tokio::runtime::task::state::State`: flags, and the number of references above them. The same since tokio 1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateWord(pub u64);

const RUNNING: u64 = 1;
const COMPLETE: u64 = 1 << 1;
const NOTIFIED: u64 = 1 << 2;
const JOIN_INTEREST: u64 = 1 << 3;
const REFERENCES: u32 = 6;
/// Memory that was freed holds numbers of the allocator, which read as more references than any task has.
const MOST_REFERENCES: u64 = 1 << 20;

impl StateWord {
    /// What the task is doing.
    pub fn state(self) -> State {
        match self.0 {
            word if word & COMPLETE != 0 => State::Finished,
            word if word & RUNNING != 0 => State::Running,
            word if word & NOTIFIED != 0 => State::Ready,
            _ => State::Waiting,
        }
    }

    /// How many references to the task there are.
    pub fn references(self) -> u64 {
        self.0 >> REFERENCES
    }

    /// Whether a task can have this state: it has references, and does not run after its end.
    pub fn is_possible(self) -> bool {
        let ended = self.0 & (RUNNING | COMPLETE) == RUNNING | COMPLETE;
        !ended && (1..MOST_REFERENCES).contains(&self.references())
    }

    /// Whether a task of the list of its runtime waits and has no waker: nothing refers to it but the list and its
    /// handle.
    pub fn has_no_waker(self) -> bool {
        let handle = u64::from(self.0 & JOIN_INTEREST != 0);
        self.state() == State::Waiting && self.references() == 1 + handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_from_flags_and_references() {
        let of = |flags: u64, references: u64| StateWord(references << REFERENCES | flags);
        assert_eq!(of(NOTIFIED | JOIN_INTEREST, 3).state(), State::Ready);
        assert_eq!(of(RUNNING | NOTIFIED, 3).state(), State::Running);
        assert_eq!(of(COMPLETE | JOIN_INTEREST, 1).state(), State::Finished);
        assert!(of(JOIN_INTEREST, 2).has_no_waker() && of(0, 1).has_no_waker());
        assert!(!of(JOIN_INTEREST, 3).has_no_waker() && !of(NOTIFIED, 1).has_no_waker());
        for impossible in [of(0, 0), of(RUNNING | COMPLETE, 2), StateWord(0x7fff_1234_5678), StateWord(u64::MAX)] {
            assert!(!impossible.is_possible(), "{impossible:?}");
        }
    }
}
