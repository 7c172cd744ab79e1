//! The futures of `block_on`, which are in no list of tasks: a thread polls each in the function that was given it.
//!
//! The native stack of a thread has the functions named `block_on` that it is in, one inside the other as a runtime
//! calls its parts, and a variable in one of them has the future pinned. What has no such variable is not shown.

use tinyio_frames::{Frames, Function, Registers, TypeRef};

use crate::names::content;
use crate::picture::State;
use crate::row::{Found, Future, Row};

/// A thread that was stopped.
#[derive(Clone, Copy, Debug)]
pub struct Thread {
    /// Its number.
    pub id: i32,
    /// Its registers.
    pub registers: Registers,
    /// The address that its variables of threads are counted from, if it is known.
    pub locals: Option<u64>,
}

/// Crates with a `block_on`: as they are in paths, and in the registry.
const CRATES: [(&str, &str); 6] = [
    ("tokio", "tokio"),
    ("async_io", "async-io"),
    ("futures_lite", "futures-lite"),
    ("futures_executor", "futures-executor"),
    ("pollster", "pollster"),
    ("async_std", "async-std"),
];
/// Functions in which the thread of a `block_on` waits for its waker or for events, by their last names.
const PARKS: [&str; 7] = ["park", "park_timeout", "park_internal", "park_yield", "react", "wait", "wait_timeout"];
const PARKING_CRATES: [&str; 4] = ["tokio", "parking", "async_io", "pollster"];

const WORD: u64 = 8;
/// Bytes of a frame that are searched.
const LARGEST_FRAME: u64 = 1 << 20;

fn is_block_on(function: &Function) -> bool {
    function.name() == "block_on"
}

/// Whether a function may be one that polls a future.
fn polls(function: &Function) -> bool {
    function.name() == "poll" || function.is_async()
}

/// The futures of `block_on` on these threads, by the crate that has the function. Adds a sentence for each that is
/// there and not known.
pub fn all(frames: &mut Frames, threads: &[Thread], notes: &mut Vec<String>) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    let (mut unknown, mut cut) = (Vec::new(), Vec::new());
    for thread in threads {
        let stack = frames.thread_stack(thread.registers, |path| path.contains("block_on"));
        if !stack.is_whole {
            cut.push(thread.id);
        }
        let mut rest = &stack.functions[..];
        // The outermost call first.
        while let Some(outermost) = rest.iter().rposition(is_block_on) {
            // Its parts call each other, and poll nothing in between.
            let inner = rest[..outermost].iter().rposition(|function| polls(function) && !is_block_on(function));
            let first = inner.map_or(0, |inner| inner + 1);
            let innermost = (first..=outermost).find(|at| is_block_on(&rest[*at])).unwrap_or(outermost);
            match future(frames, &rest[innermost..=outermost]) {
                Some(pinned) => {
                    let row = row(frames, thread.id, &pinned, state(&rest[..innermost]));
                    let crate_name = crate_name(&rest[outermost]);
                    let known = all.iter().position(|found| found.runtime.kind == crate_name);
                    let index = known.unwrap_or_else(|| {
                        all.push(Found::new(crate_name, "block_on", true));
                        all.len() - 1
                    });
                    all[index].tasks.push(row);
                }
                None => unknown.push(thread.id),
            }
            rest = &rest[..first];
        }
    }
    let those = |threads: &[i32]| {
        let numbers: Vec<String> = threads.iter().take(8).map(i32::to_string).collect();
        let more = if threads.len() > 8 { ", …" } else { "" };
        let word = if threads.len() == 1 { "thread" } else { "threads" };
        format!("{word} {}{more}", numbers.join(", "))
    };
    if !unknown.is_empty() {
        let why = "is not shown: debug info does not say where it is, as in optimised code";
        notes.push(format!("the future of `block_on` on {} {why}", those(&unknown)));
    }
    if !cut.is_empty() {
        let why = "could not be followed to the end: a future of `block_on` there is not shown";
        notes.push(format!("the native stack of {} {why}", those(&cut)));
    }
    all
}

/// What is known of a future on a thread before it is read. Its address is its number.
fn row(frames: &mut Frames, thread: i32, pinned: &Pinned, state: Option<State>) -> Row {
    let Pinned { future, address, is_by_content } = *pinned;
    let named = content(frames, future);
    let mut notes = Vec::new();
    if is_by_content {
        notes.push("no variable says where it is: it was found by what it looks like".to_owned());
    }
    if state.is_none() {
        notes.push("whether it is being polled is not known".to_owned());
    }
    Row {
        header: address,
        id: address,
        name: frames.future_name(named).into(),
        or: Vec::new(),
        state: state.unwrap_or(State::Running),
        word: None,
        never_woken: false,
        future: Future::At(future, address),
        notes,
        thread: Some(thread),
    }
}

/// A future and how it was found.
struct Pinned {
    future: TypeRef,
    address: u64,
    /// No variable says where it is.
    is_by_content: bool,
}

/// The future that the functions of one `block_on` have pinned: that of the outermost of them that has one.
fn future(frames: &mut Frames, functions: &[Function]) -> Option<Pinned> {
    let all = || functions.iter().rev().filter(|function| is_block_on(function));
    let found = |(future, address)| Pinned { future, address, is_by_content: false };
    if let Some(function) = all().find(|function| !function.pinned.is_empty()) {
        return only(&function.pinned).map(found);
    }
    // In optimised code that variable may be gone. What is suspended at an await was not moved since it was pinned.
    let mut held: Vec<(TypeRef, u64)> = all().flat_map(|function| function.held.clone()).collect();
    held.retain(|(ty, address)| frames.is_suspended(*ty, *address));
    held.dedup_by_key(|(_, address)| *address);
    if !held.is_empty() {
        return only(&held).map(found);
    }
    let mut places = Vec::new();
    for function in functions.iter().filter(|function| is_block_on(function)) {
        for ty in &function.parameters {
            let size = frames.size(*ty).filter(|size| *size >= WORD);
            let Some(last) = size.and_then(|size| function.frame.end.checked_sub(size)) else { continue };
            let first = function.frame.start.next_multiple_of(WORD);
            let frame = first..=last.min(first.saturating_add(LARGEST_FRAME));
            places
                .extend(frame.step_by(WORD as usize).filter(|at| frames.looks_suspended(*ty, *at)).map(|at| (*ty, at)));
        }
    }
    places.sort_unstable_by_key(|(_, address)| *address);
    places.dedup_by_key(|(_, address)| *address);
    only(&places).map(|(future, address)| Pinned { future, address, is_by_content: true })
}

fn only(found: &[(TypeRef, u64)]) -> Option<(TypeRef, u64)> {
    match found {
        [only] => Some(*only),
        _ => None,
    }
}

/// What the future is doing, by the functions that its `block_on` has called, innermost first; `None` if nothing says
/// so.
fn state(inner: &[Function]) -> Option<State> {
    for function in inner.iter().rev() {
        let root = function.path.split("::").next().unwrap_or_default();
        if PARKING_CRATES.contains(&root) && PARKS.contains(&function.name()) {
            return Some(State::Waiting);
        }
        // Its thread runs another task meanwhile.
        if function.path.starts_with("tokio::runtime::task::") || function.path.starts_with("async_task::") {
            return Some(State::Waiting);
        }
        if polls(function) {
            return Some(State::Running);
        }
    }
    None
}

fn crate_name(function: &Function) -> &'static str {
    let root = function.path.split("::").next().unwrap_or_default();
    CRATES.iter().find(|(path, _)| *path == root).map_or("block_on", |(_, name)| name)
}
