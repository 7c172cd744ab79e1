//! The examples, run as programs. Their output is compared with that of coreutils.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Its own tests run here: `cargo test` either tests an example or builds it, and the others need it built.
#[allow(dead_code, reason = "only what its tests use")]
#[path = "../examples/verify.rs"]
mod verify_itself;

/// The built example: next to this test, where cargo puts it.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let target = test.ancestors().nth(2).expect("tests are two folders below");
    let program = target.join("examples").join(name);
    assert!(program.exists(), "{} is not built: run `cargo build --examples` with the same profile", program.display());
    program
}

fn folder(files: &[(&[u8], &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        let path = folder.path().join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// Runs a program in a folder, with nothing on stdin.
fn run<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = A>, folder: &Path) -> Output {
    Command::new(program)
        .args(args)
        .current_dir(folder)
        .env_remove("TINYIO_INSPECT")
        .env_remove("TINYIO_TRACE")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn shell(script: &str, folder: &Path) -> Vec<u8> {
    let output = run("sh", ["-c", script], folder);
    assert!(output.status.success(), "{script}: {}", text(&output.stderr));
    output.stdout
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Its stdout; it must succeed and write nothing to stderr.
fn fine(output: Output) -> Vec<u8> {
    assert!(output.status.success() && output.stderr.is_empty(), "{}: {}", output.status, text(&output.stderr));
    output.stdout
}

/// Its stderr; it must fail, without a signal.
fn failed(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    text(&output.stderr)
}

mod dedup {
    use super::*;

    fn dedup(folder: &Path, paths: &[&str]) -> Output {
        run(example("dedup"), paths, folder)
    }

    /// Sum and name of each line that is no comment.
    fn lines(stdout: &[u8]) -> BTreeSet<(Vec<u8>, Vec<u8>)> {
        let lines = stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        let parts = lines.map(|line| match line.strip_prefix(b"\\") {
            None => (line[..64].to_vec(), line[66..].to_vec()),
            // The order keeps an escaped backslash from becoming part of another escape: no name here has a zero byte.
            Some(line) => {
                let name = text(&line[66..])
                    .replace(r"\\", "\0")
                    .replace(r"\n", "\n")
                    .replace(r"\r", "\r")
                    .replace('\0', r"\");
                (line[..64].to_vec(), name.into_bytes())
            }
        });
        parts.collect()
    }

    fn by_sha256sum(folder: &Path) -> BTreeSet<(Vec<u8>, Vec<u8>)> {
        let listed = shell("find . -type f -print0 | xargs -0 -r sha256sum -z | sort -z | uniq -z -w64 -D", folder);
        let lines = listed.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        lines.map(|line| (line[..64].to_vec(), line[66..].to_vec())).collect()
    }

    fn agrees(folder: &Path) -> usize {
        let expected = by_sha256sum(folder);
        assert_eq!(lines(&fine(dedup(folder, &[]))), expected);
        expected.len()
    }

    #[test]
    fn agrees_with_sha256sum_about_odd_names_and_kinds_of_files() {
        let folder = folder(&[
            (b"a", b"same"),
            (b"below/b c", b"same"),
            (b"below/deeper/d\ne", b"same"),
            (br"back\slash\n", b"same"),
            (b"carriage\rreturn", b"same"),
            (b" lead and trail ", b"same"),
            (b"-dash", b"same"),
            (b"*star", b"same"),
            (b"#hash", b"same"),
            (b"\xff\xfe", b"same"),
            (b"other", b"emas"),
            (b"alone", b"no other has this"),
            (b"empty 1", b""),
            (b"empty 2", b""),
        ]);
        let at = |name: &str| folder.path().join(name);
        fs::hard_link(at("alone"), at("not so alone")).unwrap();
        std::os::unix::fs::symlink(at("other"), at("link to a file")).unwrap();
        std::os::unix::fs::symlink(at("below"), at("link to a folder")).unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("dangling link")).unwrap();
        fs::create_dir(at("empty folder")).unwrap();
        shell("mkfifo pipe", folder.path());
        assert_eq!(agrees(folder.path()), 14);
    }

    #[test]
    fn agrees_with_sha256sum_about_files_that_differ_late() {
        let mut files = Vec::new();
        for len in [1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000] {
            let mut content = vec![b'x'; len];
            files.push((format!("{len} one"), content.clone()));
            files.push((format!("{len} two"), content.clone()));
            *content.last_mut().unwrap() = b'y';
            files.push((format!("{len} differs"), content));
        }
        let files: Vec<_> = files.iter().map(|(name, content)| (name.as_bytes(), content.as_slice())).collect();
        assert_eq!(agrees(folder(&files).path()), 16);
    }

    #[test]
    fn agrees_with_sha256sum_about_the_sources_of_this_crate() {
        agrees(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    }

    #[test]
    fn an_empty_folder_has_no_groups() {
        let stdout = fine(dedup(folder(&[]).path(), &[]));
        assert_eq!(text(&stdout), "# 0 groups, 0 files; 0 B could be saved\n");
    }

    #[test]
    fn groups_and_totals_are_printed_and_hard_links_waste_nothing() {
        let folder = folder(&[(b"a", b"12345"), (b"b", b"12345"), (b"c", b"12345"), (b"d", b"1234567")]);
        fs::hard_link(folder.path().join("d"), folder.path().join("e")).unwrap();
        let stdout = text(&fine(dedup(folder.path(), &[])));
        let five = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5";
        let seven = "8bb0cf6eb9b17d0f7d22b456f121257dc1254e1f01665370476383ea776df414";
        let expected = format!(
            "# 2 files of 7 B\n{seven}  ./d\n{seven}  ./e\n\n# 3 files of 5 B\n{five}  ./a\n{five}  ./b\n{five}  ./c\n\n\
             # 2 groups, 5 files; 10 B could be saved\n"
        );
        assert_eq!(stdout, expected);
    }

    #[test]
    fn what_several_paths_reach_counts_once() {
        let folder = folder(&[(b"in/a", b"x"), (b"in/b/c", b"x"), (b"out/d", b"x")]);
        std::os::unix::fs::symlink("in", folder.path().join("link")).unwrap();
        let stdout = fine(dedup(folder.path(), &["in/b", "in", "./in", "in/a", "link"]));
        assert_eq!(lines(&stdout).len(), 2, "{}", text(&stdout));
        let stdout = fine(dedup(folder.path(), &["link/", "out/d"]));
        assert_eq!(lines(&stdout).len(), 3, "{}", text(&stdout));
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        let folder = folder(&[(b"a", b"x"), (b"b", b"x")]);
        let stderr = failed(dedup(folder.path(), &[".", "no/such"]));
        assert!(stderr.contains("cannot search no/such") && stderr.contains("No such file or directory"), "{stderr}");
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_noted_and_left_out() {
        let folder = folder(&[(b"a", b"x"), (b"b", b"x")]);
        // Its path is too long: not even root can read it.
        let long = |name: &str| folder.path().join([name; 9].join("/"));
        let (upper, lower) = (long(&"u".repeat(250)), long(&"l".repeat(250)));
        fs::create_dir_all(&upper).unwrap();
        fs::create_dir_all(&lower).unwrap();
        fs::rename(folder.path().join("l".repeat(250)), upper.join("l")).unwrap();
        let output = dedup(folder.path(), &[]);
        let stderr = text(&output.stderr);
        assert!(stderr.starts_with("dedup: left out ./uuu") && stderr.contains("File name too long"), "{stderr}");
        assert!(output.status.success());
        assert_eq!(lines(&output.stdout).len(), 2);
    }

    #[test]
    fn open_files_are_bounded() {
        let folder = TempDir::new().unwrap();
        for i in 0..300 {
            let below = folder.path().join(format!("{}/{i}", i % 3));
            fs::create_dir_all(&below).unwrap();
            fs::write(below.join("file"), vec![b'x'; 10_000]).unwrap();
        }
        let script = r#"ulimit -n 24 && exec "$0""#;
        let stdout =
            fine(run("sh", [OsStr::new("-c"), OsStr::new(script), example("dedup").as_os_str()], folder.path()));
        assert_eq!(lines(&stdout).len(), 300);
    }

    #[test]
    fn a_closed_output_is_no_error() {
        let folder = folder(&[(b"a", b"x"), (b"b", b"x")]);
        let mut child = Command::new(example("dedup"))
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        fine(child.wait_with_output().unwrap());
    }
}

mod verify {
    use super::*;

    fn verify(folder: &Path, manifest: &[u8]) -> Output {
        fs::write(folder.join("manifest"), manifest).unwrap();
        run(example("verify"), ["manifest"], folder)
    }

    fn odd_names() -> TempDir {
        folder(&[
            (b"a", b"1"),
            (b"b c", b"2"),
            (b"d\ne", b"3"),
            (br"f\g\n", b"4"),
            (b"h\r", b"5"),
            (b" i ", b"6"),
            (b"*j", b"7"),
            (b"k) = (l", b"8"),
            (b"\xff", b""),
            (b"m/n", b"10"),
        ])
    }

    const ALL: &str = "find . -type f ! -name manifest -printf '%P\\0' | xargs -0 sha256sum ";

    /// What it prints for `odd_names` with a manifest made by `sha256sum` and changed by `change`.
    fn accepts(options: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
        let folder = odd_names();
        let manifest = change(shell(&format!("{ALL}{options}"), folder.path()));
        let stdout = text(&fine(verify(folder.path(), &manifest)));
        assert_eq!(stdout, "manifest: 10 files of 10 B together are as they should be\n");
    }

    #[test]
    fn text_mode_manifests_are_read() {
        accepts("--text", |manifest| manifest);
    }

    #[test]
    fn binary_mode_manifests_are_read() {
        accepts("--binary", |manifest| manifest);
    }

    #[test]
    fn tagged_manifests_are_read() {
        accepts("--tag", |manifest| manifest);
    }

    #[test]
    fn lines_may_end_like_on_windows_and_the_last_one_need_not() {
        accepts("", |manifest| {
            let lines: Vec<_> = manifest.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect();
            lines.join(&b"\r\n"[..])
        });
    }

    #[test]
    fn comments_and_empty_lines_and_upper_case_sums_are_read() {
        let folder = folder(&[(b"a", b"1")]);
        let sum = "6B86B273FF34FCE19D6B804EFF5A3F5747ADA4EAA22F1D49C01E52DDB7875B4B";
        fine(verify(folder.path(), format!("# a comment\n\n \t{sum}  a\n\r\n").as_bytes()));
    }

    #[test]
    fn a_manifest_is_read_from_stdin() {
        let folder = odd_names();
        let script = OsString::from_vec([ALL.as_bytes(), br#"| "$0" -"#].concat());
        let stdout = fine(run("sh", [OsStr::new("-c"), &script, example("verify").as_os_str()], folder.path()));
        assert!(text(&stdout).starts_with("-: 10 files"));
    }

    #[test]
    fn what_dedup_prints_is_a_manifest() {
        let folder = odd_names();
        fs::write(folder.path().join("d\ne 2"), b"3").unwrap();
        fs::write(folder.path().join("a 2"), b"1").unwrap();
        let printed = fine(run(example("dedup"), ["."], folder.path()));
        let stdout = text(&fine(verify(folder.path(), &printed)));
        assert!(stdout.contains(" 4 files"), "{stdout}");
    }

    #[test]
    fn one_corrupted_entry_among_a_thousand_is_named_with_both_sums_and_what_the_others_were_at() {
        let folder = TempDir::new().unwrap();
        for i in 0..1000 {
            fs::write(folder.path().join(format!("file {i}")), format!("content {i}")).unwrap();
        }
        let manifest = text(&shell(ALL, folder.path()));
        fs::write(folder.path().join("file 777"), "changed").unwrap();
        let stderr = failed(verify(folder.path(), manifest.as_bytes()));
        let expected = &manifest.lines().find(|line| line.ends_with("file 777")).unwrap()[..64];
        let found = text(&shell("sha256sum < 'file 777' | head -c 64", folder.path()));
        assert!(stderr.contains(&format!("file 777: expected the sum {expected}, found {found}")), "{stderr}");
        assert!(stderr.contains("⊘ verify::check_all ×31: cancelled"), "{stderr}");
        assert!(stderr.contains("⊘ verify::common::progress::Progress::tick: cancelled"), "{stderr}");
    }

    #[test]
    fn a_mismatch_stops_threads_that_would_never_end() {
        let folder = folder(&[(b"a", b"1")]);
        let sum = "0".repeat(64);
        let stderr = failed(verify(folder.path(), format!("{sum}  /dev/zero\n{sum}  a\n").as_bytes()));
        assert!(stderr.contains("a: expected the sum 0000"), "{stderr}");
    }

    #[test]
    fn a_missing_file_is_named_with_its_line() {
        let folder = folder(&[(b"a", b"1")]);
        let sums = text(&shell("sha256sum a", folder.path()));
        let stderr =
            failed(verify(folder.path(), format!("# first\n{sums}{}", sums.replace("  a", "  no such")).as_bytes()));
        assert!(stderr.contains("manifest:3: cannot read no such"), "{stderr}");
        assert!(stderr.contains("No such file or directory"), "{stderr}");
    }

    #[test]
    fn a_folder_in_a_manifest_is_an_error() {
        let folder = folder(&[(b"a/b", b"1")]);
        let stderr = failed(verify(folder.path(), format!("{}  a\n", "0".repeat(64)).as_bytes()));
        assert!(stderr.contains("manifest:1: cannot read a") && stderr.contains("Is a directory"), "{stderr}");
    }

    #[test]
    fn bad_lines_are_named_with_file_and_line() {
        let sum = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
        for (line, why) in [
            ("nonsense".to_owned(), "expected a sum of 64 hexadecimal digits, two spaces and a file name"),
            (format!("{sum}a"), "expected a sum of 64"),
            (format!("{sum}\u{a0}a"), "expected a sum of 64"),
            (sum.to_owned(), "no file name"),
            (format!("{sum}  "), "no file name"),
            (format!("{}  a", &sum[1..]), "a sum of 63 hexadecimal digits; a SHA-256 sum has 64"),
            (format!("{sum}0  a"), "a sum of 65"),
            (format!("SHA256 (a) = {}", &sum[..32]), "a sum of 32"),
            (format!("SHA256 (a) {sum}"), "expected a sum of 64"),
            (format!("SHA256 (a = {sum}"), "expected a sum of 64"),
            ("MD5 (a) = 123".to_owned(), "a sum of the kind MD5"),
            (format!(r"\{sum}  a\b"), "a line that begins with a backslash"),
            (format!(r"\{sum}  a\"), "a line that begins with a backslash"),
            (format!("{sum}  a\0"), "a zero byte"),
        ] {
            let folder = folder(&[(b"a", b"1")]);
            let stderr = failed(verify(folder.path(), format!("{sum}  a\n\n{line}\n").as_bytes()));
            assert!(stderr.contains("manifest:3: ") && stderr.contains(why), "{line}: {stderr}");
        }
    }

    #[test]
    fn a_manifest_without_sums_or_that_is_not_there_is_an_error() {
        let folder = folder(&[]);
        let stderr = failed(verify(folder.path(), b"# nothing\n"));
        assert!(stderr.contains("manifest: no sums in it"), "{stderr}");
        let stderr = failed(run(example("verify"), ["no such"], folder.path()));
        assert!(stderr.contains("cannot read the manifest no such") && stderr.contains("No such file"), "{stderr}");
    }

    #[test]
    fn open_files_are_bounded() {
        let folder = TempDir::new().unwrap();
        for i in 0..300 {
            fs::write(folder.path().join(i.to_string()), vec![b'x'; 100_000]).unwrap();
        }
        let manifest = shell(ALL, folder.path());
        fs::write(folder.path().join("manifest"), manifest).unwrap();
        let script = r#"ulimit -n 24 && exec "$0" manifest"#;
        fine(run("sh", [OsStr::new("-c"), OsStr::new(script), example("verify").as_os_str()], folder.path()));
    }
}
