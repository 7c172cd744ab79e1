//! The live view of this very program: one per process, on a thread of its own, however many loops there are.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::app::App;
use super::capture::Capture;
use super::event_loop::{self, Exit, Input};
use super::recordings::Recordings;
use super::{Live, Options, Program, print_farewell, print_goes_on, terminal};
use crate::ring::RingReader;
use crate::source::Source;

/// Shows a recording of this very program in its own terminal, on a thread of its own.
///
/// The program's output goes to the log screen meanwhile, and is printed when the screens are left; what does not go to
/// the terminal is left alone. If its stdin is the terminal, it reads an empty one meanwhile, as do the processes that
/// it starts: all keys are the view's. The thread takes no lock that the program could hold.
///
/// # Errors
///
/// Without a terminal that can be drawn on, or when it cannot be taken over; then nothing has changed.
pub fn spawn(reader: RingReader, options: Options) -> io::Result<Handle> {
    terminal::check()?;
    let capture = Capture::start()?;
    let screen = terminal::Screen::take(Some(capture.spool.path()), options.mouse)?;
    let (send, inputs) = channel();
    let keys = terminal::Reader::start(send.clone())?;
    let signals = terminal::SignalHandlers::of_the_program(send.clone())?;
    let (mut source, joining) = Recordings::new(reader);
    let restore = screen.restorer();
    let shared =
        Arc::new(Shared { send, joining, state: Mutex::default(), changed: Condvar::new(), pid: std::process::id() });
    let weak = Arc::downgrade(&shared);
    let show = move || {
        let mut app = App::new(source.header(), options);
        app.session.output.level = capture.level();
        app.session.is_process = true;
        let mut host = Live { screen, reader: keys, program: Some(Program::This(capture)), stopped: false };
        let drive = || event_loop::drive(&mut app, &mut source, &inputs, &mut host);
        // A bug in the screens must not lose the program's output.
        let exit = std::panic::catch_unwind(std::panic::AssertUnwindSafe(drive));
        restore();
        let Live { screen, reader, program, .. } = host;
        drop((reader, screen, signals));
        let printed = match program {
            Some(Program::This(capture)) => capture.finish(),
            _ => Ok(()),
        };
        let exit = match exit {
            Ok(exit) => exit?,
            Err(_) => return Err(io::Error::other("the live view panicked; the program runs on")),
        };
        let crashed = print_farewell(&app);
        match exit {
            Exit::Interrupt => terminal::interrupt(),
            Exit::Quit => print_goes_on(&app, true),
            Exit::Stopped => {}
        }
        printed.map(|()| Left { exit, crashed })
    };
    let thread = std::thread::Builder::new().name("tinyio-inspector".to_owned()).spawn(move || {
        give_way();
        let left = show();
        if let Some(shared) = weak.upgrade() {
            shared.state().left = Some(left);
            shared.changed.notify_all();
        }
    })?;
    shared.state().thread = Some(thread);
    Ok(Handle(shared))
}

/// Where the program and this thread want the same processor, the program has three quarters of it (nice 5). What
/// the screens start, such as an editor, inherits it.
fn give_way() {
    // A filter might end the program for the call.
    #[cfg(target_os = "linux")]
    if !tinyio_events::sandbox::is_filtered() {
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 5);
    }
}

/// How the live view was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// By what.
    pub exit: Exit,
    /// The program had crashed, once: the report is on stderr.
    pub crashed: bool,
}

/// The live view of this program, as [`spawn`] began it. Dropping the last clone leaves the screens at once.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    send: Sender<Input>,
    joining: Sender<RingReader>,
    state: Mutex<State>,
    changed: Condvar,
    /// A forked child has the handle, but neither the thread nor a loop in the view.
    pid: u32,
}

#[derive(Debug, Default)]
struct State {
    /// Outermost loops that run.
    running: u32,
    thread: Option<JoinHandle<()>>,
    /// The screens were left. A caller that waits receives the error.
    left: Option<io::Result<Left>>,
}

impl Handle {
    /// Shows another recording of this program in the same view: its loops are roots beside the others. Returns whether
    /// the view is still there.
    pub fn join(&self, reader: RingReader) -> bool {
        !self.is_left() && self.0.joining.send(reader).is_ok()
    }

    /// An outermost loop begins to run.
    pub fn loop_started(&self) {
        let mut state = self.0.state();
        state.running += 1;
        if state.running == 1 {
            let _ = self.0.send.send(Input::Finished(false));
            self.0.changed.notify_all();
        }
    }

    /// It has ended.
    pub fn loop_ended(&self) {
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
    }

    /// A thread runs no more loops, or its last one `crashed`. If no other loop runs, or after a crash, this waits
    /// until the user leaves: the screens say how it ended. `None` if it has not waited for that: other loops run, or
    /// the screens had been left before.
    ///
    /// # Errors
    ///
    /// When the terminal failed meanwhile.
    pub fn finish(&self, crashed: bool) -> io::Result<Option<Left>> {
        let mut state = self.0.state();
        if self.0.is_forked() || state.left.as_ref().is_some_and(Result::is_ok) {
            return Ok(None);
        }
        if state.running == 0 {
            let _ = self.0.send.send(Input::Finished(true));
        }
        while state.left.is_none() {
            if state.running > 0 && !crashed {
                return Ok(None);
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match &mut state.left {
            Some(Ok(left)) => Ok(Some(*left)),
            Some(failed) => std::mem::replace(failed, Ok(Left { exit: Exit::Stopped, crashed: false })).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the user has left already.
    pub fn is_left(&self) -> bool {
        self.0.is_forked() || self.0.state().left.is_some()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_forked(&self) -> bool {
        self.pid != std::process::id()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.send.send(Input::Stop);
        let own = std::thread::current().id();
        // The view's own thread may be the last to have this; a forked child has no such thread.
        let thread = self.state().thread.take().filter(|thread| thread.thread().id() != own && !self.is_forked());
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}
