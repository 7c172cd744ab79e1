//! Clocks, memory and medians.

use std::time::Duration;

use crate::counts;

use nix::time::{ClockId, clock_gettime};

/// A start time by one of three clocks.
#[derive(Clone, Copy)]
pub struct Start(ClockId, Duration);

fn start(clock: ClockId) -> Start {
    let start = Start(clock, read(clock));
    counts::begin();
    start
}

fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).expect("Linux has it").into()
}

/// CPU time of this thread: for work that never waits, so that nothing else on the machine is measured.
pub fn busy() -> Start {
    start(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of all threads: for work that waits, when the waiting is free.
pub fn cpu() -> Start {
    start(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Wall-clock time: for work that alternates between threads.
pub fn wall() -> Start {
    start(ClockId::CLOCK_MONOTONIC)
}

impl Start {
    /// Nanoseconds per operation since the start, for this number of operations; instructions where they are counted.
    pub fn per(self, operations: u64) -> f64 {
        if let Some(instructions) = counts::end(operations) {
            return instructions;
        }
        (read(self.0) - self.1).as_nanos() as f64 / operations as f64
    }
}

/// The median.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The resident memory of the process in bytes: the cost of a task includes the allocator's overhead. Linux only.
pub fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.expect("the second field is that number") * rustix::param::page_size() as f64
}

/// The processor, as the system names it.
pub fn processor() -> String {
    let all = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = all.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let (_, name) = model.unwrap_or(("", "an unknown processor"));
    format!("{} × {name}", std::thread::available_parallelism().map_or(1, usize::from))
}

/// The profile that this program was built in, by the folder that cargo put it into.
pub fn profile() -> String {
    let this = std::env::current_exe().unwrap_or_default();
    let folder = this.parent().and_then(|deps| deps.parent()?.file_name());
    match folder.map(|folder| folder.to_string_lossy().into_owned()).as_deref() {
        Some("release") => "bench (fat LTO, one codegen unit)".to_owned(),
        Some("plain") => "plain (that of `cargo build --release`)".to_owned(),
        other => other.unwrap_or("unknown").to_owned(),
    }
}

/// Has this program make one measurement, of this name, and print it.
const CHILD: &str = "TINYIO_BENCH_CHILD";

/// The measurement that this process makes for its parent.
pub fn asked() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Measures in a process of its own, where no freed memory can be reused.
///
/// # Panics
///
/// If that process cannot be started, or prints something else.
pub fn in_child(name: &str) -> f64 {
    let this = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(this).env(CHILD, name).output().expect("it starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().unwrap_or_else(|_| panic!("{name}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}
