//! The neighbourhood of the selected coroutine, drawn: who waits on it above, what it waits on below, two steps each way.
//!
//! Waiting goes down. Layers are ordered by number, so that nothing moves while nothing changes; each line between two layers has a
//! row of its own where there is room, so that the eye can follow it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::App;
use crate::event::{CoroId, ResKind, Target};
use crate::model::{Coro, Model};
use crate::tui::app::Hit;
use crate::tui::keys::Action;
use crate::tui::say;
use crate::tui::text::{fit, span, width};
use crate::tui::theme::Theme;
use crate::tui::tree_view::Node;

/// How many steps are drawn each way.
const STEPS: usize = 2;
/// How many neighbours of one box are looked at.
const NEIGHBOURS: usize = 24;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    /// A coroutine.
    Coro(CoroId),
    /// Something else that is waited on, by this coroutine.
    Leaf(CoroId, Target),
    /// A coroutine that is drawn elsewhere already.
    Again(CoroId, CoroId),
    /// So many more of them.
    More(usize),
}

#[derive(Clone, Debug)]
struct Place {
    thing: Thing,
    label: String,
    note: String,
    x: u16,
    wide: u16,
}

/// Who waits, and on what.
type Pair = (Thing, Thing);

/// A line from a box of one layer to a box of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    from: usize,
    to: usize,
}

#[derive(Clone, Debug, Default)]
struct Drawing {
    /// Layers from the top.
    layers: Vec<Vec<Place>>,
    /// Lines between each layer and the next.
    links: Vec<Vec<Link>>,
}

/// Moves to the box in that direction.
pub fn update(app: &mut App, action: Action) {
    let Some(id) = app.selected else { return };
    let model = app.model();
    let Some(coro) = model.coro(id) else { return };
    let siblings = || -> Vec<CoroId> {
        let above = coro.waiters.first().and_then(|waiter| model.coro(waiter));
        match above {
            Some(above) => above.on_coros.ids().take(NEIGHBOURS).collect(),
            None => model.children(model.parent_of(coro)).take(NEIGHBOURS).map(|coro| coro.id).collect(),
        }
    };
    let beside = |step: isize| {
        let all = siblings();
        let here = all.iter().position(|one| *one == id)?;
        all.get(here.checked_add_signed(step)?).copied()
    };
    let next = match action {
        Action::Up => coro.waiters.first().or(Some(coro.parent).filter(|parent| *parent != 0)),
        Action::Down => below(model, coro).into_iter().find_map(|thing| match thing {
            Thing::Coro(id) => Some(id),
            Thing::Leaf(_, Target::Res(res)) => model.resource(res)?.holders.first().map(|holder| holder.coro),
            _ => None,
        }),
        Action::Left => beside(-1),
        Action::Right => beside(1),
        _ => None,
    };
    if let Some(next) = next.filter(|next| model.coro(*next).is_some()) {
        app.select(next);
    }
}

/// Draws as many steps as there is room for.
pub fn render(buf: &mut Buffer, app: &mut App, area: Rect) {
    if app.selected.is_none() {
        app.selected = app.graph.cursor.and_then(Node::coro).or_else(|| app.model().roots().next().map(|coro| coro.id));
    }
    let Some(id) = app.selected else {
        super::empty(buf, app, area, &["select a coroutine: g goes back to the tree"]);
        return;
    };
    if app.model().coro(id).is_none() {
        super::empty(buf, app, area, &["nothing is known about it at this moment: g goes back to the tree"]);
        return;
    }
    let boxed = area.height >= 13;
    let high = if boxed { 3 } else { 1 };
    // The layers next to the selected one are worth more than those beyond.
    let steps = (0..=STEPS).rev().find(|steps| layers_height(2 * *steps + 1, high) <= area.height).unwrap_or(0);
    let now = app.now();
    let theme = app.theme;
    let mut drawing = build(app.model(), id, steps, now, &theme);
    place(&mut drawing, area, boxed);
    let gaps = gap_heights(&drawing, area.height, high);
    let total: u16 = gaps.iter().sum::<u16>() + drawing.layers.len() as u16 * high;
    let mut y = area.y + area.height.saturating_sub(total) / 2;
    for (layer, places) in drawing.layers.iter().enumerate() {
        for place in places {
            let selected = place.thing == Thing::Coro(id);
            draw_box(buf, &theme, app.model(), place, y, boxed, selected, area);
            if let Thing::Coro(id) | Thing::Again(_, id) = place.thing {
                app.hits.push((Rect { x: place.x, y, width: place.wide, height: high }, Hit::Coro(id)));
            }
        }
        y += high;
        if let Some(links) = drawing.links.get(layer) {
            draw_links(buf, &theme, places, &drawing.layers[layer + 1], links, y, gaps[layer], boxed, area);
            y += gaps[layer];
        }
    }
}

fn layers_height(layers: usize, high: u16) -> u16 {
    layers as u16 * high + (layers as u16).saturating_sub(1)
}

/// What a coroutine waits on.
fn below(model: &Model, coro: &Coro) -> Vec<Thing> {
    let mut things: Vec<Thing> = coro.on_coros.ids().take(NEIGHBOURS).map(Thing::Coro).collect();
    things.extend(coro.on_others.iter().take(4).map(|(on, _)| match *on {
        Target::Coro(id) if model.coro(id).is_some_and(Coro::is_live) => Thing::Coro(id),
        on => Thing::Leaf(coro.id, on),
    }));
    things
}

fn build(model: &Model, id: CoroId, steps: usize, now: u64, theme: &Theme) -> Drawing {
    let mut above: Vec<(Vec<Thing>, Vec<Pair>)> = Vec::new();
    let mut seen = vec![Thing::Coro(id)];
    let mut layer = vec![Thing::Coro(id)];
    for _ in 0..steps {
        let mut next = Vec::new();
        let mut links = Vec::new();
        for thing in &layer {
            let Thing::Coro(lower) = *thing else { continue };
            let Some(coro) = model.coro(lower) else { continue };
            // One that nobody waits on hangs from who made it.
            let spawner = Some(coro.parent).filter(|parent| *parent != 0 && coro.waiters.is_empty());
            for upper in coro.waiters.ids().take(NEIGHBOURS).chain(spawner) {
                if model.coro(upper).is_none() {
                    continue;
                }
                let upper = if seen.contains(&Thing::Coro(upper)) && !next.contains(&Thing::Coro(upper)) {
                    Thing::Again(lower, upper)
                } else {
                    seen.push(Thing::Coro(upper));
                    Thing::Coro(upper)
                };
                if !next.contains(&upper) {
                    next.push(upper);
                }
                links.push((upper, *thing));
            }
        }
        if next.is_empty() {
            break;
        }
        next.sort_unstable();
        above.push((next.clone(), links));
        layer = next;
    }
    let mut things: Vec<Vec<Thing>> = above.iter().rev().map(|(layer, _)| layer.clone()).collect();
    let mut pairs: Vec<Vec<Pair>> = above.into_iter().rev().map(|(_, links)| links).collect();
    things.push(vec![Thing::Coro(id)]);
    layer = vec![Thing::Coro(id)];
    for _ in 0..steps {
        let mut next = Vec::new();
        let mut links = Vec::new();
        for thing in &layer {
            let lower = match *thing {
                Thing::Coro(upper) => model.coro(upper).map(|coro| below(model, coro)).unwrap_or_default(),
                // A lock hangs on who holds it.
                Thing::Leaf(_, Target::Res(res)) => {
                    let holders = model.resource(res).map(|one| &one.holders[..]).unwrap_or_default();
                    holders.iter().take(4).filter(|one| one.coro != 0).map(|one| Thing::Coro(one.coro)).collect()
                }
                _ => Vec::new(),
            };
            for lower in lower {
                let lower = match lower {
                    Thing::Coro(one) if seen.contains(&lower) && !next.contains(&lower) => {
                        Thing::Again(thing_id(*thing), one)
                    }
                    lower => {
                        seen.push(lower);
                        lower
                    }
                };
                if !next.contains(&lower) {
                    next.push(lower);
                }
                links.push((*thing, lower));
            }
        }
        if next.is_empty() {
            break;
        }
        // By number of coroutine, what else there is beneath its waiter.
        next.sort_by_key(|thing| (links.iter().position(|(_, to)| to == thing), *thing));
        things.push(next.clone());
        pairs.push(links);
        layer = next;
    }
    let layers: Vec<Vec<Place>> =
        things.iter().map(|layer| layer.iter().map(|thing| describe(model, *thing, now, theme)).collect()).collect();
    let links = pairs
        .iter()
        .enumerate()
        .map(|(layer, pairs)| {
            let index = |of: &[Thing], thing: &Thing| of.iter().position(|one| one == thing);
            let link = |(from, to): &(Thing, Thing)| {
                Some(Link { from: index(&things[layer], from)?, to: index(&things[layer + 1], to)? })
            };
            pairs.iter().filter_map(link).collect()
        })
        .collect();
    Drawing { layers, links }
}

fn thing_id(thing: Thing) -> CoroId {
    match thing {
        Thing::Coro(id) | Thing::Leaf(id, _) | Thing::Again(id, _) => id,
        Thing::More(_) => 0,
    }
}

fn describe(model: &Model, thing: Thing, now: u64, theme: &Theme) -> Place {
    let (label, note) = match thing {
        Thing::Coro(id) => {
            let coro = model.coro(id);
            let sign = coro.map_or(" ", |coro| theme.sign(coro.activity));
            let note = coro.map(|coro| span(coro.for_how_long(now))).unwrap_or_default();
            (format!("{sign} {}", model.label(id)), note)
        }
        Thing::Leaf(_, on) => {
            let note = match on {
                Target::Res(res) => match model.resource(res) {
                    Some(one) if one.what == ResKind::Barrier => format!("{} of {} there", one.waiters.len(), one.size),
                    Some(one) if one.waiters.len() > 1 => format!("{} wait", one.waiters.len()),
                    _ => String::new(),
                },
                _ => String::new(),
            };
            let label = match on {
                Target::Timer(_) | Target::Coro(_) => say::target(model, on, now),
                on => model.target_label(on),
            };
            (label, note)
        }
        Thing::Again(_, id) => (format!("{} {}", theme.glyphs.cycle, model.label(id)), String::new()),
        Thing::More(count) => (format!("{count} more"), String::new()),
    };
    Place { thing, label, note, x: 0, wide: 0 }
}

/// Gives each box its place: layers centred, what does not fit in one is counted in a last box.
fn place(drawing: &mut Drawing, area: Rect, boxed: bool) {
    let frame = if boxed { 4 } else { 2 };
    for layer in 0..drawing.layers.len() {
        let mut limit = 34;
        loop {
            let used: u16 = drawing.layers[layer].iter().map(|place| wide(place, limit, frame) + 2).sum();
            if used <= area.width || limit <= 14 {
                break;
            }
            limit -= 4;
        }
        let mut used = 0;
        let mut kept = 0;
        for place in &mut drawing.layers[layer] {
            place.wide = wide(place, limit, frame);
            used += place.wide + 2;
            if used + 12 <= area.width {
                kept += 1;
            }
        }
        let count = drawing.layers[layer].len();
        if used > area.width + 2 && kept < count {
            shorten(drawing, layer, kept.max(1), frame);
        }
        let used: u16 = drawing.layers[layer].iter().map(|place| place.wide + 2).sum::<u16>().saturating_sub(2);
        let mut x = area.x + area.width.saturating_sub(used) / 2;
        for place in &mut drawing.layers[layer] {
            place.x = x;
            x += place.wide + 2;
        }
    }
}

fn wide(place: &Place, limit: usize, frame: u16) -> u16 {
    let note = if place.note.is_empty() { 0 } else { width(&place.note) + 1 };
    (width(&place.label) + note).min(limit) as u16 + frame
}

/// Leaves out what does not fit in a layer, but not the selected one.
fn shorten(drawing: &mut Drawing, layer: usize, kept: usize, frame: u16) {
    let places = &mut drawing.layers[layer];
    let left_out = places.len() - kept;
    places.truncate(kept);
    let more = Thing::More(left_out);
    let label = format!("{left_out} more");
    let wide = width(&label) as u16 + frame;
    places.push(Place { thing: more, label, note: String::new(), x: 0, wide });
    if let Some(links) = drawing.links.get_mut(layer) {
        links.retain(|link| link.from < kept);
    }
    if let Some(links) = layer.checked_sub(1).and_then(|upper| drawing.links.get_mut(upper)) {
        links.iter_mut().filter(|link| link.to >= kept).for_each(|link| link.to = kept);
        links.dedup();
    }
}

/// Rows between the layers: one for each line that goes sideways, as far as there is room.
fn gap_heights(drawing: &Drawing, room: u16, high: u16) -> Vec<u16> {
    let mut left = room.saturating_sub(layers_height(drawing.layers.len(), high));
    let sources = |links: &Vec<Link>| {
        let mut from: Vec<_> = links.iter().map(|link| link.from).collect();
        from.dedup();
        from.len() as u16
    };
    drawing
        .links
        .iter()
        .map(|links| {
            let more = (sources(links) + 1).min(left).min(4);
            left -= more;
            1 + more
        })
        .collect()
}

#[expect(clippy::too_many_arguments, reason = "one call, and each is another thing")]
fn draw_box(
    buf: &mut Buffer,
    theme: &Theme,
    model: &Model,
    place: &Place,
    y: u16,
    boxed: bool,
    selected: bool,
    area: Rect,
) {
    let style = match place.thing {
        Thing::Coro(id) => model.coro(id).map_or(theme.dim, |coro| theme.activity(coro.activity)),
        Thing::Again(..) => theme.failed,
        Thing::Leaf(..) => theme.text,
        Thing::More(_) => theme.dim,
    };
    let glyphs = &theme.glyphs;
    let inner = usize::from(place.wide.saturating_sub(if boxed { 4 } else { 2 }));
    let note = if place.note.is_empty() { String::new() } else { format!(" {}", place.note) };
    let label = fit(&place.label, inner.saturating_sub(width(&note)));
    let fill = " ".repeat(inner.saturating_sub(width(&label) + width(&note)));
    let mut put = |x: u16, y: u16, text: &str, style: Style| {
        if x < area.right() && y < area.bottom() {
            buf.set_stringn(x, y, text, usize::from(area.right() - x), style);
        }
    };
    let (corners, horizontal, vertical) = if selected {
        (&glyphs.corners[4..], glyphs.heavy[0], glyphs.heavy[1])
    } else {
        (&glyphs.corners[..4], glyphs.horizontal, glyphs.vertical)
    };
    let line_style = if selected { theme.title } else { theme.line };
    if !boxed {
        put(place.x, y, if selected { "[" } else { " " }, line_style);
        put(place.x + 1, y, &label, if selected { style.patch(theme.selected) } else { style });
        put(place.x + 1 + width(&label) as u16, y, &note, theme.dim);
        put(place.x + place.wide - 1, y, if selected { "]" } else { " " }, line_style);
        return;
    }
    let bar = horizontal.repeat(usize::from(place.wide.saturating_sub(2)));
    put(place.x, y, &format!("{}{bar}{}", corners[0], corners[1]), line_style);
    put(place.x, y + 1, vertical, line_style);
    put(place.x + 2, y + 1, &label, style);
    put(place.x + 2 + width(&label) as u16, y + 1, &format!("{fill}{note}"), theme.dim);
    put(place.x + place.wide - 1, y + 1, vertical, line_style);
    put(place.x, y + 2, &format!("{}{bar}{}", corners[2], corners[3]), line_style);
}

/// Directions of a line through a cell.
const NORTH: u8 = 1;
const EAST: u8 = 2;
const SOUTH: u8 = 4;
const WEST: u8 = 8;

#[expect(clippy::too_many_arguments, reason = "one call, and each is another thing")]
fn draw_links(
    buf: &mut Buffer,
    theme: &Theme,
    upper: &[Place],
    lower: &[Place],
    links: &[Link],
    y: u16,
    gap: u16,
    boxed: bool,
    area: Rect,
) {
    if gap == 0 || area.width == 0 {
        return;
    }
    let wide = usize::from(area.width);
    let mut cells = vec![0_u8; wide * usize::from(gap)];
    let mut sources: Vec<usize> = links.iter().map(|link| link.from).collect();
    sources.sort_unstable();
    sources.dedup();
    let middle = |place: &Place| usize::from(place.x + place.wide / 2 - area.x).min(wide - 1);
    // Lines end above their box, the last row is for the arrow heads.
    let tracks = usize::from(gap.saturating_sub(1)).max(1);
    for link in links {
        let (from, to) = (middle(&upper[link.from]), middle(&lower[link.to]));
        let rank = sources.iter().position(|one| *one == link.from).unwrap_or(0);
        let track = rank % tracks;
        let mut mark = |row: usize, column: usize, ways: u8| cells[row * wide + column] |= ways;
        for row in 0..track {
            mark(row, from, NORTH | SOUTH);
        }
        match from.cmp(&to) {
            std::cmp::Ordering::Equal => mark(track, from, NORTH | SOUTH),
            std::cmp::Ordering::Less => {
                mark(track, from, NORTH | EAST);
                (from + 1..to).for_each(|column| mark(track, column, EAST | WEST));
                mark(track, to, WEST | SOUTH);
            }
            std::cmp::Ordering::Greater => {
                mark(track, from, NORTH | WEST);
                (to + 1..from).for_each(|column| mark(track, column, EAST | WEST));
                mark(track, to, EAST | SOUTH);
            }
        }
        for row in track + 1..usize::from(gap) {
            mark(row, to, NORTH | SOUTH);
        }
    }
    let ascii = theme.glyphs.horizontal == "-";
    for row in 0..gap {
        for column in 0..wide {
            let ways = cells[usize::from(row) * wide + column];
            if ways == 0 {
                continue;
            }
            let sign = corner(ways, ascii);
            buf.set_stringn(area.x + column as u16, y + row, sign, 1, theme.line);
        }
    }
    let mut ends: Vec<usize> = links.iter().map(|link| middle(&lower[link.to])).collect();
    ends.dedup();
    for column in ends {
        // In a gap of one row a line that turns there has no room for its arrow.
        if gap > 1 || cells[column] == NORTH | SOUTH {
            buf.set_stringn(area.x + column as u16, y + gap - 1, theme.glyphs.arrows[1], 1, theme.key);
        }
    }
    if boxed {
        // Where a line leaves its box.
        for link in links {
            let place = &upper[link.from];
            let x = place.x + place.wide / 2;
            if x < area.right() && !ascii {
                let heavy = matches!(buf[(x, y - 1)].symbol(), "━" | "┷" | "┯");
                buf.set_stringn(x, y - 1, if heavy { "┯" } else { "┬" }, 1, theme.line);
            }
        }
    }
}

fn corner(ways: u8, ascii: bool) -> &'static str {
    const SIGNS: [&str; 16] = [" ", "│", "─", "└", "│", "│", "┌", "├", "─", "┘", "─", "┴", "┐", "┤", "┬", "┼"];
    const PLAIN: [&str; 16] = [" ", "|", "-", "`", "|", "|", ".", "+", "-", "'", "-", "+", ".", "+", "+", "+"];
    if ascii { PLAIN[usize::from(ways)] } else { SIGNS[usize::from(ways)] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::crawl;
    use crate::tui::theme::DARK;

    #[test]
    fn waiters_are_above_and_what_is_waited_on_below() {
        let model = crawl().model();
        let drawing = build(&model, 5, 2, 0, &DARK);
        let things: Vec<Vec<Thing>> =
            drawing.layers.iter().map(|layer| layer.iter().map(|place| place.thing).collect()).collect();
        assert_eq!(
            things,
            [vec![Thing::Coro(1)], vec![Thing::Coro(5)], vec![Thing::Leaf(5, Target::Res(1))], vec![Thing::Coro(9)],]
        );
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let model = crawl().model();
        let mut drawing = build(&model, 2, 2, 0, &DARK);
        let all = drawing.layers[2].len();
        place(&mut drawing, Rect::new(0, 0, 60, 30), true);
        let layer = &drawing.layers[2];
        assert!(matches!(layer.last().unwrap().thing, Thing::More(count) if count == all - (layer.len() - 1)));
        assert!(layer.iter().all(|place| place.x + place.wide <= 60), "{layer:?}");
        assert!(drawing.links[1].iter().all(|link| link.to < layer.len()));
    }

    #[test]
    fn every_line_sign_has_its_place() {
        assert_eq!(corner(NORTH | SOUTH, false), "│");
        assert_eq!(corner(EAST | WEST, false), "─");
        assert_eq!(corner(NORTH | EAST, false), "└");
        assert_eq!(corner(WEST | SOUTH, false), "┐");
        assert_eq!(corner(15, true), "+");
    }
}
