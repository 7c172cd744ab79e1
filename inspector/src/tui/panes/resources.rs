//! Events, locks, semaphores and barriers, with their holders and waiters.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::{App, heading, labelled};
use crate::event::{ResId, ResKind};
use crate::model::{Activity, Model, Resource, Site};
use crate::tui::app::Hit;
use crate::tui::keys::Action;
use crate::tui::text::{fit, pad, pad_left, span};

fn keys(model: &Model) -> Vec<ResId> {
    model.resources().map(|resource| resource.id).collect()
}

/// Moves through the list.
pub fn update(app: &mut App, action: Action) {
    let keys = keys(app.model());
    app.resources.update(&keys, action, app.rows);
}

/// A row per resource.
pub fn render(buf: &mut Buffer, app: &mut App, area: Rect) {
    let keys = keys(app.model());
    if keys.is_empty() {
        super::empty(buf, app, area, &["no event, lock, semaphore or barrier at this moment"]);
        return;
    }
    let theme = app.theme;
    let state_width = usize::from(area.width).saturating_sub(16 + 8 + 6 + 20).clamp(20, 60);
    let head = format!("   {} {} {} made", pad("what", 16), pad("state", state_width), pad_left("waiting", 8));
    buf.set_stringn(area.x, area.y, head, usize::from(area.width), theme.dim);
    let window = app.resources.window(&keys, usize::from(area.height.saturating_sub(1)));
    for (row, id) in keys[window].iter().enumerate() {
        let y = area.y + 1 + row as u16;
        let line = Rect { y, height: 1, ..area };
        let model = app.model();
        let Some(resource) = model.resource(*id) else { continue };
        let activity = match (resource.holders.is_empty(), resource.waiters.is_empty()) {
            (_, false) => Activity::OnLock,
            (false, true) => Activity::Running,
            (true, true) => Activity::Done,
        };
        let place = model.site(resource.site).map(Site::short).unwrap_or_default();
        let text = format!(
            "{} {} {} {place}",
            pad(&model.resource_label(*id), 16),
            pad(&state(model, resource), state_width),
            pad_left(&resource.waiters.len().to_string(), 8)
        );
        buf.set_stringn(area.x + 1, y, theme.sign(activity), 1, theme.activity(activity));
        let room = usize::from(area.width.saturating_sub(3));
        buf.set_stringn(area.x + 3, y, fit(&text, room), room, theme.text);
        if app.resources.selected == Some(*id) {
            buf.set_style(line, theme.selected);
        }
        app.hits.push((line, Hit::Resource(*id)));
    }
}

fn state(model: &Model, resource: &Resource) -> String {
    let holder = |holder: &crate::model::Holder| model.label(holder.coro);
    match (resource.what, &resource.holders[..]) {
        (ResKind::Event, _) => if resource.set { "set" } else { "not set" }.to_owned(),
        (ResKind::Barrier, _) => format!("{} of {} there", resource.waiters.len(), resource.size),
        (_, []) => "free".to_owned(),
        (ResKind::Lock, [only]) => format!("held by {}", holder(only)),
        (_, [first, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            format!("{} of {} taken: {}{more}", resource.holders.len(), resource.size, holder(first))
        }
    }
}

/// All about the selected one.
pub fn detail(app: &App, wide: u16) -> Vec<Line<'static>> {
    let (model, now) = (app.model(), app.now());
    let wide = usize::from(wide);
    let Some(resource) = app.resources.selected.and_then(|id| model.resource(id)) else { return Vec::new() };
    let mut lines =
        vec![heading(app, &model.resource_label(resource.id)), Line::raw(state(model, resource)), Line::default()];
    let place = model.site(resource.site).map(Site::short).unwrap_or_default();
    lines.push(labelled(app, "Made", format!("{place}, {} ago", span(now.saturating_sub(resource.since)))));
    lines.push(Line::default());
    lines.push(heading(app, "Held by"));
    for holder in resource.holders.iter().take(20) {
        let place = model.site(holder.site).map(Site::short).unwrap_or_default();
        let text = format!("  {}  {place}  {}", model.label(holder.coro), span(now.saturating_sub(holder.since)));
        lines.push(Line::raw(fit(&text, wide)));
    }
    if resource.holders.is_empty() {
        lines.push(Line::styled("  nobody", app.theme.dim));
    }
    lines.push(Line::default());
    lines.push(heading(app, "Waiting"));
    for waiter in resource.waiters.ids().take(50) {
        let since = model.coro(waiter).map_or(0, |coro| coro.for_how_long(now));
        lines.push(Line::raw(fit(&format!("  {}  {}", model.label(waiter), span(since)), wide)));
    }
    if resource.waiters.is_empty() {
        lines.push(Line::styled("  nobody", app.theme.dim));
    }
    lines
}
