//! The page of the stack tree: every frame of every stack.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::crash_stacks::{copied, frame_line, native_heading, walk};
use crate::model::Activity;
use crate::tui::clipboard::{Copied, Part};
use crate::tui::crash_view::{Located, Role};
use crate::tui::keys::{Action, Binding, Context, bind};
use crate::tui::pane::{Pane, Reply};
use crate::tui::session::Session;
use crate::tui::text::{counted, one_line};
use crate::tui::widgets::{Hits, inset, put};

pub const CONTEXT: Context = Context("Stack tree");
pub const KEYS: &[Binding] = &[
    bind(&["j", "down"], Action::FrameDown, "stacks-frame-down", "frame", "one frame down"),
    bind(&["k", "up"], Action::FrameUp, "stacks-frame-up", "", "one frame up"),
    bind(&["J"], Action::StackDown, "stacks-stack-down", "stack", "one stack down"),
    bind(&["K"], Action::StackUp, "stacks-stack-up", "", "one stack up"),
    bind(&["o"], Action::CollapseOne, "collapse", "fold", "fold or unfold this stack"),
    bind(&["O"], Action::CollapseAll, "collapse-all", "fold all", "fold or unfold all stacks"),
    bind(&["v"], Action::Hidden, "stacks-hidden", "hidden", "show or pass over hidden frames"),
    bind(&["c", "enter"], Action::GoThere, "go-there", "go there", "go to this frame"),
    bind(&["esc", "q"], Action::Back, "stacks-back", "back", "back to the crash"),
];

/// All stacks of the crash.
#[derive(Debug, Default)]
pub struct StackTree {
    /// A stack, and a frame of it.
    hits: Hits<(usize, usize)>,
}

impl Pane for StackTree {
    fn title(&self) -> &'static str {
        CONTEXT.title()
    }

    fn copy(&self, session: &mut Session, part: Part) -> Option<Copied> {
        copied(session, part)
    }

    fn act(&mut self, session: &mut Session, action: Action) -> Reply {
        let Some(crash) = &mut session.crash else { return Reply::Done };
        match action {
            Action::FrameDown | Action::Down | Action::FrameUp | Action::Up => {
                let down = matches!(action, Action::FrameDown | Action::Down);
                // A folded stack is one step.
                let (here, mut next) = (crash.stack, crash.step(down));
                if crash.data.stacks[here].collapsed {
                    next = if down { here.checked_add(1) } else { here.checked_sub(1) }
                        .filter(|stack| *stack < crash.data.stacks.len())
                        .map(|stack| (stack, crash.data.deepest(stack)));
                }
                if let Some((stack, frame)) = next {
                    (crash.stack, crash.frame) = (stack, frame);
                    if crash.data.stacks[stack].collapsed {
                        crash.frame = crash.data.deepest(stack);
                    } else if !crash.is_shown(stack, frame)
                        && let Some((stack, frame)) = crash.step(down)
                    {
                        (crash.stack, crash.frame) = (stack, frame);
                    }
                }
            }
            Action::CollapseOne => {
                let stack = &mut crash.data.stacks[crash.stack];
                stack.collapsed ^= true;
            }
            Action::CollapseAll => {
                let fold = crash.data.stacks.iter().any(|stack| !stack.collapsed);
                crash.data.stacks.iter_mut().for_each(|stack| stack.collapsed = fold);
            }
            Action::GoThere | Action::Open => return Reply::Close,
            action => return walk(session, action),
        }
        Reply::Done
    }

    /// Selects a frame, or the deepest one of another stack.
    fn click(&mut self, session: &mut Session, at: Position) {
        let Some(crash) = &mut session.crash else { return };
        match self.hits.at(at) {
            Some((stack, frame)) if stack == crash.stack => crash.frame = frame,
            Some((stack, _)) => crash.select_stack(stack),
            None => {}
        }
    }

    /// The tree, with the selected frame in the middle.
    fn draw(&mut self, session: &mut Session, buf: &mut Buffer, area: Rect) {
        let area = inset(area);
        self.hits.clear();
        let Some(crash) = &session.crash else { return };
        let theme = &session.theme;
        let mut rows: Vec<(Line, Option<(usize, usize)>)> = Vec::new();
        let mut here = 0;
        for (index, stack) in crash.data.stacks.iter().enumerate() {
            let fold = if stack.collapsed { theme.glyphs.closed } else { theme.glyphs.open };
            let selected = index == crash.stack;
            if selected {
                here = rows.len();
            }
            let frames = counted(stack.frames.len() as u64, "frame");
            let error = match (stack.role, crash.data.failure(index)) {
                (Role::Origin | Role::Error | Role::Improper, Some(failure)) => {
                    format!("  {} {}", theme.sign(Activity::Failed), failure.message)
                }
                _ => String::new(),
            };
            rows.push((
                Line::from(vec![
                    Span::styled(format!("{fold} "), theme.key),
                    Span::styled(stack.title.clone(), if selected { theme.title } else { theme.text }),
                    Span::styled(format!("  {}  {frames}", stack.note), theme.dim),
                    Span::styled(one_line(&error), theme.failed),
                ]),
                stack.collapsed.then_some((index, crash.data.deepest(index))),
            ));
            if stack.collapsed {
                continue;
            }
            let all_hidden = stack.frames.iter().all(|located| located.frame.hidden);
            let mut hidden = 0;
            let mut owner = 0;
            let mut before: Option<&Located> = None;
            for (number, located) in stack.frames.iter().enumerate() {
                if located.frame.hidden && !crash.hidden && !all_hidden {
                    hidden += 1;
                    continue;
                }
                if let Some(heading) = native_heading(before, located) {
                    rows.push((Line::styled(format!("   {heading}"), theme.dim), None));
                }
                before = Some(located);
                let this = selected && number == crash.frame;
                if this {
                    here = rows.len();
                }
                let mut line = frame_line(theme, located, this, area.width.saturating_sub(24).min(90));
                line.spans.insert(0, Span::raw("   "));
                if located.coro != owner {
                    owner = located.coro;
                    line.push_span(Span::styled(format!("  {}", session.model().label(owner)), theme.dim));
                }
                rows.push((line, Some((index, number))));
            }
            if hidden > 0 {
                rows.push((Line::styled(format!("     {hidden} hidden"), theme.dim), None));
            }
        }
        let height = usize::from(area.height);
        let top = here.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
        let (stack, frame) = (crash.stack, crash.frame);
        let collapsed = crash.data.stacks.get(stack).is_some_and(|stack| stack.collapsed);
        for (row, (line, place)) in rows.into_iter().skip(top).take(height).enumerate() {
            let y = area.y + row as u16;
            put(buf, area.x, y, &line, area.width);
            let line_area = Rect { y, height: 1, ..area };
            if let Some((index, number)) = place {
                if index == stack && (number == frame || collapsed) {
                    buf.set_style(line_area, theme.selected);
                }
                self.hits.add(line_area, (index, number));
            }
        }
    }
}
