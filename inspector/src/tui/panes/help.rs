//! The keys, from the table.

use ratatui::text::{Line, Span};

use super::{App, heading};
use crate::environment;
use crate::model::Activity;
use crate::tui::app::Screen;
use crate::tui::keys::Context;
use crate::tui::text::{count, counted, pad, width, wrap};

/// The path of the settings, as written in a shell; none in tests, where the screens have to be the same on all
/// machines.
fn settings_path() -> Option<String> {
    if cfg!(test) {
        return Some("~/.config/tinyio/inspector.conf".to_owned());
    }
    let path = crate::tui::settings_path(environment::var)?;
    let home = environment::var_os("HOME").map(std::path::PathBuf::from).filter(|home| home.is_absolute());
    let short = home.and_then(|home| path.strip_prefix(home).ok().map(|rest| format!("~/{}", rest.display())));
    Some(short.unwrap_or_else(|| path.display().to_string()))
}

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
    let (bytes, budget) = app.tape.bytes();
    let mb = |bytes: usize| count(bytes.div_ceil(1 << 20) as u64);
    let kept = format!(
        "{} in memory to go back to, {} MB of at most {}{}",
        counted(app.tape.len() - app.tape.first(), "event"),
        mb(bytes),
        mb(budget),
        match app.tape.first() {
            0 => String::new(),
            gone => format!("; {} older ones are gone: `tape` in the settings keeps more", count(gone)),
        }
    );
    let mut lines = vec![heading(app, "Help")];
    lines.extend(
        wrap(&kept, usize::from(wide).saturating_sub(2)).into_iter().map(|text| Line::raw(format!("  {text}"))),
    );
    lines.extend(settings_path().map(|path| Line::raw(format!("  settings: {path}"))));
    lines.push(Line::default());
    lines.push(heading(app, "States"));
    let mut signs = vec![Span::raw("  ")];
    let mut used = 2;
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
        if used + word.len() + 4 > usize::from(wide) {
            lines.push(Line::from(std::mem::replace(&mut signs, vec![Span::raw("  ")])));
            used = 2;
        }
        used += word.len() + 4;
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
    let marks = wrap(&marks.join("   "), usize::from(wide).saturating_sub(2)).into_iter();
    lines.extend(marks.map(|text| Line::styled(format!("  {text}"), theme.dim)));
    let longest = contexts.iter().flat_map(|context| app.keys.of(*context)).map(|(keys, _)| width(&keys) + 1).max();
    let usual = longest.unwrap_or_default().clamp(16, 24);
    for context in contexts {
        lines.push(Line::default());
        lines.push(heading(app, context.title()));
        for (keys, help) in app.keys.of(context) {
            let column = usual.max(width(&keys) + 1);
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
