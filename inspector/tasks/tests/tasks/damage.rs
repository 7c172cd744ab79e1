//! Damaged core files: nothing panics, hangs or takes memory without bound. The fuzz target `core` and a test share it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tinyio_frames::Limits;
use tinyio_tasks::{Options, check, take_core, text};

use super::program::{Program, build_other, folder};

/// The core file of a program that goes on; none if there is no `gcore`.
pub fn core(program: &Program, name: &str) -> Option<PathBuf> {
    let base = folder().join(name);
    let done = Command::new("gcore").arg("-o").arg(&base).arg(program.pid().to_string()).output().ok()?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(base.with_added_extension(program.pid().to_string()))
}

/// A core file, and where in it its headers and notes are.
pub struct Whole {
    bytes: Vec<u8>,
    parts: Vec<(usize, usize)>,
}

/// That of a program with tasks; none if there is no `gcore`.
pub static WHOLE: LazyLock<Option<Whole>> = LazyLock::new(|| {
    let program = Program::start_binary(&build_other("dev", "roots-programs"), "deadlock", 0);
    let path = core(&program, "to-be-damaged")?;
    let bytes = std::fs::read(&path).expect("the core file");
    std::fs::remove_file(&path).expect("it was there");
    let number =
        |at: usize, length: usize| bytes[at..at + length].iter().rev().fold(0, |n, byte| n << 8 | *byte as usize);
    let (table, count) = (number(32, 8), number(56, 2));
    let mut parts = vec![(0, 64), (table, 56 * count)];
    for header in (0..count).map(|index| table + 56 * index) {
        const NOTE: usize = 4;
        if number(header, 4) == NOTE {
            parts.push((number(header + 8, 8), number(header + 32, 8)));
        }
    }
    Some(Whole { bytes, parts })
});

/// What the fuzz target does with an input: it is a core file itself, or the first byte says that the rest damages a
/// sound one.
pub fn of_input(bytes: &[u8]) {
    match (bytes.split_first(), &*WHOLE) {
        (Some((b'D', damages)), Some(whole)) => survive(&whole.damaged(damages)),
        _ => survive(bytes),
    }
}

impl Whole {
    /// The core file with damages, 12 bytes each: which kind, which part, where, and a number.
    fn damaged(&self, damages: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for damage in damages.chunks_exact(12) {
            let (start, length) = self.parts[usize::from(damage[1]) % self.parts.len()];
            let number = |at: usize| u32::from_le_bytes(damage[at..at + 4].try_into().expect("four bytes"));
            let (at, value) = (start + number(4) as usize % length.max(1), number(8));
            let Some(rest) = bytes.get_mut(at..) else { continue };
            match damage[0] % 6 {
                0 => rest[0] = value as u8,
                1 => rest[0] ^= 1 << (value % 8),
                // A whole word, small or large.
                2 => rest.iter_mut().zip(u64::from(value).to_le_bytes()).for_each(|(byte, new)| *byte = new),
                3 => rest.iter_mut().zip((!u64::from(value)).to_le_bytes()).for_each(|(byte, new)| *byte = new),
                4 => bytes.truncate(at),
                _ => bytes.truncate(value as usize % self.bytes.len()),
            }
        }
        bytes
    }
}

/// Reads a core file whatever it has: there is a picture, or one sentence.
pub fn survive(bytes: &[u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder().join(format!("damaged-core-{}-{number}", std::process::id()));
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(bytes).expect("it can be written");
    drop(file);
    read(&path);
    std::fs::remove_file(&path).expect("it was there");
}

fn read(path: &Path) {
    let limits = Limits { source: 0, ..Limits::default() };
    match take_core(path, &Options { limits: Some(limits), ..Options::default() }) {
        Ok(picture) => {
            let _ = (text(&picture), check(&picture));
        }
        Err(why) => assert!(!why.is_empty() && !why.contains('\n'), "{why}"),
    }
}
