//! The page of values that were printed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::page::{ANY_WIDTH, scroll};
use crate::event::Value;
use crate::tui::clipboard::{Copied, Part};
use crate::tui::crash_view::value_path::{completions, look_up};
use crate::tui::keys::{Action, Context};
use crate::tui::pane::{Pane, Reply};
use crate::tui::prompt::Purpose;
use crate::tui::session::Session;
use crate::tui::text::{fit, wrap};
use crate::tui::theme::Theme;
use crate::tui::widgets::Pager;

/// How deep and how long a value is unfolded, unless all of it is asked for.
const SOME: (usize, usize) = (2, 12);
/// The same, if it is.
pub const ALL: (usize, usize) = (64, 100_000);

/// What was printed so far, the latest last.
#[derive(Debug)]
pub struct Printed {
    entries: Vec<Entry>,
    pager: Pager,
}

/// A variable, or a part of one, that was printed.
#[derive(Debug)]
struct Entry {
    path: String,
    /// The value, or why there is none.
    value: Result<Value, String>,
    /// Unfolded to the last.
    all: bool,
}

impl Entry {
    /// Looks the path up in the selected frame.
    fn new(session: &Session, purpose: Purpose, path: &str) -> Option<Entry> {
        let located = session.crash.as_ref()?.current()?;
        let value = look_up(&located.frame, path).cloned();
        Some(Entry { path: path.to_owned(), value, all: purpose == Purpose::PrintAll })
    }
}

impl Printed {
    /// With the value at a path, if a frame is selected.
    pub fn new(session: &Session, purpose: Purpose, path: &str) -> Option<Printed> {
        let entries = vec![Entry::new(session, purpose, path)?];
        Some(Printed { entries, pager: Pager::of_long_lines() })
    }
}

/// The ways to go on with a path into the selected frame.
pub fn paths(session: &Session, text: &str) -> Vec<String> {
    let located = session.crash.as_ref().and_then(|crash| crash.current());
    located.map(|located| completions(&located.frame, text)).unwrap_or_default()
}

impl Pane for Printed {
    fn title(&self) -> &'static str {
        "Printed"
    }

    fn contexts(&self) -> Vec<Context> {
        vec![Context::PAGE]
    }

    /// The value printed last, or its path.
    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        let Entry { path, value, .. } = self.entries.last()?;
        if part == Part::Name {
            return Some(Copied::new("path", path));
        }
        let mut lines = Vec::new();
        unfold(&session.theme, "", value.as_ref().ok()?, 1, ALL.0, ALL.1, usize::from(ANY_WIDTH), &mut lines);
        let lines: Vec<String> = lines.iter().map(|line| line.to_string().trim_end().to_owned()).collect();
        Some(Copied::new(format!("value of {path}"), lines.join("\n").trim_start()))
    }

    fn act(&mut self, _session: &mut Session, action: Action) -> Reply {
        match action {
            Action::Print => Reply::Ask(Purpose::Print, String::new()),
            action => scroll(&mut self.pager, action),
        }
    }

    fn accepted(&mut self, session: &mut Session, purpose: Purpose, text: &str) -> Result<Reply, String> {
        self.entries.extend(Entry::new(session, purpose, text));
        self.pager.scroll_to_end();
        Ok(Reply::Done)
    }

    fn completions(&self, session: &Session, _purpose: Purpose, text: &str) -> Vec<String> {
        paths(session, text)
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let entries = &self.entries;
        self.pager.draw(&session.theme, buf, area, |wide| lines(&session.theme, entries, wide));
    }
}

fn lines(theme: &Theme, entries: &[Entry], wide: u16) -> Vec<Line<'static>> {
    let wide = usize::from(wide);
    let mut lines = Vec::new();
    for Entry { path, value, all } in entries {
        lines.push(Line::from(vec![
            Span::styled(if *all { "P " } else { "p " }, theme.key),
            Span::styled(path.clone(), theme.title),
        ]));
        match value {
            Ok(value) => {
                let (depth, length) = if *all { ALL } else { SOME };
                unfold(theme, "", value, 1, depth, length, wide, &mut lines);
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

/// A value in lines, its parts below it down to a `depth` and up to a `length` of each.
#[expect(clippy::too_many_arguments, reason = "a recursion over a tree, with its bounds")]
pub fn unfold(
    theme: &Theme,
    name: &str,
    value: &Value,
    level: usize,
    depth: usize,
    length: usize,
    wide: usize,
    lines: &mut Vec<Line<'static>>,
) {
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
        unfold(theme, name, child, level + 1, depth - 1, length, wide, lines);
    }
    if value.children.len() > length {
        lines
            .push(Line::styled(format!("{indent}  … {} more, P prints all", value.children.len() - length), theme.dim));
    }
}
