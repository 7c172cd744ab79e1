//! Measures what `observe` of tinyio-observe costs around tasks of tokio: `cargo bench --bench observe`. With
//! `-- console` also beside console-subscriber, which takes minutes to build.
//!
//! The work is a task that yields, so one poll and one wake by itself. The figures are medians: CPU time of that
//! thread; with several threads, CPU time of the process, and the time that passed, which a busy machine distorts.
//! The goal is in units of one `Instant::now()` of the same run.

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
        Some("clock") => print(clock()),
        Some("one") => print(one_thread(args.len() > 1)),
        Some(time @ ("cpu" | "passed")) => several(&args[1], time == "cpu", args.len() > 2).and_then(print),
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

fn print(figure: f64) -> Result<(), String> {
    println!("{figure}");
    Ok(())
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
    println!("\na poll, tokio's multi-thread runtime, a task for each thread (ns of CPU time, and ns that passed)");
    for threads in THREADS {
        let count = threads.to_string();
        let both = |observed: &[&str], rings| {
            let one = |time| figure(&[&[time, &*count], observed].concat(), rings);
            Ok::<_, String>((one("cpu")?, one("passed")?))
        };
        let (plain, on) = (both(&[], None)?, both(&["observed"], Some(&rings))?);
        let (cpu, passed) = (on.0 - plain.0, on.1 - plain.1);
        println!(
            "    {threads} at once: without observe {:.1}, {:.1}   recorded {:.1}, {:.1}",
            plain.0, plain.1, on.0, on.1
        );
        println!("      recorded: adds {cpu:.1}, {passed:.1}");
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

/// CPU time of a poll, or the time that passes for one, of as many tasks as there are threads.
fn several(threads: &str, cpu: bool, observed: bool) -> Result<f64, String> {
    let threads: u32 = threads.parse().map_err(|error| format!("{threads}: {error}"))?;
    let runtime = Builder::new_multi_thread().worker_threads(threads as usize).build().expect("a runtime");
    Ok(runtime.block_on(async {
        let mut time = Duration::ZERO;
        for _ in 0..2 {
            let (start, start_cpu) = (Instant::now(), cpu_of(ClockId::CLOCK_PROCESS_CPUTIME_ID));
            let tasks: Vec<_> = (0..threads).map(|_| spawn(observed, POLLS)).collect();
            for task in tasks {
                task.await.expect("it ends");
            }
            let spent = (cpu_of(ClockId::CLOCK_PROCESS_CPUTIME_ID) - start_cpu) / threads;
            time = if cpu { spent } else { start.elapsed() };
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
    cpu_of(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn cpu_of(clock: ClockId) -> Duration {
    clock_gettime(clock).expect("there is one for each thread and process").into()
}
