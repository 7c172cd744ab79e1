//! Making the file of a trace, without losing one that another program is writing.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};

/// How often a file that is locked is tried again, and how long to wait in between: a reader locks it for a moment,
/// too.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(1);

/// Makes the file under another name, locks it, and gives it its name: at no moment is there a file of this name that
/// is not locked.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let failed = |error: io::Error| {
        let what = "cannot make the trace";
        let text = format!("{}: {what}: {error}; set TINYIO_TRACE to a file that can be written", path.display());
        io::Error::new(error.kind(), text)
    };
    let (file, made) = make(path).map_err(failed)?;
    place(&made, path).inspect_err(|_| _ = fs::remove_file(&made)).map_err(failed)?;
    Ok(file)
}

/// A locked file beside `path`.
fn make(path: &Path) -> io::Result<(File, PathBuf)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().ok_or_else(|| refused("there is no file name"))?.to_string_lossy();
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let made = path.with_file_name(format!(".{name}.{}-{count}", std::process::id()));
        // Values of variables may be secrets.
        match File::options().write(true).create_new(true).mode(0o600).open(&made) {
            // A file system without locks has none: then the file is not protected, and readers take it for finished.
            Ok(file) => {
                let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
                return Ok((file, made));
            }
            // Of a process of the same number, which was killed here.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

fn place(made: &Path, path: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        let there = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => match fs::hard_link(made, path) {
                Ok(()) => return fs::remove_file(made),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                // A file system without hard links.
                Err(_) => return fs::rename(made, path),
            },
            there => there?,
        };
        if there.is_symlink() {
            return Err(refused("it is a symbolic link, which a trace does not follow"));
        }
        if !there.is_file() {
            return Err(refused("it is no regular file"));
        }
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let old = match File::options().write(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            old => old?,
        };
        let is_busy = flock(&old, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK);
        // It may have been replaced before it was locked.
        if !fs::symlink_metadata(path).is_ok_and(|now| same(&now, &old)) {
            continue;
        }
        if !is_busy {
            return fs::rename(made, path);
        }
        tries += 1;
        if tries == TRIES {
            let what = "another recording is being written to it";
            return Err(io::Error::new(ErrorKind::ResourceBusy, what));
        }
        std::thread::sleep(PAUSE);
    }
}

fn same(meta: &Metadata, file: &File) -> bool {
    file.metadata().is_ok_and(|other| (meta.dev(), meta.ino()) == (other.dev(), other.ino()))
}

fn refused(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, what)
}
