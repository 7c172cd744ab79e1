//! Writing a trace beside the running program: a thread follows the ring.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::line::write_event;
use crate::event::{Event, Header, Kind};
use crate::recorder::Recorder;
use crate::ring::RingReader;
use crate::source::{Progress, Source};
use crate::threads;

/// Writes a JSON trace of a recording that goes on. It has a thread of its own and never slows the loop: if it falls behind by a
/// whole ring, it says in the trace how much is missing.
#[derive(Debug)]
pub struct TraceWriter {
    thread: Option<JoinHandle<io::Result<Summary>>>,
    shared: Arc<Shared>,
    path: PathBuf,
}

#[derive(Debug, Default)]
struct Shared {
    /// Everything so far is wanted in the file, and then the end.
    finish: AtomicBool,
    /// The `seq` up to which the file is written.
    written: AtomicU64,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines of events.
    pub events: u64,
    /// Events that are missing, because the writer could not keep up.
    pub lost: u64,
}

/// A writer that is idle looks for itself this often, and otherwise only when the recorder wakes it.
const IDLE: Duration = Duration::from_millis(250);
/// Bytes of the thread's stack, for stacks of frames that are nested as deep as a trace may have them.
const STACK: usize = 2 << 20;

impl TraceWriter {
    /// Begins to write what `recorder` records to `path`, from the oldest event in the ring on. A file that is there is
    /// overwritten.
    ///
    /// # Errors
    ///
    /// When the file cannot be made, or the thread not started.
    pub fn spawn(recorder: &mut Recorder, path: &Path) -> io::Result<Self> {
        let reader = recorder.reader()?;
        let file = create(path)?;
        let shared = Arc::new(Shared::default());
        let (here, there) = (Arc::clone(&shared), path.to_path_buf());
        let thread = threads::spawn("tinyio trace", STACK, move || {
            let said = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: cannot write the trace: {error}", there.display()))
            };
            follow(reader, file, &here).map_err(said)
        })?;
        recorder.follow(thread.thread().clone());
        Ok(TraceWriter { thread: Some(thread), shared, path: path.into() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The `seq` up to which all is in the file (or in the system's hands).
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// Waits until all before `seq` is in the file (or in the system's hands), or the writer has given up.
    pub fn flush(&self, seq: u64) {
        let Some(thread) = &self.thread else { return };
        while self.written() < seq && !thread.is_finished() {
            thread.thread().unpark();
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Waits until all that was recorded so far is in the file, and ends it there, in good order.
    ///
    /// # Errors
    ///
    /// When the file could not be written; it is cut then.
    pub fn finish(mut self) -> io::Result<Summary> {
        self.join()
    }

    fn join(&mut self) -> io::Result<Summary> {
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

fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Values of variables may be secrets.
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!(
                "{}: cannot make the trace: {error}; set TINYIO_TRACE to a file that can be written",
                path.display()
            ),
        )
    })
}

fn follow(mut reader: RingReader, file: File, shared: &Shared) -> io::Result<Summary> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    header(reader.header(), &mut out)?;
    let mut lines = Lines::default();
    loop {
        // Asked before reading: what was recorded before the question is read after it.
        let finish = shared.finish.load(Ordering::Acquire);
        let progress = reader.read(4096, &mut |event| lines.add(&event))?;
        lines.flush(&mut out)?;
        match progress {
            Progress::More => continue,
            Progress::Idle if !finish => {
                out.flush()?;
                shared.written.store(lines.next, Ordering::Release);
                std::thread::park_timeout(IDLE);
            }
            Progress::Ended | Progress::Idle | Progress::Died => break,
        }
    }
    if !lines.ended {
        lines.add(&Event { seq: lines.next, at: lines.at, kind: Kind::TraceEnd {} });
        lines.summary.events -= 1;
    }
    lines.flush(&mut out)?;
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

    fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }
}
