//! Names of tasks, and of what they wait on and hold.

use std::collections::HashMap;

use tinyio_events::event::{Local, Value};
use tinyio_events::place::{is_dependency, is_library};
use tinyio_frames::{Frames, TypeRef};

use crate::picture::Task;

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

/// Names for locks and the like that have none: the variable that leads to each, such as `state.accounts`. A resource
/// that has a name keeps it.
pub fn variables(tasks: &[Task], names: &mut HashMap<u64, String>) {
    for task in tasks {
        let own = task.stack.frames.iter().filter(|frame| !is_dependency(&frame.file) && !is_library(&frame.file));
        let mut todo: Vec<(String, &Value, usize)> = Vec::new();
        let is_certain = |local: &&Local| matches!(&*local.mark, "" | "as passed");
        let locals = own.flat_map(|frame| &frame.locals).filter(is_certain);
        for local in locals {
            todo.push((local.name.clone(), &local.value, 0));
            while let Some((path, value, depth)) = todo.pop() {
                if let Some(address) = lock_address(&value.text) {
                    names.entry(address).or_insert(path);
                } else if depth < VARIABLE_DEPTH {
                    // What a pointer leads to has the pointer's name.
                    let inside = |part: &str| if part == "*" { path.clone() } else { format!("{path}.{part}") };
                    todo.extend(value.children.iter().rev().map(|(part, value)| (inside(part), value, depth + 1)));
                }
            }
        }
    }
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
