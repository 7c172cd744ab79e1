//! Threads of the recorder in somebody else's program.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Bytes of stack: what the recorder's threads do needs little, and a program may count its memory.
const STACK: usize = 64 << 10;

/// Starts a thread that no signal is ever handled on: the program's handlers expect its own threads, and more stack than there is here.
///
/// # Errors
///
/// When the system gives no thread.
///
/// # Examples
///
/// ```
/// let thread = tinyio_inspector::threads::spawn("adder", || println!("{}", 1 + 1))?;
/// thread.join().unwrap();
/// # Ok::<_, std::io::Error>(())
/// ```
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let _blocked = Blocked::all();
    Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work)
}

/// Signals are blocked on this thread, and on those it starts, until this is dropped.
#[cfg(target_os = "linux")]
struct Blocked(Option<nix::sys::signal::SigSet>);

#[cfg(target_os = "linux")]
impl Blocked {
    fn all() -> Blocked {
        use nix::sys::signal::{SigSet, SigmaskHow};
        Blocked(SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
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
        let there = super::spawn("test", move || assert!(blocked(Signal::SIGTERM) && blocked(Signal::SIGALRM)));
        there.unwrap().join().unwrap();
        assert_eq!(blocked(Signal::SIGTERM), before);
        assert!(!before);
    }
}
