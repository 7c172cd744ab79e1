//! `tasks PID [--no-stop]`: the tasks of a process, and how long reading them took.

use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let pid = arguments.next().and_then(|pid| pid.parse().ok()).expect("a process id");
    let no_stop = arguments.next().is_some();
    let start = Instant::now();
    match tinyio_tasks::take(pid, &tinyio_tasks::Options { no_stop, limits: None }) {
        Err(why) => eprintln!("{why}"),
        Ok(picture) => {
            let taken = start.elapsed();
            println!("{}", tinyio_tasks::text(&picture));
            println!("{taken:?}, stopped {:?}, copied {} bytes", picture.stopped, picture.copied);
        }
    }
}
