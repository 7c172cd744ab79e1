//! A recording in the formats of other tools.
//!
//! Chrome, Perfetto and JSON Lines are written while the recording is read: memory grows with what lives at a time, not
//! with the run. Folded stacks grow with the number of different stacks; the others show a moment.

mod chrome;
mod folded;
mod html;
mod jsonl;
mod perfetto;
mod proto;
mod spans;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::str::FromStr;

pub use folded::By;
use spans::{Sink, Spans};

use crate::event::Kind;
use crate::source::Source;
use crate::time_point::{self, At};
use crate::tree;

/// A format of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Trace Event JSON, for `chrome://tracing` and Perfetto: a track per coroutine, arrows from waker to woken.
    Chrome,
    /// Perfetto's own format: the same, smaller and with nanoseconds.
    Perfetto,
    /// Folded stacks, for flame graphs: coroutines from the root down, with the nanoseconds they were busy or blocked.
    Folded,
    /// The graph at a moment, for Graphviz.
    Dot,
    /// The graph at a moment, for Mermaid.
    Mermaid,
    /// One page of a crash or a moment, which needs no network.
    Html,
    /// The events, one a line: what a ring holds, as a trace.
    Jsonl,
}

impl Format {
    /// Their names, as [`FromStr`] takes them.
    pub const NAMES: [&str; 7] = ["chrome", "perfetto", "folded", "dot", "mermaid", "html", "jsonl"];

    /// Whether it is no text.
    pub fn is_binary(self) -> bool {
        self == Format::Perfetto
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        Ok(match text {
            "chrome" => Format::Chrome,
            "perfetto" => Format::Perfetto,
            "folded" => Format::Folded,
            "dot" => Format::Dot,
            "mermaid" => Format::Mermaid,
            "html" => Format::Html,
            "jsonl" => Format::Jsonl,
            _ => return Err(format!("{text:?} is no format: expected one of {}", Format::NAMES.join(", "))),
        })
    }
}

/// What to export.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Up to when, or which moment; without it all of it, or the end.
    pub at: Option<At>,
    /// What folded stacks count.
    pub by: By,
    /// The recording's file, for the page to say.
    pub file: Option<String>,
}

/// Writes a recording in a format.
///
/// # Errors
///
/// Those of the source and of `out`.
pub fn export(source: &mut dyn Source, format: Format, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Chrome => stream(source, options, chrome::Chrome::new(out)),
        Format::Perfetto => stream(source, options, perfetto::Perfetto::new(out)),
        Format::Folded => stream(source, options, folded::Folded::new(out, options.by)),
        Format::Jsonl => jsonl::write(source, options.at, out),
        Format::Dot | Format::Mermaid => {
            let moment = time_point::fold(source, options.at, &mut |_, _| Ok(()))?;
            let format = if format == Format::Dot { tree::Format::Dot } else { tree::Format::Mermaid };
            tree::write(moment.graph(), format, out)
        }
        Format::Html => {
            let moment = time_point::fold(source, options.at, &mut |_, _| Ok(()))?;
            html::write(&moment, options.file.as_deref(), out)
        }
    }
}

/// Why there are no timelines of pictures.
const NO_TIMES: &str = "of a program that is not recorded no times are known, which this format consists of; dot, mermaid, \
                        html and jsonl have what is known";

fn stream<S: Sink>(source: &mut dyn Source, options: &Options, sink: S) -> io::Result<()> {
    let mut spans = Spans::new(sink);
    let mut has_begun = false;
    let moment = time_point::fold(source, options.at, &mut |model, event| {
        if let Kind::Picture { .. } = event.kind {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, NO_TIMES));
        }
        if !std::mem::replace(&mut has_begun, true) {
            spans.begin(model.header())?;
        }
        spans.event(model, event)
    })?;
    if !has_begun {
        spans.begin(moment.model.header())?;
    }
    spans.finish(&moment.model)
}
