//! Functions and files as frames and traces name them: which are the program's own, and which are the same.

use crate::event::{Frame, Stack};

/// The [note](Frame::note) of a function that was not suspended yet when the step began in which its coroutine failed,
/// and how the marks of its values end.
pub const BEGAN: &str = "as it began";
/// The [note](Frame::note) of a function that has not been started.
pub const NOT_STARTED: &str = "not started";
/// How the [mark](crate::event::Local::mark) of a value begins that was read where the error was made.
pub const AT_ERROR: &str = "at the error";
/// How the mark of a value ends that is of the last suspension, before the step in which the coroutine is.
pub const AT_LAST_AWAIT: &str = "at the last await";
/// How the mark of a value ends that was read in the middle of a step: it is of the last suspension, or the step has
/// set it since.
pub const MID_STEP: &str = "mid-step";

/// Whether this part of a mark states of which moment a value in the middle of a step is.
pub fn is_moment(part: &str) -> bool {
    matches!(part, BEGAN | AT_LAST_AWAIT | MID_STEP)
}

impl Stack {
    /// Returns the await at which the coroutine waits for something that tinyio does not know: a channel, a socket, a
    /// future of another library. `None` if it awaits a future of tinyio (the loop knows the place of that await, with
    /// its column), or if debug info has no line.
    ///
    /// It is the innermost await of the program; only for a coroutine that consists of library code alone it is one of
    /// a library.
    pub fn foreign_await(&self) -> Option<&Frame> {
        let is_of_tinyio = any(&self.frames, &|frame| root(&frame.function) == "tinyio");
        if is_of_tinyio { None } else { self.innermost_await() }
    }

    /// Returns the innermost await of the program, whatever it waits for; for a coroutine that consists of library code
    /// alone, that of a library. `None` if debug info has no line.
    pub fn innermost_await(&self) -> Option<&Frame> {
        let lines = || self.frames.iter().filter(|frame| !frame.hidden && frame.line > 0 && frame.note.is_empty());
        lines().rfind(|frame| !is_dependency(&frame.file)).or_else(|| lines().next_back())
    }

    /// Returns what is awaited at a frame of this stack, a future or a function, as a Rust path. `None` if it is not
    /// known, or if it is several.
    pub fn awaited_at(&self, at: &Frame) -> Option<&str> {
        let index = self.frames.iter().position(|frame| std::ptr::eq(frame, at))?;
        let awaited = self.frames.get(index + 1).filter(|_| at.branches.is_empty())?;
        Some(awaited.function.as_str()).filter(|function| !function.is_empty())
    }
}

fn any(frames: &[Frame], of: &dyn Fn(&Frame) -> bool) -> bool {
    frames.iter().any(|frame| of(frame) || frame.branches.iter().any(|branch| any(&branch.frames, of)))
}

/// The crate of a function, which is a Rust path.
pub fn root(function: &str) -> &str {
    let path = function.rsplit_once(" in ").map_or(function, |(_, path)| path);
    let path = path.trim_start_matches(['<', '&']).trim_start_matches("mut ").trim_start_matches("dyn ");
    path.split("::").next().unwrap_or_default()
}

/// Whether a file is in a folder in which cargo and the compiler keep the sources of dependencies.
pub fn is_dependency(file: &str) -> bool {
    ["/registry/src/", "/git/checkouts/", "/rustc/", "/rustlib/"].iter().any(|part| file.contains(part))
}

/// Whether a file is one of the standard library. That is where a call through a pointer to a function comes from, such
/// as `.map(tinyio::spawn)`: `#[track_caller]` then gives a line of `core`, which is not in the program.
pub fn is_library(file: &str) -> bool {
    // As built by the project, in a toolchain with its sources, and as Debian builds it.
    file.starts_with("/rustc/")
        || file.contains("/rustlib/src/rust/library/")
        || file.starts_with("/usr/src/rustc-") && file.contains("/library/")
}

/// Whether two names of files can be the same file: one may be relative.
pub fn same_file(left: &str, right: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short.trim_start_matches("./"))
            .is_some_and(|rest| rest.is_empty() || rest.ends_with(['/', '\\']))
    };
    !left.is_empty() && !right.is_empty() && (ends(left, right) || ends(right, left))
}

/// A file's name as short as it can be without losing what it is: relative to the program's directory, or from its
/// package.
pub fn short_path<'a>(path: &'a str, directory: &str) -> &'a str {
    if !directory.is_empty()
        && let Some(rest) = path.strip_prefix(directory).and_then(|rest| rest.strip_prefix(['/', '\\']))
    {
        return rest;
    }
    // A dependency: `…/registry/src/index.crates.io-…/futures-util-0.3.31/src/lib.rs`.
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        return rest.split_once('/').map_or(rest, |(_, rest)| rest);
    }
    // The standard library: `/rustc/…/library/core/src/future.rs`.
    if let Some((_, rest)) = path.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/')) {
        return rest;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Branch;

    fn frame(function: &str, file: &str, line: u32) -> Frame {
        Frame { function: function.into(), file: file.into(), line, ..Frame::default() }
    }

    fn line(frames: Vec<Frame>) -> Option<u32> {
        Stack { frames, ..Stack::default() }.foreign_await().map(|frame| frame.line)
    }

    #[test]
    fn a_foreign_await_is_the_innermost_of_the_program() {
        let program = || vec![frame("crawl::main", "/p/src/main.rs", 3), frame("crawl::get", "/p/src/get.rs", 9)];
        let library = frame("tokio::sync::mpsc::recv", "/home/.cargo/registry/src/i/tokio-1/src/m.rs", 70);
        assert_eq!(line(program()), Some(9));
        assert_eq!(line([program(), vec![library.clone()]].concat()), Some(9));
        assert_eq!(line(vec![library]), Some(70));
        let unknown = Frame { note: NOT_STARTED.into(), ..frame("crawl::get", "/p/src/get.rs", 1) };
        assert_eq!(line(vec![unknown]), None);
    }

    #[test]
    fn a_foreign_future_is_what_the_program_awaits_last() {
        let program = || vec![frame("crawl::main", "/p/src/main.rs", 3), frame("crawl::get", "/p/src/get.rs", 9)];
        let future = |frames: Vec<Frame>| {
            let stack = Stack { frames, ..Stack::default() };
            stack.awaited_at(stack.foreign_await()?).map(str::to_owned)
        };
        let recv = Frame { hidden: true, ..frame("async_channel::Recv<crawl::Job>", "", 0) };
        assert_eq!(
            future([program(), vec![recv.clone()]].concat()).as_deref(),
            Some("async_channel::Recv<crawl::Job>")
        );
        let inner = frame("event_listener::Listener", "", 0);
        assert_eq!(future([program(), vec![recv, inner]].concat()).as_deref(), Some("async_channel::Recv<crawl::Job>"));
        assert_eq!(future(program()), None, "what it awaits is not known");
        let mut several = program();
        several[1].branches = vec![Branch { name: "_fut0".into(), frames: vec![frame("other::Future", "", 0)] }];
        assert_eq!(future(several), None);
    }

    #[test]
    fn the_place_of_an_await_of_tinyio_is_left_to_the_loop() {
        let mut outer = frame("crawl::main", "/p/src/main.rs", 3);
        let sleep = Frame { hidden: true, ..frame("tinyio::time::Sleep", "", 0) };
        assert_eq!(line(vec![outer.clone(), sleep.clone()]), None);
        outer.branches = vec![Branch { name: "_fut0".into(), frames: vec![sleep] }];
        assert_eq!(line(vec![outer]), None);
    }

    #[test]
    fn names_of_files_are_compared_from_their_end() {
        assert!(same_file("/src/demo/src/main.rs", "src/main.rs") && same_file("main.rs", "./main.rs"));
        assert!(!same_file("/src/xmain.rs", "main.rs") && !same_file("", ""));
    }

    #[test]
    fn paths_are_shortened() {
        assert_eq!(short_path("/src/demo/src/main.rs", "/src/demo"), "src/main.rs");
        assert_eq!(short_path("/src/demolition/main.rs", "/src/demo"), "/src/demolition/main.rs");
        assert_eq!(short_path("/h/.cargo/registry/src/index-1/hyper-1.0/src/lib.rs", ""), "hyper-1.0/src/lib.rs");
        assert_eq!(short_path("/rustc/abc/library/core/src/lib.rs", "x"), "library/core/src/lib.rs");
    }
}
