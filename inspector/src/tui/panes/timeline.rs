//! The timeline: a lane per coroutine, a column per stretch of time. The cursor is the moment that all screens show.

mod lanes;

use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use self::lanes::{Axis, CLASSES, Cell, Lanes};
use super::{App, List};
use crate::event::CoroId;
use crate::model::Model;
use crate::tui::app::{Hit, Status};
use crate::tui::keys::Action;
use crate::tui::text::{clock, pad, span};
use crate::tui::theme::Theme;

/// The shortest and the longest time across the screen.
const SPANS: (u64, u64) = (10_000, 86_400_000_000_000);
/// Parts of a column spent running, as denominators: from the first on it is drawn as running; below the second, if it
/// ran again and again, as its other activity.
const PARTS: (u64, u64) = (2, 8);
/// Columns from one time on the axis to the next, at least.
const APART: u64 = 14;

/// The timeline's state.
#[derive(Debug)]
pub struct State {
    /// The selected lane and the scroll position.
    pub list: List<CoroId>,
    /// Time across the screen, once it was chosen.
    pub across: Option<u64>,
    /// Time at its right edge; none: now.
    pub end: Option<u64>,
    columns: usize,
    picture: Option<Picture>,
}

impl Default for State {
    fn default() -> Self {
        State { list: List::default(), across: None, end: None, columns: 80, picture: None }
    }
}

/// What was computed for a window.
#[derive(Debug)]
struct Picture {
    lanes: Lanes,
    /// All that could be drawn.
    ids: Vec<CoroId>,
    rows: usize,
    list_top: usize,
    /// Events on the tape, and the time of the latest, when it was computed.
    position: u64,
    known_to: u64,
    at: Instant,
    took: Duration,
}

fn style(theme: &Theme, class: usize) -> Style {
    [theme.running, theme.ready, theme.waiting, theme.cancelled, theme.failed, theme.sleeping, theme.waiting, theme.dim]
        [class]
}

/// Time across the screen: as it was chosen, or what shows a short run that is over as a whole.
fn across(app: &App) -> u64 {
    const USUAL: u64 = 2_000_000_000;
    app.timeline.across.unwrap_or(match app.status {
        Status::Ended | Status::Died => app.tape.latest().now().clamp(SPANS.0, USUAL),
        Status::Live | Status::Broken(_) => USUAL,
    })
}

/// Moves: up and down through the lanes, left and right through time.
pub fn update(app: &mut App, action: Action) {
    let column = (across(app) / app.timeline.columns.max(1) as u64).max(1);
    match action {
        Action::ZoomOut if across(app) >= app.tape.latest().now() => {
            app.notice = Some("all the time there was is on the screen".to_owned());
        }
        Action::ZoomIn | Action::ZoomOut => {
            let end = window_end(app);
            let old = across(app);
            let new = if action == Action::ZoomIn { old / 2 } else { old.saturating_mul(2) }.clamp(SPANS.0, SPANS.1);
            app.timeline.across = Some(new);
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
            let lanes = app.timeline.picture.as_ref().map_or(&[][..], |picture| &picture.ids).to_vec();
            app.timeline.list.update(&lanes, action, app.rows.saturating_sub(3));
            app.selected = app.timeline.list.selected.or(app.selected);
        }
    }
}

/// The latest time shown: of now, or such that the cursor is inside.
fn window_end(app: &mut App) -> u64 {
    let across = across(app);
    let now = app.now();
    let last = app.tape.latest().now().max(now);
    if app.is_live() {
        app.timeline.end = None;
        return last;
    }
    let end = app.timeline.end.unwrap_or(last);
    // A tenth of the window is kept on either side of the cursor.
    let margin = across / 10;
    let end = if now.saturating_add(margin) > end { now.saturating_add(margin) } else { end };
    let end = if now < end.saturating_sub(across - margin) { now.saturating_add(across - margin) } else { end };
    app.timeline.end = Some(end);
    end
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
    app.timeline.columns = columns;
    let across = across(app);
    let axis = Axis::until(window_end(app), across, columns);
    let mut state = std::mem::take(&mut app.timeline);
    if app.selected.is_some() {
        state.list.selected = app.selected;
    }
    let rows = usize::from(area.height - 3);
    refresh(&mut state, app, axis, rows);
    let Some(picture) = state.picture.take() else { return };
    // What is drawn may be a moment older than what there is.
    let axis = picture.lanes.axis();
    let theme = app.theme;
    let cursor = if app.is_live() { None } else { axis.column_of(app.now()) };
    head(buf, app, area, lane_x, axis, cursor, across);
    if let Some(time) = picture.lanes.missing() {
        let text = format!(" looked back to {} so far ", clock(time, decimals(across / 8)));
        super::right(buf, area.x, area.y, area.width, &text, theme.warning);
        app.dirty = true;
    }
    if picture.ids.is_empty() {
        super::empty(buf, app, area, &["no coroutine lived in this stretch of time"]);
    }
    let last = app.tape.latest().now();
    let last = if app.status == Status::Live && !app.finished { last.max(app.clock) } else { last };
    let visible = state.list.window(&picture.ids, rows);
    for (row, id) in picture.ids[visible].iter().enumerate() {
        let y = area.y + 2 + row as u16;
        // At an earlier moment it may not yet be known.
        let known = if app.model().coro(*id).is_some() { app.model() } else { app.tape.latest() };
        let label = known.label(*id);
        let selected = state.list.selected == Some(*id);
        let name_style = if selected { theme.title.patch(theme.selected) } else { theme.text };
        buf.set_stringn(area.x + 1, y, pad(&label, usize::from(name_width)), usize::from(name_width), name_style);
        let line = Rect { x: area.x, y, width: name_width + 1, height: 1 };
        app.hits.push((line, Hit::Coro(*id)));
        for (column, cell) in picture.lanes.row(*id, last).iter().enumerate() {
            let (sign, style) = sign(&theme, cell, axis.column);
            buf.set_stringn(lane_x + column as u16, y, sign, 1, style);
        }
        if let Some(column) = cursor {
            let cell = Rect { x: lane_x + column as u16, y, width: 1, height: 1 };
            buf.set_style(cell, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    for column in 0..columns {
        let time = (axis.first + column as u64) * axis.column;
        let strip = Rect { x: lane_x + column as u16, y: area.y, width: 1, height: area.height - 1 };
        app.hits.push((strip, Hit::Moment(time)));
    }
    legend(buf, &theme, area);
    state.picture = Some(picture);
    app.timeline = state;
}

/// The width of the window, the times, and the cursor.
fn head(buf: &mut Buffer, app: &App, area: Rect, lane_x: u16, axis: Axis, cursor: Option<usize>, across: u64) {
    let theme = &app.theme;
    let across = format!(" {} across", span(across));
    buf.set_stringn(area.x, area.y, &across, usize::from(area.width), theme.dim);
    let step = round_step(axis.column * APART);
    let first = axis.start().div_ceil(step);
    for time in (first..).map(|number| number * step).take_while(|time| *time < axis.end()) {
        let Some(column) = axis.column_of(time) else { break };
        let text = format!("{}{}", theme.glyphs.vertical, clock(time, decimals(step)));
        let (room, wide) = (axis.count - column, crate::tui::text::width(&text));
        // Neither cut, nor with the cursor in it.
        let free = wide <= room && cursor.is_none_or(|cursor| !(column..=column + wide).contains(&cursor));
        let text = if free { &text } else { theme.glyphs.vertical };
        buf.set_stringn(lane_x + column as u16, area.y + 1, text, room, theme.dim);
    }
    if let Some(column) = cursor {
        let text = format!(" {} ", clock(app.now(), decimals(axis.column)));
        let x = (lane_x + column as u16).min(area.right().saturating_sub(text.len() as u16 + 1));
        buf.set_stringn(x, area.y, &text, text.len(), theme.found);
        buf.set_stringn(lane_x + column as u16, area.y + 1, theme.glyphs.arrows[1], 1, theme.key);
    }
}

/// Returns the next round unit of time.
fn round_step(least: u64) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    const LONG: [u64; 14] = [20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400];
    let short = (0..=9).flat_map(|power| [1, 2, 5].map(|times| times * 10_u64.pow(power)));
    let short = short.chain([10 * SECOND]);
    short.chain(LONG.map(|seconds| seconds * SECOND)).find(|step| *step >= least).unwrap_or(86_400 * SECOND)
}

/// Digits after the second that tell such times apart.
fn decimals(step: u64) -> usize {
    (0..9).find(|digits| step >= 10_u64.pow(9 - *digits)).unwrap_or(9) as usize
}

fn sign(theme: &Theme, cell: &Cell, column: u64) -> (&'static str, Style) {
    let ran = cell.spent[0];
    let other = (1..CLASSES).max_by_key(|class| cell.spent[*class]).filter(|class| cell.spent[*class] > 0);
    match other {
        _ if ran.saturating_mul(PARTS.0) >= column => (theme.glyphs.lanes[0], theme.running),
        // The sign is that of the longest other activity; the colour of running shows that it ran again and again.
        Some(class) if cell.steps > 1 && ran.saturating_mul(PARTS.1) < column => {
            (theme.glyphs.lanes[class], theme.running)
        }
        _ if ran > 0 => (theme.glyphs.brief, theme.running),
        Some(class) => (theme.glyphs.lanes[class], style(theme, class)),
        None => (" ", theme.text),
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

/// Brings the picture up to date; of very many lanes not with every frame.
fn refresh(state: &mut State, app: &App, axis: Axis, rows: usize) {
    let position = app.tape.len();
    if let Some(picture) = &state.picture {
        let before = picture.lanes.axis();
        let same = (before.column, before.count) == (axis.column, axis.count);
        let same = same && picture.rows == rows && picture.list_top == state.list.top;
        let over = picture.position == position || axis.end() <= picture.known_to;
        let fresh = before == axis && over && picture.lanes.missing().is_none();
        if same && (fresh || app.is_live() && picture.at.elapsed() < picture.took * 10) {
            return;
        }
    }
    let begin = Instant::now();
    let ids = lanes(app, (axis.start(), axis.end()));
    let drawn = &ids[state.list.window(&ids, rows)];
    let newest = ids.last().copied().unwrap_or(0);
    let until = if axis.end() > app.tape.latest().now() { position } else { app.tape.position_of(axis.end()) };
    let kept = state.picture.take().map(|picture| picture.lanes);
    let kept = kept.and_then(|mut lanes| lanes.update(&app.tape, axis, drawn, newest, until).then_some(lanes));
    let lanes = kept.unwrap_or_else(|| Lanes::new(&app.tape, axis, drawn, newest, until));
    state.picture = Some(Picture {
        lanes,
        rows,
        list_top: state.list.top,
        ids,
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
#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::DARK;

    #[test]
    fn times_on_the_axis_are_round_and_told_apart() {
        for (least, step, digits) in [
            (1, 1, 9),
            (14_000, 20_000, 5),
            (230_000_000, 500_000_000, 1),
            (1_000_000_000, 1_000_000_000, 0),
            (11_000_000_000, 20_000_000_000, 0),
            (61_000_000_000, 120_000_000_000, 0),
            (u64::MAX, 86_400_000_000_000, 0),
        ] {
            assert_eq!((round_step(least), decimals(step)), (step, digits), "{least}");
        }
    }

    #[test]
    fn a_cell_tells_what_it_was_mostly_at_and_that_it_ran() {
        let cell = |running: u64, lock: u64, steps: u32| {
            let mut cell = Cell { steps, ..Cell::default() };
            (cell.spent[0], cell.spent[4]) = (running, lock);
            sign(&DARK, &cell, 100)
        };
        let lanes = DARK.glyphs.lanes;
        assert_eq!(cell(0, 0, 0), (" ", DARK.text));
        assert_eq!(cell(0, 100, 0), (lanes[4], DARK.failed));
        assert_eq!(cell(60, 40, 1), (lanes[0], DARK.running));
        assert_eq!(cell(1, 99, 1), (DARK.glyphs.brief, DARK.running), "once");
        assert_eq!(cell(20, 80, 9), (DARK.glyphs.brief, DARK.running), "a good part");
        assert_eq!(cell(5, 95, 9), (lanes[4], DARK.running), "again and again, mostly for the lock");
    }
}
