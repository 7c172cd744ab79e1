//! Requests of other threads to a recording: readers ask for the frames of a coroutine, guards are dropped, lines are
//! printed. Loops check for them between two steps; loops that sleep, or wait for their host, are woken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinyio_events::event::Kind;
use tinyio_events::threads;
use tinyio_recorder::recorder::Recorder;

use super::notes::{Mailbox, ThreadNote};

/// The most events of other threads that wait for a loop to record them. Further ones are only counted.
const MAX_EVENTS: usize = 4096;

/// Access to a recording from any thread.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The running loops of the recording, the innermost last.
    loops: Vec<Arc<dyn Mailbox>>,
    /// Events to be recorded by the thread of the recording.
    sent: Vec<Kind>,
    /// The number of events that were not kept.
    lost: u64,
}

impl Asked {
    /// Starts the thread that waits for requests of readers, which ends with the recording. Best effort: without it a
    /// loop answers when it wakes by itself.
    pub(super) fn watch(recorder: &Recorder) -> Asked {
        let asked = Asked::default();
        if let Ok(mut requests) = recorder.requests() {
            let asked = asked.clone();
            let wait = move || {
                while requests.wait() {
                    asked.wake();
                }
            };
            let _ = threads::spawn("tinyio asked", threads::SMALL, wait);
        }
        asked
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn loop_start(&self, mailbox: Arc<dyn Mailbox>) {
        self.state().loops.push(mailbox);
    }

    pub(super) fn loop_end(&self, mailbox: &Arc<dyn Mailbox>) {
        self.state().loops.retain(|one| !Arc::ptr_eq(one, mailbox));
    }

    /// Has the loops check for requests.
    pub(super) fn wake(&self) {
        // Not under the lock: the waker of a host may run any code.
        let loops = self.state().loops.clone();
        for mailbox in loops {
            mailbox.post_notes(&mut |notes| notes.push(ThreadNote::Look));
        }
    }

    /// Whether it is of the same recording.
    pub(super) fn is(&self, other: &Asked) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Has an event recorded by the thread of the recording: when one of its loops checks, or the next one starts.
    pub(super) fn send(&self, kind: Kind) {
        let mut state = self.state();
        if state.sent.len() < MAX_EVENTS {
            state.sent.push(kind);
        } else {
            state.lost += 1;
        }
        drop(state);
        self.wake();
    }

    /// Takes what was sent since the last call.
    pub(super) fn take(&self) -> Vec<Kind> {
        let mut state = self.state();
        let mut sent = std::mem::take(&mut state.sent);
        match std::mem::take(&mut state.lost) {
            0 => {}
            events => sent.push(Kind::Lost { events, why: "dropped".to_owned() }),
        }
        sent
    }
}
