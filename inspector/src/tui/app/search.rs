//! The line being typed, and the search for coroutines.

use std::collections::HashMap;

use super::{App, Edited, Effect, Purpose, SCREENS, history_key};
use crate::event::NameId;
use crate::model::{Coro, short_name};
use crate::tui::pane::Reply;
use crate::tui::prompt::Prompt;

impl App {
    /// The line being typed was edited.
    pub(super) fn edited(&mut self, edited: Edited) -> Effect {
        match edited {
            Edited::Nothing => {}
            Edited::Cancelled => self.prompt = None,
            Edited::Changed => self.changed(),
            Edited::Complete => self.complete(),
            Edited::Accepted => return self.accept(),
        }
        Effect::None
    }

    /// A change takes effect while it is typed.
    fn changed(&mut self) {
        let Some(mut prompt) = self.prompt.take() else { return };
        prompt.choices.clear();
        prompt.error = self.typed(&prompt).err();
        self.prompt = Some(prompt);
    }

    fn typed(&mut self, prompt: &Prompt) -> Result<(), String> {
        if prompt.purpose == Purpose::Search {
            prompt.text().clone_into(&mut self.session.search.text);
            self.session.search.found = None;
            return Ok(());
        }
        match self.pages.last_mut() {
            Some(page) => page.typed(&mut self.session, prompt.purpose, prompt.text()),
            None => self.screens[self.front].typed(&mut self.session, prompt.purpose, prompt.text()),
        }
    }

    fn accept(&mut self) -> Effect {
        let Some(mut prompt) = self.prompt.take() else { return Effect::None };
        let (purpose, text) = (prompt.purpose, prompt.text().trim().to_owned());
        let accepted = match self.pages.last_mut() {
            _ if purpose == Purpose::Search => {
                self.session.search.text.clone_from(&text);
                if !text.is_empty() {
                    self.find(true);
                }
                Ok(Reply::Done)
            }
            Some(page) => page.accepted(&mut self.session, purpose, &text),
            None => self.screens[self.front].accepted(&mut self.session, purpose, &text),
        };
        match accepted {
            Ok(reply) => {
                let past = self.history.entry(history_key(purpose, SCREENS[self.front].title)).or_default();
                if !text.is_empty() && past.last() != Some(&text) {
                    past.push(text);
                }
                self.follow(reply)
            }
            Err(error) => {
                prompt.error = Some(error);
                self.prompt = Some(prompt);
                Effect::None
            }
        }
    }

    fn complete(&mut self) {
        let Some(mut prompt) = self.prompt.take() else { return };
        let top = self.pages.last().unwrap_or(&self.screens[self.front]);
        let choices = top.completions(&self.session, prompt.purpose, prompt.parts().0);
        if prompt.complete(choices) {
            // What is typed so far need not be complete.
            _ = self.typed(&prompt);
            prompt.error = None;
        }
        self.prompt = Some(prompt);
    }

    /// Selects the next match of the searched text: where the pane does not do so itself, the next coroutine with a
    /// name that contains it.
    pub(super) fn find(&mut self, forward: bool) {
        if self.session.search.text.is_empty() {
            self.session.note("nothing was searched for: / begins");
            return;
        }
        if self.pages.is_empty() && self.screens[self.front].find(&mut self.session, forward) {
            return;
        }
        let needle = self.session.search.text.to_lowercase();
        let model = self.session.model();
        // Names are few; only a number in what is searched for makes each coroutine's own label worth a look.
        let numbered = needle.contains(|one: char| one == '#' || one.is_ascii_digit());
        let mut names: HashMap<NameId, bool> = HashMap::new();
        let mut is_named = |coro: &Coro| {
            *names
                .entry(coro.name)
                .or_insert_with(|| short_name(model.name(coro.name)).to_lowercase().contains(&needle))
        };
        let is_given =
            |coro: &Coro| coro.given_name != 0 && model.name(coro.given_name).to_lowercase().contains(&needle);
        let fits = |coro: &&Coro| {
            is_named(coro) || is_given(coro) || (numbered && model.label(coro.id).to_lowercase().contains(&needle))
        };
        let matches: Vec<u64> = model.live().filter(fits).map(|coro| coro.id).collect();
        let here = self.session.selected.unwrap_or(0);
        let next = if forward {
            matches.iter().position(|id| *id > here).unwrap_or(0)
        } else {
            matches.iter().rposition(|id| *id < here).unwrap_or(matches.len().saturating_sub(1))
        };
        match matches.get(next) {
            Some(id) => {
                self.session.search.found = Some((next + 1, matches.len()));
                self.session.select(*id);
            }
            None => {
                self.session.search.found = None;
                self.session.note(format!("no coroutine is called {:?}", self.session.search.text));
            }
        }
    }
}
