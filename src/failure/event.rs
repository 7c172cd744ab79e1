//! Failures as events of the record.

use tinyio_events::event::{self, Outcome, TraceSite};

use crate::failure::crash::{Crash, Failure, FailureKind, Site};
use crate::failure::error::source_texts;
use crate::failure::moment::Moment;

/// How a coroutine or thread ended, as an `Outcome` of the record.
pub(crate) fn outcome(how: Option<FailureKind>) -> Outcome {
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
pub(crate) fn to_event(failure: &Failure) -> event::Failure {
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
        given_name: String::new(),
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

impl Crash {
    /// All of it as JSON: members, messages, sources, traces, and what the one that failed was at.
    /// `tinyio_events::event::crash_from_json` reads it back. Needs the feature `record`.
    ///
    /// ```
    /// # #[cfg(feature = "record")] {
    /// let crash = tinyio::Loop::new().run(async { Err::<(), _>(tinyio::Error::msg("broken")) }).unwrap_err();
    /// let members = tinyio_events::event::crash_from_json(&crash.to_json()).unwrap();
    /// assert_eq!(members[0].message, "broken");
    /// # }
    /// ```
    pub fn to_json(&self) -> String {
        let failures: Vec<_> = self.failures().iter().map(to_event).collect();
        event::crash_to_json(&failures)
    }
}
