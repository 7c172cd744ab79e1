//! The search for deadlocks, and the cycles through locks that it warns of.

use std::time::Duration;

use crate::executor::context::warn;
use crate::executor::deadlock::wait_graph::{Node, WaitGraph, Wakeable, What, list, sites};
use crate::executor::waits::LockCycle;
use crate::executor::{Executor, ids};
use crate::failure::crash::{Deadlock, Failure};
use crate::observe::Observer;

/// The loop warns of a cycle through locks that lasts this long, ns.
const LASTING: u64 = 1_000_000_000;

impl Executor {
    /// Looks for a cycle of coroutines, and, if nothing outside can wake any coroutine, for those that only something
    /// outside can wake. Warns of cycles through locks that last.
    ///
    /// It marks nodes that can be woken from outside, then the nodes that wait for a marked node; a gathering waits for
    /// all its children, so it counts only the child that it waits for now. Unmarked nodes wait for unmarked nodes:
    /// following them leads to a cycle, or to a node that nothing will wake.
    pub(super) fn search(&self, quiescent: bool) -> Option<Failure> {
        let graph = self.wait_graph();
        let mut marked = vec![false; graph.nodes.len()];
        graph.mark(Wakeable::FromOutside, &mut marked);
        let mut likely = None;
        if !quiescent || marked.contains(&true) {
            graph.mark(Wakeable::ByAnyNode, &mut marked);
            likely = Some(marked.clone());
            graph.mark(Wakeable::ByHolders, &mut marked);
        }
        if let Some(cycle) = graph.cycles(&marked).first() {
            let (text, sites) = graph.describe(cycle, &self.rec.given_names());
            let head = match sites.len() {
                1 => "deadlock: a coroutine waits for itself:".to_owned(),
                n => format!("deadlock: {n} coroutines wait for each other:"),
            };
            return Some(Failure::of_loop(Deadlock(head + &text).into(), sites));
        }
        // The loop around this one also has the coroutines outside.
        if !self.is_guest.get() {
            let cycles = likely.as_ref().map(|marked| graph.cycles(marked)).unwrap_or_default();
            self.note_cycles(&graph, &cycles, &likely.unwrap_or_default());
        }
        if !quiescent {
            return None;
        }
        let unmarked = graph.nodes.iter().zip(&marked).filter(|(_, marked)| !**marked).map(|(node, _)| node);
        let unmarked: Vec<&Node> = unmarked.filter(|node| node.id().is_some()).collect();
        if unmarked.is_empty() {
            return None;
        }
        let waiting = sites(unmarked.into_iter(), &self.rec.given_names());
        let text = match waiting.len() {
            1 => "deadlock: a coroutine waits, and nothing is left that can wake it:".to_owned(),
            n => format!("deadlock: {n} coroutines wait, and nothing is left that can wake them:"),
        } + &list(&waiting);
        Some(Failure::of_loop(Deadlock(text).into(), waiting))
    }

    /// Warns of each cycle through locks that lasts, once.
    fn note_cycles(&self, graph: &WaitGraph, cycles: &[Vec<usize>], marked: &[bool]) {
        let now = self.now();
        let before = std::mem::take(&mut self.deadlocks.searches.borrow_mut().cycles);
        let mut recheck_at: Option<u64> = None;
        for cycle in cycles {
            let waits = graph.around(cycle).filter_map(|node| match node.what {
                What::Coro { id, serial, .. } => Some((id, serial)),
                What::Resource { .. } => None,
            });
            let mut key: Vec<(u64, u64)> = waits.collect();
            key.sort_unstable();
            let new = LockCycle { since: now, newest: ids::newest(), warned: false };
            let mut lock_cycle = before.get(&key).copied().unwrap_or(new);
            let at = lock_cycle.since.saturating_add(LASTING);
            if !lock_cycle.warned && now < at {
                recheck_at = Some(recheck_at.map_or(at, |earlier| earlier.min(at)));
            } else if !lock_cycle.warned && graph.may_be_moved(cycle, marked, lock_cycle.newest) {
                // Virtual time passes at once: the loop would search for ever.
                let again = (!self.timers.clock.is_virtual()).then(|| now.saturating_add(LASTING));
                recheck_at = recheck_at.into_iter().chain(again).min();
            } else if !lock_cycle.warned {
                lock_cycle.warned = true;
                let (text, sites) = graph.describe(cycle, &self.rec.given_names());
                let seconds = Duration::from_nanos(now - lock_cycle.since).as_secs_f64();
                let head = match sites.len() {
                    1 => "a coroutine has waited for itself".to_owned(),
                    n => format!("{n} coroutines have waited for each other"),
                };
                warn(&format!(
                    "probably a deadlock: for {seconds:.1} s {head}, unless a guard was moved to another coroutine or a thread:{text}\n  \
                     The loop continues, as other coroutines can. Take locks in one order everywhere, and drop guards before an await that needs them."
                ));
            }
            self.deadlocks.searches.borrow_mut().cycles.insert(key, lock_cycle);
        }
        self.deadlocks.searches.borrow_mut().recheck_at = recheck_at;
    }
}
