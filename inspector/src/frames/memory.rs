//! Reading the memory of a process through the system, this one's too: a wild pointer is an error here, never a fault.

use std::fs::File;
use std::sync::OnceLock;

/// The memory of one process.
pub(super) struct Memory {
    pid: u32,
    /// `/proc/PID/mem`, for systems whose `process_vm_readv` is forbidden (seccomp). It is the second choice: it reads
    /// pages that are protected against reading, and cannot be opened by a process that is not dumpable.
    file: OnceLock<Option<File>>,
}

const LARGEST: usize = 16 << 20;

impl Memory {
    pub fn of(pid: u32) -> Memory {
        Memory { pid, file: OnceLock::new() }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Fills `buffer` from `address`; false unless all of it could be read.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        buffer.is_empty()
            || address.checked_add(buffer.len() as u64).is_some()
                && (self.read_direct(address, buffer) || self.read_file(address, buffer))
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
