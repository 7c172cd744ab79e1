//! `why FILE ID`.

use std::io;
use std::process::ExitCode;

use tinyio_inspector::model::Model;
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
    /// One JSON object, for programs to read
    #[arg(long)]
    json: bool,
}

fn number(text: &str) -> Result<u64, String> {
    // As it is called elsewhere: `fetch #17`.
    let digits = text.rsplit_once('#').map_or(text, |(_, digits)| digits);
    let number = match digits.strip_prefix("0x") {
        // As tasks of async-executor are numbered.
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    number.map_err(|_| format!("{text:?} is no coroutine: expected its number, such as 17 or #17"))
}

/// Prints why a coroutine is still waiting.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let moment = args.input.load(args.at)?;
    // A coroutine that the crash is about may be gone from the graph.
    let text = [moment.graph(), &moment.model].into_iter().find_map(|model| write(model, args).transpose());
    let Some(text) = text.transpose()? else {
        let file = args.input.file.display();
        let what = format!(
            "{file}: no coroutine #{} is known then; `tinyio-inspector tree {file}` lists those alive",
            args.id
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    };
    super::stdout::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The chain in the requested form. `None` if nothing is known of the coroutine.
fn write(model: &Model, args: &Args) -> io::Result<Option<Vec<u8>>> {
    if !args.json {
        return Ok(why::text(model, args.id).map(String::into_bytes));
    }
    let mut text = Vec::new();
    Ok(why::json(model, args.id, &mut text)?.then_some(text))
}
