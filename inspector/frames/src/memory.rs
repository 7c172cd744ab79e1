//! Reads the memory of a process, this one included, through the system: a wild pointer is an error here, never a
//! fault.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::OnceLock;

use super::copied::{Copied, Found};
use super::hash::FastMap;

/// The memory of one process.
pub(super) struct Memory {
    pid: u32,
    /// `/proc/PID/mem`, where `process_vm_readv` may be forbidden (seccomp). It is the second choice: it reads pages
    /// that are protected against reading, and cannot be opened by a process that is not dumpable.
    file: OnceLock<Option<File>>,
    /// Whether `process_vm_readv` is safe to call. `None`: not looked at since [`forget`](Memory::forget).
    direct: Cell<Option<bool>>,
    /// Pages read since [`forget`](Memory::forget): a stack is a hundred small reads of a few pages. None cannot be
    /// read.
    pages: RefCell<FastMap<u64, Option<Box<Page>>>>,
    /// While a past state is read: the ranges with constant content, of files that are mapped read-only. Only they are
    /// read from the process.
    constant: RefCell<Option<Vec<Range<u64>>>>,
    /// Memory that was copied: it is read in place of the process.
    copied: RefCell<Option<Rc<Copied>>>,
}

pub(super) const PAGE: u64 = 4096;
pub(super) type Page = [u8; PAGE as usize];

const LARGEST: usize = 16 << 20;
/// Pages that are kept at most while several stacks are read as of one moment: 16 MB.
pub(super) const KEPT: usize = 4096;

/// The device and inode of the C library that a process has loaded.
fn c_library(pid: &str) -> Option<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let line =
        maps.lines().find(|line| line.contains("/libc.so") || line.contains("/libc-") || line.contains("/ld-musl"))?;
    let fields: Vec<&str> = line.split_whitespace().collect();
    Some(fields.get(3..5)?.join(" "))
}

impl Memory {
    pub fn of(pid: u32) -> Memory {
        Memory {
            pid,
            file: OnceLock::new(),
            direct: Cell::default(),
            pages: RefCell::default(),
            constant: RefCell::default(),
            copied: RefCell::default(),
        }
    }

    /// Reads a copy from now on, in place of the process.
    pub fn hold(&self, copied: Rc<Copied>) {
        self.forget();
        self.copied.replace(Some(copied));
    }

    /// Whether a copy is read, which does not change.
    pub fn is_held(&self) -> bool {
        self.copied.borrow().is_some()
    }

    /// Reads the state of a past moment: these pages, and what is mapped from files to be read only. Anything else
    /// cannot be read, for it may have changed. Ends with the next [`forget`](Memory::forget).
    pub fn go_back(&self, pages: impl Iterator<Item = (u64, Box<Page>)>) {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.pid)).unwrap_or_default();
        self.constant.replace(Some(maps.lines().filter_map(constant_range).collect()));
        self.pages.replace(pages.map(|(start, page)| (start, Some(page))).collect());
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where the files that the process sees are for others: it may be in a container.
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }

    /// Whether the process has loaded the C library that this one has loaded.
    pub fn has_our_c_library(&self) -> bool {
        let ours = c_library("self");
        ours.is_some() && ours == c_library(&self.pid.to_string())
    }

    /// Forgets what was read: the process may have run since.
    pub fn forget(&self) {
        self.pages.borrow_mut().clear();
        self.constant.take();
        self.direct.set(None);
    }

    /// Whether more pages may be kept.
    pub fn has_room(&self) -> bool {
        self.pages.borrow().len() < KEPT
    }

    /// Fills `buffer` from `address`; false unless all of it could be read.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        let Some(end) = address.checked_add(buffer.len() as u64) else { return false };
        if let Some(copied) = &*self.copied.borrow() {
            match copied.read(address, buffer) {
                Found::All => return true,
                Found::Nothing => return false,
                Found::InProcess => {}
            }
        }
        let constant = self.constant.borrow();
        if constant.is_none() && buffer.len() as u64 > 4 * PAGE {
            return self.read_system(address, buffer);
        }
        let mut pages = self.pages.borrow_mut();
        let mut at = address;
        while at < end {
            let start = at & !(PAGE - 1);
            let page = pages.entry(start).or_insert_with(|| {
                let mut page = Box::new([0; PAGE as usize]);
                let changes = constant.as_ref().is_some_and(|all| !all.iter().any(|range| range.contains(&start)));
                (!changes && self.read_system(start, &mut *page)).then_some(page)
            });
            let Some(page) = page else { return false };
            let part = (start + (PAGE - 1)).min(end - 1) - at + 1;
            let (from, to) = ((at - start) as usize, (at - address) as usize);
            buffer[to..to + part as usize].copy_from_slice(&page[from..from + part as usize]);
            at = match at.checked_add(part) {
                Some(next) => next,
                None => break,
            };
        }
        true
    }

    fn read_system(&self, address: u64, buffer: &mut [u8]) -> bool {
        self.read_direct(address, buffer) || self.read_file(address, buffer)
    }

    /// Reads `length` bytes at `address`; None if they cannot be read, or exceed any sensible length.
    pub fn bytes(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        if length > LARGEST {
            return None;
        }
        let mut buffer = vec![0; length];
        self.read(address, &mut buffer).then_some(buffer)
    }

    /// The word at `address`.
    pub fn word(&self, address: u64) -> Option<u64> {
        let mut buffer = [0; 8];
        self.read(address, &mut buffer).then(|| u64::from_le_bytes(buffer))
    }

    /// Reads the words at these addresses, which may lie far apart: one system call per thousand words, and no page is
    /// kept.
    pub fn words(&self, addresses: &[u64]) -> Vec<Option<u64>> {
        const AT_ONCE: usize = 512;
        let mut words = Vec::with_capacity(addresses.len());
        if self.is_held() {
            return addresses.iter().map(|address| self.word(*address)).collect();
        }
        for some in addresses.chunks(AT_ONCE) {
            let mut bytes = vec![0; some.len() * 8];
            if self.read_scattered(some, &mut bytes) {
                words.extend(bytes.as_chunks::<8>().0.iter().map(|word| Some(u64::from_le_bytes(*word))));
            } else {
                words.extend(some.iter().map(|address| self.word(*address)));
            }
        }
        words
    }

    /// Checks that the system lets this process read the other one at all.
    ///
    /// # Errors
    ///
    /// A sentence that says why not, and what to do.
    pub fn reach(&self, address: u64) -> Result<(), String> {
        let mut word = [0; 8];
        if self.read_system(address, &mut word) {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
        Err(refused(self.pid, &error, scope.trim()))
    }

    /// Fills `buffer` from these places, which together are as long, unless a filter of system calls could end this
    /// process at it.
    #[cfg(target_os = "linux")]
    fn read_places(&self, places: &[nix::sys::uio::RemoteIoVec], buffer: &mut [u8]) -> bool {
        let Ok(pid) = i32::try_from(self.pid) else { return false };
        let direct = self.direct.get().unwrap_or_else(|| !tinyio_events::sandbox::is_filtered());
        self.direct.set(Some(direct));
        let wanted = buffer.len();
        let local = &mut [std::io::IoSliceMut::new(buffer)];
        direct && nix::sys::uio::process_vm_readv(nix::unistd::Pid::from_raw(pid), local, places) == Ok(wanted)
    }

    #[cfg(target_os = "linux")]
    fn read_scattered(&self, addresses: &[u64], words: &mut [u8]) -> bool {
        use nix::sys::uio::RemoteIoVec;
        let places: Vec<_> = addresses.iter().map(|base| RemoteIoVec { base: *base as usize, len: 8 }).collect();
        self.read_places(&places, words)
    }

    #[cfg(not(target_os = "linux"))]
    fn read_scattered(&self, _addresses: &[u64], _words: &mut [u8]) -> bool {
        false
    }

    #[cfg(target_os = "linux")]
    fn read_direct(&self, address: u64, buffer: &mut [u8]) -> bool {
        let Ok(base) = usize::try_from(address) else { return false };
        let len = buffer.len();
        self.read_places(&[nix::sys::uio::RemoteIoVec { base, len }], buffer)
    }

    #[cfg(not(target_os = "linux"))]
    fn read_direct(&self, _address: u64, _buffer: &mut [u8]) -> bool {
        false
    }

    #[cfg(target_os = "linux")]
    fn read_file(&self, address: u64, buffer: &mut [u8]) -> bool {
        use std::os::unix::fs::FileExt;
        let file = self.file.get_or_init(|| File::open(format!("/proc/{}/mem", self.pid)).ok());
        file.as_ref().is_some_and(|file| file.read_exact_at(buffer, address).is_ok())
    }

    #[cfg(not(target_os = "linux"))]
    fn read_file(&self, _address: u64, _buffer: &mut [u8]) -> bool {
        let _ = &self.file;
        false
    }
}

/// The range of a line of `/proc/PID/maps`, if a file is mapped there and cannot be written to.
fn constant_range(line: &str) -> Option<Range<u64>> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    words.next().filter(|access| !access.contains('w'))?;
    words.nth(3).filter(|path| path.starts_with('/'))?;
    Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
}

/// Reads these pages of this process. Adds those that can be read to `pages`, and their bytes to `bytes`, in the same
/// order; `bytes` has room for them. Returns the other pages. The caller has checked that no filter of system calls
/// ends the process for it.
#[cfg(target_os = "linux")]
pub(super) fn read_pages(wanted: &mut Vec<u64>, pages: &mut Vec<u64>, bytes: &mut [u8]) -> Vec<u64> {
    use nix::sys::uio::{RemoteIoVec, process_vm_readv};
    let own = nix::unistd::Pid::this();
    let mut unreadable = Vec::new();
    while !wanted.is_empty() {
        let remote: Vec<_> =
            wanted.iter().map(|page| RemoteIoVec { base: *page as usize, len: PAGE as usize }).collect();
        let room = pages.len() * PAGE as usize..(pages.len() + wanted.len()) * PAGE as usize;
        let local = &mut [std::io::IoSliceMut::new(&mut bytes[room])];
        let read = process_vm_readv(own, local, &remote).unwrap_or(0) / PAGE as usize;
        pages.extend_from_slice(&wanted[..read]);
        // The system stops at the first that cannot be read.
        unreadable.extend(wanted.get(read));
        wanted.drain(..(read + 1).min(wanted.len()));
    }
    unreadable
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read_pages(wanted: &mut Vec<u64>, _: &mut Vec<u64>, _: &mut [u8]) -> Vec<u64> {
    std::mem::take(wanted)
}

/// Why the memory of a process cannot be read.
fn refused(pid: u32, error: &std::io::Error, scope: &str) -> String {
    let what = format!("the memory of process {pid} cannot be read");
    match (error.kind(), scope) {
        (std::io::ErrorKind::PermissionDenied, "1") => format!(
            "{what}: the system allows that to its parent and the administrator only (kernel.yama.ptrace_scope = 1); run this with `sudo`, \
             start the program with `tinyio-inspector run`, or allow it with `sudo sysctl kernel.yama.ptrace_scope=0`"
        ),
        (std::io::ErrorKind::PermissionDenied, "2") => format!(
            "{what}: the system allows that to the administrator only (kernel.yama.ptrace_scope = 2); run this with `sudo`"
        ),
        (std::io::ErrorKind::PermissionDenied, "3") => format!(
            "{what}: the system allows that to no process (kernel.yama.ptrace_scope = 3, which lasts until it starts anew)"
        ),
        (std::io::ErrorKind::PermissionDenied, _) => format!("{what}: {}", super::NOT_ALLOWED),
        _ if cfg!(not(target_os = "linux")) => format!("{what}: that is done on Linux only so far"),
        _ => format!("{what}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_far_apart_are_read_at_once_and_those_that_cannot_be_are_none() {
        let memory = Memory::of(std::process::id());
        let numbers: Vec<Box<u64>> = (0..1300).map(Box::new).collect();
        let mut addresses: Vec<u64> =
            numbers.iter().map(|number| std::ptr::from_ref(&**number).addr() as u64).collect();
        addresses.insert(700, 8);
        let words = memory.words(&addresses);
        assert_eq!(words[700], None, "nothing is there");
        let read: Vec<u64> = words.into_iter().flatten().collect();
        assert_eq!(read, (0..1300).collect::<Vec<_>>());
    }

    #[test]
    fn a_refusal_to_read_memory_names_what_to_do() {
        let denied = std::io::Error::from_raw_os_error(1);
        assert_eq!(denied.kind(), std::io::ErrorKind::PermissionDenied);
        for (scope, part) in [
            ("1", "start the program with `tinyio-inspector run`"),
            ("2", "with `sudo`"),
            ("3", "no process"),
            ("", "sudo"),
        ] {
            assert!(refused(42, &denied, scope).contains(part), "{scope}");
        }
        let gone = std::io::Error::from_raw_os_error(3);
        assert!(refused(42, &gone, "1").contains("process 42 cannot be read: "));
    }
}
