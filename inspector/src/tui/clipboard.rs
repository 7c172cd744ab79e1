//! What is copied, and the sequence (OSC 52) that asks the terminal to put it on its clipboard.
//!
//! A terminal does not answer, and may ignore it: all that is known is that it was sent.

use crossterm::Command;
use crossterm::clipboard::CopyToClipboard;

use super::text::{counted, one_line};
use super::widgets::Cell;
use crate::environment;

/// The longest text in bytes: in base64 it makes the 100,000 that terminals take at least.
pub const MOST: usize = 74_994;
/// The longest string that GNU screen passes on, with some to spare.
const SCREEN_STRING: usize = 512;

/// What is to be copied of what is selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The row, the value, the stack, the page.
    Whole,
    /// Its name: the label of a coroutine, the place of a frame, the path of a value.
    Name,
}

/// A text to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// What it is, in a few words.
    pub what: String,
    /// The text, in lines.
    pub text: String,
}

impl Copied {
    /// A text that is called so. Characters that a terminal would obey are made visible, the ends of lines stay.
    pub fn new(what: impl Into<String>, text: &str) -> Copied {
        let lines: Vec<_> = text.lines().map(one_line).collect();
        Copied { what: what.into(), text: lines.join("\n") }
    }

    /// The row of a table, without the sign that it begins with.
    pub fn row<const N: usize>(what: impl Into<String>, cells: &[Cell; N]) -> Copied {
        let texts: Vec<_> = cells.iter().skip(1).map(Cell::text).filter(|text| !text.is_empty()).collect();
        Copied::new(what, &texts.join("  "))
    }

    /// Cuts it to what terminals take. Returns a sentence of what is sent.
    pub fn cut(&mut self) -> String {
        let bytes = self.text.len();
        if bytes <= MOST {
            return format!("sent to the clipboard: {}, {}", self.what, counted(bytes as u64, "byte"));
        }
        self.text.truncate(self.text.floor_char_boundary(MOST));
        let (sent, all) = (counted(self.text.len() as u64, "byte"), counted(bytes as u64, "byte"));
        format!("sent to the clipboard, cut: {}, the first {sent} of {all}, as terminals take no more", self.what)
    }
}

/// What stands between this process and the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiplexer {
    /// Nothing that is known.
    None,
    /// tmux.
    Tmux,
    /// GNU screen.
    Screen,
}

impl Multiplexer {
    /// As the environment says.
    pub fn from_env() -> Multiplexer {
        Multiplexer::of(environment::var)
    }

    /// Of an environment. Where one runs in the other, both have set their variable, and the inner one `TERM`: screen
    /// to `screen…`, tmux to `tmux…` unless its `default-terminal` is another.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Multiplexer {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let is_screen = || variable("TERM").is_some_and(|term| term.starts_with("screen"));
        match (is_set("TMUX"), is_set("STY")) {
            (true, true) if is_screen() => Multiplexer::Screen,
            (true, _) => Multiplexer::Tmux,
            (false, true) => Multiplexer::Screen,
            (false, false) => Multiplexer::None,
        }
    }
}

/// The sequence that asks the terminal to copy a text.
///
/// tmux obeys the plain one if its option `set-clipboard` is `on`, and passes on one that is wrapped if
/// `allow-passthrough` is; it gets both. screen only passes on, in strings of limited length.
pub fn sequence(text: &str, within: Multiplexer) -> String {
    let mut plain = String::new();
    // Writing to a text does not fail.
    let _ = CopyToClipboard::to_clipboard_from(text).write_ansi(&mut plain);
    match within {
        Multiplexer::None => plain,
        Multiplexer::Tmux => {
            let wrapped = plain.replace('\x1b', "\x1b\x1b");
            format!("{plain}\x1bPtmux;{wrapped}\x1b\\")
        }
        Multiplexer::Screen => {
            // The end of the inner sequence must not end the string around it.
            let inner = plain.strip_suffix("\x1b\\").map_or(plain.clone(), |begin| format!("{begin}\x07"));
            let parts = inner.as_bytes().chunks(SCREEN_STRING).map(String::from_utf8_lossy);
            parts.map(|part| format!("\x1bP{part}\x1b\\")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_one_that_terminals_and_multiplexers_pass_on() {
        assert_eq!(sequence("fetch #17", Multiplexer::None), "\x1b]52;c;ZmV0Y2ggIzE3\x1b\\");
        assert_eq!(
            sequence("a", Multiplexer::Tmux),
            "\x1b]52;c;YQ==\x1b\\\x1bPtmux;\x1b\x1b]52;c;YQ==\x1b\x1b\\\x1b\\"
        );
        assert_eq!(sequence("a", Multiplexer::Screen), "\x1bP\x1b]52;c;YQ==\x07\x1b\\");
        let long = sequence(&"x".repeat(3_000), Multiplexer::Screen);
        let parts: Vec<_> = long.split("\x1b\\").filter(|part| !part.is_empty()).collect();
        assert!(parts.len() > 7 && parts.iter().all(|part| part.len() <= SCREEN_STRING + 2), "{parts:?}");
        let inner: String = parts.iter().map(|part| part.strip_prefix("\x1bP").unwrap()).collect();
        assert_eq!(inner.strip_suffix('\x07'), sequence(&"x".repeat(3_000), Multiplexer::None).strip_suffix("\x1b\\"));
    }

    #[test]
    fn the_environment_names_the_multiplexer() {
        let of = |set: &[(&str, &str)]| {
            Multiplexer::of(|name| set.iter().find(|one| one.0 == name).map(|one| one.1.to_owned()))
        };
        let (tmux, screen) = (("TMUX", "/tmp/tmux-1000/default,1,0"), ("STY", "1.pts-0.host"));
        assert_eq!(of(&[("TERM", "screen-256color")]), Multiplexer::None);
        assert_eq!(of(&[screen]), Multiplexer::Screen);
        assert_eq!(of(&[tmux, ("TERM", "screen-256color")]), Multiplexer::Tmux);
        assert_eq!(of(&[tmux, screen, ("TERM", "tmux-256color")]), Multiplexer::Tmux);
        assert_eq!(of(&[tmux, screen, ("TERM", "screen.xterm-256color")]), Multiplexer::Screen);
    }

    #[test]
    fn what_is_too_long_is_cut_between_two_characters_and_marked_as_cut() {
        let mut copied = Copied::new("page", &format!("x{}", "ä".repeat(MOST)));
        let sentence = copied.cut();
        assert_eq!(copied.text.len(), MOST - 1);
        assert_eq!(
            sentence,
            "sent to the clipboard, cut: page, the first 74,993 bytes of 149,989 bytes, as terminals take no more"
        );
        let mut short = Copied::new("line", "a\u{1b}[31mb\x07\nc");
        assert_eq!(short.cut(), "sent to the clipboard: line, 6 bytes");
        assert_eq!(short.text, "ab^G\nc");
    }
}
