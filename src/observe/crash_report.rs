//! What is recorded of a crash, and its report.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tinyio_events::environment::{stderr_columns, stderr_in_color};
use tinyio_events::event::{self, Event, Outcome, Stack, TraceSite};
use tinyio_events::source_text;
use tinyio_frames::worked;
use tinyio_model::model::Model;
use tinyio_model::report;

use crate::failure::await_chain::Place;
use crate::failure::crash::{Failure, FailureKind, Site};
use crate::failure::error::source_texts;
use crate::failure::panic_hook;
use crate::task;

/// Errors are also made in normal operation. Reading frames for them may take this share of the time: one part in this
/// many.
const MOMENT_SHARE: u32 = 20;
const MOMENT_START: Duration = Duration::from_millis(500);

/// How a coroutine or thread ended, as an `Outcome` of the record.
pub(super) fn outcome(how: Option<FailureKind>) -> Outcome {
    match how {
        None => Outcome::Ok,
        Some(FailureKind::Error) => Outcome::Error,
        Some(FailureKind::Panic) => Outcome::Panic,
        Some(FailureKind::Cancelled) => Outcome::Cancelled,
        Some(FailureKind::Improper) => Outcome::Improper,
        Some(FailureKind::NeverStarted) => Outcome::NeverStarted,
    }
}

/// A failure as an event of the record.
pub(crate) fn told(failure: &Failure) -> event::Failure {
    let Moment { stack, backtrace, error_backtrace, .. } = failure.moment.clone();
    let last = failure.trace.len().wrapping_sub(1);
    let site = |(n, Site { name, file, line, column }): (usize, &Site)| TraceSite {
        coro: failure.ids.get(n).copied().unwrap_or(0),
        name: name.clone(),
        file: (*file).to_owned(),
        line: *line,
        column: *column,
        last_await: n == last && failure.last_await,
    };
    event::Failure {
        kind: outcome(Some(failure.kind)),
        coro: failure.id,
        thread: 0,
        name: failure.name.clone(),
        message: failure.message(),
        error_type: failure.error_type.to_owned(),
        sources: failure.error().map(source_texts).unwrap_or_default(),
        trace: failure.trace.iter().enumerate().map(site).collect(),
        stack,
        fields: Vec::new(),
        backtrace,
        error_backtrace,
    }
}

/// Corrects the places of coroutines that wait for something that is not tinyio's, such as a channel of another
/// library: the loop knows only where each waited before, or was made. The stacks, read from debug info, have the line.
pub(super) fn place_foreign(failures: &mut [Failure], stacks: &HashMap<u64, Stack>, foreign: &HashSet<u64>) {
    for failure in failures {
        let is_panic = failure.kind == FailureKind::Panic;
        let (last, own) = (failure.trace.len().wrapping_sub(1), failure.moment.stack.as_ref());
        for (n, (site, id)) in failure.trace.iter_mut().zip(&failure.ids).enumerate() {
            let stack = match own {
                _ if !foreign.contains(id) => continue,
                // The place of the error itself.
                _ if n == last && (is_panic || failure.kind == FailureKind::Error && !failure.last_await) => continue,
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

/// What a failing coroutine was at when its error was made.
#[derive(Clone, Default)]
pub(crate) struct Moment {
    pub(super) stack: Option<Stack>,
    pub(super) backtrace: Vec<TraceSite>,
    pub(super) error_backtrace: Vec<TraceSite>,
    /// Where the program was, if that is certain.
    pub(super) place: Option<Place>,
}

impl Moment {
    /// The innermost place of the program on the native stack, if that is certain.
    pub(crate) fn place(&self) -> Option<Place> {
        self.place
    }

    /// Adds the native stack of the moment in which the error was made.
    pub(crate) fn made_in(self, made: Moment) -> Moment {
        let error_backtrace = if made.backtrace.is_empty() { self.error_backtrace } else { made.backtrace };
        Moment { error_backtrace, ..self }
    }
}

/// Captures the running coroutine, if it is recorded. Errors are also made in normal operation, so this takes at most a
/// small share of the time.
pub(crate) fn moment() -> Moment {
    task::current(|executor| {
        let Some((executor, recording)) =
            executor.and_then(|executor| executor.rec.on().map(|recording| (executor, recording)))
        else {
            return Moment::default();
        };
        let (begin, began) = (worked(), Instant::now());
        let spent = recording.moments.get();
        // Not during the cancellation, nor while frames are read.
        if executor.cancel.get().reason.is_some()
            || recording.frames.try_borrow_mut().is_err()
            || spent > MOMENT_START + recording.started.elapsed() / MOMENT_SHARE
        {
            return Moment::default();
        }
        let backtrace = tinyio_frames::backtrace();
        let coro = executor.current_task.handle();
        let (stack, is_certain) =
            coro.and_then(|coro| recording.stack_of_running(&coro, &executor.addresses(), &backtrace)).unzip();
        let place = backtrace.first().filter(|_| is_certain == Some(true));
        let place = place.map(|at| Place { file: panic_hook::keep(&at.file), line: at.line, column: at.column });
        recording.moments.set(spent + worked().saturating_sub(begin));
        // Between two steps it belongs to no coroutine.
        if executor.current_task.with(|running| running.is_some()) {
            recording.reading.set(recording.reading.get() + began.elapsed());
        }
        Moment { stack, backtrace, error_backtrace: Vec::new(), place }
    })
}

/// What was recorded of a crash, for its report.
#[derive(Default)]
pub(crate) struct Report(Option<Box<Told>>);

pub(super) struct Told {
    pub(super) header: event::Header,
    /// The events: the loop, what all coroutines were at, the crash.
    pub(super) events: Vec<Event>,
    pub(super) file: Option<String>,
    /// Set when the live view has printed the report on exit.
    pub(super) shown: Arc<AtomicBool>,
}

impl Report {
    pub(super) fn of(told: Told) -> Report {
        Report(Some(Box::new(told)))
    }

    /// The text; `None` if nothing was recorded.
    pub(crate) fn text(&self) -> Option<String> {
        let told = self.0.as_ref()?;
        let mut model = Model::new(&told.header);
        told.events.iter().for_each(|event| model.apply(event));
        // The report of `main`'s error goes to stderr.
        let options = report::Options {
            file: told.file.clone(),
            read_source: source_text::read,
            ..report::Options::of_terminal(stderr_columns(), stderr_in_color())
        };
        let text = report::text(&model, &options);
        // The live view has already printed it there on exit.
        match told.shown.load(Ordering::Relaxed) {
            true => text.lines().next().map(|line| format!("{line} (told above)\n")),
            false => Some(text),
        }
    }
}
