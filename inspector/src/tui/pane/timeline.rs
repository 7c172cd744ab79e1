//! The timeline: a lane per coroutine, a column per stretch of time. The cursor is the moment that all screens show.

use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::{App, List};
use crate::event::{CoroId, Kind};
use crate::model::{Activity, IdMap, Model};
use crate::time::Tape;
use crate::tui::app::{Hit, Status};
use crate::tui::keys::Action;
use crate::tui::text::{clock, fit, pad, span};
use crate::tui::theme::Theme;

/// The shortest and the longest time across the screen.
const SPANS: (u64, u64) = (10_000, 86_400_000_000_000);
/// So many events are looked at for one picture, at most: some 30 ms.
const EVENTS: u64 = 250_000;
/// So much of a column has to be spent running to be drawn full; any less is drawn brief.
const HALF: u64 = 2;

/// The timeline's state.
#[derive(Clone, Debug)]
pub struct State {
    /// The selected lane and the scroll position.
    pub list: List<CoroId>,
    /// Time across the screen.
    pub across: u64,
    /// Time at its right edge; none: now.
    pub end: Option<u64>,
    columns: u64,
    picture: Option<Picture>,
}

impl Default for State {
    fn default() -> Self {
        State { list: List::default(), across: 2_000_000_000, end: None, columns: 80, picture: None }
    }
}

/// What was computed for a window.
#[derive(Clone, Debug)]
struct Picture {
    window: (u64, u64),
    columns: usize,
    rows: usize,
    list_top: usize,
    lanes: Vec<CoroId>,
    /// The first of the lanes that have cells.
    top: usize,
    /// Per lane and column: nanoseconds spent at what.
    cells: Vec<[u64; CLASSES]>,
    /// Time from which on it is known.
    from: u64,
    position: u64,
    /// Time of the latest event when it was computed.
    known_to: u64,
    at: Instant,
    took: Duration,
}

/// How many ways there are to draw a cell.
const CLASSES: usize = 8;

fn class(activity: Activity) -> Option<usize> {
    Some(match activity {
        Activity::Running => 0,
        Activity::Ready => 1,
        Activity::OnCoro | Activity::OnLoop => 2,
        Activity::OnThread => 3,
        Activity::OnLock => 4,
        Activity::Sleeping => 5,
        Activity::OnEvent => 6,
        Activity::External => 7,
        _ => return None,
    })
}

fn style(theme: &Theme, class: usize) -> Style {
    [theme.running, theme.ready, theme.waiting, theme.cancelled, theme.failed, theme.sleeping, theme.waiting, theme.dim]
        [class]
}

/// Moves: up and down through the lanes, left and right through time.
pub fn update(app: &mut App, action: Action) {
    let column = (app.timeline.across / app.timeline.columns.max(1)).max(1);
    match action {
        Action::ZoomIn | Action::ZoomOut => {
            let (_, end) = window(app);
            let old = app.timeline.across;
            let new = if action == Action::ZoomIn { old / 2 } else { old.saturating_mul(2) }.clamp(SPANS.0, SPANS.1);
            app.timeline.across = new;
            if !app.is_live() {
                // What is under the cursor stays where it is.
                let cursor = app.now();
                let right = u128::from(end.saturating_sub(cursor)) * u128::from(new) / u128::from(old.max(1));
                app.timeline.end = Some(cursor.saturating_add(right as u64));
            }
        }
        Action::Left | Action::Right => {
            let now = app.now();
            let goal = if action == Action::Left { now.saturating_sub(column) } else { now.saturating_add(column) };
            if action == Action::Right && goal >= app.tape.latest().now() {
                app.go_live();
            } else {
                app.go_to_time(goal);
            }
        }
        action => {
            let lanes = app.timeline.picture.as_ref().map_or(&[][..], |picture| &picture.lanes).to_vec();
            app.timeline.list.update(&lanes, action, app.rows.saturating_sub(3));
            app.selected = app.timeline.list.selected.or(app.selected);
        }
    }
}

/// The time shown: around the cursor, which stays inside.
fn window(app: &mut App) -> (u64, u64) {
    let across = app.timeline.across;
    let now = app.now();
    let last = app.tape.latest().now().max(now);
    let end = if app.is_live() {
        app.timeline.end = None;
        last
    } else {
        let end = app.timeline.end.unwrap_or(last);
        // A tenth of the window is kept on either side of the cursor.
        let margin = across / 10;
        let end = if now.saturating_add(margin) > end { now.saturating_add(margin) } else { end };
        let end = if now < end.saturating_sub(across - margin) { now.saturating_add(across - margin) } else { end };
        app.timeline.end = Some(end);
        end
    };
    let end = end.max(across);
    (end - across, end)
}

/// The lanes.
pub fn render(buf: &mut Buffer, app: &mut App, area: Rect) {
    let name_width = (area.width / 5).clamp(8, 24);
    let lane_x = area.x + 1 + name_width + 1;
    let columns = usize::from(area.right().saturating_sub(lane_x + 1));
    if columns < 4 || area.height < 4 {
        super::empty(buf, app, area, &["the timeline needs a wider screen"]);
        return;
    }
    app.timeline.columns = columns as u64;
    let (start, end) = window(app);
    let mut state = std::mem::take(&mut app.timeline);
    if app.selected.is_some() {
        state.list.selected = app.selected;
    }
    let rows = usize::from(area.height - 3);
    refresh(&mut state, app, (start, end), columns, rows);
    let Some(picture) = state.picture.take() else { return };
    let theme = app.theme;

    head(buf, app, area, lane_x, (start, end), columns);
    if picture.lanes.is_empty() {
        super::empty(buf, app, area, &["no coroutine lived in this stretch of time"]);
    }
    let cursor = (!app.is_live()).then(|| column_of(app.now(), (start, end), columns)).flatten();
    let visible = state.list.window(&picture.lanes, rows);
    for (row, (id, index)) in picture.lanes[visible.clone()].iter().zip(visible).enumerate() {
        let y = area.y + 2 + row as u16;
        // At an earlier moment it may not yet be known.
        let known = if app.model().coro(*id).is_some() { app.model() } else { app.tape.latest() };
        let label = known.label(*id);
        let selected = state.list.selected == Some(*id);
        let name_style = if selected { theme.title.patch(theme.selected) } else { theme.text };
        buf.set_stringn(area.x + 1, y, pad(&label, usize::from(name_width)), usize::from(name_width), name_style);
        let line = Rect { x: area.x, y, width: name_width + 1, height: 1 };
        app.hits.push((line, Hit::Coro(*id)));
        let first = picture.cells_of(index);
        for column in 0..columns {
            let Some(cell) = first.and_then(|first| picture.cells.get(first + column)) else { continue };
            let (sign, style) = sign(&theme, cell, (end - start) / columns as u64);
            buf.set_stringn(lane_x + column as u16, y, sign, 1, style);
        }
        if let Some(column) = cursor {
            let cell = Rect { x: lane_x + column as u16, y, width: 1, height: 1 };
            buf.set_style(cell, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    for column in 0..columns {
        let time = start + (end - start) * column as u64 / columns as u64;
        let strip = Rect { x: lane_x + column as u16, y: area.y, width: 1, height: area.height - 1 };
        app.hits.push((strip, Hit::Moment(time)));
    }
    if picture.from > start {
        let text = " too many events to look at them all: + zooms in ";
        buf.set_stringn(lane_x, area.y + 2, fit(text, columns), columns, theme.warning);
    }
    legend(buf, &theme, area);
    state.picture = Some(picture);
    app.timeline = state;
}

impl Picture {
    /// Where the cells of a lane begin, if they were computed.
    fn cells_of(&self, lane: usize) -> Option<usize> {
        let first = lane.checked_sub(self.top)? * self.columns;
        (first < self.cells.len()).then_some(first)
    }
}

fn head(buf: &mut Buffer, app: &App, area: Rect, lane_x: u16, (start, end): (u64, u64), columns: usize) {
    let theme = &app.theme;
    let across = format!(" {} across", span(end - start));
    buf.set_stringn(area.x, area.y, &across, usize::from(area.width), theme.dim);
    let cursor = if app.is_live() { String::new() } else { format!(" {} ", clock(app.now(), decimals(end - start))) };
    // A time every sixteen columns or so.
    let step = 16.min(columns);
    for mark in (0..columns.saturating_sub(8)).step_by(step) {
        let time = start + (end - start) * mark as u64 / columns as u64;
        let text = clock(time, decimals(end - start));
        buf.set_stringn(
            lane_x + mark as u16,
            area.y + 1,
            format!("╵{text}").replace('╵', theme.glyphs.vertical),
            step,
            theme.dim,
        );
    }
    if let Some(column) = column_of(app.now(), (start, end), columns).filter(|_| !app.is_live()) {
        let x = (lane_x + column as u16).min(area.right().saturating_sub(cursor.len() as u16 + 1));
        buf.set_stringn(x, area.y, &cursor, cursor.len(), theme.found);
        buf.set_stringn(lane_x + column as u16, area.y + 1, theme.glyphs.arrows[1], 1, theme.key);
    }
}

fn decimals(across: u64) -> usize {
    match across {
        0..1_000_000 => 7,
        1_000_000..100_000_000 => 5,
        100_000_000..60_000_000_000 => 2,
        _ => 0,
    }
}

fn column_of(time: u64, (start, end): (u64, u64), columns: usize) -> Option<usize> {
    let inside = (start..=end).contains(&time) && end > start;
    let column = u128::from(time.saturating_sub(start)) * columns as u128 / u128::from((end - start).max(1));
    inside.then(|| (column as usize).min(columns - 1))
}

fn sign(theme: &Theme, cell: &[u64; CLASSES], column: u64) -> (&'static str, Style) {
    let ran = cell[0];
    if ran > 0 {
        let sign = if ran.saturating_mul(HALF) >= column { theme.glyphs.lanes[0] } else { theme.glyphs.brief };
        return (sign, theme.running);
    }
    match cell.iter().enumerate().max_by_key(|(_, time)| **time) {
        Some((class, time)) if *time > 0 => (theme.glyphs.lanes[class], style(theme, class)),
        _ => (" ", theme.text),
    }
}

fn legend(buf: &mut Buffer, theme: &Theme, area: Rect) {
    let words = ["running", "ready", "on a coroutine", "thread", "lock", "timer", "event", "external"];
    let mut x = area.x + 1;
    let y = area.bottom() - 1;
    for (class, word) in words.iter().enumerate() {
        let room = usize::from(area.right().saturating_sub(x));
        if room < word.len() + 3 {
            break;
        }
        buf.set_stringn(x, y, theme.glyphs.lanes[class], 1, style(theme, class));
        buf.set_stringn(x + 2, y, word, room, theme.dim);
        x += word.len() as u16 + 4;
    }
}

/// Computes the picture anew if it is out of date; of very many events not with every frame.
fn refresh(state: &mut State, app: &App, window: (u64, u64), columns: usize, rows: usize) {
    let position = app.tape.len();
    let fresh = state.picture.as_ref().is_some_and(|picture| {
        let same = picture.columns == columns && picture.rows == rows && picture.list_top == state.list.top;
        let current = picture.window == window && (picture.position == position || window.1 < picture.known_to);
        same && (current || (app.is_live() && picture.at.elapsed() < picture.took * 10))
    });
    if fresh {
        return;
    }
    let begin = Instant::now();
    let lanes = lanes(app, window);
    let top = state.list.window(&lanes, rows);
    let mut cells = vec![[0; CLASSES]; top.len() * columns];
    let until = if app.status == Status::Live { window.1 } else { window.1.min(app.tape.latest().now()) };
    let from = scan(&app.tape, window, until, columns, &lanes[top.clone()], &mut cells);
    state.picture = Some(Picture {
        window,
        columns,
        rows,
        list_top: state.list.top,
        top: top.start,
        lanes,
        cells,
        from,
        position,
        known_to: app.tape.latest().now(),
        at: begin,
        took: begin.elapsed(),
    });
}

/// The coroutines that lived in the window, as far as they are remembered, by number.
fn lanes(app: &App, (start, end): (u64, u64)) -> Vec<CoroId> {
    let model = app.model();
    let latest = app.tape.latest();
    let ended = |model: &Model| {
        let inside =
            model.finished().filter(|coro| coro.ended.is_some_and(|(at, _)| at >= start) && coro.spawned <= end);
        inside.map(|coro| coro.id).collect::<Vec<_>>()
    };
    let mut lanes: Vec<CoroId> = model.live().filter(|coro| coro.spawned <= end).map(|coro| coro.id).collect();
    lanes.extend(ended(model));
    if !app.is_live() {
        lanes.extend(ended(latest));
    }
    lanes.sort_unstable();
    lanes.dedup();
    lanes
}

/// Adds up, for each lane and column, how long it was at what, as far as it is known. Returns from when on it is.
fn scan(
    tape: &Tape,
    (start, end): (u64, u64),
    known: u64,
    columns: usize,
    lanes: &[CoroId],
    cells: &mut [[u64; CLASSES]],
) -> u64 {
    let last = tape.position_of(end);
    let first = tape.position_of(start);
    let begin = first.max(last.saturating_sub(EVENTS));
    let mut model = tape.model_at(begin);
    let from = if begin > first { model.now() } else { start };
    let index: IdMap<CoroId, usize> = lanes.iter().enumerate().map(|(index, id)| (*id, index)).collect();
    let at = |model: &Model, id| model.coro(id).map_or(Activity::Done, |coro| coro.activity);
    let mut state: Vec<(Activity, u64)> = lanes.iter().map(|id| (at(&model, *id), from)).collect();
    let width = ((end - start) as f64 / columns as f64).max(1.0);
    let mut add = |lane: usize, activity: Activity, since: u64, until: u64| {
        let Some(class) = class(activity) else { return };
        let (since, until) = (since.max(start), until.min(end));
        let column = |time: u64| (((time - start) as f64 / width) as usize).min(columns - 1);
        if since > until {
            return;
        }
        for column in column(since)..=column(until) {
            let left = start + (column as f64 * width) as u64;
            let right = start + ((column + 1) as f64 * width) as u64;
            let inside = until.min(right).saturating_sub(since.max(left));
            // A step too short for the clock was a step all the same.
            cells[lane * columns + column][class] += inside.max(u64::from(class == 0));
        }
    };
    for (position, event) in tape.events(begin) {
        if position >= last {
            break;
        }
        let subject = subject(&event.kind);
        let lane = subject.and_then(|id| Some((id, index.get(&id)?)));
        // What the many others are at changes nothing in the lanes that are drawn.
        if subject.is_none() || lane.is_some() {
            model.apply(&event);
        }
        let Some((id, lane)) = lane else { continue };
        let now = at(&model, id);
        let (before, since) = state[*lane];
        if now != before {
            add(*lane, before, since, event.at);
            state[*lane] = (now, event.at);
        }
    }
    for (lane, (activity, since)) in state.into_iter().enumerate() {
        add(lane, activity, since, known);
    }
    from
}

/// The coroutine whose state an event changes.
fn subject(kind: &Kind) -> Option<CoroId> {
    match kind {
        Kind::Spawn { coro, .. }
        | Kind::CoroState { coro, .. }
        | Kind::Wake { coro, .. }
        | Kind::StepBegin { coro }
        | Kind::StepEnd { coro }
        | Kind::End { coro, .. }
        | Kind::Wait { coro, .. }
        | Kind::Clear { coro, .. } => Some(*coro),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Outcome, ResKind, Target, Waker};
    use crate::script::{Script, crawl, verify};

    #[test]
    fn a_lane_is_what_folding_every_event_says_whoever_else_is_drawn() {
        let mut event = Script::new("event");
        event.start().spawn(1, 0, "main", "a.rs:1:1").at(500).resource(1, ResKind::Event, 0, "a.rs:1:7");
        event.at(1_000).step(1, Target::Res(1), "a.rs:2:1").at(5_000).wake(1, Waker::External);
        event.begin(1).end(1, Outcome::Ok);
        for script in [crawl(), verify(), event] {
            let mut tape = Tape::new(&script.header, usize::MAX);
            script.events.iter().for_each(|event| tape.push(event));
            let end = tape.latest().now();
            let lanes: Vec<CoroId> = tape.latest().live().chain(tape.latest().finished()).map(|coro| coro.id).collect();
            let scan = |lanes: &[CoroId]| {
                let mut cells = vec![[0; CLASSES]; lanes.len()];
                scan(&tape, (0, end), end, 1, lanes, &mut cells);
                cells
            };
            let all = scan(&lanes);
            for (lane, id) in lanes.iter().enumerate() {
                let mut expected = [0; CLASSES];
                let mut model = Model::new(&script.header);
                let next = script.events.iter().skip(1).map(|event| event.at).chain([end]);
                for (event, until) in script.events.iter().zip(next) {
                    model.apply(event);
                    if let Some(class) = model.coro(*id).and_then(|coro| class(coro.activity)) {
                        expected[class] += until - event.at;
                    }
                }
                for cells in [all[lane], scan(&[*id])[0]] {
                    // Steps too short for the clock are drawn all the same.
                    assert_eq!(cells[1..], expected[1..], "{}", tape.latest().label(*id));
                    assert!(cells[0] >= expected[0]);
                }
            }
        }
    }
}
