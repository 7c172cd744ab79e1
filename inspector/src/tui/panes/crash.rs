//! The screen of a crash: what failed, where each coroutine was, the source there, and the values.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::crash_stacks::{copied, frame_line, native_heading, walk};
use super::detail;
use super::printed::{Printed, paths};
use super::source::{self, Source};
use super::stack_tree::StackTree;
use crate::event::{Outcome, TraceSite};
use crate::model::short_name;
use crate::report::{Ending, as_of, cancelling, message_with_place};
use crate::tui::clipboard::{Copied, Part};
use crate::tui::crash_view::{CrashView, Located, Role};
use crate::tui::keys::{Action, bind};
use crate::tui::pane::{Pane, Reply, Screen, Subject};
use crate::tui::playback::Status;
use crate::tui::prompt::Purpose;
use crate::tui::session::Session;
use crate::tui::text::{fit, pad, width, wrap};
use crate::tui::theme::Theme;
use crate::tui::widgets::{Hits, empty, horizontal, local_line, mark_of, put, put_lines, right, vertical};
use tinyio_events::place::{is_moment, short_path};

pub const SCREEN: Screen = Screen {
    title: "Crash",
    name: "crash",
    help: "crash, once there was one",
    keys: &[
        bind(&["j", "down"], Action::FrameDown, "frame-down", "frame", "one frame down"),
        bind(&["k", "up"], Action::FrameUp, "frame-up", "", "one frame up"),
        bind(&["J", "right"], Action::StackDown, "stack-down", "stack", "one stack down, depth first"),
        bind(&["K", "left"], Action::StackUp, "stack-up", "", "one stack up"),
        bind(&["l"], Action::Right, "unfold", "", "alike stacks one by one"),
        bind(&["h"], Action::Left, "fold", "", "alike stacks as one again"),
        bind(&["t"], Action::Stacks, "stacks", "stack tree", "all frames of all stacks"),
        bind(&["s"], Action::Function, "function", "source", "source of the function"),
        bind(&["S"], Action::File, "file", "", "source of the file"),
        bind(&["p"], Action::Print, "print", "print", "print a variable or a path into one, as entry.sum"),
        bind(&["P"], Action::PrintAll, "print-all", "", "the same, unfolded to the last"),
        bind(&["i", "enter"], Action::Coroutine, "coroutine", "coroutine", "details of this coroutine"),
        bind(&["e"], Action::Edit, "edit", "edit", "open the editor at the line ($TINYIO_EDITOR, $EDITOR)"),
        bind(&["v"], Action::Hidden, "hidden", "hidden", "show or pass over hidden frames"),
    ],
    new: || Box::new(CrashScreen::default()),
};

/// What the mouse can hit.
#[derive(Clone, Copy, Debug)]
enum Hit {
    /// A stack.
    Stack(usize),
    /// A frame of the selected stack.
    Frame(usize),
}

/// A row of the list of frames.
enum FrameRow<'a> {
    /// What a native stack is the stack of.
    Heading(&'static str),
    /// A frame of the stack, by its index.
    Frame(usize, &'a Located),
}

/// The crash of the session. Which stack and frame are selected is kept there, as its pages show them too.
#[derive(Debug, Default)]
struct CrashScreen {
    hits: Hits<Hit>,
}

impl Pane for CrashScreen {
    fn title(&self) -> &'static str {
        SCREEN.title
    }

    fn why_not_there(&self) -> &'static str {
        "nothing has crashed"
    }

    fn is_there(&self, session: &Session) -> bool {
        session.crash.is_some()
    }

    fn has_all_its_keys(&self) -> bool {
        true
    }

    /// The coroutine of the selected frame.
    fn selected(&self, session: &Session) -> Option<Subject> {
        let coro = session.crash.as_ref()?.current()?.coro;
        (coro != 0).then_some(Subject::Coro(coro))
    }

    fn none_selected(&self) -> &'static str {
        "this frame belongs to no coroutine"
    }

    /// Selects the next stack with a title that matches.
    fn find(&mut self, session: &mut Session, forward: bool) -> bool {
        let Some(crash) = &mut session.crash else { return false };
        let titles = crash.data.stacks.iter().map(|stack| stack.title.clone()).enumerate();
        match session.search.find(titles, Some(crash.stack), forward) {
            Some(stack) => crash.select_stack(stack),
            None => session.note(format!("no stack matches {:?}", session.search.text)),
        }
        true
    }

    fn tab_style(&self, theme: &Theme) -> Style {
        theme.failed
    }

    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        copied(session, part)
    }

    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        let Some(crash) = &mut session.crash else { return Reply::Ignored };
        let model = session.playback.tape.latest();
        match action {
            Action::Filter => return Reply::Ignored,
            Action::Right if crash.data.unfold(model, crash.stack) => crash.select_stack(crash.stack),
            Action::Right => session.note("this is one stack; l unfolds alike ones"),
            Action::Left => match crash.data.fold(model, crash.stack) {
                Some(stack) => crash.select_stack(stack),
                None => session.note("no stack beside it is alike"),
            },
            Action::Stacks => return Reply::Toggle(Box::new(StackTree::default())),
            Action::Function | Action::File => return Reply::Toggle(Box::new(Source::new(action == Action::File))),
            Action::Print | Action::PrintAll
                if crash.current().is_none_or(|located| located.frame.locals.is_empty()) =>
            {
                session.note("this frame has no variables to print: j and k go to one that has");
            }
            Action::Print => return Reply::Ask(Purpose::Print, String::new()),
            Action::PrintAll => return Reply::Ask(Purpose::PrintAll, String::new()),
            Action::Coroutine => match crash.current().map(|located| located.coro).filter(|coro| *coro != 0) {
                Some(coro) => {
                    session.select(coro);
                    return Reply::Toggle(detail::page(coro));
                }
                None => session.note("this frame belongs to no coroutine"),
            },
            action => return walk(session, action),
        }
        Reply::Done
    }

    fn click(&mut self, session: &mut Session, at: Position) {
        let Some(crash) = &mut session.crash else { return };
        match self.hits.at(at) {
            Some(Hit::Stack(stack)) => crash.select_stack(stack),
            Some(Hit::Frame(frame)) => crash.frame = frame,
            None => {}
        }
    }

    fn accepted(&mut self, session: &mut Session, purpose: Purpose, text: &str) -> Result<Reply, String> {
        let printed = Printed::new(session, purpose, text);
        Ok(printed.map_or(Reply::Done, |printed| Reply::Toggle(Box::new(printed))))
    }

    fn completions(&self, session: &Session, _purpose: Purpose, text: &str) -> Vec<String> {
        paths(session, text)
    }

    /// Four panes under the error: stacks and frames on the left, source and locals on the right. Narrow terminals
    /// have them one above the other.
    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, body: Rect) {
        self.hits.clear();
        let theme = session.theme;
        let Some(crash) = session.crash.take() else {
            empty(buf, &theme, body, &["nothing has crashed"]);
            return;
        };
        let message = message_lines(session, &crash, body.width);
        let head = (message.len() as u16).min(body.height / 3).max(1);
        let ruled = body.height >= 12;
        let [top, rule, rest] =
            Layout::vertical([Constraint::Length(head), Constraint::Length(u16::from(ruled)), Constraint::Fill(1)])
                .areas(body);
        put_lines(buf, &theme, top, &message);
        horizontal(buf, &theme, rule);
        if body.width >= 72 {
            let left = (body.width * 2 / 5).clamp(34, 64);
            let [left, gap, right] =
                Layout::horizontal([Constraint::Length(left), Constraint::Length(1), Constraint::Fill(1)]).areas(rest);
            vertical(buf, &theme, gap);
            let stacks_height = stacks_height(&crash, left.height);
            let [stacks, frames] =
                Layout::vertical([Constraint::Length(stacks_height), Constraint::Fill(1)]).areas(left);
            self.draw_stacks(buf, &theme, &crash, stacks);
            self.draw_frames(buf, &theme, &crash, frames);
            let locals = locals_lines(&theme, &crash, right.width.saturating_sub(1));
            let locals_height = (locals.len() as u16).min(right.height * 2 / 5).max(1);
            let [source, between, values] = Layout::vertical([
                Constraint::Fill(1),
                Constraint::Length(u16::from(ruled)),
                Constraint::Length(locals_height),
            ])
            .areas(right);
            draw_source(buf, session, &crash, source);
            horizontal(buf, &theme, between);
            if ruled {
                buf.set_stringn(gap.x, between.y, theme.glyphs.tees[2], 1, theme.line);
            }
            put_lines(buf, &theme, Rect { x: values.x + 1, width: values.width.saturating_sub(1), ..values }, &locals);
        } else {
            let [stacks, frames, source, values] = Layout::vertical([
                Constraint::Length(stacks_height(&crash, rest.height * 2 / 3)),
                Constraint::Fill(2),
                Constraint::Fill(2),
                Constraint::Fill(1),
            ])
            .areas(rest);
            self.draw_stacks(buf, &theme, &crash, stacks);
            self.draw_frames(buf, &theme, &crash, frames);
            draw_source(buf, session, &crash, source);
            let locals = locals_lines(&theme, &crash, values.width.saturating_sub(1));
            put_lines(buf, &theme, Rect { x: values.x + 1, width: values.width.saturating_sub(1), ..values }, &locals);
        }
        session.crash = Some(crash);
    }
}

impl CrashScreen {
    fn draw_stacks(&mut self, buf: &mut Buffer, theme: &Theme, crash: &CrashView, area: Rect) {
        if area.height == 0 {
            return;
        }
        heading(buf, theme, area, "Stacks", "J/K");
        let rows = usize::from(area.height - 1);
        let top = (crash.stack + 1).saturating_sub(rows);
        let widest = crash.data.stacks.iter().map(|stack| width(&stack.title)).max().unwrap_or(0);
        let column = widest.min(usize::from(area.width / 2));
        // Beside the mark, the sign, the title, and a margin.
        let room = usize::from(area.width).saturating_sub(column + 7);
        for (row, (index, stack)) in crash.data.stacks.iter().enumerate().skip(top).take(rows).enumerate() {
            let y = area.y + 1 + row as u16;
            let (sign, style) = style_of(stack.role, theme);
            let here = if index == crash.stack { theme.glyphs.here } else { " " };
            let line = Line::from(vec![
                Span::styled(format!("{here} "), theme.key),
                Span::styled(format!("{sign} "), style),
                Span::styled(pad(&stack.title, column), if index == crash.stack { theme.title } else { theme.text }),
                Span::styled(format!("  {}", fit(&stack.note, room)), theme.dim),
            ]);
            let line_area = Rect { y, height: 1, ..area };
            put(buf, area.x + 1, y, &line, area.width.saturating_sub(1));
            self.hits.add(line_area, Hit::Stack(index));
        }
    }

    fn draw_frames(&mut self, buf: &mut Buffer, theme: &Theme, crash: &CrashView, area: Rect) {
        if area.height == 0 {
            return;
        }
        heading(buf, theme, area, "Frames", "j/k");
        let Some(stack) = crash.data.stacks.get(crash.stack) else { return };
        let all_hidden = stack.frames.iter().all(|located| located.frame.hidden);
        let shown: Vec<(usize, &Located)> = stack
            .frames
            .iter()
            .enumerate()
            .filter(|(_, located)| crash.hidden || all_hidden || !located.frame.hidden)
            .collect();
        let left_out = stack.frames.len() - shown.len();
        let mut listed: Vec<FrameRow<'_>> = Vec::new();
        let mut before: Option<&Located> = None;
        for (index, located) in shown {
            listed.extend(native_heading(before, located).map(FrameRow::Heading));
            listed.push(FrameRow::Frame(index, located));
            before = Some(located);
        }
        let rows = usize::from(area.height - 1).saturating_sub(usize::from(left_out > 0)).max(1);
        let is_here = |row: &FrameRow<'_>| matches!(row, FrameRow::Frame(index, _) if *index == crash.frame);
        let here = listed.iter().position(is_here).unwrap_or(0);
        let top = (here + 1).saturating_sub(rows).min(listed.len().saturating_sub(rows));
        for (row, listed) in listed.iter().skip(top).take(rows).enumerate() {
            let y = area.y + 1 + row as u16;
            let line_area = Rect { y, height: 1, ..area };
            let (index, located) = match listed {
                FrameRow::Frame(index, located) => (index, located),
                FrameRow::Heading(heading) => {
                    let wide = usize::from(area.width.saturating_sub(2));
                    let text = fit(heading, wide);
                    buf.set_stringn(area.x + 1, y, text, wide, theme.title);
                    continue;
                }
            };
            let line = frame_line(theme, located, *index == crash.frame, area.width.saturating_sub(2));
            put(buf, area.x + 1, y, &line, area.width.saturating_sub(1));
            if *index == crash.frame {
                buf.set_style(line_area, theme.selected);
            }
            self.hits.add(line_area, Hit::Frame(*index));
        }
        let y = area.y + 1 + listed.len().min(rows) as u16;
        if left_out > 0 && y < area.bottom() {
            let room = usize::from(area.width.saturating_sub(3));
            buf.set_stringn(area.x + 1, y, fit(&format!("  {left_out} hidden"), room), room, theme.dim);
            right(buf, area.x, y, area.width.saturating_sub(1), "v", theme.key);
        }
    }
}

fn stacks_height(crash: &CrashView, room: u16) -> u16 {
    (crash.data.stacks.len() as u16 + 2).min(room / 2).max(2)
}

/// The error: of the selected stack if it has one of its own, else the original.
fn message_lines(session: &Session, crash: &CrashView, wide: u16) -> Vec<Line<'static>> {
    let theme = &session.theme;
    let own = crash.data.failure(crash.stack).filter(|failure| failure.kind != Outcome::Cancelled);
    let of = crash.data.crash_of(crash.stack);
    let Some(failure) = own.or(of.failures.first()) else {
        let reason = session.model().get_loop(of.in_loop).and_then(|one| one.cancel.clone());
        let text = reason.map_or_else(|| "the loop was cancelled".to_owned(), |cancel| cancel.reason.clone());
        return vec![Line::styled(format!(" {text}"), theme.failed)];
    };
    let what = match failure.kind {
        Outcome::Improper => "did not stop properly: ",
        Outcome::NeverStarted => "never started: ",
        _ => "",
    };
    let kind = short_name(&failure.error_type);
    let room = usize::from(wide).saturating_sub(4 + width(kind) + 2);
    let sign = theme.sign(Theme::outcome(failure.kind));
    let directory = &session.model().header().directory;
    let place = |site: &TraceSite| format!("{}:{}", short_path(&site.file, directory), site.line);
    let text = format!("{what}{}", message_with_place(failure, place));
    let mut parts = wrap(&text, room.max(10)).into_iter();
    let first = parts.next().unwrap_or_default();
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {sign} "), theme.failed),
        Span::styled(pad(&first, room), theme.failed),
        Span::styled(format!("  {kind}"), theme.dim),
    ])];
    lines.extend(parts.map(|part| Line::styled(format!("   {part}"), theme.failed)));
    let ending = match session.playback.status {
        Status::Live => Ending::Living,
        Status::Died => Ending::Died,
        Status::Ended | Status::Broken(_) => Ending::Ended,
    };
    if let Some(sentence) = cancelling(session.playback.tape.latest(), of, ending) {
        lines.push(Line::styled(format!("   {sentence}"), theme.warning));
    }
    for source in &failure.sources {
        lines.push(Line::styled(
            format!("   caused by: {}", fit(source, usize::from(wide).saturating_sub(15))),
            theme.text,
        ));
    }
    lines
}

fn heading(buf: &mut Buffer, theme: &Theme, area: Rect, text: &str, hint: &str) {
    let room = usize::from(area.width).saturating_sub(width(hint) + 3);
    buf.set_stringn(area.x + 1, area.y, fit(text, room), room, theme.title);
    right(buf, area.x, area.y, area.width.saturating_sub(1), hint, theme.key);
}

fn style_of(role: Role, theme: &Theme) -> (&'static str, Style) {
    let activity = match role {
        Role::Origin | Role::Error => Theme::outcome(Outcome::Error),
        Role::Waited | Role::Cancelled | Role::NeverStarted => Theme::outcome(Outcome::Cancelled),
        Role::Improper => Theme::outcome(Outcome::Improper),
    };
    (theme.sign(activity), theme.activity(activity))
}

fn draw_source(buf: &mut Buffer, session: &mut Session, crash: &CrashView, area: Rect) {
    if area.height == 0 {
        return;
    }
    let Some(located) = crash.current() else { return };
    let (lines, warning) = source::near(session, &located.frame);
    let theme = session.theme;
    let before = if located.frame.line == 0 { "" } else { located.before_place };
    let place = format!("{before}{}", located.place());
    let name = fit(&place, usize::from(area.width).saturating_sub(2));
    buf.set_stringn(area.x + 1, area.y, &name, usize::from(area.width), theme.place);
    let mut rows = usize::from(area.height - 1);
    if let Some(warning) = warning {
        let wide = usize::from(area.width.saturating_sub(2)).max(1);
        for part in wrap(&warning, wide).into_iter().take(rows) {
            let y = area.bottom() - rows as u16;
            buf.set_stringn(area.x + 1, y, part, wide, theme.warning);
            rows -= 1;
        }
    }
    let current = lines.iter().position(|(number, _)| *number == located.frame.line).unwrap_or(0);
    // More lines above the current line than below: the code before it is read first.
    let top = current.saturating_sub(rows * 3 / 5).min(lines.len().saturating_sub(rows));
    for (row, (number, text)) in lines.iter().skip(top).take(rows).enumerate() {
        let y = area.bottom() - rows as u16 + row as u16;
        let line = source::line(&theme, *number, text, *number == located.frame.line);
        put(buf, area.x, y, &line, area.width);
    }
}

fn locals_lines(theme: &Theme, crash: &CrashView, wide: u16) -> Vec<Line<'static>> {
    let Some(located) = crash.current() else { return Vec::new() };
    let wide = usize::from(wide);
    let mut lines = Vec::new();
    let names = located.frame.locals.iter().map(|local| width(&local.name)).max().unwrap_or(0).min(wide / 3);
    // A mark is noted once where it holds for all.
    let locals = &located.frame.locals;
    let mark_of_all = locals.first().map_or("", |first| first.mark.as_str());
    let holds_for_all = !mark_of_all.is_empty()
        && locals.iter().all(|local| mark_of(local) == Some(mark_of_all))
        && (locals.len() > 1 || is_moment(mark_of_all));
    if holds_for_all {
        let heading = if is_moment(mark_of_all) { as_of(&located.frame) } else { mark_of_all };
        lines.push(Line::styled(format!("{}:", fit(heading, wide.saturating_sub(1))), theme.dim));
    }
    for local in locals {
        let mark = mark_of(local).filter(|_| !holds_for_all);
        lines.push(local_line(theme, local, mark, names, wide));
    }
    for (name, value) in &located.fields {
        lines.push(Line::from(vec![
            Span::styled(format!("{name} = "), theme.name),
            Span::styled(fit(value, wide.saturating_sub(width(name) + 15)), theme.text),
            Span::styled("  (recorded)", theme.dim),
        ]));
    }
    if !located.frame.note.is_empty() {
        lines.push(Line::styled(fit(&located.frame.note, wide), theme.dim));
    }
    if let Some(missing) = &located.missing {
        lines.extend(wrap(missing, wide.max(10)).into_iter().map(|part| Line::styled(part, theme.dim)));
    }
    if lines.is_empty() {
        let text = match located.native {
            None => "no locals are known here",
            Some(_) => "the native stack has no locals",
        };
        lines.push(Line::styled(text, theme.dim));
    }
    lines
}
