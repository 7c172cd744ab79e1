//! Damages the debug info of a running program, and reads its stacks with it: reading has to end, with any result.
//!
//! The fuzz target `binary` and the tests share it.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use object::{Object, ObjectSection};
use tinyio_frames::Limits;

use crate::program::{self, Program};

/// A program, its binary, and where what the reader reads is in it.
pub struct Whole {
    program: Program,
    bytes: Vec<u8>,
    /// Place and length of the sections, of their table, and of the headers.
    parts: Vec<(u64, u64)>,
}

/// Of the optimised build, which is small.
pub static RELEASE: LazyLock<Whole> = LazyLock::new(|| Whole::of("release"));
/// Of the unoptimised build, which has scopes.
pub static DEBUG: LazyLock<Whole> = LazyLock::new(|| Whole::of("dev"));

/// What the fuzz target `binary` does with an input: the first byte says which program, the rest damages it.
pub fn of_input(bytes: &[u8]) {
    let Some((which, damages)) = bytes.split_first() else { return };
    let whole = if which % 4 == 0 { &DEBUG } else { &RELEASE };
    whole.survive(damages);
}

impl Whole {
    fn of(profile: &str) -> Whole {
        let path = program::build(profile);
        let bytes = std::fs::read(&path).expect("the binary");
        let object = object::File::parse(&*bytes).expect("an object file");
        let read = |name: &str| {
            name.starts_with(".debug_") || name.starts_with(".eh_frame") || matches!(name, ".symtab" | ".strtab")
        };
        let sections = object.sections().filter(|section| section.name().is_ok_and(read));
        let mut parts: Vec<_> = sections.filter_map(|section| section.file_range()).collect();
        let table = u64::from_le_bytes(bytes[0x28..0x30].try_into().expect("the header of ELF"));
        parts.push((table, bytes.len() as u64 - table));
        // The headers of the file and of what is loaded.
        parts.push((0, 0x400));
        Whole { program: Program::start_binary(&path, &[]), bytes, parts }
    }

    /// The binary, damaged as these bytes say: each twelve are what is done, in which part, where, and with what.
    fn damaged(&self, damages: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for damage in damages.chunks_exact(12) {
            let (start, length) = self.parts[usize::from(damage[1]) % self.parts.len()];
            let number = |at: usize| u64::from(u32::from_le_bytes(damage[at..at + 4].try_into().expect("four bytes")));
            let at = (start + number(4) % length.max(1)) as usize;
            let value = number(8);
            let Some(rest) = bytes.get_mut(at..) else { continue };
            let behind = rest.len();
            let count = |most: u64| ((value % most) as usize).min(behind);
            match damage[0] % 7 {
                0 => rest.iter_mut().take(1).for_each(|byte| *byte = value as u8),
                1 => rest.iter_mut().take(1).for_each(|byte| *byte ^= 1 << (value % 8)),
                2 => rest
                    .iter_mut()
                    .zip([value; 2].iter().flat_map(|word| word.to_le_bytes()))
                    .take(1 << (damage[2] % 5))
                    .for_each(|(byte, new)| *byte = new),
                3 => rest.iter_mut().take(count(1 << 16)).for_each(|byte| *byte = damage[3]),
                // A copy of what comes later, so that entries mean something, but not there.
                4 => {
                    let length = count(1 << 12);
                    let from = (usize::from(damage[2]) * 16).min(behind - length);
                    rest.copy_within(from..from + length, 0);
                }
                // The largest numbers, as offsets and lengths.
                5 => rest.iter_mut().take(1 << (damage[2] % 4)).for_each(|byte| *byte = 0xff),
                // Few are cut, or nothing else would be seen.
                _ if damage[2] < 16 => bytes.truncate(at),
                _ => {}
            }
        }
        bytes
    }

    /// Reads stacks with the damaged debug info: how many came out.
    pub fn survive(&self, damages: &[u8]) -> usize {
        let file = rustix::fs::memfd_create("damaged", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory");
        let mut file = File::from(file);
        file.write_all(&self.damaged(damages)).expect("memory");
        self.survive_file(format!("/proc/self/fd/{}", file.as_raw_fd()).into())
    }

    /// The same with a file that has nothing to do with the program.
    pub fn survive_file(&self, path: PathBuf) -> usize {
        let limits = Limits { time: Duration::from_millis(20), ..Limits::default() };
        let mut frames = self.program.frames().with_limits(limits).with_debug_info_of(path);
        let stacks = self.program.cases.iter().map(|case| frames.stack(&case.ty, case.address));
        stacks.filter(|stack| stack.missing.is_none()).count()
    }
}
