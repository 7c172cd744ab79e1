//! Finds the place of a running coroutine: its state gives the last suspension, the native stack the current place.

use std::path::Path;

use tinyio_events::event::{Frame, Stack, TraceSite};

use super::Frames;

impl Frames {
    /// Brings the stack of a coroutine in the middle of a step up to date by the native stack of its thread: the
    /// innermost of its functions that are running is at the line it is at, and what it awaited last is over.
    ///
    /// Nothing is changed where no function of the stack runs: without debug info, or when the two do not belong
    /// together.
    pub(super) fn settle(&mut self, stack: &mut Stack, native: &[TraceSite]) {
        let running = |frame: &Frame| {
            let function = frame.function.rsplit_once(" in ").map_or(&*frame.function, |(_, outer)| outer);
            native.iter().find(|site| site.line > 0 && site.name == function)
        };
        let Some(innermost) = stack.frames.iter().rposition(|frame| running(frame).is_some()) else { return };
        let frame = &mut stack.frames[innermost];
        let Some(site) = running(frame) else { return };
        // What it awaits by turns, such as the branches of a `select!`, is over only if it says so itself.
        frame.branches.clear();
        let same_file = Path::new(&frame.file).ends_with(&site.file) || Path::new(&site.file).ends_with(&frame.file);
        if same_file && frame.line != site.line {
            let path = if Path::new(&frame.file).is_absolute() { &frame.file } else { &site.file };
            let context = self.limits.source;
            frame.source = self.sources.around(Path::new(path), site.line, context);
            (frame.line, frame.column) = (site.line, site.column);
        }
        stack.frames.truncate(innermost + 1);
    }
}
