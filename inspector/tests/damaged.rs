//! Replays the corpus of the fuzz targets: nothing panics, hangs or takes memory without bound.
#![cfg(target_os = "linux")]

#[path = "corpus/check.rs"]
mod check;
mod common;
#[path = "common/spoiled.rs"]
mod spoiled;

use std::process::Command;

use common::Dice;
use serde_json::{Value, json};
use tinyio_inspector::ring::MIN_SIZE;
use tinyio_inspector::trace::LINE_LIMIT;

/// The files of a target's corpus.
fn corpus(target: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 10, "{}: hardly a file", folder.display());
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn replay(target: &str, check: fn(&[u8])) {
    for (path, bytes) in corpus(target) {
        eprintln!("{}", path.display()); // shown if it fails
        check(&bytes);
    }
}

/// Each target's corpus is replayed by a plain test: here, that of `binary` by the test `frames` of
/// `tinyio-frames`, that of `core` by the test `tasks` of `tinyio-tasks`.
#[test]
fn each_fuzz_target_has_a_corpus_that_is_replayed() {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| {
        let entries = std::fs::read_dir(manifest.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<_> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.retain(|name| name != "check"); // what they share
        names.sort();
        names
    };
    assert_eq!(names("fuzz/targets"), ["binary", "core", "line", "ring", "trace"], "a new target needs a test here");
    let corpora = [names("frames/tests/corpus"), names("tasks/tests/corpus"), names("tests/corpus")].concat();
    assert_eq!(corpora, names("fuzz/targets"));
}

#[test]
fn lines_of_a_trace() {
    replay("line", check::line);
}

#[test]
fn traces() {
    replay("trace", check::trace);
}

#[test]
fn rings() {
    replay("ring", check::ring);
}

/// Runs a test of this file in a process of its own, which may have that much memory. `true` in that process.
fn within(mib: u64, test: &str) -> bool {
    const CHILD: &str = "TINYIO_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let limited = format!("ulimit -v {} && exec \"$0\" --exact {test} --nocapture", mib << 10);
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).arg(std::env::current_exe().unwrap()).env(CHILD, "1");
    assert!(command.status().unwrap().success(), "more memory than {mib} MiB, or a panic: see above");
    false
}

/// A trace of these lines, after a header.
fn trace_of<T: AsRef<[u8]>>(lines: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut trace = spoiled::examples().next().unwrap().as_bytes().to_vec();
    for line in lines {
        trace.push(b'\n');
        trace.extend_from_slice(line.as_ref());
    }
    trace.push(b'\n');
    trace
}

/// Numbers the events, one in each microsecond.
fn events(kinds: impl IntoIterator<Item = Value>) -> Vec<u8> {
    trace_of(kinds.into_iter().enumerate().map(|(seq, mut event)| {
        let fields = event.as_object_mut().unwrap();
        fields.entry("seq").or_insert(seq.into());
        fields.entry("at").or_insert((1000 * seq).into());
        event.to_string()
    }))
}

/// Replaces every number, those in `seq` and `at` too if they are not `kept`.
fn with_numbers(value: &mut Value, number: u64, kept: bool) {
    match value {
        Value::Number(_) => *value = number.into(),
        Value::Array(items) => items.iter_mut().for_each(|item| with_numbers(item, number, kept)),
        Value::Object(fields) => {
            for (name, value) in fields {
                // Output has two streams only.
                let is_kept = name == "version" || name == "stream" || kept && (name == "seq" || name == "at");
                if !is_kept {
                    with_numbers(value, number, kept);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn numbers_as_large_as_they_can_be_are_added_and_shown() {
    for number in [0, 1, u64::from(u32::MAX), u64::MAX] {
        for kept in [true, false] {
            let mut events: Vec<Value> =
                spoiled::examples().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
            let small = |value: &Value| tinyio_inspector::trace::parse(value.to_string().as_bytes()).is_ok();
            for event in &mut events {
                let before = event.clone();
                with_numbers(event, number, kept);
                // Numbers of names and loops have 32 bits.
                if !small(event) {
                    *event = before;
                    with_numbers(event, u64::from(u32::MAX), kept);
                }
                assert!(small(event), "{event}");
            }
            // Twice: sums of the largest numbers.
            let lines = events.iter().chain(&events).filter(|event| event["kind"] != "trace_end");
            check::every_view(&trace_of(lines.map(Value::to_string)));
        }
    }
}

/// A step of the coroutine, after which it waits for this.
fn step(coro: u64, on: Value) -> [Value; 3] {
    let wait = json!({"kind": "wait", "coro": coro, "on": on, "site": 1});
    [json!({"kind": "step_begin", "coro": coro}), wait, json!({"kind": "step_end", "coro": coro})]
}

#[test]
fn parents_and_waits_in_circles_end() {
    // A walk that does not end takes memory.
    if !within(1500, "parents_and_waits_in_circles_end") {
        return;
    }
    let name = json!({"kind": "name", "id": 1, "text": "a"});
    let site = json!({"kind": "site", "id": 1, "file": "f.rs", "line": 1, "column": 1});
    let begin = |id: u32, parent: u64| json!({"kind": "loop_start", "loop": id, "parent": parent, "mode": "isolate"});
    let spawn = |coro: u64, in_loop: u32, parent: u64| json!({"kind": "spawn", "coro": coro, "loop": in_loop, "parent": parent, "name": 1, "site": 1});
    // Each loop runs in a coroutine of the next one, and each coroutine is its own ancestor.
    let mut circles = vec![name, site];
    circles.extend((1..=4).map(|id| begin(id, u64::from(id % 4 + 1))));
    circles.extend((1..=4).map(|id| spawn(id, id as u32, id % 4 + 1)));
    circles.extend([spawn(5, 1, 5), spawn(1, 2, 1), spawn(2, 2, 2)]);
    // They wait for each other, for themselves, and for the loops.
    let waits: [&dyn Fn(u64) -> Value; 3] =
        [&|id| json!({"coro": id % 5 + 1}), &|id| json!({"coro": id}), &|id| json!({"loop": (id - 1) % 4 + 1})];
    for on in waits {
        let mut circles = circles.clone();
        circles.extend((1..=5).flat_map(|id| step(id, on(id))));
        check::every_view(&events(circles.clone()));
        circles.reverse();
        check::every_view(&events(circles));
    }
}

#[test]
fn long_chains_and_deep_values_are_shown_without_recursion() {
    if !within(1500, "long_chains_and_deep_values_are_shown_without_recursion") {
        return;
    }
    const LINKS: u64 = 20_000;
    let mut chain = vec![
        json!({"kind": "name", "id": 1, "text": "a"}),
        json!({"kind": "site", "id": 1, "file": "f.rs", "line": 1, "column": 1}),
        json!({"kind": "loop_start", "loop": 1, "parent": 0, "mode": "run"}),
    ];
    let spawn = |id| json!({"kind": "spawn", "coro": id, "loop": 1, "parent": id - 1, "name": 1, "site": 1});
    chain.extend((1..=LINKS).map(spawn));
    chain.extend((1..LINKS).flat_map(|id| step(id, json!({"coro": id + 1}))));
    check::every_view(&events(chain));
    for depth in [10, 30, 50, 10_000] {
        let value = format!("{}1{}", r#"{"text":"x","children":[["c","#.repeat(depth), "]]}".repeat(depth));
        let value = value.replace('1', r#"{"text":""}"#);
        let frame = format!(r#"{{"function":"f","locals":[{{"name":"x","value":{value}}}]}}"#);
        let spawn = r#"{"seq":0,"at":0,"kind":"spawn","coro":1,"loop":1,"parent":0,"name":1,"site":1}"#;
        let frames = format!(r#"{{"seq":1,"at":1,"kind":"frames","coro":1,"stack":{{"frames":[{frame}]}}}}"#);
        check::every_view(&trace_of([spawn, &frames]));
    }
}

#[test]
fn lines_that_are_no_text_or_have_no_end_take_bounded_memory() {
    if !within(1500, "lines_that_are_no_text_or_have_no_end_take_bounded_memory") {
        return;
    }
    let name = |text: &[u8]| [br#"{"seq":0,"at":0,"kind":"name","id":1,"text":""#, text, br#""}"#].concat();
    let deep = [vec![b'['; 1_000_000], vec![b']'; 1_000_000]].concat();
    for line in [
        vec![0; 1_000_000],
        name(&[b'a'; 4 << 20]),
        name(b"\xff\xfe\xc0"),
        name(br"\ud800"),
        [br#"{"seq":0,"at":0,"kind":"new","x":"#, &deep[..], b"}"].concat(),
        [br#"{"seq":0,"at":0,"kind":"new","x":"#, &deep[..500_000]].concat(),
        vec![b'{'; 1_000_000],
        br#"{"a":"#.repeat(100_000),
    ] {
        check::every_view(&trace_of([&line[..], br#"{"seq":1,"at":1,"kind":"trace_end"}"#]));
        check::every_view(&line);
    }
    // No event is as long, and it is not read to its end.
    check::trace(&name(&vec![b'a'; 2 * LINE_LIMIT]));
}

#[test]
fn rings_whose_words_are_replaced_are_shown_in_bounded_memory() {
    if !within(1500, "rings_whose_words_are_replaced_are_shown_in_bounded_memory") {
        return;
    }
    let (_folder, mut recorder) = common::start(MIN_SIZE);
    let mut program = common::Program::new(1, 30);
    for _ in 0..3000 {
        program.act(Some(&mut recorder));
    }
    let whole = std::fs::read(recorder.path()).unwrap();
    let words = whole.len() as u64 / 8;
    let sizes = [0, 1, 63, 64, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 63, u64::MAX >> 1, u64::MAX, words];
    for seed in 0..150 {
        let mut dice = Dice::new(seed);
        let mut ring = whole.clone();
        for _ in 0..[1, 1, 2, 4, 16, 200][dice.roll(6) as usize] {
            // The header, which has all sizes, is hit more often than by its length. Its first word says that it is a
            // ring.
            let word = match dice.roll(3) {
                0 => 1 + dice.roll(63),
                1 => 1 + dice.roll(3000.min(words - 1)),
                _ => 1 + dice.roll(words - 1),
            } as usize;
            let place = &mut ring[8 * word..8 * word + 8];
            let old = u64::from_ne_bytes(place.try_into().unwrap());
            let new = match dice.roll(3) {
                0 => sizes[dice.roll(sizes.len() as u64) as usize],
                1 => old ^ (1 << dice.roll(64)),
                _ => dice.roll(u64::MAX),
            };
            place.copy_from_slice(&new.to_ne_bytes());
        }
        eprintln!("ring {seed}"); // shown if it fails
        check::every_view(&ring);
    }
}
