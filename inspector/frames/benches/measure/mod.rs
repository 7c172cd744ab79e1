//! What the benches of this crate and of tinyio-tasks have in common.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Prints one line: what was measured, how much it is, and what it should be.
pub fn row(what: &str, measured: f64, unit: &str, goal: &str) {
    let goal = if goal.is_empty() { String::new() } else { format!("≤ {goal}") };
    println!("{what:<34}{measured:>10.1} {unit:<4}{goal}");
}

/// Milliseconds since a moment.
pub fn ms(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

/// The median of so many measurements.
pub fn median(times: usize, one: impl FnMut() -> f64) -> f64 {
    let mut took: Vec<f64> = std::iter::repeat_with(one).take(times).collect();
    took.sort_by(f64::total_cmp);
    took[times / 2]
}

/// Builds a package, and returns the folder of its binaries. `arguments` are those of cargo, such as the profile;
/// `flags` those of the compiler.
pub fn build(package: &Path, target: &Path, arguments: &[&str], flags: Option<&str>) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--manifest-path"]).arg(package.join("Cargo.toml")).args(arguments);
    cargo.arg("--target-dir").arg(target).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.envs(flags.map(|flags| ("RUSTFLAGS", flags)));
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = |name: &str| arguments.iter().skip_while(|argument| **argument != name).nth(1).copied();
    let profile = after("--profile").filter(|profile| *profile != "dev").unwrap_or("debug");
    target.join(after("--target").unwrap_or_default()).join(profile)
}
