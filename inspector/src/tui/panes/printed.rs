//! Values that were printed.

use ratatui::text::{Line, Span};

use super::App;
use crate::event::Value;
use crate::tui::text::{fit, wrap};

/// How deep and how long a value is unfolded, unless all of it is asked for.
const SOME: (usize, usize) = (2, 12);
/// The same, if it is.
pub(super) const ALL: (usize, usize) = (64, 100_000);

/// What was printed so far, the latest last.
pub fn lines(app: &App, printed: &[(String, Result<Value, String>, bool)], wide: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let wide = usize::from(wide);
    let mut lines = Vec::new();
    for (path, value, all) in printed {
        lines.push(Line::from(vec![
            Span::styled(if *all { "P " } else { "p " }, theme.key),
            Span::styled(path.clone(), theme.title),
        ]));
        match value {
            Ok(value) => {
                let (depth, length) = if *all { ALL } else { SOME };
                unfold(app, "", value, 1, depth, length, wide, &mut lines);
            }
            Err(error) => {
                let parts = wrap(error, wide.saturating_sub(2).max(10)).into_iter();
                lines.extend(parts.map(|part| Line::styled(format!("  {part}"), theme.failed)));
            }
        }
        lines.push(Line::default());
    }
    lines.push(Line::styled("p prints more, q goes back", theme.dim));
    lines
}

#[expect(clippy::too_many_arguments, reason = "a recursion over a tree, with its bounds")]
pub(super) fn unfold(
    app: &App,
    name: &str,
    value: &Value,
    level: usize,
    depth: usize,
    length: usize,
    wide: usize,
    lines: &mut Vec<Line<'static>>,
) {
    let theme = &app.theme;
    let indent = "  ".repeat(level.min(20));
    let lead = if name.is_empty() { indent.clone() } else { format!("{indent}{name} = ") };
    let open = !value.children.is_empty() && depth > 0 && lead.len() + value.text.len() > wide * 2 / 3;
    let open = open || (!value.children.is_empty() && depth > 0 && level == 1);
    let kind = if value.type_name.is_empty() { String::new() } else { format!("  {}", value.type_name) };
    let mut spans = vec![Span::styled(lead.clone(), theme.name)];
    if open {
        spans.push(Span::styled(kind.trim_start().to_owned(), theme.types));
    } else {
        // A long text on its own is wrapped, not cut: it was asked for.
        let mut parts = wrap(&value.text, wide.saturating_sub(lead.len()).max(20)).into_iter();
        spans.push(Span::raw(parts.next().unwrap_or_default()));
        if parts.len() == 0 && level == 1 {
            spans.push(Span::styled(fit(&kind, wide / 3), theme.types));
        }
        lines.push(Line::from(spans));
        lines.extend(parts.map(|part| Line::raw(format!("{indent}{part}"))));
        return;
    }
    lines.push(Line::from(spans));
    for (name, child) in value.children.iter().take(length) {
        unfold(app, name, child, level + 1, depth - 1, length, wide, lines);
    }
    if value.children.len() > length {
        lines
            .push(Line::styled(format!("{indent}  … {} more, P prints all", value.children.len() - length), theme.dim));
    }
}
