//! Filters of system calls (seccomp).
//!
//! A filter may refuse a call with an error, or end the process at it. No call shows which without the risk, so under a
//! filter the recorder and the reader of frames do without the calls that sandboxes forbid: `fallocate`, `madvise` and
//! `process_vm_readv`, and start no thread that they can do without.

#[cfg(target_os = "linux")]
use std::io::{BufRead, Read};

/// Whether a filter checks the system calls of this thread, or this is unknown. A thread can get a filter at any
/// time, and never loses it.
#[cfg(target_os = "linux")]
pub fn is_filtered() -> bool {
    // About 1.5 kB. `fs::read` takes ten system calls for a file that states no size, which is most of the cost.
    let mut status = [0; 8192];
    let length = std::fs::File::open("/proc/thread-self/status").and_then(|mut file| file.read(&mut status));
    !length.is_ok_and(|length| length < status.len() && shows_no_filter(&status[..length]))
}

/// Other systems have no such filters.
#[cfg(not(target_os = "linux"))]
pub fn is_filtered() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn shows_no_filter(status: &[u8]) -> bool {
    let mut rest = status;
    loop {
        if let Some(mode) = rest.strip_prefix(b"Seccomp:") {
            return mode.trim_ascii_start().first() == Some(&b'0');
        }
        // The search of the standard library is optimised in any build. This is asked before each of the first steps.
        match rest.skip_until(b'\n') {
            Ok(1..) => {}
            // Kernels that are built without seccomp have no such line.
            _ => return true,
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_thread_shows_a_filter() {
        assert!(shows_no_filter(b"Name:\tp\nSeccomp:\t0\nSeccomp_filters:\t0\n"));
        assert!(shows_no_filter(b"Name:\tp\nSeccomp_filters:\t1\n"));
        assert!(!shows_no_filter(b"Name:\tp\nSeccomp:\t2\nSeccomp_filters:\t1\n"), "a filter");
        assert!(!shows_no_filter(b"Name:\tp\nSeccomp:\t1\n"), "read, write and exit only");
    }
}
