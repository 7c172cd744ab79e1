//! The commands, one file each.

mod attach;
#[cfg(target_os = "linux")]
mod check;
mod clean;
#[cfg(target_os = "linux")]
mod core_file;
mod export;
mod generate;
mod list;
#[cfg(target_os = "linux")]
mod pass_on;
#[cfg(target_os = "linux")]
mod pictures;
mod replay;
mod report;
mod run;
mod stdout;
#[cfg(target_os = "linux")]
mod tasks;
mod tree;
mod why;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tinyio_inspector::discover::{self, State};
use tinyio_inspector::environment;
use tinyio_inspector::one_line;
use tinyio_inspector::source::Source;
use tinyio_inspector::time_point::{self, At, Moment};
use tinyio_inspector::trace;
use tinyio_inspector::tui::{self, Options};

/// Shows which task of a tinyio program waits for which: live, in a recording, after a crash.
///
/// Without a command it lists what is being recorded, and says what can be done with it.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_long_help = AFTER, after_help = "`--help` says more: examples, settings, environment.")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

/// What `--help` says beyond the commands and options.
const AFTER: &str = "\
Examples:
  tinyio-inspector run -- target/debug/crawl      live, and stays when the program is killed
  tinyio-inspector attach                         to a program started with TINYIO_INSPECT=record
  tinyio-inspector last                           what the newest dead one was at
  tinyio-inspector replay run.jsonl               a trace written with TINYIO_TRACE=run.jsonl
  tinyio-inspector why run.jsonl 17 --at 12.3s    why coroutine 17 was waiting then
  tinyio-inspector tasks 4242                     where every task of any tokio or smol program is
  tinyio-inspector check 4242                     which of them can never go on, and why

In the screens `?` lists the keys, and `q` leaves.

Settings:
  ~/.config/tinyio/inspector.conf (or in $XDG_CONFIG_HOME, or $TINYIO_SETTINGS_FILE) sets the theme, styles and keys;
  `tinyio-inspector settings` prints one to begin with. Lines that cannot be read are reported with their number and left out.

Environment:
  TINYIO_SETTINGS   settings that win over the file, with semicolons between them: theme = light; key.pause = x
  TINYIO_THEME      dark, light or mono
  TINYIO_ASCII      1: no signs beyond ASCII; 0: all signs, whatever the locale
  NO_COLOR          no colours
  TINYIO_EDITOR     the editor that `e` opens, else EDITOR
  TINYIO_SECRETS    further names whose values are masked, with commas between them: iban, account number
  TINYIO_LOCALS     0: no values are read
  TINYIO_RING_DIR   where rings are looked for, else $XDG_RUNTIME_DIR/tinyio or /tmp/tinyio-UID

Exit codes: 0 fine; 1 `report --check` found a crash, or `check` a task that can never go on; 2 wrong usage, or
something could not be read or written; `run` exits as its command did.";

#[derive(Subcommand)]
enum Command {
    /// Live view of a running program; of a tokio or smol program that is not recorded, pictures of its tasks
    Attach(attach::Args),
    /// The tasks in the core file of a tokio or smol program, in the same screens
    #[cfg(target_os = "linux")]
    Core(core_file::Args),
    /// Programs being recorded, and dead ones whose ring is still there
    List(list::Args),
    /// Remove the recordings of programs that are gone
    Clean(clean::Args),
    /// Start a command under the live view, which stays when the command is killed
    Run(run::Args),
    /// A recording in the same screens, with time travel
    Replay(replay::Args),
    /// The newest dead program's ring
    Last,
    /// The crash of a recording, or its end state, as text
    Report(report::Args),
    /// Which coroutine waited for which at a moment
    Tree(tree::Args),
    /// Why a coroutine is still waiting: the chain down to what it hangs on
    Why(why::Args),
    /// A recording in the format of another tool
    Export(export::Args),
    /// Every task of a tokio or smol program that was not prepared for it, or of its core file: await stack, locals,
    /// state
    #[cfg(target_os = "linux")]
    Tasks(tasks::Args),
    /// Which tasks of such a program, or coroutines of a recording, can never go on, with proofs
    #[cfg(target_os = "linux")]
    Check(check::Args),
    /// A file of settings to begin with: theme, styles, keys
    Settings,
    /// What a shell needs to complete these commands
    Completions(generate::Completions),
    /// The man page, or a page for every command into a folder
    Man(generate::Man),
    /// Copy what a recorded program prints (started by that program)
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    PassOn(pass_on::Args),
}

/// Reads the command line and does what it says. 0: fine; 1: `--check` found an error; 2: wrong usage, or something
/// could not be read or written.
pub fn main() -> ExitCode {
    if let Err(error) = color_eyre::install() {
        eprintln!("tinyio-inspector: {error}");
    }
    let done = match Cli::try_parse().map(|cli| cli.command) {
        Err(message) => print(&message),
        Ok(None) => overview().map(|()| ExitCode::SUCCESS),
        Ok(Some(command)) => run(command),
    };
    match done {
        Ok(code) => code,
        // The reader of a pipe has closed it: no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tinyio-inspector: {}", one_line(&error.to_string()));
            ExitCode::from(2)
        }
    }
}

/// Prints the help, the version, or what is wrong with the command line.
fn print(message: &clap::Error) -> io::Result<ExitCode> {
    if !message.use_stderr() {
        stdout::check()?;
    }
    message.print()?;
    io::stdout().flush()?;
    Ok(ExitCode::from(message.exit_code() as u8))
}

/// Prints the recordings of this user, and the commands for them.
fn overview() -> io::Result<()> {
    list::list(&list::Args::default())?;
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\n\
         tinyio-inspector attach [PID]       live view of a program that is being recorded\n\
         tinyio-inspector last               the newest one that has ended\n\
         tinyio-inspector why PID|FILE       why it hangs, as text; `check`: what can certainly never go on\n\
         tinyio-inspector replay FILE        a trace or a ring, at any moment of the run\n\
         tinyio-inspector run -- COMMAND     start a command under the live view\n\
         tinyio-inspector clean              remove the recordings of programs that are gone\n\
         tinyio-inspector --help             all commands"
    )
}

fn run(command: Command) -> io::Result<ExitCode> {
    match command {
        Command::Attach(args) => attach::attach(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(target_os = "linux")]
        Command::Core(args) => core_file::show(&args).map(|()| ExitCode::SUCCESS),
        Command::List(args) => list::list(&args).map(|()| ExitCode::SUCCESS),
        Command::Clean(args) => clean::clean(&args),
        Command::Replay(args) => replay::replay(&args).map(|()| ExitCode::SUCCESS),
        Command::Last => replay::last().map(|()| ExitCode::SUCCESS),
        Command::Run(args) => run::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Tree(args) => tree::run(&args),
        Command::Why(args) => why::run(&args),
        Command::Export(args) => export::run(&args),
        #[cfg(target_os = "linux")]
        Command::Tasks(args) => tasks::run(&args),
        #[cfg(target_os = "linux")]
        Command::Check(args) => check::run(&args),
        Command::Settings => generate::settings().map(|()| ExitCode::SUCCESS),
        Command::Completions(args) => generate::completions(&args).map(|()| ExitCode::SUCCESS),
        Command::Man(args) => generate::man(&args).map(|()| ExitCode::SUCCESS),
        #[cfg(target_os = "linux")]
        Command::PassOn(args) => pass_on::run(&args).map(|()| ExitCode::SUCCESS),
    }
}

/// Shows what is in a file until the user leaves.
fn show(source: Box<dyn Source>, file: Option<&Path>) -> io::Result<()> {
    let file = file.map(|file| file.display().to_string());
    tui::run(source, Options { file, ..Options::from_env() }).map(drop)
}

/// Shows a running program until the user leaves.
fn show_process(source: Box<dyn Source>, file: Option<&Path>) -> io::Result<()> {
    let file = file.map(|file| file.display().to_string());
    tui::run(source, Options { file, is_process: true, ..Options::from_env() }).map(drop)
}

/// What to read, from the command line.
#[derive(clap::Args)]
struct Input {
    /// A JSON trace, a ring, a core file, or a process id
    #[arg(value_name = "FILE|PID")]
    file: PathBuf,
    #[command(flatten)]
    debug: DebugInfo,
}

/// Where debug info is.
#[derive(clap::Args)]
struct DebugInfo {
    /// A folder with the debug info of a program that was stripped, or with the program of a core file
    #[arg(long = "debug-dir", value_name = "DIR")]
    folders: Vec<PathBuf>,
}

#[cfg(target_os = "linux")]
impl DebugInfo {
    fn options(&self) -> tinyio_tasks::Options {
        tinyio_tasks::Options { debug_folders: self.folders.clone(), ..tinyio_tasks::Options::default() }
    }
}

impl Input {
    /// What there is until now.
    fn open(&self) -> io::Result<Box<dyn Source>> {
        let pid = self.file.to_str().and_then(|text| text.parse().ok()).filter(|_| !self.file.exists());
        if let Some(pid) = pid {
            return match discover::of_process(pid)?.first() {
                Some(ring) => trace::open_until_now(&ring.path),
                None => picture_of(pid, &self.debug).or_else(|why| match ended_recording(pid) {
                    Some(ring) => trace::open_until_now(&ring),
                    None => Err(why),
                }),
            };
        }
        #[cfg(target_os = "linux")]
        if pictures::is_core(&self.file) {
            return Ok(Box::new(pictures::Pictures::of_core(&self.file, &self.debug.options())?));
        }
        trace::open_until_now(&self.file)
    }

    /// The file, if it is a recording: what `replay` shows.
    fn recording(&self) -> Option<String> {
        #[cfg(target_os = "linux")]
        if pictures::is_core(&self.file) {
            return None;
        }
        self.file.exists().then(|| self.file.display().to_string())
    }

    /// The recording at a moment, or at its end.
    fn load(&self, at: Option<At>) -> io::Result<Moment> {
        let mut source = self.open()?;
        time_point::fold(&mut *source, at, &mut |_, _| Ok(())).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => io::Error::new(error.kind(), format!("{}: {error}", self.file.display())),
            _ => error,
        })
    }
}

/// The newest recording of a process that is gone.
fn ended_recording(pid: u32) -> Option<PathBuf> {
    let rings = discover::rings().ok()?.into_iter();
    rings
        .filter(|ring| ring.header.pid == pid)
        .find(|ring| !matches!(ring.state, State::Living | State::Unknown))
        .map(|ring| ring.path)
}

/// The tasks of a process that is not recorded.
#[cfg(target_os = "linux")]
fn picture_of(pid: u32, debug: &DebugInfo) -> io::Result<Box<dyn Source>> {
    Ok(Box::new(pictures::Pictures::of_process(pid, debug.options())?))
}

#[cfg(not(target_os = "linux"))]
fn picture_of(pid: u32, _debug: &DebugInfo) -> io::Result<Box<dyn Source>> {
    Err(io::Error::other(format!("process {pid} is not being recorded; start it with TINYIO_INSPECT=record")))
}

/// Whether to write in colour.
fn color() -> bool {
    let set = |name: &str| environment::var_os(name).filter(|value| !value.is_empty());
    io::stdout().is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// Columns to fill.
fn width() -> usize {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => 120,
    }
}
