//! Names of tasks, and of what they wait on and hold.

use std::collections::{HashMap, HashSet};

use tinyio_events::event::{Local, Value};
use tinyio_events::place::{is_dependency, is_library};
use tinyio_frames::{Frames, TypeRef};

use crate::picture::{Task, WaitKind};

/// Names of variables have at most so many parts after the first.
const VARIABLE_DEPTH: usize = 4;

/// The future that a box or a pin holds.
pub fn content(frames: &mut Frames, ty: TypeRef) -> TypeRef {
    let path = frames.type_path(ty);
    let inner = match path.as_str() {
        "core::pin::Pin" => frames.parameter(ty, "Ptr"),
        "alloc::boxed::Box" => frames.pointee(ty),
        _ => None,
    };
    inner.map_or(ty, |inner| content(frames, inner))
}

/// Names for what tasks wait on or hold and that has none: its own, or the variable that leads to it, such as
/// `state.accounts`. A resource that has a name keeps it.
pub fn variables(tasks: &[Task], names: &mut HashMap<u64, String>) {
    for task in tasks {
        let waits = task.waits_on.iter().map(|wait| (wait.id, &wait.name));
        for (id, name) in task.holds.iter().map(|hold| (hold.id, &hold.name)).chain(waits) {
            if let Some(name) = name {
                names.entry(id).or_insert_with(|| name.clone());
            }
        }
    }
    let kinds = [WaitKind::Lock, WaitKind::Semaphore, WaitKind::Event, WaitKind::Channel];
    let of = |task: &Task| {
        let waits = task.waits_on.iter().map(|wait| (wait.kind, address(task, wait.kind, wait.id)));
        let all = task.holds.iter().map(|hold| (hold.kind, hold.id)).chain(waits);
        all.filter(|(kind, _)| kinds.contains(kind)).map(|(_, id)| id).collect::<Vec<_>>()
    };
    let mut left: HashSet<u64> = tasks.iter().flat_map(of).collect();
    left.retain(|id| *id != 0 && !names.contains_key(id));
    for task in tasks {
        let own = task.stack.frames.iter().filter(|frame| !is_dependency(&frame.file) && !is_library(&frame.file));
        let mut todo: Vec<(String, &Value, usize)> = Vec::new();
        let is_certain = |local: &&Local| matches!(&*local.mark, "" | "as passed");
        let locals = own.flat_map(|frame| &frame.locals).filter(is_certain);
        for local in locals {
            // There may be a million values, and nothing to be named.
            if left.is_empty() {
                return;
            }
            todo.push((local.name.clone(), &local.value, 0));
            while let Some((path, value, depth)) = todo.pop() {
                if let Some(address) = lock_address(&value.text) {
                    if left.remove(&address) {
                        names.insert(address, path);
                    }
                } else if depth < VARIABLE_DEPTH {
                    // What a pointer leads to has the pointer's name.
                    let inside = |part: &str| if part == "*" { path.clone() } else { format!("{path}.{part}") };
                    todo.extend(value.children.iter().rev().map(|(part, value)| (inside(part), value, depth + 1)));
                }
            }
        }
    }
}

/// The address by which a resource is known. Room in a channel has an address within that of the channel.
pub fn address(task: &Task, kind: WaitKind, id: u64) -> u64 {
    let channel = || task.shares.iter().find(|share| share.memory.contains(&id));
    if kind == WaitKind::Channel { channel().map_or(id, |share| share.memory.start) } else { id }
}

/// The address in the text of a lock, a semaphore, a `Notify` or an end of a channel, as `tinyio-frames` shows them.
fn lock_address(text: &str) -> Option<u64> {
    let (name, rest) = text.split_once(" at 0x")?;
    if !["Mutex", "RwLock", "Semaphore", "Notify"].contains(&name) && !name.ends_with(" of channel") {
        return None;
    }
    let digits = rest.split(' ').next()?;
    u64::from_str_radix(digits, 16).ok()
}

/// Where a resource is, with its name if it has one.
pub fn at(id: u64, names: &HashMap<u64, String>) -> String {
    match names.get(&id) {
        Some(name) => format!("at {id:#x} ({name})"),
        None => format!("at {id:#x}"),
    }
}
