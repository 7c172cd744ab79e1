//! The tasks that certainly are there, and their rows.

use std::collections::{HashMap, HashSet};

use tinyio_frames::Frames;

use super::kinds::{Kind, Kinds};
use super::lists::List;
use super::scan::Hit;
use crate::picture::{Runtime, State};
use crate::row::{Future, Row};

/// A task that certainly is there.
pub struct Found {
    pub hit: Hit,
    runtime: usize,
    is_listed: bool,
}

/// The tasks that are there: those in lists, and of the others those that cannot be in one. Adds their runtimes.
pub fn members(
    kinds: &Kinds,
    frames: &mut Frames,
    hits: &[Hit],
    lists: Vec<List>,
    no_stop: bool,
    runtimes: &mut Vec<Runtime>,
) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let mut seen: HashSet<u64> = HashSet::new();
    let mut owners: HashMap<u64, usize> = HashMap::new();
    for list in lists {
        let runtime = runtimes.len();
        runtimes.push(Runtime { kind: "tokio", flavor: list.flavor, tasks: 0 });
        owners.insert(list.id, runtime);
        for hit in list.tasks {
            if seen.insert(hit.header) {
                found.push(Found { hit, runtime, is_listed: true });
            }
        }
    }
    let mut blocking = None;
    for hit in hits.iter().filter(|hit| !seen.contains(&hit.header)) {
        let kind = &kinds.all[hit.vtable.kind];
        if kind.is_worker {
            continue;
        }
        let runtime = match owners.get(&hit.owner) {
            _ if kind.is_blocking && hit.owner == 0 => *blocking.get_or_insert_with(|| {
                runtimes.push(Runtime { kind: "tokio", flavor: "blocking", tasks: 0 });
                runtimes.len() - 1
            }),
            // One that has ended has left its list, and stays until its handle is gone.
            Some(runtime) if hit.state.state() == State::Finished || no_stop => *runtime,
            _ => continue,
        };
        // On a stack there are copies of tasks from the time when they were made.
        let is_copy = hit.is_on_stack && hit.state.state() == State::Ready;
        if !is_copy && is_whole(kind, frames, hit) {
            found.push(Found { hit: *hit, runtime, is_listed: false });
        }
    }
    found
}

/// Whether what is in a task goes with its state, where no list says that it is there.
fn is_whole(kind: &Kind, frames: &mut Frames, hit: &Hit) -> bool {
    let Some((stage, offset)) = kind.stage else { return false };
    let Ok((variant, ..)) = frames.variant(stage, hit.header.wrapping_add(offset)) else { return false };
    match hit.state.state() {
        State::Finished => variant != "Running",
        State::Running => true,
        State::Ready | State::Waiting => variant == "Running",
    }
}

impl Found {
    /// The number of the task and its name.
    pub fn number(&self, kinds: &Kinds, frames: &Frames) -> (u64, String) {
        let id = frames.word(self.hit.header.wrapping_add(self.hit.vtable.id)).unwrap_or(0);
        (id, kinds.all[self.hit.vtable.kind].name.clone())
    }

    /// What is known of the task before its future is read.
    pub fn row(&self, kinds: &Kinds, frames: &mut Frames, no_stop: bool) -> Row {
        let Found { hit, runtime, is_listed } = self;
        let kind = &kinds.all[hit.vtable.kind];
        let (id, name) = self.number(kinds, frames);
        let state = hit.state.state();
        let mut notes = Vec::new();
        if no_stop && !is_listed && !kind.is_blocking && state != State::Finished {
            notes.push("it was in no list when the lists were read".to_owned());
        }
        let future = if kind.is_blocking { Future::None } else { future(kind, frames, hit) };
        let or = kind.or.clone();
        let never_woken = *is_listed && !no_stop && hit.state.has_no_waker();
        Row { id, runtime: *runtime, name, or, state, never_woken, future, notes, thread: None }
    }
}

/// Where the future of a task is.
fn future(kind: &Kind, frames: &mut Frames, hit: &Hit) -> Future {
    let Some((stage, offset)) = kind.stage else {
        return Future::Unknown("debug info does not describe where its future is: unknown layout");
    };
    let stage_at = hit.header.wrapping_add(offset);
    let Ok((variant, inner, offset)) = frames.variant(stage, stage_at) else {
        return Future::Unknown("it holds neither a future nor an output: unknown layout");
    };
    if variant != "Running" {
        return Future::None;
    }
    let Some((ty, within)) = frames.member(inner, "__0") else { return Future::Unknown("unknown layout") };
    if ty != kind.future && frames.type_name(ty) != frames.type_name(kind.future) {
        return Future::Unknown("debug info and the function that polls it disagree on its type: unknown layout");
    }
    Future::At(ty, stage_at.wrapping_add(offset).wrapping_add(within))
}
