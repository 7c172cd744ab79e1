//! The kinds of tasks of a program: one for each type of future and function that schedules.

use std::collections::{HashMap, HashSet};

use tinyio_frames::{Frames, TypeRef};

use crate::kinds::{self, Described, Kind, offset, word};
use crate::names::content;

/// Parts of the linker name of `async_task::raw::RawTask::run`, in both manglings.
const RAW: &str = "10async_task3raw";
const RUN: &str = "3run";
const RAW_TASK: &str = "async_task::raw::RawTask<";
/// What `async-executor` puts around a future, to take the task out of its slab in the end: a type since 1.14, an async
/// block before.
const CALL_ON_DROP: &str = "async_executor::AsyncCallOnDrop";
const BLOCK: (&str, &str) = ("async_executor::", "::spawn_inner::{async_block_env#0}");
/// The program's future in them: the block has it in the first before its first step, and awaits it in the second.
const FUTURE: &str = "future";
const AWAITEE: &str = "__awaitee";

/// What a kind of task of async-task has.
#[derive(Clone, Debug)]
pub struct Own {
    /// The type of the future that the task has, which may be what an executor has put around the program's.
    pub outer: TypeRef,
    /// The type of the function that schedules it.
    pub schedule: TypeRef,
}

/// Offsets in a task that its vtable leads to.
#[derive(Clone, Copy, Debug)]
pub struct Offsets {
    /// The function that schedules it.
    pub schedule: u64,
    /// The future.
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

pub type Vtable = kinds::Vtable<Offsets>;
pub type Kinds = kinds::Kinds<Own, Offsets, Layout>;

/// Finds the kinds of tasks of a program; none if it has no tasks of `async-task`.
///
/// # Errors
///
/// When there are tasks and they cannot be read: a sentence that says what to do.
pub fn find(frames: &mut Frames) -> Result<Kinds, String> {
    let mut kinds = Kinds::default();
    let mut vtable = None;
    let mut described: HashMap<String, TypeRef> = HashMap::new();
    let runs: HashSet<u64> = frames.functions(RUN)?.into_iter().collect();
    let methods = frames.functions(RAW)?.into_iter().filter(|method| runs.contains(method)).collect();
    kinds.add_all(frames, "async-task", methods, |kinds, frames, method, signature| {
        // Other methods have the same parameters, and may have `run` in their names: the vtables say which one it is.
        let [future, _, schedule, _] = signature.parameters[..] else { return Ok(()) };
        for raw in frames.types_beside(method, RAW_TASK) {
            if kinds.layout.is_none() {
                kinds.layout = header(frames, raw).and_then(|header| layout(frames, header));
                vtable = header(frames, raw).and_then(|header| vtable_layout(frames, header));
            }
            if let Some(future) = frames.parameter(raw, "F") {
                described.insert(frames.type_name(future), future);
            }
        }
        let inner = inner(frames, future);
        let named = content(frames, inner);
        let (name, size) = (frames.future_name(named).into(), frames.size(future));
        let (or, scheduler, own) = (Vec::new(), String::new(), Own { outer: future, schedule });
        kinds.all.push(Kind { function: method, future: inner, name, or, size, scheduler, own });
        Ok(())
    })?;
    match vtable.filter(|_| kinds.layout.is_some()) {
        Some(vtable) => find_vtables(&mut kinds, frames, &vtable),
        None if kinds.all.is_empty() => {}
        None => kinds.notes.push(
            "this version of async-task lays out its tasks in a way that is not known: they are not shown".into(),
        ),
    }
    let mut all = Vec::new();
    for future in described.into_values() {
        let size = frames.size(future);
        all.push(Described { future: inner(frames, future), size, scheduler: String::new() });
    }
    kinds.name_merged(frames, all);
    Ok(kinds)
}

fn find_vtables(kinds: &mut Kinds, frames: &mut Frames, layout: &VtableLayout) {
    kinds.find_vtables(frames, layout.run, |frames, constants, address| {
        let info = frames.word(address.wrapping_add(layout.info))?;
        // What is no vtable of tasks does not lead to a layout.
        if !constants.iter().any(|range| range.contains(&info)) {
            return None;
        }
        let offset = |at: u64| offset(frames, info.wrapping_add(at));
        let (schedule, future) = (offset(layout.schedule)?, offset(layout.future)?);
        (schedule <= future).then_some(Offsets { schedule, future })
    });
}

/// The type of the program's future in one that a task has.
fn inner(frames: &mut Frames, outer: TypeRef) -> TypeRef {
    let inner = match frames.type_path(outer) {
        path if path == CALL_ON_DROP => frames.member(outer, FUTURE).map(|(ty, _)| ty),
        path if is_block(&path) => frames.member_in_a_state(outer, FUTURE),
        _ => None,
    };
    inner.unwrap_or(outer)
}

/// The program's future in the one that a task has at an address, by its type and address; `None` if what an executor
/// has put around it has none.
pub fn future(frames: &mut Frames, outer: TypeRef, address: u64) -> Option<(TypeRef, u64)> {
    match frames.type_path(outer) {
        path if path == CALL_ON_DROP => {
            let (ty, offset) = frames.member(outer, FUTURE)?;
            Some((ty, address.wrapping_add(offset)))
        }
        path if is_block(&path) => {
            let (_, state, offset) = frames.variant(outer, address).ok()?;
            let (ty, within) = frames.member(state, AWAITEE).or_else(|| frames.member(state, FUTURE))?;
            Some((ty, address.wrapping_add(offset).wrapping_add(within)))
        }
        _ => Some((outer, address)),
    }
}

fn is_block(path: &str) -> bool {
    path.starts_with(BLOCK.0) && path.ends_with(BLOCK.1)
}

/// The type of headers, of a task's parts.
fn header(frames: &mut Frames, raw: TypeRef) -> Option<TypeRef> {
    let (pointer, _) = frames.member(raw, "header")?;
    frames.pointee(pointer)
}

fn layout(frames: &mut Frames, header: TypeRef) -> Option<Layout> {
    Some(Layout { state: word(frames, header, "state")?, vtable: word(frames, header, "vtable")? })
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
