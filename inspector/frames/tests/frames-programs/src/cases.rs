//! Futures that are suspended one after another, and what is true of each.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::future_type::FutureType;

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

/// Says that a local is to be read as this value where the scopes of names are described, which they are in unoptimised
/// builds alone.
#[macro_export]
macro_rules! shadowed {
    ($name:ident) => {
        match cfg!(debug_assertions) {
            true => {
                $crate::holds!($name);
            }
            false => $crate::expect(stringify!($name), String::new(), "shadowed, not described"),
        }
    };
}

/// Says that variables of loops are to be read as these values, where the scopes of names are described.
#[macro_export]
macro_rules! drawn {
    ($($name:ident),+) => {$(
        if cfg!(debug_assertions) {
            // A copy: what was borrowed is kept.
            $crate::expect(stringify!($name), format!("{:?}", { $name }), "by its iterator");
        }
    )+};
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
    pub seed: u64,
}

impl Cases {
    /// Polls a future once and leaves it suspended.
    pub fn case<F: Future>(&mut self, name: &str, future: F) {
        EXPECTED.with_borrow_mut(Vec::clear);
        let mut future = Box::pin(future);
        if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            panic!("case {name} did not suspend");
        }
        let address = &raw const *future as usize;
        std::mem::forget(future);
        let FutureType { function, drop, size, align, name: ty } = FutureType::of::<F>();
        print!("{name}\t{function}\t{drop}\t{size}\t{align}\t{ty}\t{address}");
        for (name, text, mark) in EXPECTED.take() {
            print!("\t{name}\t{text}\t{mark}");
        }
        println!();
    }

    /// The next random number.
    pub fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let x = self.seed ^ (self.seed >> 33);
        x.wrapping_mul(0xff51afd7ed558ccd) ^ (x >> 29)
    }
}
