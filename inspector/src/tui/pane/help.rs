//! The keys, from the table.

use ratatui::text::{Line, Span};

use super::{App, heading};
use crate::model::Activity;
use crate::tui::app::Screen;
use crate::tui::keys::Context;
use crate::tui::text::{pad, width, wrap};

/// The keys of the screen one came from, those valid everywhere, and what the signs mean.
pub fn lines(app: &App, wide: u16) -> Vec<Line<'static>> {
    let theme = &app.theme;
    let here = match app.screen {
        Screen::Graph => Some(Context::Graph),
        Screen::Coroutines => Some(Context::Table),
        Screen::Threads | Screen::Resources => None,
        Screen::Timeline => Some(Context::Timeline),
        Screen::Log => Some(Context::Log),
        Screen::Crash => Some(Context::Crash),
    };
    let mut contexts: Vec<Context> = here.into_iter().chain([Context::Everywhere]).collect();
    let rest = [
        Context::Graph,
        Context::Table,
        Context::Timeline,
        Context::Log,
        Context::Crash,
        Context::Source,
        Context::Stacks,
        Context::Page,
        Context::Typing,
    ];
    contexts.extend(rest.into_iter().filter(|context| Some(*context) != here));
    let mut lines = vec![heading(app, "States")];
    let mut signs = vec![Span::raw("  ")];
    let states = [
        (Activity::Running, "running"),
        (Activity::Ready, "ready"),
        (Activity::OnCoro, "waiting"),
        (Activity::Sleeping, "sleeping"),
        (Activity::Done, "done"),
        (Activity::Failed, "failed"),
        (Activity::Cancelled, "cancelled"),
        (Activity::Improper, "improper"),
    ];
    for (activity, word) in states {
        signs.push(Span::styled(theme.sign(activity), theme.activity(activity)));
        signs.push(Span::raw(format!(" {word}  ")));
    }
    lines.push(Line::from(signs));
    let marks = [
        (theme.glyphs.reference, "waits on one shown elsewhere"),
        (theme.glyphs.loose[0], "runs beside: nobody above waits on it"),
        (theme.glyphs.cycle, "a cycle"),
    ];
    let marks: Vec<_> = marks.iter().map(|(sign, word)| format!("{sign} {word}")).collect();
    lines.push(Line::styled(format!("  {}", marks.join("   ")), theme.dim));
    for context in contexts {
        lines.push(Line::default());
        lines.push(heading(app, context.title()));
        for (keys, help) in app.keys.of(context) {
            let column = 16.max(width(&keys) + 1);
            for (index, part) in wrap(help, usize::from(wide).saturating_sub(column + 3)).into_iter().enumerate() {
                let keys = if index == 0 { keys.as_str() } else { "" };
                lines.push(Line::from(vec![
                    Span::styled(format!("  {} ", pad(keys, column)), theme.key),
                    Span::raw(part),
                ]));
            }
        }
    }
    lines
}
