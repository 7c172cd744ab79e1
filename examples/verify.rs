//! Checks files against their SHA-256 sums, as `sha256sum --check` does, many at a time.
//!
//! ```text
//! find src -type f -exec sha256sum {} + > sums
//! cargo run --example verify -- sums
//! ```
//!
//! The first file that differs or cannot be read ends everything: its error comes out of the loop, with what all
//! coroutines were at.

mod common;
#[path = "verify/manifest.rs"]
mod manifest;

use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Parser;
use color_eyre::eyre::Result;
use common::progress::Progress;
use common::queue::Queue;
use common::sum::{self, Sum};
use indicatif::{BinaryBytes, HumanCount};
use manifest::Entry;
use tinyio::ThreadPool;
use tinyio::{Group, Loop, coro, gather, run_in_thread};

/// Threads at once, and so open files.
const THREADS: usize = 8;

/// Checks files against the SHA-256 sums in a manifest, and stops at the first that differs or cannot be read.
///
/// The manifest is what `sha256sum` writes, with --tag or without. Names in it are relative to the current folder.
#[derive(Parser)]
struct Args {
    /// The file with the sums; `-` is stdin
    manifest: PathBuf,
}

/// State that the coroutines share.
struct Job {
    manifest: PathBuf,
    pool: ThreadPool,
    progress: Rc<Progress>,
}

/// What was checked.
#[derive(Debug, PartialEq, Eq)]
struct Checked {
    files: u64,
    bytes: u64,
}

/// A file differs from the manifest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: expected the sum {expected}, found {found}", path.display())]
struct Mismatch {
    path: PathBuf,
    expected: Sum,
    found: Sum,
}

/// A file of the manifest cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: cannot read {}", manifest.display(), path.display())]
struct Unreadable {
    manifest: PathBuf,
    line: usize,
    path: PathBuf,
    source: io::Error,
}

fn main() -> Result<()> {
    common::crash::install()?;
    let Args { manifest } = Args::parse();
    let job = Rc::new(Job { manifest, pool: ThreadPool::new(THREADS), progress: Progress::new() });
    let checked = Loop::new().group(Group::Always).run(verify(job.clone()));
    job.progress.clear();
    let Checked { files, bytes } = checked.map_err(common::crash::explain)?;
    let (files, bytes) = (HumanCount(files), BinaryBytes(bytes));
    println!("{}: {files} files of {bytes} together are as they should be", job.manifest.display());
    Ok(())
}

async fn verify(job: Rc<Job>) -> tinyio::Result<Checked> {
    let (checked, ()) = gather((check_manifest(job.clone()), job.progress.clone().tick())).await?;
    Ok(checked)
}

/// Fails unless all files match the manifest.
async fn check_manifest(job: Rc<Job>) -> tinyio::Result<Checked> {
    let entries = run_in_thread(manifest::read(job.manifest.clone())).await?;
    job.progress.stage("checking {bar:16} {human_pos} of {human_len} files, {eta}", entries.len() as u64);
    let sizes = Queue::work_off(entries, |entries| check_all(entries, job.clone())).await?;
    job.progress.finish();
    Ok(Checked { files: sizes.len() as u64, bytes: sizes.iter().sum() })
}

/// One of the workers.
async fn check_all(entries: Queue<Entry>, job: Rc<Job>) -> tinyio::Result<Vec<u64>> {
    let mut sizes = Vec::new();
    while let Some(entry) = entries.next() {
        sizes.push(coro(check(entry, job.clone())).await?);
    }
    Ok(sizes)
}

/// The size of a file that matches the manifest.
async fn check(entry: Entry, job: Rc<Job>) -> tinyio::Result<u64> {
    let Entry { path, sum: expected, line } = entry;
    let (found, bytes) = match job.pool.run_in_thread(sum::hash(path.clone(), u64::MAX, |_| ())).await? {
        Ok(hashed) => hashed,
        Err(source) => return Err(Unreadable { manifest: job.manifest.clone(), line, path, source }.into()),
    };
    if found != expected {
        return Err(Mismatch { path, expected, found }.into());
    }
    job.progress.bar().inc(1);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_the_crash_is_the_mismatch() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, path) = (folder.path().join("manifest"), folder.path().join("a"));
        std::fs::write(&path, "1").unwrap();
        std::fs::write(&manifest, format!("{}  {}\n", "0".repeat(64), path.display())).unwrap();
        let job = Rc::new(Job { manifest, pool: ThreadPool::new(THREADS), progress: Progress::new() });
        let crash = Loop::new().run(verify(job)).unwrap_err();
        let Mismatch { path: named, expected, found } = crash.downcast_ref().unwrap();
        assert_eq!((named, *expected), (&path, Sum([0; 32])));
        assert_eq!(found.to_string(), "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
    }
}
