//! A record, and what is true of any.

use std::collections::BTreeMap;
use std::path::Path;

use tinyio_events::event::{CoroId, Event, Kind, LoopId, LoopMode, NameId, Outcome, Target, Waker};
use tinyio_events::source::Progress;
use tinyio_model::model::Model;
use tinyio_recorder::trace;

/// What a record says.
pub struct Recorded {
    all: Vec<Event>,
    pub model: Model,
    pub events: u64,
    pub is_complete: bool,
    /// By task: the threads of its polls, in order.
    pub polls: BTreeMap<String, Vec<String>>,
    pub outcomes: BTreeMap<String, Outcome>,
    pub parents: BTreeMap<CoroId, CoroId>,
    pub edges: Vec<(CoroId, CoroId)>,
    pub wakes: Vec<(CoroId, Waker)>,
    names: BTreeMap<CoroId, String>,
    threads: BTreeMap<LoopId, String>,
}

impl Recorded {
    pub fn read(path: &Path) -> Recorded {
        let mut source = trace::open_until_now(path).expect("a record");
        let mut all = Vec::new();
        while source.read(10_000, &mut |event| all.push(event)).expect("a record") == Progress::More {}
        let mut model = Model::new(source.header());
        all.iter().for_each(|event| model.apply(event));
        let is_complete = all.last().is_some_and(|event| event.kind == Kind::TraceEnd {});
        let mut recorded = Recorded {
            events: all.last().map_or(0, |event| event.seq),
            all,
            model,
            is_complete,
            polls: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            parents: BTreeMap::new(),
            edges: Vec::new(),
            wakes: Vec::new(),
            names: BTreeMap::new(),
            threads: BTreeMap::new(),
        };
        recorded.take_in();
        recorded
    }

    fn take_in(&mut self) {
        let mut texts: BTreeMap<NameId, String> = BTreeMap::new();
        let mut workers: BTreeMap<CoroId, LoopId> = BTreeMap::new();
        for event in &self.all {
            match &event.kind {
                Kind::Name { id, text } => _ = texts.insert(*id, text.clone()),
                Kind::Named { what: Target::Coro(coro), name } => _ = self.names.insert(*coro, texts[name].clone()),
                Kind::Named { what: Target::Loop(id), name } => _ = self.threads.insert(*id, texts[name].clone()),
                Kind::Spawn { coro, parent, .. } => _ = self.parents.insert(*coro, *parent),
                Kind::Moved { coro, to } => _ = workers.insert(*coro, *to),
                Kind::StepBegin { coro } => {
                    let worker = workers.get(coro).and_then(|worker| self.threads.get(worker));
                    let name = self.names.get(coro).cloned().unwrap_or_default();
                    self.polls.entry(name).or_default().push(worker.cloned().unwrap_or_default());
                }
                Kind::Wake { coro, by } => self.wakes.push((*coro, *by)),
                Kind::Wait { coro, on: Target::Coro(on), .. } => self.edges.push((*coro, *on)),
                Kind::End { coro, outcome } => _ = self.outcomes.insert(self.names[coro].clone(), *outcome),
                _ => {}
            }
        }
    }

    /// What is true of any record, from its first event or its first checkpoint on.
    pub fn check(&self) {
        #[derive(Clone, Copy, Debug, PartialEq)]
        enum State {
            Ready,
            /// And whether it was woken since it began.
            Running(bool),
            Waiting,
        }
        use State::{Ready, Running, Waiting};
        let mut states: BTreeMap<CoroId, State> = BTreeMap::new();
        let mut running: BTreeMap<LoopId, Vec<CoroId>> = BTreeMap::new();
        let mut workers: BTreeMap<CoroId, LoopId> = BTreeMap::new();
        let first = self.all.first().expect("an event");
        let whole = first.seq == 0;
        let (mut at, mut next, mut in_checkpoint) = (0, first.seq, false);
        for Event { seq, at: now, kind } in &self.all {
            if matches!(kind, Kind::Lost { .. }) {
                continue;
            }
            assert_eq!(*seq, next, "no event is missing");
            next = seq + 1;
            match kind {
                Kind::Checkpoint { .. } => in_checkpoint = true,
                Kind::CheckpointEnd {} => in_checkpoint = false,
                _ => {}
            }
            if in_checkpoint || !whole {
                continue;
            }
            assert!(*now >= at, "{now} after {at}");
            at = *now;
            match kind {
                Kind::Spawn { coro, .. } => assert_eq!(states.insert(*coro, Ready), None),
                Kind::Moved { coro, to } => _ = workers.insert(*coro, *to),
                Kind::Wake { coro, .. } => {
                    let state = states.get_mut(coro).expect("one that lives");
                    *state = match *state {
                        Waiting => Ready,
                        Running(false) => Running(true),
                        other => panic!("{coro} is woken while it is {other:?}"),
                    };
                }
                Kind::StepBegin { coro } => {
                    assert_eq!(states.insert(*coro, Running(false)), Some(Ready), "{coro} begins a step");
                    running.entry(workers[coro]).or_default().push(*coro);
                }
                Kind::StepEnd { coro } => {
                    let Some(Running(woken)) = states.get(coro).copied() else { panic!("{coro} ends no step") };
                    states.insert(*coro, if woken { Ready } else { Waiting });
                    assert_eq!(running.get_mut(&workers[coro]).and_then(Vec::pop), Some(*coro), "innermost first");
                }
                Kind::End { coro, .. } => {
                    let state = states.remove(coro).expect("one that lives");
                    assert!(!matches!(state, Running(_)), "{coro} ended in a step");
                }
                _ => {}
            }
        }
        assert_eq!(self.model.lost().odd, 0, "all of it makes sense to the model");
        for one in self.model.loops().filter(|one| one.mode == LoopMode::Worker) {
            let (innermost, outer) = (one.running.map(|(id, _)| id), one.outer.iter().map(|outer| outer.coro));
            let known: Vec<CoroId> = outer.chain(innermost).collect();
            if whole {
                assert_eq!(known, running.remove(&one.id).unwrap_or_default(), "what {} runs", one.id);
            }
        }
    }

    pub fn id(&self, name: &str) -> CoroId {
        *self.names.iter().find(|(_, known)| *known == name).expect("a name that was recorded").0
    }

    /// What woke a task, in order.
    pub fn causes(&self, name: &str) -> Vec<String> {
        let id = self.id(name);
        let name = |by: &Waker| match by {
            Waker::Coro(by) => self.names[by].clone(),
            Waker::Own => "itself".to_owned(),
            Waker::Loop(by) => format!("thread {}", self.threads.get(by).map_or("", |name| name)),
            by => format!("{by:?}"),
        };
        self.wakes.iter().filter(|(coro, _)| *coro == id).map(|(_, by)| name(by)).collect()
    }
}
