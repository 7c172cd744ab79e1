//! What the first crash of a plain debug build costs: a program of its own, with the dependencies of one and no line
//! about optimisation, with coroutines that hold a `Regex`, a `HashMap`, a `Vec` and strings; one fails.
//!
//! `cargo bench -p tinyio-inspector --bench first_crash`; builds the program first, which takes minutes.

#[cfg(target_os = "linux")]
#[path = "../frames/benches/measure/mod.rs"]
#[allow(dead_code, reason = "each bench uses some of it")]
mod measure;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("await stacks are read on Linux only");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::Read;
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::sync::mpsc::RecvTimeoutError;
    use std::time::{Duration, Instant};

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use crate::measure::{build, median, ms};

    const TIMES: usize = 9;
    /// How many coroutines are cancelled, and how many milliseconds it may take until the failure is seen.
    const GOALS: [(usize, u32); 4] = [(1, 120), (10, 150), (100, 200), (1_000, 300)];

    pub fn main() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/first-crash-program");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-crash-program");
        let program = build(&package, &target, &[], None).join("first-crash-program");
        let size = std::fs::metadata(&program).map_or(0, |file| file.len());
        println!("the first crash of a debug build of {} MB, ms, medians of {TIMES}", size / 1_000_000);
        println!("| coroutines | failure on the screen | goal | whole crash recorded | not recorded |");
        println!("|---|---|---|---|---|");
        for (workers, goal) in GOALS {
            // In turn, so that what else the machine does hits all alike.
            let (mut seen, mut recorded, mut alone) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..TIMES {
                seen.push(until_seen(&program, workers));
                recorded.push(whole(&program, workers, true));
                alone.push(whole(&program, workers, false));
            }
            let [seen, recorded, alone] = [seen, recorded, alone].map(|took| {
                let mut took = took.into_iter();
                median(TIMES, || took.next().unwrap_or_default())
            });
            println!("| {workers} | {seen:.0} | {goal} | {recorded:.0} | {alone:.0} |");
        }
    }

    /// The time of the whole process.
    fn whole(program: &Path, workers: usize, is_recorded: bool) -> f64 {
        let mut command = Command::new(program);
        command.arg(workers.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        command.envs(is_recorded.then_some(("TINYIO_INSPECT", "record")));
        let begin = Instant::now();
        command.status().expect("it starts");
        ms(begin)
    }

    /// The time until the live view shows the error and the variable that it is about.
    fn until_seen(program: &Path, workers: usize) -> f64 {
        const SIZE: PtySize = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(SIZE).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.arg(workers.to_string());
        command.env("TINYIO_INSPECT", "1");
        command.env("TERM", "xterm-256color");
        command.env("TINYIO_SETTINGS_FILE", "/dev/null");
        let mut reader = pair.master.try_clone_reader().expect("its output");
        let mut screen = vt100::Parser::new(SIZE.rows, SIZE.cols, 0);
        let variable = format!("\"not-{workers}\"");
        let begin = Instant::now();
        let mut child = pair.slave.spawn_command(command).expect("it starts");
        drop(pair.slave);
        // It waits for a key, and would wait forever if what is looked for were never shown.
        let mut killer = child.clone_killer();
        let (seen, is_over) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if is_over.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
                let _ = killer.kill();
            }
        });
        let mut bytes = [0; 1 << 16];
        let took = loop {
            let count = reader.read(&mut bytes).unwrap_or(0);
            screen.process(&bytes[..count]);
            let text = screen.screen().contents();
            if text.contains("invalid digit found in string") && text.contains(&variable) {
                break ms(begin);
            }
            assert!(count > 0, "it ended without showing its failure: {text}");
        };
        drop(seen);
        child.kill().expect("it waits for a key");
        child.wait().expect("it is a child");
        took
    }
}
