//! Events as bytes, for keeping millions of them: about eight bytes for one of the frequent kinds.
//!
//! Never written to disk: a trace file is JSON Lines, and the ring has its own records.

use tinyio_events::event::{Event, Kind};
use tinyio_events::field::{Key, Reader, Variant, Writer};
use tinyio_events::ring_words::code;

/// The first byte of an event: its code, and what it has in common with the event before.
const CODE: u8 = 0x3F;
/// The seq is the next one; otherwise the difference follows.
const NEXT: u8 = 0x40;
/// The time is the same; otherwise the difference follows.
const SAME: u8 = 0x80;
const _: () = assert!(code::LAST <= CODE, "codes have six bits here");

/// What an event is written relative to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Base {
    next_seq: u64,
    at: u64,
}

pub(super) fn encode(event: &Event, base: &mut Base, out: &mut Vec<u8>) {
    let seq = event.seq.wrapping_sub(base.next_seq) as i64;
    let at = event.at.wrapping_sub(base.at) as i64;
    *base = Base { next_seq: event.seq.wrapping_add(1), at: event.at };
    let start = out.len();
    out.push(if seq == 0 { NEXT } else { 0 } | if at == 0 { SAME } else { 0 });
    for difference in [seq, at] {
        if difference != 0 {
            put(out, zigzag(difference));
        }
    }
    if !event.kind.write(&mut BytesWriter { out, start }) {
        out[start] |= code::JSON;
        // Serialising plain data into memory fails for no kind there is.
        let json = serde_json::to_vec(&event.kind).unwrap_or_else(|_| b"{\"kind\":\"unknown\"}".to_vec());
        put(out, json.len() as u64);
        out.extend_from_slice(&json);
    }
}

pub(super) fn decode(bytes: &mut &[u8], base: &mut Base) -> Option<Event> {
    let first = byte(bytes)?;
    let mut difference = |same: u8| if first & same == 0 { get(bytes).map(unzigzag) } else { Some(0) };
    let seq = base.next_seq.wrapping_add(difference(NEXT)? as u64);
    let at = base.at.wrapping_add(difference(SAME)? as u64);
    *base = Base { next_seq: seq.wrapping_add(1), at };
    let kind = if first & CODE == code::JSON {
        let length = usize::try_from(get(bytes)?).ok()?;
        let (json, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        serde_json::from_slice(json).ok()?
    } else {
        Kind::read(first & CODE, &mut BytesReader(bytes))?
    };
    Some(Event { seq, at, kind })
}

struct BytesWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Where the first byte of the event is.
    start: usize,
}

impl Writer for BytesWriter<'_> {
    fn kind(&mut self, code: u8, _: &'static str) {
        self.out[self.start] |= code;
    }

    fn field(&mut self, key: Key, present: bool) {
        if key.optional {
            self.flag(present);
        }
    }

    fn number(&mut self, number: u64) {
        put(self.out, number);
    }

    fn flag(&mut self, flag: bool) {
        self.out.push(flag.into());
    }

    fn choice(&mut self, byte: u8, _: &'static str) {
        self.out.push(byte);
    }

    fn tagged(&mut self, variant: Variant, value: u64) {
        self.out.push(variant.tag);
        if variant.has_value {
            put(self.out, value);
        }
    }
}

struct BytesReader<'a, 'b>(&'a mut &'b [u8]);

impl Reader for BytesReader<'_, '_> {
    fn field(&mut self, key: Key) -> Option<bool> {
        if key.optional { self.flag() } else { Some(true) }
    }

    fn number(&mut self) -> Option<u64> {
        get(self.0)
    }

    fn flag(&mut self) -> Option<bool> {
        byte(self.0).map(|byte| byte != 0)
    }

    fn choice(&mut self, _: &'static [&'static str]) -> Option<u8> {
        byte(self.0)
    }

    fn tagged(&mut self, variants: &'static [Variant]) -> Option<(u8, u64)> {
        let tag = byte(self.0)?;
        let variant = variants.iter().find(|variant| variant.tag == tag)?;
        Some((tag, if variant.has_value { get(self.0)? } else { 0 }))
    }
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*byte)
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
        let byte = byte(bytes)?;
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
    use tinyio_events::event::{Outcome, Target, Waker};
    use tinyio_events::field::Choice;

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
        let wakers = [
            Waker::Coro(1),
            Waker::Res(2),
            Waker::Thread(3),
            Waker::Timer,
            Waker::Own,
            Waker::Cancel,
            Waker::External,
            Waker::Loop(4),
        ];
        let coro = u64::MAX;
        let mut kinds: Vec<_> = targets.map(|on| Kind::Wait { coro, on, site: u32::MAX }).into();
        kinds.extend(targets.map(|on| Kind::Clear { coro, on }));
        kinds.extend(wakers.map(|by| Kind::Wake { coro, by }));
        kinds.extend(Outcome::ALL.iter().map(|&outcome| Kind::End { coro, outcome }));
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
        let (wait, step_begin) = (9 | NEXT | SAME, 12 | NEXT | SAME);
        for bytes in [
            &[60 | NEXT | SAME][..],
            &[wait, 1],
            &[wait, 1, 0],
            &[wait, 1, 8, 0, 0],
            &[code::JSON | NEXT | SAME, 9, b'{'],
            &[step_begin],
            &[step_begin, 0x80],
            &[12 | SAME, 0x80],
            &[12],
            &[],
        ] {
            assert_eq!(decode(&mut { bytes }, &mut Base::default()), None, "{bytes:?}");
        }
    }
}
