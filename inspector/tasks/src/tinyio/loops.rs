//! The loops that threads are in, and the table of coroutines that each has.

use std::collections::BTreeSet;

use tinyio_frames::Frames;

use super::kinds::{Kinds, Layout};
use crate::kinds::word;
use crate::picture::State;
use crate::roots::Thread;
use crate::row::{Found, Future, Row};

/// A part of the linker name of the variable of each thread, in both manglings.
const CONTEXT: &str = "6tinyio8executor7context7CONTEXT";
/// A part of the linker names of functions that are given a loop.
const METHODS: &str = "6tinyio8executor";
const EXECUTOR: &str = "tinyio::executor::Executor";
const FRAME: &str = "tinyio::task::context::Frame<";
/// More loops inside each other, or more entries of a table, than there can be.
const MOST_LOOPS: usize = 4096;
const MOST_TASKS: u64 = 1 << 32;

/// Where in a loop its table is, and where in a frame of the stack that entered it the loop and the next frame are.
struct Shape {
    value: u64,
    outer: u64,
    entries: u64,
    count: u64,
    length: u64,
}

/// The loops that these threads are in, with the coroutines of each that have not ended; `None` if debug info does not
/// describe where they are.
pub fn all(kinds: &Kinds, frames: &mut Frames, threads: &[Thread]) -> Option<Vec<Found>> {
    let Some(layout) = kinds.layout else { return Some(Vec::new()) };
    let offsets = frames.thread_locals(CONTEXT);
    let shape = shape(frames).filter(|_| !offsets.is_empty())?;
    let mut executors = BTreeSet::new();
    for base in threads.iter().filter_map(|thread| thread.locals) {
        for offset in &offsets {
            let mut next = frames.word(base.wrapping_sub(*offset)).unwrap_or(0);
            for _ in 0..MOST_LOOPS {
                let word = |offset: u64| frames.word(next.wrapping_add(offset));
                let (Some(executor), Some(outer)) = (word(shape.value), word(shape.outer)) else { break };
                executors.insert(executor);
                next = outer;
            }
        }
    }
    Some(executors.into_iter().filter_map(|executor| read(kinds, layout, frames, executor, &shape)).collect())
}

/// Reads the table of the loop at an address.
fn read(kinds: &Kinds, layout: Layout, frames: &Frames, executor: u64, shape: &Shape) -> Option<Found> {
    let word = |offset: u64| frames.word(executor.wrapping_add(offset));
    let (entries, length, count) = (word(shape.entries)?, word(shape.length)?, word(shape.count)?);
    let mut found = Found::new("tinyio", "loop", length < MOST_TASKS && count <= length);
    for index in 0..length.min(MOST_TASKS) {
        let Some(entry) = frames.word(entries.wrapping_add(8 * index)) else { break };
        // Bit 0 is set in the number of the next slot that is free.
        if entry & 1 != 0 {
            continue;
        }
        match coroutine(kinds, layout, frames, entry) {
            Some(task) => found.tasks.push(task),
            None => found.unknown += 1,
        }
    }
    found.is_whole &= (found.tasks.len() + found.unknown) as u64 == count;
    Some(found)
}

/// The coroutine with a header at an address.
fn coroutine(kinds: &Kinds, layout: Layout, frames: &Frames, header: u64) -> Option<Row> {
    // `tinyio::task::cell::flag`: the body, and that a slot owns it.
    const BODY: u8 = 0b11;
    let word = |offset: u64| frames.word(header.wrapping_add(offset));
    let byte = |offset: u64| frames.bytes(header.wrapping_add(offset), 1).map(|bytes| bytes[0]);
    let vtable = *kinds.vtables.get(&word(layout.vtable)?)?;
    let id = word(layout.id).filter(|id| *id != 0)?;
    let state = match (byte(layout.flags)? & BODY, byte(layout.running)?, byte(layout.queued)?) {
        (0, 1, _) => State::Running,
        (0, 0, 1) => State::Ready,
        (0, 0, 0) => State::Waiting,
        (1 | 2, 0 | 1, 0 | 1) => State::Finished,
        _ => return None,
    };
    let kind = &kinds.all[vtable.kind];
    let future = match state {
        State::Finished => Future::None,
        _ => Future::At(kind.future, header.wrapping_add(vtable.offsets)),
    };
    Some(Row::of(kind, header, id, state, future))
}

fn shape(frames: &mut Frames) -> Option<Shape> {
    let methods = frames.functions(METHODS).ok()?;
    let (method, executor) = methods.into_iter().find_map(|method| {
        let first = *frames.signature(method).ok()?.arguments.first()?;
        let target = frames.pointee(first)?;
        let is_whole = frames.type_path(target) == EXECUTOR && frames.member(target, "slots").is_some();
        is_whole.then_some((method, target))
    })?;
    let mut word = |path: &str| word(frames, executor, path);
    let (count, length) = (word("slots.len")?, word("slots.entries.value.len")?);
    let entries = word("slots.entries.value.buf.inner.ptr")?;
    let (value, outer) = frames.types_beside(method, FRAME).into_iter().find_map(|frame| {
        let (value, value_at) = frames.member(frame, "value")?;
        let (_, outer_at) = frames.member(frame, "outer")?;
        let target = frames.pointee(value)?;
        (frames.type_path(target) == EXECUTOR).then_some((value_at, outer_at))
    })?;
    Some(Shape { value, outer, entries, count, length })
}
