//! The rows of the tree, siblings of one name folded where there are many.

use std::collections::HashMap;

use tinyio_events::event::{CoroId, LoopId, LoopMode};

use crate::describe;
use crate::format::{brief, count, span};
use crate::model::{Activity, Coro, Counts, Model, Parent};

/// Beyond this many, siblings of one name share one row; those that run, that have something below them or that have a
/// known stack keep rows of their own, up to this many.
const SIBLINGS: usize = 5;
/// References beyond this many are counted.
const REFERENCES: usize = 5;
/// What is deeper is left out.
pub const DEEPEST: usize = 100;

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Distance from the root.
    pub depth: usize,
    /// No sibling follows.
    pub is_last: bool,
    /// The row above it in the tree does not wait on it: it was spawned and runs beside.
    pub is_loose: bool,
    /// Whether rows beneath it follow.
    pub has_children: bool,
    /// What it is of.
    pub what: What,
    /// The first column: `fetch #17`, `fetch ×412`.
    pub label: String,
    /// What it is at.
    pub doing: String,
    /// The `.await`, or empty.
    pub place: String,
    /// For how long.
    pub long: String,
}

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A coroutine.
    Coro(CoroId, Activity),
    /// Several, the commonest activity among them.
    Group(Activity),
    /// A loop.
    Loop,
    /// A coroutine that stands elsewhere in the tree.
    Reference(CoroId),
    /// What was left out.
    More,
}

impl What {
    /// The glyph in front of a row.
    pub fn glyph(self) -> &'static str {
        match self {
            What::Coro(_, activity) | What::Group(activity) => glyph(activity),
            What::Loop => "◎",
            What::Reference(_) => "⇢",
            What::More => "…",
        }
    }
}

/// The glyph of an activity.
pub fn glyph(activity: Activity) -> &'static str {
    match activity {
        Activity::Running => "●",
        Activity::Ready => "◐",
        Activity::Sleeping => "◌",
        Activity::Done => "✔",
        Activity::Failed => "✖",
        Activity::Cancelled => "⊘",
        Activity::Improper => "!",
        _ => "◷",
    }
}

enum Item<'a> {
    Loop(LoopId),
    Coro(&'a Coro),
    /// Siblings: their name, how many, what they are at, the longest time.
    Group(&'a str, usize, Counts, Activity, u64),
    Reference(CoroId),
    More(String),
}

/// All rows, from the top.
pub fn rows(model: &Model) -> Vec<Row> {
    let mut inside: HashMap<CoroId, Vec<LoopId>> = HashMap::new();
    for one in model.loops().filter(|one| one.ended.is_none() && one.mode != LoopMode::Worker) {
        let parent = if model.coro(one.parent).is_some_and(Coro::is_live) { one.parent } else { 0 };
        inside.entry(parent).or_default().push(one.id);
    }
    let tops = inside.get(&0).map_or(&[][..], |loops| &loops[..]);
    let roots = match tops {
        [only] => beneath(model, Parent::Loop(*only)),
        many => many.iter().map(|id| Item::Loop(*id)).collect(),
    };
    let mut rows: Vec<Row> = Vec::new();
    // Iterative, because chains of coroutines can have any length.
    let mut todo: Vec<std::iter::Peekable<std::vec::IntoIter<Item<'_>>>> = vec![roots.into_iter().peekable()];
    while let Some(level) = todo.last_mut() {
        let Some(item) = level.next() else {
            todo.pop();
            continue;
        };
        let is_last = level.peek().is_none();
        let depth = todo.len() - 1;
        let mut children = match &item {
            Item::Loop(id) => beneath(model, Parent::Loop(*id)),
            Item::Coro(coro) => {
                let mut children = beneath(model, Parent::Coro(coro.id));
                children.extend(inside.get(&coro.id).into_iter().flatten().map(|id| Item::Loop(*id)));
                children.extend(references(model, coro));
                children
            }
            _ => Vec::new(),
        };
        if depth >= DEEPEST && !children.is_empty() {
            children = vec![Item::More("and what is beneath".to_owned())];
        }
        let row = row(model, &item, depth, is_last);
        rows.push(Row { has_children: !children.is_empty(), ..row });
        if !children.is_empty() {
            todo.push(children.into_iter().peekable());
        }
    }
    rows
}

/// What stands directly beneath a parent.
fn beneath(model: &Model, parent: Parent) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    for group in model.groups(parent) {
        let members = || group.members.ids().filter_map(|id| model.coro(id));
        if group.members.len() <= SIBLINGS {
            items.extend(members().map(Item::Coro));
            continue;
        }
        let stands_out = |coro: &&Coro| {
            let is_known = coro.activity == Activity::Running || coro.stack.is_some();
            is_known || model.groups(Parent::Coro(coro.id)).next().is_some()
        };
        let shown: Vec<_> = members().filter(stands_out).take(SIBLINGS).collect();
        let mut counts = group.counts;
        shown.iter().for_each(|coro| counts.sub(coro.activity));
        let many = group.members.len() - shown.len();
        let commonest =
            counts.iter().max_by_key(|(_, number)| *number).map_or(Activity::Ready, |(activity, _)| activity);
        // For a hundred thousand waits, the oldest one is not looked for.
        let longest = members().take(1000).map(|coro| coro.for_how_long(model.now())).max().unwrap_or(0);
        items.extend(shown.into_iter().map(Item::Coro));
        items.push(Item::Group(model.group_label(group), many, counts, commonest, longest));
    }
    items
}

fn references<'a>(model: &'a Model, coro: &'a Coro) -> Vec<Item<'a>> {
    let mut all = model.references(coro);
    let mut items: Vec<_> = all.by_ref().take(REFERENCES).map(Item::Reference).collect();
    let more = all.count();
    if more > 0 {
        items.push(Item::More(format!("and {} others it waits on", count(more as u64))));
    }
    items
}

/// A span, unless there is none.
fn long(nanos: u64) -> String {
    if nanos == 0 { String::new() } else { span(nanos) }
}

fn row(model: &Model, item: &Item<'_>, depth: usize, is_last: bool) -> Row {
    let empty = String::new;
    let is_loose = match item {
        Item::Coro(coro) => model.parent_of(coro) != Parent::Loop(coro.in_loop) && !coro.waiters.contains(coro.parent),
        _ => false,
    };
    let row = |what, label: String, doing: String, place, long| {
        let (label, doing) = (brief(&label), brief(&doing));
        Row { depth, is_last, is_loose, has_children: false, what, label, doing, place, long }
    };
    match item {
        Item::Coro(coro) => {
            let place = describe::place(model, coro);
            let long = long(coro.for_how_long(model.now()));
            row(
                What::Coro(coro.id, coro.activity),
                model.label(coro.id),
                describe::doing(model, coro, model.now()),
                place,
                long,
            )
        }
        Item::Group(name, many, counts, activity, longest) => {
            let label = format!("{name} ×{}", count(*many as u64));
            let up_to = if *longest == 0 { String::new() } else { format!("up to {}", span(*longest)) };
            row(What::Group(*activity), label, describe::counts(counts, "·"), empty(), up_to)
        }
        Item::Loop(id) => {
            let one = model.get_loop(*id);
            let mode = match one.map(|one| one.mode) {
                Some(LoopMode::Drive) => "driven",
                Some(LoopMode::Isolate) => "isolated",
                Some(LoopMode::Observed) => "tasks of other runtimes",
                _ => "",
            };
            let live = one.map_or(0, |one| one.live);
            let doing = [mode.to_owned(), format!("{} live", count(u64::from(live)))];
            let doing = doing.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
            let long = one.map_or(String::new(), |one| long(model.now().saturating_sub(one.since)));
            row(What::Loop, model.loop_label(*id), doing, empty(), long)
        }
        Item::Reference(id) => row(What::Reference(*id), model.label(*id), empty(), empty(), empty()),
        Item::More(text) => row(What::More, text.clone(), empty(), empty(), empty()),
    }
}
