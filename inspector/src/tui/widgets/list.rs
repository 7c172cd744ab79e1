//! A list with a selection.

use std::ops::Range;

use crate::tui::keys::Action;

/// A list with one selected entry, identified by its id and not by its row.
#[derive(Clone, Debug)]
pub struct List<K> {
    /// The selected one.
    pub selected: Option<K>,
    /// The first row shown.
    pub top: usize,
    /// Its row when it was last seen, for when it goes.
    row: usize,
    /// How many rows there was room for when it was last drawn.
    rows: usize,
}

impl<K> Default for List<K> {
    fn default() -> Self {
        List { selected: None, top: 0, row: 0, rows: 10 }
    }
}

impl<K: Copy + PartialEq> List<K> {
    /// Moves the selection through `keys`, which are all there are, in order.
    pub fn act(&mut self, keys: &[K], action: Action) {
        let page = self.rows.max(1);
        let here = self.index(keys);
        let there = match action {
            Action::Up => here.saturating_sub(1),
            Action::Down => here + 1,
            Action::PageUp => here.saturating_sub(page),
            Action::PageDown => here + page,
            Action::HalfUp => here.saturating_sub(page / 2),
            Action::HalfDown => here + page / 2,
            Action::Top => 0,
            Action::Bottom => usize::MAX,
            _ => here,
        };
        self.row = there.min(keys.len().saturating_sub(1));
        self.selected = keys.get(self.row).copied();
    }

    /// The row of the selected one; of its successor, once it went.
    fn index(&self, keys: &[K]) -> usize {
        let found = self.selected.and_then(|selected| {
            // It is nearly always where it was.
            if keys.get(self.row) == Some(&selected) {
                return Some(self.row);
            }
            keys.iter().position(|key| *key == selected)
        });
        found.unwrap_or(self.row.min(keys.len().saturating_sub(1)))
    }

    /// The rows to show, such that the selected one is among them.
    pub fn window(&mut self, keys: &[K], rows: usize) -> Range<usize> {
        let here = self.index(keys);
        self.rows = rows;
        self.row = here;
        self.selected = keys.get(here).copied();
        if here < self.top {
            self.top = here;
        } else if here >= self.top + rows {
            self.top = here + 1 - rows.max(1);
        }
        self.top = self.top.min(keys.len().saturating_sub(rows));
        self.top..keys.len().min(self.top + rows)
    }
}
