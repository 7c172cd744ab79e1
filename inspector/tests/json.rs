//! docs/JSON.md has the keys that `report`, `why`, `tree`, `tasks` and `check` print, and no others.

#[cfg(target_os = "linux")]
mod stuck;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Keys with objects that the page describes elsewhere: events, and values described above.
const DESCRIBED_ELSEWHERE: [&str; 7] = [
    "crash.failures",
    "handled",
    "alive.waits.on",
    "chain.on",
    "coroutines.waits.on",
    "coroutines.holds",
    "tasks.stack",
];

/// Command lines that have each key at least once; `TRACE` is the folder of the traces.
const COMMANDS: [(&str, &[&[&str]]); 3] = [
    ("report", &[&["report", "--json", "TRACE/verify.jsonl"], &["report", "--json", "TRACE/crawl.jsonl"]]),
    ("why", &[&["why", "--json", "TRACE/crawl.jsonl", "1"], &["why", "--json", "TRACE/../../../docs/live.jsonl", "4"]]),
    ("tree", &[&["tree", "--json", "TRACE/crawl.jsonl"], &["tree", "--json", "TRACE/verify.jsonl"]]),
];

fn print(args: &[&str]) -> Value {
    let traces = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces");
    let args = args.iter().map(|arg| arg.replace("TRACE", traces));
    let output = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector")).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn collect(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        _ if DESCRIBED_ELSEWHERE.contains(&path) => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(value, &path, keys);
                keys.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, keys)),
        _ => {}
    }
}

/// The keys and the schema that the page has of a command.
fn documented(command: &str) -> (BTreeSet<String>, u64) {
    let page = include_str!("../../docs/JSON.md");
    let section = page.split(&format!("\n## {command}\n")).nth(1).expect("a section").split("\n## ").next().unwrap();
    let schema = section.split("Schema ").nth(1).unwrap().split('.').next().unwrap().parse().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let first = rows.map(|row| row.trim_start_matches("| ").split(" | ").next().unwrap());
    let keys = first.flat_map(|cell| cell.split(", ")).map(|key| key.trim_matches('`').replace("[]", ""));
    (keys.collect(), schema)
}

#[test]
fn the_keys_are_those_of_the_page() {
    for (command, lines) in COMMANDS {
        let (documented, schema) = documented(command);
        let mut printed = BTreeSet::new();
        for args in lines {
            let object = print(args);
            assert_eq!(object["schema"], schema, "{args:?}");
            collect(&object, "", &mut printed);
        }
        assert_eq!(printed, documented, "{command}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_keys_of_check_are_those_of_the_page() {
    let stuck = stuck::Stuck::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"));
    let output = command.args(["check", "--json", &stuck.pid().to_string()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut printed = BTreeSet::new();
    collect(&object, "", &mut printed);
    assert_eq!((printed, object["schema"].as_u64().unwrap()), documented("check"));
}

#[test]
#[cfg(target_os = "linux")]
fn the_keys_of_tasks_are_those_of_the_page() {
    let stuck = stuck::Stuck::start();
    let object = print(&["tasks", "--json", &stuck.pid().to_string()]);
    let mut printed = BTreeSet::new();
    collect(&object, "", &mut printed);
    let (documented, schema) = documented("tasks");
    assert_eq!(object["schema"], schema);
    // Which this program has no reason for.
    let rare = ["tasks.thread", "tasks.note", "tasks.holds.future"].map(str::to_owned);
    let missing: Vec<_> = documented.difference(&printed).filter(|key| !rare.contains(key)).collect();
    let unknown: Vec<_> = printed.difference(&documented).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not printed: {missing:?}, not on the page: {unknown:?}");
}

#[test]
fn the_json_of_a_tree_is_that_of_its_format() {
    let with = |option: &[&str]| print(&[&["tree", "TRACE/crawl.jsonl"], option].concat());
    assert_eq!(with(&["--json"]), with(&["--format", "json"]));
}

#[test]
fn the_end_of_a_chain_has_its_kind_and_number() {
    let why = print(&["why", "--json", "TRACE/crawl.jsonl", "1"]);
    let chain: Vec<u64> = why["chain"].as_array().unwrap().iter().map(|link| link["coro"].as_u64().unwrap()).collect();
    assert_eq!((chain, &why["end"]["kind"], why["end"]["id"].as_u64()), (vec![1, 2, 17], &"thread".into(), Some(3)));
}
