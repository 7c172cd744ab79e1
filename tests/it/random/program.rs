//! Random programs: what their coroutines do, and what a naive model predicts of them.

use tinyio::Group;

#[path = "../../../src/executor/split_mix.rs"]
mod split_mix;

/// Random numbers.
pub(super) struct Random(split_mix::SplitMix64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(split_mix::SplitMix64(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next()
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// The acts of a coroutine, in order. Numbers are of coroutines after it, or of resources.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Yield,
    Sleep(u64),
    Await(usize),
    Gather(Vec<usize>),
    Spawn(usize),
    Completed(Vec<usize>),
    /// Waits for all of these concurrently in one coroutine, behind wakers of its own.
    Beside(Vec<u64>),
    /// Awaits one after it from inside a nested loop.
    AwaitInside(usize),
    /// Awaits itself, or one before it, which may be waiting for it; from inside a nested loop or not.
    AwaitBack(usize, bool),
    /// Takes two locks, which may be one; the second from inside a nested loop or not.
    Locks(usize, usize, bool),
    Locked(usize, u64),
    Permitted(usize, u64),
    /// Acquires three permits of two, one after the other, and moves each to another coroutine, which drops it: spawned
    /// with it, or one that takes it from a shelf.
    Moved(usize, u64, bool),
    Set(usize),
    /// Waits for an event that another coroutine has to set, or only for a short time.
    Wait(usize, u64),
    Thread(u64),
    /// Runs a function in the pool.
    Pool(u64),
    /// Runs a function on a thread that fails.
    ThreadFails,
    Timeout(u64, u64),
    /// Begins coroutines of its own that never end by themselves, and drops their handles after this many turns.
    Abandon(Owner, u64),
    /// Begins a function on a thread, and drops its handle after this many turns.
    AbandonThread(u64),
    /// Polls an await point once, and keeps it for the next run of the loop.
    Keep(usize),
    /// Receives this many items from a coroutine that sends one every given number of milliseconds, with that as the
    /// limit of each wait.
    Receive(u64, u64),
    /// Isolates a loop whose coroutines sleep this long; it fails or does not.
    Isolate(Vec<u64>, bool),
    Fail,
    Panic,
}

/// What owns coroutines that are dropped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Coro,
    Gather,
    Completed,
    Timeout,
    Isolate,
    /// A coroutine that awaits one that gathers two.
    Chain,
    /// A coroutine that isolates one with a limit.
    Nested,
}

pub(super) const OWNERS: [Owner; 7] =
    [Owner::Coro, Owner::Gather, Owner::Completed, Owner::Timeout, Owner::Isolate, Owner::Chain, Owner::Nested];

/// How a coroutine responds to its cancellation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Manners {
    Proper,
    AnswersOk,
    AnswersError,
    Panics,
    /// A destructor panics.
    DropPanics,
    AwaitsAgain,
}

/// Whether the coroutines of a program end up waiting for each other for ever, unless something else ends it before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stuck {
    Never,
    May,
    Must,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) acts: Vec<Act>,
    pub(super) manners: Manners,
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) plans: Vec<Plan>,
    pub(super) group: Group,
    pub(super) shuffle: Option<u64>,
    pub(super) virtual_time: bool,
    pub(super) grace: bool,
    /// Another thread stops the loop after this many steps of coroutines.
    pub(super) stop: Option<u64>,
    /// Another thread stops the loop after this many microseconds.
    pub(super) stop_after: Option<u64>,
}

pub(super) const RESOURCES: usize = 3;

impl Program {
    pub(super) fn new(seed: u64) -> Program {
        let random = &mut Random::new(seed);
        let most = if random.one_in(10) { 60 } else { 12 };
        let count = 1 + random.below(most);
        // The value that an async function was about to return is lost when one of its variables panics on being
        // dropped.
        let may_leak = std::env::var_os("TINYIO_TEST_LEAKS").is_none_or(|leaks| leaks != "0");
        let (failing, rude, tangled) = (!random.one_in(3), random.one_in(2), random.one_in(3));
        let plans = (0..count)
            .map(|own| {
                let behind = |random: &mut Random| own + 1 + random.below(count - own - 1);
                let some = |random: &mut Random| (0..1 + random.below(4)).map(|_| behind(random)).collect::<Vec<_>>();
                let acts = (0..1 + random.below(7)).map(|_| {
                    let naps =
                        |random: &mut Random| (0..random.below(4)).map(|_| random.next() % 4).collect::<Vec<_>>();
                    if tangled && random.one_in(12) {
                        return match random.below(3) {
                            0 => Act::AwaitBack(random.below(own + 1), random.one_in(2)),
                            _ => Act::Locks(random.below(RESOURCES), random.below(RESOURCES), random.one_in(4)),
                        };
                    }
                    match random.below(if own + 1 < count { 35 } else { 19 }) {
                        0 => Act::Yield,
                        1 | 2 => Act::Sleep(random.next() % 4),
                        3 => Act::Beside(naps(random)),
                        4 => Act::Locked(random.below(RESOURCES), random.next() % 3),
                        5 => Act::Permitted(random.below(RESOURCES), random.next() % 3),
                        6 => Act::Set(random.below(RESOURCES)),
                        7 => Act::Wait(random.below(RESOURCES), random.next() % 4),
                        8 => Act::Thread(random.next() % 3),
                        9 => Act::Timeout(random.next() % 4, random.next() % 4),
                        10 => Act::Isolate(naps(random), random.one_in(2)),
                        11 if failing && random.one_in(2) => Act::Fail,
                        12 if failing && random.one_in(2) => [Act::Panic, Act::ThreadFails][random.below(2)].clone(),
                        11 | 12 => Act::Yield,
                        13 => Act::Pool(random.next() % 3),
                        14 => Act::Abandon(OWNERS[random.below(OWNERS.len())], random.next() % 4),
                        15 => Act::AbandonThread(random.next() % 4),
                        16 => Act::Receive(random.next() % 4, random.next() % 3),
                        17 => Act::Moved(random.below(RESOURCES), [0, 1, 2, 50][random.below(4)], random.one_in(2)),
                        18 => Act::Keep(random.below(5)),
                        19..=21 => Act::Await(behind(random)),
                        22 => Act::AwaitInside(behind(random)),
                        23..=27 => Act::Gather(some(random)),
                        28..=32 => Act::Spawn(behind(random)),
                        _ => Act::Completed(some(random)),
                    }
                });
                let acts = acts.collect();
                let manners = match random.below(14) {
                    5 if rude && may_leak => Manners::DropPanics,
                    1 if rude => Manners::AnswersOk,
                    2 if rude => Manners::AnswersError,
                    3 if rude => Manners::Panics,
                    4 if rude => Manners::AwaitsAgain,
                    _ => Manners::Proper,
                };
                Plan { acts, manners }
            })
            .collect();
        Program {
            plans,
            group: [Group::Auto, Group::Never, Group::Always][random.below(3)],
            shuffle: random.one_in(2).then(|| random.next()),
            virtual_time: random.one_in(2),
            grace: random.one_in(4),
            stop: random.one_in(6).then(|| random.next() % 50),
            stop_after: random.one_in(8).then(|| random.next() % 3_000),
        }
    }

    /// What coroutine `n` returns: a number that depends on all that it awaits.
    pub(super) fn value(&self, n: usize, known: &mut Vec<Option<u64>>) -> u64 {
        if let Some(value) = known[n] {
            return value;
        }
        let mut value = n as u64;
        for act in &self.plans[n].acts {
            let mut add = |n: &usize| value = value.wrapping_mul(31).wrapping_add(self.value(*n, known));
            match act {
                Act::Await(other) | Act::AwaitInside(other) => add(other),
                Act::Gather(others) => others.iter().for_each(add),
                // In any order.
                Act::Completed(others) => {
                    let sum = others.iter().fold(0_u64, |sum, n| sum.wrapping_add(self.value(*n, known)));
                    value = value.wrapping_mul(31).wrapping_add(sum);
                }
                _ => {}
            }
        }
        known[n] = Some(value);
        value
    }

    /// Those that coroutine 0 reaches: in a run without failures all of them run.
    pub(super) fn reached(&self) -> Vec<bool> {
        let mut reached = vec![false; self.plans.len()];
        reached[0] = true;
        // Nearly all coroutines reach only those after them.
        let mut before = Vec::new();
        while before != reached {
            before = reached.clone();
            for (_, act) in self.acts(&before) {
                match act {
                    Act::Await(other) | Act::AwaitInside(other) | Act::AwaitBack(other, _) | Act::Spawn(other) => {
                        reached[*other] = true;
                    }
                    Act::Gather(others) | Act::Completed(others) => {
                        others.iter().for_each(|other| reached[*other] = true);
                    }
                    _ => {}
                }
            }
        }
        reached
    }

    pub(super) fn acts(&self, reached: &[bool]) -> impl Iterator<Item = (usize, &Act)> {
        let reached = reached.to_vec();
        let plans = self.plans.iter().enumerate().filter(move |(n, _)| reached[*n]);
        plans.flat_map(|(n, plan)| plan.acts.iter().map(move |act| (n, act)))
    }

    pub(super) fn stuck(&self, reached: &[bool]) -> Stuck {
        // Which coroutine waits for which, also through others, in the end.
        let count = self.plans.len();
        let mut waits = vec![vec![false; count]; count];
        for (n, act) in self.acts(reached) {
            match act {
                Act::Await(other) | Act::AwaitInside(other) | Act::AwaitBack(other, _) => waits[n][*other] = true,
                Act::Gather(others) | Act::Completed(others) => others.iter().for_each(|other| waits[n][*other] = true),
                _ => {}
            }
        }
        for through in 0..count {
            for from in 0..count {
                if waits[from][through] {
                    let further = waits[through].clone();
                    waits[from].iter_mut().zip(further).for_each(|(waits, further)| *waits |= further);
                }
            }
        }
        let twice = |(_, act): (usize, &Act)| matches!(act, Act::Locks(first, second, _) if first == second);
        let two = |(_, act): (usize, &Act)| matches!(act, Act::Locks(..));
        if (0..count).any(|n| waits[n][n]) || self.acts(reached).any(twice) {
            Stuck::Must
        } else if self.acts(reached).any(two) {
            Stuck::May
        } else {
            Stuck::Never
        }
    }

    /// Whether the loop decides all that happens in it, so that it is the same each time.
    pub(super) fn is_determined(&self, reached: &[bool]) -> bool {
        let threads =
            |act: &Act| matches!(act, Act::Thread(_) | Act::ThreadFails | Act::Pool(_) | Act::AbandonThread(_));
        let stopped = self.stop.is_some() || self.stop_after.is_some();
        self.virtual_time && !stopped && !self.acts(reached).any(|(_, act)| threads(act))
    }

    pub(super) fn fails(&self, reached: &[bool]) -> bool {
        let fatal = |act: &Act| matches!(act, Act::Fail | Act::Panic | Act::ThreadFails);
        self.plans.iter().zip(reached).any(|(plan, reached)| *reached && plan.acts.iter().any(fatal))
    }
}
