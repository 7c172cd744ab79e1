//! Keeps the memory of a suspended future over the step that follows.
//!
//! A future that returns an error has dropped its locals by then, and has reused their memory. A future that uses the
//! error type of the loop is read when the error is made; of any other error the loop learns when the future returns.
//! What is kept is what the future and its locals consist of, as bytes: nothing is decoded until the future fails.

use tinyio_events::event::{Frame, Stack};
use tinyio_events::place::{AT_LAST_AWAIT, BEGAN, NOT_STARTED};

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

/// Whether a word may be an address: those below 2³² are never on a heap, those from 2⁴⁷ on never of a program.
#[inline(always)]
fn may_be_address(word: &[u8; 8]) -> bool {
    word[7] == 0 && word[6] == 0 && word[5] < 0x80 && (word[5] != 0 || word[4] != 0)
}

/// Memory is searched in blocks of so many bytes, each once. What is before an object mostly has nothing to do with it.
const BLOCK: u64 = 128;

/// Which blocks of memory were met in one search, by page. Its tables are used again by the next search, since new ones
/// before each step cost page faults. Where there is no room for a page, its blocks count as met.
#[derive(Debug)]
struct Met {
    /// Addresses of pages, with the number of the search in the bits that are 0 in such an address.
    pages: Box<[u64]>,
    /// A bit for each block of that page, [`Met::ASKED`], and from [`Met::KEPT`] on its place among those kept, plus
    /// one.
    blocks: Box<[u64]>,
    used: usize,
    /// The number of this search; not 0.
    search: u64,
}

impl Default for Met {
    fn default() -> Met {
        let table = || vec![0; Met::SLOTS].into();
        Met { pages: table(), blocks: table(), used: 0, search: 0 }
    }
}

impl Met {
    const BITS: u32 = 12;
    const SLOTS: usize = 1 << Met::BITS;
    /// The page was asked for.
    const ASKED: u64 = 1 << (PAGE / BLOCK);
    /// The lowest bit of the place.
    const KEPT: u32 = 48;

    /// Forgets all.
    fn begin(&mut self) {
        if self.search == PAGE - 1 {
            *self = Met::default();
        }
        self.search += 1;
        self.used = 0;
    }

    /// The slot of a page.
    #[inline(always)]
    fn slot(&mut self, page: u64) -> Option<usize> {
        let (pages, wanted) = (&mut *self.pages, page | self.search);
        let mut slot = (page.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Met::BITS)) as usize;
        while pages[slot] != wanted {
            if pages[slot] & (PAGE - 1) != self.search {
                if self.used * 2 > Met::SLOTS {
                    return None;
                }
                self.used += 1;
                pages[slot] = wanted;
                self.blocks[slot] = 0;
                return Some(slot);
            }
            slot = (slot + 1) % Met::SLOTS;
        }
        Some(slot)
    }

    /// Whether a page is asked for the first time.
    fn ask(&mut self, page: u64) -> bool {
        let Some(slot) = self.slot(page) else { return false };
        let is_first = self.blocks[slot] & Met::ASKED == 0;
        self.blocks[slot] |= Met::ASKED;
        is_first
    }

    /// Notes the place of a page among those kept.
    fn keep(&mut self, page: u64, at: usize) {
        if let Some(slot) = self.slot(page) {
            self.blocks[slot] |= (at as u64 + 1) << Met::KEPT;
        }
    }

    /// That place.
    fn kept(&mut self, page: u64) -> Option<usize> {
        let slot = self.slot(page)?;
        ((self.blocks[slot] >> Met::KEPT) as usize).checked_sub(1)
    }

    /// Adds the blocks that have a part of a span, but those met before: the one that it begins in to `first`, those
    /// behind to `behind`.
    fn add(&mut self, span: std::ops::Range<u64>, first: &mut Vec<u64>, behind: &mut Vec<u64>) {
        let begin = span.start & !(BLOCK - 1);
        let mut block = begin;
        while block < span.end {
            let page = block & !(PAGE - 1);
            let slot = self.slot(page);
            let blocks = &mut *self.blocks;
            while block < span.end && block < page + PAGE {
                let bit = 1 << ((block - page) / BLOCK);
                if let Some(slot) = slot
                    && blocks[slot] & bit == 0
                {
                    blocks[slot] |= bit;
                    if block == begin {
                        first.push(block);
                    } else {
                        behind.push(block);
                    }
                }
                block += BLOCK;
            }
        }
    }
}

/// A set of addresses other than 0, with room for some thousand; what has no room counts as a member. This runs
/// before each step, and where nothing is optimised hash tables of the standard library took most of its time. A slice,
/// because an index into a vector is a call there.
#[derive(Debug)]
struct AddressSet {
    slots: Box<[u64]>,
    used: usize,
}

impl Default for AddressSet {
    fn default() -> AddressSet {
        AddressSet { slots: vec![0; AddressSet::SLOTS].into(), used: 0 }
    }
}

impl AddressSet {
    const BITS: u32 = 13;
    const SLOTS: usize = 1 << AddressSet::BITS;

    /// The slot with an address, or the free one to put it into.
    fn slot(&self, address: u64) -> usize {
        let slots = &*self.slots;
        let mut slot = (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - AddressSet::BITS)) as usize;
        while slots[slot] != 0 && slots[slot] != address {
            slot = (slot + 1) % AddressSet::SLOTS;
        }
        slot
    }

    fn contains(&self, address: u64) -> bool {
        self.slots[self.slot(address)] == address
    }

    /// False if it is there already, or there is no room.
    fn insert(&mut self, address: u64) -> bool {
        let slot = self.slot(address);
        if self.slots[slot] == address || self.used * 2 > AddressSet::SLOTS {
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
    /// Room for [`PAGES`], once something was kept.
    bytes: Vec<u8>,
    met: Met,
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
        let (address, size) = (address as u64, size as u64);
        if size > PAGES as u64 * PAGE / 2 || tinyio_events::sandbox::is_filtered() {
            return false;
        }
        self.remembered += 1;
        if self.remembered > REMEMBERED {
            self.remembered = 0;
            self.unreadable = AddressSet::default();
        }
        if self.bytes.is_empty() {
            self.bytes = vec![0; PAGES * PAGE as usize];
        }
        self.met.begin();
        let (mut wanted, mut blocks, mut behind) = (Vec::new(), Vec::new(), Vec::new());
        self.met.add(address..address + size, &mut blocks, &mut behind);
        blocks.append(&mut behind);
        for level in 0..=LEVELS {
            let mut last = 0;
            for block in &blocks {
                let page = block & !(PAGE - 1);
                if page != last && self.met.ask(page) && (level == 0 || !self.unreadable.contains(page)) {
                    wanted.push(page);
                }
                last = page;
            }
            wanted.truncate(PAGES.saturating_sub(self.pages.len()));
            let before = self.pages.len();
            let unreadable = read_pages(&mut wanted, &mut self.pages, &mut self.bytes);
            unreadable.into_iter().for_each(|page| _ = self.unreadable.insert(page));
            (before..).zip(&self.pages[before..]).for_each(|(at, page)| self.met.keep(*page, at));
            if level == 0 && self.pages.len() as u64 * PAGE < size {
                return false;
            }
            if level == LEVELS || self.pages.len() == PAGES {
                break;
            }
            blocks = self.pointers(&blocks);
        }
        true
    }

    /// The blocks, of those not met before, that the pointers in these blocks lead to: first those that begin there,
    /// then those that follow, which are less often of the same object.
    fn pointers(&mut self, blocks: &[u64]) -> Vec<u64> {
        let (mut found, mut behind) = (Vec::new(), Vec::new());
        let bytes = self.bytes.as_slice();
        // Blocks that follow one another are mostly of one page.
        let (mut last, mut at) = (0, None);
        for block in blocks {
            let page = block & !(PAGE - 1);
            if page != last {
                (last, at) = (page, self.met.kept(page));
            }
            let Some(at) = at else { continue };
            let start = at * PAGE as usize + (block & (PAGE - 1)) as usize;
            let words: &[[u8; 8]] = bytes[start..start + BLOCK as usize].as_chunks().0;
            // Most words are no addresses. Where nothing is optimised, an iterator takes several calls a word, and so
            // does to make a number of it.
            let mut next = 0;
            while next < words.len() {
                let word = &words[next];
                next += 1;
                if may_be_address(word) {
                    let word = u64::from_le_bytes(*word);
                    self.met.add(word..word + REACH, &mut found, &mut behind);
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
    fn each_block_is_met_once_in_a_search() {
        let mut met = Met::default();
        let add = |met: &mut Met, span: std::ops::Range<u64>| {
            let (mut first, mut behind) = (Vec::new(), Vec::new());
            met.add(span, &mut first, &mut behind);
            (first, behind)
        };
        // More searches than there are numbers for them.
        for _ in 0..2 * PAGE {
            met.begin();
            let at = 3 * PAGE - BLOCK;
            assert_eq!(add(&mut met, at + 1..at + 2 * BLOCK), (vec![at], vec![3 * PAGE]), "over the end of a page");
            assert_eq!(add(&mut met, at..at + 3 * BLOCK), (vec![], vec![3 * PAGE + BLOCK]));
            assert!(met.ask(2 * PAGE) && !met.ask(2 * PAGE) && met.ask(7 * PAGE));
        }
        met.begin();
        let pages: Vec<u64> = (1..Met::SLOTS as u64).map(|page| page * PAGE).collect();
        let taken = pages.iter().filter(|page| !add(&mut met, **page..**page + 1).0.is_empty()).count();
        assert!((Met::SLOTS / 2..Met::SLOTS).contains(&taken), "{taken}: what has no room counts as met");
    }

    #[test]
    fn addresses_are_from_two_to_the_32_to_two_to_the_47() {
        let is = |word: u64| may_be_address(&word.to_le_bytes());
        assert!([1 << 32, 0x5555_0000_0000, (1 << 47) - 1].into_iter().all(is));
        assert!(![0, (1 << 32) - 1, 1 << 47, 1 << 48, 1 << 56, u64::MAX].into_iter().any(is));
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
        let moment = if frame.note == BEGAN { BEGAN } else { AT_LAST_AWAIT };
        for local in &mut frame.locals {
            let comma = if local.mark.is_empty() { "" } else { ", " };
            local.mark = format!("{}{comma}{moment}", local.mark);
        }
        frame.branches.iter_mut().for_each(|branch| mark_frames(&mut branch.frames));
    }
}
