//! Groups of the failures beside the origin of a crash: alike ones form one group.

use std::collections::{HashMap, HashSet};

use tinyio_events::event::{CoroId, Failure, Outcome, Target};

use super::stack;
use crate::model::{Crash, Model, common_stem, short_name};

/// How the members of a group ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// They failed as well.
    Failed,
    /// They did not return their `CancelledError` when cancelled.
    Improper,
    /// They were cancelled.
    Cancelled,
    /// They never ran.
    NeverStarted,
}

/// Members of a crash with the same description.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// How they ended.
    pub section: Section,
    /// The failures in the group; never empty.
    pub members: Vec<&'a Failure>,
    /// What they did when they were cancelled, in a few words; empty where unknown.
    pub was_at: String,
}

impl Section {
    /// All of them, in the order of a report.
    pub const ALL: [Section; 4] = [Section::Failed, Section::Improper, Section::Cancelled, Section::NeverStarted];

    fn of(outcome: Outcome) -> Section {
        match outcome {
            Outcome::Error | Outcome::Panic => Section::Failed,
            Outcome::Improper => Section::Improper,
            Outcome::Cancelled | Outcome::Ok | Outcome::Unknown => Section::Cancelled,
            Outcome::NeverStarted => Section::NeverStarted,
        }
    }
}

impl<'a> Group<'a> {
    /// The groups of a crash, in the order of their first members within each section. Left out are the origin itself
    /// and the coroutines its trace names already.
    pub fn of(model: &'a Model, crash: &'a Crash) -> Vec<Group<'a>> {
        let Some((origin, others)) = crash.failures.split_first() else { return Vec::new() };
        let traced: HashSet<CoroId> = origin.trace.iter().map(|site| site.coro).filter(|id| *id != 0).collect();
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for failure in others {
            let section = Section::of(failure.kind);
            if section == Section::Cancelled && failure.thread == 0 && traced.contains(&failure.coro) {
                continue;
            }
            let was_at = was_at(model, failure);
            let key = key(model, failure, section, &was_at);
            let index = *known.entry(key).or_insert_with(|| {
                groups.push(Group { section, members: Vec::new(), was_at });
                groups.len() - 1
            });
            groups[index].members.push(failure);
        }
        groups.sort_by_key(|group| group.section);
        groups
    }

    /// The first of them.
    pub fn first(&self) -> &'a Failure {
        self.members[0]
    }

    /// The common name of the members: `fetch #17`, `fetch`, `thread 3 · read`.
    pub fn label(&self, model: &Model) -> String {
        let first = self.first();
        match (self.members.len(), first.thread) {
            (1, 0) => stack::label(model, first.coro, &first.name),
            (1, thread) => format!("thread {thread} · {}", short_name(&first.name)),
            (_, 0) => {
                let given = common_stem(self.members.iter().map(|one| stack::given_name(model, one)));
                given.unwrap_or_else(|| short_name(&first.name)).to_owned()
            }
            (_, _) => format!("thread · {}", short_name(&first.name)),
        }
    }
}

/// The key by which members are alike: everything that the report would say about them.
fn key(model: &Model, failure: &Failure, section: Section, was_at: &str) -> String {
    use std::fmt::Write;
    let mut key = format!("{section:?}|{}|{}|{was_at}|{}", failure.name, failure.thread == 0, failure.message);
    if let Some(site) = failure.trace.last() {
        let _ = write!(key, "|{}:{}:{}", site.file, site.line, site.column);
    }
    let frames = stack::stack_of(model, failure).map_or(&[][..], |stack| &stack.frames);
    for frame in frames.iter().filter(|frame| !frame.hidden) {
        let _ = write!(key, "|{}:{}:{}", frame.function, frame.file, frame.line);
        for branch in &frame.branches {
            for inner in branch.frames.iter().filter(|frame| !frame.hidden) {
                let _ = write!(key, "|{}.{}:{}", branch.name, inner.function, inner.line);
            }
        }
    }
    key
}

fn was_at(model: &Model, failure: &Failure) -> String {
    if failure.thread != 0 {
        return String::new();
    }
    let waits = model.coro(failure.coro).and_then(|coro| coro.at_cancel.as_deref()).map_or(&[][..], |waits| &waits[..]);
    let rank = |target: &Target| match target {
        Target::Thread(_) => 0,
        Target::Res(_) => 1,
        Target::Coro(_) | Target::Loop(_) => 2,
        Target::External => 3,
        Target::Timer(_) => 4,
        Target::Turn => 5,
    };
    let on_coros = waits.iter().filter(|(on, _)| matches!(on, Target::Coro(_))).count();
    match waits.iter().map(|(on, _)| *on).min_by_key(rank) {
        None => String::new(),
        Some(Target::Thread(_)) => "on a thread".to_owned(),
        Some(Target::Res(res)) => format!("on {}", model.resource_label(res)),
        Some(Target::Coro(id)) if on_coros == 1 => match model.full_name(id) {
            "?" => "waiting for another".to_owned(),
            name => format!("waiting for {}", short_name(name)),
        },
        Some(Target::Coro(_)) => format!("waiting for {on_coros} others"),
        Some(Target::Loop(_)) => "in a loop of its own".to_owned(),
        Some(Target::External) => "in a foreign future".to_owned(),
        Some(Target::Timer(_)) => "sleeping".to_owned(),
        Some(Target::Turn) => "between two turns".to_owned(),
    }
}
