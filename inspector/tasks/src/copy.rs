//! Copies the memory of a process.

use std::io::IoSliceMut;

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
    /// All regions.
    pub regions: Vec<Region>,
    /// Bytes that were left out.
    pub left_out: u64,
}

impl Copy {
    /// Copies the memory of a process, as it is meanwhile.
    ///
    /// # Errors
    ///
    /// A sentence, when the system does not give what is needed.
    pub fn take(pid: u32) -> Result<Copy, String> {
        let refused = |error: std::io::Error| format!("the memory of process {pid} cannot be read: {error}");
        let pages = Pages::of(pid).map_err(refused)?;
        let mut copy = Copy { regions: Vec::new(), left_out: 0 };
        let mut left = LARGEST;
        for mapping in mappings(pid).map_err(refused)? {
            let range = mapping.range.clone();
            if mapping.is_constant() {
                copy.regions.push(Region::of_process(range));
            } else if mapping.is_private() {
                let Some(runs) = runs(&pages, &mapping) else { continue };
                let size = runs.iter().map(|run| run.end - run.start).sum();
                match left.checked_sub(size) {
                    Some(rest) => left = rest,
                    None => {
                        copy.left_out += size;
                        continue;
                    }
                }
                // What cannot be read, as a mapping that is just being removed, stays unknown.
                let runs: Option<Vec<_>> = runs.into_iter().map(|run| read(pid, run)).collect();
                copy.regions.extend(runs.map(|runs| Region::of_runs(range, runs)));
            }
        }
        Ok(copy)
    }

    /// What readers of memory need.
    pub fn into_copied(self) -> Copied {
        if self.left_out > 0 { Copied::part(self.regions) } else { Copied::of(self.regions) }
    }
}

/// What has to be copied of a mapping.
fn runs(pages: &Pages, mapping: &Mapping) -> Option<Vec<std::ops::Range<u64>>> {
    // Pages of a file that were not written to are not present, and not zero.
    if !mapping.path.is_empty() && !mapping.path.starts_with('[') {
        return Some(vec![mapping.range.clone()]);
    }
    let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
    for run in pages.present(&mapping.range).ok()? {
        match runs.last_mut().filter(|last| run.start - last.end < GAP) {
            Some(last) => last.end = run.end,
            None => runs.push(run),
        }
    }
    Some(runs)
}

fn read(pid: u32, run: std::ops::Range<u64>) -> Option<(u64, Vec<u8>)> {
    let mut bytes = vec![0; usize::try_from(run.end - run.start).ok()?];
    let remote = RemoteIoVec { base: usize::try_from(run.start).ok()?, len: bytes.len() };
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    let done = process_vm_readv(pid, &mut [IoSliceMut::new(&mut bytes)], &[remote]).ok()?;
    (done == bytes.len()).then_some((run.start, bytes))
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
