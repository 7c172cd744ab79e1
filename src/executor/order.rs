//! The order of ready tasks when a seed decides.

use crate::task::{Queue, Queued};

/// Takes the ready tasks in an order that a seed decides.
pub(crate) struct Shuffled {
    state: u64,
    ready: Vec<Queued>,
}

impl Shuffled {
    pub(crate) fn new(seed: u64) -> Shuffled {
        Shuffled { state: seed, ready: Vec::new() }
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

    /// The next random number. SplitMix64 (Steele, Lea and Flood, 2014).
    pub(crate) fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut random = self.state;
        random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        random ^ (random >> 31)
    }
}
