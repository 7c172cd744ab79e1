//! The screen of the graph: a tree, or the neighbourhood of the selected coroutine as boxes and lines.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;

use super::detail;
use super::graph_canvas::Canvas;
use crate::describe;
use crate::event::{CoroId, LoopMode, NameId};
use crate::model::{Activity, Model, Parent};
use crate::tui::clipboard::{Copied, Part};
use crate::tui::keys::{Action, bind};
use crate::tui::pane::{Pane, Reply, Screen, Subject};
use crate::tui::session::Session;
use crate::tui::text::{count, fit, pad_left, width};
use crate::tui::theme::Theme;
use crate::tui::tree_view::{Folds, Node, TreeView, unlisted};
use crate::tui::widgets::{Hits, empty, right};

pub const SCREEN: Screen = Screen {
    title: "Graph",
    name: "graph",
    help: "graph: which coroutine waits for which",
    keys: &[bind(
        &["g", "d"],
        Action::Canvas,
        "drawn",
        "drawn",
        "the selected coroutine and its neighbours, drawn; again: the tree",
    )],
    new: || Box::new(Graph::default()),
};

/// From this width on the details stand beside the graph.
const GRAPH_AND_DETAIL: u16 = 96;

/// Columns of the time at the right.
const TIME: u16 = 10;

/// A row of the tree.
struct Row {
    node: Node,
    /// The lines that lead to it.
    lead: String,
}

/// A row per coroutine, under what waits for it.
#[derive(Debug, Default)]
struct Graph {
    /// The selected row.
    cursor: Option<Node>,
    /// How many rows below the top it is drawn.
    row: u16,
    /// What is folded.
    folds: Folds,
    /// What is drawn in place of the tree.
    canvas: Option<Canvas>,
    /// The rows last drawn: if the selected one goes, its neighbour is taken.
    shown: Vec<Node>,
    hits: Hits<Node>,
    /// Where the tree was drawn last.
    area: Rect,
    /// Width of the column of names: it only grows, so that nothing jumps, until the terminal has another size.
    name_width: u16,
}

impl Graph {
    fn tree<'a>(&'a mut self, session: &'a Session) -> TreeView<'a> {
        TreeView { model: session.model(), folds: &mut self.folds }
    }

    /// Goes to the row of a coroutine that was selected elsewhere.
    fn reveal(&mut self, session: &mut Session) {
        if let Some(id) = session.reveal.take() {
            self.cursor = self.tree(session).reveal(id).or(self.cursor);
        }
    }

    fn select(&mut self, session: &mut Session, node: Node) {
        self.cursor = Some(node);
        session.selected = node.coro().or(session.selected.filter(|_| matches!(node, Node::Loop(_))));
    }

    /// Moves through the tree, and folds.
    fn move_cursor(&mut self, session: &mut Session, action: Action) {
        let page = i32::from(self.area.height.max(2)) - 1;
        let by = match action {
            Action::Up => -1,
            Action::Down => 1,
            Action::PageUp => -page,
            Action::PageDown => page,
            Action::HalfUp => -page / 2,
            Action::HalfDown => page / 2,
            _ => 0,
        };
        let cursor = self.cursor;
        let mut row = i32::from(self.row);
        let mut view = self.tree(session);
        let node = match (action, cursor) {
            (Action::Top, _) => {
                row = 0;
                view.first()
            }
            (Action::Bottom, _) => {
                row = i32::MAX;
                view.last()
            }
            (_, None) => view.first(),
            (Action::Left, Some(node)) if view.is_open(node) && view.has_children(node) => {
                view.set_open(node, false);
                Some(node)
            }
            (Action::Left, Some(node)) => view.parent(node),
            (Action::Right, Some(Node::Reference { to, .. })) => view.reveal(to),
            (Action::Right, Some(node)) if !view.is_open(node) => {
                view.set_open(node, true);
                Some(node)
            }
            (Action::Right, Some(node)) if view.has_children(node) => view.next(node),
            (_, Some(mut node)) => {
                for _ in 0..by.abs() {
                    let Some(next) = (if by > 0 { view.next(node) } else { view.previous(node) }) else { break };
                    node = next;
                    row += by.signum();
                }
                Some(node)
            }
        };
        self.row = row.clamp(0, i32::from(self.area.height.saturating_sub(1))) as u16;
        if let Some(node) = node {
            self.select(session, node);
        }
    }

    /// Keeps the selected row, or once it is gone, takes the row nearest to its place.
    fn keep_cursor(&mut self, session: &mut Session) {
        let (cursor, shown) = (self.cursor, std::mem::take(&mut self.shown));
        let mut view = self.tree(session);
        let found = match cursor {
            None => view.first(),
            Some(cursor) if view.contains(cursor) => Some(view.visible(cursor)),
            Some(cursor) => {
                let here = shown.iter().position(|node| *node == cursor).unwrap_or(0);
                let mut near: Vec<_> = shown.iter().enumerate().collect();
                near.sort_by_key(|(index, _)| (index.abs_diff(here), *index < here));
                let near = near.into_iter().map(|(_, node)| *node).find(|node| view.contains(*node));
                near.map(|node| view.visible(node)).or_else(|| view.first())
            }
        };
        if found != cursor {
            self.cursor = found;
            // The detail stays with a coroutine that ended, to show how it ended.
            if session.selected.is_none() {
                session.selected = found.and_then(Node::coro);
            }
        }
    }

    /// The rows from the selected one up and down as far as there is room.
    fn rows(&mut self, session: &Session, cursor: Node, area: Rect) -> Vec<Row> {
        let above = self.row.min(area.height.saturating_sub(1));
        let levels = usize::from(area.width / 2).saturating_sub(12).max(4) / 2;
        let mut view = self.tree(session);
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
        nodes.into_iter().map(|node| Row { node, lead: lead(&mut view, node, levels, &session.theme) }).collect()
    }

    fn draw_tree(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        if area.width != self.area.width {
            self.name_width = 0;
        }
        self.area = area;
        self.keep_cursor(session);
        let Some(cursor) = self.cursor else {
            nothing(buf, session, area);
            return;
        };
        let rows = self.rows(session, cursor, area);
        self.row = rows.iter().position(|row| row.node == cursor).unwrap_or(0) as u16;
        self.shown = rows.iter().map(|row| row.node).collect();

        let (theme, model, now) = (&session.theme, session.model(), session.now());
        let labels: Vec<_> = rows.iter().map(|row| label(model, row.node, theme)).collect();
        let widths = rows.iter().zip(&labels).map(|(row, label)| width(&row.lead) + 4 + width(&label.1));
        let limit = area.width.saturating_sub(TIME) * 11 / 20;
        self.name_width = self.name_width.max(widths.max().unwrap_or(0) as u16).min(limit);
        let name_width = self.name_width;

        let mut marks = session.search.marks();
        for (y, (row, (sign, label, style))) in (area.y..).zip(rows.iter().zip(labels)) {
            let line = Rect { y, height: 1, ..area };
            let x = area.x + 1;
            let mut at = x;
            let mut put = |text: &str, style: Style| {
                let room = usize::from((x + name_width).min(area.right()).saturating_sub(at));
                let (from, text) = (at, fit(text, room));
                at = buf.set_stringn(at, y, &text, room, style).0;
                (from, text)
            };
            put(&row.lead, theme.line);
            put(sign, style);
            put(" ", theme.text);
            let (name_at, name) = put(&label, name_style(row.node, theme));
            let (what, what_style) = what(model, row.node, now, theme);
            let start = x + name_width + 2;
            let time = time(model, row.node, now);
            let room = area.right().saturating_sub(start + if time.is_empty() { 1 } else { TIME + 1 });
            buf.set_stringn(start, y, fit(&what, usize::from(room)), usize::from(room), what_style);
            if area.width > name_width + TIME + 4 {
                let text = pad_left(&time, usize::from(TIME));
                right(buf, area.x, y, area.width.saturating_sub(1), text.trim_start(), theme.dim);
            }
            if row.node == cursor {
                buf.set_style(line, theme.selected);
            }
            if let Some(marks) = &mut marks {
                marks.mark(buf, (name_at, y), &name, theme.found);
            }
            self.hits.add(line, row.node);
        }
        session.drawn = self.hits.all().filter_map(Node::coro).collect();
    }
}

impl Pane for Graph {
    fn title(&self) -> &'static str {
        SCREEN.title
    }

    fn room_beside(&self) -> Option<u16> {
        Some(GRAPH_AND_DETAIL)
    }

    fn enter(&mut self, session: &mut Session) {
        if let Some(id) = session.selected.filter(|id| self.cursor.and_then(Node::coro) != Some(*id)) {
            session.select(id);
        }
    }

    fn waiting(&self, session: &Session) -> Option<Subject> {
        let of_group = || match self.cursor? {
            Node::Group(parent, name) => most_telling(session.model(), parent, name).map(Subject::Coro),
            _ => None,
        };
        self.selected(session).or_else(of_group)
    }

    fn none_selected(&self) -> &'static str {
        match self.cursor {
            Some(Node::Group(..)) => "these are several: unfold them and select one",
            _ => "select a coroutine first",
        }
    }

    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        let drawn = self.canvas.as_ref().and(session.selected).map(Node::Coro);
        let node = drawn.or(self.cursor)?;
        let (model, now, theme) = (session.model(), session.now(), &session.theme);
        let (_, label, _) = label(model, node, theme);
        Some(match part {
            Part::Whole => {
                let parts = [label.clone(), what(model, node, now, theme).0, time(model, node, now)];
                let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                Copied::new(format!("row of {label}"), &parts.join("  "))
            }
            Part::Name => Copied::new("name", &label),
        })
    }

    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        self.reveal(session);
        match (action, &mut self.canvas) {
            (Action::Open | Action::Filter, _) => return Reply::Ignored,
            (Action::Canvas, Some(_)) => self.canvas = None,
            (Action::Canvas, None) => self.canvas = Some(Canvas::default()),
            (action, Some(canvas)) => canvas.act(session, action),
            (action, None) => self.move_cursor(session, action),
        }
        Reply::Done
    }

    /// Selects a row; the selected one is folded or unfolded.
    fn click(&mut self, session: &mut Session, at: Position) {
        if let Some(canvas) = &self.canvas {
            canvas.click(session, at);
            return;
        }
        match self.hits.at(at) {
            Some(node) if self.cursor == Some(node) => {
                let open = self.tree(session).is_open(node);
                self.move_cursor(session, if open { Action::Left } else { Action::Right });
            }
            Some(node) => self.select(session, node),
            None => {}
        }
    }

    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        self.hits.clear();
        self.reveal(session);
        match &mut self.canvas {
            Some(canvas) => {
                if session.selected.is_none() {
                    let root = || session.model().roots().next().map(|coro| coro.id);
                    session.selected = self.cursor.and_then(Node::coro).or_else(root);
                }
                canvas.draw(session, buf, area);
            }
            None => self.draw_tree(session, buf, area),
        }
    }

    fn beside(&self, session: &Session, wide: u16) -> Vec<Line<'static>> {
        match self.cursor {
            Some(Node::Group(parent, name)) => detail::group(session, parent, name, wide),
            _ => detail::selected(session, wide),
        }
    }
}

fn nothing(buf: &mut Buffer, session: &Session, area: Rect) {
    let sentences: &[&str] = if session.model().events() == 0 {
        &["no event yet: the program has not started a loop"]
    } else if session.crash.is_some() {
        &["no coroutine is alive", "7 shows what crashed; [ goes back to the moment before anything was cancelled"]
    } else {
        &["no coroutine is alive", ", goes back in time, event by event; q leaves"]
    };
    empty(buf, &session.theme, area, sentences);
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
                format!("{} {}{}", model.group_label(group), theme.glyphs.times, count(group.members.len() as u64));
            (theme.sign(activity), label, theme.activity(activity))
        }
        Node::Loop(id) => {
            let running = model.get_loop(id).is_some_and(|one| one.running.is_some());
            let activity = if running { Activity::Running } else { Activity::OnLoop };
            (theme.sign(activity), model.loop_label(id), theme.activity(activity))
        }
    }
}

/// Whether a coroutine waits on itself in the end.
fn on_cycle(model: &Model, id: CoroId) -> bool {
    model.coro(id).is_some_and(|coro| matches!(coro.activity, Activity::OnCoro | Activity::OnLock))
        && model.why_within(id, 64).cycle().iter().any(|link| link.coro == id)
}

/// The members of a group that are looked at: all of very many would take too long in a frame.
fn members(model: &Model, parent: Parent, name: NameId) -> impl Iterator<Item = CoroId> {
    model.group(parent, name).into_iter().flat_map(|group| group.members.ids()).take(64)
}

/// The member of a group of which it says most why it waits: one on a cycle, or the one that has waited the longest.
fn most_telling(model: &Model, parent: Parent, name: NameId) -> Option<CoroId> {
    let waiting =
        || members(model, parent, name).filter_map(|id| model.coro(id)).filter(|coro| coro.activity.is_waiting());
    let on_cycle = waiting().find(|coro| on_cycle(model, coro.id));
    on_cycle.or_else(|| waiting().min_by_key(|coro| coro.since)).map(|coro| coro.id)
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
            let text = describe::doing_at(model, coro, now);
            if on_cycle(model, id) {
                return (format!("{} {text}, a cycle", theme.glyphs.cycle), theme.failed);
            }
            (text, if coro.activity == Activity::Running { theme.running } else { theme.text })
        }
        Node::Reference { from, to } => {
            let text = model.coro(to).map(|coro| describe::doing(model, coro, now)).unwrap_or_default();
            match unlisted(model, from, to) {
                0 => (text, theme.dim),
                more => (format!("and {} more; {text}", count(more as u64)), theme.dim),
            }
        }
        Node::Group(parent, name) => {
            let counts = model.group(parent, name).map(|group| describe::counts(&group.counts, theme.glyphs.dot));
            let counts = counts.unwrap_or_default();
            match members(model, parent, name).any(|id| on_cycle(model, id)) {
                true => (format!("{} {counts}, some in a cycle", theme.glyphs.cycle), theme.failed),
                false => (counts, theme.text),
            }
        }
        Node::Loop(id) => {
            let Some(one) = model.get_loop(id) else { return (String::new(), theme.text) };
            if model.picture().is_some() {
                return (format!("{} live", count(u64::from(one.live))), theme.text);
            }
            let mode = match one.mode {
                LoopMode::Run => "run",
                LoopMode::Drive => "driven",
                LoopMode::Isolate => "isolated",
                LoopMode::Observed => "tasks of other runtimes",
                LoopMode::Worker => "thread",
            };
            if one.mode == LoopMode::Observed {
                return (format!("{mode}, {} live", count(u64::from(one.live))), theme.text);
            }
            let state = match (&one.cancel, one.parked) {
                (Some(cancel), _) => format!("cancelling: {}", cancel.reason),
                (None, Some(_)) => "sleeping".to_owned(),
                (None, None) => "busy".to_owned(),
            };
            (format!("{mode}, {} live, {state}", count(u64::from(one.live))), theme.text)
        }
    }
}

fn time(model: &Model, node: Node, now: u64) -> String {
    match node {
        Node::Coro(id) => {
            model.coro(id).map(|coro| describe::passed(model, coro.for_how_long(now))).unwrap_or_default()
        }
        Node::Loop(id) => {
            let since = model.get_loop(id).map(|one| now.saturating_sub(one.since));
            since.map(|nanos| describe::passed(model, nanos)).unwrap_or_default()
        }
        Node::Group(..) | Node::Reference { .. } => String::new(),
    }
}
