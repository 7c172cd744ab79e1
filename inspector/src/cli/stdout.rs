//! Standard output, for the commands that print something.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard output was closed when the program started, as with `>&-` in a shell.
static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

ctor::declarative::ctor! {
    // Before `main`, since `std` opens /dev/null in place of a closed stdout before it calls `main`. Afterwards that
    // cannot be distinguished from a /dev/null that the caller passes on purpose.
    //
    // SAFETY: nothing of `std` is used that needs a set-up: one system call, and an atomic.
    #[ctor(unsafe)]
    fn note_closed_stdout() {
        let is_closed = rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err();
        WAS_CLOSED.store(is_closed, Ordering::Relaxed);
    }
}

/// An error if standard output was closed when the program started.
pub fn check() -> io::Result<()> {
    match WAS_CLOSED.load(Ordering::Relaxed) {
        true => Err(io::Error::other("standard output is closed; to discard what is printed, use >/dev/null")),
        false => Ok(()),
    }
}

/// Standard output with a buffer. The caller flushes it: dropping it loses the error.
pub fn open() -> io::Result<BufWriter<StdoutLock<'static>>> {
    check()?;
    Ok(BufWriter::new(io::stdout().lock()))
}

/// Prints a text to its last byte.
pub fn print(text: &[u8]) -> io::Result<()> {
    let mut out = open()?;
    out.write_all(text)?;
    out.flush()
}
