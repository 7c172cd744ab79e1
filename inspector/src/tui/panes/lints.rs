//! The page of the lints, one sentence each.

use ratatui::text::{Line, Span};

use super::page::Page;
use crate::tui::pane::Pane;
use crate::tui::session::Session;
use crate::tui::text::wrap;
use crate::tui::widgets::heading;

/// Creates the page of what is probably wrong.
pub fn page() -> Box<dyn Pane> {
    Page::new("Lints", lines)
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
