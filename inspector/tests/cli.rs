//! The commands that write text, as a shell sees them: output, errors, exit codes.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use tinyio_inspector::event::{
    CoroId, Event, Failure, Header, Kind, LoopMode, LoopOutcome, Outcome, ResKind, Target, TraceSite, VERSION, Waker,
};
use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::ring::Options as RingOptions;
use tinyio_inspector::trace::write_event;

fn header() -> Header {
    Header {
        trace: "tinyio".into(),
        version: VERSION,
        program: "crawl".into(),
        pid: 4242,
        started: 1_790_000_000_000_000_000,
        directory: "/src/demo".into(),
        thread: "main".into(),
        ..Header::default()
    }
}

/// Two coroutines: `main` waits on `fetch #2`, which sleeps.
fn sleeping() -> Vec<Kind> {
    vec![
        Kind::Name { id: 1, text: "crawl::main".into() },
        Kind::Name { id: 2, text: "crawl::fetch".into() },
        Kind::Site { id: 1, file: "src/main.rs".into(), line: 7, column: 9 },
        Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run },
        Kind::Spawn { coro: 1, in_loop: 1, parent: 0, name: 1, site: 1 },
        Kind::StepBegin { coro: 1 },
        Kind::Spawn { coro: 2, in_loop: 1, parent: 1, name: 2, site: 1 },
        Kind::Wait { coro: 1, on: Target::Coro(2), site: 1 },
        Kind::StepEnd { coro: 1 },
        Kind::StepBegin { coro: 2 },
        Kind::Wait { coro: 2, on: Target::Timer(5_000_000_000), site: 1 },
        Kind::StepEnd { coro: 2 },
    ]
}

/// The same, and then `fetch #2` fails.
fn crashed() -> Vec<Kind> {
    let site = |coro: CoroId, name: &str| TraceSite {
        coro,
        name: name.into(),
        file: "src/main.rs".into(),
        line: 7,
        column: 9,
        last_await: false,
    };
    let origin = Failure {
        kind: Outcome::Error,
        coro: 2,
        thread: 0,
        name: "crawl::fetch".into(),
        message: "no route to host".into(),
        error_type: String::new(),
        sources: vec![],
        trace: vec![site(1, "crawl::main"), site(2, "crawl::fetch")],
        stack: None,
        fields: vec![],
        backtrace: vec![],
        given_name: String::new(),
        error_backtrace: vec![],
    };
    let mut kinds = sleeping();
    kinds.extend([
        Kind::Wake { coro: 2, by: Waker::Timer },
        Kind::StepBegin { coro: 2 },
        Kind::CancelBegin { id: 1, origin: 2, reason: "no route to host".into(), failure: None },
        Kind::End { coro: 2, outcome: Outcome::Error },
        Kind::StepEnd { coro: 2 },
        Kind::CancelDeliver { coro: 1 },
        Kind::End { coro: 1, outcome: Outcome::Cancelled },
        Kind::Crash { id: 1, failures: vec![origin] },
        Kind::LoopEnd { id: 1, outcome: LoopOutcome::Crashed },
        Kind::TraceEnd {},
    ]);
    kinds
}

/// A trace in a folder of its own, an event each millisecond.
fn trace(kinds: Vec<Kind>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    let mut bytes = serde_json::to_vec(&header()).unwrap();
    bytes.push(b'\n');
    for (seq, kind) in kinds.into_iter().enumerate() {
        write_event(&Event { seq: seq as u64, at: seq as u64 * 1_000_000, kind }, &mut bytes);
        if bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
    }
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"));
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command
}

fn run(folder: &TempDir, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command(folder.path(), args).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8(stderr).unwrap())
}

#[test]
fn report_prints_the_crash_plain_into_a_pipe_and_check_makes_it_an_error() {
    let (folder, _) = trace(crashed());
    let (code, out, err) = run(&folder, &["report", "t.jsonl"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(
        out,
        "✖ crawl crashed after 16 ms: no route to host

  main      awaits at src/main.rs:7:9
  fetch #2  error made at src/main.rs:7:9

  the whole run: tinyio-inspector replay t.jsonl
"
    );
    assert_eq!(run(&folder, &["report", "t.jsonl", "--check"]).0, Some(1));
    let (code, out, _) = run(&folder, &["report", "--json", "--check", "t.jsonl"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, value["crash"]["failures"][0]["message"].as_str()), (Some(1), Some("no route to host")));
}

#[test]
fn report_of_a_run_that_was_killed_shows_what_was_alive() {
    let (folder, _) = trace(sleeping());
    let (code, out, _) = run(&folder, &["report", "t.jsonl", "--check"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("breaks off after 11 ms: 2 coroutines are alive"), "{out}");
    assert!(out.contains("fetch #2   fires in 4.9 s, src/main.rs:7:9"), "{out}");
}

#[test]
fn tree_shows_a_moment_in_each_format() {
    let (folder, _) = trace(crashed());
    let (code, out, _) = run(&folder, &["tree", "t.jsonl"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("crawl · pid 4242 · 00:00.013 · 2 coroutines\n"), "right before the crash: {out}");
    assert!(run(&folder, &["tree", "t.jsonl", "--at", "#4"]).1.contains("1 coroutine\n◐ main  ready to start"));
    assert!(run(&folder, &["tree", "t.jsonl", "--at", "11ms"]).1.contains("└── ◌ fetch #2  fires in 4.9 s"));
    assert!(run(&folder, &["tree", "t.jsonl", "--at", "00:00.0115"]).1.contains("00:00.011"));
    assert!(run(&folder, &["tree", "t.jsonl", "--format", "dot"]).1.starts_with("digraph tinyio {"));
    assert!(run(&folder, &["tree", "t.jsonl", "--format", "mermaid"]).1.starts_with("flowchart TB"));
    let json = run(&folder, &["tree", "t.jsonl", "--format", "json"]).1;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["coroutines"].as_array().unwrap().len(), 2);
}

#[test]
fn why_follows_the_chain() {
    let (folder, _) = trace(crashed());
    for id in [&["1"][..], &["#1"], &["main #1"], &["main"], &[]] {
        let (code, out, _) = run(&folder, &[&["why", "t.jsonl", "--at", "11ms"], id].concat());
        assert_eq!(code, Some(0));
        assert!(out.starts_with("main") && out.ends_with("└ a timer, fires in 4.9 s\n"), "{out}");
    }
    let (code, _, err) = run(&folder, &["why", "t.jsonl", "serve"]);
    assert!(code == Some(2) && err.contains("no coroutine \"serve\" is known then"), "{err}");
    let (code, _, err) = run(&folder, &["why", "t.jsonl", "9"]);
    assert_eq!(code, Some(2));
    assert_eq!(
        err,
        "tinyio-inspector: t.jsonl: no coroutine #9 is known then; `tinyio-inspector tree t.jsonl` lists those alive\n"
    );
}

/// `main` and `fetch #2` await each other.
fn circle() -> Vec<Kind> {
    let mut kinds = sleeping();
    let wait = kinds.iter_mut().rev().find(|kind| matches!(kind, Kind::Wait { .. }));
    *wait.expect("the wait of fetch") = Kind::Wait { coro: 2, on: Target::Coro(1), site: 1 };
    kinds
}

#[test]
#[cfg(target_os = "linux")]
fn check_finds_in_a_recording_what_can_never_go_on() {
    let (folder, _) = trace(sleeping());
    let (code, out, err) = run(&folder, &["check", "t.jsonl"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let none = "crawl (process 4242): 2 coroutines\nno coroutine was found that certainly can never go on\n";
    assert_eq!(out, none);
    // One of them may wait on a future that is not of tinyio, too.
    let (folder, _) = trace(circle());
    assert_eq!(run(&folder, &["check", "t.jsonl"]).1, none);
    let mut kinds = circle();
    kinds.push(Kind::CancelBegin { id: 1, origin: 0, reason: "deadlock".into(), failure: None });
    kinds.extend([2, 1].map(|coro| Kind::End { coro, outcome: Outcome::Cancelled }));
    let message =
        "deadlock: 2 coroutines wait for each other:\n  main #1 waits for fetch #2\n  fetch #2 waits for main #1";
    let failure = Failure {
        kind: Outcome::Error,
        coro: 0,
        thread: 0,
        name: "the loop".into(),
        given_name: String::new(),
        message: message.into(),
        error_type: String::new(),
        sources: Vec::new(),
        trace: Vec::new(),
        stack: None,
        fields: Vec::new(),
        backtrace: Vec::new(),
        error_backtrace: Vec::new(),
    };
    kinds.push(Kind::Crash { id: 1, failures: vec![failure] });
    let (folder, _) = trace(kinds);
    let (code, out, err) = run(&folder, &["check", "t.jsonl"]);
    assert_eq!((code, err.as_str()), (Some(1), ""));
    assert!(out.contains("\n2 coroutines wait for each other\n  main #1 waits for fetch #2\n"), "{out}");
    let (code, out, _) = run(&folder, &["check", "--json", "t.jsonl"]);
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    let finding = &found["findings"][0];
    assert_eq!((code, finding["kind"].as_str(), &finding["certain"]), (Some(1), Some("waits_on_dead"), &true.into()));
    assert_eq!(finding["tasks"], serde_json::json!([1, 2]));
}

/// A cycle of a loop that goes on is no proof: it is noted, and no finding.
#[test]
#[cfg(target_os = "linux")]
fn check_notes_a_likely_deadlock() {
    let mut kinds = sleeping();
    let wait = kinds.iter().rposition(|kind| matches!(kind, Kind::Wait { .. })).expect("the wait of fetch");
    kinds[wait] = Kind::Wait { coro: 2, on: Target::Res(1), site: 1 };
    let lock = [
        Kind::ResNew { res: 1, what: ResKind::Lock, size: 1, site: 1, name: 0 },
        Kind::Hold { res: 1, coro: 1, site: 1 },
    ];
    kinds.splice(wait..wait, lock);
    // An event is a millisecond after the one before, and a deadlock is likely after a second.
    kinds.extend((0..1_100).map(|_| Kind::Diag { coro: 0, text: "later".into() }));
    let (folder, _) = trace(kinds);
    let (code, out, err) = run(&folder, &["check", "t.jsonl"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("not certain: likely deadlock: "), "{out}");
    assert!(run(&folder, &["why", "t.jsonl"]).1.contains("a cycle, likely a deadlock"), "{out}");
}

#[test]
fn export_writes_every_format_to_a_file_or_a_pipe() {
    let (folder, _) = trace(crashed());
    for format in ["chrome", "perfetto", "folded", "dot", "mermaid", "html", "jsonl"] {
        let (code, out, err) = run(&folder, &["export", "t.jsonl", "--to", format]);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{format}");
        assert!(!out.is_empty(), "{format}");
        let (code, out, _) = run(&folder, &["export", "t.jsonl", "--to", format, "-o", "out"]);
        assert_eq!((code, out.as_str()), (Some(0), ""));
        assert!(fs::metadata(folder.path().join("out")).unwrap().len() > 0);
    }
    let same = run(&folder, &["export", "t.jsonl", "--to", "jsonl"]).1;
    assert_eq!(same, fs::read_to_string(folder.path().join("t.jsonl")).unwrap());
    let folded = run(&folder, &["export", "t.jsonl", "--to", "folded", "--by", "blocked"]).1;
    assert!(folded.contains("main;fetch;sleeping src/main.rs:7:9 1000000\n"), "{folded}");
}

#[test]
fn wrong_usage_is_2_and_names_what_was_expected() {
    let (folder, path) = trace(crashed());
    for (args, expected) in [
        (
            &["tree", "t.jsonl", "--at", "noon"][..],
            "expected a time such as 12.3s, 300ms or 00:12.4, or an event such as #1234",
        ),
        (&["tree", "t.jsonl", "--format", "png"], "expected text, json, dot or mermaid"),
        (&["export", "t.jsonl", "--to", "png"], "expected one of chrome, perfetto, folded, dot, mermaid, html, jsonl"),
        (&["export", "t.jsonl", "--to", "folded", "--by", "luck"], "expected busy or blocked"),
        (&["why", "t.jsonl", "serve"], "no coroutine \"serve\" is known then"),
        (
            &["export", "t.jsonl", "--to", "jsonl", "-o", "./t.jsonl"],
            "./t.jsonl: is what is being read; give -o another name",
        ),
        (&["export", "t.jsonl", "--to", "jsonl", "-o", "no/such/out"], "no/such/out: cannot write: No such file"),
        (&["report", "none.jsonl"], "none.jsonl: cannot open the recording: No such file"),
        (&["report"], "<FILE|PID>"),
    ] {
        let (code, out, err) = run(&folder, args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains(expected), "{args:?}: {err}");
    }
    assert!(fs::metadata(path).unwrap().len() > 1000, "the trace is untouched");
}

#[test]
fn a_damaged_file_is_2_with_its_line() {
    let (folder, path) = trace(sleeping());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("{\"seq\":3", "{seq:3", 1)).unwrap();
    for command in [&["report"][..], &["tree"], &["export", "--to", "chrome"], &["why", "--at", "#9"]] {
        let mut args = vec![command[0], "t.jsonl"];
        args.extend(if command[0] == "why" { &["1"][..] } else { &[] });
        args.extend(&command[1..]);
        let (code, _, err) = run(&folder, &args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(err.contains("t.jsonl:5: ") && err.contains("expected an event"), "{err}");
    }
}

#[test]
fn events_that_do_not_read_are_left_out_and_the_report_counts_them() {
    let (folder, path) = trace(crashed());
    let text = fs::read_to_string(&path).unwrap();
    let damaged = text.replace("\"kind\":\"step_end\",\"coro\":2", "\"kind\":\"step_end\",\"coro\":\"2\"");
    let damaged = damaged.replacen("\"kind\":\"cancel_deliver\"", "\"kind\":[]", 1);
    fs::write(&path, damaged).unwrap();
    for command in [&["report"][..], &["report", "--check"]] {
        let (code, out, err) = run(&folder, &[command, &["t.jsonl"]].concat());
        assert_eq!((code, err.as_str()), (Some((command.len() - 1) as i32), ""));
        for part in [
            "no route to host",
            "main      awaits at src/main.rs:7:9",
            "3 events could not be read and were left out: the recording is damaged",
            "line 13: `coro` is string \"2\", expected u64: this event was left out",
            "line 19: `kind` is ",
        ] {
            assert!(out.contains(part), "{part:?} in {out}");
        }
    }
    let (_, out, _) = run(&folder, &["report", "--json", "t.jsonl"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&value["missing_events"], &value["state"]), (&3.into(), &"crashed".into()));
    let chrome = run(&folder, &["export", "t.jsonl", "--to", "chrome"]).1;
    assert!(chrome.contains("crashed: no route to host"), "{chrome}");
    let whole = |text: &str| text.matches("\"ph\":\"X\"").count();
    fs::write(&path, text).unwrap();
    let spans = whole(&run(&folder, &["export", "t.jsonl", "--to", "chrome"]).1);
    assert!(whole(&chrome) > 2 && whole(&chrome) + 2 >= spans, "{spans} spans without the damage: {chrome}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut kinds = sleeping();
    for turn in 0..50_000 {
        kinds.push(Kind::Wake { coro: 2, by: Waker::Timer });
        kinds.push(Kind::StepBegin { coro: 2 });
        kinds.push(Kind::Wait { coro: 2, on: Target::Timer(turn * 1_000_000_000), site: 1 });
        kinds.push(Kind::StepEnd { coro: 2 });
    }
    let (folder, _) = trace(kinds);
    for format in ["chrome", "perfetto", "jsonl"] {
        let mut child = command(folder.path(), &["export", "t.jsonl", "--to", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 64];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""), "{format}");
    }
}

fn record(folder: PathBuf, kinds: Vec<Kind>) -> Recorder {
    let mut recorder = Recorder::start(&RingOptions { folder: Some(folder), ..RingOptions::default() }).unwrap();
    for (at, kind) in kinds.into_iter().enumerate() {
        match kind {
            Kind::Name { text, .. } => {
                recorder.intern(&text);
            }
            Kind::Site { file, line, column, .. } => {
                recorder.intern_site(&file, line, column);
            }
            kind => recorder.emit(at as u64 * 1_000_000, kind),
        }
    }
    recorder
}

#[test]
#[cfg(target_os = "linux")]
fn the_recording_of_a_process_that_is_gone_is_found_by_its_number() {
    const CHILD: &str = "TINYIO_TEST_CHILD";
    if let Some(rings) = std::env::var_os(CHILD) {
        let _recorder = record(rings.into(), sleeping());
        // Nothing is dropped, as when it is killed.
        std::process::exit(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let rings = folder.path().join("rings");
    let name = "the_recording_of_a_process_that_is_gone_is_found_by_its_number";
    let mut test = Command::new(std::env::current_exe().unwrap());
    let mut child = test.args([name, "--exact"]).env(CHILD, &rings).stdout(Stdio::null()).spawn().unwrap();
    let pid = child.id().to_string();
    child.wait().unwrap();
    for arguments in [&["tree", &pid][..], &["report", &pid], &["check", &pid], &["why", &pid, "1"]] {
        let output = command(folder.path(), arguments).env("TINYIO_RING_DIR", &rings).output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !out.is_empty() && err.is_empty(), "{arguments:?}: {out}{err}");
    }
    let none = command(folder.path(), &["tree", &pid]).env("TINYIO_RING_DIR", folder.path()).output().unwrap();
    assert!(!none.status.success(), "there is no recording of it in that folder");
}

#[test]
fn a_ring_is_read_like_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = record(folder.path().join("rings"), crashed());
    let ring = recorder.path().to_owned();
    let ring = ring.to_str().unwrap();
    let living = run(&folder, &["report", ring, "--check"]);
    assert_eq!(living.0, Some(1));
    assert!(living.1.contains("crashed after 16 ms: no route to host\n"), "{}", living.1);
    assert!(living.1.contains("\n  fetch #2  error made at src/main.rs:7:9\n"), "{}", living.1);
    let trace = run(&folder, &["export", ring, "--to", "jsonl"]).1;
    fs::write(folder.path().join("t.jsonl"), trace).unwrap();
    assert_eq!(run(&folder, &["tree", "t.jsonl"]).0, Some(0));
    assert!(run(&folder, &["report", "t.jsonl"]).1.contains("no route to host"));
}

#[test]
fn help_man_pages_and_completions_name_every_command() {
    let print = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let help = print(&["--help"]);
    let listed = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let commands: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 10, "{commands:?}");
    for part in ["inspector.conf", "TINYIO_SETTINGS", "NO_COLOR", "Exit codes"] {
        assert!(help.contains(part), "{part} in {help}");
    }
    let man = print(&["man"]);
    let folder = TempDir::new().unwrap();
    print(&["man", folder.path().to_str().unwrap()]);
    let completions: Vec<_> = ["bash", "zsh", "fish"].map(|shell| (shell, print(&["completions", shell]))).to_vec();
    for command in commands.into_iter().filter(|command| *command != "help") {
        assert!(man.contains(command), "{command} in the man page");
        assert!(folder.path().join(format!("tinyio-inspector-{command}.1")).exists(), "{command}");
        for (shell, text) in &completions {
            assert!(text.contains(command), "{command} in the completions for {shell}");
        }
    }
    // What a shell says of it is what counts.
    let file = folder.path().join("completions");
    fs::write(&file, &completions[0].1).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&file).status().unwrap();
    assert!(checked.success());
    assert!(print(&["settings"]).contains("#key.pause = space"));
}

/// Command lines that print something, one of each command.
const PRINTING: [&[&str]; 18] = [
    &[],
    &["report", "t.jsonl"],
    &["report", "--json", "t.jsonl"],
    &["tree", "t.jsonl"],
    &["tree", "--json", "t.jsonl"],
    &["why", "t.jsonl", "1"],
    &["why", "--json", "t.jsonl", "1"],
    &["clean", "--dry-run"],
    &["export", "--to", "jsonl", "t.jsonl"],
    &["list"],
    &["list", "--json"],
    &["settings"],
    &["completions", "bash"],
    &["completions", "zsh"],
    &["man"],
    &["help", "why"],
    &["--help"],
    &["--version"],
];

#[test]
fn what_cannot_be_written_is_an_error_with_a_message() {
    let (folder, _) = trace(crashed());
    for args in PRINTING {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(folder.path(), args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {printed}");
        assert!(printed.starts_with("tinyio-inspector: ") && printed.contains("No space left"), "{args:?}: {printed}");
    }
}

#[test]
fn closed_stdout_is_an_error_and_stdout_at_dev_null_is_none() {
    let (folder, _) = trace(crashed());
    let shell = |args: &[&str], stdout: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec \"$@\" {stdout}"), "sh", env!("CARGO_BIN_EXE_tinyio-inspector")]);
        let output = shell.args(args).current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for args in PRINTING.iter().chain([&["run", "--", "touch", "started"][..]].iter()) {
        let (code, printed) = shell(args, ">&-");
        assert_eq!(code, Some(2), "{args:?}: {printed}");
        assert!(printed.contains("tinyio-inspector: standard output is closed"), "{args:?}: {printed}");
        assert!(!folder.path().join("started").exists());
        // Opened as a shell does, and for reading too, as Python and `std` do.
        for null in [">/dev/null", "1<>/dev/null"] {
            assert_eq!(shell(args, null).0, Some(0), "{args:?} {null}");
        }
        let _ = fs::remove_file(folder.path().join("started"));
    }
    // Commands that print nothing do not need it.
    let export = &["export", "--to", "dot", "-o", "out.dot", "t.jsonl"];
    assert_eq!(shell(export, ">&-"), (Some(0), String::new()));
    assert_eq!(shell(&["man", "."], ">&-"), (Some(0), String::new()));
    assert_eq!(shell(&["why"], ">&-").0, Some(2));
}

#[test]
fn without_a_command_the_recordings_and_the_commands_are_listed() {
    let rings = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"));
    let output = command.env("TINYIO_RING_DIR", rings.path().join("rings")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    for part in ["nothing is recorded", "TINYIO_INSPECT=record", "tinyio-inspector attach", "--help"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
