//! The text of a recording without a crash: the live coroutines, and why they wait.

use std::collections::HashMap;
use std::sync::Arc;

use tinyio_events::event::{CoroId, State};

use super::Ending;
use super::crash::first_line;
use super::paint::{Ink, Page};
use crate::describe;
use crate::format::{self, brief, clock, counted, fine_span, one_line, span, width};
use crate::model::{Activity, Coro, Crash, Leaf, Model, Picture, Why};

/// At most this many groups of those alive are listed.
const GROUPS: usize = 24;
/// At most this many crashes of isolated loops are listed.
const ISOLATED: usize = 5;

pub(super) fn write(page: &mut Page, model: &Model, ending: Ending) {
    headline(page, model, ending);
    if model.live_count() > 0 {
        page.blank();
        alive(page, model);
    }
}

/// What is left of a loop that cancels its coroutines: those that have not ended, as one may hang in its cleanup.
pub(super) fn cancelling(page: &mut Page, model: &Model, crash: &Crash, ending: Ending) {
    if let Some(sentence) = super::cancelling(model, crash, ending) {
        page.blank();
        page.begin(2).put(&sentence, Ink::Strong).end();
        alive(page, model);
    }
}

/// The live coroutines, those that do the same as one, and why the program's main coroutine waits.
fn alive(page: &mut Page, model: &Model) {
    let groups = groups(model);
    let names = groups.iter().take(GROUPS).map(|group| width(&group.label(model))).max().unwrap_or(0).min(36);
    for group in groups.iter().take(GROUPS) {
        page.begin(2).name(&one_line(&group.label(model))).to(2 + names + 3).plain(&group.doing);
        if !group.place.is_empty() {
            page.plain(", ").plain(&group.place);
        }
        if group.longest > 0 {
            page.dim(&format!(", {}{}", if group.ids.len() > 1 { "up to " } else { "" }, span(group.longest)));
        }
        page.end();
    }
    if groups.len() > GROUPS {
        let left: usize = groups[GROUPS..].iter().map(|group| group.ids.len()).sum();
        page.begin(2).dim(&format!("… and {} that do other things", format::count(left as u64))).end();
    }
    match model.picture() {
        None => stuck(page, model),
        Some(picture) => found(page, picture),
    }
}

/// What was proved in a picture.
fn found(page: &mut Page, picture: &Picture) {
    for finding in &picture.findings {
        page.blank();
        page.begin(2).plain(&one_line(&finding.text)).end();
        for fact in &finding.proof {
            page.begin(4).dim(&one_line(fact)).end();
        }
    }
}

fn headline(page: &mut Page, model: &Model, ending: Ending) {
    let header = model.header();
    let program = if header.program.is_empty() { "the program" } else { &header.program };
    let program = format!("{} (pid {})", one_line(program), header.pid);
    let long = fine_span(model.now());
    let has_died = ending == Ending::Died && !model.lost().cut;
    let alive = match model.live_count() {
        many if model.picture().is_some() => counted(many as u64, "task"),
        0 => "no coroutine is left".to_owned(),
        1 => format!("1 coroutine {} alive", if has_died { "was" } else { "is" }),
        many => format!("{} {} alive", counted(many as u64, "coroutine"), if has_died { "were" } else { "are" }),
    };
    page.begin(0);
    match ending {
        _ if model.picture().is_some() => {
            page.put("●", Ink::Good).plain(&format!(" {program}, as it was read: {alive}"))
        }
        _ if model.is_complete() && model.loops().any(|one| one.ended.is_none()) => {
            page.put("●", Ink::Good).plain(&format!(" {program} exited after {long}, while its loop ran: {alive}"))
        }
        _ if model.is_complete() => page.put("✔", Ink::Good).plain(&format!(" {program} ended after {long}: {alive}")),
        Ending::Died if model.lost().cut => {
            page.put("✖", Ink::Bad).plain(&format!(" the recording of {program} breaks off after {long}: {alive}"))
        }
        Ending::Died => page.put("✖", Ink::Bad).plain(&format!(" {program} died after {long}: {alive}")),
        Ending::Ended => page.put("✔", Ink::Good).plain(&format!(" {program} ended after {long}: {alive}")),
        // The process may do something else now, or start another loop.
        Ending::Living if model.loops().all(|one| one.ended.is_some()) => {
            page.put("✔", Ink::Good).plain(&format!(" the loop of {program} ended after {long}: {alive}"))
        }
        Ending::Living => page.put("●", Ink::Good).plain(&format!(" {program} has been running for {long}: {alive}")),
    };
    page.end();
}

/// Live coroutines that do the same at the same place.
struct Alive<'a> {
    first: &'a Coro,
    ids: Vec<CoroId>,
    doing: String,
    place: String,
    longest: u64,
}

impl Alive<'_> {
    fn label(&self, model: &Model) -> String {
        match self.ids.len() {
            1 => brief(&model.label(self.first.id)),
            many => format!("{} × {}", format::count(many as u64), brief(model.common_label(&self.ids))),
        }
    }
}

fn groups(model: &Model) -> Vec<Alive<'_>> {
    let mut groups: Vec<Alive<'_>> = Vec::new();
    let mut known: HashMap<(u32, Activity, u32, String, u32), usize> = HashMap::new();
    for coro in model.live() {
        let wait = model.main_wait(coro).filter(|_| coro.state() == State::Waiting);
        let doing = match coro.activity {
            // For many timers, the time at which each fires is not a difference.
            Activity::Sleeping => "sleeping".to_owned(),
            Activity::OnThread => "on a thread".to_owned(),
            Activity::Ready => "ready".to_owned(),
            Activity::OnCoro => "waiting for others".to_owned(),
            _ => describe::doing(model, coro, model.now()),
        };
        let site = wait.map_or(0, |(_, edge)| edge.site);
        let long = coro.for_how_long(model.now());
        let line = model.foreign_await(coro).map_or(0, |frame| frame.line);
        let index = *known.entry((coro.name, coro.activity, site, doing.clone(), line)).or_insert_with(|| {
            let place = one_line(&describe::place(model, coro));
            groups.push(Alive { first: coro, ids: Vec::new(), doing, place, longest: 0 });
            groups.len() - 1
        });
        groups[index].ids.push(coro.id);
        groups[index].longest = groups[index].longest.max(long);
    }
    for group in groups.iter_mut().filter(|group| group.ids.len() == 1) {
        group.doing = brief(&describe::doing(model, group.first, model.now()));
    }
    groups
}

/// The end of the chain of waits of the program's main coroutine.
fn stuck(page: &mut Page, model: &Model) {
    let Some(main) = model.roots().next() else { return };
    let why = model.why(main.id);
    let Why { chain, leaf } = &why;
    if chain.is_empty() {
        return;
    }
    page.blank();
    if let [first, ..] = why.cycle() {
        let around = why.cycle().iter().take(6).map(|link| model.label(link.coro));
        let more = (why.cycle().len() > 6).then(|| format!("… {} more", why.cycle().len() - 6));
        let around: Vec<_> = around.chain(more).chain([model.label(first.coro)]).collect();
        let verdict = if matches!(leaf, Leaf::Cycle(_)) { "none of them can ever go on" } else { "likely a deadlock" };
        page.begin(2).name(&model.label(main.id)).plain(" hangs on a cycle: ");
        page.plain(&one_line(&around.join(" → "))).dim(&format!(", {verdict}")).end();
        return;
    }
    page.begin(2).name(&model.label(main.id)).plain(" hangs on this: ");
    page.plain(&describe::leaf(model, leaf, model.now()).0);
    if chain.len() > 1 {
        let labels: Vec<_> = chain.iter().skip(1).take(6).map(|link| model.label(link.coro)).collect();
        let more = if chain.len() > 7 { format!(" → … {} more", chain.len() - 7) } else { String::new() };
        page.dim(&format!(", by way of {}{more}", one_line(&labels.join(" → "))));
    }
    page.end();
}

/// Crashes of loops that ran inside a coroutine, which the program has handled.
pub(super) fn handled(model: &Model) -> Vec<&Arc<Crash>> {
    let own = model.crash().map(|crash| crash.seq);
    model.crashes().iter().filter(|crash| crash.is_over && Some(crash.seq) != own).collect()
}

/// Lists these.
pub(super) fn isolated(page: &mut Page, model: &Model) {
    let inside = handled(model);
    if inside.is_empty() {
        return;
    }
    page.blank();
    let title = match (inside.len(), model.crash()) {
        (1, None) => "1 crash".to_owned(),
        (many, None) => format!("{many} crashes"),
        (1, _) => "1 other crash".to_owned(),
        (many, _) => format!("{many} other crashes"),
    };
    page.begin(2).put(&format!("{title} that the program handled"), Ink::Strong).end();
    for crash in inside.iter().rev().take(ISOLATED).rev() {
        let parent = model.get_loop(crash.in_loop).map_or(0, |one| one.parent);
        page.begin(6).plain(&format!("{}  ", clock(crash.at)));
        if parent != 0 {
            page.plain("inside ").name(&model.label(parent)).plain(": ");
        }
        let message = crash.failures.first().map_or(String::new(), first_line);
        let room = page.left().max(24);
        page.plain(&format::fit(&message, room)).end();
    }
    if inside.len() > ISOLATED {
        page.begin(6).dim(&format!("and {} before them", inside.len() - ISOLATED)).end();
    }
}
