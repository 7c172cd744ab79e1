//! One event, one line of JSON.
//!
//! The kinds that are records, some of which come by the million, are written and read by what follows from their
//! table: `serde` takes its time over a tagged, flattened enum. What is written is byte for byte what `serde_json`
//! writes, and what is read is exactly that form; any other goes to `serde_json`, which has the last word. Tests hold
//! the two against each other for every kind.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use crate::event::{Event, Kind};
use crate::field::{Key, Reader, Variant, Writer};
use crate::stack_json;
use crate::string_table::cut;

/// Appends an event to `out`, without the line's end.
pub fn write_event(event: &Event, out: &mut Vec<u8>) {
    let before = out.len();
    if !write_record(event, out) {
        out.truncate(before);
        if let Some(stack) = stack_json::write(&event.kind, usize::MAX) {
            out.extend_from_slice(b"{\"seq\":");
            number(out, event.seq);
            out.extend_from_slice(b",\"at\":");
            number(out, event.at);
            out.push(b',');
            out.extend_from_slice(&stack[1..]);
            return;
        }
        // Nothing in an event can fail to be written: no maps, no foreign implementations.
        let _ = serde_json::to_writer(&mut *out, event);
    }
}

/// Reads the event of a line.
///
/// # Errors
///
/// When the line is no event; the message gives the column and what was expected.
pub fn parse(line: &[u8]) -> Result<Event, serde_json::Error> {
    match LineReader(line).event() {
        Some(event) => Ok(event),
        None => serde_json::from_slice(line),
    }
}

/// A line that is well-formed JSON and no event: a field is of another type, or missing.
pub(super) struct Misfit {
    /// The event's number, if it reads.
    pub(super) seq: Option<u64>,
    /// The event's time, if it reads.
    pub(super) at: Option<u64>,
    /// Which field, what it is, and what was expected.
    pub(super) why: String,
}

/// Longer lines are not taken apart to find the field.
const TAKEN_APART: usize = 1 << 20;
/// Bytes of [`Misfit::why`].
const WHY: usize = 200;

/// Describes a line that [`parse`] rejected with `error`. `None` if it is not even JSON.
pub(super) fn misfit(line: &[u8], error: &serde_json::Error) -> Option<Misfit> {
    #[derive(Deserialize)]
    struct Seq {
        seq: u64,
    }
    #[derive(Deserialize)]
    struct At {
        at: u64,
    }
    fn read<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
        serde_json::from_slice(line).ok()
    }

    // However deep it is: what is ignored is not read recursively.
    read::<IgnoredAny>(line)?;
    let fields = if line.len() <= TAKEN_APART { read::<Map<String, Value>>(line) } else { None };
    let why = fields.and_then(misfit_field).unwrap_or_else(|| {
        let text = error.to_string();
        text.rsplit_once(" at line 1 column ").map_or_else(|| text.clone(), |(what, _)| what.to_owned())
    });
    let (seq, at) = (read::<Seq>(line).map(|one| one.seq), read::<At>(line).map(|one| one.at));
    Some(Misfit { seq, at, why: cut(&why, WHY).into_owned() })
}

/// The first field that no event of this kind can have, as a sentence.
fn misfit_field(mut fields: Map<String, Value>) -> Option<String> {
    let say = |name: &str, error: serde_json::Error| {
        let error = error.to_string();
        let is = error.strip_prefix("invalid type: ").or_else(|| error.strip_prefix("invalid value: "));
        is.map_or_else(|| format!("`{name}`: {error}"), |is| format!("`{name}` is {is}"))
    };
    for name in ["seq", "at"] {
        if let Some(Err(error)) = fields.remove(name).map(|value| u64::deserialize(&value)) {
            return Some(say(name, error));
        }
    }
    // Serde does not say which field of a tagged enum it was at: fields are added until it refuses them.
    let kind = fields.remove_entry("kind");
    let mut tried = Value::Object(Map::new());
    for (name, value) in kind.into_iter().chain(fields) {
        tried[&name] = value;
        match Kind::deserialize(&tried) {
            Err(error) if !error.to_string().starts_with("missing field") => return Some(say(&name, error)),
            _ => {}
        }
    }
    None
}

/// Writes an event of a kind that is a record; `false` for one that is always JSON.
fn write_record(event: &Event, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(b"{\"seq\":");
    number(out, event.seq);
    out.extend_from_slice(b",\"at\":");
    number(out, event.at);
    let written = event.kind.write(&mut LineWriter(out));
    out.push(b'}');
    written
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes the values of an event.
struct LineWriter<'a>(&'a mut Vec<u8>);

impl Writer for LineWriter<'_> {
    #[inline(always)]
    fn kind(&mut self, _: u8, line: &'static str) {
        self.0.extend_from_slice(line.as_bytes());
    }

    #[inline(always)]
    fn field(&mut self, key: Key, present: bool) {
        if present {
            self.0.extend_from_slice(key.line.as_bytes());
        }
    }

    #[inline(always)]
    fn number(&mut self, value: u64) {
        number(self.0, value);
    }

    #[inline(always)]
    fn flag(&mut self, flag: bool) {
        self.0.extend_from_slice(if flag { b"true" } else { b"false" });
    }

    #[inline(always)]
    fn choice(&mut self, _: u8, word: &'static str) {
        self.0.push(b'"');
        self.0.extend_from_slice(word.as_bytes());
        self.0.push(b'"');
    }

    #[inline(always)]
    fn tagged(&mut self, variant: Variant, value: u64) {
        if !variant.has_value {
            return self.choice(variant.tag, variant.word);
        }
        self.0.extend_from_slice(b"{\"");
        self.0.extend_from_slice(variant.word.as_bytes());
        self.0.extend_from_slice(b"\":");
        number(self.0, value);
        self.0.push(b'}');
    }
}

/// Reads one value of an event.
struct LineReader<'a>(&'a [u8]);

impl<'a> LineReader<'a> {
    #[inline(always)]
    fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    #[inline(always)]
    fn digits(&mut self) -> Option<u64> {
        let mut value: u64 = 0;
        let mut digits = 0;
        while let Some(byte) = self.0.get(digits) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.checked_mul(10)?.checked_add(digit as u64)?;
            digits += 1;
        }
        // JSON has no leading zeros.
        if digits == 0 || digits > 1 && self.0[0] == b'0' {
            return None;
        }
        self.0 = &self.0[digits..];
        Some(value)
    }

    /// A text without escapes, up to its closing quote, the opening one having been read. Words only: no check for
    /// UTF-8.
    #[inline(always)]
    fn word(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'"')?;
        let word = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(word)
    }

    fn event(&mut self) -> Option<Event> {
        self.eat(b"{\"seq\":")?;
        let seq = self.digits()?;
        self.eat(b",\"at\":")?;
        let at = self.digits()?;
        self.eat(b",\"kind\":\"")?;
        let kind = self.word()?;
        let kind = Kind::read(Kind::code_of(kind)?, self)?;
        self.eat(b"}")?;
        self.0.is_empty().then_some(Event { seq, at, kind })
    }
}

impl Reader for LineReader<'_> {
    #[inline(always)]
    fn field(&mut self, key: Key) -> Option<bool> {
        match self.eat(key.line.as_bytes()) {
            Some(()) => Some(true),
            None => key.optional.then_some(false),
        }
    }

    #[inline(always)]
    fn number(&mut self) -> Option<u64> {
        self.digits()
    }

    #[inline(always)]
    fn flag(&mut self) -> Option<bool> {
        if self.eat(b"true").is_some() {
            return Some(true);
        }
        self.eat(b"false").map(|()| false)
    }

    #[inline(always)]
    fn choice(&mut self, words: &'static [&'static str]) -> Option<u8> {
        self.eat(b"\"")?;
        let word = self.word()?;
        words.iter().position(|one| one.as_bytes() == word).map(|index| index as u8)
    }

    #[inline(always)]
    fn tagged(&mut self, variants: &'static [Variant]) -> Option<(u8, u64)> {
        let has_value = self.eat(b"{").is_some();
        self.eat(b"\"")?;
        let word = self.word()?;
        let variant = variants.iter().find(|one| one.has_value == has_value && one.word.as_bytes() == word)?;
        if !has_value {
            return Some((variant.tag, 0));
        }
        self.eat(b":")?;
        let value = self.digits()?;
        self.eat(b"}")?;
        Some((variant.tag, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring_words::code;

    /// Reads an event of any record of the table: the values of all its fields are this one.
    struct Same(u32);

    impl Reader for Same {
        fn field(&mut self, key: Key) -> Option<bool> {
            Some(!key.optional || self.0 % 2 == 1)
        }

        fn number(&mut self) -> Option<u64> {
            Some(self.0.into())
        }

        fn flag(&mut self) -> Option<bool> {
            Some(self.0 % 2 == 1)
        }

        fn choice(&mut self, words: &'static [&'static str]) -> Option<u8> {
            Some((self.0 as usize % words.len()) as u8)
        }

        fn tagged(&mut self, variants: &'static [Variant]) -> Option<(u8, u64)> {
            let variant = variants[self.0 as usize % variants.len()];
            Some((variant.tag, if variant.has_value { self.0.into() } else { 0 }))
        }
    }

    #[test]
    fn every_record_is_written_and_read_without_serde() {
        let kinds =
            || (0..=code::LAST).flat_map(|code| (0..42).filter_map(move |value| Kind::read(code, &mut Same(value))));
        assert!(kinds().count() > 1000);
        for kind in kinds() {
            let event = Event { seq: 1, at: u64::MAX, kind };
            let mut line = vec![];
            assert!(write_record(&event, &mut line), "{event:?}");
            assert_eq!(line, serde_json::to_vec(&event).unwrap(), "{event:?}");
            assert_eq!(LineReader(&line).event(), Some(event), "{}", String::from_utf8_lossy(&line));
        }
    }
}
