//! Where the fields of an event lie in the four words of a record.
//!
//! ```text
//! word 0   at (56 bits, two years) │ code (8)
//! word 1   first id (56)           │ small value (8)
//! word 2   second id or value
//! word 3   third
//! ```
//!
//! Four whole words are four stores; a struct of mixed small fields costs four times as much. Ids that do not fit go
//! the way of the cold kinds: as JSON.

use crate::field::{Choice, Tagged};

/// One record.
pub type Words = [u64; 4];

/// What `at` and an id can be at most.
pub const MAX: u64 = (1 << 56) - 1;
/// What a name or a place can be where there is little room. The table of names ends long before.
pub const MAX_NAME: u32 = (1 << 24) - 1;

/// No deadline.
const NONE: u64 = u64::MAX;
/// The code of the state of a coroutine that is ready; those of the other states follow.
pub(crate) const CORO_STATE: u8 = 28;

/// The time in word 0.
#[inline]
pub fn time(words: Words) -> u64 {
    words[0] >> 8
}

/// Word 0: the time and the kind of the record.
#[inline(always)]
pub fn head(at: u64, code: u8) -> u64 {
    at.min(MAX) << 8 | code as u64
}

#[inline(always)]
pub(crate) fn pair(id: u64, small: u8) -> u64 {
    debug_assert!(id <= MAX);
    id << 8 | small as u64
}

/// Where a field lies in a record. What none of its fields takes is 0.
pub(crate) trait Place<T> {
    /// Writes the field; the place is 0 so far.
    fn put(value: T, words: &mut Words);
    /// Reads the field; `None` if it is damaged.
    fn get(words: Words) -> Option<T>;
    /// Whether there is room for the value. If not, the event goes as JSON.
    #[inline(always)]
    fn fits(_: T) -> bool {
        true
    }
}

macro_rules! places {
    ($($(#[$about:meta])* $Name:ident)*) => { $($(#[$about])* pub(crate) struct $Name;)* };
}

places! {
    /// An id in the upper 56 bits of word 1.
    Word1
    /// The lowest byte of word 1.
    Byte1
    /// The lowest byte of word 1, which says what word 2 is.
    Tagged2
    /// All of word 1.
    All1
    /// All of word 2.
    Word2
    /// All of word 3.
    Word3
    /// The lower half of word 3.
    Low3
    /// The upper half of word 3.
    High3
    /// An id in the upper 56 bits of word 2.
    Id2
    /// A name of 24 bits, in the lowest bytes of words 1, 2 and 3.
    Name24
    /// A site of 24 bits, over the lowest byte of word 3.
    Site24
    /// Added to the code.
    Code0
    /// In place of the event's time.
    Time0
}

impl Place<u64> for Word1 {
    #[inline(always)]
    fn put(value: u64, words: &mut Words) {
        words[1] |= pair(value, 0);
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u64> {
        Some(words[1] >> 8)
    }

    #[inline(always)]
    fn fits(value: u64) -> bool {
        value <= MAX
    }
}

impl<T: Choice> Place<T> for Byte1 {
    #[inline(always)]
    fn put(value: T, words: &mut Words) {
        words[1] |= value.byte() as u64;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<T> {
        T::of(words[1] as u8)
    }
}

impl Place<bool> for Byte1 {
    #[inline(always)]
    fn put(value: bool, words: &mut Words) {
        words[1] |= value as u64;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<bool> {
        Some(words[1] as u8 != 0)
    }
}

impl<T: Tagged> Place<T> for Tagged2 {
    #[inline(always)]
    fn put(value: T, words: &mut Words) {
        let (variant, value) = value.parts();
        words[1] |= variant.tag as u64;
        words[2] = value;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<T> {
        T::of(words[1] as u8, words[2])
    }
}

impl Place<u64> for All1 {
    #[inline(always)]
    fn put(value: u64, words: &mut Words) {
        words[1] = value;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u64> {
        Some(words[1])
    }
}

impl Place<u64> for Word2 {
    #[inline(always)]
    fn put(value: u64, words: &mut Words) {
        words[2] = value;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u64> {
        Some(words[2])
    }
}

impl Place<u32> for Word2 {
    #[inline(always)]
    fn put(value: u32, words: &mut Words) {
        words[2] = value as u64;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u32> {
        words[2].try_into().ok()
    }
}

impl Place<u64> for Word3 {
    #[inline(always)]
    fn put(value: u64, words: &mut Words) {
        words[3] = value;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u64> {
        Some(words[3])
    }
}

impl Place<u32> for Word3 {
    #[inline(always)]
    fn put(value: u32, words: &mut Words) {
        words[3] = value as u64;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u32> {
        words[3].try_into().ok()
    }
}

impl Place<Option<u64>> for Word3 {
    #[inline(always)]
    fn put(value: Option<u64>, words: &mut Words) {
        words[3] = value.unwrap_or(NONE);
    }

    #[inline(always)]
    fn get(words: Words) -> Option<Option<u64>> {
        Some((words[3] != NONE).then_some(words[3]))
    }

    #[inline(always)]
    fn fits(value: Option<u64>) -> bool {
        value != Some(NONE)
    }
}

impl Place<u32> for Low3 {
    #[inline(always)]
    fn put(value: u32, words: &mut Words) {
        words[3] |= value as u64;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u32> {
        Some(words[3] as u32)
    }
}

impl Place<u32> for High3 {
    #[inline(always)]
    fn put(value: u32, words: &mut Words) {
        words[3] |= (value as u64) << 32;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u32> {
        Some((words[3] >> 32) as u32)
    }
}

impl Place<u64> for Id2 {
    #[inline(always)]
    fn put(value: u64, words: &mut Words) {
        words[2] |= pair(value, 0);
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u64> {
        Some(words[2] >> 8)
    }

    #[inline(always)]
    fn fits(value: u64) -> bool {
        value <= MAX
    }
}

impl Place<u32> for Name24 {
    #[inline(always)]
    fn put(value: u32, words: &mut Words) {
        words[1] |= value as u8 as u64;
        words[2] |= (value >> 8) as u8 as u64;
        words[3] |= (value >> 16) as u8 as u64;
    }

    #[inline(always)]
    fn get([_, a, b, c]: Words) -> Option<u32> {
        Some(a as u8 as u32 | (b as u8 as u32) << 8 | (c as u8 as u32) << 16)
    }

    #[inline(always)]
    fn fits(value: u32) -> bool {
        value <= MAX_NAME
    }
}

impl Place<u32> for Site24 {
    #[inline(always)]
    fn put(value: u32, words: &mut Words) {
        words[3] |= (value as u64) << 8;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u32> {
        Some((words[3] >> 8) as u32 & MAX_NAME)
    }

    #[inline(always)]
    fn fits(value: u32) -> bool {
        value <= MAX_NAME
    }
}

impl<T: Choice> Place<T> for Code0 {
    #[inline(always)]
    fn put(value: T, words: &mut Words) {
        words[0] += value.byte() as u64;
    }

    #[inline(always)]
    fn get(words: Words) -> Option<T> {
        T::of((words[0] as u8).checked_sub(CORO_STATE)?)
    }
}

impl Place<u64> for Time0 {
    #[inline(always)]
    fn put(value: u64, words: &mut Words) {
        words[0] = head(value, words[0] as u8);
    }

    #[inline(always)]
    fn get(words: Words) -> Option<u64> {
        Some(time(words))
    }

    #[inline(always)]
    fn fits(value: u64) -> bool {
        value <= MAX
    }
}
