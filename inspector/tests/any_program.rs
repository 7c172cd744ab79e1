//! docs/ANY-PROGRAM.md shows what the commands print of the program that it is about.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod stuck;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use stuck::Stuck;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a command prints of a program, and the exit code.
fn look(program: &Stuck, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"));
    let pid = program.pid().to_string();
    let output = command.args(arguments).arg(&pid).output().expect("the inspector runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).expect("text");
    (text.replace(&format!("process {pid}"), "process 4242"), output.status.code())
}

/// Names addresses by their order, and files by what follows the folder of their package.
fn normal(text: &str) -> Vec<String> {
    let mut addresses: HashMap<String, usize> = HashMap::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut out = String::new();
        let mut rest = line;
        while let Some(at) = rest.find("0x") {
            let end = rest[at + 2..].find(|c: char| !c.is_ascii_hexdigit()).map_or(rest.len(), |end| at + 2 + end);
            let next = addresses.len() + 1;
            let number = *addresses.entry(rest[at..end].to_owned()).or_insert(next);
            out += &rest[..at];
            out += &format!("<address {number}>");
            rest = &rest[end..];
        }
        out += rest;
        let words: Vec<String> = out.split(' ').map(short).collect();
        lines.push(words.join(" "));
    }
    lines
}

/// A path without the folders above its package, or of the program without those above it.
fn short(word: &str) -> String {
    if let Some((_, file)) = word.split_once("/registry/src/") {
        return file.split_once('/').map_or(file, |(_, file)| file).to_owned();
    }
    if let Some((_, file)) = word.split_once("/tasks-programs/src/check/") {
        return format!("src/{file}");
    }
    if word.starts_with('/') && word.ends_with("/check-programs") {
        return "check-programs".to_owned();
    }
    word.to_owned()
}

/// The outputs that the page shows of a command.
fn shown(page: &str, command: &str) -> String {
    let start = format!("```console\n$ tinyio-inspector {command} 4242\n");
    let (_, rest) = page.split_once(&start).unwrap_or_else(|| panic!("the page has no {command}"));
    rest.split_once("```").expect("an end").0.to_owned()
}

#[test]
fn the_page_about_any_program_shows_what_the_commands_print() {
    let page = fs::read_to_string(root().join("docs/ANY-PROGRAM.md")).expect("the page");
    let source = fs::read_to_string(stuck::folder().join("src/check/deadlock.rs")).expect("the program");
    let (_, listing) = page.split_once("```rust\n").expect("the program");
    for line in listing.split_once("```").expect("an end").0.lines().filter(|line| !line.is_empty()) {
        assert!(source.lines().any(|known| known == line), "{line}");
    }

    let program = Stuck::start();
    let (text, code) = look(&program, &["check"]);
    assert_eq!(code, Some(1), "something was found");
    assert_eq!(normal(&text), normal(&shown(&page, "check")), "{text}");

    let (text, code) = look(&program, &["tasks"]);
    assert_eq!(code, Some(0));
    let all = normal(&text);
    let mut from = 0;
    // Lines are left out where the page has an ellipsis, and its addresses are other ones there.
    for line in shown(&page, "tasks").lines().filter(|line| *line != "…") {
        let known = |line: &str| normal(line).remove(0).split("<address").next().expect("a part").trim_end().to_owned();
        let wanted = known(line);
        let found = all[from..].iter().position(|line| line.split("<address").next().unwrap().trim_end() == wanted);
        from += found.unwrap_or_else(|| panic!("{line} is not printed after what is shown before\n{text}")) + 1;
    }
}

#[test]
fn the_keys_of_pictures_on_the_page_are_those_of_the_screens() {
    let page = fs::read_to_string(root().join("docs/ANY-PROGRAM.md")).expect("the page");
    let (_, section) = page.split_once("## In the screens\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("the next one");
    let keymaps = tinyio_inspector::tui::keymaps();
    let of = |key: &str| {
        let everywhere = keymaps[0].bindings.iter().find(|binding| binding.keys.contains(&key));
        everywhere.unwrap_or_else(|| panic!("{key} is no key")).name
    };
    let keys = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    let names: Vec<&str> =
        keys.flat_map(|(keys, _)| keys.split(['`', ' ']).filter(|key| !key.is_empty())).map(of).collect();
    let marks = ["previous-error", "step-back", "next-error", "step-on"];
    assert_eq!(names, [&["next-picture", "each-second"][..], &marks, &["live"]].concat());
}

#[test]
fn a_program_without_tasks_is_no_finding_but_an_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyio-inspector"));
    let output = command.args(["check", "0"]).output().expect("the inspector runs");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(error, "tinyio-inspector: there is no process 0 here\n");
}
