//! One coroutine, as known from the events.

use std::collections::VecDeque;
use std::sync::Arc;

use tinyio_events::event::{
    CoroId, LoopId, NameId, Outcome, ResId, ResKind, SiteId, Stack, State, Target, ThreadId, Waker,
};

use super::links::Links;
#[cfg(feature = "analysis")]
use super::times::Times;

/// Number of past moments that are kept per coroutine.
pub const HISTORY: usize = 24;

/// One coroutine.
#[derive(Clone, Debug, PartialEq)]
pub struct Coro {
    /// Its number.
    pub id: CoroId,
    /// The name of its function or type.
    pub name: NameId,
    /// The name that the program gave it, 0 for none.
    pub given_name: NameId,
    /// Its loop.
    pub in_loop: LoopId,
    /// The worker that its steps run in, 0 for none: then they run in its loop, or it has not run.
    pub worker: LoopId,
    /// The coroutine that scheduled it, 0 for the loop itself.
    pub parent: CoroId,
    /// The node above it in the tree: its parent, or if that ended, the nearest live ancestor; 0 for the loop.
    pub(super) under: CoroId,
    /// Where it was made.
    pub site: SiteId,
    /// When it was scheduled for the first time.
    pub spawned: u64,
    /// What it does now.
    pub activity: Activity,
    /// Since when.
    pub since: u64,
    /// When it was woken, while it is ready.
    pub ready_since: Option<u64>,
    /// The coroutines it waits on.
    pub on_coros: Links<Edge>,
    /// Everything else it waits on.
    pub on_others: Vec<(Target, Edge)>,
    /// The coroutines that wait on it.
    pub waiters: Links<()>,
    /// The resources it holds: one entry per permit.
    pub holds: Vec<ResId>,
    /// The thread it represents, 0 for none.
    pub thread: ThreadId,
    /// How and when it ended.
    pub ended: Option<(u64, Outcome)>,
    /// The time and source of its last wake.
    pub woken_by: Option<(u64, Waker)>,
    /// Steps begun.
    pub steps: u64,
    /// Nanoseconds spent in steps that have ended, without time that was not its own
    /// ([`Kind::Away`](tinyio_events::event::Kind::Away)).
    pub busy: u64,
    /// The longest step, in nanoseconds, without time that was not its own.
    pub longest: u64,
    /// Steps of [`LONG_STEP`](tinyio_events::event::LONG_STEP) or longer.
    pub long_steps: u32,
    /// The most time that its loop spent in steps of others while it was ready, in nanoseconds.
    pub longest_ready: u64,
    /// The time that its loop had spent in steps when it became ready.
    pub(super) ready_at: u64,
    /// Since when no coroutine waits on it, if one did before.
    pub left: Option<u64>,
    /// Number of consecutive steps after which it waited on exactly the same targets as before.
    pub fruitless: u32,
    /// The targets it waited on when its cancellation was delivered.
    pub at_cancel: Option<Box<Vec<(Target, Edge)>>>,
    /// Its recorded fields, in order of their first recording.
    pub fields: Vec<(String, String)>,
    /// Its await stack, and when it was read.
    pub stack: Option<(u64, Arc<Stack>)>,
    /// What happened to it, oldest first, at most [`HISTORY`].
    pub history: VecDeque<Past>,
    pub(super) state: State,
    /// Since when it is ready or running, and how often events had been lost by then.
    pub(super) entered: (u64, u32),
    /// Its step times and scheduling delays, once there are any.
    #[cfg(feature = "analysis")]
    pub(super) times: Option<Box<Times>>,
    /// Fingerprint of what it waited on at the end of its last step.
    pub(super) waited_on: u64,
}

/// What a coroutine does: the finest distinction that fits into one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Activity {
    /// It is being polled.
    Running,
    /// It is in the queue.
    Ready,
    /// It waits on another coroutine.
    OnCoro,
    /// It waits on a lock, semaphore or barrier.
    OnLock,
    /// It waits on an event.
    OnEvent,
    /// It waits on a function on a thread.
    OnThread,
    /// A loop runs inside it.
    OnLoop,
    /// It waits on a timer alone.
    Sleeping,
    /// It waits on a future that tinyio does not know.
    External,
    /// It ended with a value, or nothing is known of how.
    Done,
    /// It ended with an error or a panic.
    Failed,
    /// It was cancelled, or never started.
    Cancelled,
    /// It did not answer its cancellation properly.
    Improper,
}

impl Activity {
    /// All activities, in order.
    pub const ALL: [Activity; 13] = [
        Activity::Running,
        Activity::Ready,
        Activity::OnCoro,
        Activity::OnLock,
        Activity::OnEvent,
        Activity::OnThread,
        Activity::OnLoop,
        Activity::Sleeping,
        Activity::External,
        Activity::Done,
        Activity::Failed,
        Activity::Cancelled,
        Activity::Improper,
    ];

    /// Returns a short description.
    pub fn words(self) -> &'static str {
        match self {
            Activity::Running => "running",
            Activity::Ready => "ready",
            Activity::OnCoro => "waiting",
            Activity::OnLock => "on locks",
            Activity::OnEvent => "on events",
            Activity::OnThread => "on threads",
            Activity::OnLoop => "on loops",
            Activity::Sleeping => "sleeping",
            Activity::External => "external",
            Activity::Done => "done",
            Activity::Failed => "failed",
            Activity::Cancelled => "cancelled",
            Activity::Improper => "improper",
        }
    }

    /// Whether this is the activity of a live coroutine.
    pub fn is_live(self) -> bool {
        self < Activity::Done
    }

    /// Whether this is the activity of a waiting coroutine.
    pub fn is_waiting(self) -> bool {
        self > Activity::Ready && self.is_live()
    }

    fn of(outcome: Outcome) -> Activity {
        match outcome {
            Outcome::Ok | Outcome::Unknown => Activity::Done,
            Outcome::Error | Outcome::Panic => Activity::Failed,
            Outcome::Cancelled | Outcome::NeverStarted => Activity::Cancelled,
            Outcome::Improper => Activity::Improper,
        }
    }
}

/// Number of coroutines per activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; Activity::ALL.len()]);

impl Counts {
    /// How many are at `activity`.
    pub fn get(&self, activity: Activity) -> u32 {
        self.0[activity as usize]
    }

    /// How many there are.
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// Those that are not zero.
    pub fn iter(&self) -> impl Iterator<Item = (Activity, u32)> + '_ {
        Activity::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    pub(super) fn add(&mut self, activity: Activity) {
        self.0[activity as usize] += 1;
    }

    pub(crate) fn sub(&mut self, activity: Activity) {
        let count = &mut self.0[activity as usize];
        *count = count.saturating_sub(1);
    }
}

/// An edge of the graph, as stored with the waiting coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Edge {
    /// The `.await` at which it waits.
    pub site: SiteId,
    /// Since when.
    pub since: u64,
}

/// One moment of a coroutine's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// When.
    pub at: u64,
    /// What.
    pub what: Moment,
}

/// What happened to a coroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It was scheduled for the first time.
    Spawned,
    /// It began to wait.
    Waits {
        /// On what.
        on: Target,
        /// Where.
        site: SiteId,
    },
    /// It began to wait on several coroutines at one place (`gather`).
    WaitsOnMany {
        /// On how many.
        count: u32,
        /// Where.
        site: SiteId,
    },
    /// It waits on this no longer.
    Cleared(Target),
    /// It was woken.
    Woken(Waker),
    /// It ran.
    Ran {
        /// How many steps, one right after the other.
        steps: u32,
        /// Nanoseconds in all.
        took: u64,
        /// The worker they ran in, 0 for none.
        worker: LoopId,
    },
    /// It acquired a lock, or one more permit.
    Took(ResId),
    /// It released it.
    Gave(ResId),
    /// Its cancellation was delivered.
    Cancelled,
    /// It ended.
    Ended(Outcome),
}

impl Coro {
    /// The loop or worker that its steps run in.
    pub fn runs_in(&self) -> LoopId {
        if self.worker == 0 { self.in_loop } else { self.worker }
    }

    /// A coroutine waits on this one no longer.
    pub(super) fn unawaited(&mut self, by: CoroId, at: u64) {
        self.waiters.remove(by);
        if self.waiters.is_empty() {
            self.left = Some(at);
        }
    }

    pub(super) fn new(id: CoroId, in_loop: LoopId, parent: CoroId, name: NameId, site: SiteId, at: u64) -> Coro {
        Coro {
            id,
            name,
            given_name: 0,
            in_loop,
            worker: 0,
            parent,
            under: 0,
            site,
            spawned: at,
            activity: Activity::Ready,
            since: at,
            ready_since: Some(at),
            on_coros: Links::None,
            on_others: Vec::new(),
            waiters: Links::None,
            holds: Vec::new(),
            thread: 0,
            ended: None,
            woken_by: None,
            steps: 0,
            busy: 0,
            longest: 0,
            long_steps: 0,
            longest_ready: 0,
            ready_at: 0,
            left: None,
            fruitless: 0,
            at_cancel: None,
            fields: Vec::new(),
            stack: None,
            history: VecDeque::new(),
            state: State::Ready,
            entered: (at, 0),
            #[cfg(feature = "analysis")]
            times: None,
            waited_on: 0,
        }
    }

    /// Its step times and scheduling delays, once there are any.
    #[cfg(feature = "analysis")]
    pub fn times(&self) -> Option<&Times> {
        self.times.as_deref()
    }

    /// Since when it is in a state; `None` if that is not known, because events were lost since then.
    #[cfg(feature = "analysis")]
    pub(super) fn entered(&self, state: State, losses: u32) -> Option<u64> {
        Some(self.entered.0).filter(|_| self.state == state && self.entered.1 == losses)
    }

    /// Whether it is live.
    pub fn is_live(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether it is ready, running or waiting; meaningless once it has ended.
    pub fn state(&self) -> State {
        self.state
    }

    /// Everything it waits on: coroutines by number, then the rest in the order it came.
    pub fn waits(&self) -> impl Iterator<Item = (Target, Edge)> + '_ {
        let coros = self.on_coros.iter().map(|(id, edge)| (Target::Coro(id), *edge));
        coros.chain(self.on_others.iter().copied())
    }

    /// Number of things it waits on.
    pub fn wait_count(&self) -> usize {
        self.on_coros.len() + self.on_others.len()
    }

    /// Nanoseconds between `at` and the beginning of what it does.
    pub fn for_how_long(&self, at: u64) -> u64 {
        at.saturating_sub(self.since)
    }

    pub(super) fn remember(&mut self, at: u64, what: Moment) {
        if let Moment::Ran { took, worker, .. } = what
            && let Some(Past { what: Moment::Ran { steps, took: before, worker: last }, .. }) = self.history.back_mut()
            && *last == worker
        {
            *steps = steps.saturating_add(1);
            *before = before.saturating_add(took);
            return;
        }
        if let (Moment::Waits { on: Target::Coro(_), site }, Some(last)) = (what, self.history.back_mut())
            && last.at == at
        {
            match &mut last.what {
                Moment::Waits { on: Target::Coro(_), site: before } if *before == site => {
                    last.what = Moment::WaitsOnMany { count: 2, site };
                    return;
                }
                Moment::WaitsOnMany { count, site: before } if *before == site => {
                    *count = count.saturating_add(1);
                    return;
                }
                _ => {}
            }
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Past { at, what });
    }

    /// Returns a number that changes when the targets it waits on change; 0 when a wait is no sign of progress: a
    /// foreign future may progress between two waits, and `yield_now` requests a turn in order to progress.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut print = self.on_coros.len() as u64 ^ self.on_coros.last().unwrap_or(0).rotate_left(32);
        for (target, _) in &self.on_others {
            let (tag, id) = match *target {
                Target::External | Target::Turn => return 0,
                Target::Coro(id) => (1, id),
                Target::Res(id) => (2, id),
                Target::Thread(id) => (3, id),
                Target::Timer(due) => (4, due),
                Target::Loop(id) => (5, u64::from(id)),
            };
            print = print.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (id << 3 | tag);
        }
        print
    }

    /// What it does, from its state and its edges. `is_event` distinguishes events from locks, semaphores and barriers.
    pub(super) fn classify(&self, kind: impl Fn(ResId) -> Option<ResKind>) -> Activity {
        if let Some((_, outcome)) = self.ended {
            return Activity::of(outcome);
        }
        match self.state {
            State::Running => return Activity::Running,
            State::Ready => return Activity::Ready,
            State::Waiting => {}
        }
        // Of several waits, the most informative one: a timer beside another wait is usually a timeout, and a foreign
        // future beside a wait of tinyio is usually the combinator that joins them.
        let rank = |target: &Target| match *target {
            Target::Thread(_) => (0, Activity::OnThread),
            Target::Res(id) => match kind(id) {
                Some(ResKind::Event) => (2, Activity::OnEvent),
                Some(ResKind::Channel) => (5, Activity::External),
                _ => (1, Activity::OnLock),
            },
            Target::Coro(_) => (3, Activity::OnCoro),
            Target::Loop(_) => (4, Activity::OnLoop),
            Target::External => (5, Activity::External),
            Target::Timer(_) => (6, Activity::Sleeping),
            Target::Turn => (7, Activity::Ready),
        };
        let best = self.on_others.iter().map(|(target, _)| rank(target)).min_by_key(|(rank, _)| *rank);
        match best {
            Some((rank, activity)) if rank < 3 || self.on_coros.is_empty() => activity,
            _ if !self.on_coros.is_empty() => Activity::OnCoro,
            _ => Activity::External,
        }
    }
}
