//! The writing side: what a loop calls at each moment of a coroutine's life.
//!
//! The calls of the hot kinds have methods of their own, which cost four stores and the commit; all else goes through
//! [`Recorder::emit`]. They take a *slot*, a small number that is unique among the live coroutines of this recorder and
//! may be used again when one has ended: the recorder keeps by it what a checkpoint needs.
//!
//! A recorder never fails once it has started, and never blocks.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{Ordering, fence};

use tinyio_events::event::{CoroId, Kind, LoopId, LoopOutcome, NameId, Outcome, ResId, SiteId, Target, Waker};

use crate::clock::Clock;
mod checkpoint;
mod interned;
mod prefault;

use tinyio_events::program_memory::Blocks;
pub use tinyio_events::ring_words::Step;
use tinyio_events::ring_words::{self, MAX_NAME, Words};
use tinyio_events::truncate;

use self::checkpoint::Writer;
use self::interned::Names;
use self::prefault::Ahead;
pub use crate::live_table::NO_SLOT;
use crate::live_table::{Ids, Live, Out};
use crate::mmap::{Cursor, ForkWord};
use crate::ring::{self, Options, PAYLOAD, Ring, records_for};

/// Writes the events of one thread's loops into a ring.
///
/// # Examples
///
/// ```
/// use tinyio_events::{event::*, source::{Progress, Source}};
/// use tinyio_recorder::{recorder::Recorder, ring::Options};
///
/// # let folder = tempfile::tempdir().unwrap();
/// let options = Options { folder: Some(folder.path().join("rings")), ..Options::default() };
/// let mut recorder = Recorder::start(&options)?;
/// let (name, at) = (recorder.name("main"), recorder.now());
/// recorder.emit(at, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
/// recorder.spawn(at, 0, 1, 1, 0, name, 0);
/// recorder.step_begin(at, 0, 1);
///
/// let mut reader = recorder.reader()?;
/// let mut seen = vec![];
/// assert_eq!(reader.read(100, &mut |event| seen.push(event.kind))?, Progress::Idle);
/// assert_eq!(seen.last(), Some(&Kind::StepBegin { coro: 1 }));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Recorder {
    ring: Ring,
    /// Records written.
    head: u64,
    /// Where the next one goes.
    cursor: Cursor,
    /// From which `head` on something is to be done before the next record: a checkpoint, waking the follower; 0 in a
    /// forked child.
    due: ForkWord,
    /// Records that are no event of their own, continuations, less the events that share a record with others.
    /// `head - extra`, which wraps, is the next `seq`.
    extra: u64,
    /// Where the newest checkpoint is.
    checkpoint: u64,
    /// When to look whether a checkpoint is due.
    checkpoint_due: u64,
    /// Makes the ring's memory present, in the first round.
    ahead: Option<Ahead>,
    live: Box<Live>,
    clock: Clock,
    names: Names,
    follower: Option<Follower>,
    /// Slots of coroutines that came by `emit`.
    slots: Ids<CoroId, u32>,
    free: Vec<u32>,
    file: std::fs::File,
    path: PathBuf,
    pid: u32,
    state: State,
    /// Loops that run.
    running: u32,
    /// Those of them that run inside no coroutine.
    roots: HashSet<LoopId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Recording,
    /// Forked, or ended: whatever comes goes nowhere.
    Silent,
}

/// Marks a recording as ended by the exit of its process. May be sent to another thread.
#[derive(Clone, Debug)]
pub struct AtExit(Ring);

impl AtExit {
    /// Records that the process exits: [`std::process::exit`] was called, or `main` returned. What the recorder writes
    /// from now on, on its own thread, may be missing. No effect on a recording that has ended.
    pub fn mark(&self) {
        self.0.exits();
    }
}

#[derive(Debug)]
struct Follower {
    thread: std::thread::Thread,
    every: u64,
    due: u64,
}

impl Recorder {
    /// Makes a ring and begins to record. Old rings of dead programs are cleared away.
    ///
    /// # Errors
    ///
    /// When there can be no ring: the folder is not ours or cannot be written to, the disk is full. The message is one
    /// line that says what to do; the program goes on unrecorded.
    pub fn start(options: &Options) -> io::Result<Recorder> {
        let ring::Created { ring, file, path } = ring::create(options)?;
        let due = ForkWord::new()?;
        let checkpoint_due = ring.records() / 2;
        due.set(1);
        Ok(Recorder {
            ahead: Ahead::start(&ring),
            head: 0,
            cursor: ring.cursor(),
            due,
            extra: 0,
            checkpoint: 0,
            checkpoint_due,
            live: Box::default(),
            clock: Clock::new(),
            names: Names::default(),
            follower: None,
            slots: Ids::default(),
            free: vec![],
            file,
            path,
            pid: std::process::id(),
            state: State::Recording,
            running: 0,
            roots: HashSet::new(),
            ring,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A reader of this recording, from its oldest event on; may be sent to another thread.
    ///
    /// # Errors
    ///
    /// When the file cannot be mapped again.
    pub fn reader(&self) -> io::Result<ring::RingReader> {
        ring::RingReader::of(self.file.try_clone()?, &self.path)
    }

    /// Nanoseconds since the recording started.
    #[inline]
    pub fn now(&mut self) -> u64 {
        self.clock.now()
    }

    /// The `seq` the next event will have: how many there have been.
    pub fn seq(&self) -> u64 {
        self.head.wrapping_sub(self.extra)
    }

    /// For what is to be done when the process exits.
    pub fn at_exit(&self) -> AtExit {
        AtExit(self.ring.clone())
    }

    /// Returns the coroutine that a reader requests the frames of, until [`Kind::Frames`] of it is emitted or
    /// [`Recorder::answered`] says that there are none.
    #[inline]
    pub fn requested(&self) -> Option<ring::Request> {
        self.ring.requested()
    }

    /// Withdraws the request for the frames of `coro`: it has ended, or has none.
    pub fn answered(&self, coro: CoroId) {
        self.ring.answered(coro);
    }

    /// Says where things are in the blocks of coroutines, for readers to look at when the loop cannot answer.
    pub fn blocks(&self, blocks: &Blocks) {
        self.ring.set_blocks(blocks);
    }

    /// A loop begins to run; its table of coroutines is at this address until [`Recorder::loop_gone`].
    pub fn loop_at(&self, table: usize) {
        self.ring.loop_at(table, true);
    }

    /// The loop with this table has ended.
    pub fn loop_gone(&self, table: usize) {
        self.ring.loop_at(table, false);
    }

    /// What readers ask for, to be waited for on another thread.
    ///
    /// # Errors
    ///
    /// When the file cannot be mapped again.
    pub fn requests(&self) -> io::Result<ring::Requests> {
        Ok(ring::Requests::of(ring::open_ring(&self.file)?))
    }

    /// Unparks `thread` when an eighth of the ring has been written since the last time, and when the recording ends.
    pub(crate) fn follow(&mut self, thread: std::thread::Thread) {
        let every = self.ring.records() / 8;
        self.follower = Some(Follower { thread, every, due: self.head + every });
        self.set_due();
    }

    fn set_due(&mut self) {
        let due = self.follower.as_ref().map_or(u64::MAX, |follower| follower.due);
        let ahead = self.ahead.as_ref().map_or(u64::MAX, Ahead::due);
        self.due.set(due.min(self.checkpoint_due).min(ahead).max(1));
    }

    // ---- hot kinds --------------------------------------------------------------------------------------------------

    /// One record, and its commit.
    #[inline(always)]
    fn put(&mut self, at: u64, words: Words) {
        if self.head >= self.due.get() && !self.make_room(at, 1) {
            return;
        }
        // After the commit of the record before: a reader that sees a word of this record sees that head, too.
        fence(Ordering::Release);
        self.cursor.put(words);
        self.head += 1;
        self.cursor.commit(self.head);
    }

    /// A coroutine was scheduled: [`Kind::Spawn`].
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "the fields of the event, on the hottest path there is")]
    pub fn spawn(
        &mut self,
        at: u64,
        slot: u32,
        coro: CoroId,
        in_loop: LoopId,
        parent: CoroId,
        name: NameId,
        site: SiteId,
    ) {
        let site = if site <= MAX_NAME { site } else { 0 };
        self.put(at, ring_words::spawn(at, coro, in_loop, parent, name, site));
        self.live.spawn(at, slot, coro, in_loop, parent, name, site);
    }

    /// A coroutine has begun to wait: [`Kind::Wait`]. `on_slot` is the slot of the coroutine it waits on, [`NO_SLOT`]
    /// if it waits on none of this recorder's.
    #[inline]
    pub fn wait(&mut self, at: u64, slot: u32, coro: CoroId, on: Target, on_slot: u32, site: SiteId) {
        self.put(at, ring_words::wait(at, coro, on, site));
        self.live.wait(at, slot, coro, on, on_slot, site);
    }

    /// An edge went away without a wake: [`Kind::Clear`].
    #[inline]
    pub fn clear(&mut self, at: u64, slot: u32, coro: CoroId, on: Target) {
        self.put(at, ring_words::clear(at, coro, on));
        self.live.clear(slot, coro, on);
    }

    /// Like [`clear`](Recorder::clear), but a no-op if the edge is already gone, for example because a step has begun
    /// since. For a timer, the time need not be known.
    pub fn clear_if_it_stands(&mut self, at: u64, slot: u32, coro: CoroId, on: Target) {
        if let Some(on) = self.live.standing(slot, coro, on) {
            self.clear(at, slot, coro, on);
        }
    }

    /// A coroutine became ready: [`Kind::Wake`].
    #[inline]
    pub fn wake(&mut self, at: u64, slot: u32, coro: CoroId, by: Waker) {
        self.put(at, ring_words::wake(at, coro, by));
        self.live.wake(at, slot, coro);
    }

    /// The loop began to run a coroutine: [`Kind::StepBegin`].
    #[inline]
    pub fn step_begin(&mut self, at: u64, slot: u32, coro: CoroId) {
        self.put(at, ring_words::step_begin(at, coro));
        self.live.step_begin(at, slot, coro);
    }

    /// A coroutine gave control back: [`Kind::StepEnd`].
    #[inline]
    pub fn step_end(&mut self, at: u64, slot: u32, coro: CoroId) {
        self.put(at, ring_words::step_end(at, coro));
        self.live.step_end(at, slot, coro);
    }

    /// A coroutine gave control back, together with the other events of this moment, in one record.
    #[inline(always)]
    pub fn step(&mut self, at: u64, step: &Step) {
        self.put(at, step.words(at));
        self.extra = self.extra.wrapping_sub(step.events() - 1);
        self.live.step(at, step);
    }

    /// The steps of a coroutine run in this worker from here on: [`Kind::Moved`].
    #[inline]
    pub fn moved(&mut self, at: u64, slot: u32, coro: CoroId, to: LoopId) {
        self.put(at, ring_words::moved(at, coro, to));
        self.live.moved(slot, coro, to);
    }

    /// A coroutine ended: [`Kind::End`]. Its slot is free from here on.
    #[inline]
    pub fn end(&mut self, at: u64, slot: u32, coro: CoroId, outcome: Outcome) {
        self.put(at, ring_words::end(at, coro, outcome));
        self.live.end(slot, coro);
    }

    /// A cancellation is delivered to a coroutine: [`Kind::CancelDeliver`].
    #[inline]
    pub fn cancel_deliver(&mut self, at: u64, slot: u32, coro: CoroId) {
        self.put(at, ring_words::cancel_deliver(at, coro));
        self.live.cancel_delivered(slot, coro);
    }

    /// The loop goes to sleep: [`Kind::Park`].
    #[inline]
    pub fn park(&mut self, at: u64, id: LoopId, until: Option<u64>) {
        self.check_pid();
        // The last moment there is stands for none in a record.
        let until = until.map(|until| until.min(u64::MAX - 1));
        self.put(at, ring_words::park(at, id, until));
        self.live.objects.parked(at, id, until);
    }

    /// The loop woke up: [`Kind::Unpark`].
    #[inline]
    pub fn unpark(&mut self, at: u64, id: LoopId) {
        self.put(at, ring_words::unpark(at, id));
        self.live.objects.unparked(id);
    }

    /// A coroutine holds a lock or a permit: [`Kind::Hold`].
    #[inline]
    pub fn hold(&mut self, at: u64, res: ResId, coro: CoroId, site: SiteId) {
        self.put(at, ring_words::hold(at, res, coro, site));
        self.live.objects.hold(at, res, coro, site);
    }

    /// A holder gave back: [`Kind::Release`].
    #[inline]
    pub fn release(&mut self, at: u64, res: ResId, coro: CoroId) {
        self.put(at, ring_words::release(at, res, coro));
        self.live.objects.release(res, coro);
    }

    // ---- all other kinds --------------------------------------------------------------------------------------------

    /// Records any event. The events of coroutines have faster methods; a coroutine with a [`Kind::Spawn`] that came
    /// through `emit` gets its slot from the recorder, so use one of the two ways throughout a recording.
    ///
    /// An event longer than a sixteenth of the ring is cut, with a mark at the cut.
    pub fn emit(&mut self, at: u64, kind: Kind) {
        match kind {
            Kind::Spawn { coro, in_loop, parent, name, site } => {
                self.put_any(at, &kind);
                let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
                self.slots.insert(coro, slot);
                self.live.spawn(at, slot, coro, in_loop, parent, name, site);
            }
            Kind::Wait { coro, on, site } => {
                self.put_any(at, &kind);
                let on_slot = if let Target::Coro(other) = on { self.slot(other) } else { NO_SLOT };
                self.live.wait(at, self.slot(coro), coro, on, on_slot, site);
            }
            Kind::Clear { coro, on } => {
                self.put_any(at, &kind);
                self.live.clear(self.slot(coro), coro, on);
            }
            Kind::Wake { coro, .. } => {
                self.put_any(at, &kind);
                self.live.wake(at, self.slot(coro), coro);
            }
            Kind::StepBegin { coro } => {
                self.put_any(at, &kind);
                self.live.step_begin(at, self.slot(coro), coro);
            }
            Kind::StepEnd { coro } => {
                self.put_any(at, &kind);
                self.live.step_end(at, self.slot(coro), coro);
            }
            Kind::Moved { coro, to } => {
                self.put_any(at, &kind);
                self.live.moved(self.slot(coro), coro, to);
            }
            Kind::End { coro, .. } => {
                self.put_any(at, &kind);
                if let Some(slot) = self.slots.remove(&coro) {
                    self.free.push(slot);
                    self.live.end(slot, coro);
                }
            }
            Kind::CancelDeliver { coro } => {
                self.put_any(at, &kind);
                self.live.cancel_delivered(self.slot(coro), coro);
            }
            Kind::Park { id, until } => {
                self.put_any(at, &kind);
                self.live.objects.parked(at, id, until);
            }
            Kind::Unpark { id } => {
                self.put_any(at, &kind);
                self.live.objects.unparked(id);
            }
            Kind::Hold { res, coro, site } => {
                self.put_any(at, &kind);
                self.live.objects.hold(at, res, coro, site);
            }
            Kind::Release { res, coro } => {
                self.put_any(at, &kind);
                self.live.objects.release(res, coro);
            }
            // Names, places and checkpoints are made here and nowhere else.
            Kind::Name { .. }
            | Kind::Site { .. }
            | Kind::Checkpoint { .. }
            | Kind::CheckpointEnd {}
            | Kind::LoopState { .. }
            | Kind::CoroState { .. }
            | Kind::Unknown => {}
            kind => {
                // A ring that says that no loop runs has the end of the last one.
                if let Kind::LoopStart { id, parent, .. } = kind {
                    if parent == 0 {
                        self.roots.insert(id);
                    }
                    self.loops_run(1);
                }
                let json = self.put_any(at, &kind);
                if let Kind::LoopEnd { id, outcome } = kind {
                    self.root_ended(id, outcome);
                    self.loops_run(-1);
                }
                self.live.objects.apply(at, &kind, &json, self.ring.records() / 8);
                if let Kind::Frames { coro, .. } = kind {
                    self.answered(coro);
                }
            }
        }
    }

    /// Notes how a loop ended that ran inside no coroutine.
    fn root_ended(&mut self, id: LoopId, outcome: LoopOutcome) {
        if self.roots.remove(&id) && self.state == State::Recording {
            let crashed = u64::from(outcome == LoopOutcome::Crashed);
            self.ring.word(ring::W_CRASHED).store(crashed, Ordering::Release);
        }
    }

    /// One loop more, or less, runs.
    fn loops_run(&mut self, change: i32) {
        let before = self.running;
        self.running = before.saturating_add_signed(change);
        if self.state == State::Recording && (before == 0) != (self.running == 0) {
            self.ring.set_running(self.running > 0);
            // It takes back, or writes, the end marker.
            if let Some(follower) = &self.follower {
                follower.thread.unpark();
            }
        }
    }

    fn slot(&self, coro: CoroId) -> u32 {
        self.slots.get(&coro).copied().unwrap_or(NO_SLOT)
    }

    /// Writes an event as a record or as JSON, and gives the JSON.
    fn put_any(&mut self, at: u64, kind: &Kind) -> Vec<u8> {
        if let Some(words) = ring_words::encode(at, kind) {
            self.put(at, words);
            // The kinds with texts that a checkpoint repeats (`cancel_begin`, `log` with fields) go as JSON anyway.
            return vec![];
        }
        if self.state == State::Silent {
            return vec![];
        }
        let (json, left_out) = truncate::fit(kind, ring::json_limit(self.ring.records()));
        self.put_json(at, &json);
        if let Some(text) = left_out {
            let coro = if let Kind::Frames { coro, .. } = kind { *coro } else { 0 };
            let (json, _) = truncate::fit(&Kind::Diag { coro, text }, PAYLOAD * 200);
            self.put_json(at, &json);
        }
        json
    }

    fn put_json(&mut self, at: u64, json: &[u8]) {
        let need = records_for(json.len());
        if self.head + need > self.due.get() && !self.make_room(at, need) {
            return;
        }
        let mut out = Writer::claim(&self.ring, self.head, need);
        out.json(at, json);
        self.extra = self.extra.wrapping_add(need - 1);
        self.commit(self.head + need);
    }

    fn commit(&mut self, head: u64) {
        self.head = head;
        self.cursor.go_to(head % self.ring.records());
        self.cursor.commit(head);
        self.ring.word(ring::CLAIM).store(head, Ordering::Relaxed);
    }

    /// Whether a living coroutine waits on anything that was recorded. One that does not, and is suspended, waits for
    /// something foreign.
    pub fn waits(&self, slot: u32, coro: CoroId) -> bool {
        self.live.waits(slot, coro)
    }

    /// The recorded fields of a living coroutine: what it is called, `span.name`, and the newest value.
    pub fn fields_of(&self, coro: CoroId) -> Vec<(String, String)> {
        self.live.objects.recorded_fields_of(coro)
    }

    /// The recorded fields of all coroutines that have some.
    pub fn fields(&self) -> impl Iterator<Item = (CoroId, Vec<(String, String)>)> {
        self.live.objects.recorded_fields()
    }

    // ---- the end ----------------------------------------------------------------------------------------------------

    /// Ends the recording in good order: [`Kind::TraceEnd`]. Dropping does the same.
    pub fn finish(mut self) {
        self.close();
    }

    fn close(&mut self) {
        if self.state == State::Silent || !self.check_pid() {
            return;
        }
        let at = self.clock.now();
        self.put(at, ring_words::trace_end(at));
        self.ring.word(ring::W_STATE).store(ring::STATE_ENDED, Ordering::Release);
        self.ring.answers_no_more();
        // The thread must not touch memory that is given back.
        drop(self.ahead.take());
        ring::give_back(&self.file, &self.ring, self.head);
        self.state = State::Silent;
        self.due.set(0);
        if let Some(follower) = self.follower.take() {
            follower.thread.unpark();
        }
    }

    /// Whether this still records. A child of `fork` must not write into its parent's ring, and what is written to a
    /// file that was truncated goes nowhere.
    fn check_pid(&mut self) -> bool {
        if self.state == State::Recording
            && (self.due.get() == 0 || !self.due.wiped_on_fork())
            && std::process::id() != self.pid
        {
            self.fall_silent();
        } else if self.state == State::Recording && self.ring.is_cut() {
            let path = self.path.display();
            let _ = writeln!(
                io::stderr(),
                "tinyio: {path}: the recording ends here, because another program truncated the file; this program runs on"
            );
            self.fall_silent();
        }
        self.state == State::Recording
    }

    fn fall_silent(&mut self) {
        self.state = State::Silent;
        self.due.set(0);
        if std::process::id() != self.pid
            && let Some(ahead) = self.ahead.take()
        {
            ahead.forget();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close();
    }
}
