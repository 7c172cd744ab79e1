//! What a program prints is in its recording, and reaches its reader as it is. The programs are the ignored tests of
//! this file.

mod session;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portable_pty::CommandBuilder;
use session::Session;
use tinyio_inspector::event::Kind;
use tinyio_inspector::source::Source;
use tinyio_inspector::trace::TraceReader;

/// Where the programs find the files for which they wait; without it they do nothing.
const FOLDER: &str = "OUTPUT_FOLDER";

fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os(FOLDER).map(Into::into)
}

async fn until(file: &str) -> tinyio::Result<()> {
    while !folder().is_some_and(|folder| folder.join(file).exists()) {
        tinyio::sleep(Duration::from_millis(5)).await?;
    }
    Ok(())
}

/// Prints a line, waits for the file `go`, and prints another and a begun one.
async fn prints_lines() -> tinyio::Result<()> {
    println!("the first line");
    until("go").await?;
    eprintln!("\u{1b}[31ma red line\u{1b}[0m");
    print!("half a line");
    Ok(())
}

#[test]
#[ignore = "a program that a test starts"]
fn program() {
    if folder().is_some() {
        tinyio::Loop::new().run(prints_lines()).unwrap();
        println!();
    }
}

#[test]
#[ignore = "a program that a test starts"]
fn floods() {
    if let Some(folder) = folder() {
        let main = async move {
            (0..50_000).for_each(|line| println!("line {line} of a flood"));
            put_file(&folder, "all");
            tinyio::Ok(())
        };
        tinyio::Loop::new().run(main).unwrap();
    }
}

#[test]
#[ignore = "a program that a test starts"]
fn ends() {
    let Some(folder) = folder() else { return };
    let how = std::fs::read_to_string(folder.join("how")).unwrap();
    let main = async move {
        println!("the last line");
        match how.as_str() {
            "exit" => std::process::exit(7),
            "abort" => std::process::abort(),
            "child" => {
                // It lives on when this process has ended, and so does what it prints.
                let script = "until test -e go; do sleep 0.01; done; echo from the child";
                Command::new("/bin/sh").args(["-c", script]).current_dir(&folder).spawn().unwrap();
                std::process::exit(7)
            }
            "exec" => {
                use std::os::unix::process::CommandExt;
                // Long enough ago that the writer of the trace is idle.
                tinyio::sleep(Duration::from_millis(20)).await?;
                let script = "echo from another program; exec sleep 60";
                panic!("{}", Command::new("/bin/sh").args(["-c", script]).exec())
            }
            _ => tinyio::sleep(Duration::from_secs(3600)).await,
        }
    };
    tinyio::Loop::new().run(main).unwrap();
}

#[test]
#[ignore = "a program that a test starts"]
fn prints_its_terminal() {
    if folder().is_none() {
        return;
    }
    let main = async {
        let size = || rustix::termios::tcgetwinsize(std::io::stdout()).map(|size| (size.ws_col, size.ws_row));
        let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        println!("terminal: {is_terminal}, size {:?}", size());
        while !size().is_ok_and(|size| size == (90, 20)) {
            tinyio::sleep(Duration::from_millis(5)).await?;
        }
        println!("new size {:?}", size());
        tinyio::Ok(())
    };
    tinyio::Loop::new().run(main).unwrap();
}

/// A recorded program of this file, with its output in a pipe.
fn start(program: &str, folder: &Path, output: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--nocapture", "--exact", program]).env(FOLDER, folder);
    command.env("TINYIO_TRACE", folder.join("trace.jsonl")).env("TINYIO_RING_DIR", folder.join("rings"));
    command.env("PATH", path()).env_remove("TINYIO_INSPECT");
    match output {
        Some(value) => command.env("TINYIO_OUTPUT", value),
        None => command.env_remove("TINYIO_OUTPUT"),
    };
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A `PATH` with the inspector, which has the copier as a command.
fn path() -> std::ffi::OsString {
    let inspector = Path::new(env!("CARGO_BIN_EXE_tinyio-inspector")).parent().unwrap();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(inspector.into()).chain(std::env::split_paths(&rest))).unwrap()
}

fn put_file(folder: &Path, file: &str) {
    std::fs::write(folder.join(file), "").unwrap();
}

/// The recorded lines, each with its stream, and the time at which it was printed in milliseconds.
fn lines(folder: &Path) -> Vec<(u8, String, u64)> {
    let mut reader = TraceReader::open(&folder.join("trace.jsonl")).unwrap();
    let mut lines = Vec::new();
    while let tinyio_inspector::source::Progress::More = reader
        .read(1000, &mut |event| {
            if let Kind::Output { stream, text, printed } = event.kind {
                lines.push((stream, text, printed / 1_000_000));
            }
        })
        .unwrap()
    {}
    lines
}

fn line_of<'a>(lines: &'a [(u8, String, u64)], text: &str) -> &'a (u8, String, u64) {
    lines.iter().find(|line| line.1 == text).unwrap_or_else(|| panic!("no {text:?} in {lines:?}"))
}

/// A shell script in a terminal; `$PROGRAM` is this file.
fn shell(script: &str) -> Session {
    let folder = tempfile::tempdir().unwrap();
    let mut command = CommandBuilder::new("/bin/sh");
    command.args(["-c", script]);
    command.cwd(env!("CARGO_MANIFEST_DIR"));
    command.env("PROGRAM", std::env::current_exe().unwrap());
    command.env("PATH", path());
    command.env(FOLDER, folder.path());
    command.env("TINYIO_RING_DIR", folder.path().join("rings"));
    Session::of(command, folder, (100, 30))
}

const RUN: &str = "\"$PROGRAM\" --ignored --nocapture --exact program";
/// Until stdin is a terminal again, and the user has seen what was printed.
const REPLAY: &str = "echo PRESS ENTER; read line; exec $INSPECTOR replay $TMPDIR/trace.jsonl";
const TRACED: &str = "TINYIO_TRACE=$TMPDIR/trace.jsonl";

/// The log of the replayed trace has all three lines, with times that differ by at least the time waited in between.
#[track_caller]
fn expect_replayed(session: &mut Session) {
    session.wait_for("PRESS ENTER");
    session.press("\r");
    session.wait_for("no coroutine is alive");
    session.press("6");
    for text in ["the first line", "a red line", "half a line"] {
        session.wait(text, |screen| time_in_log(&screen.contents(), text).is_some());
    }
    let lines = lines(session.folder.path());
    let (first, red) = (line_of(&lines, "the first line"), line_of(&lines, "\u{1b}[31ma red line\u{1b}[0m"));
    assert!(red.2 >= first.2 + 300, "{lines:?}");
    let log = session.text();
    let [first, red] = ["the first line", "a red line"].map(|text| time_in_log(&log, text).unwrap());
    assert!(first < red, "{log}");
}

/// The time that begins a line of the log.
fn time_in_log(log: &str, text: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains(text))?;
    line.split_whitespace().find(|word| word.contains('.') || word.contains(':')).map(str::to_owned)
}

/// Lets a program that has printed its first line go on after so long that its lines have different times.
fn go_later(session: &Session) {
    std::thread::sleep(Duration::from_millis(400));
    put_file(session.folder.path(), "go");
}

/// Runs `RUN` as the script does, then replays its trace, whose log has what was printed. Under screens, which show
/// `at_the_end` when the program has ended, the log has it too.
#[track_caller]
fn expect_recorded(script: &str, at_the_end: Option<&str>) {
    let mut session = shell(&format!("{TRACED} {script}; {REPLAY}"));
    if at_the_end.is_some() {
        session.wait_for("LIVE");
        session.press("6");
    }
    session.wait_for("the first line");
    go_later(&session);
    if let Some(text) = at_the_end {
        session.wait_for(text);
        session.press("q");
    }
    expect_replayed(&mut session);
    session.end();
}

#[test]
fn what_is_printed_under_the_live_view_is_in_the_log_of_a_replay_with_its_time() {
    expect_recorded(&format!("TINYIO_INSPECT=1 {RUN}"), Some("it has ended"));
}

#[test]
fn what_a_program_prints_that_the_inspector_runs_is_in_the_log_of_a_replay() {
    expect_recorded(&format!("$INSPECTOR run -- {RUN}"), Some("ENDED"));
}

#[test]
fn what_is_printed_to_a_terminal_is_recorded_if_asked_for() {
    expect_recorded(&format!("TINYIO_OUTPUT=1 {RUN}"), None);
}

#[test]
fn what_is_printed_to_a_pipe_is_recorded_if_asked_for() {
    expect_recorded(&format!("TINYIO_OUTPUT=1 {RUN} 2>&1 | cat"), None);
}

#[test]
fn output_to_pipes_is_left_alone_unless_asked_for() {
    for output in [None, Some("0")] {
        let folder = tempfile::tempdir().unwrap();
        put_file(folder.path(), "go");
        let ended = start("program", folder.path(), output).wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&ended.stdout).contains("the first line"));
        assert_eq!(lines(folder.path()), []);
    }
}

#[test]
fn without_the_inspector_the_output_is_as_before_and_the_reason_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    put_file(folder.path(), "go");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--nocapture", "--exact", "program"]).env(FOLDER, folder.path());
    command.env("TINYIO_TRACE", folder.path().join("trace.jsonl")).env("TINYIO_RING_DIR", folder.path().join("rings"));
    let ended = command.env("TINYIO_OUTPUT", "1").env("PATH", folder.path()).env_remove("TINYIO_INSPECT").output();
    let ended = ended.unwrap();
    assert!(String::from_utf8_lossy(&ended.stdout).contains("the first line"), "{ended:?}");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(stderr.contains("the output of the program is not recorded: `tinyio-inspector`"), "{stderr}");
    assert!(stderr.contains("it is not in PATH") && ended.status.success(), "{stderr}");
}

#[test]
fn a_flood_is_passed_on_whole_and_recorded_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let ended = start("floods", folder.path(), Some("1")).wait_with_output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    let flood: String = (0..50_000).map(|line| format!("line {line} of a flood\n")).collect();
    assert!(text.contains(&flood), "{} bytes", text.len());
    let recorded = lines(folder.path());
    let bytes: usize = recorded.iter().map(|line| line.1.len()).sum();
    assert!(bytes < flood.len() / 2, "{bytes} of {}", flood.len());
    line_of(&recorded, "line 49999 of a flood");
    let trace = std::fs::read_to_string(folder.path().join("trace.jsonl")).unwrap();
    assert!(trace.contains("bytes of output are left out here"));
}

/// Nothing that was written is lost, however the program ends, and what it started prints on.
#[test]
fn whatever_ends_the_program_its_output_arrives_whole() {
    for how in ["exit", "abort", "-TERM", "-KILL", "child"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("how"), how).unwrap();
        let mut program = start("ends", folder.path(), Some("1"));
        let mut stdout = BufReader::new(program.stdout.take().unwrap());
        let mut text = String::new();
        while !text.contains("the last line\n") {
            assert!(stdout.read_line(&mut text).unwrap() > 0, "{how}: {text}");
        }
        if how.starts_with('-') {
            assert!(Command::new("kill").args([how, &program.id().to_string()]).status().unwrap().success());
        }
        let status = program.wait().unwrap();
        assert!(!status.success(), "{how}: {status}");
        put_file(folder.path(), "go");
        stdout.read_to_string(&mut text).unwrap();
        assert_eq!(text.contains("from the child\n"), how == "child", "{how}: {text}");
        if ["exit", "child"].contains(&how) {
            line_of(&lines(folder.path()), "the last line");
        }
    }
}

#[test]
fn a_reader_that_closes_the_pipe_ends_the_program_as_without_a_copier() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = start("floods", folder.path(), Some("1"));
    let mut begin = [0; 1000];
    program.stdout.take().unwrap().read_exact(&mut begin).unwrap();
    let mut stderr = String::new();
    program.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(!program.wait().unwrap().success());
    assert!(stderr.contains("Broken pipe"), "{stderr}");
    assert!(!folder.path().join("all").exists(), "it ended while it printed");
}

/// The program waits for a slow reader, and nothing is lost.
#[test]
fn a_slow_reader_gets_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = start("floods", folder.path(), Some("1"));
    let mut stdout = program.stdout.take().unwrap();
    let mut text = Vec::new();
    stdout.by_ref().take(1 << 18).read_to_end(&mut text).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(program.try_wait().unwrap().is_none(), "more than fits into pipes waits");
    stdout.read_to_end(&mut text).unwrap();
    assert!(text.iter().filter(|byte| **byte == b'\n').count() >= 50_000);
    assert!(program.wait().unwrap().success());
}

#[test]
fn a_program_on_a_terminal_keeps_one_of_the_same_size() {
    let program = "\"$PROGRAM\" --ignored --nocapture --exact prints_its_terminal";
    let mut session = shell(&format!("TINYIO_OUTPUT=1 {TRACED} {program}; echo status $?; sleep 60"));
    session.wait_for("terminal: true, size Ok((100, 30))");
    let size = portable_pty::PtySize { rows: 20, cols: 90, pixel_width: 0, pixel_height: 0 };
    session.master.resize(size).unwrap();
    session.wait_for("new size Ok((90, 20))");
    session.wait_for("status 0");
    session.end();
}

/// What the ring has of a process that runs another program is read with the trace, to the last event.
#[test]
fn a_trace_that_breaks_off_at_an_exec_is_continued_from_its_ring() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("how"), "exec").unwrap();
    let mut program = start("ends", folder.path(), Some("1"));
    let mut stdout = BufReader::new(program.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("from another program\n") {
        assert!(stdout.read_line(&mut text).unwrap() > 0, "{text}");
    }
    let inspector = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"));
        let output = command.args(args).env("TINYIO_RING_DIR", folder.path().join("rings")).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(inspector(&["list"]).contains("exec"));
    let trace = folder.path().join("trace.jsonl");
    let trace = trace.to_str().unwrap();
    let ring = std::fs::read_dir(folder.path().join("rings")).unwrap().next().unwrap().unwrap().path();
    let whole = |file: &str| {
        let text = inspector(&["export", file, "--to", "jsonl"]);
        text.lines().skip(1).filter(|line| !line.contains("\"diag\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(whole(trace), whole(ring.to_str().unwrap()));
    let report = inspector(&["report", trace]);
    assert!(report.contains("the trace breaks off here: its process runs another program now (exec)"), "{report}");
    assert!(report.contains(ring.to_str().unwrap()), "{report}");
    program.kill().unwrap();
    program.wait().unwrap();
}
