//! What is drawn: one file per pane, each a function of the state and a rectangle.

pub mod coroutines;
pub mod crash;
pub mod detail;
pub mod graph;
pub mod graph_canvas;
pub mod help;
pub mod lints;
pub mod log;
pub mod printed;
pub mod resources;
pub mod source;
pub mod stack_tree;
pub mod threads;
pub mod timeline;
pub mod values;
pub mod why;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};

use crate::event::Local;

use super::app::{App, PageKind, Screen};
use super::keys::Action;
use super::text::{fit, width};

/// Below this there is room for one sentence only.
const SMALLEST: (u16, u16) = (20, 5);
/// From this width on the detail stands beside the graph; tables need more for themselves.
const WIDE: (u16, u16) = (96, 136);

/// Draws everything.
pub fn draw(frame: &mut Frame, app: &mut App) {
    let area = frame.area();
    let buf = frame.buffer_mut();
    app.hits.clear();
    buf.set_style(area, app.theme.text);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small(buf, area);
        return;
    }
    let rule = u16::from(area.height >= 14);
    let tabs = u16::from(area.height >= 8);
    let [top, tab_line, upper, body, lower, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(tabs),
        Constraint::Length(rule),
        Constraint::Fill(1),
        Constraint::Length(rule),
        Constraint::Length(1),
    ])
    .areas(area);
    super::widgets::header::render(buf, app, top);
    super::widgets::header::render_tabs(buf, app, tab_line);
    horizontal(buf, app, upper);
    horizontal(buf, app, lower);
    super::widgets::footer::render(buf, app, bottom);
    app.rows = body.height;
    match app.pages.last().map(|page| page.what.clone()) {
        Some(what) => page(buf, app, body, &what),
        None => screen(buf, app, body, upper, lower),
    }
}

fn screen(buf: &mut Buffer, app: &mut App, body: Rect, upper: Rect, lower: Rect) {
    if app.screen == Screen::Crash {
        crash::render(buf, app, body, upper, lower);
        return;
    }
    let beside = match app.screen {
        Screen::Graph => body.width >= WIDE.0,
        Screen::Coroutines | Screen::Threads | Screen::Resources => body.width >= WIDE.1,
        Screen::Timeline | Screen::Log | Screen::Crash => false,
    };
    let right = if beside { (body.width * 2 / 5).clamp(38, 72) } else { 0 };
    let [list, gap, side] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(u16::from(beside)), Constraint::Length(right)])
            .areas(body);
    match app.screen {
        Screen::Graph if app.graph.drawn => graph_canvas::render(buf, app, list),
        Screen::Graph => graph::render(buf, app, list),
        Screen::Coroutines => coroutines::render(buf, app, list),
        Screen::Threads => threads::render(buf, app, list),
        Screen::Resources => resources::render(buf, app, list),
        Screen::Timeline => timeline::render(buf, app, list),
        Screen::Log => log::render(buf, app, list),
        Screen::Crash => {}
    }
    if beside {
        // After the list, which selects something where nothing is.
        vertical(buf, app, gap, upper, lower);
        detail::render_side(buf, app, inset(side));
    }
}

fn page(buf: &mut Buffer, app: &mut App, area: Rect, what: &PageKind) {
    let inner = inset(area);
    let lines = match what {
        PageKind::Help => help::lines(app, inner.width),
        PageKind::Detail(id) => detail::lines(app, *id, inner.width),
        PageKind::Why(id) => why::lines(app, *id, inner.width),
        PageKind::Values(id) => values::lines(app, *id, inner.width),
        PageKind::Lints => lints::lines(app, inner.width),
        PageKind::Stacks => return stack_tree::render(buf, app, inner),
        PageKind::Source { whole } => source::lines(app, *whole, inner.width),
        PageKind::Printed(list) => printed::lines(app, list, inner.width),
    };
    let rows = usize::from(inner.height);
    let Some(page) = app.pages.last_mut() else { return };
    page.scroll = page.scroll.min(lines.len().saturating_sub(rows));
    let (scroll, left, more) = (page.scroll, page.left, lines.len().saturating_sub(page.scroll + rows));
    for (row, line) in lines.into_iter().skip(scroll).take(rows).enumerate() {
        let area = Rect { y: inner.y + row as u16, height: 1, ..inner };
        Paragraph::new(line).scroll((0, left)).render(area, buf);
    }
    if more > 0 {
        let text = format!(" {more} more ");
        right(buf, inner.x, inner.bottom() - 1, inner.width, &text, app.theme.key);
    }
}

fn too_small(buf: &mut Buffer, area: Rect) {
    let text = fit("too small", usize::from(area.width));
    let x = area.x + area.width.saturating_sub(width(&text) as u16) / 2;
    buf.set_stringn(x, area.y + area.height / 2, &text, usize::from(area.width), Style::new());
}

/// One column of air left and right.
fn inset(area: Rect) -> Rect {
    let air = u16::from(area.width > 30);
    Rect { x: area.x + air, width: area.width.saturating_sub(2 * air), ..area }
}

fn horizontal(buf: &mut Buffer, app: &App, area: Rect) {
    for y in area.top()..area.bottom() {
        let text = app.theme.glyphs.horizontal.repeat(usize::from(area.width));
        buf.set_stringn(area.x, y, text, usize::from(area.width), app.theme.line);
    }
}

/// A vertical line that meets the rules above and below it.
fn vertical(buf: &mut Buffer, app: &App, area: Rect, upper: Rect, lower: Rect) {
    let glyphs = &app.theme.glyphs;
    let mut put = |y, sign: &str| {
        buf.set_stringn(area.x, y, sign, 1, app.theme.line);
    };
    for y in area.top()..area.bottom() {
        put(y, glyphs.vertical);
    }
    if upper.height > 0 && area.top() == upper.bottom() {
        put(upper.y, glyphs.tees[0]);
    }
    if lower.height > 0 && area.bottom() == lower.top() {
        put(lower.y, glyphs.tees[1]);
    }
}

/// A text that ends at the right edge.
pub(super) fn right(buf: &mut Buffer, x: u16, y: u16, wide: u16, text: &str, style: Style) {
    let text = fit(text, usize::from(wide));
    let at = x + wide.saturating_sub(width(&text) as u16);
    buf.set_stringn(at, y, &text, usize::from(wide), style);
}

/// Shows what to do where there is nothing to show.
fn empty(buf: &mut Buffer, app: &App, area: Rect, sentences: &[&str]) {
    let wide = usize::from(area.width.saturating_sub(4).max(1));
    let lines: Vec<_> = sentences.iter().flat_map(|one| super::text::wrap(one, wide)).collect();
    let top = area.y + area.height.saturating_sub(lines.len() as u16) / 3;
    for (row, line) in lines.iter().take(usize::from(area.height)).enumerate() {
        let x = area.x + area.width.saturating_sub(width(line) as u16) / 2;
        buf.set_stringn(x, top + row as u16, line, usize::from(area.width), app.theme.dim);
    }
}

/// What is to be said of a variable besides its value, unless that says it already: `<moved>`.
fn mark_of(local: &Local) -> Option<&str> {
    let said = local.value.text.trim_matches(['<', '>']) == local.mark;
    Some(local.mark.as_str()).filter(|mark| !mark.is_empty() && !said)
}

/// A line of label and value.
fn labelled(app: &App, label: &str, value: String) -> Line<'static> {
    Line::from(vec![Span::styled(super::text::pad(label, 9), app.theme.dim), Span::styled(value, app.theme.text)])
}

fn heading(app: &App, text: &str) -> Line<'static> {
    Line::styled(text.to_owned(), app.theme.title)
}

/// A list with one selected entry, identified by its id and not by its row.
#[derive(Clone, Debug)]
pub struct List<K> {
    /// The selected one.
    pub selected: Option<K>,
    /// The first row shown.
    pub top: usize,
    /// Its row when it was last seen, for when it goes.
    pub row: usize,
}

impl<K> Default for List<K> {
    fn default() -> Self {
        List { selected: None, top: 0, row: 0 }
    }
}

impl<K: Copy + PartialEq> List<K> {
    /// Moves the selection through `keys`, which are all there are, in order.
    pub fn update(&mut self, keys: &[K], action: Action, rows: u16) {
        let page = usize::from(rows.max(2)) - 1;
        let here = self.index(keys);
        let there = match action {
            Action::Up => here.saturating_sub(1),
            Action::Down => here + 1,
            Action::PageUp => here.saturating_sub(page),
            Action::PageDown => here + page,
            Action::HalfUp => here.saturating_sub(page / 2),
            Action::HalfDown => here + page / 2,
            Action::Top => 0,
            Action::Bottom => usize::MAX,
            _ => here,
        };
        self.row = there.min(keys.len().saturating_sub(1));
        self.selected = keys.get(self.row).copied();
    }

    /// The row of the selected one; of its successor, once it went.
    pub fn index(&self, keys: &[K]) -> usize {
        let found = self.selected.and_then(|selected| {
            // It is nearly always where it was.
            if keys.get(self.row) == Some(&selected) {
                return Some(self.row);
            }
            keys.iter().position(|key| *key == selected)
        });
        found.unwrap_or(self.row.min(keys.len().saturating_sub(1)))
    }

    /// The rows to show, such that the selected one is among them.
    pub fn window(&mut self, keys: &[K], rows: usize) -> std::ops::Range<usize> {
        let here = self.index(keys);
        self.row = here;
        self.selected = keys.get(here).copied();
        if here < self.top {
            self.top = here;
        } else if here >= self.top + rows {
            self.top = here + 1 - rows.max(1);
        }
        self.top = self.top.min(keys.len().saturating_sub(rows));
        self.top..keys.len().min(self.top + rows)
    }
}
