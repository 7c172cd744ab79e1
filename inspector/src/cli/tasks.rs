//! `tasks PID|CORE`.

use std::io::{self, Write};
use std::process::ExitCode;

use tinyio_tasks::{Options, Picture};

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
    #[command(flatten)]
    debug: super::DebugInfo,
}

/// Reads the tasks of a process, or those in a core file if the target is no number.
pub fn picture(target: &str, options: &Options) -> io::Result<Picture> {
    let picture = match target.parse() {
        Ok(pid) => tinyio_tasks::take(pid, options),
        Err(_) => tinyio_tasks::take_core(target.as_ref(), options),
    };
    picture.map_err(io::Error::other)
}

/// Prints every task of a program that was not prepared for it.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let picture = picture(&args.target, &Options { no_stop: args.no_stop, ..args.debug.options() })?;
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
