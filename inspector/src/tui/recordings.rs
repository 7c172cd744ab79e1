//! The recordings of one process as one stream. Each thread that runs loops records into a ring of its own; the live
//! view shows their loops as roots of one tree.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::event::{CoroId, Event, FIELD, Failure, Frame, Header, Kind, Stack, Target, Value, Waker};
use crate::program_memory::ProgramMemory;
use crate::ring::{Request, RingReader};
use crate::source::{Progress, Source};

/// Several rings of one process, merged by time.
///
/// Numbers are given anew where those of two recordings would be the same: the first recording keeps its own as long as
/// it is alone, coroutine 17 of the second one is shown as 1017. Times count from the start of the first recording.
///
/// A checkpoint is passed on only after a loss. It then holds the state of all recordings, because a model that has
/// missed events forgets everything at the next checkpoint.
pub(super) struct Recordings {
    header: Header,
    all: Vec<Recording>,
    numbers: Numbers,
    joining: Receiver<RingReader>,
    seq: u64,
    at: u64,
    /// The recording that is passing a checkpoint on: no event of another recording may come in between.
    inside: Option<usize>,
}

struct Recording {
    reader: RingReader,
    /// Nanoseconds from the start of the first recording to the start of this one; negative if the system's clock was
    /// set back.
    after: i128,
    /// Read, and not passed on.
    events: VecDeque<Event>,
    progress: Progress,
    /// The `seq` after the last event that was passed on.
    passed: u64,
    /// No event is missing.
    whole: bool,
    /// Inside a checkpoint that holds nothing new.
    skipping: bool,
}

impl Recordings {
    /// The first recording, and where others of the process may be handed in.
    pub(super) fn new(first: RingReader) -> (Recordings, Sender<RingReader>) {
        let (send, joining) = channel();
        let mut recordings = Recordings {
            header: first.header().clone(),
            all: Vec::new(),
            numbers: Numbers::default(),
            joining,
            seq: 0,
            at: 0,
            inside: None,
        };
        recordings.add(first);
        (recordings, send)
    }

    fn add(&mut self, reader: RingReader) {
        let after = i128::from(reader.header().started) - i128::from(self.header.started);
        let whole = reader.position() == 0;
        let mut events = VecDeque::new();
        if !whole {
            let lost = Kind::Lost { events: reader.position(), why: "lapped".into() };
            events.push_back(Event { seq: 0, at: 0, kind: lost });
        }
        let progress = Progress::More;
        self.all.push(Recording { reader, after, events, progress, passed: 0, whole, skipping: false });
    }

    /// The recording that has the next event; `None` if that is not known yet.
    fn next(&self) -> Option<usize> {
        if let Some(inside) = self.inside {
            return (!self.all[inside].events.is_empty()).then_some(inside);
        }
        let waits = |one: &Recording| one.events.is_empty() && one.progress == Progress::More;
        if self.all.iter().any(waits) {
            return None;
        }
        let times = self.all.iter().enumerate().filter_map(|(n, one)| Some((one.shift(one.events.front()?.at), n)));
        times.min().map(|(_, n)| n)
    }

    /// Passes an event on, or leaves it out.
    fn pass(&mut self, n: usize, event: Event, sink: &mut dyn FnMut(Event)) -> io::Result<()> {
        let one = &mut self.all[n];
        one.passed = event.seq.saturating_add(1);
        match &event.kind {
            Kind::Checkpoint { .. } if one.whole => {
                one.skipping = true;
                return Ok(());
            }
            Kind::Checkpoint { .. } => self.inside = Some(n),
            Kind::CheckpointEnd {} if std::mem::take(&mut one.skipping) => return Ok(()),
            Kind::CheckpointEnd {} => {
                one.whole = true;
                self.inside = None;
                for other in (0..self.all.len()).filter(|other| *other != n) {
                    self.tell_again(other, sink)?;
                }
                if self.all.iter().any(|one| !one.whole) {
                    return Ok(());
                }
            }
            // Neither is followed by a checkpoint.
            Kind::Lost { why, .. } if ["log", "cut"].contains(&why.as_str()) => {}
            Kind::Lost { .. } => {
                (one.whole, one.skipping) = (false, false);
                self.inside = self.inside.filter(|inside| *inside != n);
            }
            Kind::Name { .. } | Kind::Site { .. } => {}
            _ if one.skipping => return Ok(()),
            Kind::TraceEnd {} if self.all.iter().any(|one| one.progress != Progress::Ended) => return Ok(()),
            _ => {}
        }
        self.hand(n, event, self.inside.is_none(), sink);
        Ok(())
    }

    /// Hands an event out, with the numbers and times of the whole. `forward`: its time may not be before that of the
    /// event before.
    fn hand(&mut self, n: usize, mut event: Event, forward: bool, sink: &mut dyn FnMut(Event)) {
        let one = &self.all[n];
        event.at = one.shift(event.at);
        if forward {
            // The events of a step have the time of its beginning, so those of another recording may have been passed
            // on by then.
            event.at = event.at.max(self.at);
            self.at = event.at;
        }
        event.seq = self.seq;
        self.seq += 1;
        self.numbers.kind(n, &mut event.kind, &|at| one.shift(at));
        sink(event);
    }

    /// Emits the state of a recording without missing events, from its oldest checkpoint on, for a model that has
    /// discarded it.
    fn tell_again(&mut self, n: usize, sink: &mut dyn FnMut(Event)) -> io::Result<()> {
        let one = &self.all[n];
        if !one.whole {
            return Ok(());
        }
        let (mut reader, until) = (RingReader::open(one.reader.path())?, one.passed);
        let (mut has_checkpoint, mut skipping, mut lost) = (reader.position() == 0, false, false);
        let mut events = Vec::new();
        loop {
            let progress = reader.read(4096, &mut |event| events.push(event))?;
            for event in events.drain(..).filter(|event| event.seq < until) {
                match &event.kind {
                    Kind::Checkpoint { .. } => skipping = has_checkpoint,
                    Kind::CheckpointEnd {} => (skipping, has_checkpoint) = (false, true),
                    Kind::Name { .. } | Kind::Site { .. } => self.hand(n, event, false, sink),
                    Kind::Lost { .. } => lost = true,
                    // An event of the past is not emitted twice.
                    Kind::Output { .. } | Kind::Diag { .. } | Kind::Crash { .. } | Kind::TraceEnd {} => {}
                    Kind::Log { level, .. } if level != FIELD => {}
                    _ if skipping => {}
                    _ => self.hand(n, event, false, sink),
                }
            }
            if progress != Progress::More || reader.position() >= until {
                break;
            }
        }
        // The reader was overtaken meanwhile: its next checkpoint holds the complete state.
        self.all[n].whole = has_checkpoint && !lost;
        Ok(())
    }
}

impl Source for Recordings {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> io::Result<Progress> {
        while let Ok(reader) = self.joining.try_recv() {
            self.add(reader);
        }
        for one in &mut self.all {
            if one.events.len() < limit {
                one.progress = one.reader.read(limit, &mut |event| one.events.push_back(event))?;
            }
        }
        let mut handed = 0;
        while handed < limit
            && let Some(n) = self.next()
            && let Some(event) = self.all[n].events.pop_front()
        {
            self.pass(n, event, sink)?;
            handed += 1;
        }
        let all = |progress: &[Progress]| self.all.iter().all(|one| progress.contains(&one.progress));
        let waiting = self.all.iter().any(|one| one.progress == Progress::More);
        Ok(match () {
            () if waiting || self.next().is_some() => Progress::More,
            () if all(&[Progress::Ended]) => Progress::Ended,
            () if all(&[Progress::Ended, Progress::Died]) => Progress::Died,
            () => Progress::Idle,
        })
    }

    fn ask_frames(&mut self, Request { coro, in_full }: Request) {
        if let Some((n, coro)) = self.numbers.coros.origin(coro) {
            Source::ask_frames(&mut self.all[n].reader, Request { coro, in_full });
        }
    }

    fn memory(&mut self, coro: CoroId) -> Option<Result<ProgramMemory, String>> {
        let (n, coro) = self.numbers.coros.origin(coro)?;
        self.all[n].reader.memory(coro)
    }

    fn renumber(&mut self, coro: CoroId, stack: &mut Stack) {
        if let Some((n, _)) = self.numbers.coros.origin(coro) {
            self.numbers.stack(n, stack);
        }
    }
}

impl Recording {
    /// A time of this recording as one of the first.
    fn shift(&self, at: u64) -> u64 {
        let shifted = i128::from(at) + self.after;
        u64::try_from(shifted.max(0)).unwrap_or(u64::MAX)
    }
}

/// The numbers of several recordings as numbers of one stream.
#[derive(Default)]
struct Numbers {
    coros: Block,
    loops: Block,
    resources: Block,
    threads: Block,
    names: Block,
    sites: Block,
}

/// Number of ids that are allocated at once.
const BLOCK: u64 = 1000;

/// Numbers of one kind: each block of a recording has a block of the stream.
#[derive(Default)]
struct Block {
    given: HashMap<(usize, u64), u64>,
    origins: Vec<(usize, u64)>,
    last: Option<((usize, u64), u64)>,
}

impl Block {
    /// The stream's number of a recording's; 0 stays 0.
    fn of(&mut self, n: usize, id: u64) -> u64 {
        if id == 0 {
            return 0;
        }
        let origin = (n, id / BLOCK);
        let block = match self.last {
            Some((last, block)) if last == origin => block,
            _ => *self.given.entry(origin).or_insert_with(|| {
                self.origins.push(origin);
                self.origins.len() as u64 - 1
            }),
        };
        self.last = Some((origin, block));
        block * BLOCK + id % BLOCK
    }

    /// The recording of one of the stream's numbers, and the number in it.
    fn origin(&self, id: u64) -> Option<(usize, u64)> {
        let (n, block) = *self.origins.get(usize::try_from(id / BLOCK).ok()?)?;
        Some((n, block * BLOCK + id % BLOCK))
    }
}

impl Numbers {
    fn kind(&mut self, n: usize, kind: &mut Kind, shift: &dyn Fn(u64) -> u64) {
        match kind {
            Kind::Name { id, .. } => self.name(n, id),
            Kind::Site { id, .. } => self.site(n, id),
            Kind::LoopStart { id, parent, .. } => {
                self.in_loop(n, id);
                self.coro(n, parent);
            }
            Kind::LoopState { id, parent, since, .. } => {
                self.in_loop(n, id);
                self.coro(n, parent);
                *since = shift(*since);
            }
            Kind::LoopEnd { id, .. } | Kind::Unpark { id } => self.in_loop(n, id),
            Kind::Park { id, until } => {
                self.in_loop(n, id);
                *until = until.map(shift);
            }
            Kind::Spawn { coro, in_loop, parent, name, site } => {
                self.coro(n, coro);
                self.in_loop(n, in_loop);
                self.coro(n, parent);
                self.name(n, name);
                self.site(n, site);
            }
            Kind::CoroState { coro, in_loop, parent, name, site, since, .. } => {
                self.coro(n, coro);
                self.in_loop(n, in_loop);
                self.coro(n, parent);
                self.name(n, name);
                self.site(n, site);
                *since = shift(*since);
            }
            Kind::Wait { coro, on, site } => {
                self.coro(n, coro);
                self.target(n, on, shift);
                self.site(n, site);
            }
            Kind::Clear { coro, on } => {
                self.coro(n, coro);
                self.target(n, on, shift);
            }
            Kind::Wake { coro, by } => {
                self.coro(n, coro);
                match by {
                    Waker::Coro(by) => self.coro(n, by),
                    Waker::Res(res) => self.resource(n, res),
                    Waker::Thread(thread) => self.thread(n, thread),
                    Waker::Loop(id) => self.in_loop(n, id),
                    Waker::Timer | Waker::Own | Waker::Cancel | Waker::External => {}
                }
            }
            Kind::Moved { coro, to } => {
                self.coro(n, coro);
                self.in_loop(n, to);
            }
            Kind::StepBegin { coro }
            | Kind::StepEnd { coro }
            | Kind::Away { coro, .. }
            | Kind::End { coro, .. }
            | Kind::CancelDeliver { coro }
            | Kind::Log { coro, .. }
            | Kind::Diag { coro, .. } => self.coro(n, coro),
            Kind::Named { what, name } => {
                self.target(n, what, shift);
                self.name(n, name);
            }
            Kind::ResNew { res, site, name, .. } => {
                self.resource(n, res);
                self.site(n, site);
                self.name(n, name);
            }
            Kind::Hold { res, coro, site } => {
                self.resource(n, res);
                self.coro(n, coro);
                self.site(n, site);
            }
            Kind::Release { res, coro } => {
                self.resource(n, res);
                self.coro(n, coro);
            }
            Kind::Set { res, .. } | Kind::ResDrop { res } => self.resource(n, res),
            Kind::ThreadQueue { thread, coro, name, site } => {
                self.thread(n, thread);
                self.coro(n, coro);
                self.name(n, name);
                self.site(n, site);
            }
            Kind::ThreadStart { thread }
            | Kind::ThreadEnd { thread, .. }
            | Kind::ThreadCancel { thread }
            | Kind::ThreadNotice { thread } => self.thread(n, thread),
            Kind::CancelBegin { id, origin, failure, .. } => {
                self.in_loop(n, id);
                self.coro(n, origin);
                failure.iter_mut().for_each(|failure| self.failure(n, failure));
            }
            Kind::Frames { coro, stack } => {
                self.coro(n, coro);
                self.stack(n, stack);
            }
            Kind::Finding { coros, .. } => coros.iter_mut().for_each(|coro| self.coro(n, coro)),
            Kind::Crash { id, failures } => {
                self.in_loop(n, id);
                failures.iter_mut().for_each(|failure| self.failure(n, failure));
            }
            Kind::Output { .. }
            | Kind::Picture { .. }
            | Kind::Lost { .. }
            | Kind::Checkpoint { .. }
            | Kind::CheckpointEnd {}
            | Kind::TraceEnd {}
            | Kind::Unknown => {}
        }
    }

    fn coro(&mut self, n: usize, id: &mut u64) {
        *id = self.coros.of(n, *id);
    }

    fn resource(&mut self, n: usize, id: &mut u64) {
        *id = self.resources.of(n, *id);
    }

    fn thread(&mut self, n: usize, id: &mut u64) {
        *id = self.threads.of(n, *id);
    }

    fn in_loop(&mut self, n: usize, id: &mut u32) {
        *id = small(self.loops.of(n, u64::from(*id)));
    }

    fn name(&mut self, n: usize, id: &mut u32) {
        *id = small(self.names.of(n, u64::from(*id)));
    }

    fn site(&mut self, n: usize, id: &mut u32) {
        *id = small(self.sites.of(n, u64::from(*id)));
    }

    fn target(&mut self, n: usize, on: &mut Target, shift: &dyn Fn(u64) -> u64) {
        match on {
            Target::Coro(coro) => self.coro(n, coro),
            Target::Res(res) => self.resource(n, res),
            Target::Thread(thread) => self.thread(n, thread),
            Target::Timer(at) => *at = shift(*at),
            Target::Loop(id) => self.in_loop(n, id),
            Target::Turn | Target::External => {}
        }
    }

    fn failure(&mut self, n: usize, failure: &mut Failure) {
        self.coro(n, &mut failure.coro);
        self.thread(n, &mut failure.thread);
        failure.trace.iter_mut().chain(&mut failure.backtrace).for_each(|site| self.coro(n, &mut site.coro));
        if let Some(stack) = &mut failure.stack {
            self.stack(n, stack);
        }
    }

    fn stack(&mut self, n: usize, stack: &mut Stack) {
        self.frames(n, &mut stack.frames);
    }

    fn frames(&mut self, n: usize, frames: &mut [Frame]) {
        for frame in frames {
            frame.locals.iter_mut().for_each(|local| self.value(n, &mut local.value));
            frame.branches.iter_mut().for_each(|branch| self.frames(n, &mut branch.frames));
        }
    }

    fn value(&mut self, n: usize, value: &mut Value) {
        self.coro(n, &mut value.coro);
        value.children.iter_mut().for_each(|(_, child)| self.value(n, child));
    }
}

/// Of numbers that have 32 bits: 0, unknown, where those are not enough.
fn small(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{LoopMode, Outcome};
    use crate::model::Model;
    use crate::recorder::Recorder;
    use crate::ring::{MIN_SIZE, Options};

    struct Two {
        _folder: tempfile::TempDir,
        recorders: [Recorder; 2],
        recordings: Recordings,
        model: Model,
    }

    /// Two recordings, each with a loop and its main coroutine, in one stream.
    fn two() -> Two {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { folder: Some(folder.path().join("rings")), size: MIN_SIZE, ..Options::default() };
        let recorders = ["left", "right"].map(|name| {
            let mut recorder = Recorder::start(&options).unwrap();
            let (name, at) = (recorder.name(name), recorder.now());
            recorder.emit(at, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
            recorder.emit(at, Kind::Spawn { coro: 1, in_loop: 1, parent: 0, name, site: 0 });
            recorder
        });
        let (recordings, joining) = Recordings::new(recorders[0].reader().unwrap());
        joining.send(recorders[1].reader().unwrap()).unwrap();
        let model = Model::new(&recordings.header);
        Two { _folder: folder, recorders, recordings, model }
    }

    impl Two {
        fn read(&mut self, limit: usize) -> Vec<Event> {
            let mut seen = Vec::new();
            while self.recordings.read(limit, &mut |event| seen.push(event)).unwrap() == Progress::More {}
            seen.iter().for_each(|event| self.model.apply(event));
            seen
        }

        /// Coroutines that live, by loop, with their names.
        fn live(&self) -> Vec<(u32, u64, String)> {
            self.model.live().map(|coro| (coro.in_loop, coro.id, self.model.name(coro.name).to_owned())).collect()
        }
    }

    fn both() -> Vec<(u32, u64, String)> {
        vec![(1, 1, "left".into()), (1001, 1001, "right".into())]
    }

    #[test]
    fn loops_of_two_recordings_are_roots_with_numbers_of_their_own() {
        let mut two = two();
        let seen = two.read(3);
        assert_eq!(two.live(), both());
        assert!(seen.iter().zip(0..).all(|(event, seq)| event.seq == seq));
        assert!(seen.is_sorted_by_key(|event| event.at));
        assert_eq!(two.recordings.numbers.coros.origin(1001), Some((1, 1)), "where its frames are asked for");
    }

    #[test]
    fn events_of_two_threads_are_merged_in_the_order_of_their_times() {
        let mut two = two();
        two.read(100);
        for turn in 0..50 {
            let n = turn % 3 % 2;
            // Of clocks that started at other times.
            let at = u64::try_from(1_000_000_000_000 + turn as i128 - two.recordings.all[n].after).unwrap();
            two.recorders[n].emit(at, Kind::Diag { coro: 1, text: turn.to_string() });
        }
        let seen = two.read(7);
        let turns = seen.iter().filter_map(|event| match &event.kind {
            Kind::Diag { text, .. } => text.parse::<usize>().ok(),
            _ => None,
        });
        assert_eq!(turns.collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_loss_in_one_recording_keeps_the_state_of_the_other() {
        for lossy in [0, 1] {
            let mut two = two();
            two.read(100);
            let extra = two.recorders[1 - lossy].name("extra");
            let at = two.recorders[1 - lossy].now();
            two.recorders[1 - lossy].emit(at, Kind::Spawn { coro: 2, in_loop: 1, parent: 1, name: extra, site: 0 });
            two.read(100);
            // Far more than the ring holds.
            let short = two.recorders[lossy].name("short");
            for coro in 2..100_000 {
                let at = two.recorders[lossy].now();
                two.recorders[lossy].emit(at, Kind::Spawn { coro, in_loop: 1, parent: 1, name: short, site: 0 });
                two.recorders[lossy].emit(at, Kind::End { coro, outcome: Outcome::Ok });
            }
            let seen = two.read(100);
            assert!(seen.iter().any(|event| matches!(event.kind, Kind::Lost { .. })), "the loss is among the events");
            let mut expected = both();
            let base = if lossy == 0 { 1000 } else { 0 };
            expected.push((base + 1, u64::from(base) + 2, "extra".into()));
            expected.sort();
            assert_eq!(two.live(), expected);
            assert_eq!(two.model.lost().odd, 0);
        }
    }

    #[test]
    fn it_ends_with_the_last_of_them() {
        let Two { _folder, recorders: [left, right], mut recordings, .. } = two();
        let mut ended = 0;
        let mut read = |recordings: &mut Recordings| loop {
            let mut count = |event: Event| ended += u32::from(event.kind == Kind::TraceEnd {});
            let progress = recordings.read(100, &mut count).unwrap();
            if progress != Progress::More {
                return (progress, ended);
            }
        };
        left.finish();
        assert_eq!(read(&mut recordings), (Progress::Idle, 0));
        right.finish();
        assert_eq!(read(&mut recordings), (Progress::Ended, 1));
    }
}
