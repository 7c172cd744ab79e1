//! Decides which locals are alive: maps the results of the [trace of the drop glue](super::drop_trace) to types and
//! fields.

use std::ops::Range;

use super::hash::{FastMap, FastSet};
use super::shape::{Glue, Shape, TypeRef};
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

    /// Whether a local is alive; of one moved in part, the fields that were go into `moved`.
    pub fn local(
        &self,
        reader: &mut ValueReader<'_>,
        ty: TypeRef,
        address: u64,
        moved: &mut FastSet<(u64, TypeRef)>,
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
        if let Some(life) = self.payload(reader, ty, &body) {
            return life;
        }
        if self.fields(reader, ty, &body, address, moved, 0) { Life::Alive } else { Life::Unknown }
    }

    /// Of an enum: looking at its tag alone does not say that what it holds was dropped, if it holds something to drop.
    /// One that was moved out of by `if let Some(inner) = …` has its tag looked at, too.
    fn payload(&self, reader: &mut ValueReader<'_>, ty: TypeRef, body: &Range<u64>) -> Option<Life> {
        let known = reader.types.get(ty);
        let Shape::Enum { tag: Some(tag), .. } = &known.shape else { return None };
        let bytes = reader.types.memory.bytes(body.start, usize::try_from(body.end - body.start).ok()?)?;
        let variant = reader.variant(&known, Place { address: body.start, bytes: &bytes }).ok()?;
        if reader.types.glue(variant.ty) == Glue::No {
            return Some(Life::Alive);
        }
        let tag_at = body.start.wrapping_add(tag.offset);
        let tag_at = tag_at..tag_at.wrapping_add(reader.types.size(tag.ty)?);
        let beyond = |read: &Range<u64>| {
            read.start < body.end && body.start < read.end && !(tag_at.start <= read.start && read.end <= tag_at.end)
        };
        let called = self.calls().any(|&GlueCall { argument, end, .. }| match end {
            Some(end) => argument < body.end && body.start < end,
            None => body.contains(&argument),
        });
        Some(if called || self.reads.iter().any(beyond) { Life::Alive } else { Life::Unknown })
    }

    /// Adds the fields that were moved to `moved`; false if nothing tells it of one.
    fn fields(
        &self,
        reader: &mut ValueReader<'_>,
        ty: TypeRef,
        local: &Range<u64>,
        address: u64,
        moved: &mut FastSet<(u64, TypeRef)>,
        depth: usize,
    ) -> bool {
        let known = reader.types.get(ty);
        if depth > 0
            && let Some(size) = known.size.filter(|_| matches!(known.shape, Shape::Enum { .. }))
        {
            return self.payload(reader, ty, &(address..address.saturating_add(size))) != Some(Life::Unknown);
        }
        // A type with a destructor of its own cannot be moved out of, and library types have one.
        if depth > 4 || names_of_std(known.path()) {
            return true;
        }
        let mut is_known = true;
        match &known.shape {
            Shape::Pointer(Some(target)) if known.name.starts_with("alloc::boxed::Box<") => {
                let Some(inside) = reader.types.memory.word(address) else { return true };
                if reader.types.glue(*target) == Glue::No {
                    return true;
                }
                let Some(size) = reader.types.size(*target) else { return true };
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
                        is_known &= self.fields(reader, member.ty, local, at, moved, depth + 1);
                    } else {
                        moved.insert((at, member.ty));
                    }
                }
            }
            _ => {}
        }
        is_known
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

impl Alive {
    /// Adds the largest parts of a local that certainly are alive: a call drops it as a whole, or it cannot be moved in
    /// part and is touched. True if that is the whole local, which is added then. `gone`: the parts that were moved.
    pub fn certain(
        &self,
        reader: &mut ValueReader<'_>,
        ty: TypeRef,
        address: u64,
        gone: &FastSet<(u64, TypeRef)>,
        found: &mut Vec<(TypeRef, u64)>,
    ) -> bool {
        let mut parts = Vec::new();
        let is_whole = self.part(reader, (ty, address), &Around::default(), gone, &mut parts, 0);
        if is_whole {
            found.push((ty, address));
        } else {
            found.extend(parts);
        }
        is_whole
    }

    /// Whether a part certainly is alive as a whole; if not, its parts that are so are added.
    fn part(
        &self,
        reader: &mut ValueReader<'_>,
        (ty, address): (TypeRef, u64),
        around: &Around,
        gone: &FastSet<(u64, TypeRef)>,
        found: &mut Vec<(TypeRef, u64)>,
        depth: usize,
    ) -> bool {
        // Nothing is dropped of it.
        if reader.types.glue(ty) == Glue::No {
            return true;
        }
        let Some(size) = reader.types.size(ty).filter(|_| depth < DEPTH) else { return false };
        if gone.contains(&(address, ty)) {
            return false;
        }
        let body = address..address.saturating_add(size);
        let is_covered = |call: &GlueCall| call.argument <= body.start && call.end.is_some_and(|end| end >= body.end);
        if self.calls().any(is_covered) {
            return true;
        }
        let known = reader.types.get(ty);
        let parts: Vec<(TypeRef, u64)> = match &known.shape {
            _ if known.is_coroutine() || is_whole_always(known.path()) => return self.is_dropped(&body, around),
            Shape::Struct(members) if known.member("vtable").is_none() && known.member("data_ptr").is_none() => {
                let dropped = members.iter().filter(|member| reader.types.glue(member.ty) != Glue::No);
                let parts: Vec<_> = dropped.map(|member| (member.ty, address.saturating_add(member.offset))).collect();
                // It has a destructor of its own.
                if parts.is_empty() {
                    return self.is_dropped(&body, around);
                }
                parts
            }
            Shape::Enum { tag: with, .. } => {
                let bytes = usize::try_from(size).ok().and_then(|size| reader.types.memory.bytes(address, size));
                let Some(bytes) = bytes else { return false };
                let Ok(variant) = reader.variant(&known, Place { address, bytes: &bytes }) else { return false };
                let tag = with.as_ref().and_then(|with| {
                    let start = address.saturating_add(with.offset);
                    Some(start..start.saturating_add(reader.types.size(with.ty)?))
                });
                let inner = (variant.ty, address.saturating_add(variant.offset));
                let around = Around { tag: tag.unwrap_or(0..0), freed: around.freed };
                return self.part(reader, inner, &around, gone, found, depth + 1);
            }
            Shape::Array { element, count: Some(count) } if *count <= ELEMENTS => {
                let Some(size) = reader.types.size(*element) else { return false };
                (0..*count).map(|index| (*element, address.saturating_add(index * size))).collect()
            }
            Shape::Pointer(Some(target)) if known.name.starts_with("alloc::boxed::Box<") => {
                let Some(inside) = reader.types.memory.word(address) else { return false };
                let within = Around { freed: inside, ..Around::default() };
                return self.is_dropped(&body, around)
                    && self.part(reader, (*target, inside), &within, gone, found, depth + 1);
            }
            _ => return self.is_dropped(&body, around),
        };
        let mut is_whole = true;
        let mut inner = Vec::new();
        for (ty, address) in parts {
            if self.part(reader, (ty, address), around, gone, &mut inner, depth + 1) {
                inner.push((ty, address));
            } else {
                is_whole = false;
            }
        }
        if !is_whole {
            found.extend(inner);
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

/// Whether it cannot be moved in part: it has a destructor of its own, or its fields are private.
fn is_whole_always(path: &str) -> bool {
    names_of_std(path) && !matches!(path, "core::option::Option" | "core::result::Result")
}
