//! The kinds of coroutines of a program: one for each type of future.

use std::collections::{HashMap, HashSet};

use tinyio_frames::{Frames, TypeRef};

use crate::names::{content, same_name};
use crate::regions::words_in;

/// Parts of the linker name of `tinyio::task::cell::RawTask::poll`, in both manglings.
const CELL: &str = "6tinyio4task4cell";
const POLL: &str = "4poll";
const TASK_CELL: &str = "tinyio::task::cell::TaskCell<";
/// Larger offsets are no offsets in a block.
const LARGEST: u64 = 1 << 30;

/// A kind of coroutine.
#[derive(Clone, Debug)]
pub struct Kind {
    poll: u64,
    /// The type of its future.
    pub future: TypeRef,
    /// The name of its future.
    pub name: String,
    /// Where optimisation has merged types: the names of others that may be meant.
    pub or: Vec<String>,
}

/// A vtable of coroutines.
#[derive(Clone, Copy, Debug)]
pub struct Vtable {
    /// An index of [`Kinds::all`].
    pub kind: usize,
    /// The offset of the future.
    pub body: u64,
}

/// Where in a header its members are.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub vtable: u64,
    pub id: u64,
    pub queued: u64,
    pub running: u64,
    pub flags: u64,
}

/// All kinds of coroutines of a program, and its vtables by address.
#[derive(Debug, Default)]
pub struct Kinds {
    pub all: Vec<Kind>,
    pub vtables: HashMap<u64, Vtable>,
    pub layout: Option<Layout>,
    /// What is not known, one sentence each.
    pub notes: Vec<String>,
}

impl Kinds {
    /// Finds the kinds of coroutines of a program; none if it has no loops of tinyio.
    ///
    /// # Errors
    ///
    /// When there are coroutines and they cannot be read: a sentence that says what to do.
    pub fn find(frames: &mut Frames) -> Result<Kinds, String> {
        let mut kinds = Kinds::default();
        let mut vtable = None;
        let polls: HashSet<u64> = frames.functions(POLL)?.into_iter().collect();
        let mut polls: Vec<u64> = frames.functions(CELL)?.into_iter().filter(|one| polls.contains(one)).collect();
        polls.sort_unstable();
        let (mut problem, mut unknown) = (None, 0);
        for poll in polls {
            let signature = match frames.signature(poll) {
                Ok(signature) => signature,
                Err(why) => {
                    unknown += 1;
                    problem.get_or_insert(why);
                    continue;
                }
            };
            let ([future, ..], Some(header)) = (&signature.parameters[..], signature.arguments.first()) else {
                continue;
            };
            if kinds.layout.is_none()
                && let Some(header) = frames.pointee(*header)
            {
                kinds.layout = layout(frames, header);
                vtable = vtable_offsets(frames, header);
            }
            let named = content(frames, *future);
            let name = frames.future_name(named);
            kinds.all.push(Kind { poll, future: *future, name, or: Vec::new() });
        }
        match problem {
            Some(why) if kinds.all.is_empty() => return Err(why),
            Some(why) => kinds.notes.push(format!("{unknown} functions of tinyio are not known: {why}")),
            None => {}
        }
        match vtable.filter(|_| kinds.layout.is_some()) {
            Some([poll, offset]) => kinds.find_vtables(frames, poll, offset),
            None if kinds.all.is_empty() => {}
            None => kinds.notes.push(
                "this version of tinyio lays out its coroutines in a way that is not known: they are not shown".into(),
            ),
        }
        kinds.name_merged(frames);
        Ok(kinds)
    }

    /// Searches the constants of the program for vtables.
    fn find_vtables(&mut self, frames: &mut Frames, poll: u64, offset: u64) {
        let by_poll: HashMap<u64, usize> =
            self.all.iter().enumerate().map(|(index, kind)| (kind.poll, index)).collect();
        let mut ranges: Vec<_> = self.all.iter().flat_map(|kind| frames.data_beside(kind.poll)).collect();
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        for range in ranges {
            let mut found = Vec::new();
            words_in(frames, &range, |address, word| {
                found.extend(by_poll.get(&word).map(|kind| (address.wrapping_sub(poll), *kind)));
            });
            for (address, kind) in found {
                let body = frames.word(address.wrapping_add(offset));
                if let Some(body) = body.filter(|body| (8..LARGEST).contains(body)) {
                    self.vtables.insert(address, Vtable { kind, body });
                }
            }
        }
    }

    /// Names the types that have no function of their own, because another's has the same code: each may be meant where
    /// one of its size is.
    fn name_merged(&mut self, frames: &mut Frames) {
        let mut others: HashMap<String, TypeRef> = HashMap::new();
        for poll in self.all.iter().map(|kind| kind.poll) {
            for cell in frames.types_beside(poll, TASK_CELL) {
                if let Some(future) = frames.parameter(cell, "F") {
                    others.insert(frames.type_name(future), future);
                }
            }
        }
        for future in others.into_values() {
            if self.all.iter().any(|kind| same_name(frames, future, kind.future)) {
                continue;
            }
            let size = frames.size(future);
            let named = content(frames, future);
            let name = frames.future_name(named);
            for kind in self.all.iter_mut().filter(|kind| size.is_some() && frames.size(kind.future) == size) {
                kind.or.push(name.clone());
            }
        }
        self.all.iter_mut().for_each(|kind| kind.or.sort());
    }
}

fn layout(frames: &mut Frames, header: TypeRef) -> Option<Layout> {
    let mut member = |name, size| {
        let (member, offset) = frames.member(header, name)?;
        (frames.size(member) == Some(size)).then_some(offset)
    };
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
