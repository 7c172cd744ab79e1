//! Builds and runs the programs of `tasks-programs`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tinyio_frames::Limits;
use tinyio_tasks::{Options, Picture, take};

/// A running program, the tasks of which may still be on the way to their awaits.
pub struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    /// How many tasks there are of each function.
    pub started: BTreeMap<String, usize>,
}

/// From the package of the tests, and from that of the fuzz targets.
const FOLDER: &str = if option_env!("CARGO_TARGET_TMPDIR").is_some() { "tests" } else { "../tasks/tests" };

/// Where files may be written. Fuzz targets have no folder of their own.
pub fn folder() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Versions of tokio and async-executor in place of those of the lock file, and a compiler in place of that of the
/// tests: see `tests/versions` at the root.
const VERSIONS: [(&str, &str); 2] = [("TASKS_TOKIO", "tokio"), ("TASKS_EXECUTOR", "async-executor")];
const COMPILER: &str = "TASKS_RUSTC";
/// From tokio 1.44 on, its broadcast channels have them.
const WEAK_SENDERS: u32 = 44;

/// Builds the programs in a profile, and returns the path of the program.
pub fn build(profile: &str) -> PathBuf {
    // Tests run at the same time, and wait for each other rather than for the lock of the folder.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join("tasks-programs");
    let of = |(variable, name): (&str, &'static str)| Some((name, std::env::var(variable).ok()?));
    let versions: Vec<(&str, String)> = VERSIONS.into_iter().filter_map(of).collect();
    let compiler = std::env::var_os(COMPILER).map(PathBuf::from);
    if versions.is_empty() && compiler.is_none() {
        return build_in(&package, &folder().join("tasks-programs"), profile, compiler.as_deref(), true);
    }
    let mut key: Vec<String> = versions.iter().map(|(name, version)| format!("{name}-{version}")).collect();
    let toolchain = compiler.as_deref().and_then(|path| path.ancestors().nth(2)?.file_name());
    key.extend(toolchain.map(|name| name.to_string_lossy().into_owned()));
    let target = folder().join("versions").join(key.join("-"));
    let copy = target.join("tasks-programs");
    if !copy.join("Cargo.lock").exists() {
        copied(&package, &copy).expect("the folder can be written to");
        for (name, version) in &versions {
            let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
            cargo.args(["update", "--quiet", "-p", name, "--precise", version]).current_dir(&copy);
            assert!(cargo.status().expect("cargo runs").success(), "{name} {version} is not to be had");
        }
    }
    build_in(&copy, &target, profile, compiler.as_deref(), false)
}

/// Copies the package, with the paths in its manifest.
fn copied(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if path.is_dir() {
            copied(&path, &to.join(name))?;
        } else if name == "Cargo.toml" {
            let root = from.join("../../../..").canonicalize()?;
            let text = std::fs::read_to_string(&path)?.replace("../../../..", &root.to_string_lossy());
            std::fs::write(to.join(name), text)?;
        } else {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

fn build_in(package: &Path, target: &Path, profile: &str, compiler: Option<&Path>, is_locked: bool) -> PathBuf {
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["build", "--quiet", "--profile", profile, "--manifest-path"]).arg(package.join("Cargo.toml"));
    cargo.args(is_locked.then_some("--locked"));
    cargo.arg("--target-dir").arg(target).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // Their types are read.
    cargo.env_remove("CARGO_PROFILE_DEV_DEBUG");
    if let Some(compiler) = compiler {
        cargo.env("RUSTC", compiler);
    }
    let tokio = std::env::var(VERSIONS[0].0).unwrap_or_default();
    let minor = tokio.strip_prefix("1.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
    cargo.envs(minor.filter(|minor| *minor < WEAK_SENDERS).map(|_| ("RUSTFLAGS", "--cfg has_no_weak_senders")));
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join(if profile == "dev" { "debug" } else { profile }).join("tasks-programs")
}

/// Another program beside it.
pub fn build_other(profile: &str, name: &str) -> PathBuf {
    build(profile).with_file_name(name)
}

impl Program {
    pub fn start(profile: &str, kind: &str, count: usize) -> Program {
        Program::start_binary(&build(profile), kind, count)
    }

    pub fn start_binary(binary: &Path, kind: &str, count: usize) -> Program {
        let mut command = Command::new(binary);
        command.args([kind, &count.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A binary just written is busy while another thread's child still has it open, until that one has started.
        let mut child = loop {
            match command.spawn() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                other => break other.expect("the program starts"),
            }
        };
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut started: BTreeMap<String, usize> = BTreeMap::new();
        for line in output.by_ref().lines().map(|line| line.expect("text")).take_while(|line| line != "ready") {
            let (function, count) = line.split_once('\t').expect("a function and a number");
            *started.entry(function.to_owned()).or_default() += count.parse::<usize>().expect("a number");
        }
        Program { child, output, started }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether its runtime still runs tasks: fails or waits for ever if not.
    pub fn answers(&mut self) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("it reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it writes");
        assert_eq!(line, "alive\n");
    }

    /// Its tasks, without values.
    pub fn tasks(&self) -> Picture {
        self.read(false, false)
    }

    /// Its tasks without the futures of `block_on`, which have tests of their own.
    pub fn read(&self, values: bool, no_stop: bool) -> Picture {
        let limits = Limits { values, source: 0, ..Limits::default() };
        let mut picture =
            take(self.pid(), &Options { no_stop, limits: Some(limits), ..Options::default() }).expect("a picture");
        picture.tasks.retain(|task| task.thread.is_none());
        picture.runtimes.retain(|runtime| runtime.flavor != "block_on");
        picture
    }

    /// Its tasks, once they are as they will be.
    pub fn tasks_when(&self, is_so: impl Fn(&Picture) -> bool) -> Picture {
        until(|| self.tasks(), is_so)
    }

    /// All that is in a picture of it, once it is as it will be.
    pub fn all_when(&self, is_so: impl Fn(&Picture) -> bool) -> Picture {
        until(|| take(self.pid(), &Options::default()).expect("a picture"), is_so)
    }
}

/// Looks again and again; `TINYIO_TEST_SECONDS` gives a busy machine longer.
fn until(look: impl Fn() -> Picture, is_so: impl Fn(&Picture) -> bool) -> Picture {
    let seconds = std::env::var("TINYIO_TEST_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (begin, longest) = (Instant::now(), Duration::from_secs(seconds.unwrap_or(120)));
    loop {
        let picture = look();
        if is_so(&picture) {
            return picture;
        }
        let text = || tinyio_tasks::text(&picture);
        assert!(begin.elapsed() < longest, "after {longest:?} it is not as it will be:\n{}", text());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
