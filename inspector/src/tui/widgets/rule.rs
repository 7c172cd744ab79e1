//! Lines between panes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::theme::Theme;

/// Fills an area with horizontal lines.
pub fn horizontal(buf: &mut Buffer, theme: &Theme, area: Rect) {
    for y in area.top()..area.bottom() {
        let text = theme.glyphs.horizontal.repeat(usize::from(area.width));
        buf.set_stringn(area.x, y, text, usize::from(area.width), theme.line);
    }
}

/// Fills an area with vertical lines that meet the horizontal ones right above and below it.
pub fn vertical(buf: &mut Buffer, theme: &Theme, area: Rect) {
    let glyphs = &theme.glyphs;
    for x in area.left()..area.right() {
        for y in area.top()..area.bottom() {
            buf.set_stringn(x, y, glyphs.vertical, 1, theme.line);
        }
        for (y, tee) in [(area.top().checked_sub(1), glyphs.tees[0]), (Some(area.bottom()), glyphs.tees[1])] {
            let y = y.filter(|y| buf.cell((x, *y)).is_some_and(|cell| cell.symbol() == glyphs.horizontal));
            if let Some(y) = y {
                buf.set_stringn(x, y, tee, 1, theme.line);
            }
        }
    }
}
