//! The terminal screens.
//!
//! [`run`] shows a stream of events until the user leaves; [`spawn`] does so on a thread of its own, over the recorded
//! program itself, and redirects the output of that program meanwhile. `event_loop` reads
//! events and keys and draws; `app` routes the keys to the screen or page in front, each of them a file of `panes` that
//! holds its own state; `session` is what they share; `terminal` takes the terminal over and restores it.

mod ansi;
mod app;
mod capture;
mod clipboard;
mod crash_view;
mod event_loop;
mod filter;
mod frame_requests;
mod fuzzy;
mod headless;
mod keymaps;
mod keys;
mod options;
mod output;
mod pane;
mod panes;
mod playback;
mod prompt;
mod recordings;
mod session;
mod settings;
mod syntax;
mod terminal;
mod text;
mod theme;
mod tree_view;
mod view;
mod widgets;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

use app::App;
use capture::Capture;
pub use capture::Spool;
pub use event_loop::Exit;
use event_loop::Host;
pub use headless::{Film, Headless};
pub use keymaps::keymaps;
pub use keys::{Binding, Context, Keymap, Keys};
pub use options::Options;
pub use settings::{path as settings_path, sample as sample_settings};
pub use terminal::check;
pub use theme::{DARK, LIGHT, MONO, Theme};
pub use view::{Handle, Left, spawn};

use crate::environment::{stderr_columns, stderr_in_color};
use crate::model::{Crash, Level};
use crate::output::Line;
use crate::source::Source;

/// Shows a stream in this terminal until the user leaves.
///
/// # Errors
///
/// Without a terminal, or when it fails.
pub fn run(source: Box<dyn Source>, options: Options) -> io::Result<Exit> {
    run_over(source, options, None).map(|(exit, _)| exit)
}

/// Shows the stream of a program that was started for it, with its output in the log. What of the output was not copied
/// to the terminal before is printed on leaving; the spool comes back, for what is still to come.
///
/// # Errors
///
/// As [`run`].
pub fn run_child(source: Box<dyn Source>, options: Options, child: u32, spool: Spool) -> io::Result<(Exit, Spool)> {
    let (exit, program) = run_over(source, options, Some(Program::Child { pid: child, spool }))?;
    match program {
        Some(Program::Child { mut spool, .. }) => {
            spool.copy_line(&mut io::stdout().lock())?;
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
    app.session.output.level = program.as_ref().and_then(Program::level);
    app.session.is_process |= program.is_some();
    let (send, inputs) = channel();
    let screen = terminal::Screen::take(None, app.session.mouse)?;
    restore_on_panic(screen.restorer());
    let signals = terminal::SignalHandlers::install(send.clone(), screen.restorer())?;
    let reader = terminal::Reader::start(send)?;
    let mut host = Live { screen, reader, program, stopped: false };
    let exit = event_loop::drive(&mut app, &mut *source, &inputs, &mut host)?;
    let Live { screen, reader, program, .. } = host;
    drop((reader, screen, signals));
    print_farewell(&app);
    // Ctrl-C leaves a program that has another terminal.
    if exit == Exit::Quit || exit == Exit::Interrupt && program.is_none() {
        print_goes_on(&app, program.is_some());
    }
    Ok((exit, program))
}

/// How it ended, on the normal screen, so that the scrollback keeps it. Returns whether that was the report of the one
/// crash there was.
fn print_farewell(app: &App) -> bool {
    let mut options = crate::report::Options::of_terminal(stderr_columns(), stderr_in_color());
    let playback = &app.session.playback;
    options.color &= app.session.theme.colours;
    let printed = io::stderr().lock().write_all(playback.farewell(options.color, options.width).as_bytes());
    let latest = playback.tape.latest();
    let is_root = |crash: &&Arc<Crash>| latest.get_loop(crash.in_loop).is_none_or(|one| one.parent == 0);
    let mut of_program = latest.crashes().iter().filter(is_root);
    printed.is_ok() && of_program.next().is_some_and(|crash| crash.is_over) && of_program.next().is_none()
}

/// That the program goes on, if it does: the screens of one that hangs may look as if leaving them ended it.
fn print_goes_on(app: &App, own_terminal: bool) {
    let sentence = app.session.playback.goes_on(own_terminal).filter(|_| app.session.is_process);
    let _ = io::stderr().lock().write_all(sentence.unwrap_or_default().as_bytes());
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
    /// The process was stopped with the terminal in order.
    stopped: bool,
}

/// The program that writes the output in the log.
enum Program {
    /// This process.
    This(capture::Capture),
    /// A program that was started to be watched.
    Child {
        /// Its process.
        pid: u32,
        /// Where its output goes.
        spool: Spool,
    },
}

impl Program {
    /// As what a recorder takes the lines that are captured.
    fn level(&self) -> Option<Level> {
        match self {
            Program::This(capture) => capture.level(),
            Program::Child { .. } => Some(Level::Stdout),
        }
    }
}

impl Live {
    /// Lends the terminal and the keys to another program while `with` runs.
    fn lend(&mut self, with: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.reader.pause();
        self.screen.leave()?;
        let done = with();
        self.take_back()?;
        done
    }

    /// Takes the terminal and the keys again, if this process is in the foreground. A process in the background waits
    /// until it is in the foreground.
    fn take_back(&mut self) -> io::Result<()> {
        if terminal::is_foreground() {
            self.screen.enter()?;
            self.reader.resume();
        }
        Ok(())
    }
}

impl Host for Live {
    fn draw(&mut self, app: &mut App) -> io::Result<()> {
        if !self.screen.is_entered() {
            self.take_back()?;
        }
        if !self.screen.is_entered() {
            app.session.dirty = true;
            return Ok(());
        }
        self.screen.terminal.draw(|frame| app.draw(frame)).map(drop)
    }

    fn redraw(&mut self, app: &mut App) -> io::Result<()> {
        self.screen.clear()?;
        self.draw(app)
    }

    fn suspend(&mut self, job: bool) -> io::Result<()> {
        if !terminal::can_stop() {
            return Ok(());
        }
        self.stopped = true;
        self.lend(|| {
            terminal::suspend(job);
            Ok(())
        })
    }

    fn continued(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.stopped) {
            return Ok(());
        }
        self.reader.pause();
        if terminal::is_foreground() {
            self.screen.leave()?;
        } else {
            self.screen.lose();
        }
        self.take_back()
    }

    fn edit(&mut self, file: &Path, line: u32) -> io::Result<()> {
        self.lend(|| terminal::edit(file, line))
    }

    fn mouse(&mut self, taken: bool) -> io::Result<()> {
        self.screen.set_mouse(taken)
    }

    fn copy(&mut self, text: &str) -> io::Result<()> {
        let out = self.screen.terminal.backend_mut();
        out.write_all(clipboard::sequence(text, clipboard::Multiplexer::from_env()).as_bytes())?;
        io::Write::flush(out)
    }

    fn output(&mut self) -> Vec<Line> {
        match &mut self.program {
            Some(Program::This(Capture { spool, .. }) | Program::Child { spool, .. }) => spool.lines(),
            None => Vec::new(),
        }
    }

    fn interrupt(&mut self) -> bool {
        match &self.program {
            // A program that catches the signal cleans up, and the screens keep showing it. Otherwise the signal ends
            // it: the terminal is restored first.
            Some(Program::This(_)) if terminal::catches_interrupt() => terminal::interrupt(),
            Some(Program::This(_)) | None => return false,
            Some(Program::Child { pid, .. }) => terminal::interrupt_other(*pid),
        }
        true
    }
}
