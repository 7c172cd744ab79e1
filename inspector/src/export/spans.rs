//! The spans of each coroutine and thread, derived from the events as they are read: the input of timelines.
//!
//! ```text
//!  Spawn           StepBegin        StepEnd            Wake            StepBegin
//!    │    ready       │     run        │     wait        │     ready      │    run …
//! ```

use std::io;

use crate::event::{CoroId, Event, FIELD, Header, Kind, Outcome, SiteId, State, Target, ThreadId, Waker};
use crate::format::{fine_span, one_line};
use crate::model::{IdMap, Model, short_name};

/// Receives the spans. Each is passed once it has ended; those of one track never overlap, and come in order.
pub(super) trait Sink {
    /// Before anything else.
    fn begin(&mut self, header: &Header) -> io::Result<()>;
    /// There is a coroutine, so far unknown, or its name has changed.
    fn born(&mut self, _model: &Model, _coro: CoroId) {}
    /// A coroutine has had its last span.
    fn gone(&mut self, _coro: CoroId) {}
    /// A track, before the first span or mark on it.
    fn track(&mut self, track: Track, name: &str) -> io::Result<()>;
    /// A span has ended.
    fn span(&mut self, model: &Model, span: &Span<'_>) -> io::Result<()>;
    /// Something happened at a moment.
    fn mark(&mut self, mark: &Mark<'_>) -> io::Result<()>;
    /// After everything else.
    fn finish(&mut self) -> io::Result<()>;
}

/// A row of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Track {
    /// Of the program as a whole.
    Program,
    /// A coroutine's.
    Coro(CoroId),
    /// That of a function on a thread.
    Thread(ThreadId),
}

/// A span of time on a track.
#[derive(Debug)]
pub(super) struct Span<'a> {
    pub(super) track: Track,
    pub(super) kind: What,
    /// A few words: the function that runs, or what is waited on.
    pub(super) name: &'a str,
    pub(super) from: u64,
    pub(super) to: u64,
    /// Nanoseconds of it in which no other coroutine ran inside this one, less `away`.
    pub(super) own: u64,
    /// Nanoseconds of it that were not the program's: see [`Kind::Away`].
    pub(super) away: u64,
    /// The `.await`, where it waits.
    pub(super) place: String,
    /// On what, where it waits.
    pub(super) on: Option<Target>,
    /// A short label of the source of the wake.
    pub(super) by: String,
    /// How it ended, if the coroutine or thread ended with it.
    pub(super) outcome: Option<Outcome>,
    /// Arrows that begin here.
    pub(super) flows_out: &'a [u64],
    /// The arrow that ends here.
    pub(super) flow_in: Option<u64>,
}

/// What the time that was not the program's is called in timelines.
pub(super) const AWAY: &str = "not the program's";

impl Span<'_> {
    /// The time that was not the program's, in words; empty if there was none.
    pub(super) fn away(&self) -> String {
        if self.away > 0 { fine_span(self.away) } else { String::new() }
    }
}

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A coroutine is polled, or a thread runs its function.
    Run,
    /// A coroutine waits for its next step, or a function for a thread.
    Ready,
    /// A coroutine waits.
    Wait,
}

impl What {
    pub(super) fn word(self) -> &'static str {
        match self {
            What::Run => "run",
            What::Ready => "ready",
            What::Wait => "wait",
        }
    }
}

/// Something that happened.
#[derive(Debug)]
pub(super) struct Mark<'a> {
    pub(super) track: Track,
    pub(super) at: u64,
    pub(super) kind: &'static str,
    pub(super) text: &'a str,
}

/// Makes spans of events.
pub(super) struct Spans<S> {
    sink: S,
    lanes: IdMap<CoroId, Lane>,
    threads: IdMap<ThreadId, ThreadLane>,
    /// The coroutines that are being polled, one inside the other.
    running: Vec<CoroId>,
    /// A checkpoint is being skipped.
    in_checkpoint: bool,
    /// Events were missed: the live objects are taken from the model once it is in sync again.
    unsure: bool,
    gaps: u64,
    program_announced: bool,
}

struct Lane {
    phase: What,
    since: u64,
    /// What it waits on, and where.
    waits: String,
    on: Option<Target>,
    site: SiteId,
    by: String,
    flow_in: Option<u64>,
    flows_out: Vec<u64>,
    /// Time in which others ran inside this one.
    inner: u64,
    away: u64,
    outcome: Option<Outcome>,
    is_announced: bool,
}

struct ThreadLane {
    since: u64,
    runs: bool,
    is_announced: bool,
}

impl Lane {
    fn new(phase: What, since: u64) -> Lane {
        Lane {
            phase,
            since,
            waits: String::new(),
            on: None,
            site: 0,
            by: String::new(),
            flow_in: None,
            flows_out: Vec::new(),
            inner: 0,
            away: 0,
            outcome: None,
            is_announced: false,
        }
    }
}

impl<S: Sink> Spans<S> {
    pub(super) fn new(sink: S) -> Spans<S> {
        Spans {
            sink,
            lanes: IdMap::default(),
            threads: IdMap::default(),
            running: Vec::new(),
            in_checkpoint: false,
            unsure: true,
            gaps: 0,
            program_announced: false,
        }
    }

    pub(super) fn begin(&mut self, header: &Header) -> io::Result<()> {
        self.sink.begin(header)
    }

    /// Takes an event in; the model has it already.
    pub(super) fn event(&mut self, model: &Model, event: &Event) -> io::Result<()> {
        let at = event.at;
        if event.seq == 0 {
            self.unsure = false;
        }
        // An event that cannot be decoded does not affect the others, and those of threads are not part of the graph.
        let is_lost = matches!(&event.kind, Kind::Lost { why, .. } if !["damaged", "log"].contains(&why.as_str()));
        if is_lost || model.lost().gaps > self.gaps {
            self.gaps = model.lost().gaps;
            self.close_all(model, at)?;
            self.unsure = true;
        }
        match &event.kind {
            Kind::Checkpoint { .. } => self.in_checkpoint = true,
            Kind::CheckpointEnd {} => {
                self.in_checkpoint = false;
                if std::mem::take(&mut self.unsure) {
                    self.take_over(model, at);
                }
            }
            _ if self.in_checkpoint => {}

            Kind::Spawn { coro, parent, .. } => {
                let mut lane = Lane::new(What::Ready, at);
                if let Some(parent) = self.lanes.get_mut(parent).filter(|lane| lane.phase == What::Run) {
                    parent.flows_out.push(flow(event.seq));
                    lane.flow_in = Some(flow(event.seq));
                }
                self.sink.born(model, *coro);
                self.lanes.insert(*coro, lane);
            }
            // The name that the program gives a coroutine comes right after its spawn.
            Kind::Named { what: Target::Coro(coro), .. } if self.lanes.contains_key(coro) => {
                self.sink.born(model, *coro);
            }
            Kind::StepBegin { coro } if self.lanes.contains_key(coro) => {
                self.close(model, *coro, at)?;
                self.lanes.get_mut(coro).into_iter().for_each(|lane| lane.phase = What::Run);
                self.running.push(*coro);
            }
            Kind::Away { coro, nanos } => {
                let lane = self.lanes.get_mut(coro).filter(|lane| lane.phase == What::Run);
                lane.into_iter().for_each(|lane| lane.away = lane.away.saturating_add(*nanos));
            }
            Kind::StepEnd { coro } => self.step_end(model, *coro, at)?,
            Kind::Wake { coro, by } => self.wake(model, *coro, *by, event.seq, at)?,
            Kind::End { coro, outcome } => {
                let Some(lane) = self.lanes.get_mut(coro) else { return Ok(()) };
                lane.outcome = Some(*outcome);
                // One that ends in its step goes when the step does.
                if lane.phase != What::Run {
                    self.close(model, *coro, at)?;
                    self.remove(*coro);
                }
            }

            Kind::ThreadQueue { thread, .. } => {
                self.threads.insert(*thread, ThreadLane { since: at, runs: false, is_announced: false });
            }
            Kind::ThreadStart { thread } => self.thread_span(model, *thread, at, None)?,
            Kind::ThreadEnd { thread, outcome } => self.thread_span(model, *thread, at, Some(*outcome))?,
            Kind::ThreadCancel { thread } => self.mark(model, Track::Thread(*thread), at, "cancel", "asked to stop")?,
            Kind::ThreadNotice { thread } => self.mark(model, Track::Thread(*thread), at, "cancel", "saw it")?,

            Kind::CancelBegin { reason, .. } => {
                self.mark(model, Track::Program, at, "cancel", &format!("cancelling everything: {reason}"))?;
            }
            Kind::CancelDeliver { coro } => self.mark(model, Track::Coro(*coro), at, "cancel", "cancelled")?,
            Kind::Crash { failures, .. } => {
                let what = failures.first().map_or("", |failure| failure.message.lines().next().unwrap_or(""));
                self.mark(model, Track::Program, at, "crash", &format!("crashed: {what}"))?;
            }
            Kind::Log { level, .. } if level == FIELD => {}
            Kind::Log { coro, level, message, .. } => {
                let track = if self.lanes.contains_key(coro) { Track::Coro(*coro) } else { Track::Program };
                self.mark(model, track, at, "log", &format!("{level} {message}"))?;
            }
            Kind::Diag { text, .. } => self.mark(model, Track::Program, at, "tinyio", text)?,
            _ => {}
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, model: &Model) -> io::Result<()> {
        self.close_all(model, model.now())?;
        self.sink.finish()
    }

    fn step_end(&mut self, model: &Model, coro: CoroId, at: u64) -> io::Result<()> {
        let Some(lane) = self.lanes.get(&coro).filter(|lane| lane.phase == What::Run) else { return Ok(()) };
        let took = at.saturating_sub(lane.since);
        let ended = lane.outcome.is_some();
        self.close(model, coro, at)?;
        self.running.retain(|id| *id != coro);
        // The one that polled it: of the same loop, or of one around it, but not of another thread.
        let worker = |id: CoroId| model.coro(id).map_or(0, |coro| coro.worker);
        let outer = self.running.iter().rev().find(|outer| worker(**outer) == worker(coro));
        if let Some(outer) = outer.and_then(|outer| self.lanes.get_mut(outer)) {
            outer.inner += took;
        }
        if ended {
            self.remove(coro);
            return Ok(());
        }
        if let Some(lane) = self.lanes.get_mut(&coro) {
            settle(lane, model, coro);
        }
        Ok(())
    }

    fn wake(&mut self, model: &Model, coro: CoroId, by: Waker, seq: u64, at: u64) -> io::Result<()> {
        let source = match by {
            Waker::Coro(id) => Some(id),
            // The running coroutine is the one that set the event or released the lock.
            Waker::Res(_) => self.running.last().copied(),
            _ => None,
        };
        let mut arrow = None;
        if let Some(lane) = source.and_then(|id| self.lanes.get_mut(&id)).filter(|lane| lane.phase == What::Run) {
            lane.flows_out.push(flow(seq));
            arrow = Some(flow(seq));
        }
        if let Waker::Thread(thread) = by {
            arrow = Some(thread_flow(thread));
        }
        let Some(lane) = self.lanes.get(&coro) else { return Ok(()) };
        let waited = lane.phase == What::Wait;
        if waited {
            self.close(model, coro, at)?;
        }
        if let Some(lane) = self.lanes.get_mut(&coro) {
            if waited {
                lane.phase = What::Ready;
            }
            lane.by = model.waker_label(by);
            lane.flow_in = arrow.filter(|_| source != Some(coro));
        }
        Ok(())
    }

    /// Ends the span a coroutine is in, and begins the next one's time.
    fn close(&mut self, model: &Model, coro: CoroId, at: u64) -> io::Result<()> {
        self.announce(model, Track::Coro(coro))?;
        let Some(lane) = self.lanes.get_mut(&coro) else { return Ok(()) };
        let from = std::mem::replace(&mut lane.since, at).min(at);
        let is_run = lane.phase == What::Run;
        let flows_out = if is_run { std::mem::take(&mut lane.flows_out) } else { Vec::new() };
        let inner = if is_run { std::mem::take(&mut lane.inner) } else { 0 };
        let unshared = at.saturating_sub(from).saturating_sub(inner);
        let away = std::mem::take(&mut lane.away).min(unshared);
        let waits = std::mem::take(&mut lane.waits);
        let place =
            model.site(lane.site).filter(|_| lane.phase == What::Wait).map_or(String::new(), |site| site.to_string());
        let span = Span {
            track: Track::Coro(coro),
            kind: lane.phase,
            name: match lane.phase {
                What::Run => model.kind_label(coro),
                What::Ready => "ready",
                What::Wait => &waits,
            },
            from,
            to: at,
            own: unshared - away,
            away,
            place,
            on: lane.on.filter(|_| lane.phase == What::Wait),
            by: if is_run { std::mem::take(&mut lane.by) } else { String::new() },
            outcome: lane.outcome,
            flows_out: &flows_out,
            flow_in: if is_run { lane.flow_in.take() } else { None },
        };
        self.sink.span(model, &span)
    }

    fn thread_span(&mut self, model: &Model, thread: ThreadId, at: u64, outcome: Option<Outcome>) -> io::Result<()> {
        self.announce(model, Track::Thread(thread))?;
        let Some(lane) = self.threads.get_mut(&thread) else { return Ok(()) };
        let runs = std::mem::replace(&mut lane.runs, true);
        let from = std::mem::replace(&mut lane.since, at).min(at);
        let name = model.thread(thread).map_or("", |thread| short_name(model.name(thread.name)));
        let flows = [thread_flow(thread)];
        let span = Span {
            track: Track::Thread(thread),
            kind: if runs { What::Run } else { What::Ready },
            name: if runs { name } else { "queued" },
            from,
            to: at,
            own: at.saturating_sub(from),
            away: 0,
            place: String::new(),
            on: None,
            by: String::new(),
            outcome,
            flows_out: if runs && outcome.is_some() { &flows } else { &[] },
            flow_in: None,
        };
        self.sink.span(model, &span)?;
        if outcome.is_some() {
            self.threads.remove(&thread);
        }
        Ok(())
    }

    /// Announces a track before its first use.
    fn announce(&mut self, model: &Model, track: Track) -> io::Result<()> {
        let name = match track {
            Track::Program => {
                if std::mem::replace(&mut self.program_announced, true) {
                    return Ok(());
                }
                model.header().program.clone()
            }
            Track::Coro(id) => {
                let Some(lane) = self.lanes.get_mut(&id) else { return Ok(()) };
                if std::mem::replace(&mut lane.is_announced, true) {
                    return Ok(());
                }
                model.label(id)
            }
            Track::Thread(id) => {
                let Some(lane) = self.threads.get_mut(&id) else { return Ok(()) };
                if std::mem::replace(&mut lane.is_announced, true) {
                    return Ok(());
                }
                model.target_label(Target::Thread(id))
            }
        };
        self.sink.track(track, &one_line(&name))
    }

    fn mark(&mut self, model: &Model, track: Track, at: u64, kind: &'static str, text: &str) -> io::Result<()> {
        let known = match track {
            Track::Program => true,
            Track::Coro(id) => self.lanes.contains_key(&id),
            Track::Thread(id) => self.threads.contains_key(&id),
        };
        if !known {
            return Ok(());
        }
        self.announce(model, track)?;
        self.sink.mark(&Mark { track, at, kind, text: &one_line(text) })
    }

    fn remove(&mut self, coro: CoroId) {
        self.lanes.remove(&coro);
        self.sink.gone(coro);
    }

    /// Ends everything that is open.
    fn close_all(&mut self, model: &Model, at: u64) -> io::Result<()> {
        let mut ids: Vec<_> = self.lanes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.close(model, id, at)?;
            self.remove(id);
        }
        let mut ids: Vec<_> = self.threads.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.thread_span(model, id, at, None)?;
        }
        self.threads.clear();
        self.running.clear();
        Ok(())
    }

    /// Restarts with the live objects of the model.
    fn take_over(&mut self, model: &Model, at: u64) {
        for coro in model.live() {
            let phase = match coro.state() {
                State::Running => What::Run,
                State::Ready => What::Ready,
                State::Waiting => What::Wait,
            };
            // Nothing is recorded of the time that is missing.
            let mut lane = Lane::new(phase, at);
            if phase == What::Wait {
                settle(&mut lane, model, coro.id);
            }
            self.sink.born(model, coro.id);
            self.lanes.insert(coro.id, lane);
        }
        let running = model.loops().filter(|one| one.ended.is_none()).filter_map(|one| Some(one.running?.0));
        self.running = running.collect();
        for thread in model.threads() {
            let lane = ThreadLane { since: at, runs: thread.started.is_some(), is_announced: false };
            self.threads.insert(thread.id, lane);
        }
    }
}

/// What a coroutine is at after a step.
fn settle(lane: &mut Lane, model: &Model, coro: CoroId) {
    let Some(coro) = model.coro(coro) else { return };
    if coro.state() == State::Ready {
        lane.phase = What::Ready;
        return;
    }
    lane.phase = What::Wait;
    let wait = model.main_wait(coro);
    lane.on = wait.map(|(on, _)| on);
    lane.site = wait.map_or(0, |(_, edge)| edge.site);
    let label = wait.map_or("external".to_owned(), |(on, _)| model.target_label(on));
    lane.waits = match coro.wait_count() {
        0 | 1 => one_line(&label),
        many => format!("{} and {} more", one_line(&label), many - 1),
    };
}

/// The number of the arrow that an event begins. Even, as those of threads are odd.
fn flow(seq: u64) -> u64 {
    seq.wrapping_add(1) << 1
}

/// The number of the arrow from the end of a thread.
fn thread_flow(thread: ThreadId) -> u64 {
    thread << 1 | 1
}
