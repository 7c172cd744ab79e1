//! What is in the drawing, and where.

use ratatui::layout::Rect;

use crate::describe;
use crate::event::{CoroId, ResKind, Target};
use crate::model::{Coro, Model};
use crate::tui::text::{span, width};
use crate::tui::theme::Theme;

/// How many neighbours of one box are looked at.
pub(super) const NEIGHBOURS: usize = 24;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// A coroutine.
    Coro(CoroId),
    /// Something else that is waited on, by this coroutine.
    Leaf(CoroId, Target),
    /// A coroutine that is drawn elsewhere already.
    Again(CoroId, CoroId),
    /// The number of further ones.
    More(Option<usize>),
}

#[derive(Clone, Debug)]
pub(super) struct Place {
    pub thing: Thing,
    pub label: String,
    pub note: String,
    pub x: u16,
    pub wide: u16,
}

/// The waiting side of an edge, and its target.
type Pair = (Thing, Thing);

/// A line from a box of one layer to a box of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub from: usize,
    pub to: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Drawing {
    /// Layers from the top.
    pub layers: Vec<Vec<Place>>,
    /// Lines between each layer and the next.
    pub links: Vec<Vec<Link>>,
    /// How many more there are in each layer than were looked at; none: they were not counted.
    unseen: Vec<Option<usize>>,
}

pub(super) fn layers_height(layers: usize, high: u16) -> u16 {
    layers as u16 * high + (layers as u16).saturating_sub(1)
}

/// What a coroutine waits on.
pub(super) fn below(model: &Model, coro: &Coro) -> Vec<Thing> {
    let mut things: Vec<Thing> = coro.on_coros.ids().take(NEIGHBOURS).map(Thing::Coro).collect();
    things.extend(coro.on_others.iter().take(4).map(|(on, _)| match *on {
        Target::Coro(id) if model.coro(id).is_some_and(Coro::is_live) => Thing::Coro(id),
        on => Thing::Leaf(coro.id, on),
    }));
    things
}

pub(super) fn build(model: &Model, id: CoroId, steps: usize, now: u64, theme: &Theme) -> Drawing {
    let mut above: Vec<(Vec<Thing>, Vec<Pair>)> = Vec::new();
    let mut seen = vec![Thing::Coro(id)];
    let mut layer = vec![Thing::Coro(id)];
    for _ in 0..steps {
        let mut next = Vec::new();
        let mut links = Vec::new();
        for thing in &layer {
            let Thing::Coro(lower) = *thing else { continue };
            let Some(coro) = model.coro(lower) else { continue };
            // A coroutine without waiters is placed below the one that scheduled it.
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
                // A lock is connected to its holders.
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
    // Of those above and below the selected one it is known how many there are; beyond, only of those that were looked
    // at.
    let mut unseen = vec![Some(0); layers.len()];
    let here = things.iter().position(|layer| layer.contains(&Thing::Coro(id))).unwrap_or(0);
    if let Some(coro) = model.coro(id) {
        let beyond = |all: usize| all.saturating_sub(NEIGHBOURS);
        for (side, all) in [(here.checked_sub(1), coro.waiters.len()), (Some(here + 1), coro.on_coros.len())] {
            if let Some(entry) = side.and_then(|side| unseen.get_mut(side)) {
                *entry = Some(beyond(all));
            }
        }
        let far = (0..layers.len()).filter(|layer| layer.abs_diff(here) > 1);
        for layer in far {
            let next = if layer < here { layer + 1 } else { layer - 1 };
            if unseen[next] != Some(0) {
                unseen[layer] = None;
            }
        }
    }
    Drawing { layers, links, unseen }
}

fn more(count: Option<usize>) -> String {
    count.map_or_else(|| "more".to_owned(), |count| format!("{count} more"))
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
                Target::Timer(_) | Target::Coro(_) => describe::target(model, on, now),
                on => model.target_label(on),
            };
            (label, note)
        }
        Thing::Again(_, id) => (format!("{} {}", theme.glyphs.cycle, model.label(id)), String::new()),
        Thing::More(count) => (more(count), String::new()),
    };
    Place { thing, label, note, x: 0, wide: 0 }
}

/// Gives each box its place: layers centred, what does not fit in one is counted in a last box.
pub(super) fn place(drawing: &mut Drawing, area: Rect, boxed: bool) {
    let frame = if boxed { 4 } else { 2 };
    // Rather fewer boxes than such as cannot be read.
    let least = if area.width < 60 { 14 } else { 22 };
    for layer in 0..drawing.layers.len() {
        let mut limit = 34;
        loop {
            let used: u16 = drawing.layers[layer].iter().map(|place| wide(place, limit, frame) + 2).sum();
            if used <= area.width || limit <= least {
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
        let unseen = drawing.unseen[layer] != Some(0);
        if (used > area.width + 2 && kept < count) || unseen {
            let kept = kept.min(count);
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
    let left_out = drawing.unseen[layer].map(|unseen| unseen + places.len() - kept);
    places.truncate(kept);
    let label = more(left_out);
    let wide = width(&label) as u16 + frame;
    places.push(Place { thing: Thing::More(left_out), label, note: String::new(), x: 0, wide });
    if let Some(links) = drawing.links.get_mut(layer) {
        links.retain(|link| link.from < kept);
    }
    if let Some(links) = layer.checked_sub(1).and_then(|upper| drawing.links.get_mut(upper)) {
        links.iter_mut().filter(|link| link.to >= kept).for_each(|link| link.to = kept);
        links.dedup();
    }
}

/// Rows between the layers: one for each line that goes sideways, as far as there is room.
pub(super) fn gap_heights(drawing: &Drawing, room: u16, high: u16) -> Vec<u16> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_script::crawl;
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
        assert!(matches!(layer.last().unwrap().thing, Thing::More(Some(count)) if count == all - (layer.len() - 1)));
        assert!(layer.iter().all(|place| place.x + place.wide <= 60), "{layer:?}");
        assert!(drawing.links[1].iter().all(|link| link.to < layer.len()));
    }
}
