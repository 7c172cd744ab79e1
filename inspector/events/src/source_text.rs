//! The text of source files that frames and traces name.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::event::Header;

/// Larger files are not read: they are hardly source.
const LARGEST: u64 = 8 << 20;

/// Reads a source file of the program that was recorded. `None` if it is not here, is one of the standard library, or
/// has changed since the program started.
pub fn read(file: &str, header: &Header) -> Option<String> {
    if file.is_empty() || file.starts_with("/rustc/") {
        return None;
    }
    // Relative names are relative to where the crate was built: the program's directory, or one above it.
    let bases = Path::new(&header.directory).ancestors().take(4);
    let path = bases.map(|base| base.join(file)).find(|path| path.is_file())?;
    let meta = std::fs::metadata(&path).ok()?;
    let started = SystemTime::UNIX_EPOCH + Duration::from_nanos(header.started);
    if meta.len() > LARGEST || meta.modified().is_ok_and(|changed| changed > started) {
        return None;
    }
    Some(String::from_utf8_lossy(&std::fs::read(&path).ok()?).into_owned())
}
