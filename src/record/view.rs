//! `TINYIO_INSPECT=1`: the live view in this terminal.

use std::path::Path;

use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::tui;

/// The live view of one recording.
pub(super) struct View(tui::Handle);

impl View {
    /// Opens it, or says why not; the program runs on in either case. `trace` is the file that keeps the run, if it is not only the ring.
    pub(super) fn open(recorder: &Recorder, trace: Option<&Path>) -> Option<View> {
        let file = Some(trace.unwrap_or(recorder.path()).display().to_string());
        let options = tui::Options { file, ..tui::Options::from_env() };
        let opened = recorder.reader().and_then(|reader| tui::spawn(Box::new(reader), options));
        match opened {
            Ok(handle) => Some(View(handle)),
            Err(error) => {
                eprintln!("tinyio: no live view: {error}");
                None
            }
        }
    }

    /// The recording is over, or has crashed: returns when the user leaves. Tells whether leaving has printed the report of a crash.
    pub(super) fn close(self) -> bool {
        match self.0.finish() {
            Ok(left) => left.crashed,
            Err(error) => {
                eprintln!("tinyio: the live view ended: {error}");
                false
            }
        }
    }
}
