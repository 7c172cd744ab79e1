//! The functions of a loop that run on threads.

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;

/// The threads of the process, as a loop sees them that waits for functions on them.
pub(crate) trait Threads: Sync {
    /// Runs `wait`, while another thread works in place of this one if this is one of them.
    ///
    /// # Errors
    ///
    /// If there is work, all threads wait, and no other can be started. Then `wait` is not run.
    fn lend(&self, wait: &mut dyn FnMut()) -> io::Result<()>;

    /// Polls for a condition for a short time, if another core can make it true meanwhile.
    fn search(&self, found: &dyn Fn() -> bool);
}

/// Set when the first function is handed over to a thread: before that there is none.
static THREADS: OnceLock<&'static dyn Threads> = OnceLock::new();

/// Counts the functions of one loop.
#[derive(Default)]
pub(crate) struct Jobs {
    count: Cell<usize>,
    /// The id of the process that has their threads.
    process: Cell<u32>,
    /// The id of this process, once it was asked for in this turn; else 0. A coroutine may fork the process. The system
    /// takes 0.35 µs to answer (AMD EPYC, virtual), as much as the rest of handing a function to a thread.
    this_process: Cell<u32>,
    /// Set when one was started or has ended since the loop last slept: another may end any moment.
    expects_mail: Cell<bool>,
}

impl Jobs {
    /// The number of functions that run on threads.
    pub(crate) fn count(&self) -> usize {
        self.count.get()
    }

    /// Begins a turn of the loop, in which the process may be another: a coroutine may have forked it.
    pub(crate) fn begin_turn(&self) {
        self.this_process.set(0);
    }

    /// The id of this process, as of its first use in this turn.
    pub(crate) fn this_process(&self) -> u32 {
        if self.this_process.get() == 0 {
            self.this_process.set(std::process::id());
        }
        self.this_process.get()
    }

    /// Whether they run in another process, from which this one was forked meanwhile: they never return here.
    pub(crate) fn are_lost(&self) -> bool {
        self.count() > 0 && self.process.get() != std::process::id()
    }

    /// Counts functions handed over to threads, and functions that have ended.
    pub(crate) fn change(&self, more: usize, fewer: usize) {
        let before = self.count.get();
        if before == 0 && more > 0 {
            self.process.set(self.this_process());
        }
        self.count.set((before + more).saturating_sub(fewer));
    }

    /// Counts a function that is handed over to one of these threads.
    pub(crate) fn begin(&self, threads: &'static dyn Threads) {
        THREADS.get_or_init(|| threads);
        self.change(1, 0);
        self.expects_mail.set(true);
    }

    /// Counts a function that has ended on its thread.
    pub(crate) fn end(&self) {
        self.change(0, 1);
        self.expects_mail.set(true);
    }

    /// Runs `wait`, which waits for mail. `has_mail` is polled for a short time first, if a function may end any moment.
    ///
    /// # Errors
    ///
    /// See [`Threads::lend`].
    pub(crate) fn wait(&self, has_mail: &dyn Fn() -> bool, mut wait: impl FnMut()) -> io::Result<()> {
        let Some(threads) = THREADS.get().filter(|_| self.count() > 0) else {
            self.expects_mail.set(false);
            wait();
            return Ok(());
        };
        threads.lend(&mut || {
            if self.expects_mail.take() {
                threads.search(has_mail);
            }
            wait();
        })
    }
}
