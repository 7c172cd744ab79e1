//! The frames of a failure, root first: of await stacks, then of native ones.

use std::collections::HashSet;

use crate::event::{CoroId, Failure, Frame, Stack, TraceSite};
use crate::model::Model;
use crate::report::{NativeKind, before_place, fields_of, is_frame_at, native_stacks};

/// One frame, with its coroutine.
#[derive(Clone, Debug)]
pub struct Located {
    /// The coroutine, 0 if none.
    pub coro: CoroId,
    /// The frame.
    pub frame: Frame,
    /// What native stack it is of; `None` if it is of an await stack.
    pub native: Option<NativeKind>,
    /// What to say before its place, if the error was made later than there; else empty.
    pub before_place: &'static str,
    /// One sentence about what is missing, at the last frame of a coroutine; once in a stack.
    pub missing: Option<String>,
    /// The recorded fields of the coroutine, at its last frame.
    pub fields: Vec<(String, String)>,
}

impl Located {
    /// Its file and line; the file alone if the line is not known.
    pub fn place(&self) -> String {
        match self.frame.line {
            0 => self.frame.file.clone(),
            line => format!("{}:{line}", self.frame.file),
        }
    }
}

/// The frames of a failure: for each coroutine of its trace the await stack it had, or if that is not known, its place.
pub fn frames(model: &Model, failure: &Failure) -> Vec<Located> {
    let mut frames = Vec::new();
    let last = failure.trace.len().saturating_sub(1);
    for (index, site) in failure.trace.iter().enumerate() {
        let own = index == last && (failure.coro == site.coro || site.coro == 0);
        let recorded = || model.coro(site.coro).and_then(|coro| coro.stack.as_ref()).map(|(_, stack)| &**stack);
        let stack: Option<&Stack> = failure.stack.as_ref().filter(|_| own).or_else(recorded);
        let first = frames.len();
        match stack {
            Some(stack) if !stack.frames.is_empty() => push_stack(&mut frames, site.coro, stack),
            stack => {
                let missing = stack.and_then(|stack| stack.missing.clone());
                frames.push(Located { missing, ..Located::of(site.coro, frame_at(site)) });
            }
        }
        if site.last_await
            && let Some(at) = frames[first..].iter_mut().rfind(|located| !located.frame.hidden)
        {
            at.before_place = before_place(stack.filter(|stack| !stack.frames.is_empty()).map(|_| &at.frame));
        }
        if let Some(deepest) = frames.last_mut() {
            let fields = if own { &failure.fields[..] } else { fields_of(model, site.coro) };
            deepest.fields = fields.to_vec();
        }
    }
    if failure.trace.is_empty()
        && let Some(stack) = &failure.stack
    {
        push_stack(&mut frames, failure.coro, stack);
    }
    once(&mut frames);
    let is_listed = |site: &TraceSite| frames.iter().any(|located| located.is_at(site));
    let native_stacks = native_stacks(failure, is_listed);
    for stack in &native_stacks {
        let located =
            |site: &&TraceSite| Located { native: Some(stack.of), ..Located::of(failure.coro, frame_at(site)) };
        frames.extend(stack.sites.iter().rev().map(located));
    }
    frames
}

/// Keeps each sentence about what is missing at the last frame only that has it.
fn once(frames: &mut [Located]) {
    let mut known: HashSet<String> = HashSet::new();
    for located in frames.iter_mut().rev() {
        located.missing = located.missing.take().filter(|missing| known.insert(missing.clone()));
    }
}

fn frame_at(site: &TraceSite) -> Frame {
    let TraceSite { name, file, line, column, .. } = site.clone();
    Frame { function: name, file, line, column, ..Frame::default() }
}

impl Located {
    fn of(coro: CoroId, frame: Frame) -> Located {
        Located { coro, frame, native: None, before_place: "", missing: None, fields: Vec::new() }
    }

    /// Whether it is the frame of a native stack.
    pub fn is_at(&self, site: &TraceSite) -> bool {
        // The name of a branch stands before its functions.
        let function = self.frame.function.rsplit(": ").next().unwrap_or_default();
        is_frame_at(function, &self.frame.file, self.frame.line, site)
    }
}

fn push_stack(frames: &mut Vec<Located>, coro: CoroId, stack: &Stack) {
    for frame in &stack.frames {
        frames.push(Located::of(coro, frame.clone()));
        for branch in &frame.branches {
            for inner in &branch.frames {
                let mut inner = inner.clone();
                inner.function = format!("{}: {}", branch.name, inner.function);
                frames.push(Located::of(coro, inner));
            }
        }
    }
    if let Some(last) = frames.last_mut() {
        last.missing = stack.missing.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_noted_once_in_a_stack() {
        let mut frames = vec![Located::of(1, Frame::default()), Located::of(2, Frame::default())];
        frames.iter_mut().for_each(|located| located.missing = Some("built without debug info".into()));
        once(&mut frames);
        let missing: Vec<_> = frames.iter().map(|located| located.missing.as_deref()).collect();
        assert_eq!(missing, [None, Some("built without debug info")]);
    }
}
