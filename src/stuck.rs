//! Coroutines that can never go on: read [`Core::search`].
//!
//! Only run when nothing is ready, and only when it may find something: after somebody came to wait on a coroutine that had been scheduled
//! before, or for a lock (nothing else closes a cycle), or when nothing outside can wake anybody.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::core::{Core, warn};
use crate::crash::{Deadlock, Failure, Site};
use crate::name;
use crate::sync::Permits;
use crate::task::{Kind, Word, flag};

/// How long a loop that is mostly idle puts off a search, so that one that idles often does not search each time.
const PUT_OFF: Duration = Duration::from_millis(20);
/// Names in a list before the rest is counted.
const LISTED: usize = 20;

/// Somebody who waits for a lock, a semaphore or (without permits) a barrier.
pub(crate) struct Queuing {
    pub(crate) word: Word,
    pub(crate) permits: Option<Arc<Permits>>,
}

/// What to do when nobody is ready.
pub(crate) enum Idle {
    /// There is something to do after all.
    Again,
    /// Sleep until then, or until there is mail.
    Until(Option<u64>),
}

struct Node {
    word: Word,
    id: u64,
    site: Site,
    hope: Hope,
    /// Who waits for it and is woken by it.
    waiters: Vec<u32>,
    /// Whom it waits for, and for which lock of his.
    target: Option<(u32, Option<Arc<Permits>>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hope {
    /// Something other than a coroutine may wake it.
    Yes,
    /// Anybody who has hope may wake it: it waits at a barrier, or for a permit whose holder is not known.
    Shared,
    /// Only those it waits for.
    No,
}

impl Core {
    /// Nobody is ready, and the next timer is due at `until`.
    pub(crate) fn before_idling(&self, until: Option<u64>) -> Idle {
        if self.inbox().has_mail() || self.skip_time() {
            return Idle::Again;
        }
        let quiet = until.is_none() && self.jobs.get() == 0 && self.inbox().wakers() == 0;
        if !quiet {
            self.quiet_since.set(None);
        }
        let said = self.quiet_since.get().is_some_and(|(_, said)| said);
        if !(self.suspicious.get() || (quiet && !said)) {
            return Idle::Until(until);
        }
        // The cost of a search is spread over as many steps as it looks at coroutines, or over a while.
        let now = self.now();
        let soon = self.search_at.get().unwrap_or_else(|| now.saturating_add(PUT_OFF.as_nanos() as u64));
        if self.unsearched.get() < self.live() as u64 && now < soon {
            self.search_at.set(Some(soon));
            return Idle::Until(Some(until.map_or(soon, |until| until.min(soon))));
        }
        self.search_at.set(None);
        self.suspicious.set(false);
        self.unsearched.set(0);
        match self.search(quiet) {
            // Somebody outside woke a coroutine and dropped its waker meanwhile, in this order: what was found may not be true.
            Some(_) if self.inbox().has_mail() => {
                self.suspicious.set(true);
                Idle::Again
            }
            Some(failure) => {
                self.fail(failure);
                Idle::Again
            }
            None if quiet => Idle::Until(self.warn_of_quiet(now)),
            None => Idle::Until(until),
        }
    }

    /// Looks for a cycle, and, if nothing outside can wake anybody, for coroutines that only such can wake.
    ///
    /// Whoever may be woken from outside has hope, and so has whoever waits for one that has; a gathering waits for all, so it
    /// hopes for no more than the child it is at. Those without hope wait for others without hope: following them leads to a cycle, or to one
    /// whom nobody is going to wake.
    fn search(&self, quiet: bool) -> Option<Failure> {
        let mut nodes = self.nodes();
        let spread = |nodes: &mut Vec<Option<Node>>, mut hopeful: Vec<u32>| {
            while let Some(slot) = hopeful.pop() {
                let waiters =
                    nodes[slot as usize].as_mut().map(|node| std::mem::take(&mut node.waiters)).unwrap_or_default();
                for waiter in waiters {
                    if let Some(node) = nodes[waiter as usize].as_mut().filter(|node| node.hope != Hope::Yes) {
                        node.hope = Hope::Yes;
                        hopeful.push(waiter);
                    }
                }
            }
        };
        let with = |nodes: &[Option<Node>], hope: Hope| -> Vec<u32> {
            let slots = 0..nodes.len() as u32;
            slots.filter(|slot| nodes[*slot as usize].as_ref().is_some_and(|node| node.hope == hope)).collect()
        };
        let hopeful = with(&nodes, Hope::Yes);
        let any_hope = !hopeful.is_empty();
        spread(&mut nodes, hopeful);
        if any_hope {
            let shared = with(&nodes, Hope::Shared);
            for slot in &shared {
                if let Some(node) = &mut nodes[*slot as usize] {
                    node.hope = Hope::Yes;
                }
            }
            spread(&mut nodes, shared);
        }
        let stuck = |slot: u32| nodes[slot as usize].as_ref().filter(|node| node.hope != Hope::Yes);
        // Follow each who is stuck; a place seen in the same walk closes a cycle.
        let mut seen = vec![0_u32; nodes.len()];
        for first in 0..nodes.len() as u32 {
            let mut at = first;
            while let Some(node) = stuck(at)
                && seen[at as usize] == 0
            {
                seen[at as usize] = first + 1;
                let Some((next, _)) = &node.target else { break };
                at = *next;
                if seen[at as usize] == first + 1 && stuck(at).is_some() {
                    return Some(cycle(&nodes, at));
                }
            }
        }
        if !quiet {
            return None;
        }
        let mut waiting: Vec<&Node> = nodes.iter().flatten().filter(|node| node.hope != Hope::Yes).collect();
        if waiting.is_empty() {
            return None;
        }
        waiting.sort_by_key(|node| node.id);
        let text = format!(
            "nothing can go on: {} coroutines wait, and nobody is left to wake them:{}",
            waiting.len(),
            list(&waiting)
        );
        Some(Failure::of_loop(Deadlock(text).into(), waiting.iter().map(|node| node.site.clone()).collect()))
    }

    /// Everybody, and who waits for whom.
    fn nodes(&self) -> Vec<Option<Node>> {
        let wakers = self.inbox().wakers() > 0;
        let mut nodes: Vec<Option<Node>> = Vec::new();
        let mut edges: Vec<(Word, Word, Option<Arc<Permits>>)> = Vec::new();
        self.each_task(|task| {
            let slot = task.word().slot() as usize;
            if nodes.len() <= slot {
                nodes.resize_with(slot + 1, || None);
            }
            let at = task.place();
            let outside =
                !task.has(flag::STARTED) || task.has(flag::OUTSIDE | flag::EVENT) || (task.has(flag::CLONED) && wakers);
            nodes[slot] = Some(Node {
                word: task.word(),
                id: task.id(),
                hope: if outside { Hope::Yes } else { Hope::No },
                site: Site {
                    name: format!("{} #{}", name::path(task.type_name()), task.id()),
                    file: at.file(),
                    line: at.line(),
                    column: at.column(),
                },
                waiters: Vec::new(),
                target: None,
            });
            edges.extend(task.waiters().into_iter().map(|waiter| (waiter, task.word(), None)));
        });
        let find = |nodes: &[Option<Node>], word: Word| {
            let slot = word.slot();
            nodes.get(slot as usize)?.as_ref().filter(|node| node.word == word.woken()).map(|_| slot)
        };
        for (_, Queuing { word, permits }) in self.queued.borrow().iter() {
            let holders = permits.as_ref().map(|permits| permits.holders()).unwrap_or_default();
            let known = !holders.is_empty() && holders.iter().all(|holder| find(&nodes, *holder).is_some());
            if known {
                edges.extend(holders.into_iter().map(|holder| (*word, holder, permits.clone())));
            } else if let Some(slot) = find(&nodes, *word)
                && let Some(node) = nodes[slot as usize].as_mut().filter(|node| node.hope == Hope::No)
            {
                node.hope = Hope::Shared;
            }
        }
        for (waiter, target, permits) in edges {
            if waiter.tag() != self.tag() {
                continue;
            }
            let (Some(from), Some(to)) = (find(&nodes, self.owner(waiter)), find(&nodes, target)) else { continue };
            if let Some(node) = &mut nodes[from as usize] {
                node.target.get_or_insert((to, permits));
                // Behind a foreign waker there may be anything.
                if waiter.kind() == Kind::Foreign {
                    node.hope = Hope::Yes;
                }
            }
            if waiter.kind() == Kind::Task
                && let Some(node) = &mut nodes[to as usize]
            {
                node.waiters.push(from);
            }
        }
        nodes
    }

    /// Everybody waits, some of them for events: somebody outside may set those, and may have been forgotten. Says so after a while;
    /// returns when to come back.
    fn warn_of_quiet(&self, now: u64) -> Option<u64> {
        let (since, said) = self.quiet_since.get().unwrap_or((now, false));
        let at = since.saturating_add(self.quiescent_warning.get().as_nanos() as u64);
        self.quiet_since.set(Some((since, said || now >= at)));
        if said {
            return None;
        }
        if now < at {
            // The search that leads here is not put off again.
            self.unsearched.set(u64::MAX / 2);
            return Some(at);
        }
        let nodes = self.nodes();
        let mut waiting: Vec<&Node> = nodes.iter().flatten().collect();
        waiting.sort_by_key(|node| node.id);
        warn(&format!(
            "all {} coroutines wait, and only an event that is set from outside can wake them:{}",
            waiting.len(),
            list(&waiting)
        ));
        None
    }
}

fn list(nodes: &[&Node]) -> String {
    let mut text = String::new();
    for Node { site: Site { name, file, line, column }, .. } in nodes.iter().take(LISTED) {
        let _ = write!(text, "\n  {name} at {file}:{line}:{column}");
    }
    if nodes.len() > LISTED {
        let _ = write!(text, "\n  and {} more", nodes.len() - LISTED);
    }
    text
}

/// Walks once around.
fn cycle(nodes: &[Option<Node>], first: u32) -> Failure {
    let mut sites = Vec::new();
    let mut text = String::new();
    let mut at = first;
    while let Some(node) = &nodes[at as usize]
        && let Some((next, permits)) = &node.target
    {
        let Site { name, file, line, column } = &node.site;
        let _ = match (permits, &nodes[*next as usize]) {
            (Some(permits), Some(holder)) => {
                let lock = permits.describe();
                write!(text, "\n  {name} waits for {lock}, held by {}, at {file}:{line}:{column}", holder.site.name)
            }
            (_, Some(target)) => write!(text, "\n  {name} waits for {} at {file}:{line}:{column}", target.site.name),
            (_, None) => Ok(()),
        };
        sites.push(node.site.clone());
        at = *next;
        if at == first {
            break;
        }
    }
    let head = match sites.len() {
        1 => "deadlock: a coroutine waits for itself:".to_owned(),
        n => format!("deadlock: {n} coroutines wait for each other:"),
    };
    Failure::of_loop(Deadlock(head + &text).into(), sites)
}
