//! The events of [tinyio](https://docs.rs/tinyio): what a loop records, how it is encoded, and how a trace is read.
//!
//! | module | |
//! |---|---|
//! | [`event`] | the events, in a table, and the await stacks and values in them |
//! | [`event_table`], [`field`] | what follows from the table: types, and how they are written and read |
//! | [`ring_words`], [`string_table`], [`truncate`] | words of a ring, the table of names, JSON of bounded length |
//! | [`trace`] | an event as a line of JSON; the reader of traces |
//! | [`source`], [`program_memory`] | what all that gives events has in common |
//! | [`secrets`], [`settings_file`] | which values are masked |
//! | [`environment`], [`sandbox`], [`lock`] | what this process may do, and whether another one writes a file |
//! | [`threads`] | threads beside those of the program |
//! | [`place`], [`source_text`] | functions and files of the program and of others; the text of source files |
//!
//! It is the lowest of the crates: the recorder, the reader of frames and the model depend on it. It depends on `serde`
//! for JSON and on `rustix` and `nix` for the system, and must not know how a ring is mapped, how memory is read, what
//! is made of the events, or how it is shown.

#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!(
    "recording and the inspector need Unix so far (values: Linux): build tinyio without the features `record` and `inspect` for this target"
);

pub mod environment;
pub mod event;
pub mod event_table;
pub mod field;
pub mod lock;
pub mod place;
pub mod program_memory;
pub mod ring_words;
pub mod sandbox;
pub mod secrets;
pub mod settings_file;
pub mod source;
pub mod source_text;
mod stack_json;
pub mod string_table;
pub mod threads;
pub mod trace;
pub mod truncate;
mod walk;
mod word_layout;
