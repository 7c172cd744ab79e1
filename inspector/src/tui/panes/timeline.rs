//! The timeline: a lane per coroutine, a column per stretch of time. The cursor is the moment that all screens show.

mod lanes;

use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use self::lanes::{Axis, CLASSES, Cell, Lanes};
use crate::event::{CoroId, LoopId, LoopMode};
use crate::model::Model;
use crate::tui::keys::{Action, bind};
use crate::tui::pane::{Pane, Reply, Screen};
use crate::tui::playback::{Playback, Status};
use crate::tui::session::Session;
use crate::tui::text::{clock, fit, pad, span, width};
use crate::tui::theme::Theme;
use crate::tui::widgets::{Hits, List, empty, right};

pub const SCREEN: Screen = Screen {
    title: "Timeline",
    name: "timeline",
    help: "timeline: what each coroutine did when",
    keys: &[
        bind(&["+", "="], Action::ZoomIn, "zoom-in", "closer", "half the time"),
        bind(&["-"], Action::ZoomOut, "zoom-out", "wider", "twice the time"),
        bind(&["left", "h"], Action::Left, "earlier", "earlier", "earlier"),
        bind(&["right", "l"], Action::Right, "later", "later", "later"),
    ],
    new: || Box::new(Timeline::default()),
};

/// The shortest and the longest time across the screen.
const SPANS: (u64, u64) = (10_000, 86_400_000_000_000);
/// Parts of a column spent running, as denominators: from the first on it is drawn as running; below the second, if it
/// ran again and again, as its other activity.
const PARTS: (u64, u64) = (2, 8);
/// Columns from one time on the axis to the next, at least.
const APART: u64 = 14;

/// A lane per coroutine.
#[derive(Debug)]
struct Timeline {
    /// The selected lane and the scroll position.
    list: List<CoroId>,
    hits: Hits<Hit>,
    /// Time across the screen, once it was chosen.
    across: Option<u64>,
    /// Time at its right edge; none: now.
    end: Option<u64>,
    columns: usize,
    picture: Option<Picture>,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline { list: List::default(), hits: Hits::default(), across: None, end: None, columns: 80, picture: None }
    }
}

/// What the mouse can hit.
#[derive(Clone, Copy, Debug)]
enum Hit {
    /// The name of a lane.
    Lane(CoroId),
    /// A column of time.
    Time(u64),
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

impl Timeline {
    /// Time across the screen: as it was chosen, or what shows a short run that is over as a whole.
    fn across(&self, playback: &Playback) -> u64 {
        const USUAL: u64 = 2_000_000_000;
        self.across.unwrap_or(match playback.status {
            Status::Ended | Status::Died => playback.tape.latest().now().clamp(SPANS.0, USUAL),
            Status::Live | Status::Broken(_) => USUAL,
        })
    }

    fn zoom(&mut self, session: &mut Session, action: Action) {
        let playback = &session.playback;
        let old = self.across(playback);
        if action == Action::ZoomOut && old >= playback.tape.latest().now() {
            session.note("all the time there was is on the screen");
            return;
        }
        let end = self.window_end(playback);
        let new = if action == Action::ZoomIn { old / 2 } else { old.saturating_mul(2) }.clamp(SPANS.0, SPANS.1);
        self.across = Some(new);
        if !playback.is_live() {
            // What is under the cursor stays where it is.
            let cursor = playback.now();
            let right = u128::from(end.saturating_sub(cursor)) * u128::from(new) / u128::from(old.max(1));
            self.end = Some(cursor.saturating_add(right as u64));
        }
    }

    /// Moves the cursor by a column.
    fn move_cursor(&self, playback: &mut Playback, action: Action) {
        let column = (self.across(playback) / self.columns.max(1) as u64).max(1);
        let now = playback.now();
        let goal = if action == Action::Left { now.saturating_sub(column) } else { now.saturating_add(column) };
        if action == Action::Right && goal >= playback.tape.latest().now() {
            playback.go_live();
        } else {
            playback.go_to_time(goal);
        }
    }

    /// The latest time shown: of now, or such that the cursor is inside.
    fn window_end(&mut self, playback: &Playback) -> u64 {
        let across = self.across(playback);
        let now = playback.now();
        let last = playback.tape.latest().now().max(now);
        if playback.is_live() {
            self.end = None;
            return last;
        }
        let end = self.end.unwrap_or(last);
        // A tenth of the window is kept on either side of the cursor.
        let margin = across / 10;
        let end = if now.saturating_add(margin) > end { now.saturating_add(margin) } else { end };
        let end = if now < end.saturating_sub(across - margin) { now.saturating_add(across - margin) } else { end };
        self.end = Some(end);
        end
    }

    /// Brings the picture up to date; of very many lanes not with every frame.
    fn refresh(&mut self, playback: &Playback, axis: Axis, rows: usize) {
        let position = playback.tape.len();
        if let Some(picture) = &self.picture {
            let before = picture.lanes.axis();
            let same = (before.column, before.count) == (axis.column, axis.count);
            let same = same && picture.rows == rows && picture.list_top == self.list.top;
            let over = picture.position == position || axis.end() <= picture.known_to;
            let fresh = before == axis && over && picture.lanes.missing().is_none();
            if same && (fresh || playback.is_live() && picture.at.elapsed() < picture.took * 10) {
                return;
            }
        }
        let begin = Instant::now();
        let tape = &playback.tape;
        let ids = lanes(playback, (axis.start(), axis.end()));
        let drawn = &ids[self.list.window(&ids, rows)];
        let newest = ids.last().copied().unwrap_or(0);
        let until = if axis.end() > tape.latest().now() { position } else { tape.position_of(axis.end()) };
        let kept = self.picture.take().map(|picture| picture.lanes);
        let kept = kept.and_then(|mut lanes| lanes.update(tape, axis, drawn, newest, until).then_some(lanes));
        let lanes = kept.unwrap_or_else(|| Lanes::new(tape, axis, drawn, newest, until));
        self.picture = Some(Picture {
            lanes,
            rows,
            list_top: self.list.top,
            ids,
            position,
            known_to: tape.latest().now(),
            at: begin,
            took: begin.elapsed(),
        });
    }
}

impl Pane for Timeline {
    fn title(&self) -> &'static str {
        SCREEN.title
    }

    fn is_there(&self, session: &Session) -> bool {
        session.model().picture().is_none()
    }

    fn why_not_there(&self) -> &'static str {
        "of a program that is not recorded no times are known"
    }

    /// Moves: up and down through the lanes, left and right through time.
    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        match action {
            Action::Open | Action::Filter => return Reply::Ignored,
            Action::ZoomIn | Action::ZoomOut => self.zoom(session, action),
            Action::Left | Action::Right => self.move_cursor(&mut session.playback, action),
            action => {
                let lanes = self.picture.as_ref().map_or(&[][..], |picture| &picture.ids);
                self.list.act(lanes, action);
                if let Some(id) = self.list.selected {
                    session.select(id);
                }
            }
        }
        Reply::Done
    }

    fn click(&mut self, session: &mut Session, at: Position) {
        match self.hits.at(at) {
            Some(Hit::Lane(id)) => session.select(id),
            Some(Hit::Time(time)) => session.playback.go_to_time(time),
            None => {}
        }
    }

    /// Searches all lanes, those of coroutines that have ended too.
    fn find(&mut self, session: &mut Session, forward: bool) -> bool {
        let Some(picture) = &self.picture else { return false };
        let names: Vec<_> = picture.ids.iter().map(|id| (*id, label(&session.playback, *id))).collect();
        match session.search.find(names, self.list.selected, forward) {
            Some(id) => session.select(id),
            None => session.note(format!("no lane matches {:?}", session.search.text)),
        }
        true
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        self.hits.clear();
        let name_width = (area.width / 5).clamp(8, 24);
        let lane_x = area.x + 1 + name_width + 1;
        let columns = usize::from(area.right().saturating_sub(lane_x + 1));
        let theme = session.theme;
        if columns < 4 || area.height < 4 {
            empty(buf, &theme, area, &["the timeline needs a wider screen"]);
            return;
        }
        let playback = &session.playback;
        self.columns = columns;
        let across = self.across(playback);
        let axis = Axis::until(self.window_end(playback), across, columns);
        if session.selected.is_some() {
            self.list.selected = session.selected;
        }
        let rows = usize::from(area.height - 3);
        self.refresh(playback, axis, rows);
        let Some(picture) = &self.picture else { return };
        // What is drawn may be a moment older than what there is.
        let axis = picture.lanes.axis();
        let cursor = if playback.is_live() { None } else { axis.column_of(playback.now()) };
        head(buf, &theme, area, lane_x, axis, cursor.map(|column| (column, playback.now())), across);
        if let Some(time) = picture.lanes.missing() {
            let text = format!(" looked back to {} so far ", clock(time, decimals(across / 8)));
            right(buf, area.x, area.y, area.width, &text, theme.warning);
            session.dirty = true;
        }
        if picture.ids.is_empty() {
            empty(buf, &theme, area, &["no coroutine lived in this stretch of time"]);
        }
        let last = playback.tape.latest().now();
        let is_running = playback.status == Status::Live && !playback.finished;
        let last = if is_running { last.max(playback.clock) } else { last };
        let visible = self.list.window(&picture.ids, rows);
        let mut marks = session.search.marks();
        for (y, id) in (area.y + 2..).zip(&picture.ids[visible]) {
            let selected = self.list.selected == Some(*id);
            let name_style = if selected { theme.title.patch(theme.selected) } else { theme.text };
            let name = pad(&label(playback, *id), usize::from(name_width));
            buf.set_stringn(area.x + 1, y, &name, usize::from(name_width), name_style);
            if let Some(marks) = &mut marks {
                marks.mark(buf, (area.x + 1, y), &name, theme.found);
            }
            self.hits.add(Rect { x: area.x, y, width: name_width + 1, height: 1 }, Hit::Lane(*id));
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
            self.hits.add(strip, Hit::Time(time));
        }
        legend(buf, &theme, area, playback.tape.latest());
    }
}

/// How a lane is called. At an earlier moment its coroutine may not yet be known.
fn label(playback: &Playback, id: CoroId) -> String {
    let known = if playback.model().coro(id).is_some() { playback.model() } else { playback.tape.latest() };
    known.label(id)
}

/// The width of the window, the times, and the cursor: its column, and its time.
fn head(
    buf: &mut Buffer,
    theme: &Theme,
    area: Rect,
    lane_x: u16,
    axis: Axis,
    cursor: Option<(usize, u64)>,
    across: u64,
) {
    let across = format!(" {} across", span(across));
    let room = usize::from(area.width);
    buf.set_stringn(area.x, area.y, fit(&across, room), room, theme.dim);
    let step = round_step(axis.column * APART);
    let first = axis.start().div_ceil(step);
    for time in (first..).map(|number| number * step).take_while(|time| *time < axis.end()) {
        let Some(column) = axis.column_of(time) else { break };
        let text = format!("{}{}", theme.glyphs.vertical, clock(time, decimals(step)));
        let (room, wide) = (axis.count - column, width(&text));
        // Neither cut, nor with the cursor in it.
        let free = wide <= room && cursor.is_none_or(|(cursor, _)| !(column..=column + wide).contains(&cursor));
        let text = if free { &text } else { theme.glyphs.vertical };
        buf.set_stringn(lane_x + column as u16, area.y + 1, text, room, theme.dim);
    }
    if let Some((column, now)) = cursor {
        let text = format!(" {} ", clock(now, decimals(axis.column)));
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

/// Digits after the second that distinguish such times.
fn decimals(step: u64) -> usize {
    (0..9).find(|digits| step >= 10_u64.pow(9 - *digits)).unwrap_or(9) as usize
}

fn sign(theme: &Theme, cell: &Cell, column: u64) -> (&'static str, Style) {
    let ran = cell.spent[0];
    let other = (1..CLASSES).max_by_key(|class| cell.spent[*class]).filter(|class| cell.spent[*class] > 0);
    if let Some(digit) = digit(cell.worker).filter(|_| ran > 0) {
        // The thread that it ran on; reversed where it ran for a good part of the column.
        let long = ran.saturating_mul(PARTS.0) >= column;
        return (digit, if long { theme.running.add_modifier(Modifier::REVERSED) } else { theme.running });
    }
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

/// The sign of a worker: its number, if that is one digit to base 36.
fn digit(worker: LoopId) -> Option<&'static str> {
    let at = usize::try_from(worker).ok().filter(|worker| *worker > 0)?;
    "0123456789abcdefghijklmnopqrstuvwxyz".get(at..=at)
}

/// The signs, in the bottom line; those of workers come first.
fn legend(buf: &mut Buffer, theme: &Theme, area: Rect, model: &Model) {
    let words = ["running", "ready", "on a coroutine", "thread", "lock", "timer", "event", "external"];
    let mut x = area.x + 1;
    let y = area.bottom() - 1;
    let workers = model.loops().filter(|one| one.mode == LoopMode::Worker && one.steps > 0);
    if let Some((first, last)) = workers.fold(None, |all, one| Some((all.map_or(one.id, |(first, _)| first), one.id)))
        && let Some(sign) = digit(first)
    {
        let last = if last == first { "" } else { digit(last).unwrap_or("z") };
        let text =
            if last.is_empty() { format!("{sign} on that thread") } else { format!("{sign}-{last} on that thread") };
        buf.set_stringn(x, y, &text, usize::from(area.right().saturating_sub(x)), theme.dim);
        buf.set_style(Rect { x, y, width: 1, height: 1 }, theme.running);
        x += text.len() as u16 + 2;
    }
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

/// The coroutines that lived in the window, as far as they are remembered, by number.
fn lanes(playback: &Playback, (start, end): (u64, u64)) -> Vec<CoroId> {
    let model = playback.model();
    let latest = playback.tape.latest();
    let ended = |model: &Model| {
        let inside =
            model.finished().filter(|coro| coro.ended.is_some_and(|(at, _)| at >= start) && coro.spawned <= end);
        inside.map(|coro| coro.id).collect::<Vec<_>>()
    };
    let mut lanes: Vec<CoroId> = model.live().filter(|coro| coro.spawned <= end).map(|coro| coro.id).collect();
    lanes.extend(ended(model));
    if !playback.is_live() {
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
    fn times_on_the_axis_are_round_and_distinct() {
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
        let in_worker = |running, worker| {
            let mut cell = Cell { steps: 1, worker, ..Cell::default() };
            (cell.spent[0], cell.spent[4]) = (running, 100 - running);
            sign(&DARK, &cell, 100)
        };
        assert_eq!(in_worker(1, 11), ("b", DARK.running));
        assert_eq!(in_worker(90, 2), ("2", DARK.running.add_modifier(Modifier::REVERSED)));
        assert_eq!(in_worker(0, 2).0, DARK.glyphs.lanes[4], "it did not run");
        assert_eq!(in_worker(90, 99), (DARK.glyphs.lanes[0], DARK.running), "a number of more digits");
        let lanes = DARK.glyphs.lanes;
        assert_eq!(cell(0, 0, 0), (" ", DARK.text));
        assert_eq!(cell(0, 100, 0), (lanes[4], DARK.failed));
        assert_eq!(cell(60, 40, 1), (lanes[0], DARK.running));
        assert_eq!(cell(1, 99, 1), (DARK.glyphs.brief, DARK.running), "once");
        assert_eq!(cell(20, 80, 9), (DARK.glyphs.brief, DARK.running), "a good part");
        assert_eq!(cell(5, 95, 9), (lanes[4], DARK.running), "again and again, mostly for the lock");
    }
}
