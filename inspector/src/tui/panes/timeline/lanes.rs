//! What the lanes of the timeline are made of: for each coroutine and column of time, how long it was at what.
//!
//! ```text
//!            window of columns, each a fixed stretch of time
//!            ┌───────────────────────────────────────────────┐
//!  tape   ──────────────┬───────────────┬─────────────────────▶
//!          looked at    │ last stretch  │ looked at once,
//!          later     ◀──│ looked at     │ then event by event ──▶
//!                       known
//! ```
//!
//! A window may hold tens of millions of events, and a key has to show its effect at once. So the window is looked at
//! from its right edge to the left, a stretch of the tape between two key frames at a time, with as many per frame of
//! the screen as there is time for; and what comes in is added on the right, the columns moving as the window does.

use std::time::{Duration, Instant};

use crate::event::{CoroId, Kind, LoopId};
use crate::history::Tape;
use crate::model::{Activity, IdMap, Model};

/// So long one picture may take. What is missing then is looked at in the next ones.
const TIME: Duration = Duration::from_millis(10);
/// Events between two looks at the clock.
const BATCH: usize = 8_192;
/// How many ways there are to draw a cell.
pub(super) const CLASSES: usize = 8;

/// One lane's column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// Nanoseconds spent at what.
    pub(super) spent: [u64; CLASSES],
    /// Steps that began in it.
    pub(super) steps: u32,
    /// The worker that it ran in, 0 for none, [`SEVERAL`] if there was more than one.
    pub(super) worker: LoopId,
}

/// More than one worker.
pub(super) const SEVERAL: LoopId = LoopId::MAX;

/// Which way an activity is drawn; `None` for one that is over.
pub(super) fn class(activity: Activity) -> Option<usize> {
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

/// Columns of time: so many, each so long, from that one on, counted from the beginning of time so that they stay what
/// they are while the window moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) column: u64,
    pub(super) first: u64,
    pub(super) count: usize,
}

impl Axis {
    /// The columns up to the one with that time in it.
    pub(super) fn until(time: u64, across: u64, count: usize) -> Axis {
        let column = across.div_ceil(count.max(1) as u64).max(1);
        Axis { column, first: (time / column + 1).saturating_sub(count as u64), count }
    }

    pub(super) fn start(&self) -> u64 {
        self.first.saturating_mul(self.column)
    }

    pub(super) fn end(&self) -> u64 {
        (self.first + self.count as u64).saturating_mul(self.column)
    }

    /// The column of a time, if it is one of these.
    pub(super) fn column_of(&self, time: u64) -> Option<usize> {
        let column = (time / self.column).checked_sub(self.first)?;
        usize::try_from(column).ok().filter(|column| *column < self.count)
    }

    /// Adds a time spent at something; running, in `worker`.
    fn add(&self, cells: &mut [Cell], activity: Activity, worker: LoopId, since: u64, until: u64) {
        let Some(class) = class(activity) else { return };
        let running = class == 0;
        if running && let Some(column) = self.column_of(since) {
            cells[column].steps += 1;
        }
        let (since, until) = (since.max(self.start()), until.min(self.end()));
        if since > until {
            return;
        }
        let first = self.column_of(since).unwrap_or(self.count);
        let last = self.column_of(until).unwrap_or(self.count - 1);
        for (column, cell) in cells.iter_mut().enumerate().take(last + 1).skip(first) {
            let left = (self.first + column as u64) * self.column;
            let inside = until.min(left + self.column) - since.max(left);
            // A step too short for the clock was a step all the same.
            cell.spent[class] += inside.max(u64::from(running));
            if running {
                cell.worker = if [0, worker].contains(&cell.worker) { worker } else { SEVERAL };
            }
        }
    }
}

/// A part of the tape on its way into the cells.
#[derive(Debug)]
struct Stretch {
    /// As of `at`, but for what those at that are not drawn.
    model: Model,
    /// The position of the next event.
    at: u64,
    /// What each lane is at, and since when.
    states: Vec<(Activity, u64)>,
}

/// The lanes that are drawn.
#[derive(Debug)]
pub(super) struct Lanes {
    axis: Axis,
    ids: Vec<CoroId>,
    index: IdMap<CoroId, usize>,
    /// Per lane, then per column.
    cells: Vec<Cell>,
    /// The right end, to which the next events are added.
    ahead: Stretch,
    /// The stretch being looked at further left, and the position and time at which it ends.
    behind: Option<(Stretch, u64, u64)>,
    /// The position and the time from which on all is known, once `behind` is.
    known: (u64, u64),
    /// The whole window is.
    complete: bool,
    /// The latest coroutine there was: later ones are new altogether.
    newest: CoroId,
}

impl Lanes {
    /// The lanes of `ids` up to a position of the tape, as far as there is time for. `newest` is the latest coroutine
    /// of all.
    pub(super) fn new(tape: &Tape, axis: Axis, ids: &[CoroId], newest: CoroId, until: u64) -> Lanes {
        let index = index(ids);
        let (at, from, model) = tape.key_frame_before(until);
        let ahead = Stretch::new(model, at, from, ids);
        let cells = vec![Cell::default(); ids.len() * axis.count];
        let known = (at, from);
        let mut lanes =
            Lanes { axis, ids: ids.to_vec(), index, cells, ahead, behind: None, known, complete: false, newest };
        lanes.look(tape, until);
        lanes
    }

    /// Takes in the events up to a position, moves to the columns of `axis`, and looks further into the past. `false`
    /// if that cannot be had by adding to what is there: then they are to be made anew.
    pub(super) fn update(&mut self, tape: &Tape, axis: Axis, ids: &[CoroId], newest: CoroId, until: u64) -> bool {
        let same = (axis.column, axis.count) == (self.axis.column, self.axis.count);
        // For any other coroutine that existed before, the past was not looked at.
        let known = |id: &CoroId| self.index.contains_key(id) || *id > self.newest;
        if !same || axis.first < self.axis.first || until < self.ahead.at || !ids.iter().all(known) {
            return false;
        }
        self.rearrange(axis, ids);
        self.newest = newest;
        self.look(tape, until);
        true
    }

    /// Whether the window has been looked at as a whole; if not, from when on it has.
    pub(super) fn missing(&self) -> Option<u64> {
        (!self.complete).then(|| self.behind.as_ref().map_or(self.known.1, |(_, _, time)| *time))
    }

    pub(super) fn axis(&self) -> Axis {
        self.axis
    }

    /// A lane's columns, with what it is at now up to that time.
    pub(super) fn row(&self, id: CoroId, now: u64) -> Vec<Cell> {
        let Some(lane) = self.index.get(&id) else { return Vec::new() };
        let mut cells = self.cells[lane * self.axis.count..][..self.axis.count].to_vec();
        let (activity, since) = self.ahead.states[*lane];
        self.axis.add(&mut cells, activity, worker(&self.ahead.model, id), since, now);
        cells
    }

    /// Keeps the cells of the coroutines that stay, at their place in time.
    fn rearrange(&mut self, axis: Axis, ids: &[CoroId]) {
        if (axis, ids) == (self.axis, &self.ids[..]) {
            return;
        }
        let count = axis.count;
        let moved = usize::try_from(axis.first - self.axis.first).unwrap_or(usize::MAX).min(count);
        let mut cells = vec![Cell::default(); ids.len() * count];
        for (lane, old) in ids.iter().enumerate().filter_map(|(lane, id)| Some((lane, *self.index.get(id)?))) {
            let kept = &self.cells[old * count + moved..(old + 1) * count];
            cells[lane * count..][..kept.len()].copy_from_slice(kept);
        }
        for stretch in std::iter::once(&mut self.ahead).chain(self.behind.as_mut().map(|(stretch, ..)| stretch)) {
            let state = |id: &CoroId| self.index.get(id).map_or((Activity::Done, 0), |lane| stretch.states[*lane]);
            stretch.states = ids.iter().map(state).collect();
        }
        (self.axis, self.ids, self.index, self.cells) = (axis, ids.to_vec(), index(ids), cells);
    }

    fn look(&mut self, tape: &Tape, until: u64) {
        let begin = Instant::now();
        let axis = self.axis;
        let fold = |stretch: &mut Stretch, index: &_, cells: &mut _, until| {
            while stretch.at < until {
                stretch.fold(tape, until, axis, index, cells);
                if begin.elapsed() >= TIME {
                    break;
                }
            }
            stretch.at >= until
        };
        // What comes next is added to what came before: first of all to the end, whatever it takes.
        while !fold(&mut self.ahead, &self.index, &mut self.cells, until) {}
        while begin.elapsed() < TIME {
            let Some((stretch, until, time)) = &mut self.behind else {
                self.complete = self.known.1 <= axis.start() || self.known.0 <= tape.first();
                if self.complete {
                    return;
                }
                let (at, from, model) = tape.key_frame_before(self.known.0);
                self.behind = Some((Stretch::new(model, at, from, &self.ids), self.known.0, self.known.1));
                self.known = (at, from);
                continue;
            };
            if fold(stretch, &self.index, &mut self.cells, *until) {
                stretch.end(*time, axis, &self.ids, &mut self.cells);
                self.behind = None;
            }
        }
    }
}

fn index(ids: &[CoroId]) -> IdMap<CoroId, usize> {
    ids.iter().enumerate().map(|(lane, id)| (*id, lane)).collect()
}

fn at(model: &Model, id: CoroId) -> Activity {
    model.coro(id).map_or(Activity::Done, |coro| coro.activity)
}

fn worker(model: &Model, id: CoroId) -> LoopId {
    model.coro(id).map_or(0, |coro| coro.worker)
}

impl Stretch {
    fn new(model: Model, position: u64, from: u64, ids: &[CoroId]) -> Stretch {
        let states = ids.iter().map(|id| (at(&model, *id), from)).collect();
        Stretch { model, at: position, states }
    }

    /// Takes in some more events.
    fn fold(&mut self, tape: &Tape, until: u64, axis: Axis, index: &IdMap<CoroId, usize>, cells: &mut [Cell]) {
        for (position, event) in tape.events(self.at).take(BATCH) {
            if position >= until {
                break;
            }
            self.at = position + 1;
            let subject = subject(&event.kind);
            let lane = subject.and_then(|id| Some((id, *index.get(&id)?)));
            // Of the many other coroutines, only the begin and end of their lives are needed.
            let others = matches!(event.kind, Kind::Spawn { .. } | Kind::End { .. } | Kind::CoroState { .. });
            if subject.is_none() || lane.is_some() || others {
                self.model.apply(&event);
            }
            if let Some((id, lane)) = lane {
                self.look_at(lane, id, event.at, axis, cells);
            } else if matches!(event.kind, Kind::CheckpointEnd {} | Kind::LoopEnd { .. }) {
                for (id, lane) in index {
                    self.look_at(*lane, *id, event.at, axis, cells);
                }
            }
        }
    }

    fn look_at(&mut self, lane: usize, id: CoroId, time: u64, axis: Axis, cells: &mut [Cell]) {
        let now = at(&self.model, id);
        let (before, since) = self.states[lane];
        if now != before {
            let worker = worker(&self.model, id);
            axis.add(&mut cells[lane * axis.count..][..axis.count], before, worker, since, time);
            self.states[lane] = (now, time);
        }
    }

    /// What each is at goes on until the time at which the next stretch begins.
    fn end(&self, time: u64, axis: Axis, ids: &[CoroId], cells: &mut [Cell]) {
        for (lane, (activity, since)) in self.states.iter().enumerate() {
            let worker = worker(&self.model, ids[lane]);
            axis.add(&mut cells[lane * axis.count..][..axis.count], *activity, worker, *since, time);
        }
    }
}

/// The coroutine that an event changes the state of.
fn subject(kind: &Kind) -> Option<CoroId> {
    match kind {
        Kind::Spawn { coro, .. }
        | Kind::CoroState { coro, .. }
        | Kind::Wake { coro, .. }
        | Kind::Moved { coro, .. }
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
    use crate::event::{ResKind, Target, Waker};
    use crate::test_script::{Script, crawl, observed, verify};

    fn tape(script: &Script, events: usize) -> Tape {
        let mut tape = Tape::new(&script.header, usize::MAX);
        script.events[..events].iter().for_each(|event| tape.push(event));
        tape
    }

    /// What folding every event says.
    fn expected(script: &Script, axis: Axis, id: CoroId) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); axis.count];
        let mut model = Model::new(&script.header);
        let mut state = (Activity::Done, 0);
        for event in &script.events {
            model.apply(event);
            let now = at(&model, id);
            if now != state.0 {
                axis.add(&mut cells, state.0, worker(&model, id), state.1, event.at);
                state = (now, event.at);
            }
        }
        axis.add(&mut cells, state.0, worker(&model, id), state.1, model.now());
        cells
    }

    fn all(tape: &Tape) -> Vec<CoroId> {
        let mut ids: Vec<_> = tape.latest().live().chain(tape.latest().finished()).map(|coro| coro.id).collect();
        ids.sort_unstable();
        ids
    }

    fn look_everywhere(lanes: &mut Lanes, tape: &Tape, ids: &[CoroId]) {
        while lanes.missing().is_some() {
            assert!(lanes.update(tape, lanes.axis(), ids, u64::MAX, tape.len()));
        }
    }

    #[track_caller]
    fn check(script: &Script, axis: Axis) {
        let tape = tape(script, script.events.len());
        let ids = all(&tape);
        for some in std::iter::once(&ids[..]).chain(ids.chunks(1)) {
            let mut lanes = Lanes::new(&tape, axis, some, u64::MAX, tape.len());
            look_everywhere(&mut lanes, &tape, some);
            for id in some {
                assert_eq!(lanes.row(*id, u64::MAX).len(), axis.count);
                let (row, expected) = (lanes.row(*id, tape.latest().now()), expected(script, axis, *id));
                assert_eq!(row, expected, "{} of {}", tape.latest().label(*id), script.header.program);
            }
        }
    }

    /// Long enough for several key frames: coroutines that sleep, wait for each other, and come and go.
    fn long() -> Script {
        let mut s = Script::new("long");
        s.start().spawn(1, 0, "main", "a.rs:1:1").resource(1, ResKind::Lock, 1, "a.rs:1:7").begin(1).pause(1);
        let (mut time, mut id) = (0, 1);
        while s.events.len() < 6_000 {
            id += 1;
            time += 40;
            s.at(time).spawn(id, 1, "work", "a.rs:2:1").begin(1).wait(1, Target::Coro(id), "a.rs:3:1").pause(1);
            for turn in 0..id % 5 {
                s.at(time + turn).begin(id).at(time + turn + turn % 3);
                s.wait(id, if turn % 2 == 0 { Target::Timer(time) } else { Target::Res(1) }, "a.rs:4:1").pause(id);
                s.wake(id, Waker::Timer);
            }
            if id % 3 == 0 {
                s.begin(id).end(id, crate::event::Outcome::Ok).wake(1, Waker::Coro(id));
            }
        }
        s
    }

    #[test]
    fn a_lane_agrees_with_the_fold_of_every_event_whatever_else_is_drawn() {
        let mut event = Script::new("event");
        event.start().spawn(1, 0, "main", "a.rs:1:1").at(500).resource(1, ResKind::Event, 0, "a.rs:1:7");
        event.at(1_000).step(1, Target::Res(1), "a.rs:2:1").at(5_000).wake(1, Waker::External);
        event.begin(1).end(1, crate::event::Outcome::Ok);
        for script in [crawl(), verify(), observed(), event] {
            let end = script.events.last().expect("events").at;
            for count in [1, 7, 100] {
                check(&script, Axis::until(end, end, count));
                check(&script, Axis::until(end, end / 3, count));
            }
        }
    }

    #[test]
    fn a_long_window_is_looked_at_to_its_beginning_a_stretch_at_a_time() {
        let script = long();
        let tape = tape(&script, script.events.len());
        let end = tape.latest().now();
        let axis = Axis::until(end, end, 50);
        let ids = &all(&tape)[..40];
        let mut lanes = Lanes::new(&tape, axis, ids, u64::MAX, tape.len());
        look_everywhere(&mut lanes, &tape, ids);
        for id in ids {
            assert_eq!(lanes.row(*id, end), expected(&script, axis, *id), "{}", tape.latest().label(*id));
        }
    }

    #[test]
    fn what_comes_in_is_added_and_the_columns_move_with_the_window() {
        let script = long();
        let mut tape = tape(&script, 3_000);
        let across = tape.latest().now() / 2;
        let axis = |tape: &Tape| Axis::until(tape.latest().now(), across, 30);
        let drawn = |tape: &Tape| all(tape).into_iter().rev().take(25).rev().collect::<Vec<_>>();
        let mut ids = drawn(&tape);
        let mut lanes = Lanes::new(&tape, axis(&tape), &ids, *ids.last().expect("some"), tape.len());
        for events in script.events[3_000..].chunks(97) {
            events.iter().for_each(|event| tape.push(event));
            ids = drawn(&tape);
            assert!(lanes.update(&tape, axis(&tape), &ids, *ids.last().expect("some"), tape.len()));
        }
        look_everywhere(&mut lanes, &tape, &ids);
        for id in &ids {
            let row = lanes.row(*id, tape.latest().now());
            assert_eq!(row, expected(&script, axis(&tape), *id), "{}", tape.latest().label(*id));
        }
    }

    #[test]
    fn whose_past_was_not_looked_at_needs_a_new_picture() {
        let script = long();
        let tape = tape(&script, script.events.len());
        let end = tape.latest().now();
        let axis = Axis::until(end, end, 50);
        let mut lanes = Lanes::new(&tape, axis, &[7, 8], 1_000_000, tape.len());
        assert!(!lanes.update(&tape, axis, &[8, 9], 1_000_000, tape.len()), "another lane");
        assert!(!lanes.update(&tape, Axis { column: axis.column * 2, ..axis }, &[7], 1_000_000, tape.len()), "zoomed");
        let earlier = Axis::until(end / 2, end / 4, 50);
        let mut lanes = Lanes::new(&tape, earlier, &[7], 1_000_000, tape.len());
        assert!(!lanes.update(&tape, Axis { first: earlier.first - 1, ..earlier }, &[7], 1_000_000, tape.len()));
        assert!(lanes.update(&tape, Axis { first: earlier.first + 1, ..earlier }, &[7], 1_000_000, tape.len()));
    }
}
