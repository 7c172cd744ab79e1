//! Short descriptions of coroutines, targets and resources.

use tinyio_events::event::{CoroId, Frame, Outcome, ResId, ResKind, SiteId, State, Target};
use tinyio_events::place::short_path;

use crate::format::{brief, clock, count, span};
use crate::model::{Activity, Coro, Counts, Holder, Leaf, Link, Model, Moment, file_name, short_name};

/// What a coroutine is at: `fetch #17`, `thread 3 · read_to_string`, `lock #1, held by parse #9`, `fires in 0.4 s`.
pub fn doing(model: &Model, coro: &Coro, now: u64) -> String {
    if let Some((_, outcome)) = coro.ended {
        return ended(outcome).to_owned();
    }
    match coro.state() {
        State::Running => return "running".to_owned(),
        State::Ready => {
            return match coro.woken_by {
                Some((_, by)) => format!("ready, woken by {}", model.waker_label(by)),
                None if model.picture().is_some() => "ready".to_owned(),
                None => "ready to start".to_owned(),
            };
        }
        State::Waiting => {}
    }
    let Some((on, _)) = model.main_wait(coro) else {
        return foreign(model, coro).unwrap_or_else(|| "external".to_owned());
    };
    let first = target(model, on, now);
    match coro.wait_count() {
        0 | 1 => first,
        // A time limit beside what is waited on.
        2 if coro.on_others.iter().any(|(on, _)| matches!(on, Target::Timer(_))) && !matches!(on, Target::Timer(_)) => {
            let due = coro.on_others.iter().find_map(|(on, _)| match on {
                Target::Timer(due) => Some(*due),
                _ => None,
            });
            format!("{first}, at most {}", span(due.unwrap_or(0).saturating_sub(now)))
        }
        many => format!("{first} and {} more", count(many as u64 - 1)),
    }
}

/// The moment that is shown: a time, or which picture of a program that is not recorded.
pub fn moment(model: &Model) -> String {
    match model.picture() {
        None => clock(model.now()),
        Some(picture) => format!("picture {}", picture.number),
    }
}

/// A time that has passed; "–" in a picture of a program that is not recorded, which has no past.
pub fn passed(model: &Model, nanos: u64) -> String {
    model.known(nanos).map_or_else(|| "–".to_owned(), span)
}

/// What a coroutine awaits that is not tinyio's, if its stack was read: `Recv<Job>`.
pub fn foreign(model: &Model, coro: &Coro) -> Option<String> {
    model.foreign_future(coro).map(|function| brief(&without_paths(short_name(function))))
}

/// A name without the paths of the types in it: `Recv<Job>` of `Recv<crawl::Job>`.
fn without_paths(name: &str) -> String {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut short = String::new();
    let mut path = String::new();
    for c in name.chars() {
        if is_path(c) {
            path.push(c);
        } else {
            short.push_str(path.rsplit("::").next().unwrap_or_default());
            path.clear();
            short.push(c);
        }
    }
    short + path.rsplit("::").next().unwrap_or_default()
}

/// What a coroutine is at, with the line for what is not tinyio's: `Recv<Job>, crawl.rs:75`.
pub fn doing_at(model: &Model, coro: &Coro, now: u64) -> String {
    let doing = doing(model, coro, now);
    match model.foreign_await(coro) {
        Some(frame) => format!("{doing}, {}:{}", file_name(&frame.file), frame.line),
        None => doing,
    }
}

/// Describes the target of a wait, with the known facts about it.
pub fn target(model: &Model, on: Target, now: u64) -> String {
    match on {
        Target::Timer(due) => timer(model, due, now),
        Target::Res(res) => resource(model, res),
        Target::Coro(id) if !model.coro(id).is_some_and(Coro::is_live) => format!("{}, which ended", model.label(id)),
        on => model.target_label(on),
    }
}

/// When a timer fires, or since when it is due, without time that was not the program's.
fn timer(model: &Model, due: u64, now: u64) -> String {
    match now.saturating_sub(due).saturating_sub(model.away_since(due)) {
        _ if due > now => format!("fires in {}", span(due - now)),
        late if late < FIRES_NOW => "fires now".into(),
        late => format!("due {} ago", span(late)),
    }
}

/// A timer that was due at most so many nanoseconds ago fires now: a loop that sleeps wakes a little late.
const FIRES_NOW: u64 = 1_000_000;

/// The `.await` at which a waiting coroutine stands: `crawl.rs:43:30`; empty where unknown.
pub fn place(model: &Model, coro: &Coro) -> String {
    if coro.state() != State::Waiting {
        return String::new();
    }
    let directory = &model.header().directory;
    let Some((_, edge)) = model.main_wait(coro) else {
        let frame = model.foreign_await(coro);
        return frame.map_or(String::new(), |frame| format!("{}:{}", short_path(&frame.file, directory), frame.line));
    };
    let Some(site) = model.site(edge.site) else { return String::new() };
    let file = short_path(&site.file, directory);
    if site.column > 0 { format!("{file}:{}:{}", site.line, site.column) } else { format!("{file}:{}", site.line) }
}

/// Describes a resource and why it blocks: `lock #1, held by parse #9`.
pub fn resource(model: &Model, res: u64) -> String {
    let label = model.resource_label(res);
    let Some(resource) = model.resource(res) else { return label };
    match (resource.what, &resource.holders[..]) {
        (ResKind::Event | ResKind::Channel, _) => label,
        (ResKind::Barrier, _) => format!("{label}, {} of {} there", resource.waiters.len(), resource.size),
        (_, []) => label,
        (_, [only]) => format!("{label}, held by {}", model.label(only.coro)),
        (_, [first, rest @ ..]) => format!("{label}, held by {} and {} more", model.label(first.coro), rest.len()),
    }
}

/// How something ended, in a word or two.
pub fn ended(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "done",
        Outcome::Error => "failed",
        Outcome::Panic => "panicked",
        Outcome::Cancelled => "cancelled",
        Outcome::Improper => "did not stop properly",
        Outcome::NeverStarted => "never started",
        Outcome::Unknown => "ended",
    }
}

/// Describes the activities of many coroutines: `409 sleeping · 3 on threads`.
pub fn counts(counts: &Counts, dot: &str) -> String {
    let mut parts: Vec<_> = counts.iter().filter(|(activity, _)| activity.is_live()).collect();
    parts.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let say = |(activity, number): &(Activity, u32)| format!("{} {}", count(u64::from(*number)), activity.words());
    parts.iter().map(say).collect::<Vec<_>>().join(&format!(" {dot} "))
}

/// Describes one link of a why chain: the waiting coroutine, and its target.
pub fn link(model: &Model, link: &Link, now: u64) -> (String, String) {
    let mut what = match link.on {
        Target::Coro(_) => String::new(),
        Target::Res(res) => match model.resource(res).map_or(0, |resource| resource.holders.len()) {
            // The chain continues with that one.
            many @ 2.. if link.holder != 0 => {
                let (label, holder) = (model.resource_label(res), model.label(link.holder));
                format!("{label}, held by {holder} and {} more", count(many as u64 - 1))
            }
            _ => resource(model, res),
        },
        on => target(model, on, now),
    };
    if link.others > 0 {
        what += &format!("{}+ {} more", if what.is_empty() { "" } else { " " }, count(link.others as u64));
    }
    (model.label(link.coro), what)
}

/// The calls in the program that led to where the coroutine of a link waits, if there is more than that place.
pub fn calls(model: &Model, link: &Link) -> Option<String> {
    let mut frames = model.frames_at(link.coro, link.site).into_iter().rev();
    let place = |frame: &Frame| format!("{}, {}:{}", short_name(&frame.function), file_name(&frame.file), frame.line);
    let at = frames.next()?;
    let callers: Vec<_> = frames.map(|frame| format!(", called in {}", place(frame))).collect();
    Some(format!("in {}{}", place(at), callers.concat())).filter(|_| !callers.is_empty())
}

/// Where a holder acquired the resource, and how long ago: `acquired at crawl.rs:59, 1.2 s ago`. `ago` is the text of a
/// time that has passed, `None` where that is not known; then nothing is known of the place either.
pub fn acquired(model: &Model, holder: &Holder, ago: impl Fn(u64) -> Option<String>) -> Option<String> {
    let ago = ago(holder.since)?;
    Some(match model.site(holder.site) {
        Some(site) => format!("acquired at {}, {ago}", site.short()),
        None => format!("acquired at an unknown place, {ago}"),
    })
}

/// What a coroutine holds, a line each, and where it acquired that: see [`acquired`].
pub fn holds(model: &Model, coro: CoroId, ago: impl Fn(u64) -> Option<String>) -> Vec<String> {
    let Some(coro) = model.coro(coro) else { return Vec::new() };
    let line = |id: &ResId| {
        let holder = model.resource(*id).and_then(|one| one.holders.iter().find(|one| one.coro == coro.id));
        let acquired = holder.and_then(|holder| acquired(model, holder, &ago));
        let acquired = acquired.map_or_else(String::new, |text| format!(", {text}"));
        format!("holds {}{acquired}", model.resource_label(*id))
    };
    let mut lines: Vec<_> = coro.holds.iter().take(HELD).map(line).collect();
    lines.dedup();
    if coro.holds.len() > HELD {
        lines.push(format!("holds {} more", coro.holds.len() - HELD));
    }
    lines
}

/// At most this many resources of a coroutine are listed.
const HELD: usize = 8;

fn for_how_long(model: &Model, nanos: u64) -> String {
    model.known(nanos).map_or_else(String::new, |nanos| format!(", for {}", span(nanos)))
}

/// The place at which a coroutine began its last wait that was recorded, as far as its history goes back.
fn last_wait(coro: &Coro) -> Option<SiteId> {
    coro.history.iter().rev().find_map(|past| match past.what {
        Moment::Waits { site, .. } | Moment::WaitsOnMany { site, .. } if site != 0 => Some(site),
        _ => None,
    })
}

/// What a why chain ends at, as a sentence, and the coroutine it names.
pub fn leaf(model: &Model, leaf: &Leaf, now: u64) -> (String, Option<CoroId>) {
    match *leaf {
        Leaf::Running(id, since) => {
            (format!("{} is running{}", model.label(id), for_how_long(model, now.saturating_sub(since))), Some(id))
        }
        Leaf::Ready(id, since) => {
            (format!("{} is ready{}", model.label(id), for_how_long(model, now.saturating_sub(since))), Some(id))
        }
        Leaf::Ended(id, outcome) => (format!("{} {}", model.label(id), ended(outcome)), Some(id)),
        Leaf::Thread(id) => {
            let Some(thread) = model.thread(id) else { return (format!("thread {id}"), None) };
            let name = short_name(model.name(thread.name)).to_owned();
            let text = match (thread.started, thread.ended) {
                (_, Some((at, outcome))) => {
                    format!("thread {id} {} {} ago: {name}", ended(outcome), span(now.saturating_sub(at)))
                }
                (Some(since), None) => {
                    format!("thread {id} has been running {name} for {}", span(now.saturating_sub(since)))
                }
                (None, None) => {
                    format!("thread {id} has been queued for {}: {name}", span(now.saturating_sub(thread.queued)))
                }
            };
            (text, None)
        }
        Leaf::Blocked(id, since) => {
            let long = span(now.saturating_sub(since));
            let last = model.coro(id).and_then(last_wait).and_then(|site| model.site(site));
            let last = last.map_or_else(String::new, |site| format!("; its last recorded wait is at {}", site.short()));
            (format!("{} blocks the loop: it has been in one step for {long}{last}", model.label(id)), Some(id))
        }
        Leaf::Timer(due) => (format!("a timer, {}", timer(model, due, now)), None),
        Leaf::Resource(res) => {
            let label = model.resource_label(res);
            let text = match model.resource(res).map(|resource| resource.what) {
                Some(ResKind::Event) => format!("{label}, which is not set"),
                Some(ResKind::Barrier) => resource(model, res),
                Some(ResKind::Channel) => format!("{label}, of which the other ends are not known"),
                Some(_) if model.resource(res).is_some_and(|one| !one.holders.is_empty()) => resource(model, res),
                Some(_) if model.picture().is_some() => format!("{label}, whose holder is not known"),
                Some(_) => format!("{label}, which is free: it is granted in the order of the queue"),
                None => format!("{label}, which is gone"),
            };
            (text, None)
        }
        Leaf::HeldOutside(res) => (format!("{}, held outside the loop", model.resource_label(res)), None),
        Leaf::Loop(id) => (format!("{}, in which nothing lives", model.loop_label(id)), None),
        Leaf::External(id) => {
            let place = model.coro(id).map_or(String::new(), |coro| place(model, coro));
            let at = if place.is_empty() { "" } else { ", at " };
            let text = match model.coro(id).and_then(|coro| foreign(model, coro)) {
                Some(future) if model.picture().is_some() => format!("{future}{at}{place}"),
                None if model.picture().is_some() => format!("something that is not known{at}{place}"),
                Some(future) => format!("{future}{at}{place}, a future that is not of tinyio"),
                None => format!("something that is not of tinyio{at}{place}"),
            };
            (text, None)
        }
        Leaf::Cycle(id) | Leaf::LikelyCycle(id) => {
            let verdict = match (leaf, model.picture()) {
                (Leaf::Cycle(_), _) => "a cycle, none of them can ever go on",
                // Its waits have others beside them, or holders that are not known.
                (_, Some(_)) => "a cycle of waits",
                (_, None) => "a cycle, likely a deadlock",
            };
            (format!("{} again: {verdict}", model.label(id)), Some(id))
        }
        Leaf::Unknown(id) => (format!("nothing is known about #{id}"), None),
    }
}
