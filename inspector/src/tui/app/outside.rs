//! Where the frames of the selected coroutine come from: the program, or its memory while it is stuck.

use super::state::{Outside, PageKind};
use super::{App, Status};
use crate::event::{CoroId, Stack};
use crate::model::{Activity, Coro};

/// How often the stack of a running coroutine is read again: its values change while it runs.
const AGAIN: u64 = 1_000_000_000;

impl App {
    /// Returns the coroutine to request frames of from the program: the selected one, unless its frames are as new as
    /// its last step.
    pub fn wants_frames(&self) -> Option<CoroId> {
        if let Some(coro) = self.wants_values() {
            return Some(coro);
        }
        self.without_frames().filter(|coro| coro.activity.is_waiting()).map(|coro| coro.id)
    }

    /// Returns the coroutine to show the values of, until the program has sent them in full.
    pub fn wants_values(&self) -> Option<CoroId> {
        let Some(PageKind::Values(id)) = self.pages.last().map(|page| &page.what) else { return None };
        let coro = self.model().coro(*id).filter(|coro| coro.is_live() && coro.activity.is_waiting())?;
        let told = coro.stack.as_ref().is_some_and(|(at, _)| *at >= coro.since && *at > self.values_since);
        (self.is_live() && self.status == Status::Live && !told).then_some(*id)
    }

    /// Opens the page of a coroutine's variables, or closes it.
    pub(super) fn show_values(&mut self, id: CoroId) {
        self.values_since = self.tape.latest().now();
        self.toggle(PageKind::Values(id));
    }

    /// Returns the coroutine to read frames of from outside: the selected one, while a step blocks the loop, or if the
    /// program did not answer.
    pub fn wants_frames_from_outside(&self, in_vain: bool) -> Option<CoroId> {
        let coro = self.without_frames().filter(|_| in_vain || self.blocked().is_some())?;
        let again = coro.activity == Activity::Running;
        let known = self.outside(coro.id).is_some_and(|known| !again || self.now().saturating_sub(known.at) < AGAIN);
        (!known).then_some(coro.id)
    }

    fn without_frames(&self) -> Option<&Coro> {
        if !self.is_live() || self.status != Status::Live {
            return None;
        }
        let coro = self.selected_coro().filter(|coro| coro.is_live())?;
        let known = coro.stack.as_ref().is_some_and(|(at, _)| *at >= coro.since);
        (!known).then_some(coro)
    }

    /// They were read, or cannot be.
    pub fn take_frames_from_outside(&mut self, coro: CoroId, stack: Result<Stack, String>) {
        self.outside = Some(Outside { coro, at: self.now(), events: self.tape.len(), stack });
        self.dirty = true;
    }

    /// Returns the result of reading a coroutine's stack from outside, as long as it is current.
    pub(in crate::tui) fn outside(&self, coro: CoroId) -> Option<&Outside> {
        let read = self.outside.as_ref().filter(|read| read.coro == coro && read.events == self.tape.len());
        read.filter(|_| self.is_live() && self.status == Status::Live)
    }
}
