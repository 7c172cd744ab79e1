//! Measures recording, in nanoseconds and in units of one `Instant::now()` of the same run. The goals are those of the
//! ratios: at most 1 a step and 3 a coroutine.
//!
//! `cargo bench -p tinyio-inspector --bench recorder`

use std::hint::black_box;
use std::time::Instant;

use tinyio_inspector::clock::Clock;
use tinyio_inspector::event::{Kind, LoopMode, Outcome, Target, Waker};
use tinyio_inspector::model::Model;
use tinyio_inspector::recorder::{NO_SLOT, Recorder};
use tinyio_inspector::ring::{DEFAULT_SIZE, Options};
use tinyio_inspector::source::{Progress, Source};
use tinyio_inspector::trace::{parse, write_event};

/// Nanoseconds an operation: the median of many rounds of `count`.
fn measure(count: u64, mut round: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_nanos() as f64 / count as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn recorder(folder: &tempfile::TempDir, size: u64) -> Recorder {
    let options = Options { size, folder: Some(folder.path().join("rings")), program: Some("bench".into()) };
    let mut recorder = Recorder::start(&options).expect("a ring in the temporary folder");
    recorder.emit(0, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
    // Once round: the first time the system hands out the memory.
    for at in 0..size / 32 {
        recorder.unpark(at, 2);
    }
    recorder
}

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let instant = measure(1_000_000, || {
        for _ in 0..1_000_000 {
            black_box(Instant::now());
        }
    });
    let row = |what: &str, ns: f64, goal: f64| {
        let verdict = if goal == 0.0 {
            String::new()
        } else {
            format!("  goal {goal:.1}  {}", if ns / instant <= goal { "met" } else { "MISSED" })
        };
        println!("{what:<58} {ns:>8.1} ns {:>7.2} ×{verdict}", ns / instant);
    };
    row("Instant::now()", instant, 0.0);

    let mut clock = Clock::new();
    let start = Instant::now();
    while start.elapsed().as_millis() < 50 {
        clock.now();
    }
    let clock = measure(1_000_000, || {
        for _ in 0..1_000_000 {
            black_box(clock.now());
        }
    });
    row("clock", clock, 0.0);

    let mut one = recorder(&folder, DEFAULT_SIZE);
    let record = measure(1_000_000, || {
        for at in 0..1_000_000 {
            one.unpark(at, 2);
        }
    });
    row("one record, no clock", record, 0.0);

    // One coroutine that yields.
    let mut steps = recorder(&folder, DEFAULT_SIZE);
    let name = steps.name("yields");
    steps.spawn(0, 0, 1, 1, 0, name, 0);
    let mut at = steps.now();
    let step = measure(1_000_000, || {
        for _ in 0..1_000_000 {
            steps.step_begin(at, 0, 1);
            steps.wait(at, 0, 1, Target::Turn, NO_SLOT, 0);
            steps.wake(at, 0, 1, Waker::Own);
            at = steps.now();
            steps.step_end(at, 0, 1);
        }
    });
    row("a step: begin, wait, wake, clock, end", step, 1.0);

    let mut name_and_site = recorder(&folder, DEFAULT_SIZE);
    let here = std::panic::Location::caller();
    let interned = measure(1_000_000, || {
        for _ in 0..1_000_000 {
            black_box((name_and_site.name(black_box("a::name")), name_and_site.site(black_box(here))));
        }
    });
    row("a name and a place, known already", interned, 0.0);

    // One after another: spawned, awaited, ended; the step of the awaiting one is counted with it.
    let mut chain = recorder(&folder, DEFAULT_SIZE);
    chain.spawn(0, 0, 1, 1, 0, name, 0);
    let mut id = 1;
    let mut at = chain.now();
    let coroutine = measure(200_000, || {
        for _ in 0..200_000 {
            id += 1;
            chain.step_begin(at, 0, 1);
            let (name, site) = (chain.name("a::name"), chain.site(here));
            chain.spawn(at, 1, id, 1, 1, name, site);
            chain.wait(at, 0, 1, Target::Coro(id), 1, site);
            at = chain.now();
            chain.step_end(at, 0, 1);
            chain.step_begin(at, 1, id);
            chain.end(at, 1, id, Outcome::Ok);
            chain.wake(at, 0, 1, Waker::Coro(id));
            at = chain.now();
            chain.step_end(at, 1, id);
        }
    });
    row("a coroutine, one after another (two steps)", coroutine, 3.0);

    for (count, size) in [(10_000, DEFAULT_SIZE), (1_000_000, DEFAULT_SIZE), (1_000_000, 256 << 20)] {
        let mut many = recorder(&folder, size);
        let mut first = 2;
        many.spawn(0, 0, 1, 1, 0, name, 0);
        let mut at = many.now();
        let gather = measure(count, || {
            many.step_begin(at, 0, 1);
            for id in first..first + count {
                let (name, site) = (many.name("a::name"), many.site(here));
                many.spawn(at, (id - first) as u32 + 1, id, 1, 1, name, site);
                many.wait(at, 0, 1, Target::Coro(id), (id - first) as u32 + 1, site);
            }
            at = many.now();
            many.step_end(at, 0, 1);
            for id in first..first + count {
                many.step_begin(at, (id - first) as u32 + 1, id);
                many.end(at, (id - first) as u32 + 1, id, Outcome::Ok);
                at = many.now();
                many.step_end(at, (id - first) as u32 + 1, id);
            }
            many.wake(at, 0, 1, Waker::Coro(first + count - 1));
            first += count;
        });
        row(&format!("a coroutine of a gather of {count}, ring of {} MiB", size >> 20), gather, 3.0);
    }
    let options = Options { folder: Some(folder.path().join("rings")), ..Options::default() };
    let start = measure(1, || drop(Recorder::start(&options)));
    row("start and end of a recording", start, 0.0);

    let mut events = vec![];
    let mut reader = chain.reader().expect("a reader");
    let ring = measure(chain.seq().min(DEFAULT_SIZE / 32), || {
        reader = chain.reader().expect("a reader");
        events.clear();
        while reader.read(4096, &mut |event| events.push(event)).expect("events") == Progress::More {}
    });
    row("an event, read from the ring", ring, 0.0);
    let mut text = vec![];
    let written = measure(events.len() as u64, || {
        text.clear();
        for event in &events {
            write_event(event, &mut text);
            text.push(b'\n');
        }
    });
    row(&format!("a line of {} bytes, written (goal 150 ns)", text.len() / events.len()), written, 0.0);
    let parsed = measure(events.len() as u64, || {
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            black_box(parse(line).expect("an event"));
        }
    });
    let speed = text.len() as f64 / events.len() as f64 / parsed * 1000.0;
    row(&format!("a line parsed: {speed:.0} MB/s (goal 300)"), parsed, 0.0);
    let header = reader.header().clone();
    let folded = measure(events.len() as u64, || {
        let mut model = Model::new(&header);
        events.iter().for_each(|event| model.apply(event));
        black_box(model.events());
    });
    row("an event, folded into the graph (goal 1000 ns)", folded, 0.0);
}
