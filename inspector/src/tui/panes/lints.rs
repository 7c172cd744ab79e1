//! The page of the lints, one sentence each. To move to one selects its coroutine on all screens.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::page::{ANY_WIDTH, whole};
use crate::event::CoroId;
use crate::tui::clipboard::{Copied, Part};
use crate::tui::keys::{Action, Binding, Context, bind};
use crate::tui::pane::{Pane, Reply, Subject};
use crate::tui::session::Session;
use crate::tui::text::{moment, wrap};
use crate::tui::widgets::{Hits, List, Pager, heading, inset};

const TITLE: &str = "Lints";

pub const CONTEXT: Context = Context(TITLE);
pub const KEYS: &[Binding] = &[
    bind(&["esc", "q"], Action::Back, "lints-back", "back", "back to the screen"),
    bind(&["j", "down"], Action::Down, "lints-next", "next", "the next lint"),
    bind(&["enter"], Action::Open, "lints-detail", "detail", "details of the coroutine that the lint is about"),
    bind(&["w"], Action::Why, "lints-why", "why", "why that coroutine waits"),
];

/// Creates the page of what is probably wrong.
pub fn page() -> Box<dyn Pane> {
    Box::new(Lints::default())
}

/// Which lint it is: its check, its coroutine, when it passed, 0 while it holds, and how many such are before it.
type Key = (&'static str, CoroId, u64, usize);

#[derive(Debug, Default)]
struct Lints {
    list: List<Key>,
    pager: Pager,
    hits: Hits<Key>,
    /// There are lines of the selected one above and below those that are shown.
    goes_on: (bool, bool),
}

/// A lint as it is shown.
struct Entry {
    key: Key,
    lines: Vec<Line<'static>>,
}

impl Lints {
    fn select(&mut self, session: &mut Session) {
        if let Some(key) = self.list.selected.filter(|key| key.1 != 0) {
            session.select(key.1);
        }
    }
}

impl Pane for Lints {
    fn title(&self) -> &'static str {
        TITLE
    }

    fn selected(&self, session: &Session) -> Option<Subject> {
        let coro = self.list.selected.map_or(session.selected, |key| Some(key.1).filter(|coro| *coro != 0));
        coro.map(Subject::Coro)
    }

    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        match part {
            Part::Whole => {
                let lines = entries(session, ANY_WIDTH).into_iter().flat_map(|entry| entry.lines);
                Some(whole(TITLE, &lines.collect::<Vec<_>>()))
            }
            Part::Name => Some(Copied::new("name", &self.selected(session)?.label(session.model()))),
        }
    }

    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        let keys: Vec<Key> = entries(session, ANY_WIDTH).into_iter().map(|entry| entry.key).collect();
        match action {
            Action::Open if keys.is_empty() => return Reply::Close,
            // The details of its coroutine.
            Action::Open => return Reply::Ignored,
            Action::Up | Action::PageUp | Action::HalfUp if self.goes_on.0 => self.pager.act(action),
            Action::Down | Action::PageDown | Action::HalfDown if self.goes_on.1 => self.pager.act(action),
            action => self.list.act(&keys, action),
        }
        self.select(session);
        Reply::Done
    }

    fn click(&mut self, session: &mut Session, at: Position) {
        self.list.selected = self.hits.at(at).or(self.list.selected);
        self.select(session);
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let inner = inset(area);
        let entries = entries(session, inner.width);
        let keys: Vec<Key> = entries.iter().map(|entry| entry.key).collect();
        // It stays selected when others come and go.
        self.list.window(&keys, usize::from(inner.height / 2).max(1));
        let theme = &session.theme;
        let mut lines = vec![heading(theme, TITLE), Line::default()];
        let mut places = Vec::new();
        for entry in entries {
            let first = lines.len();
            let is_selected = self.list.selected == Some(entry.key);
            lines.extend(entry.lines.into_iter().map(|mut line| {
                if is_selected {
                    let rest = usize::from(inner.width).saturating_sub(line.width());
                    line.push_span(" ".repeat(rest));
                    line = line.patch_style(theme.selected);
                }
                line
            }));
            places.push((entry.key, first..lines.len()));
        }
        if places.is_empty() {
            lines.push(Line::styled("  no lint at this moment", theme.dim));
        }
        let selected = places.iter().find(|(key, _)| self.list.selected == Some(*key)).map(|(_, place)| place.clone());
        if let Some(place) = &selected {
            // With the heading above the first one.
            let begin = if self.list.selected == keys.first().copied() { 0 } else { place.start };
            self.pager.reveal(begin..place.end, usize::from(inner.height));
        }
        self.pager.draw(theme, buf, area, |_| lines);
        // The last row may be that of a hint.
        let end = self.pager.top() + usize::from(inner.height.saturating_sub(1));
        self.goes_on = selected.map_or((false, false), |place| (place.start < self.pager.top(), place.end > end));
        self.hits.clear();
        for (key, place) in places {
            let rows =
                place.filter_map(|line| line.checked_sub(self.pager.top())).filter_map(|row| row.try_into().ok());
            for row in rows.filter(|row: &u16| *row < inner.height) {
                self.hits.add(Rect { y: inner.y + row, height: 1, ..inner }, key);
            }
        }
    }
}

/// The lints, those that have passed last.
fn entries(session: &Session, wide: u16) -> Vec<Entry> {
    let theme = &session.theme;
    let sentence = |text: &str, sign: &'static str, sign_style: Style, style: Style| {
        let parts = wrap(text, usize::from(wide).saturating_sub(4).max(10)).into_iter();
        let lines = parts.enumerate().map(move |(index, part)| {
            let sign = if index == 0 { sign } else { " " };
            Line::from(vec![Span::styled(format!("{sign} "), sign_style), Span::styled(part, style)])
        });
        lines.collect::<Vec<_>>()
    };
    let mut entries = Vec::new();
    for lint in &session.lints {
        let mut lines = sentence(&lint.text, theme.glyphs.warning, theme.warning, theme.text);
        // Of what was proved, the facts.
        let finding = session.model().findings_of(lint.coro).find(|finding| finding.text == lint.text);
        for fact in finding.into_iter().flat_map(|finding| &finding.proof) {
            lines.extend(sentence(fact, " ", theme.dim, theme.dim));
        }
        add(&mut entries, (lint.check, lint.coro, 0), lines);
    }
    // At a moment of the past, those that had passed by then.
    for passed in session.passed.iter().rev().filter(|passed| passed.at <= session.now()) {
        let text = format!("until {}: {}", moment(passed.at), passed.lint.text);
        let lines = sentence(&text, theme.glyphs.dot, theme.dim, theme.dim);
        add(&mut entries, (passed.lint.check, passed.lint.coro, passed.at), lines);
    }
    entries
}

fn add(entries: &mut Vec<Entry>, (check, coro, at): (&'static str, CoroId, u64), lines: Vec<Line<'static>>) {
    let before = entries.iter().filter(|entry| (entry.key.0, entry.key.1, entry.key.2) == (check, coro, at)).count();
    entries.push(Entry { key: (check, coro, at, before), lines });
}
