//! Reads a ring, of a live or an ended program.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tinyio_events::event::{CoroId, Event, Header, Kind, VERSION};
use tinyio_events::lock::is_locked;
use tinyio_events::program_memory::ProgramMemory;
use tinyio_events::ring_words::{self, Step, code};
use tinyio_events::source::{Progress, Source};
use tinyio_events::string_table;

use super::create::explain;
use super::process::{boot, born, namespace, own_birth};
use super::request::to_word;
use super::*;

/// Reads the events of a ring, of this process or another, living or dead.
///
/// It never blocks the program: a reader that is too slow receives [`Kind::Lost`] and continues at the newest
/// checkpoint.
#[derive(Debug)]
pub struct RingReader {
    pub(super) ring: Ring,
    file: File,
    path: PathBuf,
    pub(super) header: Header,
    /// Record to read next, and the `seq` of the event there.
    next: u64,
    seq: u64,
    /// Words of the table of names that have been given out as events.
    named: usize,
    /// Time of the last event.
    at: u64,
    /// Time of the checkpoint being read.
    checkpoint_at: u64,
    /// Events to hand out before the ring's next.
    pending: VecDeque<Event>,
    /// The last event was [`Kind::TraceEnd`].
    ended: bool,
    chunk: Vec<Words>,
}

/// Records that are copied out of the ring at once.
const CHUNK: u64 = 256;

impl RingReader {
    /// Opens a ring and goes to its oldest checkpoint, or to its beginning if that is still there.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no ring of this version.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path).or_else(|_| File::open(path));
        let file = file.map_err(|error| {
            explain(error, |error| format!("{}: cannot open the recording: {error}", path.display()))
        })?;
        Self::of(file, path)
    }

    pub(crate) fn of(file: File, path: &Path) -> io::Result<Self> {
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
        let ring = open_ring(&file).map_err(|error| wrong(error.to_string()))?;
        let header: Header = serde_json::from_slice(&ring.header_text())
            .map_err(|error| wrong(format!("damaged: the header of the recording does not read: {error}")))?;
        if header.trace != "tinyio" || header.version != VERSION {
            return Err(wrong(format!(
                "is a recording of version {} of {:?}, and this program reads version {VERSION} of \"tinyio\": use the tinyio-inspector that goes with it",
                header.version, header.trace
            )));
        }
        let mut reader = RingReader {
            ring,
            file,
            path: path.into(),
            header,
            next: 0,
            seq: 0,
            named: 0,
            at: 0,
            checkpoint_at: 0,
            pending: VecDeque::new(),
            ended: false,
            chunk: vec![],
        };
        if reader.ring.oldest() > 0 {
            match reader.checkpoints().first() {
                Some(checkpoint) => reader.go(*checkpoint),
                None => reader.lapped(),
            }
        }
        Ok(reader)
    }

    /// Goes to the newest checkpoint, past all that is recorded before it.
    pub(crate) fn skip_to_newest(&mut self) {
        if let Some(newest) = self.checkpoints().last().copied() {
            self.go(newest);
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Requests the await stack of a coroutine. It arrives as [`Kind::Frames`], recorded between two steps; a sleeping
    /// loop is woken for it.
    ///
    /// # Errors
    ///
    /// When the file may only be read.
    pub fn ask_frames(&self, request: impl Into<Request>) -> io::Result<()> {
        let asked = self.file.write_all_at(&to_word(request.into()).to_ne_bytes(), W_REQUEST as u64 * 8);
        asked.map_err(|error| {
            explain(error, |error| format!("{}: cannot ask for frames: {error}", self.path.display()))
        })?;
        self.ring.wake();
        Ok(())
    }

    /// Whether the program that writes this is alive, and the recording has not ended. Of a program that cannot be seen
    /// from here, true.
    pub fn alive(&self) -> bool {
        !self.is_over() && matches!(self.writer(), Writer::Lives | Writer::Unknown)
    }

    /// Whether the recording ended in good order: it was finished, the process exited, or it ended when no loop ran.
    pub fn ended(&self) -> bool {
        self.is_over() || self.state() == STATE_IDLE && !self.alive()
    }

    /// Whether the loop that ended last, of those that ran inside no coroutine, ended with a crash. Of a recording by
    /// an older tinyio, false.
    pub fn crashed(&self) -> bool {
        self.ring.word(W_CRASHED).load(Ordering::Acquire) != 0
    }

    /// Whether the recorder is between two loops.
    pub(crate) fn no_loop_runs(&self) -> bool {
        self.state() == STATE_IDLE
    }

    fn state(&self) -> u64 {
        self.ring.word(W_STATE).load(Ordering::Acquire)
    }

    fn is_over(&self) -> bool {
        matches!(self.state(), STATE_ENDED | STATE_EXITED)
    }

    /// What is known of the process that writes this.
    pub(crate) fn writer(&self) -> Writer {
        writer(&self.ring, &self.file)
    }

    /// Records ever written: about as many events.
    pub fn recorded(&self) -> u64 {
        self.ring.word(HEAD).load(Ordering::Relaxed)
    }

    /// When the last event was recorded, by the wall clock at the start and the time since.
    pub fn last_written(&self) -> SystemTime {
        last_written(&self.ring, &self.header)
    }

    /// Events in the ring that have not been read yet, about.
    pub fn behind(&self) -> u64 {
        self.ring.word(HEAD).load(Ordering::Relaxed).saturating_sub(self.next)
    }

    /// The `seq` of the next event.
    pub fn position(&self) -> u64 {
        self.seq
    }

    /// Whole checkpoints in the ring, oldest first: where they are, and their records.
    fn checkpoints(&self) -> Vec<(u64, Words)> {
        let head = self.ring.word(HEAD).load(Ordering::Acquire);
        let mut found: Vec<(u64, Words)> = (1..=CHECKPOINTS)
            .map(|at| self.ring.word(W_CHECKPOINTS + at).load(Ordering::Relaxed))
            .filter(|position| *position < head)
            .map(|position| (position, self.ring.get(position)))
            .filter(|(_, words)| words[0] as u8 == code::CHECKPOINT)
            .collect();
        let oldest = self.ring.oldest();
        found.retain(|(position, _)| *position >= oldest);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Goes to a checkpoint. All names known by now are given out before it: those that were interned in what is lost
    /// as well.
    fn go(&mut self, (position, words): (u64, Words)) {
        self.next = position;
        self.at = ring_words::time(words);
        self.seq = words[3];
        let end = (self.ring.word(W_NAMED).load(Ordering::Acquire) as usize).min(self.ring.names().len());
        while self.named < end {
            let Some((kind, words)) = string_table::read(self.ring.names(), self.named) else { break };
            self.named += words;
            self.pending.push_back(Event { seq: self.seq, at: self.at, kind });
        }
    }

    /// The writer has overtaken this reader: gives a `Lost` event and goes to the newest checkpoint.
    fn lapped(&mut self) {
        let (seq, at) = (self.seq, self.at);
        let why = || "lapped".into();
        // There always is one; it may be overwritten, and the next be written, while it is looked for.
        let newest = (0..100).find_map(|_| self.checkpoints().last().copied());
        match newest {
            Some(checkpoint) => {
                self.go(checkpoint);
                let events = self.seq.saturating_sub(seq);
                self.pending.push_front(Event { seq, at, kind: Kind::Lost { events, why: why() } });
            }
            None => {
                // Only a damaged ring has none. How much is missing is unknown.
                let head = self.ring.word(HEAD).load(Ordering::Acquire);
                self.next = self.ring.oldest().min(head);
                self.pending.push_back(Event { seq, at, kind: Kind::Lost { events: 0, why: why() } });
            }
        }
    }

    fn damaged(&mut self) {
        let kind = Kind::Lost { events: 1, why: "damaged".into() };
        self.pending.push_back(Event { seq: self.seq, at: self.at, kind });
        self.seq = self.seq.saturating_add(1);
    }

    /// Reads one chunk of records and hands out what is in it. `false`: there is nothing new.
    fn chunk(&mut self, limit: usize, handed: &mut usize, sink: &mut dyn FnMut(Event)) -> bool {
        let head = self.ring.word(HEAD).load(Ordering::Acquire);
        if self.next >= head {
            return false;
        }
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.clear();
        let until = head.min(self.next.saturating_add(CHUNK));
        chunk.extend((self.next..until).map(|position| self.ring.get(position)));
        if self.ring.is_cut() {
            // What was copied may be zeros.
            return false;
        }
        if self.ring.oldest() > self.next {
            self.lapped();
        } else {
            for words in &chunk {
                if *handed >= limit || !self.pending.is_empty() {
                    break;
                }
                if words[0] as u8 == code::JSON {
                    self.json(*words, head);
                    break;
                }
                self.next += 1;
                self.one(*words, limit, handed, sink);
            }
        }
        self.chunk = chunk;
        true
    }

    #[inline]
    fn one(&mut self, words: Words, limit: usize, handed: &mut usize, sink: &mut dyn FnMut(Event)) {
        let mut at = ring_words::time(words);
        let kind = match words[0] as u8 {
            code::NAME => {
                match string_table::read(self.ring.names(), usize::try_from(words[1]).unwrap_or(usize::MAX)) {
                    Some((kind, taken)) => {
                        if words[1] == self.named as u64 {
                            self.named += taken;
                        }
                        kind
                    }
                    None => return self.damaged(),
                }
            }
            code::MORE => return self.damaged(),
            code::STEP => {
                let Some(step) = Step::of(words) else { return self.damaged() };
                self.at = at;
                self.ended = false;
                for kind in step.kinds() {
                    let event = Event { seq: self.seq, at, kind };
                    self.seq = self.seq.wrapping_add(1);
                    // Not more than was asked for, and nothing before what waits already.
                    if *handed < limit && self.pending.is_empty() {
                        *handed += 1;
                        sink(event);
                    } else {
                        self.pending.push_back(event);
                    }
                }
                return;
            }
            // A kind of a later version is skipped.
            code if code > code::LAST => {
                self.seq = self.seq.wrapping_add(1);
                return;
            }
            _ => match ring_words::decode(words) {
                Some(kind) => kind,
                None => return self.damaged(),
            },
        };
        match kind {
            Kind::Checkpoint { .. } => {
                self.checkpoint_at = at;
                // The checkpoint has the right number, even after damage.
                self.seq = self.seq.max(words[3]);
            }
            Kind::CoroState { .. } => at = self.checkpoint_at,
            _ => {}
        }
        let seq = self.seq;
        self.at = at;
        self.seq = self.seq.wrapping_add(1);
        self.ended = matches!(kind, Kind::TraceEnd {});
        *handed += 1;
        sink(Event { seq, at, kind });
    }

    /// Reads an event that spans several records, `words` being the first.
    fn json(&mut self, words: Words, head: u64) {
        let bytes = usize::try_from(words[1]).unwrap_or(usize::MAX);
        let start = self.next;
        self.next += 1;
        // A damaged head can be anything.
        let end = start.checked_add(records_for(bytes)).filter(|end| *end <= head);
        let Some(end) = end.filter(|_| bytes <= json_limit(self.ring.records())) else { return self.damaged() };
        let mut json = Vec::with_capacity(bytes + PAYLOAD);
        let mut whole = true;
        for position in start + 1..end {
            let words = self.ring.get(position);
            whole &= words[0] as u8 == code::MORE;
            json.extend(words[1..].iter().flat_map(|word| word.to_ne_bytes()));
        }
        json.truncate(bytes);
        if self.ring.oldest() > start {
            self.next = start;
            return self.lapped();
        }
        match serde_json::from_slice(&json) {
            Ok(kind) if whole => {
                self.next = end;
                self.at = ring_words::time(words);
                if !matches!(kind, Kind::Unknown) {
                    self.pending.push_back(Event { seq: self.seq, at: self.at, kind });
                }
                self.seq = self.seq.wrapping_add(1);
                self.ended = false;
            }
            _ => {
                // What is a continuation is skipped, up to whatever else comes.
                while self.next < head && self.ring.get(self.next)[0] as u8 == code::MORE {
                    self.next += 1;
                }
                self.damaged();
            }
        }
    }
}

impl Source for RingReader {
    fn ask_frames(&mut self, request: Request) {
        // The frames cannot be requested through a read-only ring.
        let _ = RingReader::ask_frames(self, request);
    }

    fn memory(&mut self, coro: CoroId) -> Option<Result<ProgramMemory, String>> {
        self.program_memory(coro)
    }

    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> io::Result<Progress> {
        let mut handed = 0;
        loop {
            while handed < limit
                && let Some(event) = self.pending.pop_front()
            {
                handed += 1;
                sink(event);
            }
            if handed >= limit {
                return Ok(Progress::More);
            }
            if self.chunk(limit, &mut handed, sink) || !self.pending.is_empty() {
                continue;
            }
            if self.ring.is_cut() {
                let what = "the recording ends here: the file was truncated while it was read";
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", self.path.display())));
            }
            let (state, writer) = (self.state(), self.writer());
            // It may have written its last between the look at the head and the look at it.
            if self.ring.word(HEAD).load(Ordering::Acquire) > self.next {
                continue;
            }
            let is_there = matches!(writer, Writer::Lives | Writer::Unknown);
            return Ok(match state {
                STATE_ENDED if self.ended => Progress::Ended,
                STATE_ALIVE | STATE_IDLE | STATE_EXITED if is_there => Progress::Idle,
                // No process is left that could write the end marker.
                STATE_IDLE | STATE_EXITED if !self.ended => {
                    self.ended = true;
                    sink(Event { seq: self.seq, at: self.at, kind: Kind::TraceEnd {} });
                    Progress::Ended
                }
                STATE_IDLE | STATE_EXITED => Progress::Ended,
                _ => Progress::Died,
            });
        }
    }
}

/// The system does not note when a mapped file is written to, but every record has its time.
fn last_written(ring: &Ring, header: &Header) -> SystemTime {
    let head = ring.word(HEAD).load(Ordering::Acquire);
    let at = if head == 0 { 0 } else { ring_words::time(ring.get(head - 1)) };
    UNIX_EPOCH.checked_add(Duration::from_nanos(header.started.saturating_add(at))).unwrap_or(UNIX_EPOCH)
}

/// Whether a file is a ring, by its first word.
pub(crate) fn is_ring(file: &File) -> bool {
    let mut first = [0; 8];
    file.read_exact_at(&mut first, 0).is_ok() && u64::from_ne_bytes(first) == MAGIC
}

/// Maps a ring for reading, after checking that it is one and as long as it says.
pub(crate) fn open_ring(file: &File) -> io::Result<Ring> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_string());
    let mut first = [0; 8 * 8];
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(wrong("is not a file: give it a recording"));
    }
    let bytes = meta.len();
    if bytes < (NAMES_AT * 8) as u64 {
        return Err(wrong("is too short to be a recording of tinyio"));
    }
    file.read_exact_at(&mut first, 0)?;
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| first[at * 8 + byte]));
    if word(W_MAGIC) != MAGIC {
        return Err(wrong("is not a recording of tinyio, or of a machine of another kind"));
    }
    if word(W_LAYOUT) != LAYOUT {
        let why = format!(
            "is a ring of layout {}, and this program reads layout {LAYOUT}: use the tinyio-inspector that goes with it",
            word(W_LAYOUT)
        );
        return Err(wrong(&why));
    }
    let (records, names) = (word(W_RECORDS), word(W_NAMES));
    let sum = records.checked_mul(4).and_then(|words| words.checked_add(names)?.checked_add(NAMES_AT as u64));
    let fits = sum.is_some_and(|words| words.checked_mul(8).is_some_and(|need| need <= bytes));
    if !fits || records < 64 {
        return Err(wrong("is cut short: it is smaller than its header says"));
    }
    Ok(Ring::new(Map::read_only(file, sum.unwrap_or(0) as usize)?, records, names as usize))
}

/// What is known of the process that writes a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// It is there.
    Lives,
    /// It is not.
    Gone,
    /// It is there, and runs another program now (`exec`).
    Replaced,
    /// It is in another pid namespace, and the file system has no locks.
    Unknown,
}

fn writer(ring: &Ring, file: &File) -> Writer {
    let get = |word: usize| ring.word(word).load(Ordering::Acquire);
    if get(W_BOOT) != boot() {
        return Writer::Gone;
    }
    let is_visible = [0, namespace()].contains(&get(W_NAMESPACE));
    let pid = u32::try_from(get(W_PID)).ok().filter(|_| is_visible);
    if pid == Some(std::process::id()) {
        return if get(W_BORN) == own_birth() { Writer::Lives } else { Writer::Gone };
    }
    let is_there = pid.map(|pid| born(pid) == Some(get(W_BORN)));
    let is_locked = (get(W_LOCKED) != 0).then(|| is_locked(file));
    match (is_there, is_locked) {
        (Some(false), _) | (None, Some(false)) => Writer::Gone,
        (Some(true), None | Some(true)) | (None, Some(true)) => Writer::Lives,
        // Of a process that is ending, the memory goes before the files, and what it executes with the memory.
        (Some(true), Some(false)) => match fs::read_link(format!("/proc/{}/exe", get(W_PID))) {
            Ok(_) => Writer::Replaced,
            Err(_) => Writer::Gone,
        },
        (None, None) => Writer::Unknown,
    }
}
