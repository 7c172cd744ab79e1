//! The page of source text, coloured, with the current line marked.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::page::scroll;
use crate::event::Frame;
use crate::tui::clipboard::{Copied, Part};
use crate::tui::keys::{Action, Binding, Context, bind};
use crate::tui::pane::{Pane, Reply};
use crate::tui::session::Session;
use crate::tui::syntax::{function_of, highlight, lines_of};
use crate::tui::text::pad_left;
use crate::tui::theme::Theme;
use crate::tui::widgets::Pager;

pub const CONTEXT: Context = Context("Source");
pub const KEYS: &[Binding] = &[
    bind(&["esc", "q"], Action::Back, "source-back", "back", "back to the crash"),
    bind(&["left", "h"], Action::Left, "source-left", "", "to the beginning of long lines"),
    bind(&["right", "l"], Action::Right, "source-right", "sideways", "further along long lines"),
    bind(&["e"], Action::Edit, "source-edit", "edit", "open the editor at the line"),
];

/// Number of lines before and after the current one that are enough for any screen.
const NEAR: usize = 200;

/// The lines around a frame's place, and what is wrong with them.
pub fn near(session: &mut Session, frame: &Frame) -> (Vec<(u32, String)>, Option<String>) {
    let header = session.playback.tape.latest().header();
    let file = session.sources.file(&frame.file, header);
    // Lines that came with the frame are those the program was built from. The file has more of them, as long as it
    // says the same.
    let line = |number: u32| file.lines.get((number as usize).wrapping_sub(1));
    let same = |(number, text): &(u32, String)| line(*number).is_some_and(|line| line.trim_end() == text.trim_end());
    if !frame.source.iter().all(same) {
        return (frame.source.clone(), None);
    }
    let warning = file.warning.clone().filter(|_| frame.source.is_empty());
    let from = (frame.line as usize).saturating_sub(NEAR);
    let near = file.lines.iter().skip(from).take(2 * NEAR).cloned();
    ((from as u32 + 1..).zip(near).collect(), warning)
}

/// One line.
pub fn line(theme: &Theme, number: u32, text: &str, here: bool) -> Line<'static> {
    let mut spans = vec![
        Span::styled(if here { format!(" {} ", theme.glyphs.here) } else { "   ".to_owned() }, theme.failed),
        Span::styled(format!("{} ", pad_left(&number.to_string(), 4)), if here { theme.title } else { theme.dim }),
    ];
    spans.extend(highlight(text, theme).into_iter().map(|span| {
        let style = span.style;
        if here { span.style(style.patch(theme.title)) } else { span }
    }));
    Line::from(spans)
}

/// The source of the selected frame of the crash: the whole file, or the function.
#[derive(Debug)]
pub struct Source {
    whole: bool,
    /// The current line has been brought to the middle.
    is_centred: bool,
    pager: Pager,
}

impl Source {
    /// Of the `whole` file, or of the function.
    pub fn new(whole: bool) -> Source {
        Source { whole, is_centred: false, pager: Pager::of_long_lines() }
    }
}

impl Pane for Source {
    fn title(&self) -> &'static str {
        CONTEXT.title()
    }

    fn contexts(&self) -> Vec<Context> {
        vec![CONTEXT, Context::PAGE]
    }

    /// The text on the page, or the place of the frame.
    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        if part == Part::Name {
            return Some(Copied::new("place", &session.crash.as_ref()?.current()?.place()));
        }
        let (_, _, lines) = content(session, self.whole)?;
        let lines: Vec<_> = lines.iter().map(|(_, text)| text.as_str()).collect();
        Some(Copied::new("source", &lines.join("\n")))
    }

    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        match action {
            Action::Edit => edit(session),
            action => scroll(&mut self.pager, action),
        }
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let (lines, current) = lines(session, self.whole);
        if !std::mem::replace(&mut self.is_centred, true) {
            self.pager.centre(current, area.height);
        }
        self.pager.draw(&session.theme, buf, area, |_| lines);
    }
}

/// The editor at the selected frame.
pub fn edit(session: &mut Session) -> Reply {
    let header = session.playback.tape.latest().header();
    let Some(located) = session.crash.as_ref().and_then(|crash| crash.current()) else { return Reply::Done };
    let source = session.sources.file(&located.frame.file, header);
    if let Some(path) = &source.path {
        return Reply::Edit { file: path.clone(), line: located.frame.line };
    }
    session.notice.clone_from(&source.warning);
    Reply::Done
}

/// The lines of the page, and which of them is the current one.
fn lines(session: &mut Session, whole: bool) -> (Vec<Line<'static>>, usize) {
    let theme = session.theme;
    let Some((frame, warning, range)) = content(session, whole) else {
        return (vec![Line::styled("no frame is selected", theme.dim)], 0);
    };
    let mut lines = vec![Line::styled(frame.file.clone(), theme.place)];
    lines.extend(warning.map(|warning| Line::styled(warning, theme.warning)));
    let current = range.iter().position(|(number, _)| *number == frame.line);
    let current = current.map_or(0, |row| row + lines.len());
    lines.extend(range.iter().map(|(number, text)| line(&theme, *number, text, *number == frame.line)));
    (lines, current)
}

type Numbered = Vec<(u32, String)>;

fn content(session: &mut Session, whole: bool) -> Option<(Frame, Option<String>, Numbered)> {
    let mut frame = session.crash.as_ref()?.current()?.frame.clone();
    let header = session.playback.tape.latest().header();
    let file = session.sources.file(&frame.file, header);
    // The page wants more than the few lines that come with a frame, if the file is there.
    let recorded = std::mem::take(&mut frame.source);
    let warning = file.warning.clone();
    let mut lines = lines_of(&frame, file);
    if lines.is_empty() {
        return Some((frame, warning.filter(|_| recorded.is_empty()), recorded));
    }
    if !whole {
        let range = function_of(&lines, frame.line);
        lines = lines[range].to_vec();
    }
    Some((frame, warning, lines))
}
