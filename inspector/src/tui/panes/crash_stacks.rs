//! What the screen of a crash and its page of all stacks have in common: moving through them, and a frame in a
//! line.

use ratatui::text::{Line, Span};

use super::source;
use crate::format::brief;
use crate::model::{file_name, short_name};
use crate::tui::clipboard::{Copied, Part};
use crate::tui::crash_view::Located;
use crate::tui::keys::Action;
use crate::tui::pane::Reply;
use crate::tui::session::Session;
use crate::tui::text::{counted, pad, pad_left, width};
use crate::tui::theme::Theme;
use crate::tui::widgets::mark_of;

/// Moves through the stacks and frames: on the screen and in the stack tree alike.
pub fn walk(session: &mut Session, action: Action) -> Reply {
    let Some(crash) = &mut session.crash else { return Reply::Done };
    let last = crash.data.stacks.len().saturating_sub(1);
    match action {
        Action::FrameDown | Action::FrameUp => match crash.step(action == Action::FrameDown) {
            Some((stack, frame)) => (crash.stack, crash.frame) = (stack, frame),
            None if action == Action::FrameDown => session.note("the last frame"),
            None => session.note("the first frame"),
        },
        Action::StackDown if crash.stack < last => crash.select_stack(crash.stack + 1),
        Action::StackDown => session.note("the last stack"),
        Action::StackUp if crash.stack > 0 => crash.select_stack(crash.stack - 1),
        Action::StackUp => session.note("the first stack"),
        Action::Top => crash.select_stack(0),
        Action::Bottom => crash.select_stack(last),
        Action::Hidden => {
            crash.toggle_hidden();
            let now = if crash.hidden { "hidden frames are shown" } else { "hidden frames are passed over" };
            session.note(now);
        }
        Action::Edit => return source::edit(session),
        _ => {}
    }
    Reply::Done
}

/// The selected stack with its error and its values, or the place of the selected frame, to be copied.
pub fn copied(session: &Session, part: Part) -> Option<Copied> {
    let crash = session.crash.as_ref()?;
    if part == Part::Name {
        return Some(Copied::new("place", &crash.current()?.place()));
    }
    let stack = crash.data.stacks.get(crash.stack)?;
    let all_hidden = stack.frames.iter().all(|located| located.frame.hidden);
    let mut lines = vec![format!("{}  {}", stack.title, stack.note).trim_end().to_owned()];
    lines.extend(crash.data.failure(crash.stack).map(|failure| format!("  {}", failure.message)));
    let mut before = None;
    for located in stack.frames.iter().filter(|located| crash.hidden || all_hidden || !located.frame.hidden) {
        lines.extend(native_heading(before, located).map(|heading| format!("  {heading}")));
        before = Some(located);
        lines.push(format!("  {}  {}{}", located.frame.function, located.before_place, located.place()));
        for local in &located.frame.locals {
            let mark = mark_of(local).map(|mark| format!("  ({mark})")).unwrap_or_default();
            lines.push(format!("    {} = {}{mark}", local.name, local.value.text));
        }
        lines.extend(located.fields.iter().map(|(name, value)| format!("    {name} = {value}  (recorded)")));
        lines.extend(located.missing.iter().map(|missing| format!("    {missing}")));
    }
    Some(Copied::new(format!("stack of {}", stack.title), &lines.join("\n")))
}

/// The heading before the first frame of a native stack: what stands above it is not called from there.
pub fn native_heading(before: Option<&Located>, located: &Located) -> Option<&'static str> {
    let kind = located.native?;
    (before.and_then(|before| before.native) != Some(kind)).then(|| kind.heading())
}

/// A frame in a line: function, place, how many locals.
pub fn frame_line(theme: &Theme, located: &Located, here: bool, wide: u16) -> Line<'static> {
    let frame = &located.frame;
    let wide = usize::from(wide);
    let place = if frame.line == 0 { String::new() } else { format!("{}:{}", file_name(&frame.file), frame.line) };
    let locals = match frame.locals.len() {
        _ if !located.before_place.is_empty() => "last await".to_owned(),
        0 => frame.note.clone(),
        some => counted(some as u64, "local"),
    };
    // In a narrow pane the name of the function counts for more.
    let tail = if wide < 44 && located.before_place.is_empty() { 0 } else { 10 };
    let place_width = width(&place).max(14).min(wide / 2);
    let name_width = wide.saturating_sub(2 + place_width + 1 + tail);
    Line::from(vec![
        Span::styled(if here { format!("{} ", theme.glyphs.here) } else { "  ".to_owned() }, theme.key),
        Span::styled(
            pad(&brief(short_name(&frame.function)), name_width),
            if frame.hidden || located.native.is_some() { theme.dim } else { theme.text },
        ),
        Span::styled(format!(" {}", pad(&place, place_width)), theme.place),
        Span::styled(pad_left(&locals, tail), theme.dim),
    ])
}
