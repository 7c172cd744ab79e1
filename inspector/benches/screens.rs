//! Measures reports, replays, and the screens with very many coroutines. The goals of the screens are below what a user
//! notices: 5 ms a frame, 50 ms from a key to the picture, 100 ms for a jump in time.
//!
//! `cargo bench -p tinyio-inspector --bench screens`

use std::time::Instant;

use tinyio_inspector::event::{
    Event, Failure, Frame, Header, Kind, LoopMode, LoopOutcome, Outcome, Stack, Target, Waker,
};
use tinyio_inspector::history::Tape;
use tinyio_inspector::model::Model;
use tinyio_inspector::report::{self, Options};
use tinyio_inspector::source::{Progress, Source};
use tinyio_inspector::tui::Headless;

/// Events of each run.
const EVENTS: u64 = 1_000_000;

/// A program of `live` coroutines that sleep and wake, half of them held up by a lock.
struct Program {
    header: Header,
    events: Vec<Event>,
    read: usize,
}

impl Program {
    /// Of at least so many events.
    fn of(live: u64, events: u64) -> Program {
        let header = Header { program: "bench".into(), pid: 1, ..Header::default() };
        let mut program = Program { header, events: Vec::new(), read: 0 };
        program.push(0, Kind::Name { id: 1, text: "bench::main".into() });
        program.push(0, Kind::Name { id: 2, text: "bench::work".into() });
        program.push(0, Kind::Site { id: 1, file: "src/main.rs".into(), line: 7, column: 9 });
        program.push(0, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
        program.push(0, Kind::Spawn { coro: 1, in_loop: 1, parent: 0, name: 1, site: 1 });
        program.push(0, Kind::StepBegin { coro: 1 });
        for coro in 2..live + 2 {
            program.push(coro, Kind::Spawn { coro, in_loop: 1, parent: 1, name: 2, site: 1 });
            program.push(coro, Kind::Wait { coro: 1, on: Target::Coro(coro), site: 1 });
        }
        program.push(live, Kind::StepEnd { coro: 1 });
        let mut at = live;
        while (program.events.len() as u64) < events {
            let coro = 2 + at.wrapping_mul(2_654_435_761) % live;
            at += 1_000;
            program.push(at, Kind::Wake { coro, by: Waker::Timer });
            program.push(at, Kind::StepBegin { coro });
            program.push(at, Kind::Wait { coro, on: Target::Timer(at + 50_000), site: 1 });
            program.push(at, Kind::StepEnd { coro });
        }
        program
    }

    fn push(&mut self, at: u64, kind: Kind) {
        self.events.push(Event { seq: self.events.len() as u64, at, kind });
    }
}

impl Source for Program {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> std::io::Result<Progress> {
        let until = self.events.len().min(self.read + limit);
        self.events[self.read..until].iter().cloned().for_each(sink);
        self.read = until;
        Ok(if until < self.events.len() { Progress::More } else { Progress::Idle })
    }
}

/// Milliseconds: the median of a few, as one of them may be interrupted by whatever else runs.
fn median(times: usize, mut one: impl FnMut()) -> f64 {
    let mut took: Vec<f64> = (0..times)
        .map(|_| {
            let begin = Instant::now();
            one();
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took[times / 2]
}

fn row(what: &str, ms: f64, goal: f64) {
    println!("  {what:<44} {ms:>8.2} ms   goal {goal:>5.0}   {}", if ms <= goal { "met" } else { "MISSED" });
}

/// A run in which `count` coroutines that await the same line were cancelled by the error of one more.
fn crashed(count: u64) -> Model {
    let mut program = Program::of(count, 0);
    program.push(count, Kind::CancelBegin { id: 1, origin: 2, reason: "it fails".into(), failure: None });
    let failure = |coro: u64| {
        let frame = Frame { function: "bench::work".into(), file: "src/main.rs".into(), line: 7, ..Frame::default() };
        let (kind, message) = match coro {
            2 => (Outcome::Error, "it fails"),
            _ => (Outcome::Cancelled, ""),
        };
        Failure {
            kind,
            coro,
            thread: 0,
            name: "bench::work".into(),
            given_name: String::new(),
            message: message.into(),
            error_type: String::new(),
            sources: Vec::new(),
            trace: Vec::new(),
            stack: Some(Stack { frames: vec![frame], ..Stack::default() }),
            fields: Vec::new(),
            backtrace: Vec::new(),
            error_backtrace: Vec::new(),
        }
    };
    program.push(count, Kind::Crash { id: 1, failures: (2..count + 2).map(failure).collect() });
    program.push(count, Kind::LoopEnd { id: 1, outcome: LoopOutcome::Crashed });
    let mut model = Model::new(&program.header);
    program.events.iter().for_each(|event| model.apply(event));
    model
}

/// What must grow as N does: microseconds for each of N, and of ten times as many.
fn linear(what: &str, counts: [u64; 2], mut one: impl FnMut(u64) -> f64) {
    let [few, many] = counts.map(|count| one(count) * 1e3 / count as f64);
    let verdict = if many <= few * 1.5 { "met" } else { "MISSED" };
    println!("  {what:<44} {many:>8.3} µs   goal {:>5.3}   {verdict}", few * 1.5);
}

fn main() {
    println!("for each of N, and at most 1.5 times as much for each of 10 N");
    linear("folding 100,000 and 1,000,000 events", [EVENTS / 10, EVENTS], |events| {
        let program = Program::of(1_000, events);
        median(5, || {
            let mut model = Model::new(&program.header);
            program.events.iter().for_each(|event| model.apply(event));
        })
    });
    linear("a report of 10,000 and 100,000 failures", [10_000, 100_000], |count| {
        let model = crashed(count);
        assert!(report::text(&model, &Options::default()).contains("it fails"));
        median(5, || drop(report::text(&model, &Options::default())))
    });
    for live in [1_000, 100_000] {
        let mut program = Program::of(live, EVENTS);
        println!("{EVENTS} events, {live} coroutines alive, 200×60");
        let mut model = Model::new(&program.header);
        let fold = median(1, || program.events.iter().for_each(|event| model.apply(event)));
        row("folding a million events", fold, 1000.0);
        row("a copy of the model", median(5, || drop(model.clone())), 5.0);
        drop(model);

        let mut tape = Tape::new(&program.header, usize::MAX);
        program.events.iter().for_each(|event| tape.push(event));
        println!("  {:<44} {:>8} bytes", "an event on the tape", tape.bytes().0 as u64 / EVENTS);
        let mut seed = 7_u64;
        let jump = median(20, || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            drop(tape.model_at((seed >> 33) % EVENTS));
        });
        row("a jump to anywhere", jump, 100.0);
        drop(tape);

        let mut screens = Headless::of(&mut program, None, 200, 60).expect("events");
        for (what, keys) in [
            ("graph", "1"),
            ("graph, unfolded", "j l l j"),
            ("graph, drawn", "g"),
            ("coroutines", "g 2"),
            ("coroutines, by age", "s s s"),
            ("threads", "3"),
            ("resources", "4"),
            ("timeline", "5"),
            ("log", "6"),
        ] {
            row(
                &format!("{what}: first picture"),
                median(1, || screens.press(keys)),
                50.0 * keys.split(' ').count() as f64,
            );
            row(&format!("{what}: a frame"), median(20, || screens.draw()), 5.0);
        }
        let lints = median(20, || screens.lint());
        println!("  {:<44} {lints:>8.2} ms   (a twentieth of the time of the live view at most)", "the lints");
        screens.press("5");
        row("timeline: zoom", median(5, || screens.press("+")), 50.0);
        row("timeline: earlier", median(5, || screens.press("h")), 100.0);
        row("an event back", median(5, || screens.press(",")), 50.0);
        row("an event on", median(5, || screens.press(".")), 50.0);
        row("graph at an earlier moment", median(1, || screens.press("1")), 50.0);
        row("its previous event", median(5, || screens.press("<")), 100.0);
        row("back to now", median(1, || screens.press("0")), 50.0);
        row("search", median(1, || screens.press("/ w o r k")), 250.0);
        row("the one found", median(1, || screens.press("enter")), 50.0);
        row("the next one found", median(5, || screens.press("n")), 50.0);
        row("why", median(1, || screens.press("w")), 50.0);
    }
}
