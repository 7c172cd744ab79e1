//! The kinds of coroutines of a program: one for each type of future.

use std::collections::{HashMap, HashSet};

use tinyio_frames::{Frames, TypeRef};

use crate::kinds::{self, Described, Kind, member_of, offset};
use crate::names::content;

/// Parts of the linker name of `tinyio::task::cell::RawTask::poll`, in both manglings.
const CELL: &str = "6tinyio4task4cell";
const POLL: &str = "4poll";
const TASK_CELL: &str = "tinyio::task::cell::TaskCell<";

/// The offset of the future in a coroutine, which its vtable has.
pub type Body = u64;

/// Where in a header its members are.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub vtable: u64,
    pub id: u64,
    pub queued: u64,
    pub running: u64,
    pub flags: u64,
}

pub type Kinds = kinds::Kinds<(), Body, Layout>;

/// Finds the kinds of coroutines of a program; none if it has no loops of tinyio.
///
/// # Errors
///
/// When there are coroutines and they cannot be read: a sentence that says what to do.
pub fn find(frames: &mut Frames) -> Result<Kinds, String> {
    let mut kinds = Kinds::default();
    let mut vtable = None;
    let mut described: HashMap<String, TypeRef> = HashMap::new();
    let polls: HashSet<u64> = frames.functions(POLL)?.into_iter().collect();
    let mut polls: Vec<u64> = frames.functions(CELL)?.into_iter().filter(|one| polls.contains(one)).collect();
    polls.sort_unstable();
    kinds.add_all(frames, "tinyio", polls, |kinds, frames, function, signature| {
        let ([future, ..], Some(header)) = (&signature.parameters[..], signature.arguments.first()) else {
            return Ok(());
        };
        if kinds.layout.is_none()
            && let Some(header) = frames.pointee(*header)
        {
            kinds.layout = layout(frames, header);
            vtable = vtable_offsets(frames, header);
        }
        for cell in frames.types_beside(function, TASK_CELL) {
            if let Some(future) = frames.parameter(cell, "F") {
                described.insert(frames.type_name(future), future);
            }
        }
        let (future, size) = (*future, frames.size(*future));
        let named = content(frames, future);
        let (name, or, scheduler) = (frames.future_name(named).into(), Vec::new(), String::new());
        kinds.all.push(Kind { function, future, name, or, size, scheduler, own: () });
        Ok(())
    })?;
    match vtable.filter(|_| kinds.layout.is_some()) {
        Some([poll, body]) => {
            kinds.find_vtables(frames, poll, |frames, _, address| offset(frames, address.wrapping_add(body)));
        }
        None if kinds.all.is_empty() => {}
        None => kinds.notes.push(
            "this version of tinyio lays out its coroutines in a way that is not known: they are not shown".into(),
        ),
    }
    let mut all = Vec::new();
    for future in described.into_values() {
        all.push(Described { future, size: frames.size(future), scheduler: String::new() });
    }
    kinds.name_merged(frames, all);
    Ok(kinds)
}

fn layout(frames: &mut Frames, header: TypeRef) -> Option<Layout> {
    let mut member = |name, size| member_of(frames, header, name, size);
    Some(Layout {
        vtable: member("vtable", 8)?,
        id: member("id", 8)?,
        queued: member("queued", 1)?,
        running: member("running", 1)?,
        flags: member("flags", 2)?,
    })
}

/// Where in a vtable the function is that polls, and the offset of the future.
fn vtable_offsets(frames: &mut Frames, header: TypeRef) -> Option<[u64; 2]> {
    let (pointer, _) = frames.member(header, "vtable")?;
    let vtable = frames.pointee(pointer)?;
    let (_, poll) = frames.member(vtable, "poll")?;
    let (_, offset) = frames.member(vtable, "offset")?;
    Some([poll, offset])
}
