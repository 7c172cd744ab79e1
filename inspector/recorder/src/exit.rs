//! Ends recordings that are active when the process exits: `std::process::exit` in a coroutine or on another thread,
//! `main` that returns while loops run on other threads. Destructors do not run then.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::{output, recorder, trace};

/// How long an exit waits for the trace to be written: a disk may hang.
const TRACE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the lock is tried, and how long to wait in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);

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
        HOOK.get_or_init(|| _ = shutdown_hooks::add_shutdown_hook(exit));
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

extern "C" fn exit() {
    // In a child of `fork` the lock may be held for ever by a thread that does not exist there.
    let found = (0..TRIES).find_map(|_| OPEN.try_lock().inspect_err(|_| std::thread::sleep(PAUSE)).ok());
    let Some(all) = found else { return };
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
