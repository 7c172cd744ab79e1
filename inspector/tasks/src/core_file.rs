//! Core files: the memory of a process that is gone, and which files were mapped where.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use tinyio_frames::{MappedFile, Region, Registers};

use crate::roots::Thread;

/// What a core file has.
#[derive(Debug, Default)]
pub struct Core {
    /// The process, 0 if it is not known.
    pub pid: u32,
    /// Memory that was written to the core file.
    pub regions: Vec<Region>,
    /// Files that were mapped.
    pub files: Vec<MappedFile>,
    /// Its threads.
    pub threads: Vec<Thread>,
    /// Bytes that the core file should have and has not.
    pub cut: u64,
}

/// Larger notes, and more of them or of segments, are damage.
const LARGEST_NOTE: u64 = 64 << 20;
const MOST_SEGMENTS: u64 = 1 << 20;
const MOST_FILES: usize = 1 << 17;
const PROGRAM_HEADER: u64 = 56;

/// The part of a file at an offset.
fn bytes(file: &File, offset: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

/// A little-endian number of some bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(length)?)?;
    Some(part.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

impl Core {
    /// Reads a core file of 64-bit little-endian ELF.
    ///
    /// # Errors
    ///
    /// One sentence that says what is wrong with the file.
    pub fn open(path: &Path) -> Result<Core, String> {
        let shown = path.display();
        let file = File::open(path).map_err(|error| format!("{shown} cannot be opened: {error}"))?;
        let length = file.metadata().map_err(|error| format!("{shown} cannot be read: {error}"))?.len();
        let other = || format!("{shown} is no core file of a 64-bit program; give a process id or a core file");
        let header = bytes(&file, 0, 64).ok_or_else(other)?;
        const CORE: u64 = 4;
        if header[..6] != *b"\x7fELF\x02\x01" || number(&header, 16, 2) != Some(CORE) {
            return Err(other());
        }
        Core::read(Arc::new(file), length, &header)
            .ok_or_else(|| format!("{shown} is damaged: its headers are not whole"))
    }

    fn read(file: Arc<File>, length: u64, header: &[u8]) -> Option<Core> {
        let (headers_at, size) = (number(header, 32, 8)?, number(header, 54, 2)?);
        let mut count = number(header, 56, 2)?;
        // With so many segments that the number does not fit, the first section has it.
        const MANY: u64 = 0xffff;
        if count == MANY {
            let section = bytes(&file, number(header, 40, 8)?, 64)?;
            count = number(&section, 44, 4)?;
        }
        if size != PROGRAM_HEADER || count > MOST_SEGMENTS {
            return None;
        }
        let headers = bytes(&file, headers_at, count.checked_mul(size)?)?;
        let mut core = Core::default();
        let mut code: Vec<Range<u64>> = Vec::new();
        let mut mapped = Vec::new();
        // Memory that is in the file twice is damage.
        let mut left = length;
        for header in headers.chunks_exact(PROGRAM_HEADER as usize) {
            const LOAD: u64 = 1;
            const NOTE: u64 = 4;
            const EXECUTE: u64 = 1;
            let (kind, flags) = (number(header, 0, 4)?, number(header, 4, 4)?);
            let (offset, address) = (number(header, 8, 8)?, number(header, 16, 8)?);
            let (in_file, in_memory) = (number(header, 32, 8)?, number(header, 40, 8)?);
            match kind {
                NOTE if in_file <= LARGEST_NOTE => {
                    if let Some(notes) = bytes(&file, offset, in_file) {
                        core.notes(&notes, &mut mapped);
                    }
                }
                LOAD => {
                    let Some(end) = address.checked_add(in_memory) else { continue };
                    if flags & EXECUTE != 0 {
                        code.push(address..end);
                    }
                    let there = in_file.min(in_memory).min(length.saturating_sub(offset)).min(left);
                    left -= there;
                    core.cut = core.cut.saturating_add(in_file.saturating_sub(there));
                    if there > 0 {
                        core.regions.push(Region::of_file(address..address + there, file.clone(), offset));
                    }
                }
                _ => {}
            }
        }
        mapped.truncate(MOST_FILES);
        // Opening a pipe or a device may wait, or worse.
        let mut is_file: HashMap<String, bool> = HashMap::new();
        mapped.retain(|(_, _, path)| {
            let known = is_file.get(path).copied();
            known.unwrap_or_else(|| {
                let is_other = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
                is_file.insert(path.clone(), !is_other);
                !is_other
            })
        });
        for (range, offset, path) in mapped {
            let is_code = code.iter().any(|code| code.contains(&range.start));
            core.files.push(MappedFile { range, offset, path: path.into(), is_code });
        }
        Some(core)
    }

    /// Reads notes; a damaged one ends them.
    fn notes(&mut self, notes: &[u8], mapped: &mut Vec<(Range<u64>, u64, String)>) -> Option<()> {
        const STATUS: u64 = 1;
        const FILES: u64 = 0x4649_4c45;
        let mut at = 0;
        while at < notes.len() {
            let (name, size, kind) = (number(notes, at, 4)?, number(notes, at + 4, 4)?, number(notes, at + 8, 4)?);
            let start = at + 12 + (name as usize).checked_next_multiple_of(4)?;
            let note = notes.get(start..start.checked_add(size as usize)?)?;
            match kind {
                STATUS => {
                    // The first thread is the one that the core was written for, with the number of the process if that
                    // is the main one.
                    if self.pid == 0 {
                        self.pid = number(note, 32, 4).unwrap_or(0) as u32;
                    }
                    self.threads.extend(thread(note));
                }
                FILES => mapped.extend(files(note).unwrap_or_default()),
                _ => {}
            }
            at = start + (size as usize).checked_next_multiple_of(4)?;
        }
        Some(())
    }
}

/// The thread of a note.
fn thread(note: &[u8]) -> Option<Thread> {
    // As `struct elf_prstatus` and `struct user_regs_struct` have them on x86-64.
    const THREAD: usize = 32;
    const REGISTERS: usize = 112;
    let [r15, r14, r13, r12, rbp, rbx, rip, rsp, fs_base] = [0, 1, 2, 3, 4, 5, 16, 19, 21];
    let register = |index: usize| number(note, REGISTERS + 8 * index, 8);
    let preserved = [register(rbx)?, register(rbp)?, register(r12)?, register(r13)?, register(r14)?, register(r15)?];
    let registers = Registers::of_thread(register(rip)?, register(rsp)?, preserved);
    Some(Thread { id: i32::try_from(number(note, THREAD, 4)?).ok()?, registers, locals: register(fs_base) })
}

/// The mappings of a note: addresses, where in the file, and its path.
fn files(note: &[u8]) -> Option<Vec<(Range<u64>, u64, String)>> {
    let (count, page) = (number(note, 0, 8)?, number(note, 8, 8)?);
    let names_at = usize::try_from(count.checked_mul(24)?.checked_add(16)?).ok()?;
    let mut names = note.get(names_at..)?.split(|byte| *byte == 0);
    let mut found = Vec::new();
    for entry in note[16..names_at].chunks_exact(24) {
        let (start, end) = (number(entry, 0, 8)?, number(entry, 8, 8)?);
        let offset = number(entry, 16, 8)?.checked_mul(page)?;
        let name = String::from_utf8_lossy(names.next()?).into_owned();
        if start < end && name.starts_with('/') {
            found.push((start..end, offset, name));
        }
    }
    Some(found)
}
