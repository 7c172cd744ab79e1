//! The line being typed, and the search for coroutines.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{App, Edited, Effect, Purpose, SCREENS, history_key};
use crate::event::{CoroId, NameId, number};
use crate::model::short_name;
use crate::tui::fuzzy::Fuzzy;
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

    /// Selects the next match of the searched text: where the pane does not do so itself, the next coroutine. That with
    /// the number searched for comes first, then the best matches of names.
    pub(super) fn find(&mut self, forward: bool) {
        if self.session.search.text.is_empty() {
            self.session.note("nothing was searched for: / begins");
            return;
        }
        if self.pages.is_empty() && self.screens[self.front].find(&mut self.session, forward) {
            return;
        }
        let text = &self.session.search.text;
        let mut fuzzy = Fuzzy::new(text);
        let model = self.session.model();
        // Names are few; only a number in what is searched for makes each coroutine's own worth a look.
        let numbered = text.contains(|one: char| one == '#' || one.is_ascii_digit());
        let mut names: HashMap<NameId, Option<u16>> = HashMap::new();
        let mut matches: Vec<_> = Vec::new();
        for coro in model.live() {
            let mut of_name = |name| *names.entry(name).or_insert_with(|| fuzzy.score(short_name(model.name(name))));
            let named = of_name(coro.name).max(of_name(coro.given_name).filter(|_| coro.given_name != 0));
            let number = if numbered { number(coro.id) } else { String::new() };
            let labelled = numbered.then(|| format!("{} {number}", short_name(model.name(coro.name))));
            let score = named.max(labelled.and_then(|label| fuzzy.score(&label)));
            let is_it = fuzzy.number().is_some_and(|wanted| number.trim_start_matches('#') == wanted);
            if let Some(score) = score {
                matches.push((Reverse(is_it), Reverse(score), coro.id));
            }
        }
        matches.sort_unstable();
        let matches: Vec<CoroId> = matches.into_iter().map(|(.., id)| id).collect();
        match self.session.search.next(&matches, self.session.selected, forward) {
            Some(id) => self.session.select(id),
            None => self.session.note(format!("no coroutine matches {:?}", self.session.search.text)),
        }
    }
}
