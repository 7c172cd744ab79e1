//! The tasks that certainly are there, and their rows.

use std::collections::{HashMap, HashSet};

use tinyio_frames::Frames;

use super::kinds::{Kind, Kinds};
use super::lists::List;
use super::scan::Hit;
use crate::picture::State;
use crate::row::{Found, Future, Row};

/// The tasks that are there: those in lists, and of the others those that cannot be in one.
pub fn members(kinds: &Kinds, frames: &mut Frames, hits: &[Hit], lists: Vec<List>, no_stop: bool) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    let mut seen: HashSet<u64> = HashSet::new();
    let mut owners: HashMap<u64, usize> = HashMap::new();
    for list in lists {
        owners.insert(list.id, all.len());
        let mut found = Found::new("tokio", list.flavor, list.is_whole);
        for hit in list.tasks {
            if seen.insert(hit.header) {
                found.tasks.push(row(kinds, frames, &hit, true));
            }
        }
        all.push(found);
    }
    let mut blocking = Found::new("tokio", "blocking", true);
    for hit in hits.iter().filter(|hit| !seen.contains(&hit.header)) {
        let kind = &kinds.all[hit.vtable.kind];
        let state = hit.state.state();
        let found = match owners.get(&hit.owner) {
            _ if kind.own.is_worker => continue,
            _ if kind.own.is_blocking && hit.owner == 0 => &mut blocking,
            // One that has ended has left its list, and stays until its handle is gone.
            Some(runtime) if state == State::Finished || no_stop => &mut all[*runtime],
            _ => continue,
        };
        // On a stack there are copies of tasks from the time when they were made.
        let is_copy = hit.is_on_stack && state == State::Ready;
        if is_copy || !is_whole(kind, frames, hit) {
            continue;
        }
        let mut row = row(kinds, frames, hit, false);
        if no_stop && !kind.own.is_blocking && state != State::Finished {
            row.notes.push("it was in no list when the lists were read".to_owned());
        }
        found.tasks.push(row);
    }
    if !blocking.tasks.is_empty() {
        all.push(blocking);
    }
    all
}

/// Whether what is in a task goes with its state, where no list says that it is there.
fn is_whole(kind: &Kind, frames: &mut Frames, hit: &Hit) -> bool {
    let Some((stage, offset)) = kind.own.stage else { return false };
    let Ok((variant, ..)) = frames.variant(stage, hit.header.wrapping_add(offset)) else { return false };
    match hit.state.state() {
        State::Finished => variant != "Running",
        State::Running => true,
        State::Ready | State::Waiting => variant == "Running",
    }
}

/// What is known of a task before its future is read.
fn row(kinds: &Kinds, frames: &mut Frames, hit: &Hit, is_listed: bool) -> Row {
    let kind = &kinds.all[hit.vtable.kind];
    let id = frames.word(hit.header.wrapping_add(hit.vtable.offsets.id)).unwrap_or(0);
    let future = if kind.own.is_blocking { Future::None } else { future(kind, frames, hit) };
    let word = kinds.layout.map(|layout| (hit.header.wrapping_add(layout.state), hit.state.0));
    let never_woken = is_listed && hit.state.has_no_waker();
    Row { word, never_woken, ..Row::of(kind, hit.header, id, hit.state.state(), future) }
}

/// Where the future of a task is.
fn future(kind: &Kind, frames: &mut Frames, hit: &Hit) -> Future {
    let Some((stage, offset)) = kind.own.stage else {
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
