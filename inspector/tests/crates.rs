//! The statements of ARCHITECTURE.md about the crates are true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates of the inspector that a manifest has in this section.
fn dependencies(manifest: &Path, section: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest).unwrap_or_else(|error| panic!("{}: {error}", manifest.display()));
    let lines = text.lines().skip_while(|line| *line != section).skip(1).take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| name.starts_with("tinyio")).map(str::to_owned).collect()
}

#[test]
fn crates_depend_along_the_arrows_of_the_architecture() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let (_, table) = text.split_once("<!-- crates").expect("the table of crates");
    let rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let mut listed = BTreeMap::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, folder, _, on] = cells[..] else { panic!("a row of four cells, not {row}") };
        let on = on.split('`').skip(1).step_by(2).filter(|name| name.starts_with("tinyio")).map(str::to_owned);
        listed.insert(folder.trim_matches('`').to_owned(), (name.trim_matches('`').to_owned(), on.collect()));
    }
    let folders = fs::read_dir(root().join("inspector")).expect("the inspector").map(|entry| entry.expect("an entry"));
    let folders = folders.filter(|entry| entry.path().join("src").is_dir() && entry.path().join("Cargo.toml").exists());
    let folders = folders.map(|entry| format!("inspector/{}/", entry.file_name().to_str().expect("ASCII")));
    let found = folders.chain(["inspector/".to_owned()]).map(|folder| {
        let manifest = root().join(&folder).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).expect("a manifest");
        let name = text.lines().find_map(|line| line.strip_prefix("name = ")).expect("a name").trim_matches('"');
        // What exists on Linux only has a section of its own.
        let mut on = dependencies(&manifest, "[dependencies]");
        on.extend(dependencies(&manifest, "[target.'cfg(target_os = \"linux\")'.dependencies]"));
        (folder, (name.to_owned(), on))
    });
    let found: BTreeMap<String, (String, BTreeSet<String>)> = found.collect();
    assert_eq!(found, listed, "the manifests (left) and the table in ARCHITECTURE.md (right)");
}

#[test]
fn a_recorded_program_compiles_no_lint_no_export_and_no_screen() {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}|{f}"]);
    tree.args(["--package", "tinyio-rt", "--features", "record"]);
    let output = tree.current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let mut crates = BTreeMap::new();
    for line in text.lines() {
        let (package, features) = line.split_once('|').expect("a package and its features");
        let name = package.split(' ').next().expect("a name");
        crates.insert(name.to_owned(), features.trim_end_matches(" (*)").to_owned());
    }
    let ours: Vec<(&str, &str)> = crates
        .iter()
        .filter(|(name, _)| name.starts_with("tinyio-") && *name != "tinyio-rt")
        .map(|(name, features)| (name.as_str(), features.as_str()))
        .collect();
    // Lints, trees and waits are the feature `analysis` of the model; exports and screens are in `tinyio-inspector`.
    assert_eq!(ours, [("tinyio-events", ""), ("tinyio-frames", ""), ("tinyio-model", ""), ("tinyio-recorder", "")]);
    for terminal in ["ratatui", "crossterm", "clap"] {
        assert!(!crates.contains_key(terminal), "{terminal}");
    }
}

/// The lines of the code in a folder, without tests, each after its file.
fn code(folder: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("ASCII");
        if path.is_dir() {
            code(&path, lines);
        } else if name.ends_with(".rs") && !["tests.rs", "test_script.rs"].contains(&name) {
            let text = fs::read_to_string(&path).expect("text");
            let code = text.split("mod tests {").next().expect("a beginning").to_owned();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            lines.extend(code.map(|line| format!("{name}: {}", line.trim())));
        }
    }
}

#[test]
fn the_model_does_no_input_or_output() {
    let mut lines = Vec::new();
    code(&root().join("inspector/model/src"), &mut lines);
    assert!(lines.len() > 1000, "the sources were found");
    let does_io =
        ["fs::", "File::", "net::", "env::", "process::", "std::thread", "stdout", "stderr", "stdin", "print!"];
    let does_io = |line: &&String| does_io.iter().any(|word| line.contains(word)) || line.contains("println!");
    let found: Vec<&String> = lines.iter().filter(does_io).collect();
    assert_eq!(found, [""; 0]);
}
