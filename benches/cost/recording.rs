//! Measures what recording costs: `cargo bench --bench recording`. With `-- console` also beside console-subscriber,
//! which takes minutes to build.
//!
//! The program `tinyio-cost` is built twice, with the recorder and without, and run alternately: without it, with it
//! but not switched on, and recorded. The figures are medians of the CPU time of the loop's thread; the goals for what
//! is recorded are in units of one `Instant::now()` of the same run, because reading the clock is most of the cost of
//! an event. The work of the recorder's other threads, which fault in the ring's memory and wait for readers, is not
//! included.

mod measure;

use std::process::ExitCode;

use measure::{RUNS, build, console, mark, median, middle, run};

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
    let console = console()?;
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
