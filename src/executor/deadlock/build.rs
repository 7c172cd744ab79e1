//! From live tasks, loops inside and waits to the wait graph.
//!
//! What may wake a task from outside of the graph is decided here, in three places: [`Executor::is_wakeable`] for a
//! task by its own state (its flags are set by the await points), [`Executor::add_wait`] and [`Executor::add_resource`]
//! for what it waits for.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::executor::Executor;
use crate::executor::context::{self, LOOPS};
use crate::executor::deadlock::wait_graph::{Node, Slots, WaitGraph, Wakeable, What};
use crate::executor::waits::{On, Resource, Wait};
use crate::task::{Header, Kind, WakeToken, flag};

/// From a waiter to what it waits for.
type Edges = Vec<(WakeToken, WakeToken)>;

impl Executor {
    /// The loops that coroutines of this one drive, and the loops inside those, with the coroutine that drives each.
    pub(super) fn inside(&self) -> Vec<(WakeToken, Rc<Executor>)> {
        let guests = |executor: &Executor| -> Vec<(WakeToken, Rc<Executor>)> {
            let guests = executor.guests.borrow();
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

    /// Gives all coroutines, also of the loops inside this one, and what they wait for.
    pub(super) fn wait_graph(&self) -> WaitGraph {
        let inside = self.inside();
        let executors: Vec<&Executor> = std::iter::once(self).chain(inside.iter().map(|(_, guest)| &**guest)).collect();
        let mut graph = WaitGraph::default();
        let mut edges = Edges::new();
        // First all tasks: the other steps look them up.
        for executor in &executors {
            self.add_tasks(executor, &mut graph, &mut edges);
        }
        let mut blocked_jobs = 0;
        LOOPS.each(|executor| blocked_jobs += if executor.tag() == self.tag() { 0 } else { executor.jobs.count() });
        let mut resources = HashMap::new();
        for executor in &executors {
            for (_, wait) in executor.deadlocks.waits.borrow().iter() {
                self.add_wait(wait, blocked_jobs > 0, &mut resources, &mut graph, &mut edges);
            }
        }
        for (host, guest) in &inside {
            // A loop that is being cancelled ends; one without coroutines has ended.
            if guest.failed() || guest.live() == 0 {
                graph.mark_wakeable(*host);
            }
            // The driving coroutine waits until all coroutines of the guest have ended, or one of them fails.
            guest.slots.each(|task| edges.push((*host, task.wake_token())));
        }
        #[cfg(test)]
        {
            self.deadlocks.searches.borrow_mut().visited += graph.nodes.len() + edges.len();
        }
        for (waiter, target) in edges {
            add_edge(&executors, &mut graph, waiter, target);
        }
        graph.choose_holders();
        graph
    }

    /// Adds the live tasks of `executor`, which is this loop or one inside it, and collects the edges of their waiters.
    fn add_tasks(&self, executor: &Executor, graph: &mut WaitGraph, edges: &mut Edges) {
        let mut slots = Slots::new(executor.slots.slots());
        let has_wakers = executor.inbox().wakers() > 0;
        executor.slots.each(|task| {
            let (wake_token, id, type_name, at) = (task.wake_token(), task.id(), task.type_name(), task.place());
            let wakeable =
                if self.is_wakeable(task, has_wakers) { Wakeable::FromOutside } else { Wakeable::ByTargetsOnly };
            slots.insert(wake_token.slot(), graph.nodes.len());
            graph.nodes.push(Node::new(What::Coro { wake_token, id, type_name, at, serial: 0 }, wakeable));
            task.each_waiter(|waiter| edges.push((waiter, wake_token)));
        });
        graph.loops.insert(executor.tag(), slots);
    }

    /// Whether something other than a node of the graph may wake this task: it is ready, or its await point waits for
    /// something outside. `has_wakers`: wakers of its loop are outside of it.
    fn is_wakeable(&self, task: &Header, has_wakers: bool) -> bool {
        !task.has(flag::STARTED)
            || task.is_queued()
            || task.has(flag::EXTERNAL_WAKE | flag::EVENT)
            || (task.has(flag::CLONED) && has_wakers)
            // An enclosing loop continues meanwhile if a coroutine of it drives this one: otherwise this one blocks its
            // thread.
            || (task.has(flag::OUTER_LOOP) && self.is_guest.get())
    }

    /// Adds a wait for something that is neither one coroutine nor a timer. `blocked_jobs`: see
    /// [`Executor::add_resource`].
    fn add_wait(
        &self,
        wait: &Wait,
        blocked_jobs: bool,
        resources: &mut HashMap<*const (), usize>,
        graph: &mut WaitGraph,
        edges: &mut Edges,
    ) {
        let Wait { coro, on, serial } = wait;
        match on {
            On::Resource(resource) => {
                let address = Arc::as_ptr(resource).cast::<()>();
                let known = resources.get(&address).copied();
                let index = known.unwrap_or_else(|| self.add_resource(graph, resource, blocked_jobs));
                resources.insert(address, index);
                let Some(waiter) = graph.find(*coro) else { return };
                if let Node { what: What::Coro { serial: own, .. }, target, .. } = &mut graph.nodes[waiter] {
                    *own = *serial;
                    target.get_or_insert(index);
                }
                graph.nodes[index].waiters.push(waiter);
            }
            On::Barrier => {
                let wakeable = if self.is_guest.get() { Wakeable::FromOutside } else { Wakeable::ByAnyNode };
                if let Some(node) = graph.find_mut(*coro).filter(|node| node.wakeable == Wakeable::ByTargetsOnly) {
                    node.wakeable = wakeable;
                }
            }
            On::Any(others) => {
                let others = others.borrow();
                edges.extend(others.iter().map(|other| (*coro, *other)));
                if others.iter().any(|other| self.runs_elsewhere(graph, other.tag())) {
                    graph.mark_wakeable(*coro);
                }
            }
        }
    }

    /// Adds a lock or a semaphore that a coroutine waits for. Its guards may be anywhere on this thread, and, with
    /// `blocked_jobs`, on threads of a loop that this one blocks.
    fn add_resource(&self, graph: &mut WaitGraph, resource: &Arc<dyn Resource>, blocked_jobs: bool) -> usize {
        let index = graph.nodes.len();
        let holders = resource.holders();
        let outside = |coro: WakeToken| coro.is_none() || self.runs_elsewhere(graph, coro.tag());
        let places: Option<Vec<usize>> = holders.iter().map(|holder| graph.find(holder.coro)).collect();
        let wakeable = match &places {
            _ if self.is_guest.get() || blocked_jobs => Wakeable::FromOutside,
            _ if holders.iter().any(|holder| outside(holder.coro)) => Wakeable::FromOutside,
            Some(places) if !places.is_empty() => Wakeable::ByHolders,
            _ => Wakeable::ByAnyNode,
        };
        let newest = holders.iter().map(|holder| holder.newest).min().unwrap_or(0);
        // One may hold several permits.
        let mut places = places.unwrap_or_default();
        places.sort_unstable();
        places.dedup();
        for place in &places {
            graph.nodes[*place].waiters.push(index);
        }
        graph.nodes.push(Node::new(What::Resource { resource: resource.clone(), newest, holders: places }, wakeable));
        #[cfg(test)]
        {
            self.deadlocks.searches.borrow_mut().visited += holders.len();
        }
        index
    }

    /// Whether the loop of this tag is none of those inside this one, and this one does not block it.
    fn runs_elsewhere(&self, graph: &WaitGraph, tag: u32) -> bool {
        let blocked = || !self.is_guest.get() && context::find_tag(tag, |executor| executor.is_some());
        !graph.loops.contains_key(&tag) && !blocked()
    }
}

/// Adds an edge from what this token wakes to `target`.
fn add_edge(executors: &[&Executor], graph: &mut WaitGraph, waiter: WakeToken, target: WakeToken) {
    let owner = match waiter.kind() {
        Kind::Foreign => {
            executors.iter().find(|executor| executor.tag() == waiter.tag()).map(|executor| executor.owner(waiter))
        }
        Kind::Task | Kind::Edge => Some(waiter),
    };
    let Some(owner) = owner.filter(|owner| !owner.is_none()) else { return };
    let (Some(from), Some(to)) = (graph.find(owner), graph.find(target)) else { return };
    let node = &mut graph.nodes[from];
    node.target.get_or_insert(to);
    match waiter.kind() {
        // What a foreign waker wakes is unknown.
        Kind::Foreign => node.wakeable = Wakeable::FromOutside,
        Kind::Task => graph.nodes[to].waiters.push(from),
        Kind::Edge => {}
    }
}
