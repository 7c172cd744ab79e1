//! Lines that a program prints, read while it runs.
//!
//! A regular file is only read: what the program prints reaches it unchanged, and at no later time. A terminal or a
//! pipe cannot be followed like that: there a copier, `pass_on`, stands between the program and its output.

#[cfg(target_os = "linux")]
mod copier;
#[cfg(target_os = "linux")]
pub mod pass_on;

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tinyio_events::threads;

/// Bytes read at once. Of what was written since the last look only the end is read, if it is more.
const CHUNK: usize = 64 << 10;
/// Bytes read in a second, on average.
const RATE: u32 = 256 << 10;
/// Between two looks, at least.
const PAUSE: Duration = Duration::from_millis(2);
/// Bytes of text kept until it is taken; beyond, the oldest lines are left out.
const KEPT: usize = 1 << 20;
/// A line is cut after so many bytes.
const LINE: usize = 16 << 10;

/// A line that was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was seen in the file, some milliseconds after it was printed, or by the copier.
    pub printed: Instant,
    /// The text without the end of the line, as a terminal shows it: what a carriage return went back over is gone.
    pub text: String,
    /// Bytes right before it that were left out.
    pub left_out: u64,
}

impl Line {
    /// A line printed now.
    pub fn now(text: impl Into<String>) -> Line {
        Line { printed: Instant::now(), text: text.into(), left_out: 0 }
    }

    /// How long before `now` it was printed, in nanoseconds. One `now` for all lines that are taken together keeps
    /// their order.
    pub fn age(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.printed).as_nanos() as u64
    }
}

/// Follows what is printed, on a thread of its own, which ends when this is dropped.
///
/// At most 256 KiB are read in a second, and at most 1 MiB is kept; of more the oldest is left out, and counted.
///
/// # Examples
///
/// ```
/// use std::io::Write;
///
/// let mut file = tempfile::NamedTempFile::new()?;
/// let follow = tinyio_recorder::output::Follow::start(file.reopen()?, 0, || ())?;
/// file.write_all(b"one\ntwo")?;
/// let texts = |lines: Vec<tinyio_recorder::output::Line>| {
///     lines.into_iter().map(|line| line.text).collect::<Vec<_>>()
/// };
/// assert_eq!(texts(follow.take()), ["one"]);
/// assert_eq!(texts(follow.rest()), ["two"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Follow {
    printed_to: PrintedTo,
    /// In a child of `fork` there is no thread, and the lock may be held for ever.
    pid: u32,
}

#[derive(Debug)]
enum PrintedTo {
    File(Arc<Shared>),
    #[cfg(target_os = "linux")]
    Copier(copier::Copier),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    watch: Watch,
    done: AtomicBool,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Bytes of the file that were read or left out.
    read: u64,
    lines: Lines,
}

/// Printed bytes, cut into lines that wait to be taken.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
    whole: VecDeque<Line>,
    /// Bytes of text in `whole`.
    kept: usize,
    /// Bytes left out since the last line.
    left_out: u64,
}

impl Follow {
    /// Follows `file` from byte `from` on. `wake` is called on the thread when there are lines to take after there
    /// were none.
    ///
    /// # Errors
    ///
    /// When the file cannot be watched, or the thread cannot be started.
    pub fn start(file: File, from: u64, wake: impl Fn() + Send + 'static) -> io::Result<Follow> {
        let watch = Watch::of(&file)?;
        let state = State { file, read: from, lines: Lines::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), watch, done: AtomicBool::new(false) });
        let there = shared.clone();
        threads::spawn("tinyio output", threads::SMALL, move || there.follow(&wake))?;
        Ok(Follow::of(PrintedTo::File(shared)))
    }

    fn of(printed_to: PrintedTo) -> Follow {
        Follow { printed_to, pid: std::process::id() }
    }

    /// The lines that were completed since the last call: of a file, to this very moment. None in a child of `fork`.
    pub fn take(&self) -> Vec<Line> {
        match &self.printed_to {
            _ if !self.is_ours() => Vec::new(),
            PrintedTo::File(shared) => shared.state().take(),
            #[cfg(target_os = "linux")]
            PrintedTo::Copier(copier) => copier.take(),
        }
    }

    /// The same to this very moment also of a copier, which may take a second if its reader is slow.
    pub fn take_all(&self) -> Vec<Line> {
        self.settle();
        self.take()
    }

    /// The same at the end: a line that was begun is one, too.
    pub fn rest(&self) -> Vec<Line> {
        self.settle();
        match &self.printed_to {
            _ if !self.is_ours() => Vec::new(),
            PrintedTo::File(shared) => {
                let mut state = shared.state();
                state.look();
                state.lines.rest()
            }
            #[cfg(target_os = "linux")]
            PrintedTo::Copier(copier) => copier.rest(),
        }
    }

    fn settle(&self) {
        #[cfg(target_os = "linux")]
        if let PrintedTo::Copier(copier) = &self.printed_to
            && self.is_ours()
        {
            copier.settle();
        }
    }

    /// For what is to be done when the process exits.
    pub fn at_exit(&self) -> AtExit {
        AtExit {
            #[cfg(target_os = "linux")]
            copier: match &self.printed_to {
                PrintedTo::Copier(copier) => Some(copier.clone()),
                PrintedTo::File(_) => None,
            },
        }
    }

    fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        match &self.printed_to {
            _ if !self.is_ours() => {}
            PrintedTo::File(shared) => {
                shared.done.store(true, Ordering::Release);
                shared.watch.stop();
            }
            #[cfg(target_os = "linux")]
            PrintedTo::Copier(copier) => copier.finish(),
        }
    }
}

/// Ends a copier when the process exits. May be sent to another thread.
#[derive(Debug)]
pub struct AtExit {
    #[cfg(target_os = "linux")]
    copier: Option<copier::Copier>,
}

impl AtExit {
    /// Waits until what was printed has been passed on, a second at most if its reader is slow. What is printed
    /// afterwards goes straight to where it went before.
    pub fn finish(&self) {
        #[cfg(target_os = "linux")]
        if let Some(copier) = &self.copier {
            copier.finish();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn follow(&self, wake: &dyn Fn()) {
        while !self.done.load(Ordering::Acquire) {
            let mut state = self.state();
            let had_lines = !state.lines.whole.is_empty();
            let read = state.look();
            let wakes = !had_lines && !state.lines.whole.is_empty();
            drop(state);
            if wakes {
                wake();
            }
            match read {
                0 => self.watch.wait(),
                read => std::thread::sleep(PAUSE.max(Duration::from_secs(1) * read as u32 / RATE)),
            }
        }
    }
}

impl State {
    /// Reads what is new, and returns how many bytes that was.
    fn look(&mut self) -> usize {
        let written = self.file.metadata().map_or(self.read, |meta| meta.len());
        if written < self.read {
            // It was truncated.
            self.read = written;
            self.lines.partial.clear();
        }
        let skipped = (written - self.read).saturating_sub(CHUNK as u64);
        if skipped > 0 {
            self.lines.leave_out(skipped);
            self.read += skipped;
        }
        let mut bytes = vec![0; (written - self.read) as usize];
        let count = self.file.read_at(&mut bytes, self.read).unwrap_or(0);
        self.read += count as u64;
        self.lines.add(&bytes[..count], Instant::now());
        count
    }

    fn take(&mut self) -> Vec<Line> {
        self.look();
        self.lines.take()
    }
}

impl Lines {
    fn add(&mut self, bytes: &[u8], printed: Instant) {
        for byte in bytes {
            if *byte == b'\n' || self.partial.len() >= LINE {
                self.end_line(printed);
            }
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
        }
    }

    /// Counts bytes that are left out here, with the line that they are in.
    fn leave_out(&mut self, bytes: u64) {
        self.left_out += bytes + self.partial.len() as u64;
        self.partial.clear();
    }

    fn end_line(&mut self, printed: Instant) {
        let line = Line { printed, text: shown(&self.partial), left_out: std::mem::take(&mut self.left_out) };
        self.partial.clear();
        self.kept += line.text.len();
        self.whole.push_back(line);
        while self.kept > KEPT
            && let Some(oldest) = self.whole.pop_front()
        {
            self.kept -= oldest.text.len();
            let left_out = oldest.left_out + oldest.text.len() as u64 + 1;
            *self.whole.front_mut().map_or(&mut self.left_out, |next| &mut next.left_out) += left_out;
        }
    }

    fn take(&mut self) -> Vec<Line> {
        self.kept = 0;
        std::mem::take(&mut self.whole).into()
    }

    fn rest(&mut self) -> Vec<Line> {
        if !self.partial.is_empty() {
            self.end_line(Instant::now());
        }
        self.take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line as a terminal shows it.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}

/// Follows what this process prints, from here on: each file with its stream, 1 for stdout and 2 for stderr. If both go
/// to one file it is followed once, as stdout.
///
/// What goes to a regular file is followed. What goes to a terminal or a pipe is followed only if `copies`: a copier is
/// put in between then. Sockets and devices are never followed.
///
/// # Errors
///
/// When a file cannot be read or watched, or there is no copier.
pub fn of_this_process(copies: bool, wake: impl Fn() + Clone + Send + 'static) -> io::Result<Vec<(u8, Follow)>> {
    let mut files: Vec<(u8, File, Metadata)> = Vec::new();
    for (stream, fd) in [(1, rustix::stdio::stdout()), (2, rustix::stdio::stderr())] {
        // A closed one is followed as little as a device.
        let Ok(file) = fd.try_clone_to_owned().map(File::from) else { continue };
        let meta = file.metadata()?;
        files.push((stream, file, meta));
    }
    let is_one = matches!(&files[..], [(_, _, out), (_, _, err)] if is_same(out, err));
    let mut followed = Vec::new();
    for (stream, file, meta) in files.into_iter().take(if is_one { 1 } else { 2 }) {
        if meta.is_file() {
            followed.push((stream, Follow::start(File::open(path_of(&file))?, meta.len(), wake.clone())?));
        } else if copies && (meta.file_type().is_fifo() || rustix::termios::isatty(&file)) {
            followed.push((stream, copy(file, stream, is_one, wake.clone())?));
        }
    }
    Ok(followed)
}

#[cfg(target_os = "linux")]
fn copy(file: File, stream: u8, is_both: bool, wake: impl Fn() + Send + 'static) -> io::Result<Follow> {
    copier::Copier::start(file, stream == 1 || is_both, stream == 2 || is_both, wake)
        .map(|copier| Follow::of(PrintedTo::Copier(copier)))
}

#[cfg(not(target_os = "linux"))]
fn copy(_file: File, _stream: u8, _is_both: bool, _wake: impl Fn() + Send + 'static) -> io::Result<Follow> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "terminals and pipes are copied on Linux only"))
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A path that leads to this open file, deleted or not.
fn path_of(file: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// Waits until a file is written to.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Watch {
    events: rustix::fd::OwnedFd,
    /// The watch itself, to be removed.
    number: i32,
}

#[cfg(target_os = "linux")]
impl Watch {
    fn of(file: &File) -> io::Result<Watch> {
        use rustix::fs::inotify;
        let events = inotify::init(inotify::CreateFlags::CLOEXEC)?;
        let number = inotify::add_watch(&events, path_of(file), inotify::WatchFlags::MODIFY)?;
        Ok(Watch { events, number })
    }

    fn wait(&self) {
        // Some events at once, whatever they are.
        let mut events = [0; 4096];
        if rustix::io::read(&self.events, &mut events).is_err() {
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends [`Watch::wait`]: that a watch was removed is an event.
    fn stop(&self) {
        let _ = rustix::fs::inotify::remove_watch(&self.events, self.number);
    }
}

#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Watch;

#[cfg(not(target_os = "linux"))]
impl Watch {
    fn of(_file: &File) -> io::Result<Watch> {
        Ok(Watch)
    }

    fn wait(&self) {
        std::thread::sleep(Duration::from_millis(20));
    }

    fn stop(&self) {}
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;

    use super::*;

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    fn state(follow: &Follow) -> MutexGuard<'_, State> {
        match &follow.printed_to {
            PrintedTo::File(shared) => shared.state(),
            #[cfg(target_os = "linux")]
            PrintedTo::Copier(_) => unreachable!("it is a file"),
        }
    }

    fn followed() -> (Follow, File, mpsc::Receiver<()>) {
        let file = tempfile::tempfile().unwrap();
        let (send, woken) = mpsc::channel();
        let follow = Follow::start(file.try_clone().unwrap(), 0, move || _ = send.send(())).unwrap();
        (follow, file, woken)
    }

    #[test]
    fn lines_come_whole_and_progress_bars_as_they_end() {
        let (follow, mut file, _woken) = followed();
        file.write_all(b"one\ntwo").unwrap();
        assert_eq!(texts(follow.take()), ["one"]);
        file.write_all(b" and a half\n10%\r20%\r30%\r\nx\xff\nno end").unwrap();
        assert_eq!(texts(follow.take()), ["two and a half", "30%", "x\u{fffd}"]);
        assert_eq!(follow.take(), []);
        assert_eq!(texts(follow.rest()), ["no end"]);
        assert_eq!(follow.rest(), []);
    }

    #[test]
    fn lines_have_the_time_at_which_they_were_printed_whenever_they_are_taken() {
        let (follow, mut file, woken) = followed();
        file.write_all(b"one\n").unwrap();
        woken.recv().unwrap();
        let seen = Instant::now();
        file.write_all(b"two\n").unwrap();
        // A line that is there already wakes nothing: only the thread itself can have read the second.
        while state(&follow).lines.whole.len() < 2 {
            std::thread::yield_now();
        }
        let read = Instant::now();
        let lines = follow.take();
        assert!(lines[0].printed <= seen && seen <= lines[1].printed && lines[1].printed <= read, "{lines:?}");
    }

    #[test]
    fn more_than_can_be_kept_leaves_out_the_oldest_and_counts_them() {
        let (follow, mut file, _woken) = followed();
        let flood = [&[b'x'; 99][..], b"\n"].concat().repeat(100_000);
        file.write_all(&flood).unwrap();
        file.write_all(b"the end\n").unwrap();
        let lines = follow.take();
        let kept: usize = lines.iter().map(|line| line.text.len() + 1).sum();
        let left_out: u64 = lines.iter().map(|line| line.left_out).sum();
        assert_eq!(kept as u64 + left_out, flood.len() as u64 + 8);
        assert!(kept <= KEPT && lines.last().unwrap().text == "the end");
    }

    #[test]
    fn lines_that_are_not_taken_are_bounded() {
        let (follow, mut file, _woken) = followed();
        let mut state = state(&follow);
        for _ in 0..100 {
            file.write_all(&[&[b'x'; CHUNK - 1][..], b"\n"].concat()).unwrap();
            state.look();
        }
        assert!(state.lines.kept <= KEPT);
        drop(state);
        let lines = follow.take();
        let all: u64 = lines.iter().map(|line| line.left_out + line.text.len() as u64).sum();
        assert!(lines[0].left_out > 0 && all.abs_diff(100 * CHUNK as u64) < 1000, "{all}");
    }

    #[test]
    fn a_file_that_is_truncated_is_followed_from_its_new_end() {
        let (follow, file, _woken) = followed();
        file.write_all_at(b"one\ntwo\nthree\n", 0).unwrap();
        assert_eq!(follow.take().len(), 3);
        file.set_len(0).unwrap();
        assert_eq!(follow.take(), []);
        file.write_all_at(b"four\n", 0).unwrap();
        assert_eq!(texts(follow.take()), ["four"]);
    }
}
