//! An event in the ring: one record of four words (`word_layout`), or a head record with JSON in the records that
//! follow.

use crate::event::records::{self, CODES};
use crate::event::{CoroId, Kind, Outcome, SiteId, Target, Waker};
use crate::field::Choice;
use crate::word_layout::pair;

pub use crate::event::records::*;
pub use crate::word_layout::{MAX, MAX_NAME, Words, head, time};

/// The kinds of records that are not simply those of the table of events. The numbers are part of the format: add new
/// ones, never change old ones.
pub mod code {
    use super::CODES;

    // 0 is memory that was never written.
    /// Continues a JSON record.
    pub const MORE: u8 = 1;
    /// Word 1: bytes of JSON that follow, 24 a record in words 1 to 3.
    pub const JSON: u8 = 2;
    /// Word 1: where in the table of names the entry is; stands for `name` or `site`.
    pub const NAME: u8 = 3;
    /// Word 3: its seq, besides what the table says.
    pub const CHECKPOINT: u8 = 26;
    /// The state of a coroutine that is ready. The time in word 0 is since when; that of the event is the checkpoint's.
    pub const CORO_STATE: u8 = crate::word_layout::CORO_STATE;
    /// The state of a coroutine that waits; between the two, that of one that runs.
    pub const CORO_WAITING: u8 = CORO_STATE + 2;
    /// The end of a step and what follows at once: several events, see [`Step`](super::Step).
    pub const STEP: u8 = 33;
    /// The highest known.
    pub const LAST: u8 = {
        let (mut highest, mut index) = (STEP, 0);
        while index < CODES.len() {
            let code = CODES[index];
            assert!(code > NAME && code != STEP && (code <= CORO_STATE || code > CORO_WAITING), "the code is taken");
            highest = if code > highest { code } else { highest };
            index += 1;
        }
        highest
    };
}

/// The end of a coroutine's step, what it did right before, and what comes right after: what nearly every step consists
/// of, in one record instead of four. In this order, what there is of it:
///
/// `Wait` for its next step or a coroutine, `Wake` by itself, `StepEnd`, `End`, `Wake` of another by its end,
/// `StepBegin` of that one.
///
/// ```text
/// word 0   at (56 bits)   │ code (8)
/// word 1   coro (56)      │ has (8)
/// word 2   next (56)      │ outcome (8)
/// word 3   on - coro (32) │ site (32)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The coroutine.
    pub coro: CoroId,
    /// Its slot.
    pub slot: u32,
    /// Slot of the other one.
    pub next_slot: u32,
    /// Slot of the one it waits on.
    pub on_slot: u32,
    /// Another one, 0 for none.
    pub next: CoroId,
    /// The coroutine it waits on: see [`Step::reaches`].
    pub on: CoroId,
    /// Where it waits.
    pub site: SiteId,
    /// How it ended.
    pub outcome: u8,
    /// What there is: of the constants below.
    pub has: u8,
}

impl Step {
    /// It waits for its next step, at `site`.
    pub const TURN: u8 = 1;
    /// It has woken itself.
    pub const OWN: u8 = 2;
    /// It has ended, with `outcome`.
    pub const END: u8 = 4;
    /// Its end wakes `next`.
    pub const WAKES: u8 = 8;
    /// `next` is the next to run.
    pub const BEGINS: u8 = 16;
    /// It waits on `on`, at `site`; not together with `TURN`.
    pub const ON: u8 = 32;

    /// Whether a record has room for a coroutine that waits on this one: their numbers may be 2^31 apart.
    #[inline(always)]
    pub fn reaches(coro: CoroId, on: CoroId) -> bool {
        let apart = on.wrapping_sub(coro) as i64;
        apart == apart as i32 as i64
    }

    /// How a coroutine ended, as it lies in a record.
    #[inline(always)]
    pub fn outcome_of(outcome: Outcome) -> u8 {
        outcome.byte()
    }

    /// As a record.
    #[inline(always)]
    pub fn words(&self, at: u64) -> Words {
        let apart = if self.has & Step::ON == 0 { 0 } else { self.on.wrapping_sub(self.coro) << 32 };
        [head(at, code::STEP), pair(self.coro, self.has), pair(self.next, self.outcome), apart | self.site as u64]
    }

    /// How many events it stands for.
    #[inline(always)]
    pub fn events(&self) -> u64 {
        /// Counting bits takes a dozen instructions where it is not known that the processor can.
        const EVENTS: [u8; 64] = {
            let mut events = [0; 64];
            let mut has = 0;
            while has < 64 {
                events[has] = 1 + (has as u8).count_ones() as u8;
                has += 1;
            }
            events
        };
        EVENTS[self.has as usize & 63] as u64
    }

    /// What a record says; `None` if it is damaged.
    pub fn of([_, a, b, c]: Words) -> Option<Step> {
        let all = Step::TURN | Step::OWN | Step::END | Step::WAKES | Step::BEGINS | Step::ON;
        let both = Step::TURN | Step::ON;
        let (coro, has, outcome) = (a >> 8, a as u8, b as u8);
        Outcome::of(outcome).filter(|_| has & !all == 0 && has & both != both)?;
        let apart = c as i64 >> 32;
        let on = if has & Step::ON == 0 { (apart == 0).then_some(0)? } else { coro.checked_add_signed(apart)? };
        Some(Step { coro, next: b >> 8, on, site: c as u32, outcome, has, ..Step::default() })
    }

    /// The events, in order.
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        let Step { coro, next, on, site, outcome, has, .. } = self;
        let has = move |part: u8, kind: Kind| (has & part != 0).then_some(kind);
        let outcome = Outcome::of(outcome).unwrap_or(Outcome::Ok);
        let kinds = [
            has(Step::TURN, Kind::Wait { coro, on: Target::Turn, site }),
            has(Step::ON, Kind::Wait { coro, on: Target::Coro(on), site }),
            has(Step::OWN, Kind::Wake { coro, by: Waker::Own }),
            Some(Kind::StepEnd { coro }),
            has(Step::END, Kind::End { coro, outcome }),
            has(Step::WAKES, Kind::Wake { coro: next, by: Waker::Coro(coro) }),
            has(Step::BEGINS, Kind::StepBegin { coro: next }),
        ];
        kinds.into_iter().flatten()
    }
}

/// Decodes a record to an event; `None` if it is none, or needs more than the record itself (`MORE`, `JSON`, `NAME`).
///
/// The time is in word 0, except for the state of a coroutine, which has the time of its checkpoint.
#[inline]
pub fn decode(words: Words) -> Option<Kind> {
    let code = match words[0] as u8 {
        // They differ in the state alone.
        code::CORO_STATE..=code::CORO_WAITING => code::CORO_STATE,
        code => code,
    };
    records::decode(code, words)
}
