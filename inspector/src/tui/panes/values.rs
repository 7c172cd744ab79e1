//! The page of all variables of a coroutine, in full.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::page::{ANY_WIDTH, scroll, whole};
use super::printed::{ALL, unfold};
use crate::event::{CoroId, Frame};
use crate::tui::clipboard::{Copied, Part};
use crate::tui::keys::{Action, Context};
use crate::tui::pane::{Pane, Reply, Subject};
use crate::tui::session::Session;
use crate::tui::text::wrap;
use crate::tui::theme::Theme;
use crate::tui::widgets::{Pager, mark_of};

/// The frames of the await stack of a coroutine, each with its variables.
#[derive(Debug)]
pub struct Values {
    id: CoroId,
    /// When the page was opened: the program is asked for the values until it has sent them since then.
    since: u64,
    pager: Pager,
}

impl Values {
    /// The page of that coroutine.
    pub fn new(session: &Session, id: CoroId) -> Values {
        Values { id, since: session.playback.tape.latest().now(), pager: Pager::default() }
    }

    fn lines(&self, session: &Session, wide: u16) -> Vec<Line<'static>> {
        let (theme, model, id) = (&session.theme, session.model(), self.id);
        let wide = usize::from(wide);
        let mut lines = vec![Line::styled(model.label(id), theme.title)];
        let dim = |text: &str| {
            wrap(text, wide.max(10)).into_iter().map(|part| Line::styled(part, theme.dim)).collect::<Vec<_>>()
        };
        if session.wants_values(id, self.since) {
            lines.extend(dim("the program is asked for more of them"));
        }
        let remote = session.remote_stack(id).and_then(|read| read.stack.as_ref().ok());
        let stack = remote.or_else(|| model.coro(id)?.stack.as_ref().map(|(_, stack)| &**stack));
        let Some(stack) = stack else {
            lines.extend(dim(
                "none are known: they are read of a coroutine that waits, while its program runs, and of all when it crashes",
            ));
            return lines;
        };
        lines.extend(stack.missing.iter().flat_map(|missing| dim(missing)));
        for frame in stack.frames.iter().filter(|frame| !frame.hidden) {
            frame_lines(theme, frame, wide, &mut lines);
        }
        lines
    }
}

impl Pane for Values {
    fn title(&self) -> &'static str {
        "Values"
    }

    fn subject(&self) -> Option<Subject> {
        Some(Subject::Coro(self.id))
    }

    fn contexts(&self) -> Vec<Context> {
        vec![Context::PAGE]
    }

    fn wants_values(&self, session: &Session) -> Option<CoroId> {
        session.wants_values(self.id, self.since).then_some(self.id)
    }

    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        Some(match part {
            Part::Whole => whole(self.title(), &self.lines(session, ANY_WIDTH)),
            Part::Name => Copied::new("name", &session.model().label(self.id)),
        })
    }

    fn act(&mut self, _session: &mut Session, action: Action) -> Reply {
        scroll(&mut self.pager, action)
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let mut pager = std::mem::take(&mut self.pager);
        pager.draw(&session.theme, buf, area, |wide| self.lines(session, wide));
        self.pager = pager;
    }
}

fn frame_lines(theme: &Theme, frame: &Frame, wide: usize, lines: &mut Vec<Line<'static>>) {
    let place = if frame.line == 0 { String::new() } else { format!("  {}:{}", frame.file, frame.line) };
    lines.push(Line::default());
    lines.push(Line::from(vec![Span::styled(frame.function.clone(), theme.text), Span::styled(place, theme.place)]));
    for local in &frame.locals {
        let (depth, length) = ALL;
        unfold(theme, &local.name, &local.value, 1, depth, length, wide, lines);
        if let Some(mark) = mark_of(local) {
            lines.push(Line::styled(format!("    ({mark})"), theme.warning));
        }
    }
    for branch in &frame.branches {
        branch.frames.iter().filter(|frame| !frame.hidden).for_each(|frame| frame_lines(theme, frame, wide, lines));
    }
}
