//! SHA-256 sums of files.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tinyio::{CancelledError, thread};

/// A thread checks between two chunks whether it is cancelled.
const CHUNK: u64 = 64 * 1024;

/// A SHA-256 sum, shown as `sha256sum` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sum(pub [u8; 32]);

/// Hashes the first `limit` bytes of a file, on a thread: gives their sum and number, and calls `read` for every chunk.
///
/// An error of a thread stops the whole loop. That is right for a cancellation; whether an unreadable file should do so
/// is decided by the coroutine, so that is a value here.
pub fn hash(
    path: PathBuf,
    limit: u64,
    mut read: impl FnMut(u64),
) -> impl FnOnce() -> Result<io::Result<(Sum, u64)>, CancelledError> {
    move || {
        let mut file = match File::open(path) {
            Ok(file) => file.take(limit),
            Err(error) => return Ok(Err(error)),
        };
        let mut chunk = vec![0; limit.min(CHUNK) as usize];
        let mut hasher = Sha256::new();
        let mut bytes = 0;
        loop {
            thread::check_cancelled()?;
            match file.read(&mut chunk) {
                Ok(0) => return Ok(Ok((Sum(hasher.finalize().into()), bytes))),
                Ok(n) => {
                    hasher.update(&chunk[..n]);
                    bytes += n as u64;
                    read(n as u64);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
