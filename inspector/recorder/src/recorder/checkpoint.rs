//! Work that is due before the next record, such as a checkpoint.

use std::sync::atomic::{Ordering, fence};

use tinyio_events::ring_words::{self, Words, code};

use super::{Recorder, State};
use crate::live_table::Out;
use crate::ring::{self, PAYLOAD, Ring, records_for};

impl Recorder {
    /// What is due before `records` more records: nothing in a forked child, which this finds out; the follower; a
    /// checkpoint.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&mut self, at: u64, records: u64) -> bool {
        if self.state == State::Silent || !self.check_pid() {
            return false;
        }
        let head = self.head + records;
        if let Some(follower) = &mut self.follower
            && head >= follower.due
        {
            follower.due = head + follower.every;
            follower.thread.unpark();
        }
        if let Some(ahead) = &mut self.ahead
            && head >= ahead.due()
        {
            ahead.go_on(head, self.live.records());
        }
        if head >= self.checkpoint_due {
            self.live.sweep();
            let (need, all) = (self.live.records(), self.ring.records());
            // A big one comes late and a small one at half a ring: at any time the last whole one must be in the ring
            // still, while the next is written. One event adds itself and at most four records to that.
            let latest = if need <= all / 4 || need > all / 16 * 7 {
                self.checkpoint + all / 2
            } else {
                self.checkpoint + all - need - ring::records_for(ring::json_limit(all)) - 8
            };
            if head < latest && latest - head > 64 {
                self.checkpoint_due = head + (latest - head) / 6;
            } else {
                self.write_checkpoint(at, need);
                self.checkpoint_due = self.checkpoint + all / 2;
            }
        }
        self.set_due();
        true
    }

    fn write_checkpoint(&mut self, at: u64, need: u64) {
        let all = self.ring.records();
        let whole = need <= all / 16 * 7;
        let budget = if whole { need } else { all / 8 };
        let start = self.head;
        let (coros, left_out, end, extra) = {
            let mut out = Writer::claim(&self.ring, start, budget);
            // Its head is known when all is written, and its end must fit.
            out.skip();
            out.end -= 1;
            let (coros, left_out) = self.live.write(at, whole, &mut out);
            out.end += 1;
            out.record(ring_words::checkpoint_end(at));
            (coros, left_out, out.position, out.extra)
        };
        let mut words = ring_words::checkpoint(at, coros, left_out);
        words[3] = start.wrapping_sub(self.extra);
        self.ring.put(self.ring.index(start), words);
        self.extra = self.extra.wrapping_add(extra);
        self.checkpoint = start;
        self.commit(end);
        let count = self.ring.word(ring::W_CHECKPOINTS).load(Ordering::Relaxed);
        self.ring.word(ring::W_CHECKPOINTS + 1 + count as usize % ring::CHECKPOINTS).store(start, Ordering::Relaxed);
        self.ring.word(ring::W_CHECKPOINTS).store(count.wrapping_add(1), Ordering::Release);
    }
}

/// Writes several records that count only once all are there.
pub(super) struct Writer<'a> {
    ring: &'a Ring,
    position: u64,
    /// Word at which that lies; a division each would be most of the work.
    index: usize,
    last: usize,
    end: u64,
    extra: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn claim(ring: &'a Ring, position: u64, records: u64) -> Self {
        ring.word(ring::CLAIM).store(position + records, Ordering::Relaxed);
        // A reader that sees a word of what is written now sees the claim, too.
        fence(Ordering::Release);
        let last = ring.first() + ring.records() as usize * 4;
        Writer { ring, position, index: ring.index(position), last, end: position + records, extra: 0 }
    }
}

impl Writer<'_> {
    #[inline(always)]
    fn skip(&mut self) {
        self.position += 1;
        self.index += 4;
        if self.index == self.last {
            self.index = self.ring.first();
        }
    }
}

impl Out for Writer<'_> {
    #[inline]
    fn record(&mut self, words: Words) -> bool {
        if self.position >= self.end {
            return false;
        }
        self.ring.put(self.index, words);
        self.skip();
        true
    }

    fn json(&mut self, at: u64, json: &[u8]) -> bool {
        let need = records_for(json.len());
        if self.room() < need {
            return false;
        }
        self.record([ring_words::head(at, code::JSON), json.len() as u64, 0, 0]);
        for part in json.chunks(PAYLOAD) {
            let mut bytes = [0; PAYLOAD];
            bytes[..part.len()].copy_from_slice(part);
            let words = bytes.as_chunks::<8>().0;
            let word = |at: usize| u64::from_ne_bytes(words[at]);
            self.record([ring_words::head(at, code::MORE), word(0), word(1), word(2)]);
        }
        self.extra += need - 1;
        true
    }

    fn room(&self) -> u64 {
        self.end - self.position
    }
}
