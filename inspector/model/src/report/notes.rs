//! Missing data and tinyio's own warnings, a sentence each.

use crate::format::{counted, one_line};
use crate::model::{Level, Model};

/// At most this many of tinyio's own warnings are repeated.
const WARNINGS: usize = 5;

/// Restrictions that a reader has to know first. A warning may have several lines.
pub fn notes(model: &Model) -> Vec<String> {
    let mut notes = missing(model);
    let lost = model.lost();
    let mut why = Vec::new();
    for (events, cause) in [
        (lost.dropped, "the recorder could not keep up"),
        (lost.lapped, "they were overwritten before they were read"),
        (lost.gaps, "their numbers are skipped in the recording"),
    ] {
        if events > 0 {
            why.push((events, cause));
        }
    }
    match &why[..] {
        [] => {}
        [(events, cause)] => notes.push(format!("{} missing: {cause}{}", are(*events, "event"), unsure(model))),
        many => {
            let parts: Vec<_> =
                many.iter().map(|(events, cause)| format!("{} as {cause}", counted(*events, "event"))).collect();
            notes.push(format!("missing are {}{}", parts.join(" and "), unsure(model)));
        }
    }
    if lost.unreadable > 0 {
        let (text, was) = (counted(lost.unreadable, "event"), if lost.unreadable == 1 { "was" } else { "were" });
        notes.push(format!("{text} could not be read and {was} left out: the recording is damaged{}", unsure(model)));
    }
    if lost.cut {
        notes.push("the file ends early: this is the state at the cut".to_owned());
    }
    if lost.left_out > 0 {
        let text = are(lost.left_out, "coroutine");
        notes.push(format!("{text} not shown: the ring has no room for all; TINYIO_RING=256M makes it larger"));
    }
    if lost.odd > 0 {
        let (text, was) = (counted(lost.odd, "event"), if lost.odd == 1 { "was" } else { "were" });
        notes.push(format!("{text} could not be true and {was} passed over: the recording is damaged or incomplete"));
    }
    let warnings = model.log().iter().filter(|line| line.level == Level::Tinyio);
    let mut lines: Vec<String> =
        warnings.map(|line| line.text.lines().map(one_line).collect::<Vec<_>>().join("\n")).collect();
    lines.dedup();
    let more = lines.len().saturating_sub(WARNINGS);
    notes.extend(lines.drain(more..).map(|text| format!("tinyio: {text}")));
    notes
}

fn are(number: u64, noun: &str) -> String {
    format!("{} {}", counted(number, noun), if number == 1 { "is" } else { "are" })
}

fn unsure(model: &Model) -> &'static str {
    if model.is_sure() { "; what lives is known again since" } else { ", so there may be others alive" }
}

/// Why there are no variables or frames, each reason once.
fn missing(model: &Model) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    let failed = model.crash().into_iter().flat_map(|crash| &crash.failures).take(10_000);
    let own = failed.clone().filter_map(|failure| failure.stack.as_ref());
    let recorded = failed.filter_map(|failure| model.coro(failure.coro)?.stack.as_ref()).map(|(_, stack)| &**stack);
    for stack in own.chain(recorded) {
        if let Some(text) = &stack.missing {
            let text = one_line(text);
            if !reasons.contains(&text) && reasons.len() < WARNINGS {
                reasons.push(text);
            }
        }
    }
    reasons
}
