//! What await points do in their loop.

use std::panic::Location;
use std::task::{Context, Poll};

use crate::executor::Executor;
use crate::executor::block_on_guard;
use crate::executor::context;
use crate::executor::inbox::{Loops, Registration};
use crate::failure::error::CancelledError;
use crate::observe::{Observer, Target, observe};
use crate::task::{self, Header, flag};

/// The number of await points that answer a coroutine which continues to await; after these it is dropped.
const MAX_ANSWERS: u32 = 1_000;

impl Executor {
    /// Removes what an await point registered. Returns `true` if it was there.
    pub(crate) fn unregister(&self, registration: Registration) -> bool {
        match registration {
            Registration::Timer(key) => self.timers.wheel.borrow_mut().remove(key),
            Registration::Foreign(slot) => {
                let foreign = self.foreign.wakers.borrow_mut().remove(slot);
                let was_there = foreign.is_some();
                self.contain(|| drop(foreign));
                was_there
            }
            Registration::Wait(key) => {
                let wait = self.deadlocks.waits.borrow_mut().remove(key);
                wait.is_some()
            }
            Registration::Guest(key) => self.guests.borrow_mut().remove(key).is_some(),
        }
    }

    /// Whether await points may answer with a cancellation.
    #[inline]
    pub(crate) fn answers(&self) -> bool {
        self.cancellation.delivery.get().reason.is_some()
    }

    /// The answer that an await point gives first if the coroutine is being cancelled. `fresh`: it is polled for the
    /// first time.
    #[inline]
    pub(crate) fn cancelled(&self, fresh: bool, at: &'static Location<'static>) -> Option<Poll<CancelledError>> {
        if self.answers() { self.answer(fresh, at) } else { None }
    }

    #[inline(never)]
    fn answer(&self, fresh: bool, at: &'static Location<'static>) -> Option<Poll<CancelledError>> {
        let mut delivery = self.cancellation.delivery.get();
        let reason = delivery.reason?;
        if fresh && delivery.answered && delivery.with_grace {
            return None;
        }
        if fresh && delivery.answered {
            delivery.again += 1;
            delivery.again_at.get_or_insert(at);
        }
        delivery.answered = true;
        self.cancellation.delivery.set(delivery);
        Some(if delivery.again > MAX_ANSWERS { Poll::Pending } else { Poll::Ready(CancelledError::new(reason)) })
    }

    /// Records that the running coroutine waits here for something other than a coroutine.
    #[inline]
    pub(crate) fn waits(&self, on: Target, at: &'static Location<'static>) {
        observe!(self, |observer| self.note_wait(on, at, |coro, at| observer.wait(self, coro, on, at)));
    }

    /// Records that the running coroutine waits here for its next turn.
    #[inline]
    pub(crate) fn yields(&self, at: &'static Location<'static>) {
        observe!(self, |observer| self.note_wait(Target::Turn, at, |coro, at| observer.wait_turn(coro, at)));
    }

    /// Records that the running coroutine waits here for this one.
    #[inline]
    pub(crate) fn waits_for(&self, other: &Header, at: &'static Location<'static>) {
        let on = Target::Coro(other.id());
        observe!(self, |observer| self.note_wait(on, at, |coro, at| observer.wait_for(self, coro, other, at)));
    }

    /// Has the running coroutine wait here for this one in the most common way: for one of the same loop that has not
    /// ended, by its own waker, as the only waiter, unobserved. `false`: not in that way, and nothing was done.
    #[inline(always)]
    pub(crate) fn waits_simply(&self, other: &Header, cx: &Context<'_>, at: &'static Location<'static>) -> bool {
        self.current_task.with(|coro| {
            let Some(coro) = coro else { return false };
            let here = coro.wake_token();
            let is_simple = other.is_alive_in(self.tag())
                && task::wake_token::<Loops>(cx.waker()) == Some(here)
                && !coro.has(flag::INTERNAL | flag::BLOCKED)
                && !self.rec.is_observed()
                && other.add_only_waiter(here);
            if is_simple {
                coro.set_place(at);
                self.deadlocks.cycle_check_pending.set(true);
            }
            is_simple
        })
    }

    /// Stores where the running coroutine waits, and emits the event to the recorder.
    #[inline(always)]
    fn note_wait(
        &self,
        on: Target,
        mut at: &'static Location<'static>,
        record: impl FnOnce(&Header, &'static Location<'static>),
    ) {
        self.current_task.with(|coro| {
            if let Some(coro) = coro {
                if coro.has(flag::INTERNAL | flag::BLOCKED) {
                    at = unusual_place(coro, on);
                }
                coro.set_place(at);
                match on {
                    Target::Timer(_) | Target::Thread(_) => coro.set(flag::EXTERNAL_WAKE),
                    _ => {}
                }
                record(coro, at);
            }
        });
    }

    /// Records that the running coroutine waits for one of the loop of this tag.
    #[cold]
    pub(crate) fn waits_for_loop(&self, tag: u32) {
        let above = context::find_tag(tag, |executor| executor.is_some());
        if above {
            self.suspect();
        }
        self.current_task
            .with(|coro| coro.map(|coro| coro.set(if above { flag::OUTER_LOOP } else { flag::EXTERNAL_WAKE })));
    }

    /// Records that the running coroutine no longer waits for this, and was not woken by it.
    #[inline]
    pub(crate) fn edge_cleared(&self, on: Target) {
        self.current_task.with(|coro| coro.inspect(|coro| self.rec.clear(coro, on)).is_some());
    }
}

/// The place of a wait of one of tinyio's own futures, or of a coroutine in which an executor blocks the thread.
#[inline(never)]
fn unusual_place(coro: &Header, on: Target) -> &'static Location<'static> {
    // The place of the awaited task is more precise.
    let at = coro.place();
    if coro.has(flag::BLOCKED) {
        block_on_guard::warn_of_block(coro, on, at);
    }
    at
}
