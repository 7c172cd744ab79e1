//! The program's input and output while the screens have its terminal.
//!
//! What would go to the terminal goes to a file, which the log screen reads and which is printed when the screens are left. A file,
//! because nothing is lost in one when the process is killed (the guard prints it then), nobody waits for a reader, and stdout and
//! stderr keep their order. What goes elsewhere (a pipe, a file) is left alone.
//!
//! Keys cannot be shared: of two readers of a terminal each gets some of them. So stdin, if it is the terminal, is
//! empty meanwhile, for this process and for those that it starts. A process that opens `/dev/tty` by itself still
//! takes keys away.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::environment;

/// Bytes read for the log at once.
const CHUNK: usize = 256 << 10;
/// So far behind, the log skips: nobody could read it, and leaving prints it all.
const BEHIND: u64 = 4 << 20;
/// A line is cut for the log after so many bytes.
const LINE: usize = 16 << 10;

/// What the names of these files begin with; the number of the process follows.
const NAME: &str = "tinyio-output-";
/// So old has to be what a dead process left before it is removed: the guard may be printing it.
const KEPT: Duration = Duration::from_secs(60);

/// Removes what processes left that were killed together with their guard.
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
    read: u64,
    partial: Vec<u8>,
    /// Lines for the log that are not in the file.
    notes: Vec<String>,
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
        Ok(Spool { path, file, read: 0, partial: Vec::new(), notes: Vec::new() })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Something to write to: what is written by whomever keeps its order.
    pub fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Copies what was written since the last call, or [`Spool::lines`], to `out`, as it is.
    pub fn copy(&mut self, out: &mut dyn Write) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(self.read))?;
        let mut out = out;
        let copied = io::copy(&mut self.file, &mut out)?;
        self.read += copied;
        out.flush()?;
        Ok(copied)
    }

    /// Copies all of it from that byte on to `out`, and ends the last line if that was not ended.
    pub fn copy_from(&mut self, from: u64, out: &mut dyn Write) -> io::Result<()> {
        self.read = from;
        // What is printed next begins a line of its own.
        let mut last = [b'\n'];
        if self.copy(out)? > 0 {
            self.file.seek(SeekFrom::End(-1))?;
            self.file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Begins to read it from the beginning again. Returns how much had been read.
    pub fn rewind(&mut self) -> u64 {
        std::mem::take(&mut self.read)
    }

    /// Says in the log, and not in the file, that the program's stdin is empty: a program that reads it reads nothing.
    pub fn note_empty_stdin(&mut self) {
        self.notes.push(NO_STDIN.to_owned());
    }

    /// The lines written since the last call, at most some hundred kilobytes of them.
    pub fn lines(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.notes);
        let written = self.file.metadata().map_or(0, |meta| meta.len());
        if written.saturating_sub(self.read) > BEHIND {
            let skipped = written - self.read - CHUNK as u64;
            self.read += skipped;
            self.partial.clear();
            lines.push(format!("… {skipped} bytes are not shown here; they are printed on leaving …"));
        }
        if written <= self.read || self.file.seek(SeekFrom::Start(self.read)).is_err() {
            return lines;
        }
        let mut bytes = vec![0; CHUNK.min((written - self.read) as usize)];
        let Ok(count) = self.file.read(&mut bytes) else { return lines };
        self.read += count as u64;
        for byte in &bytes[..count] {
            if *byte == b'\n' || self.partial.len() >= LINE {
                lines.push(line(&self.partial));
                self.partial.clear();
            }
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
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
        self.spool.copy_from(0, &mut out)
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

/// A line as one would see it: what a carriage return went back over is gone.
fn line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (Spool, File) {
        let spool = Spool::new().unwrap();
        let file = spool.writer().unwrap();
        (spool, file)
    }

    #[test]
    fn lines_come_whole_and_progress_bars_as_they_end() {
        let (mut spool, mut file) = spool();
        file.write_all(b"one\ntwo").unwrap();
        assert_eq!(spool.lines(), ["one"]);
        file.write_all(b" and a half\n10%\r20%\r30%\r\nx\xff\n").unwrap();
        assert_eq!(spool.lines(), ["two and a half", "30%", "x\u{fffd}"]);
        assert_eq!(spool.lines(), Vec::<String>::new());
    }

    #[test]
    fn what_nobody_could_read_is_skipped_and_counted() {
        let (mut spool, mut file) = spool();
        for _ in 0..600 {
            file.write_all(&[b'x'; 10_000]).unwrap();
            file.write_all(b"\n").unwrap();
        }
        let lines = spool.lines();
        assert!(lines[0].contains("bytes are not shown"), "{}", lines[0]);
        assert!(lines.len() < 50);
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
        let (spool, _) = spool();
        let path = spool.path().to_owned();
        drop(spool);
        assert!(!path.exists());
    }
}
