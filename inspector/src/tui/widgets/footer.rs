//! The last line: what keys there are, what is being typed, or one sentence about what just happened.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::tui::app::App;
use crate::tui::app::Status;
use crate::tui::text::{fit, width};

/// One line.
pub fn render(buf: &mut Buffer, app: &App, area: Rect) {
    let theme = &app.theme;
    let found = app.found.filter(|_| app.typing.is_none());
    let found = found.map(|(at, of)| format!(" {} {at}/{of} ", fit(&app.search, usize::from(area.width) / 3)));
    let line = if let Some(typing) = &app.typing {
        let mut spans = vec![
            Span::styled(format!(" {}", typing.purpose.prompt()), theme.key),
            Span::styled(typing.text.clone(), theme.text),
            Span::styled(" ", theme.selected),
        ];
        if let Some(error) = &typing.error {
            spans.push(Span::styled(format!("  {error}"), theme.failed));
        } else if !typing.choices.is_empty() {
            spans.push(Span::styled(format!("  {}", typing.choices.join("  ")), theme.dim));
        }
        Line::from(spans)
    } else if let Status::Broken(why) = &app.status {
        Line::styled(format!(" {}", fit(why, usize::from(area.width).saturating_sub(2))), theme.failed)
    } else if let Some(notice) = &app.notice {
        Line::styled(format!(" {}", fit(notice, usize::from(area.width).saturating_sub(2))), theme.warning)
    } else {
        hints(app, area.width.saturating_sub(found.as_ref().map_or(0, |text| width(text) as u16)))
    };
    buf.set_line(area.x, area.y, &line, area.width);
    if let Some(text) = found {
        crate::tui::panes::right(buf, area.x, area.y, area.width, &text, theme.found);
    }
}

/// As many hints as fit; help and quit always.
fn hints(app: &App, wide: u16) -> Line<'static> {
    let theme = &app.theme;
    let contexts = app.contexts();
    let all: Vec<_> = app.keys.hints(&contexts).collect();
    // Of the keys that are valid everywhere few make sense on a page.
    let on_page = !app.pages.is_empty();
    let own: Vec<_> = contexts[..1].iter().flat_map(|context| app.keys.hints(std::slice::from_ref(context))).collect();
    let mut all: Vec<_> = all.into_iter().filter(|hint| !on_page || hint.1 == "help" || own.contains(hint)).collect();
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
