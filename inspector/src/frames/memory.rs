//! Reading the memory of a process through the system, this one's too: a wild pointer is an error here, never a fault.

use std::cell::RefCell;
use std::fs::File;
use std::sync::OnceLock;

use super::hash::FastMap;

/// The memory of one process.
pub(super) struct Memory {
    pid: u32,
    /// `/proc/PID/mem`, for systems whose `process_vm_readv` is forbidden (seccomp). It is the second choice: it reads
    /// pages that are protected against reading, and cannot be opened by a process that is not dumpable.
    file: OnceLock<Option<File>>,
    /// Pages read since [`forget`](Memory::forget): a stack is a hundred small reads of a few pages. None cannot be read.
    pages: RefCell<FastMap<u64, Option<Box<Page>>>>,
}

const PAGE: u64 = 4096;
type Page = [u8; PAGE as usize];

const LARGEST: usize = 16 << 20;

impl Memory {
    pub fn of(pid: u32) -> Memory {
        Memory { pid, file: OnceLock::new(), pages: RefCell::default() }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Forgets what was read: the process may have run since.
    pub fn forget(&self) {
        self.pages.borrow_mut().clear();
    }

    /// Fills `buffer` from `address`; false unless all of it could be read.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        let Some(end) = address.checked_add(buffer.len() as u64) else { return false };
        if buffer.len() as u64 > 4 * PAGE {
            return self.read_system(address, buffer);
        }
        let mut pages = self.pages.borrow_mut();
        let mut at = address;
        while at < end {
            let start = at & !(PAGE - 1);
            let page = pages.entry(start).or_insert_with(|| {
                let mut page = Box::new([0; PAGE as usize]);
                self.read_system(start, &mut *page).then_some(page)
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

    /// `length` bytes at `address`; None if they cannot be read, or are more than anything sensible.
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

    #[cfg(target_os = "linux")]
    fn read_direct(&self, address: u64, buffer: &mut [u8]) -> bool {
        use nix::sys::uio::{RemoteIoVec, process_vm_readv};
        let (Ok(pid), Ok(base)) = (i32::try_from(self.pid), usize::try_from(address)) else { return false };
        let wanted = buffer.len();
        let remote = [RemoteIoVec { base, len: wanted }];
        let local = &mut [std::io::IoSliceMut::new(buffer)];
        process_vm_readv(nix::unistd::Pid::from_raw(pid), local, &remote) == Ok(wanted)
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
