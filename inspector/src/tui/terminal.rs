//! Takes the terminal over and restores it.
//!
//! In whatever way the process ends, the terminal must be restored. Three mechanisms do so: leaving ([`Screen`]'s drop,
//! which also runs when a panic unwinds), signals (in the inspector's own program), and a guard: a shell that waits for
//! the end of a pipe from this process and restores the terminal if the process ended without restoring it. The guard
//! also works after `exit` and `kill -9`, which no code in this process could handle.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::Duration;

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event, KeyCode, KeyEvent,
    KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::event_loop::Input;
use crate::environment;

/// What leaving writes: pastes unmarked, mouse off, cursor on, normal screen, plain text.
const LEAVE: &str = "\x1b[?2004l\x1b[?1006l\x1b[?1015l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?25h\x1b[?1049l\x1b[0m";

/// Where the screens are drawn: the terminal itself, wherever stdout goes.
pub type Backend = CrosstermBackend<BufWriter<File>>;

/// The terminal, taken over. Dropping it gives it back.
pub struct Screen {
    /// What is drawn on.
    pub terminal: Terminal<Backend>,
    entered: Arc<AtomicBool>,
    /// The mouse is taken over, too.
    mouse: bool,
    guard: Option<Guard>,
}

impl Screen {
    /// Takes the terminal over, with the `mouse` or without. `spool` is a file that the guard prints if the process
    /// ends without restoring the terminal.
    pub fn take(spool: Option<&Path>, mouse: bool) -> io::Result<Screen> {
        check()?;
        let tty = open()?;
        // With NO_COLOR crossterm leaves out every attribute, the reverse video of the selection too; we have a theme
        // without colours for that.
        crossterm::style::force_color_output(true);
        let guard = Guard::start(spool).ok();
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, tty)))?;
        let mut screen = Screen { terminal, entered: Arc::new(AtomicBool::new(false)), mouse, guard };
        screen.enter()?;
        Ok(screen)
    }

    /// Takes it again, after [`Screen::leave`] or [`Screen::lose`].
    pub fn enter(&mut self) -> io::Result<()> {
        // A shell may have changed the modes meanwhile, without crossterm's knowledge.
        disable_raw_mode()?;
        enable_raw_mode()?;
        self.entered.store(true, Ordering::SeqCst);
        STOPS.store(false, Ordering::SeqCst);
        let out = self.terminal.backend_mut();
        execute!(out, EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
        if self.mouse {
            execute!(out, EnableMouseCapture)?;
        }
        self.clear()
    }

    /// Takes the mouse over, or leaves it to the terminal.
    pub fn set_mouse(&mut self, taken: bool) -> io::Result<()> {
        self.mouse = taken;
        let out = self.terminal.backend_mut();
        if taken { execute!(out, EnableMouseCapture) } else { execute!(out, DisableMouseCapture) }
    }

    /// Whether the terminal is taken over at the moment.
    pub fn is_entered(&self) -> bool {
        self.entered.load(Ordering::SeqCst)
    }

    /// Marks that another program has the terminal, in any state: it must not be changed.
    pub fn lose(&mut self) {
        self.entered.store(false, Ordering::SeqCst);
    }

    /// Empties the screen, so that the next frame draws all of it. (`Terminal::clear` would ask the terminal where its
    /// cursor is, by way of stdout, which need not be a terminal.)
    pub fn clear(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Restores the terminal for a while.
    pub fn leave(&mut self) -> io::Result<()> {
        if self.entered.swap(false, Ordering::SeqCst) {
            let out = self.terminal.backend_mut();
            execute!(out, DisableBracketedPaste, DisableMouseCapture, cursor::Show, LeaveAlternateScreen)?;
            disable_raw_mode()?;
            STOPS.store(can_stop(), Ordering::SeqCst);
        }
        Ok(())
    }

    /// Returns a handle that restores the terminal from elsewhere: a panic hook, a signal.
    pub fn restorer(&self) -> impl Fn() + Send + Sync + 'static {
        let entered = self.entered.clone();
        move || {
            if entered.swap(false, Ordering::SeqCst)
                && let Ok(mut tty) = open()
            {
                let _ = tty.write_all(LEAVE.as_bytes());
                let _ = disable_raw_mode();
            }
            STOPS.store(can_stop(), Ordering::SeqCst);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.leave();
        if let Some(guard) = self.guard.take() {
            guard.dismiss();
        }
    }
}

/// The terminal of this process.
fn open() -> io::Result<File> {
    let no_terminal = |error: io::Error| {
        let what = format!("there is no terminal to draw on (/dev/tty: {error}); `report` and `tree` need none");
        io::Error::new(io::ErrorKind::NotFound, what)
    };
    OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(no_terminal)
}

/// Whether there is a terminal to draw on.
///
/// # Errors
///
/// When there is none, when it can only print (`TERM=dumb`), or when this process runs in its background; the message
/// says so.
pub fn check() -> io::Result<()> {
    let unusable = |why| Err(io::Error::new(io::ErrorKind::Unsupported, why));
    if environment::var_os("TERM").is_some_and(|term| term == "dumb") {
        return unusable("on a terminal with TERM=dumb nothing can be drawn; `report` and `tree` only print");
    }
    open()?;
    if !is_foreground() {
        return unusable("this process runs in the background of its terminal");
    }
    Ok(())
}

/// Whether the terminal is this process's at the moment, rather than a shell's or another job's.
pub fn is_foreground() -> bool {
    let group = open().and_then(|tty| Ok(rustix::termios::tcgetpgrp(tty)?));
    group.is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Starts a shell that outlives this process. When this process ends without restoring the terminal, or another program
/// takes its place, the shell restores the terminal and prints what was captured, up to the last byte written there.
struct Guard {
    shell: Child,
}

impl Guard {
    fn start(spool: Option<&Path>) -> io::Result<Guard> {
        let script = r#"
            trap '' INT QUIT TERM HUP TSTP TTOU TTIN
            saved=$(stty -g </dev/tty) || exit
            echo
            IFS= read -r word
            [ "$word" = done ] && exit
            printf '%s' "$1" >/dev/tty
            stty "$saved" </dev/tty
            [ -n "$2" ] && exec 3<"$2" || exit
            rm -f "$2"
            copy() { cat <&3 >/dev/tty || exit; }
            copy
            # What still prints to the file holds the lock of it: a program that replaced ours, and children.
            command -v flock >/dev/null || flock() { ! kill -0 "$PPID" 2>/dev/null; }
            until flock -n 3; do copy; sleep 0.2 || sleep 1; done
            copy
        "#;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "tinyio-guard", LEAVE]).arg(spool.unwrap_or(Path::new("")));
        // In a group of its own: what is sent to the group of the program does not end it too.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = command.spawn()?;
        // Once it has written a line, it has saved the modes of the terminal.
        let mut line = String::new();
        if let Some(stdout) = shell.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        Ok(Guard { shell })
    }

    fn dismiss(mut self) {
        if let Some(mut stdin) = self.shell.stdin.take() {
            let _ = stdin.write_all(b"done\n");
        }
        let _ = self.shell.wait();
    }
}

/// The thread that reads keys, and a way to make it pause.
pub struct Reader {
    state: Arc<(Mutex<Reading>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    On,
    /// Another program needs the keys.
    Pausing,
    /// The thread does not read keys.
    Paused,
    Off,
}

impl Reader {
    /// Begins to read.
    pub fn start(to: Sender<Input>) -> io::Result<Reader> {
        let state = Arc::new((Mutex::new(Reading::On), Condvar::new()));
        let shared = state.clone();
        let thread = std::thread::Builder::new().name("tinyio-keys".to_owned()).spawn(move || read(&shared, &to))?;
        Ok(Reader { state, thread: Some(thread) })
    }

    /// Stops reading until [`Reader::resume`]; returns when it has stopped.
    pub fn pause(&self) {
        let (state, changed) = &*self.state;
        let mut reading = lock(state);
        if *reading == Reading::On {
            *reading = Reading::Pausing;
        }
        while *reading == Reading::Pausing {
            reading = changed.wait(reading).unwrap_or_else(|broken| broken.into_inner());
        }
    }

    /// Goes on.
    pub fn resume(&self) {
        self.set(Reading::On);
    }

    fn set(&self, to: Reading) {
        let (state, changed) = &*self.state;
        let mut reading = lock(state);
        if *reading != Reading::Off {
            *reading = to;
        }
        changed.notify_all();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.set(Reading::Off);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|broken| broken.into_inner())
}

fn read(state: &(Mutex<Reading>, Condvar), to: &Sender<Input>) {
    let (state, changed) = state;
    loop {
        {
            let mut reading = lock(state);
            if *reading == Reading::Pausing {
                *reading = Reading::Paused;
                changed.notify_all();
            }
            while *reading == Reading::Paused {
                reading = changed.wait(reading).unwrap_or_else(|broken| broken.into_inner());
            }
            if *reading == Reading::Off {
                return;
            }
        }
        // So often it looks whether it is to pause or stop; keys are not delayed by it.
        let sent = match crossterm::event::poll(Duration::from_millis(150)) {
            Ok(false) => Ok(()),
            Ok(true) => match crossterm::event::read() {
                Ok(event) => input(&event).map_or(Ok(()), |input| to.send(input)),
                Err(error) => to.send(Input::Gone(error.to_string())),
            },
            Err(error) => {
                let _ = to.send(Input::Gone(error.to_string()));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn input(event: &Event) -> Option<Input> {
    Some(match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Input::Key(key_name(key)?),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => Input::Click(mouse.column, mouse.row),
            MouseEventKind::ScrollUp => Input::Scroll(false),
            MouseEventKind::ScrollDown => Input::Scroll(true),
            _ => return None,
        },
        Event::Paste(text) => Input::Paste(text.clone()),
        Event::Resize(..) => Input::Resize,
        _ => return None,
    })
}

/// The name that the table of keys uses.
pub fn key_name(key: &KeyEvent) -> Option<String> {
    let name = match key.code {
        KeyCode::Char(' ') => "space".to_owned(),
        KeyCode::Char(one) => one.to_string(),
        KeyCode::F(number) => format!("f{number}"),
        KeyCode::Enter => "enter".to_owned(),
        KeyCode::Esc => "esc".to_owned(),
        KeyCode::Tab if key.modifiers.contains(KeyModifiers::SHIFT) => "backtab".to_owned(),
        KeyCode::Tab => "tab".to_owned(),
        KeyCode::BackTab => "backtab".to_owned(),
        KeyCode::Backspace => "backspace".to_owned(),
        KeyCode::Delete => "delete".to_owned(),
        KeyCode::Insert => "insert".to_owned(),
        KeyCode::Up => "up".to_owned(),
        KeyCode::Down => "down".to_owned(),
        KeyCode::Left => "left".to_owned(),
        KeyCode::Right => "right".to_owned(),
        KeyCode::Home => "home".to_owned(),
        KeyCode::End => "end".to_owned(),
        KeyCode::PageUp => "pgup".to_owned(),
        KeyCode::PageDown => "pgdn".to_owned(),
        _ => return None,
    };
    let plain = !matches!(key.code, KeyCode::BackTab | KeyCode::Tab);
    Some(match key.modifiers {
        held if held.contains(KeyModifiers::CONTROL) && plain => format!("ctrl-{}", name.to_lowercase()),
        held if held.contains(KeyModifiers::ALT) && plain => format!("alt-{name}"),
        _ => name,
    })
}

/// The handling of signals while the screens have the terminal.
pub struct SignalHandlers {
    handle: signal_hook::iterator::Handle,
}

/// SIGTSTP stops this process at once: the screens do not have the terminal. (A signal once caught stays so, with this
/// for its default.)
static STOPS: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
/// The next SIGTSTP is one that [`suspend`] sent.
static OWN_STOP: AtomicBool = AtomicBool::new(false);

impl SignalHandlers {
    /// Of a program of our own: those that end it restore the terminal first.
    pub fn install(to: Sender<Input>, restore: impl Fn() + Send + 'static) -> io::Result<SignalHandlers> {
        use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
        SignalHandlers::of(&[SIGTSTP, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM], to, restore)
    }

    /// Handles signals for a recorded program: its signals are not ours to handle, except those that stop and continue
    /// it, and those only where it does not handle them itself.
    pub fn of_the_program(to: Sender<Input>) -> io::Result<SignalHandlers> {
        use signal_hook::consts::{SIGCONT, SIGTSTP};
        let handled = |signal| in_mask("SigCgt:", signal) || in_mask("SigIgn:", signal);
        let signals: Vec<_> = [SIGTSTP, SIGCONT].into_iter().filter(|signal| !handled(*signal)).collect();
        SignalHandlers::of(&signals, to, || {})
    }

    fn of(caught: &[i32], to: Sender<Input>, restore: impl Fn() + Send + 'static) -> io::Result<SignalHandlers> {
        use signal_hook::consts::{SIGCONT, SIGTSTP};
        if caught.contains(&SIGTSTP) {
            static ONCE: Mutex<bool> = Mutex::new(false);
            let mut registered = lock(&ONCE);
            if !*registered {
                signal_hook::flag::register_conditional_default(SIGTSTP, STOPS.clone())?;
                *registered = true;
            }
        }
        let mut signals = signal_hook::iterator::Signals::new(caught)?;
        let handle = signals.handle();
        std::thread::Builder::new().name("tinyio-signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                match signal {
                    SIGTSTP if OWN_STOP.swap(false, Ordering::SeqCst) => {}
                    SIGTSTP => drop(to.send(Input::Suspend)),
                    SIGCONT => drop(to.send(Input::Continued)),
                    signal => {
                        restore();
                        let _ = signal_hook::low_level::emulate_default_handler(signal);
                    }
                }
            }
        })?;
        Ok(SignalHandlers { handle })
    }
}

impl Drop for SignalHandlers {
    fn drop(&mut self) {
        self.handle.close();
    }
}

/// Whether this process may stop: whether something can continue it again. Nothing can continue a process that a
/// terminal started without a shell, and the system does not stop it either.
pub fn can_stop() -> bool {
    rustix::process::getsid(None).is_ok_and(|session| session != rustix::process::getpgrp())
}

/// Stops this process, or its whole `job` as the terminal does for Ctrl-Z; returns once it is continued.
pub fn suspend(job: bool) {
    use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
    OWN_STOP.store(in_mask("SigCgt:", signal_hook::consts::SIGTSTP), Ordering::SeqCst);
    let _ = if job { kill_current_process_group(Signal::TSTP) } else { kill_process(getpid(), Signal::TSTP) };
    // If another thread receives the signal, this thread runs for a moment longer. It must not have taken the terminal
    // again when the process stops.
    std::thread::sleep(Duration::from_millis(100));
}

/// Sends this process what the terminal sends for Ctrl-C.
pub fn interrupt() {
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::INT);
}

/// Sends another process the same.
pub fn interrupt_other(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }
}

/// Whether this process has a handler of its own for Ctrl-C.
pub fn catches_interrupt() -> bool {
    in_mask("SigCgt:", signal_hook::consts::SIGINT)
}

/// Whether a signal is in one of the masks that Linux tells of this process.
fn in_mask(name: &str, signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix(name));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (signal - 1) & 1 != 0)
}

/// Runs the editor and waits for it.
///
/// # Errors
///
/// When there is none, or it cannot be run, or the file is none that could be edited.
pub fn edit(file: &Path, line: u32) -> io::Result<()> {
    let set = |name| environment::var(name).filter(|value: &String| !value.trim().is_empty());
    let (name, editor) =
        ["TINYIO_EDITOR", "EDITOR"].into_iter().find_map(|name| Some((name, set(name)?))).ok_or_else(|| {
            io::Error::other(match environment::is_trusted() {
                true => "neither $TINYIO_EDITOR nor $EDITOR is set",
                false => "this program is privileged (AT_SECURE), so it runs no editor",
            })
        })?;
    let words = editor_words(&editor, name == "TINYIO_EDITOR", file, line)
        .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, format!("${name}: {why}")))?;
    check_regular(file)?;
    let tty = open()?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(tty.try_clone()?).stdout(tty.try_clone()?).stderr(tty);
    let program = words[0].display();
    let status = command.status().map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{program} ended with {status}"))) }
}

/// Whether the file is one to edit: of a device or a pipe an editor would wait for ever.
fn check_regular(file: &Path) -> io::Result<()> {
    let is = std::fs::metadata(file).map(|meta| meta.is_file());
    match is {
        Ok(true) => Ok(()),
        Ok(false) => Err(io::Error::other(format!("{:?} is no regular file", file.display().to_string()))),
        Err(error) => Err(io::Error::new(error.kind(), format!("{:?}: {error}", file.display().to_string()))),
    }
}

/// The editor's command line: its variable, split as a shell does, and the place. `TINYIO_EDITOR` (`own`) gets file and
/// line, the convention of the debugger patdb; `EDITOR` gets what it is known to understand.
fn editor_words(editor: &str, own: bool, file: &Path, line: u32) -> Result<Vec<OsString>, String> {
    let words = shell_words::split(editor).map_err(|error| error.to_string())?;
    if words.first().is_none_or(String::is_empty) {
        return Err("it names no program".to_owned());
    }
    if !file.is_absolute() {
        return Err(format!("the file {:?} is not given by its whole path", file.display().to_string()));
    }
    let place = if own { [file.into(), line.to_string().into()] } else { [format!("+{line}").into(), file.into()] };
    Ok(words.into_iter().map(OsString::from).chain(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keys::is_key;

    #[test]
    fn keys_get_the_names_of_the_table() {
        let name = |code, modifiers| key_name(&KeyEvent::new(code, modifiers)).unwrap();
        assert_eq!(name(KeyCode::Char('J'), KeyModifiers::SHIFT), "J");
        assert_eq!(name(KeyCode::Char(' '), KeyModifiers::NONE), "space");
        assert_eq!(name(KeyCode::Char('c'), KeyModifiers::CONTROL), "ctrl-c");
        assert_eq!(name(KeyCode::BackTab, KeyModifiers::SHIFT), "backtab");
        assert_eq!(name(KeyCode::F(1), KeyModifiers::NONE), "f1");
        for code in [KeyCode::Enter, KeyCode::PageDown, KeyCode::PageUp, KeyCode::Delete, KeyCode::Char('ß')] {
            assert!(is_key(&name(code, KeyModifiers::NONE)));
        }
    }

    #[test]
    fn the_editor_is_split_as_a_shell_does_and_a_file_is_never_an_option() {
        let words = |editor: &str, own, file: &str| editor_words(editor, own, Path::new(file), 7);
        let strings = |words: &[&str]| Ok(words.iter().map(OsString::from).collect::<Vec<_>>());
        let spaced = "\"/opt/my editor/ed\" -n --cmd 'set a b'";
        assert_eq!(
            words(spaced, false, "/src/-c:!touch x.rs"),
            strings(&["/opt/my editor/ed", "-n", "--cmd", "set a b", "+7", "/src/-c:!touch x.rs"])
        );
        assert_eq!(words("code", true, "/a.rs"), strings(&["code", "/a.rs", "7"]));
        for wrong in ["\"code", "''"] {
            assert!(words(wrong, true, "/a.rs").is_err(), "{wrong}");
        }
        assert!(words("vim", false, "-c:!touch hacked").unwrap_err().contains("whole path"));
    }

    #[test]
    fn only_regular_files_are_handed_to_the_editor() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("-c:!touch x.rs"), "fn main() {}").unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), mode).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        symlink(at("-c:!touch x.rs"), at("link")).unwrap();
        symlink("/dev/null", at("link-to-a-device")).unwrap();
        for name in ["-c:!touch x.rs", "link"] {
            assert!(check_regular(&at(name)).is_ok(), "{name}");
        }
        for name in ["pipe", "socket", "link-to-a-device", "", "/dev/null"] {
            let error = check_regular(&at(name)).unwrap_err().to_string();
            assert!(error.contains("is no regular file"), "{name}: {error}");
        }
        let error = check_regular(&at("gone\u{1b}[31m")).unwrap_err().to_string();
        assert!(error.contains("No such file") && !error.contains('\u{1b}'), "{error}");
    }
}
