//! Keys of the post-mortem.

use super::{Action, App, CrashState, Effect, Page, PageKind, Purpose};
use crate::tui::post_mortem::{Located, PostMortem};

impl CrashState {
    /// At the deepest visible frame of the origin.
    pub(super) fn of(data: PostMortem) -> CrashState {
        let frame = data.deepest(0);
        CrashState { data, stack: 0, frame, hidden: false }
    }

    /// The selected frame.
    pub fn current(&self) -> Option<&Located> {
        self.data.stacks.get(self.stack)?.frames.get(self.frame)
    }

    fn is_shown(&self, stack: usize, frame: usize) -> bool {
        let frames = &self.data.stacks[stack].frames;
        self.hidden || !frames[frame].frame.hidden || frames.iter().all(|located| located.frame.hidden)
    }

    /// The next frame that is shown, down or up, going on in the next callstack at the end of one.
    fn step(&self, down: bool) -> Option<(usize, usize)> {
        let all = self.data.stacks.iter().enumerate();
        let mut all: Vec<(usize, usize)> =
            all.flat_map(|(index, stack)| (0..stack.frames.len()).map(move |frame| (index, frame))).collect();
        if !down {
            all.reverse();
        }
        let here = all.iter().position(|place| *place == (self.stack, self.frame))?;
        all[here + 1..].iter().copied().find(|(stack, frame)| self.is_shown(*stack, *frame))
    }
}

impl App {
    pub(super) fn update_crash(&mut self, action: Action) -> Effect {
        let Some(crash) = &mut self.crash else { return Effect::None };
        match action {
            Action::FrameDown | Action::FrameUp => match crash.step(action == Action::FrameDown) {
                Some((stack, frame)) => (crash.stack, crash.frame) = (stack, frame),
                None if action == Action::FrameDown => self.notice = Some("the last frame".to_owned()),
                None => self.notice = Some("the first frame".to_owned()),
            },
            Action::StackDown if crash.stack + 1 < crash.data.stacks.len() => self.select_stack(self.stack() + 1),
            Action::StackDown => self.notice = Some("the last callstack".to_owned()),
            Action::StackUp if crash.stack > 0 => self.select_stack(self.stack() - 1),
            Action::StackUp => self.notice = Some("the first callstack".to_owned()),
            Action::Top => self.select_stack(0),
            Action::Bottom => {
                let last = crash.data.stacks.len().saturating_sub(1);
                self.select_stack(last);
            }
            Action::Right => {
                let stack = crash.stack;
                match crash.data.unfold(self.tape.latest(), stack) {
                    true => self.select_stack(stack),
                    false => self.notice = Some("this is one callstack; l unfolds alike ones".to_owned()),
                }
            }
            Action::Left => match crash.data.fold(self.tape.latest(), crash.stack) {
                Some(stack) => self.select_stack(stack),
                None => self.notice = Some("nobody beside it is alike".to_owned()),
            },
            Action::Hidden => self.toggle_hidden(),
            Action::Stacks => self.toggle(PageKind::Stacks),
            Action::Function | Action::File => {
                self.pages.push(Page::new(PageKind::Source { whole: action == Action::File }));
                self.centre_source();
            }
            Action::Print | Action::PrintAll
                if crash.current().is_none_or(|located| located.frame.locals.is_empty()) =>
            {
                self.notice = Some("this frame has no variables to print: j and k go to one that has".to_owned());
            }
            Action::Print => self.start_typing(Purpose::Print, ""),
            Action::PrintAll => self.start_typing(Purpose::PrintAll, ""),
            Action::Coroutine => match crash.current().map(|located| located.coro).filter(|coro| *coro != 0) {
                Some(coro) => {
                    self.selected = Some(coro);
                    self.toggle(PageKind::Detail(coro));
                }
                None => self.notice = Some("this frame belongs to no coroutine".to_owned()),
            },
            Action::Edit => return self.edit(),
            _ => {}
        }
        Effect::None
    }

    pub(super) fn update_stacks(&mut self, action: Action) -> Effect {
        let Some(crash) = &mut self.crash else { return Effect::None };
        match action {
            Action::FrameDown | Action::Down | Action::FrameUp | Action::Up => {
                let down = matches!(action, Action::FrameDown | Action::Down);
                // A folded callstack is one step.
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
            Action::Hidden => self.toggle_hidden(),
            Action::GoThere | Action::Open => {
                self.pages.pop();
            }
            Action::StackDown | Action::StackUp | Action::Top | Action::Bottom | Action::Edit => {
                return self.update_crash(action);
            }
            _ => {}
        }
        Effect::None
    }

    fn stack(&self) -> usize {
        self.crash.as_ref().map_or(0, |crash| crash.stack)
    }

    /// Selects a callstack, at its deepest frame.
    pub(super) fn select_stack(&mut self, stack: usize) {
        if let Some(crash) = &mut self.crash
            && stack < crash.data.stacks.len()
        {
            crash.stack = stack;
            crash.frame = crash.data.deepest(stack);
        }
    }

    fn toggle_hidden(&mut self) {
        let Some(crash) = &mut self.crash else { return };
        crash.hidden ^= true;
        if !crash.is_shown(crash.stack, crash.frame) {
            crash.frame = crash.data.deepest(crash.stack);
        }
        let now = if crash.hidden { "hidden frames are shown" } else { "hidden frames are passed over" };
        self.notice = Some(now.to_owned());
    }

    /// The editor at the selected frame.
    pub(super) fn edit(&mut self) -> Effect {
        let header = self.tape.latest().header().clone();
        let Some(located) = self.crash.as_ref().and_then(CrashState::current) else { return Effect::None };
        let source = self.sources.file(&located.frame.file, &header);
        match &source.path {
            Some(path) => Effect::Edit { file: path.clone(), line: located.frame.line },
            None => {
                self.notice = source.warning.clone();
                Effect::None
            }
        }
    }

    /// Scrolls a source page so that the current line is in the middle.
    fn centre_source(&mut self) {
        let rows = usize::from(self.rows);
        let line = crate::tui::panes::source::current_row(self).unwrap_or(0);
        if let Some(page) = self.pages.last_mut() {
            page.scroll = line.saturating_sub(rows / 2);
        }
    }
}
