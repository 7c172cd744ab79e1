//! Makes failures from errors, panics, and the loop itself.

use std::error::Error as StdError;

use crate::executor::await_chain::{AwaitChain, Snapshot};
use crate::executor::{Executor, Stop};
use crate::failure::crash::{Failure, FailureKind, Interrupted, Panic, Site};
use crate::failure::error::{Located, sources};
use crate::failure::moment::Moment;
use crate::failure::panic_hook;
use crate::failure::place::Place;
use crate::failure::type_name;
use crate::observe::Observer;
use crate::panics;
use crate::task::{BoxError, Fault, Header, Payload, WakeToken};

fn located<'a>(error: &'a (dyn StdError + Send + Sync + 'static)) -> Option<&'a Located> {
    error.downcast_ref::<Located>()
}

impl Failure {
    fn new(task: &Header, kind: FailureKind, answer: &str, fault: Option<Fault>, chain: AwaitChain) -> Failure {
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
            (FailureKind::Panic, _) => panic_hook::take_moment(),
            (_, Some(located)) => std::mem::take(&mut located.moment),
            _ => Moment::default(),
        };
        let name = type_name::path(task.type_name()).to_owned();
        let (trace, ids) = chain.finish();
        let (wake_token, id, answer) = (task.wake_token(), task.id(), answer.to_owned());
        Failure { kind, name, answer, error, trace, last_await, wake_token, id, ids, error_type, moment }
    }

    /// Whether it has an error of its own, also one that hides the cancellation.
    pub(crate) fn is_error(&self) -> bool {
        self.kind == FailureKind::Panic || error_is_returned(self.kind, &self.answer)
    }

    /// Whether it comes from a loop that was stopped from outside.
    pub(crate) fn is_interrupted(&self) -> bool {
        let Some(error) = self.error() else { return false };
        error.is::<Interrupted>()
            || panics::contain(|| sources(error).any(|error| error.is::<Interrupted>())) == Some(true)
    }

    /// The failure of a coroutine that returned this error.
    pub(crate) fn of_error(executor: &Executor, task: &Header, fault: Fault) -> Failure {
        let place = fault.error().and_then(located).and_then(|located| located.place);
        let suspended = || executor.rec.suspended_at(task).unwrap_or(task.place()).into();
        let chain = executor.await_chain(task, place.unwrap_or_else(suspended));
        let mut failure = Failure::new(task, FailureKind::Error, "", Some(fault), chain);
        if failure.last_await {
            let made = std::mem::take(&mut failure.moment);
            failure.moment = executor.rec.returned(executor, task, failure.error.as_deref(), made);
        }
        failure
    }

    /// The failure of a coroutine that panicked.
    pub(crate) fn of_panic(executor: &Executor, task: &Header, payload: Payload) -> Failure {
        let place = panic_hook::take_place();
        let chain = executor.await_chain(task, place.unwrap_or(task.place().into()));
        let fault = Fault::Error(Panic::new(payload).into(), "");
        let failure = Failure::new(task, FailureKind::Panic, "", Some(fault), chain);
        // No hook is called for a panic that is resumed, so its place is not known.
        Failure { last_await: place.is_none(), ..failure }
    }

    /// The failure of program code that panicked outside of any coroutine's step: a waker, a destructor.
    pub(crate) fn of_loop_panic(payload: Payload) -> Failure {
        let name = "the loop".to_owned();
        let trace = panic_hook::take_place().map(|Place { file, line, column }| Site {
            name: name.clone(),
            file,
            line,
            column,
        });
        let failure = Failure::of_loop(Panic::new(payload).into(), trace.into_iter().collect());
        Failure { kind: FailureKind::Panic, moment: panic_hook::take_moment(), ..failure }
    }

    /// The failure of a coroutine by how it responded to its cancellation.
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
        Failure::new(task, kind, answer, fault, before.await_chain(task, place))
    }

    /// The failure of a coroutine that panicked when it was cancelled.
    pub(crate) fn of_panicked_cleanup(before: &Snapshot, task: &Header, payload: Payload) -> Failure {
        let place = panic_hook::take_place();
        let fault = Fault::Error(Panic::new(payload).into(), "");
        let failure = Failure::new(task, FailureKind::Panic, "", Some(fault), before.await_chain(task, place));
        Failure { last_await: place.is_none(), ..failure }
    }

    /// The failure of a loop that is stopped from outside.
    pub(crate) fn of_stop(stop: Stop) -> Failure {
        match stop {
            Stop::Interrupted => Failure::of_loop(Interrupted.into(), Vec::new()),
            Stop::Dropped => Failure::of_loop("the loop was dropped before it had finished".into(), Vec::new()),
        }
    }

    /// The failure of a loop that itself cannot continue.
    pub(crate) fn of_loop(error: BoxError, trace: Vec<Site>) -> Failure {
        let (name, answer, moment) = ("the loop".to_owned(), String::new(), Moment::default());
        let (kind, ids, error_type) = (FailureKind::Error, Vec::new(), "");
        let (error, wake_token, id) = (Some(error), WakeToken::NONE, 0);
        Failure { kind, name, answer, error, trace, last_await: false, wake_token, id, ids, error_type, moment }
    }
}

/// Whether a failure of this kind, with this answer, is an error that the coroutine returned.
fn error_is_returned(kind: FailureKind, answer: &str) -> bool {
    match kind {
        FailureKind::Error => true,
        FailureKind::Improper => answer.is_empty(),
        FailureKind::Panic | FailureKind::Cancelled | FailureKind::NeverStarted => false,
    }
}
