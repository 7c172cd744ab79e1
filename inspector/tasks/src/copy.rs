//! Copies the memory of a process.

use std::io::IoSliceMut;
use std::ops::Range;
use std::sync::Arc;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use tinyio_frames::{Copied, Region};

use crate::process::{Mapping, PAGE, Pages, mappings};

/// Bytes that are copied at most. What is beyond is read later, when it may have changed.
pub const LARGEST: u64 = 512 << 20;
/// Runs of pages with less between them are copied as one.
const GAP: u64 = 8 * PAGE;

/// A copy of what a process can write to, and what the rest is.
pub struct Copy {
    pid: u32,
    /// All regions; of those that were copied the runs, as parts of `bytes`.
    regions: Vec<(Range<u64>, Option<Vec<Run>>)>,
    /// Memory for the copy, which is more than is used.
    bytes: Vec<u8>,
    /// Bytes that were left out.
    pub left_out: u64,
}

/// An address, and the part of a copy that has what is there.
type Run = (u64, Range<usize>);

impl Copy {
    /// Makes room for a copy of the memory of a process. While it is stopped there is nothing to wait for then: a page
    /// of new memory takes the system longer than copying one.
    ///
    /// # Errors
    ///
    /// A sentence, when the system does not give what is needed.
    pub fn prepare(pid: u32) -> Result<Copy, String> {
        let mut copy = Copy { pid, regions: Vec::new(), bytes: Vec::new(), left_out: 0 };
        let mut size = 0;
        copy.all(|_, run| {
            size += run.end - run.start;
            Some(0..0)
        })?;
        // The program goes on, and takes more.
        let room = (size + size / 8).min(LARGEST);
        // Not with zeros, as for those the system waits until they are written to.
        copy.bytes = vec![1; usize::try_from(room).unwrap_or(0)];
        Ok(copy)
    }

    /// Copies the memory of the process, as it is meanwhile.
    ///
    /// # Errors
    ///
    /// A sentence, when the system does not give what is needed.
    pub fn take(mut self) -> Result<Copy, String> {
        let mut used = 0;
        self.all(|copy, run| {
            let part = used..used + usize::try_from(run.end - run.start).ok()?;
            if copy.bytes.len() < part.end {
                copy.bytes.resize(part.end, 0);
            }
            read(copy.pid, run.start, &mut copy.bytes[part.clone()])?;
            used = part.end;
            Some(part)
        })?;
        self.bytes.truncate(used);
        Ok(self)
    }

    /// Lists the regions. `add` is called with each run of pages that is to be copied, and returns which part it is; a
    /// region that has one of which it does not stays unknown.
    fn all(&mut self, mut add: impl FnMut(&mut Copy, Range<u64>) -> Option<Range<usize>>) -> Result<(), String> {
        let pid = self.pid;
        let refused = |error: std::io::Error| format!("the memory of process {pid} cannot be read: {error}");
        let pages = Pages::of(pid).map_err(refused)?;
        self.regions.clear();
        self.left_out = 0;
        let mut left = LARGEST;
        for mapping in mappings(pid).map_err(refused)? {
            let range = mapping.range.clone();
            if mapping.is_constant() {
                self.regions.push((range, None));
            } else if mapping.is_private() {
                let Some(runs) = runs(&pages, &mapping) else { continue };
                let size = runs.iter().map(|run| run.end - run.start).sum();
                match left.checked_sub(size) {
                    Some(rest) => left = rest,
                    None => {
                        self.left_out += size;
                        continue;
                    }
                }
                // What cannot be read, as a mapping that is just being removed, stays unknown.
                let runs: Option<Vec<Run>> = runs.into_iter().map(|run| Some((run.start, add(self, run)?))).collect();
                self.regions.extend(runs.map(|runs| (range, Some(runs))));
            }
        }
        Ok(())
    }

    /// What readers of memory need.
    pub fn into_copied(self) -> Copied {
        let bytes = Arc::new(self.bytes);
        let region = |(range, runs)| match runs {
            Some(runs) => Region::of_runs(range, bytes.clone(), runs),
            None => Region::of_process(range),
        };
        let regions = self.regions.into_iter().map(region).collect();
        if self.left_out > 0 { Copied::part(regions) } else { Copied::of(regions) }
    }
}

/// What has to be copied of a mapping.
fn runs(pages: &Pages, mapping: &Mapping) -> Option<Vec<Range<u64>>> {
    // Pages of a file that were not written to are not present, and not zero.
    if !mapping.path.is_empty() && !mapping.path.starts_with('[') {
        return Some(vec![mapping.range.clone()]);
    }
    let mut runs: Vec<Range<u64>> = Vec::new();
    for run in pages.present(&mapping.range).ok()? {
        match runs.last_mut().filter(|last| run.start - last.end < GAP) {
            Some(last) => last.end = run.end,
            None => runs.push(run),
        }
    }
    Some(runs)
}

/// Fills bytes with what is at an address; `None` if not all of it can be read.
fn read(pid: u32, address: u64, bytes: &mut [u8]) -> Option<()> {
    let remote = RemoteIoVec { base: usize::try_from(address).ok()?, len: bytes.len() };
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    let length = bytes.len();
    let done = process_vm_readv(pid, &mut [IoSliceMut::new(bytes)], &[remote]).ok()?;
    (done == length).then_some(())
}

/// The words at these addresses, as they are now.
pub fn words(pid: u32, addresses: &[u64]) -> Vec<Option<u64>> {
    let Ok(process) = i32::try_from(pid).map(Pid::from_raw) else { return vec![None; addresses.len()] };
    let mut words = Vec::with_capacity(addresses.len());
    for some in addresses.chunks(512) {
        let remote: Vec<_> = some.iter().map(|base| RemoteIoVec { base: *base as usize, len: 8 }).collect();
        let mut bytes = vec![0; some.len() * 8];
        let done = process_vm_readv(process, &mut [IoSliceMut::new(&mut bytes)], &remote).unwrap_or(0) / 8;
        let read = bytes.as_chunks::<8>().0.iter().take(done).map(|word| Some(u64::from_le_bytes(*word)));
        words.extend(read);
        words.resize(words.len() + some.len() - done, None);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_takes_after_room_was_made_is_copied_too() {
        const MARK: &[u8] = b"what was taken after room was made";
        const SIZE: usize = 8 << 20;
        let room = Copy::prepare(std::process::id()).expect("this process can be read");
        assert!(!room.bytes.is_empty());
        let bytes = MARK.repeat(SIZE / MARK.len());
        let copied = room.take().expect("this process can be read").into_copied();
        let start = bytes.as_ptr().addr() as u64;
        let mut found = None;
        for region in copied.regions().iter().filter(|region| region.range().contains(&start)) {
            region.parts(0, |address, part| {
                let at = start.checked_sub(address).and_then(|at| usize::try_from(at).ok());
                found = found.take().or(at.and_then(|at| Some(part.get(at..at + bytes.len())? == bytes)));
            });
        }
        assert_eq!(found, Some(true));
    }
}
