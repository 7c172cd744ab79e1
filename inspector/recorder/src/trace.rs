//! Traces on disk: JSON Lines, one event a line. `TRACE.md` is the format.

mod by_name;
mod continued;
mod file;
mod write;

use std::fs::File;
use std::io;
use std::path::Path;

pub use by_name::NamedTrace;
use tinyio_events::event::{Event, Header};
use tinyio_events::source::{Progress, Source};
pub use tinyio_events::trace::{LINE_LIMIT, TraceReader, parse, write_event};
pub use write::{AtExit, Summary, TraceWriter};

use self::continued::Continued;
use crate::ring::{RingReader, is_ring};

/// Opens a recording, whichever it is: a ring or a JSON trace. One that goes on is followed. A trace that breaks off is
/// continued from its ring, while that is there.
///
/// # Errors
///
/// When it cannot be read, or is neither; the message says what was expected.
pub fn open(path: &Path) -> io::Result<Box<dyn Source>> {
    let file = open_file(path)?;
    if is_ring(&file) {
        Ok(Box::new(RingReader::open(path)?))
    } else {
        Ok(Box::new(Continued::new(TraceReader::of(file, path)?)))
    }
}

/// Like [`open`], but of a recording that goes on only what there is now: a program may write faster than we read.
///
/// # Errors
///
/// Those of [`open`].
pub fn open_until_now(path: &Path) -> io::Result<Box<dyn Source>> {
    let file = open_file(path)?;
    if is_ring(&file) {
        let ring = RingReader::open(path)?;
        let end = ring.recorded();
        Ok(Box::new(UpTo { source: ring, end }))
    } else {
        Ok(Box::new(Continued::new(TraceReader::of(file, path)?)))
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    File::open(path).map_err(|error| {
        io::Error::new(error.kind(), format!("{}: cannot open the recording: {error}", path.display()))
    })
}

/// A ring up to what was recorded when it was opened.
struct UpTo {
    source: RingReader,
    end: u64,
}

impl Source for UpTo {
    fn header(&self) -> &Header {
        self.source.header()
    }

    fn read(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> io::Result<Progress> {
        let progress = self.source.read(limit, sink)?;
        let is_over = progress == Progress::More && self.source.position() >= self.end;
        Ok(if is_over { Progress::Idle } else { progress })
    }
}
