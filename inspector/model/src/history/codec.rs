//! Events as bytes, for keeping millions of them: about eight bytes for one of the frequent kinds.
//!
//! Never written to disk: a trace file is JSON Lines, and the ring has its own records.

use tinyio_events::event::{Event, Kind, Outcome, Target, Waker};

/// Follows the tag: a kind too rare to have a form of its own, as JSON with its length before it.
const JSON: u8 = 0;

/// What an event is written relative to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Base {
    next_seq: u64,
    at: u64,
}

pub(super) fn encode(event: &Event, base: &mut Base, out: &mut Vec<u8>) {
    let (tag, numbers, count) = numbers_of(&event.kind).unwrap_or((JSON, [0; 5], 0));
    out.push(tag);
    put(out, zigzag(event.seq.wrapping_sub(base.next_seq) as i64));
    put(out, zigzag(event.at.wrapping_sub(base.at) as i64));
    *base = Base { next_seq: event.seq.wrapping_add(1), at: event.at };
    if tag == JSON {
        // Serialising plain data into memory fails for no kind there is.
        let json = serde_json::to_vec(&event.kind).unwrap_or_else(|_| b"{\"kind\":\"unknown\"}".to_vec());
        put(out, json.len() as u64);
        out.extend_from_slice(&json);
    } else {
        numbers[..count].iter().for_each(|number| put(out, *number));
    }
}

pub(super) fn decode(bytes: &mut &[u8], base: &mut Base) -> Option<Event> {
    let (tag, rest) = bytes.split_first()?;
    *bytes = rest;
    let seq = base.next_seq.wrapping_add(unzigzag(get(bytes)?) as u64);
    let at = base.at.wrapping_add(unzigzag(get(bytes)?) as u64);
    *base = Base { next_seq: seq.wrapping_add(1), at };
    let kind = if *tag == JSON {
        let length = usize::try_from(get(bytes)?).ok()?;
        let (json, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        serde_json::from_slice(json).ok()?
    } else {
        kind_of(*tag, bytes)?
    };
    Some(Event { seq, at, kind })
}

fn numbers_of(kind: &Kind) -> Option<(u8, [u64; 5], usize)> {
    let target = |on: &Target| match *on {
        Target::Coro(id) => (0, id),
        Target::Res(id) => (1, id),
        Target::Thread(id) => (2, id),
        Target::Timer(due) => (3, due),
        Target::Loop(id) => (4, u64::from(id)),
        Target::Turn => (5, 0),
        Target::External => (6, 0),
    };
    Some(match kind {
        Kind::Spawn { coro, in_loop, parent, name, site } => {
            (1, [*coro, u64::from(*in_loop), *parent, u64::from(*name), u64::from(*site)], 5)
        }
        Kind::Wait { coro, on, site } => {
            let (what, id) = target(on);
            (2 + what, [*coro, id, u64::from(*site), 0, 0], 3)
        }
        Kind::Clear { coro, on } => {
            let (what, id) = target(on);
            (9 + what, [*coro, id, 0, 0, 0], 2)
        }
        Kind::Wake { coro, by } => {
            let (what, id) = match *by {
                Waker::Coro(id) => (0, id),
                Waker::Res(id) => (1, id),
                Waker::Thread(id) => (2, id),
                Waker::Timer => (3, 0),
                Waker::Own => (4, 0),
                Waker::Cancel => (5, 0),
                Waker::External => (6, 0),
            };
            (16 + what, [*coro, id, 0, 0, 0], if what < 3 { 2 } else { 1 })
        }
        Kind::StepBegin { coro } => (23, [*coro, 0, 0, 0, 0], 1),
        Kind::StepEnd { coro } => (24, [*coro, 0, 0, 0, 0], 1),
        Kind::End { coro, outcome } => {
            (25 + OUTCOMES.iter().position(|one| one == outcome)? as u8, [*coro, 0, 0, 0, 0], 1)
        }
        Kind::Hold { res, coro, site } => (31, [*res, *coro, u64::from(*site), 0, 0], 3),
        Kind::Release { res, coro } => (32, [*res, *coro, 0, 0, 0], 2),
        Kind::Set { res, set } => (33 + u8::from(*set), [*res, 0, 0, 0, 0], 1),
        Kind::Park { id, until: None } => (35, [u64::from(*id), 0, 0, 0, 0], 1),
        Kind::Park { id, until: Some(until) } => (36, [u64::from(*id), *until, 0, 0, 0], 2),
        Kind::Unpark { id } => (37, [u64::from(*id), 0, 0, 0, 0], 1),
        Kind::ThreadStart { thread } => (38, [*thread, 0, 0, 0, 0], 1),
        Kind::ThreadQueue { thread, coro, name, site } => {
            (39, [*thread, *coro, u64::from(*name), u64::from(*site), 0], 4)
        }
        _ => return None,
    })
}

const OUTCOMES: [Outcome; 6] =
    [Outcome::Ok, Outcome::Error, Outcome::Panic, Outcome::Cancelled, Outcome::Improper, Outcome::NeverStarted];

fn kind_of(tag: u8, bytes: &mut &[u8]) -> Option<Kind> {
    let mut next = || get(bytes);
    let target = |what: u8, id: u64| {
        Some(match what {
            0 => Target::Coro(id),
            1 => Target::Res(id),
            2 => Target::Thread(id),
            3 => Target::Timer(id),
            4 => Target::Loop(id as u32),
            5 => Target::Turn,
            _ => Target::External,
        })
    };
    Some(match tag {
        1 => Kind::Spawn {
            coro: next()?,
            in_loop: next()? as u32,
            parent: next()?,
            name: next()? as u32,
            site: next()? as u32,
        },
        2..=8 => Kind::Wait { coro: next()?, on: target(tag - 2, next()?)?, site: next()? as u32 },
        9..=15 => Kind::Clear { coro: next()?, on: target(tag - 9, next()?)? },
        16..=22 => {
            let coro = next()?;
            let by = match tag {
                16 => Waker::Coro(next()?),
                17 => Waker::Res(next()?),
                18 => Waker::Thread(next()?),
                19 => Waker::Timer,
                20 => Waker::Own,
                21 => Waker::Cancel,
                _ => Waker::External,
            };
            Kind::Wake { coro, by }
        }
        23 => Kind::StepBegin { coro: next()? },
        24 => Kind::StepEnd { coro: next()? },
        25..=30 => Kind::End { coro: next()?, outcome: OUTCOMES[usize::from(tag - 25)] },
        31 => Kind::Hold { res: next()?, coro: next()?, site: next()? as u32 },
        32 => Kind::Release { res: next()?, coro: next()? },
        33 | 34 => Kind::Set { res: next()?, set: tag == 34 },
        35 => Kind::Park { id: next()? as u32, until: None },
        36 => Kind::Park { id: next()? as u32, until: Some(next()?) },
        37 => Kind::Unpark { id: next()? as u32 },
        38 => Kind::ThreadStart { thread: next()? },
        39 => Kind::ThreadQueue { thread: next()?, coro: next()?, name: next()? as u32, site: next()? as u32 },
        _ => return None,
    })
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_script::{crawl, verify};

    fn check(events: &[Event]) -> usize {
        let mut bytes = Vec::new();
        let mut base = Base::default();
        events.iter().for_each(|event| encode(event, &mut base, &mut bytes));
        let mut rest = &bytes[..];
        let mut base = Base::default();
        for event in events {
            assert_eq!(decode(&mut rest, &mut base).as_ref(), Some(event));
        }
        assert_eq!(decode(&mut rest, &mut base), None);
        bytes.len()
    }

    #[test]
    fn every_event_comes_back_as_it_was() {
        check(&crawl().events);
        check(&verify().events);
        let targets = [
            Target::Coro(1),
            Target::Res(2),
            Target::Thread(3),
            Target::Timer(u64::MAX),
            Target::Loop(u32::MAX),
            Target::Turn,
            Target::External,
        ];
        let wakers =
            [Waker::Coro(1), Waker::Res(2), Waker::Thread(3), Waker::Timer, Waker::Own, Waker::Cancel, Waker::External];
        let coro = u64::MAX;
        let mut kinds: Vec<_> = targets.map(|on| Kind::Wait { coro, on, site: u32::MAX }).into();
        kinds.extend(targets.map(|on| Kind::Clear { coro, on }));
        kinds.extend(wakers.map(|by| Kind::Wake { coro, by }));
        kinds.extend(OUTCOMES.map(|outcome| Kind::End { coro, outcome }));
        kinds.extend([true, false].map(|set| Kind::Set { res: 1, set }));
        kinds.extend([Kind::Release { res: 5, coro: 6 }, Kind::Unpark { id: 7 }, Kind::Park { id: 1, until: Some(9) }]);
        kinds.extend([Kind::Park { id: 1, until: None }, Kind::Unknown, Kind::ThreadStart { thread: 8 }]);
        // Times and numbers may jump back and forth in a file that was tampered with.
        let event = |(index, kind)| Event { seq: [0, u64::MAX, 7][index % 3], at: [u64::MAX, 0, 5][index % 3], kind };
        check(&kinds.into_iter().enumerate().map(event).collect::<Vec<_>>());
    }

    #[test]
    fn the_frequent_kinds_are_small() {
        let kinds = [
            Kind::Wake { coro: 1000, by: Waker::Timer },
            Kind::StepBegin { coro: 1000 },
            Kind::Wait { coro: 1000, on: Target::Coro(2000), site: 7 },
            Kind::StepEnd { coro: 1000 },
        ];
        let event = |(seq, kind)| Event { seq: seq as u64, at: 1000 * seq as u64, kind };
        assert!(check(&kinds.into_iter().enumerate().map(event).collect::<Vec<_>>()) <= 4 * 8);
    }

    #[test]
    fn broken_bytes_are_no_event() {
        for bytes in [&[200, 0, 0][..], &[2, 0, 0, 0x80], &[JSON, 0, 0, 9, b'{'], &[23, 0, 0], &[1]] {
            assert_eq!(decode(&mut { bytes }, &mut Base::default()), None, "{bytes:?}");
        }
    }
}
