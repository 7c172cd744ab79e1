//! Reads the tasks of programs as users write them, while they work, in several profiles, and compares what is found
//! with what each program counts itself. Prints the table of docs/ANY-PROGRAM.md.
//!
//! `cargo bench -p tinyio-tasks --bench zoo [-- PROFILE…]`; builds the programs first, which takes minutes a profile.

#[cfg(target_os = "linux")]
#[path = "../../frames/benches/measure/mod.rs"]
#[allow(dead_code, reason = "each bench uses some of it")]
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
    use std::io::{BufRead, BufReader, Write};
    use std::path::{Path, PathBuf};
    use std::process::{Child, ChildStdout, Command, Stdio};
    use std::time::{Duration, Instant};

    use tinyio_tasks::{Options, Picture, State, check, take};

    use crate::measure::{self, median, ms};

    /// A way to build them: its name, arguments of cargo, and flags of the compiler.
    type Profile = (&'static str, &'static [&'static str], Option<&'static str>);

    const PROFILES: [Profile; 6] = [
        ("debug", &["--profile", "dev"], None),
        ("release", &["--profile", "release"], None),
        ("thin", &["--profile", "thin"], None),
        ("fat", &["--profile", "fat"], None),
        ("mimalloc", &["--profile", "release", "--features", "mimalloc"], None),
        (
            "static",
            &["--profile", "release", "--target", "x86_64-unknown-linux-gnu"],
            Some("-C target-feature=+crt-static"),
        ),
    ];
    const CONNECTIONS: &str = "64";
    /// How often each is looked at.
    const PICTURES: usize = 5;

    pub fn main() {
        let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
        println!("| program | build | tasks there | found | false | `check` | stopped | picture |");
        println!("|---|---|---|---|---|---|---|---|");
        for (name, arguments, flags) in PROFILES {
            if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
                continue;
            }
            let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/zoo-programs");
            // Each has a folder of its own: what is built with other flags or features is built anew.
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("zoo-programs").join(name);
            let folder = measure::build(&package, &target, arguments, flags);
            let run = |program: &str, arguments: &[&str]| Program::start(folder.join(program), arguments);
            let service = run("axum-service", &[]);
            let load = service.load(&folder, "http");
            service.look("an axum service under load", name);
            drop(load);
            let crawler = run("crawler", &[&service.port.to_string()]);
            crawler.look("a reqwest crawler", name);
            drop((crawler, service));
            for (program, what, kind) in [
                ("hyper-server", "a hyper server, current thread", "http"),
                ("redis", "keys and channels, as mini-redis", "lines"),
                ("files", "a server of files with smol", "http"),
            ] {
                let program = run(program, &[]);
                let _load = program.load(&folder, kind);
                program.look(what, name);
            }
            run("many", &["100000"]).look("two runtimes, 100,000 tasks", name);
        }
    }

    /// A running program.
    struct Program {
        child: Child,
        output: std::cell::RefCell<BufReader<ChildStdout>>,
        port: u16,
    }

    impl Program {
        fn start(path: PathBuf, arguments: &[&str]) -> Program {
            let mut command = Command::new(&path);
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let output = BufReader::new(child.stdout.take().expect("a pipe")).into();
            let mut program = Program { child, output, port: 0 };
            program.port = program.line().parse().expect("a port");
            program
        }

        fn line(&self) -> String {
            let mut line = String::new();
            self.output.borrow_mut().read_line(&mut line).expect("it writes");
            line.trim().to_owned()
        }

        /// How many tasks it counts itself.
        fn count(&self) -> usize {
            let mut input = self.child.stdin.as_ref().expect("a pipe");
            input.write_all(b"\n").expect("it reads");
            self.line().parse().expect("a number")
        }

        /// Connections that ask it for something all the time; each has had an answer.
        fn load(&self, folder: &Path, kind: &str) -> Ended {
            let mut load = Command::new(folder.join("load"));
            load.args([kind, &self.port.to_string(), CONNECTIONS]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut load = load.spawn().expect("it starts");
            let mut line = String::new();
            BufReader::new(load.stdout.take().expect("a pipe")).read_line(&mut line).expect("it writes");
            assert_eq!(line, "ready\n");
            Ended(load)
        }

        /// Looks at it some times, and prints a row.
        fn look(&self, what: &str, profile: &str) {
            // As long as a service needs to come to what it does all the time.
            std::thread::sleep(Duration::from_millis(500));
            let (mut stop, mut there, mut found) = (0.0_f64, Vec::new(), Vec::new());
            let (mut missing, mut too_many, mut findings) = (0, 0, Vec::new());
            let mut last = None;
            let time = median(PICTURES, || {
                drop(last.take());
                let before = self.count();
                let begin = Instant::now();
                let picture = take(self.child.id(), &Options::default()).expect("a picture");
                let took = ms(begin);
                let after = self.count();
                let count = alive(&picture);
                missing = missing.max(before.min(after).saturating_sub(count));
                too_many = too_many.max(count.saturating_sub(before.max(after)));
                stop = stop.max(picture.stopped.expect("it was stopped").as_secs_f64() * 1e3);
                there.extend([before, after]);
                found.push(count);
                findings.extend(check(&picture).expect("it is of one moment").findings);
                last = Some(picture);
                took
            });
            let checked = if findings.is_empty() { "nothing" } else { "FINDINGS" };
            println!(
                "| {what} | {profile} | {} | {} | {too_many} | {checked} | {stop:.1} ms | {time:.0} ms |",
                span(&there),
                span(&found),
            );
            let picture = last.expect("a picture");
            if missing > 0 {
                println!("MISSING {missing}: {:?}", picture.notes);
            }
            if std::env::var_os("ZOO_TEXT").is_some() {
                eprintln!("{}", tinyio_tasks::text(&picture));
            }
            for finding in findings {
                println!("{}: {:#?}", finding.text, finding.proof);
            }
        }
    }

    /// The tasks that the runtimes count: no functions on threads, no futures of `block_on`, none that have ended.
    fn alive(picture: &Picture) -> usize {
        let is_counted = |runtime: usize| !["blocking", "block_on"].contains(&picture.runtimes[runtime].flavor);
        let tasks = picture.tasks.iter().filter(|task| is_counted(task.runtime) && task.state != State::Finished);
        tasks.count() + picture.left_out
    }

    /// One number, or the least and the greatest.
    fn span(numbers: &[usize]) -> String {
        match (numbers.iter().min(), numbers.iter().max()) {
            (Some(low), Some(high)) if low != high => format!("{low}–{high}"),
            (Some(low), _) => low.to_string(),
            _ => String::new(),
        }
    }

    /// A process that ends with this.
    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    impl Drop for Program {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
