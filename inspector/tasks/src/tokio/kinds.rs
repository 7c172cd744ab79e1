//! The kinds of tasks of a program: one for each type of future and scheduler.

use std::collections::HashMap;

use tinyio_frames::{Frames, Signature, TypeRef};

use crate::kinds::{self, Described, offset, word};
use crate::names::content;

/// A part of the linker name of `tokio::runtime::task::raw::poll`, in both manglings.
const POLL: &str = "7runtime4task3raw4poll";
const CELL: &str = "tokio::runtime::task::core::Cell<";
const STAGE: &str = "tokio::runtime::task::core::Stage";
const BLOCKING: &str = "tokio::runtime::blocking::schedule::BlockingSchedule";

/// What a kind of task of tokio has.
#[derive(Clone, Debug)]
pub struct Own {
    /// The type of its scheduler.
    pub scheduler: TypeRef,
    /// It is a function on a thread.
    pub is_blocking: bool,
    /// It is a worker thread of a runtime, and no task of the program.
    pub is_worker: bool,
    /// Where the future is, if that is described: the type `Stage<T>` and its offset in the task.
    pub stage: Option<(TypeRef, u64)>,
}

/// Offsets in a task that its vtable has.
#[derive(Clone, Copy, Debug)]
pub struct Offsets {
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

pub type Kind = kinds::Kind<Own>;
pub type Vtable = kinds::Vtable<Offsets>;
pub type Kinds = kinds::Kinds<Own, Offsets, Layout>;

/// Finds the kinds of tasks of a program; none if it has no tasks of tokio.
///
/// # Errors
///
/// When there are tasks and they cannot be read: a sentence that says what to do.
pub fn find(frames: &mut Frames) -> Result<Kinds, String> {
    let mut kinds = Kinds::default();
    let mut cells = Cells::default();
    let polls = frames.functions(POLL)?;
    kinds.add_all(frames, "tokio", polls, |kinds, frames, poll, signature| {
        add(kinds, frames, &mut cells, poll, signature)
    })?;
    if let Some([poll, scheduler, id, trailer]) =
        kinds.all.first().map(|kind| kind.function).and_then(|poll| vtable_offsets(frames, poll))
    {
        kinds.find_vtables(frames, poll, |frames, _, address| {
            let offset = |at: u64| offset(frames, address.wrapping_add(at));
            Some(Offsets { scheduler: offset(scheduler)?, id: offset(id)?, trailer: offset(trailer)? })
        });
    }
    // Debug info and the vtable have to agree, or the type is not the one.
    for vtable in kinds.vtables.values() {
        let own = &mut kinds.all[vtable.kind].own;
        own.stage = own.stage.filter(|(_, offset)| (vtable.offsets.id..vtable.offsets.trailer).contains(offset));
    }
    let described = cells.described(frames);
    kinds.name_merged(frames, described);
    Ok(kinds)
}

fn add(
    kinds: &mut Kinds,
    frames: &mut Frames,
    cells: &mut Cells,
    poll: u64,
    signature: &Signature,
) -> Result<(), String> {
    let [future, scheduler] = signature.parameters[..] else {
        return Err("this version of tokio lays out its tasks in a way that is not known (poll)".into());
    };
    let names = (frames.type_name(future), frames.type_name(scheduler));
    let cell = cells.beside(frames, poll).into_iter().find(|cell| cells.names[cell].as_ref() == Some(&names));
    if kinds.layout.is_none() {
        kinds.layout = cell.and_then(|cell| layout(frames, cell));
    }
    let stage = cell.and_then(|cell| frames.inside(cell, STAGE));
    let is_blocking = frames.type_path(scheduler) == BLOCKING;
    // A function on a thread is a future of its own type, with the function's type in it.
    let named = if is_blocking { frames.parameter(future, "T").unwrap_or(future) } else { content(frames, future) };
    let name = frames.future_name(named);
    let is_worker = is_blocking && name.contains("tokio::runtime::scheduler::");
    let size = frames.size(future);
    let own = Own { scheduler, is_blocking, is_worker, stage };
    let (name, or, scheduler) = (name.into(), Vec::new(), names.1);
    kinds.all.push(Kind { function: poll, future, name, or, size, scheduler, own });
    Ok(())
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

    /// Their futures.
    fn described(&self, frames: &mut Frames) -> Vec<Described> {
        let mut all = Vec::new();
        for (cell, names) in &self.names {
            if let (Some((_, scheduler)), Some(future)) = (names, frames.parameter(*cell, "T")) {
                all.push(Described { future, size: frames.size(future), scheduler: scheduler.clone() });
            }
        }
        all
    }
}

/// The layout of headers and trailers, from the type of a task.
fn layout(frames: &mut Frames, cell: TypeRef) -> Option<Layout> {
    let (header, 0) = frames.member(cell, "header")? else { return None };
    let (trailer, _) = frames.member(cell, "trailer")?;
    let (links, at) = frames.inside(trailer, "tokio::util::linked_list::PointersInner")?;
    let mut word = |ty, path: &str| word(frames, ty, path);
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
