//! The lints, one sentence each.

use ratatui::text::{Line, Span};

use super::{App, heading};
use crate::tui::text::wrap;

/// The page.
pub fn lines(app: &App, wide: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let mut lines = vec![heading(app, "Lints"), Line::default()];
    for lint in &app.lints {
        for (index, part) in wrap(&lint.text, usize::from(wide).saturating_sub(4).max(10)).into_iter().enumerate() {
            let sign = if index == 0 { theme.glyphs.warning } else { " " };
            lines.push(Line::from(vec![Span::styled(format!("{sign} "), theme.warning), Span::raw(part)]));
        }
    }
    if app.lints.is_empty() {
        lines.push(Line::styled("nothing to complain about", theme.dim));
    }
    lines
}
