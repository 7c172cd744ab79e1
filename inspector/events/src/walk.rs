//! Visits the stacks, frames and texts in an event.

use crate::event::{Failure, Frame, Kind, Local, Stack};

/// All stacks in an event.
pub(crate) fn stacks(kind: &mut Kind, change: &mut dyn FnMut(&mut Stack)) {
    match kind {
        Kind::Frames { stack, .. } => change(stack),
        kind => failures(kind).iter_mut().filter_map(|failure| failure.stack.as_mut()).for_each(change),
    }
}

/// All failures in an event.
pub(crate) fn failures(kind: &mut Kind) -> &mut [Failure] {
    match kind {
        Kind::Crash { failures, .. } => failures,
        Kind::CancelBegin { failure: Some(failure), .. } => std::slice::from_mut(failure),
        _ => &mut [],
    }
}

/// All frames of a stack.
pub(crate) fn frames(stack: &mut Stack, change: &mut dyn FnMut(&mut Frame)) {
    fn walk(frames: &mut [Frame], change: &mut dyn FnMut(&mut Frame)) {
        for frame in frames {
            change(frame);
            frame.branches.iter_mut().for_each(|branch| walk(&mut branch.frames, change));
        }
    }
    walk(&mut stack.frames, change);
}

/// All texts outside of values, and the first line of each value.
pub(crate) fn each_text(kind: &mut Kind, one: &mut dyn FnMut(&mut String)) {
    match kind {
        Kind::Log { level, target, message, fields, .. } => {
            [level, target, message].into_iter().for_each(&mut *one);
            fields.iter_mut().for_each(|(name, value)| [name, value].into_iter().for_each(&mut *one));
        }
        Kind::CancelBegin { reason: text, .. }
        | Kind::Output { text, .. }
        | Kind::Diag { text, .. }
        | Kind::Lost { why: text, .. } => one(text),
        Kind::Finding { reason, text, proof, .. } => {
            [reason, text].into_iter().chain(proof).for_each(&mut *one);
        }
        _ => {}
    }
    for failure in failures(kind) {
        let Failure { name, given_name, message, error_type, sources, trace, fields, .. } = failure;
        [name, given_name, message, error_type].into_iter().chain(sources).for_each(&mut *one);
        fields.iter_mut().for_each(|(name, value)| [name, value].into_iter().for_each(&mut *one));
        let sites = trace.iter_mut().chain(&mut failure.backtrace).chain(&mut failure.error_backtrace);
        sites.for_each(|site| [&mut site.name, &mut site.file].into_iter().for_each(&mut *one));
    }
    stacks(kind, &mut |stack| {
        if let Some(missing) = &mut stack.missing {
            one(missing);
        }
        frames(stack, &mut |frame| {
            [&mut frame.function, &mut frame.file, &mut frame.note].into_iter().for_each(&mut *one);
            frame.source.iter_mut().for_each(|(_, line)| one(line));
            for Local { name, value, mark } in &mut frame.locals {
                [name, mark, &mut value.text, &mut value.type_name].into_iter().for_each(&mut *one);
            }
        });
    });
}
