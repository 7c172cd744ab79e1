//! Pictures of a program that is not recorded: the present one, how it differs from the one before, and what was proved
//! in it.

use std::sync::Arc;

use tinyio_events::event::{CoroId, Stack};

use super::paged::Paged;
use super::{Coro, Model};

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Its number, from 1.
    pub number: u64,
    /// Its moment, in nanoseconds since the first one was asked for.
    pub at: u64,
    /// How long the program was stopped for it, in nanoseconds; `None` if it was not.
    pub stopped: Option<u64>,
    /// What was proved in it.
    pub findings: Vec<Arc<Finding>>,
    /// The coroutines of the picture before, if there is one.
    before: Option<Paged<Arc<Coro>>>,
}

/// Coroutines that can never go on, by proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The reason: `never_woken`, `lock_cycle`, `unpolled_holder` or `waits_on_dead`.
    pub reason: String,
    /// The coroutines.
    pub coros: Vec<CoroId>,
    /// One sentence.
    pub text: String,
    /// The facts that it follows from, one sentence each.
    pub proof: Vec<String>,
}

/// How a coroutine differs from what it was in the picture before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    New,
    /// It was at another place.
    Moved,
}

/// How many coroutines differ between two pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that were not there before.
    pub new: usize,
    /// Those that were at another place.
    pub moved: usize,
    /// Those that are no longer there.
    pub gone: usize,
}

impl Model {
    /// The picture that the state is of, if the program is not recorded. What happened before its moment is not known:
    /// neither since when something is so, nor how often a coroutine ran.
    pub fn picture(&self) -> Option<&Picture> {
        self.picture.as_deref()
    }

    /// A time that has passed; `None` in a picture, which has no past.
    pub fn known(&self, nanos: u64) -> Option<u64> {
        Some(nanos).filter(|_| self.picture.is_none())
    }

    /// What was proved of a coroutine of the present picture: that it can never go on.
    pub fn findings_of(&self, id: CoroId) -> impl Iterator<Item = &Finding> + '_ {
        let findings = self.picture().map_or(&[][..], |picture| &picture.findings);
        findings.iter().map(|finding| &**finding).filter(move |finding| finding.coros.contains(&id))
    }

    /// How a live coroutine differs from what it was in the picture before.
    pub fn change_of(&self, id: CoroId) -> Option<Change> {
        let (before, coro) = (self.picture()?.before.as_ref()?, self.coros.get(id)?);
        match before.get(id).filter(|old| old.name == coro.name) {
            None => Some(Change::New),
            Some(old) => (!is_same_place(old, coro)).then_some(Change::Moved),
        }
    }

    /// The coroutines of the picture before that are no longer there, by number.
    pub fn gone(&self) -> impl Iterator<Item = &Coro> + '_ {
        let before = self.picture().and_then(|picture| picture.before.as_ref());
        let is_gone = |coro: &&Coro| self.coro(coro.id).is_none_or(|new| new.name != coro.name);
        before.into_iter().flat_map(|all| all.iter()).map(|(_, coro)| &**coro).filter(is_gone)
    }

    /// How many coroutines differ from the picture before; `None` if there is none.
    pub fn changes(&self) -> Option<Changes> {
        self.picture()?.before.as_ref()?;
        let mut changes = Changes { gone: self.gone().count(), ..Changes::default() };
        for coro in self.live() {
            match self.change_of(coro.id) {
                Some(Change::New) => changes.new += 1,
                Some(Change::Moved) => changes.moved += 1,
                None => {}
            }
        }
        Some(changes)
    }

    /// A picture begins: its checkpoint replaces all that is known.
    pub(super) fn begin_picture(&mut self, number: u64, stopped: u64, at: u64) {
        let is_whole = self.is_sure();
        let before = self.picture.take().filter(|_| is_whole).map(|_| self.coros.clone());
        let stopped = Some(stopped).filter(|nanos| *nanos > 0);
        self.picture = Some(Arc::new(Picture { number, at, stopped, findings: Vec::new(), before }));
        // Tasks that had ended in the picture before need not be there in this one.
        self.finished.clear();
        self.finished_order.clear();
        Arc::make_mut(&mut self.names).forget_given();
        self.counts = super::Counts::default();
        self.lose_track();
    }

    /// Something was proved in the present picture.
    pub(super) fn found(&mut self, finding: Finding) {
        match &mut self.picture {
            Some(picture) => Arc::make_mut(picture).findings.push(Arc::new(finding)),
            None => self.odd(),
        }
    }
}

/// Whether two coroutines stand at the same place, as far as their stacks are known.
fn is_same_place(left: &Coro, right: &Coro) -> bool {
    match (&left.stack, &right.stack) {
        (Some((_, left)), Some((_, right))) => outline(left) == outline(right),
        (left, right) => left.is_some() == right.is_some(),
    }
}

/// The functions and lines of a stack, with the depth of each.
fn outline(stack: &Stack) -> Vec<(usize, &str, u32)> {
    let mut places = Vec::new();
    let mut todo: Vec<_> = stack.frames.iter().rev().map(|frame| (0, frame)).collect();
    while let Some((depth, frame)) = todo.pop() {
        places.push((depth, frame.function.as_str(), frame.line));
        let inner = frame.branches.iter().rev().flat_map(|branch| branch.frames.iter().rev());
        todo.extend(inner.map(|frame| (depth + 1, frame)));
    }
    places
}
