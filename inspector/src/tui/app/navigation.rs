//! Which screen and which pages are in front; the mouse.

use ratatui::layout::Position;

use super::{App, Effect, Pane, Part, SCREENS, Session, Subject};

impl App {
    /// The mouse was pressed.
    pub fn click(&mut self, column: u16, row: u16) {
        self.session.dirty = true;
        let at = Position::new(column, row);
        match (self.tabs.at(at), self.pages.last_mut()) {
            (Some(index), _) => self.show_number(index),
            (None, Some(page)) => page.click(&mut self.session, at),
            (None, None) => self.screens[self.front].click(&mut self.session, at),
        }
    }

    /// Leaves the mouse to the terminal, or takes it back.
    pub(super) fn toggle_mouse(&mut self) -> Effect {
        self.session.mouse ^= true;
        self.session.note(match self.session.mouse {
            true => "the mouse selects rows and screens",
            false => "the mouse is left to the terminal, which selects text with it",
        });
        Effect::Mouse(self.session.mouse)
    }

    /// Shows a page, or closes it if it is on top.
    pub(super) fn toggle(&mut self, page: Box<dyn Pane>) {
        let top = self.pages.last().map(|top| (top.title(), top.subject()));
        if top == Some((page.title(), page.subject())) {
            self.pages.pop();
        } else {
            self.pages.push(page);
        }
    }

    /// What is selected in the pane that is in front.
    pub(super) fn selected(&self) -> Option<Subject> {
        self.pages.last().unwrap_or(&self.screens[self.front]).selected(&self.session)
    }

    /// What is selected in the pane that is in front goes to the clipboard.
    pub(super) fn copy(&mut self, part: Part) -> Effect {
        let top = self.pages.last().unwrap_or(&self.screens[self.front]);
        let Some(mut copied) = top.copy(&mut self.session, part).filter(|copied| !copied.text.is_empty()) else {
            self.session.note("nothing is selected that could be copied");
            return Effect::None;
        };
        let sentence = copied.cut();
        self.session.note(sentence);
        Effect::Copy(copied.text)
    }

    /// The same with a page about what is selected, if there is such a page about it.
    pub(super) fn toggle_selected(&mut self, page: impl FnOnce(&Session, Subject) -> Option<Box<dyn Pane>>) {
        match self.selected().map(|subject| page(&self.session, subject)) {
            Some(Some(page)) => self.toggle(page),
            Some(None) => self.session.note("only a coroutine has variables"),
            None => self.session.note(self.screens[self.front].none_selected()),
        }
    }

    /// Shows the screen of that name.
    pub(super) fn show(&mut self, title: &str) {
        if let Some(index) = SCREENS.iter().position(|screen| screen.title == title) {
            self.pages.clear();
            self.front = index;
            self.screens[index].enter(&mut self.session);
            self.session.dirty = true;
        }
    }

    /// Shows a screen by its number from 0 on, if there is something to show.
    pub(super) fn show_number(&mut self, index: usize) {
        match self.screens.get(index) {
            Some(screen) if screen.is_there(&self.session) => self.show(screen.title()),
            Some(screen) => self.session.note(screen.why_not_there()),
            None => {}
        }
    }

    /// Shows the screen that is so many further, of those where there is something to show.
    pub(super) fn turn_screen(&mut self, by: usize) {
        let count = self.screens.len();
        let step = if by == 1 { 1 } else { count - 1 };
        let others = (1..count).map(|turn| (self.front + turn * step) % count);
        let next = others.into_iter().find(|index| self.screens[*index].is_there(&self.session));
        if let Some(index) = next {
            self.show_number(index);
        }
    }
}
