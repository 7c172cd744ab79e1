//! The bytes of an object file: read, or mapped where that is safe.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;
use object::{ReadCache, ReadRef};

/// A file to read from.
pub(super) struct Contents {
    pub file: Arc<File>,
    map: Option<Arc<Mmap>>,
}

/// A part of a file, or what was made of it.
pub(super) enum Bytes {
    Own(Vec<u8>),
    Mapped(Arc<Mmap>, Range<usize>),
}

impl Contents {
    /// A file that is read.
    pub fn read(file: File) -> Contents {
        Contents { file: Arc::new(file), map: None }
    }

    /// The file of the program that this code runs in. It is mapped: of a hundred megabytes of debug info a few are
    /// needed, and to read all of them takes a tenth of a second.
    pub fn of_this_program(file: File) -> Contents {
        // SAFETY: the code that runs is mapped from this file, too. The system refuses to write to it or to shorten it
        // for as long as it runs, and what happens to it in spite of that (by a server of files, say) happens to the
        // code as well. What was put in its place is another file.
        let map = unsafe { Mmap::map(&file) }.ok().map(Arc::new);
        Contents { file: Arc::new(file), map }
    }

    /// Whether it was opened by [`Contents::of_this_program`].
    pub fn is_of_this_program(&self) -> bool {
        self.map.is_some()
    }

    /// Bytes in the file.
    pub fn len(&self) -> io::Result<u64> {
        match &self.map {
            Some(map) => Ok(map.len() as u64),
            None => Ok(self.file.metadata()?.len()),
        }
    }

    /// `length` bytes from `offset`, which are in the file.
    pub fn bytes(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        if let Some(map) = &self.map {
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let end = start.saturating_add(length);
            return match map.get(start..end) {
                Some(_) => Ok(Bytes::Mapped(map.clone(), start..end)),
                None => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        let mut bytes = vec![0; length];
        read_at(&self.file, &mut bytes, offset)?;
        Ok(Bytes::Own(bytes))
    }
}

/// What the parser of object files reads a file through.
pub(super) struct Reader<'c> {
    map: Option<&'c Mmap>,
    cache: ReadCache<&'c File>,
}

impl Contents {
    /// For the parser of object files.
    pub fn reader(&self) -> Reader<'_> {
        Reader { map: self.map.as_deref(), cache: ReadCache::new(&*self.file) }
    }
}

impl<'a> ReadRef<'a> for &'a Reader<'_> {
    fn len(self) -> Result<u64, ()> {
        match self.map {
            Some(map) => Ok(map.len() as u64),
            None => (&self.cache).len(),
        }
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        match self.map {
            Some(map) => (&**map).read_bytes_at(offset, size),
            None => self.cache.read_bytes_at(offset, size),
        }
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        match self.map {
            Some(map) => (&**map).read_bytes_at_until(range, delimiter),
            None => self.cache.read_bytes_at_until(range, delimiter),
        }
    }
}

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes::Own(Vec::new())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes::Own(bytes)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Own(bytes) => bytes,
            // It was inside of the map when this was made.
            Bytes::Mapped(map, range) => map.get(range.clone()).unwrap_or_default(),
        }
    }
}

pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(not(unix))]
    {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = file;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_program_itself_is_mapped_and_what_is_mapped_is_what_is_read() {
        let open = || File::open("/proc/self/exe").expect("the program");
        let (mapped, read) = (Contents::of_this_program(open()), Contents::read(open()));
        let length = mapped.len().expect("a length");
        assert_eq!(length, read.len().expect("a length"));
        for (offset, bytes) in [(0, 4096), (4095, 3), (length - 7, 7), (length, 0)] {
            let mapped = mapped.bytes(offset, bytes).expect("bytes");
            assert!(matches!(mapped, Bytes::Mapped(..)));
            assert!(*mapped == *read.bytes(offset, bytes).expect("bytes"), "{bytes} at {offset}");
        }
        for (offset, bytes) in [(length - 7, 8), (length + 1, 0), (u64::MAX, 1)] {
            assert!(mapped.bytes(offset, bytes).is_err(), "{bytes} at {offset}");
        }
    }

    /// That nothing can write to it is why it may be mapped.
    #[test]
    fn the_file_of_a_running_program_cannot_be_written_to() {
        let error = File::options().write(true).open("/proc/self/exe").expect_err("it runs");
        assert_eq!(error.kind(), io::ErrorKind::ExecutableFileBusy);
    }
}
