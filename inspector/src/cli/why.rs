//! `why FILE [ID]`.

use std::io;
use std::process::ExitCode;

use tinyio_inspector::event::CoroId;
use tinyio_inspector::model::{Coro, Model, short_name};
use tinyio_inspector::time_point::At;
use tinyio_inspector::why;

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: super::Input,
    /// The coroutine: its number, 17 or #17, or its name; without it the first one of the program
    #[arg(value_name = "ID")]
    which: Option<String>,
    /// The moment: 12.3s, 00:12.4, or right after an event, #1234; without it the end, or right before a crash
    #[arg(long, value_name = "T")]
    at: Option<At>,
    /// One JSON object, for programs to read
    #[arg(long)]
    json: bool,
}

/// The number in a text: 17, #17, or `fetch #17` as it is called elsewhere.
fn number(text: &str) -> Option<CoroId> {
    let digits = text.rsplit_once('#').map_or(text, |(_, digits)| digits);
    match digits.strip_prefix("0x") {
        // As tasks of async-executor are numbered.
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => digits.parse().ok(),
    }
}

/// The coroutine that is asked for. `None` if nothing is known of it.
///
/// # Errors
///
/// One sentence, if several have that name.
fn find(model: &Model, which: Option<&str>) -> Result<Option<CoroId>, String> {
    let Some(which) = which else { return Ok(model.roots().next().map(|coro| coro.id)) };
    if let Some(number) = number(which) {
        return Ok(model.coro(number).map(|coro| coro.id));
    }
    let is_called = |coro: &&Coro| {
        let name = model.full_name(coro.id);
        name == which || short_name(name) == which || model.label(coro.id) == which
    };
    let mut named: Vec<CoroId> = model.live().filter(is_called).map(|coro| coro.id).collect();
    named.sort_unstable();
    match named[..] {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        [first, second, ..] => {
            let many = named.len();
            Err(format!("{many} coroutines are called {which:?}, #{first} and #{second} among them: give a number"))
        }
    }
}

/// Prints why a coroutine is still waiting.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let moment = args.input.load(args.at)?;
    let file = args.input.file.display();
    // A coroutine that the crash is about may be gone from the graph.
    for model in [moment.graph(), &moment.model] {
        let found = find(model, args.which.as_deref());
        let found = found.map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, format!("{file}: {why}")))?;
        if let Some(text) = found.map(|id| write(model, id, args.json)).transpose()?.flatten() {
            super::stdout::print(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    let what = match &args.which {
        Some(which) => {
            let which = number(which).map_or_else(|| format!("{which:?}"), |number| format!("#{number}"));
            format!("{file}: no coroutine {which} is known then; `tinyio-inspector tree {file}` lists those alive")
        }
        None => format!("{file}: no coroutine is alive then; --at TIME shows an earlier moment"),
    };
    Err(io::Error::new(io::ErrorKind::NotFound, what))
}

/// The chain in the requested form. `None` if nothing is known of the coroutine.
fn write(model: &Model, id: CoroId, json: bool) -> io::Result<Option<Vec<u8>>> {
    if !json {
        return Ok(why::text(model, id).map(String::into_bytes));
    }
    let mut text = Vec::new();
    Ok(why::json(model, id, &mut text)?.then_some(text))
}
