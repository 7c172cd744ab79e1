//! The inspector of [tinyio](https://docs.rs/tinyio): the screens in a terminal, exports to the formats of other tools,
//! and the program `tinyio-inspector`.
//!
//! | module | | feature |
//! |---|---|---|
//! | [`export`] | formats of other tools | |
//! | [`outside`] | await stacks of a program that is stuck in a step, read in its memory | |
//! | `tui` | the screens | `tui` |
//! | the program `tinyio-inspector` | the commands (`src/cli`) | `cli` |
//!
//! All else is in the crates that it depends on, and is exported again under the names of their modules:
//! `tinyio-events`, `tinyio-recorder`, `tinyio-frames` and `tinyio-model`. It must not know `tinyio-rt`; the live view
//! and the tests of `tinyio-rt` use it.

#![forbid(unsafe_code)]

pub mod export;
pub mod outside;
#[cfg(feature = "tui")]
pub mod tui;

#[doc(hidden)]
pub use format::{escaped_json, one_line};
#[cfg(feature = "tui")]
use tinyio_events::settings_file;
pub use tinyio_events::{environment, event, place, program_memory, secrets, source, source_text, threads};
pub use tinyio_frames as frames;
#[cfg(test)]
use tinyio_model::test_script;
pub use tinyio_model::{check, history, lint, model, report, time_point, tree, why};
use tinyio_model::{describe, format};
pub use tinyio_recorder::{clock, discover, output, recorder, ring, trace};
