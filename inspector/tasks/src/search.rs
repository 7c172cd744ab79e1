//! Searches memory for headers of tasks.

use std::ops::{Range, RangeInclusive};

use tinyio_frames::Copied;

/// Allocators place a task at a multiple of this.
pub const STEP: u64 = 16;
/// Bytes of a header, or more.
const OVERLAP: u64 = 256;

/// A place where a header may be.
pub struct Place<'b> {
    /// Its address.
    pub address: u64,
    /// The word at the offset that was searched.
    pub vtable: u64,
    /// The memory it lies in.
    pub region: Range<u64>,
    bytes: &'b [u8],
}

impl Place<'_> {
    /// The word at an offset, if it is within reach.
    pub fn word(&self, offset: u64) -> Option<u64> {
        let bytes = self.bytes.get(usize::try_from(offset).ok()?..)?;
        bytes.first_chunk().map(|word| u64::from_le_bytes(*word))
    }
}

/// Calls `found` with each place in the memory that was copied where the word at an offset is in a range. What two
/// parts of a region have in common is met twice.
pub fn search(copied: &Copied, offset: u64, range: &RangeInclusive<u64>, mut found: impl FnMut(&Place<'_>)) {
    for region in copied.regions() {
        region.parts(OVERLAP, |start, bytes| {
            let first = (start.next_multiple_of(STEP) - start) as usize;
            for at in (first..bytes.len()).step_by(STEP as usize) {
                let (address, region, bytes) = (start + at as u64, region.range(), &bytes[at..]);
                let mut place = Place { address, vtable: 0, region, bytes };
                if let Some(vtable) = place.word(offset).filter(|word| range.contains(word)) {
                    place.vtable = vtable;
                    found(&place);
                }
            }
        });
    }
}
