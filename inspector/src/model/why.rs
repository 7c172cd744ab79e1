//! Why is it still waiting? The chain from a coroutine down to what it hangs on.

use std::collections::HashMap;

use super::{Coro, Model};
use crate::event::{CoroId, Frame, LoopId, Outcome, ResId, SiteId, State, Target, ThreadId};

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Who waits on what, from the coroutine asked about on down.
    pub chain: Vec<Link>,
    /// What it all hangs on.
    pub leaf: Leaf,
}

/// One step of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who waits.
    pub coro: CoroId,
    /// On what.
    pub on: Target,
    /// At which `.await`.
    pub site: SiteId,
    /// Since when.
    pub since: u64,
    /// On how many other things it waits.
    pub others: usize,
    /// The holder of the resource at whom the chain goes on, 0 for none.
    pub holder: CoroId,
}

/// What a chain ends at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// The coroutine is being polled, since then.
    Running(CoroId, u64),
    /// The coroutine is ready: it waits only for its turn, since then.
    Ready(CoroId, u64),
    /// The coroutine has ended.
    Ended(CoroId, Outcome),
    /// A function on a thread.
    Thread(ThreadId),
    /// A timer, due then.
    Timer(u64),
    /// An event that is not set, a barrier that is not full, or a lock or semaphore that nobody known holds.
    Resource(ResId),
    /// A lock or semaphore that something outside the loop's coroutines holds.
    HeldOutside(ResId),
    /// A loop inside the coroutine, with nothing in it to follow.
    Loop(LoopId),
    /// A future tinyio knows nothing about, awaited by this coroutine.
    External(CoroId),
    /// The chain comes back to this coroutine: none on the cycle can ever go on by itself.
    Cycle(CoroId),
    /// Nothing is known about the coroutine.
    Unknown(CoroId),
}

impl Why {
    /// The coroutines on the cycle, if there is one.
    pub fn cycle(&self) -> &[Link] {
        let Leaf::Cycle(back) = self.leaf else { return &[] };
        let start = self.chain.iter().position(|link| link.coro == back).unwrap_or(0);
        &self.chain[start..]
    }
}

impl Model {
    /// Why is this coroutine still waiting?
    ///
    /// Where it waits on several things, the chain follows the one that a person would name: what it has waited on longest,
    /// timers and foreign futures last, as those beside something else are time limits and plumbing.
    pub fn why(&self, id: CoroId) -> Why {
        self.why_within(id, usize::MAX)
    }

    /// The same, at most `most` links of it: a chain that is longer ends as if nothing were known about what comes then.
    pub fn why_within(&self, id: CoroId, most: usize) -> Why {
        let mut chain: Vec<Link> = Vec::new();
        let mut seen: HashMap<CoroId, ()> = HashMap::new();
        let mut at = id;
        let leaf = loop {
            let Some(coro) = self.coro(at).filter(|_| chain.len() < most) else { break Leaf::Unknown(at) };
            if let Some((_, outcome)) = coro.ended {
                break Leaf::Ended(at, outcome);
            }
            if seen.insert(at, ()).is_some() {
                break Leaf::Cycle(at);
            }
            match coro.state() {
                State::Running if !self.is_inside_out(coro) => break Leaf::Running(at, coro.since),
                State::Ready => break Leaf::Ready(at, coro.since),
                _ => {}
            }
            let Some((on, edge)) = self.main_wait(coro) else {
                // Running, with a loop inside it that says more.
                match self.next_in_loop(at) {
                    Some((inner, next)) => {
                        let on = Target::Loop(inner);
                        chain.push(Link { coro: at, on, site: 0, since: coro.since, others: 0, holder: 0 });
                        at = next;
                        continue;
                    }
                    None => break Leaf::External(at),
                }
            };
            let others = coro.wait_count().saturating_sub(1);
            let mut link = Link { coro: at, on, site: edge.site, since: edge.since, others, holder: 0 };
            let next = match on {
                Target::Coro(next) => Ok(next),
                Target::Loop(inner) => self.first_waiting(inner).ok_or(Leaf::Loop(inner)),
                Target::Thread(thread) => Err(Leaf::Thread(thread)),
                Target::Timer(due) => Err(Leaf::Timer(due)),
                Target::Turn => Err(Leaf::Ready(at, coro.since)),
                Target::External => Err(Leaf::External(at)),
                Target::Res(res) => match self.resource(res).map(|resource| &resource.holders[..]) {
                    None | Some([]) => Err(Leaf::Resource(res)),
                    Some(holders) => {
                        let known = holders.iter().find(|holder| self.coros.contains(holder.coro));
                        known.map(|holder| holder.coro).ok_or(Leaf::HeldOutside(res))
                    }
                },
            };
            if let (Target::Res(_), Ok(holder)) = (on, &next) {
                link.holder = *holder;
            }
            chain.push(link);
            match next {
                Ok(next) => at = next,
                Err(leaf) => break leaf,
            }
        };
        Why { chain, leaf }
    }

    /// The wait a person would name.
    pub fn main_wait(&self, coro: &Coro) -> Option<(Target, super::Edge)> {
        let rank = |target: &Target| match target {
            Target::Thread(_) | Target::Res(_) | Target::Coro(_) | Target::Loop(_) => 0,
            Target::External => 1,
            Target::Timer(_) => 2,
            Target::Turn => 3,
        };
        // Of a gather of many the first tells as much as any, and is found at once.
        let coros = coro.on_coros.iter().take(64).map(|(id, edge)| (Target::Coro(id), *edge));
        coros.chain(coro.on_others.iter().take(64).copied()).min_by_key(|(target, edge)| (rank(target), edge.since))
    }

    /// Where a coroutine that waits for nothing tinyio knows of stands, as debug info says: see [`Stack::foreign_await`]. `None` if its stack was not
    /// read since it began to wait.
    pub fn foreign_await<'a>(&self, coro: &'a Coro) -> Option<&'a Frame> {
        let (at, stack) = coro.stack.as_ref()?;
        let is_current = coro.state() == State::Waiting && *at >= coro.since && !stack.mid_step;
        stack.foreign_await().filter(|_| is_current && coro.waits().next().is_none())
    }

    /// Whether a coroutine is running because a loop runs inside it.
    fn is_inside_out(&self, coro: &Coro) -> bool {
        self.loops_in(coro.id).next().is_some()
    }

    fn next_in_loop(&self, coro: CoroId) -> Option<(LoopId, CoroId)> {
        let inner = self.loops_in(coro).next()?;
        Some((inner.id, self.first_waiting(inner.id)?))
    }

    fn first_waiting(&self, inner: LoopId) -> Option<CoroId> {
        self.children(super::Parent::Loop(inner)).next().map(|coro| coro.id)
    }
}
