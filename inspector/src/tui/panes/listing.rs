//! A table with a row per thing that is no coroutine, one of which is selected.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::tui::keys::Action;
use crate::tui::pane::Reply;
use crate::tui::theme::Theme;
use crate::tui::widgets::{Cell, Column, Hits, List, Table, empty};

/// The selected row, and where each row was drawn.
#[derive(Debug)]
pub struct Listing<K> {
    list: List<K>,
    hits: Hits<K>,
}

impl<K> Default for Listing<K> {
    fn default() -> Self {
        Listing { list: List::default(), hits: Hits::default() }
    }
}

impl<K: Copy + PartialEq> Listing<K> {
    /// The selected one.
    pub fn selected(&self) -> Option<K> {
        self.list.selected
    }

    /// Moves through the rows, which are these.
    pub fn act(&mut self, rows: &[K], action: Action) -> Reply {
        if matches!(action, Action::Open | Action::Filter) {
            return Reply::Ignored;
        }
        self.list.act(rows, action);
        Reply::Done
    }

    /// Selects the row that is there.
    pub fn click(&mut self, at: Position) {
        self.list.selected = self.hits.at(at).or(self.list.selected);
    }

    /// Draws the rows, or that sentence if there are none.
    #[expect(clippy::too_many_arguments, reason = "what a table is, and where")]
    pub fn draw<const N: usize>(
        &mut self,
        theme: &Theme,
        buf: &mut Buffer,
        area: Rect,
        rows: &[K],
        none: &str,
        columns: [Column; N],
        row: impl Fn(K) -> Option<[Cell; N]>,
    ) {
        if rows.is_empty() {
            self.hits.clear();
            empty(buf, theme, area, &[none]);
            return;
        }
        Table::new(theme, columns).draw(buf, area, &mut self.list, rows, &mut self.hits, row);
    }
}
