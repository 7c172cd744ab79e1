//! What events are about: the types of the record, or, without the feature `record`, those of their variants that the
//! loop uses.

#[cfg(not(feature = "record"))]
pub(crate) use small::*;
#[cfg(feature = "record")]
pub(crate) use tinyio_events::event::{LoopMode, ResKind, Target, Waker as WakeCause};

#[cfg(not(feature = "record"))]
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
