//! The screen of the log: the program's output, its log events, and tinyio's own messages.

use std::cmp::Reverse;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::page::Page;
use crate::event::CoroId;
use crate::model::LogLine;
use crate::tui::ansi;
use crate::tui::clipboard::{Copied, Part};
use crate::tui::fuzzy::Fuzzy;
use crate::tui::keys::{Action, bind};
use crate::tui::pane::{Pane, Reply, Screen, Subject};
use crate::tui::prompt::Purpose;
use crate::tui::session::Session;
use crate::tui::text::{fit, moment, pad, width, wrap};
use crate::tui::widgets::{Hits, List, empty, labelled, put, right};

pub const SCREEN: Screen = Screen {
    title: "Log",
    name: "log",
    help: "log: output of the program, log events",
    keys: &[
        bind(&["home", "g"], Action::Top, "log-top", "", "to the oldest line"),
        bind(&["end", "G"], Action::Bottom, "log-bottom", "follow", "to the latest line, and follow"),
        bind(&["right", "l"], Action::Right, "log-line", "whole line", "the selected line as a whole, or the latest"),
    ],
    new: || Box::new(Log::default()),
};

/// The width from which on lines have the names of coroutines, and from which on the targets of messages, which the
/// page of one line has too.
const NAMES: u16 = 60;
const TARGETS: u16 = 100;
const LONGEST_NAME: usize = 16;

/// What stands in the last row while a line is selected.
const FOLLOW: &str = " G follows again ";

/// What orders lines: time, then position in the stream.
type Key = (u64, u64);

fn key(line: &LogLine) -> Key {
    (line.at, line.seq)
}

/// The lines that the filter accepts, the latest at the bottom.
#[derive(Debug, Default)]
struct Log {
    /// Only lines with this in them.
    filter: String,
    /// The lines, with the selected one; none: follow.
    list: List<Key>,
    /// The coroutine of the selected line, 0 for none.
    coro: CoroId,
    /// The line last found.
    found: Option<Key>,
    hits: Hits<Key>,
}

impl Log {
    /// The lines that the filter accepts, in order: events of the stream and captured output, merged.
    fn matching<'a>(&self, session: &'a Session) -> Vec<&'a LogLine> {
        let needle = self.filter.to_lowercase();
        let (output, now) = (&session.output, session.now());
        let recorded = session.model().log().iter().map(|line| &**line);
        let mut lines: Vec<&LogLine> = recorded.filter(|line| Some(line.level) != output.level).collect();
        lines.extend(output.lines().filter(|line| session.playback.is_live() || line.at <= now));
        // Two sorted runs: a stable sort merges them in one pass.
        lines.sort_by_key(|line| key(line));
        if !needle.is_empty() {
            lines.retain(|line| text(line).to_lowercase().contains(&needle));
        }
        lines
    }

    /// The selected line, or the latest one while it follows.
    fn current<'a>(&self, session: &'a Session) -> Option<&'a LogLine> {
        let lines = self.matching(session);
        match self.list.selected {
            Some(selected) => lines.into_iter().find(|line| key(line) == selected),
            None => lines.last().copied(),
        }
    }

    /// Moves to another line. Moving to the last one follows.
    fn go(&mut self, session: &mut Session, action: Action) {
        let lines: Vec<Key> = self.matching(session).into_iter().map(key).collect();
        let last = lines.last().copied();
        if self.list.selected.is_none() {
            self.list.act(&lines, Action::Bottom);
        }
        self.list.act(&lines, action);
        let follows = matches!(action, Action::Down | Action::PageDown | Action::HalfDown | Action::Bottom);
        let selected = self.list.selected.filter(|one| !(follows && Some(*one) == last));
        self.select(session, selected);
    }

    /// Selects a line, and its coroutine on all screens.
    fn select(&mut self, session: &mut Session, selected: Option<Key>) {
        self.list.selected = selected;
        let line = selected.and_then(|selected| self.matching(session).into_iter().find(|line| key(line) == selected));
        self.coro = line.map_or(0, |line| line.coro);
        if self.coro != 0 {
            session.select(self.coro);
        }
    }
}

impl Pane for Log {
    fn title(&self) -> &'static str {
        SCREEN.title
    }

    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        match action {
            Action::Open if self.coro != 0 => return Reply::Ignored,
            Action::Open | Action::Right => match self.current(session) {
                Some(line) => return Reply::Toggle(page(line.clone())),
                None => session.note("there is no line yet"),
            },
            Action::Filter => return Reply::Ask(Purpose::Filter, self.filter.clone()),
            action => self.go(session, action),
        }
        Reply::Done
    }

    fn click(&mut self, session: &mut Session, at: Position) {
        if let Some(line) = self.hits.at(at) {
            self.select(session, Some(line));
        }
    }

    /// The selected line, or the latest one while it follows; of its name the coroutine is.
    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        let line = self.current(session)?;
        match part {
            Part::Whole => Some(Copied::new(format!("line of {}", moment(line.at)), &plain(line))),
            Part::Name if line.coro == 0 => None,
            Part::Name => Some(Copied::new("name", &session.model().label(line.coro))),
        }
    }

    /// The coroutine of the selected line.
    fn selected(&self, _session: &Session) -> Option<Subject> {
        Some(self.coro).filter(|coro| *coro != 0).map(Subject::Coro)
    }

    fn none_selected(&self) -> &'static str {
        match self.list.selected {
            Some(_) => "this line belongs to no coroutine",
            None => "select a line of a coroutine first: k moves up",
        }
    }

    fn typed(&mut self, _session: &mut Session, _purpose: Purpose, text: &str) -> Result<(), String> {
        text.clone_into(&mut self.filter);
        Ok(())
    }

    /// Goes to the next line that matches what was searched for.
    fn find(&mut self, session: &mut Session, forward: bool) -> bool {
        let needle = session.search.text.to_lowercase();
        let mut fuzzy = Fuzzy::new(&needle);
        let rank = |line: &LogLine| {
            let text = plain(line);
            let score = fuzzy.score(&text)?;
            // Lines that have it as it is are in the order of time.
            let has_it = text.to_lowercase().contains(&needle);
            Some((Reverse(if has_it { u16::MAX } else { score }), key(line)))
        };
        let mut found: Vec<_> = self.matching(session).into_iter().filter_map(rank).collect();
        found.sort_unstable();
        let found: Vec<Key> = found.into_iter().map(|(_, key)| key).collect();
        if self.found.is_none() {
            session.search.found = None;
        }
        self.found = session.search.next(&found, self.found, forward);
        match self.found {
            Some(key) => self.select(session, Some(key)),
            None => session.note(format!("no line matches {:?}", session.search.text)),
        }
        true
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let theme = &session.theme;
        let rows = usize::from(area.height);
        self.hits.clear();
        let mut list = std::mem::take(&mut self.list);
        let all = self.matching(session);
        let end = all.len();
        let shown = match list.selected {
            None => {
                list.top = end.saturating_sub(rows);
                list.window(&all.iter().map(|line| key(line)).collect::<Vec<_>>(), rows);
                list.selected = None;
                list.top = end.saturating_sub(rows);
                &all[list.top..]
            }
            Some(_) => &all[list.window(&all.iter().map(|line| key(line)).collect::<Vec<_>>(), rows)],
        };
        let (selected, hits) = (list.selected, &mut self.hits);
        self.list = list;
        if shown.is_empty() {
            let sentence = if self.filter.is_empty() {
                match session.model().picture() {
                    Some(_) => "a program that is not recorded has no log",
                    None => "no line yet: output of the program and tracing events come here",
                }
            } else {
                "no line matches the filter: f changes it"
            };
            empty(buf, theme, area, &[sentence]);
            return;
        }
        let model = session.model();
        let mut marks = session.search.marks();
        let names = shown.iter().filter(|line| line.coro != 0).map(|line| width(&model.label(line.coro)));
        let widest = if area.width >= NAMES { names.max().unwrap_or(0).min(LONGEST_NAME) } else { 0 };
        let has_targets = area.width >= TARGETS;
        for (y, line) in (area.y..).zip(shown) {
            let (style, level) = theme.level(line.level);
            let coro = if line.coro == 0 { String::new() } else { model.label(line.coro) };
            let mut spans = vec![
                Span::styled(format!(" {} ", moment(line.at)), theme.dim),
                Span::styled(format!("{} ", pad(level, 6)), style),
            ];
            if widest > 0 {
                spans.push(Span::styled(format!("{}  ", pad(&coro, widest)), theme.name));
            }
            if has_targets && !line.target.is_empty() {
                spans.push(Span::styled(format!("{}: ", fit(&line.target, 24)), theme.dim));
            }
            let before: usize = spans.iter().map(Span::width).sum();
            spans.extend(ansi::spans(&text(line), theme.text, theme.colours));
            // What stands there has the end of the last row.
            let taken = if y + 1 == area.bottom() && selected.is_some() { FOLLOW.len() as u16 } else { 0 };
            put(buf, area.x, y, &Line::from(spans), area.width.saturating_sub(taken));
            let row = Rect { y, height: 1, ..area };
            if selected == Some(key(line)) {
                buf.set_style(row, theme.selected);
            }
            if let Some(marks) = &mut marks {
                let shown = fit(&plain(line), usize::from(area.width).saturating_sub(before));
                marks.mark(buf, (area.x.saturating_add(before as u16), y), &shown, theme.found);
            }
            hits.add(row, key(line));
        }
        if selected.is_some() {
            right(buf, area.x, area.bottom() - 1, area.width, FOLLOW, theme.key);
        }
    }
}

/// A page of one line, as a whole.
fn page(line: LogLine) -> Box<dyn Pane> {
    Page::of_lines("Log line", move |session, wide| {
        let theme = &session.theme;
        let (style, level) = theme.level(line.level);
        let mut lines = vec![Line::from(vec![
            Span::styled(format!(" {}  ", moment(line.at)), theme.dim),
            Span::styled(level, style),
        ])];
        let about = [("in", session.model().label(line.coro), line.coro != 0)];
        let about = about.into_iter().chain([("target", line.target.clone(), !line.target.is_empty())]);
        lines.extend(about.filter(|(_, _, is_known)| *is_known).map(|(what, value, _)| labelled(theme, what, value)));
        lines.push(Line::default());
        let wide = usize::from(wide).saturating_sub(2).max(8);
        for text in line.text.lines() {
            let text = plain_text(text);
            lines.extend(wrap(&text, wide).into_iter().map(|part| Line::raw(format!(" {part}"))));
        }
        for (name, value) in &line.fields {
            let field = format!("{name} = {value}");
            lines.extend(wrap(&field, wide).into_iter().map(|part| Line::raw(format!(" {part}"))));
        }
        lines
    })
}

/// The text without the escape sequences in it.
fn plain(line: &LogLine) -> String {
    plain_text(&text(line))
}

fn plain_text(text: &str) -> String {
    ansi::spans(text, Style::new(), false).iter().map(|span| &*span.content).collect()
}

fn text(line: &LogLine) -> String {
    let mut text = line.text.trim_end_matches('\n').to_owned();
    for (name, value) in &line.fields {
        text += &format!(" {name}={value}");
    }
    text
}
