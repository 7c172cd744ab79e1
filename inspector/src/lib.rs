//! The inspector of [tinyio](https://docs.rs/tinyio): events, ring, traces, frames, and the terminal debugger on top of
//! them.

pub mod export;
pub mod lint;
pub mod model;
pub mod moment;
pub mod outside;
pub mod report;
mod say;
pub mod time;
pub mod tree;
#[cfg(feature = "tui")]
pub mod tui;
pub mod why;
mod words;

#[cfg(feature = "tui")]
use tinyio_events::settings_file;
pub use tinyio_events::{environment, event, place, program_memory, secrets, source};
pub use tinyio_frames as frames;
pub use tinyio_recorder::{clock, discover, output, recorder, ring, threads, trace};

#[doc(hidden)]
pub use words::{escaped_json, one_line};

#[cfg(test)]
mod script;
