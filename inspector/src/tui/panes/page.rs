//! A page of lines, which is scrolled and has no keys of its own.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::tui::clipboard::{Copied, Part};
use crate::tui::keys::{Action, Context};
use crate::tui::pane::{Pane, Reply, Subject};
use crate::tui::session::{Session, Stacks};
use crate::tui::widgets::Pager;

/// Makes the lines of a page, at most that wide.
type Lines = Box<dyn Fn(&Session, u16) -> Vec<Line<'static>>>;

/// A page over the screen.
pub struct Page {
    title: &'static str,
    subject: Option<Subject>,
    lines: Lines,
    stacks: fn(&Session, Subject) -> Stacks,
    pager: Pager,
}

impl Page {
    /// Creates a page that is about the whole program.
    pub fn of_lines(
        title: &'static str,
        lines: impl Fn(&Session, u16) -> Vec<Line<'static>> + 'static,
    ) -> Box<dyn Pane> {
        Box::new(Page {
            title,
            subject: None,
            lines: Box::new(lines),
            stacks: |_, _| Stacks::default(),
            pager: Pager::default(),
        })
    }

    /// Creates a page about one thing, which shows these await stacks.
    pub fn about(
        subject: Subject,
        title: &'static str,
        lines: impl Fn(&Session, u16) -> Vec<Line<'static>> + 'static,
        stacks: fn(&Session, Subject) -> Stacks,
    ) -> Box<dyn Pane> {
        Box::new(Page { title, subject: Some(subject), lines: Box::new(lines), stacks, pager: Pager::default() })
    }
}

impl Pane for Page {
    fn title(&self) -> &'static str {
        self.title
    }

    fn subject(&self) -> Option<Subject> {
        self.subject
    }

    fn contexts(&self) -> Vec<Context> {
        vec![Context::PAGE]
    }

    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        match part {
            Part::Whole => Some(whole(self.title, &(self.lines)(session, ANY_WIDTH))),
            Part::Name => Some(Copied::new("name", &self.subject?.label(session.model()))),
        }
    }

    fn stacks(&self, session: &Session) -> Stacks {
        self.subject.map_or_else(Stacks::default, |subject| (self.stacks)(session, subject))
    }

    fn act(&mut self, _session: &mut Session, action: Action) -> Reply {
        scroll(&mut self.pager, action)
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        self.pager.draw(&session.theme, buf, area, |wide| (self.lines)(session, wide));
    }
}

/// Wider than any line that is worth reading: what is copied is not cut.
pub const ANY_WIDTH: u16 = 4_000;

/// All lines of a page, to be copied. What fills the width of the page between two parts of a line is two spaces.
pub fn whole(title: &str, lines: &[Line]) -> Copied {
    let lines: Vec<String> = lines.iter().map(|line| unpadded(&line.to_string())).collect();
    Copied::new(format!("page {title}"), lines.join("\n").trim())
}

/// A line without what pads its parts; its indentation stays.
fn unpadded(line: &str) -> String {
    let text = line.trim_start();
    let parts: Vec<_> = text.split("   ").map(str::trim).filter(|part| !part.is_empty()).collect();
    format!("{}{}", &line[..line.len() - text.len()], parts.join("  "))
}

/// Scrolls a page; to open what is on it closes it.
pub fn scroll(pager: &mut Pager, action: Action) -> Reply {
    pager.act(action);
    if action == Action::Open { Reply::Close } else { Reply::Done }
}
