//! The memory of blocks. Small blocks of one size are adjacent in chunks, so that making a coroutine and freeing it
//! costs a quarter of what the C library's `malloc` and `free` do; large ones are allocated one by one.
//!
//! ```text
//! list by size ──▶ chunk with room ◀──▶ chunk with room     full chunks: in no list
//!                  ┌───────┬───────┬───────┬───────┬──
//!                  │ Chunk │ block │ free ─┼─────▶ │ …      aligned to its size: found from a block's address
//!                  └───────┴───────┴───────┴───────┴──
//! ```
//!
//! A chunk is freed when all its blocks are free; of each size the newest is kept while the thread is in a loop.
//!
//! Debug builds use the allocator for each block, so that memory checkers see every use of freed memory; the feature
//! `__chunks` makes them use chunks. Built with `--cfg poison="address"` (AddressSanitizer) or `--cfg
//! poison="valgrind"`, each free block is marked for the checker.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr::NonNull;

const USED: bool = cfg!(any(not(debug_assertions), feature = "__chunks"));
/// The alignment of chunks.
const ALIGN: usize = 16 << 10;
/// Less the 16 bytes that glibc puts before each allocation, so that the next chunk follows directly.
const LAYOUT: Layout = match Layout::from_size_align(ALIGN - 16, ALIGN) {
    Ok(layout) => layout,
    Err(_) => panic!("sixteen bytes are left"),
};
/// Only blocks smaller than this are in chunks.
const SIZE: usize = 256;
/// The alignment of blocks, and the step of their sizes.
pub(super) const STEP: usize = align_of::<usize>();

/// The block memory of a thread.
pub(super) struct Memory {
    /// The chunks with free blocks, by block size.
    lists: [List; SIZE / STEP],
    /// The thread is in a loop.
    inside: Cell<bool>,
}

/// The chunks of one block size.
struct List {
    /// Those with free blocks, doubly linked.
    first: Cell<Option<NonNull<Chunk>>>,
    /// The one that is kept while the thread is in a loop: the newest. It is often the last of the heap, and were that
    /// freed, the C library would give the heap's free memory back to the system: twice the time of W5.
    kept: Cell<Option<NonNull<Chunk>>>,
}

/// Which list the blocks of a layout are in. Each type of coroutine has it as a constant, so that giving a block back
/// computes nothing: 9 instructions.
#[derive(Clone, Copy)]
pub(super) struct SizeClass(u8);

impl SizeClass {
    /// Its blocks go to the allocator.
    const NONE: SizeClass = SizeClass(u8::MAX);

    pub(super) const fn of(layout: Layout) -> SizeClass {
        let is_small = layout.size() < SIZE && layout.align() == STEP && layout.size() >= size_of::<Free>();
        if (USED || cfg!(test)) && is_small { SizeClass((layout.size() / STEP) as u8) } else { SizeClass::NONE }
    }
}

/// The head of a chunk, as large as a cache line, so that its blocks divide the lines evenly.
#[repr(align(64))]
struct Chunk {
    /// The pointer that the allocator returned, with the provenance of the whole chunk, for `dealloc`. A pointer to
    /// this head covers the head alone.
    whole: NonNull<u8>,
    free: Cell<Option<NonNull<Free>>>,
    /// The number of blocks that are in use, and one more while it is kept.
    used: Cell<usize>,
    previous: Cell<Option<NonNull<Chunk>>>,
    next: Cell<Option<NonNull<Chunk>>>,
}

/// The beginning of a free block.
struct Free {
    next: Option<NonNull<Free>>,
}

impl Memory {
    pub(super) const fn new() -> Memory {
        let lists = [const { List { first: Cell::new(None), kept: Cell::new(None) } }; SIZE / STEP];
        Memory { lists, inside: Cell::new(false) }
    }

    /// Records that the thread enters a loop. Returns `true` if it was in none.
    pub(super) fn open(&self) -> bool {
        !self.inside.replace(true)
    }

    /// Records that the thread leaves its outermost loop: free chunks are deallocated, at once or with the last block
    /// of each, so that the thread leaks nothing when it ends.
    pub(super) fn close(&self) {
        self.inside.set(false);
        for list in &self.lists {
            if let Some(chunk) = list.kept.take() {
                // SAFETY: it was kept, so it is alive.
                unsafe { list.count_down(chunk) };
            }
        }
    }

    /// The chunks of this class. `None`: it goes to the allocator.
    #[inline]
    fn list(&self, class: SizeClass) -> Option<&List> {
        self.lists.get(usize::from(class.0))
    }

    /// Allocates memory of this layout. Null if there is none.
    ///
    /// # Safety
    ///
    /// The size is not zero.
    #[inline]
    pub(super) unsafe fn take(&self, layout: Layout) -> *mut u8 {
        let Some(list) = self.list(SizeClass::of(layout)) else {
            // SAFETY: required of the caller.
            return unsafe { alloc::alloc(layout) };
        };
        // SAFETY: a class has only sizes that a `Free` fits in, and they are multiples of the alignment.
        let grow = || unsafe { list.grow(layout.size(), self.inside.get()) };
        let Some(chunk) = list.first.get().or_else(grow) else { return std::ptr::null_mut() };
        // SAFETY: it is in the list.
        let chunk = unsafe { chunk.as_ref() };
        let free = chunk.free.get().expect("a chunk in the list has room");
        poison::show(free.cast(), layout.size());
        // SAFETY: a free block is in no other use, and begins with a `Free`.
        let next = unsafe { free.read() }.next;
        poison::is_new(free.cast(), layout.size());
        chunk.free.set(next);
        chunk.used.set(chunk.used.get() + 1);
        if next.is_none() {
            // SAFETY: it is in this list.
            unsafe { list.remove(chunk) };
        }
        free.as_ptr().cast()
    }

    /// Takes memory back.
    ///
    /// # Safety
    ///
    /// It came from `take` on this thread, with this layout, which has this class, and is no longer in use.
    #[inline]
    pub(super) unsafe fn give(&self, memory: NonNull<u8>, layout: Layout, class: SizeClass) {
        let Some(list) = self.list(class) else {
            // SAFETY: required of the caller.
            return unsafe { alloc::dealloc(memory.as_ptr(), layout) };
        };
        let head = memory.as_ptr().map_addr(|address| address & !(ALIGN - 1)).cast::<Chunk>();
        // SAFETY: `take` took it from the chunk that begins there, which is alive while one of its blocks is in use.
        let chunk = unsafe { &*head };
        let free = memory.cast::<Free>();
        let next = chunk.free.replace(Some(free));
        // SAFETY: the memory is not in use, and is as large and aligned as a `Free` needs: no list is of a smaller
        // size.
        unsafe { free.write(Free { next }) };
        poison::hide(memory, layout.size());
        if next.is_none() {
            // SAFETY: a full chunk is in no list; `count_down` takes it out before it frees it.
            unsafe { list.add(chunk) };
        }
        // SAFETY: it was in use until now.
        unsafe { list.count_down(NonNull::from(chunk)) };
    }
}

impl List {
    /// Counts one use less. With the last the chunk is freed.
    ///
    /// # Safety
    ///
    /// It is alive, that use is counted, and it has a free block or is kept.
    #[inline]
    unsafe fn count_down(&self, chunk: NonNull<Chunk>) {
        // SAFETY: required of the caller.
        let this = unsafe { chunk.as_ref() };
        let used = this.used.get() - 1;
        this.used.set(used);
        if used == 0 {
            // SAFETY: none of its blocks is in use, so it has free ones, and is in the list.
            unsafe { self.free(chunk) };
        }
    }

    /// # Safety
    ///
    /// It is in this list, and none of its blocks is in use.
    #[cold]
    #[inline(never)]
    unsafe fn free(&self, chunk: NonNull<Chunk>) {
        // SAFETY: required of the caller.
        unsafe {
            self.remove(chunk.as_ref());
            Chunk::free(chunk);
        }
    }

    /// Puts a chunk at the front.
    ///
    /// # Safety
    ///
    /// It is in no list, and is removed before it is freed.
    unsafe fn add(&self, chunk: &Chunk) {
        let first = Some(NonNull::from(chunk));
        let next = self.first.replace(first);
        chunk.next.set(next);
        chunk.previous.set(None);
        if let Some(next) = next {
            // SAFETY: it is in the list.
            unsafe { next.as_ref() }.previous.set(first);
        }
    }

    /// Takes a chunk out.
    ///
    /// # Safety
    ///
    /// It is in this list.
    unsafe fn remove(&self, chunk: &Chunk) {
        let (previous, next) = (chunk.previous.take(), chunk.next.take());
        match previous {
            None => self.first.set(next),
            // SAFETY: it is in the list.
            Some(previous) => unsafe { previous.as_ref() }.next.set(next),
        }
        if let Some(next) = next {
            // SAFETY: it is in the list.
            unsafe { next.as_ref() }.previous.set(previous);
        }
    }

    /// Allocates a chunk of blocks of this size. With `keep` it is the one that is kept from now on. `None`: there is
    /// no memory.
    ///
    /// # Safety
    ///
    /// A `Free` fits in the size, which is a multiple of `STEP`.
    #[cold]
    unsafe fn grow(&self, size: usize, keep: bool) -> Option<NonNull<Chunk>> {
        // SAFETY: the size is not zero.
        let whole = NonNull::new(unsafe { alloc::alloc(LAYOUT) })?;
        let chunk = whole.cast::<Chunk>();
        let mut free = None;
        for at in (size_of::<Chunk>()..LAYOUT.size() - size + 1).step_by(size).rev() {
            // SAFETY: within the chunk, after its head, at a multiple of `STEP`.
            free = unsafe {
                let block = chunk.byte_add(at).cast::<Free>();
                block.write(Free { next: free });
                Some(block)
            };
            poison::hide(free.expect("written above").cast(), size);
        }
        let head = Chunk {
            whole,
            free: Cell::new(free),
            used: Cell::new(usize::from(keep)),
            previous: Cell::new(None),
            next: Cell::new(None),
        };
        // SAFETY: at the beginning of the chunk, which is aligned as the head needs.
        unsafe {
            chunk.write(head);
            self.add(chunk.as_ref());
        }
        if keep && let Some(older) = self.kept.replace(Some(chunk)) {
            // SAFETY: it was kept, so it is alive; it is full, because otherwise there were no need for another.
            unsafe { self.count_down(older) };
        }
        Some(chunk)
    }
}

impl Chunk {
    /// # Safety
    ///
    /// None of its blocks is in use, and it is in no list.
    unsafe fn free(chunk: NonNull<Chunk>) {
        // SAFETY: it is alive until the next line.
        let whole = unsafe { chunk.as_ref() }.whole;
        poison::show(whole, LAYOUT.size());
        // SAFETY: `grow` took it, with that layout; a head needs no destructor.
        unsafe { alloc::dealloc(whole.as_ptr(), LAYOUT) };
    }
}

/// No-op without a memory checker.
#[cfg(not(any(poison = "address", poison = "valgrind")))]
mod poison {
    use std::ptr::NonNull;

    #[inline(always)]
    pub(super) fn hide(_: NonNull<u8>, _: usize) {}

    #[inline(always)]
    pub(super) fn show(_: NonNull<u8>, _: usize) {}

    #[inline(always)]
    pub(super) fn is_new(_: NonNull<u8>, _: usize) {}
}

/// Marks free blocks for AddressSanitizer.
#[cfg(poison = "address")]
mod poison {
    use std::ffi::{c_int, c_void};
    use std::ptr::NonNull;

    // SAFETY: the functions of `sanitizer/asan_interface.h`, which a program that is built with AddressSanitizer
    // contains.
    unsafe extern "C" {
        safe fn __asan_poison_memory_region(start: *const c_void, bytes: usize);
        safe fn __asan_unpoison_memory_region(start: *const c_void, bytes: usize);
        #[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
        safe fn __asan_address_is_poisoned(address: *const c_void) -> c_int;
    }

    pub(super) fn hide(memory: NonNull<u8>, bytes: usize) {
        __asan_poison_memory_region(memory.as_ptr().cast(), bytes);
    }

    pub(super) fn show(memory: NonNull<u8>, bytes: usize) {
        __asan_unpoison_memory_region(memory.as_ptr().cast(), bytes);
    }

    /// AddressSanitizer does not track which bytes were written.
    pub(super) fn is_new(_: NonNull<u8>, _: usize) {}

    #[cfg(test)]
    pub(super) fn is_hidden(memory: NonNull<u8>) -> bool {
        __asan_address_is_poisoned(memory.as_ptr().cast()) != 0
    }
}

/// Marks free blocks for valgrind, by the client requests of `valgrind/memcheck.h`.
#[cfg(poison = "valgrind")]
mod poison {
    use std::ptr::NonNull;

    /// The requests of memcheck begin at this number.
    const MEMCHECK: usize = 0x4d43_0000;
    const MAKE_NO_ACCESS: usize = MEMCHECK;
    const MAKE_UNDEFINED: usize = MEMCHECK + 1;
    const MAKE_DEFINED: usize = MEMCHECK + 2;

    /// The answer; 0 outside of valgrind.
    fn request(number: usize, arguments: [usize; 3]) -> usize {
        let [a, b, c] = arguments;
        let request = [number, a, b, c, 0, 0];
        let mut answer = 0_usize;
        // SAFETY: valgrind treats this sequence as a request. Elsewhere it rotates `rdi` by 128 bits in all, and
        // exchanges `rbx` with itself.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
                in("rax") request.as_ptr(), inout("rdx") answer,
            );
        }
        answer
    }

    pub(super) fn hide(memory: NonNull<u8>, bytes: usize) {
        request(MAKE_NO_ACCESS, [memory.addr().get(), bytes, 0]);
    }

    pub(super) fn show(memory: NonNull<u8>, bytes: usize) {
        request(MAKE_DEFINED, [memory.addr().get(), bytes, 0]);
    }

    /// Reads of it before the first write are reported.
    pub(super) fn is_new(memory: NonNull<u8>, bytes: usize) {
        request(MAKE_UNDEFINED, [memory.addr().get(), bytes, 0]);
    }

    /// Outside of valgrind nothing is marked.
    #[cfg(test)]
    pub(super) fn is_hidden(memory: NonNull<u8>) -> bool {
        const GET_BITS: usize = MEMCHECK + 8;
        const NOT_ADDRESSABLE: usize = 3;
        let mut bits = 0_u8;
        request(GET_BITS, [memory.addr().get(), (&raw mut bits).addr(), 1]) == NOT_ADDRESSABLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, STEP).unwrap()
    }

    /// The number of chunks with free blocks of this size.
    fn chunks(memory: &Memory, size: usize) -> usize {
        let mut chunks = 0;
        let mut next = memory.list(SizeClass::of(layout(size))).unwrap().first.get();
        while let Some(chunk) = next {
            chunks += 1;
            // SAFETY: it is in the list.
            next = unsafe { chunk.as_ref() }.next.get();
        }
        chunks
    }

    #[test]
    fn a_block_is_used_again_and_a_chunk_given_back() {
        let memory = Memory::new();
        // SAFETY: the size is not zero.
        let take = || NonNull::new(unsafe { memory.take(layout(64)) }).unwrap();
        // SAFETY: each was taken here, and is given back once.
        let give = |block| unsafe { memory.give(block, layout(64), SizeClass::of(layout(64))) };
        assert!(memory.open());
        let first = take();
        give(first);
        assert_eq!(take(), first, "the last one in is the first one out");
        let others: Vec<_> = (0..1_000).map(|_| take()).collect();
        give(first);
        assert_eq!(chunks(&memory, 64), 2, "the one that was full, and the newest");
        others.into_iter().for_each(give);
        assert_eq!(chunks(&memory, 64), 1, "one is kept");
        let last = take();
        memory.close();
        assert_eq!(chunks(&memory, 64), 1, "it is in use");
        give(last);
        assert_eq!(chunks(&memory, 64), 0);
    }

    /// Runs in a build with `--cfg poison="address"`, and in one with `--cfg poison="valgrind"` under valgrind
    /// (`TINYIO_TEST_VALGRIND=1`).
    #[cfg(any(poison = "address", poison = "valgrind"))]
    #[test]
    fn a_checker_knows_which_blocks_are_free() {
        if cfg!(poison = "valgrind") && std::env::var_os("TINYIO_TEST_VALGRIND").is_none() {
            return;
        }
        let memory = Memory::new();
        // SAFETY: the size is not zero.
        let take = || NonNull::new(unsafe { memory.take(layout(64)) }).unwrap();
        // SAFETY: each was taken here, and is given back once.
        let give = |block| unsafe { memory.give(block, layout(64), SizeClass::of(layout(64))) };
        assert!(memory.open());
        let (block, last) = (take(), take());
        // SAFETY: the next block of the chunk, at its last byte.
        let never_taken = unsafe { last.add(64 + 63) };
        assert!(!poison::is_hidden(block) && !poison::is_hidden(last), "they are in use");
        assert!(poison::is_hidden(never_taken));
        give(block);
        // SAFETY: within the block.
        let (next, end) = unsafe { (block.add(8), block.add(63)) };
        assert!([block, next, end].into_iter().all(poison::is_hidden), "it is free");
        assert_eq!(take(), block);
        assert!(![block, next, end].into_iter().any(poison::is_hidden), "it is in use again");
        give(block);
        give(last);
        memory.close();
    }

    /// Blocks of all sizes, taken and given back in random order: none overlaps another.
    #[test]
    fn no_block_is_written_into_by_another() {
        let memory = Memory::new();
        assert!(memory.open());
        let mut blocks: Vec<(NonNull<u8>, usize)> = Vec::new();
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for step in 0..60_000 {
            // First a growing number, then a shrinking one.
            let takes = blocks.is_empty() || random(8) < if step < 30_000 { 5 } else { 3 };
            if takes {
                let size = (1 + random(SIZE / STEP)) * STEP;
                // SAFETY: no size is zero.
                let block = NonNull::new(unsafe { memory.take(layout(size)) }).unwrap();
                assert!(block.addr().get().is_multiple_of(STEP));
                // SAFETY: the block is in use here, and has this size.
                unsafe { block.write_bytes(size as u8, size) };
                blocks.push((block, size));
            } else {
                let (block, size) = blocks.swap_remove(random(blocks.len()));
                // SAFETY: in use here, written above, and given back once.
                unsafe {
                    assert!(std::slice::from_raw_parts(block.as_ptr(), size).iter().all(|byte| *byte == size as u8));
                    memory.give(block, layout(size), SizeClass::of(layout(size)));
                }
            }
        }
        memory.close();
        for (block, size) in blocks {
            // SAFETY: as above.
            unsafe { memory.give(block, layout(size), SizeClass::of(layout(size))) };
        }
        assert!(memory.lists.iter().all(|list| list.first.get().is_none()), "all chunks were given back");
    }
}
