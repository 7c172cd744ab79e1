//! Suspends one future after another, reads its await stack, and prints it beside what is true.
//!
//! One JSON line a case: its name, what is expected of which local, and the stack.

mod moves;
mod stacks;
mod values;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tinyio_inspector::frames::{FutureType, Frames, Limits};

thread_local! {
    static EXPECTED: RefCell<Vec<(String, String, String)>> = const { RefCell::new(Vec::new()) };
}

/// Says that a local is to be read as this value.
#[macro_export]
macro_rules! holds {
    ($($name:ident),+ $(,)?) => {$( $crate::expect(stringify!($name), format!("{:?}", $name), ""); )+};
}

/// Says that locals are to have this mark.
#[macro_export]
macro_rules! marked {
    ($mark:literal: $($name:literal),+) => {$( $crate::expect($name, String::new(), $mark); )+};
}

/// Notes an expectation of the case that runs.
pub fn expect(name: &str, text: String, mark: &str) {
    EXPECTED.with_borrow_mut(|expected| expected.push((name.into(), text, mark.into())));
}

/// Never ready.
pub struct Never;

impl Future for Never {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// Runs the cases.
pub struct Cases {
    frames: Frames,
    /// Stack of numbers for random values.
    pub seed: u64,
}

impl Cases {
    /// Polls a future once, reads its stack and prints it.
    pub fn case<F: Future>(&mut self, name: &str, future: F) {
        EXPECTED.with_borrow_mut(Vec::clear);
        let mut future = Box::pin(future);
        for _ in 0..2 {
            let expected = EXPECTED.take();
            if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                panic!("case {name} did not suspend");
            }
            if EXPECTED.with_borrow(Vec::is_empty) {
                EXPECTED.set(expected);
            }
        }
        let address = &raw const *future as usize;
        let stack = self.frames.stack(&FutureType::of::<F>(), address);
        let expected = EXPECTED.take();
        let line = serde_json::json!({ "case": name, "expected": expected, "stack": stack });
        println!("{line}");
    }

    /// The next random number.
    pub fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let x = self.seed ^ (self.seed >> 33);
        x.wrapping_mul(0xff51afd7ed558ccd) ^ (x >> 29)
    }
}

fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let limits = Limits {
        elements: 1000,
        text: 100_000,
        total: 1_000_000,
        time: std::time::Duration::from_secs(60),
        depth: 16,
        ..Limits::from_env()
    };
    let mut cases = Cases { frames: Frames::of_this_process().with_limits(limits), seed };
    values::run(&mut cases);
    moves::run(&mut cases);
    stacks::run(&mut cases);
}
