//! Handles and primitives of tinyio: what they are and how they stand, in place of what they are made of.

use std::time::Duration;

use tinyio_events::event::{CoroId, Value};

use super::{Place, Printed, ValueReader, last, plain};
use crate::names;
use crate::shape::{Type, TypeRef};

/// The bits of a coroutine's flags that are set once its future has ended: `OUTPUT` and `GONE` of `tinyio::task`.
const ENDED: u128 = 0b11;

/// A lock, semaphore, event or barrier: what its clones, guards and waiters share.
struct Shared {
    /// The type of what is shared, and its bytes.
    ty: TypeRef,
    address: u64,
    bytes: Vec<u8>,
    /// `"slots"`, `#3` or `made at src/main.rs:5`; empty if nothing tells it from others.
    label: String,
    /// The number of waiters; none while another thread changes the list.
    waiting: Option<u128>,
    children: Vec<(String, Value)>,
}

impl Shared {
    fn place(&self) -> Place<'_> {
        Place { address: self.address, bytes: &self.bytes }
    }

    /// `Lock "accounts" (held, 2 waiting)`.
    fn shown(self, name: &str, state: Option<String>) -> Value {
        let waiting = self.waiting.filter(|waiting| *waiting > 0).map(|waiting| format!("{waiting} waiting"));
        let state: Vec<String> = state.into_iter().chain(waiting).collect();
        let state = if state.is_empty() { String::new() } else { format!(" ({})", state.join(", ")) };
        Value { text: format!("{}{state}", with(name, &self.label)), children: self.children, ..Value::default() }
    }

    /// `Guard of "accounts"`.
    fn user(self, name: &str, what: &str, after: &str) -> Value {
        let label = if self.label.starts_with('"') { self.label } else { with(what, &self.label) };
        Value { text: format!("{name} of {label}{after}"), children: self.children, ..Value::default() }
    }
}

fn with(name: &str, label: &str) -> String {
    if label.is_empty() { name.to_owned() } else { format!("{name} {label}") }
}

impl ValueReader<'_> {
    /// What is of tinyio, by the path of its type.
    pub(super) fn of_tinyio(&mut self, ty: TypeRef, known: &Type, path: &str, place: Place<'_>) -> Option<Printed> {
        let printed = match path.strip_prefix("tinyio::")? {
            "coroutine::coro::Coro" => self.coroutine(ty, place),
            "sync::lock::Lock" => self.shared(ty, "__0", place).and_then(|lock| {
                let free = self.state(&lock, "free")?;
                let state = free.map(|free| if free > 0 { "free" } else { "held" }.to_owned());
                Ok(lock.shown("Lock", state))
            }),
            "sync::semaphore::Semaphore" => self.shared(ty, "__0", place).and_then(|semaphore| {
                let size = self.number(semaphore.ty, "size", semaphore.place())?;
                let free = self.state(&semaphore, "free")?.map(|free| format!("{free} of {size} free"));
                Ok(semaphore.shown("Semaphore", Some(free.unwrap_or_else(|| format!("of {size}")))))
            }),
            "sync::permits::Guard" => self.shared(ty, "permits", place).and_then(|permits| {
                let count = self.number(ty, "count", place)?;
                let after = if count == 1 { String::new() } else { format!(" ({count} permits)") };
                let kind = self.kind(&permits)?;
                Ok(permits.user("Guard", kind, &after))
            }),
            "sync::permits::Acquire" => self.shared(ty, "waiting.on", place).and_then(|permits| {
                let kind = self.kind(&permits)?;
                Ok(permits.user("Acquire", kind, ""))
            }),
            "sync::event::Event" => self.shared(ty, "__0", place).and_then(|event| {
                let is_set = self.state(&event, "is_set")?;
                let state = is_set.map(|is_set| if is_set == 0 { "not set" } else { "set" }.to_owned());
                Ok(event.shown("Event", state))
            }),
            "sync::event::Wait" => self.shared(ty, "__0.on", place).map(|event| event.user("Wait", "event", "")),
            "sync::event::WaitTimeout" => {
                self.shared(ty, "wait.__0.on", place).map(|event| event.user("WaitTimeout", "event", ""))
            }
            "sync::barrier::Barrier" => self.shared(ty, "__0", place).and_then(|barrier| {
                let parties = self.number(barrier.ty, "parties", barrier.place())?;
                let state = match barrier.waiting {
                    Some(waiting) => format!("{waiting} of {parties} here"),
                    None => format!("of {parties}"),
                };
                Ok(Shared { waiting: None, ..barrier }.shown("Barrier", Some(state)))
            }),
            "sync::barrier::BarrierWait" => {
                self.shared(ty, "__0.on", place).map(|barrier| barrier.user("BarrierWait", "barrier", ""))
            }
            "coroutine::sleep::Sleep" => self.sleep(ty, place),
            "coroutine::timeout::Timeout" => self.timeout(ty, place),
            "failure::error::Error" => self.error(ty, place),
            // What a crash consists of is public.
            path if path.starts_with("failure::") => return None,
            // The inside of the loop says nothing of the program.
            _ => Ok(plain(format!("{} {{ .. }}", names::without_generics(last(&known.name))))),
        };
        Some(printed)
    }

    /// A handle: `coroutine 5 fetch`.
    fn coroutine(&mut self, ty: TypeRef, place: Place<'_>) -> Printed {
        let (header, address) = self.behind(ty, "handle.__0", place)?;
        let (coro, name) = self.coro_at.map_or((0, ""), |coro_at| coro_at(address));
        let text = |coro: CoroId, rest: &str| with(&format!("coroutine {coro}"), rest);
        if coro != 0 {
            return Ok(Value { text: text(coro, names::without_generics(last(name))), coro, ..Value::default() });
        }
        let bytes = self.bytes_of(header, address)?;
        let place = Place { address, bytes: &bytes };
        // The block of a coroutine lasts for as long as a handle does.
        let id = self.number(header, "id.value.value", place)?;
        let flags = self.number(header, "flags.value.value", place)?;
        Ok(plain(match CoroId::try_from(id) {
            Ok(0) => "coroutine (not scheduled)".to_owned(),
            Ok(id) if flags & ENDED != 0 => text(id, "(ended)"),
            Ok(id) => text(id, ""),
            Err(_) => return Err("unknown layout".into()),
        }))
    }

    fn sleep(&mut self, ty: TypeRef, place: Place<'_>) -> Printed {
        let time = Duration::from_nanos(self.word(ty, "time", place)?);
        let until = if self.number(ty, "began", place)? == 0 { "" } else { "until " };
        Ok(plain(format!("Sleep({until}{time:?})")))
    }

    fn timeout(&mut self, ty: TypeRef, place: Place<'_>) -> Printed {
        let (limit, of) = (self.within(ty, "limit", place, 0)?, self.within(ty, "coro", place, 0)?);
        let text = format!("Timeout({}, {})", limit.text, of.text);
        Ok(Value { text, children: vec![("limit".into(), limit), ("of".into(), of)], ..Value::default() })
    }

    /// The error that a `tinyio::Error` is made of, and where it was made.
    fn error(&mut self, ty: TypeRef, place: Place<'_>) -> Printed {
        let (located, address) = self.behind(ty, "__0", place)?;
        let bytes = self.bytes_of(located, address)?;
        let located_at = Place { address, bytes: &bytes };
        let inner = self.within(located, "error", located_at, 0)?;
        let made = self.line_at(located, "site", located_at);
        let mut children = vec![("error".to_owned(), inner)];
        let text = format!("Error({})", children[0].1.text);
        children.extend(made.map(|made| ("made at".to_owned(), plain(made))));
        Ok(Value { text, children, ..Value::default() })
    }

    /// What a pointer at a path leads to, and its address.
    pub(super) fn behind(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Result<(TypeRef, u64), String> {
        let found = self.find(ty, &format!("{path}.pointer")).or_else(|| self.find(ty, path));
        let (pointer, offset) = found.ok_or("unknown layout")?;
        let size = self.types.size(pointer).ok_or("unknown layout")?;
        let target = self.target(pointer, place.part(offset, size).ok_or("unknown layout")?)?;
        Ok((target.ty, target.address))
    }

    pub(super) fn bytes_of(&mut self, ty: TypeRef, address: u64) -> Result<Vec<u8>, String> {
        let size = self.types.size(ty).and_then(|size| usize::try_from(size).ok()).ok_or("unknown layout")?;
        self.types.memory.bytes(address, size).ok_or_else(|| format!("memory at {address:#x} cannot be read"))
    }

    /// What the `Arc` at a path shares.
    fn shared(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Result<Shared, String> {
        let (block, address) = self.behind(ty, &format!("{path}.ptr"), place)?;
        let (ty, offset) = self.find(block, "data").ok_or("unknown layout")?;
        let address = address.wrapping_add(offset);
        let bytes = self.bytes_of(ty, address)?;
        let shared = Place { address, bytes: &bytes };
        // A mutex that is locked is being changed by another thread.
        let is_locked = self.number(ty, "wait_list.list.inner.futex.v.value", shared)? != 0;
        let waiting = self.number(ty, "wait_list.list.data.value.waiters.len", shared)?;
        let waiting = (!is_locked).then_some(waiting);
        let made = ["wait_list.res.at", "at"].iter().find_map(|path| self.line_at(ty, path, shared));
        let id = self.number(ty, "wait_list.res.id.v.value", shared).unwrap_or(0);
        let name = ["wait_list.res.name", "name"].iter().find_map(|path| self.name_in(ty, path, shared));
        let label = match (name, id, &made) {
            (Some(name), ..) => name,
            (None, 0, Some(made)) => format!("made at {made}"),
            (None, 0, None) => String::new(),
            (None, id, _) => format!("#{id}"),
        };
        let mut children = Vec::new();
        children.extend(waiting.map(|waiting| ("waiting".to_owned(), plain(waiting.to_string()))));
        children.extend(made.map(|made| ("made at".to_owned(), plain(made))));
        Ok(Shared { ty, address, bytes, label, waiting, children })
    }

    /// A number of the state that the mutex guards; none while another thread changes it.
    fn state(&mut self, shared: &Shared, name: &str) -> Result<Option<u128>, String> {
        let path = format!("wait_list.list.data.value.state.{name}");
        let value = self.number(shared.ty, &path, shared.place())?;
        Ok(shared.waiting.map(|_| value))
    }

    /// Which of the two that are made of permits it is.
    fn kind(&mut self, permits: &Shared) -> Result<&'static str, String> {
        let (kind, offset) = self.find(permits.ty, "what").ok_or("unknown layout")?;
        let size = self.types.size(kind).ok_or("unknown layout")?;
        let place = permits.place().part(offset, size).ok_or("unknown layout")?;
        match self.value(kind, place, 0).text.as_str() {
            "Lock" => Ok("lock"),
            "Semaphore" => Ok("semaphore"),
            _ => Err("unknown layout".into()),
        }
    }

    /// The text in an `OnceLock` at a path, if there is one.
    fn name_in(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Option<String> {
        let name = self.within(ty, path, place, 0).ok()?;
        name.children.into_iter().next().map(|(_, name)| name.text).filter(|name| name.starts_with('"'))
    }

    /// `src/main.rs:5`, for the `Location` that is referred to at a path.
    fn line_at(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Option<String> {
        let (location, address) = self.behind(ty, path, place).ok()?;
        let bytes = self.bytes_of(location, address).ok()?;
        let place = Place { address, bytes: &bytes };
        let (file, line) = (self.file_of(location, place, 0).ok()?, self.number(location, "line", place).ok()?);
        Some(format!("{}:{line}", file.trim_matches('"')))
    }
}
