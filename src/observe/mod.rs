//! What observes a loop while it runs: see [`Observer`]. With the feature `record` that is a recording, each method of
//! which is a branch until it is switched on; without it nothing, or the spans of `tracing`.

#[cfg(feature = "record")]
mod crash_report;
#[cfg(feature = "record")]
mod hooks;
#[cfg(feature = "record")]
mod moments;
#[cfg(feature = "record")]
mod names;
#[cfg(feature = "record")]
mod output;
#[cfg(feature = "record")]
mod preemption;
#[cfg(feature = "record")]
mod recorded_loops;
#[cfg(feature = "record")]
mod recording;
#[cfg(feature = "record")]
mod resources;
#[cfg(feature = "record")]
mod stack_requests;
#[cfg(feature = "record")]
pub(crate) use {names::Name, recording::Rec, resources::*};

#[cfg(not(feature = "record"))]
mod unrecorded;
#[cfg(not(feature = "record"))]
pub(crate) use {spans::Spans as Rec, unrecorded::*};

mod event;
mod noop;
mod notes;
mod observer;
#[cfg(feature = "tracing")]
mod traced;
pub(crate) use {event::*, noop::Noop, notes::*, observer::*};

#[cfg(all(feature = "record", feature = "tracing"))]
mod log_source;
#[cfg(all(feature = "record", feature = "tracing"))]
pub(crate) use log_source::{Author, FIELD, may_record};

#[cfg(all(not(feature = "record"), feature = "tracing"))]
mod log_source_noop;
#[cfg(all(not(feature = "record"), feature = "tracing"))]
pub(crate) use log_source_noop::{Author, FIELD, may_record};

mod env;
#[cfg(feature = "inspect")]
mod live_view;
pub(crate) mod spans;
#[cfg(feature = "record")]
mod step_batch;
#[cfg(feature = "record")]
mod suspended;
