//! A screen as text that a reviewer can read: what is on it, and its styles as spans.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Of more rows alike than this, all but the first are one line that counts them.
const ALIKE: usize = 3;

/// The rows of a screen, without the spaces at their ends.
pub(super) fn text(buffer: &Buffer) -> String {
    let row = |y| (0..buffer.area.width).map(move |x| buffer[(x, y)].symbol()).collect::<String>();
    let rows: Vec<String> = (0..buffer.area.height).map(|y| format!("|{}\n", row(y).trim_end())).collect();
    let runs = rows.chunk_by(|one, next| one == next).map(|run| match run.len() {
        few @ ..=ALIKE => run[0].repeat(few),
        many => format!("{}⋮ {} more such rows\n", run[0], many - 1),
    });
    runs.collect()
}

/// Per row the columns that have another style than plain text, as `3: 0..12 bold cyan`.
pub(super) fn styles(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let row: Vec<String> = (0..buffer.area.width).map(|x| style(&buffer[(x, y)])).collect();
        let mut spans = Vec::new();
        let mut from = 0;
        for run in row.chunk_by(|one, next| one == next) {
            if !run[0].is_empty() {
                spans.push(format!("{from}..{} {}", from + run.len(), run[0]));
            }
            from += run.len();
        }
        if !spans.is_empty() {
            _ = writeln!(out, "{y:2}: {}", spans.join(", "));
        }
    }
    out
}

fn style(cell: &Cell) -> String {
    let mut words = Vec::new();
    let modifiers = [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::ITALIC, "italic"),
        (Modifier::UNDERLINED, "underlined"),
        (Modifier::REVERSED, "reversed"),
    ];
    words.extend(modifiers.iter().filter(|(one, _)| cell.modifier.contains(*one)).map(|(_, word)| (*word).to_owned()));
    if cell.fg != Color::Reset {
        words.push(cell.fg.to_string().to_lowercase());
    }
    if cell.bg != Color::Reset {
        words.push(format!("on {}", cell.bg.to_string().to_lowercase()));
    }
    words.join(" ")
}
