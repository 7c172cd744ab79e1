//! The panes: each is one file that holds the state, the keys and the drawing of one screen or page.
//!
//! To add a screen: write its file with a `SCREEN` and a type that implements [`Pane`], and name it in [`SCREENS`].

mod coroutines;
mod crash;
mod detail;
mod graph;
mod graph_canvas;
mod help;
mod lints;
mod log;
mod printed;
mod resources;
mod source;
mod stack_tree;
mod threads;
mod timeline;
mod values;
mod why;

use std::path::PathBuf;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;

use super::keys::{Action, Binding, Context};
use super::prompt::Purpose;
use super::session::Session;
use super::theme::Theme;
use super::widgets::Pager;
use crate::event::CoroId;

pub use coroutines::SCREEN as COROUTINES;
pub use crash::SCREEN as CRASH;
pub use detail::Detail;
pub use help::Help;
pub use lints::Lints;
pub use values::Values;
pub use why::Why;

/// The screens, in the order of their digits.
pub const SCREENS: [Screen; 7] = [
    graph::SCREEN,
    coroutines::SCREEN,
    threads::SCREEN,
    resources::SCREEN,
    timeline::SCREEN,
    log::SCREEN,
    crash::SCREEN,
];

/// The keys of pages that have some of their own.
pub const PAGES: [(Context, &[Binding]); 2] =
    [(source::CONTEXT, source::KEYS), (stack_tree::CONTEXT, stack_tree::KEYS)];

/// From this width on the details stand beside a table, which needs more room for itself than the graph.
const TABLE_AND_DETAIL: u16 = 136;

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

/// A part of the terminal with a state of its own: a screen, or a page over it.
pub trait Pane {
    /// Its name.
    fn title(&self) -> &'static str;

    /// The coroutine that the page is about, if it is about one: two pages of one title and subject are the same.
    fn subject(&self) -> Option<CoroId> {
        None
    }

    /// Where its keys are declared, the topmost first.
    fn contexts(&self) -> Vec<Context> {
        vec![Context(self.title())]
    }

    /// Draws it.
    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect);

    /// Performs an action that the router has no use for.
    fn act(&mut self, session: &mut Session, action: Action) -> Reply;

    /// The mouse was pressed there.
    fn click(&mut self, _session: &mut Session, _at: Position) {}

    /// From which width of the terminal on details of the selected row are drawn beside it, if they ever are.
    fn room_beside(&self) -> Option<u16> {
        None
    }

    /// The details beside it.
    fn beside(&self, session: &Session, wide: u16) -> Vec<Line<'static>> {
        detail::selected(session, wide)
    }

    /// Whether there is something to show: else it has no tab.
    fn is_there(&self, _session: &Session) -> bool {
        true
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

/// Scrolls a page; to open what is on it closes it.
fn scroll(pager: &mut Pager, action: Action) -> Reply {
    pager.act(action);
    if action == Action::Open { Reply::Close } else { Reply::Done }
}
