//! What a loop calls where something happens.

use std::borrow::Cow;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::Arc;

use super::env::Switch;
use super::env::warn_of_missing;
use super::event::{LoopMode, ResKind, Target, WakeCause};
use super::noop::Noop;
use super::notes::{Mailbox, ThreadNote};
use super::{Name, Rec};
use crate::failure::crash::{Failure, FailureKind, Report};
use crate::failure::moment::Moment;
use crate::task::{CurrentTask, Header, TaskTable, TypeName, WakeToken};

/// A loop, as its observer sees it.
#[cfg_attr(not(feature = "record"), expect(dead_code, reason = "only the recording looks at the loop"))]
pub(crate) trait Observed {
    fn rec(&self) -> &Rec;

    fn tag(&self) -> u32;

    /// The time of its clock.
    fn now(&self) -> u64;

    fn tasks(&self) -> &TaskTable;

    fn current_task(&self) -> &CurrentTask;

    /// Whether await points answer with a cancellation.
    fn is_cancelling(&self) -> bool;

    fn mailbox(&self) -> Arc<dyn Mailbox>;

    /// Records everything that threads have logged until now.
    fn read_notes(&self);
}

/// Observes a loop. Each method is called at one point of the loop; those that are not implemented do nothing, but for
/// `loop_start`.
pub(crate) trait Observer {
    /// Whether something may observe the loop's steps.
    #[inline]
    fn is_observed(&self) -> bool {
        cfg!(feature = "tracing") || self.is_on()
    }

    /// Whether the loop is recorded.
    #[inline]
    fn is_on(&self) -> bool {
        false
    }

    /// The number of the loop, 0 if it is not recorded.
    #[inline]
    fn loop_id(&self) -> u32 {
        0
    }

    /// Whether values may be recorded: not if they are excluded from the recording.
    #[inline]
    fn keeps_values(&self) -> bool {
        true
    }

    /// Runs `inside` with `executor` as the loop of this thread.
    #[inline]
    fn within<R>(_executor: &(dyn Observed + 'static), inside: impl FnOnce() -> R) -> R {
        inside()
    }

    /// A coroutine is freed that was never scheduled, so it never ran.
    #[inline]
    fn never_scheduled(_address: usize, _place: &'static Location<'static>, _name: TypeName) {}

    /// The program names a coroutine, which may not have been scheduled yet.
    #[inline]
    fn name_task(_task: &Header, _name: Cow<'static, str>) {}

    /// The names that the program gave to living coroutines of this thread, by number.
    fn given_names(&self) -> HashMap<u64, String> {
        HashMap::new()
    }

    /// The program named the loop before it began to run.
    #[inline]
    fn set_name(&self, _name: &Name) {}

    /// A loop begins to run. Pairs with `loop_end`. Without a recording, warns of variables that ask for one.
    #[inline]
    fn loop_start(&self, _executor: &impl Observed, _mode: LoopMode) {
        warn_of_missing(&Switch::read());
    }

    /// The loop is empty again.
    #[inline]
    fn loop_end(&self, _executor: &impl Observed, _crashed: bool) {}

    /// The thread is about to sleep, until this time of the loop's clock or until there is mail.
    #[inline]
    fn park(&self, _executor: &impl Observed, _until: Option<u64>) {}

    /// It was woken.
    #[inline]
    fn unpark(&self) {}

    /// The loop is about to do something other than run coroutines.
    #[inline]
    fn turn_end(&self) {}

    /// A coroutine was scheduled.
    #[inline]
    fn spawn(&self, _executor: &impl Observed, _coro: &Header) {}

    /// The running coroutine reached an await point that is not ready, and waits for something other than a coroutine.
    #[inline]
    fn wait(&self, _executor: &impl Observed, _coro: &Header, _on: Target, _at: &'static Location<'static>) {}

    /// It waits for another coroutine.
    #[inline]
    fn wait_for(&self, _executor: &impl Observed, _coro: &Header, _other: &Header, _at: &'static Location<'static>) {}

    /// It waits for its next step.
    #[inline]
    fn wait_turn(&self, _coro: &Header, _at: &'static Location<'static>) {}

    /// The running coroutine stopped waiting for this.
    #[inline]
    fn clear(&self, _coro: &Header, _on: Target) {}

    /// The running coroutine dropped its wait for this, unless that was over.
    #[inline]
    fn edge_dropped(&self, _coro: &Header, _on: Target) {}

    /// Sets the cause of wakes where no coroutine is running; returns the previous one.
    #[inline]
    fn wakes(&self, _by: WakeCause) -> WakeCause {
        WakeCause::External
    }

    /// A coroutine was put into the ready queue.
    #[inline]
    fn wake(&self, _executor: &impl Observed, _coro: &Header) {}

    /// A coroutine is about to be polled. Pairs with `step_end`.
    #[inline]
    fn step_begin(&self, _coro: &Header) {}

    /// It was polled.
    #[inline]
    fn step_end(&self, _coro: &Header) {}

    /// A coroutine has ended.
    #[inline]
    fn end(&self, _coro: &Header, _how: Option<FailureKind>) {}

    /// All coroutines are about to be cancelled, before the first cancellation is delivered.
    #[inline]
    fn cancel_begin(&self, _executor: &impl Observed, _failure: &Failure) {}

    /// A coroutine is about to be polled to deliver its cancellation.
    #[inline]
    fn cancel_deliver(&self, _coro: &Header) {}

    /// Where a coroutine was suspended before the running step, or was made, if that is known for certain.
    #[inline]
    fn suspended_at(&self, _coro: &Header) -> Option<&'static Location<'static>> {
        None
    }

    /// What is known of a coroutine whose future has just returned this error, which does not store where it was made.
    #[inline]
    fn returned(
        &self,
        _executor: &impl Observed,
        _coro: &Header,
        _error: Option<&(dyn std::error::Error + Send + Sync + 'static)>,
        _made: Moment,
    ) -> Moment {
        Moment::default()
    }

    /// All coroutines have ended after a failure. Returns the report of the crash.
    #[inline]
    fn crash(&self, _failures: &mut [Failure]) -> Option<Box<dyn Report>> {
        None
    }

    /// tinyio has something to report about itself or the program.
    #[inline]
    fn diag(&self, _text: &str) {}

    /// A thread left this note in the inbox. Returns what it wakes, if that is known, and the cause of the wake.
    #[inline]
    fn note(&self, _note: ThreadNote) -> Option<(WakeToken, WakeCause)> {
        None
    }
}

impl Observer for Noop {}

/// Evaluates an expression with what observes a loop; while nothing does, with the no-op, so that a program that is not
/// recorded pays for one check and no event. The observed variant is out of line, and takes what it needs by value, so
/// that the other one keeps that in registers.
macro_rules! observe {
    ($executor:expr, |$observer:ident| $body:expr) => {
        if $crate::observe::Observer::is_observed(&$executor.rec) {
            let $observer = &$executor.rec;
            $crate::observe::out_of_line(move || $body)
        } else {
            let $observer = &$crate::observe::Noop;
            $body
        }
    };
}
pub(crate) use observe;

#[inline(never)]
pub(crate) fn out_of_line<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Observes a function on a thread. Those methods that are not implemented do nothing.
pub(crate) trait ThreadObserver: Default {
    /// The coroutine hands over its function.
    #[inline]
    fn queue(_executor: &impl Observed, _coro: &Header, _at: &'static Location<'static>) -> Self {
        Self::default()
    }

    /// The number of the function, 0 if it is not recorded.
    #[inline]
    fn id(&self) -> u64 {
        0
    }

    /// A thread starts the function.
    #[inline]
    fn started(&self, _notes: &mut Vec<ThreadNote>) {}

    /// The function has returned, and its coroutine is woken, or it will never start.
    #[inline]
    fn ended(&self, _notes: &mut Vec<ThreadNote>, _how: Option<FailureKind>, _wakes: Option<WakeToken>) {}

    /// The function checked for its cancellation and got it.
    #[inline]
    fn noticed(&self, _notes: &mut Vec<ThreadNote>) {}

    /// The loop asks it to stop.
    #[inline]
    fn cancelled(&self, _executor: &impl Observed) {}

    /// Whether it is recorded, so that its start has to be, too.
    #[inline]
    fn is_recorded(&self) -> bool {
        self.id() != 0
    }
}

impl ThreadObserver for Noop {}

/// Observes a lock, semaphore, barrier or event. Those methods that are not implemented do nothing.
pub(crate) trait ResourceObserver {
    /// Permits that are acquired: of which coroutine, and how many.
    type Hold: Default;

    /// The observer of a resource that the caller makes.
    #[track_caller]
    fn new(what: ResKind, size: u64) -> Self;

    /// Names the resource, unless it has a name. The name is recorded with its number.
    #[inline]
    fn set_name(&self, _name: Cow<'static, str>) {}

    /// The number of the resource, 0 if it is not recorded.
    #[inline]
    fn id(&self, _executor: &impl Observed) -> u64 {
        0
    }

    /// The running coroutine has acquired this many permits.
    #[inline]
    fn hold(&self, _executor: &impl Observed, _at: &'static Location<'static>, _permits: usize) -> Self::Hold {
        Self::Hold::default()
    }

    /// The acquired permits are released, on any thread.
    #[inline]
    fn release(&self, _hold: &Self::Hold) {}

    /// Its flag was set or cleared.
    #[inline]
    fn set(&self, _set: bool) {}
}

impl ResourceObserver for Noop {
    type Hold = Noop;

    #[inline]
    fn new(_what: ResKind, _size: u64) -> Noop {
        Noop
    }
}
