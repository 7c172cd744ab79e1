//! The inspector of [tinyio](https://docs.rs/tinyio): events, ring, traces, frames, and the terminal debugger on top of them.

pub mod clock;
pub mod discover;
pub mod event;
pub mod lint;
pub mod model;
mod fit;
mod live;
mod map;
mod names;
mod record;
pub mod recorder;
pub mod ring;
pub mod frames;
pub mod source;
pub mod time;
#[cfg(feature = "tui")]
pub mod tui;

#[cfg(test)]
mod script;
pub mod trace;
