//! How far to look.

use std::time::Duration;

/// Bounds on what is read of one await stack. Whatever is cut says so with `…`.
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
    /// Time the processor works on one stack, the reading of debug info not counted: that is done once.
    pub time: Duration,
    /// Names whose values are masked: any name that contains one of these, in any case, as a word or part of one.
    pub secrets: Vec<String>,
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
            secrets: SECRETS.map(String::from).to_vec(),
        }
    }
}

/// What the names of secrets contain. `key` and `auth` are words too common to mask wherever they occur; see [`Limits::is_secret`].
const SECRETS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "secret_key",
    "access_key",
    "credential",
    "authorization",
    "cookie",
];

impl Limits {
    /// The default, with `TINYIO_LOCALS` looked at: `0` reads no values.
    pub fn from_env() -> Limits {
        let values = crate::environment::var_os("TINYIO_LOCALS").is_none_or(|value| value != "0");
        Limits { values, ..Limits::default() }
    }

    /// The same bounds, but more of each value: for somebody who wants to see it all, and lets the program wait for it.
    pub fn in_full(&self) -> Limits {
        let time = Duration::from_millis(300);
        Limits { depth: 16, elements: 1_000, text: 10_000, total: 20_000, time, ..self.clone() }
    }

    /// Whether a variable or field of this name is to be masked.
    pub fn is_secret(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        name.split(|c: char| !c.is_alphanumeric()).any(|word| matches!(word, "key" | "auth" | "otp"))
            || self.secrets.iter().any(|secret| name.contains(secret.as_str()))
    }
}
