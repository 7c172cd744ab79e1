//! Measures reading await stacks of a debug build of about 100 MB: the first frame, the next one of a known type, and a
//! crash of very many coroutines.
//!
//! `cargo bench -p tinyio-frames --bench frames`; builds that program first, which takes a minute.

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "it is formatted, which reads all of it")]
#[path = "frames-program/src/locals.rs"]
mod locals;
#[cfg(target_os = "linux")]
mod measure;

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("frames are read on Linux only");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::hint::black_box;
    use std::io::{BufRead, BufReader};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use tinyio_events::event::Stack;
    use tinyio_frames::{Frames, FutureType};

    use crate::locals::Item;
    use crate::measure::{self, median, ms, row};

    /// Types of coroutines in the program.
    const TYPES: usize = 20;

    pub fn main() {
        let plain = build("dev");
        let size = std::fs::metadata(&plain).map_or(0, |file| file.len());
        println!("debug build of {} MB, {TYPES} types of coroutines, each three deep", size / 1_000_000);
        outside(&plain);
        inside("crash, the reader not optimised", &plain);
        inside("crash, the reader optimised", &build("reader"));
    }

    /// Looks at the program from outside.
    fn outside(program: &Path) {
        let program = Program::start(program, 1_000);
        let first = median(5, || {
            let begin = Instant::now();
            let stack = program.frames(0, &mut Frames::of_process(program.child.id()));
            check(&stack);
            ms(begin)
        });
        row("first frame", first, "ms", "300");
        let mut frames = Frames::of_process(program.child.id());
        check(&program.frames(0, &mut frames));
        let begin = Instant::now();
        for at in 0..program.futures.len() {
            check(&program.frames(at, &mut frames));
        }
        row("999 more, of 20 types", ms(begin), "ms", "300");
        let begin = Instant::now();
        for at in 0..program.futures.len() {
            check(&program.frames(at, &mut frames));
        }
        row("1,000 of known types", ms(begin), "ms", "");
        let next = median(9, || {
            let begin = Instant::now();
            for _ in 0..100 {
                black_box(program.frames(0, &mut frames));
            }
            ms(begin) * 10.0
        });
        let printed = median(9, || {
            let (item, name, n) = (Item::number(0), "coroutine 0".to_owned(), 0_u64);
            let begin = Instant::now();
            for _ in 0..100 {
                black_box(format!("{:?} {:?} {:?}", black_box(&item), black_box(&name), black_box(n)));
            }
            ms(begin) * 10.0
        });
        row("next of a known type", next, "µs", "20");
        row("  to format its locals", printed, "µs", "");
        row("  ratio", next / printed, "", "200");
    }

    /// Has the program crash by itself.
    fn inside(what: &str, program: &Path) {
        println!("{what}:");
        let crash = |count: u64, record: bool| {
            median(5, || {
                let mut command = Command::new(program);
                command.args(["crash", &count.to_string()]).env_remove("TINYIO_TRACE").env_remove("TINYIO_INSPECT");
                if record {
                    command.env("TINYIO_INSPECT", "record").env("TINYIO_RING", "1G");
                }
                let output = command.output().expect("the program runs");
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8_lossy(&output.stdout).trim().parse::<f64>().expect("a number") / 1e3
            })
        };
        // The time that recording adds to the run.
        for (count, goal) in [(1, "120"), (10, "150"), (100, "200"), (1_000, "300"), (100_000, "")] {
            row(&format!("  of {count}"), crash(count, true) - crash(count, false), "ms", goal);
        }
    }

    /// What is measured has to be right, too.
    fn check(stack: &Stack) {
        assert!(stack.missing.is_none() && stack.frames.len() >= 4, "{stack:?}");
        let item = stack.frames[2].locals.iter().find(|local| local.name == "item").expect("a local");
        assert!(item.value.text.starts_with("Item { name: \"item ") && item.mark.is_empty(), "{item:?}");
    }

    /// The binary, built in a profile.
    fn build(profile: &str) -> PathBuf {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/frames-program");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("frames-program");
        measure::build(&package, &target, &["--profile", profile], None).join("frames-program")
    }

    /// The program, which has suspended its futures and waits.
    struct Program {
        child: Child,
        futures: Vec<(FutureType, usize)>,
    }

    impl Program {
        fn start(path: &Path, count: u64) -> Program {
            let mut command = Command::new(path);
            command.args(["stand", &count.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().expect("the program starts");
            let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
            let lines = lines.map(|line| line.expect("text")).take_while(|line| line != "ready");
            let futures = lines.map(|line| {
                let numbers: Vec<usize> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
                let &[function, drop, size, align, address] = &numbers[..] else { panic!("{line}") };
                (FutureType { function, drop, size, align, name: "" }, address)
            });
            Program { futures: futures.collect(), child }
        }

        fn frames(&self, at: usize, frames: &mut Frames) -> Stack {
            let (ty, address) = &self.futures[at];
            frames.stack(ty, *address)
        }
    }

    impl Drop for Program {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
