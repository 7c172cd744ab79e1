//! Await stacks and locals of programs that know nothing of being looked at, built in several profiles.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "frames/program.rs"]
mod program;

use program::{Case, Program};

/// Compares every local a program speaks of with what is read from outside.
#[track_caller]
fn check(profile: &str, seeds: &[u64]) {
    let mut wrong = Vec::new();
    for &seed in seeds {
        let program = Program::start(profile, &[&seed.to_string()]);
        let mut frames = program.frames();
        for case in &program.cases {
            let stack = frames.stack(&case.ty, case.address);
            if let Some(missing) = &stack.missing {
                wrong.push(format!("{}: {missing}", case.name));
            }
            let locals = program::locals(&stack.frames);
            for (name, text, mark) in &case.expected {
                let read = locals.iter().filter(|local| &local.name == name);
                let right = |local: &&&event::Local| {
                    // Of an empty text in an enum nothing is read but the tag, moved or not: to say so is right, too.
                    let empty = text.ends_with("(\"\")") && local.mark == "may be moved";
                    (text.is_empty() || &local.value.text == text)
                        && (empty || mark.split('|').any(|mark| mark == local.mark))
                };
                if read.clone().any(|local| right(&local)) {
                    continue;
                }
                let read: Vec<_> = read.map(|local| (&local.value.text, &local.mark)).collect();
                wrong.push(format!("{} (seed {seed}): {name} is {text} {mark:?}, read as {read:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{profile}: {} wrong\n{}", wrong.len(), wrong.join("\n"));
}

use tinyio_inspector::event;

#[test]
fn locals_read_as_they_print_in_debug_builds() {
    check("dev", &[1, 2, 3]);
}

#[test]
fn locals_read_as_they_print_in_release_builds() {
    check("release", &[1, 2, 3]);
}

#[test]
fn locals_read_as_they_print_with_fat_lto() {
    check("fat", &[1, 2, 3]);
}

#[test]
fn locals_read_as_they_print_when_panics_abort() {
    check("abort", &[1, 2, 3]);
}

#[test]
fn stacks_show_functions_places_and_branches() {
    let program = Program::start("dev", &[]);
    let mut frames = program.frames();
    let mut shape = |name: &str| -> String {
        let case: &Case = program.case(name);
        program::shape(&frames.stack(&case.ty, case.address).frames)
    };
    insta(shape, program.cases.iter().map(|case| case.name.clone()).collect());
}

fn insta(mut shape: impl FnMut(&str) -> String, names: Vec<String>) {
    for name in names {
        eprintln!("== {name}\n{}", shape(&name));
    }
}
