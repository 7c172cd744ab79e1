//! The kinds of tasks of a program: one for each type of future and function that schedules.

use std::collections::{HashMap, HashSet};

use tinyio_frames::{Frames, TypeRef};

use crate::names::{content, same_name};
use crate::regions::words_in;

/// Parts of the linker name of `async_task::raw::RawTask::run`, in both manglings.
const RAW: &str = "10async_task3raw";
const RUN: &str = "3run";
const RAW_TASK: &str = "async_task::raw::RawTask<";
/// What `async-executor` puts around a future, to take the task out of its slab in the end.
const CALL_ON_DROP: &str = "async_executor::AsyncCallOnDrop";
/// Larger offsets are no offsets in a task.
const LARGEST: u64 = 1 << 30;

/// A kind of task.
#[derive(Clone, Debug)]
pub struct Kind {
    run: u64,
    /// The type of the program's future, and its offset in the future that the task has.
    pub future: (TypeRef, u64),
    /// The type of the function that schedules it.
    pub schedule: TypeRef,
    /// The name of its future.
    pub name: String,
    /// Where optimisation has merged types: the names of others that may be meant.
    pub or: Vec<String>,
    /// Bytes of the future that the task has.
    size: Option<u64>,
}

/// A vtable of tasks.
#[derive(Clone, Copy, Debug)]
pub struct Vtable {
    /// An index of [`Kinds::all`].
    pub kind: usize,
    /// The offset of the function that schedules it.
    pub schedule: u64,
    /// The offset of the future.
    pub future: u64,
}

/// Where in a header its words are.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub state: u64,
    pub vtable: u64,
}

/// Where in a vtable its words are, and in the layout that it leads to.
struct VtableLayout {
    run: u64,
    info: u64,
    schedule: u64,
    future: u64,
}

/// All kinds of tasks of a program, and its vtables by address.
#[derive(Debug, Default)]
pub struct Kinds {
    pub all: Vec<Kind>,
    pub vtables: HashMap<u64, Vtable>,
    pub layout: Option<Layout>,
    /// What is not known, one sentence each.
    pub notes: Vec<String>,
}

impl Kinds {
    /// Finds the kinds of tasks of a program; none if it has no tasks of `async-task`.
    ///
    /// # Errors
    ///
    /// When there are tasks and they cannot be read: a sentence that says what to do.
    pub fn find(frames: &mut Frames) -> Result<Kinds, String> {
        let mut kinds = Kinds::default();
        let mut vtable = None;
        let mut others: HashMap<String, TypeRef> = HashMap::new();
        let (mut problem, mut unknown) = (None, 0);
        let runs: HashSet<u64> = frames.functions(RUN)?.into_iter().collect();
        for method in frames.functions(RAW)?.into_iter().filter(|method| runs.contains(method)) {
            let signature = match frames.signature(method) {
                Ok(signature) => signature,
                Err(why) => {
                    unknown += 1;
                    problem.get_or_insert(why);
                    continue;
                }
            };
            // Other methods have the same parameters, and may have `run` in their names: the vtables say which one it
            // is.
            let [future, _, schedule, _] = signature.parameters[..] else { continue };
            for raw in frames.types_beside(method, RAW_TASK) {
                if kinds.layout.is_none() {
                    kinds.layout = header(frames, raw).and_then(|header| layout(frames, header));
                    vtable = header(frames, raw).and_then(|header| vtable_layout(frames, header));
                }
                if let Some(future) = frames.parameter(raw, "F") {
                    others.insert(frames.type_name(future), future);
                }
            }
            let (inner, offset) = inner(frames, future);
            let named = content(frames, inner);
            let name = frames.future_name(named);
            let size = frames.size(future);
            kinds.all.push(Kind { run: method, future: (inner, offset), schedule, name, or: Vec::new(), size });
        }
        match problem {
            Some(why) if kinds.all.is_empty() => return Err(why),
            Some(why) => kinds.notes.push(format!("{unknown} functions of async-task are not known: {why}")),
            None => {}
        }
        match vtable.filter(|_| kinds.layout.is_some()) {
            Some(vtable) => kinds.find_vtables(frames, &vtable),
            None if kinds.all.is_empty() => {}
            None => kinds.notes.push(
                "this version of async-task lays out its tasks in a way that is not known: they are not shown".into(),
            ),
        }
        kinds.name_merged(frames, others);
        Ok(kinds)
    }

    /// Searches the constants of the program for vtables.
    fn find_vtables(&mut self, frames: &mut Frames, layout: &VtableLayout) {
        let by_run: HashMap<u64, usize> = self.all.iter().enumerate().map(|(index, kind)| (kind.run, index)).collect();
        let (Some(low), Some(high)) = (by_run.keys().min().copied(), by_run.keys().max().copied()) else { return };
        let mut ranges: Vec<_> = self.all.iter().flat_map(|kind| frames.data_beside(kind.run)).collect();
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        for range in &ranges {
            let mut found = Vec::new();
            words_in(frames, range, |address, word| {
                if (low..=high).contains(&word)
                    && let Some(kind) = by_run.get(&word)
                {
                    found.push((address.wrapping_sub(layout.run), *kind));
                }
            });
            for (address, kind) in found {
                let Some(info) = frames.word(address.wrapping_add(layout.info)) else { continue };
                // What is no vtable of tasks does not lead to a layout.
                if !ranges.iter().any(|range| range.contains(&info)) {
                    continue;
                }
                let offset =
                    |at: u64| frames.word(info.wrapping_add(at)).filter(|offset| (8..LARGEST).contains(offset));
                if let (Some(schedule), Some(future)) = (offset(layout.schedule), offset(layout.future))
                    && schedule <= future
                {
                    self.vtables.insert(address, Vtable { kind, schedule, future });
                }
            }
        }
    }

    /// Names the types that have no function of their own, because another's has the same code: each may be meant where
    /// one of its size is.
    fn name_merged(&mut self, frames: &mut Frames, others: HashMap<String, TypeRef>) {
        for future in others.into_values() {
            let size = frames.size(future);
            let (inner, _) = inner(frames, future);
            if self.all.iter().any(|kind| same_name(frames, inner, kind.future.0)) {
                continue;
            }
            let named = content(frames, inner);
            let name = frames.future_name(named);
            for kind in self.all.iter_mut().filter(|kind| size.is_some() && kind.size == size) {
                kind.or.push(name.clone());
            }
        }
        self.all.iter_mut().for_each(|kind| kind.or.sort());
    }
}

/// The program's future, and its offset in the one that an executor has put around it.
fn inner(frames: &mut Frames, future: TypeRef) -> (TypeRef, u64) {
    match frames.type_path(future).as_str() {
        CALL_ON_DROP => frames.member(future, "future").unwrap_or((future, 0)),
        _ => (future, 0),
    }
}

/// The type of headers, of a task's parts.
fn header(frames: &mut Frames, raw: TypeRef) -> Option<TypeRef> {
    let (pointer, _) = frames.member(raw, "header")?;
    frames.pointee(pointer)
}

fn layout(frames: &mut Frames, header: TypeRef) -> Option<Layout> {
    let mut word = |name| {
        let (member, offset) = frames.member(header, name)?;
        (frames.size(member) == Some(8)).then_some(offset)
    };
    Some(Layout { state: word("state")?, vtable: word("vtable")? })
}

fn vtable_layout(frames: &mut Frames, header: TypeRef) -> Option<VtableLayout> {
    let (pointer, _) = frames.member(header, "vtable")?;
    let vtable = frames.pointee(pointer)?;
    let (_, run) = frames.member(vtable, "run")?;
    let (pointer, info) = frames.member(vtable, "layout_info")?;
    let task = frames.pointee(pointer)?;
    let (_, schedule) = frames.member(task, "offset_s")?;
    let (_, future) = frames.member(task, "offset_f")?;
    Some(VtableLayout { run, info, schedule, future })
}
