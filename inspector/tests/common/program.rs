//! Random programs that make sense, with their true graphs.

use std::collections::{BTreeMap, HashMap};

use tinyio_inspector::event::*;
use tinyio_inspector::recorder::{NO_SLOT, Recorder};

use super::Dice;
use super::graph::{Coro, Graph, Loop, Res, Thread, coro_of};

/// A random program that makes sense, and its true graph. `at` counts its events.
pub struct Program {
    pub dice: Dice,
    pub graph: Graph,
    pub at: u64,
    /// Coroutines alive at about this many at a time.
    pub crowd: usize,
    next_coro: CoroId,
    next_res: ResId,
    next_thread: ThreadId,
    next_loop: LoopId,
    /// The coroutine that is in a step.
    running: CoroId,
    slots: HashMap<CoroId, u32>,
    free: Vec<u32>,
}

impl Program {
    pub fn new(seed: u64, crowd: usize) -> Self {
        Program {
            dice: Dice::new(seed),
            graph: Graph::default(),
            at: 0,
            crowd,
            next_coro: 1,
            next_res: 1,
            next_thread: 1,
            next_loop: 1,
            running: 0,
            slots: HashMap::new(),
            free: vec![],
        }
    }

    fn any<K: Copy, V>(dice: &mut Dice, map: &BTreeMap<K, V>) -> Option<K> {
        map.keys().nth(dice.roll(map.len().max(1) as u64) as usize).copied()
    }

    /// The next event.
    pub fn next(&mut self) -> Kind {
        let dice = &mut self.dice;
        let site = dice.roll(50) as SiteId;
        let name = dice.roll(20) as NameId;
        if self.graph.loops.is_empty() || self.graph.loops.len() < 4 && dice.roll(300) == 0 {
            self.next_loop += 1;
            let mode = [LoopMode::Run, LoopMode::Drive, LoopMode::Isolate][dice.roll(3) as usize];
            return Kind::LoopStart { id: self.next_loop - 1, parent: self.running, mode };
        }
        let id = Self::any(dice, &self.graph.loops).unwrap();
        match dice.roll(if self.running == 0 { 300 } else { 3000 }) {
            0 if self.graph.loops.len() > 1 && !self.graph.coros.values().any(|one| one.in_loop == id) => {
                return Kind::LoopEnd { id, outcome: LoopOutcome::Crashed };
            }
            1..=4 => return Kind::Park { id, until: (dice.roll(2) == 0).then_some(self.at + 7) },
            5..=9 if self.graph.loops[&id].parked.is_some() => return Kind::Unpark { id },
            10 => {
                let reason = "r".repeat(dice.roll(60) as usize);
                let failure = (dice.roll(2) == 0).then(|| Box::new(failed(self.running, dice.roll(400) as usize)));
                return Kind::CancelBegin { id, origin: self.running, reason, failure };
            }
            11 => return Kind::Diag { coro: 0, text: "d".repeat(dice.roll(300) as usize) },
            _ => {}
        }
        let coro = Self::any(dice, &self.graph.coros);
        if self.running != 0 && dice.roll(4) == 0 {
            return Kind::StepEnd { coro: self.running };
        }
        if self.running == 0
            && let Some(coro) = coro
            && self.graph.coros[&coro].state == State::Ready
            && dice.roll(3) != 0
        {
            return Kind::StepBegin { coro };
        }
        let full = self.graph.coros.len() >= self.crowd;
        if coro.is_none() || dice.roll(if full { 60 } else { 6 }) == 0 {
            self.next_coro += 1;
            return Kind::Spawn { coro: self.next_coro - 1, in_loop: id, parent: self.running, name, site };
        }
        let coro = coro.unwrap();
        let thread = Self::any(dice, &self.graph.threads);
        let res = Self::any(dice, &self.graph.resources);
        match (dice.roll(24), res, thread) {
            (0..=6, _, _) if self.running != 0 => {
                let on = match dice.roll(8) {
                    0..=3 => Target::Coro(coro),
                    4 => Target::Timer(self.at + dice.roll(9)),
                    5 => Target::Res(res.unwrap_or(1)),
                    6 => [Target::Turn, Target::External, Target::Loop(id)][dice.roll(3) as usize],
                    _ => Target::Thread(thread.unwrap_or(1)),
                };
                Kind::Wait { coro: self.running, on, site }
            }
            (7, _, _) => match Self::any(dice, &self.graph.coros[&coro].edges) {
                Some(on) => Kind::Clear { coro, on },
                None => Kind::Wake { coro, by: Waker::Own },
            },
            (8, _, _) if self.running == 0 => Kind::End { coro, outcome: Outcome::Cancelled },
            (8..=9, _, _) if self.running != 0 => Kind::End { coro: self.running, outcome: Outcome::Ok },
            (10, _, _) => Kind::CancelDeliver { coro },
            (11, None, _) | (12, _, _) if self.graph.resources.len() < 20 => {
                self.next_res += 1;
                let what = [ResKind::Event, ResKind::Lock, ResKind::Semaphore][dice.roll(3) as usize];
                Kind::ResNew { res: self.next_res - 1, what, size: dice.roll(5), site, name: 0 }
            }
            (13, Some(res), _) => Kind::Hold { res, coro, site },
            (14, Some(res), _) => match Self::any(dice, &self.graph.resources[&res].holds) {
                Some(coro) => Kind::Release { res, coro },
                None => Kind::Set { res, set: dice.roll(2) == 0 },
            },
            (15, Some(res), _) if self.graph.resources[&res].holds.is_empty() && dice.roll(3) == 0 => {
                Kind::ResDrop { res }
            }
            (16, _, None) | (17, _, _) if self.graph.threads.len() < 10 => {
                self.next_thread += 1;
                Kind::ThreadQueue { thread: self.next_thread - 1, coro, name, site }
            }
            (18, _, Some(thread)) => match dice.roll(5) {
                0 | 1 => Kind::ThreadStart { thread },
                2 => Kind::ThreadCancel { thread },
                3 => Kind::ThreadNotice { thread },
                _ => Kind::ThreadEnd { thread, outcome: Outcome::Ok },
            },
            (19, _, _) if dice.roll(4) == 0 => {
                let fields = vec![(format!("f{}", dice.roll(3)), "v".repeat(dice.roll(40) as usize))];
                let message = String::new();
                Kind::Log { coro, level: FIELD.into(), target: "t".into(), message, fields }
            }
            (20, _, _) => {
                let what = [Target::Coro(coro), Target::Loop(id)][dice.roll(2) as usize];
                Kind::Named { what, name: name + 1 }
            }
            (21, _, _) => Kind::Moved { coro, to: 1 + dice.roll(70_000) as LoopId % 65_535 },
            _ => Kind::Wake { coro, by: Waker::External },
        }
    }

    /// Does the next thing, and records it as a loop would.
    pub fn act(&mut self, recorder: Option<&mut Recorder>) -> Kind {
        let kind = self.next();
        self.at += 1;
        let at = self.at;
        if let Kind::Spawn { coro, .. } = kind {
            let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
            self.slots.insert(coro, slot);
        }
        if let Some(recorder) = recorder {
            self.record(recorder, at, &kind);
        }
        match kind {
            Kind::StepBegin { coro } => self.running = coro,
            Kind::StepEnd { .. } => self.running = 0,
            Kind::End { coro, .. } => {
                self.free.extend(self.slots.remove(&coro));
                if coro == self.running {
                    self.running = 0;
                }
            }
            _ => {}
        }
        self.graph.apply(at, &kind);
        kind
    }

    fn record(&self, recorder: &mut Recorder, at: u64, kind: &Kind) {
        let slot = |coro: CoroId| self.slots.get(&coro).copied().unwrap_or(NO_SLOT);
        match *kind {
            Kind::Spawn { coro, in_loop, parent, name, site } => {
                recorder.spawn(at, slot(coro), coro, in_loop, parent, name, site);
            }
            Kind::Wait { coro, on, site } => {
                recorder.wait(at, slot(coro), coro, on, coro_of(on).map_or(NO_SLOT, slot), site);
            }
            Kind::Clear { coro, on } => recorder.clear(at, slot(coro), coro, on),
            Kind::Wake { coro, by } => recorder.wake(at, slot(coro), coro, by),
            Kind::StepBegin { coro } => recorder.step_begin(at, slot(coro), coro),
            Kind::StepEnd { coro } => recorder.step_end(at, slot(coro), coro),
            Kind::End { coro, outcome } => recorder.end(at, slot(coro), coro, outcome),
            Kind::CancelDeliver { coro } => recorder.cancel_deliver(at, slot(coro), coro),
            Kind::Park { id, until } => recorder.park(at, id, until),
            Kind::Unpark { id } => recorder.unpark(at, id),
            Kind::Moved { coro, to } => recorder.moved(at, slot(coro), coro, to),
            Kind::Hold { res, coro, site } => recorder.hold(at, res, coro, site),
            Kind::Release { res, coro } => recorder.release(at, res, coro),
            ref kind => recorder.emit(at, kind.clone()),
        }
    }
}

/// A failure with a message of so many bytes.
fn failed(coro: CoroId, length: usize) -> Failure {
    Failure {
        kind: Outcome::Error,
        coro,
        thread: 0,
        name: "program::step".into(),
        given_name: String::new(),
        message: "m".repeat(length),
        error_type: String::new(),
        sources: Vec::new(),
        trace: Vec::new(),
        stack: None,
        fields: Vec::new(),
        backtrace: Vec::new(),
        error_backtrace: Vec::new(),
    }
}
