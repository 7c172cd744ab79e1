//! Tasks that can never go on, each with a proof.
//!
//! A task is reported only if nothing but ending it from outside, by aborting it or shutting its runtime down, can ever
//! make it go on:
//!
//! - It waits, and no waker of it exists: the only references to it are the list of its runtime and its handle, if that
//!   is kept.
//! - It waits on one thing and no other, through a chain of async functions without a combinator in between. That thing
//!   is a task that can never go on, or a lock that such a task certainly holds, or the waits form a cycle. A lock is
//!   certainly held by a task if dropping its suspended future would drop a guard of it, or another future that is the
//!   next holder and was not polled since. Writing waits on each task that holds the lock for reading.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;

use serde::Serialize;
use tinyio_events::event::number;

use crate::picture::{Hold, Picture, State, Task, WaitKind};

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
    /// The same, and a lock is held by a future that a task keeps and does not poll, because it awaits another one.
    UnpolledHolder,
    /// They wait on a task that can never go on, or on a lock that it holds.
    WaitsOnDead,
}

impl FindingKind {
    /// All of them.
    pub const ALL: [FindingKind; 4] =
        [FindingKind::NeverWoken, FindingKind::LockCycle, FindingKind::UnpolledHolder, FindingKind::WaitsOnDead];

    /// As in JSON.
    pub fn word(self) -> &'static str {
        match self {
            FindingKind::NeverWoken => "never_woken",
            FindingKind::LockCycle => "lock_cycle",
            FindingKind::UnpolledHolder => "unpolled_holder",
            FindingKind::WaitsOnDead => "waits_on_dead",
        }
    }
}

/// Proofs of one finding that are written out: tasks of one function at one line have the same.
const PROOFS: usize = 8;

/// What a task waits on and nothing else: it cannot go on before the other task does.
#[derive(Clone)]
struct Edge {
    to: usize,
    /// The lock that is between them, and the future that holds it, if it is one that the task keeps.
    lock: Option<(u64, Option<String>)>,
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
    let mut dead: HashSet<usize> = (0..tasks.len()).filter(|index| tasks[*index].never_woken).collect();
    let mut findings = never_woken(tasks);
    let edges = stuck(&edges(tasks), &dead);
    for cycle in cycles(&edges) {
        let locks = || cycle.iter().filter_map(|index| edges[index].lock.as_ref());
        let kind = match () {
            () if locks().any(|(_, future)| future.is_some()) => FindingKind::UnpolledHolder,
            () if locks().next().is_some() => FindingKind::LockCycle,
            () => FindingKind::WaitsOnDead,
        };
        let names: Vec<String> = cycle.iter().map(|index| named(&tasks[*index])).collect();
        let text = match (&names[..], kind) {
            ([only], FindingKind::UnpolledHolder) => {
                format!("{only} waits on a lock that is held by a future which it keeps and does not poll")
            }
            ([only], _) => format!("{only} waits on itself"),
            (names, FindingKind::UnpolledHolder) => {
                format!("{} wait on each other, through a future that is not polled", names.join(" and "))
            }
            (names, _) => format!("{} wait on each other", names.join(" and ")),
        };
        let proof = cycle.iter().map(|index| waits(tasks, *index, &edges[index])).collect();
        let ids = cycle.iter().map(|index| tasks[*index].id).collect();
        findings.push(Finding { kind, certain: true, tasks: ids, text, proof });
        dead.extend(cycle);
    }
    findings.extend(waits_on_dead(tasks, &edges, dead));
    findings.sort_by_key(|finding| finding.kind);
    Ok(Findings { schema: 1, findings })
}

/// The tasks that each task waits on: none of them goes on before all of those have.
fn edges(tasks: &[Task]) -> HashMap<usize, Vec<Edge>> {
    let by_id: HashMap<u64, usize> = tasks.iter().enumerate().map(|(index, task)| (task.id, index)).collect();
    let mut holders: HashMap<u64, Vec<(usize, &Hold)>> = HashMap::new();
    for (index, task) in tasks.iter().enumerate().filter(|(_, task)| task.note.is_empty()) {
        for hold in &task.holds {
            holders.entry(hold.id).or_default().push((index, hold));
        }
    }
    let mut edges: HashMap<usize, Vec<Edge>> = HashMap::new();
    for (index, task) in tasks.iter().enumerate() {
        // A type that is uncertain proves nothing.
        if task.state != State::Waiting || !task.waits_on_nothing_else || !task.note.is_empty() {
            continue;
        }
        let [wait] = &task.waits_on[..] else { continue };
        let edge = |to: usize, hold: &Hold| Edge { to, lock: Some((hold.id, hold.future.clone())) };
        let found: Vec<Edge> = match wait.kind {
            WaitKind::Task => by_id.get(&wait.id).map(|to| Edge { to: *to, lock: None }).into_iter().collect(),
            WaitKind::Lock => match holders.get(&wait.id).map_or(&[][..], |all| all) {
                [(to, hold)] if hold.is_exclusive || wait.needs_all => vec![edge(*to, hold)],
                // Two holders of a lock that one at most can hold are a contradiction.
                all if wait.needs_all && all.iter().all(|(_, hold)| !hold.is_exclusive) => {
                    all.iter().map(|(to, hold)| edge(*to, hold)).collect()
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        if !found.is_empty() {
            edges.insert(index, found);
        }
    }
    edges
}

/// Of each task that can never go on, one edge to another one, or to one of those that are dead. Those that have only
/// edges to tasks that may go on are left out.
fn stuck(edges: &HashMap<usize, Vec<Edge>>, dead: &HashSet<usize>) -> HashMap<usize, Edge> {
    let mut left: HashMap<usize, Vec<Edge>> = edges.clone();
    loop {
        let (before, known): (usize, HashSet<usize>) = (left.len(), left.keys().copied().collect());
        let may_matter = |edge: &Edge| known.contains(&edge.to) || dead.contains(&edge.to);
        left.retain(|_, edges| edges.iter().any(may_matter));
        if left.len() == before {
            let first = |edges: Vec<Edge>| edges.into_iter().find(|edge| may_matter(edge));
            return left.into_iter().filter_map(|(index, edges)| Some((index, first(edges)?))).collect();
        }
    }
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
        let proof = group.iter().take(PROOFS).map(|index| waits(tasks, *index, &edges[index])).collect();
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
fn waits(tasks: &[Task], index: usize, edge: &Edge) -> String {
    let (task, to) = (&tasks[index], &tasks[edge.to]);
    let waits = format!("{}{} waits on", number(task.id), place(task));
    match &edge.lock {
        None => format!("{waits} the end of {}", named(to)),
        Some((id, None)) => format!("{waits} the lock at {id:#x}, which {} holds", named(to)),
        Some((id, Some(future))) => {
            let keeper = if index == edge.to { "it".to_owned() } else { named(to) };
            format!("{waits} the lock at {id:#x}, which {future} holds, a future that {keeper} keeps and does not poll")
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
