//! Memory that was copied: that of a process as of one moment, or what a core file has of a process that is gone.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::contents::read_at;

/// What is known of the memory of a process.
#[derive(Debug, Default)]
pub struct Copied {
    /// By address, without overlaps.
    regions: Vec<Region>,
    /// What is in no region is read from the process, although it may have changed since.
    is_partial: bool,
}

/// A range of addresses, and what is there.
#[derive(Clone, Debug)]
pub struct Region {
    range: Range<u64>,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// Runs of bytes by address, which are these parts of the whole, and zeros elsewhere.
    Runs(Arc<Vec<u8>>, Vec<(u64, Range<usize>)>),
    /// A part of a file that begins there.
    File(Arc<File>, u64),
    /// It does not change: the process has it.
    Constant,
}

impl Region {
    /// Bytes that were copied: runs by their addresses, in their order, each a part of `bytes`. What is in no run is
    /// zero.
    ///
    /// # Panics
    ///
    /// If a run is no part of `bytes`.
    pub fn of_runs(range: Range<u64>, bytes: Arc<Vec<u8>>, runs: Vec<(u64, Range<usize>)>) -> Region {
        assert!(runs.iter().all(|(_, part)| bytes.get(part.clone()).is_some()), "a run is no part of the bytes");
        Region { range, content: Content::Runs(bytes, runs) }
    }

    /// A part of a file, from an offset on.
    pub fn of_file(range: Range<u64>, file: Arc<File>, offset: u64) -> Region {
        Region { range, content: Content::File(file, offset) }
    }

    /// Memory that the process has and does not change.
    pub fn of_process(range: Range<u64>) -> Region {
        Region { range, content: Content::Constant }
    }

    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Calls `found` with what is known of it, but for what a process has: parts by their addresses, each of which
    /// begins so many bytes before the end of the one before it, or anywhere behind it.
    pub fn parts(&self, overlap: u64, mut found: impl FnMut(u64, &[u8])) {
        match &self.content {
            Content::Constant => {}
            Content::Runs(bytes, runs) => {
                runs.iter().for_each(|(start, part)| found(*start, &bytes[part.clone()]));
            }
            Content::File(file, offset) => {
                const AT_ONCE: u64 = 4 << 20;
                let mut at = self.range.start;
                while at < self.range.end {
                    let mut bytes = vec![0; (self.range.end - at).min(AT_ONCE + overlap) as usize];
                    if read_at(file, &mut bytes, offset.wrapping_add(at - self.range.start)).is_ok() {
                        found(at, &bytes);
                    }
                    at = at.saturating_add(AT_ONCE);
                }
            }
        }
    }

    fn read(&self, address: u64, buffer: &mut [u8]) -> Found {
        match &self.content {
            Content::Constant => Found::InProcess,
            Content::File(file, offset) => {
                match read_at(file, buffer, offset.wrapping_add(address - self.range.start)) {
                    Ok(()) => Found::All,
                    Err(_) => Found::Nothing,
                }
            }
            Content::Runs(bytes, runs) => {
                buffer.fill(0);
                let end = address + buffer.len() as u64;
                let first = runs.partition_point(|(start, part)| start + part.len() as u64 <= address);
                for (start, part) in runs[first..].iter().take_while(|(start, _)| *start < end) {
                    let bytes = &bytes[part.clone()];
                    let (from, to) = ((*start).max(address), (start + bytes.len() as u64).min(end));
                    let source = &bytes[(from - start) as usize..(to - start) as usize];
                    buffer[(from - address) as usize..(to - address) as usize].copy_from_slice(source);
                }
                Found::All
            }
        }
    }
}

/// Where bytes are.
pub(super) enum Found {
    /// They were in the copy.
    All,
    /// The process has them.
    InProcess,
    /// They are not known.
    Nothing,
}

impl Copied {
    /// All that is known of a process.
    pub fn of(mut regions: Vec<Region>) -> Copied {
        regions.sort_by_key(|region| region.range.start);
        // A damaged file may say two things of one address: the first counts.
        let mut end = 0;
        regions.retain(|region| {
            let is_apart = region.range.start >= end && region.range.start < region.range.end;
            end = if is_apart { region.range.end } else { end };
            is_apart
        });
        Copied { regions, is_partial: false }
    }

    /// A part of what there is: the rest is read from the process, where it may have changed since.
    pub fn part(regions: Vec<Region>) -> Copied {
        Copied { is_partial: true, ..Copied::of(regions) }
    }

    /// The regions, by address.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The number of bytes that were copied.
    pub fn bytes(&self) -> u64 {
        let runs = |region: &Region| match &region.content {
            Content::Runs(_, runs) => runs.iter().map(|(_, part)| part.len() as u64).sum(),
            _ => 0,
        };
        self.regions.iter().map(runs).sum()
    }

    pub(super) fn read(&self, address: u64, buffer: &mut [u8]) -> Found {
        let Some(end) = address.checked_add(buffer.len() as u64) else { return Found::Nothing };
        let mut at = address;
        while at < end {
            let after = self.regions.partition_point(|region| region.range.end <= at);
            let elsewhere = if self.is_partial { Found::InProcess } else { Found::Nothing };
            let Some(region) = self.regions.get(after).filter(|region| region.range.start <= at) else {
                return elsewhere;
            };
            let part = region.range.end.min(end);
            match region.read(at, &mut buffer[(at - address) as usize..(part - address) as usize]) {
                Found::All => at = part,
                // A read over a border is one of the process, where it can be one.
                other => return other,
            }
        }
        Found::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(copied: &Copied, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![9; length];
        matches!(copied.read(address, &mut bytes), Found::All).then_some(bytes)
    }

    #[test]
    fn what_was_not_copied_of_a_region_is_zero_and_what_is_in_none_is_unknown() {
        let (bytes, runs) = (Arc::new(vec![1, 2, 3]), vec![(0x1002, 0..2), (0x1006, 2..3)]);
        let empty = Region::of_runs(0x2000..0x2002, Arc::default(), Vec::new());
        let copied = Copied::of(vec![empty, Region::of_runs(0x1000..0x1008, bytes, runs)]);
        assert_eq!(read(&copied, 0x1000, 8), Some(vec![0, 0, 1, 2, 0, 0, 3, 0]));
        assert_eq!(read(&copied, 0x1003, 1), Some(vec![2]));
        assert_eq!(read(&copied, 0x1003, 4), Some(vec![2, 0, 0, 3]));
        for (address, length) in [(0xfff, 2), (0x1007, 2), (0x1800, 1), (0x2000, 3), (u64::MAX, 2)] {
            assert_eq!(read(&copied, address, length), None, "{address:#x}");
        }
    }

    #[test]
    fn regions_that_overlap_or_end_before_they_begin_are_left_out() {
        let empty = |range| Region::of_runs(range, Arc::default(), Vec::new());
        #[expect(clippy::reversed_empty_ranges, reason = "damaged files have them")]
        let copied = Copied::of(vec![empty(0x1000..0x3000), empty(0x2000..0x2100), empty(0x5000..0x4000)]);
        assert_eq!(copied.regions().len(), 1);
        assert_eq!(read(&copied, 0x20ff, 2), Some(vec![0, 0]));
    }
}
