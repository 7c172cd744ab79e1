//! What the system says of a process: its mappings, which of their pages there are, its threads.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its addresses.
    pub range: Range<u64>,
    /// It can be read.
    pub is_readable: bool,
    /// It can be written to.
    pub is_writable: bool,
    /// Other processes see what is written to it.
    pub is_shared: bool,
    /// The file that is mapped, or `[heap]`, `[stack]` and the like; empty if there is none.
    pub path: String,
}

impl Mapping {
    fn parse(line: &str) -> Option<Mapping> {
        // 55d0c0000000-55d0c0010000 rw-p 00001000 08:01 1234   /usr/bin/program
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
        let access = words.next()?.as_bytes();
        let path = words.nth(3).unwrap_or_default().trim_start().to_owned();
        let has = |at: usize, letter: u8| access.get(at) == Some(&letter);
        let (is_readable, is_writable, is_shared) = (has(0, b'r'), has(1, b'w'), has(3, b's'));
        Some(Mapping { range, is_readable, is_writable, is_shared, path })
    }

    /// Nothing but the program has what is there.
    pub fn is_private(&self) -> bool {
        self.is_readable && self.is_writable && !self.is_shared && !self.path.starts_with("[v")
    }

    /// A file is mapped there and cannot be written to.
    pub fn is_constant(&self) -> bool {
        self.is_readable && !self.is_writable && self.path.starts_with('/')
    }
}

/// The mappings of a process, by address.
pub fn mappings(pid: u32) -> io::Result<Vec<Mapping>> {
    Ok(std::fs::read_to_string(format!("/proc/{pid}/maps"))?.lines().filter_map(Mapping::parse).collect())
}

/// The working directory of a process; empty if it cannot be read.
pub fn directory(pid: u32) -> String {
    std::fs::read_link(format!("/proc/{pid}/cwd")).map_or_else(|_| String::new(), |path| path.display().to_string())
}

/// The threads of a process.
pub fn threads(pid: u32) -> io::Result<Vec<i32>> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// Where the stack of a thread ends that waits in the system; `None` if it runs.
pub fn stack_pointer(pid: u32, thread: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/syscall")).ok()?;
    let word = text.split_whitespace().rev().nth(1)?;
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

/// Why there is nothing to read in a process.
///
/// # Errors
///
/// If there is none of that number, or it has ended: one sentence.
pub fn check(pid: u32) -> Result<(), String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    let status = status.map_err(|_| format!("there is no process {pid} here"))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("State:").is_some_and(|state| state.starts_with(['Z', 'X'])) {
        return Err(format!("process {pid} has ended"));
    }
    if field("VmSize:").is_none() {
        return Err(format!("process {pid} is a thread of the kernel and has no memory of its own"));
    }
    Ok(())
}

pub const PAGE: u64 = 4096;

/// Which pages of a process there are: the others are zero, or the file's.
pub struct Pages(File);

impl Pages {
    pub fn of(pid: u32) -> io::Result<Pages> {
        File::open(format!("/proc/{pid}/pagemap")).map(Pages)
    }

    /// The runs of pages in a range that are in memory or swapped out.
    pub fn present(&self, range: &Range<u64>) -> io::Result<Vec<Range<u64>>> {
        const AT_ONCE: usize = 1 << 13;
        const PRESENT_OR_SWAPPED: u64 = 0b11 << 62;
        let mut runs: Vec<Range<u64>> = Vec::new();
        let mut entries = vec![0; 8 * AT_ONCE];
        let mut at = range.start;
        while at < range.end {
            let pages = ((range.end - at) / PAGE).min(AT_ONCE as u64) as usize;
            let part = &mut entries[..8 * pages];
            self.0.read_exact_at(part, at / PAGE * 8)?;
            for entry in part.as_chunks::<8>().0 {
                if u64::from_le_bytes(*entry) & PRESENT_OR_SWAPPED != 0 {
                    match runs.last_mut().filter(|run| run.end == at) {
                        Some(run) => run.end = at + PAGE,
                        None => runs.push(at..at + PAGE),
                    }
                }
                at += PAGE;
            }
            if pages == 0 {
                break;
            }
        }
        Ok(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_is_read_with_and_without_a_path() {
        let line = "7f00-7f10 r--s 00001000 08:01 1234                       /tmp/a file (deleted)";
        let mapping = Mapping::parse(line).expect("a mapping");
        assert_eq!((mapping.range, mapping.is_shared), (0x7f00..0x7f10, true));
        assert_eq!(mapping.path, "/tmp/a file (deleted)");
        let anonymous = Mapping::parse("7f00-7f10 rw-p 00000000 00:00 0 ").expect("a mapping");
        assert!(anonymous.is_private() && anonymous.path.is_empty());
        assert_eq!(Mapping::parse("nonsense"), None);
    }

    #[test]
    fn pages_that_were_written_to_are_present() {
        let pid = std::process::id();
        let bytes = vec![1_u8; 8 * PAGE as usize];
        let start = (bytes.as_ptr().addr() as u64).next_multiple_of(PAGE);
        let runs = Pages::of(pid).and_then(|pages| pages.present(&(start..start + 4 * PAGE))).expect("runs");
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0], start..start + 4 * PAGE);
        assert_eq!(bytes[0], 1);
    }
}
