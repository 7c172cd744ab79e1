//! What is in a folder.

use std::fs::{self, Metadata};
use std::io;
use std::path::PathBuf;

use color_eyre::eyre::{Result, WrapErr, bail};
use tinyio::{CancelledError, thread};

/// A regular file.
#[derive(Debug)]
pub struct File {
    pub path: PathBuf,
    pub len: u64,
    /// Device and inode: the same for names that are hard links to each other.
    pub id: Option<(u64, u64)>,
}

/// The files and folders to start from.
#[derive(Debug, Default)]
pub struct Start {
    pub files: Vec<File>,
    pub folders: Vec<PathBuf>,
}

/// What is directly in a folder.
#[derive(Debug, Default)]
pub struct Listing {
    pub files: Vec<File>,
    pub folders: Vec<PathBuf>,
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

/// Sorts the command line's paths into files and folders, without those that are inside others of them.
pub fn start(paths: Vec<PathBuf>) -> Result<Start> {
    let mut named = Vec::with_capacity(paths.len());
    for path in paths {
        let canonical = path.canonicalize().wrap_err_with(|| format!("cannot search {}", path.display()))?;
        named.push((canonical, path));
    }
    // The content of a folder comes right after it.
    named.sort();
    named.dedup_by(|(below, _), (above, _)| below.starts_with(above));
    let mut start = Start::default();
    for (canonical, path) in named {
        let metadata = canonical.metadata().wrap_err_with(|| format!("cannot search {}", path.display()))?;
        if metadata.is_dir() {
            start.folders.push(path);
        } else if metadata.is_file() {
            start.files.push(File::new(path, &metadata));
        } else {
            bail!("cannot search {}: it is neither a folder nor a regular file", path.display());
        }
    }
    Ok(start)
}

/// Lists a folder, on a thread.
pub fn list(folder: PathBuf) -> impl FnOnce() -> Result<Listing, CancelledError> {
    move || {
        let mut listing = Listing::default();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                listing.unreadable.push((folder, error));
                return Ok(listing);
            }
        };
        for entry in entries {
            thread::check_cancelled()?;
            match entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))) {
                Ok((path, metadata)) if metadata.is_file() => listing.files.push(File::new(path, &metadata)),
                Ok((path, metadata)) if metadata.is_dir() => listing.folders.push(path),
                Ok(_) => {}
                Err(error) => listing.unreadable.push((folder.clone(), error)),
            }
        }
        Ok(listing)
    }
}

impl File {
    fn new(path: PathBuf, metadata: &Metadata) -> File {
        File { path, len: metadata.len(), id: id(metadata) }
    }
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "other systems have none")]
fn id(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn id(_: &Metadata) -> Option<(u64, u64)> {
    None
}
