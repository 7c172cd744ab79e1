//! The chain of waits of a coroutine as one JSON object: docs/JSON.md has its keys.

use std::io;

use serde::Serialize;
use tinyio_events::event::{CoroId, Target};

use crate::describe;
use crate::format::escaped_json;
use crate::model::{Leaf, Model, Why};

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
        Leaf::Cycle(coro) => ("cycle", coro),
        Leaf::Unknown(coro) => ("unknown", coro),
    };
    End { kind, id, text: describe::leaf(model, &why.leaf, model.now()).0 }
}
