//! What the fields of events have in common: how each encoding writes and reads a field.

/// Writes events in one encoding, value by value. A field is announced, then its value follows.
pub trait Writer {
    /// The kind of the event: its code, and what a line of a trace has for it.
    fn kind(&mut self, code: u8, line: &'static str);
    /// The field that comes next; no value follows if it is not `present`, which only optional ones can be.
    fn field(&mut self, key: Key, present: bool);
    /// An id, a time, a count.
    fn number(&mut self, number: u64);
    /// `true` or `false`.
    fn flag(&mut self, flag: bool);
    /// A value of a [`Choice`].
    fn choice(&mut self, byte: u8, word: &'static str);
    /// A value of a [`Tagged`].
    fn tagged(&mut self, variant: Variant, value: u64);
}

/// Reads what a [`Writer`] has written; `None` if it is something else.
pub trait Reader {
    /// Whether this field comes next; `None` if it has to and does not.
    fn field(&mut self, key: Key) -> Option<bool>;
    /// See [`Writer::number`].
    fn number(&mut self) -> Option<u64>;
    /// See [`Writer::flag`].
    fn flag(&mut self) -> Option<bool>;
    /// The byte of one of these words.
    fn choice(&mut self, words: &'static [&'static str]) -> Option<u8>;
    /// The tag of one of these variants, and its value, 0 if it has none.
    fn tagged(&mut self, variants: &'static [Variant]) -> Option<(u8, u64)>;
}

/// The name of a field.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// What a line of a trace has before the value: `,"coro":`.
    pub line: &'static str,
    /// Left out of JSON if it is empty.
    pub optional: bool,
}

/// A type that the fields of records have.
pub(crate) trait Field: Copy + PartialEq {
    /// The value that is left out where the field is optional.
    const EMPTY: Option<Self>;
    /// Writes the value.
    fn write(self, writer: &mut impl Writer);
    /// Reads a value.
    fn read(reader: &mut impl Reader) -> Option<Self>;
}

/// An enum without values: a byte in the ring, a word in JSON.
pub trait Choice: Sized + Copy + PartialEq + 'static {
    /// Its values; their index is the byte.
    const ALL: &'static [Self];
    /// Their words.
    const WORDS: &'static [&'static str];

    /// As a byte.
    fn byte(self) -> u8;

    /// The value of a byte; `None` if it has none.
    fn of(byte: u8) -> Option<Self> {
        Self::ALL.get(byte as usize).copied()
    }
}

/// An enum some variants of which have a number: a byte and a word in the ring, in JSON `"turn"` or `{"coro":7}`.
pub trait Tagged: Sized + Copy + PartialEq + 'static {
    /// Its variants.
    const VARIANTS: &'static [Variant];

    /// Its variant and its number, 0 if it has none.
    fn parts(self) -> (Variant, u64);

    /// The value of a tag and a number; `None` if there is none.
    fn of(tag: u8, value: u64) -> Option<Self>;
}

/// A variant of a [`Tagged`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its byte.
    pub tag: u8,
    /// Its word in JSON.
    pub word: &'static str,
    /// A number follows.
    pub has_value: bool,
}

impl Field for u64 {
    const EMPTY: Option<Self> = Some(0);

    #[inline(always)]
    fn write(self, writer: &mut impl Writer) {
        writer.number(self);
    }

    #[inline(always)]
    fn read(reader: &mut impl Reader) -> Option<Self> {
        reader.number()
    }
}

impl Field for u32 {
    const EMPTY: Option<Self> = Some(0);

    #[inline(always)]
    fn write(self, writer: &mut impl Writer) {
        writer.number(self.into());
    }

    #[inline(always)]
    fn read(reader: &mut impl Reader) -> Option<Self> {
        reader.number()?.try_into().ok()
    }
}

impl Field for bool {
    const EMPTY: Option<Self> = None;

    #[inline(always)]
    fn write(self, writer: &mut impl Writer) {
        writer.flag(self);
    }

    #[inline(always)]
    fn read(reader: &mut impl Reader) -> Option<Self> {
        reader.flag()
    }
}

/// For optional fields only: nothing is written for `None`.
impl Field for Option<u64> {
    const EMPTY: Option<Self> = Some(None);

    #[inline(always)]
    fn write(self, writer: &mut impl Writer) {
        writer.number(self.unwrap_or(0));
    }

    #[inline(always)]
    fn read(reader: &mut impl Reader) -> Option<Self> {
        reader.number().map(Some)
    }
}

/// Writes the key and the value of a field.
#[inline(always)]
pub(crate) fn write_field<T: Field>(writer: &mut impl Writer, key: Key, value: T) {
    let present = !key.optional || Some(value) != T::EMPTY;
    writer.field(key, present);
    if present {
        value.write(writer);
    }
}

/// Reads the key and the value of a field.
#[inline(always)]
pub(crate) fn read_field<T: Field>(reader: &mut impl Reader, key: Key) -> Option<T> {
    if reader.field(key)? { T::read(reader) } else { T::EMPTY }
}

/// Whether a field is left out where it is optional.
pub(crate) fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
