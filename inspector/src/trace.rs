//! Traces on disk: JSON Lines, one event a line. `TRACE.md` is the format.

mod file;
mod line;
mod read;
mod write;

pub use line::{parse, write_event};
pub use read::TraceReader;
pub use write::{AtExit, Summary, TraceWriter};

use std::fs::File;
use std::io;
use std::path::Path;

use crate::ring::{RingReader, is_ring};
use crate::source::Source;

/// Bytes of one line at most: no event is longer, and what is longer is not read into memory.
pub const LINE_LIMIT: usize = 32 << 20;

/// Opens a recording, whichever it is: a ring or a JSON trace.
///
/// # Errors
///
/// When it cannot be read, or is neither; the message says what was expected.
pub fn open(path: &Path) -> io::Result<Box<dyn Source>> {
    let file = File::open(path).map_err(|error| {
        io::Error::new(error.kind(), format!("{}: cannot open the recording: {error}", path.display()))
    })?;
    if is_ring(&file) { Ok(Box::new(RingReader::open(path)?)) } else { Ok(Box::new(TraceReader::of(file, path)?)) }
}
