//! The screen of events, locks, semaphores and barriers, with their holders and waiters.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::TABLE_AND_DETAIL;
use super::listing::Listing;
use crate::event::{ResId, ResKind};
use crate::model::{Activity, Model, Resource, Site};
use crate::tui::keys::Action;
use crate::tui::pane::{Pane, Reply, Screen};
use crate::tui::session::Session;
use crate::tui::text::span;
use crate::tui::widgets::{Cell, Column, Width, heading, labelled};

pub const SCREEN: Screen = Screen {
    title: "Resources",
    name: "resources",
    help: "resources: events, locks, semaphores, barriers",
    keys: &[],
    new: || Box::new(Resources::default()),
};

/// A row per resource.
#[derive(Debug, Default)]
struct Resources {
    rows: Listing<ResId>,
}

impl Pane for Resources {
    fn title(&self) -> &'static str {
        SCREEN.title
    }

    fn room_beside(&self) -> Option<u16> {
        Some(TABLE_AND_DETAIL)
    }

    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        self.rows.act(&keys(session.model()), action)
    }

    fn click(&mut self, _session: &mut Session, at: Position) {
        self.rows.click(at);
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let (theme, model) = (&session.theme, session.model());
        let none = "no event, lock, semaphore or barrier at this moment";
        let columns = [
            Column::text("", Width::Fixed(1)),
            Column::text("what", Width::Fixed(16)),
            Column::text("state", Width::Rest(20..=60)),
            Column::number("waiting", 8),
            Column::text("made", Width::Fixed(20)),
        ];
        self.rows.draw(theme, buf, area, &keys(model), none, columns, |id| {
            let resource = model.resource(id)?;
            let activity = match (resource.holders.is_empty(), resource.waiters.is_empty()) {
                (_, false) => Activity::OnLock,
                (false, true) => Activity::Running,
                (true, true) => Activity::Done,
            };
            Some([
                Cell::styled(theme.sign(activity), theme.activity(activity)),
                model.resource_label(id).into(),
                state(model, resource).into(),
                resource.waiters.len().to_string().into(),
                model.site(resource.site).map(Site::short).unwrap_or_default().into(),
            ])
        });
    }

    /// Its holders and waiters.
    fn beside(&self, session: &Session, _wide: u16) -> Vec<Line<'static>> {
        let (theme, model, now) = (&session.theme, session.model(), session.now());
        let Some(resource) = self.rows.selected().and_then(|id| model.resource(id)) else { return Vec::new() };
        let place = model.site(resource.site).map(Site::short).unwrap_or_default();
        let none = || Line::styled("  none", theme.dim);
        let mut lines = vec![
            heading(theme, &model.resource_label(resource.id)),
            Line::raw(state(model, resource)),
            Line::default(),
            labelled(theme, "Made", format!("{place}, {} ago", span(now.saturating_sub(resource.since)))),
            Line::default(),
            heading(theme, "Held by"),
        ];
        lines.extend(resource.holders.iter().take(20).map(|holder| {
            let place = model.site(holder.site).map(Site::short).unwrap_or_default();
            let held = span(now.saturating_sub(holder.since));
            Line::raw(format!("  {}  {place}  {held}", model.label(holder.coro)))
        }));
        lines.extend(resource.holders.is_empty().then(none));
        lines.push(Line::default());
        lines.push(heading(theme, "Waiting"));
        lines.extend(resource.waiters.ids().take(50).map(|waiter| {
            let since = model.coro(waiter).map_or(0, |coro| coro.for_how_long(now));
            Line::raw(format!("  {}  {}", model.label(waiter), span(since)))
        }));
        lines.extend(resource.waiters.is_empty().then(none));
        lines
    }
}

fn keys(model: &Model) -> Vec<ResId> {
    model.resources().map(|resource| resource.id).collect()
}

fn state(model: &Model, resource: &Resource) -> String {
    let holder = |holder: &crate::model::Holder| model.label(holder.coro);
    match (resource.what, &resource.holders[..]) {
        (ResKind::Event, _) => if resource.set { "set" } else { "not set" }.to_owned(),
        (ResKind::Barrier, _) => format!("{} of {} there", resource.waiters.len(), resource.size),
        (_, []) => "free".to_owned(),
        (ResKind::Lock, [only]) => format!("held by {}", holder(only)),
        (_, [first, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            format!("{} of {} taken: {}{more}", resource.holders.len(), resource.size, holder(first))
        }
    }
}
