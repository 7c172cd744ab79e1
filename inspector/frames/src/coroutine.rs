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
use super::shape::{Member, Shape, Type, TypeRef};
use super::source::Sources;
use super::values::{Place, ValueReader};

/// The native frame of a coroutine may have one part in so many of the bounds.
const CURRENT_SHARE: usize = 4;

/// A future found inside another value.
struct Found {
    /// The field, variable or position it was found under.
    name: String,
    ty: TypeRef,
    address: u64,
}

/// What a stack consists of, by type and address.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The innermost futures, which are no coroutines: what is awaited in the end.
    pub leaves: Vec<(TypeRef, u64)>,
    /// Locals that certainly are alive as a whole: the code that drops the coroutine drops them.
    pub alive: Vec<(TypeRef, u64)>,
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
            let mut found = Vec::new();
            let (all, lost) = self.search(ty, address, &mut found);
            let mut one = Walked::from(plumbing(&known));
            match found.len() {
                0 => {
                    self.parts.leaves.push((ty, address));
                    one.frame.note = lost.unwrap_or_default();
                    if self.reader.limits.values {
                        one.values = Values::Fields { ty, address };
                    }
                    frames.push(one);
                    return frames;
                }
                1 if all == 1 => {
                    if !is_wrapper(&known) {
                        frames.push(one);
                    }
                    let only = found.remove(0);
                    (ty, address) = (only.ty, only.address);
                }
                _ => {
                    if all > found.len() {
                        one.frame.note = format!("{} more futures are not shown", all - found.len());
                    }
                    for branch in found {
                        let inner = self.frames(branch.ty, branch.address);
                        one.branches.push((branch.name, inner));
                    }
                    frames.push(one);
                    return frames;
                }
            }
        }
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

    /// All coroutines inside a value. How many there are, of which only as many as are shown are kept; and why
    /// something in it could not be looked into.
    fn search(&mut self, ty: TypeRef, address: u64, found: &mut Vec<Found>) -> (usize, Option<String>) {
        let mut search = Search {
            alive: &mut self.alive,
            left: 10_000,
            all: 0,
            limit: self.reader.limits.branches,
            seen: FastSet::default(),
            found,
            lost: None,
        };
        search.visit(self.reader, "", ty, address, 0);
        (search.all, search.lost)
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

/// A search for coroutines through a value that is none.
struct Search<'f> {
    alive: &'f mut Alive,
    /// Values that may still be looked at.
    left: usize,
    all: usize,
    limit: usize,
    seen: FastSet<(TypeRef, u64)>,
    found: &'f mut Vec<Found>,
    /// What could not be looked into, and why.
    lost: Option<String>,
}

impl Search<'_> {
    fn visit(&mut self, reader: &mut ValueReader<'_>, name: &str, ty: TypeRef, address: u64, depth: usize) {
        if self.left == 0 || depth > 24 || address == 0 || reader.out_of_time() || !self.seen.insert((ty, address)) {
            return;
        }
        self.left -= 1;
        let known = reader.types.get(ty);
        match &known.shape {
            _ if known.is_coroutine() || known.is_unknown_coroutine() => {
                self.all += 1;
                if self.found.len() < self.limit {
                    self.found.push(Found { name: name.to_owned(), ty, address });
                }
            }
            Shape::Pointer(Some(target)) if follows(&known.name) => {
                if let Some(to) = reader.types.memory.word(address) {
                    self.visit(reader, name, *target, to, depth + 1);
                }
            }
            Shape::Struct(_) => self.members(reader, name, ty, &known, address, depth),
            Shape::Enum { .. } => {
                let Some(bytes) = known.size.filter(|size| *size < 1 << 20) else { return };
                let Some(bytes) = reader.types.memory.bytes(address, bytes as usize) else { return };
                if let Ok(variant) = reader.variant(&known, Place { address, bytes: &bytes }) {
                    self.visit(reader, name, variant.ty, address.wrapping_add(variant.offset), depth + 1);
                }
            }
            Shape::Array { element, count } => {
                self.elements(reader, name, *element, address, count.unwrap_or(0), depth);
            }
            Shape::OneOf(_) => {
                self.lost.get_or_insert(format!("{}, which share a vtable: nothing says which", known.shown));
            }
            _ => {}
        }
    }

    /// What is behind a wide pointer.
    fn wide(
        &mut self,
        reader: &mut ValueReader<'_>,
        name: &str,
        ty: TypeRef,
        known: &Type,
        address: u64,
        depth: usize,
    ) {
        let Some(bytes) = reader.types.memory.bytes(address, 16) else { return };
        let target = match reader.target(ty, Place { address, bytes: &bytes }) {
            Ok(target) => target,
            Err(why) => {
                self.lost.get_or_insert(format!("what is behind {} is not shown: {why}", known.shown));
                return;
            }
        };
        if let Some(vtable) = target.vtable {
            // The first entry of a vtable is the drop glue.
            let glue = reader.types.memory.word(vtable).unwrap_or(0);
            self.alive.dropped_by(target.ty, target.address, glue);
        }
        self.visit(reader, name, target.ty, target.address, depth + 1);
    }

    fn members(
        &mut self,
        reader: &mut ValueReader<'_>,
        name: &str,
        ty: TypeRef,
        known: &Type,
        address: u64,
        depth: usize,
    ) {
        let members = known.members();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        if (names == ["pointer", "vtable"] || names == ["data_ptr", "length"]) && follows(&known.name) {
            self.wide(reader, name, ty, known, address, depth);
            return;
        }
        let path = known.path();
        match path {
            // Also owned by other values, or holding no future that is awaited here.
            "alloc::rc::Rc" | "alloc::sync::Arc" | "core::task::wake::Waker" | "alloc::string::String" => {}
            "alloc::vec::Vec" => {
                let Some(buffer) = known.member("buf").map(|buffer| (buffer.ty, buffer.offset)) else { return };
                let pointer = reader.find(buffer.0, "inner.ptr").and_then(|(_, offset)| {
                    reader.types.memory.word(address.wrapping_add(buffer.1).wrapping_add(offset))
                });
                let length = known.member("len").map(|len| len.offset);
                let length = length.and_then(|offset| reader.types.memory.word(address.wrapping_add(offset)));
                if let (Some(pointer), Some(length), Some(element)) = (pointer, length, known.param("T")) {
                    self.elements(reader, name, element, pointer, length, depth);
                }
            }
            "futures_util::stream::futures_unordered::FuturesUnordered" => {
                self.unordered(reader, name, known, address, depth)
            }
            _ if path.starts_with("tinyio::") && path.ends_with("::Coro") => {}
            _ => {
                for member in members {
                    let inner = branch(name, path, &member.name);
                    self.visit(reader, &inner, member.ty, address.wrapping_add(member.offset), depth + 1);
                }
            }
        }
    }

    fn elements(
        &mut self,
        reader: &mut ValueReader<'_>,
        name: &str,
        element: TypeRef,
        address: u64,
        count: u64,
        depth: usize,
    ) {
        let Some(size) = reader.types.size(element).filter(|size| *size > 0) else { return };
        // Bytes and numbers hold no futures.
        if matches!(reader.types.get(element).shape, Shape::Base(_)) {
            return;
        }
        for index in 0..count.min(10_000) {
            if self.left == 0 || reader.out_of_time() {
                return;
            }
            let at = address.wrapping_add(index.wrapping_mul(size));
            self.visit(reader, &numbered(name, index as usize), element, at, depth + 1);
        }
    }

    /// A linked list of tasks, each with its future.
    fn unordered(&mut self, reader: &mut ValueReader<'_>, name: &str, known: &Type, address: u64, depth: usize) {
        let Some(head) = known.member("head_all") else { return };
        let Some((task, offset)) = thin_pointer(reader, head.ty, 0) else { return };
        let Some(mut at) = reader.types.memory.word(address.wrapping_add(head.offset + offset)) else { return };
        let (Some((future, future_at)), Some((next, next_at))) =
            (reader.find(task, "future"), reader.find(task, "next_all"))
        else {
            return;
        };
        let Some((_, inner)) = thin_pointer(reader, next, 0) else { return };
        let mut index = 0_usize;
        while at != 0 && self.left > 0 && !reader.out_of_time() {
            self.visit(reader, &numbered(name, index), future, at.wrapping_add(future_at), depth + 1);
            index += 1;
            match reader.types.memory.word(at.wrapping_add(next_at + inner)) {
                Some(next) => at = next,
                None => return,
            }
        }
    }
}

fn numbered(outer: &str, index: usize) -> String {
    if outer.is_empty() { index.to_string() } else { format!("{outer}[{index}]") }
}

/// What a future found in a member is called: by what the program calls it, not by what libraries call their fields.
fn branch(outer: &str, path: &str, member: &str) -> String {
    let plain = member.strip_prefix("__").unwrap_or(member);
    if !outer.is_empty() && (names::is_plumbing(path) || plain.starts_with(|c: char| c.is_ascii_digit())) {
        return outer.to_owned();
    }
    if outer.is_empty() && names::is_plumbing(path) && !path.contains("{closure_env#") {
        return String::new();
    }
    names::variable(member)
}

/// The thin pointer a wrapper (an atomic, a cell) consists of: its target and its offset.
fn thin_pointer(reader: &mut ValueReader<'_>, ty: TypeRef, offset: u64) -> Option<(TypeRef, u64)> {
    let (mut ty, mut offset) = (ty, offset);
    for _ in 0..8 {
        let known = reader.types.get(ty);
        match &known.shape {
            Shape::Pointer(target) => return Some(((*target)?, offset)),
            Shape::Struct(members) => {
                let mut inner = None;
                for member in members {
                    if reader.types.size(member.ty) == Some(8) {
                        inner = Some((member.ty, member.offset));
                    }
                }
                let inner = inner?;
                (ty, offset) = (inner.0, offset + inner.1);
            }
            _ => return None,
        }
    }
    None
}

/// Whether a pointer of this name leads to a future that is polled through it.
pub(super) fn follows(name: &str) -> bool {
    name.starts_with("&mut ") || name.starts_with("alloc::boxed::Box<")
}
