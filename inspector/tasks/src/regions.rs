//! Words of memory, many at once.

use std::ops::Range;

use tinyio_frames::Frames;

const AT_ONCE: u64 = 4 << 20;

/// Calls `found` with the address and value of each word in a range, as far as it can be read.
pub fn words_in(frames: &Frames, range: &Range<u64>, mut found: impl FnMut(u64, u64)) {
    let mut at = range.start;
    while at < range.end {
        let length = AT_ONCE.min(range.end - at);
        if let Some(bytes) = frames.bytes(at, length as usize) {
            for (index, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
                found(at + 8 * index as u64, u64::from_le_bytes(*word));
            }
        }
        at += length;
    }
}
