//! The four encodings of an event: JSON, words of the ring, a line of a trace, bytes of the history.

mod common;

use common::events;
use proptest::prelude::*;
use tinyio_events::field::{Key, Reader, Variant};
use tinyio_events::ring_words::{self, code};
use tinyio_events::truncate;
use tinyio_inspector::event::{Event, Header, Kind};
use tinyio_inspector::history::Tape;
use tinyio_inspector::trace::{parse, write_event};

/// Makes an event of any record of the table, by being read: its values are those of a list of numbers.
struct Values(std::vec::IntoIter<u64>);

impl Reader for Values {
    fn field(&mut self, key: Key) -> Option<bool> {
        if key.optional { self.flag() } else { Some(true) }
    }

    fn number(&mut self) -> Option<u64> {
        self.0.next()
    }

    fn flag(&mut self) -> Option<bool> {
        self.number().map(|number| number % 2 == 1)
    }

    fn choice(&mut self, words: &'static [&'static str]) -> Option<u8> {
        self.number().map(|number| (number % words.len() as u64) as u8)
    }

    fn tagged(&mut self, variants: &'static [Variant]) -> Option<(u8, u64)> {
        let variant = variants[self.number()? as usize % variants.len()];
        Some((variant.tag, if variant.has_value { self.number()? } else { 0 }))
    }
}

/// Any event of the table's records, also of a kind that is added later.
fn records() -> impl Strategy<Value = Event> {
    let number = || prop_oneof![2 => 0..10u64, 4 => 0..1u64 << 32, 1 => 0..1u64 << 56, 1 => any::<u64>()];
    let values = proptest::collection::vec(number(), 12);
    (0..=code::LAST, number(), number(), values).prop_filter_map("the code of no record", |(code, seq, at, values)| {
        let kind = Kind::read(code, &mut Values(values.into_iter()))?;
        Some(Event { seq, at, kind })
    })
}

fn from_json(event: &Event) -> Event {
    serde_json::from_slice(&serde_json::to_vec(event).unwrap()).unwrap()
}

/// As the recorder writes it: as one record if it can be one, as JSON otherwise.
fn from_ring(event: &Event) -> Event {
    let kind = match ring_words::encode(event.at, &event.kind) {
        Some(words) => ring_words::decode(words).unwrap(),
        None => serde_json::from_slice(&truncate::fit(&event.kind, usize::MAX).0).unwrap(),
    };
    Event { kind, ..*event }
}

fn from_line(event: &Event) -> Event {
    let mut line = vec![];
    write_event(event, &mut line);
    parse(&line).unwrap()
}

fn from_history(event: &Event) -> Event {
    let mut tape = Tape::new(&Header::default(), usize::MAX);
    tape.push(event);
    tape.event_at(0).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_comes_back_from_all_four(event in prop_oneof![records(), events()]) {
        prop_assert_eq!(&from_json(&event), &event, "JSON");
        prop_assert_eq!(&from_ring(&event), &event, "words of the ring");
        prop_assert_eq!(&from_line(&event), &event, "a line of a trace");
        prop_assert_eq!(&from_history(&event), &event, "bytes of the history");
    }
}
