//! Requests of other threads to a recording: readers ask for the frames of a coroutine, guards are dropped, lines are
//! printed. Loops check for them between two steps; loops that sleep, or wait for their host, are woken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tinyio_inspector::event::Kind;
use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::threads;

use super::recording::RECORDING;
use super::resources::ThreadNote;
use crate::executor::inbox::Inbox;

/// The most events of other threads that wait for a loop to record them. Further ones are only counted.
const PATIENCE: usize = 4096;

/// Access to a recording from any thread.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The running loops of the recording, the innermost last.
    loops: Vec<Arc<Inbox>>,
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

    pub(super) fn loop_start(&self, inbox: &Arc<Inbox>) {
        self.state().loops.push(inbox.clone());
    }

    pub(super) fn loop_end(&self, inbox: &Arc<Inbox>) {
        self.state().loops.retain(|one| !Arc::ptr_eq(one, inbox));
    }

    /// Has the loops check for requests.
    pub(super) fn wake(&self) {
        // Not under the lock: the waker of a host may run any code.
        let loops = self.state().loops.clone();
        for inbox in loops {
            inbox.post(|mail| mail.notes.push(ThreadNote::Look));
        }
    }

    /// Records an event: at once on the thread of the recording, otherwise when one of its loops checks, or the next
    /// one starts.
    pub(super) fn send(&self, kind: Kind) {
        let own = RECORDING.try_with(|recording| {
            let recording = recording.borrow();
            recording.as_ref().filter(|recording| Arc::ptr_eq(&recording.asked.0, &self.0)).cloned()
        });
        if let Ok(Some(recording)) = own {
            return recording.emit(kind);
        }
        let mut state = self.state();
        if state.sent.len() < PATIENCE {
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
