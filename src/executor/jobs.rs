//! The functions of a loop that run on threads.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
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
    counts: Rc<Counts>,
    /// The id of the process that has their threads.
    process: Cell<u32>,
    /// The id of this process, once it was asked for in this turn; else 0. A coroutine may fork the process. The system
    /// takes 0.35 µs to answer (AMD EPYC, virtual), as much as the rest of handing a function to a thread.
    this_process: Cell<u32>,
}

#[derive(Default)]
struct Counts {
    running: Cell<usize>,
    /// Set when one of the pool's was started or has ended since the loop last slept: another may end any moment.
    expects_mail: Cell<bool>,
}

/// Functions that are counted as running until this is dropped.
pub(crate) struct Counted {
    counts: Rc<Counts>,
    functions: usize,
    /// They run on the threads of the pool.
    of_pool: bool,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.running.set(self.counts.running.get() - self.functions);
        if self.of_pool {
            self.counts.expects_mail.set(true);
        }
    }
}

impl Jobs {
    /// The number of functions that run on threads.
    pub(crate) fn count(&self) -> usize {
        self.counts.running.get()
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

    /// Counts functions that run elsewhere: futures of tokio, or functions of a loop inside this one.
    pub(crate) fn count_in(&self, functions: usize) -> Counted {
        self.count_as(functions, false)
    }

    fn count_as(&self, functions: usize, of_pool: bool) -> Counted {
        if self.count() == 0 {
            self.process.set(self.this_process());
        }
        self.counts.running.set(self.count() + functions);
        Counted { counts: self.counts.clone(), functions, of_pool }
    }

    /// Counts a function that is handed over to one of these threads.
    pub(crate) fn begin(&self, threads: &'static dyn Threads) -> Counted {
        THREADS.get_or_init(|| threads);
        self.counts.expects_mail.set(true);
        self.count_as(1, true)
    }

    /// Runs `wait`, which waits for mail. `has_mail` is polled for a short time first, if a function may end any
    /// moment.
    ///
    /// # Errors
    ///
    /// See [`Threads::lend`].
    pub(crate) fn wait(&self, has_mail: &dyn Fn() -> bool, mut wait: impl FnMut()) -> io::Result<()> {
        let Some(threads) = THREADS.get().filter(|_| self.count() > 0) else {
            self.counts.expects_mail.set(false);
            wait();
            return Ok(());
        };
        threads.lend(&mut || {
            if self.counts.expects_mail.take() {
                threads.search(has_mail);
            }
            wait();
        })
    }
}
