//! The last line: what keys there are, what is being typed, or one sentence about what just happened.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{put, right};
use crate::tui::keys::Context;
use crate::tui::playback::Status;
use crate::tui::prompt::Prompt;
use crate::tui::session::Session;
use crate::tui::text::{fit, slice, width};
use crate::tui::theme::Theme;

/// One line: the keys are those of `contexts`, or with `own_only` those of the first one alone.
pub fn draw(
    buf: &mut Buffer,
    session: &Session,
    prompt: Option<&Prompt>,
    contexts: &[Context],
    own_only: bool,
    area: Rect,
) {
    let theme = &session.theme;
    let found = session.search.found.filter(|_| prompt.is_none());
    let found = found.map(|(at, of)| format!(" {} {at}/{of} ", fit(&session.search.text, usize::from(area.width) / 3)));
    let line = if let Some(prompt) = prompt {
        let lead = format!(" {}", prompt.purpose.prompt());
        let room = usize::from(area.width).saturating_sub(width(&lead));
        // What is noted behind a long line needs some of the room.
        let noted = prompt.error.is_some() || !prompt.choices.is_empty();
        let mut spans = vec![Span::styled(lead, theme.key)];
        spans.extend(typed(theme, prompt, if noted { room / 2 } else { room }).spans);
        if let Some(error) = &prompt.error {
            spans.push(Span::styled(format!("  {error}"), theme.failed));
        } else if !prompt.choices.is_empty() {
            spans.push(Span::styled(format!("  {}", prompt.choices.join("  ")), theme.dim));
        }
        Line::from(spans)
    } else if let Status::Broken(why) = &session.playback.status {
        Line::styled(format!(" {}", fit(why, usize::from(area.width).saturating_sub(2))), theme.failed)
    } else if let Some(notice) = &session.notice {
        Line::styled(format!(" {}", fit(notice, usize::from(area.width).saturating_sub(2))), theme.warning)
    } else {
        hints(
            session,
            contexts,
            own_only,
            area.width.saturating_sub(found.as_ref().map_or(0, |text| width(text) as u16)),
        )
    };
    put(buf, area.x, area.y, &line, area.width);
    if let Some(text) = found {
        right(buf, area.x, area.y, area.width, &text, theme.found);
    }
}

/// The line being typed, with its cursor; of one that is longer than the room, the part with the cursor in it.
fn typed(theme: &Theme, prompt: &Prompt, room: usize) -> Line<'static> {
    let (before, on, after) = prompt.parts();
    let on = if on.is_empty() { " " } else { on };
    let end = width(before) + width(on);
    let line = Line::from(vec![
        Span::styled(before.to_owned(), theme.text),
        Span::styled(on.to_owned(), theme.selected),
        Span::styled(after.to_owned(), theme.text),
    ]);
    // The last column is that of the ellipsis.
    let wide = room.saturating_sub(1).max(1);
    slice(&line, end.saturating_sub(wide), room)
}

/// As many hints as fit; help and quit always.
fn hints(session: &Session, contexts: &[Context], own_only: bool, wide: u16) -> Line<'static> {
    let theme = &session.theme;
    let all: Vec<_> = session.keys.hints(contexts).collect();
    // Help and, where no page is to be closed first, quit.
    let own: Vec<_> =
        contexts[..1].iter().flat_map(|context| session.keys.hints(std::slice::from_ref(context))).collect();
    // A program that is not recorded has pictures, in place of a time that goes on.
    let other = if session.model().picture().is_some() { "pause" } else { "picture" };
    let fits_here = |hint: &(&str, &str)| hint.1 != other;
    let all = all.into_iter().filter(fits_here);
    let mut all: Vec<_> =
        all.filter(|hint| !own_only || ["help", "quit"].contains(&hint.1) || own.contains(hint)).collect();
    // What is on top and what is beneath it may have the same key for the same thing.
    let mut seen = Vec::new();
    all.retain(|hint| {
        !seen.contains(hint) && {
            seen.push(*hint);
            true
        }
    });
    let size = |(key, word): &(&str, &str)| width(key) + 1 + width(word) + 2;
    let (last, first): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, word)| ["help", "quit"].contains(word));
    let mut room = usize::from(wide).saturating_sub(1 + last.iter().map(size).sum::<usize>());
    let mut spans = vec![Span::raw(" ")];
    let fitting = first.into_iter().take_while(|hint| {
        let fits = size(hint) <= room;
        room = room.saturating_sub(size(hint));
        fits
    });
    for (key, word) in fitting.chain(last) {
        spans.push(Span::styled(key.to_owned(), theme.key));
        spans.push(Span::styled(format!(" {word}  "), theme.dim));
    }
    Line::from(spans)
}
