//! All variables of a coroutine, in full.

use ratatui::text::{Line, Span};

use super::App;
use super::printed::{ALL, unfold};
use crate::event::{CoroId, Frame};
use crate::tui::text::wrap;

/// The frames of its await stack, from the root, each with its variables.
pub fn lines(app: &App, id: CoroId, wide: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let wide = usize::from(wide);
    let model = app.model();
    let mut lines = vec![Line::styled(model.label(id), theme.title)];
    let dim =
        |text: &str| wrap(text, wide.max(10)).into_iter().map(|part| Line::styled(part, theme.dim)).collect::<Vec<_>>();
    if app.wants_values().is_some() {
        lines.extend(dim("the program is asked for more of them"));
    }
    let outside = app.outside(id).and_then(|read| read.stack.as_ref().ok());
    let stack = outside.or_else(|| model.coro(id)?.stack.as_ref().map(|(_, stack)| &**stack));
    let Some(stack) = stack else {
        lines.extend(dim("none are known: they are read of a coroutine that waits, while its program runs, and of all when it crashes"));
        return lines;
    };
    lines.extend(stack.missing.iter().flat_map(|missing| dim(missing)));
    for frame in stack.frames.iter().filter(|frame| !frame.hidden) {
        frame_lines(app, frame, wide, &mut lines);
    }
    lines
}

fn frame_lines(app: &App, frame: &Frame, wide: usize, lines: &mut Vec<Line<'static>>) {
    let theme = &app.theme;
    let place = if frame.line == 0 { String::new() } else { format!("  {}:{}", frame.file, frame.line) };
    lines.push(Line::default());
    lines.push(Line::from(vec![Span::styled(frame.function.clone(), theme.text), Span::styled(place, theme.place)]));
    for local in &frame.locals {
        let (depth, length) = ALL;
        unfold(app, &local.name, &local.value, 1, depth, length, wide, lines);
        if let Some(mark) = super::mark_of(local) {
            lines.push(Line::styled(format!("    ({mark})"), theme.warning));
        }
    }
    for branch in &frame.branches {
        branch.frames.iter().filter(|frame| !frame.hidden).for_each(|frame| frame_lines(app, frame, wide, lines));
    }
}
