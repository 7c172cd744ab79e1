//! The screen of coroutines as a table.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::{TABLE_AND_DETAIL, detail};
use crate::describe;
use crate::event::{CoroId, NameId, number};
use crate::model::{Change, Coro, Model, Site};
use crate::tui::clipboard::{Copied, Part};
use crate::tui::filter::{self, Filter};
use crate::tui::keys::{Action, bind};
use crate::tui::pane::{Pane, Reply, Screen};
use crate::tui::prompt::Purpose;
use crate::tui::session::Session;
use crate::tui::text::{count, fit, span};
use crate::tui::widgets::{Cell, Column, Hits, List, Table, Width, empty};

pub const SCREEN: Screen = Screen {
    title: "Coroutines",
    name: "coroutines",
    help: "coroutines: a table",
    keys: &[
        bind(&["s"], Action::Sort, "sort", "sort", "sort by the next column"),
        bind(&["S"], Action::SortBack, "sort-reverse", "", "reverse the order"),
    ],
    new: || Box::new(Coroutines::default()),
};

/// What the rows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    /// Number.
    #[default]
    Id,
    /// Name.
    Name,
    /// State.
    State,
    /// How long it has been in its state.
    InState,
    /// Steps.
    Steps,
    /// Time in steps.
    Busy,
}

/// A row per live coroutine that the filter accepts.
#[derive(Debug, Default)]
struct Coroutines {
    list: List<CoroId>,
    hits: Hits<CoroId>,
    /// Which ones are shown.
    filter: Filter,
    /// In which order.
    sort: Sort,
    /// The other way around.
    reverse: bool,
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

impl Coroutines {
    /// Sorts by the next column.
    fn next_sort(&mut self) {
        const ORDER: [Sort; 6] = [Sort::Id, Sort::Name, Sort::State, Sort::InState, Sort::Steps, Sort::Busy];
        let at = ORDER.iter().position(|sort| *sort == self.sort).unwrap_or(0);
        self.sort = ORDER[(at + 1) % ORDER.len()];
    }

    /// The most, the longest or the last comes first.
    fn is_descending(&self) -> bool {
        matches!(self.sort, Sort::InState | Sort::Steps | Sort::Busy) != self.reverse
    }

    /// Shows others.
    fn set_filter(&mut self, filter: Filter) {
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
            names.entry(shown_name(coro)).or_insert_with(|| model.short_name_of(coro));
        }
        let mut sorted: Vec<_> = names.into_iter().collect();
        sorted.sort_unstable_by_key(|(id, name)| (*name, *id));
        sorted.into_iter().zip(0..).map(|((id, _), rank)| (id, rank)).collect()
    }

    /// Updates the order if it is out of date; for very many coroutines not in every frame, so that it takes a tenth of
    /// the time at most.
    fn refresh(&mut self, session: &Session) {
        let (model, position, now) = (session.model(), session.playback.position(), session.now());
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
            Sort::Name => names.get(&shown_name(coro)).copied().unwrap_or(0),
            Sort::State => coro.activity as u64,
            Sort::InState => coro.since,
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
        if self.filter.text.is_empty() {
            // A task whose number is another's now is not listed twice.
            self.order.extend(model.gone().filter(|coro| model.coro(coro.id).is_none()).map(|coro| coro.id));
        }
        self.made = Some(Made { position, sort: self.sort, reverse: self.reverse, at, took: at.elapsed() });
    }

    /// What a narrow screen has no room for is left out: first where a coroutine was spawned, then its steps.
    fn columns(&self, model: &Model, wide: u16) -> [Column; 9] {
        let sorted = |by| (self.sort == by).then(|| self.is_descending());
        // A picture has no past: neither steps nor where a task was spawned.
        let has_past = model.picture().is_none();
        let ids = self.order.iter().max().map_or(0, |id| number(*id).len() - 1);
        [
            Column::text("", Width::Fixed(1)),
            Column::text("", Width::Fixed(1)).shown_if(model.changes().is_some()),
            Column::number("id", ids.max(6)).sorted(sorted(Sort::Id)),
            Column::text("name", Width::Part(4, 8..=28)).sorted(sorted(Sort::Name)),
            Column::number("for", 10).sorted(sorted(Sort::InState)),
            Column::text("what it is at", Width::Rest(14..=60)).sorted(sorted(Sort::State)),
            Column::number("steps", 8)
                .sorted(sorted(Sort::Steps))
                .shown_if(has_past && (wide >= 90 || self.sort == Sort::Steps)),
            Column::number("busy", 9).sorted(sorted(Sort::Busy)).shown_if(has_past),
            Column::text("spawned at", Width::Fixed(20)).shown_if(has_past && wide >= 100),
        ]
    }
}

/// The column of the names.
const NAME: usize = 3;

/// A row; that of a task that is no longer there has its name only.
fn cells(session: &Session, id: CoroId) -> Option<[Cell; 9]> {
    let (theme, model, now) = (&session.theme, session.model(), session.now());
    let shown_id = number(id).trim_start_matches('#').to_owned();
    let Some(coro) = model.coro(id) else {
        let gone = model.gone().find(|coro| coro.id == id)?;
        let (name, what) = (model.short_name_of(gone).to_owned(), "gone since the picture before".to_owned());
        let texts = [String::new(), "-".to_owned(), shown_id, name, "–".to_owned(), what];
        let mut texts = texts.into_iter();
        return Some(std::array::from_fn(|_| Cell::styled(texts.next().unwrap_or_default(), theme.dim)));
    };
    let change = match model.change_of(id) {
        Some(Change::New) => "+",
        Some(Change::Moved) => "~",
        None => "",
    };
    Some([
        Cell::styled(theme.sign(coro.activity), theme.activity(coro.activity)),
        Cell::styled(change, theme.warning),
        shown_id.into(),
        model.short_name_of(coro).to_owned().into(),
        describe::passed(model, coro.for_how_long(now)).into(),
        describe::doing_at(model, coro, now).into(),
        count(coro.steps).into(),
        span(coro.busy).into(),
        model.site(coro.site).map(Site::short).unwrap_or_default().into(),
    ])
}

/// The name in the table: the one that the program gave, or that of the function.
fn shown_name(coro: &Coro) -> NameId {
    if coro.given_name == 0 { coro.name } else { coro.given_name }
}

impl Pane for Coroutines {
    fn title(&self) -> &'static str {
        SCREEN.title
    }

    fn room_beside(&self) -> Option<u16> {
        Some(TABLE_AND_DETAIL)
    }

    fn beside(&self, session: &Session, wide: u16) -> Vec<Line<'static>> {
        detail::selected(session, wide)
    }

    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        match action {
            Action::Open => return Reply::Ignored,
            Action::Filter => return Reply::Ask(Purpose::Filter, self.filter.text.clone()),
            Action::Sort => self.next_sort(),
            Action::SortBack => self.reverse ^= true,
            action => {
                self.refresh(session);
                self.list.act(&self.order, action);
                if let Some(id) = self.list.selected {
                    session.select(id);
                }
            }
        }
        Reply::Done
    }

    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        let id = session.selected?;
        let label = session.model().label(id);
        match part {
            Part::Whole => Some(Copied::row(format!("row of {label}"), &cells(session, id)?)),
            Part::Name => Some(Copied::new("name", &label)),
        }
    }

    fn click(&mut self, session: &mut Session, at: Position) {
        if let Some(id) = self.hits.at(at) {
            session.select(id);
        }
    }

    fn typed(&mut self, _session: &mut Session, _purpose: Purpose, text: &str) -> Result<(), String> {
        Filter::parse(text).map(|filter| self.set_filter(filter))
    }

    fn completions(&self, session: &Session, _purpose: Purpose, text: &str) -> Vec<String> {
        filter::completions(session.model(), text)
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        self.refresh(session);
        if session.selected.is_some() {
            self.list.selected = session.selected;
        }
        let (theme, model) = (&session.theme, session.model());
        let footer = u16::from(!self.filter.text.is_empty());
        let table = Rect { height: area.height.saturating_sub(footer), ..area };
        let columns = self.columns(model, area.width);
        Table::new(theme, columns).marked(session.search.marks(), NAME).draw(
            buf,
            table,
            &mut self.list,
            &self.order,
            &mut self.hits,
            |id| cells(session, id),
        );
        if self.order.is_empty() {
            let none: &[&str] = match footer {
                0 => &["no live coroutine at this moment", ", goes back in time, event by event"],
                _ => &["no coroutine matches the filter: f changes it"],
            };
            empty(buf, theme, area, none);
        }
        if footer > 0 {
            let shown = count(self.order.len() as u64);
            let text = format!(" {shown} of {} · {}", count(model.live_count() as u64), self.filter.text);
            let wide = usize::from(area.width);
            buf.set_stringn(area.x, area.bottom() - 1, fit(&text, wide), wide, theme.key);
        }
        session.drawn = self.hits.all().collect();
        // What is selected elsewhere need not be among those shown here.
        if let (None, Some(id)) = (session.selected, self.list.selected) {
            session.select(id);
        }
    }
}
