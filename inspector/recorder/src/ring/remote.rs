//! Where coroutines are in the memory of the program, for readers to look at when the loop cannot answer.

use std::sync::atomic::Ordering;

use tinyio_events::event::CoroId;
use tinyio_events::program_memory::{Blocks, ProgramMemory};
use tinyio_events::secrets::{Secrets, locals_are_recorded};

use super::read::RingReader;
use super::{HEAD, LOOPS, Ring, SECRETS_ROOM, W_BLOCKS, W_LOOPS};

/// First of the words: set once the others are valid.
const STATED: u64 = 1;
const NO_VALUES: u64 = 2;

impl Ring {
    pub(crate) fn set_blocks(&self, blocks: &Blocks) {
        for (word, value) in (W_BLOCKS + 1..).zip(blocks.words()) {
            self.word(word).store(value, Ordering::Relaxed);
        }
        // Readers take the names of secrets from the header, and cannot mask what does not fit there.
        let fits = Secrets::from_env().further().len() <= SECRETS_ROOM;
        let values = if locals_are_recorded() && fits { 0 } else { NO_VALUES };
        self.word(W_BLOCKS).store(STATED | values, Ordering::Release);
    }

    /// A loop begins to run, or ends: its table is there, or no longer.
    pub(crate) fn loop_at(&self, table: usize, runs: bool) {
        let (old, new) = if runs { (0, table as u64) } else { (table as u64, 0) };
        let mut words = (W_LOOPS..W_LOOPS + LOOPS).map(|word| self.word(word));
        if let Some(word) = words.find(|word| word.load(Ordering::Relaxed) == old) {
            word.store(new, Ordering::Relaxed);
        }
    }

    fn blocks(&self) -> Option<(Blocks, bool)> {
        let flags = self.word(W_BLOCKS).load(Ordering::Acquire);
        let words = std::array::from_fn(|word| self.word(W_BLOCKS + 1 + word).load(Ordering::Relaxed));
        (flags & STATED != 0).then(|| (Blocks::of(words), flags & NO_VALUES == 0))
    }

    fn loops(&self) -> Vec<u64> {
        let words = (W_LOOPS..W_LOOPS + LOOPS).map(|word| self.word(word).load(Ordering::Relaxed));
        words.filter(|table| *table != 0).collect()
    }
}

impl RingReader {
    /// Where a coroutine can be read in the memory of the program; `None` if it does not run.
    pub(super) fn program_memory(&self, coro: CoroId) -> Option<Result<ProgramMemory, String>> {
        if !self.alive() {
            return None;
        }
        let Some((blocks, values)) = self.ring.blocks() else {
            let why = "the program does not say where its coroutines are: it was built with another version of tinyio";
            return Some(Err(why.into()));
        };
        Some(Ok(ProgramMemory {
            pid: self.header.pid,
            blocks,
            recorded: self.ring.word(HEAD).load(Ordering::Acquire),
            loops: self.ring.loops(),
            coro,
            values,
            secrets: self.header.secrets.clone(),
        }))
    }
}
