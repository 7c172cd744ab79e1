//! The graph that events describe, folded naively: what checkpoints and readers are compared with.

use std::collections::{BTreeMap, HashMap};

use tinyio_inspector::event::*;

#[derive(Clone, Debug, PartialEq)]
pub struct Coro {
    pub in_loop: LoopId,
    pub parent: CoroId,
    pub name: NameId,
    pub site: SiteId,
    pub state: State,
    pub woken: bool,
    pub since: u64,
    pub cancel_delivered: bool,
    pub edges: BTreeMap<Target, (u64, SiteId)>,
    pub fields: BTreeMap<String, String>,
    pub given_name: NameId,
    pub worker: LoopId,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    pub parent: CoroId,
    pub name: NameId,
    pub mode: LoopMode,
    pub since: u64,
    pub parked: Option<(u64, Option<u64>)>,
    pub cancelling: Option<(CoroId, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Res {
    pub what: ResKind,
    pub size: u64,
    pub site: SiteId,
    pub made: u64,
    pub set: Option<u64>,
    pub holds: BTreeMap<CoroId, Vec<(SiteId, u64)>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Thread {
    pub coro: CoroId,
    pub name: NameId,
    pub site: SiteId,
    pub times: [Option<u64>; 4],
}

/// The state of everything, folded in the plainest way: what the recorder's checkpoints are held against.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    pub loops: BTreeMap<LoopId, Loop>,
    pub coros: BTreeMap<CoroId, Coro>,
    pub resources: BTreeMap<ResId, Res>,
    pub threads: BTreeMap<ThreadId, Thread>,
}

impl Graph {
    pub fn apply(&mut self, at: u64, kind: &Kind) {
        match *kind {
            Kind::LoopStart { id, parent, mode } | Kind::LoopState { id, parent, mode, .. } => {
                let since = if let Kind::LoopState { since, .. } = kind { *since } else { at };
                let one = Loop { parent, name: 0, mode, since, parked: None, cancelling: None };
                assert!(self.loops.insert(id, one).is_none(), "loop {id} starts twice");
            }
            Kind::LoopEnd { id, .. } => assert!(self.loops.remove(&id).is_some(), "loop {id} ends without a start"),
            Kind::Park { id, until } => self.loops.get_mut(&id).unwrap().parked = Some((at, until)),
            Kind::Unpark { id } => self.loops.get_mut(&id).unwrap().parked = None,
            Kind::CancelBegin { id, origin, ref reason, .. } => {
                self.loops.get_mut(&id).unwrap().cancelling = Some((origin, reason.clone()));
            }
            Kind::Spawn { coro, in_loop, parent, name, site } => {
                self.coro(coro, in_loop, parent, name, site, State::Ready, at);
            }
            Kind::CoroState { coro, in_loop, parent, name, site, state, since } => {
                self.coro(coro, in_loop, parent, name, site, state, since);
            }
            Kind::Named { what: Target::Coro(coro), name } => self.of(coro).given_name = name,
            Kind::Named { what: Target::Loop(id), name } => self.loops.get_mut(&id).unwrap().name = name,
            Kind::Wait { coro, on, site } => {
                self.of(coro).edges.entry(on).or_insert((at, site));
            }
            Kind::Clear { coro, on } => {
                self.of(coro).edges.remove(&on);
            }
            Kind::Wake { coro, .. } => {
                let one = self.of(coro);
                match one.state {
                    State::Waiting => (one.state, one.since) = (State::Ready, at),
                    State::Running => one.woken = true,
                    State::Ready => {}
                }
            }
            Kind::StepBegin { coro } => {
                let live: Vec<CoroId> = self.of(coro).edges.keys().filter_map(|on| coro_of(*on)).collect();
                let live: Vec<CoroId> = live.into_iter().filter(|id| self.coros.contains_key(id)).collect();
                let one = self.of(coro);
                assert_eq!(one.state, State::Ready, "coroutine {coro} steps");
                one.edges.retain(|on, _| coro_of(*on).is_some_and(|id| live.contains(&id)));
                (one.state, one.since, one.woken) = (State::Running, at, false);
            }
            // A coroutine ends in its last step.
            Kind::StepEnd { coro } => {
                if let Some(one) = self.coros.get_mut(&coro) {
                    one.state = if one.woken { State::Ready } else { State::Waiting };
                    (one.since, one.woken) = (at, false);
                }
            }
            Kind::End { coro, .. } => {
                assert!(self.coros.remove(&coro).is_some(), "coroutine {coro} ends without a start");
                self.coros.values_mut().for_each(|one| _ = one.edges.remove(&Target::Coro(coro)));
            }
            Kind::Moved { coro, to } => self.of(coro).worker = to,
            Kind::CancelDeliver { coro } => self.of(coro).cancel_delivered = true,
            Kind::Log { coro, ref level, ref target, ref message, ref fields } if level == FIELD => {
                let key = format!("{target} {:?}", fields.iter().map(|(name, _)| name).collect::<Vec<_>>());
                self.of(coro).fields.insert(key, format!("{message} {fields:?}"));
            }
            Kind::ResNew { res, what, size, site, name: _ } => {
                let one = Res { what, size, site, made: at, set: None, holds: BTreeMap::new() };
                assert!(self.resources.insert(res, one).is_none(), "resource {res} is made twice");
            }
            Kind::Set { res, set } => self.res(res).set = set.then_some(at),
            Kind::Hold { res, coro, site } => self.res(res).holds.entry(coro).or_default().push((site, at)),
            Kind::Release { res, coro } => {
                let holds = &mut self.res(res).holds;
                let mine = holds.get_mut(&coro).expect("what releases holds");
                mine.pop();
                if mine.is_empty() {
                    holds.remove(&coro);
                }
            }
            Kind::ResDrop { res } => assert!(self.resources.remove(&res).is_some(), "resource {res} goes"),
            Kind::ThreadQueue { thread, coro, name, site } => {
                let one = Thread { coro, name, site, times: [Some(at), None, None, None] };
                assert!(self.threads.insert(thread, one).is_none(), "thread {thread} is queued twice");
            }
            Kind::ThreadStart { thread } => self.thread(thread).times[1] = Some(at),
            Kind::ThreadCancel { thread } => self.thread(thread).times[2] = Some(at),
            Kind::ThreadNotice { thread } => self.thread(thread).times[3] = Some(at),
            Kind::ThreadEnd { thread, .. } => assert!(self.threads.remove(&thread).is_some(), "thread {thread} ends"),
            _ => {}
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of the event")]
    fn coro(&mut self, id: CoroId, in_loop: u32, parent: u64, name: u32, site: u32, state: State, since: u64) {
        let (edges, fields) = (BTreeMap::new(), BTreeMap::new());
        let (woken, cancel_delivered, given_name, worker) = (false, false, 0, 0);
        let one = Coro {
            in_loop,
            parent,
            name,
            site,
            state,
            woken,
            since,
            cancel_delivered,
            edges,
            fields,
            given_name,
            worker,
        };
        assert!(self.coros.insert(id, one).is_none(), "coroutine {id} is spawned twice");
    }

    fn of(&mut self, id: CoroId) -> &mut Coro {
        self.coros.get_mut(&id).unwrap_or_else(|| panic!("coroutine {id} is not there"))
    }

    fn res(&mut self, id: ResId) -> &mut Res {
        self.resources.get_mut(&id).unwrap_or_else(|| panic!("resource {id} is not there"))
    }

    fn thread(&mut self, id: ThreadId) -> &mut Thread {
        self.threads.get_mut(&id).unwrap_or_else(|| panic!("thread {id} is not there"))
    }
}

pub fn coro_of(on: Target) -> Option<CoroId> {
    if let Target::Coro(id) = on { Some(id) } else { None }
}

/// Folds a stream with losses and checkpoints in it, and checks every checkpoint against what was known.
#[derive(Default)]
pub struct Fold {
    /// `None`: nothing is known, the next checkpoint has to come first.
    pub graph: Option<Graph>,
    checkpoint: Option<Graph>,
    pub checkpoints: usize,
    pub lost: u64,
    pub next: Option<u64>,
    /// Time of the last event of the program: neither a name's nor a checkpoint's.
    pub at: u64,
    pub checked: usize,
}

impl Fold {
    /// One that is there from the beginning.
    pub fn from_start() -> Self {
        Fold { graph: Some(Graph::default()), ..Fold::default() }
    }

    pub fn event(&mut self, event: &Event) {
        let is_repeated = matches!(event.kind, Kind::Name { .. } | Kind::Site { .. });
        if let Some(next) = self.next {
            assert!(event.seq == next || is_repeated && event.seq <= next, "{event:?} where {next} was expected");
        }
        self.next = Some(match event.kind {
            Kind::Lost { events, .. } => event.seq + events,
            Kind::Name { .. } | Kind::Site { .. } => {
                self.next.map_or(event.seq, |next| next.max(event.seq)).max(event.seq)
            }
            _ => event.seq + 1,
        });
        if is_repeated {
            // Whether it is a new event or part of a checkpoint is known from the following events.
            self.next = None;
        }
        match &event.kind {
            Kind::Name { .. } | Kind::Site { .. } => {}
            Kind::Lost { events, why } => {
                assert_eq!(why, "lapped", "{event:?}");
                self.lost += events;
                self.graph = None;
            }
            Kind::Checkpoint { left_out, .. } => {
                assert_eq!(*left_out, 0);
                self.checkpoints += 1;
                self.at = self.at.max(event.at);
                self.checkpoint = Some(Graph::default());
            }
            Kind::CheckpointEnd {} => {
                let new = self.checkpoint.take().expect("a checkpoint ends that began");
                if let Some(known) = &self.graph {
                    assert_same(known, &new);
                    self.checked += 1;
                }
                self.graph = Some(new);
            }
            kind => {
                if let Some(checkpoint) = &mut self.checkpoint {
                    checkpoint.apply(event.at, kind);
                } else if let Some(graph) = &mut self.graph {
                    graph.apply(event.at, kind);
                    self.at = event.at;
                }
            }
        }
    }
}

/// Says where two graphs differ, instead of printing both.
pub fn assert_same(left: &Graph, right: &Graph) {
    assert_eq!(left.loops, right.loops);
    assert_eq!(left.threads, right.threads);
    assert_eq!(left.resources, right.resources);
    assert_eq!(left.coros.keys().collect::<Vec<_>>(), right.coros.keys().collect::<Vec<_>>());
    for (id, coro) in &left.coros {
        assert_eq!(Some(coro), right.coros.get(id), "coroutine {id}");
    }
}
