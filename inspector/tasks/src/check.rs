//! Tasks that can never go on, each with a proof.
//!
//! A task is reported only if nothing but ending it from outside, by aborting it or shutting its runtime down, can ever
//! make it go on:
//!
//! - It waits, and no waker of it exists: the only references to it are the list of its runtime and its handle, if that
//!   is kept.
//! - It waits on one thing and no other, through a chain of async functions without a combinator in between. That thing
//!   is a task that can never go on, or a lock that such a task certainly holds, or the waits form a cycle. A lock is
//!   certainly held by a task if dropping its suspended future would drop a guard of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use serde::Serialize;
use tinyio_events::event::number;

use crate::picture::{Picture, State, Task, WaitKind};

/// What was found in a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Of the JSON.
    pub schema: u32,
    /// Empty if no task certainly can never go on.
    pub findings: Vec<Finding>,
}

/// Tasks that can never go on, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The reason.
    pub kind: FindingKind,
    /// What is not certain is not reported.
    pub certain: bool,
    /// Numbers of the tasks.
    pub tasks: Vec<u64>,
    /// One sentence.
    pub text: String,
    /// The facts that it follows from, one sentence each.
    pub proof: Vec<String>,
}

/// Why tasks can never go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// No waker of them exists.
    NeverWoken,
    /// They wait on each other, through at least one lock.
    LockCycle,
    /// They wait on a task that can never go on, or on a lock that it holds.
    WaitsOnDead,
}

impl FindingKind {
    /// All of them.
    pub const ALL: [FindingKind; 3] = [FindingKind::NeverWoken, FindingKind::LockCycle, FindingKind::WaitsOnDead];

    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            FindingKind::NeverWoken => "never_woken",
            FindingKind::LockCycle => "lock_cycle",
            FindingKind::WaitsOnDead => "waits_on_dead",
        }
    }
}

/// Proofs of one finding that are written out: tasks of one function at one line have the same.
const PROOFS: usize = 8;

/// What a task waits on and nothing else: another task, directly or through a lock.
#[derive(Clone, Copy)]
struct Edge {
    to: usize,
    is_lock: bool,
}

/// The tasks of a picture that can never go on.
///
/// # Errors
///
/// When the picture is not of one moment, and proves nothing: a sentence that says what to do.
pub fn check(picture: &Picture) -> Result<Findings, String> {
    if !picture.is_of_one_moment {
        return Err(format!(
            "{} (process {}) could not be copied at one moment, and nothing can be proven; a core file, as `gcore {}` \
             writes it, is of one moment",
            picture.program, picture.pid, picture.pid
        ));
    }
    let tasks = &picture.tasks;
    let edges = edges(tasks);
    let mut findings = never_woken(tasks);
    let mut dead: HashSet<usize> = (0..tasks.len()).filter(|index| tasks[*index].never_woken).collect();
    for cycle in cycles(&edges) {
        let has_lock = cycle.iter().any(|index| edges[index].is_lock);
        let kind = if has_lock { FindingKind::LockCycle } else { FindingKind::WaitsOnDead };
        let names: Vec<String> = cycle.iter().map(|index| named(&tasks[*index])).collect();
        let text = match &names[..] {
            [only] => format!("{only} waits on itself"),
            names => format!("{} wait on each other", names.join(" and ")),
        };
        let proof = cycle.iter().map(|index| waits(tasks, *index, edges[index])).collect();
        let ids = cycle.iter().map(|index| tasks[*index].id).collect();
        findings.push(Finding { kind, certain: true, tasks: ids, text, proof });
        dead.extend(cycle);
    }
    findings.extend(waits_on_dead(tasks, &edges, dead));
    findings.sort_by_key(|finding| finding.kind);
    Ok(Findings { schema: 1, findings })
}

/// What each task waits on, if it is another task and nothing else can make it go on.
fn edges(tasks: &[Task]) -> HashMap<usize, Edge> {
    let by_id: HashMap<u64, usize> = tasks.iter().enumerate().map(|(index, task)| (task.id, index)).collect();
    let mut holders: HashMap<u64, Vec<usize>> = HashMap::new();
    for (index, task) in tasks.iter().enumerate().filter(|(_, task)| task.note.is_empty()) {
        for hold in task.holds.iter().filter(|hold| hold.is_exclusive) {
            holders.entry(hold.id).or_default().push(index);
        }
    }
    let mut edges = HashMap::new();
    for (index, task) in tasks.iter().enumerate() {
        // A type that is uncertain proves nothing.
        if task.state != State::Waiting || !task.waits_on_nothing_else || !task.note.is_empty() {
            continue;
        }
        let [wait] = &task.waits_on[..] else { continue };
        let to = match wait.kind {
            WaitKind::Task => by_id.get(&wait.id).copied(),
            // Two holders of one lock are a contradiction.
            WaitKind::Lock => {
                holders.get(&wait.id).and_then(|all| if let [only] = all[..] { Some(only) } else { None })
            }
            _ => None,
        };
        edges.extend(to.map(|to| (index, Edge { to, is_lock: wait.kind == WaitKind::Lock })));
    }
    edges
}

/// The cycles of a graph in which each node has one edge at most.
fn cycles(edges: &HashMap<usize, Edge>) -> Vec<Vec<usize>> {
    let mut starts: Vec<usize> = edges.keys().copied().collect();
    starts.sort_unstable();
    let mut found = Vec::new();
    // The number of the walk that met a node.
    let mut met: HashMap<usize, usize> = HashMap::new();
    for start in starts {
        let mut at = start;
        while !met.contains_key(&at) {
            met.insert(at, start);
            match edges.get(&at) {
                Some(edge) => at = edge.to,
                None => break,
            }
        }
        // It came back to where it has been, and not to another walk.
        if met.get(&at) == Some(&start) && edges.contains_key(&at) {
            let mut cycle = vec![at];
            let mut next = edges[&at].to;
            while next != at {
                cycle.push(next);
                next = edges[&next].to;
            }
            found.push(cycle);
        }
    }
    found
}

/// Tasks without a waker, those of one function at one line together.
fn never_woken(tasks: &[Task]) -> Vec<Finding> {
    let mut groups: BTreeMap<(&str, String), Vec<&Task>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.never_woken) {
        groups.entry((&task.name, place(task))).or_default().push(task);
    }
    let finding = |((name, place), tasks): ((&str, String), Vec<&Task>)| {
        let all = if tasks.len() == 1 { named(tasks[0]) } else { format!("{} tasks {name}", tasks.len()) };
        let text = format!("{all}{place} can never go on: no waker exists");
        let fact = |task: &&Task| {
            let what = "waits, and nothing refers to it but the list of its runtime and its handle, if that is kept";
            format!("{} {what}", number(task.id))
        };
        let proof = tasks.iter().take(PROOFS).map(fact).collect();
        let tasks = tasks.iter().map(|task| task.id).collect();
        Finding { kind: FindingKind::NeverWoken, certain: true, tasks, text, proof }
    };
    groups.into_iter().map(finding).collect()
}

/// Tasks that wait on those that can never go on, or on others that do.
fn waits_on_dead(tasks: &[Task], edges: &HashMap<usize, Edge>, mut dead: HashSet<usize>) -> Vec<Finding> {
    let mut waiting: HashMap<usize, Vec<usize>> = HashMap::new();
    for (from, edge) in edges {
        waiting.entry(edge.to).or_default().push(*from);
    }
    let mut groups: BTreeMap<(&str, String, &str), Vec<usize>> = BTreeMap::new();
    let mut next: Vec<usize> = dead.iter().copied().collect();
    while let Some(target) = next.pop() {
        for index in waiting.get(&target).into_iter().flatten() {
            if dead.insert(*index) {
                next.push(*index);
                let (task, on) = (&tasks[*index], &tasks[target]);
                groups.entry((&task.name, place(task), &on.name)).or_default().push(*index);
            }
        }
    }
    let finding = |((name, place, on), mut group): ((&str, String, &str), Vec<usize>)| {
        group.sort_unstable();
        let all = if group.len() == 1 { named(&tasks[group[0]]) } else { format!("{} tasks {name}", group.len()) };
        let text = format!("{all}{place} can never go on: what it waits on, {on}, can never go on");
        let text = if group.len() == 1 { text } else { text.replace("what it waits on", "what each waits on") };
        let proof = group.iter().take(PROOFS).map(|index| waits(tasks, *index, edges[index])).collect();
        let tasks = group.iter().map(|index| tasks[*index].id).collect();
        Finding { kind: FindingKind::WaitsOnDead, certain: true, tasks, text, proof }
    };
    groups.into_iter().map(finding).collect()
}

/// The number and name of a task.
fn named(task: &Task) -> String {
    format!("{} {}", number(task.id), task.name)
}

/// Where a task waits.
fn place(task: &Task) -> String {
    task.place().map_or_else(String::new, |frame| format!(" at {}:{}", frame.file, frame.line))
}

/// What a task waits on, as a fact.
fn waits(tasks: &[Task], index: usize, edge: Edge) -> String {
    let (task, to) = (&tasks[index], &tasks[edge.to]);
    match edge.is_lock {
        false => format!("{}{} waits on the end of {}", number(task.id), place(task), named(to)),
        true => {
            let id = task.waits_on[0].id;
            format!("{}{} waits on the lock at {id:#x}, which {} holds", number(task.id), place(task), named(to))
        }
    }
}

impl Findings {
    /// The findings as text, with the notes of the picture that they are of.
    pub fn text(&self, picture: &Picture) -> String {
        self.text_of(&picture.program, picture.pid, picture.tasks.len(), &picture.notes)
    }

    /// The findings as text, those of a process with so many tasks, and these notes.
    pub fn text_of(&self, program: &str, pid: u32, tasks: usize, notes: &[String]) -> String {
        let mut out = String::new();
        let count = match tasks {
            1 => "1 task".to_owned(),
            count => format!("{count} tasks"),
        };
        let _ = writeln!(out, "{program} (process {pid}): {count}");
        if self.findings.is_empty() {
            let _ = writeln!(out, "no task was found that certainly can never go on");
        }
        for finding in &self.findings {
            let _ = writeln!(out, "\n{}", finding.text);
            for fact in &finding.proof {
                let _ = writeln!(out, "  {fact}");
            }
            if finding.tasks.len() > finding.proof.len() {
                let _ = writeln!(out, "  and so on: {} more", finding.tasks.len() - finding.proof.len());
            }
        }
        if !notes.is_empty() {
            out.push('\n');
        }
        for note in notes {
            let _ = writeln!(out, "note: {note}");
        }
        out
    }
}
