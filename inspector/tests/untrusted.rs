//! Recordings from untrusted sources: whatever their texts hold, no command prints control sequences for the terminal.

#[path = "common/spoiled.rs"]
mod spoiled;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use serde_json::Value;
use spoiled::{commands, examples, spoiled, text};
use tempfile::TempDir;
use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::ring::{MIN_SIZE, Options};

/// What a command prints on both streams.
fn run(folder: &TempDir, args: &[&str]) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"));
    command.args(args).current_dir(folder.path()).stdin(Stdio::null());
    command.env("TINYIO_RING_DIR", folder.path().join("rings")).env("RUST_BACKTRACE", "0");
    let output = command.output().unwrap();
    assert!(matches!(output.status.code(), Some(0..=2)), "{args:?}: {output:?}");
    [output.stdout, output.stderr].concat()
}

#[track_caller]
fn assert_harmless(args: &[&str], printed: &[u8]) {
    let what = &args[..args.len().min(4)];
    assert!(!printed.is_empty(), "{what:?}");
    if what.contains(&"perfetto") {
        // Numbers are bytes of any value there: the characters are looked for between their neighbours in the text.
        for one in commands() {
            let part = format!(".{one}.");
            assert!(!printed.windows(part.len()).any(|window| window == part.as_bytes()), "{one:?} from {what:?}");
        }
        return;
    }
    let printed = std::str::from_utf8(printed).unwrap_or_else(|error| panic!("{what:?}: {error}"));
    for line in printed.split('\n') {
        if let Some(one) = commands().find(|one| line.contains(*one)) {
            panic!("{one:?} from {what:?}: {line:?}");
        }
    }
}

/// A trace as it is written, or with every character beyond ASCII escaped.
fn write(folder: &TempDir, name: &str, lines: &[Value], ascii: bool) {
    let mut body = String::new();
    for line in lines {
        for one in line.to_string().chars() {
            if ascii && !one.is_ascii() {
                one.encode_utf16(&mut [0; 2]).iter().for_each(|unit| body += &format!("\\u{unit:04x}"));
            } else {
                body.push(one);
            }
        }
        body.push('\n');
    }
    fs::write(folder.path().join(name), body).unwrap();
}

#[test]
fn no_command_or_export_prints_what_a_terminal_would_obey() {
    let folder = tempfile::tempdir().unwrap();
    let crawl = include_str!("traces/crawl.jsonl").lines();
    let verify = include_str!("traces/verify.jsonl").lines();
    for (lines, id) in [(spoiled(crawl), "5"), (spoiled(verify), "2"), (spoiled(examples()), "1")] {
        for ascii in [false, true] {
            write(&folder, "t.jsonl", &lines, ascii);
            let mut all = vec![
                vec!["report", "t.jsonl"],
                vec!["report", "--check", "t.jsonl"],
                vec!["report", "--json", "t.jsonl"],
                vec!["why", "t.jsonl", id],
                vec!["why", "t.jsonl", "77777"],
                vec!["export", "t.jsonl", "--to", "folded", "--by", "blocked"],
            ];
            all.extend(["text", "json", "dot", "mermaid"].map(|format| vec!["tree", "t.jsonl", "--format", format]));
            let formats = ["chrome", "perfetto", "folded", "dot", "mermaid", "html", "jsonl"];
            all.extend(formats.map(|format| vec!["export", "t.jsonl", "--to", format]));
            for args in all {
                let printed = run(&folder, &args);
                // What counts for nothing is not written to folded stacks, and a run may have been busy for no time.
                if !args.contains(&"folded") || !printed.is_empty() {
                    assert_harmless(&args, &printed);
                }
            }
        }
    }
}

#[test]
fn an_exported_trace_is_read_as_the_same_though_its_texts_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let lines = spoiled(include_str!("traces/verify.jsonl").lines());
    write(&folder, "t.jsonl", &lines, false);
    let printed = run(&folder, &["export", "t.jsonl", "--to", "jsonl"]);
    let again: Vec<Value> =
        printed.split(|one| *one == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(again, lines);
}

#[test]
fn lists_and_errors_name_programs_and_files_escaped() {
    let folder = tempfile::tempdir().unwrap();
    // What no name of a thread or file can have is left out.
    let name: String = text().chars().filter(|one| !['\0', '/'].contains(one)).collect();
    let options = Options { folder: Some(folder.path().join("rings")), size: MIN_SIZE, program: Some(name.clone()) };
    let start = || Recorder::start(&options).unwrap();
    let _recorders = std::thread::scope(|scope| {
        let named = std::thread::Builder::new().name(name.clone());
        [start(), named.spawn_scoped(scope, start).unwrap().join().unwrap()]
    });
    for args in [&["list"][..], &["list", "--json"], &["attach"]] {
        let printed = run(&folder, args);
        assert_harmless(args, &printed);
        assert!(String::from_utf8(printed).unwrap().contains("script>"), "{args:?} names the program");
    }

    let short: String = commands().skip(1).collect();
    let path = folder.path().join(OsStr::from_bytes(short.as_bytes()));
    let verify = include_str!("traces/verify.jsonl");
    let damaged = format!("{verify}\n{{{}\n", text());
    let misfit = verify.replacen(
        "\"kind\":\"step_begin\",\"coro\":2",
        &format!("\"kind\":\"step_begin\",\"coro\":{}", Value::from(short.as_str())),
        1,
    );
    let header = format!("{}\n", verify.lines().next().unwrap().replace("4242", &Value::from(text()).to_string()));
    for (body, args) in [
        ("", &["report"][..]),
        (verify, &["report"]),
        (verify, &["tree"]),
        (verify, &["why", "99"]),
        (verify, &["export", "--to", "html"]),
        (verify, &["export", "--to", "jsonl", "-o", &format!("none/{short}")]),
        (&damaged, &["report"]),
        (&misfit, &["report"]),
        (&header, &["report"]),
    ] {
        fs::write(&path, body).unwrap();
        let args = [&args[..1], &[&short], &args[1..]].concat();
        let printed = run(&folder, &args);
        assert_harmless(&args, &printed);
    }
    let missing = format!("not-{short}");
    let args = ["report", &missing];
    assert_harmless(&args, &run(&folder, &args));
}
