//! The log: the program's output, its log events, and tinyio's own messages.

use std::collections::VecDeque;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::App;
use crate::model::{LOG, Level, LogLine};
use crate::tui::keys::Action;
use crate::tui::text::{clock, fit, pad};

/// What orders lines: time, then position in the stream.
type Key = (u64, u64);

fn key(line: &LogLine) -> Key {
    (line.at, line.seq)
}

/// The log's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Only lines with this in them.
    pub filter: String,
    /// The last line shown; none: follow.
    pub until: Option<Key>,
    /// The line last found.
    pub found: Option<Key>,
    /// Lines that the recorder takes for output are in `output` already, as they are captured here, too.
    pub captured: Option<Level>,
    /// What the program wrote, where its terminal is ours.
    output: VecDeque<LogLine>,
    written: u64,
}

/// Positions of lines that are no events begin here.
const OUTPUT: u64 = 1 << 62;

impl State {
    /// Takes in a line that the program wrote at this time.
    pub fn push_output(&mut self, at: u64, text: String) {
        // After all events of the same moment, in the order written.
        self.written += 1;
        let seq = OUTPUT + self.written;
        if self.output.len() == LOG {
            self.output.pop_front();
        }
        let level = self.captured.unwrap_or(Level::Stdout);
        let line = LogLine { seq, at, coro: 0, level, target: String::new(), text, fields: Vec::new() };
        self.output.push_back(line);
    }
}

/// Scrolls. Any way but down to the end stops following.
pub fn update(app: &mut App, action: Action) {
    let rows = usize::from(app.rows.max(1));
    let lines: Vec<Key> = matching(app).into_iter().map(key).collect();
    let last = lines.len().saturating_sub(1);
    let here = app.log.until.and_then(|until| lines.iter().position(|one| *one >= until)).unwrap_or(last);
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
    let has = |line: &&LogLine| text(line).to_lowercase().contains(&needle);
    let found: Vec<Key> = matching(app).into_iter().filter(has).map(key).collect();
    let here = app.log.found.unwrap_or(if forward { (0, 0) } else { (u64::MAX, 0) });
    let next = if forward {
        found.iter().position(|key| *key > here).unwrap_or(0)
    } else {
        found.iter().rposition(|key| *key < here).unwrap_or(found.len().saturating_sub(1))
    };
    match found.get(next) {
        Some(key) => {
            app.log.found = Some(*key);
            app.log.until = Some(*key);
            app.found = Some((next + 1, found.len()));
        }
        None => {
            app.found = None;
            app.notice = Some(format!("no line has {:?}", app.search));
        }
    }
}

/// The lines that the filter lets through, in order: events of the stream and captured output, merged.
fn matching(app: &App) -> Vec<&LogLine> {
    let needle = app.log.filter.to_lowercase();
    let now = app.now();
    let recorded = app.model().log().iter().map(|line| &**line);
    let mut lines: Vec<&LogLine> = recorded.filter(|line| Some(line.level) != app.log.captured).collect();
    lines.extend(app.log.output.iter().filter(|line| app.is_live() || line.at <= now));
    // Two sorted runs: a stable sort merges them in one pass.
    lines.sort_by_key(|line| key(line));
    if !needle.is_empty() {
        lines.retain(|line| text(line).to_lowercase().contains(&needle));
    }
    lines
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
    let rows = usize::from(area.height);
    let all = matching(app);
    let end = app.log.until.map_or(all.len(), |until| all.partition_point(|line| key(line) <= until));
    let shown = &all[end.saturating_sub(rows)..end];
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
        let style = if app.log.found == Some(key(line)) { theme.found } else { theme.text };
        spans.extend(crate::tui::ansi::spans(&text(line), style, theme.colours));
        buf.set_line(area.x, area.y + row as u16, &Line::from(spans), area.width);
    }
    if app.log.until.is_some() {
        super::right(buf, area.x, area.bottom() - 1, area.width, " G follows again ", theme.key);
    }
}
