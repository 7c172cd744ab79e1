//! Decides which locals are alive: maps the results of the [trace of the drop glue](super::drop_trace) to types and
//! fields.

use std::ops::Range;

use super::hash::{FastMap, FastSet};
use super::shape::{Glue, Shape, Type, TypeRef};
use super::values::{Place, ValueReader};

/// What is known about the life of a local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// The value is valid.
    Alive,
    /// It was moved; its memory is stale.
    Moved,
    /// There is no answer for it.
    Unknown,
}

/// A call made by drop glue.
#[derive(Clone, Copy)]
struct GlueCall {
    target: Option<u64>,
    /// Its first argument.
    argument: u64,
    /// The end of what it drops, if its size is known.
    end: Option<u64>,
    /// The caller, and the address of what the caller drops.
    by: (u64, u64),
}

/// The results of interpreting drop glue, over one stack.
#[derive(Default)]
pub(super) struct Alive {
    reads: Vec<Range<u64>>,
    calls: Vec<GlueCall>,
    /// The bytes of the coroutine that is examined, and of its state in it.
    frame: Range<u64>,
    state: Range<u64>,
    /// Its drop glue and its address, unless the glue was inlined.
    own: Option<(u64, u64)>,
    /// What may be drop glue, by the address of what it drops. A coroutine and the one it awaits may have one address.
    glue: FastMap<u64, Vec<u64>>,
    /// Drop glue that is certain.
    certain: FastMap<(u64, TypeRef), u64>,
    /// Calls that were not interpreted yet: function and argument.
    pending: Vec<(u64, u64)>,
    /// The code that was interpreted last is not optimised.
    plain: bool,
    /// Which calls were interpreted, and whether that succeeded.
    asked: FastMap<(u64, u64), bool>,
}

impl Alive {
    /// Notes the function that drops the value of a type at an address.
    pub fn dropped_by(&mut self, ty: TypeRef, address: u64, function: u64) {
        if function != 0 {
            self.certain.insert((address, ty), function);
        }
    }

    /// Notes that a function is called with an address.
    fn called(&mut self, address: u64, function: u64) {
        let known = self.glue.entry(address).or_default();
        if !known.contains(&function) {
            known.push(function);
        }
    }

    /// Finds out what is alive in the coroutine at an address; false if that is not possible.
    ///
    /// The glue of a suspended coroutine reads its state first. If the state was not read, nothing else was: then
    /// nothing is concluded from what was not touched, either.
    pub fn trace_drops(
        &mut self,
        reader: &mut ValueReader<'_>,
        ty: TypeRef,
        address: u64,
        size: u64,
        state: Range<u64>,
    ) -> bool {
        self.frame = address..address.saturating_add(size);
        self.own = None;
        self.state = state;
        self.interpret_glue(reader, ty, address) && self.has_seen_state()
    }

    fn interpret_glue(&mut self, reader: &mut ValueReader<'_>, ty: TypeRef, address: u64) -> bool {
        // The owner may drop it through other functions: `drop_in_place` of a box calls that of the box's content.
        for _ in 0..32 {
            if let Some(function) = self.glue_of(reader, ty, address) {
                return self.follow(reader, ty, function, address);
            }
            let Some((function, argument)) = self.pending.pop() else { break };
            if reader.types.drops_type(function).is_some() {
                self.interpret(reader, function, argument);
            }
        }
        if let Some(function) = reader.types.drop_function(ty) {
            return self.follow(reader, ty, function, address);
        }
        // Its glue may have been inlined into that of its owner.
        let body = &self.frame;
        self.reads.iter().any(|read| read.start < body.end && body.start < read.end)
    }

    /// Interprets the glue of the coroutine, or the only function it calls: `drop_in_place` consists of a call of
    /// `drop_glue`.
    fn follow(&mut self, reader: &mut ValueReader<'_>, ty: TypeRef, mut function: u64, address: u64) -> bool {
        for _ in 0..4 {
            self.own = Some((function, address));
            if !self.interpret(reader, function, address) {
                return false;
            }
            // Glue that is not known as such comes from a compiler with other names for it, which may also work
            // differently. In optimised code several equal functions share one name.
            if reader.types.drops_type(function).is_none() && (self.plain || !reader.types.knows_glue(ty)) {
                return false;
            }
            let whole = |call: &&GlueCall| call.by == (function, address) && call.argument == address;
            let Some(target) = self.calls.iter().find(whole).and_then(|call| call.target) else { return true };
            if self.has_seen_state() {
                return true;
            }
            function = target;
        }
        true
    }

    fn has_seen_state(&self) -> bool {
        self.reads.iter().any(|read| read.start <= self.state.start && self.state.end <= read.end)
    }

    /// The calls that concern the locals. Those that drop the whole coroutine, made by its awaiter or owner, say
    /// nothing about its content.
    fn calls(&self) -> impl Iterator<Item = &GlueCall> {
        self.calls.iter().filter(|call| {
            call.argument > self.frame.start
                || match call.end {
                    Some(end) => end < self.frame.end,
                    None => call.argument < self.frame.start || self.own == Some(call.by),
                }
        })
    }

    /// Whether a local at the start of a coroutine with inlined glue cannot be distinguished from the coroutine itself:
    /// a value passed to a function of unknown extent may be either.
    fn is_ambiguous(&self, body: &Range<u64>) -> bool {
        let start = self.frame.start;
        let starts_there = |call: &GlueCall| call.argument == start && call.end.is_none();
        self.own.is_none() && body.start == start && self.calls.iter().any(starts_there)
    }

    /// The function that drops the coroutine at an address: the known one, one of that name, or one that is called with
    /// that address and has a name that says nothing else (optimised builds keep one of several equal functions).
    fn glue_of(&self, reader: &mut ValueReader<'_>, ty: TypeRef, address: u64) -> Option<u64> {
        if let Some(certain) = self.certain.get(&(address, ty)) {
            return Some(*certain);
        }
        let size = reader.types.size(ty);
        let name = reader.types.get(ty).name.clone();
        let mut nameless = None;
        for &function in self.glue.get(&address)? {
            let dropped = reader.types.drops_type(function);
            match dropped {
                Some(dropped) if reader.types.get(dropped).name == name => return Some(function),
                Some(dropped) if reader.types.size(dropped) != size => {}
                _ if !self.asked.contains_key(&(function, address)) => nameless = nameless.or(Some(function)),
                _ => {}
            }
        }
        nameless
    }

    fn interpret(&mut self, reader: &mut ValueReader<'_>, function: u64, address: u64) -> bool {
        if let Some(known) = self.asked.get(&(function, address)) {
            return *known;
        }
        let body = reader.types.function_body(function);
        let touched = body.and_then(|(code, plain)| {
            self.plain = plain;
            super::drop_trace::interpret(&reader.types.memory, function, &code, address)
        });
        self.asked.insert((function, address), touched.is_some());
        let Some(touched) = touched else { return false };
        self.reads.extend(touched.reads);
        for call in touched.calls {
            let Some(argument) = call.argument else { continue };
            let dropped = call.target.and_then(|target| reader.types.drops_type(target));
            let end = dropped.and_then(|ty| reader.types.size(ty)).map(|size| argument.saturating_add(size));
            self.calls.push(GlueCall { target: call.target, argument, end, by: (function, address) });
            if let Some(target) = call.target {
                self.called(argument, target);
                self.pending.push((target, argument));
            }
        }
        true
    }

    fn touches(&self, body: &Range<u64>) -> bool {
        let overlaps = |start: u64, end: u64| start < body.end && body.start < end;
        // An empty value is touched where it would be.
        let empty = body.is_empty();
        self.reads.iter().any(|read| overlaps(read.start, read.end))
            || self.calls().any(|&GlueCall { argument, end, .. }| match end {
                Some(end) => overlaps(argument, end) || empty && argument == body.start,
                None => body.contains(&argument) || empty && argument == body.start,
            })
    }

    /// Whether a call of unknown extent begins before a field, inside the same local.
    fn reaches(&self, local: &Range<u64>, field: u64) -> bool {
        self.calls()
            .any(|&GlueCall { argument, end, .. }| end.is_none() && local.contains(&argument) && argument <= field)
    }

    /// Whether a local is alive. Of one moved in part, the fields that were go into `moved`; the largest parts that
    /// certainly are alive, or the local itself, into `certain`.
    pub fn local(
        &self,
        reader: &mut ValueReader<'_>,
        ty: TypeRef,
        address: u64,
        moved: &mut FastSet<(u64, TypeRef)>,
        certain: &mut Vec<(TypeRef, u64)>,
    ) -> Life {
        if reader.types.glue(ty) == Glue::No {
            return Life::Alive;
        }
        let Some(size) = reader.types.size(ty) else { return Life::Unknown };
        let body = address..address.saturating_add(size);
        if !self.touches(&body) {
            if self.is_ambiguous(&body) {
                return Life::Unknown;
            }
            // Optimisation may leave nothing of a destructor, or nothing that concerns the value.
            return if reader.types.glue(ty) == Glue::Yes || self.plain { Life::Moved } else { Life::Unknown };
        }
        self.fields(reader, ty, &body, address, moved, 0);
        let mut parts = Parts { moved, found: Vec::new(), is_known: true };
        if self.is_certain(reader, (ty, address), &Around::default(), &mut parts, 0) {
            parts.found.push((ty, address));
        }
        certain.append(&mut parts.found);
        // Nothing tells of a part that could be moved on its own.
        if parts.is_known { Life::Alive } else { Life::Unknown }
    }

    /// Adds the fields that were moved to `moved`.
    fn fields(
        &self,
        reader: &mut ValueReader<'_>,
        ty: TypeRef,
        local: &Range<u64>,
        address: u64,
        moved: &mut FastSet<(u64, TypeRef)>,
        depth: usize,
    ) {
        let known = reader.types.get(ty);
        // A type with a destructor of its own cannot be moved out of, and library types have one.
        if depth > 4 || names_of_std(known.path()) {
            return;
        }
        match &known.shape {
            Shape::Pointer(Some(target)) if known.name.starts_with("alloc::boxed::Box<") => {
                let Some(inside) = reader.types.memory.word(address) else { return };
                if reader.types.glue(*target) == Glue::No {
                    return;
                }
                let Some(size) = reader.types.size(*target) else { return };
                let (whole, inside) = (address..address.saturating_add(8), inside..inside.saturating_add(size));
                let dropped = |body: &Range<u64>| {
                    self.calls().any(|call| call.argument <= body.start && call.end.is_some_and(|end| end >= body.end))
                };
                // One call frees the box, another before it drops its content.
                let handed = self.calls().filter(|call| call.argument == inside.start).count();
                let read = self.reads.iter().any(|read| read.start < inside.end && inside.start < read.end);
                if !(dropped(&whole) || dropped(&inside) || handed > 1 || read) {
                    moved.insert((address, ty));
                }
            }
            Shape::Struct(members) => {
                for member in members {
                    let at = address.saturating_add(member.offset);
                    if reader.types.glue(member.ty) == Glue::No {
                        continue;
                    }
                    let Some(size) = reader.types.size(member.ty) else { continue };
                    if self.touches(&(at..at.saturating_add(size))) || self.reaches(local, at) {
                        self.fields(reader, member.ty, local, at, moved, depth + 1);
                    } else {
                        moved.insert((at, member.ty));
                    }
                }
            }
            _ => {}
        }
    }
}

/// What is done around a part, and says nothing of it.
#[derive(Default)]
struct Around {
    /// What is read to find out which variant an enum is in.
    tag: Range<u64>,
    /// What a box frees in the end.
    freed: u64,
}

/// Parts of a local.
struct Parts<'m> {
    /// Those that were moved.
    moved: &'m FastSet<(u64, TypeRef)>,
    /// Those that certainly are alive.
    found: Vec<(TypeRef, u64)>,
    /// There are no others.
    is_known: bool,
}

impl Alive {
    /// Whether a part certainly is alive as a whole: a call drops it as a whole, or it cannot be moved in part and is
    /// dropped itself. If not, its parts that are so are added.
    fn is_certain(
        &self,
        reader: &mut ValueReader<'_>,
        (ty, address): (TypeRef, u64),
        around: &Around,
        parts: &mut Parts<'_>,
        depth: usize,
    ) -> bool {
        // Nothing is dropped of it.
        if reader.types.glue(ty) == Glue::No {
            return true;
        }
        if parts.moved.contains(&(address, ty)) {
            return false;
        }
        let Some(size) = reader.types.size(ty).filter(|_| depth < DEPTH) else {
            parts.is_known = false;
            return false;
        };
        let body = address..address.saturating_add(size);
        let drops_all = |call: &GlueCall| call.argument <= body.start && call.end.is_some_and(|end| end >= body.end);
        if self.calls().any(drops_all) {
            return true;
        }
        let Some((inner, around)) = inside(reader, (ty, address), around) else {
            let is_dropped = self.is_dropped(&body, around);
            parts.is_known &= is_dropped;
            return is_dropped;
        };
        let (mut is_whole, before) = (true, parts.found.len());
        for part in inner {
            if self.is_certain(reader, part, &around, parts, depth + 1) {
                parts.found.push(part);
            } else {
                is_whole = false;
            }
        }
        if is_whole {
            parts.found.truncate(before);
        }
        is_whole
    }

    /// Whether something that is not moved in part is dropped: it is read, or what drops it is called.
    fn is_dropped(&self, body: &Range<u64>, around: &Around) -> bool {
        let overlaps = |start: u64, end: u64| start < body.end && body.start < end;
        let says = |read: &&Range<u64>| !(around.tag.start <= read.start && read.end <= around.tag.end);
        let handed = self.calls().filter(|call| call.end.is_none() && call.argument == body.start).count();
        self.reads.iter().filter(says).any(|read| overlaps(read.start, read.end))
            || self.calls().any(|call| call.end.is_some_and(|end| overlaps(call.argument, end)))
            || handed > usize::from(around.freed == body.start)
    }
}

/// The parts of a value that could be moved on their own and are dropped, and what is around them. `None` if there are
/// none: it has a destructor of its own, or is not known.
fn inside(
    reader: &mut ValueReader<'_>,
    (ty, address): (TypeRef, u64),
    around: &Around,
) -> Option<(Vec<(TypeRef, u64)>, Around)> {
    let known = reader.types.get(ty);
    let same = Around { tag: around.tag.clone(), ..*around };
    match &known.shape {
        Shape::Enum { tag, .. } if !known.is_coroutine() => {
            let size = usize::try_from(known.size?).ok()?;
            let bytes = reader.types.memory.bytes(address, size)?;
            let variant = reader.variant(&known, Place { address, bytes: &bytes }).ok()?;
            let tag = match tag {
                Some(tag) => {
                    let start = address.saturating_add(tag.offset);
                    start..start.saturating_add(reader.types.size(tag.ty)?)
                }
                None => same.tag,
            };
            let start = address.saturating_add(variant.offset);
            let variant = reader.types.get(variant.ty);
            Some((dropped(reader, &variant, start), Around { tag, ..*around }))
        }
        _ if names_of_std(known.path()) || is_wide(&known) => None,
        Shape::Struct(_) => {
            let parts = dropped(reader, &known, address);
            (!parts.is_empty()).then_some((parts, same))
        }
        Shape::Array { element, count: Some(count) } if *count <= ELEMENTS => {
            let size = reader.types.size(*element)?;
            Some(((0..*count).map(|index| (*element, address.saturating_add(index * size))).collect(), same))
        }
        Shape::Pointer(Some(target)) if reader.types.glue(*target) != Glue::No => {
            let inside = reader.types.memory.word(address)?;
            Some((vec![(*target, inside)], Around { freed: inside, ..Around::default() }))
        }
        _ => None,
    }
}

/// The members at an address that are dropped.
fn dropped(reader: &mut ValueReader<'_>, known: &Type, address: u64) -> Vec<(TypeRef, u64)> {
    let members = known.members().iter().filter(|member| reader.types.glue(member.ty) != Glue::No);
    members.map(|member| (member.ty, address.saturating_add(member.offset))).collect()
}

/// Whether it is a wide pointer: what it leads to has no size, and cannot be moved.
fn is_wide(known: &Type) -> bool {
    known.member("vtable").is_some() || known.member("data_ptr").is_some()
}

/// How deep parts are looked for in parts.
const DEPTH: usize = 12;
/// Elements of an array that are looked at.
const ELEMENTS: u64 = 64;

fn names_of_std(path: &str) -> bool {
    ["alloc::", "core::", "std::", "hashbrown::"].iter().any(|root| path.starts_with(root))
        // The language allows moving out of it, and the others have no destructor of their own.
        && !["alloc::boxed::Box", "core::cmp::Reverse", "core::panic::unwind_safe::AssertUnwindSafe"].contains(&path)
        && !path.starts_with("core::ops::range::")
}
