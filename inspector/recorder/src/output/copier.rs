//! The program's side of a copier: puts it in between, and takes the lines that it reports.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, OutputModes};

use super::pass_on::{CHUNK, PROGRAM, READY, SETTLED, monotonic};
use super::{Line, Lines, is_same, lock};
use tinyio_events::threads;

/// How long a reader of the program's output that does not read can delay the end of a loop or of the process. What is
/// still on its way then is passed on later all the same.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long the copier may take to start.
const START: Duration = Duration::from_secs(10);

/// A copier between this process and one of its outputs; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Copier(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// To the copier, and back.
    link: UnixStream,
    replaced: Mutex<Replaced>,
    state: Mutex<State>,
    changed: Condvar,
}

/// What this process's stdout and stderr were, and what they are.
#[derive(Debug)]
struct Replaced {
    original: Option<File>,
    /// The pipe or terminal that leads to the copier.
    by: std::fs::Metadata,
    stdout: bool,
    stderr: bool,
}

#[derive(Debug, Default)]
struct State {
    lines: Lines,
    /// How often the copier was asked to settle, and has answered.
    asked: u64,
    settled: u64,
    has_ended: bool,
}

impl Copier {
    /// Puts a copier between `original` and this process's stdout, stderr or both, which all go there.
    ///
    /// # Errors
    ///
    /// When it cannot be started; then nothing has changed.
    pub(super) fn start(
        original: File,
        stdout: bool,
        stderr: bool,
        wake: impl Fn() + Send + 'static,
    ) -> io::Result<Copier> {
        let (source, own) = if rustix::termios::isatty(&original) { terminal_like(&original)? } else { pipe()? };
        let link = start_process(source, &original)?;
        let by = own.metadata()?;
        let replaced = Replaced { original: Some(original), by, stdout, stderr };
        let (replaced, state) = (Mutex::new(replaced), Mutex::default());
        let shared = Arc::new(Shared { link, replaced, state, changed: Condvar::new() });
        let there = shared.clone();
        threads::spawn("tinyio output", threads::SMALL, move || there.follow(&wake))?;
        if stdout {
            rustix::stdio::dup2_stdout(&own)?;
        }
        if stderr {
            rustix::stdio::dup2_stderr(&own)?;
        }
        Ok(Copier(shared))
    }

    /// The lines that have arrived.
    pub(super) fn take(&self) -> Vec<Line> {
        self.0.state().lines.take()
    }

    /// The same at the end.
    pub(super) fn rest(&self) -> Vec<Line> {
        self.0.state().lines.rest()
    }

    /// Waits until all that was printed has been passed on and its lines have arrived, or for [`TIMEOUT`]. Returns at
    /// once if the copier has not answered the last time.
    pub(super) fn settle(&self) {
        let end = Instant::now() + TIMEOUT;
        let mut state = self.0.state();
        if state.settled < state.asked {
            return;
        }
        state.asked += 1;
        if (&self.0.link).write_all(&[SETTLED]).is_err() {
            state.has_ended = true;
        }
        while state.settled < state.asked && !state.has_ended {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(|broken| broken.into_inner()).0;
        }
    }

    /// Gives stdout and stderr back, after all that was printed, and ends the thread. The copier lives on while
    /// processes that were started meanwhile print to it.
    pub(super) fn finish(&self) {
        self.settle();
        self.0.give_back();
        // Again, for what other threads have printed until then.
        self.settle();
        let _ = self.0.link.shutdown(std::net::Shutdown::Both);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes what the copier reports until it ends, or is ended.
    fn follow(&self, wake: &dyn Fn()) {
        while let Ok(wakes) = self.receive() {
            if wakes {
                wake();
            }
        }
        // Its end does not end the output: what is printed from now on goes where it went before, or fails as it would
        // have failed there.
        self.give_back();
        self.state().has_ended = true;
        self.changed.notify_all();
    }

    /// Takes one message. Returns whether there are lines after there were none.
    fn receive(&self) -> io::Result<bool> {
        let mut link = &self.link;
        let mut word = [0; 8];
        link.read_exact(&mut word[..1])?;
        if word[0] == SETTLED {
            self.state().settled += 1;
            self.changed.notify_all();
            return Ok(false);
        }
        let mut number = || link.read_exact(&mut word).map(|()| u64::from_le_bytes(word));
        let (left_out, printed, length) = (number()?, number()?, number()?);
        let length = usize::try_from(length).ok().filter(|length| *length <= CHUNK).ok_or(ErrorKind::InvalidData)?;
        let mut bytes = vec![0; length];
        link.read_exact(&mut bytes)?;
        let now = Instant::now();
        let age = Duration::from_nanos(monotonic().saturating_sub(printed));
        let lines = &mut self.state().lines;
        let had_lines = !lines.whole.is_empty();
        if left_out > 0 {
            lines.leave_out(left_out);
        }
        lines.add(&bytes, now.checked_sub(age).unwrap_or(now));
        Ok(!had_lines && !lines.whole.is_empty())
    }

    fn give_back(&self) {
        let mut replaced = lock(&self.replaced);
        let Some(original) = replaced.original.take() else { return };
        // The program may have redirected them itself meanwhile.
        let is_still = |fd: io::Result<OwnedFd>| {
            fd.map(File::from).and_then(|file| file.metadata()).is_ok_and(|meta| is_same(&meta, &replaced.by))
        };
        if replaced.stdout && is_still(rustix::stdio::stdout().try_clone_to_owned()) {
            let _ = rustix::stdio::dup2_stdout(&original);
        }
        if replaced.stderr && is_still(rustix::stdio::stderr().try_clone_to_owned()) {
            let _ = rustix::stdio::dup2_stderr(&original);
        }
    }
}

/// A pipe: the end that the copier reads, and the one to print to.
fn pipe() -> io::Result<(OwnedFd, File)> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((read, write.into()))
}

/// A pseudo-terminal with the modes and the size of another one: the side that the copier reads, and the one to print
/// to.
fn terminal_like(original: &File) -> io::Result<(OwnedFd, File)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let controller = rustix::pty::openpt(flags)?;
    rustix::pty::unlockpt(&controller)?;
    let terminal = rustix::pty::ioctl_tiocgptpeer(&controller, flags)?;
    let mut modes = rustix::termios::tcgetattr(original)?;
    // Ends of lines are changed by the terminal that it is passed on to, not by both.
    modes.output_modes.remove(OutputModes::OPOST);
    rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &modes)?;
    rustix::termios::tcsetwinsize(&controller, rustix::termios::tcgetwinsize(original)?)?;
    Ok((controller, terminal.into()))
}

/// Starts the process that copies, and returns the way to it.
///
/// It is another program, and no child: it lives until the last process that prints there has ended, and a process that
/// waits for its children does not see it.
fn start_process(source: OwnedFd, original: impl AsFd) -> io::Result<UnixStream> {
    let failed = |error: io::Error| {
        let what = match error.kind() {
            ErrorKind::NotFound => "it is not in PATH".to_owned(),
            ErrorKind::UnexpectedEof => "it is not of this version".to_owned(),
            _ => error.to_string(),
        };
        io::Error::new(error.kind(), format!("`{PROGRAM}`, which would copy it, cannot be started: {what}"))
    };
    let (link, there) = UnixStream::pair()?;
    let mut command = Command::new(PROGRAM);
    command.args(["pass-on", &std::process::id().to_string()]);
    command.stdin(source).stdout(original.as_fd().try_clone_to_owned()?).stderr(Stdio::from(OwnedFd::from(there)));
    let mut child = command.spawn().map_err(failed)?;
    // It holds the other end of the link, and what the copier reads.
    drop(command);
    // A program that ignores SIGCHLD gets no status. What counts is what it reports.
    let _ = child.wait();
    let mut ready = [0];
    link.set_read_timeout(Some(START))?;
    (&link).read_exact(&mut ready).map_err(failed)?;
    if ready != [READY] {
        return Err(failed(ErrorKind::UnexpectedEof.into()));
    }
    link.set_read_timeout(None)?;
    Ok(link)
}
