//! The native stacks of a failure, and where it panicked.

use tinyio_events::event::{Failure, Outcome, TraceSite};
use tinyio_events::place::{is_dependency, same_file};

use crate::format::counted;
use crate::model::short_name;

/// A native stack of a failure, without the frames that are listed already.
#[derive(Debug)]
pub struct NativeStack<'a> {
    /// What it is the stack of.
    pub of: NativeKind,
    /// The frames, innermost first.
    pub sites: Vec<&'a TraceSite>,
    /// The number of frames that were left out, because they are among the await frames or in another native stack.
    pub repeated: usize,
}

/// What a native stack is the stack of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeKind {
    /// The making of the error, as the error itself has it.
    Error,
    /// The failure.
    Failure,
    /// The return of the error from the future, which is later than its making.
    Return,
}

impl NativeKind {
    /// Returns the heading of such a stack.
    pub fn heading(self) -> &'static str {
        match self {
            NativeKind::Error => "backtrace of the error",
            NativeKind::Failure => "native stack",
            NativeKind::Return => "native stack where the future returned the error",
        }
    }
}

impl NativeStack<'_> {
    /// Returns the heading of the stack with the order of its frames, and whether some were left out.
    pub fn heading(&self) -> String {
        let heading = self.of.heading();
        match self.repeated {
            0 => format!("{heading}, innermost first"),
            some => format!("{heading}, innermost first, without {} listed above", counted(some as u64, "frame")),
        }
    }
}

/// Returns the native stacks of a failure. Frames for which `is_listed` is true are left out, and so are those that an
/// earlier native stack has, and stacks of which nothing is left.
pub fn native_stacks(failure: &Failure, is_listed: impl Fn(&TraceSite) -> bool) -> Vec<NativeStack<'_>> {
    let of_failure = if failure.is_last_await() { NativeKind::Return } else { NativeKind::Failure };
    let mut stacks: Vec<NativeStack<'_>> = Vec::new();
    for (of, all) in [(NativeKind::Error, &failure.error_backtrace), (of_failure, &failure.backtrace)] {
        let earlier: Vec<&TraceSite> = stacks.iter().flat_map(|stack| stack.sites.iter().copied()).collect();
        let repeats = |site: &TraceSite| {
            is_listed(site) || earlier.iter().any(|other| is_frame_at(&other.name, &other.file, other.line, site))
        };
        let sites: Vec<&TraceSite> = all.iter().filter(|site| !repeats(site)).collect();
        if !sites.is_empty() {
            stacks.push(NativeStack { of, repeated: all.len() - sites.len(), sites });
        }
    }
    stacks
}

/// Whether a frame is that of a native stack: the same function at the same line. Without a line it is not known.
pub fn is_frame_at(function: &str, file: &str, line: u32, site: &TraceSite) -> bool {
    line > 0 && line == site.line && same_file(file, &site.file) && short_name(function) == short_name(&site.name)
}

/// Returns the innermost place of the program at which an error was made, by its native stacks.
pub fn made_at(failure: &Failure) -> Option<&TraceSite> {
    let of_program = |site: &&TraceSite| site.line > 0 && !is_dependency(&site.file);
    let own = failure.error_backtrace.iter().find(of_program);
    own.or_else(|| failure.backtrace.iter().find(of_program).filter(|_| !failure.is_last_await()))
}

/// Returns where a coroutine panicked, if that is known.
pub fn panic_place(failure: &Failure) -> Option<&TraceSite> {
    failure.trace.last().filter(|site| failure.kind == Outcome::Panic && !site.last_await && site.line > 0)
}

/// Returns the message of a failure; of a panic it begins with that and with its place.
pub fn message_with_place(failure: &Failure, place: impl Fn(&TraceSite) -> String) -> String {
    if failure.kind != Outcome::Panic {
        return failure.message.clone();
    }
    let message = failure.message.strip_prefix("panicked: ").unwrap_or(&failure.message);
    match panic_place(failure) {
        Some(site) => format!("panicked at {}: {message}", place(site)),
        None => format!("panicked: {message}"),
    }
}
