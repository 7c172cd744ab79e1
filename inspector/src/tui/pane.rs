//! What a pane is: a screen or a page over it, with its state, its keys and its drawing.

use std::path::PathBuf;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;

use super::clipboard::{Copied, Part};
use super::keys::{Action, Binding, Context};
use super::prompt::Purpose;
use super::session::{Session, Stacks};
use super::theme::Theme;
use crate::describe;
use crate::event::{CoroId, ResId};
use crate::model::Model;

/// What a screen declares.
pub struct Screen {
    /// Its name on its tab and above its keys on the help page.
    pub title: &'static str,
    /// The name of the action that shows it.
    pub name: &'static str,
    /// What it shows, for the help page.
    pub help: &'static str,
    /// The keys that are valid on it alone.
    pub keys: &'static [Binding],
    /// Creates it.
    pub new: fn() -> Box<dyn Pane>,
}

impl Screen {
    /// Where its keys are valid.
    pub const fn context(&self) -> Context {
        Context(self.title)
    }
}

impl Stacks {
    /// The stack of a coroutine with its values; none of a resource.
    pub fn of(subject: Subject) -> Stacks {
        match subject {
            Subject::Coro(id) => Stacks { values: Some(id), places: Vec::new() },
            Subject::Res(_) => Stacks::default(),
        }
    }
}

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A coroutine.
    Coro(CoroId),
    /// An event, lock, semaphore or barrier.
    Res(ResId),
}

impl Subject {
    /// How it is called.
    pub fn label(self, model: &Model) -> String {
        match self {
            Subject::Coro(id) => model.label(id),
            Subject::Res(id) => model.resource_label(id),
        }
    }
}

/// A part of the terminal with a state of its own: a screen, or a page over it.
pub trait Pane {
    /// Its name.
    fn title(&self) -> &'static str;

    /// What the page is about, if it is about one thing: two pages of one title and subject are the same.
    fn subject(&self) -> Option<Subject> {
        None
    }

    /// What is selected on it: the actions on the selected thing (its details, why it waits, its values) are about
    /// that.
    fn selected(&self, session: &Session) -> Option<Subject> {
        self.subject().or(session.selected.map(Subject::Coro))
    }

    /// What the page of why it waits is about: one of several, where several are selected.
    fn waiting(&self, session: &Session) -> Option<Subject> {
        self.selected(session)
    }

    /// Where its keys are declared, the topmost first.
    fn contexts(&self) -> Vec<Context> {
        vec![Context(self.title())]
    }

    /// Draws it.
    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect);

    /// What is copied of what is selected. By default that is a line about the selected thing, and its label.
    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        let subject = self.selected(session)?;
        let (model, now) = (session.model(), session.now());
        let label = subject.label(model);
        match (part, subject) {
            (Part::Whole, Subject::Coro(id)) => {
                let coro = model.coro(id)?;
                let (doing, long) =
                    (describe::doing_at(model, coro, now), describe::passed(model, coro.for_how_long(now)));
                Some(Copied::new(format!("row of {label}"), &format!("{label}  {doing}  {long}")))
            }
            _ => Some(Copied::new("name", &label)),
        }
    }

    /// Performs an action that the router has no use for.
    fn act(&mut self, session: &mut Session, action: Action) -> Reply;

    /// The mouse was pressed there.
    fn click(&mut self, _session: &mut Session, _at: Position) {}

    /// From which width of the terminal on details of the selected row are drawn beside it, if they ever are.
    fn room_beside(&self) -> Option<u16> {
        None
    }

    /// The details beside it.
    fn beside(&self, _session: &Session, _wide: u16) -> Vec<Line<'static>> {
        Vec::new()
    }

    /// Whether there is something to show: else it has no tab.
    fn is_there(&self, _session: &Session) -> bool {
        true
    }

    /// Why it has no tab, then.
    fn why_not_there(&self) -> &'static str {
        "there is nothing to show on it"
    }

    /// Whether the footer has its own keys alone: few of those that are valid everywhere are about what it shows.
    fn has_all_its_keys(&self) -> bool {
        false
    }

    /// The style of its tab while another screen is shown.
    fn tab_style(&self, theme: &Theme) -> Style {
        theme.text
    }

    /// It comes to the front.
    fn enter(&mut self, _session: &mut Session) {}

    /// Selects the next match of the searched text; false if the router is to search the coroutines.
    fn find(&mut self, _session: &mut Session, _forward: bool) -> bool {
        false
    }

    /// What to do if no coroutine is selected, and one has to be.
    fn none_selected(&self) -> &'static str {
        "select a coroutine first"
    }

    /// Takes the text of a line that it asked for, with every key.
    ///
    /// # Errors
    ///
    /// One sentence about what is wrong with it.
    fn typed(&mut self, _session: &mut Session, _purpose: Purpose, _text: &str) -> Result<(), String> {
        Ok(())
    }

    /// Takes the line that it asked for, once it is accepted.
    ///
    /// # Errors
    ///
    /// As [`typed`](Pane::typed): the line stays.
    fn accepted(&mut self, session: &mut Session, purpose: Purpose, text: &str) -> Result<Reply, String> {
        self.typed(session, purpose, text).map(|()| Reply::Done)
    }

    /// The ways to go on with a line that it asked for.
    fn completions(&self, _session: &Session, _purpose: Purpose, _text: &str) -> Vec<String> {
        Vec::new()
    }

    /// The await stacks that it shows; for a screen with details beside it, these have that of the selected coroutine.
    fn stacks(&self, _session: &Session) -> Stacks {
        Stacks::default()
    }

    /// The coroutine to ask the program for all values of.
    fn wants_values(&self, _session: &Session) -> Option<CoroId> {
        None
    }
}

/// What is to follow an action.
pub enum Reply {
    /// The pane has no use for it.
    Ignored,
    /// Nothing.
    Done,
    /// A page over the screen; if it is on top already, it is closed.
    Toggle(Box<dyn Pane>),
    /// The page is to be closed.
    Close,
    /// A line is to be typed, beginning with that text.
    Ask(Purpose, String),
    /// The editor is to be opened.
    Edit {
        /// The file.
        file: PathBuf,
        /// The line.
        line: u32,
    },
}
