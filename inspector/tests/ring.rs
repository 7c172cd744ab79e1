//! The ring: what goes in comes out, also when the reader is overtaken.

use tinyio_inspector::event::*;
use tinyio_inspector::recorder::{NO_SLOT, Recorder};
use tinyio_inspector::ring::Options;
use tinyio_inspector::source::{Progress, Source};

fn start(size: u64) -> (tempfile::TempDir, Recorder) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { size, folder: Some(folder.path().join("rings")), program: Some("test".into()) };
    let recorder = Recorder::start(&options).unwrap();
    (folder, recorder)
}

#[test]
fn what_is_emitted_is_read() {
    let (_folder, mut recorder) = start(1 << 20);
    let name = recorder.name("main");
    recorder.spawn(5, 0, 1, 1, 0, name, 0);
    recorder.step_begin(6, 0, 1);
    recorder.wait(6, 0, 1, Target::Timer(99), NO_SLOT, 0);
    recorder.emit(6, Kind::Diag { coro: 1, text: "x".repeat(1000) });
    let mut reader = recorder.reader().unwrap();
    let mut seen = vec![];
    assert_eq!(reader.read(1000, &mut |event| seen.push(event)).unwrap(), Progress::Idle);
    recorder.finish();
    assert_eq!(reader.read(1000, &mut |event| seen.push(event)).unwrap(), Progress::Ended);
    println!("{seen:#?}");
    assert_eq!(seen.iter().map(|event| event.seq).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}
