//! Measures what recording costs: `cargo bench --bench recording`. With `-- console` also beside console-subscriber,
//! which takes minutes to build.
//!
//! The program `tinyio-cost` is built twice, with the recorder and without, and run alternately: without it, with it
//! but not switched on, and recorded. The figures are medians of the CPU time of the loop's thread; the goals for what
//! is recorded are in units of one `Instant::now()` of the same run, because reading the clock is most of the cost of
//! an event. The work of the recorder's other threads, which fault in the ring's memory and wait for readers, is not
//! included.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The number of runs of each.
const RUNS: usize = 9;

/// The work, its name, what one operation is, and how many clock readings recording it may cost.
const WORK: [(&str, &str, &str, f64); 5] = [
    ("W1", "spawn + await, one after another, 1M", "a coroutine", 3.0),
    ("W2", "gather, 10k", "a coroutine", 3.0),
    ("W2M", "gather, 1M", "a coroutine", 3.0),
    ("W3", "yield, one task, 1M", "a step", 1.0),
    ("W4", "chain of 100k", "a coroutine", 3.0),
];
/// console-subscriber has to add at least this many times the cost of recording.
const CONSOLE: f64 = 30.0;
/// The limit for the cost of a recorder that is built in and not switched on: a fraction, or, for a step that does
/// nothing else, ns.
const OFF_PART: f64 = 0.03;
const OFF_STEP: f64 = 2.0;

fn main() -> ExitCode {
    match table() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tinyio-benches: {error}");
            ExitCode::from(2)
        }
    }
}

fn table() -> Result<(), String> {
    let cost = ["build", "--quiet", "--profile", "bench", "-p", "tinyio-cost"];
    let without = build(&cost, "", "cost-off", "")?.join("tinyio-cost");
    let with = build(&[&cost[..], &["--features", "record"]].concat(), "", "cost-on", "")?.join("tinyio-cost");
    let console = match std::env::args().any(|arg| arg == "console") {
        true => {
            let build =
                build(&["build", "--quiet", "--release"], "benches/console", "console", "--cfg tokio_unstable")?;
            Some(build.join("tinyio-bench-console"))
        }
        false => None,
    };
    // Rings of other programs are not touched.
    let rings = std::env::temp_dir().join(format!("tinyio-bench-{}", std::process::id()));
    let clock = middle(|| run(&without, &["clock"], None))?;
    println!("Recording, medians of {RUNS}; one Instant::now() is {clock:.1} ns\n");
    for (id, title, what, goal) in WORK {
        let (mut plain, mut off, mut on) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..RUNS {
            plain.push(run(&without, &[id], None)?);
            off.push(run(&with, &[id], None)?);
            on.push(run(&with, &[id], Some(&rings))?);
        }
        let (plain, off, on) = (median(plain), median(off), median(on));
        let (costs_off, added) = (off - plain, (on - off) / clock);
        println!("{id} {title} (ns)\n    not built in {plain:.1}   off {off:.1}   recorded {on:.1}");
        let (fits, goal_off) = if id == "W3" {
            (costs_off <= OFF_STEP, format!("{OFF_STEP} ns"))
        } else {
            (costs_off <= plain * OFF_PART, format!("{} %", OFF_PART * 100.0))
        };
        println!("    {} off: {:+.1} %, {costs_off:+.1} ns; goal ≤ {goal_off}", mark(fits), costs_off / plain * 100.0);
        println!("    {} recorded: adds {added:.2} clock readings to {what}; goal ≤ {goal}", mark(added <= goal));
        if let Some(console) = console.as_ref().filter(|_| ["W1", "W2", "W3"].contains(&id)) {
            let plain = middle(|| run(console, &[id], None))?;
            let watched = middle(|| run(console, &[id, "console"], None))?;
            let ratio = (watched - plain) / (on - off);
            println!(
                "    {} tokio {plain:.1}, under console-subscriber {watched:.1}: it adds {ratio:.0} × as much; goal ≥ {CONSOLE}",
                mark(ratio >= CONSOLE)
            );
        }
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn mark(fits: bool) -> char {
    if fits { '✔' } else { '✘' }
}

/// Builds something in a folder of the repository and gives the folder of the program.
fn build(args: &[&str], folder: &str, target: &str, flags: &str) -> Result<PathBuf, String> {
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
fn run(program: &Path, args: &[&str], rings: Option<&Path>) -> Result<f64, String> {
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

fn middle(mut figure: impl FnMut() -> Result<f64, String>) -> Result<f64, String> {
    Ok(median((0..RUNS).map(|_| figure()).collect::<Result<_, _>>()?))
}
