//! Folded stacks: `main;crawl;fetch 1200`, for flame graphs.
//!
//! A stack is the path in the tree of scheduling from the root down to the coroutine that ran or waited. Busy time is
//! what each coroutine spent in its own steps. Blocked time is what each spent waiting, with a last frame that says on
//! what and where; if a coroutine waits for another one, its wait and that coroutine's own waits both count.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::str::FromStr;

use super::spans::{Mark, Sink, Span, Track, What};
use crate::event::{CoroId, Header, ResKind, Target};
use crate::format::one_line;
use crate::model::{IdMap, Model, short_name};

/// Deeper stacks are cut: coroutines that schedule their own successors would grow them without bound.
const DEEPEST: u32 = 128;

/// What folded stacks count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Nanoseconds in steps.
    #[default]
    Busy,
    /// Nanoseconds waiting.
    Blocked,
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<By, String> {
        match text {
            "busy" => Ok(By::Busy),
            "blocked" => Ok(By::Blocked),
            _ => Err(format!("{text:?} cannot be counted: expected busy or blocked")),
        }
    }
}

pub(super) struct Folded<'a> {
    out: &'a mut dyn Write,
    by: By,
    /// The different stacks, each as its parent and its last frame; 0 is the empty one.
    stacks: Vec<(usize, String, u32)>,
    index: HashMap<(usize, String), usize>,
    totals: Vec<u64>,
    of: IdMap<CoroId, usize>,
}

impl<'a> Folded<'a> {
    pub(super) fn new(out: &'a mut dyn Write, by: By) -> Folded<'a> {
        let stacks = vec![(0, String::new(), 0)];
        Folded { out, by, stacks, index: HashMap::new(), totals: vec![0], of: IdMap::default() }
    }

    fn push(&mut self, parent: usize, frame: String) -> usize {
        let depth = self.stacks[parent].2 + 1;
        if depth > DEEPEST {
            return parent;
        }
        *self.index.entry((parent, frame)).or_insert_with_key(|(parent, frame)| {
            self.stacks.push((*parent, frame.clone(), depth));
            self.totals.push(0);
            self.stacks.len() - 1
        })
    }

    fn line(&self, stack: usize) -> String {
        let mut frames = Vec::new();
        let mut at = stack;
        while at != 0 {
            frames.push(self.stacks[at].1.as_str());
            at = self.stacks[at].0;
        }
        frames.reverse();
        frames.join(";")
    }
}

impl Sink for Folded<'_> {
    fn begin(&mut self, _: &Header) -> io::Result<()> {
        Ok(())
    }

    fn born(&mut self, model: &Model, coro: CoroId) {
        let Some(known) = model.coro(coro) else { return };
        let parent = match known.parent {
            0 => model.get_loop(known.in_loop).map_or(0, |one| one.parent),
            parent => parent,
        };
        let above = self.of.get(&parent).copied().unwrap_or(0);
        let stack = self.push(above, frame(model.kind_label(coro)));
        self.of.insert(coro, stack);
    }

    fn gone(&mut self, coro: CoroId) {
        self.of.remove(&coro);
    }

    fn track(&mut self, _: Track, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn span(&mut self, model: &Model, span: &Span<'_>) -> io::Result<()> {
        let Track::Coro(coro) = span.track else { return Ok(()) };
        let Some(stack) = self.of.get(&coro).copied() else { return Ok(()) };
        match (self.by, span.kind) {
            (By::Busy, What::Run) => self.totals[stack] += span.own,
            (By::Blocked, What::Wait) => {
                let last = format!("{} {}", kind(model, span.on), span.place);
                let stack = self.push(stack, frame(last.trim_end()));
                self.totals[stack] += span.own;
            }
            (By::Blocked, What::Ready) => {
                let stack = self.push(stack, "ready, not yet run".to_owned());
                self.totals[stack] += span.own;
            }
            _ => {}
        }
        Ok(())
    }

    fn mark(&mut self, _: &Mark<'_>) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let counted = self.totals.iter().enumerate().filter(|(_, total)| **total > 0);
        let lines: BTreeMap<String, u64> = counted.map(|(stack, total)| (self.line(stack), *total)).collect();
        lines.iter().try_for_each(|(line, total)| writeln!(self.out, "{line} {total}"))
    }
}

/// What is waited on, without the number that tells one from another.
fn kind(model: &Model, on: Option<Target>) -> String {
    match on {
        Some(Target::Coro(id)) => format!("on {}", model.kind_label(id)),
        Some(Target::Res(id)) => match model.resource(id).map(|resource| resource.what) {
            Some(ResKind::Lock) => "on a lock".to_owned(),
            Some(ResKind::Semaphore) => "on a semaphore".to_owned(),
            Some(ResKind::Barrier) => "on a barrier".to_owned(),
            Some(ResKind::Event) => "on an event".to_owned(),
            Some(ResKind::Channel) => "on a channel".to_owned(),
            None => "on a resource".to_owned(),
        },
        Some(Target::Thread(id)) => {
            let name = model.thread(id).map_or("", |thread| short_name(model.name(thread.name)));
            format!("on thread {name}").trim_end().to_owned()
        }
        Some(Target::Timer(_)) => "sleeping".to_owned(),
        Some(Target::Loop(_)) => "on a loop inside".to_owned(),
        Some(Target::Turn) => "on its turn".to_owned(),
        Some(Target::External) | None => "external".to_owned(),
    }
}

/// A frame: the format has no escapes, so what separates frames is replaced.
fn frame(name: &str) -> String {
    one_line(name).replace(';', ",")
}
