//! `TINYIO_TRACE`: the JSON trace, written beside the program.

use std::path::{Path, PathBuf};

use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::trace::TraceWriter;

/// The trace of one recording.
pub(super) struct Trace(TraceWriter);

impl Trace {
    /// Begins to write, or says why not.
    pub(super) fn start(recorder: &mut Recorder, path: PathBuf) -> Option<Trace> {
        match TraceWriter::spawn(recorder, &numbered(path)) {
            Ok(writer) => Some(Trace(writer)),
            Err(error) => {
                eprintln!("tinyio: no trace is written: {error}");
                None
            }
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Waits until all that was recorded so far is in the file.
    pub(super) fn flush(&self, recorder: &Recorder) {
        self.0.flush(recorder.seq());
    }

    /// Writes the rest and the end marker.
    pub(super) fn finish(self) {
        if let Err(error) = self.0.finish() {
            eprintln!("tinyio: {error}");
        }
    }
}

/// Each thread that runs loops is a recording of its own: the second one writes to `trace.2.jsonl` beside `trace.jsonl`.
fn numbered(path: PathBuf) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static RECORDINGS: AtomicU32 = AtomicU32::new(1);
    match RECORDINGS.fetch_add(1, Ordering::Relaxed) {
        1 => path,
        n => {
            let extension =
                path.extension().map(|extension| extension.to_string_lossy().into_owned()).unwrap_or_default();
            path.with_extension(format!("{n}.{extension}"))
        }
    }
}
