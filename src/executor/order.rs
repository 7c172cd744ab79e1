//! The order of ready tasks when a seed decides.

use crate::executor::split_mix::SplitMix64;
use crate::task::{Queue, Queued};

/// Takes the ready tasks in an order that a seed decides.
pub(crate) struct Shuffled {
    numbers: SplitMix64,
    ready: Vec<Queued>,
}

impl Shuffled {
    pub(crate) fn new(seed: u64) -> Shuffled {
        Shuffled { numbers: SplitMix64(seed), ready: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// A random one of the ready tasks, here or in the queue.
    #[cold]
    pub(crate) fn next(&mut self, queue: &Queue) -> Option<Queued> {
        self.ready.extend(std::iter::from_fn(|| queue.pop()));
        let index = self.random().checked_rem(self.ready.len() as u64)?;
        Some(self.ready.swap_remove(index as usize))
    }

    /// The next random number of the seed.
    pub(crate) fn random(&mut self) -> u64 {
        self.numbers.next()
    }
}
