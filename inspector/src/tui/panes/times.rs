//! The page of step times and scheduling delays, and a line of each for the details of a coroutine.

use ratatui::text::{Line, Span};

use super::page::Page;
use crate::model::{Distribution, Times};
use crate::tui::pane::Pane;
use crate::tui::session::Session;
use crate::tui::text::{count, fit, pad_left, span, wrap};
use crate::tui::theme::Theme;
use crate::tui::widgets::{heading, labelled};

/// What is measured, and how exactly.
const MEASURED: [&str; 4] = [
    "Step: from the begin to the end of a step, without time that was not the program's as far as that is recorded. A step that has not ended is not counted.",
    "Delay: from when a coroutine became ready (scheduled, woken, or at the end of the step in which it was woken) to the begin of its next step.",
    "p50, p99: half, 99 of 100 took at most as long. They are read off buckets, so they are up to an eighth too great (~); max is exact.",
    "Left out: begin or end is not in the record, or events were lost in between.",
];
/// Columns of a time and of a count.
const TIME: usize = 9;
const COUNT: usize = 11;

/// Creates the page of the times of all coroutines, and of the selected one.
pub fn page() -> Box<dyn Pane> {
    Page::of_lines("Times", lines)
}

fn lines(session: &Session, wide: u16) -> Vec<Line<'static>> {
    let (theme, model) = (&session.theme, session.model());
    let wide = usize::from(wide);
    let mut lines = vec![heading(theme, "Times of all coroutines"), Line::default()];
    lines.extend(histograms(theme, model.times(), wide));
    if let Some(coro) = session.selected_coro() {
        lines.push(heading(theme, &format!("Times of {}", model.label(coro.id))));
        lines.push(Line::default());
        lines.extend(histograms(theme, coro.times().unwrap_or(&Times::default()), wide));
    }
    for text in MEASURED {
        lines.extend(wrap(text, wide.max(10)).into_iter().map(|part| Line::styled(part, theme.dim)));
    }
    lines
}

/// Both distributions, each with its histogram.
fn histograms(theme: &Theme, times: &Times, wide: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (title, one) in [("Steps", &times.steps), ("Delays", &times.delays)] {
        lines.push(labelled(theme, title, fit(&summary(one), wide.saturating_sub(9))));
        let octaves = one.octaves();
        let most = octaves.iter().map(|(_, number)| *number).max().unwrap_or(1);
        let room = wide.saturating_sub(TIME + COUNT + 9).clamp(1, 60) as u64;
        for alike in octaves.chunk_by(|(_, one), (_, next)| *one == 0 && *next == 0) {
            if alike.len() > 2 {
                lines.push(Line::styled(format!("  {}", pad_left("…", TIME + 5)), theme.dim));
                continue;
            }
            for &(least, number) in alike {
                // In halves of a column, so that what is less than one is still seen.
                let halves = (u128::from(number) * u128::from(room) * 2 / u128::from(most)) as usize;
                let bar = match (number, halves) {
                    (0, _) => String::new(),
                    (_, 0 | 1) => theme.glyphs.brief.to_owned(),
                    (_, halves) => theme.glyphs.lanes[0].repeat(halves / 2),
                };
                let least = if least == 0 { "0".to_owned() } else { span(least) };
                lines.push(Line::from(vec![
                    Span::styled(format!("  from {}", pad_left(&least, TIME)), theme.dim),
                    Span::styled(pad_left(&count(number), COUNT), theme.text),
                    Span::styled(format!("  {bar}"), theme.running),
                ]));
            }
        }
        lines.push(Line::default());
    }
    lines
}

/// A distribution in a line.
fn summary(one: &Distribution) -> String {
    let left_out = match one.left_out() {
        0 => String::new(),
        some => format!("; {} left out", count(some)),
    };
    match (one.percentile(50), one.percentile(99)) {
        (Some(half), Some(most)) => {
            // Percentiles are known as well as the classes are narrow.
            let about = |time: u64| format!("{}{}", if time == 0 { "" } else { "~" }, span(time));
            let (half, most, longest) = (about(half), about(most), span(one.max()));
            format!("p50 {half}, p99 {most}, max {longest}, of {}{left_out}", count(one.len()))
        }
        _ => format!("none measured{left_out}"),
    }
}

/// For the details of a coroutine.
pub fn in_short(theme: &Theme, times: &Times, wide: usize) -> Vec<Line<'static>> {
    let mut lines = vec![];
    for (title, one) in [("Steps", &times.steps), ("Delays", &times.delays)] {
        let parts = wrap(&summary(one), wide.saturating_sub(9));
        let titles = std::iter::once(title).chain(std::iter::repeat(""));
        lines.extend(titles.zip(parts).map(|(title, part)| labelled(theme, title, part)));
    }
    lines
}
