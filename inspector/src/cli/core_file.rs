//! `core FILE`.

use std::io;
use std::path::PathBuf;

use super::pictures::Pictures;

/// See [`show`].
#[derive(clap::Args)]
pub struct Args {
    /// The core file; the program has to be where it was, or in a folder of `--debug-dir`
    file: PathBuf,
    #[command(flatten)]
    debug: super::DebugInfo,
}

/// Shows the tasks in a core file.
pub fn show(args: &Args) -> io::Result<()> {
    super::show(Box::new(Pictures::of_core(&args.file, &args.debug.options())?), None)
}
