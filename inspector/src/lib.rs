//! The inspector of [tinyio](https://docs.rs/tinyio): events, ring, traces, frames, and the terminal debugger on top of
//! them.

pub mod clock;
pub mod discover;
pub mod export;
pub mod lint;
mod live;
mod map;
pub mod model;
pub mod moment;
pub mod output;
pub mod outside;
pub mod recorder;
pub mod report;
pub mod ring;
mod say;
pub mod threads;
pub mod time;
pub mod trace;
pub mod tree;
#[cfg(feature = "tui")]
pub mod tui;
pub mod why;
mod words;

#[cfg(target_os = "linux")]
use tinyio_events::sandbox;
pub use tinyio_events::{environment, event, place, program_memory, secrets, source};
use tinyio_events::{fit, lock, names, record, settings_file};
pub use tinyio_frames as frames;

#[doc(hidden)]
pub use words::{escaped_json, one_line};

#[cfg(test)]
mod script;
