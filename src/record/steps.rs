//! What nearly every step consists of, in one record: see [`Step`].

use std::panic::Location;

use tinyio_inspector::event::{Outcome, SiteId, Target, Waker};
use tinyio_inspector::recorder::{NO_SLOT, Recorder, Step};

/// A recorder, and the part of the step at hand that is not recorded yet: what comes at once, its end, whom that wakes, and who is next to
/// run, goes with it. Whatever else happens comes after it.
pub(super) struct Steps {
    recorder: Recorder,
    /// Of the coroutine that began to run last, in the innermost loop.
    step: Step,
    /// When: it began, or ended.
    at: u64,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// All is recorded.
    Nothing,
    /// The coroutine waits for its turn, or has woken itself, and most likely gives way now.
    Within,
    /// It has given way, or ended.
    Over,
}

impl Steps {
    pub(super) fn new(recorder: Recorder) -> Steps {
        Steps { recorder, step: Step::default(), at: 0, stage: Stage::Nothing }
    }

    /// The recorder, for what is no part of a step.
    #[inline(always)]
    pub(super) fn recorder(&mut self) -> &mut Recorder {
        if self.stage != Stage::Nothing {
            self.flush();
        }
        &mut self.recorder
    }

    /// The recorder, to be asked something.
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

    /// Nothing is left to be recorded of what came before.
    #[inline(always)]
    fn begun(&mut self, slot: u32, coro: u64) {
        self.step = Step { coro, slot, ..Step::default() };
        self.stage = Stage::Nothing;
    }

    /// The number of a place. One that is new is recorded at once: before the step at hand, which may be the first to be there.
    #[inline(always)]
    pub(super) fn site(&mut self, place: &'static Location<'static>) -> SiteId {
        self.recorder.site(place)
    }

    /// The running coroutine waits for its turn, or on another.
    #[inline(always)]
    pub(super) fn wait(&mut self, at: u64, slot: impl Fn() -> u32, coro: u64, on: Target, on_slot: u32, site: SiteId) {
        let (has, other) = match on {
            Target::Turn => (Step::TURN, 0),
            Target::Coro(other) if Step::reaches(coro, other) => (Step::ON, other),
            _ => (0, 0),
        };
        if has != 0 && self.step.coro == coro {
            // It may wait on several.
            self.recorder();
            let step = &mut self.step;
            (step.has, step.on, step.on_slot, step.site) = (has, other, on_slot, site);
            (self.at, self.stage) = (at, Stage::Within);
        } else {
            self.recorder().wait(at, slot(), coro, on, on_slot, site);
        }
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
                    self.recorder().wake(at, slot(), coro, by);
                }
            }
            _ => self.recorder().wake(at, slot(), coro, by),
        }
    }

    #[inline(always)]
    pub(super) fn step_begin(&mut self, at: u64, slot: u32, coro: u64) {
        let step = &mut self.step;
        if self.stage == Stage::Over && (step.next == 0 || step.next == coro) {
            (step.next, step.next_slot) = (coro, slot);
            step.has |= Step::BEGINS;
            self.recorder.step(self.at, step);
        } else {
            self.recorder().step_begin(at, slot, coro);
        }
        self.begun(slot, coro);
    }

    #[inline(always)]
    pub(super) fn step_end(&mut self, at: u64, slot: impl Fn() -> u32, coro: u64) {
        if self.stage == Stage::Over || self.step.coro != coro {
            self.recorder();
            self.begun(slot(), coro);
        }
        (self.at, self.stage) = (at, Stage::Over);
    }

    #[inline(always)]
    pub(super) fn end(&mut self, at: u64, slot: u32, coro: u64, outcome: Outcome) {
        let step = &mut self.step;
        if self.stage == Stage::Over && step.coro == coro && step.has & Step::END == 0 && step.next == 0 {
            step.outcome = Step::outcome_of(outcome);
            step.has |= Step::END;
        } else {
            self.recorder().end(at, slot, coro, outcome);
        }
    }
}
