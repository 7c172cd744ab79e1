//! Mapped memory as a slice of atomic words: the only `unsafe` of the recorder.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

/// A file mapped into memory, shared with every other process that maps it.
#[derive(Debug)]
pub(crate) struct Map {
    map: MmapRaw,
    words: usize,
}

impl Map {
    /// Maps `words` words of a file that is at least that long, for writing.
    pub(crate) fn writable(file: &File, words: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(words * 8).map_raw(file)?;
        // A file system that can gives it memory by the megabyte instead of by the page, for a quarter of the price.
        big_pages(map.as_ptr(), map.len());
        Ok(Map { map, words })
    }

    /// Maps `words` words of a file that is at least that long; nothing may be stored through it.
    pub(crate) fn read_only(file: &File, words: usize) -> io::Result<Self> {
        Ok(Map { map: MmapOptions::new().len(words * 8).map_raw_read_only(file)?, words })
    }

    /// The words. Another process may change them at any time, hence atomics.
    #[inline(always)]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `map` is a live mapping of `words * 8` bytes that goes with `self`; a page is aligned for u64; every bit
        // pattern is a u64; and everybody reaches this memory by atomics alone. (A read-only mapping is only ever loaded from.)
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.words) }
    }
}

impl Map {
    /// The lower half of a word, for the system alone, which waits on 32 bits: nobody loads it or stores to it.
    #[cfg(target_os = "linux")]
    pub(crate) fn lower_half(&self, word: usize) -> &std::sync::atomic::AtomicU32 {
        let half = usize::from(cfg!(target_endian = "big"));
        let word: *const AtomicU64 = &raw const self.words()[word];
        // SAFETY: half of a word of the mapping, which lives as long as `self`; 32 bits of any value are a u32.
        unsafe { &*word.cast::<std::sync::atomic::AtomicU32>().add(half) }
    }

    /// Makes the pages of these words present, so that storing to them costs no page fault each. Best effort.
    #[cfg(target_os = "linux")]
    pub(crate) fn populate(&self, words: std::ops::Range<usize>) {
        let start = (words.start * 8) & !4095;
        let end = (words.end * 8).min(self.map.len());
        if start < end {
            // SAFETY: the range lies in the mapping, which is writable and shared; its pages are made present, nothing in them changes.
            let _ = unsafe {
                rustix::mm::madvise(
                    self.map.as_mut_ptr().add(start).cast(),
                    end - start,
                    rustix::mm::Advice::LinuxPopulateWrite,
                )
            };
        }
    }

    /// Makes the pages of these words present: not to be had here.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn populate(&self, _: std::ops::Range<usize>) {}
}

/// Where a recorder writes: four words at a time, each four behind the last, and after the end at the beginning again.
///
/// The recorder does this several times a step; through the map and its bounds it takes twice as many instructions.
#[derive(Debug)]
pub(crate) struct Cursor {
    next: *const [AtomicU64; 4],
    first: *const [AtomicU64; 4],
    last: *const [AtomicU64; 4],
    head: *const AtomicU64,
    /// All of these point into it.
    _map: Arc<Map>,
}

// SAFETY: the pointers are into a mapping that is owned as well, where there is nothing but atomics.
unsafe impl Send for Cursor {}

impl Cursor {
    /// Writes to these words of the map, whose number is a multiple of four, and how much was written to the word `head`.
    ///
    /// # Panics
    ///
    /// If the map has no such words.
    pub(crate) fn new(map: &Arc<Map>, words: std::ops::Range<usize>, head: usize) -> Cursor {
        let (places, rest) = map.words()[words].as_chunks::<4>();
        assert!(!places.is_empty() && rest.is_empty());
        let std::ops::Range { start, end } = places.as_ptr_range();
        Cursor { next: start, first: start, last: end, head: &raw const map.words()[head], _map: map.clone() }
    }

    /// The next four words.
    #[inline(always)]
    pub(crate) fn put(&mut self, words: [u64; 4]) {
        // SAFETY: `next` is one of the places from `first` to before `last`, in the mapping that goes with `self`.
        let place = unsafe { &*self.next };
        place[0].store(words[0], Ordering::Relaxed);
        place[1].store(words[1], Ordering::Relaxed);
        place[2].store(words[2], Ordering::Relaxed);
        place[3].store(words[3], Ordering::Relaxed);
        self.next = self.next.wrapping_add(1);
        if self.next == self.last {
            self.next = self.first;
        }
    }

    /// The next ones go to this place, counted from the first.
    ///
    /// # Panics
    ///
    /// If there is no such place.
    pub(crate) fn go_to(&mut self, place: u64) {
        let next = self.first.wrapping_add(place as usize);
        assert!((self.first..self.last).contains(&next), "there is no place {place}");
        self.next = next;
    }

    /// So much is written, as of now, for whoever looks.
    #[inline(always)]
    pub(crate) fn commit(&self, head: u64) {
        // SAFETY: a word of the mapping that goes with `self`.
        unsafe { &*self.head }.store(head, Ordering::Release);
    }
}

/// Has the system use big pages for memory that is to be used from end to end: to make it present costs a quarter then. Best effort.
pub(crate) fn big_pages(start: *const u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        // Whole pages, as an allocator has mapped them: a part of a mapping would be one of its own, and could not grow in place.
        let from = start.cast_mut().map_addr(|start| start & !4095);
        let bytes = (start.addr() + bytes).next_multiple_of(4096) - from.addr();
        // SAFETY: advice about how memory is backed: what is in it, here or in the rest of the first and last page, does not change.
        let _ = unsafe { rustix::mm::madvise(from.cast(), bytes, rustix::mm::Advice::LinuxHugepage) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

/// Bytes that the C library surely gives a mapping of their own, which grows without being copied.
pub(crate) const ALONE: usize = 64 << 20;

/// The same for a table, if it is a big one: it calls this when it has grown.
pub(crate) fn big_table<T>(start: *const T, capacity: usize) {
    /// Below this it is not worth it.
    const BIG: usize = 4 << 20;
    let bytes = capacity * size_of::<T>();
    if bytes >= BIG {
        big_pages(start.cast(), bytes);
    }
}

/// One word that is 0 in a forked child, whatever it is in the parent. So the recorder knows that it has been forked
/// without asking for its process id at every event.
#[derive(Debug)]
pub(crate) struct ForkWord {
    map: MmapRaw,
    wiped: bool,
}

impl ForkWord {
    /// A word on a page of its own.
    pub(crate) fn new() -> io::Result<Self> {
        let map = MmapRaw::from(MmapOptions::new().len(4096).map_anon()?);
        let wiped = wipe_on_fork(&map);
        Ok(ForkWord { map, wiped })
    }

    /// Whether the system wipes the word on fork; elsewhere the process id has to be compared now and then.
    pub(crate) fn wiped_on_fork(&self) -> bool {
        self.wiped
    }

    #[inline(always)]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: the first word of a live mapping that goes with `self`, reached by this alone.
        unsafe { &*self.map.as_ptr().cast::<AtomicU64>() }
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        self.word().load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, value: u64) {
        self.word().store(value, Ordering::Relaxed);
    }
}

#[cfg(target_os = "linux")]
fn wipe_on_fork(map: &MmapRaw) -> bool {
    use rustix::mm::{Advice, madvise};
    // SAFETY: the range is exactly the private anonymous mapping `map`; the advice changes what a forked child finds there
    // and nothing in this process.
    unsafe { madvise(map.as_mut_ptr().cast(), map.len(), Advice::LinuxWipeOnFork).is_ok() }
}

#[cfg(not(target_os = "linux"))]
fn wipe_on_fork(_: &MmapRaw) -> bool {
    false
}
