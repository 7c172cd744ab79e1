//! Measures reading all tasks of a tokio program of about 100 MB that was not prepared: the first list, 10,000 and
//! 100,000 tasks with their stacks and locals, for how long the program is stopped, and the same from a core file.
//!
//! `cargo bench -p tinyio-tasks --bench tasks`; builds that program first, which takes a minute.

#[cfg(target_os = "linux")]
#[path = "../../frames/benches/measure/mod.rs"]
mod measure;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("tasks are read on Linux only");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{BufRead, BufReader};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use tinyio_events::event::Stack;
    use tinyio_tasks::{Options, Picture, Took, check, take, take_core};

    use crate::measure::{self, median, ms, row};

    pub fn main() {
        let program = build();
        let size = std::fs::metadata(&program).map_or(0, |file| file.len());
        println!("debug build of {} MB, 20 types of tasks, each three deep", size / 1_000_000);
        for (count, goal, stop) in [(100, "500", ""), (10_000, "1500", "20"), (100_000, "5000", "")] {
            let program = Program::start(&program, count);
            let (mut longest, mut last) = (0.0, None);
            let time = median(3, || {
                drop(last.take());
                let begin = Instant::now();
                let picture = take(program.0.id(), &Options::default()).expect("a picture");
                let took = ms(begin);
                is_true(&picture, count);
                longest = picture.stopped.expect("it was stopped").as_secs_f64().max(longest);
                last = Some(picture);
                took
            });
            println!("{count} tasks:");
            row("  picture, all stacks and locals", time, "ms", goal);
            row("  the program is stopped, at most", longest * 1e3, "ms", stop);
            let picture = last.take().expect("three");
            let Took { types, memory, search, stacks } = picture.took;
            let parts = [("types", types), ("memory", memory), ("search", search), ("stacks", stacks)];
            for (part, time) in parts {
                row(&format!("    {part}, in the last picture"), time.as_secs_f64() * 1e3, "ms", "");
            }
            let begin = Instant::now();
            assert!(check(&picture).expect("it was of one moment").findings.is_empty(), "nothing is wrong with it");
            row("  check", ms(begin), "ms", "");
            if count == 10_000 {
                match core_of(&program) {
                    Some(core) => row("  picture of its core file", of_core(&core, count), "ms", ""),
                    None => println!("  no core file: gcore, which comes with gdb, is not installed"),
                }
            }
        }
        row("memory of the reader, at most", peak_mb(), "MB", "");
    }

    /// What is measured has to be right, too.
    fn is_true(picture: &Picture, count: usize) {
        // That of `main`, and the function that waits for the end of the input, are beside them.
        assert_eq!(picture.tasks.len() + picture.left_out, count + 2, "{:?}", picture.notes);
        // Of very many tasks few values are read.
        let is_read = |stack: &Stack| has_item(stack) || count > 10_000 && stack.frames.len() >= 4;
        let read = picture.tasks.iter().filter(|task| is_read(&task.stack)).count();
        assert!(read * 10 >= picture.tasks.len() * 9, "{read} of {} stacks", picture.tasks.len());
    }

    fn has_item(stack: &Stack) -> bool {
        let mut locals = stack.frames.iter().flat_map(|frame| &frame.locals);
        locals.any(|local| local.name == "item" && local.value.text.starts_with("Item { name: \"item "))
    }

    /// The most memory that this process has had.
    fn peak_mb() -> f64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    fn of_core(core: &Path, count: usize) -> f64 {
        let took = median(3, || {
            let begin = Instant::now();
            let picture = take_core(core, &Options::default()).expect("a picture");
            let took = ms(begin);
            is_true(&picture, count);
            took
        });
        std::fs::remove_file(core).expect("it was there");
        took
    }

    /// Its core file; none if there is no `gcore`.
    fn core_of(program: &Program) -> Option<PathBuf> {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tasks-program.core");
        let done = Command::new("gcore").arg("-o").arg(&base).arg(program.0.id().to_string()).output().ok()?;
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Some(base.with_added_extension(program.0.id().to_string()))
    }

    fn build() -> PathBuf {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/tasks-program");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tasks-program");
        measure::build(&package, &target, &["--profile", "dev"], None).join("tasks-program")
    }

    /// The program, all tasks of which wait.
    struct Program(Child);

    impl Program {
        fn start(path: &Path, count: usize) -> Program {
            let mut command = Command::new(path);
            command.arg(count.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().expect("the program starts");
            let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
            assert_eq!(lines.next().expect("a line").expect("text"), "ready");
            Program(child)
        }
    }

    impl Drop for Program {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
