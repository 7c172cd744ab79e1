//! Measures what `observe` of tinyio-observe costs around tasks of tokio: `cargo bench --bench observe`. With
//! `-- console` also beside console-subscriber, which takes minutes to build.
//!
//! The work is a task that yields, so one poll and one wake by itself. The figures are medians; with one thread they are
//! CPU time of that thread, with several the time that passed. The goal is in units of one `Instant::now()` of the same
//! run.

mod measure;

use std::hint::black_box;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use measure::{console, mark, middle, run};
use nix::time::{ClockId, clock_gettime};
use tinyio_observe::observe;
use tokio::runtime::Builder;

/// How many clock readings recording a poll may cost.
const GOAL: f64 = 2.0;
/// Polls of a task.
const POLLS: u64 = 300_000;
/// The threads and tasks of the runs with several.
const THREADS: [usize; 2] = [1, 2];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.first().map(String::as_str) {
        Some("clock") => Ok(println!("{}", clock())),
        Some("one") => Ok(println!("{}", one_thread(args.len() > 1))),
        Some("threads") => several(&args[1], args.len() > 2).map(|figure| println!("{figure}")),
        _ => table(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tinyio-benches: {error}");
            ExitCode::from(2)
        }
    }
}

fn table() -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| format!("this program is not found: {error}"))?;
    let console = console()?;
    let rings = std::env::temp_dir().join(format!("tinyio-bench-{}", std::process::id()));
    let figure = |args: &[&str], rings: Option<&Path>| middle(|| run(&own, args, rings));
    let clock = figure(&["clock"], None)?;
    println!("Observing, medians of {}; one Instant::now() is {clock:.1} ns\n", measure::RUNS);
    let plain = figure(&["one"], None)?;
    let off = figure(&["one", "observed"], None)?;
    let on = figure(&["one", "observed"], Some(&rings))?;
    let readings = (on - plain) / clock;
    println!("a poll of a task that yields, tokio's current-thread runtime (ns)");
    println!("    without observe {plain:.1}   off {off:.1}   recorded {on:.1}");
    println!("    {} recorded: adds {readings:.2} clock readings; goal ≤ {GOAL}", mark(readings <= GOAL));
    if let Some(console) = console {
        let plain = middle(|| run(&console, &["W3"], None))?;
        let watched = middle(|| run(&console, &["W3", "console"], None))?;
        let ratio = (watched - plain) / (on - off);
        println!("    tokio {plain:.1}, under console-subscriber {watched:.1}: it adds {ratio:.0} × as much");
    }
    println!("\na poll, tokio's multi-thread runtime, a task for each thread (ns that pass for each task)");
    for threads in THREADS {
        let count = threads.to_string();
        let plain = figure(&["threads", &count], None)?;
        let on = figure(&["threads", &count, "observed"], Some(&rings))?;
        println!("    {threads} at once: without observe {plain:.1}   recorded {on:.1}   adds {:.1}", on - plain);
    }
    Ok(())
}

/// The generic yield: tokio's own costs it more.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

async fn yields(polls: u64) {
    for _ in 0..polls {
        Yield(false).await;
    }
}

/// CPU time of a poll.
fn one_thread(observed: bool) -> f64 {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        // The first round of the ring's memory, and what starts with the first future, are not measured.
        spawn(observed, POLLS).await.expect("it ends");
        let start = cpu();
        spawn(observed, POLLS).await.expect("it ends");
        (cpu() - start).as_nanos() as f64 / POLLS as f64
    })
}

fn spawn(observed: bool, polls: u64) -> tokio::task::JoinHandle<()> {
    if observed { tokio::spawn(observe(yields(polls))) } else { tokio::spawn(yields(polls)) }
}

/// Time for a poll of each of as many tasks as there are threads.
fn several(threads: &str, observed: bool) -> Result<f64, String> {
    let threads = threads.parse().map_err(|error| format!("{threads}: {error}"))?;
    let runtime = Builder::new_multi_thread().worker_threads(threads).build().expect("a runtime");
    Ok(runtime.block_on(async {
        let mut time = Duration::ZERO;
        for _ in 0..2 {
            let start = Instant::now();
            let tasks: Vec<_> = (0..threads).map(|_| spawn(observed, POLLS)).collect();
            for task in tasks {
                task.await.expect("it ends");
            }
            time = start.elapsed();
        }
        time.as_nanos() as f64 / POLLS as f64
    }))
}

fn clock() -> f64 {
    const READINGS: u32 = 1_000_000;
    let start = cpu();
    for _ in 0..READINGS {
        black_box(Instant::now());
    }
    (cpu() - start).as_nanos() as f64 / f64::from(READINGS)
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has one").into()
}
