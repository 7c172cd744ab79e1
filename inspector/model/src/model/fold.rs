//! The fold: applies one event at a time to the model.

use std::collections::VecDeque;
use std::sync::Arc;

use tinyio_events::event::{
    CoroId, Event, FIELD, Failure, Kind, LoopId, LoopMode, NameId, Outcome, ResId, ResKind, SiteId, Stack, State,
    Target, ThreadId, Waker,
};

use super::coro::{Activity, Coro, Edge, Moment};
use super::links::Links;
use super::names::Named;
use super::parts::{Cancel, Crash, Level, LogLine, Loop, Outer, ResMoment, Resource, Thread};
use super::{CRASHES, DROPPED, ENDED, FINISHED, Finding, Holder, LOG, Model, Parent, Site, Sync};

/// Coroutines that poll each other in one worker: a damaged recording may have any number.
const NESTED: usize = 256;

impl Model {
    /// Applies one event.
    pub fn apply(&mut self, event: &Event) {
        self.count(event);
        if matches!(self.sync, Sync::Skipping) && !matters_in_known_checkpoint(&event.kind) {
            return;
        }
        let at = event.at;
        match &event.kind {
            Kind::Name { id, text } => Arc::make_mut(&mut self.names).set_name(*id, text),
            Kind::Site { id, file, line, column } => {
                let site = Site { file: file.as_str().into(), line: *line, column: *column };
                Arc::make_mut(&mut self.names).set_site(*id, site);
            }

            Kind::LoopStart { id, parent, mode } => self.loop_start(*id, *parent, *mode, at),
            Kind::LoopState { id, parent, mode, since } => self.loop_start(*id, *parent, *mode, *since),
            Kind::LoopEnd { id, outcome } => self.loop_end(*id, *outcome, at),
            Kind::Park { id, until } => self.with_loop(*id, |one| one.parked = Some((at, *until))),
            Kind::Unpark { id } => self.with_loop(*id, |one| one.parked = None),

            Kind::Spawn { coro, in_loop, parent, name, site } => {
                self.spawn(*coro, *in_loop, *parent, *name, *site, at);
                if let Some(coro) = self.coros.get_mut(*coro) {
                    Arc::make_mut(coro).remember(at, Moment::Spawned);
                }
            }
            Kind::CoroState { coro, in_loop, parent, name, site, state, since } => {
                self.spawn(*coro, *in_loop, *parent, *name, *site, *since);
                let losses = self.losses;
                self.shift(*coro, *since, |coro| {
                    coro.state = *state;
                    coro.entered = (*since, losses);
                    coro.ready_since = (*state == State::Ready).then_some(*since);
                });
                if *state == State::Running {
                    self.with_loop(*in_loop, |one| one.running = Some((*coro, *since)));
                }
            }
            Kind::Wait { coro, on, site } => self.wait(*coro, *on, *site, at),
            Kind::Clear { coro, on } => self.clear(*coro, *on, at),
            Kind::Wake { coro, by } => self.wake(*coro, *by, at),
            Kind::StepBegin { coro } => self.step_begin(*coro, at),
            Kind::StepEnd { coro } => self.step_end(*coro, at),
            Kind::Away { coro, nanos } => {
                let from = at.saturating_sub(*nanos);
                // What comes right after the last one continues it.
                self.away = (if from <= self.away.1 { self.away.0.min(from) } else { from }, at);
                let in_loop = self.coro(*coro).map(Coro::runs_in);
                if let Some(one) = in_loop.and_then(|id| self.loops.get_mut(&id)) {
                    one.away = one.away.saturating_add(*nanos);
                }
            }
            Kind::Moved { coro, to } => self.moved(*coro, *to),
            Kind::End { coro, outcome } => self.end(*coro, *outcome, at),

            Kind::Named { what: Target::Coro(coro), name } => {
                self.named(*coro, *name);
            }
            Kind::Named { what: Target::Loop(id), name } => self.with_loop(*id, |one| one.name = *name),
            Kind::Named { .. } => {}

            Kind::ResNew { res, what, size, site, name } => {
                let (id, what, size, site, name) = (*res, *what, *size, *site, *name);
                let (holders, waiters) = (Vec::new(), Links::default());
                let history = VecDeque::new();
                let fresh = Resource { id, what, size, site, name, since: at, set: false, holders, waiters, history };
                let before = self.resources.insert(id, fresh);
                if name != 0 && before.is_none_or(|before| before.name != name) {
                    Arc::make_mut(&mut self.names).give(Named::Res(what), name);
                }
            }
            Kind::Hold { res, coro, site } => self.hold(*res, *coro, *site, at),
            Kind::Release { res, coro } => self.release(*res, *coro, at),
            Kind::Set { res, set } => match self.resources.get_mut(res) {
                Some(resource) => {
                    resource.set = *set;
                    resource.remember(at, if *set { ResMoment::Set } else { ResMoment::Cleared }, 0);
                }
                None => self.odd(),
            },
            Kind::ResDrop { res } => match self.resources.remove(res) {
                Some(resource) => {
                    if self.dropped.len() == DROPPED {
                        self.dropped.pop_front();
                    }
                    self.dropped.push_back((*res, resource.what, resource.name));
                }
                None => self.odd(),
            },

            Kind::ThreadQueue { thread, coro, name, site } => {
                let fresh = Thread {
                    id: *thread,
                    coro: *coro,
                    name: *name,
                    pool: 0,
                    site: *site,
                    queued: at,
                    started: None,
                    ended: None,
                    asked: None,
                    noticed: None,
                };
                self.threads.insert(*thread, fresh);
                let taken = self.coros.get_mut(*coro).map(|coro| {
                    Arc::make_mut(coro).thread = *thread;
                    coro.holds.clone()
                });
                taken.into_iter().flatten().for_each(|res| self.note_pool(*thread, res));
            }
            Kind::ThreadStart { thread } => self.with_thread(*thread, |thread| thread.started = Some(at)),
            Kind::ThreadCancel { thread } => {
                self.with_thread(*thread, |thread| thread.asked = thread.asked.or(Some(at)));
            }
            Kind::ThreadNotice { thread } => {
                self.with_thread(*thread, |thread| thread.noticed = thread.noticed.or(Some(at)));
            }
            Kind::ThreadEnd { thread, outcome } => match self.threads.remove(thread) {
                Some(mut thread) => {
                    thread.ended = Some((at, *outcome));
                    if self.ended_threads.len() == ENDED {
                        self.ended_threads.pop_front();
                    }
                    self.ended_threads.push_back(thread);
                }
                None => self.odd(),
            },

            Kind::CancelBegin { id, origin, reason } => {
                let cancel = Arc::new(Cancel { at, origin: *origin, reason: reason.clone() });
                self.with_loop(*id, |one| one.cancel = Some(cancel));
            }
            Kind::CancelDeliver { coro } => {
                let is_live = self.shift(*coro, at, |coro| {
                    coro.remember(at, Moment::Cancelled);
                    coro.at_cancel = Some(Box::new(coro.waits().collect()));
                });
                self.odd_unless(is_live);
            }
            Kind::Frames { coro, stack } => {
                let known = self.stack_of(*coro, at, stack);
                self.odd_unless(known);
            }
            Kind::Crash { id, failures } => self.crash_of(*id, failures, event),

            Kind::Log { coro, level, .. } if level == FIELD => self.fields(*coro, &event.kind),
            Kind::Log { coro, level, target, message, fields } => self.line(LogLine {
                seq: event.seq,
                at,
                coro: *coro,
                level: Level::parse(level),
                target: target.clone(),
                text: message.clone(),
                fields: fields.clone(),
            }),
            Kind::Output { stream, text, printed } => {
                let level = if *stream == 2 { Level::Stderr } else { Level::Stdout };
                let at = if *printed == 0 { at } else { at.min(*printed) };
                self.plain_line(event.seq, at, 0, level, text);
            }
            Kind::Diag { coro, text } => self.plain_line(event.seq, at, *coro, Level::Tinyio, text),

            Kind::Picture { number, stopped } => self.begin_picture(*number, *stopped, at),
            Kind::Finding { reason, coros, text, proof } => self.found(Finding {
                reason: reason.clone(),
                coros: coros.clone(),
                text: text.clone(),
                proof: proof.clone(),
            }),

            Kind::Lost { events, why } => {
                let add = |sum: &mut u64| *sum = sum.saturating_add(*events);
                match why.as_str() {
                    "lapped" => add(&mut self.lost.lapped),
                    // They are not part of the graph.
                    "log" => return add(&mut self.lost.dropped),
                    // Nothing comes after it that could contradict what is known.
                    "cut" => return self.lost.cut = true,
                    "damaged" => add(&mut self.lost.unreadable),
                    _ => add(&mut self.lost.dropped),
                }
                self.lose_track();
                // Whatever number comes next, this event has accounted for it.
                self.next_seq = None;
            }
            Kind::Checkpoint { left_out, .. } => {
                if self.sync == Sync::Complete {
                    self.sync = Sync::Skipping;
                } else {
                    self.forget();
                    self.sync = Sync::Filling;
                    self.lost.left_out = *left_out;
                }
            }
            Kind::CheckpointEnd {} => {
                if self.sync != Sync::Unsure {
                    self.sync = Sync::Complete;
                }
            }
            Kind::TraceEnd {} => self.complete = true,
            Kind::Unknown => {}
        }
    }

    /// Something was missed.
    pub(super) fn lose_track(&mut self) {
        self.sync = Sync::Unsure;
        self.losses = self.losses.wrapping_add(1);
    }

    fn count(&mut self, event: &Event) {
        match self.next_seq {
            // A stream seen from its first event on is true from the start.
            None if self.events == 0 && event.seq == 0 => self.sync = Sync::Complete,
            None => {}
            Some(next) if event.seq > next && !matches!(event.kind, Kind::Lost { .. }) => {
                self.lost.gaps = self.lost.gaps.saturating_add(event.seq - next);
                self.lose_track();
            }
            Some(_) => {}
        }
        self.next_seq = Some(event.seq.saturating_add(1));
        self.events += 1;
        self.now = self.now.max(event.at);
    }

    /// Takes in the await stack of a coroutine, read at this time. False if nothing is known of the coroutine.
    pub(crate) fn stack_of(&mut self, coro: CoroId, at: u64, stack: &Stack) -> bool {
        let known = self.coros.get_mut(coro).or_else(|| self.finished.get_mut(&coro));
        known.map(|coro| Arc::make_mut(coro).stack = Some((at, Arc::new(stack.clone())))).is_some()
    }

    pub(super) fn odd(&mut self) {
        self.lost.odd += 1;
    }

    fn odd_unless(&mut self, known: bool) {
        self.lost.odd += u64::from(!known);
    }

    /// Forgets the graph, but not the past: the log, crashes and counts of what ended stay.
    fn forget(&mut self) {
        for activity in Activity::ALL.into_iter().filter(|activity| activity.is_live()) {
            while self.counts.get(activity) > 0 {
                self.counts.sub(activity);
            }
        }
        self.coros = Default::default();
        self.tree = Default::default();
        self.loops.retain(|_, one| one.ended.is_some());
        self.threads.clear();
        self.resources.clear();
    }

    // Loops.

    fn with_loop(&mut self, id: LoopId, change: impl FnOnce(&mut Loop)) {
        match self.loops.get_mut(&id) {
            Some(one) => change(one),
            None => self.odd(),
        }
    }

    fn loop_start(&mut self, id: LoopId, parent: CoroId, mode: LoopMode, since: u64) {
        let fresh = Loop {
            id,
            parent,
            name: 0,
            mode,
            since,
            ended: None,
            parked: None,
            running: None,
            outer: Vec::new(),
            away: 0,
            cancel: None,
            live: self.loops.get(&id).map_or(0, |known| known.live),
            busy: 0,
            steps: 0,
        };
        self.loops.insert(id, fresh);
        if self.loops.len() > ENDED {
            let old = self.loops.iter().find(|(_, one)| one.ended.is_some()).map(|(id, _)| *id);
            old.and_then(|id| self.loops.remove(&id));
        }
    }

    fn loop_end(&mut self, id: LoopId, outcome: tinyio_events::event::LoopOutcome, at: u64) {
        let mut left = 0;
        self.with_loop(id, |one| {
            one.ended = Some((at, outcome));
            one.parked = None;
            one.running = None;
            one.outer.clear();
            left = one.live;
        });
        if left > 0 {
            // Their ends were lost.
            let ids: Vec<_> = self.live().filter(|coro| coro.in_loop == id).map(|coro| coro.id).collect();
            self.lost.odd += ids.len() as u64;
            ids.into_iter().for_each(|coro| self.end(coro, Outcome::Cancelled, at));
        }
        self.trim();
    }

    // Coroutines.

    /// Changes a live coroutine and brings every count up to date. Returns whether there is one.
    fn shift(&mut self, id: CoroId, at: u64, change: impl FnOnce(&mut Coro)) -> bool {
        let Some(coro) = self.coros.get_mut(id) else { return false };
        let coro = Arc::make_mut(coro);
        change(coro);
        let resources = &self.resources;
        let activity = coro.classify(|res| resources.get(&res).is_some_and(|res| res.what == ResKind::Event));
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

    fn spawn(&mut self, id: CoroId, in_loop: LoopId, parent: CoroId, name: NameId, site: SiteId, at: u64) {
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
    fn named(&mut self, id: CoroId, name: NameId) {
        let Some(coro) = self.coros.get_mut(id).filter(|coro| coro.given_name != name) else { return };
        let before = std::mem::replace(&mut Arc::make_mut(coro).given_name, name);
        let coro = coro.clone();
        Arc::make_mut(&mut self.names).give(Named::Coro, name);
        if coro.is_live() {
            let parent = self.parent_of(&coro);
            self.tree.named(parent, &coro, before, &self.names);
        }
    }

    fn wait(&mut self, id: CoroId, on: Target, site: SiteId, at: u64) {
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

    fn clear(&mut self, id: CoroId, on: Target, at: u64) {
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
    fn busy(&self, id: LoopId, at: u64) -> u64 {
        let one = self.loops.get(&id);
        one.map_or(0, |one| one.busy_at(at))
    }

    fn wake(&mut self, id: CoroId, by: Waker, at: u64) {
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

    fn step_begin(&mut self, id: CoroId, at: u64) {
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

    fn step_end(&mut self, id: CoroId, at: u64) {
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
    fn delayed(&mut self, id: CoroId, at: u64) {
        let Some(coro) = self.coros.get_mut(id) else { return };
        let delay = coro.entered(State::Ready, self.losses).map(|since| at.saturating_sub(since));
        self.times.delays.add(delay);
        Arc::make_mut(coro).times.get_or_insert_default().delays.add(delay);
    }

    /// A step ends that took so long, if its begin is known and no events were lost since then.
    #[cfg(feature = "analysis")]
    fn stepped(&mut self, id: CoroId, took: Option<u64>) {
        let Some(coro) = self.coros.get_mut(id).or_else(|| self.finished.get_mut(&id)) else { return };
        let took = coro.entered(State::Running, self.losses).and(took);
        self.times.steps.add(took);
        Arc::make_mut(coro).times.get_or_insert_default().steps.add(took);
    }

    /// The steps of a coroutine run in another worker from here on; a step that it is in does, too, as in a checkpoint.
    fn moved(&mut self, id: CoroId, to: LoopId) {
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

    fn end(&mut self, id: CoroId, outcome: Outcome, at: u64) {
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
        ended.activity = ended.classify(|_| false);
        ended.since = at;
        ended.ready_since = None;
        ended.remember(at, Moment::Ended(outcome));
        self.counts.add(ended.activity);
        self.finished.insert(id, coro);
        self.finished_order.push_back(id);
        self.trim();
    }

    fn move_children_up(&mut self, coro: &Coro, above: Parent) {
        for child in self.tree.members(Parent::Coro(coro.id)) {
            let Some(child) = self.coros.get_mut(child) else { continue };
            let child = Arc::make_mut(child);
            self.tree.remove(Parent::Coro(coro.id), child);
            child.under = coro.under;
            self.tree.insert(above, child, &self.names);
        }
    }

    /// Forgets the oldest of what ended; not while a loop is cancelling, as the crash to come will name some of it.
    fn trim(&mut self) {
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

    // Resources and threads.

    fn hold(&mut self, res: ResId, coro: CoroId, site: SiteId, at: u64) {
        match self.resources.get_mut(&res) {
            Some(resource) => {
                resource.holders.push(Holder { coro, site, since: at });
                resource.remember(at, ResMoment::Acquired(coro), site);
            }
            None => self.odd(),
        }
        if let Some(coro) = self.coros.get_mut(coro) {
            let coro = Arc::make_mut(coro);
            coro.holds.push(res);
            coro.remember(at, Moment::Took(res));
            // In a checkpoint the thread comes first.
            let thread = coro.thread;
            self.note_pool(thread, res);
        }
    }

    /// Notes that the coroutine that stands for a thread holds a permit. It takes none but that of its `ThreadPool`.
    fn note_pool(&mut self, thread: ThreadId, res: ResId) {
        let name = self.resources.get(&res).map_or(0, |resource| resource.name);
        if let Some(thread) = self.threads.get_mut(&thread).filter(|thread| thread.pool == 0) {
            thread.pool = name;
        }
    }

    fn release(&mut self, res: ResId, coro: CoroId, at: u64) {
        let held = self.resources.get_mut(&res).and_then(|resource| {
            let index = resource.holders.iter().position(|holder| holder.coro == coro)?;
            resource.remember(at, ResMoment::Released(coro), 0);
            Some(resource.holders.remove(index))
        });
        self.odd_unless(held.is_some());
        if let Some(coro) = self.coros.get_mut(coro) {
            let coro = Arc::make_mut(coro);
            if let Some(index) = coro.holds.iter().position(|held| *held == res) {
                coro.holds.remove(index);
            }
            coro.remember(at, Moment::Gave(res));
        }
    }

    fn with_thread(&mut self, id: ThreadId, change: impl FnOnce(&mut Thread)) {
        match self.threads.get_mut(&id) {
            Some(thread) => change(thread),
            None => self.odd(),
        }
    }

    // Crashes and the log.

    fn crash_of(&mut self, id: LoopId, failures: &[Failure], event: &Event) {
        for failure in failures {
            let named = failure.trace.iter().map(|site| site.coro).chain([failure.coro]);
            self.pinned.extend(named.filter(|coro| *coro != 0));
        }
        let crash = Crash::new(id, event.at, event.seq, failures.to_vec());
        self.crashes.push(Arc::new(crash));
        if self.crashes.len() > CRASHES {
            let old = self.crashes.remove(1);
            for failure in &old.failures {
                for coro in failure.trace.iter().map(|site| site.coro).chain([failure.coro]) {
                    self.pinned.remove(&coro);
                    self.finished.remove(&coro);
                }
            }
        }
    }

    fn fields(&mut self, id: CoroId, kind: &Kind) {
        let Some(coro) = self.coros.get_mut(id).or_else(|| self.finished.get_mut(&id)) else { return self.odd() };
        let coro = Arc::make_mut(coro);
        for (name, value) in kind.recorded_fields() {
            match coro.fields.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => coro.fields.push((name, value)),
            }
        }
    }

    fn plain_line(&mut self, seq: u64, at: u64, coro: CoroId, level: Level, text: &str) {
        let text = text.to_owned();
        self.line(LogLine { seq, at, coro, level, target: String::new(), text, fields: vec![] });
    }

    fn line(&mut self, line: LogLine) {
        if self.log.len() == LOG {
            self.log.pop_front();
            self.log_dropped += 1;
        }
        self.log.push_back(Arc::new(line));
    }
}

/// Whether an event of a checkpoint can be new to a reader that has received all events before it.
fn matters_in_known_checkpoint(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Name { .. } | Kind::Site { .. } | Kind::CheckpointEnd {} | Kind::Lost { .. } | Kind::TraceEnd {}
    )
}
