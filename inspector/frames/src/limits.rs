//! Bounds on what is read of an await stack.

use std::time::Duration;

use tinyio_events::secrets::{Secrets, locals_are_recorded};

/// Bounds on what is read of one await stack. What is cut ends in `…` with `…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Read values at all. [`Limits::from_env`] turns it off for `TINYIO_LOCALS=0`.
    pub values: bool,
    /// Levels of nesting in one value.
    pub depth: usize,
    /// Elements of one collection, fields of one structure.
    pub elements: usize,
    /// Characters of one line of text.
    pub text: usize,
    /// Values in one stack, nested ones counted.
    pub total: usize,
    /// Frames in one stack.
    pub frames: usize,
    /// Futures awaited side by side that are looked into.
    pub branches: usize,
    /// Lines of source shown before and after an await.
    pub source: u32,
    /// Processor time spent on one stack, without the reading of debug info, which happens once.
    pub time: Duration,
    /// Names of variables and fields to mask the values of.
    pub secrets: Secrets,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            values: true,
            depth: 6,
            elements: 32,
            text: 240,
            total: 2_000,
            frames: 64,
            branches: 32,
            source: 3,
            time: Duration::from_millis(100),
            secrets: Secrets::default(),
        }
    }
}

impl Limits {
    /// The default, with the environment looked at: `TINYIO_LOCALS=0` reads no values, and [`Secrets::from_env`] has
    /// further names.
    pub fn from_env() -> Limits {
        Limits { values: locals_are_recorded(), secrets: Secrets::from_env(), ..Limits::default() }
    }

    /// Returns the same bounds, but more of each value: for a user that wants to see all of it and accepts that the
    /// program waits.
    pub fn in_full(&self) -> Limits {
        let time = Duration::from_millis(300);
        Limits { depth: 16, elements: 1_000, text: 10_000, total: 20_000, time, ..self.clone() }
    }
}
