//! Which file is loaded at an address: what is mapped, and the file that it was mapped from.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection, ObjectSegment};

use super::contents::Contents;
use super::debug_file;
use super::memory::Memory;

/// One line of `/proc/PID/maps`: a part of a file in memory. A file may be mapped more than once, as a library and to
/// be read.
#[derive(Clone)]
pub(super) struct Mapping {
    pub range: Range<u64>,
    /// Where in the file it begins.
    pub offset: u64,
    pub is_code: bool,
    pub path: PathBuf,
    pub inode: u64,
}

/// A part of a file that was mapped in a process that is gone.
#[derive(Clone, Debug)]
pub struct MappedFile {
    /// Its addresses.
    pub range: Range<u64>,
    /// Where in the file it begins.
    pub offset: u64,
    /// The path of the file.
    pub path: PathBuf,
    /// It is code.
    pub is_code: bool,
}

/// The parts of files mapped by a process.
pub(super) fn mappings(pid: u32) -> io::Result<Vec<Mapping>> {
    let mut found: Vec<Mapping> = Vec::new();
    for line in std::fs::read_to_string(format!("/proc/{pid}/maps"))?.lines() {
        // 55d0c0000000-55d0c0010000 r-xp 00001000 08:01 1234   /usr/bin/program
        let mut rest = line;
        let mut next = || {
            let (word, after) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
            rest = after;
            word
        };
        let (range, access, offset, _device, inode) = (next(), next(), next(), next(), next());
        let path = rest.trim_start();
        let (Some((start, end)), Ok(inode)) = (range.split_once('-'), inode.parse()) else { continue };
        let number = |text| u64::from_str_radix(text, 16);
        let (Ok(start), Ok(end), Ok(offset)) = (number(start), number(end), number(offset)) else { continue };
        if inode == 0 || !path.starts_with('/') {
            continue;
        }
        let is_code = access.contains('x');
        found.push(Mapping { range: start..end, offset, is_code, path: path.into(), inode });
    }
    Ok(found)
}

/// What a file says of how it is loaded.
#[derive(Default)]
pub(super) struct Layout {
    segments: Vec<Segment>,
    /// The build id and its address in the file.
    pub id: Option<(u64, Vec<u8>)>,
    /// It has debug info only, and does not say what of the program is loaded where.
    pub is_debug_info: bool,
}

/// What is loaded of a file, in whole pages.
struct Segment {
    offset: Range<u64>,
    address: u64,
    is_code: bool,
}

const PAGE: u64 = 0x1000;

impl Layout {
    pub fn of(file: &Contents) -> Option<Layout> {
        let cache = file.reader();
        let object = object::File::parse(&cache).ok()?;
        let segments = object.segments().map(|segment| {
            let (offset, size) = segment.file_range();
            let is_code = matches!(segment.flags(), object::SegmentFlags::Elf { p_flags, .. } if p_flags.0 & 1 != 0);
            let start = offset & !(PAGE - 1);
            Segment {
                offset: start..offset.saturating_add(size).max(start + 1),
                address: segment.address() & !(PAGE - 1),
                is_code,
            }
        });
        let segments = segments.collect();
        let note = object.section_by_name(".note.gnu.build-id");
        let id = note.and_then(|note| Some((note.address(), note.data().ok()?.to_vec())));
        let is_debug_info = debug_file::is_debug_info_only(&object);
        Some(Layout { segments, id: id.filter(|(_, id)| !id.is_empty()), is_debug_info })
    }

    /// Address in memory minus address in the file, by the segments that a mapping may be a part of: the most likely
    /// one first.
    pub fn biases(&self, mapping: &Mapping) -> Vec<u64> {
        let mut possible: Vec<&Segment> =
            self.segments.iter().filter(|segment| segment.offset.contains(&mapping.offset)).collect();
        possible.sort_by_key(|segment| segment.is_code != mapping.is_code);
        let bias = |segment: &&Segment| {
            let before = mapping.offset - segment.offset.start;
            mapping.range.start.wrapping_sub(segment.address).wrapping_sub(before)
        };
        possible.iter().map(bias).collect()
    }

    /// Whether a mapping is a part of the file as it is loaded with a bias.
    pub fn holds(&self, mapping: &Mapping, bias: u64) -> bool {
        self.is_debug_info || self.biases(mapping).contains(&bias)
    }

    /// The bias with which the file is what is loaded around a mapping: its build id is in memory. Without such an id,
    /// the same file for the system; that alone would miss a file overwritten in place, and is not even so for every
    /// mapping of a layered file system.
    fn loaded_at(&self, memory: &Memory, mapping: &Mapping, is_same_file: bool) -> Option<u64> {
        let biases = self.biases(mapping);
        let Some((address, id)) = &self.id else {
            return is_same_file.then(|| biases.first().copied().unwrap_or(mapping.range.start));
        };
        let there = |bias: &u64| memory.bytes(address.wrapping_add(*bias), id.len());
        let found = biases.iter().find(|bias| there(bias).is_some_and(|there| there == *id)).copied();
        let is_readable = biases.iter().any(|bias| there(bias).is_some());
        found.or_else(|| biases.first().copied().filter(|_| is_same_file && !is_readable))
    }

    /// The bias of a file with debug info only, if the program is loaded from `lowest` on and has its build id.
    fn describes(&self, memory: &Memory, lowest: u64) -> Option<u64> {
        let first = self.segments.iter().map(|segment| segment.address).min()?;
        let bias = lowest.wrapping_sub(first);
        let (address, id) = self.id.as_ref()?;
        memory.bytes(address.wrapping_add(bias), id.len()).is_some_and(|there| there == *id).then_some(bias)
    }
}

/// Opens the file that was loaded: never one that has replaced it since, nor one that was overwritten.
pub(super) fn running_file(
    memory: &Memory,
    mapping: &Mapping,
    path: &Path,
    (lowest, folders): (u64, &[PathBuf]),
) -> Result<(Contents, Layout, u64), String> {
    let program = PathBuf::from(format!("/proc/{}/exe", memory.pid()));
    // Of a process in a container the path is one there.
    let there = debug_file::under(&memory.root(), path);
    let mut problem = String::new();
    for candidate in [&*program, &*there, path] {
        match opened(candidate) {
            Ok(file) => {
                let is_same_file = inode(&file).is_ok_and(|inode| inode == mapping.inode);
                let is_this_program = candidate == program && memory.pid() == std::process::id();
                let contents = if is_this_program { Contents::of_this_program(file) } else { Contents::read(file) };
                let layout = Layout::of(&contents).unwrap_or_default();
                if let Some(bias) = layout.loaded_at(memory, mapping, is_same_file) {
                    return Ok((contents, layout, bias));
                }
                // The file of the program may be another one than that of a library.
                if candidate != program && problem.is_empty() {
                    problem = "was replaced on disk since the program started; start the program again".into();
                }
            }
            Err(error) if candidate != program && problem.is_empty() => problem = format!("cannot be opened: {error}"),
            Err(_) => {}
        }
    }
    if memory.pid() != 0 {
        return Err(problem);
    }
    // What a core file is of may be in a folder that the user has named.
    for candidate in debug_file::stand_ins(path, folders) {
        let Some(contents) = debug_file::open(&candidate) else { continue };
        let layout = Layout::of(&contents).unwrap_or_default();
        let bias = match layout.is_debug_info {
            true => layout.describes(memory, lowest),
            false => layout.loaded_at(memory, mapping, false),
        };
        if let Some(bias) = bias {
            return Ok((contents, layout, bias));
        }
    }
    Err(problem + "; `--debug-dir` names a folder with the program, or with its debug info, of the same build id")
}

/// Opens a file. To open a pipe would wait for its writer.
fn opened(path: &Path) -> io::Result<File> {
    match std::fs::metadata(path)?.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is no file")),
    }
}

fn inode(file: &File) -> io::Result<u64> {
    #[cfg(unix)]
    return Ok(std::os::unix::fs::MetadataExt::ino(&file.metadata()?));
    #[cfg(not(unix))]
    return file.metadata().map(|_| 0);
}
