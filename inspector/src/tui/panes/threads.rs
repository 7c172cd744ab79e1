//! The screen of functions on threads.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::listing::Listing;
use super::{TABLE_AND_DETAIL, detail};
use crate::describe;
use crate::event::{Target, ThreadId};
use crate::model::{Activity, Model, Site, Thread, short_name};
use crate::tui::clipboard::{Copied, Part};
use crate::tui::keys::Action;
use crate::tui::pane::{Pane, Reply, Screen};
use crate::tui::session::Session;
use crate::tui::text::span;
use crate::tui::theme::Theme;
use crate::tui::widgets::{Cell, Column, Width};

pub const SCREEN: Screen = Screen {
    title: "Threads",
    name: "threads",
    help: "threads: functions run by run_in_thread",
    keys: &[],
    new: || Box::new(Threads::default()),
};

/// A row per thread: those that run first, then those that ended, the latest first.
#[derive(Debug, Default)]
struct Threads {
    rows: Listing<ThreadId>,
}

impl Threads {
    /// Selects the coroutine of the selected thread on all screens.
    fn select_coroutine(&self, session: &mut Session) {
        if let Some(coro) = self.rows.selected().and_then(|id| session.model().thread(id)).map(|thread| thread.coro) {
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
        let label = session.model().target_label(Target::Thread(id));
        match part {
            Part::Whole => Some(Copied::row(format!("row of {label}"), &cells(session, id)?)),
            Part::Name => Some(Copied::new("name", &label)),
        }
    }

    fn click(&mut self, session: &mut Session, at: Position) {
        self.rows.click(at);
        self.select_coroutine(session);
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let (theme, model) = (&session.theme, session.model());
        let none = "no thread yet: run_in_thread brings one";
        let threads = || model.threads().chain(model.ended_threads());
        let columns = [
            Column::text("", Width::Fixed(1)),
            Column::number("id", 5),
            Column::text("pool", Width::Part(6, 6..=16)).shown_if(threads().any(|thread| thread.pool != 0)),
            Column::text("function", Width::Part(3, 8..=24)),
            Column::number("for", 10),
            Column::text("state", Width::Rest(10..=200)),
        ];
        self.rows.draw(theme, buf, area, &keys(model), none, columns, |id| cells(session, id));
    }
}

/// A row.
fn cells(session: &Session, id: ThreadId) -> Option<[Cell; 6]> {
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

fn keys(model: &Model) -> Vec<ThreadId> {
    let ended = model.ended_threads().rev().map(|thread| thread.id);
    model.threads().map(|thread| thread.id).chain(ended).collect()
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
