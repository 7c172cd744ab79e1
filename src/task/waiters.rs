//! Who waits on a coroutine: nobody, one word in place, or a box once there are more, or handles were cloned.

use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;

use super::word::Word;

/// Copies an output from one place to another: `T::clone`, its type forgotten.
pub(super) type CloneFn = unsafe fn(source: NonNull<()>, target: NonNull<()>);

/// The waiters of one coroutine, in one machine word.
pub(super) struct Waiters(Cell<*mut Shared>);

/// What only shared coroutines need.
pub(super) struct Shared {
    /// How the output is cloned, once a handle was.
    pub(super) clone: Cell<Option<CloneFn>>,
    list: UnsafeCell<List>,
}

#[derive(Default)]
struct List {
    /// A word, or, with bit 0 clear, twice the position of the next free place (0: the last).
    words: Vec<u64>,
    free: Position,
}

/// Place of a registration, from 1; 0 is "not registered".
pub(crate) type Position = u32;

impl Waiters {
    pub(super) fn new() -> Waiters {
        Waiters(Cell::new(std::ptr::null_mut()))
    }

    #[inline]
    fn inline(&self) -> Option<Word> {
        let bits = self.0.get().addr() as u64;
        (bits & 1 == 1).then(|| Word::from_bits(bits))
    }

    fn set_inline(&self, word: Word) {
        self.0.set(std::ptr::without_provenance_mut(word.bits() as usize));
    }

    pub(super) fn boxed(&self) -> Option<&Shared> {
        if self.inline().is_some() {
            return None;
        }
        // SAFETY: without bit 0 it is null or the box made by `make_shared`, which lives until `self` is dropped.
        unsafe { self.0.get().as_ref() }
    }

    /// It has no box.
    #[inline]
    pub(super) fn is_inline(&self) -> bool {
        self.0.get().is_null() || self.inline().is_some()
    }

    /// Moves to the box.
    pub(super) fn make_shared(&self) -> &Shared {
        if self.boxed().is_none() {
            let words = self.inline().map(|word| word.bits()).into_iter().collect();
            let shared = Shared { clone: Cell::new(None), list: UnsafeCell::new(List { words, free: 0 }) };
            self.0.set(Box::into_raw(Box::new(shared)));
        }
        // SAFETY: it has just been made, or was there; see `boxed`.
        unsafe { &*self.0.get() }
    }

    #[inline]
    pub(super) fn add(&self, word: Word) -> Position {
        if self.0.get().is_null() {
            self.set_inline(word);
            return 1;
        }
        self.make_shared().with(|list| list.add(word))
    }

    /// Who is registered there.
    pub(super) fn get(&self, at: Position) -> Word {
        match self.boxed() {
            None => self.inline().unwrap_or_default(),
            Some(shared) => shared.with(|list| list.get(at as usize - 1).unwrap_or_default()),
        }
    }

    /// Registers another; returns who was there.
    #[inline]
    pub(super) fn replace(&self, at: Position, word: Word) -> Word {
        let old = self.get(at);
        match self.boxed() {
            None => self.set_inline(word),
            Some(shared) => shared.with(|list| list.words[at as usize - 1] = word.bits()),
        }
        old
    }

    /// Takes out whoever is registered there: nobody, once all were taken.
    pub(super) fn remove(&self, at: Position) -> Word {
        let old = self.get(at);
        match self.boxed() {
            _ if old.is_none() => {}
            None => self.0.set(std::ptr::null_mut()),
            Some(shared) => shared.with(|list| {
                list.words[at as usize - 1] = u64::from(list.free) << 1;
                list.free = at;
            }),
        }
        old
    }

    /// Takes all out, in order of registration.
    #[inline]
    pub(super) fn take(&self, mut each: impl FnMut(Word)) {
        if let Some(word) = self.inline() {
            self.0.set(std::ptr::null_mut());
            each(word);
        } else if let Some(shared) = self.boxed() {
            let List { words, .. } = shared.with(std::mem::take);
            words.into_iter().filter(|bits| bits & 1 == 1).map(Word::from_bits).for_each(each);
        }
    }

    /// Shows `each` all, in order of registration.
    pub(super) fn each(&self, mut each: impl FnMut(Word)) {
        if let Some(word) = self.inline() {
            each(word);
        } else if let Some(shared) = self.boxed() {
            for index in 0..shared.with(|list| list.words.len()) {
                if let Some(word) = shared.with(|list| list.get(index)) {
                    each(word);
                }
            }
        }
    }
}

impl Shared {
    /// `f` must call nothing that could come back here.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut List) -> R) -> R {
        // SAFETY: nobody else has a reference into it, as `f` calls nobody (6).
        f(unsafe { &mut *self.list.get() })
    }
}

impl List {
    fn add(&mut self, word: Word) -> Position {
        let at = self.free;
        if at == 0 {
            self.words.push(word.bits());
            return Position::try_from(self.words.len()).expect("fewer than 2^32 waiters on one coroutine");
        }
        self.free = (self.words[at as usize - 1] >> 1) as Position;
        self.words[at as usize - 1] = word.bits();
        at
    }

    fn get(&self, index: usize) -> Option<Word> {
        self.words.get(index).filter(|bits| *bits & 1 == 1).map(|bits| Word::from_bits(*bits))
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        if self.boxed().is_some() {
            // SAFETY: `boxed` says that it is the box from `make_shared`; nobody has a reference any more.
            drop(unsafe { Box::from_raw(self.0.get()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(slot: u32) -> Word {
        Word::task(3, 7, slot)
    }

    fn taken(waiters: &Waiters) -> Vec<Word> {
        let mut words = Vec::new();
        waiters.take(|word| words.push(word));
        words
    }

    fn shown(waiters: &Waiters) -> Vec<Word> {
        let mut words = Vec::new();
        waiters.each(|word| words.push(word));
        words
    }

    #[test]
    fn a_removed_place_is_used_again() {
        let waiters = Waiters::new();
        let places: Vec<_> = (0..4).map(|i| waiters.add(word(i))).collect();
        assert_eq!(places, [1, 2, 3, 4]);
        waiters.remove(2);
        waiters.remove(4);
        assert_eq!(waiters.add(word(9)), 4);
        assert_eq!(waiters.add(word(8)), 2);
        assert_eq!(waiters.add(word(7)), 5);
        assert_eq!(shown(&waiters), [0, 8, 2, 9, 7].map(word));
        assert_eq!(taken(&waiters), [0, 8, 2, 9, 7].map(word));
        assert!(shown(&waiters).is_empty());
        assert_eq!(waiters.remove(3), Word::NONE);
    }

    #[test]
    fn one_waiter_needs_no_box() {
        let waiters = Waiters::new();
        waiters.add(word(1));
        assert_eq!(waiters.replace(1, word(2).edge()), word(1));
        assert!(waiters.boxed().is_none());
        assert_eq!(taken(&waiters), [word(2).edge()]);
        waiters.add(word(3));
        assert_eq!(waiters.remove(1), word(3));
        assert_eq!(waiters.remove(1), Word::NONE);
        assert!(shown(&waiters).is_empty());
    }
}
