//! Ends recordings that are active when the process exits: `std::process::exit` in a coroutine or on another thread,
//! `main` that returns while loops run on other threads. Destructors do not run then. Also prints the report of a crash
//! that ended the process and that the program has not printed.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::{output, recorder, trace};

/// How long an exit waits for the trace to be written: a disk may hang.
const TRACE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the lock is tried, and how long to wait in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// What is printed to stderr if the process exits with an error, and the process that it is of.
static REPORT: Mutex<(u32, Option<Report>)> = Mutex::new((0, None));

type Report = Box<dyn FnOnce() -> Option<String> + Send>;

/// A recording of this process.
struct Recording {
    number: u64,
    ring: recorder::AtExit,
    trace: Option<trace::AtExit>,
    output: Vec<output::AtExit>,
    last: fn(),
}

/// Set once the hook for the exit is.
static HOOK: OnceLock<()> = OnceLock::new();
/// The number of recordings so far, the process, and those that are active.
static OPEN: Mutex<(u64, u32, Vec<Recording>)> = Mutex::new((0, 0, Vec::new()));

/// Registers a recording to be ended when the process exits, until this is dropped.
#[derive(Debug)]
pub struct AtExit(u64);

impl AtExit {
    /// `last` is called first when the process exits, on the thread that does.
    pub fn watch(
        last: fn(),
        ring: recorder::AtExit,
        trace: Option<trace::AtExit>,
        output: Vec<output::AtExit>,
    ) -> AtExit {
        // Without it an active recording looks as if the process had been killed.
        HOOK.get_or_init(|| hook::add(exit));
        let (count, pid, open) = &mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let own = std::process::id();
        if std::mem::replace(pid, own) != own {
            // The recordings of the process that this one was forked from must not be ended here.
            open.drain(..).for_each(std::mem::forget);
        }
        *count += 1;
        open.push(Recording { number: *count, ring, trace, output, last });
        AtExit(*count)
    }
}

impl Drop for AtExit {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).2.retain(|recording| recording.number != self.0);
    }
}

/// Calls `report` if the process exits with an error, and prints what it returns to stderr; in place of what was given
/// before. Where the system does not say how a process exits nothing is printed: elsewhere than on Linux with glibc.
pub fn report_on_failure(report: impl FnOnce() -> Option<String> + Send + 'static) {
    HOOK.get_or_init(|| hook::add(exit));
    *REPORT.lock().unwrap_or_else(PoisonError::into_inner) = (std::process::id(), Some(Box::new(report)));
}

/// Forgets what was given to [`report_on_failure`]: the program goes on.
pub fn forget_report() {
    REPORT.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
}

fn exit(has_failed: bool) {
    end();
    let Some((pid, report)) = lock(&REPORT).map(|mut all| (all.0, all.1.take())) else { return };
    let report = report.filter(|_| has_failed && pid == std::process::id());
    // A panic here would end the process in another way.
    let text = report.and_then(|report| std::panic::catch_unwind(AssertUnwindSafe(report)).ok().flatten());
    if let Some(text) = text {
        // There is nothing to do about an error.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// In a child of `fork` a lock may be held for ever by a thread that does not exist there.
fn lock<T>(mutex: &'static Mutex<T>) -> Option<MutexGuard<'static, T>> {
    (0..TRIES).find_map(|_| mutex.try_lock().inspect_err(|_| std::thread::sleep(PAUSE)).ok())
}

fn end() {
    let Some(all) = lock(&OPEN) else { return };
    let (_, pid, open) = &*all;
    if *pid != std::process::id() {
        return;
    }
    let mut last: Vec<fn()> = open.iter().map(|recording| recording.last).collect();
    // The recordings of one library have the same.
    last.sort_unstable_by_key(|last| *last as usize);
    last.dedup_by_key(|last| *last as usize);
    last.into_iter().for_each(|last| last());
    for Recording { ring, trace, output, .. } in open {
        output.iter().for_each(output::AtExit::finish);
        ring.mark();
        if let Some(trace) = trace {
            trace.finish(TRACE_TIMEOUT);
        }
    }
}

/// A function that is called when the process exits, with its status.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code)]
mod hook {
    use std::ffi::{c_int, c_void};

    type Function = extern "C" fn(c_int, *mut c_void);

    unsafe extern "C" {
        safe fn on_exit(function: Function, argument: *mut c_void) -> c_int;
    }

    static CALLED: std::sync::OnceLock<fn(bool)> = std::sync::OnceLock::new();

    extern "C" fn call(status: c_int, _argument: *mut c_void) {
        if let Some(called) = CALLED.get() {
            called(status != 0);
        }
    }

    /// Calls `called` at the exit, with whether it is one with an error.
    pub fn add(called: fn(bool)) {
        let _ = CALLED.set(called);
        on_exit(call, std::ptr::null_mut());
    }
}

/// A function that is called when the process exits; how it does is not known here.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod hook {
    static CALLED: std::sync::OnceLock<fn(bool)> = std::sync::OnceLock::new();

    extern "C" fn call() {
        if let Some(called) = CALLED.get() {
            called(false);
        }
    }

    pub fn add(called: fn(bool)) {
        let _ = CALLED.set(called);
        shutdown_hooks::add_shutdown_hook(call);
    }
}
