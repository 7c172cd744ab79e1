//! What a report says of small streams.

use tinyio_events::event::{Branch, Failure, Kind, LoopMode, ResKind, Stack, Target, Waker};

use super::*;
use crate::test_script::{Script, cancelling, crawl, frame, trace, verify};

fn plain() -> Options {
    Options { width: 100, ..Options::default() }
}

fn failure(kind: Outcome, coro: u64, name: &str, message: &str, place: &str) -> Failure {
    Failure {
        kind,
        coro,
        thread: 0,
        name: name.into(),
        message: message.into(),
        error_type: String::new(),
        sources: vec![],
        trace: vec![trace(coro, name, place)],
        stack: None,
        fields: vec![],
        backtrace: vec![],
        given_name: String::new(),
        error_backtrace: vec![],
    }
}

/// A crash in which everything happens that can.
fn everything() -> Script {
    let mut s = Script::new("crawl");
    s.start().spawn(1, 0, "crawl::main", "crawl.rs:90:10").begin(1);
    for id in 2..400 {
        let name = if id < 20 { "crawl::fetch" } else { "crawl::parse" };
        s.spawn(id, 1, name, "crawl.rs:41:5").wait(1, Target::Coro(id), "crawl.rs:43:30");
    }
    s.pause(1).resource(1, ResKind::Lock, 1, "crawl.rs:88:14");
    for id in 3..300 {
        let on = if id < 20 { Target::Res(1) } else { Target::Timer(9_000_000_000) };
        s.step(id, on, "crawl.rs:50:12");
    }
    s.at(2_500_000).wake(2, Waker::External).begin(2);
    s.push(Kind::CancelBegin { id: 1, origin: 2, reason: "no route".into(), failure: None }).end(2, Outcome::Panic);
    let mut deep = vec![
        frame("crawl::fetch", "/src/demo/crawl.rs:52:0", &[("url", "\"http://a.b/c?d\""), ("retries", "2")]),
        frame("net::get<net::Tcp>", "/h/registry/src/index-9/net-0.3.1/src/lib.rs:31:0", &[("timeout", "5s")]),
    ];
    deep[0].source = (50..55).map(|line| (line, format!("    let line_{line} = get(url)\t.await?;"))).collect();
    deep[1].branches = [("_fut0", "net::connect"), ("_fut1", "net::resolve")]
        .map(|(name, function)| Branch { name: name.into(), frames: vec![frame(function, "net.rs:7:0", &[])] })
        .into();
    deep[1].note = "two ways".into();
    for id in 3..400 {
        let frames = vec![frame("crawl::any", "/src/demo/crawl.rs:50:0", &[("n", &id.to_string())])];
        s.frames(id, frames);
        s.push(Kind::CancelDeliver { coro: id }).end(id, Outcome::Cancelled);
    }
    let mut origin = failure(Outcome::Panic, 2, "crawl::fetch", "index out of\n  bounds\u{1b}[31m", "crawl.rs:52:20");
    origin.trace.insert(0, trace(1, "crawl::main", "crawl.rs:43:30"));
    origin.sources = vec!["the wire was cut\nby a ship".into(), "anchor".into()];
    origin.stack =
        Some(Stack { frames: deep, missing: Some("no variables: debug = true brings them".into()), mid_step: true });
    origin.stack.as_mut().unwrap().frames[0].locals[1].mark = "mid-step, moved".into();
    origin.backtrace =
        (1..20).map(|line| trace(0, "core::slice::index", &format!("/rustc/1a/library/core/s.rs:{line}:1"))).collect();
    let mut failures = vec![origin];
    failures.push(failure(Outcome::Error, 3, "crawl::fetch", "disk full", "crawl.rs:55:1"));
    failures[1].sources = vec!["ENOSPC".into()];
    failures.push(failure(Outcome::Improper, 4, "crawl::fetch", "answered Ok(5)", "crawl.rs:50:12"));
    for id in 5..300 {
        let name = if id < 20 { "crawl::fetch" } else { "crawl::parse" };
        failures.push(failure(Outcome::Cancelled, id, name, "cancelled", "crawl.rs:50:12"));
    }
    for id in 300..399 {
        failures.push(failure(Outcome::NeverStarted, id, "crawl::parse", "", &format!("crawl.rs:{}:5", id / 4)));
    }
    failures
        .push(Failure { thread: 7, ..failure(Outcome::Cancelled, 399, "crawl::read", "cancelled", "crawl.rs:60:5") });
    failures.push(failure(Outcome::Cancelled, 1, "crawl::main", "cancelled", "crawl.rs:43:30"));
    s.push(Kind::Crash { id: 1, failures });
    s.push(Kind::Lost { events: 12, why: "dropped".into() });
    s.push(Kind::Diag { coro: 0, text: "frames of 30 coroutines were not read: 2 s were over".into() });
    s.stop(LoopOutcome::Crashed);
    s
}

/// Two isolated loops crash inside a program that ends well.
fn isolated() -> Script {
    let mut s = Script::new("serve");
    s.start().spawn(1, 0, "serve::main", "serve.rs:90:10").spawn(2, 1, "serve::answer", "serve.rs:91:10");
    for id in 2..4 {
        s.at(u64::from(id) * 500_000).push(Kind::LoopStart { id, parent: 2, mode: LoopMode::Isolate });
        let failures = vec![failure(Outcome::Error, 9, "serve::request", "bad request", "serve.rs:20:5")];
        s.push(Kind::Crash { id, failures }).push(Kind::LoopEnd { id, outcome: LoopOutcome::Crashed });
    }
    s.at(2_000_000).end(2, Outcome::Ok).end(1, Outcome::Ok).stop(LoopOutcome::Ok).push(Kind::TraceEnd {});
    s
}

#[test]
fn a_crash_is_printed_from_the_root_to_the_error_and_then_the_group() {
    let options = Options { file: Some("t.jsonl".into()), ..plain() };
    insta::assert_snapshot!(text(&verify().model(), &options));
}

#[test]
fn while_a_loop_cancels_what_failed_is_printed_and_then_those_that_are_left() {
    insta::assert_snapshot!(text(&cancelling().model(), &plain()));
    let died = text(&cancelling().model(), &Options { ending: Ending::Died, ..plain() });
    assert!(
        died.contains(
            "the other coroutines were being cancelled when the program died after 3.27 s: 5 coroutines left"
        ),
        "{died}"
    );
    for (ending, state) in [(Ending::Living, "cancelling"), (Ending::Died, "died")] {
        let mut out = Vec::new();
        json(&cancelling().model(), &Options { ending, ..plain() }, &mut out).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&report["state"], &report["crash"]["is_over"]), (&state.into(), &false.into()));
        assert_eq!(report["crash"]["failures"].as_array().unwrap().len(), 1);
        assert!(has_errors(&cancelling().model(), ending));
    }
    // Ctrl-C is no failure of a coroutine.
    let mut interrupted = Script::new("verify");
    interrupted.start().push(Kind::CancelBegin { id: 1, origin: 0, reason: "interrupted".into(), failure: None });
    let mut out = Vec::new();
    json(&interrupted.model(), &plain(), &mut out).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&report["state"], &report["crash"]), (&"cancelling".into(), &serde_json::Value::Null));
    let mut of_nested = cancelling();
    for event in &mut of_nested.events {
        if let Kind::LoopStart { parent, .. } = &mut event.kind {
            *parent = 1;
        }
    }
    let report = text(&of_nested.model(), &plain());
    assert!(!report.contains("sha256") && !report.contains("handled"), "not known yet: {report}");
}

#[test]
fn a_large_crash_stays_short() {
    let report = text(&everything().model(), &plain());
    assert!(report.lines().count() < 70, "{}", report.lines().count());
    insta::assert_snapshot!(report);
}

#[test]
fn colours_are_the_only_difference_on_a_terminal() {
    for script in [verify(), crawl(), everything(), isolated()] {
        let model = script.model();
        let colored = text(&model, &Options { color: true, ..plain() });
        assert!(colored.contains("\u{1b}["));
        let stripped: String = colored
            .split('\u{1b}')
            .map(|part| part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |(_, rest)| rest))
            .collect();
        assert_eq!(stripped, text(&model, &plain()));
    }
}

#[test]
fn no_line_is_longer_than_the_width_where_it_can_be_cut() {
    let model = verify().model();
    for width in [60, 80, 100] {
        let report = text(&model, &Options { width, ..plain() });
        let longest = report.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= width.max(72), "{longest} > {width}:\n{report}");
    }
}

#[test]
fn without_a_crash_it_shows_what_is_alive_and_why() {
    let model = crawl().model();
    insta::assert_snapshot!(text(&model, &Options { ending: Ending::Living, ..plain() }));
    let died = text(&model, &Options { ending: Ending::Died, file: Some("it's.jsonl".into()), ..plain() });
    assert!(died.starts_with("✖ crawl (pid 4242) died after 1.20 s: 13 coroutines were alive\n"), "{died}");
    assert!(died.ends_with("the whole run: tinyio-inspector replay 'it'\\''s.jsonl'\n"), "{died}");
    let nasty = text(&model, &Options { file: Some("\u{1b}]0;t\u{7}\u{202e}'.jsonl".into()), ..plain() });
    assert!(nasty.ends_with("replay $'\\x1b]0;t\\x07\\xe2\\x80\\xae\\'.jsonl'\n"), "{nasty}");
    let mut over = Script::new("crawl");
    over.start().spawn(1, 0, "crawl::main", "crawl.rs:90:10").at(2_000_000).end(1, Outcome::Ok).stop(LoopOutcome::Ok);
    let over = text(&over.model(), &Options { ending: Ending::Living, ..plain() });
    assert!(over.starts_with("✔ the loop of crawl (pid 4242) ended after 2.00 s: no coroutine is left\n"), "{over}");
}

#[test]
fn crashes_that_the_program_handled_are_shown_apart() {
    let model = isolated().model();
    insta::assert_snapshot!(text(&model, &plain()));
    assert!(!has_errors(&model, Ending::Ended));
}

#[test]
fn errors_are_a_crash_and_an_end_out_of_order() {
    assert!(has_errors(&verify().model(), Ending::Ended));
    assert!(has_errors(&crawl().model(), Ending::Died));
    assert!(!has_errors(&crawl().model(), Ending::Living));
}

#[test]
fn what_is_missing_is_noted() {
    let mut s = crawl();
    s.push(Kind::Lost { events: 3, why: "lapped".into() }).push(Kind::Lost { events: 1, why: "dropped".into() });
    s.push(Kind::Lost { events: 0, why: "cut".into() }).push(Kind::Release { res: 99, coro: 1 });
    let report = text(&s.model(), &Options { ending: Ending::Died, ..plain() });
    assert!(report.starts_with("✖ the recording of crawl (pid 4242) breaks off after 1.20 s"), "{report}");
    for sentence in [
        "missing are 1 event as the recorder could not keep up and 3 events as they were overwritten before they were read, so there may be others alive",
        "the file ends early: this is the state at the cut",
        "1 event could not be true and was passed over",
    ] {
        assert!(report.contains(sentence), "{report}");
    }
}

#[test]
fn a_failure_without_a_stack_of_its_own_uses_what_was_recorded_of_its_coroutine() {
    let model = everything().model();
    let crash = model.crash().unwrap().clone();
    let improper = crash.failures.iter().find(|failure| failure.kind == Outcome::Improper).unwrap();
    assert_eq!(steps(&model, improper)[0].frames[0].frame.unwrap().locals[0].value.text, "4");
}

#[test]
fn a_crash_of_which_nothing_else_is_known_is_still_printed() {
    let mut model = Model::new(&tinyio_events::event::Header::default());
    let failures = verify().model().crash().unwrap().failures.clone();
    model.apply(&tinyio_events::event::Event { seq: 0, at: 5, kind: Kind::Crash { id: 1, failures } });
    let report = text(&model, &plain());
    assert!(report.starts_with("✖ the program crashed: sha256 mismatch: file 777.txt"), "{report}");
    assert!(report.contains("  check #780  examples/verify.rs:120:13\n"), "{report}");
    model.apply(&tinyio_events::event::Event { seq: 1, at: 5, kind: Kind::Crash { id: 1, failures: vec![] } });
    assert!(text(&model, &plain()).contains("nothing is known of the error"));
}

#[test]
fn a_stack_nested_as_deep_as_it_likes_is_cut() {
    let mut deep = frame("deepest", "a.rs:1:1", &[]);
    for _ in 0..200 {
        let inner = std::mem::replace(&mut deep, frame("outer", "a.rs:2:1", &[]));
        deep.branches = vec![Branch { name: "_fut".into(), frames: vec![inner] }];
    }
    let mut origin = failure(Outcome::Error, 1, "main", "no", "a.rs:1:1");
    origin.stack = Some(Stack { frames: vec![deep], ..Stack::default() });
    let mut s = Script::new("deep");
    s.start().push(Kind::Crash { id: 1, failures: vec![origin] });
    let report = text(&s.model(), &plain());
    assert!(report.contains("… 161 more frames") && report.lines().count() < 60, "{report}");
}

#[test]
fn recorded_fields_stand_beneath_their_coroutines() {
    let mut origin = failure(Outcome::Error, 2, "fetch", "no", "a.rs:1:1");
    origin.trace.insert(0, trace(1, "main", "a.rs:9:1"));
    origin.fields = vec![("request.url".into(), "\"b\"".into()), ("request.n".into(), "x".repeat(300))];
    let mut s = Script::new("fields");
    s.start().spawn(1, 0, "main", "a.rs:9:1").begin(1).field(1, "job", "n", "1").field(1, "job", "n", "2");
    s.push(Kind::Crash { id: 1, failures: vec![origin] });
    let report = text(&s.model(), &plain());
    assert!(report.contains("main      awaits at a.rs:9:1\n    recorded: job.n = 2\n"), "{report}");
    assert!(report.contains("    recorded:\n      request.url = \"b\"\n      request.n = xxxx"), "{report}");
    assert!(report.lines().all(|line| line.chars().count() <= 100), "{report}");
}

#[test]
fn values_that_are_longer_than_a_line_are_broken_over_lines() {
    let words = |n: usize| (0..n).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
    let stack = |local: &str| Stack { frames: vec![frame("f", "a.rs:1:1", &[("text", local)])], ..Stack::default() };
    let mut origin = failure(Outcome::Error, 2, "f", "no", "a.rs:1:1");
    origin.stack = Some(stack(&words(30)));
    let mut other = failure(Outcome::Cancelled, 3, "f", "cancelled", "a.rs:1:1");
    other.stack = Some(stack(&words(25)));
    let mut s = Script::new("long");
    s.start().push(Kind::Crash { id: 1, failures: vec![origin, other] });
    let report = text(&s.model(), &Options { width: 80, ..Options::default() });
    let flat = report.split_whitespace().collect::<Vec<_>>().join(" ");
    for whole in [words(30), words(25)] {
        assert!(flat.contains(&format!("text = {whole}")), "{report}");
    }
    assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");
}

#[test]
fn a_place_beside_the_name_of_a_coroutine_is_not_claimed_to_be_of_its_function() {
    let mut origin = failure(Outcome::Error, 2, "payroll", "no", "a.rs:9:1");
    origin.trace.insert(0, trace(1, "main", "a.rs:20:1"));
    let mut other = failure(Outcome::Cancelled, 3, "payroll", "cancelled", "a.rs:12:1");
    let mut s = Script::new("inline");
    s.start().push(Kind::Crash { id: 1, failures: vec![origin.clone(), other.clone()] });
    let report = text(&s.model(), &plain());
    for row in ["awaits at a.rs:20:1\n", "error made at a.rs:9:1\n", "last known at a.rs:12:1\n"] {
        assert!(report.contains(row), "{report}");
    }
    // With its stack, the function that the line is in is named.
    let frames = vec![frame("payroll", "a.rs:30:1", &[]), frame("transfer", "a.rs:12:1", &[])];
    other.stack = Some(Stack { frames, ..Stack::default() });
    let mut s = Script::new("inline");
    s.start().push(Kind::Crash { id: 1, failures: vec![origin, other] });
    let report = text(&s.model(), &plain());
    assert!(report.contains("a.rs:12:1 in transfer\n"), "{report}");
}

#[test]
fn json_holds_the_failures_with_their_stacks() {
    let parse = |script: &Script| -> serde_json::Value {
        let mut out = Vec::new();
        json(&script.model(), &plain(), &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    };
    let value = parse(&verify());
    assert_eq!((&value["state"], &value["program"]), (&"crashed".into(), &"verify".into()));
    let failures = value["crash"]["failures"].as_array().unwrap();
    assert_eq!(failures[0]["stack"]["frames"][0]["locals"][0]["name"], "path");
    let improper = failures.iter().find(|failure| failure["kind"] == "improper").unwrap();
    assert_eq!(improper["stack"]["frames"][0]["function"], "verify::progress", "from the coroutine's frames");
    assert_eq!(value["crash"]["groups"][1]["count"], 3);
    let value = parse(&crawl());
    assert_eq!((&value["state"], value["alive"].as_array().unwrap().len()), (&"running".into(), 13));
    assert_eq!(parse(&isolated())["handled"].as_array().unwrap().len(), 2);
}

#[test]
fn whole_paths_of_debug_info_are_made_relative_by_the_compilers() {
    let mut origin = failure(Outcome::Error, 1, "main", "no", "src/main.rs:5:1");
    let frames = vec![
        frame("main", "/home/of/a-user/src/main.rs:5:0", &[]),
        frame("inner", "/home/of/a-user/src/net.rs:9:0", &[]),
    ];
    origin.stack = Some(Stack { frames, ..Stack::default() });
    let mut s = Script::new("paths");
    s.start().push(Kind::Crash { id: 1, failures: vec![origin] });
    let report = text(&s.model(), &plain());
    assert!(report.contains("  main     src/main.rs:5:1\n    inner  src/net.rs:9\n"), "{report}");
}

#[test]
fn the_last_await_of_one_that_returned_an_error_is_not_shown_as_the_place_of_the_error() {
    let mut origin = failure(Outcome::Error, 2, "fetch", "no", "a.rs:1:9");
    origin.trace[0].last_await = true;
    origin.error_backtrace = vec![trace(0, "fetch", "a.rs:4:5")];
    let report = |origin: &Failure| {
        let mut s = Script::new("places");
        s.start().push(Kind::Crash { id: 1, failures: vec![origin.clone()] });
        text(&s.model(), &plain())
    };
    let without_stack = report(&origin);
    assert!(without_stack.contains("  fetch #2  last known at a.rs:1:9\n"), "{without_stack}");
    let own = "backtrace of the error, innermost first\n      fetch  a.rs:4\n";
    assert!(without_stack.contains(own), "{without_stack}");
    origin.stack =
        Some(Stack { frames: vec![frame("fetch", "a.rs:1:0", &[("n", "1")])], missing: None, mid_step: true });
    origin.stack.as_mut().unwrap().frames[0].locals[0].mark = "mid-step".into();
    let in_step = report(&origin);
    assert!(in_step.contains("last suspended at a.rs:1:9\n      as of its last await or later:\n"), "{in_step}");
    origin.stack.as_mut().unwrap().frames[0].locals[0].mark = "at the last await".into();
    let with_stack = report(&origin);
    assert!(with_stack.contains("last suspended at a.rs:1:9\n      as of its last await:\n"), "{with_stack}");
    origin.stack.as_mut().unwrap().frames[0].note = tinyio_events::place::BEGAN.into();
    let at_once = report(&origin);
    assert!(at_once.contains("began at a.rs:1:9  (as it began)\n      as it began:\n"), "{at_once}");
}

#[test]
fn a_program_that_hangs_on_a_cycle_has_it_from_its_first_coroutine_round_to_it() {
    let mut s = Script::new("cycle");
    s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "left", "a.rs:2:1").spawn(3, 1, "right", "a.rs:3:1");
    s.resource(1, ResKind::Lock, 1, "a.rs:1:5").resource(2, ResKind::Lock, 1, "a.rs:1:6");
    s.hold(1, 2, "a.rs:5:1").hold(2, 3, "a.rs:6:1").step(1, Target::Coro(2), "a.rs:4:1");
    s.step(2, Target::Res(2), "a.rs:7:1").step(3, Target::Res(1), "a.rs:8:1");
    let report = text(&s.model(), &plain());
    assert!(report.contains("main hangs on a cycle: left #2 → right #3 → left #2, likely a deadlock\n"), "{report}");
}

#[test]
fn a_crash_by_itself_has_the_names_that_the_program_gave() {
    // As a program has it that prints its own crash: without the events before.
    let report = |names: [&str; 4]| {
        let mut s = Script::new("shop");
        s.start();
        let failures = (2..6).zip(names).map(|(coro, given)| {
            let kind = if coro == 2 { Outcome::Error } else { Outcome::Cancelled };
            Failure { given_name: given.into(), ..failure(kind, coro, "shop::serve", "no route", "shop.rs:7:3") }
        });
        s.push(Kind::Crash { id: 1, failures: failures.collect() });
        text(&s.model(), &plain())
    };
    let alike = report(["uplink", "worker 1", "worker 2", "worker 3"]);
    assert!(alike.contains("uplink") && alike.contains("3 × worker") && !alike.contains("serve"), "{alike}");
    let mixed = report(["uplink", "worker 1", "worker 2", "ticker"]);
    assert!(mixed.contains("3 × serve"), "{mixed}");
    let same = report(["worker", "worker", "", ""]);
    assert!(same.contains("worker #2"), "one of two: {same}");
}

#[test]
fn a_native_stack_does_not_repeat_the_await_frames_and_a_panic_has_its_place_in_the_headline() {
    let frames = vec![
        frame("site::worker", "/w/site/src/check.rs:95:0", &[]),
        frame("site::Shared::check", "/w/site/src/check.rs:132:0", &[]),
        frame("site::Shared::seconds", "/w/site/src/check.rs:148:0", &[]),
    ];
    let native = ["Shared::seconds=148", "Shared::check=132", "worker=95", "main=80"].map(|one| {
        let (name, line) = one.split_once('=').unwrap();
        trace(0, &format!("site::{name}"), &format!("/w/site/src/check.rs:{line}:9"))
    });
    let mut origin = failure(Outcome::Panic, 2, "site::worker", "panicked: no digits", "src/check.rs:148:33");
    origin.stack = Some(Stack { frames, ..Stack::default() });
    origin.backtrace = native.to_vec();
    let report = |origin: &Failure| {
        let mut s = Script::new("site");
        s.start().push(Kind::Crash { id: 1, failures: vec![origin.clone()] });
        text(&s.model(), &plain())
    };
    let whole = report(&origin);
    assert!(whole.contains(": panicked at src/check.rs:148:33: no digits"), "{whole}");
    let heading = "  native stack, innermost first, without 3 frames listed above\n";
    assert!(whole.contains(&format!("{heading}      site::main  /w/site/src/check.rs:80\n")), "{whole}");
    assert_eq!(whole.matches("seconds").count(), 1, "{whole}");
    origin.backtrace.pop();
    assert!(!report(&origin).contains("native stack"), "nothing of it is left");
    origin.backtrace[0].line = 149;
    let at_another_line = report(&origin);
    assert!(
        at_another_line.contains("without 2 frames listed above\n      site::Shared::seconds"),
        "{at_another_line}"
    );
    origin.trace[0].last_await = true;
    let unknown = report(&origin);
    assert!(unknown.contains(": panicked: no digits"), "where it panicked is not known: {unknown}");
}

#[test]
fn what_is_missing_of_the_stack_of_the_origin_stands_in_the_report_once() {
    let mut origin = failure(Outcome::Error, 2, "fetch", "no", "a.rs:1:9");
    origin.trace[0].last_await = true;
    let frames = vec![frame("fetch", "a.rs:1:0", &[])];
    origin.stack = Some(Stack { frames, missing: Some("built without debug info".into()), mid_step: true });
    let mut s = Script::new("places");
    s.start().push(Kind::Crash { id: 1, failures: vec![origin] });
    let report = text(&s.model(), &plain());
    assert_eq!(report.matches("built without debug info").count(), 1, "{report}");
}
