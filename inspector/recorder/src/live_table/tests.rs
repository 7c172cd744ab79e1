//! A record of several events has the effect of its events one by one.

use tinyio_events::event::Kind;
use tinyio_events::ring_words;

use super::*;

/// A checkpoint, in any order.
#[derive(Default)]
struct Written(Vec<Words>);

impl Out for Written {
    fn record(&mut self, words: Words) -> bool {
        self.0.push(words);
        true
    }

    fn json(&mut self, _: u64, _: &[u8]) -> bool {
        true
    }

    fn room(&self) -> u64 {
        1 << 20
    }
}

fn written(live: &Live) -> Vec<Words> {
    let mut out = Written::default();
    let (coros, left_out) = live.write(1 << 40, true, &mut out);
    assert_eq!((coros, left_out), (live.slots.len(), 0));
    assert!(live.records() >= out.0.len() as u64, "{} records were to be written, not {}", live.records(), out.0.len());
    out.0.sort_unstable();
    // An edge that is there already may be noted again, which changes nothing.
    let mut edges = std::collections::HashSet::new();
    out.0.retain(|words| {
        !matches!(ring_words::decode(*words), Some(Kind::Wait { .. })) || edges.insert((words[1], words[2]))
    });
    out.0
}

/// Coroutines of the test, each in the slot of its number modulo this.
const SLOTS: u64 = 8;

fn slot(coro: CoroId) -> u32 {
    (coro % SLOTS) as u32
}

fn one_by_one(live: &mut Live, at: u64, step: Step) {
    for kind in step.kinds() {
        match kind {
            Kind::Wait { coro, on, site } => {
                let on_slot = if let Target::Coro(other) = on { slot(other) } else { NO_SLOT };
                live.wait(at, slot(coro), coro, on, on_slot, site);
            }
            Kind::Wake { coro, .. } => live.wake(at, slot(coro), coro),
            Kind::StepBegin { coro } => live.step_begin(at, slot(coro), coro),
            Kind::StepEnd { coro } => live.step_end(at, slot(coro), coro),
            Kind::End { coro, .. } => live.end(slot(coro), coro),
            kind => panic!("{kind:?} is no part of a step"),
        }
    }
}

#[test]
fn a_step_at_once_is_the_same_as_its_events() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let (mut at_once, mut single) = (Live::default(), Live::default());
    let mut alive: Vec<CoroId> = vec![];
    let (mut id, mut running) = (0, 0);
    let mut kinds = [0; 64];
    for at in 1..200_000 {
        if running == 0 || alive.len() < SLOTS as usize && next(3) == 0 {
            // Its slot has to be free.
            while alive.iter().any(|other| slot(*other) == slot(id + 1)) {
                id += 1;
            }
            id += 1;
            alive.push(id);
            for live in [&mut at_once, &mut single] {
                live.spawn(at, slot(id), id, 1, running, 1, 2);
            }
            if running == 0 {
                running = id;
                at_once.step_begin(at, slot(id), id);
                single.step_begin(at, slot(id), id);
            }
            continue;
        }
        let any = |n: u64| alive[n as usize % alive.len()];
        // Some wait on more than one thing, and on what has ended.
        if next(3) == 0 {
            let other = if next(4) == 0 { id.saturating_sub(next(20)) } else { any(next(100)) };
            let on = [Target::Coro(other), Target::Res(next(3)), Target::Timer(at)][next(3) as usize];
            let on_slot = if matches!(on, Target::Coro(_)) { slot(other) } else { NO_SLOT };
            for live in [&mut at_once, &mut single] {
                live.wait(at, slot(running), running, on, on_slot, 3);
            }
        }
        let mut has = next(64) as u8;
        if has & Step::END != 0 {
            has &= !(Step::TURN | Step::ON | Step::OWN);
        } else {
            has &= !Step::WAKES;
        }
        if has & Step::ON != 0 {
            has &= !Step::TURN;
        }
        let (on, coro) = (any(next(100)), running);
        alive.retain(|other| has & Step::END == 0 || *other != coro);
        let next = if alive.is_empty() { 0 } else { alive[next(100) as usize % alive.len()] };
        if next == 0 {
            has &= !(Step::BEGINS | Step::WAKES);
        }
        let (on_slot, next_slot) = (slot(on), slot(next));
        let step = Step { coro, slot: slot(coro), on, on_slot, next, next_slot, site: 4, outcome: 0, has };
        kinds[has as usize] += 1;
        at_once.step(at, &step);
        one_by_one(&mut single, at, step);
        if next != 0 && has & Step::BEGINS == 0 {
            for live in [&mut at_once, &mut single] {
                live.step_begin(at, slot(next), next);
            }
        }
        running = next;
        if at % 8 == 0 {
            assert_eq!(written(&at_once), written(&single), "after {step:?}");
        }
    }
    assert_eq!(kinds.iter().filter(|seen| **seen > 10).count(), 16, "all that there are: {kinds:?}");
}
