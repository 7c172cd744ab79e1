//! Builds and runs the programs of `frames-programs`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tinyio_events::event::{Frame, Local};
use tinyio_frames::{Frames, FutureType, Limits};

/// A program that has suspended its futures and waits.
pub struct Program {
    child: Child,
    output: BufReader<ChildStdout>,
    pub cases: Vec<Case>,
}

/// One suspended future.
pub struct Case {
    pub name: String,
    pub ty: FutureType,
    pub address: usize,
    /// Name, text and mark of locals.
    pub expected: Vec<(String, String, String)>,
}

/// Another compiler to build the programs with: `FRAMES_RUSTC=$(rustup which --toolchain nightly rustc)`.
const COMPILER: &str = "FRAMES_RUSTC";

pub fn is_of_another_compiler() -> bool {
    std::env::var_os(COMPILER).is_some()
}

/// From the package of the tests, and from that of the fuzz targets.
const FOLDER: &str = if option_env!("CARGO_TARGET_TMPDIR").is_some() { "tests" } else { "../frames/tests" };

/// Builds the programs in a profile: the path of the binary.
pub fn build(profile: &str) -> PathBuf {
    build_package("frames-programs", profile)
}

/// Builds the package of this name.
pub fn build_package(package: &str, profile: &str) -> PathBuf {
    // Fuzz targets have no folder of their own.
    let folder = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let compiler = std::env::var_os(COMPILER).map(|compiler| {
        PathBuf::from(compiler).components().rev().nth(2).map_or("other".into(), |name| name.as_os_str().to_owned())
    });
    build_in(package, profile, &folder.join(package).join(compiler.unwrap_or_default()))
}

/// The same, in this target folder.
pub fn build_in(package: &str, profile: &str, target: &Path) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(package).join("Cargo.toml");
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.args(["build", "--quiet", "--profile", profile, "--manifest-path"]).arg(manifest);
    cargo.arg("--target-dir").arg(target).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if let Some(compiler) = std::env::var_os(COMPILER) {
        cargo.env("RUSTC", compiler);
    }
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = if profile == "dev" { "debug" } else { profile };
    target.join(folder).join(package)
}

/// Writes a program that can be started.
pub fn write_executable(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a file can be written");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, permissions).expect("it can be made executable");
}

impl Program {
    pub fn start(profile: &str, arguments: &[&str]) -> Program {
        Program::start_binary(&build(profile), arguments)
    }

    pub fn start_binary(binary: &Path, arguments: &[&str]) -> Program {
        let mut command = Command::new(binary);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A binary just written is busy while another thread's child still has it open, until that one has started.
        let mut child = loop {
            match command.spawn() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                other => break other.expect("the program starts"),
            }
        };
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let cases = cases(&mut output);
        Program { child, output, cases }
    }

    /// Lets the program run on until it waits again, with other cases.
    pub fn go_on(&mut self) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(b"\n").expect("it reads");
        self.cases = cases(&mut self.output);
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A reader without bounds that could cut what is compared.
    pub fn frames(&self) -> Frames {
        let limits = Limits {
            elements: 1000,
            text: 100_000,
            total: 1_000_000,
            time: Duration::from_secs(60),
            depth: 16,
            ..Limits::default()
        };
        Frames::of_process(self.child.id()).with_limits(limits)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program says until it waits.
fn cases(output: &mut BufReader<ChildStdout>) -> Vec<Case> {
    let lines = output.lines().map(|line| line.expect("text")).take_while(|line| line != "ready");
    lines.map(|line| parse(&line)).collect()
}

fn parse(line: &str) -> Case {
    let mut fields = line.split('\t');
    let mut next = || fields.next().expect("a complete line").to_owned();
    let name = next();
    let mut number = || next().parse().expect("a number");
    let (function, drop, size, align) = (number(), number(), number(), number());
    let ty = FutureType { function, drop, size, align, name: next().leak() };
    let address = next().parse().expect("a number");
    let rest: Vec<&str> = fields.collect();
    let expected = rest.chunks_exact(3).map(|one| (one[0].into(), one[1].into(), one[2].into())).collect();
    Case { name, ty, address, expected }
}

/// The locals of all frames, those of branches too.
pub fn locals(frames: &[Frame]) -> Vec<&Local> {
    let mut found = Vec::new();
    for frame in frames {
        found.extend(&frame.locals);
        for branch in &frame.branches {
            found.extend(locals(&branch.frames));
        }
    }
    found
}

/// The stack as an outline: function and place, file by its name alone, plumbing in brackets.
pub fn shape(frames: &[Frame]) -> String {
    let mut out = String::new();
    outline(frames, 0, &mut out);
    out
}

fn outline(frames: &[Frame], depth: usize, out: &mut String) {
    for frame in frames {
        let indent = "  ".repeat(depth);
        let file = frame.file.rsplit('/').next().unwrap_or_default();
        let source = frame.source.iter().find(|(line, _)| *line == frame.line).map_or("", |(_, text)| text.trim());
        let function = if frame.hidden { format!("[{}]", frame.function) } else { frame.function.clone() };
        let note = if frame.note.is_empty() { String::new() } else { format!(" ({})", frame.note) };
        let place = if frame.line == 0 { String::new() } else { format!(" {file}: {source}") };
        out.push_str(&format!("{indent}{function}{place}{note}\n"));
        for branch in &frame.branches {
            out.push_str(&format!("{indent} |{}\n", branch.name));
            outline(&branch.frames, depth + 1, out);
        }
    }
}
