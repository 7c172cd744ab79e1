//! Where frames of coroutines come from: the program, or its memory while it does not answer.

use super::playback::Status;
use super::session::{RemoteStack, Session};
use crate::event::{CoroId, LoopMode, Stack};
use crate::model::{Activity, Coro, Leaf};

/// The interval, in nanoseconds, at which the stack of a running coroutine, or of one on the screen, is read again: its
/// values may change.
const AGAIN: u64 = 1_000_000_000;

/// Chains of waits are followed so far.
const LONGEST: usize = 1000;

/// Whether the frames of a coroutine are as new as its last step.
fn has_frames(coro: &Coro) -> bool {
    coro.stack.as_ref().is_some_and(|(at, _)| *at >= coro.since)
}

impl Session {
    /// The coroutine to request frames of from the program: the selected one, unless its frames are as new as its last
    /// step. Then, by the same rule, the coroutines with places on the screen. Then, once a second, the coroutine with
    /// values on the screen: they may change while it waits. Then those that wait for something that is not of tinyio,
    /// as only their frames have its name: what the selected one waits for in the end, and those that the screen shows.
    pub fn wants_frames(&self) -> Option<CoroId> {
        let selected = self.without_frames().filter(|coro| coro.activity.is_waiting()).map(|coro| coro.id);
        let places = || {
            let places = self.looked_at.places.iter().filter(|_| self.may_answer());
            let places = places.filter_map(|id| self.model().coro(*id));
            let mut waiting = places.filter(|coro| coro.is_live() && coro.activity.is_waiting());
            waiting.find(|coro| !has_frames(coro) && !self.is_observed(coro)).map(|coro| coro.id)
        };
        let again = || {
            let coro = self.looked_at.values.and_then(|id| self.model().coro(id)).filter(|_| self.may_answer())?;
            let is_old = coro.stack.as_ref().is_some_and(|(at, _)| self.now().saturating_sub(*at) >= AGAIN);
            (is_old && !self.is_observed(coro) && coro.is_live() && coro.activity.is_waiting()).then_some(coro.id)
        };
        let foreign = || {
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
        };
        selected.or_else(places).or_else(again).or_else(foreign)
    }

    /// Why the await stack of a coroutine that lives is not read again now, in a few words.
    pub fn why_old(&self, coro: &Coro) -> String {
        let model = self.model();
        match self.playback.blocked() {
            _ if !self.playback.is_live() => "it was not read later before this moment".to_owned(),
            _ if self.playback.status != Status::Live => "the program is gone".to_owned(),
            _ if self.playback.finished => "the program has ended".to_owned(),
            _ if coro.activity == Activity::Running => "it is in the middle of a step".to_owned(),
            Some((id, _)) => format!("{} blocks the loop", model.label(id)),
            None if coro.activity.is_waiting() => "the loop has not answered since".to_owned(),
            None => "it is about to run".to_owned(),
        }
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

    /// Whether it is of another runtime: such a program does not answer.
    fn is_observed(&self, coro: &Coro) -> bool {
        self.model().get_loop(coro.in_loop).is_some_and(|one| one.mode == LoopMode::Observed)
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
