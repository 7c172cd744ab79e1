//! `TINYIO_INSPECT=1`: the live view in this terminal.
//!
//! A process has one view. The first loop opens it; loops on other threads are roots beside it, for as long as it is
//! there. When no loop runs any more, or after a crash, the thread that ended last waits until the user leaves. Leaving
//! is final: later loops are recorded and not shown.
//!
//! Under a test harness that runs tests in parallel (`cargo test`) the tests that run at the same time are shown side
//! by side, each as a root. The view waits for a key when no loop runs at that moment, and at a loop that crashed; once
//! it is left the rest of the tests runs without it. So it is made for one test, `TINYIO_INSPECT=1 cargo test NAME`;
//! `TINYIO_INSPECT=record cargo test` keeps the recordings of a whole suite. A test that runs in the background of the
//! terminal, as in some other harnesses, has no view, and reports that.

use std::path::Path;
use std::sync::OnceLock;

use tinyio_inspector::tui;
use tinyio_recorder::recorder::Recorder;

/// The view of the process, once a loop has requested it; `None` inside if it could not be opened.
static VIEW: OnceLock<Option<tui::Handle>> = OnceLock::new();

/// One recording's part of the view.
pub(super) struct View(tui::Handle);

impl View {
    /// Opens the view, or joins it if there is one already. Reports once why it cannot; the program continues in either
    /// case. `trace` is the file that keeps the run, if it is not only the ring.
    pub(super) fn open(recorder: &Recorder, trace: Option<&Path>) -> Option<View> {
        let mut first = false;
        let view = VIEW.get_or_init(|| {
            first = true;
            let file = Some(trace.unwrap_or(recorder.path()).display().to_string());
            let options = tui::Options { file, ..tui::Options::from_env() };
            let opened = recorder.reader().and_then(|reader| tui::spawn(reader, options));
            let why_not = |error| {
                let pid = std::process::id();
                eprintln!(
                    "tinyio: no live view: {error}. It is recorded: `tinyio-inspector attach {pid}` shows it from a \
                     terminal."
                );
            };
            opened.map_err(why_not).ok()
        });
        let view = view.as_ref().filter(|view| first || recorder.reader().is_ok_and(|reader| view.join(reader)))?;
        Some(View(view.clone()))
    }

    /// Reports that the outermost loop of the recording begins.
    pub(super) fn loop_started(&self) {
        self.0.loop_started();
    }

    /// Reports that it has ended.
    pub(super) fn loop_ended(&self) {
        self.0.loop_ended();
    }

    /// Ends the recording's part, or reports that it has `crashed`: returns when the user leaves, unless other loops
    /// are still shown. Returns whether the report of a crash was printed on leaving.
    pub(super) fn close(self, crashed: bool) -> bool {
        match self.0.finish(crashed) {
            Ok(left) => left.is_some_and(|left| left.crashed),
            Err(error) => {
                eprintln!("tinyio: the live view ended: {error}");
                false
            }
        }
    }
}
