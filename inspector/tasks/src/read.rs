//! From a process to a picture.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tinyio_events::event::{Stack, number};
use tinyio_frames::{Copied, Frames, Limits, NOT_ALLOWED, Parts};

use crate::async_task;
use crate::copy::{self, Copy};
use crate::core_file::Core;
use crate::edges::{Edges, Held};
use crate::names::{at, variables};
use crate::picture::{Picture, State, Task, Took, WaitKind};
use crate::process;
use crate::roots::{self, Thread};
use crate::row::{Found, Future, Row};
use crate::stop::stopped;
use crate::tinyio;
use crate::tokio::{self, Hit, List};
use crate::versions;
use crate::waits::{is_chain, is_known, waits};

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Do not stop the program: what changes meanwhile is marked.
    pub no_stop: bool,
    /// The bounds of each stack, if not those of the environment.
    pub limits: Option<Limits>,
    /// Folders in which debug info is looked for that the program has in a file of its own; for a core file the
    /// program, too.
    pub debug_folders: Vec<PathBuf>,
}

/// A stop may fall into the moment in which a list is changed; then the next one will not.
const TRIES: usize = 8;

const NO_ROOTS: &str =
    "futures of `block_on`, as that of `#[tokio::main]`, are not shown: they are read of a program that is stopped";

/// Values that a picture has at most, nested ones counted. They are shared out among all stacks.
const VALUES: usize = 1_000_000;
/// Most stacks have fewer.
const FEW: usize = 500;

const NO_LOOPS: &str = "coroutines of tinyio are not shown: debug info does not describe where its loops are";
const LOOPS_RUN: &str = "coroutines of tinyio are not shown: they are read of a program that is stopped";

/// Memory at a moment.
struct Moment {
    copied: Rc<Copied>,
    /// Addresses in the stacks of threads.
    stacks: Vec<u64>,
    /// The threads, if they were stopped.
    threads: Vec<Thread>,
    left_out: u64,
    stopped: Option<Duration>,
    /// No thread of the program ran meanwhile.
    is_still: bool,
    /// The system's monotonic clock, if it is known.
    now: Option<Duration>,
    /// The working directory, if it is known.
    directory: String,
}

/// Reads all tasks of a process.
///
/// # Errors
///
/// One sentence that says why not, and what to do.
pub fn take(pid: u32, options: &Options) -> Result<Picture, String> {
    process::check(pid)?;
    let frames = Frames::of_process(pid).with_debug_folders(options.debug_folders.clone());
    reach(pid, &frames)?;
    picture(frames, pid, options, Vec::new(), |frames| {
        let moment = moment(pid, options)?;
        frames.hold(moment.copied.clone());
        Ok(moment)
    })
}

/// Reads all tasks of a process from its core file. The program has to be where it was.
///
/// # Errors
///
/// One sentence that says why not, and what to do.
pub fn take_core(path: &Path, options: &Options) -> Result<Picture, String> {
    let Core { pid, regions, files, threads, cut } = Core::open(path)?;
    if files.is_empty() {
        let what = "does not say which files were mapped: it is damaged, or no core file of Linux";
        return Err(format!("{} {what}", path.display()));
    }
    let mut notes = Vec::new();
    if cut > 0 {
        notes.push(format!("the core file was cut: {} MB are missing, and tasks may be", cut.div_ceil(1 << 20)));
    }
    let copied = Rc::new(Copied::of(regions.clone()));
    let options = Options { no_stop: false, ..options.clone() };
    let frames = Frames::of_core(regions, files, options.debug_folders.clone());
    picture(frames, pid, &options, notes, |_| {
        let (copied, threads) = (copied.clone(), threads.clone());
        let stacks = threads.iter().filter_map(|thread| thread.registers.stack()).collect();
        let (stopped, now, directory) = (None, None, String::new());
        Ok(Moment { copied, stacks, threads, left_out: 0, stopped, is_still: true, now, directory })
    })
}

/// Finds out what there is to read, and reads it as of a moment.
fn picture(
    mut frames: Frames,
    pid: u32,
    options: &Options,
    mut notes: Vec<String>,
    mut next: impl FnMut(&mut Frames) -> Result<Moment, String>,
) -> Result<Picture, String> {
    // Of the source the line of the await alone: there are thousands of stacks.
    let mut took = Took::default();
    let begin = Instant::now();
    let limits = Limits { source: 0, ..options.limits.clone().unwrap_or_else(Limits::from_env) };
    frames = frames.with_limits(limits).with_leaves(is_known);
    let program = frames.program().unwrap_or_default();
    let tokio = tokio::find(&mut frames)?;
    let mut async_task = async_task::find(&mut frames)?;
    let tinyio = tinyio::find(&mut frames)?;
    if !tokio.all.is_empty() && (tokio.layout.is_none() || tokio.vtables.is_empty()) {
        let why = "this version of tokio lays out its tasks in a way that is not known";
        if async_task.all.is_empty() {
            return Err(format!("{program}: {why}"));
        }
        async_task.notes.push(why.into());
    }
    took.types = begin.elapsed();
    let mut tries = 0;
    let (moment, seen) = loop {
        let begin = Instant::now();
        let moment = next(&mut frames)?;
        took.memory += begin.elapsed();
        let begin = Instant::now();
        let hits = tokio::scan(&tokio, &moment.copied, &moment.stacks);
        let (lists, unknown_schedulers) = List::all(&tokio, &mut frames, &hits);
        let (executors, unknown_executors) = async_task::all(&async_task, &mut frames, &moment.copied);
        let loops = tinyio::all(&tinyio, &mut frames, &moment.threads);
        let seen = Seen { hits, lists, unknown_schedulers, executors, unknown_executors, loops };
        took.search += begin.elapsed();
        tries += 1;
        // Another moment of a core file is the same.
        let is_last = tries == TRIES || moment.stopped.is_none();
        if is_last || seen.is_whole() {
            break (moment, seen);
        }
    };
    let begin = Instant::now();
    let edges = Edges::default();
    notes.extend(versions::untried(&mut frames));
    let mut reading = Reading { pid, options, frames, tokio, async_task, tinyio, moment, edges, notes };
    let has_loops = !reading.tinyio.all.is_empty();
    let has_kinds = !reading.tokio.all.is_empty() || !reading.async_task.all.is_empty() || has_loops;
    let picture = reading.picture(program, seen);
    took.stacks = begin.elapsed();
    if !has_kinds && picture.tasks.is_empty() {
        return Err(format!(
            "{} (process {pid}) has no tasks of tokio or async-executor, and no thread of it is in `block_on` or in a loop of tinyio",
            picture.program
        ));
    }
    Ok(Picture { took, ..picture })
}

/// What memory has at a moment.
struct Seen {
    hits: Vec<Hit>,
    lists: Vec<List>,
    /// Types of tokio's schedulers for which the layout of the task lists is not known.
    unknown_schedulers: BTreeSet<String>,
    executors: Vec<Found>,
    /// How many types of tasks have an executor that is not known.
    unknown_executors: usize,
    /// `None` if debug info does not describe where they are.
    loops: Option<Vec<Found>>,
}

impl Seen {
    /// No list was being changed.
    fn is_whole(&self) -> bool {
        let others = self.executors.iter().chain(self.loops.iter().flatten());
        self.lists.iter().all(|list| list.is_whole) && others.into_iter().all(|found| found.is_whole)
    }
}

/// Whether the system allows reading the memory.
fn reach(pid: u32, frames: &Frames) -> Result<(), String> {
    let mappings = process::mappings(pid).map_err(|error| {
        let is_denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        let why = if is_denied { NOT_ALLOWED.into() } else { error.to_string() };
        format!("process {pid} cannot be read: {why}")
    })?;
    let first = mappings.iter().find(|mapping| mapping.is_constant());
    let first = first.ok_or_else(|| format!("process {pid} has no program loaded that can be read"))?;
    frames.reach(first.range.start)
}

fn moment(pid: u32, options: &Options) -> Result<Moment, String> {
    let room = Copy::prepare(pid)?;
    let (copy, stacks, threads, time, is_still) = if options.no_stop {
        let threads = process::threads(pid).unwrap_or_default();
        let stacks = threads.iter().filter_map(|thread| process::stack_pointer(pid, *thread)).collect();
        (room.take()?, stacks, Vec::new(), None, false)
    } else {
        let done = stopped(pid, |threads| (room.take(), threads.to_vec()))?;
        let (copy, threads) = done.value;
        let stacks = threads.iter().filter_map(|thread| thread.registers.stack()).collect();
        (copy?, stacks, threads, Some(done.time), done.is_complete)
    };
    let left_out = copy.left_out;
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).ok().map(Duration::from);
    let directory = process::directory(pid);
    let copied = Rc::new(copy.into_copied());
    Ok(Moment { copied, stacks, threads, left_out, stopped: time, is_still, now, directory })
}

struct Reading<'o> {
    pid: u32,
    options: &'o Options,
    frames: Frames,
    tokio: tokio::Kinds,
    async_task: async_task::Kinds,
    tinyio: tinyio::Kinds,
    moment: Moment,
    edges: Edges,
    notes: Vec<String>,
}

/// Number and name of each task, by the address of its header.
type Numbers = HashMap<u64, (u64, Arc<str>)>;

impl Reading<'_> {
    fn picture(&mut self, program: String, seen: Seen) -> Picture {
        self.notes.append(&mut self.tokio.notes);
        self.notes.append(&mut self.async_task.notes);
        self.notes.append(&mut self.tinyio.notes);
        if !seen.is_whole() {
            self.notes.push("a list of tasks was being changed when it was read: tasks may be missing".into());
        }
        let Seen { hits, lists, unknown_schedulers, executors, unknown_executors, loops } = seen;
        for scheduler in unknown_schedulers {
            self.notes
                .push(format!("tasks of {scheduler} are not shown: debug info does not describe where its list is"));
        }
        let no_stop = self.options.no_stop;
        if unknown_executors > 0 {
            let whose = "types are run by an executor that is not known, and are not shown";
            self.notes.push(format!("tasks of async-task of {unknown_executors} {whose}"));
        }
        if !executors.is_empty() {
            self.notes.push("tasks of async-executor that have ended are in no list and are not shown".into());
        }
        match &loops {
            None => self.notes.push(NO_LOOPS.into()),
            Some(_) if no_stop && !self.tinyio.all.is_empty() => self.notes.push(LOOPS_RUN.into()),
            Some(_) => {}
        }
        let mut found = tokio::members(&self.tokio, &mut self.frames, &hits, lists, no_stop);
        found.extend(executors);
        found.extend(loops.into_iter().flatten());
        found.extend(roots::all(&mut self.frames, &self.moment.threads, &mut self.notes));
        let rows = || found.iter().flat_map(|found| &found.tasks);
        let numbers: Numbers = rows().map(|row| (row.header, (row.id, row.name.clone()))).collect();
        let words: Vec<(u64, u64)> = rows().filter_map(|row| row.word).collect();
        let changed = self.changed(&words);
        self.share_values(rows().count());
        let mut tasks: Vec<Task> = Vec::with_capacity(numbers.len());
        let (mut runtimes, mut left_out) = (Vec::with_capacity(found.len()), 0);
        for Found { mut runtime, tasks: rows, unknown, .. } in found {
            for row in rows {
                let has_changed = row.word.is_some_and(|(address, _)| changed.contains(&address));
                tasks.push(self.task(row, runtimes.len(), has_changed, &numbers));
                runtime.tasks += 1;
            }
            if unknown > 0 {
                let what = format!("{unknown} tasks of a {} of {}", runtime.flavor, runtime.kind);
                self.notes.push(format!("{what} have types that are not known: left out"));
            }
            left_out += unknown;
            runtimes.push(runtime);
        }
        if self.edges.is_incomplete() {
            self.notes.push("tasks keep more values than are looked at: some that hold a lock are not named".into());
        }
        name_resources(&mut tasks);
        name_holders(&mut tasks);
        tasks.sort_by_key(|task| (task.runtime, task.id));
        if self.moment.left_out > 0 {
            let part = "MB of its memory were not copied, and were read while it ran: values in them may be mixtures";
            self.notes.push(format!("{} {part}", self.moment.left_out >> 20));
        }
        if no_stop {
            self.notes.push(NO_ROOTS.into());
        }
        Picture {
            schema: 1,
            program,
            pid: self.pid,
            runtimes,
            tasks,
            left_out,
            notes: std::mem::take(&mut self.notes),
            stopped: self.moment.stopped,
            is_of_one_moment: self.moment.is_still && self.moment.left_out == 0,
            directory: std::mem::take(&mut self.moment.directory),
            copied: self.moment.copied.bytes(),
            took: Took::default(),
        }
    }

    /// Bounds the values of each of so many stacks. Which locals are alive, and so what a task holds, is found out of
    /// all.
    fn share_values(&mut self, tasks: usize) {
        let each = VALUES / tasks.max(1);
        if each < Limits::default().total {
            self.frames.read_fewer_values(each);
        }
        if each < FEW {
            self.notes
                .push(format!("of {tasks} tasks at most {each} values each were read; the others are shown as `…`"));
        }
    }

    /// Without a stop: which of these words, with their addresses, have changed since.
    fn changed(&self, words: &[(u64, u64)]) -> HashSet<u64> {
        if !self.options.no_stop {
            return HashSet::new();
        }
        let addresses: Vec<u64> = words.iter().map(|(address, _)| *address).collect();
        let now = copy::words(self.pid, &addresses);
        words.iter().zip(now).filter(|((_, then), now)| *now != Some(*then)).map(|((address, _), _)| *address).collect()
    }

    fn task(&mut self, row: Row, runtime: usize, has_changed: bool, numbers: &Numbers) -> Task {
        let Row { id, name, or, state, never_woken, future, mut notes, thread, .. } = row;
        let mut name = name.to_string();
        if !or.is_empty() {
            notes.insert(0, format!("or {}: another type with the same code", or.join(", ")));
        }
        if has_changed {
            notes.push("it changed while it was read".to_owned());
        }
        let (stack, parts) = self.stack(&future, state);
        // A type without a name of its own is called after what it holds.
        if name.contains("dyn ") {
            let first = stack.frames.iter().find(|frame| !frame.hidden && frame.line > 0);
            name = match (first, &parts.leaves[..]) {
                (Some(first), _) => first.function.clone(),
                (None, [only]) => self.frames.future_name(only.ty),
                (None, _) => name,
            };
        }
        let (mut waits_on, mut holds, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        if !has_changed {
            Held { holds, shares, .. } = self.edges.holds(&mut self.frames, &parts);
            if state == State::Waiting {
                let task = |header| numbers.get(&header).cloned();
                waits_on = waits(&mut self.frames, &parts, &stack.frames, &shares, self.moment.now, task);
            }
        }
        let is_alone = matches!(&waits_on[..], [wait] if !wait.is_among_others);
        Task {
            id,
            thread,
            runtime,
            name,
            state,
            waits_on_nothing_else: is_alone && stack.missing.is_none() && is_chain(&stack.frames),
            waits_on,
            holds,
            never_woken: never_woken && !has_changed && self.moment.is_still && self.moment.left_out == 0,
            stack,
            note: notes.join("; "),
            shares,
        }
    }

    fn stack(&mut self, future: &Future, state: State) -> (Stack, Parts) {
        match future {
            Future::At(ty, address) => self.frames.stack_of_type(*ty, *address, state == State::Running, &|_| (0, "")),
            Future::None => Default::default(),
            Future::Unknown(why) => (Stack { missing: Some((*why).into()), ..Stack::default() }, Parts::default()),
        }
    }
}

/// Gives what is waited on and held the name of the variable that leads to it.
fn name_resources(tasks: &mut [Task]) {
    let mut names = HashMap::new();
    variables(tasks, &mut names);
    let name = |id: u64, text: &mut String| {
        if names.contains_key(&id) {
            *text = text.replacen(&format!("at {id:#x}"), &at(id, &names), 1);
        }
    };
    for task in tasks {
        task.waits_on.iter_mut().for_each(|wait| name(wait.id, &mut wait.text));
        task.holds.iter_mut().for_each(|hold| name(hold.id, &mut hold.text));
    }
}

/// Says of each lock and semaphore that is waited on which tasks hold it, and of each wait to read which wait to write
/// is before it in the queue.
fn name_holders(tasks: &mut [Task]) {
    let mut holders: HashMap<u64, Vec<String>> = HashMap::new();
    let mut queues: HashMap<u64, (u64, Option<u64>)> = HashMap::new();
    let mut names: HashMap<u64, String> = HashMap::new();
    for task in tasks.iter() {
        for hold in &task.holds {
            holders.entry(hold.id).or_default().push(format!("{} {}", number(task.id), task.name));
        }
        for wait in &task.waits_on {
            if let Some(queued) = wait.queued {
                queues.insert(queued.node, (queued.before, wait.needs_all.then_some(task.id)));
                if wait.needs_all {
                    names.insert(task.id, task.name.clone());
                }
            }
        }
    }
    for wait in tasks.iter_mut().flat_map(|task| &mut task.waits_on) {
        if let Some(holders) = holders.get(&wait.id).filter(|_| wait.id != 0) {
            let more = if holders.len() > 3 { ", …" } else { "" };
            wait.text.push_str(&format!(", held by {}{more}", holders[..holders.len().min(3)].join(", ")));
        }
        let Some(queued) = wait.queued.filter(|_| wait.kind == WaitKind::Lock && !wait.needs_all) else { continue };
        let mut before = queued.before;
        // A queue that was being changed may lead to itself.
        for _ in 0..queues.len() {
            let Some((next, writer)) = queues.get(&before) else { break };
            if let Some(writer) = writer {
                wait.behind = Some(*writer);
                let name = &names[writer];
                wait.text.push_str(&format!(", queued behind {} {name}, which waits to write", number(*writer)));
                break;
            }
            before = *next;
        }
    }
}
