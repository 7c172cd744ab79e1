//! The examples under the live view, in a pseudo-terminal.

mod session;

use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use portable_pty::CommandBuilder;
use session::Session;
use tinyio_inspector::model::Model;
use tinyio_inspector::source::{Progress, Source};
use tinyio_inspector::trace::TraceReader;

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
    assert!(matches!(error[..], [line] if line.ends_with("(shown above)")), "{text}");
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
    for part in ["Stacks", "origin", "symlink loop", "files.rs", "= \"/loop\"", "LIVE"] {
        session.wait_for(part);
    }
    session.press("6");
    session.wait_for("GET /loop: ");
    session.press("7");
    // The first of the two is found below the second.
    session.wait("two stacks", |screen| screen.contents().matches("origin").count() == 2);
    session.press("J");
    session.wait("the older one", |screen| {
        screen.contents().lines().any(|line| line.contains("▶ ✖ answer") && line.contains("loop "))
    });
    session.press("\u{3}");
    session.wait_for("the program was interrupted");
    session.end();
}

/// A folder of files and their manifest, of which one is not true any more.
fn corrupted(files: usize, wrong: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 0..files {
        std::fs::write(folder.path().join(format!("file {i}.txt")), format!("content {i}\n")).expect("a file");
    }
    let script = format!("sha256sum *.txt > manifest; echo changed > 'file {wrong}.txt'");
    assert!(Command::new("sh").args(["-c", &script]).current_dir(folder.path()).status().expect("a shell").success());
    folder
}

/// The trace is all that comes along: each path in it leads nowhere.
#[test]
fn a_corrupted_manifest_is_reported_where_there_is_neither_the_source_nor_the_program() {
    let verify = built(&["--example", "verify"], "examples/verify");
    let files = corrupted(300, 77);
    let here = files.path().join("trace.jsonl");
    let output = Command::new(&verify)
        .arg("manifest")
        .current_dir(files.path())
        .env("TINYIO_TRACE", &here)
        .env("TINYIO_RING_DIR", files.path().join("rings"))
        .env_remove("TINYIO_INSPECT")
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");

    let mut session = shell(
        "while [ ! -e $TMPDIR/trace.jsonl ]; do :; done; cd /; exec $INSPECTOR replay $TMPDIR/trace.jsonl",
        &verify,
    );
    let elsewhere = session.folder.path().join("trace.jsonl");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder").to_str().expect("text");
    let target = verify.ancestors().nth(3).expect("a target folder").to_str().expect("text");
    let mut text = std::fs::read_to_string(&here).expect("a trace");
    for (there, nowhere) in [(root, "source"), (target, "target"), (files.path().to_str().expect("text"), "files")] {
        text = text.replace(there, &format!("/nowhere/{nowhere}"));
    }
    let hidden = session.folder.path().join("being written");
    std::fs::write(&hidden, &text).expect("a file");
    std::fs::rename(&hidden, &elsewhere).expect("a file");

    let report = |trace: &Path| {
        let report = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"))
            .arg("report")
            .arg(trace)
            .current_dir("/")
            .env("COLUMNS", "200")
            .output()
            .expect("it starts");
        String::from_utf8(report.stdout).expect("text")
    };
    let text = report(&elsewhere);
    // The failing coroutine, its place and its file; the coroutines that waited for it; and each of the others with its
    // file.
    for part in [
        "file 77.txt: expected the sum ",
        "check_manifest #2",
        "path     = \"file 77.txt\"",
        "return Err(Mismatch { path, expected, found }.into());",
        " × check ",
        " × check_all ",
        "sizes   = [",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let others = text.split_once("more were cancelled").expect("there were").1;
    assert!(
        others.lines().any(|line| line.trim().starts_with("path ") && line.matches("\"file ").count() > 1),
        "{text}"
    );
    let mut same = report(&here);
    for (there, nowhere) in
        [(root, "/nowhere/source"), (here.to_str().expect("text"), elsewhere.to_str().expect("text"))]
    {
        same = same.replace(there, nowhere);
    }
    assert_eq!(text, same, "nothing was read from the disk");

    // The crash view, at the failure and at one of those that were cancelled with it.
    for part in ["CRASHED", "check #", "origin", "= \"file 77.txt\"", "return Err(Mismatch"] {
        session.wait_for(part);
    }
    let selected = |screen: &vt100::Screen| {
        let text = screen.contents();
        text.lines()
            .find(|line| line.contains("▶ ✖ ") || line.contains("▶ ⊘ "))
            .map(|line| line.chars().take(40).collect::<String>())
    };
    let mut at = selected(session.screen.screen());
    while !at.as_ref().expect("one is selected").contains("▶ ⊘ check ") {
        session.press("J");
        let before = at;
        session.wait("the next stack", |screen| selected(screen).is_some_and(|now| Some(now) != before));
        at = selected(session.screen.screen());
    }
    session.wait("where it was", |screen| {
        let text = screen.contents();
        text.contains("path     = \"file ") && text.contains("let (found, bytes) = match")
    });
    session.press("q");
    session.end();
}

/// The checks that found something at any moment of a trace.
fn lints_of(trace: &Path) -> std::collections::BTreeSet<&'static str> {
    let mut reader = TraceReader::open(trace).expect("a trace");
    let mut model = Model::new(reader.header());
    let mut found = std::collections::BTreeSet::new();
    let mut is_more = true;
    while is_more {
        is_more = reader.read(20, &mut |event| model.apply(&event)).expect("events") == Progress::More;
        found.extend(tinyio_inspector::lint::check(&model, model.now()).into_iter().map(|lint| lint.check));
    }
    assert!(model.events() > 20, "it was recorded");
    found
}

/// The checks that found something in each of three recordings: a step may be long in one of them because the machine
/// has other work. `record` writes one and returns where it is.
fn lints_of_three(record: impl Fn() -> PathBuf) -> std::collections::BTreeSet<&'static str> {
    let mut found = lints_of(&record());
    for _ in 0..2 {
        if !found.is_empty() {
            found = &found & &lints_of(&record());
        }
    }
    found
}

/// Only the tour has findings, for the mistakes it shows on purpose.
#[test]
fn no_example_has_a_false_lint() {
    let files = corrupted(100, 7);
    let folder = files.path();
    std::fs::write(folder.join("file 7.txt"), "content 7\n").expect("a file");
    std::fs::write(folder.join("file 7 again.txt"), "content 7\n").expect("a file");
    let start = |program: &Path, arguments: &[&str], name: &str| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).env_remove("TINYIO_INSPECT");
        command.env("TINYIO_TRACE", folder.join(name)).env("TINYIO_RING_DIR", folder.join("rings"));
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().expect("it starts")
    };
    let ends = |child: std::process::Child| {
        let output = child.wait_with_output().expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let interrupt = |child: &std::process::Child| {
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill").success());
    };

    for (example, argument, expected) in [("dedup", ".", "1 group"), ("verify", "manifest", "100 files")] {
        let record = || {
            let (program, name) = (format!("examples/{example}"), format!("{example}.jsonl"));
            let output = ends(start(&built(&["--example", example], &program), &[argument], &name));
            assert!(output.contains(expected), "{output}");
            folder.join(name)
        };
        assert_eq!(lints_of_three(record), Default::default(), "{example}");
    }

    let serve = || {
        let mut serve = start(&built(&["-p", "serve"], "serve"), &["--port", "0", "."], "serve.jsonl");
        let mut printed = std::io::BufReader::new(serve.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains("http://") {
            line.clear();
            assert!(printed.read_line(&mut line).expect("text") > 0, "it prints its address");
        }
        let address = line.split_once("http://").expect("an address").1.split_whitespace().next().expect("an address");
        for path in ["/", "/manifest", "/file%207.txt", "/nothing"] {
            let mut stream = TcpStream::connect(address).expect("a server");
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("a request");
            stream.read_to_end(&mut Vec::new()).expect("an answer");
        }
        interrupt(&serve);
        serve.wait().expect("it ends");
        folder.join("serve.jsonl")
    };
    assert_eq!(lints_of_three(serve), Default::default(), "serve");

    let tour = || {
        let tour = start(&built(&["--example", "tour"], "examples/tour"), &["crash"], "tour.jsonl");
        assert!(ends(tour).contains("is no text"));
        folder.join("tour.jsonl")
    };
    assert_eq!(lints_of_three(tour), Default::default(), "the tour, before its lock is held for long");
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/live.jsonl");
    assert_eq!(lints_of(&recorded), ["holds-lock"].into());
}
