//! Lints: probable mistakes, in one sentence each, with the coroutine and the remedy.
//!
//! Each check reports only what the events prove, because a lint with false alarms gets disabled: where a wake may
//! still come from outside (a timer, a thread, a foreign future, an event that another thread can set), nothing is
//! reported as stuck.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tinyio_events::event::{CoroId, LoopMode, NEVER_AWAITED, NameId, ResKind, Target};

use crate::format::span;
use crate::model::{Activity, BLOCKED, Coro, Finding, Level, Link, Model, short_name};

/// A probable mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Which check found it.
    pub check: &'static str,
    /// The coroutine it is about, 0 for none.
    pub coro: CoroId,
    /// One sentence: the coroutine, the problem, and the remedy.
    pub text: String,
}

/// A wait this long is long, where others wait for its end.
const LONG_WAIT: u64 = 1_000_000_000;
/// A coroutine that is ready for so long while others run is not run in time.
const LONG_READY: u64 = 100_000_000;
/// This many steps of [`LONG_STEP`](tinyio_events::event::LONG_STEP) block the loop. A single one may have waited for
/// the machine: for code that was read from the disk, or for a processor that the hypervisor had given to others.
const LONG_STEPS: u32 = 3;
/// This many wake-ups in a row without progress are reported.
const FRUITLESS: u32 = 100;
/// Beyond this many coroutines, the search for deadlocks waits until the loop sleeps.
const MANY: usize = 20_000;

/// A check: appends its findings for a moment.
type Check = fn(&Model, u64, &mut Vec<Lint>);

/// All checks, the most serious first.
const CHECKS: [Check; 11] = [
    deadlock,
    waits_for_ever,
    never_yields,
    blocks_loop,
    ready_long,
    ignores_cancellation,
    answers_improperly,
    holds_lock,
    orphan,
    never_awaited,
    woken_in_vain,
];

/// All lints of a moment, the most serious first.
pub fn check(model: &Model, now: u64) -> Vec<Lint> {
    let mut found = Vec::new();
    // All others need the past, or claim more than what was proved.
    if let Some(picture) = model.picture() {
        let lint = |finding: &Arc<Finding>| {
            let coro = finding.coros.first().copied().unwrap_or(0);
            let check = if finding.reason == "lock_cycle" { "deadlock" } else { "can-never-go-on" };
            Lint { check, coro, text: finding.text.clone() }
        };
        return picture.findings.iter().map(lint).collect();
    }
    CHECKS.iter().for_each(|check| check(model, now, &mut found));
    found
}

fn all(model: &Model) -> impl Iterator<Item = &Coro> + '_ {
    model.live().chain(model.finished())
}

/// Of the coroutines of each name the one with the longest time, and how many have that name; the longest first.
fn longest_of_each_name<'m>(
    coros: impl Iterator<Item = &'m Coro>,
    time: impl Fn(&Coro) -> u64,
) -> Vec<(&'m Coro, u32)> {
    let mut longest: HashMap<NameId, (&Coro, u32)> = HashMap::new();
    for coro in coros {
        let entry = longest.entry(coro.name).or_insert((coro, 0));
        entry.1 += 1;
        if time(coro) > time(entry.0) {
            entry.0 = coro;
        }
    }
    let mut longest: Vec<_> = longest.into_values().collect();
    longest.sort_by_key(|(coro, _)| (std::cmp::Reverse(time(coro)), coro.id));
    longest
}

/// Steps of [`LONG_STEP`](tinyio_events::event::LONG_STEP) or longer, without the time in which the coroutine did not
/// have the processor: several of one name, or one that is very long. One lint per name: the longest step of them all.
fn blocks_loop(model: &Model, _now: u64, found: &mut Vec<Lint>) {
    // The step of a coroutine with a loop inside lasts as long as that loop.
    let outer: HashSet<CoroId> = model.loops().map(|one| one.parent).collect();
    let slow = || all(model).filter(|coro| coro.long_steps > 0 && !outer.contains(&coro.id));
    let mut counts: HashMap<NameId, u32> = HashMap::new();
    for coro in slow() {
        let count = counts.entry(coro.name).or_default();
        *count = count.saturating_add(coro.long_steps);
    }
    for (coro, _) in longest_of_each_name(slow(), |coro| coro.longest) {
        let count = counts[&coro.name];
        if coro.longest < BLOCKED && count < LONG_STEPS {
            continue;
        }
        let others = match count {
            1 => String::new(),
            count => format!(", the longest of {count} long steps of its name"),
        };
        let text = format!(
            "{} blocked {} for {} in one step{others}: {}",
            model.label(coro.id),
            if coro.worker == 0 { "the loop" } else { "its thread" },
            span(coro.longest),
            advice(coro.worker != 0),
        );
        found.push(Lint { check: "blocks-loop", coro: coro.id, text });
    }
}

/// What to do about long steps: of a coroutine, or of a future that another runtime runs.
fn advice(is_foreign: bool) -> &'static str {
    match is_foreign {
        false => "give the work to run_in_thread, or yield_now in between",
        true => "give the work to a thread that may block, as spawn_blocking does, or yield in between",
    }
}

/// A step that lasts and has not ended yet, without the time in which the coroutine did not have the processor.
fn never_yields(model: &Model, now: u64, found: &mut Vec<Lint>) {
    for one in model.loops().filter(|one| one.ended.is_none()) {
        let Some((coro, since)) = one.running else { continue };
        let long = now.saturating_sub(since).saturating_sub(one.away);
        // The step of a coroutine with a loop inside lasts as long as that loop.
        let is_nested = model.loops_in(coro).next().is_some();
        if long < LONG_WAIT || is_nested || !model.coro(coro).is_some_and(Coro::is_live) {
            continue;
        }
        let text = format!(
            "{} has been in one step for {} and has not yielded, so nothing else runs in {}: {}",
            model.label(coro),
            span(long),
            model.loop_label(one.id),
            advice(one.mode == LoopMode::Worker),
        );
        found.push(Lint { check: "never-yields", coro, text });
    }
}

/// A coroutine that was ready while its loop was in steps of others for long. One lint per name: the longest time of
/// them all.
fn ready_long(model: &Model, _now: u64, found: &mut Vec<Lint>) {
    let slow = all(model).filter(|coro| coro.longest_ready >= LONG_READY);
    for (coro, count) in longest_of_each_name(slow, |coro| coro.longest_ready) {
        let others = if count > 1 { format!(", and {} like it for long too", count - 1) } else { String::new() };
        let text = format!(
            "{} was ready for {} in which others ran{others}: keep the steps of the others short, or let fewer run at once",
            model.label(coro.id),
            span(coro.longest_ready),
        );
        found.push(Lint { check: "ready-long", coro: coro.id, text });
    }
}

/// Reports a live coroutine if an earlier await of it has been dropped and its spawner has ended: its output is lost. A
/// coroutine that was never awaited was spawned to run by itself and is not reported. One lint per name: the oldest.
fn orphan(model: &Model, now: u64, found: &mut Vec<Lint>) {
    let mut oldest: HashMap<NameId, (&Coro, u64, u32)> = HashMap::new();
    // What awaits a task of another runtime is not known.
    let known = model.live().filter(|coro| coro.worker == 0 && model.is_sure());
    for coro in known.filter(|coro| coro.parent != 0 && coro.waiters.is_empty()) {
        let Some(since) = coro.left else { continue };
        let Some((ended, _)) = model.coro(coro.parent).and_then(|parent| parent.ended) else { continue };
        let is_cancelled = model.get_loop(coro.in_loop).is_none_or(|one| one.cancel.is_some());
        let since = since.max(ended);
        if now.saturating_sub(since) < LONG_WAIT || is_cancelled || coro.at_cancel.is_some() {
            continue;
        }
        let entry = oldest.entry(coro.name).or_insert((coro, since, 0));
        entry.2 += 1;
        if since < entry.1 {
            (entry.0, entry.1) = (coro, since);
        }
    }
    let mut oldest: Vec<_> = oldest.into_values().collect();
    oldest.sort_by_key(|(coro, since, _)| (*since, coro.id));
    for (coro, since, count) in oldest {
        let others = if count > 1 { format!(", as do {} like it", count - 1) } else { String::new() };
        let text = format!(
            "{} runs{others}, but nothing has awaited it for {}, and {}, which scheduled it, has ended: await it, or drop its handles so that it is cancelled",
            model.label(coro.id),
            span(now.saturating_sub(since)),
            model.label(coro.parent),
        );
        found.push(Lint { check: "orphan", coro: coro.id, text });
    }
}

fn woken_in_vain(model: &Model, _now: u64, found: &mut Vec<Lint>) {
    let worst = model.live().filter(|coro| coro.fruitless >= FRUITLESS).max_by_key(|coro| coro.fruitless);
    let Some(coro) = worst else { return };
    let by = coro.woken_by.map_or_else(String::new, |(_, by)| format!(" by {}", model.waker_label(by)));
    let text = format!(
        "{} was woken {} times in a row{by} and waited for the same thing again each time: wake it only when there is something for it",
        model.label(coro.id),
        coro.fruitless,
    );
    found.push(Lint { check: "woken-in-vain", coro: coro.id, text });
}

/// Reports a lock that is held through a long wait, while other coroutines wait for it.
fn holds_lock(model: &Model, now: u64, found: &mut Vec<Lint>) {
    for resource in model.resources().filter(|one| one.what == ResKind::Lock && !one.waiters.is_empty()) {
        let Some(coro) = resource.holders.first().and_then(|holder| model.coro(holder.coro)) else { continue };
        let long = coro.for_how_long(now);
        // A holder that waits on a coroutine or a lock is not reported: the cause is the coroutine that makes it wait.
        let own =
            matches!(coro.activity, Activity::Sleeping | Activity::OnThread | Activity::OnEvent | Activity::External);
        if !coro.is_live() || !own || long < LONG_WAIT {
            continue;
        }
        let what = match coro.activity {
            Activity::Sleeping => "sleeping",
            Activity::OnThread => "waiting on a thread",
            Activity::OnEvent => "waiting on an event",
            _ => "waiting on something outside",
        };
        let waiting = match resource.waiters.len() {
            1 => "another coroutine waits".to_owned(),
            many => format!("{many} others wait"),
        };
        let text = format!(
            "{} has held {} while {what} for {}, and {waiting} for it: drop the guard before the wait",
            model.label(coro.id),
            model.resource_label(resource.id),
            span(long),
        );
        found.push(Lint { check: "holds-lock", coro: coro.id, text });
    }
}

fn ignores_cancellation(model: &Model, now: u64, found: &mut Vec<Lint>) {
    for thread in model.threads().filter(|thread| thread.started.is_some() && thread.noticed.is_none()) {
        let Some(long) = thread.asked.map(|asked| now.saturating_sub(asked)).filter(|long| *long >= LONG_WAIT) else {
            continue;
        };
        let text = format!(
            "thread {} ({}) was asked to stop {} ago and has not checked for cancellation: call thread::check_cancelled()? in its loop",
            thread.id,
            short_name(model.name(thread.name)),
            span(long),
        );
        found.push(Lint { check: "ignores-cancellation", coro: thread.coro, text });
    }
}

fn answers_improperly(model: &Model, _now: u64, found: &mut Vec<Lint>) {
    for coro in model.finished().filter(|coro| coro.activity == Activity::Improper) {
        let text = format!(
            "{} was cancelled and did not stop: return the CancelledError that its await returned",
            model.label(coro.id)
        );
        found.push(Lint { check: "answers-improperly", coro: coro.id, text });
    }
}

/// A coroutine that was made and dropped without having run, unless its maker failed: an error on the way is a good
/// reason to drop it.
fn never_awaited(model: &Model, _now: u64, found: &mut Vec<Lint>) {
    for line in model.log().iter().filter(|line| line.level == Level::Tinyio) {
        let Some(rest) = line.text.strip_prefix(NEVER_AWAITED) else { continue };
        if model.coro(line.coro).is_some_and(|coro| coro.activity == Activity::Failed) {
            continue;
        }
        let (name, place) = rest.split_once(", made at ").unwrap_or((rest, "an unknown place"));
        let text = format!(
            "{} made a coroutine of {} at {place} and dropped it, so it never ran: await it, gather it or spawn it",
            model.label(line.coro),
            short_name(name),
        );
        found.push(Lint { check: "never-awaited", coro: line.coro, text });
    }
}

/// The loop sleeps without a timer, no thread works, nothing foreign is awaited: only another thread of the program can
/// set what is waited on.
fn waits_for_ever(model: &Model, now: u64, found: &mut Vec<Lint>) {
    let Some(root) = model.loops().find(|one| one.parent == 0 && one.ended.is_none()) else { return };
    let Some((since, None)) = root.parked else { return };
    let long = now.saturating_sub(since);
    let counts = model.counts();
    let outside = [Activity::External, Activity::OnThread, Activity::Sleeping, Activity::Ready, Activity::Running];
    let may_go_on = outside.iter().any(|activity| counts.get(*activity) > 0);
    if long < LONG_WAIT || may_go_on || model.threads().next().is_some() || !model.is_sure() {
        return;
    }
    for resource in model.resources().filter(|one| one.what == ResKind::Event && !one.set) {
        let Some(coro) = resource.waiters.first() else { continue };
        let others = resource.waiters.len() - 1;
        let others = if others > 0 { format!(" and {others} more have") } else { " has".to_owned() };
        let text = format!(
            "{}{others} waited {} on {}, which no coroutine can set any more: set it before it is forgotten, or wait with a time limit",
            model.label(coro),
            span(long),
            model.resource_label(resource.id),
        );
        found.push(Lint { check: "waits-for-ever", coro, text });
    }
}

/// Coroutines that wait on each other in a circle for some time, directly or through locks. It is only likely: one of
/// them may also wait on a future that is not of tinyio, and a guard can be moved. It is none at all if the holder of a
/// lock has scheduled a coroutine since that can go on: that one may have the guard.
fn deadlock(model: &Model, now: u64, found: &mut Vec<Lint>) {
    let asleep = model.loops().any(|one| one.ended.is_none() && one.parked.is_some_and(|(_, until)| until.is_none()));
    let locks = model.counts().get(Activity::OnLock) > 0;
    if !model.is_sure() || !asleep && (!locks || model.live_count() > MANY) {
        return;
    }
    let free = can_go_on(model);
    let mut named: HashSet<CoroId> = HashSet::new();
    for coro in model.live().filter(|coro| !free.contains(&coro.id)) {
        let why = model.why(coro.id);
        let cycle = why.cycle();
        if cycle.is_empty() {
            continue;
        }
        let locks = cycle.iter().any(|link| matches!(link.on, Target::Res(_)));
        let short = cycle.iter().any(|link| now.saturating_sub(link.since) < LONG_WAIT);
        if short || cycle.iter().any(|link| may_be_moved(model, link, &free)) {
            continue;
        }
        if cycle.iter().any(|link| !named.insert(link.coro)) {
            continue;
        }
        let mut parts = Vec::new();
        for link in cycle.iter().take(6) {
            parts.push(match link.on {
                Target::Res(res) => {
                    let (label, holder) = (model.resource_label(res), model.label(link.holder));
                    let others = model.resource(res).map_or(0, |resource| resource.holders.len().saturating_sub(1));
                    let hold = if others > 0 { format!(" and {others} more hold") } else { " holds".to_owned() };
                    format!("{} waits for {label}, which {holder}{hold}", model.label(link.coro))
                }
                on => format!("{} waits for {}", model.label(link.coro), model.target_label(on)),
            });
        }
        let more = if cycle.len() > 6 { format!(" (and {} more)", cycle.len() - 6) } else { String::new() };
        let advice = if locks { "take locks in one order everywhere" } else { "break the circle" };
        let text = format!("likely deadlock: {}{more}: {advice}", parts.join(", "));
        found.push(Lint { check: "deadlock", coro: cycle[0].coro, text });
    }
}

/// A guard that this link waits for may be in a coroutine that can go on, and that its holder scheduled since it took
/// it.
fn may_be_moved(model: &Model, link: &Link, free: &HashSet<CoroId>) -> bool {
    let Target::Res(res) = link.on else { return false };
    let holders = model.resource(res).map(|resource| &resource.holders[..]).unwrap_or_default();
    let mut taken: HashMap<CoroId, u64> = HashMap::new();
    for holder in holders {
        let first = taken.entry(holder.coro).or_insert(holder.since);
        *first = holder.since.min(*first);
    }
    let later = |coro: &Coro| taken.get(&coro.parent).is_some_and(|taken| coro.spawned >= *taken);
    free.iter().filter_map(|id| model.coro(*id)).any(later)
}

/// The coroutines that may go on, even if only by something from outside.
pub(crate) fn can_go_on(model: &Model) -> HashSet<CoroId> {
    let mut free: HashSet<CoroId> = model.live().filter(|coro| is_free(model, coro)).map(|coro| coro.id).collect();
    let mut queue: Vec<CoroId> = free.iter().copied().collect();
    while let Some(id) = queue.pop() {
        let Some(coro) = model.coro(id) else { continue };
        let held = coro.holds.iter().filter_map(|res| model.resource(*res)).flat_map(|one| one.waiters.ids());
        for waiter in coro.waiters.ids().chain(held) {
            if free.insert(waiter) {
                queue.push(waiter);
            }
        }
    }
    free
}

fn is_free(model: &Model, coro: &Coro) -> bool {
    if !coro.activity.is_waiting() || coro.wait_count() == 0 {
        return true;
    }
    coro.waits().any(|(on, _)| match on {
        Target::Coro(id) => !model.coro(id).is_some_and(Coro::is_live),
        Target::Res(id) => model.resource(id).is_none_or(|resource| {
            let known = |id: CoroId| model.coro(id).is_some_and(Coro::is_live);
            matches!(resource.what, ResKind::Event | ResKind::Barrier | ResKind::Channel)
                || (resource.holders.len() as u64) < resource.size
                || resource.holders.iter().any(|holder| !known(holder.coro))
        }),
        Target::Thread(_) | Target::Timer(_) | Target::Loop(_) | Target::Turn | Target::External => true,
    })
}

#[cfg(test)]
mod tests {
    use tinyio_events::event::{Kind, LoopOutcome, Outcome, Waker};

    use super::*;
    use crate::test_script::{Script, crawl, named, verify};

    fn found(s: &Script, now: u64) -> Vec<(&'static str, CoroId)> {
        check(&s.model(), now).iter().map(|lint| (lint.check, lint.coro)).collect()
    }

    fn two() -> Script {
        let mut s = Script::new("two");
        s.start().spawn(1, 0, "main", "a.rs:1:1").spawn(2, 1, "left", "a.rs:2:1").spawn(3, 1, "right", "a.rs:3:1");
        s.resource(1, ResKind::Lock, 1, "a.rs:1:5").resource(2, ResKind::Lock, 1, "a.rs:1:6");
        s.step(1, Target::Coro(2), "a.rs:4:1");
        s
    }

    #[test]
    fn a_program_at_its_work_has_none() {
        assert_eq!(found(&named(), 900_000_000), []);
        assert_eq!(found(&crawl(), 1_200_500_000), []);
    }

    #[test]
    fn a_long_step() {
        let mut s = two();
        s.at(100).begin(2).at(99_100).pause(2);
        assert_eq!(found(&s, 0), [], "it may have waited for the machine");
        s.at(100_000).begin(2).at(201_000).wait(2, Target::Timer(9), "a.rs:5:1").pause(2);
        assert_eq!(found(&s, 0), [("blocks-loop", 2)]);
        assert!(check(&s.model(), 0)[0].text.contains("101 ms"));
    }

    #[test]
    fn shorter_steps_that_are_repeated_block_the_loop() {
        let mut s = two();
        for at in [100, 40_000] {
            s.at(at).begin(2).at(at + 20_000).pause(2);
        }
        assert_eq!(found(&s, 0), []);
        s.at(80_000).begin(2).at(80_000 + 35_000).wait(2, Target::Timer(9), "a.rs:5:1").pause(2);
        assert_eq!(found(&s, 0), [("blocks-loop", 2)]);
        let text = &check(&s.model(), 0)[0].text;
        assert!(text.contains("for 35 ms in one step, the longest of 3 long steps of its name"), "{text}");
    }

    #[test]
    fn of_long_steps_of_one_name_the_longest_is_reported_with_their_number() {
        let mut s = two();
        s.spawn(4, 1, "left", "a.rs:3:1").spawn(5, 1, "left", "a.rs:3:1");
        for (id, at, took) in [(2, 100, 20_000), (4, 30_000, 45_000), (5, 80_000, 30_000), (3, 120_000, 160_000)] {
            s.at(at).begin(id).at(at + took).pause(id);
        }
        assert_eq!(found(&s, 0), [("blocks-loop", 3), ("blocks-loop", 4)], "the longest first, one of each name");
        let text = &check(&s.model(), 0)[1].text;
        assert!(text.contains("for 45 ms") && text.contains("the longest of 3"), "{text}");
    }

    #[test]
    fn a_long_step_around_a_nested_loop_is_no_blocking() {
        let mut s = two();
        s.at(100).begin(2);
        s.push(Kind::LoopStart { id: 2, parent: 2, mode: tinyio_events::event::LoopMode::Run });
        s.at(190_000).push(Kind::LoopEnd { id: 2, outcome: LoopOutcome::Ok });
        s.wait(2, Target::Timer(9), "a.rs:5:1").pause(2);
        assert_eq!(found(&s, 0), []);
    }

    #[test]
    fn what_was_not_the_coroutines_own_of_a_step_is_no_blocking() {
        let step = |away: u64| {
            let mut s = two();
            s.at(100).begin(2).at(350_100).push(Kind::Away { coro: 2, nanos: away });
            s.wait(2, Target::Timer(9), "a.rs:5:1").pause(2).at(360_000).begin(2).at(370_000).pause(2);
            check(&s.model(), 0).iter().map(|lint| lint.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(step(300_000_000), [""; 0]);
        assert!(step(50_000_000)[0].contains("for 300 ms"));
    }

    #[test]
    fn a_coroutine_that_never_yields() {
        let mut s = two();
        s.at(100).begin(2);
        assert_eq!(found(&s, 900_000_000), [], "not for long yet");
        assert_eq!(found(&s, 2_000_000_000), [("never-yields", 2)]);
        assert!(check(&s.model(), 2_000_000_000)[0].text.starts_with("left #2 has been in one step for 1.9 s"));
        // A loop runs inside the step.
        let mut nested = s.clone();
        nested.push(Kind::LoopStart { id: 2, parent: 2, mode: tinyio_events::event::LoopMode::Run });
        assert_eq!(found(&nested, 2_000_000_000), []);
        // It did not have the processor: tinyio read frames.
        s.at(1_900_000).push(Kind::Away { coro: 2, nanos: 1_800_000_000 });
        assert_eq!(found(&s, 2_000_000_000), []);
    }

    #[test]
    fn yielding_again_and_again_is_healthy() {
        let mut s = two();
        for turn in 0..3000 {
            s.at(1000 * turn).begin(2).wait(2, Target::Turn, "a.rs:7:1").wake(2, Waker::Own).pause(2);
            s.at(1000 * turn + 500).begin(3).wait(3, Target::Turn, "a.rs:8:1").wake(3, Waker::Own).pause(3);
        }
        assert_eq!(found(&s, 3_000_000_000), []);
    }

    #[test]
    fn a_coroutine_that_is_ready_for_long_and_does_not_run() {
        let mut s = two();
        s.step(2, Target::Timer(1_000_000), "a.rs:7:1").step(3, Target::Timer(1_000_000), "a.rs:7:1");
        s.at(1_000).wake(2, Waker::Timer).wake(3, Waker::Timer).at(1_010).begin(2).at(401_010);
        let ready_long = |s: &mut Script| {
            s.pause(2).begin(3).pause(3);
            check(&s.model(), 500_000_000).into_iter().find(|lint| lint.check == "ready-long")
        };
        let lint = ready_long(&mut s.clone()).expect("it was ready all the time");
        assert!(
            lint.coro == 3 && lint.text.starts_with("right #3 was ready for 400 ms in which others ran"),
            "{lint:?}"
        );
        s.push(Kind::Away { coro: 2, nanos: 380_000_000 });
        assert_eq!(ready_long(&mut s), None, "the other one did not have the processor");
    }

    #[test]
    fn a_loop_that_is_not_run_for_long_is_healthy() {
        // It is driven by another executor, or the process was stopped.
        let mut s = two();
        s.step(2, Target::Timer(1_000_000), "a.rs:7:1").at(1_000).wake(2, Waker::Timer).at(900_000).begin(2).pause(2);
        assert_eq!(found(&s, 900_000_000), []);
    }

    #[test]
    fn a_crowd_that_is_run_in_short_steps_is_healthy() {
        let mut s = two();
        s.begin(1);
        for id in 10..1010 {
            s.spawn(id, 1, "job", "a.rs:3:1").wait(1, Target::Coro(id), "a.rs:4:1");
        }
        s.pause(1);
        for id in 10..1010 {
            s.at(id * 90).begin(id).at(id * 90 + 80).end(id, Outcome::Ok);
        }
        assert_eq!(found(&s, 95_000_000), []);
    }

    /// `left` schedules `job` and waits on it for a moment, while `right` does too.
    fn shared() -> Script {
        let mut s = two();
        s.begin(2).spawn(4, 2, "job", "a.rs:6:1").wait(2, Target::Coro(4), "a.rs:7:1").pause(2);
        s.step(4, Target::Timer(9_000_000_000), "a.rs:9:1").step(3, Target::Coro(4), "a.rs:8:1");
        s.at(1_000).wake(2, Waker::Timer).begin(2).clear(2, Target::Coro(4)).end(2, Outcome::Ok);
        s
    }

    #[test]
    fn an_orphan_is_awaited_no_longer_and_what_scheduled_it_has_ended() {
        let mut s = shared();
        assert_eq!(found(&s, 3_000_000_000), [], "the other one waits on it");
        s.at(2_000)
            .wake(3, Waker::Timer)
            .begin(3)
            .clear(3, Target::Coro(4))
            .wait(3, Target::Timer(8), "a.rs:8:1")
            .pause(3);
        assert_eq!(found(&s, 900_000_000), [], "not for long yet");
        assert_eq!(found(&s, 3_000_000_000), [("orphan", 4)]);
        let text = &check(&s.model(), 3_000_000_000)[0].text;
        assert!(text.starts_with("job #4 runs, but nothing has awaited it for 2.9 s, and left #2, which"), "{text}");
        s.at(2_000_000).wake(3, Waker::Timer).step(3, Target::Coro(4), "a.rs:8:1");
        assert_eq!(found(&s, 9_000_000_000), [], "it is awaited again");
    }

    #[test]
    fn services_that_were_spawned_to_run_by_themselves_are_healthy() {
        let mut s = two();
        s.begin(2).spawn(4, 2, "ticker", "a.rs:6:1").end(2, Outcome::Ok);
        s.step(4, Target::Timer(9_000_000_000), "a.rs:9:1");
        assert_eq!(found(&s, 8_000_000_000), [], "never awaited");
        // Awaited now and then by the one that spawned it.
        s.at(100).begin(3).spawn(5, 3, "service", "a.rs:6:1").wait(3, Target::Coro(5), "a.rs:7:1").pause(3);
        s.step(5, Target::Timer(9_000_000_000), "a.rs:9:1");
        s.at(1_000)
            .wake(3, Waker::Timer)
            .begin(3)
            .clear(3, Target::Coro(5))
            .wait(3, Target::Timer(9), "a.rs:8:1")
            .pause(3);
        assert_eq!(found(&s, 8_000_000_000), []);
    }

    #[test]
    fn a_deadlock_through_two_locks() {
        let mut s = two();
        s.hold(1, 2, "a.rs:5:1").hold(2, 3, "a.rs:6:1").step(2, Target::Res(2), "a.rs:7:1");
        s.step(3, Target::Res(1), "a.rs:8:1");
        // Also while another coroutine keeps the loop alive.
        for ticker in [false, true] {
            if ticker {
                s.spawn(4, 1, "ticker", "a.rs:2:1").step(4, Target::Timer(9_000_000_000), "a.rs:9:1");
                s.at(10).push(Kind::Park { id: 1, until: Some(9_000_000_000) });
            }
            assert_eq!(found(&s, 500_000_000), [], "not for long yet");
            assert_eq!(found(&s, 2_000_000_000), [("deadlock", 2)]);
            let text = &check(&s.model(), 2_000_000_000)[0].text;
            assert!(
                text.starts_with("likely deadlock: left #2 waits for lock #2, which right #3 holds, right #3 waits"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_permit_that_may_have_been_given_to_another_coroutine_is_no_deadlock() {
        let mut s = two();
        s.resource(3, ResKind::Semaphore, 1, "a.rs:1:7").hold(3, 2, "a.rs:5:1");
        s.spawn(4, 2, "job", "a.rs:6:1").step(2, Target::Res(3), "a.rs:5:1");
        s.step(4, Target::Timer(9_000_000_000), "a.rs:9:1");
        assert_eq!(found(&s, 2_000_000_000), []);
        s.end(4, Outcome::Ok);
        assert_eq!(found(&s, 2_000_000_000), [("deadlock", 2)], "it has ended, and nothing was given back");
    }

    #[test]
    fn of_a_deadlock_through_a_semaphore_the_way_through_another_holder_is_named() {
        let mut s = two();
        s.resource(3, ResKind::Semaphore, 2, "a.rs:1:7").hold(3, 2, "a.rs:5:1").hold(3, 3, "a.rs:5:1");
        s.hold(1, 2, "a.rs:4:1").step(2, Target::Res(3), "a.rs:6:1").step(3, Target::Timer(9_000_000_000), "a.rs:7:1");
        assert_eq!(found(&s, 2_000_000_000), [], "a permit will be released");
        s.at(100).step(3, Target::Res(1), "a.rs:7:1");
        let text = &check(&s.model(), 2_000_000_000)[0].text;
        let expected = "likely deadlock: left #2 waits for semaphore #3, which right #3 and 1 more hold, right #3 waits for lock #1";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_circle_with_a_time_limit_is_no_deadlock() {
        let mut s = two();
        s.hold(1, 2, "a.rs:5:1").hold(2, 3, "a.rs:6:1").step(2, Target::Res(2), "a.rs:7:1");
        s.begin(3).wait(3, Target::Res(1), "a.rs:8:1").wait(3, Target::Timer(99), "a.rs:8:1").pause(3);
        assert_eq!(found(&s, 2_000_000_000), []);
        s.step(3, Target::Res(1), "a.rs:8:1");
        assert_eq!(found(&s, 4_000_000_000), [("deadlock", 2)], "without the limit it is one");
    }

    #[test]
    fn a_lock_held_through_a_long_sleep_that_others_want() {
        let mut s = two();
        s.hold(1, 2, "a.rs:5:1").step(2, Target::Timer(5_000_000_000), "a.rs:7:1");
        assert_eq!(found(&s, 3_000_000_000), [], "no other coroutine waits for it");
        s.step(3, Target::Res(1), "a.rs:8:1");
        assert_eq!(found(&s, 3_000_000_000), [("holds-lock", 2)]);
        assert_eq!(found(&s, 500_000_000), [], "not for long yet");
    }

    #[test]
    fn woken_again_and_again_for_nothing() {
        let mut s = two();
        s.resource(3, ResKind::Event, 0, "a.rs:1:7");
        for _ in 0..=FRUITLESS {
            s.step(2, Target::Res(3), "a.rs:7:1").wake(2, Waker::Res(3));
        }
        assert_eq!(found(&s, 0), [("woken-in-vain", 2)]);
        s.step(2, Target::Timer(7), "a.rs:7:1");
        assert_eq!(found(&s, 0), []);
    }

    #[test]
    fn sleeping_again_and_again_is_progress() {
        let mut s = two();
        for turn in 0..=2 * u64::from(FRUITLESS) {
            s.step(2, Target::Timer(turn), "a.rs:7:1").wake(2, Waker::Timer);
        }
        assert_eq!(found(&s, 0), []);
    }

    #[test]
    fn a_thread_that_does_not_look() {
        let mut s = two();
        s.thread(1, 2, "hash", "a.rs:9:1").step(2, Target::Thread(1), "a.rs:9:5");
        s.at(10).push(Kind::ThreadCancel { thread: 1 });
        assert_eq!(found(&s, 2_000_000_000), [("ignores-cancellation", 2)]);
        s.at(20).push(Kind::ThreadNotice { thread: 1 });
        assert_eq!(found(&s, 2_000_000_000), []);
    }

    #[test]
    fn an_improper_answer() {
        assert_eq!(found(&verify(), 9_000_000_000), [("answers-improperly", 3)]);
    }

    #[test]
    fn a_coroutine_that_was_made_and_forgotten() {
        let mut s = two();
        let text = format!("{NEVER_AWAITED}crawl::fetch, made at a.rs:7:5");
        s.begin(2).push(Kind::Diag { coro: 2, text });
        assert_eq!(found(&s, 0), [("never-awaited", 2)]);
        assert!(
            check(&s.model(), 0)[0].text.starts_with("left #2 made a coroutine of fetch at a.rs:7:5 and dropped it")
        );
        s.end(2, Outcome::Error);
        assert_eq!(found(&s, 0), [], "an error came in between");
    }

    #[test]
    fn an_event_that_nothing_is_left_to_set() {
        let mut s = two();
        s.resource(3, ResKind::Event, 0, "a.rs:1:7").end(3, Outcome::Ok).step(2, Target::Res(3), "a.rs:7:1");
        s.at(10).push(Kind::Park { id: 1, until: None });
        assert_eq!(found(&s, 2_000_000_000), [("waits-for-ever", 2)]);
        assert_eq!(found(&s, 500_000_000), []);
        s.thread(1, 2, "setter", "a.rs:9:1");
        assert_eq!(found(&s, 2_000_000_000), [], "a thread may set it");
    }
}
