//! A program that pretends to run coroutines, under the live view of its own terminal: for trying the screens, and for
//! the tests that do so in a pseudo-terminal. With `TINYIO_INSPECT=record` it only records.
//!
//! `pretend WORD…`: what to do, one after the other. `work` (half a second of it), `crash`, `block` (a step of two
//! seconds), `print`, `flood` (ten thousand lines), `panic`, `exit`, `abort`, `exec` (of the shell command in
//! `PRETEND_EXEC`), `wait` (for ever).

use std::io::Write;
use std::time::{Duration, Instant};

use tinyio_inspector::event::{
    Failure, Frame, Kind, Local, LoopMode, LoopOutcome, Outcome, ResKind, Stack, Target, TraceSite, Value, Waker,
};
use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::ring::{self, Request};
use tinyio_inspector::tui::{self, Handle, Options};

fn main() {
    let program = Pretend::start();
    if std::env::var("TINYIO_INSPECT").is_ok_and(|value| value == "record") {
        return program.play(None);
    }
    let handle = match tui::spawn(program.recorder.reader().expect("a reader"), Options::from_env()) {
        Ok(handle) => Some(handle),
        Err(error) => {
            eprintln!("pretend: no live view: {error}");
            None
        }
    };
    program.play(handle);
}

struct Pretend {
    recorder: Recorder,
    turn: u64,
    crashed: bool,
}

impl Pretend {
    fn play(mut self, handle: Option<Handle>) {
        std::env::args().skip(1).for_each(|word| self.act(&word));
        self.end();
        if let Some(handle) = handle {
            println!("left: {:?}", handle.finish(false).map(|left| left.map(|left| left.exit)));
        }
        println!("done");
    }

    fn start() -> Pretend {
        let recorder = Recorder::start(&ring::Options::default()).expect("a ring");
        let mut program = Pretend { recorder, turn: 0, crashed: false };
        program.emit(Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
        program.spawn(1, 0, "pretend::main");
        program.emit(Kind::StepBegin { coro: 1 });
        let site = program.recorder.intern_site(file!(), line!(), 9);
        program.emit(Kind::ResNew { res: 1, what: ResKind::Lock, size: 1, site, name: 0 });
        for id in 2..40 {
            program.spawn(id, 1, if id % 9 == 0 { "pretend::store" } else { "pretend::fetch" });
            program.emit(Kind::Wait { coro: 1, on: Target::Coro(id), site });
        }
        program.emit(Kind::StepEnd { coro: 1 });
        program
    }

    fn emit(&mut self, kind: Kind) {
        let at = self.recorder.now();
        self.recorder.emit(at, kind);
    }

    fn spawn(&mut self, coro: u64, parent: u64, name: &str) {
        let name = self.recorder.intern(name);
        let site = self.recorder.intern_site(file!(), line!(), 9);
        self.emit(Kind::Spawn { coro, in_loop: 1, parent, name, site });
    }

    /// Steps of some coroutines for so long.
    fn work(&mut self, time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.turn += 1;
            let coro = 2 + self.turn * 7 % 38;
            let site = self.recorder.intern_site(file!(), line!(), 13);
            self.emit(Kind::Wake { coro, by: Waker::Timer });
            self.emit(Kind::StepBegin { coro });
            let until = self.recorder.now() + 300_000_000;
            self.emit(Kind::Wait { coro, on: Target::Timer(until), site });
            self.emit(Kind::StepEnd { coro });
            if let Some(Request { coro: asked, .. }) = self.recorder.requested() {
                let value = Value { text: format!("\"http://example/{asked}\""), ..Value::default() };
                let local = Local { name: "url".into(), value, mark: String::new() };
                let function = "pretend::fetch".into();
                let frame =
                    Frame { function, file: file!().into(), line: line!(), locals: vec![local], ..Frame::default() };
                self.emit(Kind::Frames { coro: asked, stack: Stack { frames: vec![frame], ..Stack::default() } });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn act(&mut self, word: &str) {
        match word {
            "work" => self.work(Duration::from_millis(500)),
            "wait" => loop {
                self.work(Duration::from_secs(1));
            },
            "block" => {
                self.emit(Kind::StepBegin { coro: 5 });
                std::thread::sleep(Duration::from_secs(2));
                self.emit(Kind::StepEnd { coro: 5 });
            }
            "print" => {
                println!("a line on stdout");
                eprintln!("\x1b[31ma red line on stderr\x1b[0m");
                print!("half a line");
                let _ = std::io::stdout().flush();
            }
            "flood" => (0..10_000).for_each(|line| println!("line {line} of a flood")),
            "panic" => panic!("pretend panicked"),
            "exit" => std::process::exit(7),
            "abort" => std::process::abort(),
            "exec" => {
                use std::os::unix::process::CommandExt;
                let command = std::env::var("PRETEND_EXEC").unwrap_or_default();
                panic!("{}", std::process::Command::new("sh").args(["-c", &command]).exec());
            }
            "crash" => self.crash(),
            other => println!("unknown word {other:?}"),
        }
    }

    fn crash(&mut self) {
        self.crashed = true;
        self.emit(Kind::CancelBegin { id: 1, origin: 7, reason: "no more luck".into(), failure: None });
        for coro in (1..40).rev() {
            let outcome = if coro == 7 { Outcome::Error } else { Outcome::Cancelled };
            self.emit(Kind::CancelDeliver { coro });
            self.emit(Kind::End { coro, outcome });
        }
        let place = |coro: u64, name: &str, line: u32| TraceSite {
            coro,
            name: name.into(),
            file: file!().into(),
            line,
            column: 9,
            last_await: false,
        };
        let main = place(1, "pretend::main", 30);
        let failure = |coro: u64, kind: Outcome, message: &str| Failure {
            kind,
            coro,
            thread: 0,
            name: "pretend::fetch".into(),
            message: message.into(),
            error_type: if kind == Outcome::Error { "pretend::Luck".into() } else { String::new() },
            sources: vec![],
            trace: vec![main.clone(), place(coro, "pretend::fetch", 60)],
            stack: None,
            fields: vec![],
            backtrace: vec![],
            given_name: String::new(),
            error_backtrace: vec![],
        };
        let mut failures = vec![failure(7, Outcome::Error, "no more luck")];
        failures.extend((8..12).map(|coro| failure(coro, Outcome::Cancelled, "cancelled")));
        self.emit(Kind::Crash { id: 1, failures });
    }

    fn end(&mut self) {
        let outcome = if self.crashed { LoopOutcome::Crashed } else { LoopOutcome::Ok };
        if !self.crashed {
            (1..40).rev().for_each(|coro| self.emit(Kind::End { coro, outcome: Outcome::Ok }));
        }
        self.emit(Kind::LoopEnd { id: 1, outcome });
    }
}
