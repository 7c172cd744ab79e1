//! JSON traces: what is written reads back, by hand and by serde alike, and no damage does harm.

mod common;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use common::{Fold, Program, assert_same, drain, events, kinds, start};
use proptest::prelude::*;
use tinyio_inspector::event::*;
use tinyio_inspector::source::{Progress, Source};
use tinyio_inspector::trace::{LINE_LIMIT, TraceReader, TraceWriter, open, parse, write_event};

const HEADER: &str =
    r#"{"trace":"tinyio","version":1,"program":"test","pid":1,"started":5,"directory":"/","thread":"main"}"#;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

fn line(event: &Event) -> Vec<u8> {
    let mut out = vec![];
    write_event(event, &mut out);
    out
}

/// Writes a file with the header and `body`, and reads it to its end or the first error.
fn load(body: &[u8]) -> (Vec<Event>, std::io::Result<Progress>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(HEADER.as_bytes()).unwrap();
    file.write_all(b"\n").unwrap();
    file.write_all(body).unwrap();
    read_all(&mut TraceReader::open(file.path()).unwrap())
}

fn read_all(reader: &mut dyn Source) -> (Vec<Event>, std::io::Result<Progress>) {
    let mut events = vec![];
    loop {
        match reader.read(100, &mut |event| events.push(event)) {
            Ok(Progress::More) => {}
            end => return (events, end),
        }
    }
}

proptest! {
    #![proptest_config(config(3000))]

    #[test]
    fn by_hand_is_byte_for_byte_what_serde_writes_and_both_read_it(event in events()) {
        let by_hand = line(&event);
        let by_serde = serde_json::to_vec(&event).unwrap();
        prop_assert_eq!(String::from_utf8(by_hand.clone()).unwrap(), String::from_utf8(by_serde).unwrap());
        prop_assert_eq!(&parse(&by_hand).unwrap(), &event);
        prop_assert_eq!(&serde_json::from_slice::<Event>(&by_hand).unwrap(), &event);
    }

    #[test]
    fn a_damaged_line_reads_as_serde_reads_it(event in events(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut text = line(&event);
        let at = at.index(text.len());
        if cut { text.truncate(at) } else { text[at] = byte }
        match (parse(&text), serde_json::from_slice::<Event>(&text)) {
            (Ok(one), Ok(two)) => prop_assert_eq!(one, two),
            (Err(_), Err(_)) => {}
            (one, two) => prop_assert!(false, "{:?} {:?} {:?}", String::from_utf8_lossy(&text), one, two),
        }
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_file_reads_back_whole(kinds in proptest::collection::vec(kinds(), 0..20)) {
        let kinds = kinds.into_iter().filter(|kind| !matches!(kind, Kind::Lost { .. } | Kind::TraceEnd {})).chain([Kind::TraceEnd {}]);
        let sent: Vec<Event> = kinds.enumerate().map(|(at, kind)| Event { seq: at as u64, at: 7, kind }).collect();
        let body: Vec<u8> = sent.iter().flat_map(|event| [line(event), b"\n".to_vec()]).flatten().collect();
        let (seen, end) = load(&body);
        prop_assert_eq!(end.unwrap(), Progress::Ended);
        prop_assert_eq!(seen, sent);
    }

    #[test]
    fn a_file_cut_anywhere_gives_what_is_before_the_cut_and_marks_it(kinds in proptest::collection::vec(kinds(), 1..8), at in any::<prop::sample::Index>()) {
        let kinds = kinds.into_iter().filter(|kind| !matches!(kind, Kind::Lost { .. } | Kind::TraceEnd {})).chain([Kind::TraceEnd {}]);
        let sent: Vec<Event> = kinds.enumerate().map(|(at, kind)| Event { seq: at as u64, at: 7, kind }).collect();
        let lines: Vec<Vec<u8>> = sent.iter().map(line).collect();
        let body: Vec<u8> = lines.iter().flat_map(|line| [line.as_slice(), b"\n"]).flatten().copied().collect();
        let cut = at.index(body.len() - 1);
        let mut end = 0;
        let whole = lines.iter().take_while(|line| { end += line.len() + 1; end <= cut + 1 }).count();
        let (seen, progress) = load(&body[..cut]);
        prop_assert_eq!(progress.unwrap(), Progress::Died);
        prop_assert_eq!(&seen[..whole], &sent[..whole]);
        prop_assert_eq!(seen.len(), whole + 1);
        prop_assert_eq!(&seen[whole].kind, &Kind::Lost { events: 0, why: "cut".into() });
    }

    #[test]
    fn any_damage_ends_in_events_or_an_error_that_names_the_line(
        kinds in proptest::collection::vec(kinds(), 1..12),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        swap in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let mut lines: Vec<Vec<u8>> = kinds.into_iter().enumerate().map(|(at, kind)| line(&Event { seq: at as u64, at: 7, kind })).collect();
        let (a, b) = (swap.0.index(lines.len()), swap.1.index(lines.len()));
        lines.swap(a, b);
        let mut body = lines.join(&b'\n');
        for (at, byte) in flips {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let (_, end) = load(&body);
        if let Err(error) = end {
            let text = error.to_string();
            prop_assert!(text.contains("column") && text.contains("expected an event"), "{}", text);
        }
    }

    #[test]
    fn any_bytes_at_all_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        if let Ok(mut source) = open(file.path()) {
            let _ = read_all(&mut *source);
        }
    }
}

#[test]
fn lines_that_were_a_problem_once_or_could_be() {
    let deep = format!(r#"{{"seq":0,"at":0,"kind":"frames","coro":1,"stack":{}"#, "[".repeat(100_000));
    let deep_value = format!(
        r#"{{"seq":0,"at":0,"kind":"frames","coro":1,"stack":{{"frames":[{{"function":"f","locals":[{{"name":"x","value":{}"#,
        r#"{"text":"","children":[["a","#.repeat(10_000)
    );
    let whole = [
        "null",
        "[]",
        "{}",
        "7",
        r#"{"seq":-1,"at":0,"kind":"unpark","loop":1}"#,
        r#"{"seq":1.5,"at":0,"kind":"unpark","loop":1}"#,
        r#"{"seq":99999999999999999999,"at":0,"kind":"unpark","loop":1}"#,
        r#"{"seq":0,"at":0,"kind":"unpark","loop":4294967296}"#,
        r#"{"seq":0,"at":0,"kind":"unpark"}"#,
        r#"{"seq":0,"at":0,"kind":"wait","coro":1,"on":{"moon":1},"site":0}"#,
        r#"{"seq":0,"at":0,"kind":"wait","coro":1,"on":{"coro":1,"res":2},"site":0}"#,
        r#"{"seq":0,"at":0,"kind":"set","res":1,"set":"yes"}"#,
        r#"{"seq":0,"at":0,"kind":7}"#,
        r#"{"seq":0,"at":0}"#,
    ];
    let broken = [
        "\"",
        "\u{feff}{}",
        r#"{"seq":01,"at":0,"kind":"unpark","loop":1}"#,
        r#"{"seq":0,"at":0,"kind":"unpark","loop":1} {}"#,
        &deep,
        &deep_value,
    ];
    let load = |text: &str| load(format!("{}\n{text}\n", r#"{"seq":0,"at":0,"kind":"unpark","loop":1}"#).as_bytes());
    for text in whole {
        let (seen, end) = load(text);
        assert_eq!(end.unwrap(), Progress::Died);
        let message = seen.iter().find_map(|event| match &event.kind {
            Kind::Diag { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let message = message.unwrap_or_else(|| panic!("{text}: {seen:?}"));
        assert!(message.starts_with("line 3: ") && message.len() < 400, "{message}");
    }
    for text in broken {
        let (seen, end) = load(text);
        let error = end.expect_err(&text[..text.len().min(100)]).to_string();
        assert!(error.contains(":3: column "), "{error}");
        assert!(error.len() < 400, "{error}");
        assert_eq!(seen.len(), 1);
    }
}

#[test]
fn other_order_blanks_new_fields_and_unknown_kinds_are_read() {
    let body = concat!(
        "{ \"kind\": \"unpark\", \"loop\": 1, \"at\": 4, \"seq\": 0 }\r\n",
        "{\"seq\":1,\"at\":5,\"kind\":\"teleport\",\"to\":[1,2,{\"x\":null}]}\n",
        "\n",
        "{\"seq\":2,\"at\":6,\"kind\":\"step_begin\",\"coro\":1,\"mood\":\"fine\"}\n",
        "{\"seq\":3,\"at\":7,\"kind\":\"trace_end\"}",
    );
    let (seen, end) = load(body.as_bytes());
    assert_eq!(end.unwrap(), Progress::Ended);
    assert_eq!(seen.iter().map(|event| event.seq).collect::<Vec<_>>(), [0, 2, 3]);
}

#[test]
fn missing_lines_are_noticed_by_their_numbers() {
    let unpark = |seq: u64| String::from_utf8(line(&Event { seq, at: seq, kind: Kind::Unpark { id: 1 } })).unwrap();
    let (seen, _) = load([unpark(0), unpark(1), unpark(5)].join("\n").as_bytes());
    let lost = Event { seq: 2, at: 1, kind: Kind::Lost { events: 3, why: "missing".into() } };
    assert_eq!(seen[2], lost);
    assert_eq!(seen[3].seq, 5);
}

#[test]
fn a_giant_line_is_an_error_and_not_in_memory() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{HEADER}").unwrap();
    // Sparse: a gigabyte of zeros and no line's end.
    file.as_file().set_len(1 << 30).unwrap();
    let (seen, end) = read_all(&mut TraceReader::open(file.path()).unwrap());
    assert!(seen.is_empty());
    let error = end.unwrap_err().to_string();
    assert!(error.contains(":2: the line is longer than 32 MiB"), "{error}");
    let peak = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        peak.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<usize>().ok());
    assert!(kib.is_none_or(|kib| kib < 16 * LINE_LIMIT / 1024), "{kib:?}");
}

#[test]
fn what_is_no_trace_is_refused_with_what_was_expected() {
    let cases: [(&str, &str); 6] = [
        ("", "the file is empty"),
        ("\u{7f}ELF\u{1}\u{2}\n", "expected a recording: a ring, or a JSON trace"),
        ("{\"trace\":\"other\",\"version\":1}\n", "expected a recording"),
        ("{\"trace\":\"tinyio\",\"version\":2,\"program\":1}\n", "a trace of version 2; this program reads version 1"),
        ("{\"trace\":\"tinyio\"}\n", "a trace of no version"),
        ("{\"trace\":\"tinyio\",\"version\":1}\n", "the header does not read: missing field"),
    ];
    for (text, expected) in cases {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let Err(error) = open(file.path()) else { panic!("{text:?} is refused") };
        let error = error.to_string();
        assert!(error.contains(expected) && error.contains(&*file.path().to_string_lossy()), "{error}");
    }
    let Err(error) = open(&PathBuf::from("/nowhere/at/all")) else { panic!() };
    assert!(error.to_string().contains("/nowhere/at/all: cannot open the recording"), "{error}");
}

#[test]
fn the_writer_writes_what_is_in_the_ring() {
    let (folder, mut recorder) = start(16 << 20);
    let path = folder.path().join("trace.jsonl");
    let writer = TraceWriter::spawn(&mut recorder, &path).unwrap();
    let mut program = Program::new(3, 50);
    for _ in 0..20_000 {
        program.act(Some(&mut recorder));
    }
    let (ring, _) = drain(&mut recorder.reader().unwrap());
    recorder.finish();
    let summary = writer.finish().unwrap();
    let mut source = open(&path).unwrap();
    assert_eq!(source.header().program, "test");
    let (seen, progress) = drain(&mut *source);
    assert_eq!(progress, Progress::Ended);
    assert_eq!((summary.events, summary.lost), (seen.len() as u64, 0));
    assert_eq!(seen[..seen.len() - 1], ring);
    let mut fold = Fold::from_start();
    seen.iter().for_each(|event| fold.event(event));
    assert_same(fold.graph.as_ref().unwrap(), &program.graph);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn finishing_before_the_recording_ends_writes_all_so_far_and_an_end() {
    let (folder, mut recorder) = start(1 << 20);
    let path = folder.path().join("trace.jsonl");
    let writer = TraceWriter::spawn(&mut recorder, &path).unwrap();
    for at in 0..1000 {
        recorder.unpark(at, 1);
    }
    assert_eq!(writer.finish().unwrap().events, 1000);
    recorder.unpark(1000, 1);
    let (seen, progress) = drain(&mut *open(&path).unwrap());
    assert_eq!((seen.len(), progress), (1001, Progress::Ended));
    assert_eq!(seen[1000], Event { seq: 1000, at: 999, kind: Kind::TraceEnd {} });
}

#[test]
fn a_writer_that_falls_behind_counts_what_is_missing() {
    let (folder, mut recorder) = start(64 << 10);
    let path = folder.path().join("trace.jsonl");
    let writer = TraceWriter::spawn(&mut recorder, &path).unwrap();
    recorder.emit(0, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
    // Two thousand records against a million events: the writer of the trace is overtaken.
    for at in 0..1_000_000 {
        recorder.unpark(at, 1);
    }
    let all = recorder.seq() + 1;
    recorder.finish();
    let summary = writer.finish().unwrap();
    let (seen, progress) = drain(&mut *open(&path).unwrap());
    assert_eq!(progress, Progress::Ended);
    let mut fold = Fold::from_start();
    seen.iter().for_each(|event| fold.event(event));
    assert_eq!(fold.lost, summary.lost);
    let lines = seen.iter().filter(|event| !matches!(event.kind, Kind::Lost { .. })).count() as u64;
    assert_eq!(lines + summary.lost, all);
}

#[test]
fn a_trace_that_cannot_be_written_is_an_error_that_names_it() {
    let (folder, mut recorder) = start(64 << 10);
    let path = folder.path().join("no/such/folder.jsonl");
    let error = TraceWriter::spawn(&mut recorder, &path).unwrap_err().to_string();
    assert!(error.contains("no/such/folder.jsonl") && error.contains("TINYIO_TRACE"), "{error}");
}

#[test]
fn a_trace_that_is_written_is_followed_and_is_whole_between_two_loops() {
    let (folder, mut recorder) = start(1 << 20);
    let path = folder.path().join("trace.jsonl");
    let writer = TraceWriter::spawn(&mut recorder, &path).unwrap();
    let (begin, end) =
        (Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run }, Kind::LoopEnd { id: 1, outcome: LoopOutcome::Ok });
    recorder.emit(1, begin.clone());
    writer.flush(recorder.seq());
    let mut reader = TraceReader::open(&path).unwrap();
    assert_eq!(read_all(&mut reader).1.unwrap(), Progress::Idle, "a loop runs");
    // What a process that is killed now leaves: a copy has no writer.
    let copy = || {
        let copy = folder.path().join("copy.jsonl");
        fs::copy(&path, &copy).unwrap();
        let (events, progress) = read_all(&mut TraceReader::open(&copy).unwrap());
        (events.into_iter().map(|event| event.kind).collect::<Vec<_>>(), progress.unwrap())
    };
    assert_eq!(copy().1, Progress::Died);
    recorder.emit(2, end.clone());
    writer.flush(recorder.seq());
    // The file may be read before the marker is in it, but not for long.
    while copy().1 != Progress::Ended {
        std::thread::yield_now();
    }
    assert_eq!(copy().0, [begin.clone(), end.clone(), Kind::TraceEnd {}]);
    let (events, progress) = read_all(&mut reader);
    assert_eq!((events.len(), progress.unwrap()), (1, Progress::Idle), "the next loop may come");
    recorder.emit(3, begin.clone());
    writer.flush(recorder.seq());
    assert_eq!(copy(), (vec![begin.clone(), end, begin, Kind::Lost { events: 0, why: "cut".into() }], Progress::Died));
    assert_eq!(read_all(&mut reader).0.len(), 1);
    recorder.finish();
    writer.finish().unwrap();
    let (events, progress) = read_all(&mut reader);
    assert_eq!((events.len(), progress.unwrap()), (1, Progress::Ended));
    assert_eq!(TraceReader::open(&path).unwrap().header(), reader.header());
}

#[test]
fn the_exit_of_the_process_ends_a_trace_whose_loop_runs() {
    let (folder, mut recorder) = start(1 << 20);
    let path = folder.path().join("trace.jsonl");
    let writer = TraceWriter::spawn(&mut recorder, &path).unwrap();
    recorder.emit(1, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
    writer.at_exit().unwrap().finish(std::time::Duration::from_secs(60));
    let (events, progress) = drain(&mut *open(&path).unwrap());
    assert_eq!((events.len(), progress), (2, Progress::Ended));
}

#[test]
fn what_is_written_by_another_is_refused_and_what_is_finished_is_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, mut recorder) = start(64 << 10);
    let path = folder.path().join("trace.jsonl");
    fs::write(&path, "an old one").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let old = fs::File::open(&path).unwrap();
    let writer = TraceWriter::spawn(&mut recorder, &path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::io::read_to_string(old).unwrap(), "an old one", "another file, not this one overwritten");
    let (_other, mut second) = start(64 << 10);
    let error = TraceWriter::spawn(&mut second, &path).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy, "{error}");
    writer.finish().unwrap();
    TraceWriter::spawn(&mut second, &path).unwrap().finish().unwrap();
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "trace.jsonl" || name == "rings"), "nothing is left over: {names:?}");
}

#[test]
fn a_trace_follows_no_link_and_writes_to_no_device_or_folder() {
    let (folder, mut recorder) = start(64 << 10);
    let target = folder.path().join("precious");
    fs::write(&target, "precious").unwrap();
    let at = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink(&target, at("link")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", at("dangling")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    for (name, why) in
        [("link", "symbolic link"), ("dangling", "symbolic link"), ("folder", "no regular"), ("pipe", "no regular")]
    {
        let error = TraceWriter::spawn(&mut recorder, &at(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(why) && error.contains("TINYIO_TRACE"), "{error}");
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(!PathBuf::from("/nowhere/at/all").exists());
}

/// All kinds, by the words they are written with.
fn all_words() -> Vec<String> {
    let source = include_str!("../events/src/event.rs");
    let body = &source[source.find("events! {").unwrap()..];
    let body = &body[..body.find("\n}\n").unwrap()];
    let variants = body.lines().filter_map(|line| {
        let row = line.strip_prefix("        ")?;
        let name = row.strip_suffix(" {").or(row.strip_suffix(" {}"))?.split(' ').next_back()?;
        name.chars().next()?.is_ascii_uppercase().then(|| name.to_string())
    });
    let snake = |name: String| {
        let words =
            name.char_indices().map(|(at, c)| if at > 0 && c.is_uppercase() { format!("_{c}") } else { c.to_string() });
        words.collect::<String>().to_lowercase()
    };
    variants.map(snake).collect()
}

/// The examples of the page about the format: every kind, with all of its fields.
fn examples() -> impl Iterator<Item = &'static str> {
    let blocks = include_str!("../../docs/TRACE.md").split("```json\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    lines.filter(|text| text.starts_with("{\"seq\""))
}

/// The value, and every value in it, each replaced by `wrong` once, if that is of another type. The name is that of the
/// event's field.
fn misfits(value: &serde_json::Value, wrong: &serde_json::Value) -> Vec<serde_json::Value> {
    use serde_json::Value;
    let mut all = vec![];
    if std::mem::discriminant(value) != std::mem::discriminant(wrong) {
        all.push(wrong.clone());
    }
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                all.extend(misfits(inner, wrong).into_iter().map(|inner| {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), inner);
                    Value::Object(fields)
                }));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                all.extend(misfits(inner, wrong).into_iter().map(|inner| {
                    let mut items = items.clone();
                    items[index] = inner;
                    Value::Array(items)
                }));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn a_field_of_a_wrong_type_costs_its_event_with_a_message_and_the_rest_is_read() {
    use serde_json::{Map, Value, json};
    let other = |seq: u64| Event { seq, at: seq, kind: Kind::Unpark { id: 1 } };
    let text = |seq: u64| String::from_utf8(line(&other(seq))).unwrap();
    let mut left_out = 0;
    for example in examples() {
        let mut event: Map<String, Value> = serde_json::from_str(example).unwrap();
        event.insert("seq".into(), 1.into());
        for (field, value) in &event {
            for wrong in [json!(null), json!(true), json!(7), json!("7"), json!([]), json!({"x": 7})] {
                for misfit in misfits(value, &wrong) {
                    let mut event = event.clone();
                    event.insert(field.clone(), misfit);
                    let damaged = serde_json::to_string(&event).unwrap();
                    let (seen, end) = load([&text(0), &damaged, &text(2), ""].join("\n").as_bytes());
                    assert_eq!(end.unwrap(), Progress::Died, "the whole file is read: {damaged}");
                    assert_eq!(seen[0], other(0), "{damaged}");
                    assert_eq!(seen[seen.len() - 2], other(2), "{damaged}");
                    if parse(damaged.as_bytes()).is_ok() {
                        continue;
                    }
                    left_out += 1;
                    let [_, lost, message, ..] = &seen[..] else { panic!("{damaged}: {seen:?}") };
                    assert_eq!((lost.seq, &lost.kind), (1, &Kind::Lost { events: 1, why: "damaged".into() }));
                    let Kind::Diag { coro: 0, text } = &message.kind else { panic!("{damaged}: {message:?}") };
                    assert!(text.starts_with("line 3: ") && text.ends_with(": this event was left out"), "{text}");
                    assert!(
                        text.contains(&format!("`{field}`")) || text.contains("missing field"),
                        "{damaged}: {text}"
                    );
                }
            }
        }
    }
    assert!(left_out > 500, "{left_out}");
    let (seen, _) = load(br#"{"seq":0,"at":5,"kind":"step_begin","coro":"one"}"#);
    let text = "line 2: `coro` is string \"one\", expected u64: this event was left out";
    assert_eq!(seen[1], Event { seq: 0, at: 5, kind: Kind::Diag { coro: 0, text: text.into() } });
}

#[test]
fn text_that_is_no_text_and_values_that_are_too_deep_cost_their_event_only() {
    let other = |seq: u64| Event { seq, at: seq, kind: Kind::Unpark { id: 1 } };
    let deep = format!(r#"{{"seq":1,"at":1,"kind":"new","x":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
    let no_text = b"{\"seq\":1,\"at\":1,\"kind\":\"name\",\"id\":1,\"text\":\"\xff\xc0\"}".to_vec();
    let half = br#"{"seq":1,"at":1,"kind":"name","id":1,"text":"\ud800"}"#.to_vec();
    let huge = br#"{"seq":1e999,"at":1,"kind":"name","id":1,"text":""}"#.to_vec();
    for damaged in [deep.into_bytes(), no_text, half, huge, b"[1]".to_vec(), b"null".to_vec()] {
        let (seen, end) = load(&[&line(&other(0))[..], &damaged[..], &line(&other(2))[..], b""].join(&b'\n'));
        assert_eq!(end.unwrap(), Progress::Died);
        let kinds: Vec<_> = seen.iter().map(|event| (event.seq, std::mem::discriminant(&event.kind))).collect();
        let [unpark, lost, diag] = [
            Kind::Unpark { id: 1 },
            Kind::Lost { events: 1, why: String::new() },
            Kind::Diag { coro: 0, text: String::new() },
        ]
        .map(|kind| std::mem::discriminant(&kind));
        assert_eq!(kinds[..4], [(0, unpark), (1, lost), (1, diag), (2, unpark)], "{seen:?}");
    }
}

#[test]
fn the_page_about_the_format_has_every_kind_and_its_examples_are_true() {
    let page = include_str!("../../docs/TRACE.md");
    let words = all_words();
    assert!(words.len() >= 36 && words.contains(&"step_begin".to_string()), "{words:?}");
    let mut examples: Vec<(String, Event)> = vec![];
    for text in self::examples() {
        let event = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(String::from_utf8(line(&event)).unwrap(), text, "an example is as it is written");
        examples.push((text.to_string(), event));
    }
    for word in words {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{word}` |")))
            .unwrap_or_else(|| panic!("{word} has no row"));
        let (text, _) = examples
            .iter()
            .find(|(text, _)| text.contains(&format!("\"kind\":\"{word}\"")))
            .unwrap_or_else(|| panic!("{word} has no example"));
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        for field in fields.keys().filter(|field| !["seq", "at", "kind"].contains(&field.as_str())) {
            assert!(row.contains(&format!("`{field}`")), "{field} of {word} is in its row");
        }
    }
}

/// A trace of so many bytes, written as it is read: more than there is memory, if need be.
fn stream(mut to: impl std::io::Write, bytes: u64) {
    let header = Header { trace: "tinyio".into(), version: VERSION, ..Header::default() };
    let mut text = serde_json::to_vec(&header).unwrap();
    let (mut seq, mut written) = (0, 0);
    let mut say = |text: &mut Vec<u8>, kind: Kind| {
        text.push(b'\n');
        write_event(&Event { seq, at: seq * 100, kind }, text);
        seq += 1;
    };
    say(&mut text, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
    let mut coro = 0;
    while written < bytes {
        coro += 1;
        say(&mut text, Kind::Spawn { coro, in_loop: 1, parent: 0, name: 1, site: 1 });
        say(&mut text, Kind::StepBegin { coro });
        let message = format!("{coro} of a great many");
        let (level, target) = ("INFO".into(), "stream".into());
        say(&mut text, Kind::Log { coro, level, target, message, fields: vec![("n".into(), coro.to_string())] });
        say(&mut text, Kind::StepEnd { coro });
        say(&mut text, Kind::End { coro, outcome: Outcome::Ok });
        if text.len() > 1 << 16 {
            to.write_all(&text).unwrap();
            written += text.len() as u64;
            text.clear();
        }
    }
    say(&mut text, Kind::LoopEnd { id: 1, outcome: LoopOutcome::Ok });
    say(&mut text, Kind::TraceEnd {});
    text.push(b'\n');
    to.write_all(&text).unwrap();
}

/// The most memory this process has had, in KiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// `TINYIO_TEST_STREAM=5G cargo test --release -p tinyio-inspector --test trace memory` reads as much.
#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_a_reader_does_not_grow_with_the_file() {
    const CHILD: &str = "TINYIO_TEST_CHILD";
    if let Some(path) = std::env::var_os(CHILD) {
        let mut reader = TraceReader::open(std::path::Path::new(&path)).unwrap();
        let mut model = tinyio_inspector::model::Model::new(reader.header());
        let mut warm = None;
        while reader.read(10_000, &mut |event| model.apply(&event)).unwrap() == Progress::More {
            // What is kept of the past is full by then.
            if model.events() > 100_000 {
                warm.get_or_insert_with(peak);
            }
        }
        assert!(model.lost().is_none() && model.live_count() == 0);
        let (warm, end) = (warm.unwrap(), peak());
        println!(
            "{} events, {} MiB: {warm} KiB after the first hundred thousand, {end} KiB at the end",
            model.events(),
            reader.position() >> 20
        );
        assert!(end < warm + 8 * 1024, "{warm} KiB grew to {end} KiB");
        return;
    }
    let size =
        std::env::var("TINYIO_TEST_STREAM").map_or(48 << 20, |size| tinyio_inspector::ring::parse_size(&size).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("trace.jsonl");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["the_memory_of_a_reader_does_not_grow_with_the_file", "--exact", "--nocapture"]).env(CHILD, &pipe);
    let mut child = child.spawn().unwrap();
    stream(std::fs::File::create(&pipe).unwrap(), size);
    assert!(child.wait().unwrap().success());
}
