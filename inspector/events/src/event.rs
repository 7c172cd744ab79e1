//! The events of a recording: everything a loop records about itself.
//!
//! All parts of the crate exchange these types. The loop *emits* events through a recorder, the ring and the JSON trace
//! *carry* them, the model *folds* them, and the screens, reports and exports *show* the model.
//!
//! # Ids
//!
//! Coroutines, loops, resources and threads are numbered from 1, each kind by itself, over the life of one recording
//! (one thread that runs loops); a number is never reused. [`NameId`] and [`SiteId`] are interned: a [`Kind::Name`] or
//! [`Kind::Site`] comes before the first event that uses one. 0 means "unknown" in all of them.
//!
//! # Time
//!
//! [`Event::at`] is in nanoseconds since the recording started, on the monotonic clock. Order events by `seq`, not by
//! `at`: the clock is read once at the end of each step, so all events of one step carry the time at which the step
//! began. Inside a checkpoint, `at` is the time at which the edge, the hold or the other recorded state began, so there
//! it can go back.
//!
//! # A life
//!
//! ```text
//!                 ┌───────── Wake ◀──────────┐
//!                 ▼                          │
//! Spawn ──▶ ready ──StepBegin──▶ running ──Wait*, StepEnd──▶ waiting
//!                                   │
//!                                   └──End, StepEnd──▶ done | failed | cancelled | improper
//! ```

use serde::{Deserialize, Serialize};

use crate::event_table::{choices, events, key, tagged};
use crate::field::{Choice, Field, Key, Reader, Tagged, Variant, Writer, is_empty, read_field, write_field};

/// Number of a coroutine.
pub type CoroId = u64;
/// The number of a coroutine as text: `#17`. An address, as tasks of async-executor have it, is in hexadecimal.
pub fn number(id: CoroId) -> String {
    match u32::try_from(id) {
        Ok(id) => format!("#{id}"),
        Err(_) => format!("#{id:#x}"),
    }
}

/// Number of a loop.
pub type LoopId = u32;
/// Number of a resource: an event, a lock, a semaphore, a barrier.
pub type ResId = u64;
/// Number of a function run by `run_in_thread`.
pub type ThreadId = u64;
/// Number of an interned name.
pub type NameId = u32;

/// Number of an interned source place.
pub type SiteId = u32;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the stream, counting every event ever emitted, from 0. A gap means loss.
    pub seq: u64,
    /// Nanoseconds since the recording started.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

events! {
    /// What happened.
    // Exhaustive: where the model folds events, and where the numbers of several recordings are merged, a new kind must
    // not be forgotten.
    records {
        /// A loop began to run.
        4 loop_start LoopStart {
            /// The loop.
            id as "loop": LoopId => Word2,
            /// The coroutine inside which it runs (nested, isolated), 0 for none.
            parent: CoroId => Word1,
            /// How it was started: `run`, `drive` or `isolate`; `observed` and `worker` are no loops of tinyio.
            mode: LoopMode => Byte1,
        }
        /// A loop ended.
        5 loop_end LoopEnd {
            /// The loop.
            id as "loop": LoopId => Word2,
            /// How.
            outcome: LoopOutcome => Byte1,
        }
        /// Nothing is ready: the loop went to sleep.
        6 park Park {
            /// The loop.
            id as "loop": LoopId => Word2,
            /// Its next timer, if it has one (nanoseconds, the stream's time).
            until: Option<u64> => Word3 optional,
        }
        /// The loop woke up.
        7 unpark Unpark {
            /// The loop.
            id as "loop": LoopId => Word2,
        }
        /// A coroutine was scheduled for the first time; it is ready.
        8 spawn Spawn {
            /// The coroutine.
            coro: CoroId => Word1,
            /// Its loop.
            in_loop as "loop": LoopId => High3,
            /// The coroutine that scheduled it, 0 for the loop itself.
            parent: CoroId => Id2,
            /// Its name.
            name: NameId => Name24,
            /// Where `coro`, `spawn` or `gather` made it.
            site: SiteId => Site24,
        }
        /// A coroutine began to wait on something: an edge of the graph. A coroutine can wait on several things at
        /// once, and it runs until its step ends. A repeated `Wait` for an existing edge changes nothing.
        9 wait Wait {
            /// The waiting coroutine.
            coro: CoroId => Word1,
            /// The target it waits on.
            on: Target => Tagged2,
            /// The `.await` at which it waits.
            site: SiteId => Word3,
        }
        /// An edge was removed without a wake: a handle was dropped, or a select took another branch.
        10 clear Clear {
            /// The coroutine that waited.
            coro: CoroId => Word1,
            /// The target it waited on.
            on: Target => Tagged2,
        }
        /// A coroutine became ready. Its edges are removed when its next step begins, except those to coroutines that
        /// have not ended (`gather`). A running coroutine becomes ready when its step ends.
        11 wake Wake {
            /// The woken coroutine.
            coro: CoroId => Word1,
            /// The source of the wake.
            by: Waker => Tagged2,
        }
        /// The loop began to run a coroutine.
        12 step_begin StepBegin {
            /// The coroutine.
            coro: CoroId => Word1,
        }
        /// The coroutine gave control back.
        13 step_end StepEnd {
            /// The coroutine.
            coro: CoroId => Word1,
        }
        /// Part of the time up to now was not spent by the program: tinyio read frames, for an error or a reader, or
        /// the system ran other processes, which is recorded for long steps only.
        34 away Away {
            /// The coroutine during the step of which it happened, 0 between two steps.
            coro: CoroId => Word1,
            /// The time that was not the program's, in nanoseconds.
            nanos: u64 => Word2,
        }
        /// The program has given a coroutine or a loop a name. That of a coroutine comes right after its
        /// [`Kind::Spawn`] if it was given before.
        35 named Named {
            /// The coroutine or loop.
            what: Target => Tagged2,
            /// The name.
            name: NameId => Word3,
        }
        /// The steps of a coroutine run in this worker from here on.
        36 moved Moved {
            /// The coroutine.
            coro: CoroId => Word1,
            /// The worker: a loop that was started as [`LoopMode::Worker`].
            to as "loop": LoopId => Word2,
        }
        /// A coroutine ended; every edge on it and from it is gone.
        14 end End {
            /// The coroutine.
            coro: CoroId => Word1,
            /// How.
            outcome: Outcome => Byte1,
        }
        /// A resource was made.
        15 res_new ResNew {
            /// The resource.
            res: ResId => Word1,
            /// What it is.
            what: ResKind => Byte1,
            /// Permits of a semaphore (1 for a lock), parties of a barrier, 0 for an event.
            size: u64 => Word2,
            /// Where it was made.
            site: SiteId => Low3,
            /// The name that the program gave it, 0 for none.
            name: NameId => High3 optional,
        }
        /// A coroutine holds a lock, or one more permit of a semaphore.
        16 hold Hold {
            /// The resource.
            res: ResId => Word1,
            /// The holder, 0 if it is none of the loop's coroutines.
            coro: CoroId => Word2,
            /// Where it was acquired.
            site: SiteId => Word3,
        }
        /// A holder gave back what it acquired last.
        17 release Release {
            /// The resource.
            res: ResId => Word1,
            /// The coroutine recorded by the matching [`Kind::Hold`].
            coro: CoroId => Word2,
        }
        /// An event was set or cleared.
        18 set Set {
            /// The resource.
            res: ResId => Word1,
            /// Its flag now.
            set: bool => Byte1,
        }
        /// The last handle of a resource was dropped.
        19 res_drop ResDrop {
            /// The resource.
            res: ResId => Word1,
        }
        /// A function was handed to a thread.
        20 thread_queue ThreadQueue {
            /// Its number.
            thread: ThreadId => Word1,
            /// The coroutine that represents the thread: a coroutine that awaits the thread waits on it, and it waits
            /// on the thread.
            coro: CoroId => Word2,
            /// The function.
            name: NameId => High3,
            /// Where `run_in_thread` was called.
            site: SiteId => Low3,
        }
        /// The thread has begun to run it.
        21 thread_start ThreadStart {
            /// Its number.
            thread: ThreadId => Word1,
        }
        /// It returned.
        22 thread_end ThreadEnd {
            /// Its number.
            thread: ThreadId => Word1,
            /// How.
            outcome: Outcome => Byte1,
        }
        /// The thread was asked to stop.
        23 thread_cancel ThreadCancel {
            /// Its number.
            thread: ThreadId => Word1,
        }
        /// The thread noticed that it was asked to stop.
        24 thread_notice ThreadNotice {
            /// Its number.
            thread: ThreadId => Word1,
        }
        /// A cancellation is delivered to a coroutine: it is polled once, and its await points return `CancelledError`.
        25 cancel_deliver CancelDeliver {
            /// The coroutine.
            coro: CoroId => Word1,
        }
        /// A checkpoint begins: the complete state follows, up to the matching [`Kind::CheckpointEnd`]. A reader that
        /// has no state, or has lost events, discards its state and starts here.
        26 checkpoint Checkpoint {
            /// How many coroutines follow.
            coros: u64 => All1,
            /// Number of coroutines, edges, resources, holders and threads that were left out because the ring is too
            /// small for all of them. Edges to left-out coroutines are left out with them and not counted.
            left_out: u64 => Word2,
        }
        /// One live loop, in a checkpoint.
        27 loop_state LoopState {
            /// The loop.
            id as "loop": LoopId => Word2,
            /// See [`Kind::LoopStart`].
            parent: CoroId => Word1,
            /// See [`Kind::LoopStart`].
            mode: LoopMode => Byte1,
            /// When it started.
            since: u64 => Word3,
        }
        /// One live coroutine, in a checkpoint. Its edges follow as [`Kind::Wait`], resources and holders as
        /// [`Kind::ResNew`] and [`Kind::Hold`], threads as [`Kind::ThreadQueue`] and [`Kind::ThreadStart`], and so on:
        /// see `TRACE.md`.
        28 coro_state CoroState {
            /// The coroutine.
            coro: CoroId => Word1,
            /// Its loop.
            in_loop as "loop": LoopId => High3,
            /// The coroutine that scheduled it.
            parent: CoroId => Id2,
            /// Its name.
            name: NameId => Name24,
            /// Where it was made.
            site: SiteId => Site24,
            /// Its state.
            state: State => Code0,
            /// The time since which it is in this state.
            since: u64 => Time0,
        }
        /// The checkpoint is complete.
        31 checkpoint_end CheckpointEnd {}
        /// The recording ended in good order.
        32 trace_end TraceEnd {}
    }
    json {
        /// A name was interned.
        Name {
            /// Its number.
            id: NameId,
            /// The text: a Rust path such as `crawl::fetch`.
            text: String,
        }
        /// A source place was interned.
        Site {
            /// Its number.
            id: SiteId,
            /// File, as the compiler was given it.
            file: String,
            /// Line, from 1.
            line: u32,
            /// Column, from 1; 0 where unknown.
            column: u32,
        }
        /// A loop began to cancel all of its coroutines.
        CancelBegin {
            /// The loop.
            id as "loop": LoopId,
            /// The coroutine that failed, 0 if it was none (`Handle::cancel`, Ctrl-C, a cycle, a dropped loop).
            origin: CoroId,
            /// The reason, in one line.
            reason: String,
            /// The failure of `origin`, as in `crash`, which comes once all have ended; of an outermost loop. What is
            /// known then of others is not there yet, and the place of a failure in a future of another library may be
            /// another one.
            failure: Option<Box<Failure>> => optional,
        }
        /// The await stack of a coroutine. A loop that crashes records one such event per coroutine, before any
        /// cancellation is delivered; it is also recorded when a reader requests it.
        Frames {
            /// The coroutine.
            coro: CoroId,
            /// Its await stack.
            stack: Stack,
        }
        /// A loop crashed.
        Crash {
            /// The loop.
            id as "loop": LoopId,
            /// Everything that failed, was cancelled or did not stop properly; the original error first.
            failures: Vec<Failure>,
        }
        /// A log event, or a span's field (`tracing`).
        Log {
            /// The coroutine it happened in, 0 for none.
            coro: CoroId,
            /// `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE`; [`FIELD`] for a field of the coroutine itself.
            level: String,
            /// Where it comes from: a module path, or the name of the field's span.
            target: String,
            /// The text.
            message: String,
            /// Structured fields, in order.
            fields: Vec<(String, String)> => optional,
        }
        /// A line that the program printed, if the output goes to a regular file or is captured by a live view.
        Output {
            /// 1 for stdout, or for both if they go to one file; 2 for stderr.
            stream: u8,
            /// The line, as a terminal shows it.
            text: String,
            /// Time at which it was printed, which may precede the events recorded before it; 0 for the time of the
            /// event.
            printed: u64 => optional,
        }
        /// A message of tinyio itself: a warning, never an error of the program.
        Diag {
            /// The coroutine it is about, 0 for none.
            coro: CoroId,
            /// One sentence.
            text: String,
        }
        /// A picture of a program that is not recorded begins: the tasks that its memory had at one moment. They follow
        /// as a checkpoint. Nothing is known of the time between two pictures.
        Picture {
            /// Its number, from 1.
            number: u64,
            /// How long the program was stopped for it, in nanoseconds, 0 if it was not.
            stopped: u64 => optional,
        }
        /// These coroutines of a picture can never go on, by proof.
        Finding {
            /// The reason: `never_woken`, `lock_cycle`, `unpolled_holder` or `waits_on_dead`.
            reason: String,
            /// The coroutines.
            coros: Vec<CoroId>,
            /// One sentence.
            text: String,
            /// The facts that it follows from, one sentence each.
            proof: Vec<String>,
        }
        /// Events are missing here.
        Lost {
            /// How many, 0 if that is not known.
            events: u64,
            /// The reason: `lapped` (this reader was too slow), `dropped` (the recorder could not keep up), `cut` (the
            /// file ends early), `missing` (`seq` has a gap), `damaged` (the data cannot be decoded).
            why: String,
        }
    }
}

/// The level of a [`Kind::Log`] that is a field of the coroutine itself. Of each name, the latest value is valid.
pub const FIELD: &str = "FIELD";

impl Kind {
    /// Returns the fields of a coroutine that this event records, as `span.name` and value; empty for any other event.
    pub fn recorded_fields(&self) -> impl Iterator<Item = (String, String)> {
        let (target, fields) = match self {
            Kind::Log { level, target, fields, .. } if level == FIELD => (target.as_str(), &fields[..]),
            _ => ("", &[][..]),
        };
        let name = move |name: &str| if target.is_empty() { name.to_owned() } else { format!("{target}.{name}") };
        fields.iter().map(move |(field, value)| (name(field), value.clone()))
    }
}

tagged! {
    /// The target a coroutine waits on.
    #[derive(PartialOrd, Ord)]
    Target {
        /// Another coroutine.
        1 coro Coro(id: CoroId),
        /// An event, lock, semaphore or barrier.
        2 res Res(id: ResId),
        /// A function on a thread.
        3 thread Thread(id: ThreadId),
        /// A timer, due at this time of the stream.
        4 timer Timer(due: u64),
        /// A loop nested in this coroutine (`isolate`).
        5 loop Loop(id: LoopId),
        /// Its next turn: `yield_now`.
        6 turn Turn,
        /// A future that tinyio does not know.
        7 external External,
    }

    /// The source of a wake.
    Waker {
        /// A coroutine: it ended, or it woke the other one from its own step.
        1 coro Coro(id: CoroId),
        /// An event, lock, semaphore or barrier.
        2 res Res(id: ResId),
        /// A function on a thread ended.
        3 thread Thread(id: ThreadId),
        /// Its timer.
        4 timer Timer,
        /// The coroutine itself: `yield_now`, or a future that woke itself.
        5 own Own,
        /// The loop, to deliver a cancellation.
        6 cancel Cancel,
        /// Another thread, or a waker that tinyio cannot trace.
        7 external External,
        /// A worker, outside of any coroutine that is recorded.
        8 loop Loop(id: LoopId),
    }
}

choices! {
    /// State of a live coroutine.
    State {
        /// In the queue.
        ready Ready,
        /// Being polled.
        running Running,
        /// Waiting.
        waiting Waiting,
    }

    /// How a coroutine or thread ended. The names are those of `tinyio::FailureKind`.
    Outcome {
        /// With a value.
        ok Ok,
        /// With an error.
        error Error,
        /// It panicked.
        panic Panic,
        /// It returned its `CancelledError`, or was dropped while it awaited a foreign future.
        cancelled Cancelled,
        /// It did not return its `CancelledError` when cancelled.
        improper Improper,
        /// It was scheduled and never ran.
        never_started NeverStarted,
        /// In a way that is not known, as of a task that had ended when the memory of the program was read.
        unknown Unknown,
    }

    /// How a loop was started.
    LoopMode {
        /// `Loop::run`
        run Run,
        /// `Loop::drive`
        drive Drive,
        /// `isolate`
        isolate Isolate,
        /// No loop of tinyio: the futures of other runtimes around which the program has put `observe`. Several of
        /// them can run at once, each in a worker.
        observed Observed,
        /// No loop of tinyio: a thread that polls or wakes such futures. They belong to the loop `observed`;
        /// [`Kind::Moved`] states in which worker they run. If one polls another, both run in it.
        worker Worker,
    }

    /// How a loop ended.
    LoopOutcome {
        /// All coroutines are done.
        ok Ok,
        /// With a crash.
        crashed Crashed,
        /// It was dropped before it finished.
        dropped Dropped,
    }

    /// What a resource is.
    ResKind {
        /// `Event`
        event Event,
        /// `Lock`
        lock Lock,
        /// `Semaphore`
        semaphore Semaphore,
        /// `Barrier`
        barrier Barrier,
        /// A channel of tokio or async-channel, of pictures alone.
        channel Channel,
    }
}

/// One member of a crash: a coroutine or a thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// How it failed.
    pub kind: Outcome,
    /// The coroutine (the one that stands for it, if it is a thread), 0 if none.
    pub coro: CoroId,
    /// The thread, 0 if it is none.
    pub thread: ThreadId,
    /// Its name.
    pub name: String,
    /// The name that the program gave the coroutine; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub given_name: String,
    /// The error, the panic's message, or what it answered; one line or more.
    pub message: String,
    /// The error's type, where it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error_type: String,
    /// The error's sources, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The await path from the root to the place of the error.
    pub trace: Vec<TraceSite>,
    /// The await stack: from before anything was cancelled; for the failing coroutine, from when its error was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<Stack>,
    /// Its recorded fields (`tracing`), as `span.field` and the newest value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// Native frames of the failing step, innermost first, without those of the runtime: captured where the error was
    /// made, or, if the last line of `trace` is [`last_await`](TraceSite::last_await), where the future returned it to
    /// the loop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backtrace: Vec<TraceSite>,
    /// The backtrace that the error carries itself (`anyhow`, `eyre`), innermost first: where it was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error_backtrace: Vec<TraceSite>,
}

impl Failure {
    /// Whether it is unknown where the error was made: then the last line of the trace is the last known await.
    pub fn is_last_await(&self) -> bool {
        self.trace.last().is_some_and(|site| site.last_await)
    }
}

/// The members of a crash as JSON, to be kept or sent without a trace around them.
pub fn crash_to_json(failures: &[Failure]) -> String {
    serde_json::to_string(failures).expect("every key is text, and nothing else in it can fail")
}

/// Reads what [`crash_to_json`] wrote.
///
/// # Errors
///
/// If the text is something else; says at which line and column.
pub fn crash_from_json(text: &str) -> Result<Vec<Failure>, serde_json::Error> {
    serde_json::from_str(text)
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceSite {
    /// The coroutine, 0 if none.
    #[serde(default)]
    pub coro: CoroId,
    /// Function or coroutine.
    pub name: String,
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 where unknown.
    pub column: u32,
    /// The error was made later, at an unknown place. This is the place where its coroutine was last suspended, or the
    /// last known place of the coroutine (where it was made, if it was never suspended).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last_await: bool,
}

/// Where a coroutine stands, and with which values: its await stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// Root first.
    pub frames: Vec<Frame>,
    /// One sentence that says what is missing and how to get it, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// The coroutine was in the middle of a step: the place is that of its last suspension.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mid_step: bool,
}

/// One level of an await stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// The function, as a Rust path: `crawl::fetch`, `async block 0 in crawl::main`.
    pub function: String,
    /// File, absolute where that is known; empty where unknown.
    #[serde(default)]
    pub file: String,
    /// Line of the `.await`; 0 where unknown.
    #[serde(default)]
    pub line: u32,
    /// Column, 0 where unknown (debug info does not hold it).
    #[serde(default)]
    pub column: u32,
    /// Source around the line, with line numbers, so that a trace can be shown without the source files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<(u32, String)>,
    /// Locals, in order of declaration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locals: Vec<Local>,
    /// Futures awaited concurrently (`join!`, `select!`), each with a stack of its own. If not empty, this is the last
    /// frame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<Branch>,
    /// The frame is internal (of std, of tinyio, of a combinator) and hidden by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// A note on the frame, such as "not started".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One of several futures awaited concurrently.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// Its variable, such as `_fut0`, or its index.
    pub name: String,
    /// Root first.
    pub frames: Vec<Frame>,
}

/// A local variable of a suspended function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
    /// How far the value can be relied on; empty if nothing is known against it (see "Limits of local variables" in the
    /// guide of `tinyio-rt`). Several are separated by commas.
    ///
    /// | mark | the value |
    /// |---|---|
    /// | `moved`, `moved in part` | is not there, or some of its fields are not: moved, dropped or not initialised |
    /// | `may be moved` | may have been |
    /// | `at the last await` | is that of the last suspension; the coroutine has run since |
    /// | `as it began` | is that of the beginning of the step in which the function was called first |
    /// | `mid-step` | is that of the last suspension, or the step that was going on had set it |
    /// | `at the error` | is that of the moment at which the error was made |
    /// | `as passed` | is the argument of this name: no later binding is kept |
    /// | `shadowed, older binding shown` | is of an older binding: the later one is not kept over the await |
    /// | `shadowed, not described` | is left out: nothing says which binding it is |
    /// | `one of several bindings` | is of one that optimised code keeps, and nothing says which |
    /// | `by its iterator` | is what the iterator of its `for` loop gave last: the variable itself is not kept |
    /// | `not kept over the await` | is left out: the variable of a `for` loop is not used any more |
    /// | `iterator of the for loop` | is of a variable that the compiler declares, which the source does not have |
    /// | `may be of a macro` | is of a binding that hides another, or that is not found in the function's text |
    /// | `outer binding` | is of the binding that one of a macro may hide |
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mark: String,
}

/// A value, as text and as a tree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// One line, as `{:?}` prints it, bounded; `…` where it was cut.
    pub text: String,
    /// Its type, as a Rust path.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub type_name: String,
    /// Fields, elements, entries: they can be unfolded and addressed by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<(String, Value)>,
    /// The coroutine this value is a handle of, 0 for none.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub coro: CoroId,
}

/// First line of a trace file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always `tinyio`.
    pub trace: String,
    /// Version of the format: [`VERSION`].
    pub version: u32,
    /// The program's name.
    pub program: String,
    /// Its process id.
    pub pid: u32,
    /// Wall clock at `at == 0`, in nanoseconds since 1970 (UTC).
    pub started: u64,
    /// Working directory at the start: places are relative to it or to where the crate was built.
    #[serde(default)]
    pub directory: String,
    /// The thread that runs the loops.
    #[serde(default)]
    pub thread: String,
    /// Further names with masked values, with commas between them: see [`Secrets`](crate::secrets::Secrets).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secrets: String,
}

/// Prefix of the text of a [`Kind::Diag`] about a coroutine that was made and dropped without having been scheduled.
/// The coroutine's name follows, then `, made at` and the place.
pub const NEVER_AWAITED: &str = "never awaited: ";

/// A step of this length, in nanoseconds, is long: no other coroutine of the loop runs meanwhile. The lint
/// `blocks-loop` counts such steps, and the recorder measures the time without the processor for them.
pub const LONG_STEP: u64 = 10_000_000;

/// Version of the trace format. It changes when a reader of an older version would misunderstand a newer file; new
/// kinds and new fields do not change it.
pub const VERSION: u32 = 1;
