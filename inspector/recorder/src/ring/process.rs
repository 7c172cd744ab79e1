//! Identifies the process that writes a ring: ids of processes are used again.

use std::fs;
use std::sync::OnceLock;

/// The number of this process's pid namespace; 0 where there is none.
pub(crate) fn namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    static NAMESPACE: OnceLock<u64> = OnceLock::new();
    *NAMESPACE.get_or_init(|| fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino()))
}

/// When this process started.
pub(crate) fn own_birth() -> u64 {
    static BIRTH: OnceLock<(u32, u64)> = OnceLock::new();
    let pid = std::process::id();
    let (of, birth) = *BIRTH.get_or_init(|| (pid, born(pid).unwrap_or(0)));
    if of == pid { birth } else { born(pid).unwrap_or(0) }
}

/// When a process started, by the system's count; `None` when there is no such process, or it is a zombie.
#[cfg(target_os = "linux")]
pub fn born(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses, which may hold anything.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Other systems have no simple way to read the start time: any process with that id counts as the writer.
#[cfg(not(target_os = "linux"))]
pub fn born(pid: u32) -> Option<u64> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)?;
    match rustix::process::test_kill_process(pid) {
        Err(rustix::io::Errno::SRCH) => None,
        _ => Some(0),
    }
}

/// Returns a number for this boot of the machine: process ids start again with each boot.
pub(crate) fn boot() -> u64 {
    static BOOT: OnceLock<u64> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let id = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ *byte as u64).wrapping_mul(0x100_0000_01b3))
    })
}
