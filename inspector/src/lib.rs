//! The inspector of [tinyio](https://docs.rs/tinyio): events, ring, traces, frames, and the terminal debugger on top of them.

pub mod event;
pub mod model;
pub mod report;
mod say;
pub mod source;
pub mod time;
mod words;

#[cfg(test)]
mod script;
