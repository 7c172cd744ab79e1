//! Await stacks: from a suspended future to the one it awaits, and so on down.
//!
//! A suspended async function is an enum with a tag `__state`, which says at which `.await` it stands. The variant
//! holds the live locals and, as `__awaitee`, the awaited future. Other futures (a combinator, a box, a pin) are
//! searched by their structure: every coroutine found inside is awaited by it.

use std::rc::Rc;

use tinyio_events::event::{Branch, Frame, Local};
use tinyio_events::place::{MID_STEP, NOT_STARTED};

use super::bindings::Await;
use super::hash::FastSet;
use super::liveness::Alive;
use super::locals::{BoundNames, DropTrace, Locals, Unread};
use super::names;
use super::native::{Running, Suspended};
use super::scopes::AWAITEE;
use super::search::{Leaf, Search, Within, boxed};
use super::shape::{Member, Shape, Type, TypeRef};
use super::source::Sources;
use super::types::Types;
use super::values::{Place, ValueReader};

/// The native frame of a coroutine may have one part in so many of the bounds.
const CURRENT_SHARE: usize = 4;

/// What a stack consists of, by type and address.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The innermost futures, which are no coroutines: what is awaited in the end.
    pub leaves: Vec<Leaf>,
    /// Locals, or the rest of locals that were moved in part, that certainly are alive as a whole: the code that drops
    /// the coroutine drops them.
    pub alive: Vec<(TypeRef, u64)>,
    /// Futures that are no coroutines, and what they are in, such as boxes: those that are awaited, and the outermost
    /// one. Not what is behind a reference, which is owned by something else.
    pub others: Vec<(TypeRef, u64)>,
    /// The addresses of the coroutines.
    pub coroutines: Vec<u64>,
}

/// Walks one stack.
pub(super) struct Walk<'w, 'l> {
    pub reader: &'w mut ValueReader<'l>,
    pub sources: &'w mut Sources,
    pub names: &'w mut BoundNames,
    /// Frames that may still be added, those of branches counted.
    pub frames: usize,
    /// Which locals were moved.
    pub alive: Alive,
    /// The coroutine is running: what is read is of its last suspension.
    pub mid_step: bool,
    /// What runs on this thread.
    pub running: &'w [Running],
    /// Whether a future of a type with this path is an innermost one wherever it is found.
    pub is_leaf: fn(&str) -> bool,
    /// How what the walk is at is polled.
    pub within: Within,
    /// What was met.
    pub parts: Parts,
}

impl Walk<'_, '_> {
    /// The frames from a future down: first the frames, then their values, those of the innermost first and each frame
    /// with its share.
    pub fn walk(&mut self, ty: TypeRef, address: u64) -> Vec<Frame> {
        let mut walked = self.frames(ty, address);
        let mut order = Vec::new();
        flatten(&mut walked, 0, &mut order);
        order.sort_by_key(|(depth, ..)| std::cmp::Reverse(*depth));
        let left = (1..=order.len()).rev();
        for ((_, frame, values), left) in order.into_iter().zip(left) {
            self.reader.share(left, |reader| read(reader, frame, values, self.mid_step));
        }
        walked.into_iter().map(Walked::into_frame).collect()
    }

    fn frames(&mut self, mut ty: TypeRef, mut address: u64) -> Vec<Walked> {
        let mut frames: Vec<Walked> = Vec::new();
        let mut seen = FastSet::default();
        // What is behind a reference is owned by something else.
        let mut is_borrowed = false;
        loop {
            if self.frames == 0 || self.reader.out_of_time() || !seen.insert((ty, address)) {
                let note = "the stack goes on; what is deeper was left out".into();
                frames.push(Frame { function: "…".into(), note, ..Frame::default() }.into());
                return frames;
            }
            self.frames -= 1;
            let known = self.reader.types.get(ty);
            if known.is_coroutine() {
                self.parts.coroutines.push(address);
                is_borrowed = false;
                let (frame, next) = self.coroutine(ty, &known, address);
                frames.push(frame);
                match next {
                    Some(next) => (ty, address) = next,
                    None => return frames,
                }
                continue;
            }
            if known.is_unknown_coroutine() {
                let function = known.function().to_owned();
                frames.push(Frame { function, note: "unknown layout".into(), ..Frame::default() }.into());
                return frames;
            }
            is_borrowed |= known.name.starts_with("&mut ");
            if !self.mid_step && !is_borrowed && !Types::is_made(ty) {
                self.parts.others.push((ty, address));
            }
            if (self.is_leaf)(known.path()) {
                frames.push(self.leaf(ty, address, &known, None));
                return frames;
            }
            let mut search = Search::new(&mut self.alive, self.reader.limits.branches, self.is_leaf);
            search.visit(self.reader, "", ty, address, 0);
            let (mut found, mut leaves, all, lost) = search.finish();
            match (found.len(), leaves.len()) {
                (0, 0) => match boxed(self.reader, ty, address).filter(|_| is_wrapper(&known)) {
                    Some(inner) => (ty, address) = inner,
                    None => {
                        frames.push(self.leaf(ty, address, &known, lost));
                        return frames;
                    }
                },
                (1, _) if all == 1 => {
                    if !is_wrapper(&known) {
                        frames.push(plumbing(&known).into());
                    }
                    let only = found.remove(0);
                    let outer = self.within.clone();
                    // A combinator has a frame that shows it, but for one in a box, which may have others that are not
                    // known.
                    if !leaves.is_empty() || only.within.is_uncertain() || is_wrapper(&known) {
                        self.within = outer.then(&only.within);
                    }
                    self.add_leaves(leaves, &outer);
                    (ty, address) = (only.ty, only.address);
                }
                (0, 1) if leaves[0].within == Within::Awaited && is_wrapper(&known) => {
                    let only = leaves.remove(0);
                    (ty, address) = (only.ty, only.address);
                }
                _ => {
                    let mut one = match found[..] {
                        [] => self.fields(ty, address, &known),
                        _ => plumbing(&known).into(),
                    };
                    if all > found.len() {
                        one.frame.note = format!("{} more futures are not shown", all - found.len());
                    }
                    let outer = self.within.clone();
                    self.add_leaves(leaves, &outer);
                    for branch in found {
                        self.within = outer.then(&branch.within);
                        let inner = self.frames(branch.ty, branch.address);
                        one.branches.push((branch.name, inner));
                    }
                    self.within = outer;
                    frames.push(one);
                    return frames;
                }
            }
        }
    }

    /// Adds innermost futures that were found in one that is polled like `outer`.
    fn add_leaves(&mut self, leaves: Vec<Leaf>, outer: &Within) {
        let within = |leaf: Leaf| Leaf { within: outer.then(&leaf.within), ..leaf };
        self.parts.leaves.extend(leaves.into_iter().map(within));
    }

    /// The frame of an innermost future; `lost` says what in it could not be looked into.
    fn leaf(&mut self, ty: TypeRef, address: u64, known: &Type, lost: Option<String>) -> Walked {
        self.parts.leaves.push(Leaf { ty, address, within: self.within.clone() });
        let mut one = self.fields(ty, address, known);
        one.frame.note = lost.unwrap_or_default();
        one
    }

    /// The frame of a future that is no coroutine, with its fields.
    fn fields(&self, ty: TypeRef, address: u64, known: &Type) -> Walked {
        let has_values = self.reader.limits.values;
        let values = if has_values { Values::Fields { ty, address } } else { Values::None };
        Walked { values, ..plumbing(known).into() }
    }

    /// The frame of a coroutine, and what it awaits.
    fn coroutine(&mut self, ty: TypeRef, known: &Rc<Type>, address: u64) -> (Walked, Option<(TypeRef, u64)>) {
        let function = known.function().to_owned();
        let mut frame = Frame { hidden: names::is_plumbing(&function), function, ..Frame::default() };
        let bytes = known.size.and_then(|size| self.reader.types.memory.bytes(address, usize::try_from(size).ok()?));
        let Some(bytes) = bytes else {
            frame.note = format!("its memory at {address:#x} cannot be read");
            return (frame.into(), None);
        };
        let place = Place { address, bytes: &bytes };
        let state = match self.reader.variant(known, place) {
            Ok(state) => state,
            Err(why) => {
                frame.note = why;
                return (frame.into(), None);
            }
        };
        if let Some(file) = &state.file {
            frame.file = self.sources.shown(file);
            frame.source = self.sources.around(file, state.line, self.reader.limits.source);
        }
        frame.line = state.line;
        let first = self.first_variant(known);
        let variant = self.reader.types.get(state.ty);
        match state.name.as_str() {
            "0" => frame.note = NOT_STARTED.into(),
            "1" | "2" => {
                frame.note = if state.name == "1" { "finished" } else { "panicked" }.into();
                return (frame.into(), None);
            }
            _ => {
                let home = first.as_ref().and_then(|first| first.file.clone());
                if home.is_some() && state.file.is_some() && home != state.file {
                    frame.note = "the await is inside a macro, whose file this is".into();
                }
            }
        }
        let arguments = first.map(|first| self.reader.types.get(first.ty));
        let arguments = arguments.as_deref().map(Type::members).unwrap_or_default();
        let awaited = variant.members().iter().find(|member| member.name == AWAITEE);
        let awaited = awaited.map(|awaited| (awaited.ty, state.offset.saturating_add(awaited.offset)));
        let mut values = Values::None;
        if self.reader.limits.values {
            // Before the first step nothing was moved. In the middle of one the state is still that of the last
            // suspension: what was moved then is gone, and what was not may be gone since.
            let drop_trace = match state.name.as_str() {
                "0" => DropTrace::NotNeeded,
                _ if self.trace_drops(ty, known, address) => DropTrace::Known,
                _ => DropTrace::Missing,
            };
            let point = awaited.map(|(ty, offset)| Await { file: state.file.as_deref(), line: state.line, offset, ty });
            let current = self.current(ty, address, &state.name, point.as_ref());
            let (reader, sources) = (&mut *self.reader, &mut *self.sources);
            let certain = &mut self.parts.alive;
            let (names, alive, mid_step) = (&mut *self.names, &self.alive, self.mid_step);
            let mut locals = Locals { reader, sources, names, alive, certain, mid_step };
            let bound = locals.bound(ty, state.ty, arguments, point.as_ref());
            values = Values::Locals { locals: locals.unread(drop_trace, &bound, address), address, bytes, current };
        }
        (Walked { frame, values, branches: Vec::new() }, awaited.map(|(ty, offset)| (ty, address.wrapping_add(offset))))
    }

    /// The locals of a coroutine that runs on this thread that are certain, from its native frame. They have a part of
    /// what all may take.
    fn current(&mut self, ty: TypeRef, address: u64, state: &str, point: Option<&Await<'_>>) -> Vec<Local> {
        let mut current = Vec::new();
        if let Some(running) = self.running.iter().find(|running| running.runs(self.reader.types, ty, address)) {
            running.is_met.set(true);
            let suspended = match (state, point) {
                ("0", _) => Suspended::Never,
                (_, Some(point)) => Suspended::At(point),
                _ => Suspended::Unknown,
            };
            let sources = &mut *self.sources;
            self.reader.share(CURRENT_SHARE, |reader| running.add_locals(reader, sources, suspended, &mut current));
        }
        current
    }

    /// Finds out what is alive in a coroutine; false if that is not possible.
    fn trace_drops(&mut self, ty: TypeRef, known: &Type, address: u64) -> bool {
        let Shape::Enum { tag: Some(tag), .. } = &known.shape else { return false };
        let (Some(size), Some(length)) = (known.size, self.reader.types.size(tag.ty)) else { return false };
        let state = address.saturating_add(tag.offset);
        self.alive.trace_drops(self.reader, ty, address, size, state..state.saturating_add(length))
    }

    /// The variant before the first step: it holds the arguments.
    fn first_variant(&self, known: &Type) -> Option<Member> {
        let Shape::Enum { variants, .. } = &known.shape else { return None };
        variants.iter().find(|variant| variant.member.name == "0").map(|variant| variant.member.clone())
    }
}

/// A frame, and what its values are to be read from.
struct Walked {
    frame: Frame,
    values: Values,
    branches: Vec<(String, Vec<Walked>)>,
}

/// Values that are not read yet.
enum Values {
    None,
    /// The locals of a coroutine at an address, which is these bytes.
    Locals {
        locals: Vec<Unread>,
        address: u64,
        bytes: Vec<u8>,
        /// Those that its native frame has, in place of older ones of their names.
        current: Vec<Local>,
    },
    /// The fields of a future that is no coroutine.
    Fields {
        ty: TypeRef,
        address: u64,
    },
}

impl From<Frame> for Walked {
    fn from(frame: Frame) -> Walked {
        Walked { frame, values: Values::None, branches: Vec::new() }
    }
}

impl Walked {
    fn into_frame(self) -> Frame {
        let branch = |(name, frames): (String, Vec<Walked>)| Branch {
            name,
            frames: frames.into_iter().map(Walked::into_frame).collect(),
        };
        Frame { branches: self.branches.into_iter().map(branch).collect(), ..self.frame }
    }
}

/// The frames with values to be read, and how deep each is.
fn flatten<'w>(walked: &'w mut [Walked], depth: usize, found: &mut Vec<(usize, &'w mut Frame, Values)>) {
    for (depth, one) in (depth..).zip(walked) {
        match std::mem::replace(&mut one.values, Values::None) {
            Values::None => {}
            values => found.push((depth, &mut one.frame, values)),
        }
        for (_, frames) in &mut one.branches {
            flatten(frames, depth + 1, found);
        }
    }
}

/// Reads the values of a frame, each with its share of what the frame may have.
fn read(reader: &mut ValueReader<'_>, frame: &mut Frame, values: Values, mid_step: bool) {
    match values {
        Values::None => {}
        Values::Locals { locals, address, bytes, current } => {
            let place = Place { address, bytes: &bytes };
            let left = (1..=locals.len()).rev();
            frame.locals = locals
                .into_iter()
                .zip(left)
                .map(|(local, left)| reader.share(left, |reader| local.read(reader, place)))
                .collect();
            for local in current {
                match frame.locals.iter_mut().find(|known| known.name == local.name) {
                    Some(known) => *known = local,
                    None => frame.locals.push(local),
                }
            }
        }
        Values::Fields { ty, address } => {
            let value = reader.at(ty, address, 0);
            if value.coro != 0 {
                frame.locals.push(Local { name: "coroutine".into(), value, mark: String::new() });
            } else {
                let mark = if mid_step { MID_STEP } else { "" };
                let fields = value.children.into_iter();
                frame.locals.extend(fields.map(|(name, value)| Local { name, value, mark: mark.into() }));
            }
        }
    }
}

/// The frame of a future that is no coroutine.
fn plumbing(known: &Type) -> Frame {
    let hidden = names::is_plumbing(&known.name);
    // What a combinator is made of shows in the frames below it.
    let function = if hidden { known.path().to_owned() } else { known.shown.clone() };
    Frame { hidden, function, ..Frame::default() }
}

/// What only holds one future and is not worth a frame of its own.
fn is_wrapper(known: &Type) -> bool {
    let path = known.path();
    matches!(known.shape, Shape::Pointer(_))
        || known.members().iter().any(|member| member.name == "vtable")
        || matches!(path, "core::pin::Pin" | "alloc::boxed::Box" | "core::mem::manually_drop::ManuallyDrop")
}
