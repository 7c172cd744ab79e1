//! `run [--] COMMAND…`.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tinyio_inspector::discover::{self, Ring};
use tinyio_inspector::ring::RingReader;
use tinyio_inspector::tui::{self, Options, Spool};

/// How often it is looked whether the command has begun to record.
const LOOK: Duration = Duration::from_millis(50);

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<String>,
}

/// Starts a command and shows it from its first loop on. Its exit code is ours.
pub fn run(args: &Args) -> io::Result<ExitCode> {
    // What the command prints goes there: at once, or when the screens are left.
    super::stdout::check()?;
    let (program, rest) = args.command.split_first().ok_or_else(|| io::Error::other("there is no command to run"))?;
    let mut command = Command::new(program);
    command.args(rest).env("TINYIO_INSPECT", "record");
    let unstarted = |error: io::Error| io::Error::new(error.kind(), format!("{program}: cannot be started: {error}"));
    if let Err(error) = tui::check() {
        eprintln!(
            "tinyio-inspector: no live view: {error}. It is recorded: `tinyio-inspector last` shows it afterwards."
        );
        return command.status().map(code).map_err(unstarted);
    }
    let mut spool = Spool::new()?;
    command.stdout(spool.writer()?).stderr(spool.writer()?);
    if io::stdin().is_terminal() {
        command.stdin(Stdio::null());
        spool.note_empty_stdin();
    }
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let mut child = command.spawn().map_err(unstarted)?;
    let pid = child.id();
    // Waited for at once: an exited process that was not waited for looks as if it were alive.
    let child = std::thread::spawn(move || child.wait());

    // Until a loop starts it is a program like any other: compilers and build scripts may come first.
    let mut out = io::stdout();
    let ring = loop {
        spool.copy(&mut out)?;
        if let Some(ring) = recorded_by(pid, started)? {
            break Some(ring);
        }
        if child.is_finished() {
            break None;
        }
        std::thread::sleep(LOOK);
    };
    let Some(ring) = ring else {
        let status = wait(child, &mut spool)?;
        eprintln!(
            "tinyio-inspector: {program} ended without recording; it has to be built with tinyio's feature `record` (`last` shows the newest recording)"
        );
        return Ok(code(status));
    };

    let reader = RingReader::open(&ring.path)?;
    let options = Options { file: Some(ring.path.display().to_string()), ..Options::from_env() };
    let (_, mut spool) = tui::run_child(Box::new(reader), options, ring.header.pid, spool)?;
    wait(child, &mut spool).map(code)
}

/// Waits for the end; what is written until then goes to the terminal again.
fn wait(child: JoinHandle<io::Result<ExitStatus>>, spool: &mut Spool) -> io::Result<ExitStatus> {
    let mut out = io::stdout();
    while !child.is_finished() {
        spool.copy(&mut out)?;
        std::thread::sleep(LOOK);
    }
    spool.copy(&mut out)?;
    child.join().unwrap_or_else(|_| Err(io::Error::other("the thread that waits for the command panicked")))
}

/// The ring of the process or of one that it started: `cargo run` is not the program.
fn recorded_by(pid: u32, since: u64) -> io::Result<Option<Ring>> {
    let parents: HashMap<u32, u32> = processes();
    let descends = |mut process: u32| {
        for _ in 0..64 {
            match process {
                0 | 1 => return false,
                process if process == pid => return true,
                _ => process = parents.get(&process).copied().unwrap_or(0),
            }
        }
        false
    };
    let rings = discover::rings()?.into_iter();
    Ok(rings.filter(|ring| ring.header.started >= since).find(|ring| descends(ring.header.pid)))
}

/// The parent of each process.
fn processes() -> HashMap<u32, u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return HashMap::new() };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let parent = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in brackets, may itself have brackets and blanks in it.
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    ids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

fn code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
