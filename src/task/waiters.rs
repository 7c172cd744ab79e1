//! The waiters of a coroutine: none, one wake token in place, or a box once there are more or a handle was cloned.

use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;

use super::wake_token::WakeToken;

/// Copies an output from one place to another: `T::clone` without its type.
pub(super) type CloneFn = unsafe fn(source: NonNull<()>, target: NonNull<()>);

/// The waiters of one coroutine, in one machine word.
pub(super) struct Waiters(Cell<*mut Shared>);

/// State that only shared coroutines need.
pub(super) struct Shared {
    /// How the output is cloned, once a handle was cloned.
    pub(super) clone: Cell<Option<CloneFn>>,
    list: UnsafeCell<List>,
}

#[derive(Default)]
struct List {
    /// A wake token, or, with bit 0 clear, twice the position of the next free entry (0: the last).
    wake_tokens: Vec<u64>,
    free: Position,
}

/// The waiters of a coroutine are in a box, so there may be several.
pub(crate) struct Several;

/// The position of a registration, from 1; 0 is "not registered".
pub(crate) type Position = u32;

impl Waiters {
    pub(super) fn new() -> Waiters {
        Waiters(Cell::new(std::ptr::null_mut()))
    }

    #[inline]
    fn inline(&self) -> Option<WakeToken> {
        let bits = self.0.get().addr() as u64;
        (bits & 1 == 1).then(|| WakeToken::from_bits(bits))
    }

    fn set_inline(&self, wake_token: WakeToken) {
        self.0.set(std::ptr::without_provenance_mut(wake_token.bits() as usize));
    }

    pub(super) fn boxed(&self) -> Option<&Shared> {
        if self.inline().is_some() {
            return None;
        }
        // SAFETY: without bit 0 it is null or the box made by `make_shared`, which lives until `self` is dropped.
        unsafe { self.0.get().as_ref() }
    }

    /// Whether there are none, and no box.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.get().is_null()
    }

    /// Moves the content to a box.
    #[inline(never)]
    pub(super) fn make_shared(&self) -> &Shared {
        if self.boxed().is_none() {
            let wake_tokens = self.inline().map(|wake_token| wake_token.bits()).into_iter().collect();
            let shared = Shared { clone: Cell::new(None), list: UnsafeCell::new(List { wake_tokens, free: 0 }) };
            self.0.set(Box::into_raw(Box::new(shared)));
        }
        // SAFETY: it was just made, or existed already; see `boxed`.
        unsafe { &*self.0.get() }
    }

    #[inline]
    pub(super) fn add(&self, wake_token: WakeToken) -> Position {
        if self.add_only(wake_token) { 1 } else { self.add_shared(wake_token) }
    }

    /// Adds it at position 1, if there is no other and no box.
    #[inline]
    pub(super) fn add_only(&self, wake_token: WakeToken) -> bool {
        let is_only = self.0.get().is_null();
        if is_only {
            self.set_inline(wake_token);
        }
        is_only
    }

    #[inline(never)]
    fn add_shared(&self, wake_token: WakeToken) -> Position {
        self.make_shared().with(|list| list.add(wake_token))
    }

    /// The wake token registered at this position.
    #[inline(never)]
    pub(super) fn get(&self, at: Position) -> WakeToken {
        match self.boxed() {
            None => self.inline().unwrap_or_default(),
            Some(shared) => shared.with(|list| list.get(at as usize - 1).unwrap_or_default()),
        }
    }

    /// Replaces a registration; returns the previous wake token.
    #[inline(never)]
    pub(super) fn replace(&self, at: Position, wake_token: WakeToken) -> WakeToken {
        let old = self.get(at);
        match self.boxed() {
            None => self.set_inline(wake_token),
            Some(shared) => shared.with(|list| list.wake_tokens[at as usize - 1] = wake_token.bits()),
        }
        old
    }

    /// Removes the registration at this position: `NONE` once all were taken.
    pub(super) fn remove(&self, at: Position) -> WakeToken {
        let old = self.get(at);
        match self.boxed() {
            _ if old.is_none() => {}
            None => self.0.set(std::ptr::null_mut()),
            Some(shared) => shared.with(|list| {
                list.wake_tokens[at as usize - 1] = u64::from(list.free) << 1;
                list.free = at;
            }),
        }
        old
    }

    /// Removes the only one. `Err`: they are in a box, for [`take`](Waiters::take).
    #[inline]
    pub(super) fn take_one(&self) -> Result<Option<WakeToken>, Several> {
        let one = self.inline();
        if one.is_some() {
            self.0.set(std::ptr::null_mut());
        }
        if self.0.get().is_null() { Ok(one) } else { Err(Several) }
    }

    /// Removes all, in order of registration.
    pub(super) fn take(&self, mut each: impl FnMut(WakeToken)) {
        if let Some(wake_token) = self.inline() {
            self.0.set(std::ptr::null_mut());
            each(wake_token);
        } else if let Some(shared) = self.boxed() {
            let List { wake_tokens, .. } = shared.with(std::mem::take);
            wake_tokens.into_iter().filter(|bits| bits & 1 == 1).map(WakeToken::from_bits).for_each(each);
        }
    }

    /// Calls `each` with all, in order of registration.
    pub(super) fn each(&self, mut each: impl FnMut(WakeToken)) {
        if let Some(wake_token) = self.inline() {
            each(wake_token);
        } else if let Some(shared) = self.boxed() {
            for index in 0..shared.with(|list| list.wake_tokens.len()) {
                if let Some(wake_token) = shared.with(|list| list.get(index)) {
                    each(wake_token);
                }
            }
        }
    }
}

impl Shared {
    /// `f` must call nothing that could access this list again.
    #[inline]
    fn with<R>(&self, f: impl FnOnce(&mut List) -> R) -> R {
        // SAFETY: there is no other reference into it, as `f` calls no user code (6).
        f(unsafe { &mut *self.list.get() })
    }
}

impl List {
    fn add(&mut self, wake_token: WakeToken) -> Position {
        let at = self.free;
        if at == 0 {
            self.wake_tokens.push(wake_token.bits());
            return Position::try_from(self.wake_tokens.len()).expect("fewer than 2^32 waiters on one coroutine");
        }
        self.free = (self.wake_tokens[at as usize - 1] >> 1) as Position;
        self.wake_tokens[at as usize - 1] = wake_token.bits();
        at
    }

    fn get(&self, index: usize) -> Option<WakeToken> {
        self.wake_tokens.get(index).filter(|bits| *bits & 1 == 1).map(|bits| WakeToken::from_bits(*bits))
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        if self.boxed().is_some() {
            // SAFETY: `boxed` checks that it is the box from `make_shared`; there is no reference to it any more.
            drop(unsafe { Box::from_raw(self.0.get()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wake_token(slot: u32) -> WakeToken {
        WakeToken::task(3, 7, slot)
    }

    fn taken(waiters: &Waiters) -> Vec<WakeToken> {
        let mut wake_tokens = Vec::new();
        waiters.take(|wake_token| wake_tokens.push(wake_token));
        wake_tokens
    }

    fn shown(waiters: &Waiters) -> Vec<WakeToken> {
        let mut wake_tokens = Vec::new();
        waiters.each(|wake_token| wake_tokens.push(wake_token));
        wake_tokens
    }

    #[test]
    fn a_removed_place_is_used_again() {
        let waiters = Waiters::new();
        let places: Vec<_> = (0..4).map(|i| waiters.add(wake_token(i))).collect();
        assert_eq!(places, [1, 2, 3, 4]);
        waiters.remove(2);
        waiters.remove(4);
        assert_eq!(waiters.add(wake_token(9)), 4);
        assert_eq!(waiters.add(wake_token(8)), 2);
        assert_eq!(waiters.add(wake_token(7)), 5);
        assert_eq!(shown(&waiters), [0, 8, 2, 9, 7].map(wake_token));
        assert_eq!(taken(&waiters), [0, 8, 2, 9, 7].map(wake_token));
        assert!(shown(&waiters).is_empty());
        assert_eq!(waiters.remove(3), WakeToken::NONE);
    }

    #[test]
    fn one_waiter_needs_no_box() {
        let waiters = Waiters::new();
        waiters.add(wake_token(1));
        assert_eq!(waiters.replace(1, wake_token(2).edge()), wake_token(1));
        assert!(waiters.boxed().is_none());
        assert_eq!(taken(&waiters), [wake_token(2).edge()]);
        waiters.add(wake_token(3));
        assert_eq!(waiters.remove(1), wake_token(3));
        assert_eq!(waiters.remove(1), WakeToken::NONE);
        assert!(shown(&waiters).is_empty());
    }
}
