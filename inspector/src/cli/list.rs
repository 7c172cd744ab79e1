//! `list`.

use std::io::{self, Write};
use std::time::SystemTime;

use tinyio_inspector::discover::{self, Ring, State};
use tinyio_inspector::{escaped_json, one_line};

/// See [`list`].
#[derive(Default, clap::Args)]
pub struct Args {
    /// One JSON array, for programs to read
    #[arg(long)]
    json: bool,
}

/// Prints the recordings of this user, the newest first.
pub fn list(args: &Args) -> io::Result<()> {
    let rings = discover::rings()?;
    let mut out = super::stdout::open()?;
    if args.json {
        let rings: Vec<_> = rings.iter().map(as_json).collect::<Result<_, _>>()?;
        writeln!(out, "{}", escaped_json(&serde_json::to_string_pretty(&rings)?))?;
    } else if rings.is_empty() {
        writeln!(
            out,
            "nothing is recorded: start a program that was built with the feature `record` with TINYIO_INSPECT=record"
        )?;
    } else {
        writeln!(out, "    PID  STATE     SINCE      EVENTS  PROGRAM")?;
        rings.iter().try_for_each(|ring| {
            let loops = ring.loop_names();
            let loops = if loops.is_empty() { String::new() } else { format!(" · {}", one_line(&loops.join(", "))) };
            writeln!(out, "{}{loops}", line(ring))
        })?;
    }
    out.flush()
}

/// A recording with the names of its loops.
fn as_json(ring: &Ring) -> serde_json::Result<serde_json::Value> {
    let mut value = serde_json::to_value(ring)?;
    if let Some(members) = value.as_object_mut() {
        members.insert("loops".to_owned(), serde_json::to_value(ring.loop_names())?);
    }
    Ok(value)
}

/// A recording in a line.
pub fn line(ring: &Ring) -> String {
    let state = match ring.state {
        State::Living => "lives",
        State::Ended => "ended",
        State::Crashed => "crashed",
        State::Died => "died",
        State::Replaced => "exec",
        State::Unknown => "?",
    };
    let started = SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(ring.header.started);
    let since = ago(SystemTime::now().duration_since(started).map_or(0, |since| since.as_secs()));
    let thread = match ring.header.thread.as_str() {
        "" | "main" => String::new(),
        thread => format!(" · {}", one_line(thread)),
    };
    let program = one_line(&ring.header.program);
    format!("{:>7}  {state:<7}  {since:>6}  {:>10}  {program}{thread}", ring.header.pid, ring.events)
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
