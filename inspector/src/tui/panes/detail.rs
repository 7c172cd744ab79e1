//! The details of one coroutine: a page, or beside a list.

use ratatui::text::{Line, Span};

use super::page::Page;
use super::{times, why};
use crate::describe;
use crate::event::{CoroId, Frame, LoopMode, Stack, Target, number};
use crate::model::{Activity, Change, Coro, Model, Moment, Parent, Past, Site, file_name, short_name};
use crate::tui::pane::{Pane, Subject};
use crate::tui::session::{Session, Stacks};
use crate::tui::text::{self, count, counted, fit, pad, pad_left, span, width, wrap};
use crate::tui::widgets::{heading, history_line, labelled, local_line, mark_of};
use tinyio_events::place::is_moment;

/// An await stack that was read before this time is marked as old; those on the screen are read again each second.
const OLD: u64 = 3_000_000_000;

/// Creates the page of all that is known about a coroutine.
pub fn page(id: CoroId) -> Box<dyn Pane> {
    let stacks = |_: &Session, subject| Stacks::of(subject);
    Page::about(Subject::Coro(id), "Detail", move |session, wide| lines(session, id, wide), stacks)
}

/// The details of the selected coroutine.
pub fn selected(session: &Session, wide: u16) -> Vec<Line<'static>> {
    match session.selected {
        Some(id) => lines(session, id, wide),
        None => vec![Line::styled("select a coroutine: j and k move, / searches", session.theme.dim)],
    }
}

/// All that is known, in lines of that width.
fn lines(session: &Session, id: CoroId, wide: u16) -> Vec<Line<'static>> {
    let theme = &session.theme;
    let (model, now) = (session.model(), session.now());
    let Some(coro) = model.coro(id) else {
        return vec![
            heading(theme, &model.label(id)),
            Line::styled("nothing is known about it at this moment", theme.dim),
            Line::styled(
                match model.picture() {
                    Some(_) => "it is not in this picture",
                    None => "it is not yet spawned, or ended long ago: < and > find its events",
                },
                theme.dim,
            ),
        ];
    };
    let wide = usize::from(wide).max(10);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", theme.sign(coro.activity)), theme.activity(coro.activity)),
        Span::styled(model.label(id), theme.title),
        // A given name stands in place of the number in the label.
        Span::styled(if coro.given_name == 0 { String::new() } else { format!("  {}", number(id)) }, theme.dim),
        Span::styled(format!("  {}", model.name(coro.name)), theme.dim),
    ])];
    for line in wrap(&state(session, coro), wide) {
        lines.push(Line::styled(line, theme.activity(coro.activity)));
    }
    if let Some(cancel) = model.get_loop(coro.in_loop).and_then(|one| one.cancel.as_ref()).filter(|_| coro.is_live()) {
        lines.push(Line::styled(fit(&format!("its loop is being cancelled: {}", cancel.reason), wide), theme.warning));
    }
    match model.change_of(id) {
        Some(Change::New) => lines.push(Line::styled("it was not in the picture before", theme.warning)),
        Some(Change::Moved) => lines.push(Line::styled("it was at another place in the picture before", theme.warning)),
        None => {}
    }
    for finding in model.findings_of(id) {
        lines.extend(wrap(&finding.text, wide).into_iter().map(|text| Line::styled(text, theme.failed)));
    }
    for lint in session.lints.iter().filter(|lint| lint.coro == id && model.picture().is_none()) {
        lines.extend(wrap(&lint.text, wide).into_iter().map(|text| Line::styled(text, theme.warning)));
    }

    if coro.is_live() {
        lines.push(Line::default());
        lines.push(heading(theme, "Why"));
        lines.extend(why::chain(session, id, wide, why::Extent::Brief));
    }
    if let Some(waits) = &coro.at_cancel {
        lines.push(Line::default());
        lines.push(heading(theme, "When it was cancelled"));
        for (on, edge) in waits.iter().take(6) {
            lines.push(Line::raw(fit(
                &format!("  waited on {}{}", model.target_label(*on), at_place(model, edge.site)),
                wide,
            )));
        }
        if waits.is_empty() {
            lines.push(Line::raw("  it waited on nothing"));
        }
    }

    lines.push(Line::default());
    // For a failed coroutine, its stack when its error was made.
    let failures = model.crashes().iter().rev().flat_map(|crash| &crash.failures);
    let at_failure = failures.filter(|one| one.coro == id).find_map(|one| one.stack.as_ref());
    let stack = coro.stack.as_ref().map(|(at, stack)| (*at, &**stack));
    let mut title = Line::from(Span::styled("Await stack", theme.title));
    let remote = session.remote_stack(id);
    if let Some((at, _)) = stack.filter(|(at, _)| coro.is_live() && now.saturating_sub(*at) > OLD)
        && remote.is_none()
    {
        let why = session.why_old(coro);
        let ago = session.ago(at).unwrap_or_default();
        title.push_span(Span::styled(format!("  as of {ago}: {why}"), theme.dim));
    }
    if let Some((at, _)) = stack.filter(|_| coro.ended.is_some()) {
        // Its variables are gone, and what they referred to has changed since.
        let ago = session.ago(at).unwrap_or_default();
        title.push_span(Span::styled(format!("  as of {ago}: it has ended since"), theme.dim));
    }
    lines.push(title);
    let is_observed = model.get_loop(coro.in_loop).is_some_and(|one| one.mode == LoopMode::Observed);
    match (remote, stack.map(|(_, stack)| stack).or(at_failure)) {
        (Some(remote), _) => lines.extend(remote_lines(session, id, &remote.stack, wide)),
        (None, Some(stack)) => lines.extend(stack_lines(session, stack, wide)),
        (None, None) => match coro.waits().next() {
            Some((_, edge)) if edge.site != 0 => {
                lines.push(place_line(session, model.name(coro.name), model.site(edge.site), wide));
            }
            _ if is_observed => {
                let text = format!("  not recorded: tinyio-inspector tasks {} reads it", model.header().pid);
                lines.extend(wrap(&text, wide).into_iter().map(|text| Line::styled(text, theme.dim)));
            }
            _ => lines.push(Line::styled("  not read", theme.dim)),
        },
    }

    if !coro.fields.is_empty() {
        lines.push(Line::default());
        lines.push(heading(theme, "Fields"));
        for (name, value) in &coro.fields {
            lines.push(Line::from(vec![
                Span::styled(format!("  {name} = "), theme.name),
                Span::raw(fit(value, wide.saturating_sub(name.len() + 5))),
            ]));
        }
    }

    lines.push(Line::default());
    let spawned = match coro.parent {
        0 => String::new(),
        parent => format!(", by {}", model.label(parent)),
    };
    let place = model.site(coro.site).map_or_else(|| "place unknown".to_owned(), Site::short);
    let spawned = match session.ago(coro.spawned) {
        Some(ago) => format!("{place}, {ago}{spawned}"),
        None => "–".to_owned(),
    };
    lines.push(labelled(theme, "Spawned", fit(&spawned, wide.saturating_sub(9))));
    if !coro.waiters.is_empty() {
        let first: Vec<_> = coro.waiters.ids().take(3).map(|id| model.label(id)).collect();
        let more = coro.waiters.len().saturating_sub(3);
        let more = if more > 0 { format!(" and {} more", count(more as u64)) } else { String::new() };
        lines.push(labelled(theme, "Awaited", fit(&format!("by {}{more}", first.join(", ")), wide.saturating_sub(9))));
    } else if coro.is_live() && coro.parent != 0 && !is_observed {
        lines.push(labelled(theme, "Awaited", "by none".to_owned()));
    }
    if !coro.holds.is_empty() {
        let held: Vec<_> = coro.holds.iter().map(|res| model.resource_label(*res)).collect();
        lines.push(labelled(theme, "Holds", fit(&held.join(", "), wide.saturating_sub(9))));
    }
    if let Some(thread) = Some(coro.thread).filter(|id| *id != 0).and_then(|id| model.thread(id)) {
        let label = model.target_label(Target::Thread(thread.id));
        lines.push(labelled(theme, "Thread", fit(&label, wide.saturating_sub(9))));
    }
    if coro.worker != 0 {
        let label = model.loop_label(coro.worker);
        lines.push(labelled(theme, "On", fit(&label, wide.saturating_sub(9))));
    }
    let steps = match model.picture() {
        None => format!("{} in {}, longest {}", counted(coro.steps, "step"), span(coro.busy), span(coro.longest)),
        Some(_) => "–".to_owned(),
    };
    lines.push(labelled(theme, "Ran", fit(&steps, wide.saturating_sub(9))));
    if model.picture().is_some() {
        return lines;
    }
    lines.extend(coro.times().map(|all| times::in_short(theme, all, wide)).unwrap_or_default());

    lines.push(Line::default());
    lines.push(heading(theme, "History"));
    lines.extend(history(session, coro, wide));
    lines
}

/// An await stack that was read while the loop was stuck, and what that means.
fn remote_lines(session: &Session, id: CoroId, stack: &Result<Stack, String>, wide: usize) -> Vec<Line<'static>> {
    let stuck = match session.playback.blocked() {
        Some((coro, _)) if coro == id => "it blocks the loop".to_owned(),
        Some((coro, _)) => format!("{} blocks the loop", session.model().label(coro)),
        None => "the loop does not answer".to_owned(),
    };
    let origin = match stack {
        Ok(_) => format!("read from outside: {stuck}"),
        Err(why) => format!("not read: {stuck}, and {why}"),
    };
    let mut lines = warning_lines(session, &origin, wide);
    if let Ok(stack) = stack {
        lines.extend(stack_lines(session, stack, wide));
    }
    lines
}

fn warning_lines(session: &Session, text: &str, wide: usize) -> Vec<Line<'static>> {
    let parts = wrap(text, wide.saturating_sub(2)).into_iter();
    parts.map(|text| Line::styled(format!("  {text}"), session.theme.warning)).collect()
}

fn history(session: &Session, coro: &Coro, wide: usize) -> Vec<Line<'static>> {
    let line = |past: &Past| history_line(session, past.at, &moment(session.model(), &past.what), wide);
    coro.history.iter().rev().map(line).collect()
}

fn at_place(model: &Model, site: u32) -> String {
    model.site(site).map(|site| format!(", {}", site.short())).unwrap_or_default()
}

fn place_line(session: &Session, function: &str, site: Option<&Site>, wide: usize) -> Line<'static> {
    let place = site.map(Site::short).unwrap_or_default();
    frame_line(session, function, &place, wide)
}

fn frame_line(session: &Session, function: &str, place: &str, wide: usize) -> Line<'static> {
    let place = fit(place, wide / 2);
    let room = wide.saturating_sub(4 + width(&place));
    Line::from(vec![
        Span::raw("  "),
        Span::styled(pad(function, room.min(32)), session.theme.text),
        Span::styled(format!(" {place}"), session.theme.place),
    ])
}

/// An await stack with its locals.
fn stack_lines(session: &Session, stack: &Stack, wide: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if stack.mid_step {
        lines.extend(warning_lines(
            session,
            "in the middle of a step: places as it last suspended, values of then or later",
            wide,
        ));
    }
    let hidden = stack.frames.iter().filter(|frame| frame.hidden).count();
    for frame in stack.frames.iter().filter(|frame| !frame.hidden) {
        frame_lines(session, frame, stack.mid_step, wide, &mut lines);
    }
    if hidden > 0 {
        lines.push(Line::styled(format!("  {} hidden", counted(hidden as u64, "frame")), session.theme.dim));
    }
    if let Some(missing) = &stack.missing {
        lines.extend(
            wrap(missing, wide.saturating_sub(2))
                .into_iter()
                .map(|text| Line::styled(format!("  {text}"), session.theme.dim)),
        );
    }
    lines
}

/// With `mid_step` a line above states of which moment they are.
fn frame_lines(session: &Session, frame: &Frame, mid_step: bool, wide: usize, lines: &mut Vec<Line<'static>>) {
    let theme = &session.theme;
    let place = if frame.line == 0 { frame.note.clone() } else { format!("{}:{}", file_name(&frame.file), frame.line) };
    lines.push(frame_line(session, short_name(&frame.function), &place, wide));
    for local in &frame.locals {
        let mark = mark_of(local).filter(|mark| !(mid_step && is_moment(mark)));
        let mut line = local_line(theme, local, mark, width(&local.name), wide.saturating_sub(4));
        line.spans.insert(0, Span::raw("    "));
        lines.push(line);
    }
    for branch in &frame.branches {
        lines.push(Line::styled(format!("  beside, {}:", branch.name), theme.dim));
        for frame in branch.frames.iter().filter(|frame| !frame.hidden) {
            frame_lines(session, frame, mid_step, wide, lines);
        }
    }
}

/// The details of a group: what its members are at, and which are at it the longest.
pub fn group(session: &Session, parent: Parent, name: u32, wide: u16) -> Vec<Line<'static>> {
    let (theme, model, now) = (&session.theme, session.model(), session.now());
    let Some(group) = model.group(parent, name) else { return Vec::new() };
    let wide = usize::from(wide);
    let mut lines = vec![
        heading(
            theme,
            &format!("{} {}{}", model.name(name), session.theme.glyphs.times, count(group.members.len() as u64)),
        ),
        Line::default(),
    ];
    for (activity, number) in group.counts.iter() {
        lines.push(Line::from(vec![
            Span::styled(format!("  {} ", session.theme.sign(activity)), session.theme.activity(activity)),
            Span::raw(pad_left(&count(u64::from(number)), 9)),
            Span::raw(format!(" {}", activity.words())),
        ]));
    }
    // The oldest of some: all of a hundred thousand would take too long to look at in a frame.
    let mut some: Vec<_> = group.members.ids().take(2000).filter_map(|id| model.coro(id)).collect();
    some.sort_by_key(|coro| coro.since);
    lines.push(Line::default());
    let title = if model.picture().is_some() { "Some of them" } else { "At it the longest" };
    lines.push(heading(theme, title));
    for coro in some.iter().take(10) {
        let text = format!("  {}  {}", model.label(coro.id), describe::doing(model, coro, now));
        let time = describe::passed(model, coro.for_how_long(now));
        lines.push(Line::raw(format!("{} {}", pad(&text, wide.saturating_sub(10)), time)));
    }
    lines.push(Line::default());
    lines.push(Line::styled("l unfolds", session.theme.dim));
    lines
}

/// The first line of a detail: `waiting 1.21 s on thread 3`.
fn state(session: &Session, coro: &Coro) -> String {
    let (model, now) = (session.model(), session.now());
    let Some(long) = model.known(coro.for_how_long(now)).map(span) else {
        return match coro.activity {
            activity if activity.is_waiting() => format!("waiting on {}", describe::doing_at(model, coro, now)),
            _ => describe::doing(model, coro, now),
        };
    };
    match coro.activity {
        Activity::Running => format!("running for {long}"),
        Activity::Ready => {
            format!("ready for {long}, {}", describe::doing(model, coro, now).trim_start_matches("ready, "))
        }
        Activity::Sleeping => format!("sleeping {long}, {}", describe::doing(model, coro, now)),
        activity if activity.is_live() => format!("waiting {long} on {}", describe::doing_at(model, coro, now)),
        _ => {
            let at = coro.ended.map_or(coro.since, |(at, _)| at);
            let ago = session.ago(at).unwrap_or_default();
            format!("{} at {}, {ago}", describe::doing(model, coro, now), text::moment(at))
        }
    }
}

/// A moment of the past, in a few words.
fn moment(model: &Model, moment: &Moment) -> String {
    match *moment {
        Moment::Spawned => "scheduled".to_owned(),
        Moment::Waits { on: Target::Timer(_), .. } => "sleeps".to_owned(),
        Moment::Waits { on: Target::Turn, .. } => "yields".to_owned(),
        Moment::Waits { on, .. } => format!("waits on {}", model.target_label(on)),
        Moment::WaitsOnMany { count: many, .. } => format!("waits on {} coroutines", count(u64::from(many))),
        Moment::Cleared(on) => format!("no longer waits on {}", model.target_label(on)),
        Moment::Woken(by) => format!("woken by {}", model.waker_label(by)),
        Moment::Ran { steps, took, worker } => {
            let on = if worker == 0 { String::new() } else { format!(", on {}", model.loop_label(worker)) };
            let steps = if steps == 1 { String::new() } else { format!("{steps} steps, ") };
            format!("ran {steps}{}{on}", span(took))
        }
        Moment::Took(res) => format!("acquired {}", model.resource_label(res)),
        Moment::Gave(res) => format!("released {}", model.resource_label(res)),
        Moment::Cancelled => "was cancelled".to_owned(),
        Moment::Ended(outcome) => describe::ended(outcome).to_owned(),
    }
}
