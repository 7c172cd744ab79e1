//! What was found: runtimes, tasks, and what has to be known before it is believed.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;
use tinyio_events::event::{Frame, Stack};
use tinyio_events::place::{is_dependency, is_library};

/// All tasks of a program at a moment.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    /// Of the JSON.
    pub schema: u32,
    /// The file that the program was started from.
    pub program: String,
    /// The process.
    pub pid: u32,
    /// What runs tasks.
    pub runtimes: Vec<Runtime>,
    /// All tasks, by runtime and number.
    pub tasks: Vec<Task>,
    /// Tasks that were found and are not in `tasks`.
    pub left_out: usize,
    /// What is missing and how to get it, one sentence each.
    pub notes: Vec<String>,
    /// How long the program was stopped, `None` if it was not.
    #[serde(skip)]
    pub stopped: Option<Duration>,
    /// All of its memory is as it was at one moment.
    #[serde(skip)]
    pub is_of_one_moment: bool,
    /// Its working directory; empty if it is not known.
    #[serde(skip)]
    pub directory: String,
    /// Bytes of memory that were copied.
    #[serde(skip)]
    pub copied: u64,
    /// How long the parts of the reading took.
    #[serde(skip)]
    pub took: Took,
}

/// How long the parts of a reading took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// To find the functions and types of the runtimes, and the layouts of their tasks.
    pub types: Duration,
    /// To stop the program and copy its memory; all tries together.
    pub memory: Duration,
    /// To find the tasks in it.
    pub search: Duration,
    /// To read their states, stacks and locals, and what they wait on and hold.
    pub stacks: Duration,
}

/// What runs tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// `tokio` or `async-executor`; of futures of `block_on` the crate that has it, or `block_on`.
    pub kind: &'static str,
    /// `multi_thread`, `current_thread`, `local_set`, `blocking`; `executor`; `block_on`.
    pub flavor: &'static str,
    /// How many tasks it has.
    pub tasks: usize,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is being polled, or its function runs on a thread.
    Running,
    /// It was woken and is in a queue.
    Ready,
    /// It was polled and has not been woken since. Of a future of `block_on`: its thread does not poll it.
    Waiting,
    /// It has ended, and its handle is there.
    Finished,
}

/// One task.
#[derive(Clone, Debug, Serialize)]
pub struct Task {
    /// The number that the runtime gave it; of a task of async-executor and a future of `block_on`, which have none,
    /// its address.
    pub id: u64,
    /// Of a future of `block_on`, the thread that polls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<i32>,
    /// Its runtime: an index.
    pub runtime: usize,
    /// The function or type of its future.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// What it waits on.
    pub waits_on: Vec<Wait>,
    /// What it holds.
    pub holds: Vec<Hold>,
    /// It waits, and there is no waker of it anywhere.
    pub never_woken: bool,
    /// Its await stack.
    pub stack: Stack,
    /// What has to be known before the row is believed, one sentence; empty if it is simply true.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Its stack is a chain of async functions down to the one thing in `waits_on`, so that it waits on nothing else.
    #[serde(skip)]
    pub waits_on_nothing_else: bool,
    /// What its locals refer to and share with others.
    #[serde(skip)]
    pub shares: Vec<Share>,
}

impl Task {
    /// Where it stands: the innermost line of the program itself, or of a library if there is no other.
    pub fn place(&self) -> Option<&Frame> {
        let lines = || self.stack.frames.iter().filter(|frame| frame.line > 0);
        let own = lines().rfind(|frame| !is_dependency(&frame.file) && !is_library(&frame.file));
        own.or_else(|| lines().next_back())
    }
}

/// One thing that a task waits on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// What it is.
    pub kind: WaitKind,
    /// The task, or the address of the resource; 0 if there is none.
    pub id: u64,
    /// For a reader.
    pub text: String,
    /// The name that the resource itself has.
    #[serde(skip)]
    pub name: Option<String>,
    /// Of a timer: in how many nanoseconds after the picture it is due, if that is known; less than 0 if it is late.
    #[serde(skip)]
    pub due: Option<i64>,
    /// It ends only when none holds the resource.
    #[serde(skip)]
    pub needs_all: bool,
    /// Of a channel: it is on room, and not on a message.
    #[serde(skip)]
    pub needs_room: bool,
    /// Its place in the queue of a lock or semaphore of tokio.
    #[serde(skip)]
    pub queued: Option<Queued>,
    /// It is in a combinator, which may have others that are not known: it proves nothing.
    #[serde(skip)]
    pub is_among_others: bool,
    /// It may not be polled at all.
    #[serde(skip)]
    pub is_uncertain: bool,
    /// Of a wait to read, the task that is before it in the queue of the lock and waits to write.
    #[serde(skip)]
    pub behind: Option<u64>,
}

impl Wait {
    /// A wait of which nothing else is known.
    pub fn new(kind: WaitKind, id: u64, text: impl Into<String>) -> Wait {
        let text = text.into();
        Wait {
            kind,
            id,
            text,
            name: None,
            due: None,
            needs_all: false,
            needs_room: false,
            queued: None,
            behind: None,
            is_among_others: false,
            is_uncertain: false,
        }
    }
}

/// A place in a queue that is served in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// Its address.
    pub node: u64,
    /// The address of the one before it, 0 if it is the first.
    pub before: u64,
}

/// What a task waits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// A task's end.
    Task,
    /// A lock.
    Lock,
    /// Permits of a semaphore.
    Semaphore,
    /// A moment.
    Timer,
    /// A message of a channel, or room in one.
    Channel,
    /// A notification.
    Event,
    /// A socket or file.
    Io,
    /// Something that is not known.
    External,
}

/// One thing that a task holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// What it is.
    pub kind: WaitKind,
    /// The address of the resource, as in [`Wait::id`].
    pub id: u64,
    /// For a reader.
    pub text: String,
    /// The name that the resource itself has.
    #[serde(skip)]
    pub name: Option<String>,
    /// The future that holds it, if it is one that the task keeps beside those that it awaits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub future: Option<String>,
    /// Nothing else can hold it meanwhile.
    #[serde(skip)]
    pub is_exclusive: bool,
}

/// A reference of a local to memory that others refer to as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The memory.
    pub memory: Range<u64>,
    /// What the reference is.
    pub role: Role,
    /// How many references of this role there are at all, of a receiver how many senders; `None` if more may be made,
    /// or that is not known.
    pub total: Option<u64>,
}

/// What a reference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An `Arc`.
    Reference,
    /// A sender of a channel.
    Sender,
    /// The receiver of a channel.
    Receiver,
}
