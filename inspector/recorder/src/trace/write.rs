//! Writing a trace beside the running program: a thread follows the ring.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use tinyio_events::event::{Event, Header, Kind};
use tinyio_events::source::{Progress, Source};
use tinyio_events::trace::write_event;

use super::file::create;
use crate::recorder::Recorder;
use crate::ring::RingReader;
use tinyio_events::threads;

/// Writes a JSON trace of a recording that goes on. It has a thread of its own and never slows the loop: if it falls
/// behind by a whole ring, it says in the trace how much is missing.
///
/// The file is locked (`flock`) as long as it is written, so that readers know. Whenever no loop runs it ends with
/// [`Kind::TraceEnd`], which is overwritten when the next one starts: a process that is killed in between leaves a
/// whole trace.
#[derive(Debug)]
pub struct TraceWriter {
    thread: Option<JoinHandle<io::Result<Summary>>>,
    shared: Arc<Shared>,
    path: PathBuf,
    /// The process the thread is in: a child of `fork` has none.
    pid: u32,
}

#[derive(Debug, Default)]
struct Shared {
    /// Everything so far is wanted in the file, and then the end.
    finish: AtomicBool,
    /// The `seq` up to which the file is written.
    written: AtomicU64,
    /// The thread has ended, or is about to.
    done: AtomicBool,
}

/// Ends a trace when the process exits. May be sent to another thread.
#[derive(Clone, Debug)]
pub struct AtExit {
    shared: Arc<Shared>,
    thread: Thread,
}

impl AtExit {
    /// Waits until all that was recorded so far is in the file, with an end marker, but no longer than `limit`. No
    /// effect on a trace that is finished.
    pub fn finish(&self, limit: Duration) {
        let end = Instant::now() + limit;
        self.shared.finish.store(true, Ordering::Release);
        while !self.shared.done.load(Ordering::Acquire) && Instant::now() < end {
            self.thread.unpark();
            std::thread::sleep(PAUSE);
        }
    }
}

/// Totals of a written trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines of events.
    pub events: u64,
    /// Events that are missing, because the writer could not keep up.
    pub lost: u64,
}

/// A writer that is idle looks for itself this often, and otherwise only when the recorder wakes it.
const IDLE: Duration = Duration::from_millis(250);
/// Between two looks at how far the writer is.
const PAUSE: Duration = Duration::from_micros(200);
/// Bytes of the thread's stack, for stacks of frames that are nested as deep as a trace may have them.
const STACK: usize = 2 << 20;

impl TraceWriter {
    /// Begins to write what `recorder` records to `path`, from the oldest event in the ring on. The file is readable by
    /// its owner alone; a regular file that is there is replaced. If it can no longer be written, because the disk is
    /// full, a line on stderr says so at once.
    ///
    /// # Errors
    ///
    /// When the file cannot be made, the thread cannot be started, or `path` is a symbolic link or no regular file;
    /// [`io::ErrorKind::ResourceBusy`] when another `TraceWriter`, of this process or another, is writing it.
    pub fn spawn(recorder: &mut Recorder, path: &Path) -> io::Result<Self> {
        let reader = recorder.reader()?;
        let file = create(path)?;
        let shared = Arc::new(Shared::default());
        let (here, there) = (Arc::clone(&shared), path.to_path_buf());
        let thread = threads::spawn("tinyio trace", STACK, move || {
            let with_path = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: cannot write the trace: {error}", there.display()))
            };
            // At once: the recording may go on for days, and the process may exit without asking.
            let written = follow(reader, file, &here).map_err(with_path).inspect_err(|error| {
                let _ = writeln!(io::stderr(), "tinyio: {error}; the trace ends there, and the program runs on");
            });
            here.done.store(true, Ordering::Release);
            written
        })?;
        recorder.follow(thread.thread().clone());
        Ok(TraceWriter { thread: Some(thread), shared, path: path.into(), pid: std::process::id() })
    }

    /// For what is to be done when the process exits; `None` in a child of `fork`, and when the trace is finished.
    pub fn at_exit(&self) -> Option<AtExit> {
        let thread = self.running()?.thread().clone();
        Some(AtExit { shared: Arc::clone(&self.shared), thread })
    }

    /// The thread, if it is one of this process.
    fn running(&self) -> Option<&JoinHandle<io::Result<Summary>>> {
        self.thread.as_ref().filter(|_| std::process::id() == self.pid)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The `seq` up to which all is in the file (or in the system's hands).
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// Waits until all before `seq` is in the file (or in the system's hands), or the writer has given up. Returns at
    /// once in a child of `fork`, where nothing is written.
    pub fn flush(&self, seq: u64) {
        let Some(thread) = self.running() else { return };
        while self.written() < seq && !thread.is_finished() {
            thread.thread().unpark();
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until all that was recorded so far is in the file, and ends it there, in good order.
    ///
    /// # Errors
    ///
    /// When the file could not be written, which has been reported on stderr already; it has no end marker then.
    pub fn finish(mut self) -> io::Result<Summary> {
        self.join()
    }

    fn join(&mut self) -> io::Result<Summary> {
        if self.running().is_none() {
            // In a child of `fork` the handle is of a thread that is not there: even to drop it would be an error.
            std::mem::forget(self.thread.take());
            return Ok(Summary::default());
        }
        let Some(thread) = self.thread.take() else { return Ok(Summary::default()) };
        self.shared.finish.store(true, Ordering::Release);
        thread.thread().unpark();
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes the trace panicked")))
    }
}

impl Drop for TraceWriter {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

fn follow(mut reader: RingReader, file: File, shared: &Shared) -> io::Result<Summary> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    header(reader.header(), &mut out)?;
    let mut lines = Lines::default();
    // Where the end marker begins, while the file has one.
    let mut marker = None;
    loop {
        // Asked before reading: what was recorded before the question is read after it.
        let finish = shared.finish.load(Ordering::Acquire);
        let no_loop_runs = reader.no_loop_runs();
        let progress = reader.read(4096, &mut |event| lines.add(&event))?;
        if let Some(at) = marker.take_if(|_| !lines.text.is_empty() || !no_loop_runs) {
            out.flush()?;
            out.get_ref().set_len(at)?;
            out.seek(SeekFrom::Start(at))?;
        }
        lines.flush(&mut out)?;
        match progress {
            Progress::More => continue,
            Progress::Idle if !finish => {
                if no_loop_runs && marker.is_none() {
                    marker = Some(out.stream_position()?);
                    lines.end_marker(&mut out)?;
                }
                out.flush()?;
                shared.written.store(lines.next, Ordering::Release);
                std::thread::park_timeout(IDLE);
            }
            Progress::Ended | Progress::Idle | Progress::Died => break,
        }
    }
    if !lines.ended && marker.is_none() {
        lines.end_marker(&mut out)?;
    }
    out.flush()?;
    shared.written.store(lines.next, Ordering::Release);
    Ok(lines.summary)
}

/// Writes the first line.
pub(crate) fn header(header: &Header, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, header)?;
    out.write_all(b"\n")
}

#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    summary: Summary,
    /// The `seq` after the last event, and its time.
    next: u64,
    at: u64,
    ended: bool,
}

impl Lines {
    fn add(&mut self, event: &Event) {
        // What a later recorder says and this reader does not know has been skipped; its number shows.
        if matches!(event.kind, Kind::Unknown) {
            return;
        }
        self.next = match event.kind {
            Kind::Lost { events, .. } => {
                self.summary.lost += events;
                event.seq.saturating_add(events)
            }
            _ => event.seq.saturating_add(1),
        };
        self.at = event.at;
        self.ended = matches!(event.kind, Kind::TraceEnd {});
        self.summary.events += 1;
        write_event(event, &mut self.text);
        self.text.push(b'\n');
    }

    /// Writes the end marker, which is no event of the recording and counts as none.
    fn end_marker(&self, out: &mut impl Write) -> io::Result<()> {
        let mut text = vec![];
        write_event(&Event { seq: self.next, at: self.at, kind: Kind::TraceEnd {} }, &mut text);
        text.push(b'\n');
        out.write_all(&text)
    }

    fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }
}
