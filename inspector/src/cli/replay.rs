//! `replay FILE` and `last`.

use std::io;
use std::path::PathBuf;

use tinyio_inspector::{discover, trace};

/// See [`replay`].
#[derive(clap::Args)]
pub struct Args {
    /// A JSON trace, or a ring
    file: PathBuf,
}

/// Shows a recording.
pub fn replay(args: &Args) -> io::Result<()> {
    super::show(trace::open(&args.file)?, Some(&args.file))
}

/// Shows the ring of the program that ended or died last.
pub fn last() -> io::Result<()> {
    match discover::last()? {
        Some(ring) => super::show(trace::open(&ring.path)?, Some(&ring.path)),
        None => Err(io::Error::other(
            "no recording of a program that ended is there; TINYIO_INSPECT=record makes one, `list` shows those that live",
        )),
    }
}
