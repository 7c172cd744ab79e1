//! What events are about: the types of the record, or, without the feature `record`, those of their variants that the
//! loop uses.

#[cfg(not(feature = "record"))]
pub(crate) use small::*;
#[cfg(feature = "record")]
pub(crate) use tinyio_events::event::{LoopMode, ResKind, Target, Waker as WakeCause};

// In tests with the record too, which compile only if both are the same: see the end of the file.
#[cfg(any(not(feature = "record"), test))]
#[cfg_attr(feature = "record", allow(dead_code, reason = "compared with the types of the record, and not used"))]
mod small {
    /// What a coroutine waits on.
    #[derive(Clone, Copy)]
    #[expect(dead_code, reason = "only the record reads what is in them")]
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
    #[expect(dead_code, reason = "only the record reads what is in them")]
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

    /// How a loop is run.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) enum LoopMode {
        Run,
        Drive,
        Isolate,
    }
}

/// Each variant of `small` is one of the record's, with the same fields.
#[cfg(all(test, feature = "record"))]
const _: () = {
    const _: fn(small::Target) -> Target = |target| match target {
        small::Target::Coro(id) => Target::Coro(id),
        small::Target::Res(id) => Target::Res(id),
        small::Target::Thread(id) => Target::Thread(id),
        small::Target::Timer(due) => Target::Timer(due),
        small::Target::Loop(id) => Target::Loop(id),
        small::Target::Turn => Target::Turn,
    };
    const _: fn(small::WakeCause) -> WakeCause = |cause| match cause {
        small::WakeCause::Coro(id) => WakeCause::Coro(id),
        small::WakeCause::Timer => WakeCause::Timer,
        small::WakeCause::External => WakeCause::External,
    };
    const _: fn(small::ResKind) -> ResKind = |kind| match kind {
        small::ResKind::Event => ResKind::Event,
        small::ResKind::Lock => ResKind::Lock,
        small::ResKind::Semaphore => ResKind::Semaphore,
        small::ResKind::Barrier => ResKind::Barrier,
    };
    const _: fn(small::LoopMode) -> LoopMode = |mode| match mode {
        small::LoopMode::Run => LoopMode::Run,
        small::LoopMode::Drive => LoopMode::Drive,
        small::LoopMode::Isolate => LoopMode::Isolate,
    };
};
