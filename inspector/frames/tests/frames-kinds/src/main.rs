//! A value of every kind that the standard library has, each held by a suspended future of its own; and futures of a
//! library that is loaded, unloaded and loaded again. It says the same as `frames-programs`, in the same way.

#[path = "../../frames-programs/src/cases.rs"]
mod cases;
mod kinds;
#[path = "../../../src/mark.rs"]
#[allow(dead_code, reason = "the loop uses all of it")]
mod mark;
mod plugin;
mod wide;

pub use cases::{Cases, Never, expect};

/// Waits until the test has looked.
fn wait() {
    println!("ready");
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [first, second, path] => plugin::run(first, second, path),
        _ => {
            let seed = arguments.first().and_then(|seed| seed.parse().ok()).unwrap_or(1);
            let mut cases = Cases { seed };
            kinds::run(&mut cases);
            wide::run(&mut cases);
            wait();
        }
    }
}
