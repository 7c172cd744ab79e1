//! `why FILE ID`.

use std::io;
use std::process::ExitCode;

use tinyio_inspector::time_point::At;
use tinyio_inspector::why;

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: super::Input,
    /// The coroutine's number: 17, or #17
    #[arg(value_parser = number)]
    id: u64,
    /// The moment: 12.3s, 00:12.4, or right after an event, #1234; without it the end, or right before a crash
    #[arg(long, value_name = "T")]
    at: Option<At>,
}

fn number(text: &str) -> Result<u64, String> {
    // As it is called elsewhere: `fetch #17`.
    let digits = text.rsplit_once('#').map_or(text, |(_, digits)| digits);
    digits.parse().map_err(|_| format!("{text:?} is no coroutine: expected its number, such as 17 or #17"))
}

/// Prints why a coroutine is still waiting.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let moment = args.input.load(args.at)?;
    let text = why::text(moment.graph(), args.id).or_else(|| why::text(&moment.model, args.id));
    let Some(text) = text else {
        let file = args.input.file.display();
        let what = format!(
            "{file}: no coroutine #{} is known then; `tinyio-inspector tree {file}` lists those alive",
            args.id
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    };
    super::stdout::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
