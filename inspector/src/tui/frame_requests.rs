//! Where frames of coroutines come from: the program, or its memory while it does not answer.

use super::session::{RemoteStack, Session};
use crate::event::{CoroId, Stack};
use crate::model::{Activity, Coro, Leaf};

/// How often the stack of a running coroutine is read again: its values change while it runs.
const AGAIN: u64 = 1_000_000_000;

/// Chains of waits are followed so far.
const LONGEST: usize = 1000;

/// Whether the frames of a coroutine are as new as its last step.
fn has_frames(coro: &Coro) -> bool {
    coro.stack.as_ref().is_some_and(|(at, _)| *at >= coro.since)
}

impl Session {
    /// The coroutine to request frames of from the program: the selected one, unless its frames are as new as its last
    /// step. Then those that wait for something that is not of tinyio, as only their frames have its name: what the
    /// selected one waits for in the end, and those that the screen shows.
    pub fn wants_frames(&self) -> Option<CoroId> {
        let selected = self.without_frames().filter(|coro| coro.activity.is_waiting()).map(|coro| coro.id);
        selected.or_else(|| {
            let end = self.selected.and_then(|id| match self.model().why_within(id, LONGEST).leaf {
                Leaf::External(id) => Some(id),
                _ => None,
            });
            let shown = end.into_iter().chain(self.drawn.iter().copied());
            shown.filter(|_| self.may_answer()).find(|id| {
                self.model().coro(*id).is_some_and(|coro| {
                    let is_foreign = coro.activity.is_waiting() && coro.waits().next().is_none();
                    is_foreign && coro.is_live() && !has_frames(coro)
                })
            })
        })
    }

    /// Whether to ask the program for the values of a coroutine in full: it has not sent any since that time.
    pub fn wants_values(&self, id: CoroId, since: u64) -> bool {
        let coro = self.model().coro(id).filter(|coro| coro.is_live() && coro.activity.is_waiting());
        let Some(coro) = coro.filter(|_| self.may_answer()) else { return false };
        coro.stack.as_ref().is_none_or(|(at, _)| *at < coro.since || *at <= since)
    }

    /// The coroutine to read frames of from outside: the selected one, while a step blocks the loop, or if the program
    /// `did_not_answer`.
    pub fn wants_remote_frames(&self, did_not_answer: bool) -> Option<CoroId> {
        let coro = self.without_frames().filter(|_| did_not_answer || self.playback.blocked().is_some())?;
        let again = coro.activity == Activity::Running;
        let known =
            self.remote_stack(coro.id).is_some_and(|known| !again || self.now().saturating_sub(known.at) < AGAIN);
        (!known).then_some(coro.id)
    }

    /// Whether the program can be asked: it is recorded and runs.
    fn may_answer(&self) -> bool {
        self.playback.is_running() && self.model().picture().is_none()
    }

    fn without_frames(&self) -> Option<&Coro> {
        let coro = self.selected_coro().filter(|coro| self.may_answer() && coro.is_live())?;
        (!has_frames(coro)).then_some(coro)
    }

    /// Keeps the stack that was read from outside, or why it cannot be read.
    pub fn take_remote_stack(&mut self, coro: CoroId, stack: Result<Stack, String>) {
        self.remote = Some(RemoteStack { coro, at: self.now(), events: self.playback.tape.len(), stack });
        self.dirty = true;
    }

    /// The result of reading a coroutine's stack from outside, as long as it is current.
    pub fn remote_stack(&self, coro: CoroId) -> Option<&RemoteStack> {
        let current = |read: &&RemoteStack| read.coro == coro && read.events == self.playback.tape.len();
        self.remote.as_ref().filter(current).filter(|_| self.playback.is_running())
    }
}
