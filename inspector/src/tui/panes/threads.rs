//! The screen of threads: those that poll observed futures, and functions on threads.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::listing::Listing;
use super::{TABLE_AND_DETAIL, detail};
use crate::describe;
use crate::event::{CoroId, LoopId, LoopMode, Target, ThreadId};
use crate::model::{Activity, Loop, Model, Site, Thread, short_name};
use crate::tui::clipboard::{Copied, Part};
use crate::tui::keys::Action;
use crate::tui::pane::{Pane, Reply, Screen};
use crate::tui::session::Session;
use crate::tui::text::{counted, span};
use crate::tui::theme::Theme;
use crate::tui::widgets::{Cell, Column, Width};

pub const SCREEN: Screen = Screen {
    title: "Threads",
    name: "threads",
    help: "threads: functions of run_in_thread; threads that poll observed futures",
    keys: &[],
    new: || Box::new(Threads::default()),
};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Row {
    /// A thread that polls observed futures.
    Worker(LoopId),
    /// A function on a thread.
    Function(ThreadId),
}

/// The column of names.
const NAME: usize = 3;

/// A row per thread: those that run first, then those that ended, the latest first.
#[derive(Debug, Default)]
struct Threads {
    rows: Listing<Row>,
}

impl Threads {
    /// Selects the coroutine of the selected thread on all screens.
    fn select_coroutine(&self, session: &mut Session) {
        if let Some(coro) = self.rows.selected().and_then(|row| coroutine(session.model(), row)) {
            session.select(coro);
        }
    }
}

impl Pane for Threads {
    fn title(&self) -> &'static str {
        SCREEN.title
    }

    fn is_there(&self, session: &Session) -> bool {
        session.model().picture().is_none()
    }

    fn why_not_there(&self) -> &'static str {
        "the threads of a program that is not recorded are not read"
    }

    fn room_beside(&self) -> Option<u16> {
        Some(TABLE_AND_DETAIL)
    }

    fn beside(&self, session: &Session, wide: u16) -> Vec<Line<'static>> {
        detail::selected(session, wide)
    }

    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        let reply = self.rows.act(&keys(session.model()), action);
        if matches!(reply, Reply::Done) {
            self.select_coroutine(session);
        }
        reply
    }

    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        let id = self.rows.selected()?;
        let label = session.model().target_label(match id {
            Row::Worker(id) => Target::Loop(id),
            Row::Function(id) => Target::Thread(id),
        });
        match part {
            Part::Whole => Some(Copied::row(format!("row of {label}"), &cells(session, id)?)),
            Part::Name => Some(Copied::new("name", &label)),
        }
    }

    fn click(&mut self, session: &mut Session, at: Position) {
        self.rows.click(at);
        self.select_coroutine(session);
    }

    fn find(&mut self, session: &mut Session, forward: bool) -> bool {
        let all = keys(session.model()).into_iter();
        let names = all.filter_map(|row| Some((row, cells(session, row)?[NAME].text().to_owned()))).collect();
        self.rows.find(session, names, forward, "thread");
        self.select_coroutine(session);
        true
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let model = session.model();
        let none = "no thread yet: run_in_thread starts one; threads that poll observed futures are here too";
        let threads = || model.threads().chain(model.ended_threads());
        let columns = [
            Column::text("", Width::Fixed(1)),
            Column::number("id", 5),
            Column::text("pool", Width::Part(6, 6..=16)).shown_if(threads().any(|thread| thread.pool != 0)),
            Column::text("name", Width::Part(3, 8..=24)),
            Column::number("for", 10),
            Column::text("state", Width::Rest(10..=200)),
        ];
        self.rows.draw(session, NAME, buf, area, &keys(model), none, columns, |id| cells(session, id));
    }
}

/// The coroutine that a thread runs, or that represents the function on it.
fn coroutine(model: &Model, row: Row) -> Option<CoroId> {
    match row {
        Row::Worker(id) => Some(model.get_loop(id)?.running?.0),
        Row::Function(id) => Some(model.thread(id)?.coro),
    }
}

/// A row.
fn cells(session: &Session, row: Row) -> Option<[Cell; 6]> {
    match row {
        Row::Worker(id) => worker(session, session.model().get_loop(id)?),
        Row::Function(id) => function(session, id),
    }
}

/// The row of a thread that polls observed futures. What else it does is not known.
fn worker(session: &Session, one: &Loop) -> Option<[Cell; 6]> {
    let (theme, model, now) = (&session.theme, session.model(), session.now());
    let (activity, since, doing) = match (one.ended, one.running) {
        (Some((at, _)), _) => (Activity::Done, Some(at), "ended, ".to_owned()),
        (None, Some((coro, since))) => (Activity::Running, Some(since), format!("runs {}, ", model.label(coro))),
        (None, None) => (Activity::External, None, String::new()),
    };
    let lived = one.ended.map_or(now, |(at, _)| at).saturating_sub(one.since);
    let part = u128::from(one.busy_at(now)) * 100 / u128::from(lived.max(1));
    let steps = match one.steps {
        0 => "only wakes".to_owned(),
        steps => format!("{part} % in {}", counted(steps, "step")),
    };
    Some([
        Cell::styled(theme.sign(activity), theme.activity(activity)),
        one.id.to_string().into(),
        String::new().into(),
        model.name(one.name).to_owned().into(),
        since.map_or_else(String::new, |since| span(now.saturating_sub(since))).into(),
        format!("{doing}{steps}").into(),
    ])
}

/// The row of a function on a thread.
fn function(session: &Session, id: ThreadId) -> Option<[Cell; 6]> {
    let (theme, model, now) = (&session.theme, session.model(), session.now());
    let thread = model.thread(id)?;
    let (activity, state, since) = state(thread, now);
    let place = model.site(thread.site).map(Site::short).unwrap_or_default();
    let caller = model.coro(thread.coro).and_then(|coro| coro.waiters.first());
    let caller = caller.map(|id| format!(", for {}", model.label(id))).unwrap_or_default();
    Some([
        Cell::styled(theme.sign(activity), theme.activity(activity)),
        id.to_string().into(),
        if thread.pool == 0 { String::new() } else { model.name(thread.pool).to_owned() }.into(),
        short_name(model.name(thread.name)).into(),
        span(now.saturating_sub(since)).into(),
        format!("{state}{caller}, {place}").into(),
    ])
}

fn keys(model: &Model) -> Vec<Row> {
    let workers = |ended: bool| {
        let all = model.loops().filter(move |one| one.mode == LoopMode::Worker && one.ended.is_some() == ended);
        all.map(|one| Row::Worker(one.id))
    };
    let running = model.threads().map(|thread| Row::Function(thread.id));
    let ended = model.ended_threads().rev().map(|thread| Row::Function(thread.id));
    workers(false).chain(running).chain(workers(true).rev()).chain(ended).collect()
}

/// What a thread is at, and since when.
fn state(thread: &Thread, now: u64) -> (Activity, String, u64) {
    match (thread.ended, thread.started, thread.asked, thread.noticed) {
        (Some((at, outcome)), ..) => {
            let took = at.saturating_sub(thread.started.unwrap_or(thread.queued));
            // Quicker than the clock is read.
            let after = if took == 0 { String::new() } else { format!(" after {}", span(took)) };
            (Theme::outcome(outcome), format!("{}{after}", describe::ended(outcome)), at)
        }
        (None, None, ..) => (Activity::Ready, "queued".to_owned(), thread.queued),
        (None, Some(since), None, _) => (Activity::Running, "running".to_owned(), since),
        (None, Some(since), Some(asked), None) => {
            let text = format!("asked to stop {} ago, has not checked", span(now.saturating_sub(asked)));
            (Activity::Improper, text, since)
        }
        (None, Some(since), Some(_), Some(_)) => {
            (Activity::Cancelled, "stopping: it has checked for cancellation".to_owned(), since)
        }
    }
}
