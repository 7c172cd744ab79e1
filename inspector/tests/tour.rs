//! Types the commands and keys of pages in docs/ and compares the results with the page.

mod session;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use session::Session;
use tinyio_inspector::discover::{self, State};

const PROMPT: &str = "tour> ";

/// A block of the page.
#[derive(Debug, PartialEq)]
enum Block {
    /// Lines for the shell.
    Sh(Vec<String>),
    /// Keys.
    Keys(Vec<String>),
    /// What is to be seen, in any order.
    Shows(Vec<String>),
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn blocks(name: &str) -> Vec<Block> {
    let page = std::fs::read_to_string(root().join("docs").join(name)).expect("the page");
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let inside: Vec<String> = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
        blocks.push(match kind {
            "sh" => Block::Sh(inside),
            "keys" => Block::Keys(inside.iter().flat_map(|line| line.split(' ')).map(str::to_owned).collect()),
            "shows" => Block::Shows(inside),
            other => panic!("docs/{name}: a block of {other:?}: expected sh, keys or shows"),
        });
    }
    blocks
}

/// The folders that `PATH=$PWD/target/debug:…` of the pages means, wherever the target is. What is missing there is
/// built by `cargo build` with these arguments.
fn programs(program: &str, build: &[&str]) -> [PathBuf; 2] {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_tinyio-inspector"));
    let debug = own.parent().expect("a folder").to_owned();
    let examples = debug.join("examples");
    if !debug.join(program).exists() && !examples.join(program).exists() {
        let built = Command::new(env!("CARGO")).arg("build").args(build).current_dir(root()).status();
        assert!(built.expect("cargo").success());
    }
    [debug, examples]
}

fn bytes(key: &str) -> String {
    match key {
        "enter" => "\r".into(),
        "esc" => "\u{1b}".into(),
        "space" => " ".into(),
        "tab" => "\t".into(),
        "ctrl-c" => "\u{3}".into(),
        one if one.chars().count() == 1 => one.to_owned(),
        other => panic!("the key {other:?} is unknown here"),
    }
}

/// Waits until a program that was started without a screen has done something.
fn wait_for_recording(folder: &Path) {
    let end = Instant::now() + Duration::from_secs(60);
    let recorded = || {
        let rings = discover::rings_in(folder).unwrap_or_default();
        rings.iter().any(|ring| ring.state == State::Living && ring.events > 100)
    };
    while !recorded() {
        assert!(Instant::now() < end, "nothing is recorded in {}", folder.display());
        std::thread::yield_now();
    }
}

#[test]
fn the_tour_shows_what_its_page_has() {
    play("TOUR.md", ("tour", &["--example", "tour"]), 30);
}

#[test]
fn the_bugs_of_the_link_checker_are_found_as_its_page_has_it() {
    play("FIND-THE-BUG.md", ("linkcheck", &["--package", "linkcheck"]), 12);
}

/// Types a page, and compares at least so many lines. The program that it is about is built by `cargo build` with these
/// arguments if need be.
fn play(page: &str, (program, package): (&str, &[&str]), least: usize) {
    let mut blocks = blocks(page).into_iter();
    let build =
        ["cargo build --workspace --examples --bins", "PATH=$PWD/target/debug:$PWD/target/debug/examples:$PATH"];
    assert_eq!(blocks.next(), Some(Block::Sh(build.map(str::to_owned).to_vec())), "the test does this in its own way");
    let [debug, examples] = programs(program, package);

    let folder = tempfile::tempdir().unwrap();
    // As in the clone, but what is written goes elsewhere.
    std::os::unix::fs::symlink(root().join("examples").canonicalize().unwrap(), folder.path().join("examples"))
        .unwrap();
    let mut shell = CommandBuilder::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    shell.cwd(folder.path());
    shell.env("PS1", PROMPT);
    let path = std::env::var("PATH").unwrap_or_default();
    shell.env("PATH", format!("{}:{}:{path}", debug.display(), examples.display()));
    // As high as the report of a crash is long, for what has gone by is not compared.
    let mut session = Session::of(shell, folder, (120, 80));

    let mut shown = 0;
    for block in blocks {
        match block {
            Block::Sh(lines) => {
                for line in lines {
                    session.wait("prompt", |screen| {
                        let row = screen.cursor_position().0;
                        let text = screen.rows(0, screen.size().1).nth(usize::from(row)).unwrap_or_default();
                        !screen.alternate_screen() && text.trim_end() == PROMPT.trim_end()
                    });
                    session.press(&format!("clear; {line}\r"));
                    if line.ends_with('&') {
                        wait_for_recording(&session.folder.path().join("tinyio"));
                    }
                }
            }
            Block::Keys(keys) => {
                for key in keys {
                    if key == "esc" {
                        session.wait_for("esc back");
                    }
                    session.press(&bytes(&key));
                    if key == "esc" {
                        // With another right behind it, it would be Alt and that.
                        session.wait("closed page", |screen| !screen.contents().contains("esc back"));
                    }
                }
            }
            Block::Shows(parts) => {
                for part in parts {
                    session.wait_for(&part);
                    shown += 1;
                }
            }
        }
    }
    assert!(shown > least, "hardly anything was compared");
    session.end();
}
