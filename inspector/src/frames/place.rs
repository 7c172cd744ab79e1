//! Finds the place of an await stack at which its coroutine stands.

use super::names;
use crate::event::{Frame, Stack};

/// The note of a function that was not suspended yet when the step began in which its coroutine failed.
pub(crate) const BEGAN: &str = "as it began";
/// That of one that had not been started, as the reader of frames tells it.
pub(super) const NOT_STARTED: &str = "not started";

impl Stack {
    /// Returns the await at which the coroutine waits for something that tinyio does not know: a channel, a socket, a
    /// future of another library. `None` if it awaits a future of tinyio (the loop knows the place of that await, with
    /// its column), or if debug info has no line.
    ///
    /// It is the innermost await of the program; only for a coroutine that consists of library code alone it is one of
    /// a library.
    pub fn foreign_await(&self) -> Option<&Frame> {
        if any(&self.frames, &|frame| names::root(&frame.function) == "tinyio") {
            return None;
        }
        let lines = || self.frames.iter().filter(|frame| !frame.hidden && frame.line > 0 && frame.note.is_empty());
        lines().rfind(|frame| !is_dependency(&frame.file)).or_else(|| lines().next_back())
    }
}

fn any(frames: &[Frame], of: &dyn Fn(&Frame) -> bool) -> bool {
    frames.iter().any(|frame| of(frame) || frame.branches.iter().any(|branch| any(&branch.frames, of)))
}

/// Folders in which cargo and the compiler keep the sources of dependencies.
pub(super) fn is_dependency(file: &str) -> bool {
    ["/registry/src/", "/git/checkouts/", "/rustc/", "/rustlib/"].iter().any(|part| file.contains(part))
}

/// Marks the values of a suspension that is over.
pub(super) fn mark_as_past(stack: &mut Stack) {
    stack.mid_step = true;
    mark_frames(&mut stack.frames);
}

fn mark_frames(frames: &mut [Frame]) {
    for frame in frames {
        if frame.note == NOT_STARTED {
            frame.note = BEGAN.into();
        }
        for local in &mut frame.locals {
            let comma = if local.mark.is_empty() { "" } else { ", " };
            local.mark = format!("{}{comma}mid-step", local.mark);
        }
        frame.branches.iter_mut().for_each(|branch| mark_frames(&mut branch.frames));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Branch;
    use crate::script::frame;

    fn place(frames: Vec<Frame>) -> Option<u32> {
        Stack { frames, ..Stack::default() }.foreign_await().map(|frame| frame.line)
    }

    #[test]
    fn a_foreign_await_is_the_innermost_of_the_program() {
        let program =
            || vec![frame("crawl::main", "/p/src/main.rs:3:0", &[]), frame("crawl::get", "/p/src/get.rs:9:0", &[])];
        let library = frame("tokio::sync::mpsc::recv", "/home/.cargo/registry/src/i/tokio-1/src/m.rs:70:0", &[]);
        assert_eq!(place(program()), Some(9));
        assert_eq!(place([program(), vec![library.clone()]].concat()), Some(9));
        assert_eq!(place(vec![library]), Some(70));
        let unknown = Frame { note: "not started".into(), ..frame("crawl::get", "/p/src/get.rs:1:0", &[]) };
        assert_eq!(place(vec![unknown]), None);
    }

    #[test]
    fn where_something_of_tinyio_is_awaited_beside_the_loop_knows_better() {
        let mut outer = frame("crawl::main", "/p/src/main.rs:3:0", &[]);
        let sleep = Frame { hidden: true, ..frame("tinyio::time::Sleep", "", &[]) };
        assert_eq!(place(vec![outer.clone(), sleep.clone()]), None);
        outer.branches = vec![Branch { name: "_fut0".into(), frames: vec![sleep] }];
        assert_eq!(place(vec![outer]), None);
    }
}
