//! How an event lies in the ring: one record of four words, or a head record with JSON in the records that follow.
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

use crate::event::{CoroId, Kind, LoopMode, LoopOutcome, NameId, Outcome, ResKind, SiteId, State, Target, Waker};

/// One record.
pub type Words = [u64; 4];

/// What `at` and an id can be at most.
pub const MAX: u64 = (1 << 56) - 1;
/// What a name or a place can be where there is little room. The table of names ends long before.
pub const MAX_NAME: u32 = (1 << 24) - 1;

/// No deadline.
const NONE: u64 = u64::MAX;

macro_rules! codes {
    ($($(#[$note:meta])* $name:ident = $value:literal,)*) => {
        /// The kind of a record. The numbers are part of the format: add new ones, never change old ones.
        pub mod code {
            $(
                #[doc = concat!("The record `", stringify!($name), "`.")]
                $(#[$note])*
                pub const $name: u8 = $value;
            )*
            /// The highest known.
            pub const LAST: u8 = NAMED;
        }
    };
}

codes! {
    // 0 is memory that was never written.
    /// continues a JSON record
    MORE = 1,
    /// word 1: bytes of JSON that follow, 24 a record in words 1 to 3
    JSON = 2,
    /// word 1: where in the table of names the entry is; stands for `name` or `site`
    NAME = 3,
    LOOP_START = 4,
    LOOP_END = 5,
    PARK = 6,
    UNPARK = 7,
    SPAWN = 8,
    WAIT = 9,
    CLEAR = 10,
    WAKE = 11,
    STEP_BEGIN = 12,
    STEP_END = 13,
    END = 14,
    RES_NEW = 15,
    HOLD = 16,
    RELEASE = 17,
    SET = 18,
    RES_DROP = 19,
    THREAD_QUEUE = 20,
    THREAD_START = 21,
    THREAD_END = 22,
    THREAD_CANCEL = 23,
    THREAD_NOTICE = 24,
    CANCEL_DELIVER = 25,
    /// word 3: its seq
    CHECKPOINT = 26,
    LOOP_STATE = 27,
    /// the time in word 0 is since when; that of the event is the checkpoint's
    CORO_READY = 28,
    CORO_RUNNING = 29,
    CORO_WAITING = 30,
    CHECKPOINT_END = 31,
    TRACE_END = 32,
    /// the end of a step and what follows at once: several events, see `Step`
    STEP = 33,
    AWAY = 34,
    NAMED = 35,
}

/// The end of a coroutine's step, what it did right before, and what comes right after: what nearly every step consists
/// of, in one record instead of four. In this order, what there is of it:
///
/// `Wait` for its turn or a coroutine, `Wake` by itself, `StepEnd`, `End`, `Wake` of another by its end, `StepBegin` of
/// that one.
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
    /// It waits for its turn, at `site`.
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

/// Word 0: the time and the kind of the record.
#[inline(always)]
pub fn head(at: u64, code: u8) -> u64 {
    at.min(MAX) << 8 | code as u64
}

#[inline(always)]
fn pair(id: u64, small: u8) -> u64 {
    debug_assert!(id <= MAX);
    id << 8 | small as u64
}

/// A target as a tag and a value.
#[inline(always)]
pub fn target(on: Target) -> (u8, u64) {
    match on {
        Target::Coro(id) => (1, id),
        Target::Res(id) => (2, id),
        Target::Thread(id) => (3, id),
        Target::Timer(due) => (4, due),
        Target::Loop(id) => (5, id as u64),
        Target::Turn => (6, 0),
        Target::External => (7, 0),
    }
}

/// The target of a tag and a value; `None` if they are damaged.
#[inline(always)]
pub fn to_target(tag: u8, value: u64) -> Option<Target> {
    Some(match tag {
        1 => Target::Coro(value),
        2 => Target::Res(value),
        3 => Target::Thread(value),
        4 => Target::Timer(value),
        5 => Target::Loop(u32::try_from(value).ok()?),
        6 => Target::Turn,
        7 => Target::External,
        _ => return None,
    })
}

#[inline(always)]
fn waker(by: Waker) -> (u8, u64) {
    match by {
        Waker::Coro(id) => (1, id),
        Waker::Res(id) => (2, id),
        Waker::Thread(id) => (3, id),
        Waker::Timer => (4, 0),
        Waker::Own => (5, 0),
        Waker::Cancel => (6, 0),
        Waker::External => (7, 0),
    }
}

fn to_waker(tag: u8, value: u64) -> Option<Waker> {
    Some(match tag {
        1 => Waker::Coro(value),
        2 => Waker::Res(value),
        3 => Waker::Thread(value),
        4 => Waker::Timer,
        5 => Waker::Own,
        6 => Waker::Cancel,
        7 => Waker::External,
        _ => return None,
    })
}

/// A small enum as a byte.
pub trait Small: Sized + Copy + PartialEq + 'static {
    /// Its values; their place is the byte.
    const ALL: &'static [Self];

    /// As a byte.
    fn byte(self) -> u8 {
        Self::ALL.iter().position(|one| *one == self).unwrap_or(0) as u8
    }

    /// The value of a byte; `None` if it has none.
    fn of(byte: u8) -> Option<Self> {
        Self::ALL.get(byte as usize).copied()
    }
}

impl Small for Outcome {
    const ALL: &'static [Self] =
        &[Outcome::Ok, Outcome::Error, Outcome::Panic, Outcome::Cancelled, Outcome::Improper, Outcome::NeverStarted];
}

impl Small for LoopMode {
    const ALL: &'static [Self] = &[LoopMode::Run, LoopMode::Drive, LoopMode::Isolate];
}

impl Small for LoopOutcome {
    const ALL: &'static [Self] = &[LoopOutcome::Ok, LoopOutcome::Crashed, LoopOutcome::Dropped];
}

impl Small for ResKind {
    const ALL: &'static [Self] = &[ResKind::Event, ResKind::Lock, ResKind::Semaphore, ResKind::Barrier];
}

/// The three words that `spawn` and the state of a coroutine have in common.
#[inline(always)]
pub fn coro_words(coro: u64, in_loop: u32, parent: u64, name: NameId, site: SiteId) -> [u64; 3] {
    [
        pair(coro, name as u8),
        pair(parent, (name >> 8) as u8),
        (in_loop as u64) << 32 | (site as u64) << 8 | (name >> 16 & 255) as u64,
    ]
}

/// The record of [`Kind::Spawn`].
#[inline(always)]
pub fn spawn(at: u64, coro: u64, in_loop: u32, parent: u64, name: NameId, site: SiteId) -> Words {
    let [a, b, c] = coro_words(coro, in_loop, parent, name, site);
    [head(at, code::SPAWN), a, b, c]
}

/// The record of [`Kind::Wait`].
#[inline(always)]
pub fn wait(at: u64, coro: u64, on: Target, site: SiteId) -> Words {
    let (tag, value) = target(on);
    [head(at, code::WAIT), pair(coro, tag), value, site as u64]
}

/// The record of [`Kind::Named`].
#[inline]
pub fn named(at: u64, what: Target, name: NameId) -> Words {
    let (tag, value) = target(what);
    [head(at, code::NAMED), pair(0, tag), value, u64::from(name)]
}

/// The record of [`Kind::Clear`].
#[inline(always)]
pub fn clear(at: u64, coro: u64, on: Target) -> Words {
    let (tag, value) = target(on);
    [head(at, code::CLEAR), pair(coro, tag), value, 0]
}

/// The record of [`Kind::Wake`].
#[inline(always)]
pub fn wake(at: u64, coro: u64, by: Waker) -> Words {
    let (tag, value) = waker(by);
    [head(at, code::WAKE), pair(coro, tag), value, 0]
}

/// A record of at most two ids and one small value.
#[inline(always)]
pub fn plain(at: u64, code: u8, id: u64, small: u8, second: u64) -> Words {
    [head(at, code), pair(id, small), second, 0]
}

/// The record of [`Kind::Hold`].
#[inline(always)]
pub fn hold(at: u64, res: u64, coro: u64, site: SiteId) -> Words {
    [head(at, code::HOLD), pair(res, 0), coro, site as u64]
}

/// The record of an event; `None` if it has to go as JSON.
#[inline]
pub fn encode(at: u64, kind: &Kind) -> Option<Words> {
    let fits = |id: u64| (id <= MAX).then_some(id);
    Some(match *kind {
        Kind::LoopStart { id, parent, mode } => plain(at, code::LOOP_START, fits(parent)?, mode.byte(), id as u64),
        Kind::LoopEnd { id, outcome } => plain(at, code::LOOP_END, 0, outcome.byte(), id as u64),
        Kind::Park { id, until } => {
            if until == Some(NONE) {
                return None;
            }
            [head(at, code::PARK), 0, id as u64, until.unwrap_or(NONE)]
        }
        Kind::Unpark { id } => plain(at, code::UNPARK, 0, 0, id as u64),
        Kind::Spawn { coro, in_loop, parent, name, site } if name <= MAX_NAME && site <= MAX_NAME => {
            spawn(at, fits(coro)?, in_loop, fits(parent)?, name, site)
        }
        Kind::Named { what, name } => named(at, what, name),
        Kind::Wait { coro, on, site } => wait(at, fits(coro)?, on, site),
        Kind::Clear { coro, on } => clear(at, fits(coro)?, on),
        Kind::Wake { coro, by } => wake(at, fits(coro)?, by),
        Kind::StepBegin { coro } => plain(at, code::STEP_BEGIN, fits(coro)?, 0, 0),
        Kind::StepEnd { coro } => plain(at, code::STEP_END, fits(coro)?, 0, 0),
        Kind::Away { coro, nanos } => plain(at, code::AWAY, fits(coro)?, 0, nanos),
        Kind::End { coro, outcome } => plain(at, code::END, fits(coro)?, outcome.byte(), 0),
        Kind::ResNew { res, what, size, site, name } => {
            [head(at, code::RES_NEW), pair(fits(res)?, what.byte()), size, (u64::from(name) << 32) | u64::from(site)]
        }
        Kind::Hold { res, coro, site } => hold(at, fits(res)?, coro, site),
        Kind::Release { res, coro } => plain(at, code::RELEASE, fits(res)?, 0, coro),
        Kind::Set { res, set } => plain(at, code::SET, fits(res)?, set as u8, 0),
        Kind::ResDrop { res } => plain(at, code::RES_DROP, fits(res)?, 0, 0),
        Kind::ThreadQueue { thread, coro, name, site } => {
            [head(at, code::THREAD_QUEUE), pair(fits(thread)?, 0), coro, (name as u64) << 32 | site as u64]
        }
        Kind::ThreadStart { thread } => plain(at, code::THREAD_START, fits(thread)?, 0, 0),
        Kind::ThreadEnd { thread, outcome } => plain(at, code::THREAD_END, fits(thread)?, outcome.byte(), 0),
        Kind::ThreadCancel { thread } => plain(at, code::THREAD_CANCEL, fits(thread)?, 0, 0),
        Kind::ThreadNotice { thread } => plain(at, code::THREAD_NOTICE, fits(thread)?, 0, 0),
        Kind::CancelDeliver { coro } => plain(at, code::CANCEL_DELIVER, fits(coro)?, 0, 0),
        Kind::LoopState { id, parent, mode, since } => {
            [head(at, code::LOOP_STATE), pair(fits(parent)?, mode.byte()), id as u64, since]
        }
        Kind::CheckpointEnd {} => plain(at, code::CHECKPOINT_END, 0, 0, 0),
        Kind::TraceEnd {} => plain(at, code::TRACE_END, 0, 0, 0),
        _ => return None,
    })
}

/// Decodes a record to an event; `None` if it is none, or needs more than the record itself (`MORE`, `JSON`, `NAME`).
///
/// The time is in word 0, except for the state of a coroutine, which has the time of its checkpoint.
#[inline]
pub fn decode(words: Words) -> Option<Kind> {
    let [_, a, b, c] = words;
    let (id, small) = (a >> 8, a as u8);
    let in_loop = || u32::try_from(b).ok();
    let coro_state = |state| Kind::CoroState {
        coro: id,
        in_loop: (c >> 32) as u32,
        parent: b >> 8,
        name: small as u32 | (b as u8 as u32) << 8 | (c as u8 as u32) << 16,
        site: (c >> 8) as u32 & MAX_NAME,
        state,
        since: time(words),
    };
    Some(match words[0] as u8 {
        code::LOOP_START => Kind::LoopStart { id: in_loop()?, parent: id, mode: LoopMode::of(small)? },
        code::LOOP_END => Kind::LoopEnd { id: in_loop()?, outcome: LoopOutcome::of(small)? },
        code::PARK => Kind::Park { id: in_loop()?, until: (c != NONE).then_some(c) },
        code::UNPARK => Kind::Unpark { id: in_loop()? },
        code::SPAWN => match coro_state(State::Ready) {
            Kind::CoroState { coro, in_loop, parent, name, site, .. } => {
                Kind::Spawn { coro, in_loop, parent, name, site }
            }
            _ => return None,
        },
        code::NAMED => Kind::Named { what: to_target(small, b)?, name: u32::try_from(c).ok()? },
        code::WAIT => Kind::Wait { coro: id, on: to_target(small, b)?, site: u32::try_from(c).ok()? },
        code::CLEAR => Kind::Clear { coro: id, on: to_target(small, b)? },
        code::WAKE => Kind::Wake { coro: id, by: to_waker(small, b)? },
        code::STEP_BEGIN => Kind::StepBegin { coro: id },
        code::STEP_END => Kind::StepEnd { coro: id },
        code::AWAY => Kind::Away { coro: id, nanos: b },
        code::END => Kind::End { coro: id, outcome: Outcome::of(small)? },
        code::RES_NEW => {
            Kind::ResNew { res: id, what: ResKind::of(small)?, size: b, site: c as u32, name: (c >> 32) as u32 }
        }
        code::HOLD => Kind::Hold { res: id, coro: b, site: u32::try_from(c).ok()? },
        code::RELEASE => Kind::Release { res: id, coro: b },
        code::SET => Kind::Set { res: id, set: small != 0 },
        code::RES_DROP => Kind::ResDrop { res: id },
        code::THREAD_QUEUE => Kind::ThreadQueue { thread: id, coro: b, name: (c >> 32) as u32, site: c as u32 },
        code::THREAD_START => Kind::ThreadStart { thread: id },
        code::THREAD_END => Kind::ThreadEnd { thread: id, outcome: Outcome::of(small)? },
        code::THREAD_CANCEL => Kind::ThreadCancel { thread: id },
        code::THREAD_NOTICE => Kind::ThreadNotice { thread: id },
        code::CANCEL_DELIVER => Kind::CancelDeliver { coro: id },
        code::CHECKPOINT => Kind::Checkpoint { coros: a, left_out: b },
        code::LOOP_STATE => Kind::LoopState { id: in_loop()?, parent: id, mode: LoopMode::of(small)?, since: c },
        code::CORO_READY => coro_state(State::Ready),
        code::CORO_RUNNING => coro_state(State::Running),
        code::CORO_WAITING => coro_state(State::Waiting),
        code::CHECKPOINT_END => Kind::CheckpointEnd {},
        code::TRACE_END => Kind::TraceEnd {},
        _ => return None,
    })
}

/// The time in word 0.
#[inline]
pub fn time(words: Words) -> u64 {
    words[0] >> 8
}
