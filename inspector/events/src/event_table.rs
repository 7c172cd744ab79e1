//! What follows from the tables in `event.rs`: the types of events, and how they are written and read.
//!
//! A row of the table of kinds names an event's fields, the type of each, and its place in a record of the ring:
//!
//! ```text
//! /// A coroutine ended.
//! 14 end End {                      code in the ring, word in JSON, variant of `Kind`
//!     /// The coroutine.
//!     coro: CoroId => Word1,        field and key in JSON, type, place in the record (a type of `word_layout`)
//!     /// How.
//!     outcome: Outcome => Byte1,
//! }
//! ```
//!
//! `id as "loop"` gives a field another key. `optional` leaves a field out of JSON if it is empty.
//!
//! | encoding | made by |
//! |---|---|
//! | any JSON | `serde`; the macro writes its attributes |
//! | words of the ring | `records`: a function for each kind, and `records::encode` and `records::decode` for any |
//! | a line of a trace | `Kind::write` and `Kind::read`, with the `Writer` and the `Reader` in `trace/line.rs` |
//! | bytes of the history | the same two, with those in `model/src/history/codec.rs` |
//!
//! Kinds under `json` hold texts or nested values (`frames`, `crash`): they are JSON in all four, made by `serde`.
//!
//! By hand, because no row can say it: the JSON of a long event is cut (`truncate`); names and sites lie in a table of
//! their own (`string_table`); a step with what comes before and after it is one record (`ring_words::Step`); the
//! record of a checkpoint also has its seq; the state of a coroutine is in its code, and its time in place of the
//! event's.

/// The [`Key`] of a field of the table.
macro_rules! key {
    ($field:ident $(as $key:literal)?; $($optional:ident)?) => {
        Key {
            line: concat!(",\"", key!(@name $field $(as $key)?), "\":"),
            optional: key!(@optional $($optional)?),
        }
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident as $key:literal) => { $key };
    (@optional) => { false };
    (@optional optional) => { true };
}

/// The table of kinds: see the top of this file.
macro_rules! events {
    (
        $(#[$about:meta])*
        records { $(
            $(#[$record:meta])*
            $code:literal $word:ident $Kind:ident { $(
                $(#[$note:meta])* $field:ident $(as $key:literal)?: $type:ty => $place:ident $($optional:ident)?
            ),* $(,)? }
        )* }
        json { $(
            $(#[$json:meta])*
            $JsonKind:ident { $(
                $(#[$json_note:meta])*
                $json_field:ident $(as $json_key:literal)?: $json_type:ty $(=> $json_optional:ident)?
            ),* $(,)? }
        )* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Kind {
            $(
                $(#[$record])*
                $Kind { $(
                    $(#[$note])*
                    $(#[serde(rename = $key)])?
                    $(
                        #[doc = concat!("\n\nIt is ", stringify!($optional), " in JSON.")]
                        #[serde(default, skip_serializing_if = "is_empty")]
                    )?
                    $field: $type,
                )* },
            )*
            $(
                $(#[$json])*
                $JsonKind { $(
                    $(#[$json_note])*
                    $(#[serde(rename = $json_key)])?
                    $(
                        #[doc = concat!("\n\nIt is ", stringify!($json_optional), " in JSON.")]
                        #[serde(default, skip_serializing_if = "is_empty")]
                    )?
                    $json_field: $json_type,
                )* },
            )*
            /// A kind this version does not know; skipped, never an error.
            #[serde(other)]
            Unknown,
        }

        impl Kind {
            /// Writes the kind and its fields; `false`, with nothing written, for a kind that is always JSON.
            #[inline(always)]
            pub fn write(&self, writer: &mut impl Writer) -> bool {
                match *self {
                    $(Kind::$Kind { $($field),* } => {
                        writer.kind($code, concat!(",\"kind\":\"", stringify!($word), "\""));
                        $(write_field(writer, key!($field $(as $key)?; $($optional)?), $field);)*
                    })*
                    _ => return false,
                }
                true
            }

            /// Reads the fields of the kind with this code; `None` if there is none, or they are damaged.
            #[inline(always)]
            pub fn read(code: u8, reader: &mut impl Reader) -> Option<Kind> {
                Some(match code {
                    $($code => Kind::$Kind {
                        $($field: read_field(reader, key!($field $(as $key)?; $($optional)?))?),*
                    },)*
                    _ => return None,
                })
            }

            /// The code of a kind's word in JSON; `None` for one that is always JSON.
            #[inline(always)]
            pub(crate) fn code_of(word: &[u8]) -> Option<u8> {
                $(if word == stringify!($word).as_bytes() {
                    return Some($code);
                })*
                None
            }
        }

        /// The records of the ring.
        pub(crate) mod records {
            use super::*;
            use crate::word_layout::{All1, Byte1, Code0, High3, Id2, Low3, Name24, Place, Site24, Tagged2, Time0};
            use crate::word_layout::{Word1, Word2, Word3, Words, head};

            /// The codes of all kinds that are records.
            pub(crate) const CODES: &[u8] = &[$($code),*];

            $(
                #[doc = concat!("The record of [`Kind::", stringify!($Kind), "`].")]
                #[inline(always)]
                #[allow(clippy::too_many_arguments, reason = "the fields of the event")]
                pub fn $word(at: u64, $($field: $type),*) -> Words {
                    #[allow(unused_mut, reason = "an event may have no field")]
                    let mut words = [head(at, $code), 0, 0, 0];
                    $(<$place as Place<$type>>::put($field, &mut words);)*
                    words
                }
            )*

            /// The record of an event; `None` if it has to go as JSON.
            #[inline]
            pub fn encode(at: u64, kind: &Kind) -> Option<Words> {
                match *kind {
                    $(Kind::$Kind { $($field),* } => {
                        let fits = true $(&& <$place as Place<$type>>::fits($field))*;
                        fits.then(|| self::$word(at, $($field),*))
                    })*
                    _ => None,
                }
            }

            /// The event of a record with this code; `None` if it is damaged, or the code is that of no event.
            #[inline]
            pub(crate) fn decode(code: u8, words: Words) -> Option<Kind> {
                Some(match code {
                    $($code => Kind::$Kind { $($field: <$place as Place<$type>>::get(words)?),* },)*
                    _ => return None,
                })
            }
        }
    };
}

/// Enums without values: the word of each variant in JSON, and its name. Their order is that of their bytes in the
/// ring: new ones go to the end.
macro_rules! choices {
    ($(
        $(#[$about:meta])*
        $Name:ident { $($(#[$note:meta])* $word:ident $Variant:ident,)* }
    )*) => { $(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $Name { $($(#[$note])* $Variant,)* }

        impl Choice for $Name {
            const ALL: &'static [Self] = &[$($Name::$Variant),*];
            const WORDS: &'static [&'static str] = &[$(stringify!($word)),*];

            #[inline(always)]
            fn byte(self) -> u8 {
                self as u8
            }
        }

        impl Field for $Name {
            const EMPTY: Option<Self> = None;

            #[inline(always)]
            fn write(self, writer: &mut impl Writer) {
                writer.choice(self.byte(), Self::WORDS[self as usize]);
            }

            #[inline(always)]
            fn read(reader: &mut impl Reader) -> Option<Self> {
                Self::of(reader.choice(Self::WORDS)?)
            }
        }
    )* };
}

/// Enums some variants of which have a number: the tag of each variant in the ring, its word in JSON, its name, and its
/// number.
macro_rules! tagged {
    ($(
        $(#[$about:meta])*
        $Name:ident { $($(#[$note:meta])* $tag:literal $word:ident $Variant:ident $(($value:ident: $type:ty))?,)* }
    )*) => { $(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $Name { $($(#[$note])* $Variant $(($type))?,)* }

        impl Tagged for $Name {
            const VARIANTS: &'static [Variant] = &[$(
                Variant {
                    tag: $tag,
                    word: stringify!($word),
                    has_value: tagged!(@has_value $($value)?),
                }
            ),*];

            #[inline(always)]
            fn parts(self) -> (Variant, u64) {
                match self { $(
                    $Name::$Variant $(($value))? => {
                        let has_value = tagged!(@has_value $($value)?);
                        (Variant { tag: $tag, word: stringify!($word), has_value }, 0 $(+ u64::from($value))?)
                    }
                )* }
            }

            #[inline(always)]
            fn of(tag: u8, value: u64) -> Option<Self> {
                // The variants without a number ignore it.
                let _ = value;
                Some(match tag {
                    $($tag => $Name::$Variant $((<$type>::try_from(value).ok()?))?,)*
                    _ => return None,
                })
            }
        }

        impl Field for $Name {
            const EMPTY: Option<Self> = None;

            #[inline(always)]
            fn write(self, writer: &mut impl Writer) {
                let (variant, value) = self.parts();
                writer.tagged(variant, value);
            }

            #[inline(always)]
            fn read(reader: &mut impl Reader) -> Option<Self> {
                let (tag, value) = reader.tagged(Self::VARIANTS)?;
                Self::of(tag, value)
            }
        }
    )* };
    (@has_value) => { false };
    (@has_value $value:ident) => { true };
}

pub(crate) use {choices, events, key, tagged};
