//! Lines that a program prints into a regular file, read while it grows.
//!
//! The file is only read: what the program prints reaches it unchanged, and at no later time. A terminal or a pipe
//! cannot be followed like that.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::threads;

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
    /// When it was seen in the file, some milliseconds after it was printed.
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
}

/// Follows a file that grows, on a thread of its own, which ends when this is dropped.
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
    shared: Arc<Shared>,
    /// In a child of `fork` there is no thread, and the lock may be held for ever.
    pid: u32,
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
    partial: Vec<u8>,
    lines: VecDeque<Line>,
    /// Bytes of text in `lines`.
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
        let state = State { file, read: from, partial: Vec::new(), lines: VecDeque::new(), kept: 0, left_out: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), watch, done: AtomicBool::new(false) });
        let there = shared.clone();
        threads::spawn("tinyio output", threads::SMALL, move || there.follow(&wake))?;
        Ok(Follow { shared, pid: std::process::id() })
    }

    /// The lines that were completed since the last call, to this very moment. None in a child of `fork`.
    pub fn take(&self) -> Vec<Line> {
        self.take_with(|state| _ = state.look())
    }

    /// The same at the end: a line that was begun is one, too.
    pub fn rest(&self) -> Vec<Line> {
        self.take_with(|state| {
            state.look();
            if !state.partial.is_empty() {
                state.end_line(Instant::now());
            }
        })
    }

    fn take_with(&self, look: impl FnOnce(&mut State)) -> Vec<Line> {
        if !self.is_ours() {
            return Vec::new();
        }
        let mut state = self.shared.state();
        look(&mut state);
        state.kept = 0;
        std::mem::take(&mut state.lines).into()
    }

    fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        if self.is_ours() {
            self.shared.done.store(true, Ordering::Release);
            self.shared.watch.stop();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, wake: &dyn Fn()) {
        while !self.done.load(Ordering::Acquire) {
            let mut state = self.state();
            let had_lines = !state.lines.is_empty();
            let read = state.look();
            let wakes = !had_lines && !state.lines.is_empty();
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
            self.partial.clear();
        }
        let skipped = (written - self.read).saturating_sub(CHUNK as u64);
        if skipped > 0 {
            self.left_out += skipped + self.partial.len() as u64;
            self.read += skipped;
            self.partial.clear();
        }
        let mut bytes = vec![0; (written - self.read) as usize];
        let count = self.file.read_at(&mut bytes, self.read).unwrap_or(0);
        self.read += count as u64;
        let now = Instant::now();
        for byte in &bytes[..count] {
            if *byte == b'\n' || self.partial.len() >= LINE {
                self.end_line(now);
            }
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
        }
        count
    }

    fn end_line(&mut self, printed: Instant) {
        let line = Line { printed, text: shown(&self.partial), left_out: std::mem::take(&mut self.left_out) };
        self.partial.clear();
        self.kept += line.text.len();
        self.lines.push_back(line);
        while self.kept > KEPT
            && let Some(oldest) = self.lines.pop_front()
        {
            self.kept -= oldest.text.len();
            let left_out = oldest.left_out + oldest.text.len() as u64 + 1;
            *self.lines.front_mut().map_or(&mut self.left_out, |next| &mut next.left_out) += left_out;
        }
    }
}

/// A line as a terminal shows it.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}

/// Follows the regular files that this process prints to, from here on: each with its stream, 1 for stdout and 2 for
/// stderr. If both go to one file it is followed once, as stdout. What goes to a terminal, a pipe or a device is not
/// followed.
///
/// # Errors
///
/// When a file cannot be read or watched.
pub fn of_this_process(wake: impl Fn() + Clone + Send + 'static) -> io::Result<Vec<(u8, Follow)>> {
    let mut followed = Vec::new();
    let mut before = None;
    for (stream, fd) in [(1, rustix::stdio::stdout()), (2, rustix::stdio::stderr())] {
        // A closed one is followed as little as a terminal.
        let Ok(file) = fd.try_clone_to_owned().map(File::from) else { continue };
        let meta = file.metadata()?;
        let one = (meta.dev(), meta.ino());
        if meta.is_file() && before.replace(one) != Some(one) {
            followed.push((stream, Follow::start(File::open(path_of(&file))?, meta.len(), wake.clone())?));
        }
    }
    Ok(followed)
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
        while follow.shared.state().lines.len() < 2 {
            std::thread::yield_now();
        }
        let read = Instant::now();
        let lines = follow.take();
        assert!(lines[0].printed <= seen && seen <= lines[1].printed && lines[1].printed <= read, "{lines:?}");
    }

    #[test]
    fn more_than_can_be_kept_leaves_out_the_oldest_and_says_how_much() {
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
        let mut state = follow.shared.state();
        for _ in 0..100 {
            file.write_all(&[&[b'x'; CHUNK - 1][..], b"\n"].concat()).unwrap();
            state.look();
        }
        assert!(state.kept <= KEPT);
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
