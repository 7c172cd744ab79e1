//! Which coroutines of a recording certainly could never go on, with the facts.
//!
//! That is certain of coroutines that await each other in a cycle, of those that the loop ended with a `Deadlock` for,
//! and of those that wait on one of these and nothing else. A cycle through locks is certain only if the loop ended for
//! it: a guard can be moved to another coroutine. Of a picture it is what was proved when it was taken.

use std::collections::{BTreeSet, HashSet};

use tinyio_events::event::{CoroId, State, Target, number};

use crate::lint::can_go_on;
use crate::model::{Coro, Finding, Link, Model};
use crate::time_point::Moment;

/// What is found at a moment of a recording, or right before the crash that ended it.
pub fn check(moment: &Moment) -> Vec<Finding> {
    let model = moment.graph();
    if let Some(picture) = model.picture() {
        return picture.findings.iter().map(|finding| (**finding).clone()).collect();
    }
    let mut found = Vec::new();
    match deadlock(&moment.model) {
        Some(message) => found.push(of_crash(model, message)),
        None if model.is_sure() => {
            let free = can_go_on(model);
            let certain = |link: &Link| !free.contains(&link.coro) && matches!(link.on, Target::Coro(_));
            let cycles = cycles(model).into_iter().filter(|cycle| cycle.iter().all(certain));
            found.extend(cycles.map(|cycle| of_cycle(model, &cycle)));
        }
        None => {}
    }
    let dead = found.iter().flat_map(|finding| finding.coros.iter().copied()).collect();
    found.extend(on_dead(model, dead));
    found
}

/// What the loop ended for, if that is a deadlock.
fn deadlock(model: &Model) -> Option<&str> {
    let failure = model.crash()?.failures.first()?;
    Some(failure.message.as_str()).filter(|message| failure.coro == 0 && message.starts_with("deadlock: "))
}

/// The cycles that chains of waits end in, each once.
fn cycles(model: &Model) -> Vec<Vec<Link>> {
    let mut seen: HashSet<CoroId> = HashSet::new();
    let mut cycles = Vec::new();
    for coro in model.live() {
        let why = model.why(coro.id);
        if !why.cycle().is_empty() && why.cycle().iter().all(|link| seen.insert(link.coro)) {
            cycles.push(why.cycle().to_vec());
        }
    }
    cycles
}

/// The finding that a deadlock is: the loop has named its cycle, or else all that wait can never go on.
fn of_crash(model: &Model, message: &str) -> Finding {
    let (head, rest) = message.split_once('\n').unwrap_or((message, ""));
    let text = head.trim_start_matches("deadlock: ").trim_end_matches(':').to_owned();
    let proof = rest.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let is_named = |link: &Link| {
        let label = format!("{} waits ", number(link.coro));
        rest.contains(&label)
    };
    match cycles(model).into_iter().find(|cycle| cycle.iter().all(is_named)) {
        Some(cycle) => Finding { text, proof, ..of_cycle(model, &cycle) },
        None => {
            let waits = |coro: &&Coro| coro.state() == State::Waiting;
            let coros = model.live().filter(waits).map(|coro| coro.id).collect();
            Finding { reason: "never_woken".to_owned(), coros, text, proof }
        }
    }
}

fn of_cycle(model: &Model, cycle: &[Link]) -> Finding {
    let has_lock = cycle.iter().any(|link| matches!(link.on, Target::Res(_)));
    let reason = if has_lock { "lock_cycle" } else { "waits_on_dead" }.to_owned();
    let coros: Vec<CoroId> = cycle.iter().map(|link| link.coro).collect();
    let labels: Vec<String> = coros.iter().map(|id| model.label(*id)).collect();
    let text = match &labels[..] {
        [only] => format!("{only} waits on itself"),
        labels => format!("{} wait on each other", labels.join(" and ")),
    };
    let proof = cycle.iter().map(|link| fact(model, link.coro, link.on, link.site)).collect();
    Finding { reason, coros, text, proof }
}

/// A wait as a sentence.
fn fact(model: &Model, coro: CoroId, on: Target, site: u32) -> String {
    let place = model.site(site).map_or(String::new(), |site| format!(" at {site}"));
    format!("{}{place} waits on {}", model.label(coro), crate::describe::target(model, on, model.now()))
}

/// Coroutines that wait on nothing but one that can never go on.
fn on_dead(model: &Model, mut dead: BTreeSet<CoroId>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut next: Vec<CoroId> = dead.iter().copied().collect();
    while let Some(target) = next.pop() {
        let Some(coro) = model.coro(target) else { continue };
        for waiter in coro.waiters.ids().filter_map(|id| model.coro(id)) {
            let mut waits = waiter.waits();
            let (Some((on, edge)), None) = (waits.next(), waits.next()) else { continue };
            if waiter.state() != State::Waiting || !dead.insert(waiter.id) {
                continue;
            }
            next.push(waiter.id);
            let (label, on_label) = (model.label(waiter.id), model.label(target));
            let text = format!("{label} can never go on: what it waits on, {on_label}, can never go on");
            let proof = vec![fact(model, waiter.id, on, edge.site)];
            found.push(Finding { reason: "waits_on_dead".to_owned(), coros: vec![waiter.id], text, proof });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use tinyio_events::event::{Failure, Kind, LoopOutcome, Outcome, ResKind};

    use super::*;
    use crate::test_script::Script;
    use crate::time_point::fold;

    fn found(script: &Script) -> Vec<(String, Vec<CoroId>)> {
        let moment = fold(&mut script.source(), None, &mut |_, _| Ok(())).unwrap();
        check(&moment).into_iter().map(|finding| (finding.reason, finding.coros)).collect()
    }

    fn three() -> Script {
        let mut s = Script::new("deadlock");
        s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "left", "a.rs:2:1").spawn(3, 1, "right", "a.rs:3:1");
        s
    }

    #[test]
    fn coroutines_that_await_each_other_are_found_and_those_that_wait_on_them() {
        let mut s = three();
        s.step(1, Target::Coro(2), "a.rs:4:1").step(2, Target::Coro(3), "a.rs:5:1");
        assert_eq!(found(&s), []);
        s.step(3, Target::Coro(2), "a.rs:6:1");
        assert_eq!(found(&s), [("waits_on_dead".into(), vec![2, 3]), ("waits_on_dead".into(), vec![1])]);
    }

    #[test]
    fn a_cycle_that_a_timer_can_end_is_not_found() {
        let mut s = three();
        s.step(1, Target::Coro(2), "a.rs:4:1").step(2, Target::Coro(3), "a.rs:5:1");
        s.begin(3).wait(3, Target::Timer(9_000_000_000), "a.rs:6:1").wait(3, Target::Coro(2), "a.rs:6:1").pause(3);
        assert_eq!(found(&s), []);
    }

    /// Two that hold a lock each and wait on the other's.
    fn locked() -> Script {
        let mut s = three();
        s.resource(1, ResKind::Lock, 1, "a.rs:1:5").resource(2, ResKind::Lock, 1, "a.rs:1:6");
        s.step(1, Target::Coro(2), "a.rs:4:1").hold(1, 2, "a.rs:5:1").hold(2, 3, "a.rs:6:1");
        s.step(2, Target::Res(2), "a.rs:7:1").step(3, Target::Res(1), "a.rs:8:1");
        s
    }

    #[test]
    fn a_cycle_of_locks_is_found_if_the_loop_ended_for_it() {
        let mut s = locked();
        assert_eq!(found(&s), [], "a guard can be moved");
        let message =
            "deadlock: 2 coroutines wait for each other:\n  left #2 waits for the lock\n  right #3 waits for it";
        s.push(Kind::CancelBegin { id: 1, origin: 0, reason: "deadlock".into() });
        for id in [1, 2, 3] {
            s.push(Kind::CancelDeliver { coro: id }).end(id, Outcome::Cancelled);
        }
        let failure = Failure {
            kind: Outcome::Error,
            coro: 0,
            thread: 0,
            name: "the loop".into(),
            given_name: String::new(),
            message: message.into(),
            error_type: String::new(),
            sources: Vec::new(),
            trace: Vec::new(),
            stack: None,
            fields: Vec::new(),
            backtrace: Vec::new(),
            error_backtrace: Vec::new(),
        };
        s.push(Kind::Crash { id: 1, failures: vec![failure] }).stop(LoopOutcome::Crashed);
        assert_eq!(found(&s), [("lock_cycle".into(), vec![2, 3]), ("waits_on_dead".into(), vec![1])]);
    }
}
