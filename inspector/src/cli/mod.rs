//! The commands, one file each.

mod attach;
mod list;
mod replay;
mod run;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tinyio_inspector::source::Source;
use tinyio_inspector::tui::{self, Options};

/// See who waits on whom in a tinyio program: live, in a recording, after a crash.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Live view of a running program
    Attach(attach::Args),
    /// Programs being recorded, and dead ones whose ring is still there
    List(list::Args),
    /// Start a command under the live view, which stays when the command is killed
    Run(run::Args),
    /// A recording in the same screens, with time travel
    Replay(replay::Args),
    /// The newest dead program's ring
    Last,
}

/// Reads the command line and does what it says. 0: fine; 2: wrong usage, or something could not be read or written.
pub fn main() -> ExitCode {
    if let Err(error) = color_eyre::install() {
        eprintln!("tinyio-inspector: {error}");
    }
    let done = match Cli::parse().command {
        Command::Attach(args) => attach::attach(&args),
        Command::List(args) => list::list(&args),
        Command::Run(args) => match run::run(&args) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Command::Replay(args) => replay::replay(&args),
        Command::Last => replay::last(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads us has had enough: no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tinyio-inspector: {error}");
            ExitCode::from(2)
        }
    }
}

/// Shows a stream until the user leaves.
fn show(source: Box<dyn Source>, file: Option<&Path>) -> io::Result<()> {
    let file = file.map(|file| file.display().to_string());
    tui::run(source, Options { file, ..Options::from_env() }).map(drop)
}

/// A file to read from the command line.
#[derive(clap::Args)]
struct Input {
    /// A JSON trace, or a ring
    file: PathBuf,
}
