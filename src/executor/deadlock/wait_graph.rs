//! The wait graph, and how its cycles are described.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::panic::Location;
use std::sync::Arc;

use crate::executor::waits::Resource;
use crate::failure::crash::Site;
use crate::failure::type_name;
use crate::task::WakeToken;

/// The number of names in a list before the rest is only counted, and the same of the holders of one resource.
const LISTED: usize = 20;
const HOLDERS: usize = 4;

/// The names that the program gave to coroutines, by number.
pub(super) type Names = HashMap<u64, String>;

/// The wait graph: the coroutines of a loop and of the loops inside it, and the locks and semaphores that they wait
/// for.
#[derive(Default)]
pub(super) struct WaitGraph {
    /// Coroutines by loop, and then by slot; then locks and semaphores. No entry for a free slot: after a peak of
    /// 100,000 coroutines, a node per slot was half of the time and of the page faults of W4.
    pub(super) nodes: Vec<Node>,
    /// The nodes of each loop by slot, by the tag of the loop.
    pub(super) loops: HashMap<u32, Slots>,
}

/// Where the coroutines of a loop are among the nodes, by slot: the index plus one, or 0 for a slot that is free.
/// Zeros, because the system has zeroed pages: those of free slots are not written.
pub(super) struct Slots(Vec<u32>);

impl Slots {
    pub(super) fn new(slots: usize) -> Slots {
        Slots(vec![0; slots])
    }

    pub(super) fn insert(&mut self, slot: u32, index: usize) {
        self.0[slot as usize] = u32::try_from(index + 1).expect("fewer than 2^32 coroutines on a thread");
    }

    fn get(&self, slot: u32) -> Option<usize> {
        (*self.0.get(slot as usize)? as usize).checked_sub(1)
    }
}

pub(super) struct Node {
    pub(super) what: What,
    pub(super) wakeable: Wakeable,
    /// The nodes that wait for it and are woken by it.
    pub(super) waiters: Vec<usize>,
    /// A node that it waits for.
    pub(super) target: Option<usize>,
}

pub(super) enum What {
    Coro {
        wake_token: WakeToken,
        id: u64,
        type_name: &'static str,
        at: &'static Location<'static>,
        /// The serial number of its wait for a resource.
        serial: u64,
    },
    Resource {
        resource: Arc<dyn Resource>,
        /// The newest coroutine of the thread when a holder acquired it, of those the oldest.
        newest: u64,
        /// Those of its holders that are nodes.
        holders: Vec<usize>,
    },
}

/// What can wake a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wakeable {
    /// Something that is not in the graph.
    FromOutside,
    /// Any wakeable node: a coroutine at a barrier, or a resource whose holder is not known.
    ByAnyNode,
    /// Like `ByAnyNode`, but probably only the nodes that it waits for: a resource whose acquirers are known.
    ByHolders,
    /// Only the nodes that it waits for.
    ByTargetsOnly,
}

impl Node {
    pub(super) fn new(what: What, wakeable: Wakeable) -> Node {
        Node { what, wakeable, waiters: Vec::new(), target: None }
    }

    /// The number of the coroutine.
    pub(super) fn id(&self) -> Option<u64> {
        match self.what {
            What::Coro { id, .. } => Some(id),
            What::Resource { .. } => None,
        }
    }

    /// The name of the coroutine, and its number.
    fn name(&self, names: &Names) -> Option<String> {
        self.site(names).map(|site| site.name)
    }

    /// The coroutine, and the place where it waits.
    fn site(&self, names: &Names) -> Option<Site> {
        let What::Coro { id, type_name, at, .. } = self.what else { return None };
        // A line of a message has one coroutine.
        let given = names.get(&id).map(|name| name.replace(char::is_control, " "));
        let name = given.as_deref().unwrap_or_else(|| type_name::path(type_name));
        Some(Site { name: format!("{name} #{id}"), file: at.file(), line: at.line(), column: at.column() })
    }
}

impl WaitGraph {
    pub(super) fn find(&self, wake_token: WakeToken) -> Option<usize> {
        let index = self.loops.get(&wake_token.tag())?.get(wake_token.slot())?;
        let is_it = |node: &Node| matches!(node.what, What::Coro { wake_token: own, .. } if own == wake_token.woken());
        is_it(&self.nodes[index]).then_some(index)
    }

    pub(super) fn find_mut(&mut self, wake_token: WakeToken) -> Option<&mut Node> {
        self.find(wake_token).map(|index| &mut self.nodes[index])
    }

    /// Lets each resource lead to a holder that does not wait for that resource itself, if there is one: of a semaphore
    /// with several holders that one says why none of them goes on.
    pub(super) fn choose_holders(&mut self) {
        for index in 0..self.nodes.len() {
            let What::Resource { holders, .. } = &self.nodes[index].what else { continue };
            let other = holders.iter().find(|holder| self.nodes[**holder].target != Some(index));
            self.nodes[index].target = other.or(holders.first()).copied();
        }
    }

    pub(super) fn mark_wakeable(&mut self, wake_token: WakeToken) {
        if let Some(node) = self.find_mut(wake_token) {
            node.wakeable = Wakeable::FromOutside;
        }
    }

    /// Marks the nodes that can be woken like this, then the nodes that wait for a marked node.
    pub(super) fn mark(&self, wakeable: Wakeable, marked: &mut [bool]) {
        let is_like = |index: &usize| self.nodes[*index].wakeable == wakeable;
        let mut work: Vec<usize> = (0..self.nodes.len()).filter(is_like).collect();
        work.iter().for_each(|index| marked[*index] = true);
        while let Some(index) = work.pop() {
            for waiter in &self.nodes[index].waiters {
                if !std::mem::replace(&mut marked[*waiter], true) {
                    work.push(*waiter);
                }
            }
        }
    }

    /// The cycles among nodes that are not marked.
    pub(super) fn cycles(&self, marked: &[bool]) -> Vec<Vec<usize>> {
        let next = |index: usize| self.nodes[index].target.filter(|next| !marked[*next]);
        // The walk that visited each node: a node visited twice in one walk is on a cycle.
        let mut walks = vec![0_usize; self.nodes.len()];
        let mut cycles = Vec::new();
        for first in (0..self.nodes.len()).filter(|index| !marked[*index]) {
            let mut at = Some(first);
            while let Some(index) = at.filter(|index| walks[*index] == 0) {
                walks[index] = first + 1;
                at = next(index);
            }
            if let Some(start) = at.filter(|index| walks[*index] == first + 1) {
                let around = std::iter::successors(next(start), |index| next(*index).filter(|_| *index != start));
                cycles.push(around.collect());
            }
        }
        cycles
    }

    /// The nodes of a cycle, beginning with a coroutine.
    pub(super) fn around(&self, cycle: &[usize]) -> impl Iterator<Item = &Node> {
        let nodes = cycle.iter().chain(cycle).map(|index| &self.nodes[*index]);
        nodes.skip_while(|node| node.id().is_none()).take(cycle.len())
    }

    /// Gives a line for each coroutine of a cycle, then for the other holders of its resources, none of which goes on
    /// either, and their places.
    pub(super) fn describe(&self, cycle: &[usize], names: &Names) -> (String, Vec<Site>) {
        let on_cycle: Vec<&Node> = self.around(cycle).filter(|node| node.id().is_some()).collect();
        let mut seen: HashSet<Option<u64>> = on_cycle.iter().map(|node| node.id()).collect();
        let holders = self.around(cycle).flat_map(|node| self.holders(node));
        let others: Vec<&Node> = holders.filter(|holder| seen.insert(holder.id())).collect();
        let sites: Vec<Site> = on_cycle.iter().chain(&others).filter_map(|node| node.site(names)).collect();
        let mut text = String::new();
        for (node, Site { name, file, line, column }) in on_cycle.iter().chain(&others).zip(&sites).take(LISTED) {
            let target = node.target.map(|target| &self.nodes[target]);
            let what = match target {
                Some(lock @ Node { what: What::Resource { resource, .. }, .. }) => {
                    format!("{}, held by {},", resource.describe(), self.holder_names(lock, names))
                }
                other => other.and_then(|node| node.name(names)).unwrap_or_default(),
            };
            let _ = write!(text, "\n  {name} waits for {what} at {file}:{line}:{column}");
        }
        if sites.len() > LISTED {
            let _ = write!(text, "\n  and {} more", sites.len() - LISTED);
        }
        (text, sites)
    }

    /// The coroutines that hold a resource.
    fn holders<'g>(&'g self, node: &'g Node) -> impl Iterator<Item = &'g Node> {
        let holders = match &node.what {
            What::Resource { holders, .. } => &holders[..],
            What::Coro { .. } => &[],
        };
        holders.iter().map(|holder| &self.nodes[*holder])
    }

    fn holder_names(&self, resource: &Node, names: &Names) -> String {
        let holders = self.holders(resource).take(HOLDERS);
        let mut names: Vec<String> = holders.filter_map(|holder| holder.name(names)).collect();
        let more = self.holders(resource).count().saturating_sub(names.len());
        let last = if more > 0 { Some(format!("{more} more")) } else { names.pop() };
        match (names.is_empty(), last) {
            (true, last) => last.unwrap_or_default(),
            (false, last) => format!("{} and {}", names.join(", "), last.unwrap_or_default()),
        }
    }

    /// Whether a guard of the cycle may be in a coroutine that can continue: one that was scheduled after the guard was
    /// acquired, and before the cycle was found, while its acquirer could still move it.
    pub(super) fn may_be_moved(&self, cycle: &[usize], marked: &[bool], found: u64) -> bool {
        let ids = self.nodes.iter().zip(marked).filter(|(_, marked)| **marked).filter_map(|(node, _)| node.id());
        let mut ids: Vec<u64> = ids.filter(|id| *id <= found).collect();
        ids.sort_unstable();
        let last = ids.last().copied();
        self.around(cycle).any(|node| match node.what {
            What::Resource { newest, .. } => last.is_some_and(|last| last > newest),
            What::Coro { .. } => false,
        })
    }
}

/// The places where the coroutines among these wait, in the order in which they were scheduled.
pub(super) fn sites<'a>(nodes: impl Iterator<Item = &'a Node>, names: &Names) -> Vec<Site> {
    let mut nodes: Vec<&Node> = nodes.collect();
    nodes.sort_by_key(|node| node.id());
    nodes.into_iter().filter_map(|node| node.site(names)).collect()
}

pub(super) fn list(sites: &[Site]) -> String {
    let mut text = String::new();
    for Site { name, file, line, column } in sites.iter().take(LISTED) {
        let _ = write!(text, "\n  {name} waits at {file}:{line}:{column}");
    }
    if sites.len() > LISTED {
        let _ = write!(text, "\n  and {} more", sites.len() - LISTED);
    }
    text
}
