//! Each format is read back, and says what happened.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::*;
use crate::event::{Event, Kind, LoopMode, Outcome, Target, Waker};
use crate::test_script::{Script, cancelling, crawl, verify};

fn exported(script: &Script, format: Format, options: &Options) -> Vec<u8> {
    let mut out = Vec::new();
    export(&mut script.source(), format, options, &mut out).unwrap();
    out
}

fn text(script: &Script, format: Format) -> String {
    String::from_utf8(exported(script, format, &Options::default())).unwrap()
}

/// One wakes another through a lock, a third sleeps; a loop runs inside a coroutine.
fn arrows() -> Script {
    let mut s = Script::new("arrows");
    s.start().spawn(1, 0, "main", "a.rs:1:1").at(10).begin(1).spawn(2, 1, "left;er", "a.rs:2:1");
    s.wait(1, Target::Coro(2), "a.rs:3:1").at(20).pause(1).at(30).begin(2).wait(2, Target::Res(9), "a.rs:4:1");
    s.at(35).pause(2).at(100).wake(2, Waker::External).at(110).begin(2);
    s.push(Kind::LoopStart { id: 2, parent: 2, mode: LoopMode::Run });
    let (name, site) = (s.name("inner"), s.site("a.rs:7:1"));
    s.push(Kind::Spawn { coro: 3, in_loop: 2, parent: 0, name, site })
        .at(120)
        .begin(3)
        .end(3, Outcome::Ok)
        .at(150)
        .pause(3);
    s.push(Kind::LoopEnd { id: 2, outcome: crate::event::LoopOutcome::Ok });
    s.end(2, Outcome::Ok)
        .wake(1, Waker::Coro(2))
        .at(160)
        .pause(2)
        .at(170)
        .begin(1)
        .end(1, Outcome::Ok)
        .at(180)
        .pause(1);
    s
}

#[test]
fn chrome_has_a_track_per_coroutine_and_arrows_inside_their_slices() {
    for script in [crawl(), verify(), arrows()] {
        let value: Value = serde_json::from_str(&text(&script, Format::Chrome)).unwrap();
        let events = value["traceEvents"].as_array().unwrap();
        let named = |event: &&Value| event["ph"] == "M" && event["name"] == "thread_name" && event["pid"] == 1;
        let tracks: BTreeSet<u64> = events.iter().filter(named).map(|event| event["tid"].as_u64().unwrap()).collect();
        let spawned = script.events.iter().filter_map(|event| match event.kind {
            Kind::Spawn { coro, .. } => Some(coro),
            _ => None,
        });
        assert_eq!(tracks.iter().filter(|tid| **tid > 0).copied().collect::<BTreeSet<_>>(), spawned.collect());

        let slices: Vec<&Value> = events.iter().filter(|event| event["ph"] == "X").collect();
        let end = |slice: &Value| slice["ts"].as_f64().unwrap() + slice["dur"].as_f64().unwrap();
        let mut last: HashMap<(u64, u64), f64> = HashMap::new();
        for slice in &slices {
            let track = (slice["pid"].as_u64().unwrap(), slice["tid"].as_u64().unwrap());
            let before = last.insert(track, end(slice)).unwrap_or(0.0);
            assert!(slice["ts"].as_f64().unwrap() >= before - 1e-6, "slices of a track follow each other: {slice}");
        }
        let mut starts = BTreeSet::new();
        for (index, event) in events.iter().enumerate().filter(|(_, event)| event["ph"] == "s" || event["ph"] == "f") {
            let around =
                events[..index].iter().rev().find(|slice| slice["ph"] == "X" && slice["tid"] == event["tid"]).unwrap();
            assert_eq!(around["cat"], "run", "{event}");
            assert!(
                around["ts"].as_f64() <= event["ts"].as_f64() && event["ts"].as_f64().unwrap() <= end(around),
                "{event}"
            );
            if event["ph"] == "s" {
                starts.insert(event["id"].as_u64().unwrap());
            }
        }
        for event in events.iter().filter(|event| event["ph"] == "f") {
            let thread_that_runs_still = event["id"].as_u64().unwrap() % 2 == 1;
            assert!(starts.contains(&event["id"].as_u64().unwrap()) || thread_that_runs_still, "{event}");
        }
        for event in events {
            for field in ["ph", "pid", "name"] {
                assert!(!event[field].is_null(), "{event}");
            }
            assert!(event["ph"] == "M" || event["ts"].is_number(), "{event}");
        }
    }
}

#[test]
fn chrome_slices_are_runs_waits_and_turns() {
    let value: Value = serde_json::from_str(&text(&arrows(), Format::Chrome)).unwrap();
    let slices =
        value["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X" && event["tid"] == 2);
    let slices: Vec<_> = slices
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["cat"].as_str().unwrap(),
                one["ts"].as_f64().unwrap(),
                one["dur"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        slices,
        [
            ("ready", "ready", 10.0, 20.0),
            ("left;er", "run", 30.0, 5.0),
            ("resource #9", "wait", 35.0, 65.0),
            ("ready", "ready", 100.0, 10.0),
            ("left;er", "run", 110.0, 50.0),
        ]
    );
}

/// A field of a message, read back.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Number(u64),
    Fixed(u64),
    Bytes(Vec<u8>),
}

/// The wire format, as the specification of protocol buffers has it.
fn decode(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (first, rest) = bytes.split_first().expect("a number goes on");
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number of more than 64 bits");
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => {
                let (value, rest) = bytes.split_at(8);
                bytes = rest;
                Field::Fixed(u64::from_le_bytes(value.try_into().unwrap()))
            }
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(value.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn message(fields: &[(u64, Field)], number: u64) -> Option<Vec<(u64, Field)>> {
    fields.iter().find_map(|(field, value)| match value {
        Field::Bytes(bytes) if *field == number => Some(decode(bytes)),
        _ => None,
    })
}

fn number(fields: &[(u64, Field)], number: u64) -> Option<u64> {
    fields.iter().find_map(|(field, value)| match value {
        Field::Number(value) if *field == number => Some(*value),
        _ => None,
    })
}

#[test]
fn perfetto_has_tracks_before_events_and_slices_that_close() {
    for script in [crawl(), verify(), arrows()] {
        let trace = decode(&exported(&script, Format::Perfetto, &Options::default()));
        let (mut tracks, mut flows, mut ends) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut slices: Vec<(u64, u64, u64)> = Vec::new();
        for (field, packet) in &trace {
            let (1, Field::Bytes(packet)) = (field, packet) else { panic!("a trace is packets") };
            let packet = decode(packet);
            assert_eq!(number(&packet, 10), Some(1), "a packet belongs to a sequence");
            if let Some(descriptor) = message(&packet, 60) {
                let parent = number(&descriptor, 5);
                assert!(parent.is_none_or(|parent| tracks.contains(&parent)), "a parent comes first");
                assert!(tracks.insert(number(&descriptor, 1).unwrap()), "a track is described once");
            }
            let Some(event) = message(&packet, 11) else { continue };
            let (at, track) = (number(&packet, 8).unwrap(), number(&event, 11).unwrap());
            assert!(tracks.contains(&track), "a track is described before it is used");
            match number(&event, 9) {
                Some(kind @ 1..=2) => slices.push((at, track, kind)),
                kind => assert_eq!(kind, Some(3)),
            }
            for (field, value) in &event {
                match (field, value) {
                    (47, Field::Fixed(id)) => assert!(flows.insert(*id), "a flow begins once"),
                    (48, Field::Fixed(id)) => assert!(ends.insert(*id), "a flow ends once"),
                    _ => {}
                }
            }
        }
        // As the reader does: by time, and else as they came.
        slices.sort_by_key(|(at, ..)| *at);
        let mut open: HashMap<u64, i32> = HashMap::new();
        for (_, track, kind) in slices {
            let depth = open.entry(track).or_default();
            *depth += if kind == 1 { 1 } else { -1 };
            assert!((0..=1).contains(depth), "slices of a track follow each other");
        }
        assert!(open.values().all(|depth| *depth == 0));
        assert!(ends.iter().all(|id| flows.contains(id) || id % 2 == 1), "arrows have a beginning");
        assert!(!ends.is_empty());
    }
}

#[test]
fn folded_stacks_count_each_nanosecond_once() {
    let options = |by| Options { by, ..Options::default() };
    let busy = String::from_utf8(exported(&arrows(), Format::Folded, &options(By::Busy))).unwrap();
    assert_eq!(busy, "main 20000\nmain;left,er 25000\nmain;left,er;inner 30000\n");
    let blocked = String::from_utf8(exported(&arrows(), Format::Folded, &options(By::Blocked))).unwrap();
    let expected = "main;left,er;inner;ready, not yet run 10000
main;left,er;on a resource a.rs:4:1 65000
main;left,er;ready, not yet run 30000
main;on left;er a.rs:3:1 130000
main;ready, not yet run 30000
";
    assert_eq!(blocked, expected.replace("on left;er", "on left,er"));
}

#[test]
fn folded_stacks_of_coroutines_that_schedule_themselves_anew_end_somewhere() {
    let mut s = Script::new("deep");
    s.start().spawn(1, 0, "again", "a.rs:1:1");
    for id in 1..2_000 {
        s.at(id * 10).begin(id).spawn(id + 1, id, "again", "a.rs:1:1").end(id, Outcome::Ok).at(id * 10 + 5).pause(id);
    }
    let text = text(&s, Format::Folded);
    assert_eq!(text.lines().count(), 128);
    assert_eq!(
        text.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum::<u64>(),
        1_999 * 5_000
    );
}

#[test]
fn a_trace_is_written_as_it_was_read() {
    let script = verify();
    let out = text(&script, Format::Jsonl);
    let mut lines = out.lines();
    assert_eq!(serde_json::from_str::<crate::event::Header>(lines.next().unwrap()).unwrap(), script.header);
    let events: Vec<Event> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events, script.events);
    let options = Options { at: Some(At::Seq(9)), ..Options::default() };
    assert_eq!(exported(&script, Format::Jsonl, &options).split(|byte| *byte == b'\n').count(), 12);
}

#[test]
fn after_a_loss_nothing_overlaps_and_what_lives_goes_on() {
    let mut s = crawl();
    let gone = s.events.len();
    let (name, site) = (s.name("crawl::fetch"), s.site("crawl.rs:41:9"));
    s.at(1_900_000).push(Kind::Lost { events: 100, why: "lapped".into() });
    s.push(Kind::Checkpoint { coros: 1, left_out: 0 });
    s.push(Kind::LoopState { id: 1, parent: 0, mode: LoopMode::Run, since: 0 });
    let state = crate::event::State::Waiting;
    s.push(Kind::CoroState { coro: 17, in_loop: 1, parent: 0, name, site, state, since: 7 });
    s.wait(17, Target::Timer(1), "crawl.rs:41:9").push(Kind::CheckpointEnd {});
    s.at(2_000_000).wake(17, Waker::Timer).at(2_000_010).begin(17).at(2_000_020).pause(17);
    for (index, event) in s.events[gone..].iter_mut().enumerate() {
        event.seq = (gone + 100 + index) as u64;
    }
    let value: Value = serde_json::from_str(&text(&s, Format::Chrome)).unwrap();
    let of = |event: &&Value| event["ph"] == "X" && event["tid"] == 17 && event["pid"] == 1;
    let slices: Vec<_> = value["traceEvents"].as_array().unwrap().iter().filter(of).collect();
    let spans: Vec<_> = slices.iter().map(|one| (one["cat"].as_str().unwrap(), one["ts"].as_f64().unwrap())).collect();
    let expected =
        [("wait", 400.0), ("wait", 1_900_000.0), ("ready", 2_000_000.0), ("run", 2_000_010.0), ("wait", 2_000_020.0)];
    assert_eq!(spans[spans.len() - 5..], expected);
}

#[test]
fn a_page_holds_the_report_the_tree_and_nothing_that_loads_or_runs() {
    for script in [verify(), crawl()] {
        let page = text(&script, Format::Html);
        for forbidden in ["<script", "<link", "<img", "<iframe", " src=", "@import", "url(", "javascript:"] {
            assert_eq!(page.find(forbidden), None, "{forbidden}");
        }
        for (at, _) in page.match_indices(" on") {
            let word: String = page[at + 1..].chars().take_while(|one| one.is_alphanumeric() || *one == '=').collect();
            assert!(!word.ends_with('='), "{word}: an attribute that runs something");
        }
        assert!(
            page.match_indices("href=").all(|(at, _)| page[at..].starts_with("href=\"#")),
            "links stay on the page"
        );
        for tag in ["details", "summary", "div", "dl", "dd", "pre", "section", "table", "span"] {
            let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
    let page = text(&verify(), Format::Html);
    for text in [
        "sha256 mismatch: file 777.txt",
        "a31f…9e",
        "3 × check",
        "right before the cancellation",
        "progress #3",
        "class=\"here\"",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_page_of_a_loop_that_cancels_has_what_failed_and_those_that_are_left() {
    let page = text(&cancelling(), Format::Html);
    assert!(page.contains("verify failed after") && page.contains("sha256 mismatch: file 777.txt"), "{page}");
    assert!(
        page.contains("<p>the other coroutines were being cancelled when the recording ended: 5 coroutines left</p>"),
        "{page}"
    );
    assert!(!text(&verify(), Format::Html).contains("cancelled: "));
}

#[test]
fn the_heading_of_a_page_has_the_place_of_the_panic() {
    let heading = |script: &Script| {
        let page = text(script, Format::Html);
        page.lines().find(|line| line.contains("<h1")).unwrap().to_owned()
    };
    let mut script = verify();
    assert!(heading(&script).contains("verify crashed after"), "{}", heading(&script));
    for event in &mut script.events {
        if let Kind::Crash { failures, .. } = &mut event.kind {
            failures[0].kind = Outcome::Panic;
        }
    }
    assert!(heading(&script).contains("verify panicked at examples/verify.rs:120:13 after"), "{}", heading(&script));
    for event in &mut script.events {
        if let Kind::Crash { failures, .. } = &mut event.kind {
            failures[0].trace.last_mut().unwrap().last_await = true;
        }
    }
    assert!(heading(&script).contains("verify crashed after"), "where it panicked is not known: {}", heading(&script));
}

#[test]
fn hostile_text_stays_text() {
    let mut s = Script::new("<script>alert(1)</script>");
    let evil = "\"><script>alert(1)</script>\u{1b}[2J";
    s.start().spawn(1, 0, evil, "<a.rs>:1:1").step(1, Target::Timer(9), "a.rs:2:1").log(1, "INFO", evil, evil);
    let page = text(&s, Format::Html);
    assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
    serde_json::from_str::<Value>(&text(&s, Format::Chrome)).unwrap();
}

#[test]
fn every_cut_of_a_stream_exports() {
    for script in [crawl(), verify(), arrows()] {
        for cut in 0..script.events.len() {
            let mut part = script.clone();
            part.events.truncate(cut);
            // Also without its beginning.
            for skip in [0, cut / 2] {
                let mut part = part.clone();
                part.events.drain(..skip);
                serde_json::from_str::<Value>(&text(&part, Format::Chrome)).unwrap();
                decode(&exported(&part, Format::Perfetto, &Options::default()));
                for format in [Format::Folded, Format::Dot, Format::Mermaid, Format::Html] {
                    text(&part, format);
                }
            }
        }
    }
}

#[test]
fn what_was_not_the_programs_time_is_in_no_busy_time_and_is_shown_as_such() {
    let mut s = Script::new("reader");
    s.start().spawn(1, 0, "main", "a.rs:1:1").at(10).begin(1).at(1_500_010);
    s.push(Kind::Away { coro: 1, nanos: 1_499_000_000 }).pause(1).at(1_500_020).begin(1).at(1_500_025).pause(1);
    assert_eq!(text(&s, Format::Folded), "main 1005000\n");
    let value: Value = serde_json::from_str(&text(&s, Format::Chrome)).unwrap();
    let away = |event: &&Value| event["args"]["not the program's"].is_string();
    let events: Vec<_> = value["traceEvents"].as_array().unwrap().iter().filter(away).collect();
    assert!(matches!(&events[..], [one] if one["args"]["not the program's"] == "1.49 s"), "{events:?}");
    let perfetto = exported(&s, Format::Perfetto, &Options::default());
    assert!(String::from_utf8_lossy(&perfetto).contains("not the program's"));
}

/// Writes every format of the scripts beside one another, to be looked at: `cargo test -- --ignored to_be_looked_at`.
#[test]
#[ignore = "for eyes: needs TINYIO_LOOK=FOLDER"]
fn to_be_looked_at() {
    let folder = std::path::PathBuf::from(std::env::var_os("TINYIO_LOOK").expect("TINYIO_LOOK=FOLDER"));
    for (name, script) in [("crawl", crawl()), ("verify", verify()), ("arrows", arrows())] {
        for format in Format::NAMES {
            let out = exported(&script, format.parse().unwrap(), &Options::default());
            std::fs::write(folder.join(format!("{name}.{format}")), out).unwrap();
        }
    }
}
