//! Failures as they come about: from errors, panics, and the loop itself.

use std::error::Error as StdError;

use crate::core::{Core, Stop};
use crate::crash::{Failure, FailureKind, Interrupted, Panic, Site};
use crate::error::{Fault, Located, sources};
use crate::name;
use crate::panics;
use crate::record::Moment;
use crate::task::{BoxError, Header, Payload, Word};
use crate::trace::{Place, Snapshot, Trace};

fn located<'a>(error: &'a (dyn StdError + Send + Sync + 'static)) -> Option<&'a Located> {
    error.downcast_ref::<Located>()
}

impl Failure {
    fn new(task: &Header, kind: FailureKind, answer: &str, fault: Option<Fault>, trace: Trace) -> Failure {
        let (mut error, type_name) = fault.map(Fault::into_error).unzip();
        let located = error.as_deref_mut().and_then(|error: &mut _| error.downcast_mut::<Located>());
        let is_returned = error_is_returned(kind, answer);
        let last_await = is_returned && located.as_ref().is_none_or(|located| located.place.is_none());
        let error_type = match (&located, type_name) {
            (Some(located), _) => located.type_name,
            (None, Some(name)) if is_returned => name,
            _ => "",
        };
        let moment = match (kind, located) {
            (FailureKind::Panic, _) => panics::take_moment(),
            (_, Some(located)) => std::mem::take(&mut located.moment),
            _ => Moment::default(),
        };
        let name = name::path(task.type_name()).to_owned();
        let (trace, ids) = trace.finish();
        let (word, id, answer) = (task.word(), task.id(), answer.to_owned());
        Failure { kind, name, answer, error, trace, last_await, word, id, ids, error_type, moment }
    }

    /// It has an error of its own, be it one that hides the cancellation.
    pub(crate) fn is_error(&self) -> bool {
        self.kind == FailureKind::Panic || error_is_returned(self.kind, &self.answer)
    }

    /// It comes from a loop that was stopped from outside.
    pub(crate) fn is_interrupted(&self) -> bool {
        let Some(error) = self.error() else { return false };
        error.is::<Interrupted>()
            || panics::contain(|| sources(error).any(|error| error.is::<Interrupted>())) == Some(true)
    }

    /// A coroutine returned this error.
    pub(crate) fn of_error(core: &Core, task: &Header, fault: Fault) -> Failure {
        let place = fault.error().and_then(located).and_then(|located| located.place);
        let suspended = || core.rec.suspended_at(task).unwrap_or(task.place()).into();
        let trace = core.trace(task, place.unwrap_or_else(suspended));
        let mut failure = Failure::new(task, FailureKind::Error, "", Some(fault), trace);
        if failure.last_await {
            let made = std::mem::take(&mut failure.moment);
            failure.moment = core.rec.returned(core, task, failure.error.as_deref()).made_in(made);
        }
        failure
    }

    /// A coroutine panicked.
    pub(crate) fn of_panic(core: &Core, task: &Header, payload: Payload) -> Failure {
        let trace = core.trace(task, panics::take_place().unwrap_or(task.place().into()));
        Failure::new(task, FailureKind::Panic, "", Some(Fault::Error(Panic::new(payload).into(), "")), trace)
    }

    /// Code of the program panicked that the loop called outside of any coroutine's step: a waker, a destructor.
    pub(crate) fn of_loop_panic(payload: Payload) -> Failure {
        let name = "the loop".to_owned();
        let trace =
            panics::take_place().map(|Place { file, line, column }| Site { name: name.clone(), file, line, column });
        let failure = Failure::of_loop(Panic::new(payload).into(), trace.into_iter().collect());
        Failure { kind: FailureKind::Panic, moment: panics::take_moment(), ..failure }
    }

    /// How a coroutine took its cancellation.
    pub(crate) fn of_cancelled(
        before: &Snapshot,
        task: &Header,
        kind: FailureKind,
        answer: &str,
        fault: Option<Fault>,
    ) -> Failure {
        let place = match kind {
            FailureKind::Error => {
                fault.as_ref().and_then(Fault::error).and_then(located).and_then(|located| located.place)
            }
            _ => None,
        };
        Failure::new(task, kind, answer, fault, before.trace(task, place))
    }

    /// A coroutine panicked when it was cancelled.
    pub(crate) fn of_panicked_cleanup(before: &Snapshot, task: &Header, payload: Payload) -> Failure {
        let place = panics::take_place();
        let fault = Fault::Error(Panic::new(payload).into(), "");
        Failure::new(task, FailureKind::Panic, "", Some(fault), before.trace(task, place))
    }

    /// The loop is stopped from outside.
    pub(crate) fn of_stop(stop: Stop) -> Failure {
        match stop {
            Stop::Interrupted => Failure::of_loop(Interrupted.into(), Vec::new()),
            Stop::Dropped => Failure::of_loop("the loop was dropped before it had finished".into(), Vec::new()),
        }
    }

    /// The loop itself cannot go on.
    pub(crate) fn of_loop(error: BoxError, trace: Vec<Site>) -> Failure {
        let (name, answer, moment) = ("the loop".to_owned(), String::new(), Moment::default());
        let (kind, ids, error_type) = (FailureKind::Error, Vec::new(), "");
        let (error, word, id) = (Some(error), Word::NONE, 0);
        Failure { kind, name, answer, error, trace, last_await: false, word, id, ids, error_type, moment }
    }
}

/// A failure of this kind, with this answer, is an error that the coroutine returned.
fn error_is_returned(kind: FailureKind, answer: &str) -> bool {
    match kind {
        FailureKind::Error => true,
        FailureKind::Improper => answer.is_empty(),
        FailureKind::Panic | FailureKind::Cancelled | FailureKind::NeverStarted => false,
    }
}
