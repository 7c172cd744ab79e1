//! References of locals to what they share with others: semaphores, and channels of tokio. Whether all of them are
//! known is what the counts there say.

use std::collections::HashMap;

use tinyio_frames::{Frames, Parts, TypeRef};

use crate::picture::{Role, Share};

const ARC: &str = "alloc::sync::Arc";
const SENDER: &str = "tokio::sync::mpsc::chan::Tx";
const RECEIVER: &str = "tokio::sync::mpsc::chan::Rx";
/// Members that lead from the future of `recv` to the receiver.
const TO_RECEIVER: [&str; 6] = ["f", "self", "_ref__self", "_ref__self__chan", "chan", "__0"];
const STEPS: usize = 8;

/// Finds the references of locals.
#[derive(Default)]
pub struct Shares {
    shapes: HashMap<TypeRef, Option<Shape>>,
}

/// Where in a type its only reference is.
#[derive(Clone, Copy)]
struct Shape {
    role: Role,
    pointer: u64,
    /// Bytes of what it refers to.
    size: u64,
    /// There: the count of references, and of those that more can be made of, with its value if there are none.
    count: u64,
    weak: (u64, u64),
}

impl Shares {
    /// Adds the references of locals. Those at one address are one.
    pub fn add(&mut self, frames: &mut Frames, parts: &Parts, shares: &mut Vec<Share>) {
        let mut seen: Vec<u64> = Vec::new();
        for &(ty, address) in &parts.alive {
            let shape = *self.shapes.entry(ty).or_insert_with(|| shape(frames, ty));
            let Some(shape) = shape.filter(|_| !seen.contains(&address)) else { continue };
            seen.push(address);
            let Some(start) = frames.word(address.wrapping_add(shape.pointer)).filter(|start| *start != 0) else {
                continue;
            };
            let word = |offset: u64| frames.word(start.wrapping_add(offset));
            let (count, weak) = (word(shape.count), word(shape.weak.0));
            let total = count.filter(|_| weak == Some(shape.weak.1));
            shares.push(Share { memory: start..start.saturating_add(shape.size), role: shape.role, total });
        }
    }
}

fn shape(frames: &mut Frames, ty: TypeRef) -> Option<Shape> {
    for (path, role) in [(SENDER, Role::Sender), (RECEIVER, Role::Receiver)] {
        if let Some((end, at)) = frames.inside(ty, path) {
            let (inner, offset) = frames.member(end, "inner")?;
            let shared = frames.pointee(inner)?;
            let count = counter(frames, shared, "data.tx_count")?;
            let weak = (counter(frames, shared, "data.tx_weak_count")?, 0);
            return Some(Shape { role, pointer: at + offset, size: frames.size(shared)?, count, weak });
        }
    }
    let (arc, at) = frames.inside(ty, ARC)?;
    let shared = frames.pointee(arc)?;
    let (count, weak) = (counter(frames, shared, "strong")?, (counter(frames, shared, "weak")?, 1));
    let (_, offset) = frames.member(arc, "ptr")?;
    Some(Shape { role: Role::Reference, pointer: at + offset, size: frames.size(shared)?, count, weak })
}

fn counter(frames: &mut Frames, ty: TypeRef, path: &str) -> Option<u64> {
    let (member, offset) = frames.member(ty, path)?;
    (frames.size(member) == Some(8)).then_some(offset)
}

/// The channel of tokio that the future of `recv` at an address waits on.
pub fn received(frames: &mut Frames, ty: TypeRef, address: u64) -> Option<u64> {
    let (mut ty, mut address) = (ty, address);
    for _ in 0..STEPS {
        if frames.type_path(ty) == RECEIVER {
            let (_, offset) = frames.member(ty, "inner")?;
            return frames.word(address.wrapping_add(offset));
        }
        match TO_RECEIVER.iter().find_map(|name| frames.member(ty, name)) {
            Some((member, offset)) => (ty, address) = (member, address.wrapping_add(offset)),
            None => (ty, address) = (frames.pointee(ty)?, frames.word(address)?),
        }
    }
    None
}
