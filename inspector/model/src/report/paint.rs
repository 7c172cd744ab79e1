//! Lines of text with colours, or without.

use crate::format::{self, one_line};

/// Text being written.
pub(super) struct Page {
    text: String,
    color: bool,
    width: usize,
    column: usize,
}

/// How a piece of text looks.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    /// What went wrong.
    Bad,
    /// What went well.
    Good,
    /// Names of coroutines and functions.
    Name,
    /// Names of variables.
    Variable,
    /// Secondary information.
    Dim,
    /// The most important line.
    Strong,
    Plain,
}

impl Page {
    pub(super) fn new(color: bool, width: usize) -> Page {
        Page { text: String::new(), color, width: width.max(40), column: 0 }
    }

    /// Begins a line.
    pub(super) fn begin(&mut self, indent: usize) -> &mut Page {
        self.column = 0;
        self.space(indent)
    }

    /// Ends a line.
    pub(super) fn end(&mut self) {
        let kept = self.text.trim_end_matches(' ').len();
        self.text.truncate(kept);
        self.text.push('\n');
        self.column = 0;
    }

    /// An empty line, unless there is one already.
    pub(super) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Writes text, which stays on the line: control sequences in it have no effect on a terminal.
    pub(super) fn put(&mut self, text: &str, ink: Ink) -> &mut Page {
        let text = one_line(text);
        let code = match ink {
            Ink::Bad => "1;31",
            Ink::Good => "1;32",
            Ink::Name => "36",
            Ink::Variable => "33",
            Ink::Dim => "2",
            Ink::Strong => "1",
            Ink::Plain => "",
        };
        self.column += format::width(&text);
        if self.color && !code.is_empty() && !text.trim().is_empty() {
            self.text.push_str(&format!("\u{1b}[{code}m{text}\u{1b}[0m"));
        } else {
            self.text.push_str(&text);
        }
        self
    }

    pub(super) fn plain(&mut self, text: &str) -> &mut Page {
        self.put(text, Ink::Plain)
    }

    pub(super) fn dim(&mut self, text: &str) -> &mut Page {
        self.put(text, Ink::Dim)
    }

    pub(super) fn name(&mut self, text: &str) -> &mut Page {
        self.put(text, Ink::Name)
    }

    pub(super) fn space(&mut self, columns: usize) -> &mut Page {
        self.put(&" ".repeat(columns), Ink::Plain)
    }

    /// Spaces up to a column, two at least.
    pub(super) fn to(&mut self, column: usize) -> &mut Page {
        self.space(column.saturating_sub(self.column).max(2))
    }

    /// Columns left on the line.
    pub(super) fn left(&self) -> usize {
        self.width.saturating_sub(self.column)
    }

    /// Columns there would be left from a column on, or from here if that is further right.
    pub(super) fn left_from(&self, column: usize) -> usize {
        self.width.saturating_sub(column.max(self.column))
    }

    /// Columns written on the line.
    pub(super) fn column(&self) -> usize {
        self.column
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}
