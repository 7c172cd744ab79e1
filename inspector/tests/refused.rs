//! What the recorder refuses, and how it says so: the program goes on unrecorded, with one line that says what to do.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use common::{drain, options, start};
use proptest::prelude::*;
use tinyio_inspector::discover::rings_in;
use tinyio_inspector::event::*;
use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::ring::{MIN_SIZE, Options, RingReader, parse_size};
use tinyio_inspector::source::{Progress, Source};

fn refused(options: &Options) -> String {
    let error = Recorder::start(options).expect_err("is refused").to_string();
    assert!(!error.contains('\n'), "one line: {error}");
    error
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn folder_and_file_are_for_their_owner_alone() {
    let (_folder, recorder) = start(MIN_SIZE);
    assert_eq!(mode(recorder.path()), 0o600);
    assert_eq!(mode(recorder.path().parent().unwrap()), 0o700);
}

#[test]
fn a_folder_open_to_others_is_refused() {
    for open in [0o750, 0o701, 0o777] {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path(), MIN_SIZE);
        fs::create_dir(options.folder.as_ref().unwrap()).unwrap();
        fs::set_permissions(options.folder.as_ref().unwrap(), fs::Permissions::from_mode(open)).unwrap();
        let error = refused(&options);
        assert!(error.contains("open to other users") && error.contains("chmod 700"), "{error}");
        let error = rings_in(options.folder.as_ref().unwrap()).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }
}

#[test]
fn a_planted_link_in_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let options = options(folder.path(), MIN_SIZE);
    symlink(elsewhere.path(), options.folder.as_ref().unwrap()).unwrap();
    let error = refused(&options);
    assert!(error.contains("is a link") && error.contains("TINYIO_RING_DIR"), "{error}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn a_link_that_leads_nowhere_is_refused_too() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), MIN_SIZE);
    symlink("/nowhere/at/all", options.folder.as_ref().unwrap()).unwrap();
    assert!(refused(&options).contains("is a link"));
}

#[test]
fn planted_links_in_place_of_rings_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), MIN_SIZE);
    let rings = options.folder.clone().unwrap();
    drop(Recorder::start(&options).unwrap());
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    // Names of the next rings of this process.
    for at in 0..200 {
        let _ = symlink(&victim, rings.join(format!("test-{}-{at}.ring", std::process::id())));
    }
    let mut recorder = Recorder::start(&options).unwrap();
    recorder.unpark(1, 1);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!fs::symlink_metadata(recorder.path()).unwrap().is_symlink());
    assert!(rings_in(&rings).unwrap().iter().all(|ring| !fs::symlink_metadata(&ring.path).unwrap().is_symlink()));
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), MIN_SIZE);
    fs::write(options.folder.as_ref().unwrap(), "").unwrap();
    let error = refused(&options);
    assert!(error.contains("cannot open the folder for recordings"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let options = Options { folder: Some("/proc/no/such/folder".into()), ..Options::default() };
    let error = refused(&options);
    assert!(
        error.contains("/proc/no/such/folder: cannot make the folder") && error.contains("TINYIO_RING_DIR"),
        "{error}"
    );
}

#[test]
fn a_folder_that_is_not_writable_is_refused() {
    // Root may write everywhere; where nothing at all can be made, it is refused as well.
    let options = Options { folder: Some("/proc/self/fd".into()), ..Options::default() };
    let error = refused(&options);
    assert!(error.contains("/proc/self/fd"), "{error}");
}

#[test]
fn a_folder_that_is_gone_is_an_empty_list() {
    assert_eq!(rings_in(Path::new("/nowhere/at/all")).unwrap(), []);
}

/// Not a test by itself: run under a limit on the size of files, in place of a full disk.
#[test]
fn the_program_on_a_full_disk() {
    let Ok(folder) = std::env::var("TINYIO_TEST_FULL") else { return };
    let error = refused(&options(Path::new(&folder), 16 << 20));
    println!("message: {error}");
}

#[test]
fn without_room_for_the_ring_the_program_goes_on_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    // The limit's signal is ignored, so that the error is seen: 1 MiB in units of 512 bytes, or of 1 KiB.
    let out = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 1024; exec \"$0\" --exact the_program_on_a_full_disk --nocapture")
        .arg(std::env::current_exe().unwrap())
        .env("TINYIO_TEST_FULL", folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{out:?}");
    assert!(
        text.contains("message: ")
            && text.contains("no room for a recording of 16384 KiB")
            && text.contains("TINYIO_RING"),
        "{text}"
    );
    assert_eq!(fs::read_dir(folder.path().join("rings")).unwrap().count(), 0);
}

#[test]
fn the_blocks_of_a_ring_are_all_there_from_the_start() {
    let (_folder, recorder) = start(4 << 20);
    let meta = fs::metadata(recorder.path()).unwrap();
    let blocks = std::os::unix::fs::MetadataExt::blocks(&meta);
    assert!(blocks * 512 >= meta.len(), "{blocks} blocks for {} bytes", meta.len());
}

#[test]
#[cfg(target_os = "linux")]
fn a_recording_that_ended_early_gives_its_blocks_back_and_reads_the_same() {
    use std::os::unix::fs::MetadataExt;
    let (_folder, mut recorder) = start(4 << 20);
    let path = recorder.path().to_path_buf();
    let mut program = common::Program::new(1, 20);
    for _ in 0..5000 {
        program.act(Some(&mut recorder));
    }
    let (before, _) = drain(&mut recorder.reader().unwrap());
    let length = fs::metadata(&path).unwrap().len();
    recorder.finish();
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(meta.len(), length);
    assert!(meta.blocks() * 512 < length / 4, "{} blocks", meta.blocks());
    let (after, progress) = drain(&mut RingReader::open(&path).unwrap());
    assert_eq!(progress, Progress::Ended);
    assert_eq!(after[..after.len() - 1], before);
}

#[test]
fn sizes_are_read_and_nonsense_is_refused() {
    for (text, size) in [
        ("64K", 64 << 10),
        ("64M", 64 << 20),
        ("1g", 1 << 30),
        (" 16m ", 16 << 20),
        ("65536", 65536),
        ("64G", 64 << 30),
    ] {
        assert_eq!(parse_size(text).unwrap(), size, "{text}");
    }
    for text in [
        "",
        "M",
        "big",
        "-1",
        "+64M",
        "1.5M",
        "64MB",
        "64 M",
        "63K",
        "65G",
        "0",
        "99999999999999999999",
        "18014398509481985K",
        "６４M",
    ] {
        let error = parse_size(text).unwrap_err().to_string();
        assert!(error.contains("TINYIO_RING=") && error.contains("64M"), "{error}");
    }
    let error = refused(&Options { size: 5, ..Options::default() });
    assert!(error.contains("TINYIO_RING"), "{error}");
}

#[test]
fn what_is_no_ring_is_refused() {
    let (folder, recorder) = start(MIN_SIZE);
    let good = fs::read(recorder.path()).unwrap();
    let path = folder.path().join("bad.ring");
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = RingReader::open(&path).expect_err("is refused").to_string();
        assert!(error.contains("bad.ring"), "{error}");
        error
    };
    assert!(open(b"").contains("too short"));
    assert!(open(&good[..5000]).contains("too short"));
    assert!(open(&good[..good.len() - 1]).contains("cut short"));
    assert!(open(&vec![0; good.len()]).contains("not a recording"));
    let with = |word: usize, value: u64| {
        let mut bytes = good.clone();
        bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_ne_bytes());
        bytes
    };
    assert!(open(&with(1, 9)).contains("layout 9"));
    assert!(open(&with(2, u64::MAX)).contains("cut short"));
    assert!(open(&with(2, 0)).contains("cut short"));
    assert!(open(&with(3, u64::MAX / 8)).contains("cut short"));
    assert!(open(&with(7, 0)).contains("header"));
    assert!(RingReader::open(folder.path()).is_err());
}

fn damaged(seed: u64) -> Vec<u8> {
    let (_folder, mut recorder) = start(MIN_SIZE);
    let mut program = common::Program::new(seed, 30);
    for _ in 0..3000 {
        program.act(Some(&mut recorder));
    }
    fs::read(recorder.path()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_ring_never_panics_hangs_or_takes_memory(
        seed in 0..4u64,
        words in proptest::collection::vec((0..64usize, prop_oneof![any::<u64>(), 0..5000u64]), 0..3),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..200),
    ) {
        let mut bytes = damaged(seed);
        for (word, value) in words {
            bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_ne_bytes());
        }
        for (at, byte) in flips {
            // The first page's beginning is flipped word by word above.
            let at = 512 + at.index(bytes.len() - 512);
            bytes[at] = byte;
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        if let Ok(mut reader) = RingReader::open(file.path()) {
            let mut events = 0u64;
            loop {
                let progress = reader.read(1000, &mut |event| {
                    events += 1;
                    assert!(!matches!(event.kind, Kind::Unknown));
                });
                if progress.unwrap() != Progress::More {
                    break;
                }
                // A ring of two thousand records has not a million events, whatever its head says.
                prop_assert!(events < 1_000_000);
            }
        }
    }
}

#[test]
fn a_flipped_record_is_reported_as_damage_and_the_rest_is_read() {
    let (_folder, mut recorder) = start(MIN_SIZE);
    for at in 0..10 {
        recorder.unpark(at, 1);
    }
    let mut bytes = fs::read(recorder.path()).unwrap();
    let names = u64::from_ne_bytes(bytes[24..32].try_into().unwrap()) as usize;
    bytes[16384 + names * 8 + 4 * 32] = 0;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let mut reader = RingReader::open(file.path()).unwrap();
    let (events, _) = drain(&mut reader);
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    assert_eq!(events[4].kind, Kind::Lost { events: 1, why: "damaged".into() });
    assert_eq!(reader.header().program, "test");
}
