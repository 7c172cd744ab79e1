//! What a task holds, by the types of locals that certainly are alive.

use std::collections::{HashMap, HashSet};

use tinyio_frames::{Frames, Leaf, OwnedParts, Parts, TypeRef};

use crate::picture::{Hold, Share, WaitKind};
use crate::shares::Shares;
use crate::waits::{ACQUIRE, acquired, callers, label, permits, word};

/// Of tinyio, what holds a lock or semaphore.
const TINYIO_GUARD: &str = "tinyio::sync::permits::Guard";
/// Guards: the type, where in it what it guards is, the type in that with the address that is the number of the
/// resource, and what that is.
const GUARDS: [(&str, &str, &str, WaitKind); 23] = [
    ("tokio::sync::mutex::MutexGuard", "lock", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::mutex::OwnedMutexGuard", "lock", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::mutex::MappedMutexGuard", "s", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::mutex::OwnedMappedMutexGuard", "lock", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::rwlock::read_guard::RwLockReadGuard", "s", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::rwlock::write_guard::RwLockWriteGuard", "s", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::rwlock::owned_read_guard::OwnedRwLockReadGuard", "lock", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::rwlock::owned_write_guard::OwnedRwLockWriteGuard", "lock", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::rwlock::write_guard_mapped::RwLockMappedWriteGuard", "s", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::rwlock::owned_write_guard_mapped::OwnedRwLockMappedWriteGuard", "lock", SEMAPHORE, WaitKind::Lock),
    ("tokio::sync::semaphore::SemaphorePermit", "sem", SEMAPHORE, WaitKind::Semaphore),
    ("tokio::sync::semaphore::OwnedSemaphorePermit", "sem", SEMAPHORE, WaitKind::Semaphore),
    ("async_lock::mutex::MutexGuard", "__0", MUTEX, WaitKind::Lock),
    ("async_lock::mutex::MutexGuardArc", "__0", MUTEX, WaitKind::Lock),
    ("async_lock::rwlock::RwLockReadGuard", "lock", RW_LOCK, WaitKind::Lock),
    ("async_lock::rwlock::RwLockReadGuardArc", "lock", RW_LOCK, WaitKind::Lock),
    ("async_lock::rwlock::RwLockUpgradableReadGuard", "lock", RW_LOCK, WaitKind::Lock),
    ("async_lock::rwlock::RwLockUpgradableReadGuardArc", "lock", RW_LOCK, WaitKind::Lock),
    ("async_lock::rwlock::RwLockWriteGuard", "lock", RW_LOCK, WaitKind::Lock),
    ("async_lock::rwlock::RwLockWriteGuardArc", "lock", RW_LOCK, WaitKind::Lock),
    ("async_lock::semaphore::SemaphoreGuard", "__0", PERMITS, WaitKind::Semaphore),
    ("async_lock::semaphore::SemaphoreGuardArc", "__0", PERMITS, WaitKind::Semaphore),
    // Or of a lock, which its permits say.
    (TINYIO_GUARD, "permits", "", WaitKind::Semaphore),
];
/// The semaphore inside every lock and semaphore of tokio.
const SEMAPHORE: &str = "tokio::sync::batch_semaphore::Semaphore";
const MUTEX: &str = "async_lock::mutex::Mutex";
const RW_LOCK: &str = "async_lock::rwlock::raw::RawRwLock";
const PERMITS: &str = "async_lock::semaphore::Semaphore";

/// Guards of locks that one task at most holds.
const EXCLUSIVE: [&str; 12] = [
    "tokio::sync::mutex::MutexGuard",
    "tokio::sync::mutex::OwnedMutexGuard",
    "tokio::sync::mutex::MappedMutexGuard",
    "tokio::sync::mutex::OwnedMappedMutexGuard",
    "tokio::sync::rwlock::write_guard::RwLockWriteGuard",
    "tokio::sync::rwlock::owned_write_guard::OwnedRwLockWriteGuard",
    "tokio::sync::rwlock::write_guard_mapped::RwLockMappedWriteGuard",
    "tokio::sync::rwlock::owned_write_guard_mapped::OwnedRwLockMappedWriteGuard",
    "async_lock::mutex::MutexGuard",
    "async_lock::mutex::MutexGuardArc",
    "async_lock::rwlock::RwLockWriteGuard",
    "async_lock::rwlock::RwLockWriteGuardArc",
];
/// How deep futures are looked for in what futures keep.
const KEPT: usize = 4;

/// Finds what tasks hold.
pub struct Edges {
    guards: OwnedParts,
    shares: Shares,
    /// Whether a type may hold futures.
    futures: HashMap<TypeRef, bool>,
}

/// What a task has.
#[derive(Default)]
pub struct Held {
    /// What it holds.
    pub holds: Vec<Hold>,
    /// What it shares.
    pub shares: Vec<Share>,
    /// The addresses of the references to that.
    seen: HashSet<u64>,
}

impl Default for Edges {
    fn default() -> Edges {
        let guards = OwnedParts::of(|path| GUARDS.iter().any(|guard| guard.0 == path));
        Edges { guards, shares: Shares::default(), futures: HashMap::new() }
    }
}

impl Edges {
    /// What locals hold, and the futures among them that are not awaited; and what they share.
    pub fn holds(&mut self, frames: &mut Frames, parts: &Parts) -> Held {
        let mut found = Held::default();
        self.own(frames, parts, None, &mut found);
        self.kept(frames, parts, &parts.coroutines, KEPT, &mut found);
        found
    }

    /// Whether the tasks keep so much that not all of it was looked at.
    pub fn is_incomplete(&self) -> bool {
        self.guards.is_over() || self.shares.is_incomplete()
    }

    /// What the parts of a stack hold and share, those of a future if it has a name.
    fn own(&mut self, frames: &mut Frames, parts: &Parts, future: Option<&str>, found: &mut Held) {
        for &(ty, address) in parts.alive.iter().chain(&parts.others) {
            for (ty, address) in self.guards.find(frames, ty, address) {
                let hold = hold(frames, ty, address, future);
                found.holds.extend(hold.filter(|hold| !found.holds.iter().any(|known| known.id == hold.id)));
            }
            self.shares.add(frames, ty, address, &mut found.seen, &mut found.shares);
        }
    }

    /// What the futures hold that locals keep: through their own guards, or because they were next in the queue of a
    /// lock that was released. `awaited` are the coroutines that are awaited.
    fn kept(&mut self, frames: &mut Frames, parts: &Parts, awaited: &[u64], depth: usize, found: &mut Held) {
        for &(ty, address) in &parts.alive {
            let may_hold = *self.futures.entry(ty).or_insert_with(|| frames.may_hold_futures(ty));
            if depth == 0 || !may_hold {
                continue;
            }
            let (stack, inner) = frames.stack_of_type(ty, address, false, &|_| (0, ""));
            // One that is awaited through a reference is a part of the stack.
            if inner.coroutines.iter().any(|coroutine| awaited.contains(coroutine)) {
                continue;
            }
            let named = stack.frames.iter().find(|frame| frame.line > 0 || !frame.hidden);
            let name = named.map_or_else(|| frames.future_name(ty), |frame| frame.function.clone());
            self.own(frames, &inner, Some(&name), found);
            let callers = callers(&stack.frames);
            for &Leaf { ty, address, .. } in &inner.leaves {
                if frames.type_path(ty) != ACQUIRE || !is_granted(frames, ty, address) {
                    continue;
                }
                let Some(wait) = acquired(frames, ty, address, &callers) else { continue };
                let is_mutex = callers.iter().any(|caller| caller.contains("tokio::sync::mutex::"));
                if !found.holds.iter().any(|hold| hold.id == wait.id) {
                    let text = format!("{}, granted to {name}, which has not been polled since", wait.text);
                    let (kind, id, future) = (wait.kind, wait.id, Some(name.clone()));
                    let is_exclusive = is_mutex || wait.needs_all;
                    found.holds.push(Hold { kind, id, text, name: wait.name, future, is_exclusive });
                }
            }
            self.kept(frames, &inner, awaited, depth - 1, found);
        }
    }
}

/// What a guard holds, which is in a future if that has a name.
fn hold(frames: &mut Frames, ty: TypeRef, address: u64, future: Option<&str>) -> Option<Hold> {
    let of = frames.type_path(ty);
    let &(path, member, of, kind) = GUARDS.iter().find(|guard| guard.0 == of)?;
    let (kind, id) = match path {
        TINYIO_GUARD => guarded(frames, ty, address, member)?,
        _ => (kind, resource(frames, ty, address, member, of)?),
    };
    // One that was forgotten holds nothing.
    let permits = frames.member(ty, "permits").and_then(|(_, at)| frames.word(address.wrapping_add(at)));
    if permits == Some(0) {
        return None;
    }
    let within = future.map_or_else(String::new, |future| format!(" in {future}"));
    let text = format!("{} at {id:#x} by {}{within}", word(kind), frames.future_name(ty));
    let is_exclusive = EXCLUSIVE.contains(&path) || path == TINYIO_GUARD && kind == WaitKind::Lock;
    let name = if path == TINYIO_GUARD { label(frames, ty, address) } else { None };
    Some(Hold { kind, id, text, name, future: future.map(str::to_owned), is_exclusive })
}

/// Whether a future that was in the queue of a lock or semaphore was given all permits that it asked for, and has not
/// taken them yet.
fn is_granted(frames: &mut Frames, ty: TypeRef, address: u64) -> bool {
    let (Some((queued, queued_at)), Some((state, state_at))) =
        (frames.member(ty, "queued"), frames.member(ty, "node.state"))
    else {
        return false;
    };
    if (frames.size(queued), frames.size(state)) != (Some(1), Some(8)) {
        return false;
    }
    let is_queued = frames.bytes(address.wrapping_add(queued_at), 1).is_some_and(|byte| byte == [1]);
    is_queued && frames.word(address.wrapping_add(state_at)) == Some(0)
}

/// The permits that a guard of tinyio holds, if it holds any.
fn guarded(frames: &mut Frames, ty: TypeRef, address: u64, member: &str) -> Option<(WaitKind, u64)> {
    let (holder, at) = frames.member(ty, "holder")?;
    let (variant, ..) = frames.variant(holder, address.wrapping_add(at)).ok()?;
    permits(frames, ty, address, member).filter(|_| variant == "Some")
}

/// The address of the part with the path `of` that a member of a guard leads to.
fn resource(frames: &mut Frames, guard: TypeRef, address: u64, member: &str, of: &str) -> Option<u64> {
    let (pointer, offset) = frames.member(guard, member)?;
    let target = frames.guarded(guard, pointer)?;
    let (_, within) = frames.inside(target, of)?;
    let start = frames.word(address.wrapping_add(offset)).filter(|start| *start != 0)?;
    Some(start.wrapping_add(within))
}
