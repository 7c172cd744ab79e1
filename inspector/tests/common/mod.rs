//! What the tests of the recorder share: a graph folded naively, random programs that make sense, and any event at all.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use tinyio_inspector::event::*;
use tinyio_inspector::recorder::{NO_SLOT, Recorder};
use tinyio_inspector::ring::Options;
use tinyio_inspector::source::{Progress, Source};

/// A recorder in a folder of its own.
pub fn start(size: u64) -> (tempfile::TempDir, Recorder) {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(&options(folder.path(), size)).unwrap();
    (folder, recorder)
}

pub fn options(folder: &std::path::Path, size: u64) -> Options {
    Options { size, folder: Some(folder.join("rings")), program: Some("test".into()) }
}

/// All there is to read now.
pub fn drain(source: &mut dyn Source) -> (Vec<Event>, Progress) {
    let mut events = vec![];
    loop {
        match source.read(1000, &mut |event| events.push(event)).unwrap() {
            Progress::More => {}
            progress => return (events, progress),
        }
    }
}

/// Random numbers, the same for the same seed.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % sides
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Coro {
    pub in_loop: LoopId,
    pub parent: CoroId,
    pub name: NameId,
    pub site: SiteId,
    pub state: State,
    pub woken: bool,
    pub since: u64,
    pub told: bool,
    pub edges: BTreeMap<Target, (u64, SiteId)>,
    pub fields: BTreeMap<String, String>,
    pub given_name: NameId,
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
            Kind::CancelBegin { id, origin, ref reason } => {
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
            Kind::CancelDeliver { coro } => self.of(coro).told = true,
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
                let mine = holds.get_mut(&coro).expect("who releases holds");
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
        let (woken, told, given_name) = (false, false, 0);
        let one = Coro { in_loop, parent, name, site, state, woken, since, told, edges, fields, given_name };
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

fn coro_of(on: Target) -> Option<CoroId> {
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
        let told_anew = matches!(event.kind, Kind::Name { .. } | Kind::Site { .. });
        if let Some(next) = self.next {
            assert!(event.seq == next || told_anew && event.seq <= next, "{event:?} where {next} was expected");
        }
        self.next = Some(match event.kind {
            Kind::Lost { events, .. } => event.seq + events,
            Kind::Name { .. } | Kind::Site { .. } => {
                self.next.map_or(event.seq, |next| next.max(event.seq)).max(event.seq)
            }
            _ => event.seq + 1,
        });
        if told_anew {
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
            dice: Dice(seed),
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
            10 => return Kind::CancelBegin { id, origin: self.running, reason: "r".repeat(dice.roll(60) as usize) },
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
            Kind::Hold { res, coro, site } => recorder.hold(at, res, coro, site),
            Kind::Release { res, coro } => recorder.release(at, res, coro),
            ref kind => recorder.emit(at, kind.clone()),
        }
    }
}

// ---- any event at all -----------------------------------------------------------------------------------------------

fn id() -> BoxedStrategy<u64> {
    let all = { prop_oneof![0..10u64, 0..1u64 << 56, any::<u64>()] };
    all.boxed()
}

fn small() -> BoxedStrategy<u32> {
    let all = { prop_oneof![0..10u32, 0..1u32 << 24, any::<u32>()] };
    all.boxed()
}

fn text() -> BoxedStrategy<String> {
    let all = { prop_oneof!["[ -~]{0,12}", "\\PC{0,12}", any::<String>(), Just("\"\\\n\u{0}\u{2028}".to_string())] };
    all.boxed()
}

fn of<T: Clone + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(values)
}

fn outcome() -> BoxedStrategy<Outcome> {
    let all = {
        use Outcome::*;
        of(&[Ok, Error, Panic, Cancelled, Improper, NeverStarted])
    };
    all.boxed()
}

fn mode() -> BoxedStrategy<LoopMode> {
    let all = { of(&[LoopMode::Run, LoopMode::Drive, LoopMode::Isolate]) };
    all.boxed()
}

fn target() -> BoxedStrategy<Target> {
    let all = {
        prop_oneof![
            id().prop_map(Target::Coro),
            id().prop_map(Target::Res),
            id().prop_map(Target::Thread),
            id().prop_map(Target::Timer),
            small().prop_map(Target::Loop),
            Just(Target::Turn),
            Just(Target::External),
        ]
    };
    all.boxed()
}

fn waker() -> BoxedStrategy<Waker> {
    let all = {
        prop_oneof![
            id().prop_map(Waker::Coro),
            id().prop_map(Waker::Res),
            id().prop_map(Waker::Thread),
            of(&[Waker::Timer, Waker::Own, Waker::Cancel, Waker::External]),
        ]
    };
    all.boxed()
}

fn value() -> BoxedStrategy<Value> {
    let all = {
        let leaf = (text(), text(), id()).prop_map(|(text, type_name, coro)| Value {
            text,
            type_name,
            children: vec![],
            coro,
        });
        leaf.prop_recursive(3, 12, 4, |inner| {
            (text(), proptest::collection::vec((text(), inner), 0..4)).prop_map(|(text, children)| Value {
                text,
                children,
                ..Value::default()
            })
        })
    };
    all.boxed()
}

fn frame() -> BoxedStrategy<Frame> {
    let all =
        {
            let local = (text(), value(), text()).prop_map(|(name, value, mark)| Local { name, value, mark });
            let leaf =
                (
                    (text(), text(), small(), small()),
                    proptest::collection::vec((small(), text()), 0..3),
                    proptest::collection::vec(local, 0..3),
                    (any::<bool>(), text()),
                )
                    .prop_map(|((function, file, line, column), source, locals, (hidden, note))| {
                        Frame { function, file, line, column, source, locals, branches: vec![], hidden, note }
                    });
            leaf.prop_recursive(2, 6, 2, |inner| {
                let branch =
                    (text(), proptest::collection::vec(inner, 0..3)).prop_map(|(name, frames)| Branch { name, frames });
                proptest::collection::vec(branch, 0..3).prop_map(|branches| Frame { branches, ..Frame::default() })
            })
        };
    all.boxed()
}

fn stack() -> BoxedStrategy<Stack> {
    let all = {
        (proptest::collection::vec(frame(), 0..3), proptest::option::of(text()), any::<bool>())
            .prop_map(|(frames, missing, mid_step)| Stack { frames, missing, mid_step })
    };
    all.boxed()
}

fn sites() -> BoxedStrategy<Vec<TraceSite>> {
    let all = {
        let site = (id(), text(), text(), small(), small(), any::<bool>()).prop_map(
            |(coro, name, file, line, column, last_await)| TraceSite { coro, name, file, line, column, last_await },
        );
        proptest::collection::vec(site, 0..3)
    };
    all.boxed()
}

fn failure() -> BoxedStrategy<Failure> {
    let all = {
        (
            (outcome(), id(), id(), text(), text(), text(), text()),
            proptest::collection::vec(text(), 0..3),
            (sites(), proptest::option::of(stack()), proptest::collection::vec((text(), text()), 0..3)),
            (sites(), sites()),
        )
            .prop_map(
                |(
                    (kind, coro, thread, name, given_name, message, error_type),
                    sources,
                    (trace, stack, fields),
                    (backtrace, error_backtrace),
                )| Failure {
                    kind,
                    coro,
                    thread,
                    name,
                    given_name,
                    message,
                    error_type,
                    sources,
                    trace,
                    stack,
                    fields,
                    backtrace,
                    error_backtrace,
                },
            )
    };
    all.boxed()
}

/// Kinds that a recorder takes.
pub fn emitted() -> BoxedStrategy<Kind> {
    let all = {
        let coro = prop_oneof![
            (id(), small(), id(), small(), small())
                .prop_map(|(coro, in_loop, parent, name, site)| { Kind::Spawn { coro, in_loop, parent, name, site } }),
            (target(), small()).prop_map(|(what, name)| Kind::Named { what, name }),
            (id(), target(), small()).prop_map(|(coro, on, site)| Kind::Wait { coro, on, site }),
            (id(), target()).prop_map(|(coro, on)| Kind::Clear { coro, on }),
            (id(), waker()).prop_map(|(coro, by)| Kind::Wake { coro, by }),
            id().prop_map(|coro| Kind::StepBegin { coro }),
            id().prop_map(|coro| Kind::StepEnd { coro }),
            (id(), outcome()).prop_map(|(coro, outcome)| Kind::End { coro, outcome }),
            id().prop_map(|coro| Kind::CancelDeliver { coro }),
        ];
        let loops = prop_oneof![
            (small(), id(), mode()).prop_map(|(id, parent, mode)| Kind::LoopStart { id, parent, mode }),
            (small(), of(&[LoopOutcome::Ok, LoopOutcome::Crashed, LoopOutcome::Dropped]))
                .prop_map(|(id, outcome)| Kind::LoopEnd { id, outcome }),
            (small(), proptest::option::of(id())).prop_map(|(id, until)| Kind::Park { id, until }),
            small().prop_map(|id| Kind::Unpark { id }),
            (small(), id(), text()).prop_map(|(id, origin, reason)| Kind::CancelBegin { id, origin, reason }),
        ];
        let resources = prop_oneof![
            (id(), of(&[ResKind::Event, ResKind::Lock, ResKind::Semaphore, ResKind::Barrier]), id(), small(), small())
                .prop_map(|(res, what, size, site, name)| Kind::ResNew { res, what, size, site, name }),
            (id(), id(), small()).prop_map(|(res, coro, site)| Kind::Hold { res, coro, site }),
            (id(), id()).prop_map(|(res, coro)| Kind::Release { res, coro }),
            (id(), any::<bool>()).prop_map(|(res, set)| Kind::Set { res, set }),
            id().prop_map(|res| Kind::ResDrop { res }),
        ];
        let threads = prop_oneof![
            (id(), id(), small(), small()).prop_map(|(thread, coro, name, site)| Kind::ThreadQueue {
                thread,
                coro,
                name,
                site
            }),
            id().prop_map(|thread| Kind::ThreadStart { thread }),
            (id(), outcome()).prop_map(|(thread, outcome)| Kind::ThreadEnd { thread, outcome }),
            id().prop_map(|thread| Kind::ThreadCancel { thread }),
            id().prop_map(|thread| Kind::ThreadNotice { thread }),
        ];
        let texts = prop_oneof![
            (id(), stack()).prop_map(|(coro, stack)| Kind::Frames { coro, stack }),
            (small(), proptest::collection::vec(failure(), 0..3))
                .prop_map(|(id, failures)| Kind::Crash { id, failures }),
            (id(), text(), text(), text(), proptest::collection::vec((text(), text()), 0..3))
                .prop_map(|(coro, level, target, message, fields)| Kind::Log { coro, level, target, message, fields }),
            (any::<u8>(), text(), any::<u64>()).prop_map(|(stream, text, printed)| Kind::Output {
                stream,
                text,
                printed
            }),
            (id(), text()).prop_map(|(coro, text)| Kind::Diag { coro, text }),
            (id(), id()).prop_map(|(coro, nanos)| Kind::Away { coro, nanos }),
            (id(), text()).prop_map(|(events, why)| Kind::Lost { events, why }),
        ];
        prop_oneof![coro, loops, resources, threads, texts, Just(Kind::TraceEnd {})]
    };
    all.boxed()
}

/// All kinds there are, but for the unknown.
pub fn kinds() -> BoxedStrategy<Kind> {
    let all = {
        let made = prop_oneof![
            (small(), text()).prop_map(|(id, text)| Kind::Name { id, text }),
            (small(), text(), small(), small()).prop_map(|(id, file, line, column)| Kind::Site {
                id,
                file,
                line,
                column
            }),
            (id(), id()).prop_map(|(coros, left_out)| Kind::Checkpoint { coros, left_out }),
            (small(), id(), mode(), id()).prop_map(|(id, parent, mode, since)| Kind::LoopState {
                id,
                parent,
                mode,
                since
            }),
            ((id(), small(), id(), small(), small()), of(&[State::Ready, State::Running, State::Waiting]), id())
                .prop_map(|((coro, in_loop, parent, name, site), state, since)| Kind::CoroState {
                    coro,
                    in_loop,
                    parent,
                    name,
                    site,
                    state,
                    since
                }),
            Just(Kind::CheckpointEnd {}),
        ];
        prop_oneof![4 => emitted(), 1 => made]
    };
    all.boxed()
}

pub fn events() -> BoxedStrategy<Event> {
    let all = { (id(), id(), kinds()).prop_map(|(seq, at, kind)| Event { seq, at, kind }) };
    all.boxed()
}
