//! The chain of waits of a coroutine as one JSON object: docs/JSON.md has its keys.

use std::io;

use serde::Serialize;
use tinyio_events::event::{CoroId, Frame, ResId, Target};

use crate::describe;
use crate::format::escaped_json;
use crate::model::{Coro, Leaf, Model, Why};

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    program: &'a str,
    pid: u32,
    started: u64,
    now: u64,
    sure: bool,
    coro: CoroId,
    chain: Vec<Link<'a>>,
    end: End,
    cycle: Vec<CoroId>,
}

#[derive(Serialize)]
struct Link<'a> {
    coro: CoroId,
    name: &'a str,
    label: String,
    on: Target,
    on_label: String,
    site: String,
    since: Option<u64>,
    others: usize,
    holder: CoroId,
    frames: Vec<Function<'a>>,
    holds: Vec<Held>,
}

/// A function of the program that the coroutine is in.
#[derive(Serialize)]
struct Function<'a> {
    function: &'a str,
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
struct Held {
    res: ResId,
    label: String,
    site: String,
    since: Option<u64>,
}

#[derive(Serialize)]
struct End {
    kind: &'static str,
    id: u64,
    text: String,
}

pub(super) fn write(model: &Model, id: CoroId, out: &mut dyn io::Write) -> io::Result<()> {
    let why = model.why(id);
    let header = model.header();
    let chain = why.chain.iter().map(|link| Link {
        coro: link.coro,
        name: model.full_name(link.coro),
        label: model.label(link.coro),
        on: link.on,
        on_label: model.target_label(link.on),
        site: model.site(link.site).map_or(String::new(), |site| site.to_string()),
        since: model.known(link.since),
        others: link.others,
        holder: link.holder,
        frames: model.frames_at(link.coro, link.site).into_iter().map(Function::of).collect(),
        holds: model.coro(link.coro).map_or_else(Vec::new, |coro| holds(model, coro)),
    });
    let document = Document {
        schema: super::SCHEMA,
        program: &header.program,
        pid: header.pid,
        started: header.started,
        now: model.now(),
        sure: model.is_sure(),
        coro: id,
        chain: chain.collect(),
        end: end(model, &why),
        cycle: why.cycle().iter().map(|link| link.coro).collect(),
    };
    writeln!(out, "{}", escaped_json(&serde_json::to_string_pretty(&document)?))
}

impl<'a> Function<'a> {
    fn of(frame: &'a Frame) -> Function<'a> {
        Function { function: &frame.function, file: &frame.file, line: frame.line }
    }
}

fn holds(model: &Model, coro: &Coro) -> Vec<Held> {
    let held = |id: &ResId| {
        let holder = model.resource(*id).and_then(|one| one.holders.iter().find(|one| one.coro == coro.id));
        Held {
            res: *id,
            label: model.resource_label(*id),
            site: holder.and_then(|holder| model.site(holder.site)).map_or(String::new(), |site| site.to_string()),
            since: holder.and_then(|holder| model.known(holder.since)),
        }
    };
    coro.holds.iter().map(held).collect()
}

fn end(model: &Model, why: &Why) -> End {
    let (kind, id) = match why.leaf {
        Leaf::Running(coro, _) => ("running", coro),
        Leaf::Ready(coro, _) => ("ready", coro),
        Leaf::Ended(coro, _) => ("ended", coro),
        Leaf::Thread(thread) => ("thread", thread),
        Leaf::Timer(due) => ("timer", due),
        Leaf::Resource(resource) => ("resource", resource),
        Leaf::HeldOutside(resource) => ("held_outside", resource),
        Leaf::Loop(inner) => ("loop", u64::from(inner)),
        Leaf::External(coro) => ("external", coro),
        Leaf::Blocked(coro, _) => ("blocked", coro),
        Leaf::Cycle(coro) => ("cycle", coro),
        Leaf::LikelyCycle(coro) => ("likely_cycle", coro),
        Leaf::Unknown(coro) => ("unknown", coro),
    };
    End { kind, id, text: describe::leaf(model, &why.leaf, model.now()).0 }
}
