//! `tasks PID|CORE [--no-stop]`: the tasks of a process or a core file, which of them can never go on, and how long
//! reading them took.

use std::time::Instant;

use tinyio_tasks::{Options, check, take, take_core, text};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().expect("a process id or a core file");
    let options = Options { no_stop: arguments.next().is_some(), ..Options::default() };
    let start = Instant::now();
    let picture = match target.parse() {
        Ok(pid) => take(pid, &options),
        Err(_) => take_core(target.as_ref(), &options),
    };
    match picture {
        Err(why) => eprintln!("{why}"),
        Ok(picture) => {
            let taken = start.elapsed();
            println!("{}", text(&picture));
            match check(&picture) {
                Ok(found) => println!("{}", found.text(&picture)),
                Err(why) => println!("{why}"),
            }
            println!("{taken:?}, stopped {:?}, copied {} bytes", picture.stopped, picture.copied);
        }
    }
}
