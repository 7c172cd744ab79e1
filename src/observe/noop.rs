//! No-op implementation for builds without the `record` feature: every function is empty, every type has no size.

use std::borrow::Cow;
use std::panic::Location;

use crate::failure::crash::{Failure, FailureKind, Report};
use crate::failure::moment::Moment;
use crate::observe::spans::{Around, Entered, Spans};
use crate::task::{Header, TypeName, WakeToken};

type BoxedError = dyn std::error::Error + Send + Sync + 'static;

/// What a coroutine waits on.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "only the record reads what is in them")]
pub(crate) enum Target {
    Coro(u64),
    Res(u64),
    Thread(u64),
    Timer(u64),
    Loop(u32),
    Turn,
}

/// What woke a coroutine.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "only the record reads what is in them")]
pub(crate) enum WakeCause {
    Coro(u64),
    Timer,
    External,
}

/// What a resource is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResKind {
    Event,
    Lock,
    Semaphore,
    Barrier,
}

/// A coroutine is freed that was never scheduled.
#[inline]
pub(crate) fn never_scheduled(_address: usize, _place: &'static Location<'static>, _name: TypeName) {}

/// The name of a loop.
#[derive(Clone, Default)]
pub(crate) struct Name;

impl Name {
    #[inline]
    pub(crate) fn new(_name: Cow<'static, str>) -> Name {
        Name
    }
}

/// Names a coroutine.
#[inline]
pub(crate) fn name_task(_task: &Header, _name: Cow<'static, str>) {}

/// The recorded state of a resource.
pub(crate) struct Res;

impl Res {
    #[inline]
    pub(crate) fn new(_what: ResKind, _size: u64) -> Res {
        Res
    }
    #[inline]
    pub(crate) fn set_name(&self, _name: Cow<'static, str>) {}
    #[inline]
    pub(crate) fn id(&self, _executor: &impl Observed) -> u64 {
        0
    }
    #[inline]
    pub(crate) fn set(&self, _set: bool) {}
    #[inline]
    pub(crate) fn hold(&self, _executor: &impl Observed, _at: &'static Location<'static>, _permits: usize) -> Hold {
        Hold
    }
    #[inline]
    pub(crate) fn release(&self, _hold: &Hold) {}
}

/// The recorded state of permits that are taken.
#[derive(Default)]
pub(crate) struct Hold;

/// The recorded state of a function on a thread.
#[derive(Default)]
pub(crate) struct Thread(Around);

impl Thread {
    #[inline]
    pub(crate) fn queue(_executor: &impl Observed, _coro: &Header, _at: &'static Location<'static>) -> Thread {
        Thread(Around::here())
    }
    #[inline]
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.0.enter()
    }
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        0
    }
    #[inline]
    pub(crate) fn started(&self, _notes: &mut Vec<ThreadNote>) {}
    #[inline]
    pub(crate) fn ended(&self, _notes: &mut Vec<ThreadNote>, _how: Option<FailureKind>, _wakes: Option<WakeToken>) {}
    #[inline]
    pub(crate) fn noticed(&self, _notes: &mut Vec<ThreadNote>) {}
    #[inline]
    pub(crate) fn cancelled(&self, _executor: &impl Observed) {}
    #[inline]
    pub(crate) fn is_recorded(&self) -> bool {
        false
    }
}

/// How a loop is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoopMode {
    Run,
    Drive,
    Isolate,
}

/// A loop, as hooks see it.
pub(crate) trait Observed {}

/// Runs `inside` with `executor` as the loop of this thread.
#[inline]
pub(crate) fn enter<R>(_executor: &impl Observed, inside: impl FnOnce() -> R) -> R {
    inside()
}

/// A note of a thread about the function it runs.
pub(crate) enum ThreadNote {}

/// A loop's recorder.
#[derive(Default)]
pub(crate) struct Rec {
    spans: Spans,
}

#[allow(clippy::unused_self, reason = "the same signatures as with a recorder")]
impl Rec {
    #[inline]
    pub(crate) fn is_observed(&self) -> bool {
        cfg!(feature = "tracing")
    }
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        false
    }
    #[inline]
    pub(crate) fn loop_start(&self, _executor: &impl Observed, _mode: LoopMode) {
        if let Some(missing) = super::env::Switch::read().missing() {
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| eprintln!("{missing}"));
        }
    }
    #[inline]
    pub(crate) fn set_name(&self, _name: &Name) {}
    #[inline]
    pub(crate) fn loop_id(&self) -> u32 {
        0
    }
    #[inline]
    pub(crate) fn loop_end(&self, _executor: &impl Observed, _crashed: bool) {}
    #[inline]
    pub(crate) fn park(&self, _executor: &impl Observed, _until: Option<u64>) {}
    #[inline]
    pub(crate) fn unpark(&self) {}
    #[inline]
    pub(crate) fn turn_end(&self) {}
    #[inline]
    pub(crate) fn spawn(&self, _executor: &impl Observed, coro: &Header) {
        self.spans.spawn(coro);
    }
    #[inline]
    pub(crate) fn wait(&self, _executor: &impl Observed, _coro: &Header, _on: Target, _at: &'static Location<'static>) {
    }
    #[inline]
    pub(crate) fn wait_for(
        &self,
        _executor: &impl Observed,
        _coro: &Header,
        _other: &Header,
        _at: &'static Location<'static>,
    ) {
    }
    #[inline]
    pub(crate) fn wait_turn(&self, _coro: &Header, _at: &'static Location<'static>) {}
    #[inline]
    pub(crate) fn clear(&self, _coro: &Header, _on: Target) {}
    #[inline]
    pub(crate) fn edge_dropped(&self, _coro: &Header, _on: Target) {}
    #[inline]
    pub(crate) fn wakes(&self, _by: WakeCause) -> WakeCause {
        WakeCause::External
    }
    #[inline]
    pub(crate) fn wake(&self, _executor: &impl Observed, _coro: &Header) {}
    #[inline]
    pub(crate) fn step_begin(&self, coro: &Header) {
        self.spans.step_begin(coro);
    }
    #[inline]
    pub(crate) fn step_end(&self, coro: &Header) {
        self.spans.step_end(coro);
    }
    #[inline]
    pub(crate) fn end(&self, coro: &Header, _how: Option<FailureKind>) {
        self.spans.end(coro);
    }
    #[inline]
    pub(crate) fn cancel_begin(&self, _executor: &impl Observed, _failure: &Failure) {}
    #[inline]
    pub(crate) fn cancel_deliver(&self, _coro: &Header) {}
    #[inline]
    pub(crate) fn suspended_at(&self, _coro: &Header) -> Option<&'static Location<'static>> {
        None
    }
    #[inline]
    pub(crate) fn returned(
        &self,
        _executor: &impl Observed,
        _coro: &Header,
        _error: Option<&BoxedError>,
        _made: Moment,
    ) -> Moment {
        Moment::default()
    }
    #[inline]
    pub(crate) fn crash(&self, _failures: &mut [Failure]) -> Option<Box<dyn Report>> {
        None
    }
    #[inline]
    pub(crate) fn keeps_values(&self) -> bool {
        true
    }
    #[inline]
    pub(crate) fn diag(&self, _text: &str) {}
    #[inline]
    pub(crate) fn note(&self, note: ThreadNote) -> Option<(WakeToken, WakeCause)> {
        match note {}
    }
}
