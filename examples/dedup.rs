//! Finds files with equal content.
//!
//! ```text
//! cargo run --example dedup -- ~/Pictures
//! TINYIO_INSPECT=1 cargo run --example dedup -- ~/Pictures    # and watch it
//! ```
//!
//! Most files differ in size, and most others in their first few KiB. Only what is left is read as a whole. One
//! coroutine per folder, then a few that share the files; all reading is done in threads.

mod common;
#[path = "dedup/folder.rs"]
mod folder;
#[path = "dedup/groups.rs"]
mod groups;

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Parser;
use color_eyre::eyre::Result;
use common::progress::Progress;
use common::queue::Queue;
use common::sum::{self, Sum};
use folder::{File, Start};
use tinyio::ThreadPool;
use tinyio::{Coro, Loop, coro, gather};

/// Files with equal sums of this many first bytes are hashed as a whole.
const HEAD: u64 = 4 * 1024;
/// Threads at once, and so open files.
const THREADS: usize = 8;

/// Finds files with equal content.
///
/// Prints them as `sha256sum` does, group by group, those that waste the most last, with the rest in comments:
/// `sha256sum --check` and the example `verify` can read it.
///
/// Only regular files count, empty ones too. Each name counts: files that are hard links to each other are equal, but
/// waste nothing. Symbolic links are not followed, except those named as PATH. What lies under several PATHs counts
/// once. What cannot be read is noted on stderr and left out.
#[derive(Parser)]
struct Args {
    /// Folders and files to compare
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
}

/// State that the coroutines share.
struct Job {
    pool: ThreadPool,
    progress: Rc<Progress>,
}

/// A file and what is known of its content.
struct Hashed {
    file: File,
    sum: Sum,
    /// The sum is that of the whole file.
    whole: bool,
}

fn main() -> Result<()> {
    common::crash::install()?;
    let start = folder::start(Args::parse().paths)?;
    let job = Rc::new(Job { pool: ThreadPool::new(THREADS), progress: Progress::new() });
    let equal = Loop::new().run(dedup(start, job.clone()));
    job.progress.clear();
    groups::print(equal.map_err(common::crash::explain)?)
}

async fn dedup(start: Start, job: Rc<Job>) -> tinyio::Result<Vec<Hashed>> {
    let (equal, ()) = gather((compare(start, job.clone()), job.progress.clone().tick())).await?;
    Ok(equal)
}

/// The files that have an equal, with their sums.
async fn compare(start: Start, job: Rc<Job>) -> tinyio::Result<Vec<Hashed>> {
    job.progress.stage("{spinner} {human_pos} files found", 0);
    let walks: Vec<_> = start.folders.into_iter().map(|folder| walk(folder, job.clone())).collect();
    let mut files: Vec<File> = gather(walks).await?.into_iter().flatten().chain(start.files).collect();
    keep_repeated(&mut files, |file| file.len);

    job.progress.stage("comparing heads {bar:16} {human_pos} of {human_len}", files.len() as u64);
    let mut heads = Queue::work_off(files, |files| hash_heads(files, job.clone())).await?;
    keep_repeated(&mut heads, |head| (head.file.len, head.sum));

    let (short, long): (Vec<_>, Vec<_>) = heads.into_iter().partition(|head| head.whole);
    let files: Vec<File> = long.into_iter().map(|head| head.file).collect();
    let bytes = files.iter().map(|file| file.len).sum();
    job.progress.stage("comparing files {bar:16} {binary_bytes} of {binary_total_bytes}, {eta}", bytes);
    let mut hashed = Queue::work_off(files, |files| hash_files(files, job.clone())).await?;
    hashed.extend(short);
    keep_repeated(&mut hashed, |hashed| hashed.sum);

    job.progress.finish();
    Ok(hashed)
}

/// The files in a folder and below it.
fn walk(folder: PathBuf, job: Rc<Job>) -> Coro<Vec<File>> {
    coro(async move {
        let listing = job.pool.run_in_thread(folder::list(folder)).await?;
        for (path, error) in &listing.unreadable {
            job.unreadable(path, error);
        }
        job.progress.bar().inc(listing.files.len() as u64);
        let below: Vec<_> = listing.folders.into_iter().map(|folder| walk(folder, job.clone())).collect();
        let below = gather(below).await?;
        tinyio::Ok(listing.files.into_iter().chain(below.into_iter().flatten()).collect())
    })
}

/// One of the workers that hash beginnings.
async fn hash_heads(files: Queue<File>, job: Rc<Job>) -> tinyio::Result<Vec<Hashed>> {
    let mut hashed = Vec::new();
    while let Some(file) = files.next() {
        hashed.extend(coro(hash_head(file, job.clone())).await?);
    }
    Ok(hashed)
}

/// The sum of the beginning, unless the file cannot be read.
async fn hash_head(file: File, job: Rc<Job>) -> tinyio::Result<Option<Hashed>> {
    let hashed = job.pool.run_in_thread(sum::hash(file.path.clone(), HEAD, |_| ())).await?;
    job.progress.bar().inc(1);
    // By the bytes read: the size in the folder is not always right, such as for files in `/proc`.
    Ok(job.readable(&file.path, hashed).map(|(sum, bytes)| Hashed { file, sum, whole: bytes < HEAD }))
}

/// One of the workers that hash contents.
async fn hash_files(files: Queue<File>, job: Rc<Job>) -> tinyio::Result<Vec<Hashed>> {
    let mut hashed = Vec::new();
    while let Some(file) = files.next() {
        hashed.extend(coro(hash_file(file, job.clone())).await?);
    }
    Ok(hashed)
}

/// The sum of the whole file, unless it cannot be read.
async fn hash_file(file: File, job: Rc<Job>) -> tinyio::Result<Option<Hashed>> {
    let bar = job.progress.bar();
    let hashed = job.pool.run_in_thread(sum::hash(file.path.clone(), u64::MAX, move |bytes| bar.inc(bytes))).await?;
    Ok(job.readable(&file.path, hashed).map(|(sum, _)| Hashed { file, sum, whole: true }))
}

impl Job {
    fn readable<T>(&self, path: &Path, read: io::Result<T>) -> Option<T> {
        read.inspect_err(|error| self.unreadable(path, error)).ok()
    }

    fn unreadable(&self, path: &Path, error: &io::Error) {
        self.progress.bar().suspend(|| eprintln!("dedup: left out {}: {error}", path.display()));
    }
}

/// Removes each item that is alone with its key.
fn keep_repeated<T, K: Eq + Hash>(items: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut count: HashMap<K, usize> = HashMap::new();
    for item in items.iter() {
        *count.entry(key(item)).or_default() += 1;
    }
    items.retain(|item| count[&key(item)] > 1);
    items.shrink_to_fit();
}
