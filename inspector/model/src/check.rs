//! Which coroutines of a recording certainly could never go on, with the facts.
//!
//! That is certain of coroutines that the loop ended with a `Deadlock` for, and of no others: a recording does not say
//! whether a coroutine also waits on a future that is not of tinyio, or where a guard was moved, and the loop knows. Of
//! a picture it is what was proved when it was taken.

use std::collections::HashSet;

use tinyio_events::event::{CoroId, State, Target, number};

use crate::model::{Coro, Finding, Link, Model};
use crate::time_point::Moment;

/// What is found at a moment of a recording, or right before the crash that ended it.
pub fn check(moment: &Moment) -> Vec<Finding> {
    let model = moment.graph();
    if let Some(picture) = model.picture() {
        return picture.findings.iter().map(|finding| (**finding).clone()).collect();
    }
    deadlock(&moment.model).map(|message| of_crash(model, message)).into_iter().collect()
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
    let (reason, coros) = match cycles(model).into_iter().find(|cycle| cycle.iter().all(is_named)) {
        Some(cycle) => {
            let has_lock = cycle.iter().any(|link| matches!(link.on, Target::Res(_)));
            let coros = cycle.iter().map(|link| link.coro).collect();
            (if has_lock { "lock_cycle" } else { "waits_on_dead" }, coros)
        }
        None => {
            let waits = |coro: &&Coro| coro.state() == State::Waiting;
            ("never_woken", model.live().filter(waits).map(|coro| coro.id).collect())
        }
    };
    Finding { reason: reason.to_owned(), coros, text, proof }
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
    fn of_coroutines_that_await_each_other_nothing_is_certain_while_their_loop_goes_on() {
        let mut s = three();
        s.step(1, Target::Coro(2), "a.rs:4:1").step(2, Target::Coro(3), "a.rs:5:1").step(
            3,
            Target::Coro(2),
            "a.rs:6:1",
        );
        assert_eq!(found(&s), [], "one of them may wait on a future that is not of tinyio, too");
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
        s.push(Kind::CancelBegin { id: 1, origin: 0, reason: "deadlock".into(), failure: None });
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
        assert_eq!(found(&s), [("lock_cycle".into(), vec![2, 3])]);
    }
}
