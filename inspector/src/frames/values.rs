//! Values: from bytes and a type to the text `{:?}` would print, and to a tree that can be unfolded.
//!
//! Nothing is believed: field names must be the expected ones, lengths and discriminants are checked, and what does not
//! fit is printed as its type and the reason.

use std::rc::Rc;
use std::time::Instant;

use super::hash::FastSet;
use super::limits::Limits;
use super::names;
use super::types::{Base, Member, Shape, Type, TypeRef, Types};
use crate::event::{CoroId, Value};

/// Number of the coroutine whose block is at an address, 0 if there is none.
pub type CoroAt<'a> = dyn Fn(u64) -> CoroId + 'a;

/// One look at the memory of a process: its bounds, and what is left of them.
pub(super) struct Look<'a> {
    pub types: &'a mut Types,
    pub limits: &'a Limits,
    pub deadline: Instant,
    /// Values that may still be read.
    pub left: usize,
    pub coro_at: Option<&'a CoroAt<'a>>,
    /// Pointers being followed, so that a cycle ends.
    pub trail: Vec<u64>,
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

/// Larger objects are not read at once.
const LARGEST: u64 = 1 << 20;

/// How a value could not be had; printed behind the type.
type Printed = Result<Value, String>;

impl Look<'_> {
    pub fn out_of_time(&self) -> bool {
        self.left == 0 || Instant::now() >= self.deadline
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
        if self.limits.is_secret(name) {
            let type_name = self.types.get(ty).shown.clone();
            return Value { text: "<masked>".into(), type_name, ..Value::default() };
        }
        self.value(ty, place, depth)
    }

    fn print(&mut self, ty: TypeRef, known: &Rc<Type>, place: Place<'_>, depth: usize) -> Printed {
        match &known.shape {
            Shape::Base(base) => scalar(*base, place).map(plain),
            Shape::Pointer(target) => self.pointer(known, *target, place, depth),
            Shape::Function => Ok(plain(format!("{:#x}", place.address))),
            Shape::Array { element, count } => {
                let count = count.ok_or("its length is not known")?;
                let size = self.types.size(*element).ok_or("the size of its elements is not known")?;
                self.list(*element, count, depth, ("[", "]"), |index| place.part(index.wrapping_mul(size), size))
            }
            Shape::CLike(names) => {
                let tag = place.number().ok_or("it is too large")?;
                let named = names.iter().find(|(value, _)| *value == tag);
                named.map(|(_, name)| plain(name.clone())).ok_or_else(|| format!("no variant has the value {tag}"))
            }
            Shape::Union => Ok(plain("<uninit?>".into())),
            Shape::Unknown => Err("its layout is not described".into()),
            Shape::Enum { .. } if known.is_coroutine() => Ok(self.future(known, place)),
            Shape::Enum { .. } => {
                let variant = self.variant(known, place)?;
                let inner = self.types.get(variant.ty);
                let size = self.types.size(variant.ty).ok_or("the size of its variant is not known")?;
                let part = place.part(variant.offset, size).ok_or("its variant reaches beyond it")?;
                // These print as what they hold.
                if matches!(known.path(), "core::net::ip_addr::IpAddr" | "core::net::socket_addr::SocketAddr") {
                    return self.within(variant.ty, "__0", part, depth);
                }
                self.fields(&variant.name, inner.members(), part, depth)
            }
            Shape::Struct(members) => match self.special(ty, known, place, depth) {
                Some(printed) => printed,
                None => self.fields(last(known.path()), members, place, depth),
            },
        }
    }

    /// The variant an enum is in.
    pub fn variant(&mut self, known: &Type, place: Place<'_>) -> Result<Member, String> {
        let Shape::Enum { tag, variants, .. } = &known.shape else { return Err("it is no enum".into()) };
        let Some(tag) = tag else {
            // One inhabited variant, or none at all.
            return variants.first().map(|only| only.member.clone()).ok_or_else(|| "it has no values".into());
        };
        let size = self.types.size(tag.ty).ok_or("the size of its tag is not known")?;
        let value = place.part(tag.offset, size).and_then(Place::number).ok_or("its tag cannot be read")?;
        let exact = variants.iter().find(|variant| variant.tag == Some(value));
        let found = exact.or_else(|| variants.iter().find(|variant| variant.tag.is_none()));
        found.map(|variant| variant.member.clone()).ok_or_else(|| format!("no variant has the tag {value}"))
    }

    /// `Name { a: 1, b: 2 }`, `Name(1, 2)`, `(1, 2)`, `Name`.
    fn fields(&mut self, name: &str, members: &[Member], place: Place<'_>, depth: usize) -> Printed {
        let tuple = members.first().is_some_and(|member| member.name == "__0");
        let name = if name.starts_with('(') { "" } else { name };
        let mut children = Vec::new();
        for member in members.iter().take(self.limits.elements) {
            let shown = member.name.strip_prefix("__").filter(|_| tuple).unwrap_or(&member.name).to_owned();
            let size = self.types.size(member.ty).unwrap_or(0);
            let value = match place.part(member.offset, size) {
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
                // A tuple of one is told from brackets by its comma.
                let close = if name.is_empty() && members.len() == 1 { ",)" } else { ")" };
                self.join(&format!("{name}("), &children, close, more, |child| child.1.text.clone())
            }
            (false, false) => self
                .join(&format!("{name} {{ "), &children, " }", more, |child| format!("{}: {}", child.0, child.1.text)),
        };
        Ok(Value { text, children, ..Value::default() })
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

    fn pointer(&mut self, known: &Type, target: Option<TypeRef>, place: Place<'_>, depth: usize) -> Printed {
        let address = place.word(0).ok_or("it is no pointer of this machine")?;
        let raw = known.name.starts_with('*');
        let function = target.is_some_and(|target| matches!(self.types.get(target).shape, Shape::Function));
        if raw || function {
            return Ok(plain(format!("{address:#x}")));
        }
        let target = target.ok_or("what it points to is not described")?;
        if address == 0 {
            return Err("null, where no null can be".into());
        }
        self.follow(target, address, depth)
    }

    /// What is behind a pointer; printed as itself, as `{:?}` does.
    fn follow(&mut self, target: TypeRef, address: u64, depth: usize) -> Printed {
        if self.trail.contains(&address) && self.types.size(target) != Some(0) {
            return Ok(plain(format!("<cycle to {address:#x}>")));
        }
        self.trail.push(address);
        let value = self.at(target, address, depth + 1);
        self.trail.pop();
        Ok(Value { text: value.text.clone(), children: vec![("*".into(), value)], ..Value::default() })
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

/// Library types whose `{:?}` is not that of their fields.
impl Look<'_> {
    fn special(&mut self, ty: TypeRef, known: &Rc<Type>, place: Place<'_>, depth: usize) -> Option<Printed> {
        let names: Vec<&str> = known.members().iter().map(|member| member.name.as_str()).collect();
        if names == ["data_ptr", "length"] {
            return Some(self.slice(known, place, depth));
        }
        if names == ["pointer", "vtable"] {
            return Some(self.object(known, place, depth));
        }
        let path = known.path();
        if last(path) == "Coro" && path.starts_with("tinyio::") {
            let block = self.first_pointer(ty, 0).and_then(|offset| place.word(offset));
            let coro = block.and_then(|block| Some((self.coro_at?)(block))).unwrap_or(0);
            let text = if coro == 0 { known.shown.clone() } else { format!("Coro(#{coro})") };
            return Some(Ok(Value { text, coro, ..Value::default() }));
        }
        if !["alloc::", "core::", "std::", "hashbrown::"].iter().any(|root| path.starts_with(root)) {
            return None;
        }
        let printed = match path {
            "alloc::string::String" => self.bytes(ty, place, "vec").and_then(|bytes| self.string(bytes)),
            "alloc::vec::Vec" => self.vec(ty, known, place, depth),
            "alloc::collections::vec_deque::VecDeque" => self.deque(ty, known, place, depth),
            "std::collections::hash::map::HashMap" => self.hash(ty, "base.table", place, depth, true),
            "std::collections::hash::set::HashSet" => self.hash(ty, "base.map.table", place, depth, false),
            "hashbrown::map::HashMap" => self.hash(ty, "table", place, depth, true),
            "hashbrown::set::HashSet" => self.hash(ty, "map.table", place, depth, false),
            "alloc::collections::btree::map::BTreeMap" => self.btree(ty, "", place, depth, true),
            "alloc::collections::btree::set::BTreeSet" => self.btree(ty, "map.", place, depth, false),
            "alloc::rc::Rc" | "alloc::sync::Arc" => self.counted(ty, place, depth),
            "alloc::rc::Weak" | "alloc::sync::Weak" => Ok(plain("(Weak)".into())),
            "core::cell::Cell" => self.cell(ty, "value.value", "Cell { value: ", " }", place, depth),
            "core::cell::UnsafeCell" => Ok(plain("UnsafeCell { .. }".into())),
            "core::cell::RefCell" => self.ref_cell(ty, place, depth),
            "core::cell::Ref" | "core::cell::RefMut" => self.within(ty, "value", place, depth),
            "std::sync::poison::mutex::Mutex" => self.mutex(ty, place, depth),
            "std::sync::poison::rwlock::RwLock" => {
                self.cell(ty, "data.value", "RwLock { data: ", ", .. }", place, depth)
            }
            "core::num::nonzero::NonZero" => self.within(ty, "__0.__0", place, depth),
            "core::sync::atomic::AtomicBool" => self.flag(ty, place),
            "core::num::wrapping::Wrapping" | "core::num::saturating::Saturating" => {
                self.within(ty, "__0", place, depth)
            }
            "core::pin::Pin" => self.within(ty, "pointer", place, depth),
            "core::mem::maybe_uninit::MaybeUninit" => Ok(plain("<uninit?>".into())),
            "core::marker::PhantomData" => Ok(plain(known.shown.clone())),
            "core::ptr::non_null::NonNull" | "core::ptr::unique::Unique" => {
                place.word(0).map(|address| plain(format!("{address:#x}"))).ok_or_else(|| "it is no pointer".into())
            }
            "std::path::PathBuf" => self.bytes(ty, place, "inner.inner.inner").and_then(|bytes| self.lossy(bytes)),
            "std::ffi::os_str::OsString" => self.bytes(ty, place, "inner.inner").and_then(|bytes| self.lossy(bytes)),
            "core::time::Duration" => duration(place, self.find(ty, "secs"), self.find(ty, "nanos")),
            "std::time::Instant" | "std::time::SystemTime" => self.clock(ty, last(path), place),
            "core::net::ip_addr::Ipv4Addr" => {
                octets::<4>(place).map(|octets| plain(std::net::Ipv4Addr::from(octets).to_string()))
            }
            "core::net::ip_addr::Ipv6Addr" => {
                octets::<16>(place).map(|octets| plain(std::net::Ipv6Addr::from(octets).to_string()))
            }
            "core::net::socket_addr::SocketAddrV4" | "core::net::socket_addr::SocketAddrV6" => self.socket(ty, place),
            _ if path.starts_with("core::sync::atomic::Atomic") => self.within(ty, "v.value", place, depth),
            _ if path.starts_with("core::ops::range::Range") => return self.range(ty, path, place, depth),
            _ => return None,
        };
        Some(printed)
    }

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

    /// The offset of the first pointer in a structure.
    fn first_pointer(&mut self, ty: TypeRef, depth: usize) -> Option<u64> {
        let known = self.types.get(ty);
        let mut members: Vec<&Member> = match &known.shape {
            Shape::Pointer(_) => return Some(0),
            Shape::Struct(members) => members.iter().collect(),
            // An option of a pointer is laid out as the pointer.
            Shape::Enum { variants, .. } => variants.iter().map(|variant| &variant.member).collect(),
            _ => return None,
        };
        members.sort_by_key(|member| member.offset);
        let mut found = members.into_iter().filter(|_| depth < 6);
        found.find_map(|member| Some(member.offset + self.first_pointer(member.ty, depth + 1)?))
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

    fn cell(&mut self, ty: TypeRef, path: &str, open: &str, close: &str, place: Place<'_>, depth: usize) -> Printed {
        let inner = self.within(ty, path, place, depth + 1)?;
        Ok(Value {
            text: format!("{open}{}{close}", inner.text),
            children: vec![("value".into(), inner)],
            ..Value::default()
        })
    }

    /// Pointer, length and capacity of a vector, checked.
    fn buffer(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Result<(u64, u64, u64), String> {
        let path = if path.is_empty() { String::new() } else { format!("{path}.") };
        let pointer = self.word(ty, &format!("{path}buf.inner.ptr"), place)?;
        let capacity = self.word(ty, &format!("{path}buf.inner.cap"), place)?;
        let length = self.word(ty, &format!("{path}len"), place)?;
        if capacity >= 1 << 63 || pointer == 0 {
            return Err("not a valid buffer".into());
        }
        Ok((pointer, length, capacity))
    }

    /// The bytes of the `Vec<u8>` at a path, as many as are shown.
    fn bytes(&mut self, ty: TypeRef, place: Place<'_>, path: &str) -> Result<(Vec<u8>, bool), String> {
        let (pointer, length, capacity) = self.buffer(ty, path, place)?;
        if length > capacity {
            return Err(format!("a length of {length} with a capacity of {capacity}"));
        }
        self.read_text(pointer, length)
    }

    fn read_text(&mut self, pointer: u64, length: u64) -> Result<(Vec<u8>, bool), String> {
        // With room for the quotes and the dots.
        let shown = length.min(self.limits.text.saturating_sub(3) as u64);
        let bytes = self.types.memory.bytes(pointer, shown as usize);
        Ok((bytes.ok_or_else(|| format!("memory at {pointer:#x} cannot be read"))?, shown < length))
    }

    fn string(&mut self, (bytes, more): (Vec<u8>, bool)) -> Printed {
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) if more && error.error_len().is_none() => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return Err("not UTF-8".into()),
        };
        let text = format!("{text:?}");
        Ok(plain(if more { format!("{}…\"", text.trim_end_matches('"')) } else { text }))
    }

    /// Text of the system, which need not be UTF-8.
    fn lossy(&mut self, (bytes, more): (Vec<u8>, bool)) -> Printed {
        #[cfg(unix)]
        let text = format!("{:?}", <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&bytes));
        #[cfg(not(unix))]
        let text = format!("{:?}", String::from_utf8_lossy(&bytes));
        Ok(plain(if more { format!("{}…\"", text.trim_end_matches('"')) } else { text }))
    }

    fn vec(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let (pointer, length, capacity) = self.buffer(ty, "", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        if length > capacity && self.types.size(element) != Some(0) {
            return Err(format!("a length of {length} with a capacity of {capacity}"));
        }
        self.elements(element, pointer, length, depth)
    }

    /// Elements one after another in memory.
    fn elements(&mut self, element: TypeRef, pointer: u64, length: u64, depth: usize) -> Printed {
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        let shown = length.min(self.limits.elements as u64);
        let total = size.checked_mul(shown).filter(|total| *total <= LARGEST).ok_or("its elements are too large")?;
        let bytes = self.types.memory.bytes(pointer, total as usize);
        let bytes = bytes.ok_or_else(|| format!("memory at {pointer:#x} cannot be read"))?;
        let place = Place { address: pointer, bytes: &bytes };
        self.list(element, length, depth, ("[", "]"), |index| place.part(index.wrapping_mul(size), size))
    }

    fn deque(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let pointer = self.word(ty, "buf.inner.ptr", place)?;
        let capacity = self.word(ty, "buf.inner.cap", place)?;
        let head = self.word(ty, "head", place)?;
        let length = self.word(ty, "len", place)?;
        let element = known.param("T").ok_or("unknown layout")?;
        let size = self.types.size(element).ok_or("the size of its elements is not known")?;
        if size == 0 {
            return self.list(element, length, depth, ("[", "]"), |_| Some(Place { address: pointer, bytes: &[] }));
        }
        if capacity >= 1 << 63 || length > capacity || (head >= capacity && length > 0) {
            return Err("not a valid ring buffer".into());
        }
        let mut read = Vec::new();
        for index in 0..length.min(self.limits.elements as u64) {
            let at = pointer.wrapping_add(((head + index) % capacity).wrapping_mul(size));
            read.push((at, self.types.memory.bytes(at, size as usize).ok_or("its memory cannot be read")?));
        }
        self.list(element, length, depth, ("[", "]"), |index| {
            read.get(index as usize).map(|(address, bytes)| Place { address: *address, bytes })
        })
    }

    fn hash(&mut self, ty: TypeRef, path: &str, place: Place<'_>, depth: usize, map: bool) -> Printed {
        let (table, _) = self.find(ty, path).ok_or("unknown layout")?;
        let pair = self.types.get(table).param("T").ok_or("unknown layout")?;
        let size = self.types.size(pair).ok_or("the size of its elements is not known")?;
        let mask = self.word(ty, &format!("{path}.table.bucket_mask"), place)?;
        let control = self.word(ty, &format!("{path}.table.ctrl"), place)?;
        let items = self.word(ty, &format!("{path}.table.items"), place)?;
        let buckets = mask.checked_add(1).filter(|n| n.is_power_of_two()).ok_or("not a valid hash table")?;
        if items > buckets {
            return Err("not a valid hash table".into());
        }
        let mut entries = Vec::new();
        let (mut full, mut at) = (0, 0);
        while at < buckets && (buckets <= LARGEST || entries.len() < self.limits.elements) {
            let length = (buckets - at).min(4096);
            let bytes = self.types.memory.bytes(control.wrapping_add(at), length as usize);
            for (index, byte) in (at..).zip(bytes.ok_or("its memory cannot be read")?) {
                if byte & 0x80 == 0 {
                    full += 1;
                    if entries.len() < self.limits.elements {
                        entries.push(control.wrapping_sub((index + 1).wrapping_mul(size)));
                    }
                }
            }
            at += length;
        }
        if at >= buckets && full != items {
            return Err(format!("{full} entries found where {items} are counted"));
        }
        let known = self.types.get(pair);
        let [key, value] = known.members() else { return Err("unknown layout".into()) };
        let (key, value) = (key.clone(), value.clone());
        self.entries(&key, &value, entries.iter().map(|&entry| (entry, entry)), items, depth, map)
    }

    /// Entries of a map or a set, from the addresses of what holds each key and each value.
    fn entries(
        &mut self,
        key: &Member,
        value: &Member,
        entries: impl Iterator<Item = (u64, u64)>,
        count: u64,
        depth: usize,
        map: bool,
    ) -> Printed {
        let mut children = Vec::new();
        for (key_at, value_at) in entries {
            let shown = self.at(key.ty, key_at.wrapping_add(key.offset), depth + 1);
            if map {
                let masked = self.limits.is_secret(&shown.text);
                let value = match masked {
                    true => Value { text: "<masked>".into(), ..Value::default() },
                    false => self.at(value.ty, value_at.wrapping_add(value.offset), depth + 1),
                };
                children.push((shown.text, value));
            } else {
                children.push((children.len().to_string(), shown));
            }
            if self.out_of_time() {
                break;
            }
        }
        let more = count > children.len() as u64;
        let text = self.join("{", &children, "}", more, |(name, value)| match map {
            true => format!("{name}: {}", value.text),
            false => value.text.clone(),
        });
        let children = if more { note_rest(children, count) } else { children };
        Ok(Value { text, children, ..Value::default() })
    }

    fn btree(&mut self, ty: TypeRef, path: &str, place: Place<'_>, depth: usize, map: bool) -> Printed {
        let length = self.word(ty, &format!("{path}length"), place)?;
        let (root, offset) = self.find(ty, &format!("{path}root")).ok_or("unknown layout")?;
        let known = self.types.get(root);
        let size = self.types.size(root).ok_or("unknown layout")?;
        let root_place = place.part(offset, size).ok_or("unknown layout")?;
        let some = self.variant(&known, root_place)?;
        if some.name != "Some" {
            return Ok(plain("{}".into()));
        }
        let node_ref = self.find(some.ty, "__0").ok_or("unknown layout")?;
        let (_, height_at) = self.find(node_ref.0, "height").ok_or("unknown layout")?;
        let (pointer, node_at) = self.find(node_ref.0, "node.pointer").ok_or("unknown layout")?;
        let base = some.offset + node_ref.1;
        let height = root_place.word(base + height_at).ok_or("unknown layout")?;
        let node = root_place.word(base + node_at).ok_or("unknown layout")?;
        let Shape::Pointer(Some(leaf)) = self.types.get(pointer).shape else { return Err("unknown layout".into()) };
        let tree = self.tree(leaf).ok_or("unknown layout")?;
        let mut entries = Vec::new();
        if height > 16 {
            return Err("not a valid tree".into());
        }
        self.node(&tree, node, height, &mut entries)?;
        let whole = entries.len() < self.limits.elements;
        if whole && entries.len() as u64 != length {
            return Err(format!("{} entries found where {length} are counted", entries.len()));
        }
        let (key, value) = (tree.key.clone(), tree.value.clone());
        entries.truncate(self.limits.elements);
        self.entries(&key, &value, entries.into_iter(), length, depth, map)
    }

    fn tree(&mut self, leaf: TypeRef) -> Option<Tree> {
        let (keys, values) = (self.find(leaf, "keys")?, self.find(leaf, "vals")?);
        let (_, len) = self.find(leaf, "len")?;
        let (parent, _) = self.find(leaf, "parent")?;
        // The type of inner nodes is what the pointer to the parent points to.
        let known = self.types.get(parent);
        let Shape::Enum { variants, .. } = &known.shape else { return None };
        let some = variants.iter().find(|variant| variant.member.name == "Some")?.member.ty;
        let (pointer, _) = self.find(some, "__0.pointer")?;
        let Shape::Pointer(Some(internal)) = self.types.get(pointer).shape else { return None };
        let (_, edges) = self.find(internal, "edges")?;
        let element = |look: &mut Self, (array, offset): (TypeRef, u64)| {
            let Shape::Array { element, .. } = look.types.get(array).shape else { return None };
            let inner = look.types.get(element).param("T")?;
            Some(Member { name: String::new(), ty: inner, offset, file: None, line: 0 })
        };
        let (key, value) = (element(self, keys)?, element(self, values)?);
        let strides = (self.types.size(key.ty)?, self.types.size(value.ty)?);
        Some(Tree { key, value, strides, len, edges })
    }

    /// The entries below a node, in order, as addresses that the offsets of key and value lead from.
    fn node(&mut self, tree: &Tree, node: u64, height: u64, entries: &mut Vec<(u64, u64)>) -> Result<(), String> {
        let mut len = [0; 2];
        if !self.types.memory.read(node.wrapping_add(tree.len), &mut len) {
            return Err(format!("memory at {node:#x} cannot be read"));
        }
        let len = u64::from(u16::from_le_bytes(len));
        if len > 11 {
            return Err("not a valid tree".into());
        }
        for index in 0..=len {
            if entries.len() >= self.limits.elements {
                return Ok(());
            }
            if height > 0 {
                let edge =
                    self.types.memory.word(node.wrapping_add(tree.edges + index * 8)).ok_or("not a valid tree")?;
                self.node(tree, edge, height - 1, entries)?;
            }
            if index < len {
                entries.push((node.wrapping_add(index * tree.strides.0), node.wrapping_add(index * tree.strides.1)));
            }
        }
        Ok(())
    }

    fn counted(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Printed {
        let (pointer, offset) = self.find(ty, "ptr.pointer").ok_or("unknown layout")?;
        let block = place.word(offset).ok_or("unknown layout")?;
        let known = self.types.get(pointer);
        let inner = match &known.shape {
            Shape::Pointer(Some(inner)) => *inner,
            _ => return self.counted_unsized(pointer, offset, place, depth),
        };
        let ((strong, strong_at), (weak, weak_at)) =
            (self.find(inner, "strong").ok_or("unknown layout")?, self.find(inner, "weak").ok_or("unknown layout")?);
        let (target, value_at) =
            self.find(inner, "value").or_else(|| self.find(inner, "data")).ok_or("unknown layout")?;
        if self.types.size(strong) != Some(8) || self.types.size(weak) != Some(8) {
            return Err("unknown layout".into());
        }
        let strong = self.types.memory.word(block.wrapping_add(strong_at)).ok_or("its memory cannot be read")?;
        let weak = self.types.memory.word(block.wrapping_add(weak_at)).ok_or("its memory cannot be read")?;
        if strong == 0 {
            return Err("no owner is left".into());
        }
        let mut value = self.follow(target, block.wrapping_add(value_at), depth)?;
        value.children.push(("strong".into(), plain(strong.to_string())));
        // All strong owners together hold one weak count.
        value.children.push(("weak".into(), plain(weak.wrapping_sub(1).to_string())));
        Ok(value)
    }

    /// `Rc<str>`, `Arc<[T]>`, `Rc<dyn Trait>`: counts, then the value at its alignment.
    fn counted_unsized(&mut self, pointer: TypeRef, offset: u64, place: Place<'_>, depth: usize) -> Printed {
        let block = place.word(offset).ok_or("unknown layout")?;
        let strong = self.types.memory.word(block).ok_or("its memory cannot be read")?;
        if strong == 0 {
            return Err("no owner is left".into());
        }
        let known = self.types.get(pointer);
        let second = place.word(offset + 8).ok_or("unknown layout")?;
        if known.member("vtable").is_some() {
            let concrete = self.types.of_vtable(second).ok_or("its concrete type is not described")?;
            let align = self.types.memory.word(second.wrapping_add(16)).filter(|align| align.is_power_of_two());
            let align = align.ok_or("not a valid vtable")?.max(8);
            return self.follow(concrete, block.wrapping_add(16_u64.next_multiple_of(align)), depth);
        }
        let (data, _) = self.find(pointer, "data_ptr").ok_or("unknown layout")?;
        let Shape::Pointer(Some(inner)) = self.types.get(data).shape else { return Err("unknown layout".into()) };
        let (value, at) = self.find(inner, "value").or_else(|| self.find(inner, "data")).ok_or("unknown layout")?;
        let name = known.shown.clone();
        if name.contains("<str>") {
            let text = self.read_text(block.wrapping_add(at), second)?;
            return self.string(text);
        }
        // The last field of a block with a slice in it is described by the type of one element.
        self.elements(value, block.wrapping_add(at), second, depth)
    }

    fn ref_cell(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Printed {
        let borrow = self.word(ty, "borrow.value.value", place)?;
        let value = self.within(ty, "value.value", place, depth + 1)?;
        let text = match (borrow as i64) < 0 {
            true => "RefCell { value: <borrowed> }".into(),
            false => format!("RefCell {{ value: {} }}", value.text),
        };
        Ok(Value { text, children: vec![("value".into(), value)], ..Value::default() })
    }

    fn mutex(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Printed {
        let value = self.within(ty, "data.value", place, depth + 1)?;
        let flag = |look: &mut Self, path: &str| {
            let (inner, offset) = look.find(ty, path)?;
            let size = look.types.size(inner)?;
            place.part(offset, size)?.number()
        };
        let locked = flag(self, "inner.futex.v.value").ok_or("unknown layout")? != 0;
        let poisoned = flag(self, "poison.failed.v.value").ok_or("unknown layout")? != 0;
        let data = if locked { "<locked>" } else { &value.text };
        let text = format!("Mutex {{ data: {data}, poisoned: {poisoned}, .. }}");
        Ok(Value { text, children: vec![("data".into(), value)], ..Value::default() })
    }

    fn clock(&mut self, ty: TypeRef, name: &str, place: Place<'_>) -> Printed {
        let seconds = self.word(ty, "__0.t.tv_sec", place)? as i64;
        let (inner, offset) = self.find(ty, "__0.t.tv_nsec").ok_or("unknown layout")?;
        let size = self.types.size(inner).ok_or("unknown layout")?;
        let nanos = place.part(offset, size).and_then(Place::number).filter(|nanos| *nanos < 1_000_000_000);
        let nanos = nanos.ok_or("not a valid time")?;
        Ok(plain(format!("{name} {{ tv_sec: {seconds}, tv_nsec: {nanos} }}")))
    }

    fn flag(&mut self, ty: TypeRef, place: Place<'_>) -> Printed {
        let (inner, offset) = self.find(ty, "v.value").ok_or("unknown layout")?;
        let size = self.types.size(inner).ok_or("unknown layout")?;
        scalar(Base::Bool, place.part(offset, size).ok_or("unknown layout")?).map(plain)
    }

    fn socket(&mut self, ty: TypeRef, place: Place<'_>) -> Printed {
        let (ip, ip_at) = self.find(ty, "ip").ok_or("unknown layout")?;
        let (_, port_at) = self.find(ty, "port").ok_or("unknown layout")?;
        let size = self.types.size(ip).ok_or("unknown layout")?;
        let port = place.part(port_at, 2).and_then(Place::number).ok_or("unknown layout")? as u16;
        let ip = place.part(ip_at, size).ok_or("unknown layout")?;
        Ok(plain(match size {
            4 => format!("{}:{port}", std::net::Ipv4Addr::from(octets::<4>(ip)?)),
            16 => {
                let (_, scope_at) = self.find(ty, "scope_id").ok_or("unknown layout")?;
                let scope = place.part(scope_at, 4).and_then(Place::number).ok_or("unknown layout")? as u32;
                format!("{:?}", std::net::SocketAddrV6::new(octets::<16>(ip)?.into(), port, 0, scope))
            }
            _ => return Err("unknown layout".into()),
        }))
    }

    fn range(&mut self, ty: TypeRef, path: &str, place: Place<'_>, depth: usize) -> Option<Printed> {
        let (open, between) = match last(path) {
            "Range" => (true, ".."),
            "RangeFrom" => (true, ".."),
            "RangeTo" => (false, ".."),
            "RangeInclusive" => (true, "..="),
            "RangeToInclusive" => (false, "..="),
            "RangeFull" => return Some(Ok(plain("..".into()))),
            _ => return None,
        };
        let mut side = |name| self.within(ty, name, place, depth + 1).ok();
        let (start, end) = (side("start"), side("end"));
        if open && start.is_none() {
            return None;
        }
        let text = |side: &Option<Value>| side.as_ref().map(|side| side.text.clone()).unwrap_or_default();
        Some(Ok(plain(format!("{}{between}{}", text(&start), text(&end)))))
    }

    /// `&str`, `&[T]`, `Box<[T]>`, `&Path`.
    fn slice(&mut self, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let pointer = place.word(known.members()[0].offset).ok_or("unknown layout")?;
        let length = place.word(known.members()[1].offset).ok_or("unknown layout")?;
        if known.name.starts_with('*') {
            return Ok(plain(format!("{pointer:#x}")));
        }
        if pointer == 0 {
            return Err("null, where no null can be".into());
        }
        let target = known.name.trim_start_matches('&').trim_start_matches("mut ");
        let target = target.strip_prefix("alloc::boxed::Box<").unwrap_or(target);
        if target == "str" || target.starts_with("str,") || target.starts_with("str>") {
            let bytes = self.read_text(pointer, length)?;
            return self.string(bytes);
        }
        if target.starts_with("std::path::Path") || target.starts_with("std::ffi::os_str::OsStr") {
            let bytes = self.read_text(pointer, length)?;
            return self.lossy(bytes);
        }
        let data = self.types.get(known.members()[0].ty);
        let Shape::Pointer(Some(element)) = data.shape else { return Err("unknown layout".into()) };
        self.elements(element, pointer, length, depth)
    }

    /// `&dyn Trait`, `Box<dyn Trait>`: by the concrete type.
    fn object(&mut self, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let pointer = place.word(known.members()[0].offset).ok_or("unknown layout")?;
        let vtable = place.word(known.members()[1].offset).ok_or("unknown layout")?;
        let concrete = self.types.of_vtable(vtable).ok_or("its concrete type is not described")?;
        if known.name.starts_with('*') {
            return Ok(plain(format!("{pointer:#x}")));
        }
        let mut value = self.follow(concrete, pointer, depth)?;
        let behind = self.types.get(concrete).shown.clone();
        value.type_name = format!("{} ({behind})", known.shown.clone());
        Ok(value)
    }
}

/// How the nodes of a B-tree are laid out.
struct Tree {
    key: Member,
    value: Member,
    strides: (u64, u64),
    len: u64,
    edges: u64,
}

fn plain(text: String) -> Value {
    Value { text, ..Value::default() }
}

fn last(path: &str) -> &str {
    names::segments(path).last().copied().unwrap_or(path)
}

fn note_rest(mut children: Vec<(String, Value)>, count: u64) -> Vec<(String, Value)> {
    let left = count - children.len() as u64;
    children.push(("…".into(), plain(format!("{left} more"))));
    children
}

/// Cuts a text that is too long.
pub(super) fn cut(text: String, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) if text.len() > at + '…'.len_utf8() => format!("{}…", &text[..at]),
        _ => text,
    }
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

fn octets<const N: usize>(place: Place<'_>) -> Result<[u8; N], String> {
    place.bytes.try_into().map_err(|_| "unknown layout".into())
}

fn duration(place: Place<'_>, secs: Option<(TypeRef, u64)>, nanos: Option<(TypeRef, u64)>) -> Printed {
    let (Some((_, secs)), Some((_, nanos))) = (secs, nanos) else { return Err("unknown layout".into()) };
    let secs = place.word(secs).ok_or("unknown layout")?;
    let nanos = place.part(nanos, 4).and_then(Place::number).ok_or("unknown layout")?;
    if nanos >= 1_000_000_000 {
        return Err("not a valid duration".into());
    }
    Ok(plain(format!("{:?}", std::time::Duration::new(secs, nanos as u32))))
}
