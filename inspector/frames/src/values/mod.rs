//! Values: from bytes and a type to the text `{:?}` would print, and to a tree that can be unfolded.
//!
//! No data is trusted: field names must be the expected ones, lengths and discriminants are checked, and a value that
//! does not fit is printed as its type and the reason.

mod bytes;
mod collections;
mod elements;
mod iterators;
mod library;
mod locks;
mod pointers;
mod text;
mod tinyio;
mod wide;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tinyio_events::event::{CoroId, Value};
use tinyio_events::secrets::MASKED;

use super::hash::FastSet;
use super::limits::Limits;
use super::names;
use super::secret_names::SecretNames;
use super::shape::{Base, Member, Shape, Type, TypeRef};
use super::types::Types;
use super::work::WorkClock;

/// Maps the address of a coroutine's block to the coroutine's number, 0 if there is none, and its name, empty where
/// that is not known.
pub type CoroAt<'a> = dyn Fn(u64) -> (CoroId, &'static str) + 'a;

/// Reads values in the memory of a process, and counts what is left of its bounds.
pub(super) struct ValueReader<'a> {
    pub types: &'a mut Types,
    pub limits: &'a Limits,
    /// Values that may still be read.
    left: usize,
    clock: WorkClock,
    /// When to end, on that clock, which stands still while new debug info is read.
    deadline: Duration,
    /// How often that clock was asked for, and whether it was late.
    asked: Cell<(u32, bool)>,
    coro_at: Option<&'a CoroAt<'a>>,
    /// Pointers being followed, so that a cycle ends.
    trail: Vec<u64>,
    /// Parts of the local being read that were moved away.
    pub moved: FastSet<(u64, TypeRef)>,
}

/// Bytes and where they were read.
#[derive(Clone, Copy)]
pub(super) struct Place<'b> {
    pub address: u64,
    pub bytes: &'b [u8],
}

impl<'b> Place<'b> {
    pub fn part(self, offset: u64, size: u64) -> Option<Place<'b>> {
        let (start, end) = (usize::try_from(offset).ok()?, usize::try_from(offset.checked_add(size)?).ok()?);
        Some(Place { address: self.address.checked_add(offset)?, bytes: self.bytes.get(start..end)? })
    }

    pub fn word(self, offset: u64) -> Option<u64> {
        Some(u64::from_le_bytes(self.part(offset, 8)?.bytes.try_into().ok()?))
    }

    pub fn number(self) -> Option<u128> {
        let mut wide = [0; 16];
        wide.get_mut(..self.bytes.len())?.copy_from_slice(self.bytes);
        Some(u128::from_le_bytes(wide))
    }
}

/// Whether a type is of the standard library, or of the maps in it.
fn is_standard(known: &Type) -> bool {
    ["alloc::", "core::", "std::", "hashbrown::"].iter().any(|root| known.name.starts_with(root))
}

/// Larger objects are not read at once.
const LARGEST: u64 = 1 << 20;

/// Why a value could not be read; printed behind the type.
type Printed = Result<Value, String>;

impl ValueReader<'_> {
    pub fn new<'a>(types: &'a mut Types, limits: &'a Limits, coro_at: Option<&'a CoroAt<'a>>) -> ValueReader<'a> {
        types.forget_made();
        let (clock, deadline) = (WorkClock::new(), limits.time);
        let (left, asked) = (limits.total, Cell::default());
        let (trail, moved) = (Vec::new(), FastSet::default());
        ValueReader { types, limits, left, clock, deadline, asked, coro_at, trail, moved }
    }

    /// Reads one of so many parts that are left, with its share of the bounds: what one part does not use is for the
    /// others.
    pub fn share<R>(&mut self, parts: usize, read: impl FnOnce(&mut Self) -> R) -> R {
        let (left, deadline) = (self.left, self.deadline);
        let now = self.clock.time(self.types.learnt());
        let parts = parts.max(1);
        let time = deadline.saturating_sub(now) / u32::try_from(parts).unwrap_or(u32::MAX);
        self.left = left.div_ceil(parts);
        self.deadline = now.saturating_add(time);
        self.asked = Cell::default();
        let rest = left - self.left;
        let result = read(self);
        self.left += rest;
        self.deadline = deadline;
        self.asked = Cell::default();
        result
    }

    pub fn out_of_time(&self) -> bool {
        let (asks, mut late) = self.asked.get();
        // Reading the clock costs as much as reading a small value.
        if asks.is_multiple_of(16) {
            late = self.clock.time(self.types.learnt()) >= self.deadline;
        }
        self.asked.set((asks.wrapping_add(1), late));
        self.left == 0 || late
    }

    /// The value of a type at an address.
    pub fn at(&mut self, ty: TypeRef, address: u64, depth: usize) -> Value {
        let Some(size) = self.types.size(ty) else { return self.unknown(ty, "its size is not known") };
        if size > LARGEST {
            return self.unknown(ty, &format!("{size} bytes are too many"));
        }
        match self.types.memory.bytes(address, size as usize) {
            Some(bytes) => self.value(ty, Place { address, bytes: &bytes }, depth),
            None => self.unknown(ty, &format!("memory at {address:#x} cannot be read")),
        }
    }

    /// The value of a type in these bytes.
    pub fn value(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Value {
        if !self.moved.is_empty() && self.moved.contains(&(place.address, ty)) {
            return Value { text: "<moved>".into(), type_name: self.name(ty), ..Value::default() };
        }
        let known = self.types.get(ty);
        if self.hides(&known, place) {
            return masked(known.shown.clone());
        }
        if depth >= self.limits.depth || self.out_of_time() {
            return Value { text: "…".into(), type_name: known.shown.clone(), ..Value::default() };
        }
        self.left -= 1;
        match self.print(ty, &known, place, depth) {
            Ok(mut value) => {
                if value.type_name.is_empty() {
                    value.type_name = known.shown.clone();
                }
                value.text = cut(value.text, self.limits.text);
                value
            }
            Err(why) => self.unknown(ty, &why),
        }
    }

    /// The name of a type, as it is shown.
    pub fn name(&mut self, ty: TypeRef) -> String {
        self.types.get(ty).shown.clone()
    }

    fn unknown(&mut self, ty: TypeRef, why: &str) -> Value {
        let name = self.types.get(ty).shown.clone();
        Value { text: cut(format!("<{name}: {why}>"), self.limits.text), type_name: name, ..Value::default() }
    }

    /// A field or local, masked if its name says so.
    pub fn named(&mut self, name: &str, ty: TypeRef, place: Place<'_>, depth: usize) -> Value {
        match self.is_secret(name) {
            true => masked(self.name(ty)),
            false => self.value(ty, place, depth),
        }
    }

    /// Whether a value is masked for its type: a secret by name, or marked as sensitive as a header of the crate `http`
    /// may be.
    fn hides(&mut self, known: &Type, place: Place<'_>) -> bool {
        if is_standard(known) || known.is_coroutine() || known.is_unknown_coroutine() {
            return false;
        }
        let name = last(known.path());
        match &known.shape {
            Shape::Struct(members) => {
                let mark = members.iter().find(|member| member.name == "is_sensitive");
                mark.is_some_and(|mark| place.part(mark.offset, 1).is_none_or(|part| part.bytes != [0]))
                    || self.names_a_secret(name, members)
            }
            Shape::Enum { .. } | Shape::CLike(_) | Shape::Union => self.names_a_secret(name, &[]),
            _ => false,
        }
    }

    /// Whether what consists of these members is masked for the name of its type or variant.
    fn names_a_secret(&mut self, name: &str, members: &[Member]) -> bool {
        let mut parts = members.iter().filter(|member| self.types.size(member.ty) != Some(0));
        let wraps_one = parts.next().is_some() && parts.next().is_none();
        self.secret_names().has_type(name, wraps_one)
    }

    /// Whether a variable or a field of this name is masked.
    fn is_secret(&mut self, name: &str) -> bool {
        self.secret_names().has(name)
    }

    fn secret_names(&mut self) -> &mut SecretNames {
        let names = &mut self.types.secret_names;
        names.renew(&self.limits.secrets);
        names
    }

    /// Whether what goes with this key is a secret: `("Authorization", …)`.
    fn is_key_of_secret(&self, key: &str) -> bool {
        // The names of fields are no key.
        self.limits.secrets.has(key) && (key.starts_with('"') || !key.contains(": "))
    }

    fn print(&mut self, ty: TypeRef, known: &Rc<Type>, place: Place<'_>, depth: usize) -> Printed {
        match &known.shape {
            Shape::Base(base) => scalar(*base, place).map(plain),
            Shape::Pointer(target) => self.pointer(known, *target, place, depth),
            Shape::Function => Ok(plain(format!("{:#x}", place.address))),
            Shape::Array { element, count } => {
                let count = count.ok_or("its length is not known")?;
                if self.is_byte(*element)
                    && let Some(bytes) = self.byte_array(place)
                {
                    return Ok(bytes);
                }
                let size = self.types.size(*element).ok_or("the size of its elements is not known")?;
                self.list(*element, count, depth, ("[", "]"), |index| place.part(index.wrapping_mul(size), size))
            }
            Shape::CLike(names) => {
                let tag = place.number().ok_or("it is too large")?;
                let named = names.iter().find(|(value, _)| *value == tag);
                named.map(|(_, name)| plain(name.clone())).ok_or_else(|| format!("no variant has the value {tag}"))
            }
            Shape::Union => Ok(plain("<uninit?>".into())),
            Shape::OneOf(types) => Ok(self.one_of(types, place, depth)),
            Shape::Text(length) => {
                let bytes = self.read_text(place.address, *length)?;
                self.string(bytes)
            }
            Shape::TextOrBytes { element, count } => {
                let bytes = self.read_text(place.address, *count)?;
                match self.string(bytes) {
                    Ok(text) if !text.text.contains('\\') => Ok(text),
                    _ => self.listed(*element, place.address, *count, depth),
                }
            }
            Shape::Unknown => Err("its layout is not described".into()),
            _ if known.is_unknown_coroutine() => Err("unknown layout".into()),
            Shape::Enum { .. } if known.is_coroutine() => Ok(self.future(known, place)),
            Shape::Enum { .. } => {
                let variant = self.variant(known, place)?;
                let inner = self.types.get(variant.ty);
                let size = self.types.size(variant.ty).ok_or("the size of its variant is not known")?;
                let part = place.part(variant.offset, size).ok_or("its variant reaches beyond it")?;
                let members = inner.members();
                if !is_standard(known) && !members.is_empty() && self.names_a_secret(&variant.name, members) {
                    return Ok(plain(MASKED.into()));
                }
                // These print as what they hold.
                if matches!(
                    known.path(),
                    "core::net::ip_addr::IpAddr" | "core::net::socket_addr::SocketAddr" | "alloc::borrow::Cow"
                ) {
                    return self.within(variant.ty, "__0", part, depth);
                }
                self.fields(&variant.name, members, part, depth)
            }
            Shape::Struct(members) => match self.special(ty, known, place, depth) {
                Some(printed) => printed,
                None => self.fields(own_name(known), members, place, depth),
            },
        }
    }

    /// The variant an enum is in.
    pub fn variant(&mut self, known: &Type, place: Place<'_>) -> Result<Member, String> {
        let Shape::Enum { tag, variants, .. } = &known.shape else { return Err("it is no enum".into()) };
        let Some(tag) = tag else {
            // One variant that can be, or none at all.
            let mut possible = variants.iter().filter(|variant| !self.types.is_uninhabited(variant.member.ty));
            let only = possible.next().ok_or("it has no values")?;
            return match possible.next() {
                None => Ok(only.member.clone()),
                Some(_) => Err("its variant is not described".into()),
            };
        };
        let size = self.types.size(tag.ty).ok_or("the size of its tag is not known")?;
        let value = place.part(tag.offset, size).and_then(Place::number).ok_or("its tag cannot be read")?;
        let exact = variants.iter().find(|variant| variant.tag == Some(value));
        let found = exact.or_else(|| variants.iter().find(|variant| variant.tag.is_none()));
        found.map(|variant| variant.member.clone()).ok_or_else(|| format!("no variant has the tag {value}"))
    }

    /// A value of one of several types: what it is as each of them can be unfolded.
    fn one_of(&mut self, types: &[TypeRef], place: Place<'_>, depth: usize) -> Value {
        let names: Vec<String> = types.iter().map(|ty| self.name(*ty)).collect();
        let values = types.iter().map(|ty| self.value(*ty, place, depth + 1)).collect::<Vec<_>>();
        let children = names.iter().map(|name| format!("as {name}")).zip(values).collect();
        Value { text: format!("<one of {}>", names.join(", ")), children, ..Value::default() }
    }

    /// `Name { a: 1, b: 2 }`, `Name(1, 2)`, `(1, 2)`, `Name`.
    fn fields(&mut self, name: &str, members: &[Member], place: Place<'_>, depth: usize) -> Printed {
        let tuple = members.first().is_some_and(|member| member.name == "__0");
        let name = if name.starts_with('(') { "" } else { name };
        let pair = pair(members);
        let mut secret = false;
        let mut children = Vec::new();
        for member in members.iter().take(self.limits.elements) {
            let shown = member.name.strip_prefix("__").filter(|_| tuple).unwrap_or(&member.name).to_owned();
            let size = self.types.size(member.ty).unwrap_or(0);
            let value = match place.part(member.offset, size) {
                _ if self.is_function_item(member, members, place) => self.function_item(member.ty),
                Some(_) if secret && pair.is_some_and(|(_, value)| value == member.name) => {
                    masked(self.name(member.ty))
                }
                Some(part) if pair.is_some_and(|(key, _)| key == member.name) => {
                    let value = self.value(member.ty, part, depth + 1);
                    secret = self.is_key_of_secret(&value.text);
                    if self.is_secret(&shown) { masked(value.type_name) } else { value }
                }
                Some(part) => self.named(&shown, member.ty, part, depth + 1),
                None => self.unknown(member.ty, "it reaches beyond what holds it"),
            };
            children.push((shown, value));
        }
        let more = members.len() > children.len();
        let text = match (members.is_empty(), tuple || name.is_empty()) {
            (true, _) if name.is_empty() => "()".to_owned(),
            (true, _) => name.to_owned(),
            (false, true) => {
                // A tuple of one element has a comma, which distinguishes it from brackets.
                let close = if name.is_empty() && members.len() == 1 { ",)" } else { ")" };
                self.join(&format!("{name}("), &children, close, more, |child| child.1.text.clone())
            }
            (false, false) => self
                .join(&format!("{name} {{ "), &children, " }", more, |child| format!("{}: {}", child.0, child.1.text)),
        };
        Ok(Value { text, children, ..Value::default() })
    }

    /// Whether a member is a function by its type alone, which takes no room. Debug info describes it like a pointer to
    /// a function; but that would share its bytes with no other member.
    fn is_function_item(&mut self, member: &Member, members: &[Member], place: Place<'_>) -> bool {
        let Shape::Pointer(Some(target)) = self.types.get(member.ty).shape else { return false };
        if !matches!(self.types.get(target).shape, Shape::Function) {
            return false;
        }
        let (start, end) = (member.offset, member.offset.saturating_add(8));
        let mut others = members.iter().filter(|other| !std::ptr::eq(*other, member));
        end > place.bytes.len() as u64
            || others.any(|other| {
                let size = self.types.size(other.ty).unwrap_or(0);
                other.offset < end && start < other.offset.saturating_add(size)
            })
    }

    fn function_item(&mut self, ty: TypeRef) -> Value {
        let name = self.name(ty);
        Value { text: format!("<{name}>"), type_name: name, ..Value::default() }
    }

    /// Elements of a collection, each found by `element`.
    fn list<'b>(
        &mut self,
        ty: TypeRef,
        count: u64,
        depth: usize,
        (open, close): (&str, &str),
        element: impl Fn(u64) -> Option<Place<'b>>,
    ) -> Printed {
        let mut children = Vec::new();
        for index in 0..count.min(self.limits.elements as u64) {
            let place = element(index).ok_or("it reaches beyond what holds it")?;
            children.push((index.to_string(), self.value(ty, place, depth + 1)));
            if self.out_of_time() {
                break;
            }
        }
        let more = count > children.len() as u64;
        let text = self.join(open, &children, close, more, |child| child.1.text.clone());
        let children = if more { note_rest(children, count) } else { children };
        Ok(Value { text, children, ..Value::default() })
    }

    fn join(
        &self,
        open: &str,
        children: &[(String, Value)],
        close: &str,
        more: bool,
        part: impl Fn(&(String, Value)) -> String,
    ) -> String {
        let mut text = open.to_owned();
        let mut cut = more;
        for (index, child) in children.iter().enumerate() {
            if index > 0 {
                text.push_str(", ");
            }
            if text.len() > self.limits.text {
                cut = true;
                break;
            }
            text.push_str(&part(child));
        }
        if cut {
            let separator = if text.ends_with([' ', '[', '{', '(']) { "" } else { ", " };
            text.push_str(separator);
            text.push('…');
        }
        text.push_str(close);
        text
    }

    /// A future that is held as a value.
    fn future(&mut self, known: &Type, place: Place<'_>) -> Value {
        let name = names::function(&known.name);
        let state = match self.variant(known, place) {
            Ok(state) => match (state.name.as_str(), &state.file) {
                ("0", _) => "not started".to_owned(),
                ("1", _) => "finished".to_owned(),
                ("2", _) => "panicked".to_owned(),
                (_, Some(file)) => format!("at {}:{}", file.display(), state.line),
                _ => "suspended".to_owned(),
            },
            Err(why) => why,
        };
        plain(format!("<future of {name}, {state}>"))
    }
}

impl ValueReader<'_> {
    /// Follows field names from a type: the type and the offset they lead to.
    pub fn find(&mut self, ty: TypeRef, path: &str) -> Option<(TypeRef, u64)> {
        let mut found = (ty, 0_u64);
        for name in path.split('.').filter(|name| !name.is_empty()) {
            let known = self.types.get(found.0);
            let member = known.member(name)?;
            found = (member.ty, found.1.checked_add(member.offset)?);
        }
        Some(found)
    }

    fn word(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Result<u64, String> {
        let (inner, offset) = self.find(ty, path).ok_or("unknown layout")?;
        match self.types.size(inner) {
            Some(8) => place.word(offset).ok_or_else(|| "unknown layout".into()),
            _ => Err("unknown layout".into()),
        }
    }

    /// The value printed is that of one field.
    fn within(&mut self, ty: TypeRef, path: &str, place: Place<'_>, depth: usize) -> Printed {
        let (inner, offset) = self.find(ty, path).ok_or("unknown layout")?;
        let size = self.types.size(inner).ok_or("unknown layout")?;
        let part = place.part(offset, size).ok_or("unknown layout")?;
        let value = self.value(inner, part, depth);
        Ok(Value { type_name: String::new(), ..value })
    }
}

/// The replacement of a value that is a secret.
fn masked(type_name: String) -> Value {
    Value { text: MASKED.into(), type_name, ..Value::default() }
}

/// The names of the members that are a name and what goes by it: `("Authorization", …)`,
/// `Header { name: …, value: … }`.
fn pair(members: &[Member]) -> Option<(&'static str, &'static str)> {
    let has = |name: &str| members.iter().any(|member| member.name == name);
    let pairs = [("key", "value"), ("name", "value"), ("key", "val"), ("name", "val")];
    match members {
        [first, second] if first.name == "__0" && second.name == "__1" => Some(("__0", "__1")),
        _ => pairs.into_iter().find(|(key, value)| has(key) && has(value)),
    }
}

fn plain(text: String) -> Value {
    Value { text, ..Value::default() }
}

/// Cuts a text that is too long.
fn cut(text: String, limit: usize) -> String {
    // As many bytes are at most as many characters: most text is short, and to count takes a call for each.
    if text.len() <= limit {
        return text;
    }
    match text.char_indices().nth(limit) {
        Some((at, _)) if text.len() > at + '…'.len_utf8() => format!("{}…", &text[..at]),
        _ => text,
    }
}

/// The last name of a path.
fn last(path: &str) -> &str {
    // Asked of each value. From its end, as long as there is nothing but a name.
    let bytes = path.as_bytes();
    let mut at = bytes.len();
    while at > 0 {
        match bytes[at - 1] {
            b':' if at > 1 && bytes[at - 2] == b':' => return &path[at..],
            b'<' | b'>' | b'(' | b')' | b'[' | b']' | b'{' | b'}' => {
                return names::segments(path).last().copied().unwrap_or(path);
            }
            _ => at -= 1,
        }
    }
    path
}

/// The name of a type in its module or function, without generics. A path may have generics before it: those of an
/// implementation.
fn own_name(known: &Type) -> &str {
    names::without_generics(last(&known.name))
}

fn note_rest(mut children: Vec<(String, Value)>, count: u64) -> Vec<(String, Value)> {
    let left = count - children.len() as u64;
    children.push(("…".into(), plain(format!("{left} more"))));
    children
}

fn scalar(base: Base, place: Place<'_>) -> Result<String, String> {
    let value = place.number().ok_or("it is too large")?;
    let bits = place.bytes.len() as u32 * 8;
    Ok(match (base, bits) {
        (Base::Unit, _) => "()".into(),
        (Base::Never, _) => return Err("it has no values".into()),
        (Base::Bool, _) => match value {
            0 => "false".into(),
            1 => "true".into(),
            other => return Err(format!("{other} is no bool")),
        },
        (Base::Char, _) => {
            let scalar = u32::try_from(value).ok().and_then(char::from_u32);
            format!("{:?}", scalar.ok_or_else(|| format!("{value:#x} is no char"))?)
        }
        (Base::Unsigned, _) => value.to_string(),
        (Base::Signed, 1..=128) => (((value << (128 - bits)) as i128) >> (128 - bits)).to_string(),
        (Base::Float, 32) => format!("{:?}", f32::from_bits(value as u32)),
        (Base::Float, 64) => format!("{:?}", f64::from_bits(value as u64)),
        _ => return Err("a number of unknown size".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_of_a_path_is_the_last_of_its_segments() {
        for path in [
            "",
            "u8",
            "::",
            "a::b",
            "a::{impl#0}",
            "a::f::{async_fn_env#0}",
            "a::S<b::T>",
            "(a::S, b::T)",
            "[a::S; 2]",
            "<a::S as b::T>::U",
            "fn(a::S) -> b::T",
            "a:b",
            ":",
        ] {
            assert_eq!(Some(last(path)), names::segments(path).last().copied(), "{path}");
        }
    }

    #[test]
    fn text_is_cut_by_characters() {
        let cut = |text: &str| cut(text.to_owned(), 3);
        let short = ["", "abc", "äöü", "abcdef", "äöüxyz", "abcdefg", "äöüxyzw"].map(cut);
        // What is left out is longer than the mark for it.
        assert_eq!(short, ["", "abc", "äöü", "abcdef", "äöüxyz", "abc…", "äöü…"]);
    }
}
