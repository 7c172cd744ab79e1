//! Mapped memory as a slice of atomic words.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
#[cfg(target_os = "linux")]
use tinyio_events::sandbox;

/// A file mapped into memory, shared with every other process that maps it.
#[derive(Debug)]
pub(crate) struct Map {
    // Before `map`, as fields are dropped in this order: the handler must not replace what is no longer mapped.
    guard: Guard,
    map: MmapRaw,
    words: usize,
}

impl Map {
    /// Maps `words` words of a file that is at least that long, for writing.
    pub(crate) fn writable(file: &File, words: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(words * 8).map_raw(file)?;
        // Some file systems then allocate memory by the megabyte instead of by the page, at a quarter of the cost.
        big_pages(map.as_ptr(), map.len());
        let guard = Guard::of(&map);
        Ok(Map { guard, map, words })
    }

    /// Maps `words` words of a file that is at least that long; nothing may be stored through it.
    pub(crate) fn read_only(file: &File, words: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(words * 8).map_raw_read_only(file)?;
        let guard = Guard::of(&map);
        Ok(Map { guard, map, words })
    }

    /// Whether the file was truncated and a page of it was touched since: the words are zeros of this process then.
    pub(crate) fn is_cut(&self) -> bool {
        self.guard.is_cut()
    }

    /// The words. Another process may change them at any time, hence atomics.
    #[inline(always)]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: `map` is a live mapping of `words * 8` bytes that goes with `self`; a page is aligned for u64; every
        // bit pattern is a u64; and all accesses to this memory are atomic. (A read-only mapping is only ever loaded
        // from.)
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.words) }
    }
}

impl Map {
    /// The lower half of a word, for the system alone, which waits on 32 bits: this process neither loads nor stores
    /// it.
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
        if start < end && !sandbox::is_filtered() {
            // SAFETY: the range lies in the mapping, which is writable and shared; its pages are made present, nothing
            // in them changes.
            let _ = unsafe {
                rustix::mm::madvise(
                    self.map.as_mut_ptr().add(start).cast(),
                    end - start,
                    rustix::mm::Advice::LinuxPopulateWrite,
                )
            };
        }
    }

    /// Does nothing: this system cannot make pages present.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn populate(&self, _: std::ops::Range<usize>) {}
}

/// Keeps a truncated file from ending the process.
///
/// A load or store on a page that a file no longer has is a SIGBUS. The handler of that signal puts zeroed private
/// memory in place of the whole mapping, so that the access succeeds on the second try. A SIGBUS elsewhere goes to the
/// handler that was there before.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Guard(&'static Guarded);

/// A mapping that the handler replaces. Never freed, but used again.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Guarded {
    /// First address; 0 while it is not in use.
    start: std::sync::atomic::AtomicUsize,
    /// 0: free.
    bytes: std::sync::atomic::AtomicUsize,
    cut: std::sync::atomic::AtomicBool,
    next: std::sync::OnceLock<Box<Guarded>>,
}

#[cfg(target_os = "linux")]
static GUARDED: Guarded = Guarded::new();

#[cfg(target_os = "linux")]
static BEFORE: std::sync::OnceLock<nix::sys::signal::SigAction> = std::sync::OnceLock::new();

#[cfg(target_os = "linux")]
impl Guarded {
    const fn new() -> Guarded {
        use std::sync::atomic::{AtomicBool, AtomicUsize};
        let (start, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Guarded { start, bytes, cut: AtomicBool::new(false), next: std::sync::OnceLock::new() }
    }

    /// Puts zeros in place of the mapping that has this address. Called in a signal handler: it neither locks nor
    /// allocates.
    fn replace(address: usize) -> bool {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        let all = std::iter::successors(Some(&GUARDED), |one| one.next.get().map(|next| &**next));
        for one in all {
            let (start, bytes) = (one.start.load(Ordering::Acquire), one.bytes.load(Ordering::Acquire));
            if start != 0 && address.wrapping_sub(start) < bytes {
                let (access, how) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
                // SAFETY: the range is that of a live `Map`; its owner touched it just now, and all accesses to it are
                // atomic.
                let done = unsafe { mmap_anonymous(std::ptr::without_provenance_mut(start), bytes, access, how) };
                one.cut.store(done.is_ok(), Ordering::Release);
                return done.is_ok();
            }
        }
        false
    }
}

#[cfg(target_os = "linux")]
impl Guard {
    fn of(map: &MmapRaw) -> Guard {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(install);
        let mut one = &GUARDED;
        while one.bytes.compare_exchange(0, map.len(), Ordering::AcqRel, Ordering::Relaxed).is_err() {
            one = one.next.get_or_init(|| Box::new(Guarded::new()));
        }
        one.cut.store(false, Ordering::Relaxed);
        one.start.store(map.as_ptr().addr(), Ordering::Release);
        Guard(one)
    }

    fn is_cut(&self) -> bool {
        self.0.cut.load(Ordering::Acquire)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Guard {
    fn drop(&mut self) {
        self.0.start.store(0, Ordering::Release);
        self.0.bytes.store(0, Ordering::Release);
    }
}

#[cfg(target_os = "linux")]
fn install() {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(bus_error), flags, SigSet::empty());
    // SAFETY: the handler makes one system call and reads atomics, nothing that is not allowed there.
    if let Ok(before) = unsafe { sigaction(Signal::SIGBUS, &action) } {
        let _ = BEFORE.set(before);
    }
}

#[cfg(target_os = "linux")]
extern "C" fn bus_error(signal: nix::libc::c_int, info: *mut nix::libc::siginfo_t, context: *mut nix::libc::c_void) {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
    // SAFETY: the system passes a `siginfo_t` to a handler with SA_SIGINFO; for a fault, which has a positive code, it
    // holds an address.
    let address = unsafe { ((*info).si_code > 0).then(|| (*info).si_addr().addr()) };
    if address.is_some_and(Guarded::replace) {
        return;
    }
    match BEFORE.get().map(SigAction::handler) {
        Some(SigHandler::SigAction(handler)) => handler(signal, info, context),
        Some(SigHandler::Handler(handler)) => handler(signal),
        _ => {
            let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
            // SAFETY: the default action runs no code of this process.
            let _ = unsafe { sigaction(Signal::SIGBUS, &default) };
            let _ = raise(Signal::SIGBUS);
        }
    }
}

/// Does nothing: not available on this system.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Guard;

#[cfg(not(target_os = "linux"))]
impl Guard {
    fn of(_: &MmapRaw) -> Guard {
        Guard
    }

    fn is_cut(&self) -> bool {
        false
    }
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
    /// Makes a cursor over these words of the map, a multiple of four, which stores to the word `head` how much was
    /// written.
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

    /// Publishes `head`: readers see all records before it.
    #[inline(always)]
    pub(crate) fn commit(&self, head: u64) {
        // SAFETY: a word of the mapping that goes with `self`.
        unsafe { &*self.head }.store(head, Ordering::Release);
    }
}

/// Has the system use big pages for memory that is to be used from end to end: to make it present costs a quarter then.
/// Best effort.
pub(crate) fn big_pages(start: *const u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    if !sandbox::is_filtered() {
        // Whole pages, as an allocator has mapped them: a part of a mapping would be one of its own, and could not grow
        // in place.
        let from = start.cast_mut().map_addr(|start| start & !4095);
        let bytes = (start.addr() + bytes).next_multiple_of(4096) - from.addr();
        // SAFETY: advice about how memory is backed: what is in it, here or in the rest of the first and last page,
        // does not change.
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
    // SAFETY: the range is exactly the private anonymous mapping `map`; the advice changes what a forked child finds
    // there and nothing in this process.
    !sandbox::is_filtered() && unsafe { madvise(map.as_mut_ptr().cast(), map.len(), Advice::LinuxWipeOnFork).is_ok() }
}

#[cfg(not(target_os = "linux"))]
fn wipe_on_fork(_: &MmapRaw) -> bool {
    false
}
