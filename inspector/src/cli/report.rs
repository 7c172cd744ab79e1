//! `report FILE`.

use std::io::{self, Write};
use std::process::ExitCode;

use tinyio_inspector::report::{self, Options};
use tinyio_inspector::source_text;

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: super::Input,
    /// One JSON object, for programs to read
    #[arg(long)]
    json: bool,
    /// Exit with 1 if the program crashed or died
    #[arg(long)]
    check: bool,
}

/// Prints the crash of a recording, or without a crash the live coroutines and why they wait.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let moment = args.input.load(None)?;
    let options = Options {
        color: super::color(),
        width: super::width(),
        file: args.input.recording(),
        ending: moment.ending,
        read_source: source_text::read,
    };
    let mut out = super::stdout::open()?;
    if args.json {
        report::json(&moment.model, &options, &mut out)?;
    } else {
        out.write_all(report::text(&moment.model, &options).as_bytes())?;
    }
    out.flush()?;
    let failed = args.check && report::has_errors(&moment.model, moment.ending);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
