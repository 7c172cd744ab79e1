//! The program of docs/ANY-PROGRAM.md, which is not prepared for anything, and has come to a stop.

#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The folder of its package.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tasks/tests/tasks-programs")
}

/// The program; dropping it ends it.
pub struct Stuck(Child);

impl Stuck {
    /// Starts it, and waits until all of its tasks wait.
    pub fn start() -> Stuck {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tasks-programs");
        let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
        cargo.args(["build", "--quiet", "--locked", "--profile", "dev", "--bin", "check-programs", "--manifest-path"]);
        cargo.arg(folder().join("Cargo.toml")).arg("--target-dir").arg(&target);
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        // Its types are read.
        cargo.env_remove("CARGO_PROFILE_DEV_DEBUG");
        let output = cargo.output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut command = Command::new(target.join("debug/check-programs"));
        let mut child =
            command.arg("deadlock").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert!(lines.map(|line| line.expect("text")).any(|line| line == "ready"));
        let program = Stuck(child);
        // Each of its tasks comes to a stop after the program has printed that they were started.
        let stuck = [("waits on a lock at", 2), ("holds a lock at", 2), ("waits on task", 1)];
        let (begin, longest) = (Instant::now(), longest());
        loop {
            let mut tasks = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"));
            let output = tasks.arg("tasks").arg(program.pid().to_string()).output().expect("the inspector runs");
            let text = String::from_utf8_lossy(&output.stdout);
            if stuck.iter().all(|(what, count)| text.matches(what).count() == *count) {
                return program;
            }
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(begin.elapsed() < longest, "after {longest:?} not all of its tasks wait:\n{text}{error}");
        }
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Its core file; none if there is no `gcore`.
    pub fn core(&self) -> Option<PathBuf> {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stuck");
        let done = Command::new("gcore").arg("-o").arg(&base).arg(self.pid().to_string()).output().ok()?;
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Some(base.with_added_extension(self.pid().to_string()))
    }
}

/// For how long is waited for what never takes long; `TINYIO_TEST_SECONDS` gives a busy machine longer.
fn longest() -> Duration {
    let seconds = std::env::var("TINYIO_TEST_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(120))
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says on the terminal, where a test that passes prints nothing, that this one has tested nothing.
pub fn skipped() {
    let why = "gcore, which comes with gdb, is not installed";
    let _ = writeln!(std::io::stderr(), "core files are not tested: {why}");
}
