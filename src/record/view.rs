//! `TINYIO_INSPECT=1`: the live view in this terminal.

use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::tui;

/// The live view of one recording.
pub(super) struct View(tui::Handle);

impl View {
    /// Opens it, or says why not; the program runs on in either case.
    pub(super) fn open(recorder: &Recorder) -> Option<View> {
        let opened = recorder.reader().and_then(|reader| tui::spawn(Box::new(reader), tui::Options::default()));
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
        self.0.finish();
    }
}
