//! Locks, atomics and threads for the code shared between loops and threads: the standard library's, or `loom`'s, which
//! tries every order in which threads can run (see the script `tests/loom`).

#[cfg(not(loom))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize};
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock};
    pub(crate) use std::thread::{Builder, LocalKey, Thread, current, park, park_timeout, yield_now};
    pub(crate) use std::thread_local as per_thread;

    /// The number of threads that can run at the same time.
    pub(crate) fn cores() -> usize {
        // Asked of the system once: it reads files, which takes longer than a function on a thread.
        static CORES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
        *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// A static that is initialised on first use.
    macro_rules! global {
        ($name:ident: $type:ty = $init:expr) => {
            static $name: std::sync::LazyLock<$type> = std::sync::LazyLock::new(|| $init);
        };
    }
    pub(crate) use global;
}

#[cfg(loom)]
mod real {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize};
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, RwLock};
    pub(crate) use loom::thread::{Builder, LocalKey, yield_now};

    /// A thread that can be unparked. Loom's own loses an unpark when it waits for a lock before it parks.
    #[derive(Clone, Default)]
    pub(crate) struct Thread(std::sync::Arc<(Mutex<bool>, Condvar)>);

    impl Thread {
        pub(crate) fn unpark(&self) {
            *self.0.0.lock().expect("nothing panics") = true;
            self.0.1.notify_one();
        }
    }

    loom::thread_local! { static CURRENT: Thread = Thread::default(); }

    pub(crate) fn current() -> Thread {
        CURRENT.with(Thread::clone)
    }

    pub(crate) fn park() {
        let Thread(this) = current();
        let mut unparked = this.0.lock().expect("nothing panics");
        while !std::mem::take(&mut *unparked) {
            unparked = this.1.wait(unparked).expect("nothing panics");
        }
    }
    /// Loom has no time: the timeout never comes, so no code may rely on it.
    pub(crate) fn park_timeout(_: std::time::Duration) {
        park();
    }

    pub(crate) fn cores() -> usize {
        2
    }

    macro_rules! per_thread {
        ($(#[$meta:meta])* static $name:ident: $type:ty = const $init:block;) => {
            loom::thread_local! { $(#[$meta])* static $name: $type = $init; }
        };
    }
    pub(crate) use per_thread;

    macro_rules! global {
        ($name:ident: $type:ty = $init:expr) => {
            loom::lazy_static! { static ref $name: $type = $init; }
        };
    }
    pub(crate) use global;
}

pub(crate) use real::*;

/// A value that every process makes for itself. A forked child has the memory of its parent, and none of its threads,
/// so it must not rely on anything that those were to do.
pub(crate) struct PerProcess<T> {
    make: fn() -> T,
    process: u32,
    value: T,
    child: std::sync::OnceLock<Box<PerProcess<T>>>,
}

impl<T> PerProcess<T> {
    pub(crate) fn new(make: fn() -> T) -> PerProcess<T> {
        PerProcess { make, process: std::process::id(), value: make(), child: std::sync::OnceLock::new() }
    }

    /// The value of this process.
    pub(crate) fn here(&self) -> &T {
        let process = std::process::id();
        let mut this = self;
        while this.process != process {
            this = this.child.get_or_init(|| Box::new(PerProcess::new(this.make)));
        }
        &this.value
    }
}
