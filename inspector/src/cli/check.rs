//! `check FILE|PID`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tinyio_inspector::model::Model;
use tinyio_inspector::{check, discover, lint, time_point, trace};
use tinyio_tasks::{Finding, FindingKind, Findings};

use super::{pictures, tasks};

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    /// The process id, a core file, or a recording: a JSON trace or a ring
    #[arg(value_name = "PID|FILE")]
    target: String,
    /// One JSON object, for programs to read
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    debug: super::DebugInfo,
}

/// Prints the tasks of a program that can never go on, with proofs; the exit code is 1 if there are any.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    let file = Path::new(&args.target);
    let (found, text) = if file.is_file() && !pictures::is_core(file) {
        of_recording(file)?
    } else if let Some(ring) = of_gone(&args.target) {
        of_recording(&ring)?
    } else {
        let picture = tasks::picture(&args.target, &args.debug.options())?;
        let found = tinyio_tasks::check(&picture).map_err(io::Error::other)?;
        let mut notes = picture.notes.clone();
        if found.findings.is_empty() {
            notes.extend(likely_in_rings(&args.target));
        }
        let text = found.text_of(&picture.program, picture.pid, (picture.tasks.len(), "task"), &notes);
        (found, text)
    };
    let mut out = super::stdout::open()?;
    if args.json {
        serde_json::to_writer(&mut out, &found)?;
        writeln!(out)?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    out.flush()?;
    Ok(if found.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The recording of a process that is gone.
fn of_gone(target: &str) -> Option<PathBuf> {
    let pid = target.parse().ok()?;
    let lives = Path::new("/proc").join(target).exists();
    if lives { None } else { super::ended_recording(pid) }
}

/// What is found in a recording, and as text.
fn of_recording(file: &Path) -> io::Result<(Findings, String)> {
    let moment = time_point::fold(&mut *trace::open_until_now(file)?, None, &mut |_, _| Ok(()))?;
    let model = moment.graph();
    let findings = check::check(&moment).into_iter().filter_map(|finding| {
        let kind = FindingKind::ALL.into_iter().find(|kind| kind.word() == finding.reason)?;
        let (tasks, text, proof) = (finding.coros, finding.text, finding.proof);
        Some(Finding { kind, certain: true, tasks, text, proof })
    });
    let found = Findings { schema: 1, findings: findings.collect() };
    let header = model.header();
    let mut notes = Vec::new();
    if !model.is_sure() {
        notes.push("events are missing: what can never go on may not be found".to_owned());
    }
    if found.findings.is_empty() {
        notes.extend(likely(model));
    }
    let text = found.text_of(&header.program, header.pid, (model.live_count(), "coroutine"), &notes);
    Ok((found, text))
}

/// Deadlocks that a process probably has, by what it records.
fn likely_in_rings(target: &str) -> Vec<String> {
    let rings = target.parse().ok().and_then(|pid| discover::of_process(pid).ok()).unwrap_or_default();
    let moment = |ring: discover::Ring| {
        let mut source = trace::open_until_now(&ring.path).ok()?;
        time_point::fold(&mut *source, None, &mut |_, _| Ok(())).ok()
    };
    rings.into_iter().filter_map(moment).flat_map(|moment| likely(moment.graph())).collect()
}

/// Deadlocks that are not certain, each a note.
fn likely(model: &Model) -> Vec<String> {
    let found = lint::check(model, model.now()).into_iter().filter(|lint| lint.check == "deadlock");
    found.map(|lint| format!("not certain: {}", lint.text)).collect()
}
