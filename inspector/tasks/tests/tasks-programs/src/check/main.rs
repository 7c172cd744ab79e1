//! Programs with tasks that can never go on, and healthy ones with tasks that look like them. Each says `ready` when
//! its tasks are at their places, and answers each line of its input.
//!
//! `check-programs KIND`

mod counted;
mod deadlock;
mod ends;
mod healthy;
mod sick;
mod unpolled;
mod values;

use tokio::runtime::{Builder, Runtime};

fn main() {
    let kind = std::env::args().nth(1).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match kind.as_str() {
        "sick" => runtime.block_on(sick::start()),
        "healthy" => return healthy::run(&runtime),
        "unpolled" => runtime.block_on(unpolled::start()),
        "counted" => runtime.block_on(counted::start()),
        "ends" => {
            let kept = runtime.block_on(ends::start());
            ready();
            drop(kept);
            return;
        }
        "values" => runtime.block_on(values::start()),
        "deadlock" => runtime.block_on(deadlock::start()),
        _ => panic!("a kind"),
    }
    ready();
    let _keeps: Runtime = runtime;
}

/// Says that all is at its place, and that the program is alive for each line of its input.
fn ready() {
    println!("ready");
    for _ in std::io::stdin().lines() {
        println!("alive");
    }
}
