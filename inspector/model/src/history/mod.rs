//! Time travel: every event of a run, and the model at any moment of it.
//!
//! A [`Tape`] keeps the events as bytes, in chunks, and a copy of the model (a key frame) at the beginning of most
//! chunks. The model at a position is the key frame before it, with the events in between folded into it. Copies share
//! what has not changed, so they are few milliseconds and megabytes even with a hundred thousand coroutines.

mod codec;

use std::sync::Mutex;

use tinyio_events::event::{CoroId, Event, Header, Kind, Outcome, Target, Waker};

use crate::model::Model;

/// Events per chunk. Folding one takes some 3 to 20 ms, which bounds the time of a jump.
const CHUNK: u64 = if cfg!(test) { 1_024 } else { 65_536 };
/// How many coroutines all key frames may hold together; beyond that, every other key frame is dropped.
const KEY_FRAMES: usize = 2_000_000;
/// How near to the last jump's target a copy is kept, so that stepping back from it is quick.
const NEAR: u64 = if cfg!(test) { 100 } else { 2_048 };

/// A recorded run, growing or complete.
#[derive(Debug)]
pub struct Tape {
    latest: Model,
    chunks: Vec<Chunk>,
    /// Position of the first event that is still there.
    first: u64,
    budget: usize,
    bytes: usize,
    marks: Vec<u64>,
    near: Mutex<Option<(u64, Model)>>,
}

#[derive(Debug)]
struct Chunk {
    /// Position of its first event.
    first: u64,
    events: u64,
    /// Time of its first and its latest event.
    from: u64,
    to: u64,
    bytes: Vec<u8>,
    start: codec::Base,
    end: codec::Base,
    key_frame: Option<Model>,
}

impl Tape {
    /// An empty one. `budget` bounds the bytes of events kept (about eight an event); beyond, the oldest go.
    pub fn new(header: &Header, budget: usize) -> Tape {
        Tape {
            latest: Model::new(header),
            chunks: Vec::new(),
            first: 0,
            budget,
            bytes: 0,
            marks: Vec::new(),
            near: Mutex::new(None),
        }
    }

    /// Appends an event.
    pub fn push(&mut self, event: &Event) {
        let position = self.latest.events();
        if self.chunks.last().is_none_or(|chunk| chunk.events == CHUNK) {
            self.begin_chunk(position, event.at);
        }
        if is_mark(&event.kind, &self.latest) {
            self.marks.push(position);
        }
        self.latest.apply(event);
        let Some(chunk) = self.chunks.last_mut() else { return };
        let before = chunk.bytes.len();
        codec::encode(event, &mut chunk.end, &mut chunk.bytes);
        chunk.events += 1;
        chunk.to = chunk.to.max(event.at);
        self.bytes += chunk.bytes.len() - before;
    }

    fn begin_chunk(&mut self, position: u64, at: u64) {
        let base = match self.chunks.last_mut() {
            Some(last) => {
                last.bytes.shrink_to_fit();
                last.end
            }
            None => codec::Base::default(),
        };
        let live = self.latest.live_count();
        let kept: usize = self.chunks.iter().filter_map(|chunk| Some(chunk.key_frame.as_ref()?.live_count())).sum();
        if kept + live > KEY_FRAMES {
            // Thin out by halves: the distance between key frames grows with the length of the run, evenly.
            let with = self.chunks.iter_mut().skip(1).filter(|chunk| chunk.key_frame.is_some());
            with.step_by(2).for_each(|chunk| chunk.key_frame = None);
        }
        self.chunks.push(Chunk {
            first: position,
            events: 0,
            from: at,
            to: at,
            bytes: Vec::new(),
            start: base,
            end: base,
            key_frame: Some(self.latest.clone()),
        });
        while self.bytes > self.budget && self.chunks.len() > 2 {
            // The next one is where the tape will begin.
            if self.chunks[1].key_frame.is_none() {
                let start = self.chunks[1].first;
                self.chunks[1].key_frame = Some(self.model_at(start));
            }
            self.bytes -= self.chunks.remove(0).bytes.len();
            self.first = self.chunks[0].first;
            self.marks.retain(|mark| *mark >= self.first);
        }
    }

    /// The model with every event in it.
    pub fn latest(&self) -> &Model {
        &self.latest
    }

    /// Number of events so far. A position counts the events before it: 0 is the beginning, this is now.
    pub fn len(&self) -> u64 {
        self.latest.events()
    }

    /// Whether there is no event yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The earliest position that can be restored.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The model at a position: with all events before it, and none after it.
    pub fn model_at(&self, position: u64) -> Model {
        let position = position.clamp(self.first, self.len());
        if position == self.len() {
            return self.latest.clone();
        }
        let index = self.chunks.partition_point(|chunk| chunk.first <= position).saturating_sub(1);
        let start = self.chunks[..=index].iter().rev().find_map(|chunk| chunk.key_frame.as_ref());
        let mut model = start.cloned().unwrap_or_else(|| Model::new(self.latest.header()));
        let mut near = self.near.lock().unwrap_or_else(|broken| broken.into_inner());
        if let Some((at, known)) = &*near
            && *at <= position
            && *at > model.events()
        {
            model = known.clone();
        }
        let keep = position.saturating_sub(NEAR).max(model.events());
        for (at, event) in self.events(model.events()) {
            if at == keep {
                *near = Some((at, model.clone()));
            }
            if at >= position {
                break;
            }
            model.apply(&event);
        }
        model
    }

    /// The nearest key frame before a position: where it is, the time of the event that comes next there, and the
    /// model.
    pub fn key_frame_before(&self, position: u64) -> (u64, u64, Model) {
        let before = self.chunks.iter().rev().filter(|chunk| chunk.first < position);
        let found = before.into_iter().find_map(|chunk| Some((chunk.first, chunk.from, chunk.key_frame.clone()?)));
        found.unwrap_or_else(|| (self.first, 0, Model::new(self.latest.header())))
    }

    /// The event at a position, the one that comes next there.
    pub fn event_at(&self, position: u64) -> Option<Event> {
        self.events(position).next().map(|(_, event)| event)
    }

    /// The events from a position on, each with its own.
    pub fn events(&self, from: u64) -> Events<'_> {
        let from = from.max(self.first);
        let index = self.chunks.partition_point(|chunk| chunk.first <= from).saturating_sub(1);
        let mut events =
            Events { chunks: self.chunks.get(index..).unwrap_or(&[]), at: 0, bytes: &[], base: codec::Base::default() };
        events.open();
        while events.at < from && events.next().is_some() {}
        events
    }

    /// The first position with all events up to that time before it.
    pub fn position_of(&self, time: u64) -> u64 {
        let index = self.chunks.partition_point(|chunk| chunk.from <= time).saturating_sub(1);
        let Some(chunk) = self.chunks.get(index) else { return 0 };
        // As it mostly is of now: all of them.
        if time >= chunk.to {
            return chunk.first + chunk.events;
        }
        let later = self.events(chunk.first).find(|(_, event)| event.at > time);
        later.map_or(self.len(), |(position, _)| position)
    }

    /// Positions right after errors, beginnings of a cancellation, and losses, in order.
    pub fn marks(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.marks.iter().map(|position| position + 1)
    }

    /// The position right after the next event that concerns a coroutine, from `position` on.
    pub fn next_of(&self, coro: CoroId, position: u64) -> Option<u64> {
        self.events(position).find(|(_, event)| concerns(&event.kind, coro)).map(|(at, _)| at + 1)
    }

    /// The position right after the event before `position` that concerns a coroutine.
    pub fn previous_of(&self, coro: CoroId, position: u64) -> Option<u64> {
        // The event at `position - 1` is the one being looked at.
        let goal = position.checked_sub(1)?;
        for chunk in self.chunks.iter().rev().filter(|chunk| chunk.first < goal) {
            let inside = self.events(chunk.first).take_while(|(at, _)| *at < goal.min(chunk.first + chunk.events));
            if let Some((at, _)) = inside.filter(|(_, event)| concerns(&event.kind, coro)).last() {
                return Some(at + 1);
            }
        }
        None
    }

    /// Bytes of events kept, and how many may be.
    pub fn bytes(&self) -> (usize, usize) {
        (self.bytes, self.budget)
    }
}

/// Iterator over the events of a [`Tape`], each with its position.
#[derive(Debug)]
pub struct Events<'a> {
    chunks: &'a [Chunk],
    at: u64,
    bytes: &'a [u8],
    base: codec::Base,
}

impl Events<'_> {
    fn open(&mut self) {
        if let Some(chunk) = self.chunks.first() {
            (self.at, self.bytes, self.base) = (chunk.first, &chunk.bytes, chunk.start);
        }
    }
}

impl Iterator for Events<'_> {
    type Item = (u64, Event);

    fn next(&mut self) -> Option<(u64, Event)> {
        if self.bytes.is_empty() {
            let (_, rest) = self.chunks.split_first()?;
            self.chunks = rest;
            self.open();
        }
        let event = codec::decode(&mut self.bytes, &mut self.base)?;
        self.at += 1;
        Some((self.at - 1, event))
    }
}

/// Whether an event is a mark to jump to. While a loop is being cancelled, all of its coroutines end with an outcome
/// other than `Ok`: only the begin of the cancellation is a mark.
fn is_mark(kind: &Kind, model: &Model) -> bool {
    match kind {
        Kind::CancelBegin { .. } | Kind::Lost { .. } => true,
        // A picture is whole.
        Kind::CheckpointEnd {} => model.picture().is_some(),
        Kind::End { coro, outcome: Outcome::Error | Outcome::Panic } => {
            let in_loop = model.coro(*coro).and_then(|coro| model.get_loop(coro.in_loop));
            in_loop.is_none_or(|one| one.cancel.is_none())
        }
        Kind::Log { level, .. } => level == "ERROR",
        Kind::Diag { .. } => model.picture().is_none(),
        _ => false,
    }
}

/// Whether an event is about a coroutine, from either side.
pub fn concerns(kind: &Kind, id: CoroId) -> bool {
    match kind {
        Kind::Spawn { coro, parent, .. } => *coro == id || *parent == id,
        Kind::Named { what, .. } => *what == Target::Coro(id),
        Kind::Wait { coro, on, .. } | Kind::Clear { coro, on } => *coro == id || *on == Target::Coro(id),
        Kind::Wake { coro, by } => *coro == id || *by == Waker::Coro(id),
        Kind::StepBegin { coro }
        | Kind::StepEnd { coro }
        | Kind::End { coro, .. }
        | Kind::Hold { coro, .. }
        | Kind::Release { coro, .. }
        | Kind::ThreadQueue { coro, .. }
        | Kind::CancelDeliver { coro }
        | Kind::Frames { coro, .. }
        | Kind::Log { coro, .. }
        | Kind::Diag { coro, .. } => *coro == id,
        Kind::Finding { coros, .. } => coros.contains(&id),
        Kind::LoopStart { parent, .. } => *parent == id,
        Kind::CancelBegin { origin, .. } => *origin == id,
        Kind::Crash { failures, .. } => failures.iter().any(|failure| failure.coro == id),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_script::{Script, crawl, verify};

    fn tape(events: &[Event], header: &Header) -> Tape {
        let mut tape = Tape::new(header, usize::MAX);
        events.iter().for_each(|event| tape.push(event));
        tape
    }

    /// Long enough for several chunks: a thousand coroutines that sleep and wake.
    fn long(events: u64) -> Script {
        let mut s = Script::new("long");
        s.start().spawn(1, 0, "main", "a.rs:1:1").begin(1);
        for id in 2..100 {
            s.spawn(id, 1, "work", "a.rs:2:1").wait(1, Target::Coro(id), "a.rs:3:1");
        }
        s.pause(1);
        let mut turn = 0;
        while (s.events.len() as u64) < events {
            turn += 1;
            let id = 2 + turn * 7 % 98;
            s.at(turn).wake(id, Waker::Timer).step(id, Target::Timer(turn * 1000 + 99), "a.rs:4:1");
        }
        s
    }

    fn same(left: &Model, right: &Model) {
        assert!(left == right, "the models differ");
    }

    #[test]
    fn the_model_at_every_position_is_the_one_that_was() {
        for script in [crawl(), verify()] {
            let tape = tape(&script.events, &script.header);
            let mut model = Model::new(&script.header);
            for (position, event) in script.events.iter().enumerate() {
                same(&tape.model_at(position as u64), &model);
                model.apply(event);
            }
            same(&tape.model_at(u64::MAX), &model);
        }
    }

    #[test]
    fn a_jump_into_a_long_run_gives_what_folding_from_the_start_gives() {
        let script = long(3 * CHUNK);
        let tape = tape(&script.events, &script.header);
        for position in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 500, 2 * CHUNK + 499, 3 * CHUNK - 1] {
            let mut model = Model::new(&script.header);
            script.events[..position as usize].iter().for_each(|event| model.apply(event));
            same(&tape.model_at(position), &model);
            assert_eq!(tape.event_at(position).as_ref(), script.events.get(position as usize));
        }
    }

    #[test]
    fn the_key_frame_before_a_position_is_the_model_that_was() {
        let script = long(3 * CHUNK);
        let tape = tape(&script.events, &script.header);
        for position in [1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let (at, from, model) = tape.key_frame_before(position);
            assert!(at < position && position - at <= CHUNK);
            assert_eq!(from, script.events[at as usize].at);
            same(&model, &tape.model_at(at));
        }
        let (at, from, model) = Tape::new(&script.header, usize::MAX).key_frame_before(7);
        assert_eq!((at, from, model.events()), (0, 0, 0));
    }

    #[test]
    fn beyond_the_budget_the_oldest_chunks_go() {
        let script = long(5 * CHUNK);
        let mut tape = Tape::new(&script.header, 2 * CHUNK as usize * 6);
        script.events.iter().for_each(|event| tape.push(event));
        assert!(tape.first() > 0 && tape.first().is_multiple_of(CHUNK));
        assert!(tape.bytes().0 < 4 * CHUNK as usize * 8);
        let mut model = Model::new(&script.header);
        script.events[..tape.first() as usize].iter().for_each(|event| model.apply(event));
        same(&tape.model_at(0), &model);
        assert_eq!(tape.len(), script.events.len() as u64);
    }

    #[test]
    fn a_time_is_found() {
        let script = long(2 * CHUNK);
        let tape = tape(&script.events, &script.header);
        for time in [0, 1_000, 1_500, 20_000_000, u64::MAX] {
            let expected = script.events.iter().position(|event| event.at > time).unwrap_or(script.events.len());
            assert_eq!(tape.position_of(time), expected as u64, "at {time}");
        }
    }

    #[test]
    fn the_events_of_a_coroutine_are_found_both_ways() {
        let script = long(2 * CHUNK + 10);
        let tape = tape(&script.events, &script.header);
        let of: Vec<_> = script.events.iter().enumerate().filter(|(_, event)| concerns(&event.kind, 50)).collect();
        let positions: Vec<_> = of.iter().map(|(position, _)| *position as u64 + 1).collect();
        let mut at = 0;
        for expected in &positions {
            at = tape.next_of(50, at).unwrap();
            assert_eq!(at, *expected);
        }
        assert_eq!(tape.next_of(50, at), None);
        for expected in positions.iter().rev().skip(1).take(200) {
            at = tape.previous_of(50, at).unwrap();
            assert_eq!(at, *expected);
        }
        assert_eq!(tape.previous_of(50, positions[0]), None);
    }

    #[test]
    fn errors_and_cancellations_are_marked() {
        let script = verify();
        let tape = tape(&script.events, &script.header);
        let kinds: Vec<_> = tape.marks().map(|mark| tape.event_at(mark - 1).unwrap().kind).collect();
        assert!(matches!(kinds[..], [Kind::CancelBegin { origin: 780, .. }]), "{kinds:?}");
    }

    #[test]
    fn warnings_are_marked_but_for_those_about_a_picture() {
        let mut script = verify();
        script.events.clear();
        script.start().push(Kind::Diag { coro: 0, text: "probably a deadlock".into() });
        assert_eq!(tape(&script.events, &script.header).marks().count(), 1);
        script.push(Kind::Picture { number: 1, stopped: 0 }).push(Kind::Diag { coro: 0, text: "a note".into() });
        assert_eq!(tape(&script.events, &script.header).marks().count(), 1);
    }
}
