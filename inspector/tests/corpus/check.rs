//! What has to hold whatever the bytes: nothing panics, hangs or takes more memory than a small multiple of its input.
//!
//! The fuzz targets (`inspector/fuzz`) and the tests that replay their corpus share it.

use std::fs::File;
use std::io::{Write, sink};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::LazyLock;

use tinyio_inspector::event::{Event, Kind, LoopMode, Outcome, ResKind, Target, Waker};
use tinyio_inspector::export::{self, By, Format};
use tinyio_inspector::model::Model;
use tinyio_inspector::recorder::{NO_SLOT, Recorder, Step};
use tinyio_inspector::report;
use tinyio_inspector::ring::{MIN_SIZE, Options, RingReader};
use tinyio_inspector::source::{Progress, Source};
use tinyio_inspector::time_point;
use tinyio_inspector::trace::{TraceReader, open_until_now, parse, write_event};
use tinyio_inspector::{tree, why};

/// A file in memory with this in it, and its path.
fn file(bytes: &[u8]) -> (File, PathBuf) {
    let file = rustix::fs::memfd_create("damaged", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory");
    let mut file = File::from(file);
    file.write_all(bytes).expect("memory");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    (file, path)
}

/// One line of a trace: what is read is written, and read, as the same.
pub fn line(bytes: &[u8]) {
    let Ok(event) = parse(bytes) else { return };
    let mut text = Vec::new();
    write_event(&event, &mut text);
    let again = parse(&text).unwrap_or_else(|error| panic!("{event:?} was written as {text:?}: {error}"));
    if !matches!(event.kind, Kind::Unknown) {
        assert_eq!(again, event);
    }
}

/// A trace: the header, and these bytes after it.
pub fn trace(bytes: &[u8]) {
    const HEADER: &[u8] = b"{\"trace\":\"tinyio\",\"version\":1,\"program\":\"p\",\"pid\":1,\"started\":0}\n";
    let (_file, path) = file(&[HEADER, bytes].concat());
    let mut reader = TraceReader::open(&path).expect("the header is whole");
    // Each line is one event at most, and each gap one more.
    let most = 2 * bytes.len() + 16;
    look_at(&mut reader, most);
    // As a whole, with its header: that may be refused.
    let (_file, path) = file(bytes);
    if let Ok(mut reader) = TraceReader::open(&path) {
        look_at(&mut reader, most);
    }
}

/// A ring, whole but for these damages: each nine bytes are a place (a word, by its number) and what is there instead.
pub fn ring(bytes: &[u8]) {
    static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(whole);
    let mut ring = WHOLE.clone();
    let words = ring.len() / 8;
    let mut rest = bytes;
    while let Some((damage, more)) = rest.split_first_chunk::<11>() {
        rest = more;
        let [a, b, c, value @ ..] = *damage;
        let place = u32::from_le_bytes([a, b, c, 0]) as usize;
        // The first page, where all sizes are, is hit more often than by its size.
        let place = if place & 1 == 0 { (place >> 1) % 64 } else { (place >> 1) % words };
        ring[place * 8..place * 8 + 8].copy_from_slice(&value);
    }
    // What is left says where it is cut off.
    if let Some((cut, _)) = rest.split_first_chunk::<4>() {
        ring.truncate(u32::from_le_bytes(*cut) as usize % (ring.len() + 1));
    }
    let most = 4 * words;
    let (_file, path) = file(&ring);
    if let Ok(mut reader) = RingReader::open(&path) {
        look_at(&mut reader, most);
    }
}

/// Shows the recording in every way there is, and throws it away.
#[allow(dead_code, reason = "the fuzz targets look at the model only")]
pub fn every_view(bytes: &[u8]) {
    let (_file, path) = file(bytes);
    let open = || open_until_now(&path);
    if let Ok(moment) = open().and_then(|mut source| time_point::fold(&mut *source, None, &mut |_, _| Ok(()))) {
        let options = report::Options { ending: moment.ending, ..report::Options::default() };
        assert!(report::text(&moment.model, &options).ends_with('\n'));
        report::json(&moment.model, &options, &mut sink()).expect("a sink");
        for format in [tree::Format::Text, tree::Format::Json, tree::Format::Dot, tree::Format::Mermaid] {
            tree::write(moment.graph(), format, &mut sink()).expect("a sink");
        }
        let live = moment.graph().live().map(|coro| coro.id);
        for id in live.take(8).chain([0, 1, u64::MAX]) {
            let _ = why::text(moment.graph(), id);
        }
    }
    for (format, by) in Format::NAMES.map(|name| (name, By::Busy)).into_iter().chain([("folded", By::Blocked)]) {
        let options = export::Options { by, ..export::Options::default() };
        if let Ok(mut source) = open() {
            let _ = export::export(&mut *source, format.parse().expect("a format"), &options, &mut sink());
        }
    }
}

/// Reads it to its end and looks at what it makes of the graph.
fn look_at(source: &mut dyn Source, most: usize) {
    let mut model = Model::new(source.header());
    let mut events = 0;
    let mut take = |event: Event| {
        events += 1;
        model.apply(&event);
    };
    // A ring in which nothing stands is read again and again only if there is something new.
    while let Ok(Progress::More) = source.read(1000, &mut take) {}
    assert!(events <= most, "{events} events out of so little");
    let text = report::text(&model, &report::Options::default());
    assert!(text.ends_with('\n'), "{text}");
    for coro in model.live().take(8) {
        let _ = model.label(coro.id);
        let _ = model.why(coro.id);
    }
}

/// The bytes of a small ring that has been round, with everything in it.
fn whole() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { size: MIN_SIZE, folder: Some(folder.path().join("rings")), program: Some("p".into()) };
    let mut recorder = Recorder::start(&options).expect("a ring");
    recorder.emit(0, Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run });
    let (name, site) = (recorder.name("main"), recorder.intern_site("main.rs", 1, 1));
    recorder.emit(0, Kind::ResNew { res: 1, what: ResKind::Lock, size: 1, site, name: 0 });
    for id in 1..=2000 {
        let (at, slot) = (id * 10, (id % 16) as u32);
        recorder.spawn(at, slot, id, 1, id / 2, name, site);
        recorder.step_begin(at, slot, id);
        let on = [Target::Turn, Target::Res(1), Target::Timer(id * 1000), Target::Coro(id.saturating_sub(3))];
        recorder.wait(at, slot, id, on[(id % 4) as usize], NO_SLOT, site);
        let has = (id % 64) as u8 & !Step::END;
        let has = if has & Step::ON != 0 { has & !Step::TURN } else { has };
        let (on, on_slot) = (id - 1, ((id - 1) % 16) as u32);
        let step = Step { coro: id, slot, on, on_slot, next: id / 2, next_slot: 0, site, outcome: 0, has };
        recorder.step(at + 1, &step);
        if id % 7 == 0 {
            recorder.hold(at, 1, id, site);
            recorder.release(at, 1, id);
            let fields = vec![("n".to_owned(), id.to_string())];
            let (level, target, message) = ("INFO".to_owned(), "p".to_owned(), "text".repeat(id as usize % 40));
            recorder.emit(at, Kind::Log { coro: id, level, target, message, fields });
            recorder.emit(at, Kind::ThreadQueue { thread: id, coro: id, name, site });
            recorder.emit(at, Kind::ThreadEnd { thread: id, outcome: Outcome::Ok });
        }
        if id > 12 {
            let old = id - 12;
            recorder.wake(at, (old % 16) as u32, old, Waker::Timer);
            recorder.end(at, (old % 16) as u32, old, Outcome::Ok);
        }
    }
    let bytes = std::fs::read(recorder.path()).expect("the ring");
    // Its process is alive: it would be waited for.
    std::mem::forget(recorder);
    bytes
}
