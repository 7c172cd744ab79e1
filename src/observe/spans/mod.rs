//! Coroutines as spans of `tracing`, and the authors of the messages logged in them. Without the feature `tracing`
//! every function is empty, every type has no size.

#[cfg(feature = "tracing")]
mod around;
#[cfg(feature = "tracing")]
mod layer;
#[cfg(feature = "tracing")]
mod on;
#[cfg(feature = "tracing")]
pub use layer::{TraceLayer, trace_layer};
#[cfg(feature = "tracing")]
pub(crate) use {around::*, on::*};

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(not(feature = "tracing"))]
pub(crate) use off::*;
