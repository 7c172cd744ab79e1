//! `clean`.

use std::io::{self, Write};
use std::process::ExitCode;

use tinyio_inspector::discover;
use tinyio_inspector::one_line;

use super::list;

/// See [`clean`].
#[derive(clap::Args)]
pub struct Args {
    /// Print what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Removes the recordings of this user's programs that are gone; the exit code is 2 if one could not be removed.
pub fn clean(args: &Args) -> io::Result<ExitCode> {
    let mut out = super::stdout::open()?;
    let removed = discover::remove_dead(args.dry_run)?;
    for (ring, bytes) in &removed.rings {
        writeln!(out, "{}  {bytes} bytes  {}", list::line(ring), one_line(&ring.path.display().to_string()))?;
    }
    let bytes: u64 = removed.rings.iter().map(|(_, bytes)| bytes).sum();
    let what = if args.dry_run { "to be removed" } else { "removed" };
    let number = removed.rings.len();
    let recordings = if number == 1 { "recording" } else { "recordings" };
    writeln!(out, "{what}: {number} {recordings} of programs that are gone, {bytes} bytes")?;
    out.flush()?;
    for (path, error) in &removed.failed {
        let path = one_line(&path.display().to_string());
        eprintln!("tinyio-inspector: {path}: cannot be removed: {error}");
    }
    Ok(if removed.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
