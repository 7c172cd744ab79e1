//! Keeps the memory of a suspended future over the step that follows.
//!
//! A future that returns an error has dropped its locals by then, and has reused their memory. A future that uses the
//! error type of the loop is read when the error is made; of any other error the loop learns when the future returns.
//! What is kept is what the future and its locals consist of, as bytes: nothing is decoded until the future fails.

use tinyio_events::event::{Frame, Stack};
use tinyio_events::place::{BEGAN, NOT_STARTED};

#[cfg(test)]
use super::hash::FastMap;
use super::memory::{PAGE, Page, read_pages};

/// Pages that are kept at most, of the future itself and of what its pointers lead to.
const PAGES: usize = 48;
/// How many pointers are followed one after the other: box → string → text.
const LEVELS: usize = 3;
/// Bytes behind a pointer that are searched for further pointers, and that are kept in any case.
const REACH: u64 = 512;
/// Pages that cannot be read are tried again after this many times.
const REMEMBERED: u32 = 32;
/// Lower addresses are never on a heap; higher ones are never of a program.
const ADDRESSES: std::ops::Range<u64> = 1 << 32..1 << 47;

/// Memory is searched in blocks of so many bytes, each once. What is before an object mostly has nothing to do with it.
const BLOCK: u64 = 128;

/// Adds the blocks that have a part of a span, but those seen before.
fn add(blocks: &mut Vec<u64>, seen: &mut AddressSet, span: std::ops::Range<u64>) {
    let mut block = span.start & !(BLOCK - 1);
    while block < span.end {
        if seen.insert(block) {
            blocks.push(block);
        }
        block += BLOCK;
    }
}

/// A set of addresses other than 0, with room for some thousand; what has no room counts as a member. This runs
/// before each step, and where nothing is optimised hash tables of the standard library took most of its time.
#[derive(Debug)]
struct AddressSet {
    slots: Vec<u64>,
    used: usize,
}

impl Default for AddressSet {
    fn default() -> AddressSet {
        AddressSet { slots: vec![0; 1 << AddressSet::BITS], used: 0 }
    }
}

impl AddressSet {
    const BITS: u32 = 13;

    /// The slot with an address, or the free one to put it into.
    fn slot(&self, address: u64) -> usize {
        let mut slot = (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - AddressSet::BITS)) as usize;
        while self.slots[slot] != 0 && self.slots[slot] != address {
            slot = (slot + 1) % self.slots.len();
        }
        slot
    }

    fn contains(&self, address: u64) -> bool {
        self.slots[self.slot(address)] == address
    }

    /// False if it is there already, or there is no room.
    fn insert(&mut self, address: u64) -> bool {
        let slot = self.slot(address);
        if self.slots[slot] == address || self.used * 2 > self.slots.len() {
            return false;
        }
        self.slots[slot] = address;
        self.used += 1;
        true
    }
}

/// The memory of one future as of a moment. The buffers are reused by the next [`take`](Kept::take).
#[derive(Debug, Default)]
pub struct Kept {
    /// The address of the future.
    address: u64,
    /// The addresses of the pages, in the order of their bytes.
    pages: Vec<u64>,
    bytes: Vec<u8>,
    /// Pages that could not be read. Most words that look like addresses and are none are the same before each step,
    /// and each would cost a system call.
    unreadable: AddressSet,
    /// How often something was kept since the unreadable pages were forgotten: memory may be mapped there since.
    remembered: u32,
}

impl Kept {
    /// Keeps what is at `address`, and what the pointers in it lead to, as far as there is room. False if there is too
    /// much of it, or it cannot be read.
    pub fn take(&mut self, address: usize, size: usize) -> bool {
        self.address = address as u64;
        self.pages.clear();
        self.bytes.clear();
        let (address, size) = (address as u64, size as u64);
        if size > PAGES as u64 * PAGE / 2 || tinyio_events::sandbox::is_filtered() {
            return false;
        }
        self.remembered += 1;
        if self.remembered > REMEMBERED {
            self.remembered = 0;
            self.unreadable = AddressSet::default();
        }
        let (mut asked, mut seen) = (AddressSet::default(), AddressSet::default());
        let mut wanted = Vec::new();
        let mut blocks = Vec::new();
        add(&mut blocks, &mut seen, address..address + size);
        for level in 0..=LEVELS {
            for block in &blocks {
                let page = block & !(PAGE - 1);
                if asked.insert(page) && (level == 0 || !self.unreadable.contains(page)) {
                    wanted.push(page);
                }
            }
            wanted.truncate(PAGES.saturating_sub(self.pages.len()));
            let unreadable = read_pages(&mut wanted, &mut self.pages, &mut self.bytes);
            unreadable.into_iter().for_each(|page| _ = self.unreadable.insert(page));
            if level == 0 && self.pages.len() as u64 * PAGE < size {
                return false;
            }
            if level == LEVELS || self.pages.len() == PAGES {
                break;
            }
            blocks = self.pointers(&blocks, &mut seen);
        }
        true
    }

    /// The blocks, of those not seen before, that the pointers in these blocks lead to: first those that begin there,
    /// then those that follow, which are less often of the same object.
    fn pointers(&self, blocks: &[u64], seen: &mut AddressSet) -> Vec<u64> {
        let (mut found, mut behind) = (Vec::new(), Vec::new());
        // Blocks that follow one another are mostly of one page.
        let mut at = 0;
        for block in blocks {
            let page = block & !(PAGE - 1);
            if self.pages.get(at) != Some(&page) {
                let Some(index) = self.pages.iter().position(|kept| *kept == page) else { continue };
                at = index;
            }
            let start = at * PAGE as usize + (block & (PAGE - 1)) as usize;
            let words = self.bytes[start..start + BLOCK as usize].as_chunks().0;
            for word in words {
                let word = u64::from_le_bytes(*word);
                #[allow(
                    clippy::manual_range_contains,
                    reason = "it would be a call for each word where nothing is optimised"
                )]
                if word >= ADDRESSES.start && word < ADDRESSES.end {
                    add(&mut found, seen, word..word + 1);
                    add(&mut behind, seen, word + BLOCK..word + REACH);
                }
            }
        }
        found.append(&mut behind);
        found
    }

    /// The address of the future.
    pub(super) fn address(&self) -> u64 {
        self.address
    }

    /// The pages, by their addresses.
    pub(super) fn pages(&self) -> impl Iterator<Item = (u64, Box<Page>)> {
        let pages = self.bytes.as_chunks::<{ PAGE as usize }>().0.iter();
        self.pages.iter().copied().zip(pages.map(|page| Box::new(*page)))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_pointers_lead_to_is_kept_as_it_was() {
        let mut value = Box::new((7_u64, vec![Box::new(String::from("first"))]));
        let mut kept = Kept::default();
        assert!(kept.take(std::ptr::from_ref(&*value).addr(), size_of_val(&*value)));
        let (start, text) = (value.1[0].as_ptr().addr() as u64, value.1[0].len());
        value.1[0].replace_range(.., "other");
        let pages: FastMap<u64, Box<Page>> = kept.pages().collect();
        let at = (start & (PAGE - 1)) as usize;
        assert_eq!(&pages[&(start & !(PAGE - 1))][at..at + text], b"first");
    }

    #[test]
    fn a_full_set_takes_no_more_addresses_and_has_those_it_took() {
        let mut set = AddressSet::default();
        let addresses: Vec<u64> = (1..=10_000).map(|n| n * 8).collect();
        let taken: Vec<bool> = addresses.iter().map(|address| set.insert(*address)).collect();
        assert!(taken[..4_000].iter().all(|taken| *taken) && !taken[9_999]);
        for (address, taken) in addresses.into_iter().zip(taken) {
            assert_eq!(set.contains(address), taken);
            assert!(!set.insert(address));
        }
    }

    #[test]
    fn a_page_that_could_not_be_read_is_tried_again() {
        let value = Box::new(vec![1_u64]);
        let page = value.as_ptr().addr() as u64 & !(PAGE - 1);
        let mut kept = Kept::default();
        // As if nothing had been mapped there.
        assert!(kept.unreadable.insert(page));
        let mut has_page = || {
            assert!(kept.take(std::ptr::from_ref(&value).addr(), size_of_val(&value)));
            kept.pages().any(|(address, _)| address == page)
        };
        assert!(!has_page());
        assert!((0..REMEMBERED).any(|_| has_page()));
    }

    #[test]
    fn what_cannot_be_read_or_is_too_large_is_not_kept() {
        let mut kept = Kept::default();
        assert!(!kept.take(8, 64));
        assert!(!kept.take(std::ptr::from_ref(&kept).addr(), PAGES * PAGE as usize));
    }
}

/// Marks the values of a suspension that is over.
pub(super) fn mark_as_past(stack: &mut Stack) {
    stack.mid_step = true;
    mark_frames(&mut stack.frames);
}

fn mark_frames(frames: &mut [Frame]) {
    for frame in frames {
        if frame.note == NOT_STARTED {
            frame.note = BEGAN.into();
        }
        for local in &mut frame.locals {
            let comma = if local.mark.is_empty() { "" } else { ", " };
            local.mark = format!("{}{comma}mid-step", local.mark);
        }
        frame.branches.iter_mut().for_each(|branch| mark_frames(&mut branch.frames));
    }
}
