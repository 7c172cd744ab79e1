//! The executors of a program, and the slab of tasks that each has.

use std::collections::BTreeMap;

use tinyio_frames::{Copied, Frames, TypeRef};

use super::kinds::{self, Kinds, Layout, Vtable};
use super::state::StateWord;
use crate::picture::State;
use crate::row::{Found, Future, Row};
use crate::search::search;

const STATE: &str = "async_executor::State";
const SLAB: &str = "slab::Slab";
const LOCK: &str = "std::sys::sync::mutex::futex::Mutex";
/// More entries than a slab can have.
const MOST_TASKS: u64 = 1 << 24;

/// How a function that schedules leads to a slab.
#[derive(Clone, Copy)]
struct Shape {
    /// Where in it the pointer to the executor is.
    pointer: u64,
    /// From there: the references to the executor, if it is counted.
    strong: Option<u64>,
    lock: u64,
    /// The number of tasks in the slab.
    count: u64,
    /// The entries: their number, where they are, and what each is.
    length: u64,
    first: u64,
    entry: TypeRef,
    size: u64,
}

/// The executors that tasks in memory refer to, with their tasks, and how many kinds of tasks have one that is not
/// known.
pub fn all(kinds: &Kinds, frames: &mut Frames, copied: &Copied) -> (Vec<Found>, usize) {
    let Some(layout) = kinds.layout else { return (Vec::new(), 0) };
    let shapes: Vec<Option<Shape>> = kinds.all.iter().map(|kind| shape(frames, kind.own.schedule)).collect();
    let used = |index: &usize| kinds.vtables.values().any(|vtable| vtable.kind == *index);
    let unknown = (0..shapes.len()).filter(used).filter(|index| shapes[*index].is_none()).count();
    let Some(vtables) = kinds.vtable_addresses() else { return (Vec::new(), unknown) };
    // Of what looks like a task only the executor counts, and that has to have a slab that fits.
    let mut executors: BTreeMap<u64, Shape> = BTreeMap::new();
    let mut headers = Vec::new();
    search(copied, layout.vtable, &vtables, |place| {
        headers.extend(kinds.vtables.get(&place.vtable).map(|vtable| (place.address, *vtable)));
    });
    for (header, vtable) in headers {
        if let Some(shape) = shapes[vtable.kind]
            && let Some(executor) = executor(frames, shape, header, vtable)
        {
            executors.insert(executor, shape);
        }
    }
    let reading = Reading { kinds, layout, shapes };
    let found = executors.into_iter().filter_map(|(executor, shape)| reading.executor(frames, executor, shape));
    (found.collect(), unknown)
}

/// The executor of the task with a header at an address.
fn executor(frames: &Frames, shape: Shape, header: u64, vtable: Vtable) -> Option<u64> {
    frames
        .word(header.wrapping_add(vtable.offsets.schedule).wrapping_add(shape.pointer))
        .filter(|executor| *executor != 0)
}

struct Reading<'k> {
    kinds: &'k Kinds,
    layout: Layout,
    shapes: Vec<Option<Shape>>,
}

impl Reading<'_> {
    /// The tasks of an executor; `None` if there is no executor, or none with tasks.
    fn executor(&self, frames: &mut Frames, executor: u64, shape: Shape) -> Option<Found> {
        let word = |offset: u64| frames.word(executor.wrapping_add(offset));
        if shape.strong.is_some_and(|strong| word(strong).is_none_or(|strong| strong == 0 || strong > 1 << 32)) {
            return None;
        }
        let (count, length, first) = (word(shape.count)?, word(shape.length)?, word(shape.first)?);
        if count == 0 || count > length || length > MOST_TASKS {
            return None;
        }
        let is_locked = frames.bytes(executor.wrapping_add(shape.lock), 4)? != [0; 4];
        let mut found = Found::new("async-executor", "executor", !is_locked);
        for index in 0..length {
            let address = first.wrapping_add(index * shape.size);
            let (variant, ty, offset) = frames.variant(shape.entry, address).ok()?;
            if variant != "Occupied" {
                continue;
            }
            let (_, data) = frames.member(ty, "__0.waker.data")?;
            let header = frames.word(address.wrapping_add(offset).wrapping_add(data))?;
            match self.task(frames, executor, header) {
                Some(task) => found.tasks.push(task),
                None => found.unknown += 1,
            }
        }
        found.is_whole &= (found.tasks.len() + found.unknown) as u64 == count;
        // Memory of an executor that is gone refers to no tasks of it.
        (!found.tasks.is_empty()).then_some(found)
    }

    /// The task with a header at an address, if it is one of an executor. Its number is that address.
    fn task(&self, frames: &mut Frames, of: u64, header: u64) -> Option<Row> {
        let word = |frames: &Frames, offset: u64| frames.word(header.wrapping_add(offset));
        let vtable = *self.kinds.vtables.get(&word(frames, self.layout.vtable)?)?;
        let value = word(frames, self.layout.state)?;
        let state = StateWord(value);
        let shape = self.shapes[vtable.kind]?;
        if executor(frames, shape, header, vtable)? != of {
            return None;
        }
        let kind = &self.kinds.all[vtable.kind];
        let future = match state.state() {
            State::Finished => Future::None,
            _ if state.is_closed() => Future::None,
            _ => match kinds::future(frames, kind.own.outer, header.wrapping_add(vtable.offsets.future)) {
                Some((ty, address)) => Future::At(ty, address),
                None => Future::Unknown("what async-executor has put around it does not hold it: unknown layout"),
            },
        };
        let mut row = Row::of(kind, header, header, state.state(), future);
        if state.is_closed() && row.state != State::Finished {
            row.notes.push("it was cancelled: its future is dropped at its next turn".into());
        }
        let word = Some((header.wrapping_add(self.layout.state), value));
        Some(Row { word, never_woken: state.has_no_waker(), ..row })
    }
}

/// How the function that schedules a task of an executor leads to its slab.
fn shape(frames: &mut Frames, schedule: TypeRef) -> Option<Shape> {
    let (state, pointer) = frames.member(schedule, "state")?;
    let target = frames.pointee(state)?;
    let strong = frames.member(target, "strong").map(|(_, offset)| offset);
    let (state, at) = frames.inside(target, STATE)?;
    let (active, active_at) = frames.member(state, "active")?;
    let at = at + active_at;
    let (_, lock) = frames.inside(active, LOCK)?;
    let (slab, slab_at) = frames.inside(active, SLAB)?;
    let at_slab = at + slab_at;
    let (_, count) = frames.member(slab, "len")?;
    let (entries, entries_at) = frames.member(slab, "entries")?;
    let (_, length) = frames.member(entries, "len")?;
    let (first, first_at) = frames.member(entries, "buf.inner.ptr")?;
    let entry = frames.parameter(entries, "T")?;
    let size = frames.size(entry)?;
    (frames.size(first) == Some(8)).then_some(Shape {
        pointer,
        strong,
        lock: at + lock,
        count: at_slab + count,
        length: at_slab + entries_at + length,
        first: at_slab + entries_at + first_at,
        entry,
        size,
    })
}
