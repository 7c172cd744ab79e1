//! The state word of a task.

use crate::picture::State;

/// `async_task::state`: flags, and the number of references above them. The same since async-task 4.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateWord(pub u64);

const SCHEDULED: u64 = 1;
const RUNNING: u64 = 1 << 1;
const COMPLETED: u64 = 1 << 2;
const CLOSED: u64 = 1 << 3;
const REFERENCES: u32 = 8;

impl StateWord {
    /// What the task is doing.
    pub fn state(self) -> State {
        match self.0 {
            word if word & COMPLETED != 0 => State::Finished,
            word if word & RUNNING != 0 => State::Running,
            word if word & SCHEDULED != 0 => State::Ready,
            _ => State::Waiting,
        }
    }

    /// It was cancelled: its future is dropped, or will be at its next turn.
    pub fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    /// Whether a task in the slab of its executor waits and has no other waker than the one there. Its handle is a
    /// flag, and no reference.
    pub fn has_no_waker(self) -> bool {
        self.state() == State::Waiting && !self.is_closed() && self.0 >> REFERENCES == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_from_flags_and_references() {
        const HANDLE: u64 = 1 << 4;
        let of = |flags: u64, references: u64| StateWord(references << REFERENCES | flags);
        assert_eq!(of(SCHEDULED | HANDLE, 2).state(), State::Ready);
        assert_eq!(of(RUNNING | SCHEDULED, 2).state(), State::Running);
        assert_eq!(of(COMPLETED | HANDLE, 0).state(), State::Finished);
        assert!(of(HANDLE, 1).has_no_waker() && of(0, 1).has_no_waker());
        for other in [of(HANDLE, 2), of(SCHEDULED, 1), of(RUNNING, 1), of(CLOSED, 1), of(COMPLETED, 1), of(0, 0)] {
            assert!(!other.has_no_waker(), "{other:?}");
        }
    }
}
