//! References of locals to what they share with others: semaphores, notifications, and channels. Whether all of them
//! are known is what the counts there say.

use std::collections::{HashMap, HashSet};

use tinyio_frames::{Frames, OwnedParts, TypeRef};

use crate::kinds::word;
use crate::picture::{Role, Share};

const ARC: &str = "alloc::sync::Arc";
const RECEIVER: &str = "tokio::sync::mpsc::chan::Rx";

/// An end of a channel.
struct End {
    path: &'static str,
    role: Role,
    /// Where in it the reference is.
    pointer: &'static str,
    /// Where the count of senders is; empty if there is always one.
    count: &'static str,
    /// Where it is counted what may become a sender.
    weak: Weak,
}

/// What may become a sender.
#[derive(Clone, Copy)]
enum Weak {
    /// Nothing.
    Never,
    /// It has a count of its own.
    Counted(&'static str),
    /// It has one in versions that also have another member, and the others have nothing of the kind.
    CountedWith(&'static str, &'static str),
    /// It is what is counted as a reference to the channel, and neither as a sender nor in this member.
    Else(&'static str),
}

const ENDS: [End; 10] = [
    mpsc("tokio::sync::mpsc::chan::Tx", Role::Sender),
    mpsc(RECEIVER, Role::Receiver),
    watch("tokio::sync::watch::Sender", Role::Sender),
    watch("tokio::sync::watch::Receiver", Role::Receiver),
    broadcast("tokio::sync::broadcast::Sender", Role::Sender),
    broadcast("tokio::sync::broadcast::Receiver", Role::Receiver),
    oneshot("tokio::sync::oneshot::Sender", Role::Sender),
    oneshot("tokio::sync::oneshot::Receiver", Role::Receiver),
    async_channel("async_channel::Sender", Role::Sender),
    async_channel("async_channel::Receiver", Role::Receiver),
];

const fn mpsc(path: &'static str, role: Role) -> End {
    End { path, role, pointer: "inner", count: "data.tx_count", weak: Weak::Counted("data.tx_weak_count") }
}

const fn watch(path: &'static str, role: Role) -> End {
    End { path, role, pointer: "shared", count: "data.ref_count_tx", weak: Weak::Never }
}

const fn broadcast(path: &'static str, role: Role) -> End {
    // Both came with tokio 1.44.
    let weak = Weak::CountedWith("data.num_weak_tx", "data.notify_last_rx_drop");
    End { path, role, pointer: "shared", count: "data.num_tx", weak }
}

const fn oneshot(path: &'static str, role: Role) -> End {
    End { path, role, pointer: "inner", count: "", weak: Weak::Never }
}

const fn async_channel(path: &'static str, role: Role) -> End {
    let weak = Weak::Else("data.receiver_count");
    End { path, role, pointer: "channel", count: "data.sender_count", weak }
}

/// Members that lead from the future of `recv` to the receiver.
const TO_RECEIVER: [&str; 6] = ["f", "self", "_ref__self", "_ref__self__chan", "chan", "__0"];
const STEPS: usize = 8;

/// Finds the references that values own.
pub struct Shares {
    references: OwnedParts,
    shapes: HashMap<TypeRef, Option<Shape>>,
}

impl Default for Shares {
    fn default() -> Shares {
        let references = OwnedParts::of(|path| path == ARC || ENDS.iter().any(|end| end.path == path));
        Shares { references, shapes: HashMap::new() }
    }
}

/// Where in a type the reference is.
#[derive(Clone, Copy)]
struct Shape {
    role: Role,
    pointer: u64,
    /// Bytes of what it refers to.
    size: u64,
    /// There: the count of references; `None` if there is always one.
    count: Option<u64>,
    /// There: what says that no more can be made.
    only: Only,
}

/// What says that there are no references but those that are counted, and that no more can be made of others.
#[derive(Clone, Copy)]
enum Only {
    Always,
    /// A word is this number.
    Is(u64, u64),
    /// One word is the sum of the count and another one.
    Sum(u64, u64),
}

impl Shares {
    /// Whether not all values were looked at.
    pub fn is_incomplete(&self) -> bool {
        self.references.is_over()
    }

    /// Adds the references that a value owns. `seen` has the addresses of those that were added: each is one.
    pub fn add(
        &mut self,
        frames: &mut Frames,
        ty: TypeRef,
        address: u64,
        seen: &mut HashSet<u64>,
        shares: &mut Vec<Share>,
    ) {
        for (ty, address) in self.references.find(frames, ty, address) {
            let shape = *self.shapes.entry(ty).or_insert_with(|| shape(frames, ty));
            let Some(shape) = shape.filter(|_| seen.insert(address)) else { continue };
            let Some(start) = frames.word(address.wrapping_add(shape.pointer)).filter(|start| *start != 0) else {
                continue;
            };
            let word = |offset: u64| frames.word(start.wrapping_add(offset));
            let count = shape.count.map_or(Some(1), word);
            let is_only = match shape.only {
                Only::Always => true,
                Only::Is(at, number) => word(at) == Some(number),
                Only::Sum(at, other) => match (word(at), count, word(other)) {
                    (Some(sum), Some(count), Some(other)) => count.checked_add(other) == Some(sum),
                    _ => false,
                },
            };
            let total = count.filter(|_| is_only);
            shares.push(Share { memory: start..start.saturating_add(shape.size), role: shape.role, total });
        }
    }
}

fn shape(frames: &mut Frames, ty: TypeRef) -> Option<Shape> {
    let of = frames.type_path(ty);
    if let Some(&End { role, pointer, count, weak, .. }) = ENDS.iter().find(|end| end.path == of) {
        let (reference, offset) = frames.member(ty, pointer)?;
        let shared = frames.pointee(reference)?;
        let count = if count.is_empty() { None } else { Some(word(frames, shared, count)?) };
        let only = match weak {
            Weak::Never => Only::Always,
            Weak::Counted(member) => Only::Is(word(frames, shared, member)?, 0),
            Weak::CountedWith(member, with) => match word(frames, shared, member) {
                Some(at) => Only::Is(at, 0),
                None if frames.member(shared, with).is_none() => Only::Always,
                None => return None,
            },
            Weak::Else(member) => Only::Sum(word(frames, shared, "strong")?, word(frames, shared, member)?),
        };
        return Some(Shape { role, pointer: offset, size: frames.size(shared)?, count, only });
    }
    let shared = frames.pointee(ty)?;
    let (count, only) = (word(frames, shared, "strong")?, Only::Is(word(frames, shared, "weak")?, 1));
    let (_, offset) = frames.member(ty, "ptr")?;
    let size = frames.size(shared)?;
    Some(Shape { role: Role::Reference, pointer: offset, size, count: Some(count), only })
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
