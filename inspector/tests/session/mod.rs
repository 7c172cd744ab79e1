//! A pseudo-terminal with a shell in it, as a user has one.

#![allow(dead_code, reason = "each test uses some of it")]

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Far more than anything here takes; a test waits for what is to be seen, not for time to pass.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What programs sent to the clipboard.
#[derive(Default)]
pub struct Clipboard {
    pub copied: Vec<String>,
}

impl vt100::Callbacks for Clipboard {
    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, kind: &[u8], data: &[u8]) {
        assert_eq!(kind, b"c");
        self.copied.push(String::from_utf8(from_base64(data)).unwrap());
    }
}

fn from_base64(data: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = data.iter().filter(|byte| **byte != b'=');
    let digits: Vec<u32> = digits.map(|byte| DIGITS.iter().position(|one| one == byte).unwrap() as u32).collect();
    let bytes = digits.chunks(4).flat_map(|chunk| {
        let word = chunk.iter().enumerate().fold(0, |word, (at, digit)| word | digit << (18 - 6 * at));
        word.to_be_bytes()[1..chunk.len()].to_vec()
    });
    bytes.collect()
}

pub struct Session {
    pub screen: vt100::Parser<Clipboard>,
    output: Receiver<Vec<u8>>,
    keys: Box<dyn Write + Send>,
    shell: Box<dyn Child + Send + Sync>,
    pub master: Box<dyn MasterPty + Send>,
    pub folder: tempfile::TempDir,
}

impl Session {
    /// A shell that runs `script` in a terminal of that size; `$PRETEND` and `$INSPECTOR` are the programs, `$TRACES`
    /// the traces.
    pub fn start(script: &str, size: (u16, u16)) -> Session {
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", script]);
        command.cwd(env!("CARGO_MANIFEST_DIR"));
        Session::of(command, tempfile::tempdir().unwrap(), size)
    }

    /// A command, with that folder for temporary and runtime files.
    pub fn of(mut command: CommandBuilder, folder: tempfile::TempDir, (columns, rows): (u16, u16)) -> Session {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        for (name, value) in [
            ("PRETEND", example("pretend")),
            ("INSPECTOR", env!("CARGO_BIN_EXE_tinyio-inspector").into()),
            ("TRACES", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces").into()),
            ("XDG_RUNTIME_DIR", folder.path().into()),
            ("TMPDIR", folder.path().into()),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("RUST_BACKTRACE", "0".into()),
            ("TINYIO_SETTINGS_FILE", "/dev/null".into()),
        ] {
            command.env(name, value);
        }
        for name in [
            "NO_COLOR",
            "LC_ALL",
            "LC_CTYPE",
            "TINYIO_ASCII",
            "TINYIO_THEME",
            "TINYIO_EDITOR",
            "EDITOR",
            "TINYIO_INSPECT",
            "TINYIO_TRACE",
            "TINYIO_SETTINGS",
        ] {
            command.env_remove(name);
        }
        let shell = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (send, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if send.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        let screen = vt100::Parser::new_with_callbacks(rows, columns, 200, Clipboard::default());
        Session { screen, output, keys, shell, master: pair.master, folder }
    }

    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Takes output in until the screen is as wanted.
    #[track_caller]
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let begin = Instant::now();
        while !wanted(self.screen.screen()) {
            match self.output.recv_timeout(TIMEOUT.saturating_sub(begin.elapsed())) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(error) => {
                    let ended = error == RecvTimeoutError::Disconnected;
                    panic!("no {what:?} (the shell ended: {ended}) in:\n{}", self.text());
                }
            }
        }
    }

    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        self.wait(text, |screen| screen.contents().contains(text));
    }

    /// Waits until the terminal is as it was: normal screen, cursor, no mouse, and the line editing that the shell
    /// reports.
    #[track_caller]
    pub fn wait_for_restored(&mut self) {
        self.wait("normal screen", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
        self.wait_for("COOKED");
    }

    /// The process id that the header of the screen shows.
    pub fn pid(&self) -> String {
        let text = self.text();
        let rest = text.split_once("pid ").unwrap().1;
        rest.chars().take_while(char::is_ascii_digit).collect()
    }

    pub fn end(mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// An example that was built with the tests.
pub fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join(name)
}
