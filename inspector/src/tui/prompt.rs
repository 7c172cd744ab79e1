//! A line that is being typed: search, filter, print.

use super::keys::{Action, Binding, bind};

/// The keys while a line is typed. All others are text.
#[rustfmt::skip]
pub const KEYS: &[Binding] = &[
    bind(&["enter"], Action::Accept, "accept", "accept", "accept"),
    bind(&["esc", "ctrl-c"], Action::Back, "cancel", "cancel", "back, without"),
    bind(&["tab"], Action::Complete, "complete", "complete", "complete"),
    bind(&["backspace", "ctrl-h"], Action::Erase, "erase", "", "erase a character"),
    bind(&["ctrl-w"], Action::EraseWord, "erase-word", "", "erase a word"),
    bind(&["ctrl-u"], Action::EraseLine, "erase-line", "", "erase all"),
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What for.
    pub purpose: Purpose,
    /// The line so far; the cursor is at its end.
    pub text: String,
    /// The ways to go on, after Tab.
    pub choices: Vec<String>,
    /// Why it cannot be accepted as it is.
    pub error: Option<String>,
    /// The entry of the history that it is.
    older: Option<usize>,
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
        Prompt { purpose, text, choices: Vec::new(), error: None, older: None }
    }

    /// Appends the character of a key, by its name.
    pub fn key(&mut self, key: &str) -> Edited {
        match key {
            "space" => self.text.push(' '),
            key if key.chars().count() == 1 => self.text.push_str(key),
            _ => return Edited::Nothing,
        }
        Edited::Changed
    }

    /// Appends a text that was pasted, as one line.
    pub fn paste(&mut self, text: &str) {
        let line: Vec<&str> = text.split(char::is_control).filter(|part| !part.is_empty()).collect();
        self.text.push_str(&line.join(" "));
    }

    /// Performs an action; `past` are the lines typed before, the latest last.
    pub fn act(&mut self, action: Action, past: &[String]) -> Edited {
        match action {
            Action::Back => return Edited::Cancelled,
            Action::Accept => return Edited::Accepted,
            Action::Complete => return Edited::Complete,
            Action::Erase => {
                if self.text.pop().is_none() {
                    return Edited::Cancelled;
                }
            }
            Action::EraseWord => {
                let kept = self.text.trim_end().rfind([' ', '.']).map_or(0, |at| at + 1);
                self.text.truncate(kept);
            }
            Action::EraseLine => self.text.clear(),
            Action::Older | Action::Newer => {
                self.older = match (self.older, action) {
                    (None, Action::Older) => past.len().checked_sub(1),
                    (Some(at), Action::Older) => Some(at.saturating_sub(1)),
                    (Some(at), _) => Some(at + 1).filter(|at| *at < past.len()),
                    (None, _) => None,
                };
                self.text = self.older.and_then(|at| past.get(at)).cloned().unwrap_or_default();
            }
            _ => return Edited::Nothing,
        }
        Edited::Changed
    }

    /// Goes on as far as all the choices are the same, and shows them if there are several. True if the text changed.
    pub fn complete(&mut self, choices: Vec<String>) -> bool {
        let common = common_start(&choices).filter(|common| common.len() > self.text.len());
        let changed = common.is_some();
        if let Some(common) = common {
            self.text = common;
        }
        self.choices = if choices.len() > 1 { choices } else { Vec::new() };
        changed
    }
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
        assert_eq!((prompt.text.as_str(), prompt.choices.len()), ("entry.", 2));
        assert!(!prompt.complete(vec!["entry.ä".to_owned(), "entry.ö".to_owned()]), "a part of a character is none");
        assert!(prompt.complete(vec!["entry.sum".to_owned()]) && prompt.choices.is_empty());
    }
}
