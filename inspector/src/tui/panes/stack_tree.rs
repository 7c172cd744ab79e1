//! The stack tree: every frame of every callstack.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::App;
use crate::model::Activity;
use crate::tui::app::Hit;
use crate::tui::post_mortem::Role;
use crate::tui::text::{counted, one_line};

/// The tree, with the selected frame in the middle.
pub fn render(buf: &mut Buffer, app: &mut App, area: Rect) {
    let Some(crash) = &app.crash else { return };
    let theme = app.theme;
    let mut rows: Vec<(Line, Option<(usize, usize)>)> = Vec::new();
    let mut here = 0;
    for (index, stack) in crash.data.stacks.iter().enumerate() {
        let fold = if stack.collapsed { theme.glyphs.closed } else { theme.glyphs.open };
        let selected = index == crash.stack;
        if selected {
            here = rows.len();
        }
        let frames = counted(stack.frames.len() as u64, "frame");
        let error = match (stack.role, crash.data.failure(index)) {
            (Role::Origin | Role::Error | Role::Improper, Some(failure)) => {
                format!("  {} {}", theme.sign(Activity::Failed), failure.message)
            }
            _ => String::new(),
        };
        rows.push((
            Line::from(vec![
                Span::styled(format!("{fold} "), theme.key),
                Span::styled(stack.title.clone(), if selected { theme.title } else { theme.text }),
                Span::styled(format!("  {}  {frames}", stack.note), theme.dim),
                Span::styled(one_line(&error), theme.failed),
            ]),
            stack.collapsed.then_some((index, crash.data.deepest(index))),
        ));
        if stack.collapsed {
            continue;
        }
        let all_hidden = stack.frames.iter().all(|located| located.frame.hidden);
        let mut hidden = 0;
        let mut owner = 0;
        for (number, located) in stack.frames.iter().enumerate() {
            if located.frame.hidden && !crash.hidden && !all_hidden {
                hidden += 1;
                continue;
            }
            let this = selected && number == crash.frame;
            if this {
                here = rows.len();
            }
            let mut line = super::crash::frame_line(&theme, located, this, area.width.saturating_sub(24).min(90));
            line.spans.insert(0, Span::raw("   "));
            if located.coro != owner {
                owner = located.coro;
                line.push_span(Span::styled(format!("  {}", app.model().label(owner)), theme.dim));
            }
            rows.push((line, Some((index, number))));
        }
        if hidden > 0 {
            rows.push((Line::styled(format!("     {hidden} hidden"), theme.dim), None));
        }
    }
    let height = usize::from(area.height);
    let top = here.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
    let (stack, frame) = (crash.stack, crash.frame);
    let collapsed = crash.data.stacks.get(stack).is_some_and(|stack| stack.collapsed);
    for (row, (line, place)) in rows.into_iter().skip(top).take(height).enumerate() {
        let y = area.y + row as u16;
        buf.set_line(area.x, y, &line, area.width);
        let line_area = Rect { y, height: 1, ..area };
        if let Some((index, number)) = place {
            if index == stack && (number == frame || collapsed) {
                buf.set_style(line_area, theme.selected);
            }
            if index == stack {
                app.hits.push((line_area, Hit::Frame(number)));
            } else {
                app.hits.push((line_area, Hit::Stack(index)));
            }
        }
    }
}
