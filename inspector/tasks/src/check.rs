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
//!   next holder and was not polled since. Writing waits on each task that holds the lock for reading, and reading on
//!   the wait to write that is before it in the queue. Or it is permits of a semaphore, a notification, a message or
//!   room in a channel, and all references to that, which it counts itself, are kept by tasks that can never go on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write;

use serde::Serialize;
use tinyio_events::event::number;
use tinyio_events::place::short_path;

use crate::names::{at, variables};
use crate::picture::{Hold, Picture, Role, Share, State, Task, Wait, WaitKind};

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

/// What is between a task and one that it waits on.
#[derive(Clone)]
enum Through {
    /// Its end.
    End,
    /// A lock, and the future that holds it, if it is one that the task keeps.
    Lock(u64, Option<String>),
    /// A place in the queue of a lock.
    Behind(u64),
    /// Permits of a semaphore.
    Permits(u64),
    /// A notification.
    Notification(u64),
    /// A message of a channel.
    Message,
    /// Room in a channel.
    Room,
}

/// What a task waits on and nothing else: it cannot go on before one of these tasks does.
#[derive(Clone)]
struct Need {
    any_of: Vec<usize>,
    through: Through,
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
    let mut names = HashMap::new();
    variables(tasks, &mut names);
    let facts = Facts { tasks, directory: &picture.directory, names };
    let mut dead: HashSet<usize> = (0..tasks.len()).filter(|index| tasks[*index].never_woken).collect();
    let mut findings = never_woken(&facts);
    let needs = stuck(&needs(tasks), &dead);
    for cycle in cycles(&needs) {
        let between = || cycle.iter().map(|index| &needs[index].through);
        let kind = match () {
            () if between().any(|one| matches!(one, Through::Lock(_, Some(_)))) => FindingKind::UnpolledHolder,
            () if between().any(|one| matches!(one, Through::Lock(..) | Through::Behind(_) | Through::Permits(_))) => {
                FindingKind::LockCycle
            }
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
        let proof = cycle.iter().map(|index| facts.waits(*index, &needs[index])).collect();
        let ids = cycle.iter().map(|index| tasks[*index].id).collect();
        findings.push(Finding { kind, certain: true, tasks: ids, text, proof });
        dead.extend(cycle);
    }
    findings.extend(waits_on_dead(&facts, &needs, dead));
    findings.sort_by_key(|finding| finding.kind);
    Ok(Findings { schema: 1, findings })
}

/// What each task needs: it does not go on before all of that is given.
fn needs(tasks: &[Task]) -> HashMap<usize, Vec<Need>> {
    // Two runtimes may number on their own: a number that two tasks have is none.
    let mut by_id: HashMap<u64, Option<usize>> = HashMap::new();
    for (index, task) in tasks.iter().enumerate() {
        by_id.entry(task.id).and_modify(|known| *known = None).or_insert(Some(index));
    }
    let numbered = |id: u64| by_id.get(&id).copied().flatten();
    let mut holders: HashMap<u64, Vec<(usize, &Hold)>> = HashMap::new();
    let mut sharers: HashMap<u64, Vec<(usize, &Share)>> = HashMap::new();
    // A type that is uncertain proves nothing.
    for (index, task) in tasks.iter().enumerate().filter(|(_, task)| task.note.is_empty()) {
        for hold in &task.holds {
            holders.entry(hold.id).or_default().push((index, hold));
        }
        for share in &task.shares {
            sharers.entry(share.memory.start).or_default().push((index, share));
        }
    }
    let mut needs: HashMap<usize, Vec<Need>> = HashMap::new();
    for (index, task) in tasks.iter().enumerate() {
        if task.state != State::Waiting || !task.waits_on_nothing_else || !task.note.is_empty() {
            continue;
        }
        let [wait] = &task.waits_on[..] else { continue };
        let held = |(to, hold): &(usize, &Hold)| Need {
            any_of: vec![*to],
            through: Through::Lock(hold.id, hold.future.clone()),
        };
        let found: Vec<Need> = match wait.kind {
            WaitKind::Task => {
                let need = |to: usize| Need { any_of: vec![to], through: Through::End };
                numbered(wait.id).map(need).into_iter().collect()
            }
            WaitKind::Lock => match holders.get(&wait.id).map_or(&[][..], |all| all) {
                [only] if only.1.is_exclusive || wait.needs_all => vec![held(only)],
                // Two holders of a lock that one at most can hold are a contradiction.
                all if wait.needs_all && all.iter().all(|(_, hold)| !hold.is_exclusive) => {
                    all.iter().map(held).collect()
                }
                // The queue is served in order: it does not go on before the wait to write does.
                _ => {
                    let need = |to: usize| Need { any_of: vec![to], through: Through::Behind(wait.id) };
                    wait.behind.and_then(numbered).map(need).into_iter().collect()
                }
            },
            WaitKind::Semaphore | WaitKind::Channel | WaitKind::Event => {
                // What has a message may be a part of the future itself, and no local.
                let of = task.shares.iter().find(|share| share.memory.contains(&wait.id));
                let start = of.map_or(wait.id, |share| share.memory.start);
                let all = sharers.get(&start).map_or(&[][..], |all| all);
                shared(index, wait, all).into_iter().collect()
            }
            _ => Vec::new(),
        };
        if !found.is_empty() {
            needs.insert(index, found);
        }
    }
    needs
}

/// The tasks that share what a task waits on, if they have all references to it: nothing else can make it go on. Of
/// those that it has itself it can make no use meanwhile.
fn shared(index: usize, wait: &Wait, all: &[(usize, &Share)]) -> Option<Need> {
    let of = |role: Role| all.iter().filter(move |(_, share)| share.role == role);
    let are_all = |role: Role| {
        let count = of(role).count() as u64;
        count > 0 && of(role).all(|(_, share)| share.total == Some(count))
    };
    let tasks = |roles: &[Role]| {
        let mut tasks: Vec<usize> =
            all.iter().filter(|(_, share)| roles.contains(&share.role)).map(|(of, _)| *of).collect();
        tasks.sort_unstable();
        tasks.dedup();
        if tasks != [index] {
            tasks.retain(|other| *other != index);
        }
        tasks
    };
    let first = all.first()?.1.memory.start;
    match wait.kind {
        WaitKind::Semaphore if are_all(Role::Reference) => {
            Some(Need { any_of: tasks(&[Role::Reference]), through: Through::Permits(wait.id) })
        }
        WaitKind::Event if are_all(Role::Reference) => {
            Some(Need { any_of: tasks(&[Role::Reference]), through: Through::Notification(wait.id) })
        }
        // A wait on a message has the address of the channel itself.
        WaitKind::Channel if !wait.needs_room && wait.id == first && are_all(Role::Sender) => {
            Some(Need { any_of: tasks(&[Role::Sender]), through: Through::Message })
        }
        // Also a sender makes room, if it gives up what it has reserved. Channels with several receivers do not have
        // the room at an address of its own.
        WaitKind::Channel
            if wait.needs_room && wait.id != first && are_all(Role::Sender) && of(Role::Receiver).count() == 1 =>
        {
            Some(Need { any_of: tasks(&[Role::Sender, Role::Receiver]), through: Through::Room })
        }
        _ => None,
    }
}

/// Of each task that can never go on, one need that is never given: it leads to others of them, or to some of those
/// that are dead.
fn stuck(needs: &HashMap<usize, Vec<Need>>, dead: &HashSet<usize>) -> HashMap<usize, Need> {
    let mut left: HashMap<usize, Vec<Need>> = needs.clone();
    loop {
        let (before, known): (usize, HashSet<usize>) = (left.len(), left.keys().copied().collect());
        let is_never = |need: &Need| need.any_of.iter().all(|to| known.contains(to) || dead.contains(to));
        left.retain(|_, needs| needs.iter().any(is_never));
        if left.len() == before {
            let first = |needs: Vec<Need>| needs.into_iter().find(|need| is_never(need));
            return left.into_iter().filter_map(|(index, needs)| Some((index, first(needs)?))).collect();
        }
    }
}

/// The cycles of the graph: tasks that are within reach of each other, and of themselves. Of each the first task first.
fn cycles(needs: &HashMap<usize, Need>) -> Vec<Vec<usize>> {
    let mut starts: Vec<usize> = needs.keys().copied().collect();
    starts.sort_unstable();
    let to = |index: usize| needs.get(&index).map_or(&[][..], |need| &need.any_of);
    // In the order in which all that is within reach of a task is done.
    let (mut done, mut met) = (Vec::new(), HashSet::new());
    for start in &starts {
        let mut path: Vec<(usize, usize)> = Vec::new();
        if met.insert(*start) {
            path.push((*start, 0));
        }
        while let Some((at, next)) = path.last_mut() {
            match to(*at).get(*next) {
                Some(target) => {
                    *next += 1;
                    if needs.contains_key(target) && met.insert(*target) {
                        path.push((*target, 0));
                    }
                }
                None => {
                    done.push(*at);
                    path.pop();
                }
            }
        }
    }
    let mut from: HashMap<usize, Vec<usize>> = HashMap::new();
    for start in &starts {
        to(*start).iter().for_each(|target| from.entry(*target).or_default().push(*start));
    }
    let (mut found, mut taken) = (Vec::new(), HashSet::new());
    for start in done.into_iter().rev() {
        let mut group = Vec::new();
        let mut next = vec![start];
        while let Some(at) = next.pop() {
            if taken.insert(at) {
                group.push(at);
                next.extend(from.get(&at).into_iter().flatten());
            }
        }
        if group.len() > 1 || group.iter().any(|at| to(*at).contains(at)) {
            found.push(in_order(group, to));
        }
    }
    found.sort_unstable();
    found
}

/// The tasks of a cycle in the order in which they wait, from the first one on.
fn in_order<'n>(mut group: Vec<usize>, to: impl Fn(usize) -> &'n [usize]) -> Vec<usize> {
    group.sort_unstable();
    let mut order: Vec<usize> = Vec::with_capacity(group.len());
    let mut left: BTreeSet<usize> = group.iter().copied().collect();
    let mut at = group.first().copied();
    while let Some(index) = at {
        left.remove(&index);
        order.push(index);
        at = to(index).iter().find(|target| left.contains(target)).or(left.first()).copied();
    }
    order
}

/// Tasks without a waker, those of one function at one line together.
fn never_woken(facts: &Facts<'_>) -> Vec<Finding> {
    let mut groups: BTreeMap<(&str, String), Vec<&Task>> = BTreeMap::new();
    for task in facts.tasks.iter().filter(|task| task.never_woken) {
        groups.entry((&task.name, facts.place(task))).or_default().push(task);
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
fn waits_on_dead(facts: &Facts<'_>, needs: &HashMap<usize, Need>, mut dead: HashSet<usize>) -> Vec<Finding> {
    let tasks = facts.tasks;
    let mut waiting: HashMap<usize, Vec<usize>> = HashMap::new();
    for (from, need) in needs {
        need.any_of.iter().for_each(|to| waiting.entry(*to).or_default().push(*from));
    }
    // The same order each time.
    waiting.values_mut().for_each(|all| all.sort_unstable());
    let mut groups: BTreeMap<(&str, String, &str), Vec<usize>> = BTreeMap::new();
    let mut next: Vec<usize> = dead.iter().copied().collect();
    next.sort_unstable();
    while let Some(target) = next.pop() {
        for index in waiting.get(&target).into_iter().flatten() {
            if dead.insert(*index) {
                next.push(*index);
                let (task, on) = (&tasks[*index], &tasks[target]);
                groups.entry((&task.name, facts.place(task), &on.name)).or_default().push(*index);
            }
        }
    }
    let finding = |((name, place, on), mut group): ((&str, String, &str), Vec<usize>)| {
        group.sort_unstable();
        let all = if group.len() == 1 { named(&tasks[group[0]]) } else { format!("{} tasks {name}", group.len()) };
        let text = format!("{all}{place} can never go on: what it waits on, {on}, can never go on");
        let text = if group.len() == 1 { text } else { text.replace("what it waits on", "what each waits on") };
        let proof = group.iter().take(PROOFS).map(|index| facts.waits(*index, &needs[index])).collect();
        let tasks = group.iter().map(|index| tasks[*index].id).collect();
        Finding { kind: FindingKind::WaitsOnDead, certain: true, tasks, text, proof }
    };
    groups.into_iter().map(finding).collect()
}

/// The number and name of a task.
fn named(task: &Task) -> String {
    format!("{} {}", number(task.id), task.name)
}

/// The tasks that findings are about, and how what they wait on is called.
struct Facts<'p> {
    tasks: &'p [Task],
    /// That of the program.
    directory: &'p str,
    /// Names of locks and the like, by address.
    names: HashMap<u64, String>,
}

impl Facts<'_> {
    /// Where a task waits.
    fn place(&self, task: &Task) -> String {
        let place = task.place().map(|frame| format!(" at {}:{}", short_path(&frame.file, self.directory), frame.line));
        place.unwrap_or_default()
    }

    /// What a task waits on, as a fact.
    fn waits(&self, index: usize, need: &Need) -> String {
        let task = &self.tasks[index];
        let waits = format!("{}{} waits on", number(task.id), self.place(task));
        let at = |id: &u64| at(*id, &self.names);
        let all = || {
            let mut names: Vec<String> = need.any_of.iter().take(PROOFS).map(|to| named(&self.tasks[*to])).collect();
            if need.any_of.len() > PROOFS {
                names.push(format!("{} more", need.any_of.len() - PROOFS));
            }
            names.join(" and ")
        };
        match &need.through {
            Through::End => format!("{waits} the end of {}", all()),
            Through::Lock(id, None) => format!("{waits} the lock {}, which {} holds", at(id), all()),
            Through::Lock(id, Some(future)) => {
                let keeper = if need.any_of == [index] { "it".to_owned() } else { all() };
                let what = format!("which {future} holds, a future that {keeper} keeps and does not poll");
                format!("{waits} the lock {}, {what}", at(id))
            }
            Through::Behind(id) => {
                format!("{waits} the lock {} to read, queued behind {}, which waits to write", at(id), all())
            }
            Through::Notification(id) => {
                format!("{waits} the notification {}, and what else refers to it is kept by {}", at(id), all())
            }
            Through::Permits(id) => {
                format!("{waits} the semaphore {}, and what else refers to it is kept by {}", at(id), all())
            }
            Through::Message => format!("{waits} a message of a channel, and all its senders are kept by {}", all()),
            Through::Room => {
                format!("{waits} room in a channel, and its receiver and other senders are kept by {}", all())
            }
        }
    }
}

impl Findings {
    /// The findings as text, with the notes of the picture that they are of.
    pub fn text(&self, picture: &Picture) -> String {
        self.text_of(&picture.program, picture.pid, (picture.tasks.len(), "task"), &picture.notes)
    }

    /// The findings as text, those of a process with so many of a kind, and these notes.
    pub fn text_of(&self, program: &str, pid: u32, (count, kind): (usize, &str), notes: &[String]) -> String {
        let mut out = String::new();
        let plural = if count == 1 { "" } else { "s" };
        let _ = writeln!(out, "{program} (process {pid}): {count} {kind}{plural}");
        if self.findings.is_empty() {
            let _ = writeln!(out, "no {kind} was found that certainly can never go on");
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
