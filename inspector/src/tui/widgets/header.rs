//! The header: the program, its status, and its load.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::model::Activity;
use crate::tui::app::App;
use crate::tui::app::{Hit, Screen, Status};
use crate::tui::text::{clock, count, counted, rate, width};

/// The program on the left, its state on the right.
pub fn render(buf: &mut Buffer, app: &App, area: Rect) {
    let theme = &app.theme;
    let model = app.model();
    let header = model.header();
    let mut left = vec![
        Span::raw(" "),
        Span::styled("tinyio", theme.dim),
        Span::raw("  "),
        Span::styled(crate::tui::text::fit(&header.program, 40), theme.title),
        Span::styled(format!(" {} pid {}", theme.glyphs.dot, header.pid), theme.dim),
    ];
    if !app.is_live() {
        let event = format!("{} of {}", count(app.position()), count(app.tape.len()));
        let (paused, dot) = (theme.glyphs.paused, theme.glyphs.dot);
        left.push(Span::raw("  "));
        left.push(Span::styled(format!(" {paused} {} {dot} {event} ", clock(app.now(), 4)), theme.found));
    }
    let mut right = Vec::new();
    let lost = app.tape.latest().lost();
    if lost.events() > 0 {
        right.push(Span::styled(format!("{} events lost", count(lost.events())), theme.failed));
        right.push(Span::raw("   "));
    }
    if !model.is_sure() && model.events() > 0 {
        right.push(Span::styled("uncertain until the next key frame", theme.warning));
        right.push(Span::raw("   "));
    }
    if lost.left_out > 0 {
        right.push(Span::styled(format!("{} not shown", counted(lost.left_out, "coroutine")), theme.warning));
        right.push(Span::raw("   "));
    }
    let (text, style) = app.headline();
    let sign = match text.split(' ').next() {
        Some("LIVE" | "BLOCKED") => theme.sign(Activity::Running),
        Some("ENDED") => theme.sign(Activity::Done),
        _ => theme.sign(Activity::Failed),
    };
    right.push(Span::styled(format!("{sign} {text}"), style));
    // The least important parts are left out first where there is no room for all.
    let mut rest = Vec::new();
    let live = count(model.live_count() as u64);
    if app.status == Status::Live && text.starts_with("LIVE") {
        // Room for longer values, so that the layout does not shift.
        rest.push(Span::styled(format!("   {live:>6} live"), theme.text));
        rest.push(Span::styled(format!("  {:>5} ev/s", rate(app.rate)), theme.dim));
    } else if let Some((coros, threads)) =
        app.crash.as_ref().filter(|_| app.is_live() && text.starts_with("CRASHED")).map(|one| one.data.taking_part())
    {
        let threads = if threads > 0 { format!(", {}", counted(threads, "thread")) } else { String::new() };
        rest.push(Span::styled(format!("   {}{threads}", counted(coros, "coroutine")), theme.text));
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
    buf.set_line(area.x, area.y, &Line::from(left), room as u16);
    buf.set_line(area.x + room as u16, area.y, &Line::from(right), area.width - room as u16);
}

/// The screens, the one shown marked; warnings on the right.
pub fn render_tabs(buf: &mut Buffer, app: &mut App, area: Rect) {
    if area.height == 0 {
        return;
    }
    let theme = app.theme;
    let names: usize = Screen::ALL.iter().map(|screen| screen.title().len() + 4).sum();
    let short = names > usize::from(area.width);
    let mut x = area.x + 1;
    for (index, screen) in Screen::ALL.into_iter().enumerate() {
        if screen == Screen::Crash && app.crash.is_none() {
            continue;
        }
        let shown = app.screen == screen;
        let name = if short && !shown { &screen.title()[..3] } else { screen.title() };
        let style = match screen {
            _ if shown => theme.title.patch(theme.selected),
            Screen::Crash => theme.failed,
            _ => theme.text,
        };
        let line = Line::from(vec![
            Span::styled(format!("{}", index + 1), if shown { style } else { theme.key }),
            Span::styled(format!(" {name}"), style),
        ]);
        let wide = line.width() as u16;
        if x + wide > area.right() {
            break;
        }
        buf.set_line(x, area.y, &line, wide);
        app.hits.push((Rect { x, y: area.y, width: wide, height: 1 }, Hit::Tab(screen)));
        x += wide + 2;
    }
    let room = area.right().saturating_sub(x);
    let sign = theme.glyphs.warning;
    let texts = match app.lints.len() as u64 {
        _ if app.finished => ["it has ended: q leaves ".to_owned(), "ended: q leaves ".to_owned(), String::new()],
        0 => return,
        many => {
            let lints = counted(many, "lint");
            [format!("{sign} {lints}, ! shows "), format!("{sign} {lints}: ! "), format!("{sign} {many} ")]
        }
    };
    if let Some(text) = texts.iter().find(|text| width(text) <= usize::from(room)) {
        crate::tui::panes::right(buf, x, area.y, room, text, theme.warning);
    }
}
