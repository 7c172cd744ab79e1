//! Moving about: through the screens, through pages, with the mouse.

use super::{Action, App, Effect, Hit, PageKind, Screen};
use crate::tui::tree_view::Node;

/// Columns that a page moves sideways, and the most it does.
const SIDEWAYS: u16 = 8;
const FAR: u16 = 400;

impl App {
    /// The mouse was pressed.
    pub fn click(&mut self, column: u16, row: u16) {
        self.dirty = true;
        let at = ratatui::layout::Position::new(column, row);
        let Some((_, hit)) = self.hits.iter().rev().find(|(area, _)| area.contains(at)).copied() else { return };
        match hit {
            Hit::Tab(screen) => self.go_to_screen(screen),
            Hit::Node(node) if self.graph.cursor == Some(node) => {
                let fold = self.is_open(node);
                self.move_in_screen(if fold { Action::Left } else { Action::Right });
            }
            Hit::Node(node) => self.select_node(node),
            Hit::Coro(id) => self.select(id),
            Hit::Thread(id) => {
                self.threads.selected = Some(id);
                self.selected = self.model().thread(id).map(|thread| thread.coro);
            }
            Hit::Resource(id) => self.resources.selected = Some(id),
            Hit::Stack(stack) => self.select_stack(stack),
            Hit::Frame(frame) => {
                if let Some(crash) = &mut self.crash {
                    crash.frame = frame;
                }
            }
            Hit::Moment(time) => {
                self.go_to_time(time);
            }
        }
    }

    pub(super) fn move_in_screen(&mut self, action: Action) {
        match self.screen {
            Screen::Graph if self.graph.drawn => crate::tui::panes::graph_canvas::update(self, action),
            Screen::Graph => self.move_in_graph(action),
            Screen::Coroutines => crate::tui::panes::coroutines::update(self, action),
            Screen::Threads => crate::tui::panes::threads::update(self, action),
            Screen::Resources => crate::tui::panes::resources::update(self, action),
            Screen::Timeline => crate::tui::panes::timeline::update(self, action),
            Screen::Log => crate::tui::panes::log::update(self, action),
            Screen::Crash => {}
        }
    }

    fn move_in_graph(&mut self, action: Action) {
        let page = i32::from(self.rows.max(2)) - 1;
        let by = match action {
            Action::Up => -1,
            Action::Down => 1,
            Action::PageUp => -page,
            Action::PageDown => page,
            Action::HalfUp => -page / 2,
            Action::HalfDown => page / 2,
            _ => 0,
        };
        let cursor = self.graph.cursor;
        let mut row = i32::from(self.graph.row);
        let node = self.tree(|view| match (action, cursor) {
            (Action::Top, _) => {
                row = 0;
                view.first()
            }
            (Action::Bottom, _) => {
                row = i32::MAX;
                view.last()
            }
            (_, None) => view.first(),
            (Action::Left, Some(node)) if view.is_open(node) && view.has_children(node) => {
                view.set_open(node, false);
                Some(node)
            }
            (Action::Left, Some(node)) => view.parent(node),
            (Action::Right, Some(Node::Reference { to, .. })) => view.reveal(to),
            (Action::Right, Some(node)) if !view.is_open(node) => {
                view.set_open(node, true);
                Some(node)
            }
            (Action::Right, Some(node)) if view.has_children(node) => view.next(node),
            (_, Some(mut node)) => {
                for _ in 0..by.abs() {
                    let Some(next) = (if by > 0 { view.next(node) } else { view.previous(node) }) else { break };
                    node = next;
                    row += by.signum();
                }
                Some(node)
            }
        });
        self.graph.row = row.clamp(0, i32::from(self.rows.saturating_sub(1))) as u16;
        if let Some(node) = node {
            self.select_node(node);
        }
    }

    pub(super) fn update_page(&mut self, action: Action) -> Effect {
        let rows = usize::from(self.rows.max(1));
        let Some(page) = self.pages.last_mut() else { return Effect::None };
        if page.what == PageKind::Stacks {
            return self.update_stacks(action);
        }
        // What is wrapped has nothing to the right.
        let is_cut = matches!(page.what, PageKind::Source { .. } | PageKind::Printed(_));
        match action {
            Action::Left => page.left = page.left.saturating_sub(SIDEWAYS),
            Action::Right if is_cut => page.left = page.left.saturating_add(SIDEWAYS).min(FAR),
            _ => {}
        }
        // Drawing brings what is too far down back to the last line.
        page.scroll = match action {
            Action::Up => page.scroll.saturating_sub(1),
            Action::Down => page.scroll.saturating_add(1),
            Action::PageUp => page.scroll.saturating_sub(rows),
            Action::PageDown => page.scroll.saturating_add(rows),
            Action::HalfUp => page.scroll.saturating_sub(rows / 2),
            Action::HalfDown => page.scroll.saturating_add(rows / 2),
            Action::Top => 0,
            Action::Bottom => usize::MAX,
            Action::Edit => return self.edit(),
            Action::Open => {
                self.pages.pop();
                return Effect::None;
            }
            _ => page.scroll,
        };
        Effect::None
    }
}
