//! `check PID|CORE`.

use std::io::{self, Write};
use std::process::ExitCode;

use tinyio_tasks::Options;

use super::tasks::picture;

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    /// The process id, or a core file
    #[arg(value_name = "PID|CORE")]
    target: String,
    /// One JSON object, for programs to read
    #[arg(long)]
    json: bool,
}

/// Prints the tasks of a program that can never go on, with proofs; the exit code is 1 if there are any.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let picture = picture(&args.target, &Options::default())?;
    let found = tinyio_tasks::check(&picture).map_err(io::Error::other)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        serde_json::to_writer(&mut out, &found)?;
        writeln!(out)?;
    } else {
        out.write_all(found.text(&picture).as_bytes())?;
    }
    out.flush()?;
    Ok(if found.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
