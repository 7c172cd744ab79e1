//! `tasks PID|CORE`.

use std::io::{self, Write};
use std::process::ExitCode;

use tinyio_tasks::Options;

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    /// The process id, or a core file
    #[arg(value_name = "PID|CORE")]
    target: String,
    /// One JSON object, for programs to read
    #[arg(long)]
    json: bool,
    /// Do not stop the program while its memory is copied; what changes meanwhile is marked
    #[arg(long)]
    no_stop: bool,
}

/// Prints every task of a program that was not prepared for it.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let options = Options { no_stop: args.no_stop, limits: None };
    let picture = match args.target.parse() {
        Ok(pid) => tinyio_tasks::take(pid, &options),
        Err(_) => tinyio_tasks::take_core(args.target.as_ref(), &options),
    };
    let picture = picture.map_err(io::Error::other)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.json {
        serde_json::to_writer(&mut out, &picture)?;
        writeln!(out)?;
    } else {
        out.write_all(tinyio_tasks::text(&picture).as_bytes())?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
