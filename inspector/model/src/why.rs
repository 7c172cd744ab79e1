//! The chain of waits of a coroutine, as text and as JSON.

mod json;

use std::fmt::Write;
use std::io;
use tinyio_events::place::short_path;

use tinyio_events::event::CoroId;

use crate::describe;
use crate::format::{brief, counted, one_line, span, width};
use crate::model::{Leaf, Link, Model};

/// Of a longer chain only the beginning and the end are shown: that many links each.
const ENDS: usize = 24;

/// The number of the schema of [`json`]: larger when a key was removed or got another meaning.
const SCHEMA: u32 = 1;

/// Writes the chain from a coroutine down to what it hangs on as one JSON object. False if nothing is known of the
/// coroutine; then nothing is written.
///
/// # Errors
///
/// Those of `out`.
pub fn json(model: &Model, id: CoroId, out: &mut dyn io::Write) -> io::Result<bool> {
    if model.coro(id).is_none() {
        return Ok(false);
    }
    json::write(model, id, out).map(|()| true)
}

/// The chain from a coroutine down to what it hangs on. `None` if nothing is known of the coroutine.
///
/// ```
/// use tinyio_events::event::{Event, Header, Kind, LoopMode, Target};
/// use tinyio_model::{model::Model, why};
///
/// let mut model = Model::new(&Header::default());
/// for (seq, kind) in [
///     Kind::Name { id: 1, text: "crawl::main".into() },
///     Kind::LoopStart { id: 1, parent: 0, mode: LoopMode::Run },
///     Kind::Spawn { coro: 1, in_loop: 1, parent: 0, name: 1, site: 0 },
///     Kind::StepBegin { coro: 1 },
///     Kind::Wait { coro: 1, on: Target::Timer(2_000_000_000), site: 0 },
///     Kind::StepEnd { coro: 1 },
/// ].into_iter().enumerate() {
///     model.apply(&Event { seq: seq as u64, at: 0, kind });
/// }
/// assert_eq!(why::text(&model, 1).unwrap(), "main  fires in 2.0 s\n└ a timer, fires in 2.0 s\n");
/// assert!(why::text(&model, 2).is_none());
/// ```
pub fn text(model: &Model, id: CoroId) -> Option<String> {
    model.coro(id)?;
    let why = model.why(id);
    let now = model.now();
    let mut text = String::new();
    let rows: Vec<Option<[String; 4]>> = match why.chain.len() {
        0..=48 => why.chain.iter().map(|link| Some(row(model, link))).collect(),
        many => {
            let head = why.chain[..ENDS].iter().map(|link| Some(row(model, link)));
            let tail = why.chain[many - ENDS..].iter().map(|link| Some(row(model, link)));
            head.chain([None]).chain(tail).collect()
        }
    };
    let columns = |index: usize| rows.iter().flatten().map(|row| width(&row[index])).max().unwrap_or(0);
    let widths = [columns(0) + 2, columns(1), columns(2)];
    for (index, row) in rows.iter().enumerate() {
        let Some([label, what, place, long]) = row else {
            let _ = writeln!(text, "… {}", counted((why.chain.len() - 2 * ENDS) as u64, "more link"));
            continue;
        };
        let branch = if index == 0 { "" } else { "└ " };
        let label = format!("{branch}{label}");
        let first = if rows.len() > 1 { widths[0] } else { widths[0] - 2 };
        let (second, third) = (widths[1], widths[2]);
        let line = format!("{label:first$}  {what:second$}  {place:third$}  {long}");
        text.push_str(line.trim_end());
        text.push('\n');
        let link = if index < ENDS { index } else { why.chain.len() - (rows.len() - index) };
        for more in beneath(model, &why.chain[link]) {
            let _ = writeln!(text, "    {}", brief(&one_line(&more)));
        }
    }
    let branch = if rows.is_empty() { "" } else { "└ " };
    let _ = writeln!(text, "{branch}{}", brief(&one_line(&describe::leaf(model, &why.leaf, now).0)));
    if let Leaf::Cycle(_) | Leaf::LikelyCycle(_) = why.leaf {
        let around: Vec<_> = why.cycle().iter().map(|link| model.label(link.coro)).take(ENDS).collect();
        let more = if why.cycle().len() > ENDS { " → …" } else { "" };
        let _ = writeln!(text, "the cycle: {}{more} → {}", one_line(&around.join(" → ")), one_line(&around[0]));
    }
    Some(text)
}

/// The calls that led to the place of a link, and what its coroutine holds.
fn beneath(model: &Model, link: &Link) -> Vec<String> {
    let held = |since: u64| model.known(model.now().saturating_sub(since)).map(|long| format!("for {}", span(long)));
    describe::calls(model, link).into_iter().chain(describe::holds(model, link.coro, held)).collect()
}

fn row(model: &Model, link: &Link) -> [String; 4] {
    let (label, what) = describe::link(model, link, model.now());
    let place = model.site(link.site).map_or(String::new(), |site| {
        let file = short_path(&site.file, &model.header().directory);
        if site.column > 0 { format!("{file}:{}:{}", site.line, site.column) } else { format!("{file}:{}", site.line) }
    });
    let long = model.now().saturating_sub(link.since);
    let long = if long > 0 { span(long) } else { String::new() };
    [brief(&one_line(&label)), brief(&one_line(&what)), one_line(&place), long]
}

#[cfg(test)]
mod tests {
    use tinyio_events::event::{Frame, ResKind, Target};

    use super::*;
    use crate::test_script::{Script, crawl};

    #[test]
    fn the_chain_goes_through_coroutines_locks_and_threads() {
        let model = crawl().model();
        let all: Vec<_> = [1, 5, 17, 9].iter().map(|id| text(&model, *id).unwrap()).collect();
        insta::assert_snapshot!(all.join("\n"));
        assert_eq!(text(&model, 99), None);
    }

    #[test]
    fn a_cycle_is_named() {
        let mut s = Script::new("deadlock");
        s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "left", "a.rs:2:1").spawn(3, 1, "right", "a.rs:3:1");
        s.resource(1, ResKind::Lock, 1, "a.rs:1:5").resource(2, ResKind::Lock, 1, "a.rs:1:6");
        s.step(1, Target::Coro(2), "a.rs:4:1").hold(1, 2, "a.rs:5:1").hold(2, 3, "a.rs:6:1");
        s.step(2, Target::Res(2), "a.rs:7:1").step(3, Target::Res(1), "a.rs:8:1");
        insta::assert_snapshot!(text(&s.model(), 1).unwrap());
    }

    #[test]
    fn the_calls_that_led_to_a_place_and_what_is_held_are_beneath_it() {
        let mut s = Script::new("calls");
        s.start().spawn(1, 0, "main", "a.rs:1:1").resource(1, ResKind::Lock, 1, "a.rs:1:5").hold(1, 1, "a.rs:2:9");
        s.step(1, Target::Timer(1 << 60), "a.rs:9:9");
        s.frames(1, [("main", 4), ("inner", 9)].map(|(name, line)| frame(name, line)).into());
        let mut json = Vec::new();
        assert!(super::json(&s.model(), 1, &mut json).unwrap());
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["chain"][0]["frames"][1]["function"], "inner");
        assert_eq!(json["chain"][0]["holds"][0]["label"], "lock #1");
        let text = text(&s.model(), 1).unwrap();
        let beneath =
            "    in inner, a.rs:9, called in main, a.rs:4\n    holds lock #1, acquired at a.rs:2, for <1 µs\n";
        assert!(text.contains(beneath), "{text}");
    }

    fn frame(function: &str, line: u32) -> Frame {
        Frame { function: function.into(), file: "a.rs".into(), line, ..Frame::default() }
    }

    #[test]
    fn of_a_gather_the_branch_that_is_stuck_is_followed() {
        let mut s = Script::new("gather");
        s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "clock", "a.rs:2:1").spawn(3, 1, "left", "a.rs:3:1");
        s.spawn(4, 1, "right", "a.rs:4:1");
        s.resource(1, ResKind::Lock, 1, "a.rs:1:5").resource(2, ResKind::Lock, 1, "a.rs:1:6");
        for child in [2, 3, 4] {
            s.step(1, Target::Coro(child), "a.rs:5:1");
        }
        s.step(2, Target::Timer(1 << 60), "a.rs:6:1").hold(1, 3, "a.rs:7:1").hold(2, 4, "a.rs:7:1");
        s.step(3, Target::Res(2), "a.rs:8:1").step(4, Target::Res(1), "a.rs:8:1");
        let text = text(&s.model(), 1).unwrap();
        assert!(text.contains("left") && text.contains("cycle") && !text.contains("clock"), "{text}");
    }

    /// Two that have a permit each of three, one of which is `free`, and a third that waits for a second one.
    fn permits(free: bool) -> Script {
        let mut s = Script::new("permits");
        s.start().spawn(1, 0, "counts", "a.rs:1:1").spawn(2, 1, "sells", "a.rs:2:1").spawn(3, 1, "sells", "a.rs:2:1");
        s.resource(1, ResKind::Semaphore, 3, "a.rs:1:5").resource(2, ResKind::Lock, 1, "a.rs:1:6");
        s.hold(2, 1, "a.rs:3:1").hold(1, 1, "a.rs:4:1").hold(1, 2, "a.rs:5:1").hold(1, 3, "a.rs:5:1");
        s.step(1, Target::Res(1), "a.rs:6:1").step(2, Target::Res(2), "a.rs:7:1");
        s.step(3, if free { Target::Timer(1 << 60) } else { Target::Res(2) }, "a.rs:7:1");
        s
    }

    #[test]
    fn of_several_holders_one_that_may_go_on_is_followed() {
        let text = text(&permits(true).model(), 1).unwrap();
        assert!(text.contains("sells #3") && text.contains("a timer") && !text.contains("cycle"), "{text}");
    }

    #[test]
    fn of_several_holders_none_of_which_goes_on_one_that_waits_for_something_else_is_followed() {
        let text = text(&permits(false).model(), 1).unwrap();
        assert!(text.contains("held by sells #2 and 2 more"), "{text}");
        assert!(text.contains("the cycle: counts → sells #2 → counts\n"), "{text}");
    }

    #[test]
    fn a_holder_that_is_not_known_may_go_on() {
        let mut s = permits(false);
        s.hold(1, 99, "a.rs:8:1");
        let text = text(&s.model(), 1).unwrap();
        assert!(!text.contains("cycle"), "{text}");
    }

    #[test]
    fn a_long_chain_is_cut_in_its_middle() {
        let mut s = Script::new("long");
        s.start().spawn(1, 0, "link", "a.rs:1:1");
        for id in 1..5_000 {
            s.spawn(id + 1, id, "link", "a.rs:1:1").step(id, Target::Coro(id + 1), "a.rs:2:1");
        }
        let text = text(&s.model(), 1).unwrap();
        assert_eq!(text.lines().count(), 2 * ENDS + 2);
        assert!(text.contains("… 4,951 more links\n") && text.ends_with("link #5000 is ready, for <1 µs\n"), "{text}");
    }
}
