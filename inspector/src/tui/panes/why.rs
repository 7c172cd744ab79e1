//! The page of the chain of waits of a coroutine.

use std::collections::HashSet;

use ratatui::text::{Line, Span};

use super::page::Page;
use super::resource;
use crate::describe;
use crate::event::{CoroId, ResId, ResKind, Target};
use crate::model::{Leaf, Model};
use crate::tui::pane::{Pane, Subject};
use crate::tui::session::{Session, Stacks};
use crate::tui::text::{counted, fit, pad, width, wrap};
use crate::tui::widgets::heading;

/// At most this many holders of a semaphore are listed.
const HOLDERS: usize = 8;
/// At most this many links of a chain are listed.
const LINKS: usize = 200;

/// Creates the page of why a coroutine is still waiting, or why a resource is not free.
pub fn page(subject: Subject) -> Box<dyn Pane> {
    let lines = move |session: &Session, wide| match subject {
        Subject::Coro(id) => lines(session, id, wide),
        Subject::Res(id) => resource_lines(session, id, wide),
    };
    Page::about(subject, "Why", lines, stacks)
}

/// The coroutines of the chains on the page, as far as they are shown.
fn stacks(session: &Session, subject: Subject) -> Stacks {
    let model = session.model();
    let roots = match subject {
        Subject::Coro(id) => vec![id],
        Subject::Res(id) => model
            .resource(id)
            .map_or_else(Vec::new, |one| one.holders.iter().take(HOLDERS).map(|holder| holder.coro).collect()),
    };
    let links = roots.into_iter().flat_map(|id| model.why_within(id, LINKS).chain);
    Stacks { values: None, places: links.map(|link| link.coro).collect() }
}

/// How a chain is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A few links, beside other details.
    Brief,
    /// With the calls that led to each place, and what each coroutine holds.
    Whole,
}

/// The chain, ending in the leaf.
pub fn chain(session: &Session, id: CoroId, wide: usize, extent: Extent) -> Vec<Line<'static>> {
    let most = if extent == Extent::Brief { 8 } else { LINKS };
    let (theme, model, now) = (&session.theme, session.model(), session.now());
    let why = model.why(id);
    let on_cycle = !why.cycle().is_empty();
    let mut lines = Vec::new();
    let total = why.chain.len();
    for (depth, link) in why.chain.iter().enumerate() {
        // The beginning and the end of a long chain say most.
        if total > most && depth == most / 2 {
            lines.push(Line::styled(format!("  … {} more …", total - most), theme.dim));
        }
        if total > most && (most / 2..total - most / 2).contains(&depth) {
            continue;
        }
        let step = depth.min(most / 2 + total.min(most).saturating_sub(total - depth));
        let indent = " ".repeat(2 + step.min(12));
        let arrow = if depth == 0 { "" } else { theme.glyphs.last };
        let (waiter, mut what) = describe::link(model, link, now);
        // The last link is left out: the leaf says the same, more precisely.
        if depth + 1 == total && link.others == 0 && !matches!(link.on, Target::Res(_)) {
            what.clear();
        }
        let place = model.site(link.site).map(|site| site.short()).unwrap_or_default();
        let long = describe::passed(model, now.saturating_sub(link.since));
        let lead = format!("{indent}{arrow}{}{waiter}", if arrow.is_empty() { "" } else { " " });
        let text = if what.is_empty() { lead.clone() } else { format!("{lead}  {what}") };
        // Where there is no room what it waits on has lines of its own; beside other things, the place is left out.
        let (full, short) = (format!("  {place}  {long}"), format!("  {long}"));
        let has_room = |text: &str, tail: &str| width(text) + width(tail) <= wide && width(tail) <= wide / 2;
        let (text, tail, beneath) = match () {
            () if has_room(&text, &full) => (text, full, String::new()),
            () if extent == Extent::Whole && has_room(&lead, &full) => (lead, full, what),
            () if has_room(&text, &short) => (text, short, String::new()),
            () if has_room(&lead, &full) => (lead, full, what),
            () => (lead, short, what),
        };
        let style = if on_cycle { theme.warning } else { theme.text };
        lines.push(Line::from(vec![
            Span::styled(pad(&text, wide.saturating_sub(width(&tail))), style),
            Span::styled(fit(&tail, wide / 2), theme.dim),
        ]));
        let under = " ".repeat(width(&indent) + 4);
        let parts = wrap(&beneath, wide.saturating_sub(under.len()).max(8)).into_iter().filter(|part| !part.is_empty());
        lines.extend(parts.map(|part| Line::styled(format!("{under}{part}"), style)));
        if extent == Extent::Whole {
            let holds = describe::holds(model, link.coro, |at| session.ago(at));
            for text in describe::calls(model, link).into_iter().chain(holds) {
                let parts = wrap(&text, wide.saturating_sub(under.len()).max(8)).into_iter();
                lines.extend(parts.map(|part| Line::styled(format!("{under}{part}"), theme.dim)));
            }
        }
    }
    let (text, _) = describe::leaf(model, &why.leaf, now);
    let indent = " ".repeat(2 + total.min(most + 1).min(12));
    let arrow = if total == 0 { String::new() } else { format!("{} ", theme.glyphs.last) };
    let style = match why.leaf {
        Leaf::Cycle(_) | Leaf::LikelyCycle(_) | Leaf::Blocked(..) | Leaf::Ended(..) => theme.failed,
        Leaf::Running(..) => theme.running,
        Leaf::Ready(..) => theme.ready,
        _ => theme.waiting,
    };
    for (index, part) in wrap(&text, wide.saturating_sub(indent.len() + width(&arrow)).max(8)).into_iter().enumerate() {
        let lead = if index == 0 { arrow.clone() } else { " ".repeat(width(&arrow)) };
        lines.push(Line::styled(format!("{indent}{lead}{part}"), style));
    }
    lines
}

/// The whole chain, and the waiters of the coroutine.
fn lines(session: &Session, id: CoroId, wide: u16) -> Vec<Line<'static>> {
    let (theme, model, now) = (&session.theme, session.model(), session.now());
    let wide = usize::from(wide);
    let mut lines = vec![heading(theme, &question(model, id)), Line::default()];
    lines.extend(chain(session, id, wide, Extent::Whole));
    let Some(coro) = model.coro(id) else { return lines };
    if coro.wait_count() > 1 {
        lines.push(Line::default());
        lines.push(heading(theme, "All it waits on"));
        for (on, edge) in coro.waits().take(100) {
            let place = model.site(edge.site).map(|site| site.short()).unwrap_or_default();
            let text = format!("  {}  {place}", describe::target(model, on, now));
            lines.push(Line::raw(fit(&text, wide)));
        }
        if coro.wait_count() > 100 {
            lines.push(Line::styled(format!("  and {} more", coro.wait_count() - 100), theme.dim));
        }
    }
    lines.push(Line::default());
    lines.push(heading(theme, "Waiting for it"));
    lines.extend(dependants(session, id, wide));
    lines
}

/// What each holder of a resource is at, and the coroutines that wait on it.
fn resource_lines(session: &Session, id: ResId, wide: u16) -> Vec<Line<'static>> {
    let (theme, model) = (&session.theme, session.model());
    let label = model.resource_label(id);
    let wide = usize::from(wide);
    let Some(one) = model.resource(id) else {
        return vec![heading(theme, &label), Line::styled("nothing is known about it at this moment", theme.dim)];
    };
    let title = match (one.what, one.holders.is_empty()) {
        (ResKind::Event, _) if one.set => format!("{label} is set"),
        (ResKind::Event, _) => format!("Why is {label} not set?"),
        (ResKind::Barrier, _) => format!("Why is {label} not full?"),
        (ResKind::Channel, _) => format!("Of {label} the other ends are not known"),
        (_, true) if model.picture().is_some() => format!("Of {label} no holder is known"),
        (_, true) => format!("{label} is free"),
        (_, false) => format!("Why is {label} not free?"),
    };
    let mut lines = vec![heading(theme, &title), Line::default()];
    match one.what {
        ResKind::Event if one.set => {}
        ResKind::Event => lines.push(Line::raw("  the program has not set it")),
        ResKind::Barrier => lines.push(Line::raw(format!("  {}", resource::state(model, one)))),
        ResKind::Lock | ResKind::Semaphore | ResKind::Channel => {}
    }
    for holder in one.holders.iter().take(HOLDERS) {
        let text = format!("held by {}", resource::holder(session, holder));
        lines.push(Line::raw(fit(&format!("  {text}"), wide)));
        if holder.coro != 0 {
            lines.extend(chain(session, holder.coro, wide, Extent::Whole));
        }
        lines.push(Line::default());
    }
    if one.holders.len() > HOLDERS {
        lines.push(Line::styled(format!("  and {} more", one.holders.len() - HOLDERS), theme.dim));
    }
    if one.holders.is_empty() {
        lines.push(Line::default());
    }
    lines.push(heading(theme, "Waiting for it"));
    let waiting = counted(one.waiters.len() as u64, "coroutine");
    lines.push(match one.waiters.is_empty() {
        true => Line::styled("  none", theme.dim),
        false => Line::raw(format!("  {waiting}")),
    });
    lines
}

fn question(model: &Model, id: CoroId) -> String {
    let label = model.label(id);
    match model.coro(id) {
        Some(coro) if !coro.is_live() => format!("{label} no longer waits"),
        Some(coro) if !coro.activity.is_waiting() => format!("{label} does not wait"),
        _ => format!("Why is {label} still waiting?"),
    }
}

fn dependants(session: &Session, id: CoroId, wide: usize) -> Vec<Line<'static>> {
    let model = session.model();
    let mut lines = Vec::new();
    let mut seen = HashSet::from([id]);
    let mut at = id;
    // Up along the first waiter of each: most chains have but one.
    while let Some(coro) = model.coro(at) {
        let Some(waiter) = coro.waiters.first() else { break };
        let more = match coro.waiters.len() - 1 {
            0 => String::new(),
            more => format!("  and {more} more"),
        };
        let indent = " ".repeat(2 + lines.len().min(12));
        lines.push(Line::raw(fit(&format!("{indent}{}{more}", model.label(waiter)), wide)));
        if !seen.insert(waiter) || lines.len() > 200 {
            break;
        }
        at = waiter;
    }
    if lines.is_empty() {
        lines.push(Line::styled("  none", session.theme.dim));
    }
    lines
}
