//! Core files of the programs, and damaged ones.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tinyio_frames::Limits;
use tinyio_tasks::{Options, take, take_core};

use super::damage::{WHOLE, core, of_input};
use super::program::{Program, build, folder};
use super::{counts, function, is_settled};

/// Says on the terminal, where a test that passes prints nothing, that this one has tested nothing.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "core files are not tested: {why}");
}

fn options() -> Options {
    Options { limits: Some(Limits { source: 0, ..Limits::default() }), ..Options::default() }
}

#[test]
fn a_core_file_has_the_tasks_and_holders_that_the_program_had() {
    let program = Program::start("dev", "multi", 100);
    program.tasks_when(is_settled);
    let Some(path) = core(&program, "whole") else { return skipped("gcore, which comes with gdb, is not installed") };
    let picture = take_core(&path, &options()).expect("a picture");
    assert_eq!((counts(&picture), picture.pid), (program.started.clone(), program.pid()));
    assert!(is_settled(&picture));
    let held: Vec<&str> = picture.tasks.iter().filter(|task| !task.holds.is_empty()).map(function).collect();
    assert_eq!(held, ["holder"]);
    let sleeper = picture.tasks.iter().find(|task| function(task) == "sleeper").expect("one");
    let label = sleeper.stack.frames[0].locals.iter().find(|local| local.name == "label").expect("a label");
    assert_eq!((&*label.value.text, &*label.mark), ("\"sleeper 0\"", ""));
    // The time of the clock at that moment is not known.
    assert_eq!(sleeper.waits_on[0].text, "a timer");

    let file = File::options().write(true).open(&path).expect("a core file");
    let length = file.metadata().expect("a length").len();
    // Cut anywhere, it gives a sentence or fewer tasks.
    for part in [length - 30_000, length / 3, 1000, 64, 10, 0] {
        file.set_len(part).expect("it can be cut");
        match take_core(&path, &options()) {
            Ok(picture) => assert!(picture.tasks.len() <= program.started.values().sum()),
            Err(why) => assert!(!why.is_empty() && !why.contains('\n'), "{why}"),
        }
    }
    std::fs::remove_file(&path).expect("it was there");
}

#[test]
fn a_core_file_of_a_stripped_program_that_is_gone_is_read_by_what_a_folder_has() {
    let folder = folder().join(format!("stripped-{}", std::process::id()));
    let (stripped, elsewhere) = (folder.join("stripped"), folder.join("elsewhere"));
    let objcopy = |how: &str, to: &Path| {
        let done = Command::new("objcopy").arg(how).arg(build("dev")).arg(to).status();
        assert!(done.expect("objcopy comes with the linker").success());
    };
    std::fs::create_dir_all(&elsewhere).expect("it can be made");
    objcopy("--strip-all", &stripped);
    objcopy("--only-keep-debug", &elsewhere.join("any.debug"));
    let with = |folder: &Path| Options { debug_folders: vec![folder.to_owned()], ..options() };
    let program = Program::start_binary(&stripped, "multi", 100);
    let started = program.started.clone();
    let live = || take(program.pid(), &with(&elsewhere)).expect("a picture");
    while !is_settled(&live()) {}
    assert_eq!(counts(&live()), started);
    let Some(path) = core(&program, "stripped") else {
        return skipped("gcore, which comes with gdb, is not installed");
    };
    drop(program);
    assert_eq!(counts(&take_core(&path, &with(&elsewhere)).expect("a picture")), started);
    // Without the program the memory of its file that is not in the core file is missing, but not the tasks.
    std::fs::rename(&stripped, folder.join("other")).expect("it can be renamed");
    assert_eq!(counts(&take_core(&path, &with(&elsewhere)).expect("a picture")), started);
    let why = take_core(&path, &options()).expect_err("nothing says what it was");
    assert!(why.contains("cannot be opened") && why.contains("`--debug-dir`"), "{why}");
    std::fs::remove_file(&path).expect("it was there");
    std::fs::remove_dir_all(&folder).expect("it was there");
}

/// Runs a test of this file in a process of its own, which may have that much memory. `true` in that process.
fn within(mib: u64, test: &str) -> bool {
    const CHILD: &str = "TINYIO_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let limited = format!("ulimit -v {} && exec \"$0\" --exact {test} --nocapture", mib << 10);
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).arg(std::env::current_exe().expect("this program")).env(CHILD, "1");
    assert!(command.status().expect("it runs").success(), "more memory than {mib} MiB, or a panic: see above");
    false
}

#[test]
fn damaged_core_files_are_read_without_a_panic_and_within_bounds() {
    if !within(1536, "core::damaged_core_files_are_read_without_a_panic_and_within_bounds") {
        return;
    }
    if WHOLE.is_none() {
        skipped("gcore, which comes with gdb, is not installed");
    }
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/core");
    let files: Vec<PathBuf> =
        std::fs::read_dir(&corpus).expect("a corpus").map(|file| file.expect("a file").path()).collect();
    assert!(files.len() > 10, "hardly a file");
    for file in files {
        eprintln!("{}", file.display()); // shown if it fails
        of_input(&std::fs::read(&file).expect("bytes"));
    }
    // And others each time the seed is another one.
    let mut seed = std::env::var("TASKS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    let mut byte = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as u8
    };
    let rounds = std::env::var("TASKS_DAMAGES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    for round in 0..rounds {
        let damages: Vec<u8> = (0..12 * (1 + round % 6)).map(|_| byte()).collect();
        eprintln!("{damages:?}");
        of_input(&[b"D", &damages[..]].concat());
    }
}

#[test]
fn files_of_a_core_file_that_are_no_files_are_not_opened() {
    let name = std::ffi::CString::new(
        folder().join(format!("pipe-{}", std::process::id())).into_os_string().into_encoded_bytes(),
    )
    .expect("a path");
    nix::unistd::mkfifo(name.as_c_str(), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    // A note of one mapping, which is that of the pipe: opening it would wait for a writer.
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let content = [words(&[1, 4096, 0x1000, 0x2000, 0]), name.as_bytes_with_nul().to_vec()].concat();
    let sizes: Vec<u8> =
        [5, content.len() as u32, 0x4649_4c45].iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    let note = [sizes, b"CORE\0\0\0\0".to_vec(), content].concat();
    let mut core = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[4, 0, 62, 0, 1, 0, 0, 0]].concat();
    core.extend(words(&[0, 64, 0]));
    core.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    core.extend([4, 0, 0, 0, 4, 0, 0, 0]);
    core.extend(words(&[120, 0, 0, note.len() as u64, 0, 4]));
    core.extend(note);
    let path = folder().join(format!("piped-core-{}", std::process::id()));
    std::fs::write(&path, core).expect("it can be written");
    let why = take_core(&path, &Options::default()).expect_err("no file is mapped");
    assert!(why.contains("does not say which files were mapped"), "{why}");
    std::fs::remove_file(&path).expect("it was there");
    std::fs::remove_file(name.to_str().expect("text")).expect("it was there");
}

#[test]
fn what_is_no_core_file_is_reported_as_none() {
    for path in ["/dev/null", env!("CARGO_MANIFEST_DIR"), concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "/none"] {
        let why = take_core(path.as_ref(), &Options::default()).expect_err("no core file");
        assert!(why.starts_with(path), "{why}");
    }
    let program = std::env::current_exe().expect("this program");
    let why = take_core(&program, &Options::default()).expect_err("no core file");
    assert!(why.ends_with("give a process id or a core file"), "{why}");
}
