//! Locks, permits, channels and handles of tokio and async-lock: what they are and how they stand, in place of their
//! parts. An address is that by which a wait names the same thing.

use tinyio_events::event::Value;

use super::{Place, ValueReader, last, plain};
use crate::names;
use crate::shape::{Shape, Type, TypeRef};
use crate::types::Types;

/// All of them are of these.
const CRATES: [&str; 3] = ["tokio::", "async_lock::", "async_channel::"];
/// Locks and semaphores: the type, where in it the permits are that its address is of, and the member with the content.
const LOCKS: [(&str, &str, &str); 6] = [
    ("tokio::sync::mutex::Mutex", "s", "c.value"),
    ("tokio::sync::rwlock::RwLock", "s", "c.value"),
    ("tokio::sync::semaphore::Semaphore", "ll_sem", ""),
    ("async_lock::mutex::Mutex", "", "data.value"),
    (RW_LOCK, "raw", "value.value"),
    ("async_lock::semaphore::Semaphore", "", ""),
];
const RW_LOCK: &str = "async_lock::rwlock::RwLock";
/// What refers to something else: the type, the member that does, and what to call it.
const REFERENCES: [(&str, &str, &str); 33] = [
    ("tokio::sync::mutex::MutexGuard", "lock", "lock"),
    ("tokio::sync::mutex::OwnedMutexGuard", "lock", "lock"),
    ("tokio::sync::mutex::MappedMutexGuard", "s", "lock"),
    ("tokio::sync::mutex::OwnedMappedMutexGuard", "lock", "lock"),
    ("tokio::sync::rwlock::read_guard::RwLockReadGuard", "s", "lock"),
    ("tokio::sync::rwlock::write_guard::RwLockWriteGuard", "s", "lock"),
    ("tokio::sync::rwlock::owned_read_guard::OwnedRwLockReadGuard", "lock", "lock"),
    ("tokio::sync::rwlock::owned_write_guard::OwnedRwLockWriteGuard", "lock", "lock"),
    ("tokio::sync::rwlock::write_guard_mapped::RwLockMappedWriteGuard", "s", "lock"),
    ("tokio::sync::rwlock::owned_write_guard_mapped::OwnedRwLockMappedWriteGuard", "lock", "lock"),
    ("tokio::sync::semaphore::SemaphorePermit", "sem", "semaphore"),
    ("tokio::sync::semaphore::OwnedSemaphorePermit", "sem", "semaphore"),
    ("async_lock::mutex::MutexGuard", "__0", "lock"),
    ("async_lock::mutex::MutexGuardArc", "__0", "lock"),
    ("async_lock::rwlock::RwLockReadGuard", "lock", "lock"),
    (READ_GUARD_ARC, "lock", "lock"),
    ("async_lock::rwlock::RwLockUpgradableReadGuard", "lock", "lock"),
    ("async_lock::rwlock::RwLockUpgradableReadGuardArc", "lock", "lock"),
    ("async_lock::rwlock::RwLockWriteGuard", "lock", "lock"),
    ("async_lock::rwlock::RwLockWriteGuardArc", "lock", "lock"),
    ("async_lock::semaphore::SemaphoreGuard", "__0", "semaphore"),
    ("async_lock::semaphore::SemaphoreGuardArc", "__0", "semaphore"),
    ("tokio::sync::mpsc::bounded::Sender", "chan.inner", "channel"),
    ("tokio::sync::mpsc::bounded::Receiver", "chan.inner", "channel"),
    ("tokio::sync::mpsc::unbounded::UnboundedSender", "chan.inner", "channel"),
    ("tokio::sync::mpsc::unbounded::UnboundedReceiver", "chan.inner", "channel"),
    ("tokio::sync::broadcast::Sender", "shared", "channel"),
    ("tokio::sync::broadcast::Receiver", "shared", "channel"),
    ("async_channel::Sender", "channel", "channel"),
    ("async_channel::Receiver", "channel", "channel"),
    ("tokio::sync::watch::Sender", "shared", "channel"),
    ("tokio::sync::watch::Receiver", "shared", "channel"),
    ("tokio::runtime::task::join::JoinHandle", "raw.ptr", "task"),
];
/// Its pointer is declared as one to `T`, and leads to a `RwLock<T>`, as its source says.
const READ_GUARD_ARC: &str = "async_lock::rwlock::RwLockReadGuardArc";
/// What has nothing to show but its address.
const NOTIFY: &str = "tokio::sync::notify::Notify";
/// What permits of tokio are kept in. The first bit says that no more are given.
const PERMITS: &str = "permits";
const CLOSED: u128 = 1;
/// More types than there are around a number.
const WRAPPERS: usize = 8;
/// The state of a lock that nothing holds.
const FREE: &str = "free";

impl Types {
    /// The type that a pointer in a guard leads to. That in a `RwLockReadGuardArc` leads to the lock with the content
    /// that it is declared for; none if the unit that describes the guard does not describe that lock.
    pub fn guarded(&mut self, guard: TypeRef, pointer: TypeRef) -> Option<TypeRef> {
        let known = self.get(guard);
        if known.path() != READ_GUARD_ARC {
            return self.pointee(pointer);
        }
        let content = known.param("T")?;
        let locks = self.types_with(guard, &format!("{RW_LOCK}<"));
        locks.into_iter().find(|lock| self.get(*lock).param("T") == Some(content))
    }
}

impl ValueReader<'_> {
    /// What is a lock or the like of tokio or async-lock. `None` if it is none, or one of a version that lays it out in
    /// another way.
    pub(super) fn of_locks(&mut self, ty: TypeRef, known: &Type, place: Place<'_>, depth: usize) -> Option<Value> {
        let path = known.path();
        if !CRATES.iter().any(|name| path.starts_with(name)) {
            return None;
        }
        let name = names::without_generics(last(&known.name));
        if path == NOTIFY {
            return Some(plain(format!("{name} at {:#x}", place.address)));
        }
        if let Some((path, permits, content)) = LOCKS.iter().find(|lock| lock.0 == path) {
            let (_, offset) = self.find(ty, permits)?;
            let state = self.lock_state(path, ty, permits, place)?;
            let text = format!("{name} at {:#x} ({state})", place.address.wrapping_add(offset));
            // What is held may be being changed.
            let is_free = state == FREE && !content.is_empty();
            let data = is_free.then(|| self.within(ty, content, place, depth + 1).ok()).flatten();
            let children = data.map(|data| ("data".to_owned(), data)).into_iter().collect();
            return Some(Value { text, children, ..Value::default() });
        }
        let (_, member, what) = REFERENCES.iter().find(|reference| reference.0 == path)?;
        let block = self.behind(ty, &format!("{member}.ptr"), place).or_else(|_| self.behind(ty, member, place)).ok();
        let (mut target, mut address) = match block.filter(|_| path != READ_GUARD_ARC) {
            Some(block) => block,
            // Or an `Option` that consists of a pointer.
            None => {
                let (pointer, offset) = self.find(ty, member)?;
                self.types.size(pointer).filter(|size| *size == 8)?;
                (self.types.guarded(ty, pointer)?, place.word(offset)?)
            }
        };
        // Of a permit that was forgotten.
        if address == 0 {
            return None;
        }
        // What is counted is known by the address of the whole block, but for locks, as others refer to them directly.
        let mut own = address;
        let data = self.find(target, "data").filter(|(data, _)| LOCKS.iter().any(|lock| self.is_at(*data, lock.0)));
        if let Some((data, offset)) = data {
            (target, address) = (data, address.wrapping_add(offset));
            own = address;
        }
        let lock = LOCKS.iter().find(|lock| self.is_at(target, lock.0));
        if let Some((_, permits, _)) = lock {
            own = address.wrapping_add(self.find(target, permits)?.1);
        }
        let mut value = plain(format!("{name} of {what} at {own:#x}"));
        if let Some((_, _, content)) = lock.filter(|lock| !lock.2.is_empty())
            && let Ok(bytes) = self.bytes_of(target, address)
        {
            let data = self.within(target, content, Place { address, bytes: &bytes }, depth + 1);
            value.children.extend(data.ok().map(|data| ("data".to_owned(), data)));
        }
        Some(value)
    }

    fn is_at(&mut self, ty: TypeRef, path: &str) -> bool {
        self.types.get(ty).path() == path
    }

    /// `free`, `held`, `3 free`.
    fn lock_state(&mut self, path: &str, ty: TypeRef, permits: &str, place: Place<'_>) -> Option<String> {
        let free = match path {
            "async_lock::mutex::Mutex" => return Some(held(self.only_number(ty, "state", place)? & 1 == 0)),
            RW_LOCK => return Some(held(self.only_number(ty, "raw.state", place)? == 0)),
            "async_lock::semaphore::Semaphore" => {
                return Some(format!("{} free", self.only_number(ty, "count", place)?));
            }
            _ => self.only_number(ty, &format!("{permits}.{PERMITS}"), place)?,
        };
        let count = free >> 1;
        Some(match path {
            _ if free & CLOSED != 0 => "closed".to_owned(),
            "tokio::sync::semaphore::Semaphore" => format!("{count} free"),
            "tokio::sync::rwlock::RwLock" => held(count == self.only_number(ty, "mr", place)?),
            _ => held(count > 0),
        })
    }

    /// The number at a path, or the only thing that is in what stands there.
    fn only_number(&mut self, ty: TypeRef, path: &str, place: Place<'_>) -> Option<u128> {
        let (mut ty, mut offset) = self.find(ty, path)?;
        // In damaged debug info a type may be in itself.
        for _ in 0..WRAPPERS {
            let known = self.types.get(ty);
            let Shape::Struct(members) = &known.shape else { break };
            let mut large = members.iter().filter(|member| self.types.size(member.ty) != Some(0));
            let only = large.next().filter(|_| large.next().is_none())?;
            (ty, offset) = (only.ty, offset.checked_add(only.offset)?);
        }
        place.part(offset, self.types.size(ty).filter(|size| *size <= 8)?)?.number()
    }
}

fn held(is_free: bool) -> String {
    if is_free { FREE } else { "held" }.to_owned()
}
