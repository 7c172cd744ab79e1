//! The kinds of tasks of a program: one for each type of future and scheduler.

use std::collections::{HashMap, HashSet};

use tinyio_frames::{Frames, TypeRef};

use crate::names::content;
use crate::regions::words_in;

/// A part of the linker name of `tokio::runtime::task::raw::poll`, in both manglings.
const POLL: &str = "7runtime4task3raw4poll";
const CELL: &str = "tokio::runtime::task::core::Cell<";
const STAGE: &str = "tokio::runtime::task::core::Stage";
const BLOCKING: &str = "tokio::runtime::blocking::schedule::BlockingSchedule";
/// Larger offsets are no offsets in a task.
const LARGEST: u64 = 1 << 30;

/// A kind of task.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The function that polls it.
    pub poll: u64,
    /// The type of its future.
    pub future: TypeRef,
    /// The type of its scheduler.
    pub scheduler: TypeRef,
    /// The name of its future.
    pub name: String,
    /// It is a function on a thread.
    pub is_blocking: bool,
    /// It is a worker thread of a runtime, and no task of the program.
    pub is_worker: bool,
    /// Where the future is, if that is described: the type `Stage<T>` and its offset in the task.
    pub stage: Option<(TypeRef, u64)>,
    /// Where optimisation has merged types: the names of others that may be meant.
    pub or: Vec<String>,
}

/// A vtable of tasks.
#[derive(Clone, Copy, Debug)]
pub struct Vtable {
    /// An index of [`Kinds::all`].
    pub kind: usize,
    /// Offsets in a task.
    pub scheduler: u64,
    pub id: u64,
    pub trailer: u64,
}

/// The offsets in what all tasks begin and end with.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// In a header.
    pub state: u64,
    pub queue_next: u64,
    pub vtable: u64,
    pub owner: u64,
    /// In a trailer.
    pub previous: u64,
    pub next: u64,
}

/// All kinds of tasks of a program, and its vtables by address.
#[derive(Debug, Default)]
pub struct Kinds {
    /// The kinds.
    pub all: Vec<Kind>,
    /// Vtables by their addresses.
    pub vtables: HashMap<u64, Vtable>,
    /// The layout of headers and trailers.
    pub layout: Option<Layout>,
    /// What is not known, one sentence each.
    pub notes: Vec<String>,
}

impl Kinds {
    /// Finds the kinds of tasks of a program; none if it has no tasks of tokio.
    ///
    /// # Errors
    ///
    /// When there are tasks and they cannot be read: a sentence that says what to do.
    pub fn find(frames: &mut Frames) -> Result<Kinds, String> {
        let mut kinds = Kinds::default();
        let mut cells = Cells::default();
        let polls = frames.functions(POLL)?;
        let (mut problem, mut unknown) = (None, 0);
        for poll in polls {
            match kinds.add(frames, &mut cells, poll) {
                Ok(()) => {}
                Err(why) => {
                    unknown += 1;
                    problem.get_or_insert(why);
                }
            }
        }
        match problem {
            Some(why) if kinds.all.is_empty() => return Err(why),
            Some(why) => kinds.notes.push(format!("tasks of {unknown} types are not known: {why}")),
            None => {}
        }
        kinds.find_vtables(frames);
        kinds.name_merged(frames, &cells);
        Ok(kinds)
    }

    fn add(&mut self, frames: &mut Frames, cells: &mut Cells, poll: u64) -> Result<(), String> {
        let signature = frames.signature(poll)?;
        let [future, scheduler] = signature.parameters[..] else { return Err(unknown("poll")) };
        let names = (frames.type_name(future), frames.type_name(scheduler));
        let cell = cells.beside(frames, poll).into_iter().find(|cell| cells.names[cell].as_ref() == Some(&names));
        if self.layout.is_none() {
            self.layout = cell.and_then(|cell| layout(frames, cell));
        }
        let stage = cell.and_then(|cell| frames.inside(cell, STAGE));
        let is_blocking = frames.type_path(scheduler) == BLOCKING;
        // A function on a thread is a future of its own type, with the function's type in it.
        let named = if is_blocking { frames.parameter(future, "T").unwrap_or(future) } else { content(frames, future) };
        let name = frames.future_name(named);
        let is_worker = is_blocking && name.contains("tokio::runtime::scheduler::");
        self.all.push(Kind { poll, future, scheduler, name, is_blocking, is_worker, stage, or: Vec::new() });
        Ok(())
    }

    /// Searches the constants of the program for vtables.
    fn find_vtables(&mut self, frames: &mut Frames) {
        let Some(offsets) = self.all.first().and_then(|kind| vtable_offsets(frames, kind.poll)) else { return };
        let by_poll: HashMap<u64, usize> =
            self.all.iter().enumerate().map(|(index, kind)| (kind.poll, index)).collect();
        let (Some(low), Some(high)) = (by_poll.keys().min().copied(), by_poll.keys().max().copied()) else { return };
        let mut ranges: Vec<_> = self.all.iter().flat_map(|kind| frames.data_beside(kind.poll)).collect();
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        let [poll, scheduler, id, trailer] = offsets;
        for range in ranges {
            let mut found = Vec::new();
            words_in(frames, &range, |address, word| {
                if (low..=high).contains(&word)
                    && let Some(kind) = by_poll.get(&word)
                {
                    found.push((address.wrapping_sub(poll), *kind));
                }
            });
            for (address, kind) in found {
                let offset =
                    |at: u64| frames.word(address.wrapping_add(at)).filter(|offset| (8..LARGEST).contains(offset));
                if let (Some(scheduler), Some(id), Some(trailer)) = (offset(scheduler), offset(id), offset(trailer)) {
                    self.vtables.insert(address, Vtable { kind, scheduler, id, trailer });
                }
            }
        }
        // Debug info and the vtable have to agree, or the type is not the one.
        for vtable in self.vtables.values() {
            let kind = &mut self.all[vtable.kind];
            kind.stage = kind.stage.filter(|(_, offset)| (vtable.id..vtable.trailer).contains(offset));
        }
    }

    /// Finds types of tasks that have no function of their own, because another's has the same code: each may be meant
    /// where one of its size is.
    fn name_merged(&mut self, frames: &mut Frames, cells: &Cells) {
        let mut known: Vec<(String, String)> = Vec::new();
        for kind in &self.all {
            known.push((frames.type_name(kind.future), frames.type_name(kind.scheduler)));
        }
        let all: HashSet<&(String, String)> = known.iter().collect();
        let mut lost: HashMap<(String, String), TypeRef> = HashMap::new();
        for (cell, names) in &cells.names {
            if let Some(names) = names.as_ref().filter(|names| !all.contains(names))
                && let Some(future) = frames.parameter(*cell, "T")
            {
                lost.entry(names.clone()).or_insert(future);
            }
        }
        for ((_, scheduler), future) in lost {
            let size = frames.size(future);
            let name = frames.future_name(future);
            for (kind, (_, of)) in self.all.iter_mut().zip(&known) {
                if *of == scheduler && frames.size(kind.future) == size {
                    kind.or.push(name.clone());
                }
            }
        }
        self.all.iter_mut().for_each(|kind| kind.or.sort());
    }
}

fn unknown(what: &str) -> String {
    format!("this version of tokio lays out its tasks in a way that is not known ({what})")
}

/// The types of tasks as they are laid out, as far as they are described.
#[derive(Default)]
struct Cells {
    /// The names of the future and the scheduler of each, if it has a size.
    names: HashMap<TypeRef, Option<(String, String)>>,
}

impl Cells {
    /// Those beside a function.
    fn beside(&mut self, frames: &mut Frames, poll: u64) -> Vec<TypeRef> {
        let found = frames.types_beside(poll, CELL);
        for cell in &found {
            self.names.entry(*cell).or_insert_with(|| {
                let (future, scheduler) = (frames.parameter(*cell, "T")?, frames.parameter(*cell, "S")?);
                frames.size(*cell)?;
                Some((frames.type_name(future), frames.type_name(scheduler)))
            });
        }
        found
    }
}

/// The layout of headers and trailers, from the type of a task.
fn layout(frames: &mut Frames, cell: TypeRef) -> Option<Layout> {
    let (header, 0) = frames.member(cell, "header")? else { return None };
    let (trailer, _) = frames.member(cell, "trailer")?;
    let (links, at) = frames.inside(trailer, "tokio::util::linked_list::PointersInner")?;
    let mut word = |ty, path: &str| {
        let (member, offset) = frames.member(ty, path)?;
        (frames.size(member) == Some(8)).then_some(offset)
    };
    Some(Layout {
        state: word(header, "state")?,
        queue_next: word(header, "queue_next")?,
        vtable: word(header, "vtable")?,
        owner: word(header, "owner_id")?,
        previous: at + word(links, "prev")?,
        next: at + word(links, "next")?,
    })
}

/// Where in a vtable of tasks its members are: `poll`, and the offsets of scheduler, number and trailer.
fn vtable_offsets(frames: &mut Frames, poll: u64) -> Option<[u64; 4]> {
    let header = *frames.signature(poll).ok()?.arguments.first()?;
    let header = frames.pointee(header)?;
    let (vtable, _) = frames.member(header, "vtable")?;
    let vtable = frames.pointee(vtable)?;
    let mut offset = |name| Some(frames.member(vtable, name)?.1);
    Some([offset("poll")?, offset("scheduler_offset")?, offset("id_offset")?, offset("trailer_offset")?])
}
