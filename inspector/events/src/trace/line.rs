//! One event, one line of JSON.
//!
//! The kinds that come by the million are written and read by hand: `serde` takes its time over a tagged, flattened
//! enum. What is written is byte for byte what `serde_json` writes, and what is read by hand is exactly that form; any
//! other goes to `serde_json`, which has the last word. Tests hold the two against each other for every kind.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use crate::event::{Event, Kind, LoopMode, LoopOutcome, Outcome, ResKind, State, Target, Waker};
use crate::string_table::cut;

/// Appends an event to `out`, without the line's end.
pub fn write_event(event: &Event, out: &mut Vec<u8>) {
    let before = out.len();
    if !by_hand(event, out) {
        out.truncate(before);
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
    match Scan(line).event() {
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

/// Words of an enum that is written as one.
trait Word: Sized + Copy + PartialEq + 'static {
    const WORDS: &'static [(Self, &'static str)];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(one, _)| *one == self).map_or("", |(_, word)| word)
    }
}

macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),* })*) => {
        $(impl Word for $name { const WORDS: &'static [(Self, &'static str)] = &[$(($name::$variant, $word)),*]; })*
    };
}

words! {
    LoopMode { Run = "run", Drive = "drive", Isolate = "isolate" }
    LoopOutcome { Ok = "ok", Crashed = "crashed", Dropped = "dropped" }
    Outcome {
        Ok = "ok", Error = "error", Panic = "panic", Cancelled = "cancelled", Improper = "improper", NeverStarted = "never_started"
    }
    ResKind { Event = "event", Lock = "lock", Semaphore = "semaphore", Barrier = "barrier" }
    State { Ready = "ready", Running = "running", Waiting = "waiting" }
}

/// Writes one value of an event.
trait Put {
    fn put(self, out: &mut Vec<u8>);
}

impl Put for u64 {
    fn put(self, out: &mut Vec<u8>) {
        number(out, self);
    }
}

impl Put for u32 {
    fn put(self, out: &mut Vec<u8>) {
        number(out, self as u64);
    }
}

impl Put for bool {
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self { b"true" } else { b"false" });
    }
}

impl<T: Word> Put for T {
    fn put(self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.word().as_bytes());
        out.push(b'"');
    }
}

fn tagged(out: &mut Vec<u8>, tag: &str, value: u64) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(b"\":");
    number(out, value);
    out.push(b'}');
}

fn put_target(on: Target, out: &mut Vec<u8>) {
    match on {
        Target::Coro(id) => tagged(out, "coro", id),
        Target::Res(id) => tagged(out, "res", id),
        Target::Thread(id) => tagged(out, "thread", id),
        Target::Timer(due) => tagged(out, "timer", due),
        Target::Loop(id) => tagged(out, "loop", id as u64),
        Target::Turn => out.extend_from_slice(b"\"turn\""),
        Target::External => out.extend_from_slice(b"\"external\""),
    }
}

fn put_waker(by: Waker, out: &mut Vec<u8>) {
    match by {
        Waker::Coro(id) => tagged(out, "coro", id),
        Waker::Res(id) => tagged(out, "res", id),
        Waker::Thread(id) => tagged(out, "thread", id),
        Waker::Timer => out.extend_from_slice(b"\"timer\""),
        Waker::Own => out.extend_from_slice(b"\"own\""),
        Waker::Cancel => out.extend_from_slice(b"\"cancel\""),
        Waker::External => out.extend_from_slice(b"\"external\""),
    }
}

/// Reads one value of an event.
struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    #[inline(always)]
    fn eat(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    #[inline(always)]
    fn number(&mut self) -> Option<u64> {
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

    fn id(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn tagged(&mut self) -> Option<(&'a [u8], u64)> {
        self.eat(b"{\"")?;
        let tag = self.word()?;
        self.eat(b":")?;
        let value = self.number()?;
        self.eat(b"}")?;
        Some((tag, value))
    }

    fn target(&mut self) -> Option<Target> {
        if self.0.first() == Some(&b'"') {
            self.eat(b"\"")?;
            return match self.word()? {
                b"turn" => Some(Target::Turn),
                b"external" => Some(Target::External),
                _ => None,
            };
        }
        let (tag, value) = self.tagged()?;
        Some(match tag {
            b"coro" => Target::Coro(value),
            b"res" => Target::Res(value),
            b"thread" => Target::Thread(value),
            b"timer" => Target::Timer(value),
            b"loop" => Target::Loop(u32::try_from(value).ok()?),
            _ => return None,
        })
    }

    fn waker(&mut self) -> Option<Waker> {
        if self.0.first() == Some(&b'"') {
            self.eat(b"\"")?;
            return Some(match self.word()? {
                b"timer" => Waker::Timer,
                b"own" => Waker::Own,
                b"cancel" => Waker::Cancel,
                b"external" => Waker::External,
                _ => return None,
            });
        }
        let (tag, value) = self.tagged()?;
        Some(match tag {
            b"coro" => Waker::Coro(value),
            b"res" => Waker::Res(value),
            b"thread" => Waker::Thread(value),
            _ => return None,
        })
    }

    fn one_of<T: Word>(&mut self) -> Option<T> {
        self.eat(b"\"")?;
        let word = self.word()?;
        T::WORDS.iter().find(|(_, text)| text.as_bytes() == word).map(|(one, _)| *one)
    }

    fn flag(&mut self) -> Option<bool> {
        if self.eat(b"true").is_some() {
            return Some(true);
        }
        self.eat(b"false").map(|()| false)
    }

    fn event(&mut self) -> Option<Event> {
        self.eat(b"{\"seq\":")?;
        let seq = self.number()?;
        self.eat(b",\"at\":")?;
        let at = self.number()?;
        self.eat(b",\"kind\":\"")?;
        let kind = self.word()?;
        let kind = self.kind(kind)?;
        self.eat(b"}")?;
        self.0.is_empty().then_some(Event { seq, at, kind })
    }
}

/// The one table of the kinds that are written and read by hand: their words, and their fields in order.
macro_rules! hot {
    ($($word:literal = $variant:ident { $($field:ident: $key:literal $put:ident $get:ident),* })*) => {
        fn by_hand(event: &Event, out: &mut Vec<u8>) -> bool {
            out.extend_from_slice(b"{\"seq\":");
            number(out, event.seq);
            out.extend_from_slice(b",\"at\":");
            number(out, event.at);
            match event.kind {
                $(Kind::$variant { $($field),* } => {
                    out.extend_from_slice(concat!(",\"kind\":\"", $word, "\"").as_bytes());
                    $(
                        out.extend_from_slice(concat!(",\"", $key, "\":").as_bytes());
                        $put($field, out);
                    )*
                })*
                _ => return false,
            }
            out.push(b'}');
            true
        }

        impl Scan<'_> {
            #[inline]
            fn kind(&mut self, word: &[u8]) -> Option<Kind> {
                $(if word == $word.as_bytes() {
                    $(
                        self.eat(concat!(",\"", $key, "\":").as_bytes())?;
                        let $field = self.$get()?;
                    )*
                    return Some(Kind::$variant { $($field),* });
                })*
                None
            }
        }
    };
}

fn put<T: Put>(value: T, out: &mut Vec<u8>) {
    value.put(out);
}

// Most frequent first: they are looked for in this order.
hot! {
    "step_begin" = StepBegin { coro: "coro" put number }
    "step_end" = StepEnd { coro: "coro" put number }
    "wait" = Wait { coro: "coro" put number, on: "on" put_target target, site: "site" put id }
    "wake" = Wake { coro: "coro" put number, by: "by" put_waker waker }
    "spawn" = Spawn {
        coro: "coro" put number, in_loop: "loop" put id, parent: "parent" put number, name: "name" put id, site: "site" put id
    }
    "end" = End { coro: "coro" put number, outcome: "outcome" put one_of }
    "coro_state" = CoroState {
        coro: "coro" put number, in_loop: "loop" put id, parent: "parent" put number, name: "name" put id, site: "site" put id,
        state: "state" put one_of, since: "since" put number
    }
    "clear" = Clear { coro: "coro" put number, on: "on" put_target target }
    "hold" = Hold { res: "res" put number, coro: "coro" put number, site: "site" put id }
    "release" = Release { res: "res" put number, coro: "coro" put number }
    "set" = Set { res: "res" put number, set: "set" put flag }
    "unpark" = Unpark { id: "loop" put id }
    "res_drop" = ResDrop { res: "res" put number }
    "thread_queue" = ThreadQueue {
        thread: "thread" put number, coro: "coro" put number, name: "name" put id, site: "site" put id
    }
    "thread_start" = ThreadStart { thread: "thread" put number }
    "thread_end" = ThreadEnd { thread: "thread" put number, outcome: "outcome" put one_of }
    "cancel_deliver" = CancelDeliver { coro: "coro" put number }
    "loop_start" = LoopStart { id: "loop" put id, parent: "parent" put number, mode: "mode" put one_of }
    "loop_end" = LoopEnd { id: "loop" put id, outcome: "outcome" put one_of }
}
