//! `attach [PID]`.

use std::io::{self, BufRead, IsTerminal, Write};

use tinyio_inspector::discover::{self, Ring, State};
use tinyio_inspector::ring::RingReader;

/// See [`attach`].
#[derive(clap::Args)]
pub struct Args {
    /// The process; without it, chosen from those that are being recorded
    pid: Option<u32>,
    #[command(flatten)]
    debug: super::DebugInfo,
}

/// Shows a running program: live if it is recorded, else in pictures.
pub fn attach(args: &Args) -> io::Result<()> {
    let rings: Vec<Ring> = match args.pid {
        Some(pid) => discover::of_process(pid)?,
        None => discover::rings()?.into_iter().filter(|ring| ring.state == State::Living).collect(),
    };
    let ring = match (&rings[..], args.pid) {
        ([], Some(pid)) => return super::show_process(super::picture_of(pid, &args.debug)?, None),
        ([], None) => {
            let what = "no program is being recorded; start one with TINYIO_INSPECT=record, or see what `last` has";
            return Err(io::Error::other(what));
        }
        ([only], _) => only,
        (several, _) => choose(several)?,
    };
    super::show_process(Box::new(RingReader::open(&ring.path)?), Some(&ring.path))
}

fn choose(rings: &[Ring]) -> io::Result<&Ring> {
    let mut err = io::stderr().lock();
    for (index, ring) in rings.iter().enumerate() {
        writeln!(err, "{:>3} {}", index + 1, super::list::line(ring))?;
    }
    if !io::stdin().is_terminal() {
        return Err(io::Error::other("several are being recorded: say which by its process id"));
    }
    loop {
        write!(err, "which one (1 to {})? ", rings.len())?;
        err.flush()?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Err(io::Error::other("none was chosen"));
        }
        let chosen = line.trim().parse::<usize>().ok().and_then(|number| rings.get(number.checked_sub(1)?));
        if let Some(ring) = chosen {
            return Ok(ring);
        }
    }
}
