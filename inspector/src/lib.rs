//! The inspector of [tinyio](https://docs.rs/tinyio): events, ring, traces, frames, and the terminal debugger on top of
//! them.

#[cfg(not(unix))]
compile_error!(
    "recording and the inspector need Unix so far (values: Linux): build tinyio without the features `record` and `inspect` for this target"
);

pub mod clock;
pub mod discover;
pub mod environment;
pub mod event;
pub mod export;
mod fit;
pub mod frames;
pub mod lint;
mod live;
pub mod lock;
mod map;
pub mod model;
pub mod moment;
mod names;
pub mod output;
pub mod outside;
pub mod place;
pub mod program_memory;
mod record;
pub mod recorder;
pub mod report;
pub mod ring;
#[cfg(target_os = "linux")]
mod sandbox;
mod say;
pub mod secrets;
mod settings_file;
pub mod source;
pub mod threads;
pub mod time;
pub mod trace;
pub mod tree;
#[cfg(feature = "tui")]
pub mod tui;
pub mod why;
mod words;

#[doc(hidden)]
pub use words::{escaped_json, one_line};

#[cfg(test)]
mod script;
