//! Draws the neighbourhood of the selected coroutine: its waiters above, its targets below, two steps each way.
//!
//! Waiters are above their targets. Layers are ordered by number, so that nothing moves while nothing changes; each
//! line between two layers has a row of its own where there is room, so that it can be followed.

mod layout;

use layout::{Cycle, Link, NEIGHBOURS, Place, Thing, below, build, gap_heights, layers_height, place};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use crate::event::CoroId;
use crate::model::Model;
use crate::tui::keys::Action;
use crate::tui::session::Session;
use crate::tui::text::{fit, width};
use crate::tui::theme::Theme;
use crate::tui::widgets::{Hits, empty};

/// How many steps are drawn each way.
const STEPS: usize = 2;

/// The drawing in place of the tree.
#[derive(Debug, Default)]
pub struct Canvas {
    hits: Hits<CoroId>,
}

impl Canvas {
    /// Moves to the box in that direction.
    pub fn act(&self, session: &mut Session, action: Action) {
        let Some(id) = session.selected else { return };
        let model = session.model();
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
                Thing::Res(res) => model.resource(res)?.holders.first().map(|holder| holder.coro),
                _ => None,
            }),
            Action::Left => beside(-1),
            Action::Right => beside(1),
            _ => None,
        };
        if let Some(next) = next.filter(|next| model.coro(*next).is_some()) {
            session.select(next);
        }
    }

    /// Selects the box that is there.
    pub fn click(&self, session: &mut Session, at: Position) {
        if let Some(id) = self.hits.at(at) {
            session.select(id);
        }
    }

    /// Draws as many steps as there is room for.
    pub fn draw(&mut self, session: &Session, buf: &mut Buffer, area: Rect) {
        self.hits.clear();
        let sentence = match session.selected {
            None => Some("select a coroutine: g goes back to the tree"),
            Some(id) if session.model().coro(id).is_none() => {
                Some("nothing is known about it at this moment: g goes back to the tree")
            }
            Some(_) => None,
        };
        if let Some(sentence) = sentence {
            empty(buf, &session.theme, area, &[sentence]);
        }
        let Some(id) = session.selected.filter(|id| session.model().coro(*id).is_some()) else { return };
        let (theme, model, now) = (&session.theme, session.model(), session.now());
        let mut cycle = Cycle::of(model, id);
        // The layers next to the selected one are worth more than those beyond, and a whole cycle is worth more than
        // boxes.
        let fits = |steps: usize, high: u16, cycle: &Cycle| {
            layers_height(steps + 1 + steps.max(cycle.depth()), high) <= area.height
        };
        let boxes: &[u16] = if area.height >= 13 { &[3, 1] } else { &[1] };
        let mut sizes = boxes.iter().flat_map(|high| (0..=STEPS).rev().map(move |steps| (steps, *high)));
        let (steps, high) = match sizes.clone().find(|(steps, high)| fits(*steps, *high, &cycle)) {
            Some(size) => size,
            None => {
                cycle = Cycle::default();
                sizes.find(|(steps, high)| fits(*steps, *high, &cycle)).unwrap_or((0, 1))
            }
        };
        let boxed = high > 1;
        let mut drawing = build(model, id, steps, &cycle, now, theme);
        place(&mut drawing, area, boxed);
        let gaps = gap_heights(&drawing, area.height, high);
        let total: u16 = gaps.iter().sum::<u16>() + drawing.layers.len() as u16 * high;
        let mut y = area.y + area.height.saturating_sub(total) / 2;
        for (layer, places) in drawing.layers.iter().enumerate() {
            for place in places {
                let selected = place.thing == Thing::Coro(id);
                draw_box(buf, theme, model, place, y, boxed, selected, area);
                if let Thing::Coro(id) | Thing::Again(_, id) = place.thing {
                    self.hits.add(Rect { x: place.x, y, width: place.wide, height: high }, id);
                }
            }
            y += high;
            if let Some(links) = drawing.links.get(layer) {
                draw_links(buf, theme, places, &drawing.layers[layer + 1], links, y, gaps[layer], boxed, area);
                y += gaps[layer];
            }
        }
    }
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
        Thing::Again(..) | Thing::ResAgain(..) if place.on_cycle => theme.failed,
        Thing::Again(..) | Thing::ResAgain(..) => theme.dim,
        Thing::Res(_) | Thing::Leaf(..) => theme.text,
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
    let line_style = match (place.on_cycle, selected) {
        (true, _) => theme.failed,
        (false, true) => theme.title,
        (false, false) => theme.line,
    };
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
    let mut cells = vec![Cell::default(); wide * usize::from(gap)];
    let mut sources: Vec<usize> = links.iter().map(|link| link.from).collect();
    sources.sort_unstable();
    sources.dedup();
    let middle = |place: &Place| usize::from(place.x + place.wide / 2 - area.x).min(wide - 1);
    // A line that can go straight down does, wherever it leaves its box.
    let ends = |link: &Link| {
        let (place, to) = (&upper[link.from], middle(&lower[link.to]));
        let alone = links.iter().filter(|one| one.from == link.from).count() == 1;
        let inside = usize::from(place.x - area.x) + 1..usize::from(place.x + place.wide - area.x).saturating_sub(1);
        (if alone && inside.contains(&to) { to } else { middle(place) }, to)
    };
    // Lines end above their box, the last row is for the arrow heads.
    let tracks = usize::from(gap.saturating_sub(1)).max(1);
    for link in links {
        let (from, to) = ends(link);
        let rank = sources.iter().position(|one| *one == link.from).unwrap_or(0);
        let track = rank % tracks;
        let mut mark = |row: usize, column: usize, ways: u8| {
            let cell = &mut cells[row * wide + column];
            cell.is_loose = link.is_loose && (cell.ways == 0 || cell.is_loose);
            cell.ways |= ways;
            cell.on_cycle |= link.on_cycle;
        };
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
            let Cell { ways, is_loose, on_cycle } = cells[usize::from(row) * wide + column];
            if ways == 0 {
                continue;
            }
            let sign = match is_loose {
                true => loose(ways, ascii),
                false => corner(ways, ascii),
            };
            let style = if on_cycle { theme.failed } else { theme.line };
            buf.set_stringn(area.x + column as u16, y + row, sign, 1, style);
        }
    }
    // What runs beside is not waited on: its line has no arrow.
    for link in links.iter().filter(|link| !link.is_loose) {
        let column = middle(&lower[link.to]);
        // In a gap of one row a line that turns there has no room for its arrow.
        if gap > 1 || cells[column].ways == NORTH | SOUTH {
            let style = if link.on_cycle { theme.failed } else { theme.key };
            buf.set_stringn(area.x + column as u16, y + gap - 1, theme.glyphs.arrows[1], 1, style);
        }
    }
    if boxed {
        // Where a line leaves its box.
        for link in links {
            let x = area.x + ends(link).0 as u16;
            if x < area.right() && !ascii {
                let heavy = matches!(buf[(x, y - 1)].symbol(), "━" | "┷" | "┯");
                buf.set_stringn(x, y - 1, if heavy { "┯" } else { "┬" }, 1, theme.line);
            }
        }
    }
}

/// What of the lines goes through a cell.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// The directions.
    ways: u8,
    /// All of it is of lines to what runs beside.
    is_loose: bool,
    /// Some of it is of the cycle.
    on_cycle: bool,
}

/// The sign of a line to what runs beside.
fn loose(ways: u8, ascii: bool) -> &'static str {
    match (ways, ascii) {
        (1 | 4 | 5, false) => "┆",
        (2 | 8 | 10, false) => "┄",
        (1 | 4 | 5, true) => ":",
        (2 | 8 | 10, true) => ".",
        (ways, ascii) => corner(ways, ascii),
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

    #[test]
    fn every_line_sign_has_its_place() {
        assert_eq!(corner(NORTH | SOUTH, false), "│");
        assert_eq!(corner(EAST | WEST, false), "─");
        assert_eq!(corner(NORTH | EAST, false), "└");
        assert_eq!(corner(WEST | SOUTH, false), "┐");
        assert_eq!(corner(15, true), "+");
    }
}
