//! The trace of a failure with the await stacks of those on it.

use std::collections::BTreeSet;

use tinyio_events::event::{CoroId, Failure, Frame, Header, Outcome, Stack, TraceSite};
use tinyio_events::place::{AT_ERROR, AT_LAST_AWAIT, BEGAN, same_file};

use super::ReadSource;
use crate::model::{Model, short_name};

/// The text for a place in an unknown function.
const UNTOLD: &str = "in a function called there";
/// At most this many frames of one coroutine are shown.
const FRAMES: usize = 40;

/// One coroutine of a trace.
#[derive(Debug)]
pub struct Step<'a> {
    /// Its number, 0 if it is none.
    pub coro: CoroId,
    /// How it is called.
    pub label: String,
    /// Its frames, root first.
    pub frames: Vec<Shown<'a>>,
    /// Which of them stands at the coroutine's place in the trace.
    pub at: usize,
    /// Number of frames that were left out.
    pub more: usize,
    /// Its values are those of its last suspension.
    pub mid_step: bool,
    /// The error was made later than at that place.
    pub last_await: bool,
    /// The text before a place that stands beside the name of the coroutine, and may be in a function that it awaits
    /// inline: its frames are not known.
    alone: &'static str,
}

impl Step<'_> {
    /// Returns the text before the place of a frame, so that it is not mistaken for the place of the error. Ends with a
    /// space if it is not empty.
    pub fn before_place(&self, index: usize) -> &'static str {
        match self.frames.get(index) {
            Some(shown) if self.last_await && index == self.at => before_place(shown.frame),
            Some(shown) if shown.frame.is_none() && shown.function != UNTOLD && shown.line > 0 => self.alone,
            _ => "",
        }
    }
}

/// Returns the text before the place of a frame that is not the place of the error.
pub fn before_place(frame: Option<&Frame>) -> &'static str {
    match frame {
        Some(frame) if frame.note == BEGAN => "began at ",
        Some(frame) if frame.line > 0 => "last suspended at ",
        _ => "last known at ",
    }
}

/// The moment of the values of a frame, for a coroutine in the middle of a step.
pub fn as_of(frame: &Frame) -> &'static str {
    let is_past = frame.locals.iter().any(|local| local.mark.ends_with(AT_LAST_AWAIT));
    match frame.note.as_str() {
        BEGAN => BEGAN,
        _ if is_past => "as of its last await",
        _ => "as of its last await or later",
    }
}

/// Whether all values of a frame are of the last suspension: then that is written once, and not for each.
pub fn is_as_of_suspension(frame: &Frame, mid_step: bool) -> bool {
    mid_step && !frame.locals.iter().any(|local| local.mark.starts_with(AT_ERROR))
}

/// One frame of it.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The frame, if it is known.
    pub frame: Option<&'a Frame>,
    /// The function.
    pub function: &'a str,
    /// Where it stands.
    pub file: &'a str,
    /// The line; 0 where unknown.
    pub line: u32,
    /// The column; 0 where unknown.
    pub column: u32,
    /// The variable of the future, where several are awaited side by side.
    pub branch: Option<&'a str>,
}

/// The coroutines of a failure's trace, root first.
pub fn steps<'a>(model: &'a Model, failure: &'a Failure) -> Vec<Step<'a>> {
    let last = failure.trace.len().saturating_sub(1);
    let mut steps: Vec<Step<'a>> = Vec::new();
    for (index, site) in failure.trace.iter().enumerate() {
        let own = index == last && (site.coro == failure.coro || site.coro == 0);
        let stack = if own { stack_of(model, failure) } else { recorded(model, site.coro) };
        let alone = if own { before_end(failure) } else { "awaits at " };
        steps.push(Step { alone, ..step(model, site.coro, &site.name, Some(site), stack) });
    }
    if steps.is_empty() {
        steps.push(step(model, failure.coro, &failure.name, None, stack_of(model, failure)));
    }
    relative(&mut steps, failure);
    steps
}

/// The text before the last place of a failure's trace, where no frame is known.
pub fn before_end(failure: &Failure) -> &'static str {
    match failure.kind {
        // The places of a deadlock are of the coroutines that wait.
        Outcome::Error if failure.coro == 0 => "awaits at ",
        Outcome::Error if !failure.is_last_await() => "error made at ",
        Outcome::Panic if !failure.is_last_await() => "panicked at ",
        Outcome::NeverStarted => "made at ",
        _ => "last known at ",
    }
}

/// Makes places relative where possible: debug info has absolute paths where the compiler's are relative, and a place
/// that is known in both forms gives the folder.
pub fn relative(steps: &mut [Step<'_>], failure: &Failure) {
    // Each name once: a trace may have as many places as there are coroutines, which are in a few files.
    let sites = failure.trace.iter().map(|site| site.file.as_str()).filter(|file| !file.starts_with('/'));
    let sites: BTreeSet<&str> = sites.collect();
    let frames = steps.iter().flat_map(|step| &step.frames).filter_map(|shown| Some(shown.frame?.file.as_str()));
    let frames: BTreeSet<&str> = frames.collect();
    let mut bases = frames.iter().filter_map(|file| sites.iter().find_map(|site| file.strip_suffix(site)));
    let base = bases.find(|base| base.ends_with('/'));
    if let Some(base) = base {
        for shown in steps.iter_mut().flat_map(|step| &mut step.frames) {
            shown.file = shown.file.strip_prefix(base).unwrap_or(shown.file);
        }
    }
}

/// A coroutine with its await stack, by itself.
pub fn step_of<'a>(model: &'a Model, coro: CoroId, stack: &'a Stack) -> Step<'a> {
    step(model, coro, model.full_name(coro), None, Some(stack))
}

/// The await stack of a failure: as recorded with it, else the latest recorded one of the coroutine.
pub fn stack_of<'a>(model: &'a Model, failure: &'a Failure) -> Option<&'a Stack> {
    failure.stack.as_ref().or_else(|| recorded(model, failure.coro))
}

/// The latest that was recorded of a coroutine, by itself or as a member of the crash.
fn recorded(model: &Model, coro: CoroId) -> Option<&Stack> {
    let by_itself = model.coro(coro).and_then(|coro| coro.stack.as_ref()).map(|(_, stack)| &**stack);
    let member = || model.crash()?.member(coro)?.stack.as_ref();
    by_itself.or_else(member)
}

/// The recorded fields of a coroutine: as a member of the crash, else by itself.
pub fn fields_of(model: &Model, coro: CoroId) -> &[(String, String)] {
    let member = model.crash().and_then(|crash| crash.member(coro));
    let by_itself = || model.coro(coro).map_or(&[][..], |coro| &coro.fields);
    member.map(|failure| &failure.fields[..]).filter(|fields| !fields.is_empty()).unwrap_or_else(by_itself)
}

/// The name that the program gave the coroutine of a failure.
pub fn given_name<'a>(model: &'a Model, failure: &'a Failure) -> Option<&'a str> {
    let recorded = Some(failure.given_name.as_str()).filter(|name| !name.is_empty());
    recorded.or_else(|| model.given_name_of(failure.coro))
}

/// A coroutine's name for a reader; what the failures of the crash have where the model has forgotten it.
pub fn label(model: &Model, coro: CoroId, name: &str) -> String {
    match coro {
        0 => short_name(name).to_owned(),
        _ if model.full_name(coro) != "?" => model.label(coro),
        _ => match recorded_name(model, coro) {
            Some(name) => name,
            None if coro == 1 => short_name(name).to_owned(),
            None => format!("{} #{coro}", short_name(name)),
        },
    }
}

/// The name that the program gave a member of a crash, with its number if another member has the same.
fn recorded_name(model: &Model, coro: CoroId) -> Option<String> {
    let crash = model.crashes().iter().rev().find(|crash| crash.member(coro).is_some())?;
    let name = crash.member(coro).map(|failure| failure.given_name.as_str()).filter(|name| !name.is_empty())?;
    let of_that_name = crash.failures.iter().filter(|failure| failure.given_name == name).count();
    Some(if of_that_name > 1 { format!("{name} #{coro}") } else { name.to_owned() })
}

pub fn step<'a>(
    model: &Model,
    coro: CoroId,
    name: &'a str,
    site: Option<&'a TraceSite>,
    stack: Option<&'a Stack>,
) -> Step<'a> {
    let mut frames = Vec::new();
    let mut more = 0;
    if let Some(stack) = stack {
        flatten(&stack.frames, None, &mut frames, &mut more);
    }
    let mid_step = stack.is_some_and(|stack| stack.mid_step);
    let at = match site {
        Some(site) if frames.is_empty() => {
            frames.push(Shown {
                frame: None,
                function: &site.name,
                file: &site.file,
                line: site.line,
                column: site.column,
                branch: None,
            });
            None
        }
        // Where the coroutine was suspended before is what its frames say.
        Some(site) if site.last_await => frames.iter().rposition(|shown| is_at(shown, site)).inspect(|at| {
            frames[*at].column = site.column;
        }),
        Some(site) if site.line > 0 => Some(stand_at(&mut frames, site)),
        _ => None,
    };
    let at = at.unwrap_or(frames.len().saturating_sub(1));
    let last_await = site.is_some_and(|site| site.last_await);
    Step { coro, label: label(model, coro, name), frames, at, more, mid_step, last_await, alone: "" }
}

/// The trace knows the place exactly, with its column. The frame it belongs to gets it; if that is unknown, because
/// the frames stand where they were last suspended and none of them is there, the place gets a row of its own.
fn stand_at<'a>(frames: &mut Vec<Shown<'a>>, site: &'a TraceSite) -> usize {
    let at = frames.iter().rposition(|shown| is_at(shown, site)).or((frames.len() == 1).then_some(0));
    if let Some(at) = at {
        let shown = &mut frames[at];
        (shown.file, shown.line, shown.column) = (&site.file, site.line, site.column);
        return at;
    }
    frames.push(Shown {
        frame: None,
        function: UNTOLD,
        file: &site.file,
        line: site.line,
        column: site.column,
        branch: None,
    });
    frames.len() - 1
}

fn is_at(shown: &Shown<'_>, site: &TraceSite) -> bool {
    shown.line == site.line && same_file(shown.file, &site.file)
}

fn flatten<'a>(frames: &'a [Frame], branch: Option<&'a str>, out: &mut Vec<Shown<'a>>, more: &mut usize) {
    // Iterative, because a damaged file may be nested to any depth.
    let mut todo: Vec<(std::slice::Iter<'a, Frame>, Option<&'a str>)> = vec![(frames.iter(), branch)];
    while let Some((rest, branch)) = todo.last_mut() {
        let Some(frame) = rest.next() else {
            todo.pop();
            continue;
        };
        let branch = branch.take();
        if !frame.hidden {
            if out.len() == FRAMES {
                *more += 1;
            } else {
                out.push(Shown {
                    frame: Some(frame),
                    function: &frame.function,
                    file: &frame.file,
                    line: frame.line,
                    column: frame.column,
                    branch,
                });
            }
        }
        todo.extend(frame.branches.iter().rev().map(|branch| (branch.frames.iter(), Some(branch.name.as_str()))));
    }
}

/// Source lines around a frame's place: those that came with it, else those of the file that `read` gives.
pub fn excerpt(shown: &Shown<'_>, header: &Header, before: u32, after: u32, read: ReadSource) -> Vec<(u32, String)> {
    if shown.line == 0 {
        return Vec::new();
    }
    let wanted = shown.line.saturating_sub(before)..=shown.line.saturating_add(after);
    let carried = shown.frame.map_or(&[][..], |frame| &frame.source);
    let mut lines: Vec<(u32, String)> = if carried.iter().any(|(line, _)| *line == shown.line) {
        carried.iter().filter(|(line, _)| wanted.contains(line)).cloned().collect()
    } else {
        let whole = shown.frame.map(|frame| frame.file.as_str()).filter(|whole| same_file(whole, shown.file));
        let text = read(shown.file, header).or_else(|| read(whole?, header));
        let Some(text) = text else { return Vec::new() };
        (1..)
            .zip(text.lines())
            .filter(|(line, _)| wanted.contains(line))
            .map(|(line, text)| (line, text.into()))
            .collect()
    };
    if !lines.iter().any(|(line, _)| *line == shown.line) {
        return Vec::new();
    }
    let blank = |(_, text): &(u32, String)| text.trim().is_empty();
    while lines.last().is_some_and(blank) {
        lines.pop();
    }
    let first = lines.iter().position(|line| !blank(line)).unwrap_or(0);
    lines.drain(..first);
    lines
}
