//! The coroutines as a table.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::{App, List};
use crate::event::{CoroId, NameId};
use crate::model::{Coro, Model, Site, short_name};
use crate::say;
use crate::tui::app::Hit;
use crate::tui::filter::Filter;
use crate::tui::keys::Action;
use crate::tui::text::{count, fit, pad, pad_left, span};

/// What the rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Number.
    #[default]
    Id,
    /// Name.
    Name,
    /// State.
    State,
    /// How long it has been in it.
    Age,
    /// Steps.
    Steps,
    /// Time in steps.
    Busy,
}

/// The table's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The selected row and the scroll position.
    pub list: List<CoroId>,
    /// Which ones are shown.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// The other way around.
    pub reverse: bool,
    order: Vec<CoroId>,
    made: Option<Made>,
}

/// When the order was made, and from what.
#[derive(Clone, Debug)]
struct Made {
    position: u64,
    sort: Sort,
    reverse: bool,
    at: Instant,
    took: Duration,
}

impl State {
    /// The next column.
    pub fn next_sort(&mut self) {
        const ORDER: [Sort; 6] = [Sort::Id, Sort::Name, Sort::State, Sort::Age, Sort::Steps, Sort::Busy];
        let at = ORDER.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        self.sort = ORDER[(at + 1) % ORDER.len()];
    }

    /// The most, the longest or the last comes first.
    fn is_descending(&self) -> bool {
        matches!(self.sort, Sort::Age | Sort::Steps | Sort::Busy) != self.reverse
    }

    /// Shows others.
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
        self.made = None;
    }

    /// The order of names, where it is asked for.
    fn name_ranks(&self, model: &Model) -> HashMap<NameId, u64> {
        if self.sort != Sort::Name {
            return HashMap::new();
        }
        let mut names: HashMap<NameId, &str> = HashMap::new();
        for coro in model.live() {
            names.entry(coro.name).or_insert_with(|| short_name(model.name(coro.name)));
        }
        let mut sorted: Vec<_> = names.into_iter().collect();
        sorted.sort_unstable_by_key(|(id, name)| (*name, *id));
        sorted.into_iter().zip(0..).map(|((id, _), rank)| (id, rank)).collect()
    }

    /// Updates the order if it is out of date; for very many coroutines not in every frame, so that it takes a tenth of
    /// the time at most.
    fn refresh(&mut self, model: &Model, position: u64, now: u64) {
        if let Some(made) = &self.made
            && (made.sort, made.reverse) == (self.sort, self.reverse)
            && (made.position == position || made.at.elapsed() < made.took * 10)
        {
            return;
        }
        let at = Instant::now();
        let fits = |coro: &&Coro| self.filter.accepts(model, coro, now);
        let names = self.name_ranks(model);
        let key = |coro: &Coro| match self.sort {
            Sort::Id => 0,
            Sort::Name => names.get(&coro.name).copied().unwrap_or(0),
            Sort::State => coro.activity as u64,
            Sort::Age => coro.since,
            Sort::Steps => u64::MAX - coro.steps,
            Sort::Busy => u64::MAX - coro.busy,
        };
        // Numbers beside each other sort many times quicker than coroutines all over the memory.
        let mut all: Vec<(u64, CoroId)> = model.live().filter(fits).map(|coro| (key(coro), coro.id)).collect();
        if self.sort != Sort::Id {
            all.sort_unstable();
        }
        if self.reverse {
            all.reverse();
        }
        self.order = all.into_iter().map(|(_, id)| id).collect();
        self.made = Some(Made { position, sort: self.sort, reverse: self.reverse, at, took: at.elapsed() });
    }
}

/// Moves through the table.
pub fn update(app: &mut App, action: Action) {
    let mut state = std::mem::take(&mut app.coros);
    state.refresh(app.model(), app.position(), app.now());
    state.list.update(&state.order, action, app.rows);
    app.selected = state.list.selected.or(app.selected);
    app.coros = state;
}

/// A row per coroutine.
pub fn render(buf: &mut Buffer, app: &mut App, area: Rect) {
    let mut state = std::mem::take(&mut app.coros);
    let now = app.now();
    state.refresh(app.model(), app.position(), now);
    if app.selected.is_some() {
        state.list.selected = app.selected;
    }
    let theme = app.theme;
    let wide = usize::from(area.width);
    let name_width = (wide / 4).clamp(8, 28);
    // What a narrow screen has no room for: first where it was spawned, then the number of steps.
    let place_width = if wide < 100 { 0 } else { 20 };
    let with_steps = wide >= 90 || state.sort == Sort::Steps;
    let what_width = wide.saturating_sub(name_width + 34 + place_width + if with_steps { 9 } else { 0 }).clamp(14, 60);
    let title = |sort, text: &str| {
        let by = if state.sort == sort { theme.glyphs.sorted[usize::from(state.is_descending())] } else { "" };
        format!("{text}{by}")
    };
    let mut columns = vec![
        (Sort::Id, pad_left(&title(Sort::Id, "id"), 7)),
        (Sort::Name, pad(&title(Sort::Name, "name"), name_width)),
        (Sort::Age, pad_left(&title(Sort::Age, "for"), 10)),
        (Sort::State, pad(&title(Sort::State, "what it is at"), what_width)),
        (Sort::Steps, pad_left(&title(Sort::Steps, "steps"), 8)),
        (Sort::Busy, pad_left(&title(Sort::Busy, "busy"), 9)),
    ];
    columns.retain(|(sort, _)| *sort != Sort::Steps || with_steps);
    let mut x = area.x + 2;
    for (sort, text) in &columns {
        let sorted = *sort == state.sort;
        let style = if sorted { theme.title.add_modifier(Modifier::UNDERLINED) } else { theme.dim };
        let room = usize::from(area.right().saturating_sub(x));
        x = buf.set_stringn(x, area.y, text, room, style).0 + 1;
    }
    let footer = u16::from(!state.filter.text.is_empty());
    let rows = usize::from(area.height.saturating_sub(1 + footer));
    let window = state.list.window(&state.order, rows);
    for (row, id) in state.order[window].iter().enumerate() {
        let y = area.y + 1 + row as u16;
        let line = Rect { y, height: 1, ..area };
        let model = app.model();
        let Some(coro) = model.coro(*id) else { continue };
        let place = model.site(coro.site).filter(|_| place_width > 0).map(Site::short).unwrap_or_default();
        let steps = if with_steps { format!(" {}", pad_left(&count(coro.steps), 8)) } else { String::new() };
        let text = format!(
            "{} {} {} {}{steps} {}  {place}",
            pad_left(&id.to_string(), 6),
            pad(short_name(model.name(coro.name)), name_width),
            pad_left(&span(coro.for_how_long(now)), 10),
            pad(&say::doing(model, coro, now), what_width),
            pad_left(&span(coro.busy), 9),
        );
        let room = usize::from(area.width.saturating_sub(3));
        buf.set_stringn(area.x + 1, y, theme.sign(coro.activity), 1, theme.activity(coro.activity));
        buf.set_stringn(area.x + 3, y, fit(&text, room), room, theme.text);
        if state.list.selected == Some(*id) {
            buf.set_style(line, theme.selected);
        }
        app.hits.push((line, Hit::Coro(*id)));
    }
    if state.order.is_empty() {
        let none: &[&str] = match footer {
            0 => &["nothing lives at this moment", ", goes back in time, event by event"],
            _ => &["none is as the filter asks: f changes it"],
        };
        super::empty(buf, app, area, none);
    }
    if footer > 0 {
        let text = format!(
            " {} of {} · {}",
            count(state.order.len() as u64),
            count(app.model().live_count() as u64),
            state.filter.text
        );
        buf.set_stringn(area.x, area.bottom() - 1, fit(&text, wide), wide, theme.key);
    }
    // What is selected elsewhere need not be among those shown here.
    if app.selected.is_none() {
        app.selected = state.list.selected;
    }
    app.coros = state;
}
