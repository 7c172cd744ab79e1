//! The page of the keys, from the tables that the panes declare.

use std::path::PathBuf;

use ratatui::text::{Line, Span};

use super::page::Page;
use crate::environment;
use crate::model::Activity;
use crate::settings_file;
use crate::tui::keys::Context;
use crate::tui::pane::Pane;
use crate::tui::session::Session;
use crate::tui::text::{count, counted, pad, width, wrap};
use crate::tui::widgets::heading;

/// Creates the page of the keys of the screen that it was opened over, which has these contexts, of those that are
/// valid everywhere, and of what the signs mean.
pub fn page(over: Vec<Context>) -> Box<dyn Pane> {
    Page::of_lines("Help", move |session, wide| lines(session, &over, wide))
}

/// The path of the settings, as written in a shell; none in tests, where the screens have to be the same on all
/// machines.
fn settings_path() -> Option<String> {
    if cfg!(test) {
        return Some("~/.config/tinyio/inspector.conf".to_owned());
    }
    let path = settings_file::path(environment::var)?;
    let home = environment::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let short = home.and_then(|home| path.strip_prefix(home).ok().map(|rest| format!("~/{}", rest.display())));
    Some(short.unwrap_or_else(|| path.display().to_string()))
}

fn lines(session: &Session, over: &[Context], wide: u16) -> Vec<Line<'static>> {
    let (theme, tape) = (&session.theme, &session.playback.tape);
    let declared = session.keys.contexts();
    let is_over = |context: &Context| over.contains(context);
    let mut contexts: Vec<Context> = declared.iter().copied().filter(is_over).collect();
    contexts.extend(declared.iter().filter(|context| !is_over(context)));
    let (bytes, budget) = tape.bytes();
    let mb = |bytes: usize| count(bytes.div_ceil(1 << 20) as u64);
    let kept = format!(
        "{} in memory to go back to, {} MB of at most {}{}",
        counted(tape.len() - tape.first(), "event"),
        mb(bytes),
        mb(budget),
        match tape.first() {
            0 => String::new(),
            gone => format!("; {} older ones are gone: `tape` in the settings keeps more", count(gone)),
        }
    );
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        contexts.into_iter().partition(|context| is_over(context) || *context == Context::EVERYWHERE);
    // What is looked for most often stands on the first page.
    let mut lines = Vec::new();
    keys(session, &here, wide, &mut lines);
    lines.push(heading(theme, "States"));
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
        (theme.glyphs.loose[0], "runs beside: the row above does not wait on it"),
        (theme.glyphs.cycle, "a cycle"),
    ];
    let marks: Vec<_> = marks.iter().map(|(sign, word)| format!("{sign} {word}")).collect();
    let marks = wrap(&marks.join("   "), usize::from(wide).saturating_sub(2)).into_iter();
    lines.extend(marks.map(|text| Line::styled(format!("  {text}"), theme.dim)));
    lines.push(Line::default());
    lines.push(heading(theme, "This program"));
    lines.extend(
        wrap(&kept, usize::from(wide).saturating_sub(2)).into_iter().map(|text| Line::raw(format!("  {text}"))),
    );
    lines.extend(settings_path().map(|path| Line::raw(format!("  settings: {path}"))));
    lines.push(Line::default());
    keys(session, &elsewhere, wide, &mut lines);
    lines.pop();
    lines
}

/// The keys of these contexts, with an empty line after each.
fn keys(session: &Session, contexts: &[Context], wide: u16, lines: &mut Vec<Line<'static>>) {
    let theme = &session.theme;
    let all = session.keys.contexts().into_iter().flat_map(|context| session.keys.of(context));
    let longest = all.map(|(keys, _)| width(&keys) + 1).max();
    let usual = longest.unwrap_or_default().clamp(16, 24);
    for context in contexts {
        lines.push(heading(theme, context.title()));
        for (keys, help) in session.keys.of(*context) {
            let column = usual.max(width(&keys) + 1);
            for (index, part) in wrap(help, usize::from(wide).saturating_sub(column + 3)).into_iter().enumerate() {
                let keys = if index == 0 { keys.as_str() } else { "" };
                lines.push(Line::from(vec![
                    Span::styled(format!("  {} ", pad(keys, column)), theme.key),
                    Span::raw(part),
                ]));
            }
        }
        lines.push(Line::default());
    }
}
