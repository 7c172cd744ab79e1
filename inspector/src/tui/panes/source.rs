//! Source text, coloured, with the current line marked.

use ratatui::text::{Line, Span};

use super::App;
use crate::event::Frame;
use crate::tui::syntax::{function_of, highlight, lines_of};
use crate::tui::text::pad_left;
use crate::tui::theme::Theme;

/// Number of lines before and after the current one that are enough for any screen.
const NEAR: usize = 200;

/// The lines around a frame's place, and what is wrong with them.
pub fn of(app: &mut App, frame: &Frame) -> (Vec<(u32, String)>, Option<String>) {
    let header = app.tape.latest().header().clone();
    let file = app.sources.file(&frame.file, &header);
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

/// The page: the whole file, or the function around the line.
pub fn lines(app: &mut App, whole: bool, _wide: u16) -> Vec<Line<'static>> {
    let theme = app.theme;
    let Some((frame, warning, range)) = content(app, whole) else {
        return vec![Line::styled("no frame is selected", theme.dim)];
    };
    let mut lines = vec![Line::styled(frame.file.clone(), theme.place)];
    if let Some(warning) = warning {
        lines.push(Line::styled(warning, theme.warning));
    }
    lines.extend(range.iter().map(|(number, text)| line(&theme, *number, text, *number == frame.line)));
    lines
}

/// The row of the current line on the page.
pub fn current_row(app: &mut App) -> Option<usize> {
    let whole = matches!(app.pages.last()?.what, crate::tui::app::PageKind::Source { whole: true });
    let (frame, warning, lines) = content(app, whole)?;
    Some(lines.iter().position(|(number, _)| *number == frame.line)? + 1 + usize::from(warning.is_some()))
}

type Numbered = Vec<(u32, String)>;

fn content(app: &mut App, whole: bool) -> Option<(Frame, Option<String>, Numbered)> {
    let mut frame = app.crash.as_ref()?.current()?.frame.clone();
    let header = app.tape.latest().header().clone();
    let file = app.sources.file(&frame.file, &header);
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
