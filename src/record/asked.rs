//! Readers may ask for the frames of a coroutine. Loops look between two steps; those that sleep, or wait for their host, are woken.

use std::sync::{Arc, Mutex, PoisonError};

use tinyio_inspector::recorder::Recorder;
use tinyio_inspector::threads;

use super::things::ThreadNote;
use crate::task::Inbox;

/// The loops of a recording that run, the innermost last.
type Loops = Arc<Mutex<Vec<Arc<Inbox>>>>;

/// Wakes the loops of a recording when something is asked for.
pub(super) struct Asked(Loops);

impl Asked {
    /// Starts the thread that waits for it, which ends with the recording. Best effort: without it a loop answers when it
    /// wakes up by itself.
    pub(super) fn watch(recorder: &Recorder) -> Asked {
        let loops = Loops::default();
        if let Ok(mut requests) = recorder.requests() {
            let loops = loops.clone();
            let wait = move || {
                while requests.wait() {
                    for inbox in &*loops.lock().unwrap_or_else(PoisonError::into_inner) {
                        inbox.post(|mail| mail.notes.push(ThreadNote::FramesAsked));
                    }
                }
            };
            let _ = threads::spawn("tinyio asked", threads::SMALL, wait);
        }
        Asked(loops)
    }

    pub(super) fn loop_start(&self, inbox: &Arc<Inbox>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(inbox.clone());
    }

    pub(super) fn loop_end(&self, inbox: &Arc<Inbox>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| !Arc::ptr_eq(one, inbox));
    }
}
