//! Threads of tinyio beside those of the recorded program.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Bytes of stack of a thread that does little: a program may count its memory.
pub const SMALL: usize = 64 << 10;

/// Starts a thread with so many bytes of stack that no signal is ever handled on: the program's handlers expect its own
/// threads, and may need more stack.
///
/// # Errors
///
/// When the system gives no thread.
///
/// # Examples
///
/// ```
/// use tinyio_events::threads;
///
/// let thread = threads::spawn("adder", threads::SMALL, || 1 + 1)?;
/// assert_eq!(thread.join().unwrap(), 2);
/// # Ok::<_, std::io::Error>(())
/// ```
pub fn spawn<T: Send + 'static>(
    name: &str,
    stack: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let _blocked = Blocked::all();
    Builder::new().name(name.to_owned()).stack_size(stack).spawn(work)
}

/// Signals are blocked on this thread, and on those it starts, until this is dropped.
#[cfg(target_os = "linux")]
struct Blocked(Option<nix::sys::signal::SigSet>);

#[cfg(target_os = "linux")]
impl Blocked {
    fn all() -> Blocked {
        use nix::sys::signal::{SigSet, SigmaskHow, Signal};
        let mut signals = SigSet::all();
        // A fault with a blocked signal ends the process; this signal has a handler of ours, for a truncated file.
        signals.remove(Signal::SIGBUS);
        Blocked(signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

#[cfg(target_os = "linux")]
impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some(before) = self.0 {
            // It cannot fail: the set is one that the system gave.
            let _ = before.thread_set_mask();
        }
    }
}

#[cfg(not(target_os = "linux"))]
struct Blocked;

#[cfg(not(target_os = "linux"))]
impl Blocked {
    fn all() -> Blocked {
        Blocked
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use nix::sys::signal::{SigSet, Signal};

    #[test]
    fn no_signal_is_handled_there_and_here_all_is_as_before() {
        let blocked = |signal| SigSet::thread_get_mask().unwrap().contains(signal);
        let before = blocked(Signal::SIGTERM);
        let there =
            super::spawn("test", super::SMALL, move || assert!(blocked(Signal::SIGTERM) && blocked(Signal::SIGALRM)));
        there.unwrap().join().unwrap();
        assert_eq!(blocked(Signal::SIGTERM), before);
        assert!(!before);
    }
}
