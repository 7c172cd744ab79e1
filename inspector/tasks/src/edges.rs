//! What a task waits on, by the type of the innermost future of its stack, and what it holds, by the types of locals
//! that certainly are alive.

use std::collections::HashMap;
use std::time::Duration;

use tinyio_events::event::{Frame, number as number_of};
use tinyio_frames::{Frames, Parts, TypeRef};

use crate::picture::{Hold, Share, Wait, WaitKind};
use crate::shares::{Shares, received};

/// Handles of tasks: the type, and where in it the address of the header is.
const HANDLES: [(&str, &str); 4] = [
    ("tokio::runtime::task::join::JoinHandle", "raw.ptr"),
    ("async_task::task::Task", "ptr"),
    ("async_task::task::FallibleTask", "task.ptr"),
    ("tinyio::coroutine::coro::Coro", "handle.__0"),
];
const SLEEP: &str = "tokio::time::sleep::Sleep";
const TINYIO_SLEEP: &str = "tinyio::coroutine::sleep::Sleep";
/// Of tinyio, what waits on a lock or semaphore, and what holds one: they refer to the same permits.
const TINYIO_ACQUIRE: &str = "tinyio::sync::permits::Acquire";
const TINYIO_GUARD: &str = "tinyio::sync::permits::Guard";
const TIMER: &str = "async_io::Timer";
const ACQUIRE: &str = "tokio::sync::batch_semaphore::Acquire";
/// Futures of `async-lock` that refer to what they wait on: the type, where the reference is, and what it is.
const LOCKS: [(&str, &str, WaitKind); 2] = [
    ("async_lock::mutex::Lock", "_inner.inner.mutex", WaitKind::Lock),
    ("async_lock::semaphore::Acquire", "_inner.inner.semaphore", WaitKind::Semaphore),
];
const TIMESPEC: &str = "std::sys::pal::unix::time::Timespec";

/// Guards: the type, where in it what it guards is, and what that is.
const GUARDS: [(&str, &str, WaitKind); 11] = [
    ("tokio::sync::mutex::MutexGuard", "lock", WaitKind::Lock),
    ("tokio::sync::mutex::OwnedMutexGuard", "lock", WaitKind::Lock),
    ("tokio::sync::rwlock::read_guard::RwLockReadGuard", "s", WaitKind::Lock),
    ("tokio::sync::rwlock::write_guard::RwLockWriteGuard", "s", WaitKind::Lock),
    ("tokio::sync::rwlock::owned_read_guard::OwnedRwLockReadGuard", "lock", WaitKind::Lock),
    ("tokio::sync::rwlock::owned_write_guard::OwnedRwLockWriteGuard", "lock", WaitKind::Lock),
    ("tokio::sync::semaphore::SemaphorePermit", "sem", WaitKind::Semaphore),
    ("tokio::sync::semaphore::OwnedSemaphorePermit", "sem", WaitKind::Semaphore),
    ("async_lock::mutex::MutexGuard", "__0", WaitKind::Lock),
    ("async_lock::semaphore::SemaphoreGuard", "__0", WaitKind::Semaphore),
    // Or of a lock, which its permits say.
    (TINYIO_GUARD, "permits", WaitKind::Semaphore),
];

/// Guards of locks that one task at most holds.
const EXCLUSIVE: [&str; 5] = [
    "tokio::sync::mutex::MutexGuard",
    "tokio::sync::mutex::OwnedMutexGuard",
    "tokio::sync::rwlock::write_guard::RwLockWriteGuard",
    "tokio::sync::rwlock::owned_write_guard::OwnedRwLockWriteGuard",
    "async_lock::mutex::MutexGuard",
];
/// How deep futures are looked for in what futures keep.
const KEPT: usize = 4;

/// The semaphore inside every lock and semaphore of tokio: its address is the number of the resource. Those of
/// `async-lock` have their own address.
const SEMAPHORE: &str = "tokio::sync::batch_semaphore::Semaphore";

/// Finds what tasks wait on and hold.
#[derive(Default)]
pub struct Edges {
    /// Where in a type a guard is: an index of [`GUARDS`], the guard's type, and its offset.
    guards: HashMap<TypeRef, Option<(usize, TypeRef, u64)>>,
    shares: Shares,
    /// Whether a type may hold futures.
    futures: HashMap<TypeRef, bool>,
}

impl Edges {
    /// What a stack waits on. `task` gives the number and name of the task with a header at an address, `now` is the
    /// system's monotonic clock, if it is known.
    pub fn waits(
        &self,
        frames: &mut Frames,
        parts: &Parts,
        stack: &[Frame],
        now: Option<Duration>,
        task: impl Fn(u64) -> Option<(u64, String)>,
    ) -> Vec<Wait> {
        let callers = callers(stack);
        let mut waits = Vec::new();
        for &(ty, address) in &parts.leaves {
            let path = frames.type_path(ty);
            let handle = HANDLES.iter().find(|handle| handle.0 == path);
            let lock = LOCKS.iter().find(|lock| lock.0 == path);
            let known = match path.as_str() {
                SLEEP => sleep(frames, ty, address, now),
                TIMER => timer(frames, ty, address, now),
                ACQUIRE => acquired(frames, ty, address, &callers),
                TINYIO_SLEEP => {
                    Some(Wait { kind: WaitKind::Timer, id: 0, text: "a timer".into(), due: None, needs_all: false })
                }
                TINYIO_ACQUIRE => permits(frames, ty, address, "waiting.on").map(|(kind, id)| {
                    let text = format!("{} at {id:#x}", word(kind));
                    Wait { kind, id, text, due: None, needs_all: false }
                }),
                _ => None,
            };
            let known = known
                .or_else(|| handle.and_then(|(_, member)| joined(frames, ty, address, member, &task)))
                .or_else(|| lock.and_then(|(_, member, kind)| locked(frames, ty, address, member, *kind)));
            let mut wait = known.unwrap_or_else(|| by_name(&path, frames.future_name(ty), &callers));
            if wait.id == 0 && callers.get(1).is_some_and(|caller| is_recv(caller)) {
                wait.id = received(frames, ty, address).unwrap_or(0);
            }
            waits.push(wait);
        }
        waits
    }

    /// What locals hold, and the futures among them that are not awaited; and what they share.
    pub fn holds(&mut self, frames: &mut Frames, parts: &Parts) -> (Vec<Hold>, Vec<Share>) {
        let (mut holds, mut shares) = (Vec::new(), Vec::new());
        self.guards(frames, parts, None, &mut holds);
        self.shares.add(frames, parts, &mut shares);
        self.kept(frames, parts, &parts.coroutines, KEPT, &mut holds, &mut shares);
        (holds, shares)
    }

    /// What the guards among locals hold, those of a future if it has a name.
    fn guards(&mut self, frames: &mut Frames, parts: &Parts, future: Option<&str>, holds: &mut Vec<Hold>) {
        for &(ty, address) in &parts.alive {
            let found = *self.guards.entry(ty).or_insert_with(|| guard(frames, ty));
            let Some((index, ty, offset)) = found else { continue };
            let (path, member, kind) = GUARDS[index];
            let address = address.wrapping_add(offset);
            let of = match path {
                TINYIO_GUARD => guarded(frames, ty, address, member),
                _ => semaphore(frames, ty, address, member).map(|id| (kind, id)),
            };
            let Some((kind, id)) = of else { continue };
            // One that was forgotten holds nothing.
            let permits = frames.member(ty, "permits").and_then(|(_, at)| frames.word(address.wrapping_add(at)));
            if permits != Some(0) && !holds.iter().any(|hold| hold.id == id) {
                let within = future.map_or_else(String::new, |future| format!(" in {future}"));
                let text = format!("{} at {id:#x} by {}{within}", word(kind), frames.future_name(ty));
                let is_exclusive = EXCLUSIVE.contains(&path) || path == TINYIO_GUARD && kind == WaitKind::Lock;
                let future = future.map(str::to_owned);
                holds.push(Hold { kind, id, text, future, is_exclusive });
            }
        }
    }

    /// What the futures hold that locals keep: through their own guards, or because they were next in the queue of a
    /// lock that was released. `awaited` are the coroutines that are awaited.
    fn kept(
        &mut self,
        frames: &mut Frames,
        parts: &Parts,
        awaited: &[u64],
        depth: usize,
        holds: &mut Vec<Hold>,
        shares: &mut Vec<Share>,
    ) {
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
            self.guards(frames, &inner, Some(&name), holds);
            self.shares.add(frames, &inner, shares);
            let callers = callers(&stack.frames);
            for &(ty, address) in &inner.leaves {
                if frames.type_path(ty) != ACQUIRE || !is_granted(frames, ty, address) {
                    continue;
                }
                let Some(wait) = acquired(frames, ty, address, &callers) else { continue };
                let is_mutex = callers.iter().any(|caller| caller.contains("tokio::sync::mutex::"));
                if !holds.iter().any(|hold| hold.id == wait.id) {
                    let text = format!("{}, granted to {name}, which has not been polled since", wait.text);
                    let (kind, id, future) = (wait.kind, wait.id, Some(name.clone()));
                    holds.push(Hold { kind, id, text, future, is_exclusive: is_mutex || wait.needs_all });
                }
            }
            self.kept(frames, &inner, awaited, depth - 1, holds, shares);
        }
    }
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

/// Whether a stack is a chain of async functions, each awaited by the one before, down to one future that is none: no
/// combinator on the way may have something else to wait on.
pub fn is_chain(stack: &[Frame]) -> bool {
    let Some((last, functions)) = stack.split_last() else { return false };
    let is_plain = |frame: &Frame| frame.branches.is_empty() && frame.note.is_empty();
    is_plain(last) && last.line == 0 && !functions.is_empty() && functions.iter().all(|f| is_plain(f) && f.line > 0)
}

/// Whether a function receives one message of a channel of tokio.
fn is_recv(function: &str) -> bool {
    function.starts_with("tokio::sync::mpsc::") && function.contains("Receiver") && function.contains("::recv<")
}

/// The functions of a stack, innermost first.
fn callers(stack: &[Frame]) -> Vec<&str> {
    let mut names = Vec::new();
    let mut frames = stack;
    while let Some(last) = frames.last() {
        names.extend(frames.iter().map(|frame| frame.function.as_str()));
        // Of several branches nothing tells which one a future is in.
        match &last.branches[..] {
            [] => break,
            [only] => frames = &only.frames,
            _ => return Vec::new(),
        }
    }
    names.reverse();
    names
}

/// The task that a handle is of.
fn joined(
    frames: &mut Frames,
    ty: TypeRef,
    address: u64,
    member: &str,
    task: &impl Fn(u64) -> Option<(u64, String)>,
) -> Option<Wait> {
    let (_, offset) = frames.member(ty, member)?;
    let (id, name) = task(frames.word(address.wrapping_add(offset))?)?;
    Some(Wait { kind: WaitKind::Task, id, text: format!("task {} {name}", number_of(id)), due: None, needs_all: false })
}

/// What a future of `async-lock` refers to.
fn locked(frames: &mut Frames, ty: TypeRef, address: u64, member: &str, kind: WaitKind) -> Option<Wait> {
    let (_, offset) = frames.member(ty, member)?;
    let id = frames.word(address.wrapping_add(offset))?;
    Some(Wait { kind, id, text: format!("{} at {id:#x}", word(kind)), due: None, needs_all: false })
}

/// The permits of tinyio that a member refers to: whether they are those of a lock, and their address.
fn permits(frames: &mut Frames, ty: TypeRef, address: u64, member: &str) -> Option<(WaitKind, u64)> {
    let (pointer, offset) = frames.member(ty, member)?;
    let shared = frames.pointee(pointer)?;
    let (what, what_at) = frames.member(shared, "data.what")?;
    let id = frames.word(address.wrapping_add(offset))?;
    match &*frames.value(what, id.wrapping_add(what_at)).text {
        "Lock" => Some((WaitKind::Lock, id)),
        "Semaphore" => Some((WaitKind::Semaphore, id)),
        _ => None,
    }
}

/// The permits that a guard of tinyio holds, if it holds any.
fn guarded(frames: &mut Frames, ty: TypeRef, address: u64, member: &str) -> Option<(WaitKind, u64)> {
    let (holder, at) = frames.member(ty, "holder")?;
    let (variant, ..) = frames.variant(holder, address.wrapping_add(at)).ok()?;
    permits(frames, ty, address, member).filter(|_| variant == "Some")
}

/// When a timer of tokio is due.
fn sleep(frames: &mut Frames, ty: TypeRef, address: u64, now: Option<Duration>) -> Option<Wait> {
    // Older versions have it in a part of its own.
    let (deadline, at) = frames.member(ty, "deadline").or_else(|| frames.member(ty, "entry.deadline"))?;
    due(frames, deadline, address.wrapping_add(at), now)
}

/// When a timer of `async-io` is due; one that is not set has no moment.
fn timer(frames: &mut Frames, ty: TypeRef, address: u64, now: Option<Duration>) -> Option<Wait> {
    let (when, at) = frames.member(ty, "when")?;
    let at = address.wrapping_add(at);
    let (variant, inner, offset) = frames.variant(when, at).ok()?;
    match variant.as_str() {
        "Some" => due(frames, inner, at.wrapping_add(offset), now),
        _ => Some(Wait {
            kind: WaitKind::Timer,
            id: 0,
            text: "a timer that is not set".into(),
            due: None,
            needs_all: false,
        }),
    }
}

/// When an `Instant` at an address is, or what it is in.
fn due(frames: &mut Frames, instant: TypeRef, address: u64, now: Option<Duration>) -> Option<Wait> {
    let (spec, within) = frames.inside(instant, TIMESPEC)?;
    let at = address.wrapping_add(within);
    let (seconds, seconds_at) = frames.member(spec, "tv_sec")?;
    let (nanos, nanos_at) = frames.member(spec, "tv_nsec")?;
    if (frames.size(seconds), frames.size(nanos)) != (Some(8), Some(4)) {
        return None;
    }
    let seconds = frames.word(at.wrapping_add(seconds_at))?;
    let nanos = frames.bytes(at.wrapping_add(nanos_at), 4)?;
    let nanos = u32::from_le_bytes(nanos.try_into().ok()?);
    if nanos >= 1_000_000_000 || seconds > u64::MAX / 4 {
        return None;
    }
    let deadline = Duration::new(seconds, nanos);
    let text = match now.map(|now| (now, deadline.checked_sub(now))) {
        None => "a timer".to_owned(),
        Some((_, Some(left))) => format!("a timer, fires in {:.1} s", left.as_secs_f64()),
        Some((now, None)) => format!("a timer, fires now, {:.1} s late", now.saturating_sub(deadline).as_secs_f64()),
    };
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).ok();
    let due = now.and_then(|now| nanos(deadline)?.checked_sub(nanos(now)?));
    Some(Wait { kind: WaitKind::Timer, id: 0, text, due, needs_all: false })
}

/// The lock or semaphore that permits are asked of.
fn acquired(frames: &mut Frames, ty: TypeRef, address: u64, callers: &[&str]) -> Option<Wait> {
    let (_, offset) = frames.member(ty, "semaphore")?;
    let id = frames.word(address.wrapping_add(offset))?;
    let is_in = |path: &str| callers.iter().any(|caller| caller.contains(path));
    let kind = match () {
        () if is_in("tokio::sync::mutex::") || is_in("tokio::sync::rwlock::") => WaitKind::Lock,
        () if is_in("tokio::sync::semaphore::") => WaitKind::Semaphore,
        () if is_in("tokio::sync::mpsc::") => WaitKind::Channel,
        () => WaitKind::External,
    };
    let needed = frames.member(ty, "num_permits").and_then(|(_, at)| frames.word(address.wrapping_add(at)));
    let needs_all = is_in("tokio::sync::rwlock::") && needed.is_some_and(|needed| needed > 1);
    Some(Wait { kind, id, text: format!("{} at {id:#x}", word(kind)), due: None, needs_all })
}

/// What a future of another type waits on, by its path or the function that awaits it.
fn by_name(path: &str, name: String, callers: &[&str]) -> Wait {
    const CHANNELS: [&str; 5] = [
        "tokio::sync::mpsc::",
        "tokio::sync::oneshot::",
        "tokio::sync::broadcast::",
        "tokio::sync::watch::",
        "async_channel::",
    ];
    const IO: [&str; 4] = ["tokio::net::", "tokio::io::", "tokio::runtime::io::", "async_io::"];
    const LOCKED: [&str; 2] = ["async_lock::mutex::", "async_lock::rwlock::"];
    let of = |name: &str, paths: &[&str]| paths.iter().any(|start| name.starts_with(start));
    // The function around a future that any function may be made of says what it is for.
    const OWN: &str = "tokio::future::poll_fn::";
    let is_plain = of(path, &["core::", "std::", OWN]);
    let caller = callers.iter().take(2).find(|caller| is_plain && of(caller, &["tokio::"]) && !of(caller, &[OWN]));
    let named = caller.copied().unwrap_or(path);
    let kind = match () {
        () if of(named, &CHANNELS) => WaitKind::Channel,
        () if of(named, &IO) => WaitKind::Io,
        () if of(named, &LOCKED) => WaitKind::Lock,
        () if of(named, &["async_lock::semaphore::"]) => WaitKind::Semaphore,
        () => WaitKind::External,
    };
    let text = match kind {
        WaitKind::Channel => format!("a channel in {}", caller.copied().unwrap_or(&name)),
        WaitKind::Io => format!("a socket or file in {}", caller.copied().unwrap_or(&name)),
        _ => name,
    };
    Wait { kind, id: 0, text, due: None, needs_all: false }
}

fn word(kind: WaitKind) -> &'static str {
    match kind {
        WaitKind::Lock => "a lock",
        WaitKind::Channel => "a channel",
        _ => "a semaphore",
    }
}

/// The guard in a type.
fn guard(frames: &mut Frames, ty: TypeRef) -> Option<(usize, TypeRef, u64)> {
    GUARDS.iter().enumerate().find_map(|(index, (path, ..))| {
        let (ty, offset) = frames.inside(ty, path)?;
        Some((index, ty, offset))
    })
}

/// The address of the semaphore that a member of a guard leads to.
fn semaphore(frames: &mut Frames, guard: TypeRef, address: u64, member: &str) -> Option<u64> {
    let (pointer, offset) = frames.member(guard, member)?;
    let target = frames.pointee(pointer)?;
    let is_own = frames.type_path(guard).starts_with("async_lock::");
    let within = if is_own { 0 } else { frames.inside(target, SEMAPHORE)?.1 };
    Some(frames.word(address.wrapping_add(offset))?.wrapping_add(within))
}
