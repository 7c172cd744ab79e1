//! Cancels one coroutine alone: its time is up, or its last handle was dropped.

use crate::executor::cancel::went_on;
use crate::executor::{Delivery, Executor, warn};
use crate::failure::crash::{Failure, FailureKind};
use crate::failure::type_name;
use crate::observe::Observer;
use crate::task::{Reason, Step, TypeName, WakeToken, flag};

impl Executor {
    /// Queues a coroutine of this loop for cancellation, because this coroutine dropped its last handle.
    pub(crate) fn cancel_later(&self, wake_token: WakeToken, by: Option<TypeName>) {
        self.cancellation.abandoned.borrow_mut().push_back((wake_token, by));
        self.ready.make_detour();
    }

    /// Cancels the coroutines whose last handle was dropped, and those that only they awaited.
    pub(super) fn cancel_abandoned(&self) {
        while !self.failed() {
            let next = self.cancellation.abandoned.borrow_mut().pop_front();
            let Some((wake_token, by)) = next else { break };
            // A stale wake token may name another task by now.
            if self.slots.with(wake_token, |task| task.is_abandoned()) == Some(true) {
                self.cancel_one(wake_token, Reason::Dropped(by));
            }
        }
        self.ready.end_detour();
    }

    /// Cancels one coroutine alone: its time is up, or its last handle was dropped. It gets `CancelledError` at its
    /// await point and ends; a function on a thread is asked to stop, and its coroutine stays in the table until it has
    /// ended. An output that it ends with is kept for its handles.
    pub(crate) fn cancel_one(&self, coro: WakeToken, reason: Reason) {
        let Some(mut task) = self.slots.run(coro) else { return };
        if !task.is_alive() || task.has(flag::CANCEL_DELIVERED) {
            return;
        }
        if !task.has(flag::STARTED) {
            if let Err(payload) = task.discard() {
                self.fail(Failure::of_panic(self, &task, payload));
            }
            return self.end(&self.rec, &task, Some(FailureKind::NeverStarted));
        }
        self.rec.cancel_deliver(&task);
        self.wake_foreign(Some(task.wake_token()));
        let before = self.cancellation.delivery.replace(Delivery { reason: Some(reason), ..Delivery::default() });
        let step = self.poll_alone(&mut task);
        let delivery = self.cancellation.delivery.replace(before);
        let kind = match step {
            // The function on the thread ends by itself.
            Step::Pending if task.has(flag::THREAD) => return task.set(flag::CANCEL_DELIVERED),
            Step::Pending if delivery.answered => {
                let answer = went_on(delivery.again_at, task.place());
                warn(&format!(
                    "{} did not end when it was cancelled ({reason}): {answer}",
                    type_name::path(task.type_name())
                ));
                Some(FailureKind::Improper)
            }
            Step::Done => None,
            Step::Pending => Some(FailureKind::Cancelled),
            Step::Failed(fault) if fault.cancellation().is_some() => Some(FailureKind::Cancelled),
            Step::Failed(fault) => return self.fail(Failure::of_error(self, &task, fault)),
            Step::Panicked(payload) => return self.fail(Failure::of_panic(self, &task, payload)),
        };
        // What is left of it is dropped here, where a panic is caught.
        if (kind.is_some() || task.is_abandoned())
            && let Err(payload) = task.discard()
        {
            return self.fail(Failure::of_panic(self, &task, payload));
        }
        self.end(&self.rec, &task, kind);
    }
}
