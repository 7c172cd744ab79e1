//! Redirects the program's input and output while the screens use its terminal.
//!
//! Output to the terminal goes to a file instead, which the log screen reads and which is printed when the screens are
//! left. It is a file because no output is lost when the process is killed (the guard prints it then), no writer has to
//! wait for a reader, and stdout and stderr keep their order. Output that goes elsewhere (a pipe, a file) is not
//! redirected.
//!
//! Keys cannot be shared: of two readers of a terminal each gets some of them. So stdin, if it is the terminal, is
//! empty meanwhile, for this process and for those that it starts. A process that opens `/dev/tty` by itself still
//! takes keys away.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::environment;
use crate::model::Level;
use crate::output::{Follow, Line};

/// What the names of these files begin with; the number of the process follows.
const NAME: &str = "tinyio-output-";
/// Minimum age of a dead process's file before it is removed: its guard may still be printing it.
const KEPT: Duration = Duration::from_secs(60);

/// Removes the files of processes that were killed together with their guard.
fn clean() {
    let Ok(entries) = std::fs::read_dir(environment::temp_dir()) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').next()?.parse::<u32>().ok());
        let Some(pid) = pid else { continue };
        // Not a link's target: `DirEntry::metadata` follows none.
        let Ok(meta) = entry.metadata() else { continue };
        let is_old = meta.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age > KEPT));
        let is_ours = meta.is_file() && meta.uid() == rustix::process::geteuid().as_raw();
        if is_ours && is_old && crate::ring::born(pid).is_none() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A file that output goes to, read as it grows. Dropping it removes the file.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    /// Bytes that were copied to the terminal.
    copied: u64,
    follow: Follow,
    /// Lines for the log that are not in the file.
    notes: Vec<Line>,
}

impl Spool {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// When no file can be made.
    pub fn new() -> io::Result<Spool> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        clean();
        let name = format!("{NAME}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = environment::temp_dir().join(name);
        let failed = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: cannot keep the program's output here: {error}", path.display()))
        };
        let mut options = OpenOptions::new();
        options.create_new(true).read(true).append(true).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        // Held until the last process that prints to it has ended: see the guard.
        let _ = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockShared);
        let follow = file.try_clone().and_then(|file| Follow::start(file, 0, || ())).map_err(|error| {
            let _ = std::fs::remove_file(&path);
            failed(error)
        })?;
        Ok(Spool { path, file, copied: 0, follow, notes: Vec::new() })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a writer to the file. All writers together keep the order of what they write.
    pub fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Copies what was written since the last call to `out`, as it is.
    pub fn copy(&mut self, out: &mut dyn Write) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(self.copied))?;
        let mut out = out;
        let copied = io::copy(&mut self.file, &mut out)?;
        self.copied += copied;
        out.flush()?;
        Ok(copied)
    }

    /// Like [`Spool::copy`], and ends the last line if it has not ended.
    pub fn copy_line(&mut self, out: &mut dyn Write) -> io::Result<()> {
        // What is printed next begins a line of its own.
        let mut last = [b'\n'];
        if self.copy(out)? > 0 {
            self.file.read_exact_at(&mut last, self.copied - 1)?;
        }
        if last != [b'\n'] {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Writes to the log, and not to the file, that the program's stdin is empty: a program that reads it reads
    /// nothing.
    pub fn note_empty_stdin(&mut self) {
        self.notes.push(Line::now(NO_STDIN));
    }

    /// The lines written since the last call, with remarks about them.
    pub fn lines(&mut self) -> Vec<Line> {
        let mut lines = std::mem::take(&mut self.notes);
        for line in self.follow.take() {
            if line.left_out > 0 {
                let text = format!("… {} bytes are not shown here; they are printed on leaving …", line.left_out);
                lines.push(Line { printed: line.printed, text, left_out: 0 });
            }
            lines.push(line);
        }
        lines
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// This program's own input and output, redirected until [`Capture::finish`].
#[derive(Debug)]
pub struct Capture {
    /// Where it goes.
    pub spool: Spool,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// The line of the log that says why a program that reads from the terminal reads nothing.
const NO_STDIN: &str = "tinyio: stdin is empty meanwhile: all keys go to the view";

impl Capture {
    /// Begins.
    ///
    /// # Errors
    ///
    /// When no file can be made.
    pub fn start() -> io::Result<Capture> {
        let mut capture = Capture { spool: Spool::new()?, stdin: None, stdout: None, stderr: None };
        let file = capture.spool.writer()?;
        if rustix::termios::isatty(rustix::stdio::stdin()) {
            let nothing = File::open("/dev/null")?;
            capture.stdin = Some(rustix::stdio::stdin().try_clone_to_owned()?);
            rustix::stdio::dup2_stdin(nothing.as_fd())?;
            capture.spool.note_empty_stdin();
        }
        if rustix::termios::isatty(rustix::stdio::stdout()) {
            capture.stdout = Some(rustix::stdio::stdout().try_clone_to_owned()?);
            rustix::stdio::dup2_stdout(file.as_fd())?;
        }
        if rustix::termios::isatty(rustix::stdio::stderr()) {
            capture.stderr = Some(rustix::stdio::stderr().try_clone_to_owned()?);
            rustix::stdio::dup2_stderr(file.as_fd())?;
        }
        Ok(capture)
    }

    /// Gives output back to the terminal, and prints there what was captured.
    ///
    /// # Errors
    ///
    /// When it cannot be printed.
    pub fn finish(mut self) -> io::Result<()> {
        let mut out = match (&self.stdout, &self.stderr) {
            (Some(fd), _) | (None, Some(fd)) => File::from(fd.try_clone()?),
            (None, None) => return Ok(()),
        };
        // First the way out, so that what is written from now on comes after what was captured, or at worst among it.
        self.give_back();
        self.spool.copy_line(&mut out)
    }

    /// As what a recorder takes the lines of the spool; none if nothing is captured.
    pub fn level(&self) -> Option<Level> {
        let stderr = || self.stderr.as_ref().map(|_| Level::Stderr);
        self.stdout.as_ref().map(|_| Level::Stdout).or_else(stderr)
    }

    fn give_back(&mut self) {
        if let Some(stdin) = self.stdin.take() {
            let _ = rustix::stdio::dup2_stdin(stdin);
        }
        if let Some(stdout) = self.stdout.take() {
            let _ = rustix::stdio::dup2_stdout(stdout);
        }
        if let Some(stderr) = self.stderr.take() {
            let _ = rustix::stdio::dup2_stderr(stderr);
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_of_the_log_is_counted_there_and_printed() {
        let mut spool = Spool::new().unwrap();
        let flood = [&[b'x'; 9_999][..], b"\n"].concat().repeat(600);
        spool.writer().unwrap().write_all(&flood).unwrap();
        let lines = spool.lines();
        assert!(lines.iter().any(|line| line.text.contains("bytes are not shown")), "{}", lines[0].text);
        assert!(lines.len() < 200);
        let mut out = Vec::new();
        spool.copy(&mut out).unwrap();
        assert_eq!(out, flood);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_when_it_is_old() {
        let left = |pid: u32, age: u64| {
            let path = std::env::temp_dir().join(format!("{NAME}{pid}-left-{}", std::process::id()));
            let file = File::create(&path).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
            path
        };
        // Numbers that no process has, and ours.
        let (old, new, own) = (left(u32::MAX, 3600), left(u32::MAX - 1, 0), left(std::process::id(), 3600));
        drop(Spool::new().unwrap());
        assert!(!old.exists() && new.exists() && own.exists());
        std::fs::remove_file(new).unwrap();
        std::fs::remove_file(own).unwrap();
    }

    #[test]
    fn the_file_is_removed() {
        let spool = Spool::new().unwrap();
        let path = spool.path().to_owned();
        drop(spool);
        assert!(!path.exists());
    }
}
