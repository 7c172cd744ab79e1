//! What the loop says about itself while it runs. Each function stands at one moment of the loop; without the feature `record`
//! all of them are empty, and with it they are a branch each until a recording is switched on.

#[cfg(feature = "record")]
mod asked;
#[cfg(feature = "record")]
mod away;
#[cfg(feature = "record")]
mod crash;
#[cfg(feature = "record")]
mod exit;
#[cfg(feature = "record")]
mod on;
#[cfg(feature = "record")]
mod output;
#[cfg(feature = "record")]
mod things;
#[cfg(feature = "record")]
pub(crate) use {crash::*, on::*, things::*};

#[cfg(not(feature = "record"))]
mod off;
#[cfg(not(feature = "record"))]
pub(crate) use off::*;

#[cfg(all(feature = "record", feature = "tracing"))]
mod said;
#[cfg(all(feature = "record", feature = "tracing"))]
pub(crate) use said::{Author, FIELD, may_record};

#[cfg(all(not(feature = "record"), feature = "tracing"))]
mod unsaid;
#[cfg(all(not(feature = "record"), feature = "tracing"))]
pub(crate) use unsaid::{Author, FIELD, may_record};

#[cfg(feature = "record")]
mod steps;
#[cfg(feature = "record")]
mod suspended;
mod switch;
#[cfg(feature = "record")]
mod trace;
#[cfg(feature = "inspect")]
mod view;
