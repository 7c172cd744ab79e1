//! `pass-on PID`: the copier that a recorded program starts with `TINYIO_OUTPUT=1`.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use tinyio_inspector::output::pass_on::pass_on;

/// See [`run`].
#[derive(clap::Args)]
pub struct Args {
    /// The recorded process
    pid: u32,
    /// This process copies, and starts no other
    #[arg(long)]
    detached: bool,
}

/// Starts a process that copies, and is no child of the recorded program.
pub fn run(args: &Args) -> io::Result<()> {
    if args.detached {
        return pass_on(args.pid);
    }
    let mut copier = Command::new(std::env::current_exe()?);
    // In a group of its own: what is sent to the group of the program does not end it, too.
    copier.args(["pass-on", "--detached", &args.pid.to_string()]).process_group(0).current_dir("/");
    copier.spawn().map(drop)
}
