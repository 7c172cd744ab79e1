//! Reads library types with a `{:?}` output that differs from that of their fields.

use std::rc::Rc;

use tinyio_events::event::Value;

use super::{Place, Printed, ValueReader, is_standard, last, own_name, plain, scalar};
use crate::names;
use crate::shape::{Base, Member, Shape, Type, TypeRef};

impl ValueReader<'_> {
    pub(super) fn special(&mut self, ty: TypeRef, known: &Rc<Type>, place: Place<'_>, depth: usize) -> Option<Printed> {
        let members: Vec<&str> = known.members().iter().map(|member| member.name.as_str()).collect();
        if members == ["data_ptr", "length"] || members == ["pointer", "vtable"] {
            return Some(self.wide(ty, known, place, depth));
        }
        // A pointer with more than an address: the rest is not trusted under other names.
        if known.name.starts_with(['&', '*']) || known.name.starts_with("alloc::boxed::Box<") {
            return Some(Err("unknown layout".into()));
        }
        let path = known.path();
        if let Some(printed) = self.of_tinyio(ty, known, path, place) {
            return Some(printed);
        }
        // What a string becomes as a `Box<dyn Error>`; its path begins with the implementation.
        if own_name(known) == "StringError" && known.name.contains("alloc::boxed::") {
            return Some(self.within(ty, "__0", place, depth));
        }
        if !is_standard(known) {
            if let Some(value) = self.of_locks(ty, known, place, depth) {
                return Some(Ok(value));
            }
            return self.of_bytes(ty, path, place, depth);
        }
        let printed = match path {
            "alloc::string::String" => self.bytes(ty, place, "vec").and_then(|bytes| self.string(bytes)),
            "alloc::vec::Vec" => self.vec(ty, known, place, depth),
            "alloc::vec::into_iter::IntoIter" => self.rest(ty, known, place, depth),
            "core::array::iter::IntoIter" => self.rest_of_array(ty, known, place, depth),
            "alloc::collections::vec_deque::VecDeque" => self.deque(ty, known, place, depth),
            "std::collections::hash::map::HashMap" => self.hash(ty, "base.table", place, depth, true),
            "std::collections::hash::set::HashSet" => self.hash(ty, "base.map.table", place, depth, false),
            "hashbrown::map::HashMap" => self.hash(ty, "table", place, depth, true),
            "hashbrown::set::HashSet" => self.hash(ty, "map.table", place, depth, false),
            "alloc::collections::btree::map::BTreeMap" => self.btree(ty, "", place, depth, true),
            "alloc::collections::btree::set::BTreeSet" => self.btree(ty, "map", place, depth, false),
            "alloc::collections::binary_heap::BinaryHeap" => self.within(ty, "data", place, depth),
            "alloc::collections::linked_list::LinkedList" => self.linked(ty, known, place, depth),
            "alloc::rc::Rc" | "alloc::sync::Arc" => self.counted(ty, place, depth),
            "alloc::rc::Weak" | "alloc::sync::Weak" => Ok(plain("(Weak)".into())),
            "core::cell::Cell" => self.cell(ty, "value.value", "Cell { value: ", " }", place, depth),
            "core::cell::UnsafeCell" => Ok(plain("UnsafeCell { .. }".into())),
            "core::cell::RefCell" => self.ref_cell(ty, place, depth),
            "core::cell::Ref" | "core::cell::RefMut" => self.guarded(ty, "value", "", place, depth),
            "core::cell::once::OnceCell" => {
                let value = self.find(ty, "inner.value").ok_or("unknown layout".into());
                value.and_then(|found| self.filled(found, "OnceCell", "Some", place, depth))
            }
            "core::cell::lazy::LazyCell" => {
                let value = self.find(ty, "state.value").ok_or("unknown layout".into());
                value.and_then(|found| self.filled(found, "LazyCell", "Init", place, depth))
            }
            "std::sync::once_lock::OnceLock" => self.once(ty, "OnceLock", "value.value", place, depth),
            "std::sync::lazy_lock::LazyLock" => self.once(ty, "LazyLock", "data.value", place, depth),
            "std::sync::poison::once::Once" | "std::sync::once::Once" => Ok(plain("Once { .. }".into())),
            "std::sync::poison::condvar::Condvar" => Ok(plain("Condvar { .. }".into())),
            "std::sync::barrier::Barrier" => Ok(plain("Barrier { .. }".into())),
            "std::sync::mpsc::Sender" => Ok(plain("Sender { .. }".into())),
            "std::sync::mpsc::SyncSender" => Ok(plain("SyncSender { .. }".into())),
            "std::sync::mpsc::Receiver" => Ok(plain("Receiver { .. }".into())),
            "std::sync::poison::mutex::MutexGuard" => self.guarded(ty, "lock", "data.value", place, depth),
            "std::sync::poison::rwlock::RwLockWriteGuard" => self.guarded(ty, "lock", "data.value", place, depth),
            "std::sync::poison::rwlock::RwLockReadGuard"
            | "std::sync::poison::mutex::MappedMutexGuard"
            | "std::sync::poison::rwlock::MappedRwLockReadGuard"
            | "std::sync::poison::rwlock::MappedRwLockWriteGuard" => self.guarded(ty, "data", "", place, depth),
            "std::sync::poison::mutex::Mutex" => {
                self.lock(ty, "Mutex", "inner.futex.v.value", |futex| futex != 0, place, depth)
            }
            "std::sync::poison::rwlock::RwLock" => {
                // All of these bits are set while it is held for writing; otherwise they count the readers.
                const WRITING: u128 = (1 << 30) - 1;
                let written = |state: u128| state & WRITING == WRITING;
                self.lock(ty, "RwLock", "inner.state.v.value", written, place, depth)
            }
            "core::num::nonzero::NonZero" => self.within(ty, "__0.__0", place, depth),
            "core::sync::atomic::AtomicPtr" => self.within(ty, "p.value", place, depth),
            "core::num::wrapping::Wrapping" | "core::num::saturating::Saturating" => {
                self.within(ty, "__0", place, depth)
            }
            "core::pin::Pin" => self.within(ty, "pointer", place, depth),
            "core::mem::maybe_uninit::MaybeUninit" => Ok(plain("<uninit?>".into())),
            "core::marker::PhantomData" => {
                // Whole paths, and no allocator that is the usual one.
                let of = names::arguments(&known.name).first().map(|name| name.replace(", alloc::alloc::Global>", ">"));
                Ok(plain(format!("PhantomData<{}>", of.unwrap_or_default())))
            }
            "core::ptr::non_null::NonNull" | "core::ptr::unique::Unique" => {
                place.word(0).map(|address| plain(format!("{address:#x}"))).ok_or_else(|| "it is no pointer".into())
            }
            "std::path::PathBuf" => self.bytes(ty, place, "inner.inner.inner").and_then(|bytes| self.lossy(bytes)),
            "std::ffi::os_str::OsString" => self.bytes(ty, place, "inner.inner").and_then(|bytes| self.lossy(bytes)),
            "std::path::Path" => self.unsized_bytes(ty, "inner.inner.inner", place).and_then(|bytes| self.lossy(bytes)),
            "std::ffi::os_str::OsStr" => {
                self.unsized_bytes(ty, "inner.inner", place).and_then(|bytes| self.lossy(bytes))
            }
            "core::ffi::c_str::CStr" => self.unsized_bytes(ty, "inner", place).and_then(|bytes| self.c_string(bytes)),
            "alloc::ffi::c_str::CString" => self.owned_c_string(ty, place),
            "core::ptr::alignment::Alignment" => alignment(place),
            "std::io::error::Error" => self.io_error(ty, place, depth),
            "core::task::wake::Waker" => {
                let (data, vtable) = (self.word(ty, "waker.data", place), self.word(ty, "waker.vtable", place));
                data.and_then(|data| Ok(plain(format!("Waker {{ data: {data:#x}, vtable: {:#x} }}", vtable?))))
            }
            "core::any::TypeId" => {
                let id = place.number().filter(|_| place.bytes.len() == 16).ok_or("unknown layout".into());
                id.map(|id| plain(format!("TypeId({id:#034x})")))
            }
            "core::panic::location::Location" => self.location(ty, place, depth),
            "core::slice::iter::Iter" | "core::slice::iter::IterMut" => self.slice_iter(ty, known, place, depth),
            "core::str::iter::Chars" => self.chars(ty, place),
            // Functions of adaptors have no value to print.
            _ if path.starts_with("core::iter::adapters::")
                && known.members().iter().any(|member| ["f", "predicate"].contains(&member.name.as_str())) =>
            {
                let is_value = |member: &&Member| !["f", "predicate"].contains(&member.name.as_str());
                let values: Vec<Member> = known.members().iter().filter(is_value).cloned().collect();
                self.fields(last(path), &values, place, depth)
            }
            "std::os::fd::owned::OwnedFd" | "std::os::fd::owned::BorrowedFd" => descriptor(path, place, ""),
            // `{:?}` asks the system for what the descriptor stands for.
            "std::fs::File"
            | "std::net::tcp::TcpStream"
            | "std::net::tcp::TcpListener"
            | "std::net::udp::UdpSocket" => descriptor(path, place, ", .."),
            _ if path.starts_with("std::thread::") && last(path) == "JoinHandle" => {
                Ok(plain("JoinHandle { .. }".into()))
            }
            "core::time::Duration" => duration(place, self.find(ty, "secs"), self.find(ty, "nanos")),
            "std::time::Instant" | "std::time::SystemTime" => self.clock(ty, last(path), place),
            "core::net::ip_addr::Ipv4Addr" => {
                octets::<4>(place).map(|octets| plain(std::net::Ipv4Addr::from(octets).to_string()))
            }
            "core::net::ip_addr::Ipv6Addr" => {
                octets::<16>(place).map(|octets| plain(std::net::Ipv6Addr::from(octets).to_string()))
            }
            "core::net::socket_addr::SocketAddrV4" | "core::net::socket_addr::SocketAddrV6" => self.socket(ty, place),
            _ if path.starts_with("core::sync::atomic::Atomic") => self.atomic(ty, known, place, depth),
            _ if path.starts_with("core::ops::range::Range") => self.range(ty, path, place, depth),
            _ => return None,
        };
        Some(printed)
    }

    fn cell(&mut self, ty: TypeRef, path: &str, open: &str, close: &str, place: Place<'_>, depth: usize) -> Printed {
        let inner = self.within(ty, path, place, depth + 1)?;
        Ok(Value {
            text: format!("{open}{}{close}", inner.text),
            children: vec![("value".into(), inner)],
            ..Value::default()
        })
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

    /// What a lock guards, and whether it is held exclusively.
    fn lock(
        &mut self,
        ty: TypeRef,
        name: &str,
        state: &str,
        is_locked: impl Fn(u128) -> bool,
        place: Place<'_>,
        depth: usize,
    ) -> Printed {
        let value = self.within(ty, "data.value", place, depth + 1)?;
        let poisoned = self.number(ty, "poison.failed.v.value", place)? != 0;
        let data = if is_locked(self.number(ty, state, place)?) { "<locked>" } else { &value.text };
        let text = format!("{name} {{ data: {data}, poisoned: {poisoned}, .. }}");
        Ok(Value { text, children: vec![("data".into(), value)], ..Value::default() })
    }

    /// A cell that is filled once: the value of one variant, if it is in that.
    fn filled(
        &mut self,
        (ty, offset): (TypeRef, u64),
        name: &str,
        variant: &str,
        place: Place<'_>,
        depth: usize,
    ) -> Printed {
        let size = self.types.size(ty).ok_or("unknown layout")?;
        let place = place.part(offset, size).ok_or("unknown layout")?;
        let known = self.types.get(ty);
        let state = self.variant(&known, place)?;
        if state.name != variant {
            return Ok(unfilled(name));
        }
        let size = self.types.size(state.ty).ok_or("unknown layout")?;
        let value = self.within(state.ty, "__0", place.part(state.offset, size).ok_or("unknown layout")?, depth + 1)?;
        Ok(holding(name, value))
    }

    /// `OnceLock`, `LazyLock`: the value in the union at a path, once that was written.
    fn once(&mut self, ty: TypeRef, name: &str, path: &str, place: Place<'_>, depth: usize) -> Printed {
        const COMPLETE: u128 = 0;
        let state = self.number(ty, "once.inner.state_and_queued.v.value", place)?;
        if state != COMPLETE {
            return Ok(unfilled(name));
        }
        let (union, offset) = self.find(ty, path).ok_or("unknown layout")?;
        let known = self.types.get(union);
        let inner = known.param("T").filter(|_| matches!(known.shape, Shape::Union)).ok_or("unknown layout")?;
        let size = self.types.size(inner).ok_or("unknown layout")?;
        let value = self.value(inner, place.part(offset, size).ok_or("unknown layout")?, depth + 1);
        Ok(holding(name, value))
    }

    /// A number at a path; newer compilers wrap that of an atomic for its alignment.
    pub(super) fn number(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Result<u128, String> {
        let aligned = self.find(ty, &format!("{path}.__0")).or_else(|| self.find(ty, path));
        let (inner, offset) = aligned.ok_or("unknown layout")?;
        let size = self.types.size(inner).ok_or("unknown layout")?;
        place.part(offset, size).and_then(Place::number).ok_or_else(|| "unknown layout".into())
    }

    fn clock(&mut self, ty: TypeRef, name: &str, place: Place<'_>) -> Printed {
        let seconds = self.word(ty, "__0.t.tv_sec", place)? as i64;
        let (inner, offset) = self.find(ty, "__0.t.tv_nsec").ok_or("unknown layout")?;
        let size = self.types.size(inner).ok_or("unknown layout")?;
        let nanos = place.part(offset, size).and_then(Place::number).filter(|nanos| *nanos < 1_000_000_000);
        let nanos = nanos.ok_or("not a valid time")?;
        Ok(plain(format!("{name} {{ tv_sec: {seconds}, tv_nsec: {nanos} }}")))
    }

    /// `AtomicU8`, or `Atomic<u8>` as newer compilers have it, where what is inside is wrapped for its alignment.
    fn atomic(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let aligned = self.find(ty, "v.value.__0").or_else(|| self.find(ty, "v.value"));
        let (inner, offset) = aligned.ok_or("unknown layout")?;
        let size = self.types.size(inner).ok_or("unknown layout")?;
        let part = place.part(offset, size).ok_or("unknown layout")?;
        if known.path() == "core::sync::atomic::AtomicBool" || known.name.ends_with("<bool>") {
            return scalar(Base::Bool, part).map(plain);
        }
        // A pointer is kept as a number.
        let inner = known.param("T").filter(|param| self.types.size(*param) == Some(size)).unwrap_or(inner);
        match self.types.get(inner).shape {
            Shape::Base(_) | Shape::Pointer(_) => {}
            _ => return Err("unknown layout".into()),
        }
        let value = self.value(inner, part, depth);
        Ok(Value { type_name: String::new(), ..value })
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

    /// An error of four forms in one word, as its two lowest bits tell.
    fn io_error(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Printed {
        let bits = self.word(ty, "repr.__0.pointer", place)?;
        let upper = (bits >> 32) as u32;
        let name = match bits & 0b11 {
            0b00 => "SimpleMessage",
            0b01 => "Custom",
            0b10 => return Ok(plain(self.os_error(upper as i32))),
            _ => "Simple",
        };
        // The forms are described as the type that the word stands for.
        let (marker, _) = self.find(ty, "repr.__1").ok_or("unknown layout")?;
        let forms = self.types.get(marker).param("T").ok_or("unknown layout")?;
        let forms = self.types.get(forms);
        let Shape::Enum { variants, .. } = &forms.shape else { return Err("unknown layout".into()) };
        let form = variants.iter().find(|variant| variant.member.name == name).ok_or("unknown layout")?;
        let (inner, _) = self.find(form.member.ty, "__0").ok_or("unknown layout")?;
        if name == "Simple" {
            let size = self.types.size(inner).and_then(|size| usize::try_from(size).ok()).ok_or("unknown layout")?;
            let bytes = upper.to_le_bytes();
            let kind = Place { address: place.address, bytes: bytes.get(..size).ok_or("unknown layout")? };
            let kind = self.value(inner, kind, depth + 1);
            return Ok(Value { text: format!("Kind({})", kind.text), ..Value::default() });
        }
        let Shape::Pointer(Some(target)) = self.types.get(inner).shape else { return Err("unknown layout".into()) };
        let value = self.at(target, bits & !0b11, depth + 1);
        let text = match value.text.strip_prefix("SimpleMessage {") {
            Some(rest) => format!("Error {{{rest}"),
            None => value.text,
        };
        Ok(Value { text, children: value.children, ..Value::default() })
    }

    /// An error of the system by its number. The message is that of the C library, shown only where the program has
    /// the same.
    fn os_error(&self, code: i32) -> String {
        let error = std::io::Error::from_raw_os_error(code);
        match self.types.memory.has_our_c_library() {
            true => format!("{error:?}"),
            false => format!("Os {{ code: {code}, kind: {:?}, .. }}", error.kind()),
        }
    }

    fn location(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Printed {
        let file = self.file_of(ty, place, depth)?;
        let (line, column) = (self.number(ty, "line", place)?, self.number(ty, "col", place)?);
        Ok(plain(format!("Location {{ file: {file}, line: {line}, column: {column} }}")))
    }

    /// The file of a `Location`, in quotes.
    pub(super) fn file_of(&mut self, ty: TypeRef, place: Place<'_>, depth: usize) -> Result<String, String> {
        let (pointer, offset) = self.find(ty, "filename.pointer").ok_or("unknown layout")?;
        let size = self.types.size(pointer).ok_or("unknown layout")?;
        let target = self.target(pointer, place.part(offset, size).ok_or("unknown layout")?)?;
        Ok(self.at(target.ty, target.address, depth + 1).text)
    }

    /// The part of a slice that an iterator has left: its address and length.
    fn left_of_slice(&mut self, ty: TypeRef, element: TypeRef, place: Place<'_>) -> Result<(u64, u64), String> {
        let (start, end) = (self.word(ty, "ptr.pointer", place)?, self.word(ty, "end_or_len", place)?);
        let count = match self.types.size(element).ok_or("unknown layout")? {
            0 => end,
            size => end.checked_sub(start).filter(|bytes| bytes % size == 0).ok_or("unknown layout")? / size,
        };
        Ok((start, count))
    }

    fn slice_iter(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Printed {
        let element = known.param("T").ok_or("unknown layout")?;
        let (start, count) = self.left_of_slice(ty, element, place)?;
        let left = self.elements(element, start, count, depth)?;
        Ok(Value { text: format!("{}({})", last(known.path()), left.text), ..left })
    }

    fn chars(&mut self, ty: TypeRef, place: Place<'_>) -> Printed {
        let (iter, offset) = self.find(ty, "iter").ok_or("unknown layout")?;
        let size = self.types.size(iter).ok_or("unknown layout")?;
        let element = self.types.get(iter).param("T").ok_or("unknown layout")?;
        let place = place.part(offset, size).ok_or("unknown layout")?;
        let (start, count) = self.left_of_slice(iter, element, place)?;
        let (bytes, is_cut) = self.read_text(start, count)?;
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            // What is cut may end within a character.
            Err(error) if is_cut => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
            Err(_) => return Err("it is no text".into()),
        };
        let chars: Vec<String> = text.chars().map(|char| format!("{char:?}")).collect();
        Ok(plain(format!("Chars([{}{}])", chars.join(", "), if is_cut { ", …" } else { "" })))
    }

    fn range(&mut self, ty: TypeRef, path: &str, place: Place<'_>, depth: usize) -> Printed {
        let (start, between, end) = match last(path) {
            "Range" => (true, "..", true),
            "RangeFrom" => (true, "..", false),
            "RangeTo" => (false, "..", true),
            "RangeInclusive" => (true, "..=", true),
            "RangeToInclusive" => (false, "..=", true),
            "RangeFull" => (false, "..", false),
            _ => return Err("unknown layout".into()),
        };
        let mut side = |name, there: bool| match there {
            true => self.within(ty, name, place, depth + 1).map(|value| value.text),
            false => Ok(String::new()),
        };
        let (start, end) = (side("start", start)?, side("end", end)?);
        let is_over = last(path) == "RangeInclusive" && self.number(ty, "exhausted", place)? != 0;
        Ok(plain(format!("{start}{between}{end}{}", if is_over { " (exhausted)" } else { "" })))
    }
}

/// A file descriptor, and what owns it.
fn descriptor(path: &str, place: Place<'_>, rest: &str) -> Printed {
    let fd = place.bytes.try_into().map(i32::from_le_bytes).map_err(|_| "unknown layout")?;
    Ok(plain(format!("{} {{ fd: {fd}{rest} }}", last(path))))
}

/// `OnceCell(5)`.
fn holding(name: &str, value: Value) -> Value {
    Value { text: format!("{name}({})", value.text), children: vec![("0".into(), value)], ..Value::default() }
}

fn unfilled(name: &str) -> Value {
    plain(format!("{name}(<uninit>)"))
}

/// An alignment of a layout, kept as the number it is.
fn alignment(place: Place<'_>) -> Printed {
    let align = place.word(0).filter(|align| align.is_power_of_two()).ok_or("not a valid alignment")?;
    Ok(plain(format!("{align} (1 << {})", align.trailing_zeros())))
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
