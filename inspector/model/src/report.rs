//! A crash, or without one the end state, as text and as JSON.
//!
//! ```
//! use tinyio_events::event::{Event, Header, Kind, LoopMode, LoopOutcome};
//! use tinyio_model::{model::Model, report};
//!
//! let mut model = Model::new(&Header { program: "crawl".into(), pid: 7, ..Header::default() });
//! for (seq, kind) in [
//!     Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run },
//!     Kind::LoopEnd { id: 1, outcome: LoopOutcome::Ok },
//!     Kind::TraceEnd {},
//! ].into_iter().enumerate() {
//!     model.apply(&Event { seq: seq as u64, at: seq as u64 * 1_500_000_000, kind });
//! }
//! let report = report::text(&model, &report::Options::default());
//! assert_eq!(report, "✔ crawl (pid 7) ended after 3.00 s: no coroutine is left\n");
//! ```

mod crash;
mod end;
mod group;
mod json;
mod native;
mod notes;
mod paint;
mod stack;

use std::io;

pub use group::{Group, Section};
pub use native::{NativeKind, NativeStack, is_frame_at, made_at, message_with_place, native_stacks, panic_place};
pub use notes::notes;
pub use stack::{Shown, Step, as_of, excerpt, is_as_of_suspension, step_of, steps};
pub use stack::{before_place, fields_of, given_name, label};
use tinyio_events::event::{Header, LoopOutcome, Outcome};

use crate::format::{counted, fine_span, is_command};
use crate::model::{Crash, Model};

/// How a report is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// With colours: for a terminal.
    pub color: bool,
    /// Columns to fill. What is longer is cut where it can be, and marked `…`.
    pub width: usize,
    /// The recording, if it is a file: the last line says how to open it.
    pub file: Option<String>,
    /// How the recording ends.
    pub ending: Ending,
    /// Reads the source files of frames that came without their lines.
    pub read_source: ReadSource,
}

/// Gives the text of a source file of the recorded program, if it can be had:
/// [`source_text::read`](tinyio_events::source_text::read), or no text at all.
pub type ReadSource = fn(&str, &Header) -> Option<String>;

impl Default for Options {
    fn default() -> Options {
        Options { color: false, width: 120, file: None, ending: Ending::Living, read_source: |_, _| None }
    }
}

impl Options {
    /// For a terminal of so many columns, or for a file if there is none; with colours if these are wanted.
    pub fn of_terminal(columns: Option<usize>, color: bool) -> Options {
        let default = Options::default();
        let width = columns.filter(|columns| *columns > 0).map_or(default.width, |columns| columns.clamp(40, 200));
        Options { color, width, ..default }
    }
}

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It goes on: the program lives.
    Living,
    /// In good order.
    Ended,
    /// The program died without saying that it ended, or the file was cut.
    Died,
}

/// Returns the crash as text, or without a crash the live coroutines and why they wait; while a loop cancels its
/// coroutines, what failed and then those that are left. Ends with a newline.
pub fn text(model: &Model, options: &Options) -> String {
    let mut page = paint::Page::new(options.color, options.width);
    match model.crash() {
        Some(crash) => {
            crash::write(&mut page, model, crash, options.read_source);
            end::cancelling(&mut page, model, crash, options.ending);
        }
        None => end::write(&mut page, model, options.ending),
    }
    end::isolated(&mut page, model);
    let notes = notes(model);
    if !notes.is_empty() {
        page.blank();
    }
    for line in notes.iter().flat_map(|note| note.lines()) {
        page.begin(2).dim(line).end();
    }
    if let Some(file) = &options.file {
        page.blank();
        page.begin(2).dim("the whole run: ").plain(&format!("tinyio-inspector replay {}", quoted(file))).end();
    }
    page.finish()
}

/// The same as JSON, in one object: see the fields of [`text`]'s parts. `failures` are
/// [`Failure`](tinyio_events::event::Failure)s, each with the stack that is known of it.
///
/// # Errors
///
/// Those of `out`.
pub fn json(model: &Model, options: &Options, out: &mut dyn io::Write) -> io::Result<()> {
    json::write(model, options.ending, out)
}

/// States that the other coroutines are being cancelled, and how many are alive; `None` once the crash is over.
#[must_use]
pub fn cancelling(model: &Model, crash: &Crash, ending: Ending) -> Option<String> {
    let alive = counted(model.live_count() as u64, "coroutine");
    let when = match ending {
        Ending::Living => "are being cancelled".to_owned(),
        Ending::Died if !model.lost().cut => {
            format!("were being cancelled when the program died after {}", fine_span(model.now()))
        }
        Ending::Ended | Ending::Died => "were being cancelled when the recording ended".to_owned(),
    };
    (!crash.is_over).then(|| format!("the other coroutines {when}: {alive} left"))
}

/// Whether anything went wrong: a loop (one that is not isolated) crashed, or cancels because a coroutine failed, or
/// the program did not end in good order.
pub fn has_errors(model: &Model, ending: Ending) -> bool {
    let dropped = model.loops().any(|one| one.parent == 0 && matches!(one.ended, Some((_, LoopOutcome::Crashed))));
    model.crash().is_some() || dropped || (ending == Ending::Died && !model.is_complete())
}

/// A word for the shell.
fn quoted(file: &str) -> String {
    let plain = |one: char| one.is_alphanumeric() || "/._-+,:@%".contains(one);
    if !file.is_empty() && file.chars().all(plain) {
        file.to_owned()
    } else if file.chars().any(is_command) {
        // What a terminal would obey is written as its bytes, which bash, zsh and ksh read again.
        let bytes = |one: char| one.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        let word = |one: char| match one {
            one if is_command(one) => bytes(one),
            '\'' | '\\' => format!("\\{one}"),
            one => one.to_string(),
        };
        format!("$'{}'", file.chars().map(word).collect::<String>())
    } else {
        format!("'{}'", file.replace('\'', "'\\''"))
    }
}

/// The glyph of how something ended.
pub fn glyph(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok | Outcome::Unknown => "✔",
        Outcome::Error | Outcome::Panic => "✖",
        Outcome::Cancelled | Outcome::NeverStarted => "⊘",
        Outcome::Improper => "!",
    }
}

#[cfg(test)]
mod tests;
