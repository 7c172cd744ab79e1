//! The ready tasks of a loop: in order, or, with a seed, in an order that the seed decides.

use std::cell::{Cell, RefCell};

use crate::executor::order::Shuffled;
use crate::task::{Queue, Queued};

#[derive(Default)]
pub(crate) struct ReadyQueue {
    queue: Queue,
    /// With a seed: the tasks that are taken at random.
    shuffled: RefCell<Option<Shuffled>>,
    /// Set when there is a seed, or a coroutine to be cancelled. One flag, because every step reads it.
    detour: Cell<bool>,
}

impl ReadyQueue {
    #[inline]
    pub(super) fn push(&self, task: Queued) {
        self.queue.push(task);
    }

    /// Takes the next task. `Err`: after a detour, [`pop_any`](ReadyQueue::pop_any) takes it.
    #[inline]
    pub(super) fn pop(&self) -> Result<Option<Queued>, Detour> {
        if self.detour.get() { Err(Detour) } else { Ok(self.queue.pop()) }
    }

    /// Takes the next task; with a seed, a random one.
    pub(super) fn pop_any(&self) -> Option<Queued> {
        match &mut *self.shuffled.borrow_mut() {
            Some(shuffled) => shuffled.next(&self.queue),
            None => self.queue.pop(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.shuffled.borrow().as_ref().is_none_or(Shuffled::is_empty)
    }

    /// Sets the seed that decides the order.
    pub(crate) fn shuffle(&self, seed: Option<u64>) {
        self.detour.set(seed.is_some());
        *self.shuffled.borrow_mut() = seed.map(Shuffled::new);
    }

    /// With a seed: the next random number.
    pub(crate) fn random(&self) -> Option<u64> {
        self.shuffled.borrow_mut().as_mut().map(Shuffled::random)
    }

    /// Has the next [`pop`](ReadyQueue::pop) make a detour, because there is a coroutine to be cancelled.
    pub(super) fn make_detour(&self) {
        self.detour.set(true);
    }

    /// Ends the detours for coroutines to be cancelled.
    pub(super) fn end_detour(&self) {
        self.detour.set(self.shuffled.borrow().is_some());
    }
}

/// Coroutines are to be cancelled before the next task is taken, or a seed decides which one that is.
pub(super) struct Detour;
