//! From a process to a picture.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tinyio_events::event::{Frame, Stack, number};
use tinyio_frames::{Copied, Frames, Limits, Parts};

use crate::async_task::{self, Executor};
use crate::copy::{self, Copy};
use crate::core_file::Core;
use crate::edges::{Edges, is_chain};
use crate::picture::{Picture, Runtime, State, Task};
use crate::process;
use crate::roots::{Root, Thread};
use crate::row::{Future, Row};
use crate::stop::stopped;
use crate::tinyio::{self, Loop};
use crate::tokio::{self, Hit, List};
use crate::versions;

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Do not stop the program: what changes meanwhile is marked.
    pub no_stop: bool,
    /// The bounds of each stack, if not those of the environment.
    pub limits: Option<Limits>,
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
    let frames = Frames::of_process(pid);
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
    picture(Frames::of_core(regions, files), pid, &options, notes, |_| {
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
    if let Some(limits) = &options.limits {
        frames = frames.with_limits(limits.clone());
    }
    let program = frames.program().unwrap_or_default();
    let tokio = tokio::Kinds::find(&mut frames)?;
    let mut async_task = async_task::Kinds::find(&mut frames)?;
    let tinyio = tinyio::Kinds::find(&mut frames)?;
    if !tokio.all.is_empty() && (tokio.layout.is_none() || tokio.vtables.is_empty()) {
        let why = "this version of tokio lays out its tasks in a way that is not known";
        if async_task.all.is_empty() {
            return Err(format!("{program}: {why}"));
        }
        async_task.notes.push(why.into());
    }
    let mut tries = 0;
    let (moment, seen) = loop {
        let moment = next(&mut frames)?;
        let hits = tokio::scan(&tokio, &moment.copied, &moment.stacks);
        let (lists, unknown_schedulers) = List::all(&tokio, &mut frames, &hits);
        let (executors, unknown_executors) = Executor::all(&async_task, &mut frames, &moment.copied);
        let loops = Loop::all(&tinyio, &mut frames, &moment.threads);
        let seen = Seen { hits, lists, unknown_schedulers, executors, unknown_executors, loops };
        tries += 1;
        // Another moment of a core file is the same.
        let is_last = tries == TRIES || moment.stopped.is_none();
        if is_last || seen.is_whole() {
            break (moment, seen);
        }
    };
    let edges = Edges::default();
    notes.extend(versions::untried(&mut frames));
    let mut reading = Reading { pid, options, frames, tokio, async_task, tinyio, moment, edges, notes };
    let has_loops = !reading.tinyio.all.is_empty();
    let has_kinds = !reading.tokio.all.is_empty() || !reading.async_task.all.is_empty() || has_loops;
    let picture = reading.picture(program, seen);
    if !has_kinds && picture.tasks.is_empty() {
        return Err(format!(
            "{} (process {pid}) has no tasks of tokio or async-executor, and no thread of it is in `block_on` or in a loop of tinyio",
            picture.program
        ));
    }
    Ok(picture)
}

/// What memory has at a moment.
struct Seen {
    hits: Vec<Hit>,
    lists: Vec<List>,
    /// Types of tokio's schedulers for which the layout of the task lists is not known.
    unknown_schedulers: BTreeSet<String>,
    executors: Vec<Executor>,
    /// How many types of tasks have an executor that is not known.
    unknown_executors: usize,
    /// `None` if debug info does not describe where they are.
    loops: Option<Vec<Loop>>,
}

impl Seen {
    /// No list was being changed.
    fn is_whole(&self) -> bool {
        self.lists.iter().all(|list| list.is_whole)
            && self.executors.iter().all(|executor| executor.is_whole)
            && self.loops.iter().flatten().all(|one| one.is_whole)
    }
}

/// Whether the system allows reading the memory.
fn reach(pid: u32, frames: &Frames) -> Result<(), String> {
    let mappings = process::mappings(pid)
        .map_err(|error| format!("process {pid} cannot be read: {error}; is it another user's? `sudo` may read it"))?;
    let first = mappings.iter().find(|mapping| mapping.is_constant());
    let first = first.ok_or_else(|| format!("process {pid} has no program loaded that can be read"))?;
    frames.reach(first.range.start)
}

fn moment(pid: u32, options: &Options) -> Result<Moment, String> {
    let (copy, stacks, threads, time, is_still) = if options.no_stop {
        let threads = process::threads(pid).unwrap_or_default();
        let stacks = threads.iter().filter_map(|thread| process::stack_pointer(pid, *thread)).collect();
        (Copy::take(pid)?, stacks, Vec::new(), None, false)
    } else {
        let done = stopped(pid, |threads| (Copy::take(pid), threads.to_vec()))?;
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
type Numbers = HashMap<u64, (u64, String)>;

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
        let (mut runtimes, mut left_out) = (Vec::new(), 0);
        let found = tokio::members(&self.tokio, &mut self.frames, &hits, lists, no_stop, &mut runtimes);
        let mut listed: Vec<(async_task::Found, usize)> = Vec::new();
        for executor in &executors {
            left_out += executor.unknown;
            listed.extend(executor.tasks.iter().map(|task| (*task, runtimes.len())));
            runtimes.push(Runtime { kind: "async-executor", flavor: "executor", tasks: 0 });
        }
        if unknown_executors > 0 {
            let whose = "types are run by an executor that is not known, and are not shown";
            self.notes.push(format!("tasks of async-task of {unknown_executors} {whose}"));
        }
        if !executors.is_empty() {
            self.notes.push("tasks of async-executor that have ended are in no list and are not shown".into());
        }
        let mut coroutines: Vec<(tinyio::Found, usize)> = Vec::new();
        match &loops {
            None => self.notes.push(NO_LOOPS.into()),
            Some(_) if no_stop && !self.tinyio.all.is_empty() => self.notes.push(LOOPS_RUN.into()),
            Some(_) => {}
        }
        let mut unknown_coroutines = 0;
        for one in loops.iter().flatten() {
            unknown_coroutines += one.unknown;
            coroutines.extend(one.tasks.iter().map(|task| (*task, runtimes.len())));
            runtimes.push(Runtime { kind: "tinyio", flavor: "loop", tasks: 0 });
        }
        let roots = Root::all(&mut self.frames, &self.moment.threads, &mut self.notes);
        let mut numbers = Numbers::new();
        numbers.extend(found.iter().map(|one| (one.hit.header, one.number(&self.tokio, &self.frames))));
        numbers.extend(listed.iter().map(|(one, _)| (one.header, one.number(&self.async_task))));
        numbers.extend(coroutines.iter().map(|(one, _)| (one.header, one.number(&self.tinyio))));
        let mut states: Vec<(u64, u64)> = Vec::new();
        if let Some(layout) = &self.tokio.layout {
            states.extend(found.iter().map(|one| (one.hit.header.wrapping_add(layout.state), one.hit.state.0)));
        }
        states.extend(listed.iter().map(|(one, _)| (one.state_at(&self.async_task), one.state.0)));
        let changed = self.changed(&states);

        self.share_values(found.len() + listed.len() + coroutines.len() + roots.len());
        let mut tasks: Vec<Task> = Vec::with_capacity(states.len());
        for one in &found {
            let row = one.row(&self.tokio, &mut self.frames, no_stop);
            tasks.push(self.task(row, changed.get(tasks.len()).copied().unwrap_or(false), &numbers));
        }
        for (one, runtime) in &listed {
            let row = one.row(&self.async_task, *runtime, no_stop);
            tasks.push(self.task(row, changed.get(tasks.len()).copied().unwrap_or(false), &numbers));
        }
        for (one, runtime) in &coroutines {
            tasks.push(self.task(one.row(&self.tinyio, *runtime), false, &numbers));
        }
        for root in &roots {
            let of = Runtime { kind: root.crate_name, flavor: "block_on", tasks: 0 };
            let runtime = runtimes.iter().position(|runtime| *runtime == of).unwrap_or(runtimes.len());
            if runtime == runtimes.len() {
                runtimes.push(of);
            }
            tasks.push(self.task(root.row(runtime), false, &numbers));
        }
        name_holders(&mut tasks);
        for task in &tasks {
            runtimes[task.runtime].tasks += 1;
        }
        tasks.sort_by_key(|task| (task.runtime, task.id));
        if self.moment.left_out > 0 {
            let part = "MB of its memory were not copied, and were read while it ran: values in them may be mixtures";
            self.notes.push(format!("{} {part}", self.moment.left_out >> 20));
        }
        if unknown_coroutines > 0 {
            self.notes
                .push(format!("{unknown_coroutines} coroutines of tinyio have types that are not known: left out"));
            left_out += unknown_coroutines;
        }
        if left_out > unknown_coroutines {
            let left_out = left_out - unknown_coroutines;
            self.notes.push(format!("{left_out} tasks of async-executor have types that are not known: left out"));
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

    /// Without a stop: which of the tasks with these state words, by address, have changed since.
    fn changed(&self, states: &[(u64, u64)]) -> Vec<bool> {
        if !self.options.no_stop {
            return Vec::new();
        }
        let addresses: Vec<u64> = states.iter().map(|(address, _)| *address).collect();
        let now = copy::words(self.pid, &addresses);
        states.iter().zip(now).map(|((_, then), now)| now != Some(*then)).collect()
    }

    fn task(&mut self, row: Row, has_changed: bool, numbers: &Numbers) -> Task {
        let Row { id, runtime, mut name, or, state, never_woken, future, mut notes, thread } = row;
        if !or.is_empty() {
            notes.insert(0, format!("or {}: another type with the same code", or.join(", ")));
        }
        if has_changed {
            notes.push("it changed while it was read".to_owned());
        }
        let (stack, parts) = self.stack(&future, state);
        // A type without a name of its own is called after what it holds.
        if let Some(first) = stack.frames.iter().find(|frame| !frame.hidden && frame.line > 0)
            && name.contains("dyn ")
        {
            name = first.function.clone();
        }
        let (mut waits_on, mut holds, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        if !has_changed {
            if state == State::Waiting {
                let task = |header| numbers.get(&header).cloned();
                waits_on = self.edges.waits(&mut self.frames, &parts, &stack.frames, self.moment.now, task);
            }
            (holds, shares) = self.edges.holds(&mut self.frames, &parts);
        }
        Task {
            id,
            thread,
            runtime,
            name,
            state,
            waits_on_nothing_else: waits_on.len() == 1 && stack.missing.is_none() && is_chain(&stack.frames),
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
            Future::At(ty, address) => {
                let (mut stack, parts) =
                    self.frames.stack_of_type(*ty, *address, state == State::Running, &|_| (0, ""));
                trim(&mut stack.frames);
                (stack, parts)
            }
            Future::None => Default::default(),
            Future::Unknown(why) => (Stack { missing: Some((*why).into()), ..Stack::default() }, Parts::default()),
        }
    }
}

/// Says of each lock and semaphore that is waited on which tasks hold it.
fn name_holders(tasks: &mut [Task]) {
    let mut holders: HashMap<u64, Vec<String>> = HashMap::new();
    for task in tasks.iter() {
        for hold in &task.holds {
            holders.entry(hold.id).or_default().push(format!("{} {}", number(task.id), task.name));
        }
    }
    for wait in tasks.iter_mut().flat_map(|task| &mut task.waits_on) {
        if let Some(holders) = holders.get(&wait.id).filter(|_| wait.id != 0) {
            let more = if holders.len() > 3 { ", …" } else { "" };
            wait.text.push_str(&format!(", held by {}{more}", holders[..holders.len().min(3)].join(", ")));
        }
    }
}

/// Takes source lines that are not of the await itself out of a stack: there are thousands of them.
fn trim(frames: &mut [Frame]) {
    for frame in frames {
        let line = frame.line;
        frame.source.retain(|(number, _)| *number == line);
        frame.branches.iter_mut().for_each(|branch| trim(&mut branch.frames));
    }
}
