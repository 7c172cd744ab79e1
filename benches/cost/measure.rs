//! What the benches of this package share: programs that are built, run alternately, and print one figure.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The number of runs of each.
pub const RUNS: usize = 9;

pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

pub fn mark(fits: bool) -> char {
    if fits { '✔' } else { '✘' }
}

/// With the argument `console`, the folder of the program of tokio under console-subscriber.
pub fn console() -> Result<Option<PathBuf>, String> {
    if !std::env::args().any(|arg| arg == "console") {
        return Ok(None);
    }
    let build = build(&["build", "--quiet", "--release"], "benches/console", "console", "--cfg tokio_unstable")?;
    Ok(Some(build.join("tinyio-bench-console")))
}

/// Builds something in a folder of the repository and gives the folder of the program.
pub fn build(args: &[&str], folder: &str, target: &str, flags: &str) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // A target folder each, or every run would rebuild everything.
    let targets = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = targets.join(target);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root.join(folder)).args(args).arg("--target-dir").arg(&target);
    if !flags.is_empty() {
        command.env("RUSTFLAGS", flags);
    }
    match command.status().map_err(|error| format!("cannot start cargo: {error}"))? {
        status if status.success() => Ok(target.join("release")),
        status => Err(format!("cargo {} failed: {status}", args.join(" "))),
    }
}

/// Measures one figure in a process of its own: the switch is read when a loop starts.
pub fn run(program: &Path, args: &[&str], rings: Option<&Path>) -> Result<f64, String> {
    let mut command = Command::new(program);
    command.args(args).env_remove("TINYIO_TRACE").env_remove("TINYIO_INSPECT").env_remove("TINYIO_RING");
    if let Some(rings) = rings {
        command.env("TINYIO_INSPECT", "record").env("TINYIO_RING_DIR", rings);
    }
    let output = command.output().map_err(|error| format!("{}: cannot start it: {error}", program.display()))?;
    // Before the system begins to write the ring to disk, which would count in the next figure.
    if let Some(rings) = rings {
        std::fs::remove_dir_all(rings).map_err(|error| format!("{}: cannot remove it: {error}", rings.display()))?;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    text.trim().parse().map_err(|_| format!("{} {args:?}: no figure: {text}{stderr}", program.display()))
}

pub fn middle(mut figure: impl FnMut() -> Result<f64, String>) -> Result<f64, String> {
    Ok(median((0..RUNS).map(|_| figure()).collect::<Result<_, _>>()?))
}
