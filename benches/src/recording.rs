//! What recording costs: `cargo bench --bench recording`, at the root, where the feature is built in.
//!
//! The switch is read when a loop starts, from the environment, so each measurement is a process of its own: this program calls
//! itself. The figures are differences of medians; the goals are in units of one `Instant::now()` of the same run, for the clock
//! is most of an event.

#[allow(dead_code, reason = "shared with the other table")]
mod limit;
#[allow(dead_code, reason = "shared with the other table")]
mod measure;
#[allow(dead_code, unused_imports, reason = "shared with the other table")]
mod peer;
#[allow(dead_code, reason = "shared with the other table")]
mod work;

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Instant;

use measure::{busy, median};
use peer::Tinyio;

/// How often each is run.
const RUNS: usize = 7;

/// The work, its name, what one operation is, and how many clock readings recording it may cost.
const WORK: [(&str, &str, &str, f64); 3] = [
    ("W1", "spawn + await, one after another, 1M", "a coroutine", 3.0),
    ("W2", "gather, 10k", "a coroutine", 3.0),
    ("W3", "yield, one task, 1M", "a step", 1.0),
];

/// Tells the program that it was called by itself.
const CHILD: &str = "TINYIO_BENCH_CHILD";

fn work(id: &str) -> Option<f64> {
    match id {
        "W1" => Some(work::spawn_await::<Tinyio>(1_000_000)),
        "W2" => Some(work::gather::<Tinyio>(10_000)),
        "W3" => Some(work::yields::<Tinyio>(1, 1_000_000)),
        _ => None,
    }
}

fn main() -> ExitCode {
    if let Ok(id) = std::env::var(CHILD) {
        let Some(ns) = work(&id) else { return ExitCode::from(2) };
        println!("{ns}");
        return ExitCode::SUCCESS;
    }
    if !tinyio::RECORDS {
        println!(
            "Recording is not built in here; `cargo bench --bench recording` at the root of the repository builds it in."
        );
        return ExitCode::SUCCESS;
    }
    let clock = median((0..RUNS).map(|_| clock()).collect());
    println!("Recording, medians; one Instant::now() is {clock:.1} ns\n");
    for (id, title, unit, goal) in WORK {
        let (mut off, mut on) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            for (recorded, figures) in [(false, &mut off), (true, &mut on)] {
                match child(id, recorded) {
                    Ok(ns) => figures.push(ns),
                    Err(error) => {
                        eprintln!("tinyio-benches: {id}: {error}");
                        return ExitCode::from(2);
                    }
                }
            }
        }
        let (off, on) = (median(off), median(on));
        let added = (on - off) / clock;
        let mark = if added <= goal { '✔' } else { '✘' };
        println!("{id} {title} (ns)\n    off {off:.1}   recorded {on:.1}   ×{:.1}", on / off);
        println!("    {mark} adds {:.1} ns = {added:.2} clock readings to {unit}, goal ≤ {goal}", on - off);
    }
    ExitCode::SUCCESS
}

/// One reading of the clock.
fn clock() -> f64 {
    let n = 1_000_000;
    let start = busy();
    for _ in 0..n {
        black_box(Instant::now());
    }
    start.per(n)
}

/// The work in a process of its own.
fn child(id: &str, recorded: bool) -> Result<f64, String> {
    let this = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(this);
    command.env(CHILD, id).env_remove("TINYIO_TRACE").env_remove("TINYIO_INSPECT");
    if recorded {
        command.env("TINYIO_INSPECT", "record");
    }
    let output = command.output().map_err(|error| format!("cannot start this program again: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| format!("no figure: {text}{}", String::from_utf8_lossy(&output.stderr)))
}
