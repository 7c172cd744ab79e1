//! `TINYIO_INSPECT=1`: the live view in this terminal.

use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::tui;

/// The live view of one recording.
pub(super) struct View(tui::Handle);

impl View {
    /// Opens it, or says why not; the program runs on in either case.
    pub(super) fn open(recorder: &Recorder) -> Option<View> {
        let file = Some(recorder.path().display().to_string());
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

    /// The recording is over, or has crashed: returns when the user leaves.
    pub(super) fn close(self) {
        if let Err(error) = self.0.finish() {
            eprintln!("tinyio: the live view ended: {error}");
        }
    }
}
