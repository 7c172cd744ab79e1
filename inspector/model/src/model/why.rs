//! Why a coroutine still waits: the chain of waits from it to the final cause.

use std::collections::{HashMap, HashSet, VecDeque};

use tinyio_events::event::{CoroId, Frame, LoopId, LoopMode, Outcome, ResId, SiteId, Stack, State, Target, ThreadId};
use tinyio_events::place::same_file;

use super::{Coro, Holder, Model, Site};

/// The chain of waits of one coroutine, and where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The waits, from the requested coroutine down.
    pub chain: Vec<Link>,
    /// The end of the chain.
    pub leaf: Leaf,
}

/// One step of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The waiting coroutine.
    pub coro: CoroId,
    /// The target it waits on.
    pub on: Target,
    /// The `.await` at which it waits.
    pub site: SiteId,
    /// Since when.
    pub since: u64,
    /// Number of other things it waits on.
    pub others: usize,
    /// The holder of the resource with which the chain continues, 0 for none.
    pub holder: CoroId,
}

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// The coroutine is being polled, since then.
    Running(CoroId, u64),
    /// The coroutine is ready since then, and waits for its next step.
    Ready(CoroId, u64),
    /// The coroutine has ended.
    Ended(CoroId, Outcome),
    /// A function on a thread.
    Thread(ThreadId),
    /// A timer, due then.
    Timer(u64),
    /// An event that is not set, a barrier that is not full, or a lock or semaphore without a known holder.
    Resource(ResId),
    /// A lock or semaphore that is held outside the loop's coroutines.
    HeldOutside(ResId),
    /// A loop inside the coroutine, with nothing in it to follow.
    Loop(LoopId),
    /// A future that tinyio does not know, awaited by this coroutine.
    External(CoroId),
    /// A long step, of this coroutine since then, blocks the loop. The last coroutine of the chain does not run
    /// meanwhile: it is ready, or the timer that it waits on is due.
    Blocked(CoroId, u64),
    /// The chain returns to this coroutine, and a picture has the proof that no coroutine of the cycle can ever go on.
    Cycle(CoroId),
    /// The chain returns to this coroutine. A recording does not say whether one of the cycle waits on something else
    /// too, such as a future that is not of tinyio, or whether a guard was moved: the loop knows more, and ends when it
    /// is certain.
    LikelyCycle(CoroId),
    /// Nothing is known about the coroutine.
    Unknown(CoroId),
}

/// The stack of a coroutine that waits, read since it began to wait.
fn current_stack(coro: &Coro) -> Option<&Stack> {
    let (at, stack) = coro.stack.as_ref()?;
    let is_current = coro.state() == State::Waiting && *at >= coro.since && !stack.mid_step;
    Some(&**stack).filter(|_| is_current)
}

/// The stack of a coroutine that waits for nothing known to tinyio, read since it began to wait.
fn foreign_stack(coro: &Coro) -> Option<&Stack> {
    current_stack(coro).filter(|_| coro.waits().next().is_none())
}

/// The frames from the root down to the one that stands at a place: of futures awaited side by side, the branch with
/// that place. `None` if no frame stands there.
fn down_to<'a>(frames: &'a [Frame], site: &Site) -> Option<Vec<&'a Frame>> {
    // Iterative, because a damaged file may be nested to any depth.
    let mut todo = vec![(frames, Vec::new())];
    while let Some((frames, above)) = todo.pop() {
        let stands_there = |frame: &Frame| frame.line == site.line && same_file(&frame.file, &site.file);
        if let Some(last) = frames.iter().rposition(|frame| !frame.hidden && stands_there(frame)) {
            return Some(above.into_iter().chain(&frames[..=last]).collect());
        }
        let above: Vec<&Frame> = above.into_iter().chain(frames).collect();
        let branches = frames.iter().flat_map(|frame| &frame.branches).rev();
        todo.extend(branches.map(|branch| (&branch.frames[..], above.clone())));
    }
    None
}

impl Why {
    /// The coroutines on the cycle, if there is one.
    pub fn cycle(&self) -> &[Link] {
        let (Leaf::Cycle(back) | Leaf::LikelyCycle(back)) = self.leaf else { return &[] };
        let start = self.chain.iter().position(|link| link.coro == back).unwrap_or(0);
        &self.chain[start..]
    }
}

/// A step of so many nanoseconds blocks its loop, even if there was only one: the threshold of asyncio's debug mode
/// (`slow_callback_duration`).
pub const BLOCKED: u64 = 100_000_000;
/// Of a gather, at most this many coroutines are compared.
const MOST_CHILDREN: usize = 4_096;
const LAST: u8 = 4;

/// Which of several waits says most: lower ones.
fn rank(target: &Target) -> u8 {
    match target {
        Target::Thread(_) | Target::Res(_) | Target::Coro(_) | Target::Loop(_) => 0,
        Target::External => 1,
        Target::Timer(_) => 2,
        Target::Turn => 3,
    }
}

impl Model {
    /// Returns why this coroutine still waits.
    ///
    /// If a coroutine waits on several things, the chain follows its main wait: the longest one, with timers and
    /// foreign futures last, as beside another wait those are usually timeouts and combinators. Of several coroutines
    /// it is one that waits for a coroutine or a resource itself, the longest.
    pub fn why(&self, id: CoroId) -> Why {
        self.why_within(id, usize::MAX)
    }

    /// Like [`why`](Model::why), but at most `most` links long: a longer chain ends as if nothing were known beyond
    /// that.
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
                // Of several holders one may go on, on a way that the chain did not take.
                if let Some(res) = self.shared_resource(&chain, at)
                    && self.way_out(at).is_some()
                {
                    break Leaf::Resource(res);
                }
                let is_proved = self.findings_of(at).next().is_some();
                break if is_proved { Leaf::Cycle(at) } else { Leaf::LikelyCycle(at) };
            }
            match coro.state() {
                State::Running if !self.is_inside_out(coro) => break Leaf::Running(at, coro.since),
                State::Ready => break Leaf::Ready(at, coro.since),
                _ => {}
            }
            let Some((on, edge)) = self.stuck_wait(coro) else {
                // Running, with a loop inside it that has the reason.
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
                    Some(holders) => self.next_holder(at, res, holders).ok_or(Leaf::HeldOutside(res)),
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
        let leaf = self.blocking(at, &leaf).unwrap_or(leaf);
        Why { chain, leaf }
    }

    /// The holder of a resource that the chain follows: of several, which are those of a semaphore, one through which a
    /// permit may be released, or if there is none, one that waits for something else. `None` if it may be one that is
    /// not known.
    fn next_holder(&self, waiter: CoroId, res: ResId, holders: &[Holder]) -> Option<CoroId> {
        let known = holders.iter().map(|holder| holder.coro).filter(|id| self.coros.contains(*id));
        let known: Vec<CoroId> = known.take(MOST_CHILDREN).collect();
        let first = *known.first()?;
        if holders.len() == 1 {
            return Some(first);
        }
        if let Some(next) = self.way_out(waiter).filter(|next| *next != waiter && known.contains(next)) {
            return Some(next);
        }
        if known.len() < holders.len() {
            return None;
        }
        let waits_for_it =
            |id: CoroId| self.coro(id).is_some_and(|coro| coro.on_others.iter().any(|(on, _)| *on == Target::Res(res)));
        let other = known.iter().find(|id| !waits_for_it(**id)).or_else(|| known.iter().find(|id| **id != waiter));
        Some(other.copied().unwrap_or(first))
    }

    /// The last resource with several holders on the part of a chain that begins at a coroutine.
    fn shared_resource(&self, chain: &[Link], from: CoroId) -> Option<ResId> {
        let first = chain.iter().position(|link| link.coro == from)?;
        chain[first..].iter().rev().find_map(|link| match link.on {
            Target::Res(res) => Some(res).filter(|res| self.resource(*res).is_some_and(|one| one.holders.len() > 1)),
            _ => None,
        })
    }

    /// The first coroutine on the shortest way from one to a coroutine that may go on, through the main wait of each;
    /// any holder may release a resource. The coroutine itself if that may go on, or if too many are involved to say.
    /// `None`: all on every way wait, in the end for each other.
    fn way_out(&self, from: CoroId) -> Option<CoroId> {
        let mut seen: HashSet<CoroId> = HashSet::new();
        let mut todo = VecDeque::from([(from, from)]);
        while let Some((id, first)) = todo.pop_front() {
            if !seen.insert(id) {
                continue;
            }
            if seen.len() > MOST_CHILDREN {
                return Some(from);
            }
            // One that is not known may go on.
            let waiting = self.coro(id).filter(|coro| coro.ended.is_none() && coro.state() == State::Waiting);
            let on = waiting.and_then(|coro| self.stuck_wait(coro)).map(|(on, _)| on);
            let mut then = |next: CoroId| todo.push_back((next, if id == from { next } else { first }));
            match on {
                Some(Target::Coro(next)) => then(next),
                Some(Target::Res(res)) => {
                    let holders = self.resource(res).map(|resource| &resource.holders[..]).unwrap_or_default();
                    if holders.is_empty() {
                        return Some(first);
                    }
                    holders.iter().for_each(|holder| then(holder.coro));
                }
                _ => return Some(first),
            }
        }
        None
    }

    /// The long step that blocks the loop of a coroutine, if the coroutine is ready or waits on a due timer by `leaf`.
    fn blocking(&self, id: CoroId, leaf: &Leaf) -> Option<Leaf> {
        let is_due = match leaf {
            Leaf::Ready(..) => true,
            Leaf::Timer(due) => *due <= self.now(),
            _ => false,
        };
        let one = self.get_loop(self.coro(id).filter(|_| is_due)?.in_loop)?;
        let (running, since) = one.running.filter(|_| one.mode != LoopMode::Worker && one.ended.is_none())?;
        let is_long = self.now().saturating_sub(since).saturating_sub(one.away) >= BLOCKED;
        (is_long && running != id && self.loops_in(running).next().is_none()).then_some(Leaf::Blocked(running, since))
    }

    /// Returns the main wait of a coroutine: the longest one, with timers and foreign futures last.
    pub fn main_wait(&self, coro: &Coro) -> Option<(Target, super::Edge)> {
        // For a gather of many, the first ones are as informative as any, and are found in constant time.
        let coros = coro.on_coros.iter().take(64).map(|(id, edge)| (Target::Coro(id), *edge));
        coros.chain(coro.on_others.iter().take(64).copied()).min_by_key(|(target, edge)| (rank(target), edge.since))
    }

    /// Like [`main_wait`](Model::main_wait), but of the coroutines that a gather waits on the one that is stuck, if one
    /// is: first those that wait for another coroutine or a resource, then the one that has waited longest.
    fn stuck_wait(&self, coro: &Coro) -> Option<(Target, super::Edge)> {
        if coro.on_coros.len() < 2 {
            return self.main_wait(coro);
        }
        let children = coro.on_coros.iter().take(MOST_CHILDREN);
        let stuck = children.min_by_key(|(id, edge)| match self.coro(*id) {
            Some(child) if child.state() == State::Waiting => {
                (self.main_wait(child).map_or(LAST, |(on, _)| rank(&on)), child.since, edge.since)
            }
            _ => (LAST, edge.since, edge.since),
        });
        stuck.map(|(id, edge)| (Target::Coro(id), *edge))
    }

    /// Returns the functions of the program that a waiting coroutine is in at the place of that wait, the root first,
    /// without those that are hidden. Empty unless its stack was read since it began to wait.
    pub fn frames_at(&self, coro: CoroId, site: SiteId) -> Vec<&Frame> {
        let Some(stack) = self.coro(coro).and_then(current_stack) else { return Vec::new() };
        let at_site = self.site(site).and_then(|site| down_to(&stack.frames, site));
        // The frames above futures that are awaited side by side are those of each of them.
        let frames = at_site.unwrap_or_else(|| stack.frames.iter().collect());
        frames.into_iter().filter(|frame| !frame.hidden && frame.line > 0).collect()
    }

    /// Returns where a coroutine stands that waits for nothing known to tinyio, from debug info: see
    /// [`Stack::foreign_await`](tinyio_events::event::Stack::foreign_await). `None` if its stack was not read since it
    /// began to wait.
    pub fn foreign_await<'a>(&self, coro: &'a Coro) -> Option<&'a Frame> {
        let stack = foreign_stack(coro)?;
        // Of a picture tinyio's own waits are not all known either: when a timer is due.
        if self.picture().is_some() { stack.innermost_await() } else { stack.foreign_await() }
    }

    /// Returns what is awaited there: see [`Stack::awaited_at`](tinyio_events::event::Stack::awaited_at).
    pub fn foreign_future<'a>(&self, coro: &'a Coro) -> Option<&'a str> {
        foreign_stack(coro)?.awaited_at(self.foreign_await(coro)?)
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
