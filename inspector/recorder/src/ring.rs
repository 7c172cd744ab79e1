//! The recording: a memory-mapped file that remains readable after the program ended in any way.
//!
//! ```text
//! 0      4 KiB    16 KiB          16 KiB + size/16                          end
//! ┌───────┬────────┬───────────────┬─────────────────────────────────────────┐
//! │ words │ header │ names, places │ records of 32 bytes, the oldest          │
//! │       │ (JSON) │ (append-only) │ overwritten by the newest                │
//! └───────┴────────┴───────────────┴─────────────────────────────────────────┘
//! ```
//!
//! A ring has one writer, the thread that runs the loops. A record is valid once `HEAD` has been stored behind it, so a
//! reader never sees half an event, and the process can be killed at any instruction. A writer of more than one record
//! at once first stores in `CLAIM` how far it will write: records that are older than one whole ring before `CLAIM` are
//! no longer valid.

mod create;
mod process;
mod read;
mod remote;
mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

pub use create::bytes;
pub(crate) use create::{Created, create, give_back, open_folder};
pub use create::{DEFAULT_SIZE, MAX_SIZE, MIN_SIZE, Options, folder, parse_size};
pub use process::born;
pub use read::RingReader;
pub(crate) use read::{Writer, is_ring, open_ring};
pub use request::Requests;
use tinyio_events::ring_words::Words;
pub use tinyio_events::source::Request;

use crate::mmap::{Cursor, Map};

/// First word of a ring: `tinyioR1` in native byte order, so that a ring of the other byte order is rejected.
pub(crate) const MAGIC: u64 = u64::from_be_bytes(*b"tinyioR1");
/// Version of the layout of the file; readers of another refuse it.
pub(crate) const LAYOUT: u64 = 2;

// Words of the first page. Those that the writer stores to all the time have a cache line of their own.
pub(crate) const W_MAGIC: usize = 0;
pub(crate) const W_LAYOUT: usize = 1;
/// Records there is room for.
pub(crate) const W_RECORDS: usize = 2;
/// Words there are for names.
pub(crate) const W_NAMES: usize = 3;
pub(crate) const W_PID: usize = 4;
/// When the process started, as counted by the system: detects a reused process id.
pub(crate) const W_BORN: usize = 5;
/// Identifies the boot of the machine.
pub(crate) const W_BOOT: usize = 6;
/// Bytes of the header text.
pub(crate) const W_HEADER: usize = 7;
/// Records ever written.
pub(crate) const HEAD: usize = 16;
/// Records that may be overwritten at this moment: all before `CLAIM - records`.
pub(crate) const CLAIM: usize = 24;
/// One of `STATE_…`.
pub(crate) const W_STATE: usize = 25;
/// Words of names written.
pub(crate) const W_NAMED: usize = 26;
/// Names and places for which there was no room.
pub(crate) const W_UNNAMED: usize = 27;
/// The pid namespace of `W_PID`; 0 if it is not known.
pub(crate) const W_NAMESPACE: usize = 28;
/// 1: the process holds a lock on the file (`flock`) as long as it runs this very program.
pub(crate) const W_LOCKED: usize = 29;
/// 1: the loop that ended last, of those that ran inside no coroutine, ended with a crash. 0 in older rings.
pub(crate) const W_CRASHED: usize = 30;
/// Checkpoints ever written, and the places of the newest eight.
pub(crate) const W_CHECKPOINTS: usize = 32;
pub(crate) const CHECKPOINTS: usize = 8;
/// The coroutine that a reader requests the frames of. Written by readers.
pub(crate) const W_REQUEST: usize = 48;
/// Where coroutines are in the memory of the program, for reads from outside: the words of
/// [`Blocks`](tinyio_events::program_memory::Blocks), the first of them 0 if the program does not provide them.
pub(crate) const W_BLOCKS: usize = 56;
/// The tables of the loops that run, the outermost first; 0 for none.
pub(crate) const W_LOOPS: usize = 64;
/// Maximum nesting depth of loops that are visible from outside.
pub(crate) const LOOPS: usize = 16;

/// A loop runs, or is about to.
pub(crate) const STATE_ALIVE: u64 = 1;
/// The recording ended in good order.
pub(crate) const STATE_ENDED: u64 = 2;
/// The process called `exit`, or `main` returned, before the recording ended.
pub(crate) const STATE_EXITED: u64 = 3;
/// No loop runs: even if a signal ends the process now, nothing is interrupted.
pub(crate) const STATE_IDLE: u64 = 4;

/// Where the header's text is, in bytes.
pub(crate) const HEADER_AT: usize = 4096;
/// Where names are, in words.
pub(crate) const NAMES_AT: usize = 16384 / 8;
/// Bytes there are for the header's text.
pub(crate) const HEADER_ROOM: usize = NAMES_AT * 8 - HEADER_AT;
/// Bytes of further names of secrets in the header.
pub(crate) const SECRETS_ROOM: usize = 2000;

/// Bytes of JSON in one record.
pub(crate) const PAYLOAD: usize = 24;

/// Records of an event that needs `bytes` of JSON: its head and what carries them.
pub(crate) fn records_for(bytes: usize) -> u64 {
    1 + bytes.div_ceil(PAYLOAD) as u64
}

/// Maximum number of JSON bytes of one event in a ring of this many records: a sixteenth of the ring, and at most 4
/// MiB, which any reader must be able to hold.
pub(crate) fn json_limit(records: u64) -> usize {
    (records as usize * 32 / 16).min(4 << 20) * 3 / 4
}

/// The mapped file and its measures. Clones share the mapping.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    map: Arc<Map>,
    records: u64,
    names: usize,
}

impl Ring {
    pub(crate) fn new(map: Map, records: u64, names: usize) -> Self {
        debug_assert!(records > 0 && NAMES_AT + names + records as usize * 4 <= map.words().len());
        Ring { map: Arc::new(map), records, names }
    }

    /// How many records there is room for.
    #[inline(always)]
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// A word of the first page.
    #[inline(always)]
    pub(crate) fn word(&self, index: usize) -> &AtomicU64 {
        &self.map.words()[index]
    }

    /// Whether the file was truncated under the mapping.
    pub(crate) fn is_cut(&self) -> bool {
        self.map.is_cut()
    }

    /// Notes whether a loop runs, unless the recording is over.
    pub(crate) fn set_running(&self, runs: bool) {
        let (from, to) = if runs { (STATE_IDLE, STATE_ALIVE) } else { (STATE_ALIVE, STATE_IDLE) };
        let _ = self.word(W_STATE).compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// The process exits; the recorder may still write on another thread. Safe to call from any thread.
    pub(crate) fn exits(&self) {
        for state in [STATE_ALIVE, STATE_IDLE] {
            let _ = self.word(W_STATE).compare_exchange(state, STATE_EXITED, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// The table of names.
    pub(crate) fn names(&self) -> &[AtomicU64] {
        &self.map.words()[NAMES_AT..NAMES_AT + self.names]
    }

    /// All words, to be indexed by [`Ring::index`]: the hot path keeps this slice.
    #[inline(always)]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.map.words()
    }

    /// Word of the first record.
    #[inline(always)]
    pub(crate) fn first(&self) -> usize {
        NAMES_AT + self.names
    }

    /// Word at which record `position` lies.
    #[inline(always)]
    pub(crate) fn index(&self, position: u64) -> usize {
        self.first() + (position % self.records) as usize * 4
    }

    /// Where records are written, from the first on.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor::new(&self.map, self.first()..self.first() + self.records as usize * 4, HEAD)
    }

    /// Makes the memory of records `from` to `to` present, in the first round.
    pub(crate) fn populate(&self, from: u64, to: u64) {
        let (from, to) = (from.min(self.records), to.min(self.records));
        self.map.populate(self.first() + from as usize * 4..self.first() + to as usize * 4);
    }

    /// Writes a record that counts only when `HEAD` is past it.
    #[inline(always)]
    pub(crate) fn put(&self, index: usize, words: Words) {
        let record = &self.words()[index..index + 4];
        record[0].store(words[0], Ordering::Relaxed);
        record[1].store(words[1], Ordering::Relaxed);
        record[2].store(words[2], Ordering::Relaxed);
        record[3].store(words[3], Ordering::Relaxed);
    }

    pub(crate) fn get(&self, position: u64) -> Words {
        let index = self.index(position);
        let record = &self.words()[index..index + 4];
        [0, 1, 2, 3].map(|word| record[word].load(Ordering::Relaxed))
    }

    /// The oldest record that can still be read: none before it is whole any more. To be asked *after* reading.
    pub(crate) fn oldest(&self) -> u64 {
        // Pairs with the fence of the writer: a reader that has seen a word of a record sees the head from before it,
        // or later.
        fence(Ordering::Acquire);
        let head = self.word(HEAD).load(Ordering::Relaxed);
        let claim = self.word(CLAIM).load(Ordering::Relaxed);
        // The record at `head` may be half written already.
        head.saturating_add(1).max(claim).saturating_sub(self.records)
    }

    /// Bytes of the first pages, where the header's text is.
    pub(crate) fn header_text(&self) -> Vec<u8> {
        let bytes = (self.word(W_HEADER).load(Ordering::Relaxed) as usize).min(HEADER_ROOM);
        let words = &self.words()[HEADER_AT / 8..HEADER_AT / 8 + bytes.div_ceil(8)];
        let mut text: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        text.truncate(bytes);
        text
    }
}
