//! What happens to coroutines, applied to the model: their beginning, waits, wakes, steps and end.

use std::sync::Arc;

use tinyio_events::event::{CoroId, LONG_STEP, LoopId, LoopMode, NameId, Outcome, SiteId, State, Target, Waker};

use crate::model::coro::{Coro, Edge, Moment};
use crate::model::names::Named;
use crate::model::parts::{Outer, ResMoment};
use crate::model::{FINISHED, Model, Parent};

/// Coroutines that poll each other in one worker: a damaged recording may have any number.
const NESTED: usize = 256;

impl Model {
    /// Changes a live coroutine and brings every count up to date. Returns whether there is one.
    pub(super) fn shift(&mut self, id: CoroId, at: u64, change: impl FnOnce(&mut Coro)) -> bool {
        let Some(coro) = self.coros.get_mut(id) else { return false };
        let coro = Arc::make_mut(coro);
        change(coro);
        let resources = &self.resources;
        let activity = coro.classify(|res| resources.get(&res).map(|res| res.what));
        let from = std::mem::replace(&mut coro.activity, activity);
        if from != activity {
            // It waits on something else by now, or a checkpoint has only just recorded on what.
            if !(from.is_waiting() && activity.is_waiting()) {
                coro.since = at;
            }
            self.counts.sub(from);
            self.counts.add(activity);
            let parent = if coro.under == 0 { Parent::Loop(coro.in_loop) } else { Parent::Coro(coro.under) };
            self.tree.shift(parent, coro.name, from, activity);
        }
        true
    }

    pub(super) fn spawn(&mut self, id: CoroId, in_loop: LoopId, parent: CoroId, name: NameId, site: SiteId, at: u64) {
        if self.coros.contains(id) {
            self.odd();
            return;
        }
        if !self.loops.contains_key(&in_loop) {
            // Its start is among what was lost; without it the coroutine would hang nowhere.
            self.odd();
            self.loop_start(in_loop, 0, LoopMode::Run, at);
        }
        let mut coro = Coro::new(id, in_loop, parent, name, site, at);
        coro.ready_at = self.busy(in_loop, at);
        coro.entered = (at, self.losses);
        // Only below a coroutine that existed before: a malformed file must not create a cycle in the tree.
        coro.under = match self.coros.get(parent) {
            Some(above) if above.in_loop == in_loop && parent < id => parent,
            _ => 0,
        };
        let above = if coro.under == 0 { Parent::Loop(in_loop) } else { Parent::Coro(coro.under) };
        self.tree.insert(above, &coro, &self.names);
        self.counts.add(coro.activity);
        self.coros.insert(id, Arc::new(coro));
        if let Some(one) = self.loops.get_mut(&in_loop) {
            one.live += 1;
        }
    }

    /// The program gave a coroutine a name.
    pub(super) fn named(&mut self, id: CoroId, name: NameId) {
        let Some(coro) = self.coros.get_mut(id).filter(|coro| coro.given_name != name) else { return };
        let before = std::mem::replace(&mut Arc::make_mut(coro).given_name, name);
        let coro = coro.clone();
        Arc::make_mut(&mut self.names).give(Named::Coro, name);
        if coro.is_live() {
            let parent = self.parent_of(&coro);
            self.tree.named(parent, &coro, before, &self.names);
        }
    }

    pub(super) fn wait(&mut self, id: CoroId, on: Target, site: SiteId, at: u64) {
        if !self.coros.contains(id) {
            return self.odd();
        }
        let edge = Edge { site, since: at };
        let live_target = match on {
            Target::Coro(target) => match self.coros.get_mut(target) {
                Some(target) if !target.waiters.contains(id) => {
                    let target = Arc::make_mut(target);
                    target.waiters.insert(id, ());
                    target.left = None;
                    true
                }
                known => known.is_some(),
            },
            Target::Res(res) => {
                if let Some(resource) = self.resources.get_mut(&res) {
                    resource.waiters.insert(id, ());
                    // One that was woken for nothing waits again.
                    if resource.history.back().map(|past| past.what) != Some(ResMoment::Waited(id)) {
                        resource.remember(at, ResMoment::Waited(id), site);
                    }
                }
                true
            }
            _ => true,
        };
        self.shift(id, at, |coro| {
            match on {
                Target::Coro(target) if live_target => match coro.on_coros.get(target).copied() {
                    // `gather` repeats within one step which coroutine it waits for first.
                    Some(before) if before == edge => return,
                    Some(before) => coro.on_coros.insert(target, Edge { since: before.since, ..edge }),
                    None => coro.on_coros.insert(target, edge),
                },
                _ => match coro.on_others.iter_mut().rev().take(8).find(|(other, _)| *other == on) {
                    Some((_, before)) => *before = edge,
                    None => coro.on_others.push((on, edge)),
                },
            }
            coro.remember(at, Moment::Waits { on, site });
        });
        self.odd_unless(live_target);
    }

    pub(super) fn clear(&mut self, id: CoroId, on: Target, at: u64) {
        match on {
            Target::Coro(target) => {
                if let Some(target) = self.coros.get_mut(target) {
                    Arc::make_mut(target).unawaited(id, at);
                }
            }
            Target::Res(res) => {
                if let Some(resource) = self.resources.get_mut(&res) {
                    resource.waiters.remove(id);
                }
            }
            _ => {}
        }
        // A coroutine may end while it holds a handle, and the edge is removed after it: this is not counted as odd.
        self.shift(id, at, |coro| {
            if let Target::Coro(target) = on {
                coro.on_coros.remove(target);
            }
            coro.on_others.retain(|(other, _)| *other != on);
            coro.remember(at, Moment::Cleared(on));
        });
    }

    /// The time that a loop has spent in steps, the present one included.
    pub(super) fn busy(&self, id: LoopId, at: u64) -> u64 {
        let one = self.loops.get(&id);
        one.map_or(0, |one| one.busy_at(at))
    }

    pub(super) fn wake(&mut self, id: CoroId, by: Waker, at: u64) {
        let busy = self.coros.get(id).map_or(0, |coro| self.busy(coro.in_loop, at));
        let losses = self.losses;
        let known = self.shift(id, at, |coro| {
            coro.ready_since = Some(at);
            coro.woken_by = Some((at, by));
            if coro.state != State::Ready {
                coro.ready_at = busy;
            }
            if coro.state == State::Waiting {
                coro.state = State::Ready;
                coro.entered = (at, losses);
            }
            coro.remember(at, Moment::Woken(by));
        });
        self.odd_unless(known);
    }

    pub(super) fn step_begin(&mut self, id: CoroId, at: u64) {
        let mut in_loop = 0;
        let ready = self.coros.get(id).filter(|coro| coro.state == State::Ready).map_or(0, |coro| {
            let busy = self.loops.get(&coro.in_loop).map_or(0, |one| one.busy);
            busy.saturating_sub(coro.ready_at)
        });
        let losses = self.losses;
        #[cfg(feature = "analysis")]
        self.delayed(id, at);
        let resources = &mut self.resources;
        if let Some(coro) = self.coros.get_mut(id) {
            for (target, _) in Arc::make_mut(coro).on_others.drain(..) {
                if let Target::Res(res) = target
                    && let Some(resource) = resources.get_mut(&res)
                {
                    resource.waiters.remove(id);
                }
            }
        }
        let known = self.shift(id, at, |coro| {
            coro.state = State::Running;
            coro.entered = (at, losses);
            coro.ready_since = None;
            coro.longest_ready = coro.longest_ready.max(ready);
            coro.steps += 1;
            in_loop = coro.runs_in();
        });
        if let Some(one) = self.loops.get_mut(&in_loop) {
            if one.mode == LoopMode::Worker
                && let Some((coro, since)) = one.running.filter(|(outer, _)| *outer != id && one.outer.len() < NESTED)
            {
                one.outer.push(Outer { coro, since, away: one.away });
            }
            one.running = Some((id, at));
            one.away = 0;
            one.parked = None;
            one.steps += 1;
        }
        self.odd_unless(known);
    }

    /// Goes back into the step of a coroutine that has just ended, if it waits on nothing: the coroutine fails in it.
    #[cfg(feature = "analysis")]
    pub(crate) fn reenter_step(&mut self, id: CoroId, at: u64) {
        self.shift(id, at, |coro| {
            if coro.waits().next().is_none() {
                coro.state = State::Running;
            }
        });
    }

    pub(super) fn step_end(&mut self, id: CoroId, at: u64) {
        let live = self.coros.get(id).or_else(|| self.finished.get(&id));
        let Some(in_loop) = live.map(|coro| coro.runs_in()) else { return self.odd() };
        let mut whole = None;
        if let Some(one) = self.loops.get_mut(&in_loop)
            && let Some((_, since)) = one.running.take_if(|(running, _)| *running == id)
        {
            let all = at.saturating_sub(since);
            let took = all.saturating_sub(std::mem::take(&mut one.away));
            one.busy = one.busy.saturating_add(took);
            if let Some(Outer { coro, since, away }) = one.outer.pop() {
                one.running = Some((coro, since));
                one.away = away.saturating_add(all);
            }
            whole = Some(took);
        }
        let losses = self.losses;
        #[cfg(feature = "analysis")]
        self.stepped(id, whole);
        let took = whole.unwrap_or(0);
        let ran = |coro: &mut Coro| {
            coro.busy = coro.busy.saturating_add(took);
            coro.longest = coro.longest.max(took);
            coro.long_steps = coro.long_steps.saturating_add((took >= LONG_STEP).into());
        };
        let live = self.shift(id, at, |coro| {
            ran(coro);
            coro.remember(at, Moment::Ran { steps: 1, took, worker: coro.worker });
            if coro.state == State::Running {
                coro.state = if coro.ready_since.is_some() { State::Ready } else { State::Waiting };
                coro.entered = (at, losses);
            }
            let print = coro.fingerprint();
            coro.fruitless = if print != 0 && print == coro.waited_on { coro.fruitless.saturating_add(1) } else { 0 };
            coro.waited_on = print;
        });
        if !live && let Some(coro) = self.finished.get_mut(&id) {
            ran(Arc::make_mut(coro));
        }
    }

    /// A step begins: counts how long the coroutine was ready before.
    #[cfg(feature = "analysis")]
    pub(super) fn delayed(&mut self, id: CoroId, at: u64) {
        let Some(coro) = self.coros.get_mut(id) else { return };
        let delay = coro.entered(State::Ready, self.losses).map(|since| at.saturating_sub(since));
        self.times.delays.add(delay);
        Arc::make_mut(coro).times.get_or_insert_default().delays.add(delay);
    }

    /// A step ends that took so long, if its begin is known and no events were lost since then.
    #[cfg(feature = "analysis")]
    pub(super) fn stepped(&mut self, id: CoroId, took: Option<u64>) {
        let Some(coro) = self.coros.get_mut(id).or_else(|| self.finished.get_mut(&id)) else { return };
        let took = coro.entered(State::Running, self.losses).and(took);
        self.times.steps.add(took);
        Arc::make_mut(coro).times.get_or_insert_default().steps.add(took);
    }

    /// The steps of a coroutine run in another worker from here on; a step that it is in does, too, as in a checkpoint.
    pub(super) fn moved(&mut self, id: CoroId, to: LoopId) {
        let Some(coro) = self.coros.get_mut(id) else { return self.odd() };
        let before = std::mem::replace(&mut Arc::make_mut(coro).worker, to);
        let before = if before == 0 { coro.in_loop } else { before };
        if before == to {
            return;
        }
        let running = self.loops.get_mut(&before).and_then(|one| one.running.take_if(|(running, _)| *running == id));
        self.with_loop(to, |one| {
            // A checkpoint has those that poll each other in no order.
            let both = one.running.take().into_iter().chain(running);
            one.outer.extend(both.map(|(coro, since)| Outer { coro, since, away: 0 }));
            one.outer.sort_unstable_by_key(|outer| (outer.since, outer.coro));
            one.running = one.outer.pop().map(|innermost| (innermost.coro, innermost.since));
        });
    }

    pub(super) fn end(&mut self, id: CoroId, outcome: Outcome, at: u64) {
        let Some(mut coro) = self.coros.remove(id) else { return self.odd() };
        let above = if coro.under == 0 { Parent::Loop(coro.in_loop) } else { Parent::Coro(coro.under) };
        self.tree.remove(above, &coro);
        self.counts.sub(coro.activity);
        self.move_children_up(&coro, above);
        if let Some(one) = self.loops.get_mut(&coro.in_loop) {
            one.live = one.live.saturating_sub(1);
        }

        let ended = Arc::make_mut(&mut coro);
        for waiter in std::mem::take(&mut ended.waiters).ids() {
            self.shift(waiter, at, |waiter| {
                waiter.on_coros.remove(id);
            });
        }
        for target in std::mem::take(&mut ended.on_coros).ids() {
            if let Some(target) = self.coros.get_mut(target) {
                Arc::make_mut(target).unawaited(id, at);
            }
        }
        for (target, _) in std::mem::take(&mut ended.on_others) {
            if let Target::Res(res) = target
                && let Some(resource) = self.resources.get_mut(&res)
            {
                resource.waiters.remove(id);
            }
        }
        ended.ended = Some((at, outcome));
        ended.activity = ended.classify(|_| None);
        ended.since = at;
        ended.ready_since = None;
        ended.remember(at, Moment::Ended(outcome));
        self.counts.add(ended.activity);
        self.finished.insert(id, coro);
        self.finished_order.push_back(id);
        self.trim();
    }

    pub(super) fn move_children_up(&mut self, coro: &Coro, above: Parent) {
        for child in self.tree.members(Parent::Coro(coro.id)) {
            let Some(child) = self.coros.get_mut(child) else { continue };
            let child = Arc::make_mut(child);
            self.tree.remove(Parent::Coro(coro.id), child);
            child.under = coro.under;
            self.tree.insert(above, child, &self.names);
        }
    }

    /// Forgets the oldest of what ended; not while a loop is cancelling, as the crash to come will name some of it.
    pub(super) fn trim(&mut self) {
        if self.finished_order.len() <= FINISHED {
            return;
        }
        if self.loops.values().any(|one| one.cancel.is_some() && one.ended.is_none()) {
            return;
        }
        while self.finished_order.len() > FINISHED {
            let Some(old) = self.finished_order.pop_front() else { return };
            if !self.pinned.contains(&old) {
                self.finished.remove(&old);
            }
        }
    }
}
