//! Programs with more privileges than the user that starts them: they obey no environment variable.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{StatVfsMountFlags, XattrFlags, setxattr, statvfs};
use rustix::process::geteuid;
use tinyio::{Loop, sleep};

use crate::check::{is_child, watched};

/// A user and group without rights.
const UNPRIVILEGED: u32 = 65_534;
/// The extended attribute that gives a program `CAP_NET_BIND_SERVICE`: version 2 and "effective", then permitted and
/// inheritable.
const CAPABILITY: [u32; 5] = [0x0200_0001, 1 << 10, 0, 0, 0];

/// A folder that any user may look into, with a copy of this test program.
struct Programs {
    folder: tempfile::TempDir,
}

impl Programs {
    /// `None`, and a sentence on stderr, if privileged programs cannot be made or started here.
    fn new() -> Option<Programs> {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can make a program that is privileged for another user");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let flags = statvfs(folder.path()).expect("it is there").f_flag;
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        if flags.contains(StatVfsMountFlags::NOSUID) || status.contains("NoNewPrivs:\t1") {
            eprintln!("skipped: the system starts no privileged programs in {}", folder.path().display());
            return None;
        }
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        Some(Programs { folder })
    }

    fn program(&self, name: &str, mode: u32) -> PathBuf {
        let program = self.folder.path().join(name);
        std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("room for a copy");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).expect("ours");
        program
    }

    /// What the program leaves when a user without rights requests recordings in all ways: the names in the folder for
    /// them.
    fn left_by(&self, program: &Path) -> Vec<String> {
        let open = tempfile::tempdir_in(self.folder.path()).expect("a folder");
        std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        let at = |name: &str| open.path().join(name);
        for name in ["home", "runtime", "rings", "traces"] {
            std::fs::create_dir(at(name)).expect("new");
            chown(at(name), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).expect("root may");
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o700)).expect("ours");
        }
        let run = |record: &str, rings: Option<PathBuf>| {
            let mut command = Command::new(program);
            command
                .args(["privilege::a_privileged_program_ignores_all_variables", "--exact", "--nocapture"])
                .env_clear()
                .env("TINYIO_TEST_CHILD", "1")
                .env("TINYIO_INSPECT", record)
                .env("TINYIO_TRACE", at("traces").join("t.jsonl"))
                .env("HOME", at("home"))
                .env("TMPDIR", at("home"))
                .env("XDG_RUNTIME_DIR", at("runtime"))
                .envs(rings.map(|rings| ("TINYIO_RING_DIR", rings)))
                .current_dir("/")
                .stdin(Stdio::null())
                .uid(UNPRIVILEGED)
                .gid(UNPRIVILEGED);
            let output = command.output().expect("it starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        };
        let printed = run("record", Some(at("rings"))) + &run("record", None) + &run("1", None);
        assert!(printed.contains("it ran"), "{printed}");
        let folders = ["home", "runtime", "rings", "traces"].map(|name| std::fs::read_dir(at(name)).expect("a folder"));
        let names = folders.into_iter().flatten().map(|entry| entry.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }
}

#[test]
fn a_privileged_program_ignores_all_variables() {
    let _watched = watched();
    if is_child() {
        // A loop that is recorded if a variable says so.
        Loop::new().run(sleep(Duration::from_millis(1))).unwrap();
        println!("it ran");
        return;
    }
    let Some(programs) = Programs::new() else { return };
    let plain = programs.program("plain", 0o755);
    let left = programs.left_by(&plain);
    assert!(left.iter().any(|name| name == "t.jsonl"), "a program without privileges obeys: {left:?}");
    assert!(left.iter().any(|name| name.ends_with(".ring")), "{left:?}");

    let setgid = programs.program("setgid", 0o755);
    chown(&setgid, None, Some(1)).expect("root may");
    // `chown` clears the bit.
    std::fs::set_permissions(&setgid, std::fs::Permissions::from_mode(0o2755)).expect("ours");
    let capable = programs.program("capable", 0o755);
    let attribute: Vec<u8> = CAPABILITY.iter().flat_map(|word| word.to_le_bytes()).collect();
    let has_attribute = setxattr(&capable, "security.capability", &attribute, XattrFlags::empty());
    for privileged in [programs.program("setuid", 0o4755), setgid] {
        assert_eq!(programs.left_by(&privileged), [""; 0], "{}", privileged.display());
    }
    match has_attribute {
        Ok(()) => assert_eq!(programs.left_by(&capable), [""; 0], "a file capability"),
        Err(error) => eprintln!("skipped: this file system gives no capabilities to programs: {error}"),
    }
}
