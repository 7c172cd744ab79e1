//! Traces: JSON Lines, one event a line. `inspector/TRACE.md` is the format.

mod line;
mod read;

pub use line::{parse, write_event};
pub use read::TraceReader;

/// Bytes of one line at most: no event is longer, and what is longer is not read into memory.
pub const LINE_LIMIT: usize = 32 << 20;
