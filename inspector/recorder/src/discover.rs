//! Finds the rings of programs that are being recorded, and those that ended programs have left.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags};
use serde::Serialize;
use tinyio_events::event::{Event, Header, Kind, Target};
use tinyio_events::source::{Progress, Source};

use crate::ring::{RingReader, Writer, folder, open_folder};

/// Events that are read of a ring at once.
const READ: usize = 4096;

/// A ring in the folder of recordings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ring {
    /// The file.
    pub path: PathBuf,
    /// The header of the recording.
    pub header: Header,
    /// Its state.
    pub state: State,
    /// Bytes of the file.
    pub size: u64,
    /// Whether the program that wrote it is certainly gone.
    #[serde(skip)]
    is_dead: bool,
    /// Events ever recorded, about.
    pub events: u64,
    /// When the last event was recorded.
    pub last: SystemTime,
}

impl Ring {
    /// The names that the program gave loops, of those that have run since the newest checkpoint; in the order of the
    /// loops, each once.
    pub fn loop_names(&self) -> Vec<String> {
        let Ok(mut reader) = RingReader::open(&self.path) else { return Vec::new() };
        reader.skip_to_newest();
        // A checkpoint has the loops in no order.
        let (mut names, mut given) = (HashMap::new(), BTreeMap::new());
        let mut sink = |event: Event| match event.kind {
            Kind::Name { id, text } => drop(names.insert(id, text)),
            Kind::Named { what: Target::Loop(id), name } => drop(given.insert(id, name)),
            _ => {}
        };
        // A program that records faster than this reads has no end: what is new meanwhile is left out.
        let mut left = reader.behind().div_ceil(READ as u64);
        while left > 0 && matches!(reader.read(READ, &mut sink), Ok(Progress::More)) {
            left -= 1;
        }
        let mut found: Vec<String> = Vec::new();
        for name in given.values().filter_map(|id| names.get(id)) {
            if !found.contains(name) {
                found.push(name.clone());
            }
        }
        found
    }
}

/// The state of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on.
    Living,
    /// It ended in good order: the last loop that ran inside no coroutine returned a value, or none ran to its end.
    Ended,
    /// As [`Ended`](State::Ended), and that loop ended with a crash.
    Crashed,
    /// Its process is gone, and it had not ended: killed, aborted.
    Died,
    /// Its process runs another program now (`exec`): nothing more is recorded.
    Replaced,
    /// Its process cannot be seen from here: it is in another pid namespace, and the file system has no locks.
    Unknown,
}

/// All rings of this user, the newest first.
///
/// # Errors
///
/// When the folder cannot be read, or is not to be trusted. That there is none is no error.
pub fn rings() -> io::Result<Vec<Ring>> {
    rings_in(&folder())
}

/// All rings in a folder, the newest first.
///
/// # Errors
///
/// As [`rings`].
pub fn rings_in(path: &Path) -> io::Result<Vec<Ring>> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(vec![]);
    }
    let folder = open_folder(path)?;
    let entries = fs::read_dir(path).map_err(|error| {
        io::Error::new(error.kind(), format!("{}: cannot list recordings: {error}", path.display()))
    })?;
    let mut rings: Vec<Ring> = entries.filter_map(|entry| look(&folder, path, entry.ok()?.file_name())).collect();
    rings.sort_by_key(|ring| std::cmp::Reverse((ring.header.started, ring.last)));
    Ok(rings)
}

/// The ring of the program that ended or died last.
///
/// # Errors
///
/// As [`rings`].
pub fn last() -> io::Result<Option<Ring>> {
    Ok(rings()?
        .into_iter()
        .filter(|ring| !matches!(ring.state, State::Living | State::Unknown))
        .max_by_key(|ring| ring.last))
}

/// The living recordings of a process: one for each of its threads that runs loops.
///
/// # Errors
///
/// As [`rings`].
pub fn of_process(pid: u32) -> io::Result<Vec<Ring>> {
    Ok(rings()?.into_iter().filter(|ring| ring.header.pid == pid && ring.state == State::Living).collect())
}

/// The ring of a recording of which there is a trace with this header, too.
pub(crate) fn of_recording(header: &Header) -> Option<Ring> {
    let is_same = |ring: &Ring| (ring.header.pid, ring.header.started) == (header.pid, header.started);
    rings().ok()?.into_iter().find(is_same)
}

/// Rings that were removed, and those that could not be.
#[derive(Debug, Default)]
pub struct Removed {
    /// The rings, the newest first, with the bytes that each took of the file system.
    pub rings: Vec<(Ring, u64)>,
    /// Those that are still there.
    pub failed: Vec<(PathBuf, io::Error)>,
}

/// Removes the rings of this user's programs that are gone, or with `dry_run` only finds them. Rings of programs that
/// live, or that cannot be seen from here, files that are no rings, and links stay.
///
/// # Errors
///
/// As [`rings`].
pub fn remove_dead(dry_run: bool) -> io::Result<Removed> {
    remove_dead_in(&folder(), dry_run)
}

/// As [`remove_dead`], in a folder.
///
/// # Errors
///
/// As [`rings`].
pub fn remove_dead_in(path: &Path, dry_run: bool) -> io::Result<Removed> {
    let mut removed = Removed::default();
    let dead: Vec<Ring> = rings_in(path)?.into_iter().filter(|ring| ring.is_dead).collect();
    if dead.is_empty() {
        return Ok(removed);
    }
    let folder = open_folder(path)?;
    for ring in dead {
        match remove(&folder, path, &ring, dry_run) {
            Ok(Some(bytes)) => removed.rings.push((ring, bytes)),
            Ok(None) => {}
            Err(error) => removed.failed.push((ring.path, error)),
        }
    }
    Ok(removed)
}

/// Removes a ring, if the file of its name is still that of the same recording: its bytes in the file system.
fn remove(folder: &File, path: &Path, ring: &Ring, dry_run: bool) -> io::Result<Option<u64>> {
    let Some(name) = ring.path.file_name() else { return Ok(None) };
    // Meanwhile another process may have removed it, and a new program have begun a recording of that name.
    let now = look(folder, path, name.to_owned());
    if now.is_none_or(|now| !now.is_dead || now.header != ring.header) {
        return Ok(None);
    }
    let blocks = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_blocks;
    if !dry_run {
        rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
    }
    Ok(Some(u64::try_from(blocks).unwrap_or(0) * 512))
}

fn look(folder: &File, path: &Path, name: OsString) -> Option<Ring> {
    if Path::new(&name).extension()? != "ring" {
        return None;
    }
    // Opened through the checked folder, and never through a link: a link could lead to a file that another user chose.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(folder, &name, flags, Mode::empty()).ok()?);
    let meta = file.metadata().ok()?;
    let path = path.join(name);
    let reader = RingReader::of(file, &path).ok()?;
    let state = match reader.writer() {
        _ if reader.ended() && reader.crashed() => State::Crashed,
        _ if reader.ended() => State::Ended,
        Writer::Lives => State::Living,
        Writer::Gone => State::Died,
        Writer::Replaced => State::Replaced,
        Writer::Unknown => State::Unknown,
    };
    Some(Ring {
        state,
        header: reader.header().clone(),
        size: meta.len(),
        // A recording that has ended holds no lock any more, so its process may run the same program as before.
        is_dead: match reader.writer() {
            Writer::Gone => true,
            Writer::Replaced => !reader.ended(),
            Writer::Lives | Writer::Unknown => false,
        },
        events: reader.recorded(),
        last: reader.last_written(),
        path,
    })
}
