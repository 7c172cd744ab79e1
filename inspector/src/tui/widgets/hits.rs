//! Where clickable things were drawn, for the mouse.

use ratatui::layout::{Position, Rect};

/// What was drawn where, until it is drawn again.
#[derive(Clone, Debug)]
pub struct Hits<T>(Vec<(Rect, T)>);

impl<T> Default for Hits<T> {
    fn default() -> Self {
        Hits(Vec::new())
    }
}

impl<T: Copy> Hits<T> {
    /// Forgets all: they are drawn anew.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Something was drawn there.
    pub fn add(&mut self, area: Rect, what: T) {
        self.0.push((area, what));
    }

    /// All that was drawn.
    pub fn all(&self) -> impl Iterator<Item = T> {
        self.0.iter().map(|(_, what)| *what)
    }

    /// What is there, the latest drawn first.
    pub fn at(&self, position: Position) -> Option<T> {
        self.0.iter().rev().find(|(area, _)| area.contains(position)).map(|(_, what)| *what)
    }
}
