//! The screen of events, locks, semaphores and barriers, with their holders and waiters.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::listing::Listing;
use super::{TABLE_AND_DETAIL, resource};
use crate::event::ResId;
use crate::model::{Activity, Model, Site};
use crate::tui::clipboard::{Copied, Part};
use crate::tui::keys::Action;
use crate::tui::pane::{Pane, Reply, Screen, Subject};
use crate::tui::session::Session;
use crate::tui::widgets::{Cell, Column, Width};

pub const SCREEN: Screen = Screen {
    title: "Resources",
    name: "resources",
    help: "resources: events, locks, semaphores, barriers",
    keys: &[],
    new: || Box::new(Resources::default()),
};

/// The column of names.
const NAME: usize = 1;

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

    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        let id = self.rows.selected()?;
        let label = session.model().resource_label(id);
        match part {
            Part::Whole => Some(Copied::row(format!("row of {label}"), &cells(session, id)?)),
            Part::Name => Some(Copied::new("name", &label)),
        }
    }

    fn click(&mut self, _session: &mut Session, at: Position) {
        self.rows.click(at);
    }

    fn find(&mut self, session: &mut Session, forward: bool) -> bool {
        let model = session.model();
        let names = keys(model).into_iter().map(|id| (id, model.resource_label(id))).collect();
        self.rows.find(session, names, forward, "resource");
        true
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let model = session.model();
        let none = "no event, lock, semaphore or barrier at this moment";
        // In a picture a resource has its address, and where it was made is not known.
        let is_picture = model.picture().is_some();
        let columns = [
            Column::text("", Width::Fixed(1)),
            Column::text("what", Width::Fixed(if is_picture { 27 } else { 16 })),
            Column::text("state", Width::Rest(20..=60)),
            Column::number("waiting", 8),
            Column::text("made", Width::Fixed(20)).shown_if(!is_picture),
        ];
        self.rows.draw(session, NAME, buf, area, &keys(model), none, columns, |id| cells(session, id));
    }

    fn selected(&self, _session: &Session) -> Option<Subject> {
        self.rows.selected().map(Subject::Res)
    }

    fn none_selected(&self) -> &'static str {
        "select a resource first: j and k move"
    }

    fn beside(&self, session: &Session, wide: u16) -> Vec<Line<'static>> {
        self.rows.selected().map_or_else(Vec::new, |id| resource::lines(session, id, wide))
    }
}

/// A row.
fn cells(session: &Session, id: ResId) -> Option<[Cell; 5]> {
    let (theme, model) = (&session.theme, session.model());
    let one = model.resource(id)?;
    let activity = match (one.holders.is_empty(), one.waiters.is_empty()) {
        (_, false) => Activity::OnLock,
        (false, true) => Activity::Running,
        (true, true) => Activity::Done,
    };
    Some([
        Cell::styled(theme.sign(activity), theme.activity(activity)),
        model.resource_label(id).into(),
        resource::state(model, one).into(),
        one.waiters.len().to_string().into(),
        model.site(one.site).map(Site::short).unwrap_or_default().into(),
    ])
}

fn keys(model: &Model) -> Vec<ResId> {
    model.resources().map(|resource| resource.id).collect()
}
