//! What reaches a loop from outside: its inbox, timers, and the end of a sleep.

use std::time::Duration;

use crate::executor::Executor;
use crate::failure::crash::Failure;
use crate::observe::{Observer, WakeCause};
use crate::threading;

/// An inbox buffer is reused if it has capacity for at most this many entries.
const MAIL_KEPT: usize = 1_024;

impl Executor {
    /// Ends the watch for executors that block a step, reads the inbox, fires the timers that are due, and cancels
    /// coroutines whose last handle was dropped.
    pub(crate) fn drain_sources(&self) {
        self.end_watch();
        self.read_inbox();
        self.fire_timers();
        self.cancel_abandoned();
    }

    pub(crate) fn read_inbox(&self) {
        if !self.inbox.has_mail() {
            return;
        }
        let mut mail = self.inbox.take(self.spare_mail.take());
        for note in mail.notes.drain(..) {
            if let Some((wake_token, by)) = self.rec.note(note) {
                self.rec.wakes(by);
                self.wake(wake_token);
            }
        }
        for registration in mail.unregister.drain(..) {
            self.unregister(registration);
        }
        self.rec.wakes(WakeCause::External);
        for wake_token in mail.wake_tokens.drain(..) {
            self.wake(wake_token);
        }
        mail.abandoned.drain(..).for_each(|(wake_token, by)| self.cancel_later(wake_token, by));
        if let Some(stop) = mail.cancel.take() {
            self.fail(Failure::of_stop(stop));
        }
        if mail.wake_tokens.capacity() <= MAIL_KEPT {
            self.spare_mail.set(mail);
        }
    }

    /// Sleeps until `until` or until there is mail.
    pub(crate) fn park(&self, until: Option<u64>) {
        if until.is_some_and(|until| self.skip_to(until)) {
            return;
        }
        let has_mail = || self.inbox.has_mail();
        let wait = || {
            self.rec.park(self, until);
            while !has_mail() {
                match until.map(|until| until.saturating_sub(self.now())) {
                    Some(0) => break,
                    Some(left) => threading::park_timeout(Duration::from_nanos(left)),
                    None => threading::park(),
                }
            }
            self.rec.unpark();
        };
        if let Err(error) = self.jobs.wait(&has_mail, wait) {
            let text =
                format!("no thread for `run_in_thread`: all wait for others, and one more cannot be started: {error}");
            self.fail(Failure::of_loop(text.into(), Vec::new()));
        }
    }

    /// Fails if the awaited functions run in another process: this one was forked meanwhile.
    pub(crate) fn check_process(&self) {
        if self.jobs.are_lost() {
            let text = "the process was forked while functions ran on threads, which only the parent has: they never return here. \
                        Fork before the loop runs, or while no thread is at work";
            self.fail(Failure::of_loop(text.into(), Vec::new()));
        }
    }

    /// Records everything that threads have logged until now.
    pub(crate) fn read_notes(&self) {
        if self.rec.is_on() {
            for note in self.inbox.take_notes() {
                self.rec.note(note);
            }
        }
    }
}
