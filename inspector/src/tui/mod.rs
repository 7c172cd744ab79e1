//! The terminal screens.
//!
//! [`run`] shows a stream of events until the user leaves; [`spawn`] does so on a thread of its own, over the program that is
//! being looked at, whose output it keeps out of the way meanwhile. State and drawing are apart: `app` holds the state and knows what keys do, `pane` draws it, `engine` is the
//! loop between them, and `terminal` is the one file that touches the terminal.

mod ansi;
mod app;
mod capture;
mod code;
mod crash;
mod engine;
mod filter;
mod keys;
mod pane;
mod screens;
mod settings;
mod terminal;
mod text;
mod theme;
mod tree_view;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use app::App;
use capture::Capture;
pub use capture::Spool;
pub use engine::Exit;
use engine::{Host, Input};
pub use keys::{Binding, Context, Keys, TABLE};
pub use screens::Screens;
pub use settings::{path as settings_path, sample as sample_settings};
pub use theme::{DARK, LIGHT, MONO, Theme};

use crate::source::Source;

/// How the screens look and behave.
#[derive(Clone, Debug)]
pub struct Options {
    /// Colours and signs.
    pub theme: Theme,
    /// The keys.
    pub keys: Keys,
    /// Bytes of events kept in memory, to go back to; beyond, the oldest go.
    pub tape: usize,
    /// The recording, if it is a file: the report that leaving prints says how to open it again.
    pub file: Option<String>,
    /// One sentence for the footer, until the first key: what is wrong with the settings.
    pub notice: Option<String>,
}

impl Options {
    /// The default ones in this theme, whatever the user set.
    fn of(theme: Theme) -> Options {
        Options { theme, keys: Keys::default(), tape: settings::TAPE, file: None, notice: None }
    }

    /// As the environment and the file of settings say. What is wrong with them goes to stderr, too.
    pub fn from_env() -> Options {
        let settings = settings::Settings::load();
        for problem in &settings.problems {
            let _ = writeln!(io::stderr(), "tinyio: {problem}");
        }
        let notice = settings.notice();
        Options { theme: settings.theme, keys: settings.keys, tape: settings.tape, file: None, notice }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::from_env()
    }
}

/// Shows a stream in this terminal until the user leaves.
///
/// # Errors
///
/// Without a terminal, or when it fails.
pub fn run(source: Box<dyn Source>, options: Options) -> io::Result<Exit> {
    run_over(source, options, None).map(|(exit, _)| exit)
}

/// Shows the stream of a program that was started for it, with its output in the log. What of the output was not copied to the
/// terminal before is printed on leaving; the spool comes back, for what is still to come.
///
/// # Errors
///
/// As [`run`].
pub fn run_child(source: Box<dyn Source>, options: Options, child: u32, mut spool: Spool) -> io::Result<(Exit, Spool)> {
    // The log has it all from the beginning.
    let from = spool.rewind();
    let (exit, program) = run_over(source, options, Some(Program::Child { pid: child, from, spool }))?;
    match program {
        Some(Program::Child { mut spool, from, .. }) => {
            spool.copy_from(from, &mut io::stdout().lock())?;
            Ok((exit, spool))
        }
        _ => Err(io::Error::other("the program's output was lost on the way")),
    }
}

fn run_over(
    mut source: Box<dyn Source>,
    options: Options,
    program: Option<Program>,
) -> io::Result<(Exit, Option<Program>)> {
    let mut app = App::new(source.header(), options);
    let (send, inputs) = channel();
    let screen = terminal::Screen::take(None)?;
    restore_on_panic(screen.restorer());
    let signals = terminal::SignalNet::spread(screen.restorer())?;
    let reader = terminal::Reader::start(send)?;
    let mut host = Live { screen, reader, program };
    let exit = engine::drive(&mut app, &mut *source, &inputs, &mut host)?;
    let Live { screen, reader, program } = host;
    drop((reader, screen, signals));
    print_farewell(&app);
    Ok((exit, program))
}

/// Shows the stream of this very program in its own terminal, on a thread of its own.
///
/// The program's output goes to the log screen meanwhile, and is printed when the screens are left; what does not go to the terminal
/// is left alone. The thread takes no lock that the program could hold.
///
/// # Errors
///
/// Without a terminal, or when it cannot be taken over; then nothing has changed.
pub fn spawn(mut source: Box<dyn Source>, options: Options) -> io::Result<Handle> {
    terminal::check()?;
    let capture = Capture::start()?;
    let screen = terminal::Screen::take(Some(capture.spool.path()))?;
    let (send, inputs) = channel();
    let reader = terminal::Reader::start(send.clone())?;
    let restore = screen.restorer();
    let thread = std::thread::Builder::new().name("tinyio-inspector".to_owned()).spawn(move || {
        let mut app = App::new(source.header(), options);
        app.in_process = true;
        let mut host = Live { screen, reader, program: Some(Program::This(capture)) };
        let drive = || engine::drive(&mut app, &mut *source, &inputs, &mut host);
        // A mistake in here must not take the program's output with it.
        let exit = std::panic::catch_unwind(std::panic::AssertUnwindSafe(drive));
        restore();
        let Live { screen, reader, program } = host;
        drop((reader, screen));
        let printed = match program {
            Some(Program::This(capture)) => capture.finish(),
            _ => Ok(()),
        };
        let exit = match exit {
            Ok(exit) => exit?,
            Err(_) => return Err(io::Error::other("the live view panicked; the program runs on")),
        };
        let crashed = print_farewell(&app);
        if exit == Exit::Interrupt {
            terminal::interrupt();
        }
        printed.map(|()| Left { exit, crashed })
    })?;
    Ok(Handle { send, thread: Some(thread) })
}

/// How the live view was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// By what.
    pub exit: Exit,
    /// The program had crashed: the report is on stderr.
    pub crashed: bool,
}

/// The live view of this program, as [`spawn`] began it. Dropping it leaves the screens at once.
#[derive(Debug)]
pub struct Handle {
    send: Sender<Input>,
    thread: Option<JoinHandle<io::Result<Left>>>,
}

impl Handle {
    /// The program's outermost loop has ended: the screens stay until the user leaves, and say how it ended.
    ///
    /// # Errors
    ///
    /// When the terminal failed meanwhile.
    pub fn finish(mut self) -> io::Result<Left> {
        let _ = self.send.send(Input::Finished);
        self.join()
    }

    /// Whether the user has left already.
    pub fn is_left(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn join(&mut self) -> io::Result<Left> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(exit)) => exit,
            Some(Err(_)) => Err(io::Error::other("the live view panicked")),
            None => Ok(Left { exit: Exit::Stopped, crashed: false }),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.send.send(Input::Stop);
        let _ = self.join();
    }
}

/// How it ended, on the normal screen, so that the scrollback keeps it. Tells whether that was the report of a crash.
fn print_farewell(app: &App) -> bool {
    let mut options = crate::report::Options::for_stderr();
    options.color &= app.theme.colours;
    let printed = io::stderr().lock().write_all(app.farewell(options.color, options.width).as_bytes());
    printed.is_ok() && app.tape.latest().crash().is_some()
}

/// The terminal comes back before a panic's message is printed.
fn restore_on_panic(restore: impl Fn() + Send + Sync + 'static) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        before(info);
    }));
}

/// The real terminal.
struct Live {
    screen: terminal::Screen,
    reader: terminal::Reader,
    program: Option<Program>,
}

/// Whose output goes to the log.
enum Program {
    /// This very program's.
    This(capture::Capture),
    /// That of a program that was started to be watched.
    Child {
        /// Its process.
        pid: u32,
        /// Where its output goes.
        spool: Spool,
        /// What is before this byte has been on the terminal.
        from: u64,
    },
}

impl Live {
    /// Gives the terminal and the keys to someone else for a while.
    fn lend(&mut self, with: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.reader.pause();
        self.screen.leave()?;
        let done = with();
        self.screen.enter()?;
        self.reader.resume();
        done
    }
}

impl Host for Live {
    fn draw(&mut self, app: &mut App) -> io::Result<()> {
        self.screen.terminal.draw(|frame| pane::draw(frame, app)).map(drop)
    }

    fn redraw(&mut self, app: &mut App) -> io::Result<()> {
        self.screen.clear()?;
        self.draw(app)
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.lend(|| {
            terminal::suspend();
            Ok(())
        })
    }

    fn edit(&mut self, file: &Path, line: u32) -> io::Result<()> {
        self.lend(|| terminal::edit(file, line))
    }

    fn output(&mut self) -> Vec<String> {
        match &mut self.program {
            Some(Program::This(Capture { spool, .. }) | Program::Child { spool, .. }) => spool.lines(),
            None => Vec::new(),
        }
    }

    fn interrupt(&mut self) -> bool {
        match &self.program {
            // Who catches the signal cleans up, and that is worth watching. Anyone else dies of it: the terminal comes back first.
            Some(Program::This(_)) if terminal::catches_interrupt() => terminal::interrupt(),
            Some(Program::This(_)) | None => return false,
            Some(Program::Child { pid, .. }) => terminal::interrupt_other(*pid),
        }
        true
    }
}
