//! Functions on threads.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::App;
use crate::event::ThreadId;
use crate::model::{Activity, Model, Site, Thread, short_name};
use crate::say;
use crate::tui::app::Hit;
use crate::tui::keys::Action;
use crate::tui::text::{pad, pad_left, span};

fn keys(model: &Model) -> Vec<ThreadId> {
    let ended = model.ended_threads().rev().map(|thread| thread.id);
    model.threads().map(|thread| thread.id).chain(ended).collect()
}

/// Moves through the list.
pub fn update(app: &mut App, action: Action) {
    let keys = keys(app.model());
    app.threads.update(&keys, action, app.rows);
    app.selected =
        app.threads.selected.and_then(|id| app.model().thread(id)).map(|thread| thread.coro).or(app.selected);
}

/// A row per thread: those that run first, then those that ended, the latest first.
pub fn render(buf: &mut Buffer, app: &mut App, area: Rect) {
    let keys = keys(app.model());
    if keys.is_empty() {
        super::empty(buf, app, area, &["no thread yet: run_in_thread brings one"]);
        return;
    }
    let theme = app.theme;
    let head = format!("  {} {} {} {}", pad_left("id", 6), pad("function", 24), pad_left("for", 10), "state");
    buf.set_stringn(area.x, area.y, head, usize::from(area.width), theme.dim);
    let rows = usize::from(area.height.saturating_sub(1));
    let window = app.threads.window(&keys, rows);
    let now = app.now();
    for (row, id) in keys[window].iter().enumerate() {
        let y = area.y + 1 + row as u16;
        let line = Rect { y, height: 1, ..area };
        let model = app.model();
        let Some(thread) = model.thread(*id) else { continue };
        let (activity, text, since) = state(thread, now);
        let place = model.site(thread.site).map(Site::short).unwrap_or_default();
        let caller = model.coro(thread.coro).and_then(|coro| coro.waiters.first());
        let caller = caller.map(|id| format!(", for {}", model.label(id))).unwrap_or_default();
        buf.set_stringn(area.x, y, format!(" {}", theme.sign(activity)), 3, theme.activity(activity));
        let name = short_name(model.name(thread.name));
        let text = format!(
            "{} {} {} {text}{caller}, {place}",
            pad_left(&id.to_string(), 5),
            pad(name, 24),
            pad_left(&span(now.saturating_sub(since)), 10)
        );
        let room = usize::from(area.width.saturating_sub(3));
        buf.set_stringn(area.x + 3, y, crate::tui::text::fit(&text, room), room, theme.text);
        if app.threads.selected == Some(*id) {
            buf.set_style(line, theme.selected);
        }
        app.hits.push((line, Hit::Thread(*id)));
    }
}

fn state(thread: &Thread, now: u64) -> (Activity, String, u64) {
    match (thread.ended, thread.started, thread.asked, thread.noticed) {
        (Some((at, outcome)), ..) => {
            let took = at.saturating_sub(thread.started.unwrap_or(thread.queued));
            // Quicker than the clock is read.
            let after = if took == 0 { String::new() } else { format!(" after {}", span(took)) };
            (crate::tui::theme::Theme::outcome(outcome), format!("{}{after}", say::ended(outcome)), at)
        }
        (None, None, ..) => (Activity::Ready, "queued".to_owned(), thread.queued),
        (None, Some(since), None, _) => (Activity::Running, "running".to_owned(), since),
        (None, Some(since), Some(asked), None) => {
            let text = format!("asked to stop {} ago, has not looked", span(now.saturating_sub(asked)));
            (Activity::Improper, text, since)
        }
        (None, Some(since), Some(_), Some(_)) => (Activity::Cancelled, "saw that it is to stop".to_owned(), since),
    }
}
