//! A line that is being typed: search, filter, print.

use std::ops::Range;

use tui_input::{Input, InputRequest};

use super::keys::{Action, Binding, bind};

/// The keys while a line is typed. All others are text.
#[rustfmt::skip]
pub const KEYS: &[Binding] = &[
    bind(&["enter"], Action::Accept, "accept", "accept", "accept"),
    bind(&["esc", "ctrl-c"], Action::Back, "cancel", "cancel", "back, without"),
    bind(&["tab"], Action::Complete, "complete", "complete", "complete what is before the cursor"),
    bind(&["left", "ctrl-b"], Action::Left, "cursor-left", "", "one character to the left"),
    bind(&["right", "ctrl-f"], Action::Right, "cursor-right", "", "one character to the right"),
    bind(&["alt-b", "ctrl-left", "alt-left"], Action::WordLeft, "word-left", "", "to the beginning of the word"),
    bind(&["alt-f", "ctrl-right", "alt-right"], Action::WordRight, "word-right", "", "to the end of the word"),
    bind(&["home", "ctrl-a"], Action::Top, "line-begin", "", "to the beginning of the line"),
    bind(&["end", "ctrl-e"], Action::Bottom, "line-end", "", "to the end of the line"),
    bind(&["backspace", "ctrl-h"], Action::Erase, "erase", "", "erase the character before the cursor"),
    bind(&["delete", "ctrl-d"], Action::EraseNext, "erase-next", "", "erase the character at the cursor"),
    bind(&["ctrl-w", "alt-backspace"], Action::EraseWord, "erase-word", "", "erase the word before the cursor"),
    bind(&["alt-d"], Action::EraseNextWord, "erase-next-word", "", "erase the word after the cursor"),
    bind(&["ctrl-u"], Action::EraseLine, "erase-line", "", "erase all before the cursor"),
    bind(&["ctrl-k"], Action::EraseRest, "erase-rest", "", "erase all after the cursor"),
    bind(&["up", "ctrl-p"], Action::Older, "older", "older", "what was typed before"),
    bind(&["down", "ctrl-n"], Action::Newer, "newer", "", "what was typed after that"),
];

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Something to search for.
    Search,
    /// A filter of what a screen lists.
    Filter,
    /// A variable, or a path into one.
    Print,
    /// The same, unfolded to the last.
    PrintAll,
}

impl Purpose {
    /// What stands before the line.
    pub fn prompt(self) -> &'static str {
        match self {
            Purpose::Search => "/",
            Purpose::Filter => "filter: ",
            Purpose::Print => "print: ",
            Purpose::PrintAll => "print all of: ",
        }
    }
}

/// A line being typed.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// What for.
    pub purpose: Purpose,
    /// The line so far, and the cursor.
    input: Input,
    /// The ways to go on, after Tab.
    pub choices: Vec<String>,
    /// Why it cannot be accepted as it is.
    pub error: Option<String>,
    /// The entry of the history that it is.
    older: Option<usize>,
    /// The line that was typed before one of the history took its place.
    draft: String,
}

/// The effect of a key on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// None.
    Nothing,
    /// It has another text.
    Changed,
    /// It is to be completed.
    Complete,
    /// It is to be accepted.
    Accepted,
    /// It is gone.
    Cancelled,
}

impl Prompt {
    /// A line that begins with a text.
    pub fn new(purpose: Purpose, text: String) -> Prompt {
        Prompt { purpose, input: Input::new(text), choices: Vec::new(), error: None, older: None, draft: String::new() }
    }

    /// The line so far.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// What is before the cursor, what it is on, and what is after that.
    pub fn parts(&self) -> (&str, &str, &str) {
        let (before, after) = self.text().split_at(self.at());
        let mut beyond = self.input.clone();
        beyond.handle(InputRequest::GoToNextChar);
        let (on, after) = after.split_at(byte_of(self.text(), beyond.cursor()) - before.len());
        (before, on, after)
    }

    /// The cursor, in bytes.
    fn at(&self) -> usize {
        byte_of(self.text(), self.input.cursor())
    }

    /// Moves the cursor, which is given in bytes.
    fn go(&mut self, at: usize) {
        let characters = self.text()[..at].chars().count();
        self.input.handle(InputRequest::SetCursor(characters));
    }

    /// Has another text, with the cursor after so many bytes of it.
    fn set(&mut self, text: String, at: usize) {
        self.input = Input::new(text);
        self.go(at);
    }

    /// Erases a part, given in bytes.
    fn erase(&mut self, part: Range<usize>) {
        let mut text = self.text().to_owned();
        text.replace_range(part.clone(), "");
        self.set(text, part.start);
    }

    /// Types the character of a key, by its name.
    pub fn key(&mut self, key: &str) -> Edited {
        let mut characters = key.chars();
        let one = match (key, characters.next(), characters.next()) {
            ("space", ..) => ' ',
            (_, Some(one), None) => one,
            _ => return Edited::Nothing,
        };
        self.input.handle(InputRequest::InsertChar(one));
        Edited::Changed
    }

    /// Inserts a text that was pasted, as one line.
    pub fn paste(&mut self, text: &str) {
        let line: Vec<&str> = text.split(char::is_control).filter(|part| !part.is_empty()).collect();
        line.join(" ").chars().for_each(|one| {
            self.input.handle(InputRequest::InsertChar(one));
        });
    }

    /// Performs an action; `past` are the lines typed before, the latest last.
    pub fn act(&mut self, action: Action, past: &[String]) -> Edited {
        let (at, length) = (self.at(), self.text().len());
        let before = self.text().to_owned();
        match action {
            Action::Back => return Edited::Cancelled,
            Action::Accept => return Edited::Accepted,
            Action::Complete => return Edited::Complete,
            Action::Left => drop(self.input.handle(InputRequest::GoToPrevChar)),
            Action::Right => drop(self.input.handle(InputRequest::GoToNextChar)),
            Action::Top => self.go(0),
            Action::Bottom => self.go(length),
            Action::WordLeft => self.go(word_begin(&before[..at])),
            Action::WordRight => self.go(at + word_end(&before[at..])),
            Action::Erase if length == 0 => return Edited::Cancelled,
            Action::Erase => drop(self.input.handle(InputRequest::DeletePrevChar)),
            Action::EraseNext => drop(self.input.handle(InputRequest::DeleteNextChar)),
            Action::EraseWord => self.erase(word_begin(&before[..at])..at),
            Action::EraseNextWord => self.erase(at..at + word_end(&before[at..])),
            Action::EraseLine => self.erase(0..at),
            Action::EraseRest => self.erase(at..length),
            Action::Older | Action::Newer => self.go_through(action == Action::Older, past),
            _ => return Edited::Nothing,
        }
        if self.text() == before { Edited::Nothing } else { Edited::Changed }
    }

    /// Goes through the lines typed before, back to what was being typed.
    fn go_through(&mut self, older: bool, past: &[String]) {
        let next = match (self.older, older) {
            (None, true) => {
                self.draft = self.text().to_owned();
                past.len().checked_sub(1)
            }
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1).filter(|at| *at < past.len()),
            (None, false) => return,
        };
        let text = next.and_then(|at| past.get(at)).unwrap_or(&self.draft).clone();
        self.older = next;
        let end = text.len();
        self.set(text, end);
    }

    /// Goes on before the cursor as far as all the choices are the same, and shows them if there are several. True if
    /// the text changed.
    pub fn complete(&mut self, choices: Vec<String>) -> bool {
        let (before, after) = self.text().split_at(self.at());
        let common = common_start(&choices).filter(|common| common.len() > before.len());
        let changed = common.is_some();
        if let Some(common) = common {
            let end = common.len();
            self.set(common + after, end);
        }
        self.choices = if choices.len() > 1 { choices } else { Vec::new() };
        changed
    }
}

/// The byte at which so many characters end.
fn byte_of(text: &str, characters: usize) -> usize {
    text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at)
}

/// Where the last word of a text begins. A word is of letters, digits and `_`: paths (`entry.sum`) and filters
/// (`state:waiting`) have several, which is not so by the rules of Unicode that `tui_input` moves by.
fn word_begin(text: &str) -> usize {
    let end = text.trim_end_matches(|one| !is_of_word(one));
    end.trim_end_matches(is_of_word).len()
}

/// Where the first word of a text ends.
fn word_end(text: &str) -> usize {
    let begin = text.trim_start_matches(|one| !is_of_word(one));
    text.len() - begin.trim_start_matches(is_of_word).len()
}

fn is_of_word(one: char) -> bool {
    one.is_alphanumeric() || one == '_'
}

/// The longest beginning that all have.
fn common_start(choices: &[String]) -> Option<String> {
    let (first, rest) = choices.split_first()?;
    let mut length = first.len();
    for other in rest {
        let same = first.bytes().zip(other.bytes()).take_while(|(left, right)| left == right).count();
        length = length.min(same);
    }
    while !first.is_char_boundary(length) {
        length -= 1;
    }
    Some(first[..length].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_completed_as_far_as_the_choices_agree() {
        let mut prompt = Prompt::new(Purpose::Print, "e".to_owned());
        assert!(prompt.complete(vec!["entry.line".to_owned(), "entry.sum".to_owned()]));
        assert_eq!((prompt.text(), prompt.choices.len()), ("entry.", 2));
        assert!(!prompt.complete(vec!["entry.ä".to_owned(), "entry.ö".to_owned()]), "a part of a character is none");
        assert!(prompt.complete(vec!["entry.sum".to_owned()]) && prompt.choices.is_empty());
    }

    /// A line of `print:` on which these keys were pressed, with `|` for the cursor.
    fn typed(keys: &str) -> String {
        let mut prompt = Prompt::new(Purpose::Print, String::new());
        let past = ["first".to_owned(), "second".to_owned()];
        for key in keys.split_whitespace() {
            match KEYS.iter().find(|binding| binding.keys.contains(&key)) {
                Some(binding) => prompt.act(binding.action, &past),
                None => prompt.key(key),
            };
        }
        let (before, on, after) = prompt.parts();
        format!("{before}|{on}{after}")
    }

    #[test]
    fn a_line_is_edited_at_its_cursor() {
        for (keys, line) in [
            ("a b c left X", "abX|c"),
            ("a b c home X right ctrl-d", "Xa|c"),
            ("a b left left left backspace", "|ab"),
            ("a b c ctrl-a ctrl-k", "|"),
            ("a b c left ctrl-k", "ab|"),
            ("a b c left ctrl-u", "|c"),
            ("a b c ctrl-a ctrl-e delete", "abc|"),
            ("a . b c ctrl-w", "a.|"),
            ("a : b space ctrl-w", "a:|"),
            ("a . b c alt-b alt-b X", "X|a.bc"),
            ("a . b c home alt-f X alt-f", "aX.bc|"),
            ("a . b c home alt-d", "|.bc"),
            ("e \u{301} x left left X", "X|e\u{301}x"),
            ("日 本 left backspace", "|本"),
        ] {
            assert_eq!(typed(keys), line, "{keys}");
        }
    }

    #[test]
    fn earlier_lines_come_back_and_what_was_being_typed_does_too() {
        assert_eq!(typed("a up"), "second|");
        assert_eq!(typed("a up up up"), "first|");
        assert_eq!(typed("a up up down"), "second|");
        assert_eq!(typed("a up up down down"), "a|");
        assert_eq!(typed("a down"), "a|");
    }

    #[test]
    fn what_is_pasted_is_one_line_at_the_cursor() {
        let mut prompt = Prompt::new(Purpose::Search, "ad".to_owned());
        prompt.act(Action::Left, &[]);
        prompt.paste("b\r\n\u{1b}c");
        assert_eq!(prompt.parts(), ("ab c", "d", ""));
    }

    #[test]
    fn what_is_before_the_cursor_is_completed_and_what_is_after_it_stays() {
        let mut prompt = Prompt::new(Purpose::Filter, "sta x".to_owned());
        prompt.act(Action::Left, &[]);
        prompt.act(Action::Left, &[]);
        assert!(prompt.complete(vec!["state:".to_owned()]));
        assert_eq!(prompt.parts(), ("state:", " ", "x"));
    }
}
