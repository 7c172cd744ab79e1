//! Coroutines that wait for one another: read [`Core::search`].
//!
//! Only run when nothing is ready, and only after somebody came to wait on a coroutine that had been scheduled before: nothing else
//! can close a cycle.

use std::fmt::Write as _;
use std::time::Duration;

use crate::core::Core;
use crate::crash::{Deadlock, Failure, Site};
use crate::name;
use crate::task::{Kind, Word, flag};

/// How long a loop that is mostly idle puts off a search, so that one that idles often does not search each time.
const PUT_OFF: Duration = Duration::from_millis(20);

struct Node {
    word: Word,
    /// Something other than a coroutine may wake it: a timer, a thread, an event, somebody with its waker.
    hopeful: bool,
    site: Site,
    /// Who waits for it and is woken by it.
    waiters: Vec<u32>,
    /// Whom it waits for.
    target: Option<u32>,
}

impl Core {
    /// Nothing is ready: sleeps until `until` or until there is mail; before that, looks for coroutines that can never go on.
    pub(crate) fn idle(&self, until: Option<u64>) {
        if !self.suspicious.get() {
            return self.park(until);
        }
        // The cost of a search is spread over as many steps as it looks at coroutines.
        let soon = self.deadline(PUT_OFF);
        if self.unsearched.get() < self.live() as u64 && until.is_none_or(|until| until > soon) {
            self.park(Some(soon));
            if self.inbox().has_mail() {
                return;
            }
        } else if self.unsearched.get() < self.live() as u64 {
            return self.park(until);
        }
        self.suspicious.set(false);
        self.unsearched.set(0);
        match self.search() {
            Some(failure) => self.fail(failure),
            None => self.park(until),
        }
    }

    /// Looks for a cycle.
    ///
    /// Whoever may be woken from outside has hope, and so has whoever waits for one that has; a gathering waits for all, so it
    /// hopes for no more than the child it is at. Those without hope wait for others without hope: following them leads to a cycle.
    fn search(&self) -> Option<Failure> {
        let wakers = self.inbox().wakers() > 0;
        let mut nodes: Vec<Option<Node>> = Vec::new();
        let mut edges: Vec<(Word, Word)> = Vec::new();
        self.each_task(|task| {
            let slot = task.word().slot() as usize;
            if nodes.len() <= slot {
                nodes.resize_with(slot + 1, || None);
            }
            let at = task.place();
            nodes[slot] = Some(Node {
                word: task.word(),
                hopeful: !task.has(flag::STARTED) || task.has(flag::OUTSIDE) || (task.has(flag::CLONED) && wakers),
                site: Site {
                    name: format!("{} #{}", name::path(task.type_name()), task.id()),
                    file: at.file(),
                    line: at.line(),
                    column: at.column(),
                },
                waiters: Vec::new(),
                target: None,
            });
            edges.extend(task.waiters().into_iter().map(|waiter| (waiter, task.word())));
        });
        let find = |nodes: &[Option<Node>], word: Word| {
            let slot = word.slot();
            nodes.get(slot as usize)?.as_ref().filter(|node| node.word == word.woken()).map(|_| slot)
        };
        for (waiter, target) in edges {
            if waiter.tag() != self.tag() {
                continue;
            }
            let (Some(from), Some(to)) = (find(&nodes, self.owner(waiter)), find(&nodes, target)) else { continue };
            if let Some(node) = &mut nodes[from as usize] {
                node.target.get_or_insert(to);
                // Behind a foreign waker there may be anything.
                node.hopeful |= waiter.kind() == Kind::Foreign;
            }
            if waiter.kind() == Kind::Task
                && let Some(node) = &mut nodes[to as usize]
            {
                node.waiters.push(from);
            }
        }
        // Who waits for nothing that tinyio knows may be waiting for anything.
        let mut hopeful: Vec<u32> = Vec::new();
        for (slot, node) in nodes.iter_mut().enumerate() {
            if let Some(node) = node {
                node.hopeful |= node.target.is_none();
                if node.hopeful {
                    hopeful.push(slot as u32);
                }
            }
        }
        while let Some(slot) = hopeful.pop() {
            let waiters = nodes[slot as usize].as_mut().map(|node| std::mem::take(&mut node.waiters)).unwrap_or_default();
            for waiter in waiters {
                if let Some(node) = nodes[waiter as usize].as_mut().filter(|node| !node.hopeful) {
                    node.hopeful = true;
                    hopeful.push(waiter);
                }
            }
        }
        let stuck = |slot: u32| nodes[slot as usize].as_ref().filter(|node| !node.hopeful);
        let mut at = (0..nodes.len() as u32).find(|slot| stuck(*slot).is_some())?;
        // As many steps as there are coroutines lead into the cycle; then once around.
        for _ in 0..nodes.len() {
            at = stuck(at)?.target?;
        }
        let first = at;
        let mut cycle: Vec<Site> = Vec::new();
        loop {
            let node = stuck(at)?;
            cycle.push(node.site.clone());
            at = node.target?;
            if at == first {
                break;
            }
        }
        Some(Failure::of_loop(Deadlock(describe(&cycle)).into(), cycle))
    }
}

fn describe(cycle: &[Site]) -> String {
    if let [Site { name, file, line, column }] = cycle {
        return format!("deadlock: {name} waits for itself, at {file}:{line}:{column}");
    }
    let mut text = format!("deadlock: {} coroutines wait for each other:", cycle.len());
    for (n, Site { name, file, line, column }) in cycle.iter().enumerate() {
        let next = &cycle[(n + 1) % cycle.len()].name;
        let _ = write!(text, "{} {name} waits for {next} at {file}:{line}:{column}", if n == 0 { "" } else { "," });
    }
    text
}
