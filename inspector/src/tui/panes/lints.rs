//! The page of the lints, one sentence each.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::page::Page;
use crate::tui::pane::Pane;
use crate::tui::session::Session;
use crate::tui::text::{moment, wrap};
use crate::tui::widgets::heading;

/// Creates the page of what is probably wrong.
pub fn page() -> Box<dyn Pane> {
    Page::of_lines("Lints", lines)
}

fn lines(session: &Session, wide: u16) -> Vec<Line<'static>> {
    let theme = &session.theme;
    let mut lines = vec![heading(theme, "Lints"), Line::default()];
    let mut sentence = |text: &str, sign: &'static str, sign_style: Style, style: Style| {
        for (index, part) in wrap(text, usize::from(wide).saturating_sub(4).max(10)).into_iter().enumerate() {
            let sign = if index == 0 { sign } else { " " };
            lines.push(Line::from(vec![Span::styled(format!("{sign} "), sign_style), Span::styled(part, style)]));
        }
    };
    for lint in &session.lints {
        sentence(&lint.text, theme.glyphs.warning, theme.warning, theme.text);
        // Of what was proved, the facts.
        let finding = session.model().findings_of(lint.coro).find(|finding| finding.text == lint.text);
        for fact in finding.into_iter().flat_map(|finding| &finding.proof) {
            sentence(fact, " ", theme.dim, theme.dim);
        }
    }
    // At a moment of the past, those that had passed by then.
    let passed: Vec<_> = session.passed.iter().rev().filter(|passed| passed.at <= session.now()).collect();
    if session.lints.is_empty() {
        sentence("no lint at this moment", " ", theme.dim, theme.dim);
    }
    for passed in passed {
        let text = format!("until {}: {}", moment(passed.at), passed.lint.text);
        sentence(&text, theme.glyphs.dot, theme.dim, theme.dim);
    }
    lines
}
