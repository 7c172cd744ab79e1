//! The header: the program, its status, and its load.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Hits, right};
use crate::model::{Activity, Changes};
use crate::tui::playback::Status;
use crate::tui::session::Session;
use crate::tui::text::{count, counted, fit, moment, rate, slice, width};

/// The program on the left, its state on the right.
pub fn draw(buf: &mut Buffer, session: &Session, area: Rect) {
    let theme = &session.theme;
    let (playback, model) = (&session.playback, session.model());
    let header = model.header();
    // The state of a picture has the process.
    let process = match model.picture() {
        Some(_) => String::new(),
        None => format!(" {} pid {}", theme.glyphs.dot, header.pid),
    };
    let mut left = vec![
        Span::raw(" "),
        Span::styled("tinyio", theme.dim),
        Span::raw("  "),
        Span::styled(fit(&header.program, 40), theme.title),
        Span::styled(process, theme.dim),
    ];
    if !playback.is_live() {
        let event = format!("{} of {}", count(playback.position()), count(playback.tape.len()));
        let (paused, dot) = (theme.glyphs.paused, theme.glyphs.dot);
        left.push(Span::raw("  "));
        left.push(Span::styled(format!(" {paused} {} {dot} {event} ", moment(session.now())), theme.found));
    }
    let mut right = Vec::new();
    let lost = playback.tape.latest().lost();
    if lost.events() > 0 {
        right.push(Span::styled(format!("{} events lost", count(lost.events())), theme.failed));
        right.push(Span::raw("   "));
    }
    if !model.is_sure() && model.events() > 0 {
        right.push(Span::styled("uncertain until the next checkpoint", theme.warning));
        right.push(Span::raw("   "));
    }
    if lost.left_out > 0 {
        right.push(Span::styled(format!("{} not shown", counted(lost.left_out, "coroutine")), theme.warning));
        right.push(Span::raw("   "));
    }
    if session.pictures.repeats && playback.status == Status::Live {
        right.push(Span::styled("each second", theme.warning));
        right.push(Span::raw("   "));
    }
    if !session.mouse {
        right.push(Span::styled("mouse off", theme.dim));
        right.push(Span::raw("   "));
    }
    let (text, style) = playback.headline(theme);
    let sign = match text.split(' ').next() {
        Some("LIVE" | "BLOCKED" | "picture" | "core") => theme.sign(Activity::Running),
        Some("ENDED") => theme.sign(Activity::Done),
        _ => theme.sign(Activity::Failed),
    };
    right.push(Span::styled(format!("{sign} {text}"), style));
    // The least important parts are left out first where there is no room for all.
    let mut rest = Vec::new();
    let live = count(model.live_count() as u64);
    if playback.status == Status::Live && text.starts_with("LIVE") {
        // Room for longer values, so that the layout does not shift.
        rest.push(Span::styled(format!("   {live:>6} live"), theme.text));
        rest.push(Span::styled(format!("  {:>5} ev/s", rate(playback.rate)), theme.dim));
    } else if let Some((coros, threads)) = session
        .crash
        .as_ref()
        .filter(|_| playback.is_live() && text.starts_with("CRASHED"))
        .map(|one| one.data.taking_part())
    {
        let threads = if threads > 0 { format!(", {}", counted(threads, "thread")) } else { String::new() };
        rest.push(Span::styled(format!("   {}{threads}", counted(coros, "coroutine")), theme.text));
    } else if model.picture().is_some() {
        rest.push(Span::styled(format!("   {}", counted(model.live_count() as u64, "task")), theme.text));
    } else {
        rest.push(Span::styled(format!("   {live} live"), theme.text));
    }
    let size = |spans: &[Span]| spans.iter().map(|span| width(&span.content)).sum::<usize>();
    let room = usize::from(area.width).saturating_sub(size(&right) + 1);
    if size(&left) + size(&rest) > room {
        left.drain(1..3);
    }
    while size(&left) + size(&rest) > room && rest.pop().is_some() {}
    right.append(&mut rest);
    right.push(Span::raw(" "));
    while size(&right) > usize::from(area.width) && right.len() > 1 {
        right.pop();
    }
    let right_width: usize = right.iter().map(|span| width(&span.content)).sum();
    let room = usize::from(area.width).saturating_sub(right_width);
    let left = Line::from(left);
    buf.set_line(area.x, area.y, &slice(&left, 0, room.saturating_sub(1)), room as u16);
    buf.set_line(area.x + room as u16, area.y, &Line::from(right), area.width - room as u16);
}

/// The tab of a screen.
#[derive(Clone, Copy, Debug)]
pub struct Tab {
    /// The number of the screen, from 0 on.
    pub index: usize,
    /// Its name.
    pub title: &'static str,
    /// Its style while another screen is shown.
    pub style: Style,
}

/// The screens, the one in `front` marked; warnings on the right.
pub fn draw_tabs(buf: &mut Buffer, session: &Session, tabs: &[Tab], front: usize, hits: &mut Hits<usize>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let theme = &session.theme;
    let names: usize = tabs.iter().map(|tab| tab.title.len() + 4).sum();
    let short = names > usize::from(area.width);
    let mut x = area.x + 1;
    for Tab { index, title, style } in tabs.iter().copied() {
        let shown = index == front;
        let name = if short && !shown { fit(title, 4) } else { title.to_owned() };
        let style = if shown { theme.title.patch(theme.selected) } else { style };
        let line = Line::from(vec![
            Span::styled(format!("{}", index + 1), if shown { style } else { theme.key }),
            Span::styled(format!(" {name}"), style),
        ]);
        let wide = line.width() as u16;
        if x + wide > area.right() {
            break;
        }
        buf.set_line(x, area.y, &line, wide);
        hits.add(Rect { x, y: area.y, width: wide, height: 1 }, index);
        x += wide + 2;
    }
    let room = area.right().saturating_sub(x);
    let sign = theme.glyphs.warning;
    let changes = session.model().changes().map(|changes| changed(&changes));
    if let Some(text) = changes.filter(|text| !session.playback.finished && width(text) + 20 <= usize::from(room)) {
        right(buf, x, area.y, room.saturating_sub(20), &text, theme.dim);
    }
    let texts = match session.lints.len() as u64 {
        _ if session.playback.finished => {
            ["it has ended: q leaves ".to_owned(), "ended: q leaves ".to_owned(), String::new()]
        }
        0 => return,
        many => {
            let lints = counted(many, "lint");
            let deadlock = session.lints.iter().find(|lint| lint.check == "deadlock");
            let (long, short) = match deadlock {
                Some(lint) if lint.text.starts_with("likely") => ("LIKELY DEADLOCK", "DEADLOCK? ! "),
                Some(_) => ("DEADLOCK", "DEADLOCK ! "),
                None => (&*lints, &*format!("{sign} {lints}: ! ")),
            };
            [format!("{sign} {long}, ! shows "), short.to_owned(), format!("{sign} {many} ")]
        }
    };
    if let Some(text) = texts.iter().find(|text| width(text) <= usize::from(room)) {
        right(buf, x, area.y, room, text, theme.warning);
    }
}

/// What differs from the picture before, with the marks that the table has.
fn changed(changes: &Changes) -> String {
    let parts = [(changes.new, "+", "new"), (changes.moved, "~", "elsewhere"), (changes.gone, "-", "gone")];
    let parts: Vec<String> =
        parts.iter().filter(|part| part.0 > 0).map(|(number, sign, word)| format!("{sign}{number} {word}")).collect();
    if parts.is_empty() { "nothing changed".to_owned() } else { parts.join(", ") }
}
