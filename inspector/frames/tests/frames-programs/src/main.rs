//! Suspends one future after another and says where it is and what is true of it; then waits, to be looked at from
//! outside, until its input is closed.
//!
//! One line a case, fields separated by tabs: name, function, drop glue, size, alignment, type, address; then name,
//! text and mark of each expected local.

mod cases;
#[path = "../../../src/future_type.rs"]
#[allow(dead_code, reason = "the loop uses all of it")]
mod future_type;
mod loops;
mod moves;
mod stacks;
mod values;

pub use cases::{Cases, Never, expect};

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut cases = Cases { seed };
    values::run(&mut cases);
    moves::run(&mut cases);
    loops::run(&mut cases);
    stacks::run(&mut cases);
    println!("ready");
    let _ = std::io::stdin().read_line(&mut String::new());
}
