//! Parts that panes are built of. They know no pane.

pub mod footer;
pub mod header;
mod hits;
mod list;
mod pager;
mod rule;
mod table;

pub use hits::Hits;
pub use list::List;
pub use pager::Pager;
pub use rule::{horizontal, vertical};
pub use table::{Cell, Column, Table, Width};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::session::Session;
use super::text::{fit, moment, pad, slice, width, wrap};
use super::theme::Theme;
use crate::event::Local;

/// One column of space left and right.
pub fn inset(area: Rect) -> Rect {
    let space = u16::from(area.width > 30);
    Rect { x: area.x + space, width: area.width.saturating_sub(2 * space), ..area }
}

/// A line in at most that many columns, its end replaced by `…` where it does not fit.
pub fn put(buf: &mut Buffer, x: u16, y: u16, line: &Line, columns: u16) {
    buf.set_line(x, y, &slice(line, 0, usize::from(columns)), columns);
}

/// Lines from the top of an area on, as many as there is room for, and how many more there are. Returns how many lines
/// were drawn.
pub fn put_lines(buf: &mut Buffer, theme: &Theme, area: Rect, lines: &[Line]) -> usize {
    let high = usize::from(area.height);
    let rows = if lines.len() > high && high >= ROWS_WITH_HINT { high - 1 } else { high.min(lines.len()) };
    let left_out = lines.len() - rows;
    let hint = if left_out > 0 { format!(" {left_out} more ") } else { String::new() };
    for (row, line) in (0..).zip(&lines[..rows]) {
        // Without a row of its own the hint has the end of the last one.
        let taken = if rows == high && usize::from(row) + 1 == rows { width(&hint) as u16 } else { 0 };
        put(buf, area.x, area.y + row, line, area.width.saturating_sub(taken));
    }
    if high > 0 {
        right(buf, area.x, area.bottom() - 1, area.width, &hint, theme.key);
    }
    rows
}

/// In an area of at least so many rows, the number of lines that there was no room for has a row of its own.
const ROWS_WITH_HINT: usize = 4;

/// A text that ends at the right edge.
pub fn right(buf: &mut Buffer, x: u16, y: u16, wide: u16, text: &str, style: Style) {
    let text = fit(text, usize::from(wide));
    let at = x + wide.saturating_sub(width(&text) as u16);
    buf.set_stringn(at, y, &text, usize::from(wide), style);
}

/// Shows what to do where there is nothing to show.
pub fn empty(buf: &mut Buffer, theme: &Theme, area: Rect, sentences: &[&str]) {
    let wide = usize::from(area.width.saturating_sub(4).max(1));
    let lines: Vec<_> = sentences.iter().flat_map(|one| wrap(one, wide)).collect();
    let top = area.y + area.height.saturating_sub(lines.len() as u16) / 3;
    for (row, line) in lines.iter().take(usize::from(area.height)).enumerate() {
        let x = area.x + area.width.saturating_sub(width(line) as u16) / 2;
        buf.set_stringn(x, top + row as u16, line, usize::from(area.width), theme.dim);
    }
}

/// A line of label and value.
pub fn labelled(theme: &Theme, label: &str, value: String) -> Line<'static> {
    Line::from(vec![Span::styled(pad(label, 9), theme.dim), Span::styled(value, theme.text)])
}

/// What happened at a moment of the past.
pub fn history_line(session: &Session, at: u64, what: &str, wide: usize) -> Line<'static> {
    let at = moment(at);
    let room = wide.saturating_sub(width(&at) + 4);
    Line::from(vec![
        Span::styled(format!("  {at}  "), session.theme.dim),
        Span::styled(fit(what, room), session.theme.text),
    ])
}

/// A heading.
pub fn heading(theme: &Theme, text: &str) -> Line<'static> {
    Line::styled(text.to_owned(), theme.title)
}

/// What is to be noted of a variable besides its value, unless the value contains it: `<moved>`.
pub fn mark_of(local: &Local) -> Option<&str> {
    let contained = local.value.text.trim_matches(['<', '>']) == local.mark;
    Some(local.mark.as_str()).filter(|mark| !mark.is_empty() && !contained)
}

/// A local variable, with how far its value can be relied on; its name has so many columns.
pub fn local_line(theme: &Theme, local: &Local, mark: Option<&str>, names: usize, wide: usize) -> Line<'static> {
    let mark = mark.map(|mark| format!("  ({mark})")).unwrap_or_default();
    let room = wide.saturating_sub(names + 3);
    // Both are cut where there is no room for both, the value last.
    let value = fit(&local.value.text, room.saturating_sub(width(&mark)).max(room / 2));
    let mark = fit(&mark, room.saturating_sub(width(&value)));
    Line::from(vec![
        Span::styled(pad(&local.name, names), theme.name),
        Span::styled(" = ", theme.dim),
        Span::styled(value, theme.text),
        Span::styled(mark, theme.warning),
    ])
}

#[cfg(test)]
mod tests {
    use tinyio_events::event::Value;

    use super::*;
    use crate::tui::theme::DARK;

    #[test]
    fn a_mark_leaves_room_for_the_value() {
        let value = Value { text: "6..600".into(), ..Value::default() };
        let local = Local { name: "iter".into(), value, mark: String::new() };
        let mark = Some("iterator of the for loop, mid-step");
        let line = |wide| local_line(&DARK, &local, mark, 4, wide).to_string();
        assert_eq!(line(80), "iter = 6..600  (iterator of the for loop, mid-step)");
        assert_eq!(line(40), "iter = 6..600  (iterator of the for loo…");
        assert_eq!(line(12), "iter = 6…  …");
    }
}
