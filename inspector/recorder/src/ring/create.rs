//! Creates a ring: chooses the folder, file and size, and removes old rings.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Mode, OFlags};
use tinyio_events::environment;
use tinyio_events::event::{Header, VERSION};
#[cfg(target_os = "linux")]
use tinyio_events::sandbox;
use tinyio_events::secrets::Secrets;

use super::process::{boot, born, namespace};
use super::*;

/// Bytes of records in a ring, by default: half a million events.
pub const DEFAULT_SIZE: u64 = 16 << 20;
/// The smallest ring that makes sense.
pub const MIN_SIZE: u64 = 64 << 10;
/// The biggest ring.
pub const MAX_SIZE: u64 = 64 << 30;

/// Rings of dead programs that are kept.
const KEEP: usize = 8;
/// How long the ring of a dead program is kept.
const KEEP_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// How to record.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of records, from [`MIN_SIZE`] to [`MAX_SIZE`]. The file is a sixteenth bigger, for names.
    pub size: u64,
    /// The folder for the ring; `None` for [`folder`].
    pub folder: Option<PathBuf>,
    /// The program's name; `None` for that of its executable.
    pub program: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options { size: DEFAULT_SIZE, folder: None, program: None }
    }
}

impl Options {
    /// What the environment says: `TINYIO_RING` is the size (`64M`), `TINYIO_RING_DIR` the folder.
    ///
    /// # Errors
    ///
    /// When `TINYIO_RING` is not a size.
    pub fn from_env() -> io::Result<Self> {
        let mut options = Options::default();
        if let Some(text) = environment::var_os("TINYIO_RING") {
            options.size = parse_size(&text.to_string_lossy())?;
        }
        Ok(options)
    }
}

/// Reads a size such as `64M`: a number of bytes, or of K, M or G (1024, 1024², 1024³).
///
/// # Errors
///
/// When it is none, or not between [`MIN_SIZE`] and [`MAX_SIZE`].
///
/// # Examples
///
/// ```
/// assert_eq!(tinyio_recorder::ring::parse_size("64M").unwrap(), 64 << 20);
/// assert!(tinyio_recorder::ring::parse_size("big").is_err());
/// ```
pub fn parse_size(text: &str) -> io::Result<u64> {
    bytes(text).filter(|size| (MIN_SIZE..=MAX_SIZE).contains(size)).ok_or_else(|| {
        let message = format!("TINYIO_RING={text:?} is not a size: write a number of bytes, K, M or G from 64K to 64G, as in TINYIO_RING=64M");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

/// A number of bytes, or of K, M or G.
pub fn bytes(text: &str) -> Option<u64> {
    let trimmed = text.trim();
    let (digits, unit) = match trimmed.char_indices().last() {
        Some((at, 'k' | 'K')) => (&trimmed[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&trimmed[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&trimmed[..at], 1 << 30),
        _ => (trimmed, 1),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse::<u64>().ok()?.checked_mul(unit)).flatten()
}

/// The folder rings are in: `TINYIO_RING_DIR`, or `tinyio` in `XDG_RUNTIME_DIR`, or `tinyio-UID` in the temporary
/// directory.
pub fn folder() -> PathBuf {
    if let Some(folder) = environment::var_os("TINYIO_RING_DIR").filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    match environment::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute()) {
        Some(folder) => folder.join("tinyio"),
        None => environment::temp_dir().join(format!("tinyio-{}", rustix::process::geteuid().as_raw())),
    }
}

/// An error with the same kind that says where, and what to do.
pub(crate) fn explain(error: impl Into<io::Error>, text: impl FnOnce(&io::Error) -> String) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), text(&error))
}

/// Opens the folder, after checking that it belongs to this user and is closed to all others. A link is refused.
pub(crate) fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
        let is_link = fs::symlink_metadata(path).is_ok_and(|what| what.file_type().is_symlink());
        explain(error, |error| match is_link {
            true => format!("{}: is a link, which recordings do not follow: remove it, or set TINYIO_RING_DIR to a folder of your own", path.display()),
            false => format!("{}: cannot open the folder for recordings: {error}", path.display()),
        })
    })?;
    let folder = File::from(folder);
    let meta = folder.metadata()?;
    let me = rustix::process::geteuid().as_raw();
    let refuse =
        |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{}: {why}", path.display())));
    if meta.uid() != me {
        return refuse(format!(
            "belongs to user {}, not to you (user {me}): set TINYIO_RING_DIR to a folder of your own",
            meta.uid()
        ));
    }
    if meta.mode() & 0o077 != 0 {
        return refuse(format!(
            "is open to other users (mode {:03o}), and recordings may hold secrets: run chmod 700 on it",
            meta.mode() & 0o777
        ));
    }
    Ok(folder)
}

/// A new ring, and where it is.
#[derive(Debug)]
pub(crate) struct Created {
    pub(crate) ring: Ring,
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

/// Makes a ring for this process and clears away old ones.
pub(crate) fn create(options: &Options) -> io::Result<Created> {
    if !(MIN_SIZE..=MAX_SIZE).contains(&options.size) {
        return Err(parse_size(&options.size.to_string()).err().unwrap_or_else(|| io::ErrorKind::InvalidInput.into()));
    }
    let path = options.folder.clone().unwrap_or_else(folder);
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(explain(error, |error| {
                format!(
                    "{}: cannot make the folder for recordings: {error}; set TINYIO_RING_DIR to one that can be written to",
                    path.display()
                )
            }));
        }
        _ => {}
    }
    let folder = open_folder(&path)?;
    clean(&folder, &path);

    let pid = std::process::id();
    let program = options.program.clone().unwrap_or_else(program);
    let safe: String = program
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .take(100)
        .collect();
    // More than one thread of a process may record, and a ring of a process of the same number may be there.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (name, file) = loop {
        let name = format!("{safe}-{pid}-{}.ring", COUNT.fetch_add(1, Ordering::Relaxed));
        match rustix::fs::openat(&folder, &name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => break (name, File::from(file)),
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => {
                return Err(explain(error, |error| {
                    let path = path.display();
                    format!(
                        "{path}: cannot make a recording in this folder: {error}; make it writable, or set TINYIO_RING_DIR"
                    )
                }));
            }
        }
    };
    let path = path.join(&name);
    let made = lay_out(&file, options.size, &program).map_err(|error| {
        explain(error, |error| {
            format!(
                "{}: no room for a recording of {} KiB: {error}; set TINYIO_RING to less",
                path.display(),
                options.size >> 10
            )
        })
    });
    match made {
        Ok(ring) => Ok(Created { ring, file, path }),
        Err(error) => {
            let _ = rustix::fs::unlinkat(&folder, &name, AtFlags::empty());
            Err(error)
        }
    }
}

fn lay_out(file: &File, size: u64, program: &str) -> io::Result<Ring> {
    let locked = rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok();
    let records = size / 32;
    let names = ((size / 16).clamp(32 << 10, 64 << 20) / 8) as usize;
    let words = NAMES_AT + names + records as usize * 4;
    reserve(file, words as u64 * 8)?;

    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let text = |text: String, room: usize| {
        text.chars()
            .scan(0, |used, c| {
                *used += c.len_utf8();
                (*used <= room).then_some(c)
            })
            .collect::<String>()
    };
    let header = Header {
        trace: "tinyio".into(),
        version: VERSION,
        program: text(program.into(), 500),
        pid: std::process::id(),
        started,
        directory: text(env::current_dir().map_or(String::new(), |path| path.to_string_lossy().into_owned()), 4096),
        thread: text(std::thread::current().name().unwrap_or_default().into(), 500),
        secrets: text(Secrets::from_env().further(), SECRETS_ROOM),
    };
    let mut json = serde_json::to_vec(&header)?;
    json.truncate(HEADER_ROOM);
    file.write_all_at(&json, HEADER_AT as u64)?;

    let ring = Ring::new(Map::writable(file, words)?, records, names);
    let set = |word: usize, value: u64| ring.word(word).store(value, Ordering::Relaxed);
    set(W_LAYOUT, LAYOUT);
    set(W_RECORDS, records);
    set(W_NAMES, names as u64);
    set(W_PID, u64::from(std::process::id()));
    set(W_BORN, born(std::process::id()).unwrap_or(0));
    set(W_BOOT, boot());
    set(W_NAMESPACE, namespace());
    set(W_LOCKED, u64::from(locked));
    set(W_HEADER, json.len() as u64);
    set(W_STATE, STATE_ALIVE);
    // Last: a file without it is no ring yet.
    ring.word(W_MAGIC).store(MAGIC, Ordering::Release);
    Ok(ring)
}

/// Gives the file all its blocks now. A sparse file would do until the disk is full, and then kill the program: a store
/// to a mapped page that has no room is a SIGBUS.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    // To go beyond the limit is a signal, which ends the process.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current.unwrap_or(u64::MAX);
    if bytes > limit {
        let why = format!("the limit for the size of files is {} KiB (RLIMIT_FSIZE, `ulimit -f`)", limit >> 10);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    #[cfg(target_os = "linux")]
    if !sandbox::is_filtered() {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            other => return Ok(other?),
        }
    }
    let zeros = vec![0; 1 << 20];
    let mut at = 0;
    while at < bytes {
        let part = (bytes - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..part as usize], at)?;
        at += part;
    }
    Ok(())
}

/// Gives back the blocks that an ended recording does not need: most programs are short, and the folder is in memory
/// where possible. The file keeps its length, so a process that has it mapped reads zeros there. Best effort.
pub(crate) fn give_back(file: &File, ring: &Ring, head: u64) {
    #[cfg(target_os = "linux")]
    if head < ring.records() && !sandbox::is_filtered() {
        use rustix::fs::FallocateFlags;
        let from = (ring.index(head) as u64 * 8).next_multiple_of(4096);
        let end = (ring.first() as u64 + ring.records() * 4) * 8;
        if from < end {
            let _ =
                rustix::fs::fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, from, end - from);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, ring, head);
}

fn program() -> String {
    let path = env::current_exe().ok();
    path.as_deref().and_then(Path::file_name).map_or("program".into(), |name| name.to_string_lossy().into_owned())
}

/// Removes rings that have no writer any more: old ones, and all but the newest few.
fn clean(folder: &File, path: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    let mut dead: Vec<(SystemTime, std::ffi::OsString)> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "ring"))
        .filter_map(|entry| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(rustix::fs::openat(folder, entry.file_name(), flags, Mode::empty()).ok()?);
            let meta = file.metadata().ok()?;
            if let Ok(ring) = RingReader::of(file.try_clone().ok()?, &entry.path()) {
                return (!ring.alive()).then(|| (ring.last_written(), entry.file_name()));
            }
            // For a ring of another version it is unknown whether its program is alive. A file that is no ring was
            // either left half made by a process that was killed, or is about to become a ring.
            let age = meta.modified().ok()?.elapsed().ok()?;
            (meta.is_file() && !is_ring(&file) && age > Duration::from_secs(60))
                .then(|| (UNIX_EPOCH, entry.file_name()))
        })
        .collect();
    dead.sort_by(|a, b| b.cmp(a));
    for (at, (modified, name)) in dead.into_iter().enumerate() {
        if at >= KEEP || modified.elapsed().is_ok_and(|age| age > KEEP_FOR) {
            // Another process may be cleaning, too.
            let _ = rustix::fs::unlinkat(folder, &name, AtFlags::empty());
        }
    }
}
