//! A text that is scrolled.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{inset, put_lines};
use crate::tui::keys::Action;
use crate::tui::text::slice;
use crate::tui::theme::Theme;

/// Columns that a page moves sideways, and the most it does.
const SIDEWAYS: usize = 8;
const FAR: usize = 400;

/// The scroll position of a page of lines.
#[derive(Clone, Debug, Default)]
pub struct Pager {
    /// The first line shown.
    top: usize,
    /// The first column shown.
    left: usize,
    /// How many lines there was room for when it was last drawn.
    rows: usize,
    /// Lines are cut, not wrapped: there may be more to the right.
    is_cut: bool,
}

impl Pager {
    /// Of lines that may be longer than the screen is wide.
    pub fn of_long_lines() -> Pager {
        Pager { is_cut: true, ..Pager::default() }
    }

    /// Goes to the last line.
    pub fn scroll_to_end(&mut self) {
        self.top = usize::MAX;
    }

    /// Goes to where that line is in the middle of so many rows.
    pub fn centre(&mut self, line: usize, rows: u16) {
        self.top = line.saturating_sub(usize::from(rows) / 2);
    }

    /// Scrolls as little as it takes to have these lines on a screen of so many rows. The last of them may be that of a
    /// hint.
    pub fn reveal(&mut self, lines: Range<usize>, rows: usize) {
        let last = lines.end.saturating_sub(rows.saturating_sub(1).max(1));
        // Of more lines than there is room for, some of them.
        self.top = self.top.clamp(last.min(lines.start), last.max(lines.start));
    }

    /// The first line shown, as it was last drawn.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Draws the lines from the first one shown on; `lines` gets the width.
    pub fn draw(&mut self, theme: &Theme, buf: &mut Buffer, area: Rect, lines: impl FnOnce(u16) -> Vec<Line<'static>>) {
        let inner = inset(area);
        let lines = lines(inner.width);
        self.top = self.top.min(lines.len().saturating_sub(usize::from(inner.height)));
        let room = usize::from(inner.width);
        let lines: Vec<_> = lines[self.top..].iter().map(|line| slice(line, self.left, room)).collect();
        self.rows = put_lines(buf, theme, inner, &lines);
    }

    /// Scrolls.
    pub fn act(&mut self, action: Action) {
        let rows = self.rows.max(1);
        // Drawing brings what is too far down back to the last line.
        self.top = match action {
            Action::Up => self.top.saturating_sub(1),
            Action::Down => self.top.saturating_add(1),
            Action::PageUp => self.top.saturating_sub(rows),
            Action::PageDown => self.top.saturating_add(rows),
            Action::HalfUp => self.top.saturating_sub(rows / 2),
            Action::HalfDown => self.top.saturating_add(rows / 2),
            Action::Top => 0,
            Action::Bottom => usize::MAX,
            _ => self.top,
        };
        match action {
            Action::Left => self.left = self.left.saturating_sub(SIDEWAYS),
            Action::Right if self.is_cut => self.left = (self.left + SIDEWAYS).min(FAR),
            _ => {}
        }
    }
}
