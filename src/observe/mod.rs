//! The events that the loop emits while it runs. Each function is called at one point of the loop; without the feature
//! `record` all of them are empty, and with it they are a branch each until a recording is switched on.

#[cfg(feature = "record")]
mod crash_report;
#[cfg(feature = "record")]
mod exit;
#[cfg(feature = "record")]
mod hooks;
#[cfg(feature = "record")]
mod moments;
#[cfg(feature = "record")]
mod names;
#[cfg(feature = "record")]
mod notes;
#[cfg(feature = "record")]
mod observed;
#[cfg(feature = "record")]
mod output;
#[cfg(feature = "record")]
mod preemption;
#[cfg(feature = "record")]
mod recording;
#[cfg(feature = "record")]
mod resources;
#[cfg(feature = "record")]
mod stack_requests;
#[cfg(feature = "record")]
pub(crate) use {
    hooks::{name_task, never_scheduled},
    names::Name,
    notes::*,
    observed::*,
    recording::*,
    resources::*,
};

#[cfg(not(feature = "record"))]
mod noop;
#[cfg(not(feature = "record"))]
pub(crate) use noop::*;

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
#[cfg(feature = "record")]
mod trace_file;
