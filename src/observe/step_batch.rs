//! Writes what nearly every step consists of in one record: see [`Step`].

use std::panic::Location;

use tinyio_events::event::{Outcome, SiteId, Target, Waker};
use tinyio_recorder::recorder::{NO_SLOT, Recorder, Step};

/// A recorder, and the part of the current step that is not recorded yet: if its end, the coroutine that it wakes and
/// the coroutine that runs next follow directly, they are recorded with it. Other events are recorded after it.
pub(super) struct Steps {
    recorder: Recorder,
    /// The step of the coroutine that began to run last, in the innermost loop.
    step: Step,
    /// When it began, or ended.
    at: u64,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Everything is recorded.
    Nothing,
    /// The coroutine waits for its next step, or has woken itself, and most likely returns `Pending` next.
    Within,
    /// It has returned, pending or ended.
    Over,
}

impl Steps {
    pub(super) fn new(recorder: Recorder) -> Steps {
        Steps { recorder, step: Step::default(), at: 0, stage: Stage::Nothing }
    }

    /// The recorder, for events that are no part of a step.
    #[inline(always)]
    pub(super) fn recorder(&mut self) -> &mut Recorder {
        if self.stage != Stage::Nothing {
            self.flush();
        }
        &mut self.recorder
    }

    /// The recorder, for queries.
    pub(super) fn look(&self) -> &Recorder {
        &self.recorder
    }

    /// Nanoseconds since the recording started.
    #[inline(always)]
    pub(super) fn now(&mut self) -> u64 {
        self.recorder.now()
    }

    #[inline(never)]
    fn flush(&mut self) {
        let Step { coro, slot, on, on_slot, site, has, .. } = self.step;
        if self.stage == Stage::Over {
            self.recorder.step(self.at, &self.step);
        } else {
            if has & Step::TURN != 0 {
                self.recorder.wait(self.at, slot, coro, Target::Turn, NO_SLOT, site);
            }
            if has & Step::ON != 0 {
                self.recorder.wait(self.at, slot, coro, Target::Coro(on), on_slot, site);
            }
            if has & Step::OWN != 0 {
                self.recorder.wake(self.at, slot, coro, Waker::Own);
            }
        }
        self.begun(slot, coro);
    }

    /// Records what is pending.
    #[inline(always)]
    fn begun(&mut self, slot: u32, coro: u64) {
        self.step = Step { coro, slot, ..Step::default() };
        self.stage = Stage::Nothing;
    }

    /// The number of a place. A new one is recorded at once, before the current step, which may be the first to use it.
    #[inline(always)]
    pub(super) fn site(&mut self, place: &'static Location<'static>) -> SiteId {
        self.recorder.site(place)
    }

    /// Records that the running coroutine waits for its next step.
    #[inline(always)]
    pub(super) fn turn(&mut self, at: u64, slot: impl Fn() -> u32, coro: u64, site: SiteId) {
        if self.step.coro == coro {
            self.within(at, Step { has: Step::TURN, site, ..Step::default() });
        } else {
            self.wait_alone(at, slot(), coro, Target::Turn, NO_SLOT, site);
        }
    }

    /// Records that the running coroutine waits for another.
    #[inline(always)]
    pub(super) fn wait_for(&mut self, at: u64, slot: impl Fn() -> u32, coro: u64, on: u64, on_slot: u32, site: SiteId) {
        if self.step.coro == coro && Step::reaches(coro, on) {
            self.within(at, Step { has: Step::ON, on, on_slot, site, ..Step::default() });
        } else {
            self.wait_alone(at, slot(), coro, Target::Coro(on), on_slot, site);
        }
    }

    /// It may wait for several.
    #[inline(always)]
    fn within(&mut self, at: u64, Step { has, on, on_slot, site, .. }: Step) {
        self.recorder();
        let step = &mut self.step;
        (step.has, step.on, step.on_slot, step.site) = (has, on, on_slot, site);
        (self.at, self.stage) = (at, Stage::Within);
    }

    #[inline(never)]
    fn wait_alone(&mut self, at: u64, slot: u32, coro: u64, on: Target, on_slot: u32, site: SiteId) {
        self.recorder().wait(at, slot, coro, on, on_slot, site);
    }

    #[inline(always)]
    pub(super) fn wake(&mut self, at: u64, slot: impl Fn() -> u32, coro: u64, by: Waker) {
        let step = &mut self.step;
        match by {
            Waker::Own if step.coro == coro && self.stage != Stage::Over && step.has & Step::OWN == 0 => {
                step.has |= Step::OWN;
                (self.at, self.stage) = (at, Stage::Within);
            }
            Waker::Coro(ended) if self.stage == Stage::Over && step.has & Step::END != 0 && step.next == 0 => {
                if step.coro == ended {
                    (step.next, step.next_slot) = (coro, slot());
                    step.has |= Step::WAKES;
                } else {
                    self.wake_alone(at, slot(), coro, by);
                }
            }
            _ => self.wake_alone(at, slot(), coro, by),
        }
    }

    #[inline(never)]
    fn wake_alone(&mut self, at: u64, slot: u32, coro: u64, by: Waker) {
        self.recorder().wake(at, slot, coro, by);
    }

    #[inline(always)]
    pub(super) fn step_begin(&mut self, at: u64, slot: u32, coro: u64) {
        let step = &mut self.step;
        if self.stage == Stage::Over && (step.next == 0 || step.next == coro) {
            (step.next, step.next_slot) = (coro, slot);
            step.has |= Step::BEGINS;
            self.recorder.step(self.at, step);
        } else {
            self.begin_alone(at, slot, coro);
        }
        self.begun(slot, coro);
    }

    #[inline(never)]
    fn begin_alone(&mut self, at: u64, slot: u32, coro: u64) {
        self.recorder().step_begin(at, slot, coro);
    }

    #[inline(always)]
    pub(super) fn step_end(&mut self, at: u64, slot: impl Fn() -> u32, coro: u64) {
        if self.stage == Stage::Over || self.step.coro != coro {
            self.recorder();
            self.begun(slot(), coro);
        }
        (self.at, self.stage) = (at, Stage::Over);
    }

    /// The slot of this coroutine, if it is known from the current step.
    #[inline(always)]
    pub(super) fn slot(&self, coro: u64) -> Option<u32> {
        let Step { next, next_slot, slot, .. } = self.step;
        if self.step.coro == coro { Some(slot) } else { (next == coro).then_some(next_slot) }
    }

    #[inline(always)]
    pub(super) fn end(&mut self, at: u64, slot: u32, coro: u64, outcome: Outcome) {
        let step = &mut self.step;
        if self.stage == Stage::Over && step.coro == coro && step.has & Step::END == 0 && step.next == 0 {
            step.outcome = Step::outcome_of(outcome);
            step.has |= Step::END;
        } else {
            self.end_alone(at, slot, coro, outcome);
        }
    }

    #[inline(never)]
    fn end_alone(&mut self, at: u64, slot: u32, coro: u64, outcome: Outcome) {
        self.recorder().end(at, slot, coro, outcome);
    }
}
