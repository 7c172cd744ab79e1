//! A line being typed: search, filter, print.

use std::collections::HashMap;

use super::{Action, App, Effect, Page, PageKind, Screen};
use crate::event::NameId;
use crate::model::{Coro, short_name};
use crate::tui::filter;
use crate::tui::post_mortem::{completions, look_up};

/// What is being typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Something to search for.
    Search,
    /// A filter of coroutines.
    Filter,
    /// A filter of log lines.
    LogFilter,
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
            Purpose::Filter | Purpose::LogFilter => "filter: ",
            Purpose::Print => "print: ",
            Purpose::PrintAll => "print all of: ",
        }
    }
}

/// A line being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typing {
    /// What for.
    pub purpose: Purpose,
    /// The line so far; the cursor is at its end.
    pub text: String,
    /// What it could go on as, after Tab.
    pub choices: Vec<String>,
    /// Why it cannot be accepted as it is.
    pub error: Option<String>,
    older: Option<usize>,
}

impl App {
    pub(super) fn start_typing(&mut self, purpose: Purpose, text: &str) {
        self.typing = Some(Typing { purpose, text: text.to_owned(), choices: Vec::new(), error: None, older: None });
    }

    pub(super) fn type_key(&mut self, key: &str) {
        let Some(typing) = &mut self.typing else { return };
        match key {
            "space" => typing.text.push(' '),
            key if key.chars().count() == 1 => typing.text.push_str(key),
            _ => return,
        }
        self.changed();
    }

    /// Text from outside, as one line.
    pub(super) fn type_text(&mut self, text: &str) {
        let Some(typing) = &mut self.typing else { return };
        let line: Vec<&str> = text.split(char::is_control).filter(|part| !part.is_empty()).collect();
        typing.text.push_str(&line.join(" "));
        self.changed();
    }

    pub(super) fn update_typing(&mut self, action: Action) -> Effect {
        let Some(typing) = &mut self.typing else { return Effect::None };
        match action {
            Action::Back => {
                self.typing = None;
                return Effect::None;
            }
            Action::Accept => {
                self.accept();
                return Effect::None;
            }
            Action::Complete => {
                self.complete();
                return Effect::None;
            }
            Action::Erase => {
                if typing.text.pop().is_none() {
                    self.typing = None;
                    return Effect::None;
                }
            }
            Action::EraseWord => {
                let kept = typing.text.trim_end().rfind([' ', '.']).map_or(0, |at| at + 1);
                typing.text.truncate(kept);
            }
            Action::EraseLine => typing.text.clear(),
            Action::Older | Action::Newer => {
                let past = self.typed.get(&typing.purpose).map_or(&[][..], Vec::as_slice);
                typing.older = match (typing.older, action) {
                    (None, Action::Older) => past.len().checked_sub(1),
                    (Some(at), Action::Older) => Some(at.saturating_sub(1)),
                    (Some(at), _) => Some(at + 1).filter(|at| *at < past.len()),
                    (None, _) => None,
                };
                typing.text = typing.older.and_then(|at| past.get(at)).cloned().unwrap_or_default();
            }
            _ => return Effect::None,
        }
        self.changed();
        Effect::None
    }

    /// A change takes effect while it is typed, where that is harmless.
    fn changed(&mut self) {
        let Some(typing) = &mut self.typing else { return };
        typing.choices.clear();
        typing.error = None;
        let text = typing.text.clone();
        match typing.purpose {
            Purpose::Search => {
                self.search = text;
                self.found = None;
            }
            Purpose::Filter => match filter::Filter::parse(&text) {
                Ok(filter) => self.coros.set_filter(filter),
                Err(error) => typing.error = Some(error),
            },
            Purpose::LogFilter => self.log.filter = text,
            Purpose::Print | Purpose::PrintAll => {}
        }
    }

    fn accept(&mut self) {
        let Some(typing) = self.typing.take() else { return };
        let text = typing.text.trim().to_owned();
        let error = match typing.purpose {
            Purpose::Search => {
                self.search.clone_from(&text);
                if !text.is_empty() {
                    self.find(true);
                }
                None
            }
            Purpose::Filter => filter::Filter::parse(&text).map(|filter| self.coros.set_filter(filter)).err(),
            Purpose::LogFilter => {
                self.log.filter.clone_from(&text);
                None
            }
            Purpose::Print | Purpose::PrintAll => {
                self.print(&text, typing.purpose == Purpose::PrintAll);
                None
            }
        };
        if let Some(error) = error {
            self.typing = Some(Typing { error: Some(error), ..typing });
            return;
        }
        let past = self.typed.entry(typing.purpose).or_default();
        if !text.is_empty() && past.last() != Some(&text) {
            past.push(text);
        }
    }

    fn print(&mut self, path: &str, all: bool) {
        let Some(located) = self.crash.as_ref().and_then(|crash| crash.current()) else { return };
        let printed = (path.to_owned(), look_up(&located.frame, path).cloned(), all);
        if let Some(Page { what: PageKind::Printed(list), scroll, .. }) = self.pages.last_mut() {
            list.push(printed);
            *scroll = usize::MAX;
        } else {
            self.pages.push(Page::new(PageKind::Printed(vec![printed])));
        }
    }

    fn complete(&mut self) {
        let Some(typing) = &mut self.typing else { return };
        let choices = match typing.purpose {
            Purpose::Filter => {
                let past = self.past.as_ref().map(|past| &past.model);
                filter::completions(past.unwrap_or(self.tape.latest()), &typing.text)
            }
            Purpose::Print | Purpose::PrintAll => match self.crash.as_ref().and_then(|crash| crash.current()) {
                Some(located) => completions(&located.frame, &typing.text),
                None => Vec::new(),
            },
            Purpose::Search | Purpose::LogFilter => Vec::new(),
        };
        if let Some(common) = common_start(&choices).filter(|common| common.len() > typing.text.len()) {
            typing.text = common;
        }
        typing.choices = if choices.len() > 1 { choices } else { Vec::new() };
        if typing.purpose == Purpose::Filter {
            let choices = std::mem::take(&mut typing.choices);
            self.changed();
            if let Some(typing) = &mut self.typing {
                typing.choices = choices;
                typing.error = None;
            }
        }
    }

    /// Selects the next coroutine with a name that contains the searched text, or the next such line of a log.
    pub(super) fn find(&mut self, forward: bool) {
        if self.search.is_empty() {
            self.notice = Some("nothing was searched for: / begins".to_owned());
            return;
        }
        if self.screen == Screen::Log && self.pages.is_empty() {
            crate::tui::panes::log::find(self, forward);
            return;
        }
        let needle = self.search.to_lowercase();
        let model = self.model();
        // Names are few; only a number in what is searched for makes each coroutine's own label worth a look.
        let numbered = needle.contains(|one: char| one == '#' || one.is_ascii_digit());
        let mut names: HashMap<NameId, bool> = HashMap::new();
        let mut is_named = |coro: &Coro| {
            *names
                .entry(coro.name)
                .or_insert_with(|| short_name(model.name(coro.name)).to_lowercase().contains(&needle))
        };
        let fits = |coro: &&Coro| is_named(coro) || (numbered && model.label(coro.id).to_lowercase().contains(&needle));
        let matches: Vec<u64> = model.live().filter(fits).map(|coro| coro.id).collect();
        let here = self.selected.unwrap_or(0);
        let next = if forward {
            matches.iter().position(|id| *id > here).unwrap_or(0)
        } else {
            matches.iter().rposition(|id| *id < here).unwrap_or(matches.len().saturating_sub(1))
        };
        match matches.get(next) {
            Some(id) => {
                self.found = Some((next + 1, matches.len()));
                self.select(*id);
            }
            None => {
                self.found = None;
                self.notice = Some(format!("no coroutine is called {:?}", self.search));
            }
        }
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
