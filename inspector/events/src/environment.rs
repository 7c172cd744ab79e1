//! The environment of this process: its variables, and what its stderr is.
//!
//! A setuid, setgid or setcap program runs with privileges that the starting user does not have, and with the
//! environment of that user. Such a program must not write to a file, run an editor or show memory because a variable
//! says so. For it every variable counts as unset, as in `secure_getenv` of the C library.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The value of a variable; `None` if it is unset, or if the program [is privileged](is_trusted).
pub fn var_os(name: &str) -> Option<OsString> {
    is_trusted().then(|| std::env::var_os(name)).flatten()
}

/// The value of a variable; `None` if it is unset or not Unicode, or if the program [is privileged](is_trusted).
pub fn var(name: &str) -> Option<String> {
    var_os(name)?.into_string().ok()
}

/// The directory for temporary files: `TMPDIR`, or `/tmp`.
pub fn temp_dir() -> PathBuf {
    if is_trusted() { std::env::temp_dir() } else { PathBuf::from("/tmp") }
}

/// The home directory of the user; `None` if the program [is privileged](is_trusted).
pub fn home_dir() -> Option<PathBuf> {
    is_trusted().then(std::env::home_dir).flatten()
}

/// Columns of the terminal that stderr is, if it is one.
pub fn stderr_columns() -> Option<usize> {
    rustix::termios::tcgetwinsize(std::io::stderr()).ok().map(|size| usize::from(size.ws_col))
}

/// Whether to write to stderr in colours: if it is a terminal, and `NO_COLOR` is not set.
pub fn stderr_in_color() -> bool {
    std::io::stderr().is_terminal() && var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Whether the environment can be trusted: false in a program that got privileges when it was started (`AT_SECURE`),
/// even if it has dropped them since.
///
/// The answer is that of the first call. Linux: a program that cannot read `/proc/self/auxv`, because there is no
/// `/proc` or because the program is not dumpable, counts as privileged. Other systems: a program is privileged if its
/// real and effective user or group differ.
pub fn is_trusted() -> bool {
    static TRUSTED: OnceLock<bool> = OnceLock::new();
    *TRUSTED.get_or_init(|| !is_privileged())
}

#[cfg(target_os = "linux")]
fn is_privileged() -> bool {
    auxiliary_vector().ok().and_then(|vector| is_secure(&vector)) != Some(false)
}

/// What the kernel passed to this program when it was started. Only the kernel's own file counts: in another
/// root directory, any file may have that path.
#[cfg(target_os = "linux")]
fn auxiliary_vector() -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut file = std::fs::File::open("/proc/self/auxv")?;
    if rustix::fs::fstatfs(&file)?.f_type != rustix::fs::PROC_SUPER_MAGIC {
        return Err(std::io::ErrorKind::Unsupported.into());
    }
    let mut vector = Vec::new();
    file.read_to_end(&mut vector)?;
    Ok(vector)
}

/// The value of `AT_SECURE` in an auxiliary vector: pairs of words, a key and its value. `None` if it is not there.
#[cfg(target_os = "linux")]
fn is_secure(vector: &[u8]) -> Option<bool> {
    const AT_SECURE: usize = 23;
    let (words, _) = vector.as_chunks::<{ size_of::<usize>() }>();
    let (pairs, _) = words.as_chunks::<2>();
    let value = pairs.iter().find(|[key, _]| usize::from_ne_bytes(*key) == AT_SECURE).map(|[_, value]| value);
    value.map(|value| usize::from_ne_bytes(*value) != 0)
}

#[cfg(not(target_os = "linux"))]
fn is_privileged() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_states_whether_a_program_is_privileged() {
        let vector =
            |pairs: &[[usize; 2]]| pairs.as_flattened().iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
        assert_eq!(is_secure(&vector(&[[6, 4096], [23, 0], [0, 0]])), Some(false));
        assert_eq!(is_secure(&vector(&[[6, 4096], [23, 1], [0, 0]])), Some(true));
        assert_eq!(is_secure(&vector(&[[6, 23], [25, 23], [0, 0]])), None, "a value is no key");
        assert_eq!(is_secure(&vector(&[[6, 4096], [23, 1]])[..24]), None, "cut off");
        assert_eq!(is_secure(&auxiliary_vector().unwrap()), Some(false), "the tests are not privileged");
    }
}
