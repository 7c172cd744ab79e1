//! The dependency graph at a moment: as a tree of text, as JSON, for Graphviz and for Mermaid.

mod dot;
mod graph;
mod json;
mod mermaid;
mod rows;
mod text;

use std::io;
use std::str::FromStr;

pub use rows::{Row, What, rows};

use crate::model::Model;

/// How the graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A tree, siblings of one name as one line where there are many.
    Text,
    /// One object with lists of `loops`, `coroutines`, `resources` and `threads`: all of them, none folded.
    Json,
    /// A digraph for Graphviz; alike leaves are one node.
    Dot,
    /// A flowchart for Mermaid; alike leaves are one node.
    Mermaid,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            "dot" => Ok(Format::Dot),
            "mermaid" => Ok(Format::Mermaid),
            _ => Err(format!("{text:?} is no format of a tree: expected text, json, dot or mermaid")),
        }
    }
}

/// Writes the graph.
///
/// # Errors
///
/// Those of `out`.
pub fn write(model: &Model, format: Format, out: &mut dyn io::Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(model, out),
        Format::Json => json::write(model, out),
        Format::Dot => dot::write(model, out),
        Format::Mermaid => mermaid::write(model, out),
    }
}

#[cfg(test)]
mod tests;
