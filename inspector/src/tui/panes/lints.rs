//! The page of the lints, one sentence each.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Pane, Reply, scroll};
use crate::tui::keys::{Action, Context};
use crate::tui::session::Session;
use crate::tui::text::wrap;
use crate::tui::widgets::{Pager, heading};

/// What is probably wrong.
#[derive(Debug, Default)]
pub struct Lints {
    pager: Pager,
}

impl Pane for Lints {
    fn title(&self) -> &'static str {
        "Lints"
    }

    fn contexts(&self) -> Vec<Context> {
        vec![Context::PAGE]
    }

    fn act(&mut self, _session: &mut Session, action: Action) -> Reply {
        scroll(&mut self.pager, action)
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        self.pager.draw(&session.theme, buf, area, |wide| lines(session, wide));
    }
}

fn lines(session: &Session, wide: u16) -> Vec<Line<'static>> {
    let theme = &session.theme;
    let mut lines = vec![heading(theme, "Lints"), Line::default()];
    for lint in &session.lints {
        for (index, part) in wrap(&lint.text, usize::from(wide).saturating_sub(4).max(10)).into_iter().enumerate() {
            let sign = if index == 0 { theme.glyphs.warning } else { " " };
            lines.push(Line::from(vec![Span::styled(format!("{sign} "), theme.warning), Span::raw(part)]));
        }
    }
    if session.lints.is_empty() {
        lines.push(Line::styled("no lint at this moment", theme.dim));
    }
    lines
}
