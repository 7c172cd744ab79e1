//! One event, lock, semaphore or barrier: a page, or beside the list.

use ratatui::text::{Line, Span};

use super::page::Page;
use crate::describe;
use crate::event::{CoroId, ResId, ResKind, Target};
use crate::model::{Holder, Model, ResMoment, ResPast, Resource, Site};
use crate::tui::pane::{Pane, Subject};
use crate::tui::session::{Session, Stacks};
use crate::tui::text::{count, fit, pad_left, span};
use crate::tui::widgets::{heading, history_line, labelled};

/// At most this many waiters and holders are listed.
const LISTED: usize = 200;

/// Creates the page of all that is known about a resource.
pub fn page(id: ResId) -> Box<dyn Pane> {
    Page::about(Subject::Res(id), "Resource", move |session, wide| lines(session, id, wide), |_, _| Stacks::default())
}

/// All that is known, in lines of that width.
pub fn lines(session: &Session, id: ResId, wide: u16) -> Vec<Line<'static>> {
    let (theme, model, now) = (&session.theme, session.model(), session.now());
    let wide = usize::from(wide);
    let title = heading(theme, &model.resource_label(id));
    let Some(resource) = model.resource(id) else {
        return vec![title, Line::styled("nothing is known about it at this moment", theme.dim)];
    };
    let none = || Line::styled("  none", theme.dim);
    let made = match session.ago(resource.since) {
        Some(ago) => format!("{}{ago}", at(model, resource.site)),
        None => "–".to_owned(),
    };
    let label = model.resource_label(id);
    let number = format!("#{id}");
    // A given name stands in place of the number in the label, if it is unique.
    let number = if label.ends_with(&number) { String::new() } else { format!("  {number}") };
    let mut lines = vec![
        Line::from(vec![Span::styled(label, theme.title), Span::styled(number, theme.dim)]),
        Line::raw(fit(&state(model, resource), wide)),
        Line::default(),
        labelled(theme, "Made", fit(&made, wide.saturating_sub(9))),
    ];
    if matches!(resource.what, ResKind::Lock | ResKind::Semaphore) {
        lines.push(Line::default());
        lines.push(heading(theme, "Held by"));
        lines.extend(
            resource
                .holders
                .iter()
                .take(LISTED)
                .map(|holder| Line::raw(fit(&format!("  {}", self::holder(session, holder)), wide))),
        );
        lines.extend(more(session, resource.holders.len()));
        lines.extend(resource.holders.is_empty().then(none));
    }
    lines.push(Line::default());
    // The order of a queue is not read.
    lines.push(heading(theme, if model.picture().is_some() { "Waiting" } else { "Waiting, in order" }));
    for (place, (coro, since, site)) in (1..).zip(queue(model, resource)).take(LISTED) {
        let long = model.known(now.saturating_sub(since)).map(|nanos| format!("  for {}", span(nanos)));
        let text = format!("{}  {}{}", pad_left(&format!("{place}"), 3), model.label(coro), long.unwrap_or_default());
        let place = model.site(site).map(|site| format!(", {}", site.short())).unwrap_or_default();
        lines.push(Line::raw(fit(&format!("{text}{place}"), wide)));
    }
    lines.extend(more(session, resource.waiters.len()));
    lines.extend(resource.waiters.is_empty().then(none));
    if model.picture().is_some() {
        return lines;
    }
    lines.push(Line::default());
    lines.push(heading(theme, "History"));
    let history = resource.history.iter().rev();
    lines.extend(history.map(|past| history_line(session, past.at, &moment(model, past), wide)));
    lines.extend(resource.history.is_empty().then(none));
    lines
}

/// What it is at, in a few words.
pub fn state(model: &Model, resource: &Resource) -> String {
    match (resource.what, &resource.holders[..]) {
        (ResKind::Event, _) => if resource.set { "set" } else { "not set" }.to_owned(),
        (ResKind::Barrier, _) => format!("{} of {} there", resource.waiters.len(), resource.size),
        (ResKind::Channel, _) => "its ends are not known".to_owned(),
        // Guards that may have been moved are not counted as held.
        (_, []) if model.picture().is_some() => "no holder is known".to_owned(),
        (_, []) => "free".to_owned(),
        (ResKind::Lock, [only]) => format!("held by {}", model.label(only.coro)),
        (_, [first, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            if model.picture().is_some() {
                return format!("held by {}{more}", model.label(first.coro));
            }
            format!("{} of {} taken: {}{more}", resource.holders.len(), resource.size, model.label(first.coro))
        }
    }
}

/// A holder, and where and when it acquired the resource, as far as that is known.
pub fn holder(session: &Session, holder: &Holder) -> String {
    let label = session.model().label(holder.coro);
    let acquired = describe::acquired(session.model(), holder, |at| session.ago(at));
    acquired.map_or_else(|| label.clone(), |acquired| format!("{label}, {acquired}"))
}

/// The waiters with the time since which and the place at which each waits, the first one in the queue first.
fn queue(model: &Model, resource: &Resource) -> Vec<(CoroId, u64, u32)> {
    let waiters = resource.waiters.ids().filter_map(|id| model.coro(id));
    let mut all: Vec<_> = waiters
        .filter_map(|coro| {
            let (_, edge) = coro.on_others.iter().find(|(on, _)| *on == Target::Res(resource.id))?;
            Some((coro.id, edge.since, edge.site))
        })
        .collect();
    all.sort_by_key(|(coro, since, _)| (*since, *coro));
    all
}

fn more(session: &Session, many: usize) -> Option<Line<'static>> {
    let more = many.checked_sub(LISTED).filter(|more| *more > 0)?;
    Some(Line::styled(format!("  and {} more", count(more as u64)), session.theme.dim))
}

fn at(model: &Model, site: u32) -> String {
    model.site(site).map(Site::short).map(|place| format!("{place}, ")).unwrap_or_default()
}

fn moment(model: &Model, past: &ResPast) -> String {
    let place = model.site(past.site).map(|site| format!(", {}", site.short())).unwrap_or_default();
    match past.what {
        ResMoment::Waited(coro) => format!("{} began to wait{place}", model.label(coro)),
        ResMoment::Acquired(coro) => format!("acquired by {}{place}", model.label(coro)),
        ResMoment::Released(coro) => format!("released by {}", model.label(coro)),
        ResMoment::Set => "set".to_owned(),
        ResMoment::Cleared => "cleared".to_owned(),
    }
}
