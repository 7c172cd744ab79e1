//! Events with text in them, as JSON of bounded length and depth.

use crate::event::{Frame, Kind, Local, Value};
use crate::secrets;
use crate::stack_json;
use crate::string_table::cut;
use crate::walk::{each_text, failures, frames, stacks};

/// Bytes of one text.
const TEXT: usize = 64 << 10;
/// Levels of a value, and of futures awaited side by side. Readers bound the depth of JSON at 128; a level of values
/// takes three, one of branches four.
const VALUES: usize = 20;
const BRANCHES: usize = 8;

/// The JSON of `kind` in at most `limit` bytes, and a sentence about what had to be left out.
///
/// Leaves out the least important parts first, and stops as soon as the rest fits.
pub fn fit(kind: &Kind, limit: usize) -> (Vec<u8>, Option<String>) {
    let mut kind = kind.clone();
    // First, because a secret in a text may not be recognised once the text is cut.
    secrets::mask(&mut kind);
    texts(&mut kind, TEXT.min(limit / 2));
    depth(&mut kind);
    if let Some(json) = encode(&kind, limit) {
        return (json, None);
    }
    let left_out = |kind: &Kind, what: &str| {
        let json = encode(kind, limit)?;
        let text = format!(
            "an event of more than {} KiB was too long for the ring: {what}; set TINYIO_RING to more",
            limit >> 10
        );
        Some((json, Some(text)))
    };

    stacks(&mut kind, &mut |stack| frames(stack, &mut |frame| frame.source.clear()));
    if let Some(done) = left_out(&kind, "source lines were left out") {
        return done;
    }
    let others = failures(&mut kind).len().saturating_sub(1);
    // Their frames are events of their own.
    for failure in failures(&mut kind).iter_mut().skip(1) {
        failure.stack = None;
        failure.backtrace.clear();
    }
    if let Some(done) = left_out(&kind, "frames of all but the first failure were left out") {
        return done;
    }
    for (levels, count, text) in [(4, 64, 1024), (2, 32, 256), (1, 16, 80), (0, 0, 80)] {
        stacks(&mut kind, &mut |stack| {
            frames(stack, &mut |frame| {
                frame.locals.truncate(count);
                frame.locals.iter_mut().for_each(|local| value(&mut local.value, levels, count, text));
            });
        });
        if let Some(done) = left_out(&kind, "values of local variables were cut") {
            return done;
        }
    }
    for keep in [64, 16, 4, 1] {
        stacks(&mut kind, &mut |stack| shorten(&mut stack.frames, keep));
        texts(&mut kind, (limit / 8).min(keep * 64));
        for failure in failures(&mut kind) {
            failure.sources.truncate(keep);
            failure.fields.truncate(keep);
            failure.backtrace.truncate(keep);
            let trace = &mut failure.trace;
            if trace.len() > 2 * keep {
                trace.drain(keep..trace.len() - keep);
            }
        }
        if let Kind::Log { fields, .. } = &mut kind {
            fields.truncate(keep);
        }
        if let Some(done) = left_out(&kind, "stacks were cut") {
            return done;
        }
    }
    let mut keep = others + 1;
    while keep > 1 {
        keep /= 2;
        if let Kind::Crash { failures, .. } = &mut kind {
            failures.truncate(keep);
        }
        if let Some(json) = encode(&kind, limit) {
            let gone = others + 1 - keep;
            let text = format!(
                "{gone} failures of a crash were left out: they are too long for the ring; set TINYIO_RING to more"
            );
            return (json, Some(text));
        }
    }
    if let Kind::CancelBegin { failure, .. } = &mut kind
        && failure.take().is_some()
        && let Some(done) = left_out(&kind, "the failure that a cancellation began with was left out")
    {
        return done;
    }
    let text = format!(
        "an event of more than {} KiB was left out: it is too long for the ring; set TINYIO_RING to more",
        limit >> 10
    );
    let name = encode(&Kind::Diag { coro: 0, text }, usize::MAX).unwrap_or_default();
    (name, None)
}

/// The JSON of an event, if it has no more than `limit` bytes. What is longer costs no more than that: a crash may have
/// a hundred thousand failures.
fn encode(kind: &Kind, limit: usize) -> Option<Vec<u8>> {
    struct Bounded {
        json: Vec<u8>,
        left: usize,
    }
    impl std::io::Write for Bounded {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.left = self.left.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            self.json.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    if let Some(json) = stack_json::write(kind, limit) {
        return (json.len() <= limit).then_some(json);
    }
    let mut out = Bounded { json: Vec::with_capacity(128), left: limit };
    // Nothing else can fail: no maps, no foreign implementations.
    serde_json::to_writer(&mut out, kind).ok()?;
    Some(out.json)
}

fn shorten_text(text: &mut String, limit: usize) {
    if text.len() > limit {
        *text = cut(text, limit).into_owned();
    }
}

fn shorten(frames: &mut Vec<Frame>, keep: usize) {
    if frames.len() > 2 * keep {
        let gone = frames.len() - 2 * keep;
        frames.drain(keep..keep + gone);
        if let Some(frame) = frames.get_mut(keep) {
            frame.note = format!("{gone} frames before this one were left out");
        }
    }
    for frame in frames {
        if frame.branches.len() > 2 * keep {
            frame.note = format!("{} more are awaited here side by side", frame.branches.len() - 2 * keep);
            frame.branches.truncate(2 * keep);
        }
        frame.branches.iter_mut().for_each(|branch| shorten(&mut branch.frames, keep));
    }
}

fn value(value: &mut Value, levels: usize, count: usize, text: usize) {
    shorten_text(&mut value.text, text);
    if levels == 0 {
        value.children.clear();
    }
    value.children.truncate(count);
    value.children.iter_mut().for_each(|(_, child)| self::value(child, levels - 1, count, text));
}

/// Bounds how deep things are nested.
fn depth(kind: &mut Kind) {
    fn branches(frames: &mut [Frame], levels: usize) {
        for frame in frames {
            for Local { value, .. } in &mut frame.locals {
                self::value(value, VALUES, usize::MAX, TEXT);
            }
            if levels == 0 && !frame.branches.is_empty() {
                frame.branches.clear();
                frame.note = "what is awaited here side by side is too deep to show".into();
            }
            frame.branches.iter_mut().for_each(|branch| branches(&mut branch.frames, levels - 1));
        }
    }
    stacks(kind, &mut |stack| branches(&mut stack.frames, BRANCHES));
}

/// Bounds the texts outside of values.
fn texts(kind: &mut Kind, limit: usize) {
    each_text(kind, &mut |text| shorten_text(text, limit));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Failure, Outcome};

    #[test]
    fn a_cancellation_that_is_too_long_loses_parts_of_the_failure_then_the_failure() {
        let texts = |count: usize| vec!["x".repeat(1000); count];
        let mut failure = Failure {
            kind: Outcome::Error,
            coro: 7,
            thread: 0,
            name: "load".into(),
            given_name: String::new(),
            message: "no".into(),
            error_type: String::new(),
            sources: texts(100),
            trace: Vec::new(),
            stack: None,
            fields: Vec::new(),
            backtrace: Vec::new(),
            error_backtrace: Vec::new(),
        };
        failure.fields = texts(100).into_iter().map(|text| (text.clone(), text)).collect();
        let kind = Kind::CancelBegin { id: 1, origin: 7, reason: "no".into(), failure: Some(Box::new(failure)) };
        for (limit, keeps) in [(1 << 20, true), (16 << 10, true), (200, false)] {
            let (json, _) = fit(&kind, limit);
            assert!(json.len() <= limit);
            let Kind::CancelBegin { id: 1, origin: 7, failure, .. } = serde_json::from_slice(&json).unwrap() else {
                panic!("{}", String::from_utf8_lossy(&json));
            };
            assert_eq!(failure.is_some(), keeps, "{limit}");
        }
    }
}
