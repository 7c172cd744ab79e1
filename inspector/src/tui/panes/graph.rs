//! The graph as a tree.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::App;
use crate::event::LoopMode;
use crate::model::{Activity, Leaf, Model, short_name};
use crate::say;
use crate::tui::app::Hit;
use crate::tui::text::{count, fit, pad_left, span, width};
use crate::tui::theme::Theme;
use crate::tui::tree_view::{Node, TreeView};

/// Columns of the time at the right.
const TIME: u16 = 10;

/// A row, as far as the tree tells.
struct Row {
    node: Node,
    /// The lines that lead to it.
    lead: String,
}

/// The tree from the selected row up and down as far as there is room.
pub fn render(buf: &mut Buffer, app: &mut App, area: Rect) {
    keep_cursor(app);
    let Some(cursor) = app.graph.cursor else {
        nothing(buf, app, area);
        return;
    };
    let above = app.graph.row.min(area.height.saturating_sub(1));
    let levels = usize::from(area.width / 2).saturating_sub(12).max(4) / 2;
    let theme = app.theme;
    let rows = app.tree(|view| {
        let mut nodes = vec![cursor];
        let mut at = cursor;
        while nodes.len() <= usize::from(above) {
            let Some(before) = view.previous(at) else { break };
            nodes.push(before);
            at = before;
        }
        nodes.reverse();
        at = cursor;
        while nodes.len() < usize::from(area.height) {
            let Some(next) = view.next(at) else { break };
            nodes.push(next);
            at = next;
        }
        // At the end of the tree the list is moved down to fill the screen.
        while nodes.len() < usize::from(area.height) {
            let Some(before) = view.previous(nodes[0]) else { break };
            nodes.insert(0, before);
        }
        nodes.into_iter().map(|node| Row { node, lead: lead(view, node, levels, &theme) }).collect::<Vec<_>>()
    });
    app.graph.row = rows.iter().position(|row| row.node == cursor).unwrap_or(0) as u16;
    app.graph.shown = rows.iter().map(|row| row.node).collect();

    let now = app.now();
    let labels: Vec<_> = rows.iter().map(|row| label(app.model(), row.node, &theme)).collect();
    let widest = rows.iter().zip(&labels).map(|(row, label)| width(&row.lead) + 4 + width(&label.1)).max().unwrap_or(0);
    let limit = area.width.saturating_sub(TIME) * 11 / 20;
    app.graph.name_width = app.graph.name_width.max(widest as u16).min(limit);
    let name_width = app.graph.name_width;

    for (index, (row, (sign, label, style))) in rows.iter().zip(labels).enumerate() {
        let y = area.y + index as u16;
        let line = Rect { y, height: 1, ..area };
        let model = app.model();
        let x = area.x + 1;
        let mut at = x;
        let mut put = |text: &str, style: Style, limit: u16| {
            let room = usize::from((x + limit).min(area.right()).saturating_sub(at));
            at = buf.set_stringn(at, y, fit(text, room), room, style).0;
        };
        put(&row.lead, theme.line, name_width);
        put(sign, style, name_width);
        put(" ", theme.text, name_width);
        put(&label, name_style(row.node, &theme), name_width);
        let (what, what_style) = what(model, row.node, now, &theme);
        let start = x + name_width + 2;
        let time = time(model, row.node, now);
        let room = area.right().saturating_sub(start + if time.is_empty() { 1 } else { TIME + 1 });
        buf.set_stringn(start, y, fit(&what, usize::from(room)), usize::from(room), what_style);
        if area.width > name_width + TIME + 4 {
            let text = pad_left(&time, usize::from(TIME));
            super::right(buf, area.x, y, area.width.saturating_sub(1), text.trim_start(), theme.dim);
        }
        if row.node == cursor {
            buf.set_style(line, theme.selected);
        }
        app.hits.push((line, Hit::Node(row.node)));
    }
}

/// The selected row, or once it is gone, the row nearest to its place.
fn keep_cursor(app: &mut App) {
    let (cursor, shown) = (app.graph.cursor, std::mem::take(&mut app.graph.shown));
    let found = app.tree(|view| {
        let Some(cursor) = cursor else { return view.first() };
        if view.contains(cursor) {
            return Some(view.visible(cursor));
        }
        let here = shown.iter().position(|node| *node == cursor).unwrap_or(0);
        let mut near: Vec<_> = shown.iter().enumerate().collect();
        near.sort_by_key(|(index, _)| (index.abs_diff(here), *index < here));
        let near = near.into_iter().map(|(_, node)| *node).find(|node| view.contains(*node));
        near.map(|node| view.visible(node)).or_else(|| view.first())
    });
    if found != cursor {
        app.graph.cursor = found;
        // The detail stays with a coroutine that ended, to show how it ended.
        if app.selected.is_none() {
            app.selected = found.and_then(Node::coro);
        }
    }
}

fn nothing(buf: &mut Buffer, app: &App, area: Rect) {
    let model = app.model();
    if model.events() == 0 {
        super::empty(buf, app, area, &["no event yet: the program has not started a loop"]);
    } else if app.crash.is_some() {
        super::empty(
            buf,
            app,
            area,
            &[
                "nothing lives any more",
                "7 shows what crashed; [ goes back to the moment before anything was cancelled",
            ],
        );
    } else {
        super::empty(buf, app, area, &["nothing lives any more", ", goes back in time, event by event; q leaves"]);
    }
}

/// The lines that lead to a row, and its fold sign.
fn lead(view: &mut TreeView, node: Node, levels: usize, theme: &Theme) -> String {
    let glyphs = &theme.glyphs;
    let fold = match (view.has_children(node), view.is_open(node)) {
        (false, _) => None,
        (true, true) => Some(glyphs.open),
        (true, false) => Some(glyphs.closed),
    };
    let mut parts = Vec::new();
    let mut at = node;
    while let Some(parent) = view.parent(at) {
        if parts.len() == levels {
            parts.push("… ");
            break;
        }
        let more = view.next_sibling(at).is_some();
        parts.push(match (at == node, more) {
            (true, more) if is_loose(view.model, node) => glyphs.loose[usize::from(!more)],
            (true, true) => glyphs.branch,
            (true, false) => glyphs.last,
            (false, true) => glyphs.past,
            (false, false) => "  ",
        });
        at = parent;
    }
    let leaf = if parts.is_empty() { " " } else { glyphs.leaf };
    parts.reverse();
    format!("{}{} ", parts.concat(), fold.unwrap_or(leaf))
}

/// Whether the row above does not wait on it: it was spawned and runs beside.
fn is_loose(model: &Model, node: Node) -> bool {
    let Some(coro) = node.coro().and_then(|id| model.coro(id)) else { return false };
    match node {
        Node::Coro(_) => {
            model.parent_of(coro) != crate::model::Parent::Loop(coro.in_loop) && !coro.waiters.contains(coro.parent)
        }
        _ => false,
    }
}

fn label(model: &Model, node: Node, theme: &Theme) -> (&'static str, String, Style) {
    match node {
        Node::Coro(id) => {
            let activity = model.coro(id).map_or(Activity::Done, |coro| coro.activity);
            (theme.sign(activity), model.label(id), theme.activity(activity))
        }
        Node::Reference { to, .. } => (theme.glyphs.reference, model.label(to), theme.dim),
        Node::Group(parent, name) => {
            let Some(group) = model.group(parent, name) else { return (" ", String::new(), theme.text) };
            let most = group.counts.iter().max_by_key(|(_, number)| *number);
            let activity = most.map_or(Activity::Done, |(activity, _)| activity);
            let label =
                format!("{} {}{}", short_name(model.name(name)), theme.glyphs.times, count(group.members.len() as u64));
            (theme.sign(activity), label, theme.activity(activity))
        }
        Node::Loop(id) => {
            let running = model.get_loop(id).is_some_and(|one| one.running.is_some());
            let activity = if running { Activity::Running } else { Activity::OnLoop };
            (theme.sign(activity), format!("loop {id}"), theme.activity(activity))
        }
    }
}

fn name_style(node: Node, theme: &Theme) -> Style {
    match node {
        Node::Group(..) | Node::Loop(_) => theme.title,
        Node::Coro(_) => theme.text,
        Node::Reference { .. } => theme.dim,
    }
}

fn what(model: &Model, node: Node, now: u64, theme: &Theme) -> (String, Style) {
    match node {
        Node::Coro(id) => {
            let Some(coro) = model.coro(id) else { return (String::new(), theme.text) };
            let text = say::doing(model, coro, now);
            // A coroutine that waits on one already above it in the chain is on a cycle.
            if coro.activity == Activity::OnCoro || coro.activity == Activity::OnLock {
                let why = model.why_within(id, 64);
                if let Leaf::Cycle(back) = why.leaf
                    && why.cycle().iter().any(|link| link.coro == id)
                {
                    let _ = back;
                    return (format!("{} {text}, a cycle", theme.glyphs.cycle), theme.failed);
                }
            }
            (text, if coro.activity == Activity::Running { theme.running } else { theme.text })
        }
        Node::Reference { to, .. } => {
            let text = model.coro(to).map(|coro| say::doing(model, coro, now)).unwrap_or_default();
            (text, theme.dim)
        }
        Node::Group(parent, name) => {
            let counts = model.group(parent, name).map(|group| say::counts(&group.counts, theme.glyphs.dot));
            (counts.unwrap_or_default(), theme.text)
        }
        Node::Loop(id) => {
            let Some(one) = model.get_loop(id) else { return (String::new(), theme.text) };
            let mode = match one.mode {
                LoopMode::Run => "run",
                LoopMode::Drive => "driven",
                LoopMode::Isolate => "isolated",
            };
            let state = match (&one.cancel, one.parked) {
                (Some(cancel), _) => format!("cancelling: {}", cancel.reason),
                (None, Some(_)) => "asleep".to_owned(),
                (None, None) => "busy".to_owned(),
            };
            (format!("{mode}, {} live, {state}", count(u64::from(one.live))), theme.text)
        }
    }
}

fn time(model: &Model, node: Node, now: u64) -> String {
    match node {
        Node::Coro(id) => model.coro(id).map(|coro| span(coro.for_how_long(now))).unwrap_or_default(),
        Node::Loop(id) => model.get_loop(id).map(|one| span(now.saturating_sub(one.since))).unwrap_or_default(),
        Node::Group(..) | Node::Reference { .. } => String::new(),
    }
}
