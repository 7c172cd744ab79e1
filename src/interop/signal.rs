//! Ctrl-C.

use std::sync::{LazyLock, Mutex, Once, PoisonError};

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::event_loop::{Handle, Loop};
use crate::threading::PerProcess;

/// The loops to be cancelled at Ctrl-C.
static LOOPS: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

impl Loop {
    /// Cancels everything on the loop at the first Ctrl-C (SIGINT): its `run` then gives a [`Crash`](crate::Crash)
    /// whose error is [`Interrupted`](crate::Interrupted). A loop that a coroutine runs inside its step is cancelled
    /// with it. A second Ctrl-C during the same run, and one while no such loop runs, do what they do without tinyio:
    /// the process ends at once. Needs the feature `signal`.
    ///
    /// ```no_run
    /// let crash = tinyio::Loop::new().cancel_on_ctrl_c().run(tinyio::sleep(std::time::Duration::from_secs(60)));
    /// if crash.is_err_and(|crash| crash.downcast_ref::<tinyio::Interrupted>().is_some()) {
    ///     println!("stopped by Ctrl-C");
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If the system does not let the process watch for the signal.
    #[must_use]
    pub fn cancel_on_ctrl_c(self) -> Loop {
        static WATCH: LazyLock<PerProcess<Once>> = LazyLock::new(|| PerProcess::new(Once::new));
        WATCH.here().call_once(|| {
            let signals =
                Signals::new([SIGINT]).unwrap_or_else(|error| panic!("tinyio: cannot watch for Ctrl-C: {error}"));
            let thread = std::thread::Builder::new().name("tinyio signals".to_owned());
            thread.spawn(|| watch(signals)).unwrap_or_else(|error| panic!("tinyio: cannot watch for Ctrl-C: {error}"));
        });
        let mut loops = LOOPS.lock().unwrap_or_else(PoisonError::into_inner);
        loops.retain(Handle::is_open);
        loops.push(self.handle());
        drop(loops);
        self
    }
}

fn watch(mut signals: Signals) {
    for signal in signals.forever() {
        let mut loops = LOOPS.lock().unwrap_or_else(PoisonError::into_inner);
        loops.retain(Handle::is_open);
        let running: Vec<Handle> = loops.iter().filter(|looped| looped.is_running()).cloned().collect();
        drop(loops);
        let again = running.iter().filter(|looped| looped.interrupt()).count() > 0;
        if again || running.is_empty() {
            // The default action of the signal: the process ends.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    }
}
