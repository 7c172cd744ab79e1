//! A picture of a program that is not recorded, and what was proved in it.

use std::sync::Arc;

use tinyio_events::event::{CoroId, Stack};

use super::coro::Coro;
use super::paged::Paged;

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Its number, from 1.
    pub number: u64,
    /// Its moment, in nanoseconds since the first one was asked for.
    pub at: u64,
    /// How long the program was stopped for it, in nanoseconds; `None` if it was not.
    pub stopped: Option<u64>,
    /// What was proved in it.
    pub findings: Vec<Arc<Finding>>,
    /// The coroutines of the picture before, if there is one.
    pub(super) before: Option<Paged<Arc<Coro>>>,
}

/// Coroutines that can never go on, by proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The reason: `never_woken`, `lock_cycle`, `unpolled_holder` or `waits_on_dead`.
    pub reason: String,
    /// The coroutines.
    pub coros: Vec<CoroId>,
    /// One sentence.
    pub text: String,
    /// The facts that it follows from, one sentence each.
    pub proof: Vec<String>,
}

/// How a coroutine differs from what it was in the picture before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    New,
    /// It was at another place.
    Moved,
}

/// How many coroutines differ between two pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that were not there before.
    pub new: usize,
    /// Those that were at another place.
    pub moved: usize,
    /// Those that are no longer there.
    pub gone: usize,
}

/// Whether two coroutines stand at the same place, as far as their stacks are known.
pub(super) fn is_same_place(left: &Coro, right: &Coro) -> bool {
    match (&left.stack, &right.stack) {
        (Some((_, left)), Some((_, right))) => outline(left) == outline(right),
        (left, right) => left.is_some() == right.is_some(),
    }
}

/// The functions and lines of a stack, with the depth of each.
fn outline(stack: &Stack) -> Vec<(usize, &str, u32)> {
    let mut places = Vec::new();
    let mut todo: Vec<_> = stack.frames.iter().rev().map(|frame| (0, frame)).collect();
    while let Some((depth, frame)) = todo.pop() {
        places.push((depth, frame.function.as_str(), frame.line));
        let inner = frame.branches.iter().rev().flat_map(|branch| branch.frames.iter().rev());
        todo.extend(inner.map(|frame| (depth + 1, frame)));
    }
    places
}
