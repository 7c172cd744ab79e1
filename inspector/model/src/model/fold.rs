//! The fold: applies one event at a time to the model.

mod coroutines;

use std::collections::VecDeque;
use std::sync::Arc;

use tinyio_events::event::{
    CoroId, Event, FIELD, Failure, Kind, LoopId, LoopMode, LoopOutcome, Outcome, ResId, SiteId, Stack, State, Target,
    ThreadId,
};

use super::coro::{Activity, Coro, Moment};
use super::links::Links;
use super::names::Named;
use super::parts::{Cancel, Crash, Level, LogLine, Loop, ResMoment, Resource, Thread};
use super::{CRASHES, DROPPED, ENDED, Finding, Holder, LOG, Model, Site, Sync};

/// What a warning of tinyio begins with on stderr.
const WARNING: &str = "tinyio: warning: ";
/// At most so many lines of warnings are expected there.
const PRINTED_WARNINGS: usize = 64;

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

            Kind::CancelBegin { id, origin, reason, failure } => {
                let cancel = Arc::new(Cancel { at, origin: *origin, reason: reason.clone() });
                self.with_loop(*id, |one| one.cancel = Some(cancel));
                if let Some(failure) = failure {
                    self.crash_of(*id, std::slice::from_ref(failure), event, false);
                }
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
            Kind::Crash { id, failures } => self.crash_of(*id, failures, event, true),

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
                match self.printed_warnings.iter().position(|line| *stream == 2 && line == text) {
                    Some(index) => drop(self.printed_warnings.remove(index)),
                    None => self.plain_line(event.seq, at, 0, level, text),
                }
            }
            Kind::Diag { coro, text } => {
                self.plain_line(event.seq, at, *coro, Level::Tinyio, text);
                let printed = format!("{WARNING}{text}");
                self.printed_warnings.extend(printed.lines().map(str::to_owned));
                while self.printed_warnings.len() > PRINTED_WARNINGS {
                    self.printed_warnings.pop_front();
                }
            }

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
        self.crashes.retain(|crash| crash.is_over);
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

    fn loop_end(&mut self, id: LoopId, outcome: LoopOutcome, at: u64) {
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
        // That it crashed is known, and of what, even where the event with all failures was lost.
        let is_over = outcome == LoopOutcome::Crashed;
        if let Some(at) = self.crashes.iter().position(|crash| crash.in_loop == id && !crash.is_over) {
            match is_over {
                true => Arc::make_mut(&mut self.crashes[at]).is_over = true,
                false => drop(self.crashes.remove(at)),
            }
        }
        self.trim();
    }

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

    fn crash_of(&mut self, id: LoopId, failures: &[Failure], event: &Event, is_over: bool) {
        for failure in failures {
            let named = failure.trace.iter().map(|site| site.coro).chain([failure.coro]);
            self.pinned.extend(named.filter(|coro| *coro != 0));
        }
        let crash = Arc::new(Crash::new(id, event.at, event.seq, is_over, failures.to_vec()));
        // In the order in which they ended.
        self.crashes.retain(|other| other.in_loop != id || other.is_over);
        self.crashes.push(crash);
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
