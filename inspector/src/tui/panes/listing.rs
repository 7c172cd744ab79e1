//! A table with a row per thing that is no coroutine, one of which is selected.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::tui::keys::Action;
use crate::tui::pane::Reply;
use crate::tui::session::Session;
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

    /// Selects the next of these rows with a name that matches what was searched for; notes it if there is none.
    pub fn find(&mut self, session: &mut Session, names: Vec<(K, String)>, forward: bool, noun: &str) {
        match session.search.find(names, self.list.selected, forward) {
            Some(found) => self.list.selected = Some(found),
            None => session.note(format!("no {noun} matches {:?}", session.search.text)),
        }
    }

    /// Selects the row that is there.
    pub fn click(&mut self, at: Position) {
        self.list.selected = self.hits.at(at).or(self.list.selected);
    }

    /// Draws the rows, or that sentence if there are none; what was searched for is marked in the column of that
    /// number.
    #[expect(clippy::too_many_arguments, reason = "what a table is, and where")]
    pub fn draw<const N: usize>(
        &mut self,
        session: &Session,
        marked: usize,
        buf: &mut Buffer,
        area: Rect,
        rows: &[K],
        none: &str,
        columns: [Column; N],
        row: impl Fn(K) -> Option<[Cell; N]>,
    ) {
        let theme = &session.theme;
        if rows.is_empty() {
            self.hits.clear();
            empty(buf, theme, area, &[none]);
            return;
        }
        let mut table = Table::new(theme, columns).marked(session.search.marks(), marked);
        table.draw(buf, area, &mut self.list, rows, &mut self.hits, row);
    }
}
