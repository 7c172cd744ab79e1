//! Pictures as the events of a recording, so that what reads recordings reads pictures too. Each picture is a
//! checkpoint: runtimes are its loops, tasks its coroutines.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use tinyio_events::event::{
    CoroId, Event, FIELD, Header, Kind, LoopId, LoopMode, NameId, Outcome, ResId, ResKind, SiteId, State as CoroState,
    Target, VERSION,
};

use crate::check::{Findings, check};
use crate::names::{address, variables};
use crate::picture::{Picture, Runtime, State, Task, Wait, WaitKind};

/// The events of several pictures of one program.
#[derive(Debug, Default)]
pub struct Recording {
    next: u64,
    pictures: u64,
    names: HashMap<String, NameId>,
    sites: HashMap<(String, u32), SiteId>,
    /// Resources by address: they have the same number in each picture.
    resources: HashMap<u64, ResId>,
    /// The names that were given to resources, by address.
    variables: HashMap<u64, String>,
    /// Sentences that were in an earlier picture.
    notes: HashSet<String>,
}

/// The header of a recording of such pictures. `started` is the wall clock at time 0, in nanoseconds since 1970, 0 if
/// it is not known.
pub fn header(picture: &Picture, started: u64) -> Header {
    let program = Path::new(&picture.program).file_name().map(|name| name.to_string_lossy().into_owned());
    Header {
        trace: "tinyio".to_owned(),
        version: VERSION,
        program: program.unwrap_or_else(|| picture.program.clone()),
        pid: picture.pid,
        started,
        directory: picture.directory.clone(),
        ..Header::default()
    }
}

/// The kind of a resource that tasks wait on or hold; `None` if it is none.
fn resource(kind: WaitKind, id: u64) -> Option<ResKind> {
    match kind {
        _ if id == 0 => None,
        WaitKind::Lock => Some(ResKind::Lock),
        WaitKind::Semaphore => Some(ResKind::Semaphore),
        WaitKind::Event => Some(ResKind::Event),
        WaitKind::Channel => Some(ResKind::Channel),
        WaitKind::Task | WaitKind::Timer | WaitKind::Io | WaitKind::External => None,
    }
}

impl Recording {
    /// A message between two pictures.
    pub fn note(&mut self, text: &str, at: u64, sink: &mut dyn FnMut(Event)) {
        Adding { recording: self, at, sink }.put(Kind::Diag { coro: 0, text: text.to_owned() });
    }

    /// The events of the next picture, which was taken at this time.
    pub fn add(&mut self, picture: &Picture, at: u64, sink: &mut dyn FnMut(Event)) {
        self.pictures += 1;
        // Nothing is proved by a picture that is not of one moment.
        let findings = check(picture).unwrap_or(Findings { schema: 1, findings: Vec::new() }).findings;
        let mut adding = Adding { recording: self, at, sink };
        let numbers = numbers(&picture.tasks);
        let stopped = picture.stopped.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        adding.put(Kind::Picture { number: adding.recording.pictures, stopped });
        adding.put(Kind::Checkpoint { coros: picture.tasks.len() as u64, left_out: picture.left_out as u64 });
        adding.runtimes(&picture.runtimes);
        for (task, coro) in picture.tasks.iter().zip(&numbers) {
            adding.task(task, *coro);
        }
        variables(&picture.tasks, &mut adding.recording.variables);
        adding.resources(&picture.tasks);
        for (task, coro) in picture.tasks.iter().zip(&numbers) {
            adding.edges(task, *coro);
        }
        for (_, coro) in picture.tasks.iter().zip(&numbers).filter(|(task, _)| task.state == State::Finished) {
            adding.put(Kind::End { coro: *coro, outcome: Outcome::Unknown });
        }
        for finding in findings {
            let (reason, coros) = (finding.kind.word().to_owned(), finding.tasks);
            adding.put(Kind::Finding { reason, coros, text: finding.text, proof: finding.proof });
        }
        for note in &picture.notes {
            if adding.recording.notes.insert(note.clone()) {
                adding.put(Kind::Diag { coro: 0, text: note.clone() });
            }
        }
        adding.put(Kind::CheckpointEnd {});
    }
}

/// The numbers of the coroutines: those of the tasks. Two runtimes may number on their own; then a task of the second
/// one has another number.
fn numbers(tasks: &[Task]) -> Vec<CoroId> {
    let mut seen: HashSet<CoroId> = HashSet::from([0]);
    let mut numbers = Vec::with_capacity(tasks.len());
    for task in tasks {
        let mut number = task.id;
        while !seen.insert(number) {
            number = number.wrapping_add(1 << 56);
        }
        numbers.push(number);
    }
    numbers
}

/// A picture whose events are being made.
struct Adding<'a> {
    recording: &'a mut Recording,
    at: u64,
    sink: &'a mut dyn FnMut(Event),
}

impl Adding<'_> {
    fn put(&mut self, kind: Kind) {
        let seq = self.recording.next;
        self.recording.next += 1;
        (self.sink)(Event { seq, at: self.at, kind });
    }

    fn name(&mut self, text: &str) -> NameId {
        if let Some(id) = self.recording.names.get(text) {
            return *id;
        }
        let id = self.recording.names.len() as NameId + 1;
        self.recording.names.insert(text.to_owned(), id);
        self.put(Kind::Name { id, text: text.to_owned() });
        id
    }

    /// The line at which a task stands.
    fn site(&mut self, task: &Task) -> SiteId {
        let Some(frame) = task.place() else { return 0 };
        let place = (frame.file.clone(), frame.line);
        if let Some(id) = self.recording.sites.get(&place) {
            return *id;
        }
        let id = self.recording.sites.len() as SiteId + 1;
        let (file, line) = place.clone();
        self.recording.sites.insert(place, id);
        self.put(Kind::Site { id, file, line, column: 0 });
        id
    }

    fn runtimes(&mut self, runtimes: &[Runtime]) {
        let name = |runtime: &Runtime| format!("{} {}", runtime.kind, runtime.flavor);
        for (index, runtime) in runtimes.iter().enumerate() {
            let id = index as LoopId + 1;
            let alike = runtimes.iter().filter(|other| name(other) == name(runtime)).count();
            let text = if alike == 1 { name(runtime) } else { format!("{} {id}", name(runtime)) };
            let text = self.name(&text);
            self.put(Kind::LoopState { id, parent: 0, mode: LoopMode::Run, since: self.at });
            self.put(Kind::Named { what: Target::Loop(id), name: text });
        }
    }

    fn task(&mut self, task: &Task, coro: CoroId) {
        let name = self.name(&task.name);
        let state = match task.state {
            State::Running => CoroState::Running,
            State::Ready => CoroState::Ready,
            State::Waiting | State::Finished => CoroState::Waiting,
        };
        let in_loop = task.runtime as LoopId + 1;
        self.put(Kind::CoroState { coro, in_loop, parent: 0, name, site: 0, state, since: self.at });
        if !task.stack.frames.is_empty() || task.stack.missing.is_some() {
            self.put(Kind::Frames { coro, stack: task.stack.clone() });
        }
        if !task.note.is_empty() {
            let fields = vec![("note".to_owned(), task.note.clone())];
            let (target, message) = (String::new(), String::new());
            self.put(Kind::Log { coro, level: FIELD.to_owned(), target, message, fields });
        }
    }

    /// What tasks wait on or hold; locks and semaphores that no task has to do with are not known.
    fn resources(&mut self, tasks: &[Task]) {
        let mut seen = HashSet::new();
        for task in tasks {
            let held = task.holds.iter().map(|hold| (hold.kind, hold.id));
            for (kind, id) in held.chain(task.waits_on.iter().map(|wait| (wait.kind, wait.id))) {
                let address = address(task, kind, id);
                let Some(what) = resource(kind, address).filter(|_| seen.insert(address)) else { continue };
                let next = self.recording.resources.len() as ResId + 1;
                let res = *self.recording.resources.entry(address).or_insert(next);
                let variable = self.recording.variables.get(&address).cloned();
                let name = self.name(&variable.unwrap_or_else(|| format!("at {address:#x}")));
                // How many permits a semaphore has is not known.
                let size = u64::from(what == ResKind::Lock);
                self.put(Kind::ResNew { res, what, size, site: 0, name });
            }
        }
    }

    /// What a task holds and waits on. What a single wait is for that has no number is what the stack shows.
    fn edges(&mut self, task: &Task, coro: CoroId) {
        for hold in task.holds.iter().filter(|hold| resource(hold.kind, hold.id).is_some()) {
            let res = self.recording.resources[&hold.id];
            self.put(Kind::Hold { res, coro, site: 0 });
        }
        let targets: Vec<Target> = task.waits_on.iter().map(|wait| self.target(task, wait)).collect();
        if targets.iter().all(|on| *on == Target::External) {
            return;
        }
        let site = self.site(task);
        for on in targets {
            self.put(Kind::Wait { coro, on, site });
        }
    }

    fn target(&self, task: &Task, wait: &Wait) -> Target {
        match (wait.kind, wait.due) {
            _ if wait.is_uncertain => Target::External,
            (WaitKind::Task, _) => Target::Coro(wait.id),
            (WaitKind::Timer, Some(due)) => Target::Timer(self.at.saturating_add_signed(due)),
            (kind, _) if resource(kind, wait.id).is_some() => {
                Target::Res(self.recording.resources[&address(task, kind, wait.id)])
            }
            _ => Target::External,
        }
    }
}
