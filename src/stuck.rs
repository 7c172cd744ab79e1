//! Coroutines that can never go on: read [`Core::search`].
//!
//! Only run when nothing is ready, and only when it may find something: after somebody came to wait on a coroutine that had been scheduled
//! before, or for a lock (nothing else closes a cycle), or when nothing outside can wake anybody.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::core::{Core, warn};
use crate::crash::{Deadlock, Failure, Site};
use crate::name;
use crate::sync::Permits;
use crate::task::{self, Kind, Word, flag};

/// How long a loop that is mostly idle puts off a search, so that one that idles often does not search each time.
const PUT_OFF: Duration = Duration::from_millis(20);
/// Names in a list before the rest is counted.
const LISTED: usize = 20;

/// Somebody who waits for something that is neither a coroutine nor a timer.
pub(crate) struct Queuing {
    pub(crate) word: Word,
    pub(crate) on: On,
}

/// What for.
pub(crate) enum On {
    /// A lock or a semaphore.
    Permits(Arc<Permits>),
    /// A barrier.
    Meeting,
    /// Whichever of these ends next: [`as_completed`](crate::as_completed).
    Any(Rc<RefCell<Vec<Word>>>),
}

/// What to do when nobody is ready.
pub(crate) enum Idle {
    /// There is something to do after all.
    Again,
    /// Sleep until then, or until there is mail.
    Until(Option<u64>),
}

/// The coroutines of a loop, and of the loops inside of it.
#[derive(Default)]
struct Nodes {
    /// By loop, and then by slot.
    all: Vec<Option<Node>>,
    /// Where the coroutines of each loop begin, by its tag.
    starts: HashMap<u32, usize>,
}

impl Nodes {
    fn find(&self, word: Word) -> Option<usize> {
        let index = self.starts.get(&word.tag())? + word.slot() as usize;
        self.all.get(index)?.as_ref().filter(|node| node.word == word.woken()).map(|_| index)
    }

    fn give_hope(&mut self, word: Word) {
        if let Some(node) = self.find(word).and_then(|index| self.all[index].as_mut()) {
            node.hope = Hope::Yes;
        }
    }
}

struct Node {
    word: Word,
    id: u64,
    site: Site,
    hope: Hope,
    /// Who waits for it and is woken by it.
    waiters: Vec<usize>,
    /// Whom it waits for, and for which lock of his.
    target: Option<(usize, Option<Arc<Permits>>)>,
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
        self.check_process();
        if self.failed() || self.inbox().has_mail() || self.skip_time() {
            return Idle::Again;
        }
        let quiet = until.is_none()
            && self.jobs.get() == 0
            && self.inbox().wakers() == 0
            && self.inside().iter().all(|(_, guest)| guest.inbox().wakers() == 0);
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
            Some(_) if self.inbox().has_mail() || self.inside().iter().any(|(_, guest)| guest.inbox().has_mail()) => {
                self.suspicious.set(true);
                Idle::Again
            }
            Some(failure) => {
                self.fail(failure);
                Idle::Again
            }
            // The loop around it knows more.
            None if quiet && !self.is_guest.get() => Idle::Until(self.warn_of_quiet(now)),
            None => Idle::Until(until),
        }
    }

    /// Looks for a cycle, and, if nothing outside can wake anybody, for coroutines that only such can wake.
    ///
    /// Whoever may be woken from outside has hope, and so has whoever waits for one that has; a gathering waits for all, so it
    /// hopes for no more than the child it is at. Those without hope wait for others without hope: following them leads to a cycle, or to one
    /// whom nobody is going to wake.
    fn search(&self, quiet: bool) -> Option<Failure> {
        let mut nodes = self.nodes().all;
        let spread = |nodes: &mut Vec<Option<Node>>, mut hopeful: Vec<usize>| {
            while let Some(index) = hopeful.pop() {
                let waiters = nodes[index].as_mut().map(|node| std::mem::take(&mut node.waiters)).unwrap_or_default();
                for waiter in waiters {
                    if let Some(node) = nodes[waiter].as_mut().filter(|node| node.hope != Hope::Yes) {
                        node.hope = Hope::Yes;
                        hopeful.push(waiter);
                    }
                }
            }
        };
        let with = |nodes: &[Option<Node>], hope: Hope| -> Vec<usize> {
            (0..nodes.len()).filter(|index| nodes[*index].as_ref().is_some_and(|node| node.hope == hope)).collect()
        };
        let hopeful = with(&nodes, Hope::Yes);
        let any_hope = !hopeful.is_empty();
        spread(&mut nodes, hopeful);
        if any_hope {
            let shared = with(&nodes, Hope::Shared);
            for index in &shared {
                if let Some(node) = &mut nodes[*index] {
                    node.hope = Hope::Yes;
                }
            }
            spread(&mut nodes, shared);
        }
        let stuck = |index: usize| nodes[index].as_ref().filter(|node| node.hope != Hope::Yes);
        // Follow each who is stuck; a place seen in the same walk closes a cycle.
        let mut seen = vec![0_usize; nodes.len()];
        for first in 0..nodes.len() {
            let mut at = first;
            while let Some(node) = stuck(at)
                && seen[at] == 0
            {
                seen[at] = first + 1;
                let Some((next, _)) = &node.target else { break };
                at = *next;
                if seen[at] == first + 1 && stuck(at).is_some() {
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
        let text = match waiting.len() {
            1 => "nothing can go on: a coroutine waits, and nobody is left to wake it:".to_owned(),
            n => format!("nothing can go on: {n} coroutines wait, and nobody is left to wake them:"),
        } + &list(&waiting);
        Some(Failure::of_loop(Deadlock(text).into(), waiting.iter().map(|node| node.site.clone()).collect()))
    }

    /// Something happened that may have closed a cycle, also one through the loops around this one.
    pub(crate) fn suspect(&self) {
        self.suspicious.set(true);
        if self.is_guest.get() {
            task::each(|core| core.suspicious.set(true));
        }
    }

    /// The loops that coroutines of this one drive, and the loops inside of those, with the coroutine that drives each.
    fn inside(&self) -> Vec<(Word, Rc<Core>)> {
        let guests = |core: &Core| -> Vec<(Word, Rc<Core>)> {
            let guests = core.guests.borrow();
            guests.iter().filter_map(|(_, (host, guest))| Some((*host, guest.upgrade()?))).collect()
        };
        let mut all = guests(self);
        let mut at = 0;
        while let Some((_, guest)) = all.get(at) {
            let deeper = guests(guest);
            all.extend(deeper);
            at += 1;
        }
        all
    }

    /// The loop of this tag is none of those inside of here, and goes on meanwhile: it is not blocked by this one.
    fn runs_elsewhere(&self, nodes: &Nodes, tag: u32) -> bool {
        let blocked = || !self.is_guest.get() && task::find_tag(tag, |core| core.is_some());
        !nodes.starts.contains_key(&tag) && !blocked()
    }

    /// Everybody, also inside of the loops in here, and who waits for whom.
    fn nodes(&self) -> Nodes {
        let inside = self.inside();
        let mut nodes = Nodes::default();
        let mut edges: Vec<(Word, Word, Option<Arc<Permits>>)> = Vec::new();
        let cores = || std::iter::once(self).chain(inside.iter().map(|(_, guest)| &**guest));
        for core in cores() {
            let start = nodes.all.len();
            nodes.starts.insert(core.tag(), start);
            let wakers = core.inbox().wakers() > 0;
            core.slots.each(|task| {
                let index = start + task.word().slot() as usize;
                if nodes.all.len() <= index {
                    nodes.all.resize_with(index + 1, || None);
                }
                let at = task.place();
                let outside = !task.has(flag::STARTED)
                    || task.has(flag::OUTSIDE | flag::EVENT)
                    || (task.has(flag::CLONED) && wakers)
                    // Who is around this loop runs on while it waits, unless nobody is who drives it: then it blocks the thread.
                    || (task.has(flag::ABOVE) && self.is_guest.get());
                nodes.all[index] = Some(Node {
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
                task.each_waiter(|waiter| edges.push((waiter, task.word(), None)));
            });
        }
        for core in cores() {
            for (_, Queuing { word, on }) in core.queued.borrow().iter() {
                let permits = match on {
                    On::Permits(permits) => Some(permits.clone()),
                    On::Meeting => None,
                    On::Any(others) => {
                        let others = others.borrow();
                        edges.extend(others.iter().map(|other| (*word, *other, None)));
                        if others.iter().any(|other| self.runs_elsewhere(&nodes, other.tag())) {
                            nodes.give_hope(*word);
                        }
                        continue;
                    }
                };
                let holders = permits.as_ref().map(|permits| permits.holders()).unwrap_or_default();
                let known = !holders.is_empty() && holders.iter().all(|holder| nodes.find(*holder).is_some());
                let elsewhere = match permits {
                    Some(_) => holders.iter().any(|holder| self.runs_elsewhere(&nodes, holder.tag())),
                    None => self.is_guest.get(),
                };
                if known {
                    edges.extend(holders.into_iter().map(|holder| (*word, holder, permits.clone())));
                } else if let Some(node) = nodes.find(*word).and_then(|index| nodes.all[index].as_mut())
                    && node.hope == Hope::No
                {
                    node.hope = if elsewhere { Hope::Yes } else { Hope::Shared };
                }
            }
        }
        for (host, guest) in &inside {
            // One that is being cancelled ends, one in which nobody is has ended.
            if guest.failed() || guest.live() == 0 {
                nodes.give_hope(*host);
            }
            // It waits until all have ended, or one of them fails.
            guest.slots.each(|task| edges.push((*host, task.word(), None)));
        }
        for (waiter, target, permits) in edges {
            let owner = match waiter.kind() {
                Kind::Foreign => cores().find(|core| core.tag() == waiter.tag()).map(|core| core.owner(waiter)),
                Kind::Task | Kind::Edge => Some(waiter),
            };
            let Some(owner) = owner.filter(|owner| !owner.is_none()) else { continue };
            let (Some(from), Some(to)) = (nodes.find(owner), nodes.find(target)) else { continue };
            if let Some(node) = &mut nodes.all[from] {
                node.target.get_or_insert((to, permits));
                // Behind a foreign waker there may be anything.
                if waiter.kind() == Kind::Foreign {
                    node.hope = Hope::Yes;
                }
            }
            if waiter.kind() == Kind::Task
                && let Some(node) = &mut nodes.all[to]
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
        let nodes = self.nodes().all;
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
fn cycle(nodes: &[Option<Node>], first: usize) -> Failure {
    let mut sites = Vec::new();
    let mut text = String::new();
    let mut at = first;
    while let Some(node) = &nodes[at]
        && let Some((next, permits)) = &node.target
    {
        let Site { name, file, line, column } = &node.site;
        let _ = match (permits, &nodes[*next]) {
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
