//! `tree FILE`.

use std::io::{self, Write};
use std::process::ExitCode;

use tinyio_inspector::time_point::At;
use tinyio_inspector::tree::{self, Format};

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: super::Input,
    /// The moment: 12.3s, 00:12.4, or right after an event, #1234; without it the end, or right before a crash
    #[arg(long, value_name = "T")]
    at: Option<At>,
    /// text, json, dot or mermaid
    #[arg(long, default_value = "text")]
    format: Format,
    /// One JSON object, for programs to read: the same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// Prints the dependency graph at a moment.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let moment = args.input.load(args.at)?;
    let mut out = super::stdout::open()?;
    let format = if args.json { Format::Json } else { args.format };
    tree::write(moment.graph(), format, &mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
