//! The examples under the live view, in a pseudo-terminal.

mod session;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use portable_pty::CommandBuilder;
use session::Session;

/// The folder of the programs of the workspace, where this one is built if it is not there.
fn built(arguments: &[&str], program: &str) -> PathBuf {
    let debug = Path::new(env!("CARGO_BIN_EXE_tinyio-inspector")).parent().expect("a folder");
    let program = debug.join(program);
    if !program.exists() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let cargo = Command::new(env!("CARGO")).arg("build").args(arguments).current_dir(root).status();
        assert!(cargo.expect("cargo").success());
    }
    program
}

fn shell(script: &str, program: &Path) -> Session {
    let mut command = CommandBuilder::new("/bin/sh");
    command.args(["-c", script]);
    command.cwd(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.env("PROGRAM", program);
    Session::of(command, tempfile::tempdir().expect("a folder"), (100, 60))
}

#[test]
fn the_report_of_a_crash_is_printed_once_though_main_returns_it_too() {
    let tour = built(&["--example", "tour"], "examples/tour");
    let mut session = shell("TINYIO_INSPECT=1 $PROGRAM crash 2>&1; echo status $?; sleep 60", &tour);
    session.wait_for("CRASHED");
    session.press("q");
    session.wait_for("status 1");
    let text = session.text();
    assert!(text.contains("8 more were cancelled"), "{text}");
    let error = text.lines().filter(|line| line.starts_with("Error: ✖ tour crashed after")).collect::<Vec<_>>();
    assert!(matches!(error[..], [line] if line.ends_with("(told above)")), "{text}");
    assert_eq!(text.matches("more were cancelled").count(), 1, "{text}");
    session.end();
}

#[test]
fn crashes_of_isolated_loops_are_looked_at_while_the_program_goes_on() {
    let serve = built(&["-p", "serve"], "serve");
    let script = "mkdir $TMPDIR/www; ln -s loop $TMPDIR/www/loop; exec $INSPECTOR run -- $PROGRAM --port 0 $TMPDIR/www";
    let mut session = shell(script, &serve);
    session.wait_for("LIVE");
    session.press("7");
    session.wait_for("nothing has crashed");
    session.press("6");
    session.wait_for("http://127.0.0.1:");
    let text = session.text();
    let address = text.split_once("http://").expect("an address").1.split_whitespace().next().expect("an address");
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(address).expect("a server");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    assert!(ask("/loop").starts_with("HTTP/1.1 500"));
    session.wait_for("7 Crash");
    assert!(ask("/loop").starts_with("HTTP/1.1 500"), "the program goes on");
    session.press("7");
    // The crash view, with what failed, where, and with which values.
    for part in ["Callstacks", "origin", "symlink loop", "files.rs", "= \"/loop\"", "LIVE"] {
        session.wait_for(part);
    }
    session.press("6");
    session.wait_for("GET /loop: ");
    session.press("7");
    // The first of the two is found below the second.
    session.wait("two callstacks", |screen| screen.contents().matches("origin").count() == 2);
    session.press("J");
    session.wait("the older one", |screen| {
        screen.contents().lines().any(|line| line.contains("▶ ✖ answer") && line.contains("loop "))
    });
    session.press("\u{3}");
    session.wait_for("the program was interrupted");
    session.end();
}
