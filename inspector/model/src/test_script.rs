//! Event streams written by hand, for tests.

use std::collections::HashMap;
use std::io;

use tinyio_events::event::{
    CoroId, Event, FIELD, Failure, Frame, Header, Kind, Local, LoopId, LoopMode, LoopOutcome, NameId, Outcome, ResId,
    ResKind, SiteId, Stack, Target, ThreadId, TraceSite, Value, Waker,
};
use tinyio_events::source::{Progress, Source};

use crate::model::Model;

/// A stream being written. Names and places are interned as they are used.
#[derive(Clone)]
pub struct Script {
    pub header: Header,
    pub events: Vec<Event>,
    now: u64,
    names: HashMap<String, NameId>,
    sites: HashMap<String, SiteId>,
}

impl Script {
    pub fn new(program: &str) -> Script {
        let header = Header {
            trace: "tinyio".into(),
            version: tinyio_events::event::VERSION,
            program: program.into(),
            pid: 4242,
            started: 1_790_000_000_000_000_000,
            directory: "/src/demo".into(),
            thread: "main".into(),
            ..Header::default()
        };
        Script { header, events: Vec::new(), now: 0, names: HashMap::new(), sites: HashMap::new() }
    }

    pub fn push(&mut self, kind: Kind) -> &mut Self {
        self.events.push(Event { seq: self.events.len() as u64, at: self.now, kind });
        self
    }

    /// Sets the time, in microseconds.
    pub fn at(&mut self, micros: u64) -> &mut Self {
        self.now = micros * 1000;
        self
    }

    pub fn name(&mut self, text: &str) -> NameId {
        if let Some(id) = self.names.get(text) {
            return *id;
        }
        let id = self.names.len() as NameId + 1;
        self.names.insert(text.into(), id);
        self.push(Kind::Name { id, text: text.into() });
        id
    }

    /// A place written as `file:line:column`.
    pub fn site(&mut self, place: &str) -> SiteId {
        if let Some(id) = self.sites.get(place) {
            return *id;
        }
        let id = self.sites.len() as SiteId + 1;
        self.sites.insert(place.into(), id);
        let (file, line, column) = split(place);
        self.push(Kind::Site { id, file, line, column });
        id
    }

    pub fn start(&mut self) -> &mut Self {
        self.push(Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run })
    }

    pub fn stop(&mut self, outcome: LoopOutcome) -> &mut Self {
        self.push(Kind::LoopEnd { id: 1, outcome })
    }

    pub fn spawn(&mut self, coro: CoroId, parent: CoroId, name: &str, site: &str) -> &mut Self {
        let (name, site) = (self.name(name), self.site(site));
        self.push(Kind::Spawn { coro, in_loop: 1, parent, name, site })
    }

    /// A future that the program has put `observe` around.
    pub fn observe(&mut self, coro: CoroId, parent: CoroId, name: &str) -> &mut Self {
        self.spawn(coro, parent, name, "serve.rs:4:9")
    }

    /// A thread that polls or wakes such futures.
    pub fn worker(&mut self, id: LoopId, name: &str) -> &mut Self {
        self.push(Kind::LoopStart { id, parent: 0, mode: LoopMode::Worker });
        let name = self.name(name);
        self.push(Kind::Named { what: Target::Loop(id), name })
    }

    pub fn moved(&mut self, coro: CoroId, to: LoopId) -> &mut Self {
        self.push(Kind::Moved { coro, to })
    }

    pub fn wait(&mut self, coro: CoroId, on: Target, site: &str) -> &mut Self {
        let site = self.site(site);
        self.push(Kind::Wait { coro, on, site })
    }

    pub fn clear(&mut self, coro: CoroId, on: Target) -> &mut Self {
        self.push(Kind::Clear { coro, on })
    }

    pub fn wake(&mut self, coro: CoroId, by: Waker) -> &mut Self {
        self.push(Kind::Wake { coro, by })
    }

    pub fn begin(&mut self, coro: CoroId) -> &mut Self {
        self.push(Kind::StepBegin { coro })
    }

    pub fn pause(&mut self, coro: CoroId) -> &mut Self {
        self.push(Kind::StepEnd { coro })
    }

    /// A whole step that ends in a wait.
    pub fn step(&mut self, coro: CoroId, on: Target, site: &str) -> &mut Self {
        self.begin(coro).wait(coro, on, site).pause(coro)
    }

    pub fn end(&mut self, coro: CoroId, outcome: Outcome) -> &mut Self {
        self.push(Kind::End { coro, outcome })
    }

    pub fn resource(&mut self, res: ResId, what: ResKind, size: u64, site: &str) -> &mut Self {
        let site = self.site(site);
        self.push(Kind::ResNew { res, what, size, site, name: 0 })
    }

    /// The program names a coroutine.
    pub fn named(&mut self, coro: CoroId, name: &str) -> &mut Self {
        let name = self.name(name);
        self.push(Kind::Named { what: Target::Coro(coro), name })
    }

    pub fn named_resource(&mut self, res: ResId, what: ResKind, size: u64, name: &str, site: &str) -> &mut Self {
        let (name, site) = (self.name(name), self.site(site));
        self.push(Kind::ResNew { res, what, size, site, name })
    }

    pub fn hold(&mut self, res: ResId, coro: CoroId, site: &str) -> &mut Self {
        let site = self.site(site);
        self.push(Kind::Hold { res, coro, site })
    }

    pub fn thread(&mut self, thread: ThreadId, coro: CoroId, name: &str, site: &str) -> &mut Self {
        let (name, site) = (self.name(name), self.site(site));
        self.push(Kind::ThreadQueue { thread, coro, name, site });
        self.push(Kind::ThreadStart { thread })
    }

    pub fn log(&mut self, coro: CoroId, level: &str, target: &str, message: &str) -> &mut Self {
        let (level, target, message) = (level.into(), target.into(), message.into());
        self.push(Kind::Log { coro, level, target, message, fields: vec![] })
    }

    /// A field of the coroutine itself.
    pub fn field(&mut self, coro: CoroId, span: &str, name: &str, value: &str) -> &mut Self {
        let fields = vec![(name.into(), value.into())];
        self.push(Kind::Log { coro, level: FIELD.into(), target: span.into(), message: String::new(), fields })
    }

    pub fn frames(&mut self, coro: CoroId, frames: Vec<Frame>) -> &mut Self {
        self.push(Kind::Frames { coro, stack: Stack { frames, ..Stack::default() } })
    }

    pub fn model(&self) -> Model {
        let mut model = Model::new(&self.header);
        self.events.iter().for_each(|event| model.apply(event));
        model
    }

    pub fn source(&self) -> Memory {
        Memory { header: self.header.clone(), events: self.events.clone().into(), end: Progress::Ended }
    }
}

fn split(place: &str) -> (String, u32, u32) {
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    let line = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    (parts.next().unwrap_or("").into(), line, column)
}

/// Events in memory.
pub struct Memory {
    pub header: Header,
    pub events: std::collections::VecDeque<Event>,
    /// What to say once all are read.
    pub end: Progress,
}

impl Source for Memory {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self, limit: usize, sink: &mut dyn FnMut(Event)) -> io::Result<Progress> {
        for _ in 0..limit {
            let Some(event) = self.events.pop_front() else { return Ok(self.end) };
            sink(event);
        }
        Ok(if self.events.is_empty() { self.end } else { Progress::More })
    }
}

pub fn frame(function: &str, place: &str, locals: &[(&str, &str)]) -> Frame {
    let (file, line, column) = split(place);
    let value = |text: &str| Value { text: text.into(), ..Value::default() };
    let local = |(name, text): &(&str, &str)| Local { name: (*name).into(), value: value(text), mark: String::new() };
    Frame {
        function: function.into(),
        file,
        line,
        column,
        locals: locals.iter().map(local).collect(),
        ..Frame::default()
    }
}

pub fn trace(coro: CoroId, name: &str, place: &str) -> TraceSite {
    let (file, line, column) = split(place);
    TraceSite { coro, name: name.into(), file, line, column, last_await: false }
}

/// A crawler in the middle of its work: what SCREENS.md draws.
pub fn crawl() -> Script {
    let mut s = Script::new("crawl");
    s.start().spawn(1, 0, "crawl::main", "crawl.rs:90:10").resource(1, ResKind::Lock, 1, "crawl.rs:88:14");
    s.at(40).begin(1).spawn(2, 1, "crawl::crawl", "crawl.rs:40:5").spawn(4, 1, "crawl::ticker", "crawl.rs:41:5");
    s.spawn(5, 1, "crawl::writer", "crawl.rs:42:5");
    for target in [2, 4, 5] {
        s.wait(1, Target::Coro(target), "crawl.rs:43:30");
    }
    s.pause(1).at(100).begin(2);
    for id in 10..18 {
        s.spawn(id, 2, "crawl::fetch", "crawl.rs:41:9").wait(2, Target::Coro(id), "crawl.rs:45:9");
    }
    s.spawn(9, 2, "crawl::parse", "crawl.rs:47:9").wait(2, Target::Coro(9), "crawl.rs:45:9");
    s.pause(2).at(150).step(4, Target::Timer(3_000_000_000), "crawl.rs:70:12");
    s.at(200).begin(9).hold(1, 9, "crawl.rs:61:22").wait(9, Target::Turn, "crawl.rs:62:9").wake(9, Waker::Own).pause(9);
    s.at(220).step(5, Target::Res(1), "crawl.rs:80:21");
    for id in 10..17 {
        s.at(200 + id * 10).step(id, Target::Timer(2_000_000_000 + id * 1_000_000), "crawl.rs:50:12");
    }
    s.at(400).begin(17).thread(3, 17, "net::read_to_string", "crawl.rs:52:20");
    s.wait(17, Target::Thread(3), "crawl.rs:52:33").pause(17);
    s.at(500).log(17, "INFO", "crawl", "GET http://a.b/c?d").log(0, "WARN", "net::pool", "slow name server");
    s.push(Kind::Output { stream: 1, text: "3 of 9 pages\n".into(), printed: 0 });
    s.frames(
        17,
        vec![
            frame("crawl::fetch", "crawl.rs:52:0", &[("url", "\"http://a.b/c?d\""), ("retries", "2")]),
            frame("net::get", "net.rs:31:0", &[("timeout", "5s")]),
        ],
    );
    s.at(1_200_000).wake(4, Waker::Timer).begin(4).wait(4, Target::Timer(4_200_000_000), "crawl.rs:70:12");
    s.at(1_200_100).pause(4).begin(9);
    s.at(1_200_400);
    s.push(Kind::Park { id: 1, until: Some(2_010_000_000) });
    s.events.pop();
    s
}

/// Eight workers of one function, named by the program, as are its locks and its loop: worker 1 holds a lock that
/// worker 2 waits for, worker 3 is on a thread, and one waits for a channel of another library.
pub fn named() -> Script {
    let mut s = Script::new("shop");
    s.start().spawn(1, 0, "shop::main", "shop.rs:90:10");
    let name = s.name("orders");
    s.push(Kind::Named { what: Target::Loop(1), name });
    s.named_resource(1, ResKind::Lock, 1, "accounts", "shop.rs:88:14");
    s.named_resource(2, ResKind::Event, 0, "stop", "shop.rs:89:14");
    s.at(40).begin(1);
    for id in 2..10 {
        s.spawn(id, 1, "shop::serve::{{closure}}", "shop.rs:40:5").named(id, &format!("worker {}", 10 - id));
        s.wait(1, Target::Coro(id), "shop.rs:43:30");
    }
    s.pause(1);
    s.at(100).begin(9).hold(1, 9, "shop.rs:50:22").wait(9, Target::Timer(5_000_000_000), "shop.rs:51:9").pause(9);
    s.at(110).step(8, Target::Res(1), "shop.rs:50:22");
    s.at(120).begin(7).thread(3, 7, "shop::hash", "shop.rs:52:20").wait(7, Target::Thread(3), "shop.rs:52:33").pause(7);
    s.at(130).begin(6).pause(6);
    s.frames(6, vec![frame("shop::serve", "shop.rs:57:0", &[]), frame("async_channel::Recv<shop::Job>", "", &[])]);
    for id in 2..6 {
        s.at(140 + id).step(id, Target::Res(2), "shop.rs:58:9");
    }
    s.at(200).log(8, "INFO", "shop", "waits for the accounts");
    s.at(300).log(0, "WARN", "shop::db", "slow");
    s
}

/// Futures of another runtime on two threads, the end of which is not recorded; a third thread only wakes.
pub fn observed() -> Script {
    let mut s = Script::new("observed");
    s.push(Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Observed });
    s.observe(1, 0, "serve::accept").observe(2, 1, "serve::answer").observe(3, 1, "serve::answer");
    s.worker(2, "tokio-rt-worker").worker(3, "tokio-rt-worker");
    s.at(100).moved(1, 2).begin(1).at(200).moved(2, 3).begin(2).at(4_000).pause(1).at(9_000).pause(2);
    s.worker(4, "signals").at(10_000).wake(1, Waker::Loop(4)).at(10_100).begin(1).at(10_400).wake(2, Waker::Coro(1));
    s.at(10_500).moved(2, 3).begin(2).at(11_000).pause(1).at(14_000).pause(2).wake(2, Waker::Loop(3));
    // It polls another one: both are in the same worker.
    s.at(15_000).moved(2, 2).begin(2).observe(4, 2, "serve::parse").at(15_500).moved(4, 2).begin(4).at(22_000).pause(4);
    s.wait(2, Target::Coro(4), "serve.rs:9:1").at(23_000).pause(2).at(23_500).moved(3, 3).begin(3).at(24_000);
    s.push(Kind::StepEnd { coro: 3 }).end(3, Outcome::Ok).wake(4, Waker::Loop(4)).wake(2, Waker::Loop(4));
    s.at(25_000).begin(2).at(25_200).begin(4).at(28_000);
    s.log(0, "INFO", "serve", "still here");
    s
}

/// A program that crashed: what SCREENS.md draws.
pub fn verify() -> Script {
    let mut s = Script::new("verify");
    s.start().spawn(1, 0, "verify::main", "examples/verify.rs:160:10");
    s.at(10).begin(1).spawn(2, 1, "verify::verify", "examples/verify.rs:40:20");
    s.wait(1, Target::Coro(2), "examples/verify.rs:40:31").pause(1).at(20).begin(2);
    for id in [780, 781, 782, 783] {
        s.spawn(id, 2, "verify::check", "examples/verify.rs:70:9");
        s.wait(2, Target::Coro(id), "examples/verify.rs:77:18");
    }
    s.spawn(3, 2, "verify::progress", "examples/verify.rs:72:9").pause(2);
    for (thread, id) in [781, 782, 783].into_iter().enumerate() {
        s.at(30 + id).begin(id).thread(thread as u64 + 10, id, "verify::hash", "examples/verify.rs:117:20");
        s.wait(id, Target::Thread(thread as u64 + 10), "examples/verify.rs:118:10").pause(id);
    }
    s.at(900).step(3, Target::Timer(5_000_000_000), "examples/verify.rs:133:20");
    let source = [
        (117, "    let found = run_in_thread(move || hash(&path))"),
        (118, "        .await?;"),
        (119, "    if found != entry.sum {"),
        (120, "        Err(Mismatch { path, expected, found })?;"),
        (121, "    }"),
    ];
    let mut last = frame(
        "verify::check",
        "examples/verify.rs:120:13",
        &[("path", "\"file 777.txt\""), ("entry", "Entry { line: 777, sum: a31f…9e }"), ("found", "9c02…11")],
    );
    last.source = source.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
    let line = Value { text: "777".into(), type_name: "u32".into(), ..Value::default() };
    let sum = Value { text: "a31f…9e".into(), type_name: "verify::Sum".into(), ..Value::default() };
    last.locals[1].value.children = vec![("line".into(), line), ("sum".into(), sum)];
    let mut hidden = frame("tinyio::error::Error::from", "src/error.rs:30:0", &[]);
    hidden.hidden = true;
    let stack = Stack { frames: vec![last, hidden], ..Stack::default() };
    s.at(3_271_000).wake(780, Waker::External).begin(780);
    s.push(Kind::CancelBegin { id: 1, origin: 780, reason: "sha256 mismatch: file 777.txt".into(), failure: None });
    s.end(780, Outcome::Error).pause(780);
    let place = "examples/verify.rs:118:10";
    for id in [781, 782, 783] {
        s.frames(id, vec![frame("verify::check", place, &[("path", "\"other.txt\"")])]);
    }
    s.frames(3, vec![frame("verify::progress", "examples/verify.rs:133:0", &[("done", "776")])]);
    for (id, outcome) in [
        (781, Outcome::Cancelled),
        (782, Outcome::Cancelled),
        (783, Outcome::Cancelled),
        (3, Outcome::Improper),
        (2, Outcome::Cancelled),
        (1, Outcome::Cancelled),
    ] {
        s.push(Kind::CancelDeliver { coro: id }).begin(id).end(id, outcome).pause(id);
    }
    for thread in 10..13 {
        s.push(Kind::ThreadCancel { thread });
        s.push(Kind::ThreadNotice { thread });
        s.push(Kind::ThreadEnd { thread, outcome: Outcome::Cancelled });
    }
    let up =
        [trace(1, "verify::main", "examples/verify.rs:40:31"), trace(2, "verify::verify", "examples/verify.rs:77:18")];
    let path = |more: &[TraceSite]| up.iter().chain(more).cloned().collect::<Vec<_>>();
    let cancelled = |coro, thread| Failure {
        kind: Outcome::Cancelled,
        coro,
        thread,
        name: if thread > 0 { "verify::hash".into() } else { "verify::check".into() },
        message: "cancelled".into(),
        error_type: String::new(),
        sources: vec![],
        trace: path(&[trace(coro, "verify::check", place)]),
        stack: Some(Stack {
            frames: vec![frame("verify::check", place, &[("path", "\"other.txt\"")])],
            ..Stack::default()
        }),
        fields: vec![],
        backtrace: vec![],
        given_name: String::new(),
        error_backtrace: vec![],
    };
    let origin = Failure {
        kind: Outcome::Error,
        coro: 780,
        message: "sha256 mismatch: file 777.txt".into(),
        error_type: "verify::Mismatch".into(),
        sources: vec!["digest differs".into()],
        trace: path(&[trace(780, "verify::check", "examples/verify.rs:120:13")]),
        stack: Some(stack),
        ..cancelled(780, 0)
    };
    let improper = Failure {
        kind: Outcome::Improper,
        name: "verify::progress".into(),
        message: "answered Ok(5)".into(),
        trace: vec![trace(3, "verify::progress", "examples/verify.rs:133:20")],
        stack: None,
        ..cancelled(3, 0)
    };
    let mut failures = vec![origin];
    failures.extend([781, 782, 783].map(|id| cancelled(id, 0)));
    failures.push(cancelled(781, 10));
    failures.push(improper);
    s.push(Kind::Crash { id: 1, failures });
    s.stop(LoopOutcome::Crashed);
    s.push(Kind::TraceEnd {});
    s
}

/// [`verify`] while it cancels: how it began, and one coroutine of six that has ended.
pub fn cancelling() -> Script {
    let mut s = verify();
    let events = std::mem::take(&mut s.events);
    let first = events.iter().find_map(|event| match &event.kind {
        Kind::Crash { failures, .. } => failures.first().cloned().map(Box::new),
        _ => None,
    });
    let end = |event: &Event| matches!(event.kind, Kind::End { coro: 781, .. });
    let length = events.iter().position(end).map_or(0, |at| at + 1);
    s.events.extend(events.into_iter().take(length).map(|event| match event.kind {
        Kind::CancelBegin { id, origin, reason, .. } => {
            Event { kind: Kind::CancelBegin { id, origin, reason, failure: first.clone() }, ..event }
        }
        _ => event,
    }));
    s
}

impl Script {
    /// As a trace file holds it.
    pub fn trace(&self) -> String {
        let mut out = serde_json::to_vec(&self.header).unwrap();
        out.push(b'\n');
        for event in &self.events {
            tinyio_events::trace::write_event(event, &mut out);
            if out.last() != Some(&b'\n') {
                out.push(b'\n');
            }
        }
        String::from_utf8(out).unwrap()
    }
}

/// The traces that tests of the program itself read are those of the scripts. `UPDATE=1` writes them.
#[test]
fn the_traces_in_the_tests_are_those_of_the_scripts() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/traces");
    for (name, script) in [("crawl.jsonl", crawl()), ("verify.jsonl", verify())] {
        let path = folder.join(name);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, script.trace()).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap() == script.trace(), "{name} is out of date: UPDATE=1 writes it");
    }
}
