//! The ring: what goes in comes out, overtaken readers know it, and any window of it replays to the true graph.

mod common;

use common::{Dice, Fold, Program, assert_same, drain, emitted, options, start};
use proptest::prelude::*;
use tinyio_inspector::event::*;
use tinyio_inspector::recorder::{NO_SLOT, Recorder};
use tinyio_inspector::ring::{MIN_SIZE, Request, RingReader};
use tinyio_inspector::source::{Progress, Source};

#[test]
fn a_reader_sees_what_was_emitted_and_the_end() {
    let (_folder, mut recorder) = start(1 << 20);
    let name = recorder.name("main");
    let site = recorder.site(std::panic::Location::caller());
    recorder.spawn(5, 0, 1, 1, 0, name, site);
    recorder.wait(6, 0, 1, Target::Timer(99), NO_SLOT, site);
    let mut reader = recorder.reader().unwrap();
    let (seen, progress) = drain(&mut reader);
    assert_eq!(progress, Progress::Idle);
    assert_eq!(seen.iter().map(|event| event.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(seen[0].kind, Kind::Name { id: 1, text: "main".into() });
    assert!(matches!(&seen[1].kind, Kind::Site { id: 1, file, .. } if file.ends_with("ring.rs")));
    assert_eq!(seen[2].kind, Kind::Spawn { coro: 1, in_loop: 1, parent: 0, name: 1, site: 1 });
    assert_eq!((seen[3].at, &seen[3].kind), (6, &Kind::Wait { coro: 1, on: Target::Timer(99), site: 1 }));
    assert_eq!((name, site, recorder.name("main")), (1, 1, 1));
    recorder.finish();
    let (seen, progress) = drain(&mut reader);
    assert_eq!(progress, Progress::Ended);
    assert_eq!(seen.iter().map(|event| &event.kind).collect::<Vec<_>>(), [&Kind::TraceEnd {}]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_kind_comes_back_as_it_went_in(kinds in proptest::collection::vec(emitted(), 1..60)) {
        let (_folder, mut recorder) = start(4 << 20);
        for (at, kind) in kinds.iter().enumerate() {
            recorder.emit(at as u64, kind.clone());
        }
        let (seen, progress) = drain(&mut recorder.reader().unwrap());
        let ended = kinds.last() == Some(&Kind::TraceEnd {});
        prop_assert_eq!(progress, Progress::Idle, "{}", ended);
        let seen: Vec<(u64, u64, Kind)> = seen.into_iter().map(|event| (event.seq, event.at, event.kind)).collect();
        let sent: Vec<(u64, u64, Kind)> = kinds.into_iter().zip(0..).map(|(kind, at)| (at, at, kind)).collect();
        prop_assert_eq!(seen, sent);
    }

    #[test]
    fn every_checkpoint_and_every_window_is_the_true_graph(seed in any::<u64>(), crowd in 1..200usize, size in 3..6u64) {
        check_program(seed, crowd, MIN_SIZE * size, 10_000);
    }
}

/// Runs a random program; one reader follows it from the start, others open the ring at random moments.
fn check_program(seed: u64, crowd: usize, size: u64, events: u64) {
    let (_folder, mut recorder) = start(size);
    let mut program = Program::new(seed, crowd);
    let mut dice = Dice::new(seed ^ 1);
    let mut reader = recorder.reader().unwrap();
    let mut fold = Fold::from_start();
    for event in 0..events {
        program.act(Some(&mut recorder));
        if event % 100 == 0 {
            let (events, _) = drain(&mut reader);
            events.iter().for_each(|event| fold.event(event));
        }
        if dice.roll(3000) == 0 {
            let mut late = Fold::default();
            let mut reader = recorder.reader().unwrap();
            let (events, _) = drain(&mut reader);
            if events.first().is_none_or(|event| event.seq == 0) {
                late = Fold::from_start();
            }
            events.iter().for_each(|event| late.event(event));
            assert_same(late.graph.as_ref().expect("a window has a checkpoint"), &program.graph);
            assert_eq!(late.lost, 0);
        }
    }
    let (events, progress) = drain(&mut reader);
    events.iter().for_each(|event| fold.event(event));
    assert_eq!((progress, fold.lost), (Progress::Idle, 0));
    assert!(fold.checked > 1, "{} checkpoints", fold.checked);
    assert_same(fold.graph.as_ref().unwrap(), &program.graph);
}

#[test]
fn a_lapped_reader_counts_what_it_missed_and_continues_at_a_checkpoint() {
    let (_folder, mut recorder) = start(MIN_SIZE);
    let mut program = Program::new(7, 30);
    let mut reader = recorder.reader().unwrap();
    let mut fold = Fold::from_start();
    let mut read = 0;
    for round in 1..20 {
        for _ in 0..500 * round {
            program.act(Some(&mut recorder));
        }
        // A part only: in the middle of things when it is overtaken the next time.
        reader
            .read(700, &mut |event| {
                read += !matches!(event.kind, Kind::Lost { .. }) as u64;
                fold.event(&event);
            })
            .unwrap();
    }
    let (events, _) = drain(&mut reader);
    events.iter().for_each(|event| fold.event(event));
    assert!(fold.lost > 10_000, "{}", fold.lost);
    assert_eq!(
        fold.lost + read + events.len() as u64,
        recorder.seq(),
        "what was read and what was lost is all there was"
    );
    assert_same(fold.graph.as_ref().unwrap(), &program.graph);
}

#[test]
fn a_reader_on_another_thread_follows_at_full_speed_and_is_never_wrong() {
    let (_folder, mut recorder) = start(1 << 20);
    let mut reader = recorder.reader().unwrap();
    let follower = std::thread::spawn(move || {
        let mut fold = Fold::from_start();
        loop {
            match reader.read(10_000, &mut |event| fold.event(&event)).unwrap() {
                Progress::More => {}
                Progress::Idle => std::thread::yield_now(),
                Progress::Ended => return fold,
                Progress::Died => panic!("it lives"),
            }
        }
    });
    let mut program = Program::new(11, 100);
    // The same thousand events again and again would be quicker than a random program; this one is quick enough to lap
    // it.
    for _ in 0..100_000 {
        program.act(Some(&mut recorder));
    }
    recorder.finish();
    let fold = follower.join().unwrap();
    assert_same(fold.graph.as_ref().unwrap(), &program.graph);
}

#[test]
fn names_interned_before_a_window_are_given_out_at_its_beginning() {
    let (_folder, mut recorder) = start(MIN_SIZE);
    let names: Vec<String> = (0..50).map(|at| format!("module::function_{at}")).collect();
    let ids: Vec<NameId> = names.iter().map(|name| recorder.intern(name)).collect();
    let place = recorder.intern_site("src/main.rs", 3, 5);
    for at in 0..10_000 {
        recorder.unpark(at, 1);
    }
    let (events, _) = drain(&mut recorder.reader().unwrap());
    let first = events.iter().position(|event| matches!(event.kind, Kind::Checkpoint { .. })).unwrap();
    for (id, text) in ids.into_iter().zip(names) {
        assert!(events[..first].iter().any(|event| event.kind == Kind::Name { id, text: text.clone() }), "{text}");
    }
    let site = Kind::Site { id: place, file: "src/main.rs".into(), line: 3, column: 5 };
    assert!(events[..first].iter().any(|event| event.kind == site));
}

#[test]
fn a_full_table_of_names_gives_zero_and_warns_once() {
    let (_folder, mut recorder) = start(MIN_SIZE);
    let long = "n".repeat(3000);
    let ids: Vec<NameId> = (0..50).map(|at| recorder.intern(&format!("{at}{long}"))).collect();
    assert_eq!(ids[0], 1);
    assert_eq!(ids[49], 0);
    let (events, _) = drain(&mut recorder.reader().unwrap());
    let diags =
        events.iter().filter(|event| matches!(&event.kind, Kind::Diag { text, .. } if text.contains("TINYIO_RING")));
    assert_eq!(diags.count(), 1);
    assert_eq!(recorder.intern(&format!("0{long}")), 1, "what is known stays known");
}

#[test]
fn a_text_too_long_for_the_ring_is_cut_with_a_mark() {
    let (_folder, mut recorder) = start(MIN_SIZE);
    recorder.emit(1, Kind::Output { stream: 1, text: "ä".repeat(1 << 20), printed: 0 });
    let (events, _) = drain(&mut recorder.reader().unwrap());
    let Kind::Output { text, .. } = &events[0].kind else { panic!("{events:?}") };
    assert!(text.len() > 1000 && text.ends_with("ä…"), "{}", text.len());
}

/// A stack that takes about `levels` KiB.
fn big_stack(levels: usize) -> Stack {
    let local = |at: usize| Local {
        name: format!("local{at}"),
        value: Value {
            text: "v".repeat(100),
            children: vec![("child".into(), Value { text: "w".repeat(300), ..Value::default() })],
            ..Value::default()
        },
        mark: String::new(),
    };
    let frame = |at: usize| Frame {
        function: format!("function{at}"),
        source: vec![(1, "let x;".repeat(20))],
        locals: (0..2).map(local).collect(),
        ..Frame::default()
    };
    Stack { frames: (0..levels).map(frame).collect(), ..Stack::default() }
}

#[test]
fn frames_too_big_for_the_ring_lose_values_first_and_say_so() {
    let (_folder, mut recorder) = start(MIN_SIZE);
    recorder.emit(1, Kind::Frames { coro: 7, stack: big_stack(20) });
    let (events, _) = drain(&mut recorder.reader().unwrap());
    let Kind::Frames { coro: 7, stack } = &events[0].kind else { panic!("{events:?}") };
    assert_eq!(stack.frames.len(), 20);
    assert_eq!(stack.frames[19].function, "function19");
    assert!(
        matches!(&events[1].kind, Kind::Diag { coro: 7, text } if text.contains("left out") || text.contains("cut")),
        "{:?}",
        events[1]
    );
}

#[test]
fn a_crash_too_big_for_the_ring_keeps_the_original_error_and_counts_the_rest() {
    let (_folder, mut recorder) = start(MIN_SIZE);
    let failure = |at: usize| Failure {
        kind: Outcome::Error,
        coro: at as u64 + 1,
        thread: 0,
        name: format!("coroutine{at}"),
        message: "it failed".into(),
        error_type: String::new(),
        sources: vec![],
        trace: vec![],
        stack: Some(big_stack(3)),
        fields: vec![],
        backtrace: vec![],
        given_name: String::new(),
        error_backtrace: vec![],
    };
    recorder.emit(1, Kind::Crash { id: 1, failures: (0..1000).map(failure).collect() });
    let (events, _) = drain(&mut recorder.reader().unwrap());
    let Kind::Crash { failures, .. } = &events[0].kind else { panic!("{:?}", events[0]) };
    assert_eq!(failures[0].message, "it failed");
    let gone = 1000 - failures.len();
    assert!(
        gone > 0 && matches!(&events[1].kind, Kind::Diag { text, .. } if text.starts_with(&format!("{gone} failures"))),
        "{:?}",
        events[1]
    );
}

#[test]
fn more_coroutines_than_a_checkpoint_can_hold_are_counted() {
    let (_folder, mut recorder) = start(MIN_SIZE);
    recorder.emit(0, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
    for coro in 1..=10_000 {
        recorder.spawn(coro, coro as u32, coro, 1, 0, 0, 0);
    }
    let (events, _) = drain(&mut recorder.reader().unwrap());
    let states = events.iter().filter(|event| matches!(event.kind, Kind::CoroState { .. })).count() as u64;
    let checkpoints: Vec<_> = events
        .iter()
        .filter_map(|event| match event.kind {
            Kind::Checkpoint { coros, left_out } => Some((event.at, coros, left_out)),
            _ => None,
        })
        .collect();
    assert!(!checkpoints.is_empty());
    for &(at, coros, left_out) in &checkpoints {
        // The spawn at which it was due comes after it.
        assert_eq!(coros + left_out, at - 1);
        assert!(coros >= 64 && left_out > 5000, "{coros} {left_out}");
    }
    assert_eq!(states, checkpoints.iter().map(|(_, coros, _)| coros).sum::<u64>());
}

/// As `TRACE.md` says: 64 bytes for a coroutine that waits on one thing, in seven sixteenths of the ring.
#[test]
fn a_checkpoint_is_whole_up_to_the_number_of_coroutines_that_is_documented() {
    let page = include_str!("../../docs/TRACE.md");
    assert!(
        page.contains("one of 16 MiB holds 114,000 coroutines, one of 256 MiB 1,830,000"),
        "the figures are elsewhere"
    );
    let bound = |size: u64| size / 16 * 7 / 64;
    assert_eq!((bound(16 << 20) / 1_000, bound(256 << 20) / 10_000), (114, 183));
    // By the environment with all that is set there:
    // `TINYIO_TEST_RING=256M cargo test -p tinyio-inspector --test ring a_checkpoint_is_whole`.
    let size =
        std::env::var("TINYIO_TEST_RING").map_or(1 << 20, |size| tinyio_inspector::ring::parse_size(&size).unwrap());
    for (coros, is_whole) in [(bound(size) * 98 / 100, true), (bound(size) * 102 / 100, false)] {
        let (_folder, mut recorder) = start(size);
        recorder.emit(0, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
        for coro in 1..=coros {
            recorder.spawn(coro, coro as u32, coro, 1, 0, 0, 0);
            recorder.wait(coro, coro as u32, coro, Target::Timer(coro), NO_SLOT, 0);
            recorder.step_end(coro, coro as u32, coro);
        }
        // Round and round: each checkpoint says them all again.
        (0..size / 16).for_each(|at| recorder.unpark(coros + at, 1));
        let mut reader = RingReader::open(recorder.path()).unwrap();
        let (events, _) = drain(&mut reader);
        let checkpoint = events.iter().find_map(|event| match event.kind {
            Kind::Checkpoint { coros, left_out } => Some((coros, left_out)),
            _ => None,
        });
        let (written, left_out) = checkpoint.unwrap();
        assert_eq!(written == coros && left_out == 0, is_whole, "{written} of {coros}, {left_out} left out");
    }
}

#[test]
fn a_million_edges_on_one_coroutine_stay_linear() {
    let steps = |edges: u64| {
        let (folder, mut recorder) = start(1 << 20);
        recorder.emit(0, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
        recorder.spawn(0, 0, 1, 1, 0, 0, 0);
        for coro in 2..edges + 2 {
            recorder.spawn(0, coro as u32, coro, 1, 1, 0, 0);
            recorder.wait(0, 0, 1, Target::Coro(coro), coro as u32, 0);
        }
        // The worst order for a list: from the front, one by one, some by their end and some by a dropped handle, while
        // the waiting one steps again and again.
        for coro in 2..edges + 2 {
            if coro % 2 == 0 {
                recorder.clear(0, 0, 1, Target::Coro(coro));
            }
            recorder.end(0, coro as u32, coro, Outcome::Ok);
            recorder.step_begin(0, 0, 1);
            recorder.wait(0, 0, 1, Target::External, NO_SLOT, 0);
            recorder.step_end(0, 0, 1);
        }
        (folder, recorder)
    };
    // Quadratic, this would take hours.
    let (_folder, mut recorder) = steps(300_000);
    for at in 0..40_000 {
        recorder.unpark(at, 1);
    }
    let (events, _) = drain(&mut recorder.reader().unwrap());
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.event(event));
    let graph = fold.graph.unwrap();
    assert_eq!(graph.coros.len(), 1);
    assert_eq!(graph.coros[&1].edges.keys().collect::<Vec<_>>(), [&Target::External]);
}

#[test]
fn a_reader_asks_for_frames_until_they_come() {
    let (_folder, mut recorder) = start(MIN_SIZE);
    let reader = recorder.reader().unwrap();
    assert_eq!(recorder.requested(), None);
    reader.ask_frames(42).unwrap();
    assert_eq!(recorder.requested(), Some(42.into()));
    recorder.emit(1, Kind::Frames { coro: 41, stack: Stack::default() });
    assert_eq!(recorder.requested(), Some(42.into()), "those of another are no answer");
    recorder.emit(2, Kind::Frames { coro: 42, stack: Stack::default() });
    assert_eq!(recorder.requested(), None);
    let in_full = Request { coro: 43, in_full: true };
    reader.ask_frames(in_full).unwrap();
    assert_eq!(recorder.requested(), Some(in_full));
    recorder.answered(42);
    assert_eq!(recorder.requested(), Some(in_full), "another was answered");
    recorder.answered(43);
    assert_eq!(recorder.requested(), None);
}

#[test]
fn the_header_names_the_recorded_program() {
    let (_folder, recorder) = start(MIN_SIZE);
    let reader = RingReader::open(recorder.path()).unwrap();
    let header = reader.header();
    assert_eq!((header.trace.as_str(), header.version, header.program.as_str()), ("tinyio", VERSION, "test"));
    assert_eq!(header.pid, std::process::id());
    assert_eq!(header.directory, std::env::current_dir().unwrap().to_string_lossy());
    assert_eq!(header.thread, "the_header_names_the_recorded_program");
    assert!(header.started > 1_600_000_000_000_000_000);
}

#[test]
fn two_recordings_of_one_process_are_two_rings() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = Recorder::start(&options(folder.path(), MIN_SIZE)).unwrap();
    let mut two = Recorder::start(&options(folder.path(), MIN_SIZE)).unwrap();
    one.unpark(1, 1);
    two.unpark(2, 2);
    assert_ne!(one.path(), two.path());
    assert_eq!(drain(&mut one.reader().unwrap()).0[0].kind, Kind::Unpark { id: 1 });
    assert_eq!(drain(&mut two.reader().unwrap()).0[0].kind, Kind::Unpark { id: 2 });
}

/// Memory of this process that is no file's, in KiB.
#[cfg(target_os = "linux")]
fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// `TINYIO_TEST_EVENTS=100000000 TINYIO_TEST_LIVE=1000000 cargo test --release -p tinyio-inspector --test ring newest`
/// records as many, of as many.
#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_a_recorder_does_not_grow_with_the_run_and_the_newest_is_whole() {
    const TEST: &str = "the_memory_of_a_recorder_does_not_grow_with_the_run_and_the_newest_is_whole";
    if std::env::var_os("TINYIO_TEST_CHILD").is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args([TEST, "--exact", "--nocapture"]).env("TINYIO_TEST_CHILD", "1");
        return assert!(child.status().unwrap().success());
    }
    let number = |name: &str, usual| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let (events, live) = (number("TINYIO_TEST_EVENTS", 2_000_000_u64), number("TINYIO_TEST_LIVE", 2_000_u64));
    // What a checkpoint of so many needs, and as much again.
    let size = (live * 64 * 16 / 7 * 2).next_power_of_two();
    let (_folder, mut recorder) = start(size);
    recorder.emit(0, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
    let mut ids: Vec<CoroId> = (1..=live).collect();
    for &coro in &ids {
        recorder.spawn(coro, (coro - 1) as u32, coro, 1, 0, 0, 0);
    }
    let (mut newest, mut warm) = (live, None);
    for round in 0_u64.. {
        let (at, slot) = (live + round, (round % live) as u32);
        let coro = ids[slot as usize];
        recorder.step_begin(at, slot, coro);
        if round % 3 == 0 {
            // Its place is taken by a new one.
            recorder.step_end(at, slot, coro);
            recorder.end(at, slot, coro, Outcome::Ok);
            newest += 1;
            ids[slot as usize] = newest;
            recorder.spawn(at, slot, newest, 1, 0, 0, 0);
        } else {
            recorder.wait(at, slot, coro, Target::Coro(ids[0]), 0, 0);
            recorder.step_end(at, slot, coro);
            recorder.wake(at, slot, coro, Waker::External);
        }
        if recorder.seq() >= events {
            break;
        }
        if recorder.seq() >= events / 4 {
            warm.get_or_insert_with(anonymous);
        }
    }
    let (warm, end) = (warm.unwrap(), anonymous());
    println!("{} events of {live} coroutines: {warm} KiB after a quarter, {end} KiB at the end", recorder.seq());
    assert!(end < warm + 128, "{warm} KiB grew to {end} KiB");

    let mut reader = recorder.reader().unwrap();
    let mut model = tinyio_inspector::model::Model::new(reader.header());
    let mut first = None;
    while reader
        .read(100_000, &mut |event| {
            first.get_or_insert(event.seq);
            model.apply(&event);
        })
        .unwrap()
        == Progress::More
    {}
    assert!(first.unwrap() > events / 2, "what is old is gone, by {first:?}");
    let live_ids: Vec<_> = model.live().map(|coro| coro.id).collect();
    ids.sort_unstable();
    assert!(live_ids == ids && model.is_sure(), "{} of {live} are known", live_ids.len());
}
