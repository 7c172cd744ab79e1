//! What the fuzz targets have found worth keeping, replayed: nothing panics, hangs or takes memory without bound.
#![cfg(target_os = "linux")]

#[path = "corpus/check.rs"]
mod check;

/// The files of a target's corpus.
fn corpus(target: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 10, "{}: hardly a file", folder.display());
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn replay(target: &str, check: fn(&[u8])) {
    for (path, bytes) in corpus(target) {
        eprintln!("{}", path.display()); // shown if it fails
        check(&bytes);
    }
}

/// Each target's corpus is replayed by a plain test: here, and that of `binary` in `frames.rs`.
#[test]
fn each_fuzz_target_has_a_corpus_that_is_replayed() {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| {
        let entries = std::fs::read_dir(manifest.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<_> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.retain(|name| name != "check"); // what they share
        names.sort();
        names
    };
    assert_eq!(names("fuzz/targets"), ["binary", "line", "ring", "trace"], "a new target needs a test here");
    assert_eq!(names("tests/corpus"), names("fuzz/targets"));
}

#[test]
fn lines_of_a_trace() {
    replay("line", check::line);
}

#[test]
fn traces() {
    replay("trace", check::trace);
}

#[test]
fn rings() {
    replay("ring", check::ring);
}
