//! The copier: a process that passes on what a program prints, and reports it to the recording.
//!
//! It reads a pipe or a pseudo-terminal until the last process that prints there has closed it, so what was written is
//! passed on however the program ends. It writes each piece before it reads the next one, so a slow reader slows the
//! program down as it would without it, and a reader that closes the output closes it for the program.
//!
//! It reports pieces to the recording only as fast as that reads them. Of more than 256 KiB in a second the oldest is
//! left out, and counted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal};
use rustix::termios::{tcgetwinsize, tcsetwinsize};
use rustix::time::{ClockId, clock_gettime};

use super::RATE;

/// The program that has the copier as its command `pass-on`.
pub(super) const PROGRAM: &str = "tinyio-inspector";
/// The copier's first word.
pub(super) const READY: u8 = b'r';
/// A question, and the answer to it: all that was printed before it has been passed on and reported.
pub(super) const SETTLED: u8 = b's';
/// Comes before a report: bytes left out before it, time, length (words of eight bytes), and the bytes.
const PRINTED: u8 = b'p';
/// Bytes read at once.
pub(super) const CHUNK: usize = 8 << 10;
/// Bytes of reports that wait.
const HELD: usize = 64 << 10;
/// How often the size of the terminal is compared.
const RESIZE: Duration = Duration::from_millis(250);
/// How soon a report that had to wait is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// Nanoseconds on a clock that all processes of the machine share.
pub(super) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Copies stdin to stdout until it ends. `stderr` is the link to the recording in process `pid`, which receives
/// `SIGWINCH` after the size of its terminal has been changed.
///
/// # Errors
///
/// When stdin cannot be read, or stdout cannot be written.
pub fn pass_on(pid: u32) -> io::Result<()> {
    // Neither Ctrl-C nor the end of the session ends it before the programs that print.
    nix::sys::signal::SigSet::all().thread_block()?;
    let source = File::from(rustix::stdio::stdin().try_clone_to_owned()?);
    rustix::io::ioctl_fionbio(&source, true)?;
    let link = UnixStream::from(rustix::stdio::stderr().try_clone_to_owned()?);
    link.set_nonblocking(true)?;
    (&link).write_all(&[READY])?;
    let is_terminal = rustix::termios::isatty(&source) && rustix::termios::isatty(rustix::stdio::stdout());
    let target = Target::of_stdout(is_terminal.then_some(pid))?;
    let mut copy = Copy { source, target, reports: Reports::to(link), out: Vec::new(), written: 0 };
    while copy.turn()? {}
    Ok(())
}

struct Copy {
    source: File,
    target: Target,
    reports: Reports,
    /// What was read, and how much of it is written.
    out: Vec<u8>,
    written: usize,
}

impl Copy {
    /// Waits, and does what can be done. Returns whether it goes on.
    fn turn(&mut self) -> io::Result<bool> {
        let is_blocked = self.written < self.out.len();
        // A source that is not to be read is left out: its end would be reported again and again.
        let target = if is_blocked { PollFlags::OUT } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(&self.target.file, target)];
        if !is_blocked {
            fds.push(PollFd::new(&self.source, PollFlags::IN));
        }
        let link = self.reports.link.as_ref().map(|link| PollFd::new(link, self.reports.waits_for()));
        fds.extend(link);
        let limit = match self.target.resizes {
            // The answer needs one more look at the source.
            _ if self.reports.is_asked() && !is_blocked => Some(Duration::ZERO),
            _ if self.reports.is_waiting() => Some(AGAIN),
            Some(_) => Some(RESIZE),
            None => None,
        };
        let limit = limit.map(|limit| Timespec { tv_sec: 0, tv_nsec: limit.as_nanos() as i64 });
        poll(&mut fds, limit.as_ref()).or_else(|error| match error {
            rustix::io::Errno::INTR => Ok(0),
            error => Err(error),
        })?;
        if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
            // There is no reader any more: the program sees that when this process ends.
            return Ok(false);
        }
        drop(fds);
        if self.reports.link.is_some() {
            self.target.resize(&self.source);
        }
        self.reports.read_questions();
        let mut is_empty = false;
        let ends = self.pump(&mut is_empty)?;
        self.reports.send(is_empty || ends);
        Ok(!ends)
    }

    /// Reads and writes one piece. Returns whether the source has ended, and notes whether there was nothing to read.
    fn pump(&mut self, is_empty: &mut bool) -> io::Result<bool> {
        if self.written == self.out.len() {
            self.out.resize(CHUNK, 0);
            let read = self.source.read(&mut self.out);
            self.out.truncate(*read.as_ref().unwrap_or(&0));
            self.written = 0;
            match read {
                Ok(0) => return Ok(true),
                Ok(_) => self.reports.add(&self.out),
                Err(error) if error.kind() == ErrorKind::WouldBlock => *is_empty = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Of a terminal that no process has open any more.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        while self.written < self.out.len() {
            match self.target.file.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// Where it is passed on to.
struct Target {
    file: File,
    /// The process that is notified of a new size, if both sides are terminals.
    resizes: Option<u32>,
}

impl Target {
    fn of_stdout(resizes: Option<u32>) -> io::Result<Target> {
        // Opened anew, so that not to block is a property of this process alone: the original may be shared. Where that
        // is not allowed, writing may block: the recording then waits for a slow reader, too.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
        let anew = File::options().write(true).custom_flags(flags).open("/proc/self/fd/1");
        let file = anew.or_else(|_| rustix::stdio::stdout().try_clone_to_owned().map(File::from))?;
        Ok(Target { file, resizes })
    }

    /// Gives the program's terminal the size of this one.
    fn resize(&self, source: &File) {
        let Some(pid) = self.resizes else { return };
        let (Ok(size), Ok(before)) = (tcgetwinsize(&self.file), tcgetwinsize(source)) else { return };
        if size == before || tcsetwinsize(source, size).is_err() {
            return;
        }
        // The system's own signal may have come before the size was known here.
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::WINCH);
        }
    }
}

/// What is reported to the recording.
struct Reports {
    /// `None` when there is no recording any more.
    link: Option<UnixStream>,
    /// Pieces that wait, each with its time.
    held: VecDeque<(u64, Vec<u8>)>,
    held_bytes: usize,
    /// Bytes left out before the first piece.
    left_out: u64,
    /// Bytes on their way.
    pending: Vec<u8>,
    /// Questions that are not answered.
    questions: usize,
    /// Bytes that may be sent now, and since when.
    budget: u64,
    since: u64,
}

impl Reports {
    fn to(link: UnixStream) -> Reports {
        Reports {
            link: Some(link),
            held: VecDeque::new(),
            held_bytes: 0,
            left_out: 0,
            pending: Vec::new(),
            questions: 0,
            budget: HELD as u64,
            since: monotonic(),
        }
    }

    fn waits_for(&self) -> PollFlags {
        if self.pending.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }

    /// Whether something is to be sent that could not be sent yet.
    fn is_waiting(&self) -> bool {
        self.link.is_some() && !self.held.is_empty()
    }

    /// Whether there is a question that could be answered now.
    fn is_asked(&self) -> bool {
        self.link.is_some() && self.questions > 0 && self.pending.is_empty()
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.link.is_none() {
            return;
        }
        self.held.push_back((monotonic(), bytes.to_vec()));
        self.held_bytes += bytes.len();
        while self.held_bytes > HELD
            && let Some((_, oldest)) = self.held.pop_front()
        {
            self.held_bytes -= oldest.len();
            self.left_out += oldest.len() as u64;
        }
    }

    fn read_questions(&mut self) {
        let mut bytes = [0; 64];
        while let Some(mut link) = self.link.as_ref() {
            match link.read(&mut bytes) {
                Ok(count @ 1..) => self.questions += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => self.link = None,
            }
        }
    }

    /// Sends what can be sent. `is_settled`: all that was printed before the questions is among it.
    fn send(&mut self, is_settled: bool) {
        let now = monotonic();
        let earned = (now - self.since).saturating_mul(u64::from(RATE)) / 1_000_000_000;
        if earned > 0 {
            self.budget = (self.budget + earned).min(HELD as u64);
            self.since = now;
        }
        let is_asked = is_settled && self.questions > 0;
        while self.flush() {
            match self.held.front() {
                Some((_, bytes)) if is_asked || bytes.len() as u64 <= self.budget => self.report(),
                None if is_asked => {
                    self.pending.resize(std::mem::take(&mut self.questions), SETTLED);
                    self.flush();
                    return;
                }
                _ => return,
            }
        }
    }

    fn report(&mut self) {
        let Some((at, bytes)) = self.held.pop_front() else { return };
        self.held_bytes -= bytes.len();
        self.budget = self.budget.saturating_sub(bytes.len() as u64);
        self.pending.push(PRINTED);
        for word in [std::mem::take(&mut self.left_out), at, bytes.len() as u64] {
            self.pending.extend(word.to_le_bytes());
        }
        self.pending.extend(bytes);
    }

    /// Sends what is pending. Returns whether there is a link and nothing is pending any more.
    fn flush(&mut self) -> bool {
        let Some(mut link) = self.link.as_ref() else { return false };
        while !self.pending.is_empty() {
            match link.write(&self.pending) {
                Ok(count) => _ = self.pending.drain(..count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.link = None;
                    return false;
                }
            }
        }
        true
    }
}
