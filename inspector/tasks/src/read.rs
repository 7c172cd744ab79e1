//! From a process to a picture.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tinyio_events::event::{Frame, Stack};
use tinyio_frames::{Copied, Frames, Limits, Parts};

use crate::copy::{self, Copy};
use crate::core_file::Core;
use crate::picture::{Picture, Runtime, State, Task};
use crate::process;
use crate::stop::stopped;
use crate::tokio::{Edges, Hit, Kinds, List, scan};

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

const ROOTS: &str = "futures of `block_on`, as that of `#[tokio::main]`, are in no list of tasks and are not shown";

/// Memory at a moment.
struct Moment {
    copied: Rc<Copied>,
    /// Addresses in the stacks of threads.
    stacks: Vec<u64>,
    left_out: u64,
    stopped: Option<Duration>,
    /// The system's monotonic clock, if it is known.
    now: Option<Duration>,
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
    let Core { pid, regions, files, stacks, cut } = Core::open(path)?;
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
        let (copied, stacks) = (copied.clone(), stacks.clone());
        Ok(Moment { copied, stacks, left_out: 0, stopped: None, now: None })
    })
}

/// Finds out what there is to read, and reads it as of a moment.
fn picture(
    mut frames: Frames,
    pid: u32,
    options: &Options,
    notes: Vec<String>,
    mut next: impl FnMut(&mut Frames) -> Result<Moment, String>,
) -> Result<Picture, String> {
    if let Some(limits) = &options.limits {
        frames = frames.with_limits(limits.clone());
    }
    let program = frames.program().unwrap_or_default();
    let kinds = Kinds::find(&mut frames)?;
    if kinds.all.is_empty() {
        return Err(format!(
            "{program} (process {pid}) has no tasks of tokio: it does not use tokio, or spawns no tasks"
        ));
    }
    if kinds.layout.is_none() || kinds.vtables.is_empty() {
        return Err(format!("{program}: this version of tokio lays out its tasks in a way that is not known"));
    }
    let mut tries = 0;
    let (moment, hits, lists) = loop {
        let moment = next(&mut frames)?;
        let hits = scan(&kinds, &moment.copied, &moment.stacks);
        let lists = List::all(&kinds, &mut frames, &hits);
        tries += 1;
        // Another moment of a core file is the same.
        let is_last = tries == TRIES || moment.stopped.is_none();
        if is_last || lists.iter().all(|list| list.is_whole) {
            break (moment, hits, lists);
        }
    };
    let mut reading = Reading { pid, options, frames, kinds, moment, edges: Edges::default(), notes };
    Ok(reading.picture(program, &hits, lists))
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
    let (copy, stacks, time) = if options.no_stop {
        let threads = process::threads(pid).unwrap_or_default();
        let stacks = threads.iter().filter_map(|thread| process::stack_pointer(pid, *thread)).collect();
        (Copy::take(pid)?, stacks, None)
    } else {
        let done = stopped(pid, |threads| {
            let stacks: Vec<u64> = threads.iter().filter_map(|thread| thread.stack).collect();
            (Copy::take(pid), stacks)
        })?;
        let (copy, stacks) = done.value;
        (copy?, stacks, Some(done.time))
    };
    let left_out = copy.left_out;
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).ok().map(Duration::from);
    Ok(Moment { copied: Rc::new(copy.into_copied()), stacks, left_out, stopped: time, now })
}

struct Reading<'o> {
    pid: u32,
    options: &'o Options,
    frames: Frames,
    kinds: Kinds,
    moment: Moment,
    edges: Edges,
    notes: Vec<String>,
}

/// A task that is certainly there.
struct Found {
    hit: Hit,
    runtime: usize,
    is_listed: bool,
}

impl Reading<'_> {
    fn picture(&mut self, program: String, hits: &[Hit], lists: Vec<List>) -> Picture {
        self.notes.append(&mut self.kinds.notes);
        let (mut runtimes, found) = self.members(hits, lists);
        let changed = self.changed(&found);
        let numbers: HashMap<u64, (u64, usize)> = found.iter().map(|found| self.number(&found.hit)).collect();
        let mut tasks: Vec<Task> = Vec::with_capacity(found.len());
        for found in &found {
            tasks.push(self.task(found, changed.contains(&found.hit.header), &numbers));
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
        self.notes.push(ROOTS.into());
        Picture {
            schema: 1,
            program,
            pid: self.pid,
            runtimes,
            tasks,
            left_out: 0,
            notes: std::mem::take(&mut self.notes),
            stopped: self.moment.stopped,
            copied: self.moment.copied.bytes(),
        }
    }

    /// The tasks that are there: those in lists, and of the others those that cannot be in one.
    fn members(&mut self, hits: &[Hit], lists: Vec<List>) -> (Vec<Runtime>, Vec<Found>) {
        let mut runtimes: Vec<Runtime> = Vec::new();
        let mut found: Vec<Found> = Vec::new();
        let mut seen: HashSet<u64> = HashSet::new();
        let mut owners: HashMap<u64, usize> = HashMap::new();
        if lists.iter().any(|list| !list.is_whole) {
            self.notes.push("a list of tasks was being changed when it was read: tasks may be missing".into());
        }
        for list in lists {
            let runtime = runtimes.len();
            runtimes.push(Runtime { kind: "tokio", flavor: list.flavor, tasks: 0 });
            owners.insert(list.id, runtime);
            for hit in list.tasks {
                if seen.insert(hit.header) {
                    found.push(Found { hit, runtime, is_listed: true });
                }
            }
        }
        let mut blocking = None;
        for hit in hits.iter().filter(|hit| !seen.contains(&hit.header)) {
            let kind = &self.kinds.all[hit.vtable.kind];
            if kind.is_worker {
                continue;
            }
            let runtime = match owners.get(&hit.owner) {
                _ if kind.is_blocking && hit.owner == 0 => *blocking.get_or_insert_with(|| {
                    runtimes.push(Runtime { kind: "tokio", flavor: "blocking", tasks: 0 });
                    runtimes.len() - 1
                }),
                // One that has ended has left its list, and stays until its handle is gone.
                Some(runtime) if hit.state.state() == State::Finished || self.options.no_stop => *runtime,
                _ => continue,
            };
            // On a stack there are copies of tasks from the time when they were made.
            let is_copy = hit.is_on_stack && hit.state.state() == State::Ready;
            if !is_copy && self.is_whole(hit) {
                found.push(Found { hit: *hit, runtime, is_listed: false });
            }
        }
        (runtimes, found)
    }

    /// Whether what is in a task goes with its state, where no list says that it is there.
    fn is_whole(&mut self, hit: &Hit) -> bool {
        let Some((stage, offset)) = self.kinds.all[hit.vtable.kind].stage else { return false };
        let Ok((variant, ..)) = self.frames.variant(stage, hit.header.wrapping_add(offset)) else { return false };
        match hit.state.state() {
            State::Finished => variant != "Running",
            State::Running => true,
            State::Ready | State::Waiting => variant == "Running",
        }
    }

    /// Without a stop: the tasks that have changed since.
    fn changed(&self, found: &[Found]) -> HashSet<u64> {
        let (true, Some(layout)) = (self.options.no_stop, &self.kinds.layout) else { return HashSet::new() };
        let addresses: Vec<u64> = found.iter().map(|found| found.hit.header.wrapping_add(layout.state)).collect();
        let now = copy::words(self.pid, &addresses);
        let changed = found.iter().zip(now).filter(|(found, now)| *now != Some(found.hit.state.0));
        changed.map(|(found, _)| found.hit.header).collect()
    }

    /// The header of a task, its number and its kind.
    fn number(&self, hit: &Hit) -> (u64, (u64, usize)) {
        let id = self.frames.word(hit.header.wrapping_add(hit.vtable.id)).unwrap_or(0);
        (hit.header, (id, hit.vtable.kind))
    }

    fn task(&mut self, found: &Found, has_changed: bool, numbers: &HashMap<u64, (u64, usize)>) -> Task {
        let Found { hit, runtime, is_listed } = found;
        let kind = &self.kinds.all[hit.vtable.kind];
        let (mut name, state) = (kind.name.clone(), hit.state.state());
        let mut notes = Vec::new();
        if !kind.or.is_empty() {
            notes.push(format!("or {}: another type with the same code", kind.or.join(", ")));
        }
        if has_changed {
            notes.push("it changed while it was read".to_owned());
        }
        if self.options.no_stop && !is_listed && !kind.is_blocking && state != State::Finished {
            notes.push("it was in no list when the lists were read".to_owned());
        }
        let is_blocking = kind.is_blocking;
        let (stack, parts) = if is_blocking { Default::default() } else { self.stack(hit, state) };
        // A type without a name of its own is called after what it holds.
        if let Some(first) = stack.frames.iter().find(|frame| !frame.hidden && frame.line > 0)
            && name.contains("dyn ")
        {
            name = first.function.clone();
        }
        let (mut waits_on, mut holds) = (Vec::new(), Vec::new());
        if !has_changed {
            if state == State::Waiting {
                let kinds = &self.kinds.all;
                let task = |header| numbers.get(&header).map(|(id, kind)| (*id, kinds[*kind].name.clone()));
                waits_on = self.edges.waits(&mut self.frames, &parts, &stack.frames, self.moment.now, task);
            }
            holds = self.edges.holds(&mut self.frames, &parts);
        }
        Task {
            id: self.number(hit).1.0,
            runtime: *runtime,
            name,
            state,
            waits_on,
            holds,
            never_woken: *is_listed && !has_changed && !self.options.no_stop && hit.state.has_no_waker(),
            stack,
            note: notes.join("; "),
        }
    }

    fn stack(&mut self, hit: &Hit, state: State) -> (Stack, Parts) {
        let missing = |why: &str| (Stack { missing: Some(why.into()), ..Stack::default() }, Parts::default());
        let kind = &self.kinds.all[hit.vtable.kind];
        let Some((stage, offset)) = kind.stage else {
            return missing("debug info does not describe where its future is: unknown layout");
        };
        let future = kind.future;
        let stage_at = hit.header.wrapping_add(offset);
        let Ok((variant, inner, offset)) = self.frames.variant(stage, stage_at) else {
            return missing("it holds neither a future nor an output: unknown layout");
        };
        if variant != "Running" {
            return Default::default();
        }
        let Some((ty, within)) = self.frames.member(inner, "__0") else { return missing("unknown layout") };
        if ty != future && self.frames.type_name(ty) != self.frames.type_name(future) {
            return missing("debug info and the function that polls it disagree on its type: unknown layout");
        }
        let address = stage_at.wrapping_add(offset).wrapping_add(within);
        let (mut stack, parts) = self.frames.stack_of_type(ty, address, state == State::Running, &|_| 0);
        trim(&mut stack.frames);
        (stack, parts)
    }
}

/// Says of each lock and semaphore that is waited on which tasks hold it.
fn name_holders(tasks: &mut [Task]) {
    let mut holders: HashMap<u64, Vec<String>> = HashMap::new();
    for task in tasks.iter() {
        for hold in &task.holds {
            holders.entry(hold.id).or_default().push(format!("#{} {}", task.id, task.name));
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
