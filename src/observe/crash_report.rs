//! What is recorded of a crash, and its report.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tinyio_events::environment::{stderr_columns, stderr_in_color};
use tinyio_events::event::{self, Event, Stack};
use tinyio_events::source_text;
use tinyio_model::model::Model;
use tinyio_model::report;
use tinyio_recorder::exit;

use crate::failure::crash::{Failure, FailureKind, Report};
use crate::failure::panic_hook;

/// Corrects the places of coroutines that wait for something that is not tinyio's, such as a channel of another
/// library: the loop knows only where each waited before, or was made. The stacks, read from debug info, have the line.
pub(super) fn place_foreign(failures: &mut [Failure], stacks: &HashMap<u64, Stack>, foreign: &HashSet<u64>) {
    for failure in failures {
        let has_own_place = matches!(failure.kind, FailureKind::Panic | FailureKind::Error);
        let (last, own) = (failure.trace.len().wrapping_sub(1), failure.moment.stack.as_ref());
        for (n, (site, id)) in failure.trace.iter_mut().zip(&failure.ids).enumerate() {
            let stack = match own {
                _ if !foreign.contains(id) => continue,
                // The place of the error itself.
                _ if n == last && has_own_place && !failure.last_await => continue,
                Some(own) if n == last => own,
                _ => match stacks.get(id) {
                    Some(stack) => stack,
                    None => continue,
                },
            };
            let Some(frame) = stack.foreign_await() else { continue };
            let same_file = Path::new(&frame.file).ends_with(site.file);
            if !same_file {
                site.file = panic_hook::keep(&frame.file);
            }
            if !same_file || frame.line != site.line {
                (site.line, site.column) = (frame.line, frame.column);
            }
        }
    }
}

/// What was recorded of a crash, for its report.
pub(super) struct RecordedCrash {
    pub(super) header: event::Header,
    /// The events: the loop, what all coroutines were at, the crash.
    pub(super) events: Vec<Event>,
    pub(super) file: Option<String>,
    /// Set when the live view has printed the report on exit.
    pub(super) shown: Arc<AtomicBool>,
    /// Set when the program has asked for the report.
    pub(super) printed: AtomicBool,
}

/// If the program exits with an error and has not printed the report of the crash, prints it.
pub(super) fn print_on_failure(crash: &Arc<RecordedCrash>) {
    let crash = crash.clone();
    exit::report_on_failure(move || {
        let is_printed = crash.printed.load(Ordering::Relaxed) || crash.shown.load(Ordering::Relaxed);
        (!is_printed).then(|| format!("\n{}", crash.text()))
    });
}

impl Report for Arc<RecordedCrash> {
    fn text(&self) -> String {
        self.printed.store(true, Ordering::Relaxed);
        let mut model = Model::new(&self.header);
        self.events.iter().for_each(|event| model.apply(event));
        // The report of `main`'s error goes to stderr.
        let options = report::Options {
            file: self.file.clone(),
            read_source: source_text::read,
            ..report::Options::of_terminal(stderr_columns(), stderr_in_color())
        };
        let text = report::text(&model, &options);
        // The live view has already printed it there on exit.
        match self.shown.load(Ordering::Relaxed) {
            true => text.lines().next().map_or_else(|| text.clone(), |line| format!("{line} (shown above)\n")),
            false => text,
        }
    }
}
