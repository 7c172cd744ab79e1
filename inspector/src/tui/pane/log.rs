//! What the program said: its output, its log events, and tinyio's own remarks.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::App;
use crate::model::LogLine;
use crate::tui::keys::Action;
use crate::tui::text::{clock, fit, pad, printable};

/// The log's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Only lines with this in them.
    pub filter: String,
    /// The stream position of the last line shown; none: follow.
    pub until: Option<u64>,
    /// The line last found.
    pub found: Option<u64>,
}

impl State {
    /// Takes in a line that the program wrote.
    pub fn push_output(&mut self, _at: u64, _text: String) {}
}

/// Scrolls. Any way but down to the end stops following.
pub fn update(app: &mut App, action: Action) {
    let rows = usize::from(app.rows.max(1));
    let lines: Vec<u64> = matching(app).map(|line| line.seq).collect();
    let last = lines.len().saturating_sub(1);
    let here = app.log.until.and_then(|seq| lines.iter().position(|one| *one >= seq)).unwrap_or(last);
    let there = match action {
        Action::Up => here.saturating_sub(1),
        Action::Down => here + 1,
        Action::PageUp => here.saturating_sub(rows),
        Action::PageDown => here + rows,
        Action::HalfUp => here.saturating_sub(rows / 2),
        Action::HalfDown => here + rows / 2,
        Action::Top => rows.saturating_sub(1),
        Action::Bottom => last,
        _ => return,
    };
    let there = if action == Action::Bottom { last } else { there.max(rows.saturating_sub(1).min(last)) };
    app.log.until = if there >= last { None } else { lines.get(there).copied() };
}

/// Goes to the next line with what was searched for.
pub fn find(app: &mut App, forward: bool) {
    let needle = app.search.to_lowercase();
    let found: Vec<u64> =
        matching(app).filter(|line| text(line).to_lowercase().contains(&needle)).map(|line| line.seq).collect();
    let here = app.log.found.unwrap_or(if forward { 0 } else { u64::MAX });
    let next = if forward {
        found.iter().position(|seq| *seq > here).unwrap_or(0)
    } else {
        found.iter().rposition(|seq| *seq < here).unwrap_or(found.len().saturating_sub(1))
    };
    match found.get(next) {
        Some(seq) => {
            app.log.found = Some(*seq);
            app.log.until = Some(*seq);
            app.found = Some((next + 1, found.len()));
        }
        None => {
            app.found = None;
            app.notice = Some(format!("no line has {:?}", app.search));
        }
    }
}

fn matching(app: &App) -> impl DoubleEndedIterator<Item = &LogLine> + '_ {
    let needle = app.log.filter.to_lowercase();
    let fits = move |line: &&LogLine| needle.is_empty() || text(line).to_lowercase().contains(&needle);
    app.model().log().iter().map(|line| &**line).filter(fits)
}

fn text(line: &LogLine) -> String {
    let mut text = line.text.trim_end_matches('\n').to_owned();
    for (name, value) in &line.fields {
        text += &format!(" {name}={value}");
    }
    text
}

/// The lines, the latest at the bottom.
pub fn render(buf: &mut Buffer, app: &mut App, area: Rect) {
    let theme = app.theme;
    let until = app.log.until.unwrap_or(u64::MAX);
    let rows = usize::from(area.height);
    let mut shown: Vec<&LogLine> = matching(app).rev().filter(|line| line.seq <= until).take(rows).collect();
    shown.reverse();
    if shown.is_empty() {
        let sentence = if app.log.filter.is_empty() {
            "nothing was said yet: output of the program and tracing events come here"
        } else {
            "no line has what the filter asks for: f changes it"
        };
        super::empty(buf, app, area, &[sentence]);
        return;
    }
    let model = app.model();
    let widest = if area.width >= 60 { 16 } else { 0 };
    for (row, line) in shown.iter().enumerate() {
        let (style, level) = theme.level(line.level);
        let who = if line.coro == 0 { String::new() } else { model.label(line.coro) };
        let mut spans = vec![
            Span::styled(format!(" {} ", clock(line.at, 3)), theme.dim),
            Span::styled(format!("{} ", pad(level, 6)), style),
        ];
        if widest > 0 {
            spans.push(Span::styled(format!("{} ", pad(&who, widest)), theme.name));
        }
        if !line.target.is_empty() {
            spans.push(Span::styled(format!("{}: ", fit(&line.target, 24)), theme.dim));
        }
        let found = app.log.found == Some(line.seq);
        spans.push(Span::styled(printable(&text(line)), if found { theme.found } else { theme.text }));
        buf.set_line(area.x, area.y + row as u16, &Line::from(spans), area.width);
    }
    if app.log.until.is_some() {
        super::right(buf, area.x, area.bottom() - 1, area.width, " G follows again ", theme.key);
    }
}
