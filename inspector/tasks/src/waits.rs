//! What a task waits on, by the type of the innermost future of its stack.

use std::sync::Arc;
use std::time::Duration;

use tinyio_events::event::{Frame, number as number_of};
use tinyio_frames::{Frames, Parts, TypeRef, Within};

use crate::picture::{Queued, Role, Share, Wait, WaitKind};
use crate::shares::received;

/// Handles of tasks: the type, and where in it the address of the header is.
const HANDLES: [(&str, &str); 4] = [
    ("tokio::runtime::task::join::JoinHandle", "raw.ptr"),
    ("async_task::task::Task", "ptr"),
    ("async_task::task::FallibleTask", "task.ptr"),
    ("tinyio::coroutine::coro::Coro", "handle.__0"),
];
const SLEEP: &str = "tokio::time::sleep::Sleep";
const TINYIO_SLEEP: &str = "tinyio::coroutine::sleep::Sleep";
/// Of tinyio, what waits on a lock or semaphore: it refers to the same permits as a guard.
const TINYIO_ACQUIRE: &str = "tinyio::sync::permits::Acquire";
const TIMER: &str = "async_io::Timer";
pub const ACQUIRE: &str = "tokio::sync::batch_semaphore::Acquire";
const TIMESPEC: &str = "std::sys::pal::unix::time::Timespec";

/// Futures that refer to what they wait on: the type; the way from it to a pointer to that, in which `*` follows a
/// pointer; the type that the address is of, empty if it is the pointer itself; what it is, and its name.
const REFERENCES: [(&str, &str, &str, WaitKind, &str); 17] = [
    ("async_lock::mutex::Lock", "_inner.inner.mutex", "", WaitKind::Lock, LOCK),
    ("async_lock::rwlock::futures::Read", "_inner.inner.raw.lock", "", WaitKind::Lock, LOCK),
    ("async_lock::rwlock::futures::ReadArc", "_inner.inner.raw.lock", "", WaitKind::Lock, LOCK),
    ("async_lock::rwlock::futures::UpgradableRead", "_inner.inner.raw.lock", "", WaitKind::Lock, LOCK),
    ("async_lock::rwlock::futures::UpgradableReadArc", "_inner.inner.raw.lock", "", WaitKind::Lock, LOCK),
    ("async_lock::rwlock::futures::Write", "_inner.inner.raw.lock", "", WaitKind::Lock, LOCK),
    ("async_lock::rwlock::futures::WriteArc", "_inner.inner.raw.lock", "", WaitKind::Lock, LOCK),
    ("async_lock::rwlock::futures::Upgrade", "_inner.inner.raw.lock", "", WaitKind::Lock, LOCK),
    ("async_lock::semaphore::Acquire", "_inner.inner.semaphore", "", WaitKind::Semaphore, SEMAPHORE),
    ("async_lock::semaphore::AcquireArc", "_inner.inner.semaphore", PERMITS, WaitKind::Semaphore, SEMAPHORE),
    ("async_channel::Recv", "_inner.inner.receiver.*.channel", "", WaitKind::Channel, MESSAGE),
    ("async_channel::Send", "_inner.inner.sender.*.channel", "", WaitKind::Channel, ROOM),
    ("event_listener::EventListener", "listener.*.event", "", WaitKind::Event, "an event"),
    ("tokio::sync::notify::Notified", "notify", NOTIFY, WaitKind::Event, NOTIFICATION),
    ("tokio::sync::notify::OwnedNotified", "notify", NOTIFY, WaitKind::Event, NOTIFICATION),
    ("tokio::sync::broadcast::Recv", "receiver.*.shared", "", WaitKind::Channel, MESSAGE),
    ("tokio::sync::oneshot::Receiver", "inner", "", WaitKind::Channel, MESSAGE),
];
/// Those that wait until nothing else holds the lock.
const WRITES: [&str; 3] = [
    "async_lock::rwlock::futures::Write",
    "async_lock::rwlock::futures::WriteArc",
    "async_lock::rwlock::futures::Upgrade",
];
const LOCK: &str = "a lock";
const SEMAPHORE: &str = "a semaphore";
const MESSAGE: &str = "a message of a channel";
const ROOM: &str = "room in a channel";
const NOTIFICATION: &str = "a notification";
/// In tokio up to 1.44 it is in the runtime.
const COOP: [&str; 2] = ["tokio::task::coop::Coop", "tokio::runtime::coop::Coop"];
const NOTIFY: &str = "tokio::sync::notify::Notify";
const PERMITS: &str = "async_lock::semaphore::Semaphore";
const WATCH: &str = "tokio::sync::watch::";
const BARRIER: &str = "tokio::sync::barrier::";

/// What a stack waits on. `shares` is what its locals share, `task` gives the number and name of the task with a header
/// at an address, `now` is the system's monotonic clock, if it is known.
pub fn waits(
    frames: &mut Frames,
    parts: &Parts,
    stack: &[Frame],
    shares: &[Share],
    now: Option<Duration>,
    task: impl Fn(u64) -> Option<(u64, Arc<str>)>,
) -> Vec<Wait> {
    let callers = callers(stack);
    let mut waits = Vec::new();
    for leaf in &parts.leaves {
        let (ty, address) = without_budget(frames, leaf.ty, leaf.address);
        let mut wait = one(frames, ty, address, &callers, shares, now, &task);
        if wait.id == 0
            && callers.get(1).is_some_and(|caller| is_recv(caller))
            && let Some(id) = received(frames, ty, address)
        {
            wait = Wait::new(WaitKind::Channel, id, format!("{MESSAGE} at {id:#x}"));
        }
        waits.push(within(wait, &leaf.within));
    }
    waits
}

/// Whether a future with this path says what it waits on, wherever it is.
pub fn is_known(path: &str) -> bool {
    [SLEEP, TIMER, ACQUIRE, TINYIO_SLEEP, TINYIO_ACQUIRE].contains(&path)
        || HANDLES.iter().any(|handle| handle.0 == path)
        || REFERENCES.iter().any(|reference| reference.0 == path)
}

/// Says of a wait in a combinator that it is in one: there may be others beside it.
fn within(wait: Wait, within: &Within) -> Wait {
    let is_uncertain = within.is_uncertain();
    let text = match within {
        Within::Awaited => return wait,
        Within::Combinator(name) => format!("in {name}: {}", wait.text),
        Within::Uncertain(name) => format!("perhaps, in {name}: {}", wait.text),
    };
    Wait { text, is_among_others: true, is_uncertain, ..wait }
}

/// What one future waits on.
fn one(
    frames: &mut Frames,
    ty: TypeRef,
    address: u64,
    callers: &[&str],
    shares: &[Share],
    now: Option<Duration>,
    task: &impl Fn(u64) -> Option<(u64, Arc<str>)>,
) -> Wait {
    let path = frames.type_path(ty);
    let handle = HANDLES.iter().find(|handle| handle.0 == path);
    let reference = REFERENCES.iter().find(|reference| reference.0 == path);
    let known = match path.as_str() {
        SLEEP => sleep(frames, ty, address, now),
        TIMER => timer(frames, ty, address, now),
        ACQUIRE => acquired(frames, ty, address, callers),
        TINYIO_SLEEP => Some(Wait::new(WaitKind::Timer, 0, "a timer")),
        TINYIO_ACQUIRE => permits(frames, ty, address, "waiting.on").map(|(kind, id)| {
            let name = label(frames, ty, address);
            Wait { name, ..Wait::new(kind, id, format!("{} at {id:#x}", word(kind))) }
        }),
        _ => None,
    };
    known
        .or_else(|| handle.and_then(|(_, member)| joined(frames, ty, address, member, task)))
        .or_else(|| {
            let (path, way, of, kind, what) = reference?;
            let wait = referred(frames, ty, address, (way, of), *kind, what)?;
            Some(Wait { needs_all: WRITES.contains(path), ..wait })
        })
        .map(|wait| of_watch(wait, callers, shares))
        .unwrap_or_else(|| by_name(&path, frames.future_name(ty), callers))
}

/// Whether a stack is a chain of async functions, each awaited by the one before, down to one future that is none: no
/// combinator on the way may have something else to wait on. What gives way to others now and then is woken when it
/// does.
pub fn is_chain(stack: &[Frame]) -> bool {
    let Some((last, functions)) = stack.split_last() else { return false };
    let is_plain = |frame: &Frame| frame.branches.is_empty() && frame.note.is_empty();
    let is_function = |frame: &Frame| frame.line > 0 || COOP.iter().any(|coop| frame.function.starts_with(coop));
    let mut functions = functions.iter();
    is_plain(last) && last.line == 0 && functions.len() > 0 && functions.all(|one| is_plain(one) && is_function(one))
}

/// Whether a function receives one message of a channel of tokio.
fn is_recv(function: &str) -> bool {
    function.starts_with("tokio::sync::mpsc::") && function.contains("Receiver") && function.contains("::recv<")
}

/// The functions of a stack, innermost first.
pub fn callers(stack: &[Frame]) -> Vec<&str> {
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
    task: &impl Fn(u64) -> Option<(u64, Arc<str>)>,
) -> Option<Wait> {
    let (_, offset) = frames.member(ty, member)?;
    let (id, name) = task(frames.word(address.wrapping_add(offset))?)?;
    Some(Wait::new(WaitKind::Task, id, format!("task {} {name}", number_of(id))))
}

/// The future in one that gives way to others now and then.
fn without_budget(frames: &mut Frames, ty: TypeRef, address: u64) -> (TypeRef, u64) {
    let inner = if COOP.contains(&&*frames.type_path(ty)) { frames.member(ty, "fut") } else { None };
    inner.map_or((ty, address), |(inner, offset)| (inner, address.wrapping_add(offset)))
}

/// What a future refers to.
fn referred(
    frames: &mut Frames,
    ty: TypeRef,
    address: u64,
    (way, of): (&str, &str),
    kind: WaitKind,
    what: &str,
) -> Option<Wait> {
    let (mut ty, mut address) = (ty, address);
    for (index, path) in way.split(".*.").enumerate() {
        if index > 0 {
            (ty, address) = (frames.pointee(ty)?, frames.word(address)?);
        }
        let (member, offset) = frames.member(ty, path)?;
        (ty, address) = (member, address.wrapping_add(offset));
    }
    let id = frames.word(address).filter(|id| *id != 0)?;
    // What is counted has counters before it.
    let within = if of.is_empty() { 0 } else { frames.pointee(ty).and_then(|target| frames.inside(target, of))?.1 };
    let id = id.wrapping_add(within);
    Some(Wait { needs_room: what == ROOM, ..Wait::new(kind, id, format!("{what} at {id:#x}")) })
}

/// A wait on a notification inside of a watch channel is one on the channel, which is known if a local is an end of it.
fn of_watch(wait: Wait, callers: &[&str], shares: &[Share]) -> Wait {
    let Some(caller) = callers.iter().find(|caller| caller.starts_with(WATCH)) else { return wait };
    if wait.kind != WaitKind::Event {
        return wait;
    }
    // It has such a channel inside.
    if callers.iter().any(|caller| caller.starts_with(BARRIER)) {
        return Wait::new(WaitKind::External, 0, "a barrier");
    }
    let is_end = |share: &&Share| share.role == Role::Receiver && share.memory.contains(&wait.id);
    match shares.iter().find(is_end) {
        Some(end) => Wait::new(WaitKind::Channel, end.memory.start, format!("{MESSAGE} at {:#x}", end.memory.start)),
        // Also a sender waits there, until there are no receivers.
        None => Wait::new(WaitKind::Channel, 0, format!("a channel in {caller}")),
    }
}

/// The permits of tinyio that a member refers to: whether they are those of a lock, and their address.
pub fn permits(frames: &mut Frames, ty: TypeRef, address: u64, member: &str) -> Option<(WaitKind, u64)> {
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

/// The name of what a future or guard of tinyio is of, or where that was made: what it is shown as has it.
pub fn label(frames: &mut Frames, ty: TypeRef, address: u64) -> Option<String> {
    let shown = frames.value(ty, address).text;
    let (_, of) = shown.split_once(" of ")?;
    if let Some((name, _)) = of.strip_prefix('"').and_then(|of| of.rsplit_once('"')) {
        return Some(name.to_owned());
    }
    let (_, made) = of.split_once(" made at ")?;
    Some(format!("made at {}", made.split(" (").next()?))
}

/// When a timer of tokio is due.
fn sleep(frames: &mut Frames, ty: TypeRef, address: u64, now: Option<Duration>) -> Option<Wait> {
    // Other versions have it in a part of its own; 1.50 has two kinds of that.
    if let Some((deadline, at)) = frames.member(ty, "deadline").or_else(|| frames.member(ty, "entry.deadline")) {
        return due(frames, deadline, address.wrapping_add(at), now);
    }
    let (entry, at) = frames.member(ty, "entry")?;
    let at = address.wrapping_add(at);
    let (_, timer, offset) = frames.variant(entry, at).ok()?;
    let (deadline, within) = frames.member(timer, "__0.deadline")?;
    due(frames, deadline, at.wrapping_add(offset).wrapping_add(within), now)
}

/// When a timer of `async-io` is due; one that is not set has no moment.
fn timer(frames: &mut Frames, ty: TypeRef, address: u64, now: Option<Duration>) -> Option<Wait> {
    let (when, at) = frames.member(ty, "when")?;
    let at = address.wrapping_add(at);
    let (variant, inner, offset) = frames.variant(when, at).ok()?;
    match variant.as_str() {
        "Some" => due(frames, inner, at.wrapping_add(offset), now),
        _ => Some(Wait::new(WaitKind::Timer, 0, "a timer that is not set")),
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
    Some(Wait { due, ..Wait::new(WaitKind::Timer, 0, text) })
}

/// The lock or semaphore that permits are asked of.
pub fn acquired(frames: &mut Frames, ty: TypeRef, address: u64, callers: &[&str]) -> Option<Wait> {
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
    let needs_room = kind == WaitKind::Channel;
    let text = if needs_room { ROOM } else { word(kind) };
    let queued = queued(frames, ty, address);
    Some(Wait { needs_all, needs_room, queued, ..Wait::new(kind, id, format!("{text} at {id:#x}")) })
}

/// Its place in the queue of a semaphore, if it is in it.
fn queued(frames: &mut Frames, ty: TypeRef, address: u64) -> Option<Queued> {
    let (queued, queued_at) = frames.member(ty, "queued")?;
    let (node, node_at) = frames.member(ty, "node")?;
    let (links, links_at) = frames.inside(node, "tokio::util::linked_list::PointersInner")?;
    let (_, next_at) = frames.member(links, "next")?;
    let is_queued = frames.size(queued) == Some(1) && frames.bytes(address.wrapping_add(queued_at), 1)? == [1];
    let node = address.wrapping_add(node_at);
    let before = frames.word(node.wrapping_add(links_at).wrapping_add(next_at))?;
    is_queued.then_some(Queued { node, before })
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
    Wait::new(kind, 0, text)
}

pub fn word(kind: WaitKind) -> &'static str {
    match kind {
        WaitKind::Lock => LOCK,
        WaitKind::Channel => "a channel",
        _ => SEMAPHORE,
    }
}
