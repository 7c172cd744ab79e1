//! Looks for the futures inside of a future that is no coroutine: a combinator, a box, a pin.

use std::rc::Rc;

use super::hash::FastSet;
use super::liveness::Alive;
use super::names;
use super::shape::{Member, Shape, Type, TypeRef};
use super::values::{Place, ValueReader};

/// How a future is polled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Within {
    /// By the async function around it, through boxes and the like at most.
    #[default]
    Awaited,
    /// By a combinator of this name, which polls all that it has, and may have others that are not known.
    Combinator(Rc<str>),
    /// By a combinator of this name, if that polls it at all: how it chooses is not known.
    Uncertain(Rc<str>),
}

impl Within {
    /// Whether it may not be polled at all.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Within::Uncertain(_))
    }

    /// How something is polled that is within something else.
    pub(super) fn then(&self, inner: &Within) -> Within {
        match (self, inner) {
            (_, Within::Awaited) => self.clone(),
            (Within::Uncertain(_), Within::Combinator(name)) => Within::Uncertain(name.clone()),
            _ => inner.clone(),
        }
    }
}

/// An innermost future.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its type.
    pub ty: TypeRef,
    /// Its address.
    pub address: u64,
    /// How it is polled.
    pub within: Within,
}

/// A coroutine that was found.
pub(super) struct Found {
    /// The field, variable or position it was found under.
    pub name: String,
    pub ty: TypeRef,
    pub address: u64,
    pub within: Within,
}

/// Values that are looked at.
const VALUES: usize = 10_000;
/// How deep they are nested.
const DEPTH: usize = 24;

/// Crates with futures that poll all that they have and that has not ended.
const COMBINATORS: [&str; 15] = [
    "async_compat",
    "async_stream",
    "futures_concurrency",
    "futures_core",
    "futures_lite",
    "futures_util",
    "hyper",
    "hyper_util",
    "reqwest",
    "smol",
    "tinyio",
    "tokio",
    "tokio_stream",
    "tokio_util",
    "tracing",
];
/// Their types consist of other values and say nothing by themselves.
const PLAIN: [&str; 3] = ["core", "alloc", "std"];
/// Combinators for which what they have in them says more.
const SAYS_LITTLE: [&str; 3] = ["PollFn", "Next", "TryNext"];
/// What has a future until it has ended.
const MAYBE_DONE: [&str; 2] = ["::MaybeDone", "::TryMaybeDone"];
/// At most so many elements of a list.
const ELEMENTS: usize = 10_000;

/// A search through a value.
pub(super) struct Search<'f> {
    alive: &'f mut Alive,
    is_leaf: fn(&str) -> bool,
    /// Values that may still be looked at.
    left: usize,
    limit: usize,
    seen: FastSet<(TypeRef, u64)>,
    /// What is not polled.
    disabled: FastSet<(TypeRef, u64)>,
    /// What is around what is being looked at.
    around: Around,
    all: usize,
    found: Vec<(Found, Around)>,
    leaves: Vec<(Leaf, Around)>,
    /// What could not be looked into, and why.
    lost: Option<String>,
}

/// What is around a value.
#[derive(Clone, Default)]
struct Around {
    /// The outermost combinator.
    combinator: Option<Rc<str>>,
    /// A closure of the program, which may choose what it polls.
    is_in_closure: bool,
    /// A type of the program.
    is_in_own: bool,
    /// The closures in it return futures, and do not poll what they captured.
    calls_closures: bool,
}

impl Around {
    /// How something here is polled. `is_one` if it is all that was found.
    fn within(self, is_one: bool) -> Within {
        match self.combinator {
            None => Within::Awaited,
            // A type that wraps a single future polls that.
            Some(name) if self.is_in_closure || self.is_in_own && !is_one => Within::Uncertain(name),
            Some(name) => Within::Combinator(name),
        }
    }
}

impl<'f> Search<'f> {
    /// A search that keeps at most `limit` coroutines, and futures with a path for which `is_leaf` is true.
    pub fn new(alive: &'f mut Alive, limit: usize, is_leaf: fn(&str) -> bool) -> Search<'f> {
        Search {
            alive,
            is_leaf,
            left: VALUES,
            limit,
            seen: FastSet::default(),
            disabled: FastSet::default(),
            around: Around::default(),
            all: 0,
            found: Vec::new(),
            leaves: Vec::new(),
            lost: None,
        }
    }

    /// The coroutines that are kept, the innermost futures, how many coroutines there are, and why something could not
    /// be looked into.
    pub fn finish(self) -> (Vec<Found>, Vec<Leaf>, usize, Option<String>) {
        let is_one = self.all + self.leaves.len() == 1;
        let found = self.found.into_iter();
        let found = found.map(|(found, around)| Found { within: around.within(is_one), ..found });
        let leaves = self.leaves.into_iter();
        let leaves = leaves.map(|(leaf, around)| Leaf { within: around.within(is_one), ..leaf });
        (found.collect(), leaves.collect(), self.all, self.lost)
    }

    /// Looks at a value of a name and at what is in it.
    pub fn visit(&mut self, reader: &mut ValueReader<'_>, name: &str, ty: TypeRef, address: u64, depth: usize) {
        if self.left == 0 || depth > DEPTH || address == 0 || reader.out_of_time() {
            return;
        }
        if self.disabled.contains(&(ty, address)) || !self.seen.insert((ty, address)) {
            return;
        }
        self.left -= 1;
        let known = reader.types.get(ty);
        let within = Within::Awaited;
        match &known.shape {
            _ if known.is_coroutine() || known.is_unknown_coroutine() => {
                self.all += 1;
                if self.found.len() < self.limit {
                    let found = Found { name: name.to_owned(), ty, address, within };
                    self.found.push((found, self.around.clone()));
                }
            }
            _ if (self.is_leaf)(known.path()) => {
                self.leaves.push((Leaf { ty, address, within }, self.around.clone()));
            }
            Shape::Pointer(Some(target)) if follows(&known.name) => {
                if let Some(to) = reader.types.memory.word(address) {
                    self.visit(reader, name, *target, to, depth + 1);
                }
            }
            Shape::Struct(_) => {
                self.inside(reader, &known, address, |search, reader| {
                    search.members(reader, name, ty, &known, address, depth);
                });
            }
            Shape::Enum { .. } => {
                let Some(bytes) = known.size.filter(|size| *size < 1 << 20) else { return };
                let Some(bytes) = reader.types.memory.bytes(address, bytes as usize) else { return };
                if let Ok(variant) = reader.variant(&known, Place { address, bytes: &bytes }) {
                    let at = address.wrapping_add(variant.offset);
                    self.inside(reader, &known, address, |search, reader| {
                        search.variant(reader, name, variant.ty, at, depth + 1);
                    });
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

    /// Looks at what is in a value, which may be a combinator.
    fn inside(
        &mut self,
        reader: &mut ValueReader<'_>,
        known: &Type,
        address: u64,
        look: impl FnOnce(&mut Self, &mut ValueReader<'_>),
    ) {
        let outer = self.around.clone();
        let path = known.path();
        let of = path.split("::").next().unwrap_or_default();
        let is_path = of != path && of.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_library = PLAIN.contains(&of) || COMBINATORS.contains(&of);
        if is_closure(known) {
            match self.macro_of(reader, known, address) {
                Some(name) => self.around.combinator = Some(name.into()),
                None if outer.calls_closures => return,
                None => self.around.is_in_closure |= !is_library,
            }
        } else if MAYBE_DONE.iter().any(|name| path.ends_with(name)) {
            // What polls several futures until all have ended keeps each in one of these.
            if self.around.is_in_closure {
                (self.around.combinator, self.around.is_in_closure) = (Some("join!".into()), false);
            }
        } else if is_path && (!PLAIN.contains(&of) || path.starts_with("core::future::")) {
            let name = path.rsplit("::").next().unwrap_or_default();
            self.around.is_in_own |= !is_library;
            self.around.calls_closures = is_library && name != "PollFn";
            let is_inner = outer.combinator.as_deref().is_some_and(|outer| !SAYS_LITTLE.contains(&outer));
            if !is_inner && name != "Coop" {
                self.around.combinator = Some(name.into());
            }
        }
        look(self, reader);
        self.around = outer;
    }

    /// The macro of tokio that a closure is of, which polls all that it has and that is not disabled.
    fn macro_of(&mut self, reader: &mut ValueReader<'_>, known: &Type, address: u64) -> Option<&'static str> {
        let members = known.members();
        let named = |name: &str| members.iter().find(|member| names::variable(&member.name) == name);
        if let Some(disabled) = named("disabled") {
            let mask = number_behind(reader, disabled.ty, address.wrapping_add(disabled.offset))?;
            let is_disabled =
                |part: &str| part.parse().is_ok_and(|bit: u32| mask.checked_shr(bit).unwrap_or(0) & 1 == 1);
            let parts = match named("futures") {
                Some(futures) => parts_behind(reader, futures.ty, address.wrapping_add(futures.offset))?,
                // Where each is captured by itself.
                None => {
                    let part = |member: &Member| {
                        let name = names::variable(&member.name).strip_prefix("futures.")?.to_owned();
                        Some((name, member.ty, address.wrapping_add(member.offset)))
                    };
                    members.iter().filter_map(part).collect()
                }
            };
            let disabled = parts.iter().filter(|(name, ..)| is_disabled(name)).map(|(_, ty, address)| (*ty, *address));
            self.disabled.extend(disabled);
            return (!parts.is_empty()).then_some("select!");
        }
        (named("futures").is_some() && (named("rotator").is_some() || named("skip_next_time").is_some()))
            .then_some("join!")
    }

    /// Looks at what is in a variant of an enum.
    fn variant(&mut self, reader: &mut ValueReader<'_>, name: &str, ty: TypeRef, address: u64, depth: usize) {
        let known = reader.types.get(ty);
        self.members(reader, name, ty, &known, address, depth);
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
            _ if is_closure(known) => self.fields(reader, name, known, address, depth),
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
            "tokio::task::join_set::JoinSet" => self.join_set(reader, name, ty, address, depth),
            "tinyio::coroutine::gather::Many" => self.gathered(reader, name, known, address, depth),
            _ if path.starts_with("tinyio::") && path.ends_with("::Coro") => {}
            _ => self.fields(reader, name, known, address, depth),
        }
    }

    /// What is in members without a meaning of their own.
    fn fields(&mut self, reader: &mut ValueReader<'_>, name: &str, known: &Type, address: u64, depth: usize) {
        for member in known.members() {
            let inner = branch(name, known, &member.name);
            self.visit(reader, &inner, member.ty, address.wrapping_add(member.offset), depth + 1);
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
        for index in 0..count.min(ELEMENTS as u64) {
            if self.left == 0 || reader.out_of_time() {
                return;
            }
            let at = address.wrapping_add(index.wrapping_mul(size));
            self.visit(reader, &numbered(name, index as usize), element, at, depth + 1);
        }
    }

    /// The coroutines of a gathering of tinyio that have not ended: what is left of an iterator over them.
    fn gathered(&mut self, reader: &mut ValueReader<'_>, name: &str, known: &Type, address: u64, depth: usize) {
        let Some((coros, at)) = known.member("coros").map(|coros| (coros.ty, coros.offset)) else { return };
        let mut word = |path: &str| {
            let (_, offset) = reader.find(coros, path)?;
            reader.types.memory.word(address.wrapping_add(at).wrapping_add(offset))
        };
        let (Some(first), Some(end)) = (word("ptr"), word("end")) else { return };
        let Some(element) = reader.types.get(coros).param("T") else { return };
        if let Some(size) = reader.types.size(element).filter(|size| *size > 0) {
            self.elements(reader, name, element, first, end.saturating_sub(first) / size, depth);
        }
    }

    /// A linked list of tasks, each with its future.
    fn unordered(&mut self, reader: &mut ValueReader<'_>, name: &str, known: &Type, address: u64, depth: usize) {
        let Some(head) = known.member("head_all").map(|head| (head.ty, head.offset)) else { return };
        let Some((task, offset)) = thin_pointer(reader, head.0, head.1) else { return };
        self.list(reader, name, address.wrapping_add(offset), (task, "future", "next_all"), depth);
    }

    /// The handles of the tasks of a `JoinSet`: those that have ended and those that have not are in one list each.
    fn join_set(&mut self, reader: &mut ValueReader<'_>, name: &str, ty: TypeRef, address: u64, depth: usize) {
        let lists = reader.find(ty, "inner.lists").and_then(|(lists, at)| thin_pointer(reader, lists, at));
        let Some((shared, at)) = lists else { return };
        let Some((lists, lists_at)) = reader.types.inside(shared, "tokio::util::idle_notified_set::ListsInner") else {
            return;
        };
        let Some(shared) = reader.types.memory.word(address.wrapping_add(at)) else { return };
        for list in ["notified", "idle"] {
            let head = reader.find(lists, &format!("{list}.head"));
            let Some((entry, at)) = head.and_then(|(head, at)| thin_pointer(reader, head, at)) else { continue };
            let head = shared.wrapping_add(lists_at).wrapping_add(at);
            self.list(reader, name, head, (entry, "value", "pointers.inner.value.next"), depth);
        }
    }

    /// A linked list, the first of which a pointer at `head` leads to: the type of the elements, the member with what
    /// is to be looked at, and that with the pointer to the next one.
    fn list(
        &mut self,
        reader: &mut ValueReader<'_>,
        name: &str,
        head: u64,
        (element, value, next): (TypeRef, &str, &str),
        depth: usize,
    ) {
        let (Some((value, value_at)), Some((next, next_at))) =
            (reader.find(element, value), reader.find(element, next))
        else {
            return;
        };
        let Some((_, next_at)) = thin_pointer(reader, next, next_at) else { return };
        let mut at = reader.types.memory.word(head).unwrap_or(0);
        for index in 0..ELEMENTS {
            if at == 0 || self.left == 0 || reader.out_of_time() {
                return;
            }
            self.visit(reader, &numbered(name, index), value, at.wrapping_add(value_at), depth + 1);
            at = reader.types.memory.word(at.wrapping_add(next_at)).unwrap_or(0);
        }
    }
}

/// What a box or a pin holds, and a `dyn` future is.
pub(super) fn boxed(reader: &mut ValueReader<'_>, ty: TypeRef, address: u64) -> Option<(TypeRef, u64)> {
    let (mut ty, mut address) = (ty, address);
    for _ in 0..DEPTH {
        let known = reader.types.get(ty);
        match &known.shape {
            Shape::Pointer(target) if follows(&known.name) => {
                return Some(((*target)?, reader.types.memory.word(address)?)).filter(|inner| inner.1 != 0);
            }
            Shape::Struct(members) if known.member("vtable").is_none() => {
                let mut large = members.iter().filter(|member| reader.types.size(member.ty) != Some(0));
                let only = large.next().filter(|_| large.next().is_none())?;
                (ty, address) = (only.ty, address.wrapping_add(only.offset));
            }
            Shape::Struct(_) if follows(&known.name) => {
                let bytes = reader.types.memory.bytes(address, 16)?;
                let target = reader.target(ty, Place { address, bytes: &bytes }).ok()?;
                return Some((target.ty, target.address));
            }
            _ => return None,
        }
    }
    None
}

/// The number that references lead to.
fn number_behind(reader: &mut ValueReader<'_>, ty: TypeRef, address: u64) -> Option<u64> {
    let (ty, address) = behind(reader, ty, address)?;
    let size = reader.types.size(ty).filter(|size| (1..=8).contains(size))?;
    let bytes = reader.types.memory.bytes(address, usize::try_from(size).ok()?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// The parts of a tuple that references lead to, by number.
fn parts_behind(reader: &mut ValueReader<'_>, ty: TypeRef, address: u64) -> Option<Vec<(String, TypeRef, u64)>> {
    let (ty, address) = behind(reader, ty, address)?;
    let known = reader.types.get(ty);
    let part = |member: &Member| {
        let number = member.name.strip_prefix("__")?.to_owned();
        Some((number, member.ty, address.wrapping_add(member.offset)))
    };
    Some(known.members().iter().filter_map(part).collect())
}

/// What references lead to.
fn behind(reader: &mut ValueReader<'_>, mut ty: TypeRef, mut address: u64) -> Option<(TypeRef, u64)> {
    for _ in 0..DEPTH {
        match reader.types.get(ty).shape {
            Shape::Pointer(target) => (ty, address) = (target?, reader.types.memory.word(address)?),
            _ => return Some((ty, address)),
        }
    }
    None
}

/// Whether it is what a closure captures. The path alone does not say so where the function is one of a generic type.
fn is_closure(known: &Type) -> bool {
    const ENV: &str = "{closure_env#";
    known.name.contains(ENV) && names::segments(&known.name).last().is_some_and(|last| last.starts_with(ENV))
}

fn numbered(outer: &str, index: usize) -> String {
    if outer.is_empty() { index.to_string() } else { format!("{outer}[{index}]") }
}

/// What a future found in a member is called: by what the program calls it, not by what libraries call their fields.
fn branch(outer: &str, known: &Type, member: &str) -> String {
    let path = known.path();
    let plain = member.strip_prefix("__").unwrap_or(member);
    if !outer.is_empty() && (names::is_plumbing(path) || plain.starts_with(|c: char| c.is_ascii_digit())) {
        return outer.to_owned();
    }
    if outer.is_empty() && names::is_plumbing(path) && !is_closure(known) {
        return String::new();
    }
    names::variable(member)
}

/// The thin pointer that a wrapper (an atomic, a cell, an option) consists of: its target and its offset.
fn thin_pointer(reader: &mut ValueReader<'_>, ty: TypeRef, offset: u64) -> Option<(TypeRef, u64)> {
    let (mut ty, mut offset) = (ty, offset);
    for _ in 0..DEPTH {
        let known = reader.types.get(ty);
        let members = match &known.shape {
            Shape::Pointer(target) => return Some(((*target)?, offset)),
            Shape::Struct(members) => &members[..],
            Shape::Enum { variants, .. } if known.path() == "core::option::Option" => {
                let some = variants.iter().find(|variant| variant.member.name == "Some")?;
                std::slice::from_ref(&some.member)
            }
            _ => return None,
        };
        let inner = members.iter().rfind(|member| reader.types.size(member.ty) == Some(8))?;
        (ty, offset) = (inner.ty, offset.checked_add(inner.offset)?);
    }
    None
}

/// Whether a pointer of this name leads to a future that is polled through it.
pub(super) fn follows(name: &str) -> bool {
    name.starts_with("&mut ") || name.starts_with("alloc::boxed::Box<")
}
