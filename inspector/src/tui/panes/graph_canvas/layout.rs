//! What is in the drawing, and where.

use ratatui::layout::Rect;

use crate::describe;
use crate::event::{CoroId, ResId, ResKind, Target};
use crate::model::{Coro, Model, Parent};
use crate::tui::text::{span, width};
use crate::tui::theme::Theme;

/// How many neighbours of one box are looked at.
pub(super) const NEIGHBOURS: usize = 24;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Thing {
    /// A coroutine.
    Coro(CoroId),
    /// An event, lock, semaphore or barrier.
    Res(ResId),
    /// Something else that is waited on, by this coroutine.
    Leaf(CoroId, Target),
    /// A coroutine that is drawn elsewhere already, as the target of this one or of the resource that it waits on.
    Again(CoroId, CoroId),
    /// The same of a resource.
    ResAgain(CoroId, ResId),
    /// The number of further ones.
    More(Option<usize>),
}

/// The chain of waits of the selected coroutine, if it ends in a cycle.
#[derive(Clone, Debug, Default)]
pub(super) struct Cycle {
    /// What is on the chain, from the selected coroutine down.
    chain: Vec<Thing>,
    /// What is on the cycle.
    members: Vec<Thing>,
}

impl Cycle {
    pub(super) fn of(model: &Model, id: CoroId) -> Cycle {
        let why = model.why(id);
        let things = |links: &[crate::model::Link]| -> Vec<Thing> {
            let pair = |link: &crate::model::Link| match link.on {
                Target::Res(res) => vec![Thing::Coro(link.coro), Thing::Res(res)],
                _ => vec![Thing::Coro(link.coro)],
            };
            links.iter().flat_map(pair).collect()
        };
        match why.cycle() {
            [] => Cycle::default(),
            cycle => Cycle { chain: things(&why.chain), members: things(cycle) },
        }
    }

    /// How many layers there are below the selected coroutine: the last one has the box that closes the cycle.
    pub(super) fn depth(&self) -> usize {
        self.chain.len()
    }

    fn has(&self, thing: Thing) -> bool {
        let thing = match thing {
            Thing::Again(_, id) => Thing::Coro(id),
            Thing::ResAgain(_, id) => Thing::Res(id),
            thing => thing,
        };
        self.members.contains(&thing)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Place {
    pub thing: Thing,
    pub label: String,
    pub note: String,
    /// It is on the cycle.
    pub on_cycle: bool,
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
    /// The upper one has scheduled the lower one and does not wait on it.
    pub is_loose: bool,
    /// Both are on the cycle, one after the other.
    pub on_cycle: bool,
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
        Target::Res(id) => Thing::Res(id),
        on => Thing::Leaf(coro.id, on),
    }));
    things
}

/// The coroutines that this one has scheduled and does not wait on, one more than are drawn at most.
fn beside(model: &Model, coro: &Coro) -> Vec<Thing> {
    let children = model.children(Parent::Coro(coro.id)).filter(|child| !child.waiters.contains(coro.id));
    children.map(|child| Thing::Coro(child.id)).take(NEIGHBOURS + 1).collect()
}

/// Lays out the neighbourhood of a coroutine: so many steps up and down, and all of the cycle that it is on or waits
/// for.
pub(super) fn build(model: &Model, id: CoroId, steps: usize, cycle: &Cycle, now: u64, theme: &Theme) -> Drawing {
    let mut above: Vec<(Vec<Thing>, Vec<Pair>)> = Vec::new();
    let mut seen = vec![Thing::Coro(id)];
    let mut layer = vec![Thing::Coro(id)];
    let mut loose: Vec<Pair> = Vec::new();
    for _ in 0..steps {
        let mut next = Vec::new();
        let mut links = Vec::new();
        for thing in &layer {
            let Thing::Coro(lower) = *thing else { continue };
            let Some(coro) = model.coro(lower) else { continue };
            // A coroutine without waiters is placed below the one that scheduled it.
            let spawner = Some(coro.parent).filter(|parent| *parent != 0 && coro.waiters.is_empty());
            for upper in coro.waiters.ids().take(NEIGHBOURS).chain(spawner) {
                // The cycle is drawn downwards, from whichever member.
                if model.coro(upper).is_none() || cycle.has(Thing::Coro(upper)) {
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
                if coro.waiters.is_empty() {
                    loose.push((upper, *thing));
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
    let mut more_beside = false;
    for step in 0..steps.max(cycle.depth()) {
        let mut next = Vec::new();
        let mut links = Vec::new();
        for thing in &layer {
            // Beyond the neighbourhood only the way to the cycle and around it is drawn.
            let only_chain = step >= steps;
            if only_chain && !cycle.chain.contains(thing) {
                continue;
            }
            let mut lower = match *thing {
                Thing::Coro(upper) => model.coro(upper).map(|coro| below(model, coro)).unwrap_or_default(),
                // A lock is connected to its holders.
                Thing::Res(res) => {
                    let holders = model.resource(res).map(|one| &one.holders[..]).unwrap_or_default();
                    holders.iter().take(4).filter(|one| one.coro != 0).map(|one| Thing::Coro(one.coro)).collect()
                }
                _ => Vec::new(),
            };
            lower.retain(|one| !only_chain || cycle.chain.contains(one));
            if let Thing::Coro(upper) = *thing
                && upper == id
                && let Some(coro) = model.coro(id)
            {
                let mut others = beside(model, coro);
                others.retain(|one| !lower.contains(one));
                more_beside = others.len() > NEIGHBOURS;
                others.truncate(NEIGHBOURS);
                loose.extend(others.iter().map(|one| (*thing, *one)));
                lower.extend(others);
            }
            for one in lower {
                let is_seen = seen.contains(&one) && !next.contains(&one);
                let one = match one {
                    Thing::Coro(target) if is_seen => Thing::Again(thing_id(*thing), target),
                    Thing::Res(target) if is_seen => Thing::ResAgain(thing_id(*thing), target),
                    one => {
                        seen.push(one);
                        one
                    }
                };
                if !next.contains(&one) {
                    next.push(one);
                }
                if !links.contains(&(*thing, one)) {
                    links.push((*thing, one));
                }
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
    let layers: Vec<Vec<Place>> = things
        .iter()
        .map(|layer| layer.iter().map(|thing| describe(model, *thing, cycle, now, theme)).collect())
        .collect();
    let links = pairs
        .iter()
        .enumerate()
        .map(|(layer, pairs)| {
            let index = |of: &[Thing], thing: &Thing| of.iter().position(|one| one == thing);
            let link = |(from, to): &(Thing, Thing)| {
                Some(Link {
                    from: index(&things[layer], from)?,
                    to: index(&things[layer + 1], to)?,
                    is_loose: loose.contains(&(*from, *to)),
                    on_cycle: cycle.has(*from) && cycle.has(*to),
                })
            };
            pairs.iter().filter_map(link).collect()
        })
        .collect();
    // Of those above and below the selected one it is known how many there are; beyond, only of those that were looked
    // at.
    let mut unseen = vec![Some(0); layers.len()];
    let here = things.iter().position(|layer| layer.contains(&Thing::Coro(id))).unwrap_or(0);
    if let Some(coro) = model.coro(id) {
        // Of those that run beside it is not counted how many there are.
        let below = if more_beside { None } else { Some(coro.on_coros.len()) };
        let beyond = |all: usize| all.saturating_sub(NEIGHBOURS);
        for (side, all) in [(here.checked_sub(1), Some(coro.waiters.len())), (Some(here + 1), below)] {
            if let Some(entry) = side.and_then(|side| unseen.get_mut(side)) {
                *entry = all.map(beyond);
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
        Thing::Coro(id) | Thing::Leaf(id, _) | Thing::Again(id, _) | Thing::ResAgain(id, _) => id,
        // Numbers of resources are no numbers of coroutines.
        Thing::Res(_) | Thing::More(_) => 0,
    }
}

fn describe(model: &Model, thing: Thing, cycle: &Cycle, now: u64, theme: &Theme) -> Place {
    let on_cycle = cycle.has(thing);
    // Of what is drawn elsewhere already.
    let again = if on_cycle { theme.glyphs.cycle } else { theme.glyphs.reference };
    let (label, mut note) = match thing {
        Thing::Coro(id) => {
            let coro = model.coro(id);
            let sign = coro.map_or(" ", |coro| theme.sign(coro.activity));
            let note = coro.and_then(|coro| model.known(coro.for_how_long(now))).map(span).unwrap_or_default();
            (format!("{sign} {}", model.label(id)), note)
        }
        Thing::Res(res) => {
            let note = match model.resource(res) {
                Some(one) if one.what == ResKind::Barrier => format!("{} of {} there", one.waiters.len(), one.size),
                Some(one) if one.waiters.len() > 1 => format!("({} wait)", one.waiters.len()),
                _ => String::new(),
            };
            (model.resource_label(res), note)
        }
        Thing::Leaf(_, on) => {
            let label = match on {
                Target::Timer(_) | Target::Coro(_) => describe::target(model, on, now),
                on => model.target_label(on),
            };
            (label, String::new())
        }
        Thing::Again(_, id) => (format!("{again} {}", model.label(id)), String::new()),
        Thing::ResAgain(_, id) => (format!("{again} {}", model.resource_label(id)), String::new()),
        Thing::More(count) => (more(count), String::new()),
    };
    if on_cycle && matches!(thing, Thing::Coro(_) | Thing::Res(_)) {
        note = format!("{note} {}", theme.glyphs.cycle).trim_start().to_owned();
    }
    Place { thing, label, note, on_cycle, x: 0, wide: 0 }
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
    places.push(Place { thing: Thing::More(left_out), label, note: String::new(), on_cycle: false, x: 0, wide });
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
    use crate::test_script::{Script, crawl};
    use crate::tui::theme::DARK;

    #[test]
    fn waiters_are_above_and_what_is_waited_on_below() {
        let model = crawl().model();
        let drawing = build(&model, 5, 2, &Cycle::default(), 0, &DARK);
        let things: Vec<Vec<Thing>> =
            drawing.layers.iter().map(|layer| layer.iter().map(|place| place.thing).collect()).collect();
        assert_eq!(things, [vec![Thing::Coro(1)], vec![Thing::Coro(5)], vec![Thing::Res(1)], vec![Thing::Coro(9)],]);
    }

    /// `left` and `right` each hold the lock that the other waits for; `main` waits on `left`, and has spawned a
    /// ticker.
    fn deadlock() -> Model {
        let mut s = Script::new("two");
        s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "left", "a.rs:2:1").spawn(3, 1, "right", "a.rs:3:1");
        s.spawn(4, 1, "ticker", "a.rs:4:1").spawn(5, 1, "third", "a.rs:5:1");
        s.resource(1, ResKind::Lock, 1, "a.rs:1:5").resource(2, ResKind::Lock, 1, "a.rs:1:6");
        s.begin(1).wait(1, Target::Coro(2), "a.rs:4:1").wait(1, Target::Coro(5), "a.rs:4:1").pause(1);
        s.hold(1, 2, "a.rs:5:1").hold(2, 3, "a.rs:6:1").step(2, Target::Res(2), "a.rs:7:1");
        s.step(3, Target::Res(1), "a.rs:8:1").step(5, Target::Res(2), "a.rs:9:1");
        s.step(4, Target::Timer(9_000_000_000), "a.rs:9:1");
        s.model()
    }

    fn drawing_of(model: &Model, id: CoroId) -> Drawing {
        build(model, id, 2, &Cycle::of(model, id), 0, &DARK)
    }

    #[test]
    fn a_cycle_is_drawn_whole_from_every_member_and_from_the_root() {
        let model = deadlock();
        for id in [1, 2, 3, 5] {
            let drawing = drawing_of(&model, id);
            let places: Vec<&Place> = drawing.layers.iter().flatten().collect();
            for thing in [Thing::Coro(2), Thing::Coro(3), Thing::Res(1), Thing::Res(2)] {
                let of_it: Vec<_> = places.iter().filter(|place| place.thing == thing).collect();
                assert!(of_it.len() == 1 && of_it[0].on_cycle, "{thing:?} once, seen from {id}: {places:#?}");
            }
            assert!(places.iter().all(|place| place.on_cycle == cycle_members().contains(&untwinned(place.thing))));
            // Each of its four edges is drawn, one of them to the box that closes the cycle.
            let edges: Vec<(Thing, Thing)> = (drawing.links.iter().enumerate())
                .flat_map(|(layer, links)| links.iter().map(move |link| (layer, link)))
                .filter(|(_, link)| link.on_cycle)
                .map(|(layer, link)| {
                    let (from, to) = (&drawing.layers[layer][link.from], &drawing.layers[layer + 1][link.to]);
                    (untwinned(from.thing), untwinned(to.thing))
                })
                .collect();
            for edge in [
                (Thing::Coro(2), Thing::Res(2)),
                (Thing::Res(2), Thing::Coro(3)),
                (Thing::Coro(3), Thing::Res(1)),
                (Thing::Res(1), Thing::Coro(2)),
            ] {
                assert!(edges.contains(&edge), "{edge:?}, seen from {id}: {edges:?}");
            }
        }
    }

    fn cycle_members() -> [Thing; 4] {
        [Thing::Coro(2), Thing::Coro(3), Thing::Res(1), Thing::Res(2)]
    }

    /// What a box that refers to another one is of.
    fn untwinned(thing: Thing) -> Thing {
        match thing {
            Thing::Again(_, id) => Thing::Coro(id),
            Thing::ResAgain(_, id) => Thing::Res(id),
            thing => thing,
        }
    }

    #[test]
    fn what_was_spawned_and_is_not_awaited_runs_beside() {
        let model = deadlock();
        let drawing = drawing_of(&model, 1);
        let loose: Vec<Thing> = (drawing.links[0].iter().filter(|link| link.is_loose))
            .map(|link| drawing.layers[1][link.to].thing)
            .collect();
        assert_eq!(loose, [Thing::Coro(3), Thing::Coro(4)]);
        let up = drawing_of(&model, 4);
        assert_eq!(up.layers[0][0].thing, Thing::Coro(1));
        assert!(up.links[0][0].is_loose);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let model = crawl().model();
        let mut drawing = build(&model, 2, 2, &Cycle::default(), 0, &DARK);
        let all = drawing.layers[2].len();
        place(&mut drawing, Rect::new(0, 0, 60, 30), true);
        let layer = &drawing.layers[2];
        assert!(matches!(layer.last().unwrap().thing, Thing::More(Some(count)) if count == all - (layer.len() - 1)));
        assert!(layer.iter().all(|place| place.x + place.wide <= 60), "{layer:?}");
        assert!(drawing.links[1].iter().all(|link| link.to < layer.len()));
    }
}
