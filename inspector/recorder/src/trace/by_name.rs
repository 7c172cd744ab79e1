//! `TINYIO_TRACE`: writes the JSON trace while the program runs.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::write::{AtExit, TraceWriter};
use crate::recorder::Recorder;

/// The trace of one recording, in a file of its own.
#[derive(Debug)]
pub struct NamedTrace(TraceWriter);

impl NamedTrace {
    /// Begins to write, or reports why it cannot. A name that is taken, by another recording of this process or by
    /// another process that is writing there, gets a number: `trace.2.jsonl`.
    pub fn start(recorder: &mut Recorder, path: &Path) -> Option<NamedTrace> {
        static TAKEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
        let wanted = with_pid(path);
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        for path in (1..).map(|number| numbered(&wanted, number)) {
            if taken.contains(&path) {
                continue;
            }
            match TraceWriter::spawn(recorder, &path) {
                Ok(writer) => {
                    if path != wanted {
                        let (wanted, path) = (wanted.display(), path.display());
                        eprintln!("tinyio: {wanted} is the trace of another recording; this one is written to {path}");
                    }
                    taken.insert(path);
                    return Some(NamedTrace(writer));
                }
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(error) => {
                    eprintln!("tinyio: no trace is written: {error}");
                    return None;
                }
            }
        }
        None
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Waits until all that was recorded so far is in the file.
    pub fn flush(&self, recorder: &Recorder) {
        self.0.flush(recorder.seq());
    }

    /// For what is to be done when the process exits.
    pub fn at_exit(&self) -> Option<AtExit> {
        self.0.at_exit()
    }

    /// Writes the rest and the end marker. The writer itself reports its errors.
    pub fn finish(self) {
        let _ = self.0.finish();
    }
}

/// Replaces `{pid}` in the name by the id of the process.
fn with_pid(path: &Path) -> PathBuf {
    match path.to_str().filter(|text| text.contains("{pid}")) {
        Some(text) => text.replace("{pid}", &std::process::id().to_string()).into(),
        None => path.to_owned(),
    }
}

/// The first is `trace.jsonl` itself, the second `trace.2.jsonl` beside it.
fn numbered(path: &Path, number: u32) -> PathBuf {
    match (number, path.extension()) {
        (1, _) => path.to_owned(),
        (_, Some(extension)) => path.with_extension(format!("{number}.{}", extension.to_string_lossy())),
        (_, None) => path.with_extension(number.to_string()),
    }
}
