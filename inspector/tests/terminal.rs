//! The screens in a real terminal: a pseudo-terminal, with a shell in it as a user has one.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// Far more than anything here takes; a test waits for what is to be seen, not for time to pass.
const PATIENCE: Duration = Duration::from_secs(30);

struct Session {
    screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
    keys: Box<dyn Write + Send>,
    shell: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    folder: tempfile::TempDir,
}

impl Session {
    /// A shell that runs `script` in a terminal of that size; `$PRETEND` and `$INSPECTOR` are the programs, `$TRACES` the traces.
    fn start(script: &str, (columns, rows): (u16, u16)) -> Session {
        let folder = tempfile::tempdir().unwrap();
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", script]);
        command.cwd(env!("CARGO_MANIFEST_DIR"));
        for (name, value) in [
            ("PRETEND", example("pretend")),
            ("INSPECTOR", env!("CARGO_BIN_EXE_tinyio-inspector").into()),
            ("TRACES", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces").into()),
            ("XDG_RUNTIME_DIR", folder.path().into()),
            ("TMPDIR", folder.path().into()),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
            ("RUST_BACKTRACE", "0".into()),
        ] {
            command.env(name, value);
        }
        for name in ["NO_COLOR", "LC_ALL", "LC_CTYPE", "TINYIO_ASCII", "TINYIO_THEME", "TINYIO_EDITOR", "EDITOR"] {
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
        let screen = vt100::Parser::new(rows, columns, 200);
        Session { screen, output, keys, shell, master: pair.master, folder }
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Takes output in until the screen is as wanted.
    #[track_caller]
    fn wait(&mut self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let begin = Instant::now();
        while !wanted(self.screen.screen()) {
            match self.output.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(error) => {
                    let ended = error == RecvTimeoutError::Disconnected;
                    panic!("no {what:?} (the shell ended: {ended}) in:\n{}", self.text());
                }
            }
        }
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        self.wait(text, |screen| screen.contents().contains(text));
    }

    /// Waits until the terminal is as it was: normal screen, cursor, no mouse, and the line editing that the shell reports.
    #[track_caller]
    fn wait_for_restored(&mut self) {
        self.wait("normal screen", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
        self.wait_for("COOKED");
    }

    /// The process id that the header of the screen shows.
    fn pid(&self) -> String {
        let text = self.text();
        let rest = text.split_once("pid ").unwrap().1;
        rest.chars().take_while(char::is_ascii_digit).collect()
    }

    fn end(mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Says COOKED once the terminal edits lines again; a guard that puts it right may be a moment behind.
const COOKED: &str = "; status=$?; until stty -a | grep -q ' icanon'; do :; done; echo status $status COOKED; sleep 60";

fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join(name)
}

fn kill(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

#[test]
fn a_program_is_watched_to_its_end_and_its_output_given_back() {
    let mut session = Session::start(&format!("$PRETEND print work{COOKED}"), (100, 30));
    session.wait_for("fetch ×34");
    session.press("6");
    session.wait_for("a red line on stderr");
    assert!(!session.text().contains("half a line"), "not a whole line yet");
    session.wait_for("it has ended");
    session.press("q");
    session.wait_for("done");
    session.wait_for_restored();
    let text = session.text();
    for part in ["a line on stdout", "a red line on stderr", "half a line", "left: Ok(Quit)", "status 0"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    session.end();
}

#[test]
fn a_crash_opens_the_post_mortem_and_leaving_prints_the_report() {
    let mut session = Session::start(&format!("$PRETEND work crash{COOKED}"), (100, 30));
    session.wait_for("CRASHED");
    session.wait_for("no more luck");
    session.press("t");
    session.wait_for("fetch ×4");
    session.press("q");
    session.press("q");
    session.wait_for("pretend crashed after");
    session.wait_for_restored();
    session.end();
}

#[test]
fn a_trace_is_replayed_back_to_before_the_crash() {
    let mut session = Session::start(&format!("$INSPECTOR replay $TRACES/verify.jsonl{COOKED}"), (100, 30));
    session.wait_for("sha256 mismatch: file 777.txt");
    session.press("[1");
    session.wait_for("check ×");
    session.press("0");
    session.wait_for("nothing lives any more");
    session.press("q");
    session.wait_for("verify crashed after");
    session.wait_for_restored();
    session.end();
}

#[test]
fn after_kill_9_the_guard_restores_the_terminal_and_prints_what_was_captured() {
    let mut session = Session::start(&format!("$PRETEND print wait{COOKED}"), (100, 30));
    session.wait_for("fetch ×34");
    let pid = session.pid();
    kill("-KILL", &pid);
    session.wait_for_restored();
    session.wait_for("half a line");
    assert!(session.text().contains("status 137"), "{}", session.text());
    session.end();
}

#[test]
fn whatever_ends_the_program_the_terminal_comes_back() {
    for (words, status) in [("work exit", "status 7"), ("work abort", "status 134"), ("work panic", "status 101")] {
        let mut session = Session::start(&format!("$PRETEND print {words}{COOKED}"), (100, 30));
        session.wait_for("fetch ×34");
        session.wait_for_restored();
        assert!(session.text().contains(status), "after {words}: {}", session.text());
        session.wait_for("a line on stdout");
        session.end();
    }
}

#[test]
fn signals_that_end_the_inspector_leave_the_terminal_as_it_was() {
    for signal in ["-TERM", "-HUP", "-KILL"] {
        let script = format!("$INSPECTOR replay $TRACES/crawl.jsonl & echo $! > $TMPDIR/pid; wait $!{COOKED}");
        let mut session = Session::start(&script, (100, 30));
        session.wait_for("fetch ×8");
        let pid = std::fs::read_to_string(session.folder.path().join("pid")).unwrap();
        kill(signal, pid.trim());
        session.wait_for_restored();
        session.end();
    }
}

#[test]
fn the_ring_of_a_killed_program_is_shown_by_last() {
    let cooked = "until stty -a | grep -q ' icanon'; do :; done";
    let script = format!("$PRETEND work wait; {cooked}; $INSPECTOR last{COOKED}");
    let mut session = Session::start(&script, (100, 30));
    session.wait_for("LIVE");
    session.wait_for("fetch ×34");
    let pid = session.pid();
    kill("-KILL", &pid);
    session.wait_for("KILLED");
    session.wait_for("fetch ×34");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn a_command_is_started_under_the_view_which_stays_when_it_is_killed() {
    let script = format!("$INSPECTOR run -- $PRETEND print work wait{COOKED}");
    let mut session = Session::start(&script, (100, 30));
    session.wait_for("fetch ×34");
    session.press("6");
    session.wait_for("a red line on stderr");
    session.press("1");
    let pid = session.pid();
    kill("-KILL", &pid);
    session.wait_for("KILLED");
    session.wait_for("fetch ×34");
    session.press("q");
    session.wait_for_restored();
    assert!(session.text().contains("status 137"), "{}", session.text());
    session.end();
}

#[test]
fn the_output_of_a_command_is_printed_once_and_its_exit_code_is_kept() {
    let script = format!("$INSPECTOR run sh -c 'echo before; exec $PRETEND print work exit'{COOKED}");
    let mut session = Session::start(&script, (100, 30));
    session.wait_for("KILLED");
    session.press("q");
    session.wait_for_restored();
    let text = session.text();
    assert!(text.contains("status 7"), "{text}");
    for part in ["before", "a line on stdout", "half a line"] {
        assert_eq!(text.matches(part).count(), 1, "{part:?} in {text}");
    }
    session.end();
}

#[test]
fn the_smallest_terminals_are_survived_and_grow_again() {
    let mut session = Session::start(&format!("$INSPECTOR replay $TRACES/crawl.jsonl{COOKED}"), (20, 5));
    session.wait_for("CUT");
    session.press("jjjg?qg");
    for (cols, rows) in [(1, 1), (3, 2), (100, 30)] {
        session.screen.screen_mut().set_size(rows, cols);
        session.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }
    session.wait_for("1 on threads");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn the_editor_is_opened_at_the_line_and_left_for_an_intact_screen() {
    let editor = "printf '#!/bin/sh\\necho EDITOR $1 $2\\nread line\\n' > $TMPDIR/edit; chmod +x $TMPDIR/edit";
    let script = format!("{editor}; export TINYIO_EDITOR=$TMPDIR/edit; $PRETEND crash{COOKED}");
    let mut session = Session::start(&script, (100, 30));
    session.wait_for("CRASHED");
    session.wait_for("Callstacks");
    session.press("e");
    session.wait_for("EDITOR");
    session.wait_for("pretend.rs 60");
    session.press("\r");
    session.wait_for("Callstacks");
    session.press("q");
    session.wait_for_restored();
    session.end();
}

#[test]
fn without_a_terminal_it_says_so_and_the_program_runs_all_the_same() {
    let without = |program: PathBuf, args: &[&str]| {
        // In a session of its own there is no terminal.
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(program).args(args).env("XDG_RUNTIME_DIR", folder.path());
        command.output().unwrap()
    };
    let trace = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/crawl.jsonl");
    let output = without(env!("CARGO_BIN_EXE_tinyio-inspector").into(), &["replay", trace]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no terminal"));
    let output = without(example("pretend"), &["print"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no live view"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("a line on stdout"));
}
